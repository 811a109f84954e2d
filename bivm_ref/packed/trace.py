"""Watching one frame pass through the engine: every map on its way, without a change to what computes them.

    seen = trace(net, frame)          # net.step(frame), watched
    seen.stations["encoder.f2.0.spatial"]     # that layer's result, (H, W, C) float32
    seen.reads["decoder.d1.conv.k3"]          # the sign maps it read, each (H, W, C/8) uint8
    seen.sums["encoder.f2.0.spatial"]         # its whole numbers

The engine's maps take turns in the same memory, so each is copied the moment it is finished: by wrappers that stand
in for the network's layers during this one step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from bivm_ref.packed.network import PackedBiVM, reduce_frame


@dataclass
class Trace:
    """What one step showed, each dict in the order of execution.

    stations  {name: map}: "frame" (H, W, 3) uint8, "reduced frame" if the network works at a smaller size, each
              layer's result (H, W, C) float32 under the layer's name,
              "coarse alpha" (h, w) float32, "mask" (h, w) bool, "alpha" (H, W), "foreground" (H, W, 3) float32.
              A decoder stage is seen after its memory, which replaces half of its channels
    reads     {binary convolution: the packed sign maps that it read, (H, W, C/8) uint8 each}. Two convolutions that
              read the same map hold the same array: `is` tells
    sums      {binary convolution: whole numbers}, as in `PackedBiVM.record`
    kept      bytes of the maps that stay allocated for the next frame
    """

    stations: dict[str, np.ndarray] = field(default_factory=dict)
    reads: dict[str, list[np.ndarray]] = field(default_factory=dict)
    sums: dict[str, np.ndarray | tuple] = field(default_factory=dict)
    kept: int = 0


def trace(net: PackedBiVM, frame: np.ndarray) -> Trace:
    """`net.step(frame)`, watched: the same results, the same state afterwards. Raises what `step` raises.

    A frame larger than the working size passes the refiner as well, whose insides are not watched.
    """
    seen, copies, undo = Trace(), {}, []
    seen.stations["frame"] = np.array(frame)

    def stand_in(holder: dict | list, key: str | int, station: Callable[[], str]) -> None:
        """Replace one layer by a wrapper that calls it and copies its (first) result."""
        layer = holder[key]
        undo.append((holder, key, layer))

        def watched(*given):
            result = layer(*given)
            made = result[0] if isinstance(result, tuple) else result
            seen.stations[station()] = made.copy()
            return result

        holder[key] = watched

    def watch_reader(name: str) -> None:
        conv = net._parts.convs[name]
        prepare = conv.prepare

        def watched(maps, *active) -> None:
            # A map that was written again since is another map: its bytes tell.
            held = [copies.setdefault((id(m), m.bytes.tobytes()), m.bytes.copy()) for m in maps]
            seen.reads[name] = held
            prepare(maps, *active)

        conv.prepare = watched
        undo.append((conv.__dict__, "prepare", None))

    inside = net.__dict__
    stand_in(inside, "_stem", lambda: "encoder.f1")
    for layers in net._stages.values():
        for i, elastic in enumerate(layers):
            stand_in(layers, i, lambda name=elastic.conv.name: name)
    stand_in(inside, "_neck", lambda: "neck")
    stand_in(inside, "_memory", lambda: "neck.gru")
    stand_in(inside, "_coarse", lambda: "coarse.conv")
    for i, stage in enumerate(net._decoder):
        stand_in(net._decoder, i, lambda name=stage.name: name)
    stand_in(inside, "_detail", lambda: "decoder.d0.detail")
    for name in net._parts.convs:
        watch_reader(name)
    before, net.record = net.record, seen.sums
    try:
        alpha, foreground = net.step(frame)
    finally:
        net.record = before
        for holder, key, layer in reversed(undo):
            if layer is None:
                del holder[key]
            else:
                holder[key] = layer
    seen.kept = net._parts.memory.nbytes
    seen.stations = _complete(seen.stations, net, alpha, foreground)
    return seen


def _complete(layers: dict[str, np.ndarray], net: PackedBiVM, alpha: np.ndarray,
              foreground: np.ndarray) -> dict[str, np.ndarray]:
    """The layers' results and, at their places, the maps that no layer returns."""
    stations = {}
    for name, made in layers.items():
        stations[name] = made
        if name == "frame" and (small := reduce_frame(made, net.size)) is not made:
            stations["reduced frame"] = small
        if name == "coarse.conv":
            stations |= {"coarse alpha": net.coarse_alpha.copy(), "mask": net.mask.copy()}
    return stations | {"alpha": alpha, "foreground": foreground}


def equal_sums(a: Trace, b: Trace) -> dict[str, bool]:
    """{binary convolution: whether all of its whole numbers, and where they were computed, are equal in both}."""
    def parts(entry: np.ndarray | tuple) -> tuple:
        return entry if isinstance(entry, tuple) else (entry,)

    return {name: all(map(np.array_equal, parts(a.sums[name]), parts(b.sums[name]))) for name in a.sums}
