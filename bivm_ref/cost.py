"""What a network's convolutions cost, counted from its description: multiply-accumulates, operations, stored bits.

The field's rule, as BNN papers use it, counts convolutions alone: OPs = FLOPs + BOPs / 64, since a 64-bit word holds
64 binary products. Counts here are multiply-accumulates (MACs), one each per weight and output position, taps outside
the image included, so the same rule reads MACs_float + MACs_binary / 64. A count without its frame size means
nothing: `Sizes` carries it. What lies between the convolutions is counted in elementwise.py, by the strict rule.

A network is an `Arch` (ours) or an `Ancestor` (RVM, BiMatting); both are tables of `Conv`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

from bivm_ref.ancestors import Ancestor
from bivm_ref.arch import Arch, Conv
from bivm_ref.packed.network import MULTIPLE
from bivm_ref.packed.weights import STEM, schema

RVM_MACS_512x288 = 4_496_000_000  # convolutions of the float ancestor, without refiner; ancestors.RVM lists them
RVM_PARAMETERS = 3_748_633
BYTES = {"binary": 1 / 8, "fixed": 2, "float": 4}  # of a stored weight

Active = float | Mapping[int, float]  # share of positions at which a masked 3x3 is computed, or {scale: share}


class Sizes(NamedTuple):
    """Where the work of one frame happens, each (width, height) in pixels.

    frame   as it comes in; when it is larger than `small`, the refiner restores it
    small   what the network is given: the final head and the refiner's network work at this size
    padded  what the network computes on: for ours, `small` rounded up to multiples of 16
    """

    frame: tuple[int, int]
    small: tuple[int, int]
    padded: tuple[int, int]

    @property
    def refines(self) -> bool:
        return self.frame != self.small

    def positions(self, conv: Conv) -> int:
        """Output positions of a convolution in one frame; odd sides are rounded up at every stride of 2."""
        if conv.scale == 0:
            return 1
        at_the_end = conv.name == "head" or conv.name.startswith("refiner.")
        return pixels(self.small if at_the_end else self.padded, conv.scale)


def pixels(size: tuple[int, int], scale: int = 1) -> int:
    """Positions of a map at 1/scale of that size."""
    return -(-size[0] // scale) * -(-size[1] // scale)


def sizes(network: Arch | Ancestor, width: int = 512, height: int = 288, ratio: float = 1.0) -> Sizes:
    """The sizes at which `network` treats a frame that is reduced by `ratio` first (RVM's downsample ratio).

    Raises ValueError for a ratio outside (0, 1] or a frame without pixels.
    """
    if not 0.0 < ratio <= 1.0:
        raise ValueError(f"a downsample ratio lies in (0, 1], not {ratio}")
    if min(width, height) < 1:
        raise ValueError(f"a frame has pixels; {width}x{height} has none")
    small = max(1, round(width * ratio)), max(1, round(height * ratio))
    multiple = MULTIPLE if isinstance(network, Arch) else 1
    return Sizes((width, height), small, (small[0] + -small[0] % multiple, small[1] + -small[1] % multiple))


@dataclass(frozen=True)
class LayerCost:
    """One convolution at one frame size. macs: those computed, given the active share; dense_macs: without a mask."""

    conv: Conv
    positions: int
    dense_macs: int
    macs: float

    @property
    def flops(self) -> float:
        """Multiply-accumulates on numbers of more than one bit. The stem's 12-bit integers count in full."""
        return 0.0 if self.conv.kind == "binary" else self.macs

    @property
    def bops(self) -> float:
        """Multiply-accumulates of one bit by one bit."""
        return self.macs if self.conv.kind == "binary" else 0.0

    @property
    def operations(self) -> float:
        """By the field's rule: a binary MAC counts 1/64."""
        return self.flops + self.bops / 64

    @property
    def bytes(self) -> float:
        """Of the stored weights, without biases, batch norms and thresholds (`storage` has those)."""
        return self.conv.weights * BYTES[self.conv.kind]


def share_at(active: Active, scale: int) -> float:
    """The active share at a scale. Raises ValueError when it is not given or outside [0, 1]."""
    try:
        share = active[scale] if isinstance(active, Mapping) else active
    except KeyError as error:
        raise ValueError(f"no active share for scale {scale}; there are {', '.join(map(str, active))}") from error
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"an active share lies in [0, 1], not {share}")
    return share


def layer_costs(network: Arch | Ancestor, width: int = 512, height: int = 288, active: Active = 1.0,
                ratio: float = 1.0) -> list[LayerCost]:
    """One row per convolution of `network.convs()` for a frame of width x height pixels, reduced by `ratio`.

    The refiner runs only when the frame is reduced (ratio < 1); otherwise its rows are left out.
    Raises ValueError for shares outside [0, 1] or without a scale that is needed, and as `sizes` does.
    """
    where, rows = sizes(network, width, height, ratio), []
    for conv in network.convs():
        if conv.name.startswith("refiner.") and not where.refines:
            continue
        dense = where.positions(conv) * conv.weights
        share = share_at(active, conv.scale) if conv.masked else 1.0
        rows.append(LayerCost(conv, where.positions(conv), dense, dense * share))
    return rows


def total_operations(network: Arch | Ancestor, width: int = 512, height: int = 288, active: Active = 1.0,
                     ratio: float = 1.0) -> float:
    """Convolution operations of one frame by the field's rule, FLOPs + BOPs/64, in MACs."""
    return sum(row.operations for row in layer_costs(network, width, height, active, ratio))


def share_needed(network: Arch | Ancestor, operations: float, width: int = 512, height: int = 288) -> float:
    """The active share, the same at every scale, at which the field's rule gives that many operations.

    A straight line between nothing active and everything; the answer leaves [0, 1] when no share is enough.
    """
    none, all_of_it = (total_operations(network, width, height, share) for share in (0.0, 1.0))
    return (operations - none) / (all_of_it - none)


# -- stored bytes --

def binary_weight_bytes(arch: Arch) -> int:
    """Bytes of all packed binary weights: one bit each, and every layer's bits fill whole bytes."""
    return sum(conv.weights for conv in arch.convs() if conv.kind == "binary") // 8


def storage(arch: Arch) -> dict[str, int]:
    """What a weight file of this arch holds: {"binary_weights": their number, "stem_weights": 16-bit whole numbers,
    "float_parameters": float32 numbers, "bytes": all of it}; a real file adds its header."""
    counted = dict.fromkeys(("binary_weights", "stem_weights", "float_parameters"), 0)
    for name, (dtype, shape) in schema(arch).items():
        if dtype == "uint8":
            counted["binary_weights"] += 8 * prod(shape)
        else:
            counted["stem_weights" if name == STEM else "float_parameters"] += prod(shape)
    counted["bytes"] = (counted["binary_weights"] // 8 + 2 * counted["stem_weights"]
                        + 4 * counted["float_parameters"])
    return counted
