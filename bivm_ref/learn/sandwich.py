"""Training the supernet: every step, the costliest genome, the cheapest one and a random one see the same clips.

The ends of the space bound what lies between them (the sandwich rule of Yu and Huang 2019, arXiv 1903.05134; its
distillation is left out), the random genome fills it. Note what follows: choices of the two ends are trained in every
step, the others only when they are drawn, so a short training favours the ends.

`supernet.pt` is written beside its name and renamed, as in `train.py`; so is what the run sees decided by its step.
"""

from __future__ import annotations

import json
import math
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from bivm_ref.arch import preset
from bivm_ref.clips import ClipMix
from bivm_ref.errors import UserError
from bivm_ref.learn.datasets import MixedClips
from bivm_ref.learn.feed import Feed
from bivm_ref.learn.losses import matting_loss
from bivm_ref.learn.train import (
    Recipe,
    TrainingStopped,
    _as_data,
    _remaining,
    load_model,
    load_state,
    save_atomic,
)
from bivm_ref.net.binary import BinaryConv2d
from bivm_ref.net.supernet import Supernet
from bivm_ref.topology import Genome, Space

CHECKPOINT = "supernet.pt"


def train_supernet(recipe: Recipe, folder: Path, mix: ClipMix | None = None, workers: int = 1, report_every: int = 20,
                   checkpoint_every: int = 100, progress: bool = True, device: str = "cpu") -> tuple[Supernet, float]:
    """Train, or go on training, the supernet of the preset `recipe.arch`: (supernet, wall seconds of all sittings).

    mix: the opened folders of `recipe.mix`; None trains on procedural figures alone.
    recipe.init is a plain network of that preset: all but the stages comes from it. The moving average is left out
    (`recipe.ema` is not read): the learning rate ends at 0 and batch norms are measured anew for each genome.
    Raises UserError for a folder that holds another run, TrainingStopped when a loss is not finite.
    """
    run, mix = SandwichRun(recipe, folder, device), mix or ClipMix(weights=recipe.mix)
    bar = tqdm(total=recipe.steps, initial=run.step, desc="supernet", unit="step", disable=not progress)
    BinaryConv2d.train_dtype = torch.bfloat16 if recipe.bf16 else torch.float32
    try:
        for phase, begin, first in _remaining(recipe, run.step):
            run.feed = feed = Feed(phase, begin, MixedClips(phase, first, recipe.seed, mix))
            for clips, _ in feed.batches(run.step, workers):
                losses = run.train_step(*clips)
                bar.update()
                if run.step % report_every == 0 or run.step == recipe.steps:
                    bar.set_postfix({name: f"{loss:.3f}" for name, loss in losses.items()})
                    run.report(losses)
                if run.step % checkpoint_every == 0 or run.step == recipe.steps:
                    run.save_checkpoint()
    except KeyboardInterrupt:
        if not run.moving:  # else the last checkpoint stands
            run.save_checkpoint()
        raise
    finally:
        bar.close()
        BinaryConv2d.train_dtype = torch.float32
    return run.net.eval(), run.seconds


class SandwichRun:
    """The state of a supernet's training: network, optimiser, step."""

    def __init__(self, recipe: Recipe, folder: Path, device: str) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.folder, self.device = recipe, Path(folder), device
        self.step, self.moving = 0, False  # moving: some weights are those of the next step already, others not
        space = Space(preset(recipe.arch))
        self.net = Supernet(space, recipe.method)
        by_cost = sorted(space.genomes(), key=space.cost)
        self.ends = {"costliest": by_cost[-1], "cheapest": by_cost[0]}
        self.genomes = space.genomes()
        if recipe.init:
            self.net.adopt(load_model(recipe.init))
        self.net.to(device)
        self.optimiser = torch.optim.Adam(self.net.parameters(), lr=recipe.lr)
        self.seconds = 0.0
        self._resume()
        self.clock = time.monotonic()

    def _resume(self) -> None:
        for other in ("checkpoint.pt", "model.pt"):
            if (self.folder / other).exists():
                raise UserError(f"{self.folder}: holds the run of another command ({other}); choose another folder")
        path = self.folder / CHECKPOINT
        if not path.exists():
            return
        data = load_state(path)
        if not isinstance(data, dict) or data.get("recipe") != _as_data(self.recipe):
            raise UserError(f"{path}: belongs to a search with another recipe; choose another folder or delete it")
        self.net.load_state_dict(data["net"])
        self.optimiser.load_state_dict(data["optimiser"])
        self.step, self.seconds = data["step"], data["seconds"]

    def sandwich(self) -> dict[str, Genome]:
        """The three genomes of this step; the random one depends on the seed and the step alone."""
        drawn = np.random.default_rng([self.recipe.seed, self.step]).integers(len(self.genomes))
        return {**self.ends, "random": self.genomes[drawn]}

    def train_step(self, frames: Tensor, alpha: Tensor, foreground: Tensor) -> dict[str, float]:
        """One step on uint8 tensors (B, T, C, H, W): the mean of three gradients. Returns each genome's loss.

        A weight that no genome of this step uses has no gradient, and Adam leaves it and its moments alone.
        """
        frames, alpha, foreground = (x.to(self.device).float() / 255.0 for x in (frames, alpha, foreground))
        self.net.train()
        for group in self.optimiser.param_groups:
            group["lr"] = self.recipe.rate(self.step)
        self.optimiser.zero_grad(set_to_none=True)
        losses, sandwich = {}, self.sandwich()
        for name, genome in sandwich.items():
            loss = matting_loss(self.net.choose(genome)(frames), alpha, foreground)["total"]
            losses[name] = loss.item()
            if not math.isfinite(losses[name]):
                raise self._stopped()
            (loss / len(sandwich)).backward()
        if not math.isfinite(nn.utils.clip_grad_norm_(self.net.parameters(), self.recipe.clip_gradient).item()):
            raise self._stopped()
        self.moving = True
        self.optimiser.step()
        self.step += 1
        self.moving = False
        return losses

    def _stopped(self) -> TrainingStopped:
        last = self.folder / CHECKPOINT
        kept = f"{last} holds the last good state" if last.exists() else f"no {last.name} is kept yet"
        return TrainingStopped(f"the loss or its gradient is not finite at step {self.step} (clips "
                               f"{self.feed.names(self.step)}; seed {self.recipe.seed}); {kept}: choose another --seed "
                               "and folder")

    def report(self, losses: dict[str, float]) -> None:
        row = {"step": self.step, "lr": self.recipe.rate(self.step - 1), "seconds": round(self._elapsed(), 1)}
        row.update({name: round(loss, 6) for name, loss in losses.items()})
        with open(self.folder / "steps.jsonl", "a", encoding="utf-8") as log:
            log.write(json.dumps(row) + "\n")

    def _elapsed(self) -> float:
        return self.seconds + time.monotonic() - self.clock

    def save_checkpoint(self) -> None:
        self.seconds, self.clock = self._elapsed(), time.monotonic()
        save_atomic({"recipe": _as_data(self.recipe), "step": self.step, "seconds": self.seconds,
                     "net": self.net.state_dict(), "optimiser": self.optimiser.state_dict()},
                    self.folder / CHECKPOINT)
