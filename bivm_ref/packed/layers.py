"""The layers of a packed BiVM: the stem, the elastic convolution, LR-ASPP.

Each mirrors its namesake in `bivm_ref.net`: whole numbers first, then y = scale * dot + shift, then the rest.
Maps between layers are float32 (H, W, C); what a convolution reads is a sign map (planes.py). The decoder's
layers are in decoder.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from bivm_ref.arch import Arch, Conv
from bivm_ref.packed import ops
from bivm_ref.packed.conv import PackedConv, Planes
from bivm_ref.packed.kernels import scratch
from bivm_ref.packed.planes import SignMap
from bivm_ref.packed.run import Memory, Workers
from bivm_ref.packed.sparse import Positions
from bivm_ref.packed.tune import Choice


@dataclass
class Parts:
    """What the layers are built from, and what they share while running.

    choices: which kernel each binary convolution uses (tune.py)
    record: a dict, or None. Given one, every binary convolution leaves its whole numbers there under its
    name: an array (H, W, cout), or (ys, xs, (N, cout)) where only the active positions were computed.
    """

    arch: Arch
    tensors: dict[str, np.ndarray]
    choices: dict[str, Choice]
    record: dict | None = None
    workers: Workers = field(default_factory=Workers, init=False)
    memory: Memory = field(default_factory=Memory, init=False)
    rows: dict[str, Conv] = field(init=False)
    convs: dict[str, BinaryConv] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.rows = {conv.name: conv for conv in self.arch.convs()}

    def __getitem__(self, name: str) -> np.ndarray:
        return self.tensors[name]

    def affine(self, name: str, factor: int = 2) -> ops.Affine:
        return ops.Affine(self.tensors[f"{name}.scale"], self.tensors[f"{name}.shift"], factor)

    def prelu(self, name: str) -> ops.PReLU:
        return ops.PReLU(self.tensors[f"{name}.slope"])

    def threshold(self, name: str) -> ops.Threshold:
        return ops.Threshold(self.tensors[f"{name}.theta"])

    def gain(self, name: str) -> ops.PerChannel:
        return ops.PerChannel(self.tensors[f"{name}.gain"])


class BinaryConv:
    """A `PackedConv` of the network, by name, reading one frame's planes; it keeps the record."""

    def __init__(self, parts: Parts, name: str) -> None:
        row = parts.rows[name]
        self.parts, self.name, self.cout, self.stride = parts, name, row.cout, row.stride
        self.choice = parts.choices[name]
        self.conv = PackedConv(parts[f"{name}.bits"], row.stride, row.sources, self.choice.kernel, name)
        self.planes: Planes | None = None
        parts.convs[name] = self

    def prepare(self, maps: list[SignMap], active: Positions | None = None) -> None:
        """Before the strips of a frame: lay out the planes, make room for the record."""
        self.planes = self.conv.prepare(maps)
        if self.parts.record is not None:
            if active is None:
                shape = *self.conv.output_shape(maps[0].height, maps[0].width), self.cout
                self.parts.record[self.name] = np.zeros(shape, self.conv.dtype)
            else:
                dots = np.zeros((len(active), self.cout), self.conv.dtype)
                self.parts.record[self.name] = active.rows, active.columns, dots

    def rows(self, top: int, bottom: int) -> np.ndarray:
        """Output rows top .. bottom -> (rows, W, cout) half dots, in scratch memory."""
        half = self.conv.half_rows(self.planes, top, bottom)[:, :-(-self.planes.width // self.stride)]
        if self.parts.record is not None:
            np.multiply(half, 2, out=self.parts.record[self.name][top:bottom], dtype=self.conv.dtype)
        return half

    def at(self, active: Positions, top: int, bottom: int) -> np.ndarray:
        """The active positions of rows top .. bottom -> (N, cout) half dots, in scratch memory."""
        # from some share on, computing whole rows is cheaper than gathering
        compute = self.conv.half_at_of_rows if active.share > self.choice.dense_above else self.conv.half_at
        half = compute(self.planes, active, top, bottom)
        if self.parts.record is not None:
            here = slice(active.starts[top], active.starts[bottom])
            np.multiply(half, 2, out=self.parts.record[self.name][2][here], dtype=self.conv.dtype)
        return half


class Stem:
    """f1: 3x3, stride 2, 12-bit whole weights, batch norm, PReLU. (H, W, 3) uint8 -> (H/2, W/2, C)."""

    def __init__(self, parts: Parts) -> None:
        self.parts, self.weight = parts, ops.stem_matrix(parts["encoder.f1.weight"])
        self.norm, self.prelu = parts.affine("encoder.f1", factor=1), parts.prelu("encoder.f1")

    def __call__(self, levels: np.ndarray) -> np.ndarray:
        height, width, channels = levels.shape[0] // 2, levels.shape[1] // 2, self.parts.arch.stem
        y = self.parts.memory.floats("f1", height, width, channels)

        def strip(top: int, bottom: int) -> None:
            out = ops.stem_rows(levels, self.weight, top, bottom, y[top:bottom]).reshape(-1, channels)
            self.prelu(self.norm(out, out))

        self.parts.workers.run(strip, height, width * channels)
        return y


class Elastic:
    """y = PReLU(BN(bconv(sign(x + theta))) + g * R(P(x))). (H, W, cin) -> (H/stride, W/stride, cout)."""

    def __init__(self, parts: Parts, name: str) -> None:
        self.parts, self.conv = parts, BinaryConv(parts, name)
        self.threshold, self.norm = parts.threshold(name), parts.affine(name)
        self.gain, self.prelu = parts.gain(name), parts.prelu(name)
        self.cout, self.stride = parts.rows[name].cout, parts.rows[name].stride

    def __call__(self, x: np.ndarray, to: str) -> np.ndarray:
        """to: the name of the memory that receives y, another than x's."""
        return self.after_sign(x, sign_map(self.parts, "signs", x, self.threshold), to)

    def after_sign(self, x: np.ndarray, signs: SignMap, to: str) -> np.ndarray:
        height, width = self.conv.conv.output_shape(*x.shape[:2])
        y = self.parts.memory.floats(to, height, width, self.cout)
        self.conv.prepare([signs])

        def strip(top: int, bottom: int) -> None:
            out = y[top:bottom].reshape(-1, self.cout)
            self.norm(self.conv.rows(top, bottom), out)
            around = self.around(x, top, bottom)
            out += self.gain.apply(np.multiply, around, scratch("gained", out.shape, np.float32)).reshape(out.shape)
            self.prelu(out)

        self.parts.workers.run(strip, height, width * max(self.cout, x.shape[2]))
        return y

    def around(self, x: np.ndarray, top: int, bottom: int) -> np.ndarray:
        """R(P(x)) of output rows top .. bottom: (n, cout)."""
        rows, (_, width, cin) = x[self.stride * top:self.stride * bottom], x.shape
        if self.stride == 2:
            rows = ops.average_pool(rows, scratch("pooled", (bottom - top, width // 2, cin), np.float32))
        rows = rows.reshape(-1, cin)
        return ops.resample_channels(rows, self.cout, scratch("resampled", (len(rows), self.cout), np.float32))


class Neck:
    """Binary LR-ASPP: an elastic 1x1 times a gate made from the mean of the sign map, which is a popcount."""

    def __init__(self, parts: Parts) -> None:
        self.parts, self.value = parts, Elastic(parts, "neck.value")
        self.gate, self.threshold = BinaryConv(parts, "neck.gate"), parts.threshold("neck.gate")
        self.norm = parts.affine("neck.gate")

    def __call__(self, x: np.ndarray, to: str) -> np.ndarray:
        signs = sign_map(self.parts, "signs", x, self.value.threshold)
        pixels = x.shape[0] * x.shape[1]
        ones = np.unpackbits(signs.bytes.reshape(pixels, -1), axis=-1).sum(axis=0, dtype=np.int64)
        mean = (2 * ones - pixels).astype(np.float32) / np.float32(pixels)
        self.gate.prepare([sign_map(self.parts, "gate", mean[None, None], self.threshold)])
        gate = ops.hard_sigmoid(self.norm(self.gate.rows(0, 1), np.empty((1, self.gate.cout), np.float32)))
        y, gate = self.value.after_sign(x, signs, to), ops.PerChannel(gate[0])
        height, width, channels = y.shape

        def strip(top: int, bottom: int) -> None:
            gate.apply(np.multiply, y[top:bottom], y[top:bottom])

        self.parts.workers.run(strip, height, width * channels)
        return y


def sign_map(parts: Parts, name: str, x: np.ndarray, threshold: ops.Threshold) -> SignMap:
    """sign(x + theta) of a whole map (H, W, C), contiguous."""
    height, width, channels = x.shape
    signs = parts.memory.signs(name, height, width, channels // 8)
    parts.workers.run(lambda top, bottom: threshold(x[top:bottom].reshape(-1, channels), signs, top, bottom),
                      height, width * channels)
    return signs
