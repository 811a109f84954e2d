"""A matting network that learns in seconds: five binary convolutions on frames of a thumbnail's size.

It is made of the package's own blocks, so that any method of `net.binarize` drops in by name, and it is for looking
at training as it happens: no clips, no memory, no mask, no foreground. What it shows is how well a method can be
trained in a few hundred steps; how good a matte can become, it does not show. Our own, for the notebooks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from bivm_ref.clips import HELD_OUT, procedural_clip
from bivm_ref.metrics import mad
from bivm_ref.net import ops
from bivm_ref.net.binarize import Method, method
from bivm_ref.net.blocks import Elastic, FixedPointStem


@dataclass(frozen=True)
class Frames:
    """N single frames and their truth: levels (N, 3, S, S) of 0 to 255 and alpha (N, 1, S, S) in [0, 1], float32."""

    levels: Tensor
    alpha: Tensor


def tiny_frames(count: int, side: int = 32, held_out: bool = False, first: int = 0) -> Frames:
    """`count` procedural frames of side x side pixels, the same for the same arguments. held_out: never trained on.

    Raises ValueError for a side that is no multiple of 8: the network halves it three times.
    """
    if side % 8 or side < 8:
        raise ValueError(f"the side is a multiple of 8, not {side}")
    start = first + (HELD_OUT.start if held_out else 0)
    clips = [procedural_clip(start + i, 1, side, side) for i in range(count)]
    frames = np.concatenate([clip.frames for clip in clips])  # (N, S, S, 3) uint8
    alpha = np.concatenate([clip.alpha for clip in clips])
    return Frames(torch.from_numpy(frames).permute(0, 3, 1, 2).float(), torch.from_numpy(alpha)[:, None])


class TinyMatte(nn.Module):
    """levels (N, 3, S, S) -> logits of alpha (N, 1, S, S). Stem and head are float, the five 3x3s between binary.

    Down to 1/8 and up again, with what the way down saw at 1/4 and 1/2 laid beside it on the way up.
    """

    def __init__(self, how: Method | str = "bivm", width: int = 16) -> None:
        super().__init__()
        self.method = how = method(how)
        self.stem = FixedPointStem(width)
        self.quarter = Elastic(width, 2 * width, 3, 2, how)
        self.eighth = Elastic(2 * width, 4 * width, 3, 2, how)
        self.middle = Elastic(4 * width, 4 * width, 3, 1, how)
        self.up_quarter = Elastic(6 * width, 2 * width, 3, 1, how)
        self.up_half = Elastic(3 * width, width, 3, 1, how)
        self.head = nn.Conv2d(width, 1, 1)

    def forward(self, levels: Tensor) -> Tensor:
        half = self.stem(levels)
        quarter = self.quarter(half)
        deep = self.middle(self.eighth(quarter))
        x = self.up_quarter(torch.cat((ops.upsample(deep, training=True), quarter), 1))
        x = self.up_half(torch.cat((ops.upsample(x, training=True), half), 1))
        return ops.upsample(self.head(x), training=True)

    @torch.no_grad()
    def matte(self, levels: Tensor) -> np.ndarray:
        """alpha (N, S, S) float32 in [0, 1], in evaluation mode."""
        return torch.sigmoid(self.eval()(levels))[:, 0].numpy()


@dataclass(frozen=True)
class Lesson:
    """What a training leaves: the network, the loss of every step, MAD on frames that it never saw."""

    model: TinyMatte
    losses: np.ndarray
    held_out_mad: float


def train_tiny(how: str, seen: Frames, unseen: Frames, steps: int = 160, batch: int = 8, lr: float = 5e-3,
               seed: int = 0, progress: bool = False) -> Lesson:
    """Train a `TinyMatte` on `seen` by cross-entropy with Adam; the learning rate falls to 0 over the second half.

    how: a name of `net.binarize.METHODS`. The same seed gives every method the same batches.
    Raises ValueError for an unknown method.
    """
    torch.manual_seed(seed)
    model = TinyMatte(how).train()
    optimiser = torch.optim.Adam(model.parameters(), lr=lr)
    draw, losses = np.random.default_rng(seed), []
    for step in tqdm(range(steps), desc=f"train {how}", unit="step", disable=not progress):
        model.method.progress = step / steps  # two methods sharpen their estimator on the way
        for group in optimiser.param_groups:
            group["lr"] = lr * min(1.0, 2.0 * (steps - step) / steps)
        chosen = torch.from_numpy(draw.integers(len(seen.levels), size=batch))
        loss = F.binary_cross_entropy_with_logits(model(seen.levels[chosen]), seen.alpha[chosen])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return Lesson(model, np.array(losses), mad(model.matte(unseen.levels), unseen.alpha[:, 0].numpy()))


def last_loss(lesson: Lesson, share: float = 0.2) -> float:
    """Mean loss of the last `share` of the steps: one batch is too noisy to compare."""
    return float(lesson.losses[-max(1, round(share * len(lesson.losses))):].mean())
