"""A packed convolution: sign bits in, whole numbers out, without im2col.

`prepare` asks the sign maps (planes.py) for the planes that the layer's kernel reads. `half_rows` then computes
a strip of whole rows, every tap a slice of a plane; `half_at` computes the active positions alone, from numbers
gathered for them: the masked decoder's way. Binary sums are integers, so both give the very same numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from bivm_ref.packed.kernels import Table, Tap, XorPopcount, integer_type, scratch
from bivm_ref.packed.planes import SignMap
from bivm_ref.packed.sparse import Positions

KERNELS = {"xor": XorPopcount, "table": Table, "table4": partial(Table, word=4)}
BYTES_AT_ONCE = 1 << 17  # of one scratch array: what stays in a second-level cache


class PackedConv:
    """Binary convolution of one or several packed maps that stand side by side in the channels.

    bits     (cout, k, k, cin/8) uint8, k = 3 (padding 1) or 1 (padding 0); cout a multiple of 8
    stride   1 or 2
    sources  channels of each input map, their sum is cin (default: one map). The concatenation is never built
    kernel   "xor", "table" or "table4": the same integers, another speed (tune.py chooses)

    Raises ValueError when an argument has another dtype, shape or value.
    """

    def __init__(self, bits: np.ndarray, stride: int = 1, sources: Sequence[int] | None = None,
                 kernel: str = "table", name: str = "") -> None:
        bits = np.asarray(bits)
        self.where = f"convolution {name}: " if name else ""
        if bits.dtype != np.uint8 or bits.ndim != 4 or bits.shape[1] != bits.shape[2] or 0 in bits.shape:
            raise ValueError(f"{self.where}bits are (cout, k, k, cin/8) uint8, got {bits.shape} {bits.dtype}")
        if bits.shape[1] not in (1, 3) or bits.shape[0] % 8:
            raise ValueError(f"{self.where}k is 1 or 3 and cout a multiple of 8, got bits of shape {bits.shape}")
        if stride not in (1, 2):
            raise ValueError(f"{self.where}stride is 1 or 2, not {stride!r}")
        self.cout, self.size, _, groups = bits.shape
        self.cin = groups * 8
        self.sources = (self.cin,) if sources is None else tuple(int(s) for s in sources)
        if sum(self.sources) != self.cin or any(s <= 0 or s % 8 for s in self.sources):
            raise ValueError(f"{self.where}sources are multiples of 8 that sum to {self.cin}, got {self.sources}")
        if kernel not in KERNELS:
            raise ValueError(f"{self.where}kernel is one of {', '.join(KERNELS)}, not {kernel!r}")
        self.kernel = KERNELS[kernel](bits, tuple(s // 8 for s in self.sources))
        self.bits, self.stride, self.name, self.kernel_name = bits, stride, name, kernel
        reach = range(-(self.size // 2), self.size // 2 + 1)
        self.offsets = [(dy, dx) for dy in reach for dx in reach]  # of each tap, in the order of the weights
        self.dtype = integer_type(self.size * self.size * self.cin)  # of the whole dot products

    def output_shape(self, height: int, width: int) -> tuple[int, int]:
        return -(-height // self.stride), -(-width // self.stride)

    def prepare(self, maps: Sequence[SignMap]) -> Planes:
        """The planes that the kernel reads of these maps, one per source."""
        return Planes(maps[0], self.kernel.planes(list(maps)))

    def half_rows(self, planes: Planes, top: int, bottom: int) -> np.ndarray:
        """Output rows top .. bottom -> (rows, row, cout) half sums, in scratch memory.

        row is W + 2 for stride 1, and the last two of each row are of no pixel; Wo for stride 2.
        """
        rows = bottom - top
        if self.stride == 2:
            taps, columns = self._every_other(planes, top, bottom), -(-planes.width // 2)
        else:
            taps, columns = self._slices(planes, top, bottom), planes.row
        return self.kernel.half_dot(taps, rows * columns).reshape(rows, columns, self.cout)

    def half_at(self, planes: Planes, active: Positions, top: int, bottom: int) -> np.ndarray:
        """At the active positions of rows top .. bottom alone -> (N, cout) half sums. Stride 1."""
        first, last = active.reads_from[top], active.reads_from[bottom]
        reads = active.reads[first:last]
        half = self.kernel.half_dot(self._runs(planes, reads), max(0, len(reads) - 2))
        at = active.at[active.starts[top]:active.starts[bottom]]
        return pick(half, at - first)

    def half_at_of_rows(self, planes: Planes, active: Positions, top: int, bottom: int) -> np.ndarray:
        """The same from whole rows, of which the active positions are picked: for when most are active."""
        half = self.half_rows(planes, top, bottom)
        corner = active.corner[active.starts[top]:active.starts[bottom]]
        return pick(half.reshape(-1, self.cout), corner - top * planes.row)

    def rows_at_once(self, columns: int) -> int:
        return max(1, BYTES_AT_ONCE // (self.kernel.row_bytes * columns))

    def dot(self, maps: np.ndarray | Sequence[np.ndarray]) -> np.ndarray:
        """Packed map or list of maps, each (H, W, C/8) uint8 -> (Ho, Wo, cout) int16, int32 when int16 is too
        small.

        Ho = ceil(H / stride), Wo = ceil(W / stride). The result belongs to the caller.
        """
        maps = self.check(maps)
        planes = self.prepare([SignMap.of(m) for m in maps])
        height, width = self.output_shape(*maps[0].shape[:2])
        out = np.empty((height, width, self.cout), self.dtype)
        step = self.rows_at_once(width)
        for top in range(0, height, step):
            rows = slice(top, min(top + step, height))
            np.multiply(self.half_rows(planes, rows.start, rows.stop)[:, :width], 2, out=out[rows], dtype=self.dtype)
        return out

    def dot_at(self, maps: np.ndarray | Sequence[np.ndarray], mask: np.ndarray) -> np.ndarray:
        """The same integers as `dot(maps)[mask]`, computed only there -> (N, cout) int16 or int32. Stride 1.

        ValueError when the mask is not (H, W) bool.
        """
        maps, active = self.check(maps), Positions(mask)
        if self.stride != 1 or mask.shape != maps[0].shape[:2]:
            raise ValueError(f"{self.where}a mask of {mask.shape} and stride {self.stride}: only layers of stride 1 "
                             f"are masked, by a mask of the map's size, {maps[0].shape[:2]}")
        planes = self.prepare([SignMap.of(m) for m in maps])
        out = np.empty((len(active), self.cout), self.dtype)
        height, width = mask.shape
        step = self.rows_at_once(width)
        for top in range(0, height, step):
            bottom = min(top + step, height)
            here = slice(active.starts[top], active.starts[bottom])
            np.multiply(self.half_at(planes, active, top, bottom), 2, out=out[here], dtype=self.dtype)
        return out

    def check(self, maps: np.ndarray | Sequence[np.ndarray]) -> list[np.ndarray]:
        """The maps as a list of contiguous arrays, one per source. ValueError when they do not fit."""
        maps = [maps] if isinstance(maps, np.ndarray) else list(maps)
        if len(maps) != len(self.sources):
            raise ValueError(f"{self.where}{len(self.sources)} maps expected, got {len(maps)}")
        for m, channels in zip(maps, self.sources):
            if not isinstance(m, np.ndarray) or m.dtype != np.uint8 or m.ndim != 3:
                raise ValueError(f"{self.where}a packed map is (H, W, C/8) uint8, got "
                                 f"{getattr(m, 'shape', type(m).__name__)} {getattr(m, 'dtype', '')}")
            if m.shape != (*maps[0].shape[:2], channels // 8) or 0 in m.shape:
                raise ValueError(f"{self.where}a source of {channels} channels is (H, W, {channels // 8}), all of "
                                 f"one size, at least 1 x 1; got {[m.shape for m in maps]}")
        return [np.ascontiguousarray(m) for m in maps]

    # -- where a tap's columns come from --

    def _slices(self, planes: Planes, top: int, bottom: int) -> Iterator[Tap]:
        for dy, dx in self.offsets:
            first = (top + 1 + dy) * planes.row + 1 + dx
            here = slice(first, first + (bottom - top) * planes.row)
            yield self.kernel.tap([p[here] for p in planes.all])

    def _every_other(self, planes: Planes, top: int, bottom: int) -> Iterator[Tap]:
        rows, width = bottom - top, -(-planes.width // 2)
        grids = [p[:-2].reshape(-1, planes.row) for p in planes.all]
        held = [scratch(f"column{i}", (rows, width), p.dtype) for i, p in enumerate(planes.all)]
        for dy, dx in self.offsets:
            here = slice(2 * top + 1 + dy, 2 * bottom + dy, 2), slice(1 + dx, 2 * width + dx, 2)
            for column, plane in zip(held, grids):
                column[...] = plane[here]
            yield self.kernel.tap([column.reshape(-1) for column in held])

    def _runs(self, planes: Planes, reads: np.ndarray) -> Iterator[Tap]:
        """Every row of the 3x3 is gathered once; its three columns are slices of what was gathered."""
        held = [scratch(f"column{i}", reads.shape, p.dtype) for i, p in enumerate(planes.all)]
        n = max(0, len(reads) - 2)  # the last two of a row are read by 3x3's that begin before them
        for i, (dy, dx) in enumerate(self.offsets):
            if i % self.size == 0:
                for column, plane in zip(held, planes.all):
                    plane[(1 + dy) * planes.row:].take(reads, 0, column, "clip")
            yield self.kernel.tap([column[1 + dx:1 + dx + n] for column in held])


def pick(half: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Rows `at` of half sums (n, cout), in scratch memory."""
    return half.take(at, 0, scratch("picked", (len(at), half.shape[1]), half.dtype), "clip")


class Planes:
    """What `prepare` found: the flat planes that the kernel reads, all of one shape."""

    def __init__(self, like: SignMap, planes: list[np.ndarray]) -> None:
        self.height, self.width, self.row = like.height, like.width, like.row
        self.all = planes
