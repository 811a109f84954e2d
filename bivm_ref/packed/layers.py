"""The layers of a packed BiVM: the elastic convolution, the two-branch convolution, the ConvGRU.

Each mirrors its namesake in `bivm_ref.net`: whole numbers first, then y = scale * dot + shift, then the rest.
Maps between layers are float32 (H, W, C); what a convolution reads is a packed sign map, uint8 (H, W, C/8).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from bivm_ref.arch import Arch, Conv
from bivm_ref.packed import ops
from bivm_ref.packed.bits import pack_signs
from bivm_ref.packed.conv import PackedConv
from bivm_ref.packed.sparse import DENSE_ABOVE, active_positions, dot_at


@dataclass
class Parts:
    """What the layers are built from, and what they share while running.

    record: a dict, or None. Given one, every binary convolution leaves its whole numbers there under its
    name: an array (H, W, cout), or (ys, xs, (N, cout)) where only the active positions were computed.
    """

    arch: Arch
    tensors: dict[str, np.ndarray]
    kernel: str = "auto"
    threads: int = 1
    record: dict | None = None
    rows: dict[str, Conv] = field(init=False)
    convs: dict[str, BinaryConv] = field(default_factory=dict, init=False)
    pool: ThreadPoolExecutor | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.rows = {conv.name: conv for conv in self.arch.convs()}
        if self.threads > 1:
            self.pool = ThreadPoolExecutor(self.threads)

    def __getitem__(self, name: str) -> np.ndarray:
        return self.tensors[name]

    def of(self, prefix: str, *names: str) -> dict[str, np.ndarray]:
        """{"scale": tensor "<prefix>.scale", ...}"""
        return {name: self.tensors[f"{prefix}.{name}"] for name in names}


class Active:
    """The active positions of one frame at every scale. cells (h, w) bool: the mask at scale 16."""

    def __init__(self, cells: np.ndarray) -> None:
        self.cells = cells
        self.share = float(cells.mean())
        self._positions: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def at(self, scale: int) -> tuple[np.ndarray, np.ndarray]:
        """ys, xs (N,) at that scale: each cell repeated 16/scale times in both directions."""
        if scale not in self._positions:
            times = 16 // scale
            self._positions[scale] = active_positions(self.cells.repeat(times, 0).repeat(times, 1))
        return self._positions[scale]


class BinaryConv:
    """A `PackedConv` of the network, by name; runs on several threads if there are, and keeps the record."""

    def __init__(self, parts: Parts, name: str) -> None:
        row = parts.rows[name]
        self.parts, self.name, self.scale = parts, name, row.scale
        self.conv = PackedConv(parts[f"{name}.bits"], row.stride, row.sources, parts.kernel, name)
        parts.convs[name] = self

    def dot(self, *maps: np.ndarray) -> np.ndarray:
        """Everywhere: packed maps (H, W, C/8), one per source -> whole numbers (Ho, Wo, cout)."""
        dots = self._everywhere(maps)
        if self.parts.record is not None:
            self.parts.record[self.name] = dots
        return dots

    def dot_active(self, active: Active, *maps: np.ndarray) -> np.ndarray:
        """At the active positions alone -> (N, cout): the same integers; dense is faster when most are."""
        ys, xs = active.at(self.scale)
        dots = self._everywhere(maps)[ys, xs] if active.share > DENSE_ABOVE else self._at(maps, ys, xs)
        if self.parts.record is not None:
            self.parts.record[self.name] = ys, xs, dots
        return dots

    def _everywhere(self, maps: tuple[np.ndarray, ...]) -> np.ndarray:
        height, width = maps[0].shape[:2]
        if self.parts.pool is None or height < 4 * self.parts.threads:
            return self.conv.dot(maps)
        if self.conv.stride > 1:
            rows, columns = self.conv.output_shape(height, width)
            ys, xs = np.divmod(np.arange(rows * columns), columns)
            return self._at(maps, ys, xs).reshape(rows, columns, -1)
        halo = self.conv.padding  # a strip brings the rows above and below that its 3x3 reads

        def strip(top: int, bottom: int) -> np.ndarray:
            first, last = max(top - halo, 0), min(bottom + halo, height)
            return self.conv.dot([m[first:last] for m in maps])[top - first:bottom - first]

        return self._in_pool(strip, height)

    def _at(self, maps: tuple[np.ndarray, ...], ys: np.ndarray, xs: np.ndarray) -> np.ndarray:
        if self.parts.pool is None or len(ys) < 1000:
            return dot_at(self.conv, maps, ys, xs)
        return self._in_pool(lambda a, b: dot_at(self.conv, maps, ys[a:b], xs[a:b]), len(ys))

    def _in_pool(self, work, n: int) -> np.ndarray:
        edges = np.linspace(0, n, self.parts.threads + 1).astype(int)
        return np.concatenate(list(self.parts.pool.map(work, edges[:-1], edges[1:])))


class Stem:
    """f1: 3x3, stride 2, 12-bit whole weights, batch norm, PReLU. (H, W, 3) uint8 -> (H/2, W/2, C)."""

    def __init__(self, parts: Parts) -> None:
        self.weight = parts["encoder.f1.weight"]
        self.norm = parts.of("encoder.f1", "scale", "shift", "slope")

    def __call__(self, levels: np.ndarray) -> np.ndarray:
        return ops.finish(ops.stem_dot(levels, self.weight), **self.norm)


class Elastic:
    """y = PReLU(BN(bconv(sign(x + theta))) + g * R(P(x))). (H, W, cin) -> (H/stride, W/stride, cout)."""

    def __init__(self, parts: Parts, name: str) -> None:
        self.theta = parts[f"{name}.theta"]
        self.conv = BinaryConv(parts, name)
        self.after = parts.of(name, "scale", "shift", "gain", "slope")
        self.cout, self.stride = parts.rows[name].cout, parts.rows[name].stride

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return self.after_sign(x, pack_signs(x, self.theta))

    def after_sign(self, x: np.ndarray, bits: np.ndarray) -> np.ndarray:
        around = ops.resample_channels(ops.average_pool(x) if self.stride == 2 else x, self.cout)
        return ops.finish(self.conv.dot(bits), add=around, **self.after)


class Neck:
    """Binary LR-ASPP: an elastic 1x1 times a gate made from the mean of the sign map, which is a popcount."""

    def __init__(self, parts: Parts) -> None:
        self.value = Elastic(parts, "neck.value")
        self.theta = parts["neck.gate.theta"]
        self.gate = BinaryConv(parts, "neck.gate")
        self.affine = parts.of("neck.gate", "scale", "shift")

    def __call__(self, x: np.ndarray) -> np.ndarray:
        bits = pack_signs(x, self.value.theta)
        pixels = x.shape[0] * x.shape[1]
        ones = np.unpackbits(bits.reshape(pixels, -1), axis=-1).sum(axis=0, dtype=np.int64)
        mean = (2 * ones - pixels).astype(np.float32) / np.float32(pixels)
        dot = self.gate.dot(pack_signs(mean[None, None], self.theta))
        y = self.value.after_sign(x, bits)
        y *= ops.hard_sigmoid(ops.affine(dot, **self.affine))
        return y


class TwoBranch:
    """y = M * BN3(bconv3x3(s)) + BN1(bconv1x1(s)), the 3x3 computed at the active positions alone."""

    def __init__(self, parts: Parts, name: str) -> None:
        self.k3, self.k1 = BinaryConv(parts, f"{name}.k3"), BinaryConv(parts, f"{name}.k1")
        self.norm3, self.norm1 = (parts.of(f"{name}.{k}", "scale", "shift") for k in ("k3", "k1"))

    def __call__(self, active: Active | None, *maps: np.ndarray) -> np.ndarray:
        """Packed maps (H, W, C/8), one per source; active None means everywhere -> float32 (H, W, cout)."""
        if active is None:
            around = ops.finish(self.k3.dot(*maps), **self.norm3)
            return ops.finish(self.k1.dot(*maps), **self.norm1, add=around)
        y = ops.finish(self.k1.dot(*maps), **self.norm1)
        ys, xs = active.at(self.k3.scale)
        y[ys, xs] += ops.affine(self.k3.dot_active(active, *maps), **self.norm3)
        return y


class ConvGRU:
    """z, r = gates([x, h]); c = hard_tanh(candidate([x, r*h]) + g*x); h <- h + z*(c - h). Maps (H, W, c)."""

    def __init__(self, parts: Parts, name: str) -> None:
        self.theta_x, self.theta_h, self.theta_rh = (parts[f"{name}.{s}.theta"] for s in ("x", "h", "rh"))
        self.gates, self.candidate = TwoBranch(parts, f"{name}.gates"), TwoBranch(parts, f"{name}.candidate")
        self.gain = parts[f"{name}.gain"]

    def __call__(self, x: np.ndarray, h: np.ndarray | None, active: Active | None) -> np.ndarray:
        if h is None:
            h = np.zeros_like(x)
        c = x.shape[-1]
        bits_x = pack_signs(x, self.theta_x)
        gates = ops.hard_sigmoid(self.gates(active, bits_x, pack_signs(h, self.theta_h)))
        z, r = gates[..., :c], gates[..., c:]
        candidate = self.candidate(active, bits_x, pack_signs(r * h, self.theta_rh))
        candidate += x * self.gain
        candidate = ops.hard_tanh(candidate)
        candidate -= h
        candidate *= z
        candidate += h
        return candidate


class RecurrentHalf:
    """Half of the channels go through the ConvGRU. x (H, W, C), h (H, W, C/2) or None -> (x, h)."""

    def __init__(self, parts: Parts, name: str) -> None:
        self.gru = ConvGRU(parts, name)

    def __call__(self, x: np.ndarray, h: np.ndarray | None,
                 active: Active | None) -> tuple[np.ndarray, np.ndarray]:
        half = x.shape[-1] // 2
        h = self.gru(np.ascontiguousarray(x[..., half:]), h, active)
        x[..., half:] = h
        return x, h


class DecoderStage:
    """y = PReLU(two_branch([sign(up(x)), sign(skip), thermometer(rgb)]) + g * up(R(x))), half into a GRU."""

    def __init__(self, parts: Parts, name: str) -> None:
        self.conv = TwoBranch(parts, f"{name}.conv")
        row = parts.rows[f"{name}.conv.k3"]
        self.scale, self.cout = row.scale, row.cout
        self.theta_up = parts[f"{name}.up.theta"]
        self.theta_skip = parts[f"{name}.skip.theta"] if self.scale > 1 else None
        self.rgb = ops.Thermometer(parts[f"{name}.rgb.theta"], self.scale)
        self.gain, self.slope = parts[f"{name}.gain"], parts[f"{name}.slope"]
        self.memory = RecurrentHalf(parts, f"{name}.gru") if self.scale > 1 else None

    def __call__(self, x: np.ndarray, skip: np.ndarray | None, sums: dict[int, np.ndarray],
                 active: Active | None, h: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
        """x (h, w, C), skip (2h, 2w, S) or None, sums of `ops.pooled_sums` -> (2h, 2w, cout), new h."""
        up = np.empty((2 * x.shape[0], 2 * x.shape[1], x.shape[2] // 8), np.uint8)
        for rows, strip in ops.upsampled_strips(x):
            pack_signs(strip, self.theta_up, out=up[rows])
        maps = [up, self.rgb(sums[self.scale])]
        if skip is not None:
            maps.insert(1, pack_signs(skip, self.theta_skip))
        y = self.conv(active, *maps)
        flat = y.reshape(len(y), -1)  # rows of W*C numbers
        gain, slope = np.tile(self.gain, y.shape[1]), np.tile(self.slope, y.shape[1])
        for rows, strip in ops.upsampled_strips(ops.resample_channels(x, self.cout)):
            flat[rows] += strip.reshape(len(strip), -1) * gain
            ops.prelu(flat[rows], slope)
        return (y, None) if self.memory is None else self.memory(y, h, active)


class Detail:
    """The last 3x3, at full resolution, in place: x += M * PReLU(BN(bconv3x3(sign(x))))."""

    def __init__(self, parts: Parts) -> None:
        name = "decoder.d0.detail"
        self.theta, self.slope = parts[f"{name}.theta"], parts[f"{name}.slope"]
        self.conv, self.norm = BinaryConv(parts, name), parts.of(name, "scale", "shift")

    def __call__(self, x: np.ndarray, active: Active | None) -> np.ndarray:
        bits = pack_signs(x, self.theta)
        if active is None:
            x += ops.finish(self.conv.dot(bits), **self.norm, slope=self.slope)
            return x
        y = ops.affine(self.conv.dot_active(active, bits), **self.norm)
        ys, xs = active.at(1)
        x[ys, xs] += ops.prelu(y, self.slope)
        return x
