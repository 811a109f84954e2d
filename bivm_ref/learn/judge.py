"""What a genome is worth: its MAD on clips to choose by, with the supernet's weights and batch norms of its own.

A judgement depends on nothing but the supernet and the clips: not on the order of judging, nor on earlier ones. So it
is made once and kept, and a search that was stopped goes on where it was.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm

from bivm_ref.clips import HELD_OUT, ClipMix, procedural_clip
from bivm_ref.errors import UserError
from bivm_ref.files import beside
from bivm_ref.learn.datasets import MixedClips, Phase
from bivm_ref.learn.recalibrate import SAMPLE, recalibrate
from bivm_ref.learn.train import Recipe, _as_data
from bivm_ref.metrics import mad
from bivm_ref.net import BiVM
from bivm_ref.net.supernet import Supernet
from bivm_ref.topology import Genome

CHOOSING_SEED = HELD_OUT.start + 2_000  # of the clips that decide
AGAIN_SEED = HELD_OUT.start + 2_100  # of the clips that only check
CLIPS = 32  # of each set; they have the size and the frames of the training clips
CALIBRATION_BATCHES = 8
TOGETHER = 8  # clips in one forward pass


class Judge:
    """judge(genome) -> its row: genome, cost (1 = the preset's stages), MAD and MAD_again and those of every clip.

    Rows are kept in `path` (search.jsonl); those of an earlier sitting with the same recipe and clips are taken over.
    Raises UserError when that file is no such log.
    """

    def __init__(self, net: Supernet, recipe: Recipe, path: Path, mix: ClipMix | None = None,
                 clips: int = CLIPS, progress: bool = False, device: str = "cpu") -> None:
        self.net, self.path, self.device = net, path, device
        last = [phase for phase in recipe.phases if not phase.refine][-1]
        self.head = {"kind": "run", "recipe": _as_data(recipe), "clips": clips, "choosing_seed": CHOOSING_SEED,
                     "again_seed": AGAIN_SEED, "calibration_batches": CALIBRATION_BATCHES}
        self.rows = self._read()
        self.choosing, self.again = (choosing_clips(seed, clips, last) for seed in (CHOOSING_SEED, AGAIN_SEED))
        batches = Phase(CALIBRATION_BATCHES, last.height, last.width, last.batch, last.frames)
        data = MixedClips(batches, SAMPLE, recipe.seed, mix or ClipMix(weights=recipe.mix))
        self.calibration = [frames.to(device) for frames, _, _ in DataLoader(data, last.batch)]
        self.bar = tqdm(desc="judge", unit="genome", initial=len(self.rows), disable=not progress)

    def __call__(self, genome: Genome) -> dict:
        if genome not in self.rows:
            start = time.monotonic()
            network = recalibrate(self.net.network(genome).to(self.device), self.calibration)
            row = {"kind": "genome", "genome": list(genome), "cost": round(self.net.space.cost(genome), 6)}
            for key, clips in (("", self.choosing), ("_again", self.again)):
                errors = self._errors(network, *clips)
                row[f"MAD{key}"] = round(float(np.mean(errors)), 3)
                row[f"clips{key}"] = [round(error, 2) for error in errors]
            row["seconds"] = round(time.monotonic() - start, 2)
            self.rows[genome] = row
            self.write()
            self.bar.update()
        return self.rows[genome]

    @torch.no_grad()
    def _errors(self, network: BiVM, frames: Tensor, alpha: np.ndarray) -> list[float]:
        """MAD times 1e3 of every clip. frames (N, T, 3, H, W) uint8, alpha (N, T, H, W) float32."""
        errors = []
        for some, truth in zip(frames.split(TOGETHER), np.split(alpha, range(TOGETHER, len(alpha), TOGETHER))):
            mattes = network(some.to(self.device).float() / 255.0).alpha[:, :, 0].cpu().numpy()
            errors += [mad(matte, true) for matte, true in zip(mattes, truth)]
        return errors

    def write(self, *more: dict) -> None:
        """search.jsonl anew: the run, every genome in order of judging, and `more` lines."""
        with beside(self.path, "free some space") as part:
            part.write_text("".join(json.dumps(row) + "\n" for row in (self.head, *self.rows.values(), *more)), "utf-8")

    def close(self, result: dict) -> None:
        """Write the last line."""
        self.bar.close()
        self.write(result)

    def _read(self) -> dict[Genome, dict]:
        if not self.path.exists():
            return {}
        try:
            head, *rows = map(json.loads, self.path.read_text("utf-8").splitlines())
            found = {tuple(row["genome"]): row for row in rows if row["kind"] == "genome"}
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{self.path}: not a log of a search, or damaged; delete it and run again") from error
        return found if head == self.head else {}


def choosing_clips(seed: int, count: int, phase: Phase) -> tuple[Tensor, np.ndarray]:
    """Held-out procedural clips of the phase's size: frames (N, T, 3, H, W) uint8, alpha (N, T, H, W) float32."""
    clips = [procedural_clip(seed + i, phase.frames, phase.height, phase.width) for i in range(count)]
    frames = np.stack([clip.frames for clip in clips]).transpose(0, 1, 4, 2, 3)
    return torch.from_numpy(np.ascontiguousarray(frames)), np.stack([clip.alpha for clip in clips])
