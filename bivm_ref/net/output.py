"""What a matting network returns for a clip."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class MattingOutput:
    """Result of one forward pass over a clip of B sequences with T frames of H x W pixels.

    alpha:        (B, T, 1, H, W) float in [0, 1], the matte
    foreground:   (B, T, 3, H, W) float in [0, 1], the foreground colour
    coarse_alpha: the low-resolution matte of a network that has a coarse head (its docstring gives
                  the shape), None for one that has not
    state:        one hidden map (B, C, h, w) per ConvGRU, coarsest resolution first; pass it to the
                  next call to go on with the same sequence
    """

    alpha: Tensor
    foreground: Tensor
    coarse_alpha: Tensor | None
    state: list[Tensor]
