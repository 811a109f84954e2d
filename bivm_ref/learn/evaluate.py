"""How good a torch network is on clips: the metrics of `bivm_ref.metrics`, clip by clip."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch

from bivm_ref.clips import Clip
from bivm_ref.metrics import dtssd, mad, mse, summarise
from bivm_ref.net import BiVM


@torch.no_grad()
def predict(model: BiVM, clip: Clip, device: str = "cpu") -> np.ndarray:
    """alpha (T, H, W) float32 in [0, 1] of a clip, the model's memory running from its first frame."""
    model.eval()
    frames = torch.from_numpy(clip.frames).to(device).permute(0, 3, 1, 2)[None].float() / 255.0
    return model(frames).alpha[0, :, 0].cpu().numpy()


def evaluate(model: BiVM, clips: Iterable[Clip], device: str = "cpu") -> dict[str, float]:
    """Means over clips of MAD, MSE (1e3) and dtSSD (1e2), with "zero_MAD", the MAD of an all-zero matte."""
    rows = []
    for clip in clips:
        alpha = predict(model, clip, device)
        rows.append({"MAD": mad(alpha, clip.alpha), "MSE": mse(alpha, clip.alpha), "dtSSD": dtssd(alpha, clip.alpha),
                     "zero_MAD": 1e3 * float(clip.alpha.mean())})
    return summarise(rows)
