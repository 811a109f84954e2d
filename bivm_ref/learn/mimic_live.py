"""A few steps of training with and without the mimicking term, on one small batch: to watch, not to judge by.

Both students begin with the shipped float twin's weights, as those of `learn.compare` do, and see the same batch in
every step. What they are worth after so few steps says nothing; which way the features move, one can see.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bivm_ref.clips import ClipMix
from bivm_ref.learn.datasets import MixedClips, Phase
from bivm_ref.learn.losses import matting_loss
from bivm_ref.learn.mimic import Mimic, Mimicking
from bivm_ref.learn.store import load_model, start_from
from bivm_ref.net import BiVM
from bivm_ref.net.capture import Capture, reader

TWIN = Path(__file__).resolve().parents[1] / "weights" / "training" / "small-float.pt"


@dataclass(frozen=True)
class Watched:
    """Each (steps + 1,), the last one after the last step: both loss terms, and the share of bits, averaged over the
    stages, that are the teacher's."""

    matting: np.ndarray
    mimicry: np.ndarray
    agreement: np.ndarray


def one_batch(clips: int = 4, side: int = 64, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Single procedural frames (B, 1, 3, S, S), their alpha (B, 1, 1, S, S) and foreground, float in [0, 1]."""
    made = MixedClips(Phase(1, side, side, batch=clips, frames=1), 0, seed, ClipMix())
    return tuple(torch.stack(part).float() / 255.0 for part in zip(*(made[i] for i in range(clips)), strict=True))


def watch(mimicking: bool, steps: int = 8, batch: tuple[Tensor, Tensor, Tensor] | None = None,
          options: Mimicking | None = None, lr: float = 2e-3, seed: int = 0, twin: str | Path = TWIN) -> Watched:
    """Train a student of `twin` for `steps` steps of Adam on `batch` (None: `one_batch()`).

    mimicking False leaves the term out of the loss; it is measured all the same, with adapters as they began.
    """
    frames, alpha, foreground = one_batch() if batch is None else batch
    options, teacher = options or Mimicking(), load_model(twin)
    torch.manual_seed(seed)
    student = BiVM(teacher.arch).train()
    start_from(student, twin)
    term = Mimic(student, teacher, options)
    term.calibrate(frames, alpha)
    wanted = {stage: features >= term.buffer_of("median", stage).view(-1, 1, 1)
              for stage, features in term.teacher_maps(frames).items()}
    optimiser = torch.optim.Adam([*student.parameters(), *term.adapters.parameters()], lr=lr)
    rows = []
    for step in range(steps + 1):
        with torch.set_grad_enabled(step < steps):
            with Capture(student, options.stages) as maps:
                matting = matting_loss(student(frames), alpha, foreground)["total"]
            mimicry = term.loss(student, maps, frames, alpha)
        same = [((reader(student, s)(maps[s]) > 0) == bits).float().mean().item() for s, bits in wanted.items()]
        rows.append((matting.item(), mimicry.item(), float(np.mean(same))))
        if step < steps:
            optimiser.zero_grad()
            (matting + mimicry if mimicking else matting).backward()
            optimiser.step()
    return Watched(*np.array(rows).T)
