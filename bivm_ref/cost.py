"""What a network costs, counted from its description: multiply-accumulates, operations, stored bits.

The paper's rule, as BNN papers use it, counts convolutions alone: OPs = FLOPs + BOPs / 64, since a 64-bit word holds
64 binary products. Counts here are multiply-accumulates (MACs), one each per weight and output position, so the
same rule reads MACs_float + MACs_binary / 64. A count without its frame size means nothing: every row carries it.
"""

from __future__ import annotations

from dataclasses import dataclass

from bivm_ref.arch import Arch, Conv

RVM_MACS_512x288 = 4_496_000_000  # convolutions of the float ancestor, without refiner (tests/test_rvm.py counts them)
RVM_PARAMETERS = 3_748_633


@dataclass(frozen=True)
class LayerCost:
    """One convolution at one frame size. macs: those computed, given the active share; dense_macs: without a mask."""

    conv: Conv
    positions: int
    dense_macs: int
    macs: float

    @property
    def operations(self) -> float:
        """By the paper's rule: a binary MAC counts 1/64."""
        return self.macs / 64 if self.conv.kind == "binary" else self.macs


def layer_costs(arch: Arch, width: int = 512, height: int = 288, active: float | dict[int, float] = 1.0,
                refiner: bool = False) -> list[LayerCost]:
    """One row per convolution of `arch.convs()` for a frame of width x height pixels (padded to multiples of 16).

    active: share of positions at which the masked 3x3 convolutions are computed, one number or one per scale
    (`PackedBiVM.active`). The refiner runs only when a frame is larger than the network's size; its rows, counted at
    the network's size, are left out unless asked for. Raises ValueError for shares outside [0, 1].
    """
    width, height = width + -width % 16, height + -height % 16
    rows = []
    for conv in arch.convs():
        if conv.name.startswith("refiner.") and not refiner:
            continue
        positions = (width // conv.scale) * (height // conv.scale) if conv.scale else 1
        share = (active[conv.scale] if isinstance(active, dict) else active) if conv.masked else 1.0
        if not 0.0 <= share <= 1.0:
            raise ValueError(f"{conv.name}: an active share lies in [0, 1], not {share}")
        dense = positions * conv.weights
        rows.append(LayerCost(conv, positions, dense, dense * share))
    return rows


def total_operations(arch: Arch, width: int = 512, height: int = 288, active: float | dict[int, float] = 1.0) -> float:
    """Convolution operations of one frame by the paper's rule, FLOPs + BOPs/64, in MACs."""
    return sum(row.operations for row in layer_costs(arch, width, height, active))


def binary_weight_bytes(arch: Arch) -> int:
    """Bytes of all packed binary weights: one bit each, and every layer's bits fill whole bytes."""
    return sum(conv.weights for conv in arch.convs() if conv.kind == "binary") // 8
