"""The network as data: described once, read by three.

`bivm_ref.net` builds and trains it in torch, `bivm_ref.packed` runs it in NumPy, the cost model counts it; all
three read the dataclasses below and the table that `Arch.convs()` makes of them. Nothing else knows a width.

Where the shape comes from: the four-scale encoder, the LR-ASPP neck and the recurrent decoder are RVM's and
BiMatting's plan; that every binary convolution carries one elastic shortcut, and that *every* 3x3 of the decoder
is masked, is our reading of the BiVM abstract ("elastic shortcuts", "masking homogeneous parts").

Scales are written as divisors of the frame: scale 16 means a map of (H/16, W/16).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass

SCALES = (16, 8, 4, 2)  # where a ConvGRU lives; scale 1 (the full frame) has none


@dataclass(frozen=True)
class Block:
    """Two elastic convolutions: a 3x3 that looks around (and carries the stride) and a 1x1 that mixes channels.

    Expanding or keeping (`cout >= cin`): 3x3 at `cin`, then 1x1 to `cout`. Reducing: the 1x1 comes first, so the
    3x3 runs at the narrow width. From c to c/2 channels that saves 71 % of the block; BiMatting's five reducing blocks
    are half of its encoder, so it would save 37 % of the encoder's binary work.
    """

    cin: int
    cout: int
    stride: int = 1

    @property
    def reduces(self) -> bool:
        return self.cout < self.cin

    def parts(self) -> tuple[tuple[str, int, int, int, int], ...]:
        """((name, kernel, cin, cout, stride), ...) in the order of execution."""
        if self.reduces:
            return ("point", 1, self.cin, self.cout, 1), ("spatial", 3, self.cout, self.cout, self.stride)
        return ("spatial", 3, self.cin, self.cin, self.stride), ("point", 1, self.cin, self.cout, 1)


@dataclass(frozen=True)
class Conv:
    """One convolution of the network: a row of the table that all three readers share.

    kind is "binary" (1-bit weights and activations), "fixed" (12-bit integer weights: the stem) or "float".
    sources are the channel counts of the maps that are concatenated at its input; their sum is `cin`.
    scale is the divisor of its *output* map, 0 for a map that is one pixel (the neck's pooled gate).
    masked says that it is computed only where the mask is set.
    """

    name: str
    kind: str
    kernel: int
    cin: int
    cout: int
    stride: int
    scale: int
    masked: bool = False
    sources: tuple[int, ...] = ()
    why_float: str = ""

    @property
    def weights(self) -> int:
        return self.kernel * self.kernel * self.cin * self.cout


@dataclass(frozen=True)
class Arch:
    """A BiVM. Every channel count is a multiple of 8, so that a pixel's sign bits fill whole bytes.

    stem        channels of the first, fixed-point 3x3 convolution (stride 2): map f1 at scale 2
    stages      blocks that make f2 (scale 4), f3 (8) and f4 (16); the first block of a stage has stride 2
    neck        channels after LR-ASPP at scale 16; half of them pass through the ConvGRU
    coarse      channels of the coarse head's hidden map at scale 16
    decoder     channels of d3 (scale 8), d2 (4), d1 (2); half of each pass through a ConvGRU
    detail      channels of d0 at full resolution, which the alpha and foreground heads read
    thresholds  sign bits per colour of the decoder's image skip: a thermometer code of the pixel
    refiner     hidden channels of the deep guided filter
    tau         cells with tau <= coarse alpha <= 1 - tau are uncertain, so computed
    """

    name: str
    stem: int
    stages: tuple[tuple[Block, ...], ...]
    neck: int
    coarse: int
    decoder: tuple[int, int, int]
    detail: int
    thresholds: int = 8
    refiner: int = 16
    tau: float = 0.2

    def __post_init__(self) -> None:
        if len(self.stages) != 3 or len(self.decoder) != 3:
            raise ValueError("an Arch has three stages (f2, f3, f4) and three decoder widths (d3, d2, d1)")
        width = self.stem
        if not isinstance(self.name, str) or not all(self.stages):
            raise ValueError("an Arch has a name, and blocks in every stage")
        for blocks in self.stages:
            for i, block in enumerate(blocks):
                if block.cin != width:
                    raise ValueError(f"block {block} follows {width} channels")
                if block.stride != (2 if i == 0 else 1):
                    raise ValueError(f"block {block}: the first block of a stage has stride 2, the others 1")
                width = block.cout
        widths = [self.stem, self.coarse, self.detail, self.thresholds, self.refiner]
        widths += [b.cout for blocks in self.stages for b in blocks]
        odd = [w for w in widths if w <= 0 or w % 8] + [w for w in (self.neck, *self.decoder) if w <= 0 or w % 16]
        if odd:
            raise ValueError(f"channel counts are multiples of 8 (of 16 where a ConvGRU takes half): {odd}")
        if not 0.0 < self.tau < 0.5:
            raise ValueError(f"tau lies between 0 and 0.5, not {self.tau}")

    # -- widths that follow from the fields -------------------------------------------------------------------

    @property
    def rgb(self) -> int:
        """Channels of the image skip: 3 colours x `thresholds` bits."""
        return 3 * self.thresholds

    @property
    def features(self) -> tuple[int, int, int, int]:
        """Channels of f1, f2, f3, f4."""
        return (self.stem, *(blocks[-1].cout for blocks in self.stages))

    @property
    def hidden(self) -> tuple[int, int, int, int]:
        """Channels of the ConvGRU states at scales 16, 8, 4, 2."""
        return (self.neck // 2, *(width // 2 for width in self.decoder))

    # -- the table --------------------------------------------------------------------------------------------

    def convs(self) -> Iterator[Conv]:
        """Every convolution, in the order of execution."""
        yield Conv("encoder.f1", "fixed", 3, 3, self.stem, 2, 2, sources=(3,),
                   why_float="reads 8-bit pixels: 12-bit integer weights keep its sums exact")
        for i, blocks in enumerate(self.stages):
            scale = 4 << i
            for j, block in enumerate(blocks):
                entering = scale // 2 if j == 0 else scale
                for part, kernel, cin, cout, stride in block.parts():
                    entering *= stride
                    yield Conv(f"encoder.f{i + 2}.{j}.{part}", "binary", kernel, cin, cout, stride, entering,
                               sources=(cin,))
        f4 = self.features[3]
        yield Conv("neck.value", "binary", 1, f4, self.neck, 1, 16, sources=(f4,))
        yield Conv("neck.gate", "binary", 1, f4, self.neck, 1, 0, sources=(f4,))
        yield from self._gru("neck.gru", self.neck // 2, 16, masked=False)
        yield Conv("coarse.conv", "binary", 3, self.neck, self.coarse, 1, 16, sources=(self.neck,))
        yield Conv("coarse.head", "float", 1, self.coarse, 1, 1, 16, sources=(self.coarse,),
                   why_float="makes the coarse alpha, a real number")
        below = self.neck
        for width, skip, scale in zip(self.decoder, self.features[2::-1], SCALES[1:], strict=True):
            name = f"decoder.d{ {8: 3, 4: 2, 2: 1}[scale] }"
            sources = (below, skip, self.rgb)
            for kernel in (3, 1):
                yield Conv(f"{name}.conv.k{kernel}", "binary", kernel, sum(sources), width, 1, scale,
                           masked=kernel == 3, sources=sources)
            yield from self._gru(f"{name}.gru", width // 2, scale, masked=True)
            below = width
        sources = (below, self.rgb)
        for kernel in (3, 1):
            yield Conv(f"decoder.d0.conv.k{kernel}", "binary", kernel, sum(sources), self.detail, 1, 1,
                       masked=kernel == 3, sources=sources)
        yield Conv("decoder.d0.detail", "binary", 3, self.detail, self.detail, 1, 1, masked=True,
                   sources=(self.detail,))
        yield Conv("head", "float", 1, self.detail, 4, 1, 1, sources=(self.detail,),
                   why_float="makes alpha and foreground, real numbers")
        features = 8 + self.detail
        yield Conv("refiner.mix", "binary", 1, features, self.refiner, 1, 1, sources=(features,))
        yield Conv("refiner.hidden", "binary", 1, self.refiner, self.refiner, 1, 1, sources=(self.refiner,))
        yield Conv("refiner.head", "float", 1, self.refiner, 4, 1, 1, sources=(self.refiner,),
                   why_float="makes the slope A of the guided filter, a real number")

    @staticmethod
    def _gru(name: str, c: int, scale: int, masked: bool) -> Iterator[Conv]:
        for part, cout in (("gates", 2 * c), ("candidate", c)):
            for kernel in (3, 1):
                yield Conv(f"{name}.{part}.k{kernel}", "binary", kernel, 2 * c, cout, 1, scale,
                           masked=masked and kernel == 3, sources=(c, c))

    # -- to and from the weight file's metadata ---------------------------------------------------------------

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Arch:
        """Raises ValueError (also for a missing or unknown field) when the text does not describe an Arch."""
        try:
            data = json.loads(text)
            data["stages"] = tuple(tuple(Block(**b) for b in blocks) for blocks in data["stages"])
            data["decoder"] = tuple(data["decoder"])
            return cls(**data)
        except (TypeError, KeyError, AttributeError, json.JSONDecodeError) as error:
            raise ValueError(f"not an arch: {error}") from error


def _stages(*widths: tuple[int, ...]) -> tuple[tuple[Block, ...], ...]:
    """((start, w, w, ...), ...) -> blocks; each stage opens with the width that the stage before it ended on."""
    return tuple(
        tuple(Block(a, b, 2 if i == 0 else 1) for i, (a, b) in enumerate(zip(row, row[1:], strict=False)))
        for row in widths)


PRESETS = {
    "default": Arch(  # the size that 21.6x implies: 4.4 M binary weights, widths in BiMatting's range
        name="default", stem=16,
        stages=_stages((16, 32, 64, 32), (32, 64, 128, 64, 128, 64),
                       (64, 128, 256, 128, 256, 256, 256, 256, 512)),
        neck=128, coarse=16, decoder=(96, 48, 32), detail=16),
    "small": Arch(  # for classrooms: a laptop trains it
        name="small", stem=16,
        stages=_stages((16, 32, 32), (32, 64, 64), (64, 96, 128, 128)),
        neck=64, coarse=16, decoder=(48, 32, 16), detail=16),
}


def preset(name: str) -> Arch:
    """The Arch of that name. Raises ValueError, naming the presets, for an unknown one."""
    if name not in PRESETS:
        raise ValueError(f"unknown preset {name!r}: choose one of {', '.join(PRESETS)}")
    return PRESETS[name]
