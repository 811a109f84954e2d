"""What the network is asked for: RVM's matting losses, written from their formulas.

    L = L1(alpha) + Lap(alpha) + 5 MSE(d_t alpha) + L1(F 1[alpha>0]) + 5 MSE(d_t F 1[alpha>0]) + 1/4 (coarse head)

d_t is the difference of consecutive frames; a clip of one frame has none, and its temporal terms are 0.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from bivm_ref.net import MattingOutput

_BINOMIAL = (1.0, 4.0, 6.0, 4.0, 1.0)


def _blur(x: Tensor) -> Tensor:
    """5x5 binomial filter, reflected edges where they fit, else repeated. (N, 1, H, W) -> same."""
    row = torch.tensor(_BINOMIAL, device=x.device, dtype=x.dtype) / 16.0
    mode = "reflect" if min(x.shape[-2:]) > 2 else "replicate"
    x = F.conv2d(F.pad(x, (2, 2, 0, 0), mode=mode), row.view(1, 1, 1, 5))
    return F.conv2d(F.pad(x, (0, 0, 2, 2), mode=mode), row.view(1, 1, 5, 1))


def laplacian_loss(predicted: Tensor, true: Tensor, levels: int = 5) -> Tensor:
    """Sum over levels l of 2^l / 5 * L1 of the band-pass images, (N, 1, H, W) each -> scalar.

    Level l compares what a blur removes at 1/2^l of the size: fine levels see hair, coarse ones the silhouette.
    """
    difference, total = predicted - true, predicted.new_zeros(())
    for level in range(levels):
        if min(difference.shape[-2:]) < 2:
            break
        smooth = _blur(difference)  # the pyramid is linear, so that of the difference is the difference of both
        total = total + (2.0**level / 5.0) * (difference - smooth).abs().mean()
        difference = smooth[..., ::2, ::2]
    return total


def temporal_loss(predicted: Tensor, true: Tensor) -> Tensor:
    """MSE of the frame-to-frame change, (B, T, C, H, W) each -> scalar; 0 when T = 1."""
    if predicted.shape[1] < 2:
        return predicted.new_zeros(())
    return F.mse_loss(predicted[:, 1:] - predicted[:, :-1], true[:, 1:] - true[:, :-1])


def matting_loss(output: MattingOutput, alpha: Tensor, foreground: Tensor) -> dict[str, Tensor]:
    """alpha (B, T, 1, H, W), foreground (B, T, 3, H, W) in [0, 1] -> {"total": ..., and each term by name}."""
    seen = (alpha > 0).to(alpha.dtype)
    predicted, painted, truth = output.alpha, output.foreground * seen, foreground * seen
    terms = {
        "alpha_l1": F.l1_loss(predicted, alpha),
        "alpha_laplacian": laplacian_loss(predicted.flatten(0, 1), alpha.flatten(0, 1)),
        "alpha_temporal": 5.0 * temporal_loss(predicted, alpha),
        "foreground_l1": F.l1_loss(painted, truth),
        "foreground_temporal": 5.0 * temporal_loss(painted, truth),
    }
    if output.coarse_alpha is not None:
        terms["coarse"] = coarse_loss(output.coarse_alpha, alpha)
    terms["total"] = torch.stack(list(terms.values())).sum()
    return terms


def coarse_loss(coarse: Tensor, alpha: Tensor) -> Tensor:
    """1/4 of (L1 + 5 MSE d_t) of the coarse alpha (B, T, 1, h, w) against alpha averaged over its 16x16 cells."""
    small = F.interpolate(alpha.flatten(0, 1), coarse.shape[-2:], mode="area").unflatten(0, alpha.shape[:2])
    return 0.25 * (F.l1_loss(coarse, small) + 5.0 * temporal_loss(coarse, small))
