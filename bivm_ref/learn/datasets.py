"""Clips as a torch data set: sample number i of a run is always the same clip, so a resumed run sees what it would
have seen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from bivm_ref.clips import ClipMix


@dataclass(frozen=True)
class Phase:
    """A part of a training run: so many steps at this frame size. `refine`: the refiner alone, at twice the size."""

    steps: int
    height: int
    width: int
    batch: int = 4
    frames: int = 4
    refine: bool = False


class MixedClips(Dataset):
    """Training clips: procedural figures, rendered people and photographs (see `clips.ClipMix`), made on the fly.

    Item i -> (frames (T, 3, H, W), alpha (T, 1, H, W), foreground (T, 3, H, W)), uint8 tensors.
    """

    def __init__(self, phase: Phase, first: int, seed: int, people: Path | None, scenes: Path | None,
                 weights: tuple[float, float]) -> None:
        self.phase, self.first, self.seed = phase, first, seed
        self.mix = ClipMix(people=people, scenes=scenes, weights=tuple(weights))

    def __len__(self) -> int:
        return self.phase.steps * self.phase.batch

    def name(self, i: int) -> str:
        """The number of item i among all of the run's."""
        return str(self.first + i)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        zoom = 2 if self.phase.refine else 1
        clip = self.mix.clip((self.seed << 32) + self.first + i, self.phase.frames,
                             self.phase.height * zoom, self.phase.width * zoom)
        alpha = np.round(clip.alpha * 255.0).astype(np.uint8)[:, None]
        return (torch.from_numpy(np.ascontiguousarray(clip.frames.transpose(0, 3, 1, 2))), torch.from_numpy(alpha),
                torch.from_numpy(np.ascontiguousarray(clip.foreground.transpose(0, 3, 1, 2))))
