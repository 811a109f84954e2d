"""The ancestors' convolutions as data: RVM (2108.11515), in float, and BiMatting (NeurIPS 2023), in one bit.

The cost model reads these tables as it reads `Arch.convs()`; nothing here runs. RVM's is written from the paper's
architecture, and the tests hold it equal, convolution by convolution, to hooks on `bivm_ref.net.rvm`. BiMatting is
not built in this repository: its table is our reading of the released architecture, and reaches the totals that are
known of the release, 4,217,584 binary weights to the last one; see `BIMATTING`.

A depthwise convolution is written with cin = 1: each output reads one channel.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from bivm_ref.arch import Conv


@dataclass(frozen=True)
class Published:
    """What a paper says of a network: G operations at 512x288, and MB stored. These "MB" are 2^20 bytes: BiMatting's
    bits and floats are 0.673 of those, and 14.5 * 10^6 bytes are fewer than RVM's 3,748,633 float32 parameters take."""

    operations: float
    megabytes: float


@dataclass(frozen=True)
class Ancestor:
    """A network that ours descends from. bytes: stored, counted from its parameters."""

    name: str
    rows: tuple[Conv, ...]
    bytes: int
    published: Published

    def convs(self) -> Iterator[Conv]:
        return iter(self.rows)


CLAIMED_COMPUTE, CLAIMED_STORAGE = 14.3, 21.6  # BiVM's abstract, against the float network


# -- RVM --

class Row(NamedTuple):
    """One inverted residual block of MobileNetV3-Large (1905.02244). act: R (ReLU) or H (hard-swish)."""

    cin: int
    kernel: int
    expanded: int
    cout: int
    squeeze: bool
    act: str
    stride: int = 1

    @property
    def squeezed(self) -> int:
        """Width inside squeeze-and-excitation: a quarter, to a multiple of 8, at most 10 % less than a quarter."""
        wanted = self.expanded / 4
        width = max(8, int(wanted + 4) // 8 * 8)
        return width if width >= 0.9 * wanted else width + 8


RVM_STAGES = {  # f1 .. f4, the last one at stride 1 (dilated) where a classifier has 2
    2: (Row(16, 3, 16, 16, False, "R"),),
    4: (Row(16, 3, 64, 24, False, "R", 2), Row(24, 3, 72, 24, False, "R")),
    8: (Row(24, 5, 72, 40, True, "R", 2), Row(40, 5, 120, 40, True, "R"), Row(40, 5, 120, 40, True, "R")),
    16: (Row(40, 3, 240, 80, False, "H", 2), Row(80, 3, 200, 80, False, "H"), Row(80, 3, 184, 80, False, "H"),
         Row(80, 3, 184, 80, False, "H"), Row(80, 3, 480, 112, True, "H"), Row(112, 3, 672, 112, True, "H"),
         Row(112, 5, 672, 160, True, "H"), Row(160, 5, 960, 160, True, "H"), Row(160, 5, 960, 160, True, "H")),
}
RVM_DEEP, RVM_NECK, RVM_DETAIL = 960, 128, 16
RVM_UP = {8: (128, 40, 80), 4: (80, 24, 40), 2: (40, 16, 32)}  # scale: channels from below, of the skip, out


def _float(name: str, kernel: int, cin: int, cout: int, scale: int, stride: int = 1) -> Conv:
    return Conv(name, "float", kernel, cin, cout, stride, scale, sources=(cin,), why_float="a float network")


def _rvm() -> Iterator[Conv]:
    yield _float("encoder.stem", 3, 3, 16, 2, 2)
    for scale, blocks in RVM_STAGES.items():
        for i, row in enumerate(blocks):
            name = f"encoder.{scale}.{i}"
            if row.expanded != row.cin:
                yield _float(f"{name}.expand", 1, row.cin, row.expanded, scale // row.stride)
            yield _float(f"{name}.depthwise", row.kernel, 1, row.expanded, scale, row.stride)
            if row.squeeze:
                yield _float(f"{name}.squeeze", 1, row.expanded, row.squeezed, 0)
                yield _float(f"{name}.excite", 1, row.squeezed, row.expanded, 0)
            yield _float(f"{name}.project", 1, row.expanded, row.cout, scale)
    yield _float("encoder.last", 1, RVM_STAGES[16][-1].cout, RVM_DEEP, 16)
    yield _float("neck.value", 1, RVM_DEEP, RVM_NECK, 16)
    yield _float("neck.gate", 1, RVM_DEEP, RVM_NECK, 0)
    yield from _rvm_gru("neck.gru", RVM_NECK // 2, 16)
    for scale, (below, skip, cout) in RVM_UP.items():
        yield _float(f"decoder.{scale}.conv", 3, below + skip + 3, cout, scale)
        yield from _rvm_gru(f"decoder.{scale}.gru", cout // 2, scale)
    yield _float("decoder.1.conv", 3, RVM_UP[2][2] + 3, RVM_DETAIL, 1)
    yield _float("decoder.1.detail", 3, RVM_DETAIL, RVM_DETAIL, 1)
    yield _float("head", 1, RVM_DETAIL, 4, 1)
    yield _float("refiner.box", 3, 4, 4, 1)  # one depthwise window of 4 channels, on x, y, x*y and x*x
    yield _float("refiner.mix", 1, 4 + 4 + RVM_DETAIL, 16, 1)
    yield _float("refiner.hidden", 1, 16, 16, 1)
    yield _float("refiner.head", 1, 16, 4, 1)


def _rvm_gru(name: str, c: int, scale: int) -> Iterator[Conv]:
    yield _float(f"{name}.gates", 3, 2 * c, 2 * c, scale)
    yield _float(f"{name}.candidate", 3, 2 * c, c, scale)


RVM = Ancestor("RVM", tuple(_rvm()), 4 * 3_748_633, Published(4.57, 14.5))


# -- BiMatting, as released --

BIMATTING_BLOCKS = (  # (channels in, out, stride, scale): a 3x3 in -> in with the stride, then a 1x1 in -> out
    (16, 32, 1, 2), (32, 64, 2, 4), (64, 32, 1, 4),
    (32, 64, 1, 4), (64, 128, 2, 8), (128, 64, 1, 8), (64, 64, 1, 8), (64, 128, 1, 8), (128, 64, 1, 8),
    (64, 128, 1, 8), (128, 256, 2, 16), (256, 128, 1, 16), (128, 128, 1, 16), (128, 256, 1, 16), (256, 128, 1, 16),
    (128, 256, 1, 16), (256, 1024, 1, 16))
BIMATTING_UP = {8: (195, 80), 4: (115, 40), 2: (59, 32)}  # scale: channels of [x, skip, RGB], out


def _binary(name: str, kernel: int, cin: int, cout: int, scale: int, stride: int = 1, masked: bool = False) -> Conv:
    return Conv(name, "binary", kernel, cin, cout, stride, scale, masked, sources=(cin,))


def _branches(name: str, cin: int, cout: int, scale: int, kind: str = "binary") -> Iterator[Conv]:
    """y = y3 * M + y1: a masked 3x3 and a 1x1."""
    for kernel in (3, 1):
        yield Conv(f"{name}.k{kernel}", kind, kernel, cin, cout, 1, scale, masked=kernel == 3, sources=(cin,))


def _bimatting() -> Iterator[Conv]:
    yield _float("encoder.stem", 3, 3, 16, 2, 2)
    for i, (cin, cout, stride, scale) in enumerate(BIMATTING_BLOCKS):
        yield _binary(f"encoder.{i}.spatial", 3, cin, cin, scale, stride)
        yield _binary(f"encoder.{i}.point", 1, cin, cout, scale)
    yield _binary("neck.value", 1, 1024, 128, 16)
    yield _binary("neck.gate", 1, 1024, 128, 0)
    yield _binary("neck.gru.gates", 3, 128, 128, 16)
    yield _binary("neck.gru.candidate", 3, 128, 64, 16)
    yield _binary("coarse.conv", 3, 128, 16, 16)
    yield _float("coarse.head", 1, 16, 4, 16)
    for scale, (cin, cout) in BIMATTING_UP.items():
        yield from _branches(f"decoder.{scale}.conv", cin, cout, scale)
        yield from _branches(f"decoder.{scale}.gru.gates", cout, cout, scale)
        yield from _branches(f"decoder.{scale}.gru.candidate", cout, cout // 2, scale)
    yield from _branches("decoder.1.conv", 35, 16, 1)
    yield from _branches("decoder.1.detail", 16, 16, 1, "float")
    yield _float("head", 1, 16, 4, 1)
    yield _float("refiner.box", 3, 4, 4, 1)
    yield _binary("refiner.mix", 1, 24, 16, 1)
    yield _binary("refiner.hidden", 1, 16, 16, 1)
    yield _float("refiner.head", 1, 16, 4, 1)


# Known of the release: 4,217,584 binary weights of 4,265,293 parameters, 6.93 G binary and 0.40 G float MACs at
# 512x288, 0.511 G in all with everything computed. What a description of the blocks leaves open, these totals decide:
# the neck's ConvGRU has no 1x1 branch, the last 16 -> 16 has one, in float, and the refiner's 1x1s are binary (its
# 640 weights are what else would be missing). The remaining 47,709 parameters, which are the float convolutions,
# thresholds, batch norms and activations, are not itemised: the published 0.67 MB counts those of them that are needed.
BIMATTING = Ancestor("BiMatting", tuple(_bimatting()), round(0.673 * 2**20), Published(0.37, 0.67))
BIMATTING_PARAMETERS = 4_265_293
