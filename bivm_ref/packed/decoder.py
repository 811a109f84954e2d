"""The masked decoder of a packed BiVM: two-branch convolutions, ConvGRUs, stages, the last detail.

The 1x1 branch runs everywhere, the 3x3 branch at the active positions alone. `active` None means everywhere.
"""

from __future__ import annotations

import numpy as np

from bivm_ref.packed import ops
from bivm_ref.packed.kernels import scratch
from bivm_ref.packed.layers import BinaryConv, Parts, sign_map
from bivm_ref.packed.planes import SignMap
from bivm_ref.packed.sparse import Active, Positions


class TwoBranch:
    """y = M * BN3(bconv3x3(s)) + BN1(bconv1x1(s)), the 3x3 computed at the active positions alone."""

    def __init__(self, parts: Parts, name: str) -> None:
        self.k3, self.k1 = BinaryConv(parts, f"{name}.k3"), BinaryConv(parts, f"{name}.k1")
        self.norm3, self.norm1 = parts.affine(f"{name}.k3"), parts.affine(f"{name}.k1")
        self.cout, self.active = self.k1.cout, None

    def prepare(self, maps: list[SignMap], active: Positions | None) -> None:
        self.active = active
        self.k1.prepare(maps)
        self.k3.prepare(maps, active)

    def rows(self, top: int, bottom: int, out: np.ndarray) -> np.ndarray:
        """Rows top .. bottom into out (n, cout)."""
        self.norm1(self.k1.rows(top, bottom), out)
        if self.active is None:
            out += self.norm3(self.k3.rows(top, bottom), scratch("k3", out.shape, np.float32))
        else:
            add_active(self.k3, self.norm3, None, self.active, top, bottom, out)
        return out


def add_active(conv: BinaryConv, norm: ops.Affine, prelu: ops.PReLU | None, active: Positions, top: int, bottom: int,
               out: np.ndarray) -> None:
    """out (n, C), the pixels of rows top .. bottom: out[active] += PReLU(norm(conv)), computed there alone."""
    count = active.starts[bottom] - active.starts[top]
    if not count:
        return
    y = norm(conv.at(active, top, bottom), scratch("k3", (count, conv.cout), np.float32))
    if prelu is not None:
        prelu(y)
    here = active.flat[active.starts[top]:active.starts[bottom]] - top * active.width
    there = out.take(here, 0, scratch("there", y.shape, np.float32), "clip")
    there += y
    ops.items(out, out.shape[1])[here] = ops.items(there, out.shape[1])


class ConvGRU:
    """z, r = gates([x, h]); c = hard_tanh(candidate([x, r*h]) + g*x); h <- h + z*(c - h), on half of the channels.

    y (H, W, 2c): x is its second half, which the new h replaces.
    """

    def __init__(self, parts: Parts, name: str) -> None:
        self.parts, self.name = parts, name
        self.sign_x, self.sign_h, self.sign_rh = (parts.threshold(f"{name}.{s}") for s in ("x", "h", "rh"))
        self.gates, self.candidate = TwoBranch(parts, f"{name}.gates"), TwoBranch(parts, f"{name}.candidate")
        self.gain = parts.gain(name)

    def __call__(self, y: np.ndarray, h: np.ndarray | None, active: Positions | None, to: str) -> np.ndarray:
        """h (H, W, c), None at the start of a clip -> the new h, in the memory `to`."""
        (height, width, c), memory = y.shape, self.parts.memory
        c //= 2
        new, x, z = (memory.floats(name, height, width, c) for name in (to, "gru.x", "gru.z"))
        if h is None:
            h = memory.floats("gru.h", height, width, c)
            h[...] = 0.0
        signs_x, signs_rh = (memory.signs(name, height, width, c // 8) for name in ("gru.x", "gru.rh"))
        signs_h = sign_map(self.parts, "gru.h", h, self.sign_h)

        def look(top: int, bottom: int) -> None:
            ops.items(x[top:bottom], c)[..., 0] = ops.items(y[top:bottom], c)[..., 1]
            self.sign_x(x[top:bottom].reshape(-1, c), signs_x, top, bottom)

        def gate(top: int, bottom: int) -> None:
            gates = scratch("gates", ((bottom - top) * width, 2 * c), np.float32)
            ops.hard_sigmoid(self.gates.rows(top, bottom, gates))
            reset = scratch("reset", (len(gates), c), np.float32)
            ops.items(z[top:bottom].reshape(-1, c), c)[:, 0] = ops.items(gates, c)[:, 0]
            ops.items(reset, c)[:, 0] = ops.items(gates, c)[:, 1]
            reset *= h[top:bottom].reshape(-1, c)
            self.sign_rh(reset, signs_rh, top, bottom)

        def update(top: int, bottom: int) -> None:
            out, old, rows = new[top:bottom].reshape(-1, c), h[top:bottom].reshape(-1, c), slice(top, bottom)
            self.candidate.rows(top, bottom, out)
            out += self.gain.apply(np.multiply, x[rows], scratch("gained", out.shape, np.float32)).reshape(out.shape)
            ops.hard_tanh(out)
            out -= old
            out *= z[rows].reshape(out.shape)
            out += old
            ops.items(y[rows], c)[..., 1] = ops.items(new[rows], c)[..., 0]

        run = self.parts.workers.run
        run(look, height, width * c)
        self.gates.prepare([signs_x, signs_h], active)
        run(gate, height, width * 2 * c)
        self.candidate.prepare([signs_x, signs_rh], active)
        run(update, height, width * 2 * c)
        return new


class DecoderStage:
    """y = PReLU(two_branch([sign(up(x)), sign(skip), thermometer(rgb)]) + g * up(R(x))), half into a GRU."""

    def __init__(self, parts: Parts, name: str) -> None:
        self.parts, self.name, self.conv = parts, name, TwoBranch(parts, f"{name}.conv")
        row = parts.rows[f"{name}.conv.k3"]
        self.scale, self.cout = row.scale, row.cout
        self.sign_up = ops.Threshold(parts[f"{name}.up.theta"] * np.float32(16.0))  # see `ops.upsample_rows`
        self.sign_skip = parts.threshold(f"{name}.skip") if self.scale > 1 else None
        self.rgb = ops.Thermometer(parts[f"{name}.rgb.theta"], self.scale)
        self.gain = ops.PerChannel(parts[f"{name}.gain"] / np.float32(16.0))
        self.prelu = parts.prelu(name)
        self.memory = ConvGRU(parts, f"{name}.gru") if self.scale > 1 else None

    def __call__(self, x: np.ndarray, skip: np.ndarray | None, sums: dict[int, np.ndarray], active: Active | None,
                 h: np.ndarray | None, to: str) -> tuple[np.ndarray, np.ndarray | None]:
        """x (h, w, C), skip (2h, 2w, S) or None, sums of `ops.pooled_sums` -> (2h, 2w, cout), new h in `to`."""
        (below, width, channels), memory = x.shape, self.parts.memory
        height, width = 2 * below, 2 * width
        y = memory.floats(self.name, height, width, self.cout)
        up = memory.signs("up", height, width, channels // 8)
        rgb = memory.signs("rgb", height, width, self.parts.arch.rgb // 8)

        def look(top: int, bottom: int) -> None:
            large = scratch("up", (bottom - top, width, channels), np.float32)
            self.sign_up(ops.upsample_rows(x, top, bottom, large).reshape(-1, channels), up, top, bottom)
            self.rgb(sums[self.scale], rgb, top, bottom)

        def resample(top: int, bottom: int) -> None:
            ops.resample_channels(x[top:bottom].reshape(-1, channels), self.cout,
                                  narrow[top:bottom].reshape(-1, self.cout))

        def strip(top: int, bottom: int) -> None:
            out = self.conv.rows(top, bottom, y[top:bottom].reshape(-1, self.cout))
            large = scratch("up", (bottom - top, width, self.cout), np.float32)
            ops.upsample_rows(narrow, top, bottom, large)
            out += self.gain.apply(np.multiply, large, large).reshape(out.shape)
            self.prelu(out)

        run = self.parts.workers.run
        run(look, height, width * channels, even=True)
        maps = [up, rgb]
        if skip is not None:
            maps.insert(1, sign_map(self.parts, "skip", skip, self.sign_skip))
        positions = None if active is None else active.at(self.scale)
        self.conv.prepare(maps, positions)
        narrow = x if channels == self.cout else memory.floats("narrow", *x.shape[:2], self.cout)
        if narrow is not x:
            run(resample, below, x.shape[1] * channels)
        run(strip, height, width * self.cout, even=True)
        return (y, None) if self.memory is None else (y, self.memory(y, h, positions, to))


class Detail:
    """The last 3x3, at full resolution, in place: x += M * PReLU(BN(bconv3x3(sign(x))))."""

    def __init__(self, parts: Parts) -> None:
        name = "decoder.d0.detail"
        self.parts, self.conv = parts, BinaryConv(parts, name)
        self.threshold, self.norm, self.prelu = parts.threshold(name), parts.affine(name), parts.prelu(name)

    def __call__(self, x: np.ndarray, active: Active | None) -> np.ndarray:
        positions = None if active is None else active.at(1)
        self.conv.prepare([sign_map(self.parts, "signs", x, self.threshold)], positions)

        def strip(top: int, bottom: int) -> None:
            out = x[top:bottom].reshape(-1, x.shape[2])
            if positions is None:
                out += self.prelu(self.norm(self.conv.rows(top, bottom), scratch("k3", out.shape, np.float32)))
            else:
                add_active(self.conv, self.norm, self.prelu, positions, top, bottom, out)

        self.parts.workers.run(strip, x.shape[0], x.shape[1] * x.shape[2])
        return x
