"""The roofline of a machine: is a layer held up by arithmetic or by memory?

Every layer does `bops` binary multiply-accumulates (a product of two signs, added; cost.py counts the same) and cannot
move less than `bytes`: it reads the packed signs and weights once and writes its whole numbers once. Their quotient is
its **arithmetic intensity**, a property of the architecture and the frame size, not of a machine. A machine has two
limits, measured here in seconds: how many binary operations a kernel does at best, and how many bytes a copy of memory
moves. A layer of intensity I then reaches at most (Williams, Waterman and Patterson, 2009)

    min(peak, bandwidth * I)   operations per second

A layer may stand above the slope: its bytes then came from a cache, not from memory. Everything here keeps the *least*
of some rounds, by the clock of packed/clock.py: a limit is what the machine does when nothing disturbs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .arch import Arch, Conv
from .cost import sizes
from .packed.clock import CLOCK
from .packed.conv import PackedConv
from .packed.kernels import Table, XorPopcount, integer_type
from .packed.planes import SignMap
from .packed.run import Workers

COPIED = 64 << 20  # bytes: more than a last-level cache holds
PEAK_WIDTHS = (64, 128, 256)  # output channels at which a kernel's peak is looked for
PEAK_POSITIONS = (512, 2048)
PEAK_BYTES = 8  # input channels / 8, so that tables stay in a second-level cache


@dataclass(frozen=True)
class Layer:
    """The binary convolutions of one shape in one frame. positions: of its output; seconds: measured, 0 before."""

    names: tuple[str, ...]
    conv: Conv
    positions: int
    seconds: float = 0.0

    @property
    def bops(self) -> int:
        """Binary multiply-accumulates, taps outside the image included."""
        return self.positions * self.conv.weights

    @property
    def bytes(self) -> int:
        return compulsory_bytes(self.conv, self.positions)

    @property
    def intensity(self) -> float:
        """bops per byte."""
        return self.bops / self.bytes

    @property
    def rate(self) -> float:
        """bops per second, as measured."""
        return self.bops / self.seconds


def compulsory_bytes(conv: Conv, positions: int) -> int:
    """Bytes that a binary convolution cannot avoid to move: signs in and weights in, 8 to a byte, whole numbers out."""
    terms = conv.kernel**2 * conv.cin
    read = positions * conv.stride**2 * conv.cin // 8 + conv.weights // 8
    return read + positions * conv.cout * np.dtype(integer_type(terms)).itemsize


def layers(arch: Arch, width: int, height: int) -> list[Layer]:
    """The binary convolutions of a frame that is not reduced, those of one shape together, in the order of execution.

    Every position computed. Left out: the neck's gate, whose map is one pixel, and the refiner.
    """
    where, groups = sizes(arch, width, height), {}
    for conv in arch.convs():
        if conv.kind == "binary" and conv.scale and not conv.name.startswith("refiner."):
            groups.setdefault((conv.kernel, conv.sources, conv.cout, conv.stride, conv.scale), []).append(conv)
    return [Layer(tuple(c.name for c in group), group[0], where.positions(group[0])) for group in groups.values()]


def measured(layer: Layer, width: int, height: int, kernel: str = "table", rounds: int = 5, seed: int = 0) -> Layer:
    """The same layer with the least seconds of some rounds: planes laid out, products, sums, strip by strip, as the
    engine does it. Random signs and weights, which take no other time than trained ones."""
    conv, rng = layer.conv, np.random.default_rng(seed)
    columns, rows = (side // conv.scale * conv.stride for side in sizes_of(width, height))
    bits = rng.integers(0, 256, (conv.cout, conv.kernel, conv.kernel, conv.cin // 8), dtype=np.uint8)
    packed = PackedConv(bits, conv.stride, conv.sources, kernel)
    maps = [SignMap.of(rng.integers(0, 256, (rows, columns, s // 8), dtype=np.uint8)) for s in conv.sources]
    high, wide = packed.output_shape(rows, columns)
    workers = Workers()

    def run() -> None:
        planes = packed.prepare([m.changed() for m in maps])
        workers.run(lambda top, bottom: packed.half_rows(planes, top, bottom), high, wide * conv.cout)

    return Layer(layer.names, conv, layer.positions, least_seconds(run, rounds))


def sizes_of(width: int, height: int) -> tuple[int, int]:
    """A frame as the network sees it: rounded up to multiples of 16."""
    return width + -width % 16, height + -height % 16


# -- the machine's two limits --

def peak(kernel: str, rounds: int = 6) -> float:
    """Binary operations per second of "xor" or "table" at its best: one tap, small enough for the caches."""
    best = 0.0
    for width in PEAK_WIDTHS:
        for positions in PEAK_POSITIONS:
            run = _one_tap(kernel, width, positions)
            best = max(best, positions * width * 8 * PEAK_BYTES / least_seconds(run, rounds))
    return best


def _one_tap(kernel: str, width: int, positions: int) -> Callable[[], object]:
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 256, (width, 1, 1, PEAK_BYTES), dtype=np.uint8)
    made = {"xor": XorPopcount, "table": Table}[kernel](bits, (PEAK_BYTES,))
    if kernel == "table":
        columns, inside = [rng.integers(0, 256, positions) for _ in made.words], None
    else:
        columns = [rng.integers(0, 1 << 63, positions).astype(f"u{size}") for _, _, size in made.words]
        inside = np.ones(positions, np.bool_)
    return lambda: made.half_dot([(columns, inside)], positions)


def bandwidth(rounds: int = 5, size: int = COPIED) -> float:
    """Bytes per second that a copy reads and writes, on one thread: 2 for each byte copied, as STREAM counts."""
    source, target = np.ones(size, np.uint8), np.zeros(size, np.uint8)
    return 2 * size / least_seconds(lambda: np.copyto(target, source), rounds)


def least_seconds(run: Callable[[], object], rounds: int, clock: Callable[[], float] = CLOCK) -> float:
    """The fastest of `rounds` runs, after one that is not counted."""
    times = []
    for _ in range(rounds + 1):
        start = clock()
        run()
        times.append(clock() - start)
    return min(times[1:])


def attainable(intensity: float, peak_rate: float, bytes_per_second: float) -> float:
    """The roof above an intensity, in operations per second."""
    return min(peak_rate, bytes_per_second * intensity)
