"""The strict rule: everything an engine computes, the work between the convolutions included.

A convolution counts as in cost.py: one MAC is one operation, a binary one 1/64. Its bias is free (n MACs are n
multiplications and n additions, bias included), so RVM's batch norms, which fold into weights and biases, are free too.
Of everything else, **each number that an arithmetic instruction writes counts 1**: an addition or subtraction, a
multiplication or division, a comparison, minimum, maximum or logical operation (a clip is two), a table look-up,
a byte of packed bits. A multiplication followed by an addition counts 2 here and 1 inside a convolution, which is hard
on a network whose work is mostly between them: ours.

Not counted: moving numbers (copies, concatenation, repeating channels, gathering and scattering active positions),
index arithmetic, and the rows that strips share.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import lcm

from bivm_ref.ancestors import RVM_DEEP, RVM_DETAIL, RVM_NECK, RVM_STAGES, RVM_UP, Ancestor
from bivm_ref.arch import SCALES, Arch, Conv
from bivm_ref.cost import Active, Sizes, layer_costs, pixels, share_at, sizes

ARITHMETIC = {  # what -> operations for each number it makes: additions, multiplications, comparisons, others
    "sign": (0, 0, 1, 1 / 8),  # x >= -theta, then eight of them into a byte
    "batch norm": (1, 1, 0, 0),
    "PReLU": (0, 1, 1, 0),  # the larger of x and slope * x (a slope above 1 needs two more)
    "gain and sum": (1, 1, 0, 0),  # g * shortcut, added
    "sum": (1, 0, 0, 0),
    "difference": (1, 0, 0, 0),
    "product": (0, 1, 0, 0),
    "average pool": (3, 1, 0, 0),  # of 2x2
    "sum of 2x2": (3, 0, 0, 0),
    "upsample": (1.5, 0.75, 0, 0),  # bilinear x2: columns first (half as many numbers), then rows; see `packed.ops`
    "count of ones": (1, 0, 0, 0),
    "hard sigmoid": (1, 1, 2, 0),
    "clip": (0, 0, 2, 0),
    "mask": (0, 0, 14, 0),  # uncertain 3, inside 1, 3x3 any and all 8, differ 1, or 1
    "look-up": (0, 0, 0, 1),
    "read mask": (0, 0, 1, 0),
    "grey": (2, 1, 0, 0),
    "box 3x3": (4, 1, 0, 0),
    "interpolation": (1, 2, 0, 0),  # (1 - t) * a + t * b
    "filter tap": (1, 1, 0, 0),
    # RVM's
    "ReLU": (0, 0, 1, 0),
    "hard-swish": (1, 2, 2, 0),  # x * clip(x + 3, 0, 6) / 6
    "sigmoid": (1, 2, 0, 1),  # 1 / (1 + exp(-x))
    "tanh": (0, 0, 0, 1),
    "average of all": (1, 0, 0, 0),
    "normalise": (1, 1, 0, 0),
}


@dataclass(frozen=True)
class Work:
    """One kind of elementwise work in one layer. numbers: how many it makes in a frame (the active share of them)."""

    layer: str
    what: str
    numbers: float

    @property
    def operations(self) -> float:
        return self.numbers * sum(ARITHMETIC[self.what])


def elementwise(network: Arch | Ancestor, width: int = 512, height: int = 288, active: Active = 1.0,
                ratio: float = 1.0, dense: bool = False) -> list[Work]:
    """All elementwise work of a frame in the middle of a clip, in the order of execution.

    dense: the engine that never looks at its mask (`PackedBiVM(dense=True)`); active is then 1. Raises ValueError as
    `cost.layer_costs` does, and for BiMatting, whose elementwise work nobody has written down.
    """
    where = sizes(network, width, height, ratio)
    if isinstance(network, Arch):
        return list(_Ours(network, where, 1.0 if dense else active, dense).rows())
    if network.name != "RVM":
        raise ValueError(f"the elementwise work of {network.name} is not known")
    return list(_rvm(where))


def strict_operations(network: Arch | Ancestor, width: int = 512, height: int = 288, active: Active = 1.0,
                      ratio: float = 1.0, dense: bool = False) -> float:
    """Operations of one frame by the strict rule: convolutions by the paper's, and every elementwise operation."""
    convolutions = sum(r.operations for r in layer_costs(network, width, height, active, ratio))
    return convolutions + sum(w.operations for w in elementwise(network, width, height, active, ratio, dense))


# -- ours, as bivm_ref.packed computes it --

class _Ours:
    def __init__(self, arch: Arch, where: Sizes, active: Active, dense: bool) -> None:
        self.arch, self.where, self.active, self.dense = arch, where, active, dense
        self.convs = {conv.name: conv for conv in arch.convs()}

    def at(self, scale: int) -> int:
        return pixels(self.where.padded, scale)

    def rows(self) -> Iterator[Work]:
        """The frame, layer by layer. Layers that the table calls elastic are found by their names' endings."""
        where, arch = self.where, self.arch
        if where.refines:
            yield from _reduction("frame", where)
        yield Work("encoder.f1", "batch norm", self.at(2) * arch.stem)
        yield Work("encoder.f1", "PReLU", self.at(2) * arch.stem)
        for name, conv in self.convs.items():
            if conv.kind == "binary" and name.startswith("encoder."):
                yield from self.elastic(conv, self.at(conv.scale))
        yield from self.neck()
        yield from self.elastic(self.convs["coarse.conv"], self.at(16))
        yield Work("coarse.head", "clip", self.at(16))
        yield Work("mask", "mask", self.at(16))
        if not self.dense:
            yield Work("mask", "read mask", sum(self.at(scale) for scale in (8, 4, 2, 1)))
        yield Work("image", "sum of 2x2", 3 * sum(self.at(scale) for scale in (2, 4, 8)))
        below, skips = arch.neck, (*arch.features[2::-1], 0)
        for i, (skip, cout) in enumerate(zip(skips, (*arch.decoder, arch.detail), strict=True)):
            yield from self.stage(f"decoder.d{3 - i}", 8 >> i, below, skip, cout)
            below = cout
        yield from self.detail()
        yield from self.head()
        if where.refines:
            yield from self.refiner()

    def elastic(self, conv: Conv, positions: int) -> Iterator[Work]:
        """y = PReLU(BN(bconv(sign(x + theta))) + g * R(P(x))), `positions` of them."""
        inside = positions * conv.stride**2
        yield Work(conv.name, "sign", inside * conv.cin)
        yield Work(conv.name, "batch norm", positions * conv.cout)
        if conv.stride == 2:
            yield Work(conv.name, "average pool", positions * conv.cin)
        yield from _resample(conv.name, conv.cin, conv.cout, positions)
        yield Work(conv.name, "gain and sum", positions * conv.cout)
        yield Work(conv.name, "PReLU", positions * conv.cout)

    def neck(self) -> Iterator[Work]:
        value, gate, positions = self.convs["neck.value"], self.convs["neck.gate"], self.at(16)
        yield from self.elastic(value, positions)
        yield Work(gate.name, "count of ones", (positions - 1) * gate.cin)
        yield Work(gate.name, "product", 2 * gate.cin)  # 2 * ones - n, divided by n
        yield Work(gate.name, "difference", gate.cin)
        yield Work(gate.name, "sign", gate.cin)
        yield Work(gate.name, "batch norm", gate.cout)
        yield Work(gate.name, "hard sigmoid", gate.cout)
        yield Work(gate.name, "product", positions * gate.cout)
        yield from self.gru("neck.gru", 16, self.arch.neck // 2, masked=False)

    def branches(self, name: str, scale: int, cout: int, masked: bool = True) -> Iterator[Work]:
        """y = M * BN3(bconv3x3) + BN1(bconv1x1): the first term at the active positions."""
        numbers = self.at(scale) * cout
        there = numbers * (share_at(self.active, scale) if masked else 1.0)
        yield Work(f"{name}.k1", "batch norm", numbers)
        yield Work(f"{name}.k3", "batch norm", there)
        yield Work(f"{name}.k3", "sum", there)

    def gru(self, name: str, scale: int, c: int, masked: bool = True) -> Iterator[Work]:
        """z, r = gates([x, h]); c = hard_tanh(candidate([x, r * h]) + g * x); h <- h + z * (c - h)."""
        numbers = self.at(scale) * c
        for signed in ("x", "h", "rh"):
            yield Work(f"{name}.{signed}", "sign", numbers)
        yield from self.branches(f"{name}.gates", scale, 2 * c, masked)
        yield Work(f"{name}.gates", "hard sigmoid", 2 * numbers)
        yield Work(f"{name}.rh", "product", numbers)
        yield from self.branches(f"{name}.candidate", scale, c, masked)
        yield Work(f"{name}.candidate", "gain and sum", numbers)
        yield Work(f"{name}.candidate", "clip", numbers)
        for what in ("difference", "product", "sum"):
            yield Work(f"{name}.h", what, numbers)

    def stage(self, name: str, scale: int, below: int, skip: int, cout: int) -> Iterator[Work]:
        """y = PReLU(two_branch([sign(up(x)), sign(skip), thermometer(rgb)]) + g * up(R(x))), half into a GRU."""
        positions = self.at(scale)
        yield Work(f"{name}.up", "upsample", positions * below)
        yield Work(f"{name}.up", "sign", positions * below)
        if skip:
            yield Work(f"{name}.skip", "sign", positions * skip)
        yield Work(f"{name}.rgb", "look-up", positions * 3)  # all bits of a colour at once
        yield from self.branches(f"{name}.conv", scale, cout)
        yield from _resample(name, below, cout, positions // 4)
        yield Work(name, "upsample", positions * cout)
        yield Work(name, "gain and sum", positions * cout)
        yield Work(name, "PReLU", positions * cout)
        if scale in SCALES:
            yield from self.gru(f"{name}.gru", scale, cout // 2)

    def detail(self) -> Iterator[Work]:
        """x + M * PReLU(BN(bconv3x3(sign(x))))."""
        conv = self.convs["decoder.d0.detail"]
        numbers = self.at(1) * conv.cout
        yield Work(conv.name, "sign", numbers)
        for what in ("batch norm", "PReLU", "sum"):
            yield Work(conv.name, what, numbers * share_at(self.active, 1))

    def head(self) -> Iterator[Work]:
        """clip(alpha) and clip(level / 255 + residual), at the size that the network was given."""
        positions = pixels(self.where.small)
        yield Work("head", "product", 3 * positions)
        yield Work("head", "sum", 3 * positions)
        yield Work("head", "clip", 4 * positions)

    def refiner(self) -> Iterator[Work]:
        """A from the small frame's statistics and the decoder's map, then A * frame + b on every pixel of the frame."""
        small = pixels(self.where.small)
        yield from _statistics(small)
        yield Work("refiner.box", "box 3x3", 4 * 4 * small)
        yield Work("refiner.norm", "batch norm", 8 * small)
        yield from self.elastic(self.convs["refiner.mix"], small)
        yield from self.elastic(self.convs["refiner.hidden"], small)
        yield from _filter(self.where)
        yield Work("refiner", "product", 3 * (small + pixels(self.where.frame)))  # level / 255


# -- RVM, as bivm_ref.net.rvm computes it --

def _rvm(where: Sizes) -> Iterator[Work]:
    def at(scale: int) -> int:
        return pixels(where.padded, scale)

    if where.refines:
        yield Work("frame", "interpolation", 3 * 3 * at(1))  # bilinear from four pixels: three interpolations
    yield Work("encoder", "normalise", 3 * at(1))
    yield Work("encoder.stem", "hard-swish", 16 * at(2))
    for scale, blocks in RVM_STAGES.items():
        for i, row in enumerate(blocks):
            name, act = f"encoder.{scale}.{i}", {"R": "ReLU", "H": "hard-swish"}[row.act]
            if row.expanded != row.cin:
                yield Work(f"{name}.expand", act, row.expanded * at(scale // row.stride))
            yield Work(f"{name}.depthwise", act, row.expanded * at(scale))
            if row.squeeze:
                yield Work(name, "average of all", row.expanded * at(scale))
                yield Work(f"{name}.squeeze", "ReLU", row.squeezed)
                yield Work(f"{name}.excite", "hard sigmoid", row.expanded)
                yield Work(name, "product", row.expanded * at(scale))
            if row.stride == 1 and row.cin == row.cout:
                yield Work(name, "sum", row.cout * at(scale))
    yield Work("encoder.last", "hard-swish", RVM_DEEP * at(16))
    yield Work("neck.value", "ReLU", RVM_NECK * at(16))
    yield Work("neck.gate", "average of all", RVM_DEEP * at(16))
    yield Work("neck.gate", "sigmoid", RVM_NECK)
    yield Work("neck", "product", RVM_NECK * at(16))
    yield from _rvm_gru("neck.gru", RVM_NECK // 2 * at(16))
    yield Work("image", "average pool", 3 * (at(2) + at(4) + at(8)))
    for scale, (below, _, cout) in RVM_UP.items():
        yield Work(f"decoder.{scale}", "upsample", below * 4 * at(2 * scale))
        yield Work(f"decoder.{scale}.conv", "ReLU", cout * at(scale))
        yield from _rvm_gru(f"decoder.{scale}.gru", cout // 2 * at(scale))
    yield Work("decoder.1", "upsample", RVM_UP[2][2] * 4 * at(2))
    for name in ("conv", "detail"):
        yield Work(f"decoder.1.{name}", "ReLU", RVM_DETAIL * at(1))
    if where.refines:
        yield from _statistics(at(1))
        yield Work("refiner", "ReLU", 2 * 16 * at(1))
        yield from _filter(where)
    else:
        yield Work("head", "clip", 4 * pixels(where.frame))
    yield Work("head", "sum", 3 * pixels(where.frame))


def _rvm_gru(name: str, numbers: int) -> Iterator[Work]:
    """r, z = sigmoid(...), c = tanh(...), h <- (1 - z) * h + z * c; numbers: of h."""
    yield Work(f"{name}.gates", "sigmoid", 2 * numbers)
    yield Work(f"{name}.candidate", "product", numbers)  # r * h
    yield Work(f"{name}.candidate", "tanh", numbers)
    yield Work(f"{name}.h", "interpolation", numbers)
    yield Work(f"{name}.h", "difference", numbers)  # 1 - z


# -- pieces that both have --

def _resample(name: str, cin: int, cout: int, positions: int) -> Iterator[Work]:
    """R: the mean of lcm / cout channels for each of cout; nothing where channels are only repeated."""
    if terms := lcm(cin, cout) // cout - 1:
        yield Work(name, "sum", positions * cout * terms)
        yield Work(name, "product", positions * cout)


def _reduction(name: str, where: Sizes) -> Iterator[Work]:
    """Pillow's bilinear reduction, along the rows and then the columns: a triangle of 2 * factor taps each."""
    (width, height), (w, h) = where.frame, where.small
    yield Work(name, "filter tap", 3 * (w * height * 2 * width / w + w * h * 2 * height / h))


def _statistics(small: int) -> Iterator[Work]:
    """Covariance and variance of 4 channels, but for the box filter (a convolution in RVM, a fixed mean in ours)."""
    yield Work("refiner", "grey", small)
    yield Work("refiner", "product", 4 * 4 * small)  # x * y, x * x, and of their means
    yield Work("refiner", "difference", 2 * 4 * small)


def _filter(where: Sizes) -> Iterator[Work]:
    """b = mean(y) - A * mean(x) for 4 channels; A and b, 8 planes, to the frame's size; A * x + b, clipped."""
    (width, height), small = where.frame, pixels(where.small)
    yield Work("refiner", "product", 4 * small)
    yield Work("refiner", "difference", 4 * small)
    yield Work("refiner", "interpolation", 8 * (where.small[1] * width + width * height))
    yield Work("refiner", "difference", 8 * (width + height))  # 1 - t, of every column and row
    yield Work("refiner", "grey", width * height)
    yield Work("refiner", "product", 4 * width * height)
    yield Work("refiner", "sum", 4 * width * height)
    yield Work("refiner", "clip", 4 * width * height)
