"""How good a torch network is on clips: the metrics of `bivm_ref.metrics`, clip by clip."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from bivm_ref.clips import Clip
from bivm_ref.evaluation_sets import clip_files, read_pairs
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


def reduced(folder: Path, width: int, height: int) -> Clip:
    """A clip's folder (`com/`, `pha/`) at the size that a network is trained at; its background is not known, nor is
    the foreground, and nothing that is measured here needs them. UserError as `evaluation_sets` raises it."""
    frames, alphas = [], []
    for frame, alpha in read_pairs(clip_files(folder)):
        frames.append(np.asarray(Image.fromarray(frame).resize((width, height), Image.Resampling.BOX)))
        alphas.append(np.asarray(Image.fromarray(alpha, "F").resize((width, height), Image.Resampling.BOX)))
    return Clip(folder.name, np.stack(frames), np.stack(alphas), np.stack(frames))
