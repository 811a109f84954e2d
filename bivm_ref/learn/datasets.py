"""Clips as a torch data set: sample number i of a run is always the same clip, so a resumed run sees what it would
have seen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from bivm_ref.clips import ClipMix
from bivm_ref.files import beside
from bivm_ref.takes import Takes


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
    """Training clips made on the fly: procedural figures, rendered people and photographs (`clips.ClipMix`), or clips
    that look filmed (`takes.Takes`).

    Item i -> (frames (T, 3, H, W), alpha (T, 1, H, W), foreground (T, 3, H, W)), uint8 tensors.
    Files that cannot be read are left out, and marked in memory that all worker processes of a DataLoader share, so
    `source.summary()` in the main process knows of them; over 1 % of a folder raise UserError.
    """

    def __init__(self, phase: Phase, first: int, seed: int, source: ClipMix | Takes) -> None:
        self.phase, self.first, self.seed, self.source = phase, first, seed, source
        self.marks = torch.from_numpy(source.marks).clone().share_memory_()
        source.marks = self.marks.numpy()

    def __len__(self) -> int:
        return self.phase.steps * self.phase.batch

    def name(self, i: int) -> str:
        """The number of item i among all of the run's."""
        return str(self.first + i)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        self.source.marks = self.marks.numpy()  # a worker that was not forked has a copy of it, but these marks
        zoom = 2 if self.phase.refine else 1
        clip = self.source.clip((self.seed << 32) + self.first + i, self.phase.frames,
                                self.phase.height * zoom, self.phase.width * zoom)
        alpha = np.round(clip.alpha * 255.0).astype(np.uint8)[:, None]
        return (torch.from_numpy(np.ascontiguousarray(clip.frames.transpose(0, 3, 1, 2))), torch.from_numpy(alpha),
                torch.from_numpy(np.ascontiguousarray(clip.foreground.transpose(0, 3, 1, 2))))


class KeptClips(Dataset):
    """The clips of `data`, each made once: what was made lies in `folder`, for the next run that asks for the same.

    A file per item, `<name>.npy`: frames, alpha and foreground as one (T, 7, H, W) uint8 array. Runs may share a folder
    at the same time, since a file is there whole or not at all; only runs whose clips are the same may (of one seed,
    one phase, one mix).
    """

    def __init__(self, data: MixedClips, folder: Path) -> None:
        self.data, self.phase, self.name, self.folder = data, data.phase, data.name, Path(folder)

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        path = self.folder / f"{self.name(i)}.npy"
        if path.exists():
            planes = torch.from_numpy(np.load(path, allow_pickle=False))
        else:
            planes = torch.cat(self.data[i], 1)
            with beside(path, "free some space, or train without --keep-clips") as part, open(part, "wb") as file:
                np.save(file, planes.numpy())
        frames, alpha, foreground = planes.split((3, 1, 3), 1)
        return frames, alpha, foreground
