"""Where the time of a frame goes: each part of the network timed while the engine runs.

    parts = frame_parts(net, frame)           # net.step(frame), timed
    parts["encoder.f1"].seconds               # of that part alone
    parts["decoder.d1"].binary                # of these, within its binary convolutions
    least(frame_parts(net, f) for f in frames)

As in trace.py, wrappers stand in for the layers during one step and are gone afterwards. A part that lies in another
(a decoder stage's memory) is taken out of it, so that the parts add up to the frame. "everything else" is what no layer
does: reducing and padding the frame, the coarse head, the mask, the pooled image.

The clock is the processor time of this thread where the system has a fine one: while another program has the core, it
stands still. On a machine that nobody shares it shows what a watch on the wall shows.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from bivm_ref.packed.network import PackedBiVM

REST = "everything else"
FINE = time.get_clock_info("thread_time").resolution <= 1e-6  # Windows counts in steps of 16 ms
CLOCK = time.thread_time if FINE else time.perf_counter


@dataclass
class Part:
    """Seconds of one part of a frame. binary: those of them spent in its binary convolutions (planes laid out, XOR or
    look-ups, sums); the remainder is signs, scales, shortcuts, activations, upsampling."""

    seconds: float = 0.0
    binary: float = 0.0

    @property
    def between(self) -> float:
        return self.seconds - self.binary


def frame_parts(net: PackedBiVM, frame: np.ndarray, clock: Callable[[], float] = CLOCK) -> dict[str, Part]:
    """`net.step(frame)`, timed: {part: Part}, in the order of execution, "everything else" last.

    Raises ValueError for a network with several threads, whose other members nobody watches here, and what `step`
    raises.
    """
    if net.threads > 1:
        raise ValueError(f"the parts of a frame are timed on one thread; this network has {net.threads}")
    parts: dict[str, Part] = {}
    inside: list[Part] = []
    undo: list[Callable[[], None]] = []

    def part(holder: dict | list, key: str | int, name: str) -> None:
        layer, mine = holder[key], parts.setdefault(name, Part())

        def timed(*given):
            start = clock()
            inside.append(mine)
            try:
                return layer(*given)
            finally:
                inside.pop()
                seconds = clock() - start
                mine.seconds += seconds
                if inside:
                    inside[-1].seconds -= seconds

        holder[key] = timed
        undo.append(lambda: holder.__setitem__(key, layer))

    def convolution(conv: object, method: str) -> None:
        run = getattr(conv, method)

        def timed(*given):
            start = clock()
            result = run(*given)
            inside[-1].binary += clock() - start
            return result

        setattr(conv, method, timed)
        undo.append(lambda: delattr(conv, method))

    part(net.__dict__, "_stem", "encoder.f1")
    for layers in net._stages.values():
        for i, elastic in enumerate(layers):
            part(layers, i, elastic.conv.name)
    part(net.__dict__, "_neck", "neck")
    part(net.__dict__, "_memory", "neck.gru")
    part(net.__dict__, "_coarse", "coarse.conv")
    for i, stage in enumerate(net._decoder):
        part(net._decoder, i, stage.name)
        if stage.memory is not None:
            part(stage.__dict__, "memory", f"{stage.name}.gru")
    for key, name in (("_detail", "decoder.d0.detail"), ("_heads", "heads"), ("_refiner", "refiner")):
        part(net.__dict__, key, name)
    for conv in net._parts.convs.values():
        for method in ("prepare", "rows", "at"):
            convolution(conv, method)
    start = clock()
    try:
        net.step(frame)
    finally:
        total = clock() - start
        for back in reversed(undo):
            back()
    parts[REST] = Part(total - sum(p.seconds for p in parts.values()))
    return parts


def least(frames: Iterable[dict[str, Part]]) -> dict[str, Part]:
    """Of every part the fastest of several frames, with that frame's `binary`: what it takes when nothing disturbs."""
    found: dict[str, Part] = {}
    for parts in frames:
        for name, mine in parts.items():
            if name not in found or mine.seconds < found[name].seconds:
                found[name] = mine
    return found
