"""Training: the float twin first, then the binary student from its weights.

`train()` writes into one folder: `log.jsonl` (a line per report), `checkpoint.pt` (all that is needed to go on) and,
at the end, `model.pt` (the averaged weights). A checkpoint is written beside its name and renamed, so a run that is
killed at any moment resumes from the last whole one. Sample i of a run is always the same clip, so a resumed run
sees the clips that it would have seen.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import math
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader
from tqdm import tqdm

from bivm_ref.errors import UserError
from bivm_ref.learn import team
from bivm_ref.learn.datasets import MixedClips, Phase
from bivm_ref.learn.losses import matting_loss
from bivm_ref.learn.mimic import Mimic, Mimicking, as_clips
from bivm_ref.learn.store import build, load_model, load_state, save_atomic, start_from, trained_size
from bivm_ref.net import BiVM
from bivm_ref.net.binary import BinaryConv2d, fold
from bivm_ref.net.capture import Capture

CALIBRATION_CLIPS = 16  # for the teacher's medians and information


@dataclass(frozen=True)
class Recipe:
    """All that decides a run, kept in its checkpoint and in the weights' card."""

    arch: str = "small"  # a preset, an Arch as JSON, or "rvm", the float ancestor
    method: str = "bivm"  # how it is binarized (`net.binarize.METHODS`); "float" is the float twin
    masked: bool = True
    mimic: Mimicking | None = None  # needs a teacher
    phases: tuple[Phase, ...] = (Phase(1500, 128, 128), Phase(500, 144, 256))
    lr: float = 2e-3
    warmup: int = 50
    decay: float = 0.3  # the last share of the steps, over which the learning rate falls linearly to 0
    clip_gradient: float = 1.0
    ema: float = 0.995
    seed: int = 0
    bf16: bool = False  # bfloat16 convolutions in training, for CPUs that have them
    mix: tuple[float, float] = (0.5, 0.5)  # odds of procedural figures against stills, of textures against scenes
    init: str | None = field(default=None, compare=False)  # a model.pt to start from: the float twin's
    teacher: str | None = field(default=None, compare=False)  # a model.pt to mimic: the float twin's

    @property
    def steps(self) -> int:
        return sum(phase.steps for phase in self.phases)

    def rate(self, step: int) -> float:
        """Learning rate of that step: warm-up, flat, linear to 0. The refiner's own phase is warmed up anew."""
        matting = sum(p.steps for p in self.phases if not p.refine)
        if step >= matting:
            left = (self.steps - step) / max(1, self.steps - matting)
            return self.lr * min(1.0, left / 0.5)
        rising = min(1.0, (step + 1) / self.warmup)
        falling = min(1.0, (matting - step) / max(1.0, self.decay * matting))
        return self.lr * rising * falling


class TrainingStopped(UserError):
    """The loss was not a number: names the step and the last good checkpoint."""


def train(recipe: Recipe, folder: str | Path, people: str | Path | None = None, scenes: str | Path | None = None,
          workers: int = 1, report_every: int = 20, checkpoint_every: int = 100, progress: bool = True,
          device: str = "cpu") -> BiVM:
    """Train, or go on training, in `folder`; returns the averaged model in evaluation mode.

    people, scenes: folders of RGBA stills and of photographs; None trains on procedural figures alone.
    Raises UserError for a folder that holds another recipe's run, TrainingStopped when the loss is not finite.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    odd = [phase.batch for phase in recipe.phases if phase.batch % team.size()]
    if odd:
        raise UserError(f"a batch of {odd[0]} clips cannot be shared by {team.size()} processes; start another number")
    run = _Run(recipe, folder, device)
    bar = tqdm(total=recipe.steps, initial=run.step, desc=f"train {folder.name}", unit="step",
               disable=not progress or not team.leads())
    BinaryConv2d.train_dtype = torch.bfloat16 if recipe.bf16 else torch.float32
    try:
        for phase, first_step in _remaining(recipe, run.step):
            skip = run.step - first_step
            part = dataclasses.replace(phase, steps=phase.steps - skip)
            data = MixedClips(part, _first_sample(recipe, run.step), recipe.seed, people, scenes, recipe.mix)
            run.calibrate(data)
            share = team.Share(data, phase.batch)
            loader = DataLoader(share, share.batch, num_workers=workers, prefetch_factor=4 if workers else None)
            run.prepare(phase)
            for batch in loader:
                terms = run.train_step(phase, *batch)
                bar.update()
                if run.step % report_every == 0 or run.step == recipe.steps:
                    bar.set_postfix(loss=f"{terms['total']:.4f}")
                    run.report(terms)
                if run.step % checkpoint_every == 0:
                    run.save_checkpoint()
    except KeyboardInterrupt:
        run.save_checkpoint()
        raise
    finally:
        bar.close()
        BinaryConv2d.train_dtype = torch.float32
    run.save_checkpoint()
    average = fold(copy.deepcopy(run.average))
    if team.leads():
        save_atomic({"recipe": _as_data(recipe), "model": average.state_dict()}, folder / "model.pt")
    team.wait()
    return average.eval()


class Objective(nn.Module):
    """The network together with what is asked of it: clip and truth -> the loss terms, their sum as "total".

    One module, so that `DistributedDataParallel` sees every gradient, those of the mimicking's adapters too.
    """

    def __init__(self, model: nn.Module, mimic: Mimic | None) -> None:
        super().__init__()
        self.model, self.mimic = model, mimic

    def forward(self, frames: Tensor, alpha: Tensor, foreground: Tensor, large: Tensor | None) -> dict[str, Tensor]:
        if large is not None:  # the refiner alone learns: there is nothing to mimic
            return matting_loss(self.model(frames, large=large), alpha, foreground)
        if self.mimic is None:
            return matting_loss(self.model(frames), alpha, foreground)
        with Capture(self.model, self.mimic.options.stages) as maps:
            terms = matting_loss(self.model(frames), alpha, foreground)
        terms["mimic"] = self.mimic.loss(self.model, maps, frames, alpha)
        terms["total"] = terms["total"] + terms["mimic"]
        return terms


class _Run:
    """The state of a run: model, its moving average, optimiser, step."""

    def __init__(self, recipe: Recipe, folder: Path, device: str) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.folder, self.device, self.step = recipe, folder, device, 0
        self.model = build(recipe.arch, recipe.method, recipe.masked)
        if recipe.init:
            start_from(self.model, recipe.init)
        self.model.to(device)
        self.average = copy.deepcopy(self.model).requires_grad_(False)
        self.mimic = self._mimic()
        self.objective = Objective(self.model, self.mimic)
        self.optimiser = torch.optim.Adam(self.objective.parameters(), lr=recipe.lr)
        self.seconds = 0.0
        checkpoint = folder / "checkpoint.pt"
        if checkpoint.exists():
            self._resume(checkpoint)
        self.clock = time.monotonic()

    def _resume(self, path: Path) -> None:
        data = load_state(path)
        if data["recipe"] != _as_data(self.recipe):
            raise UserError(f"{path}: belongs to a run with another recipe; choose another folder or delete it")
        self.model.load_state_dict(data["model"])
        self.average.load_state_dict(data["average"])
        self.optimiser.load_state_dict(data["optimiser"])
        if self.mimic:
            self.mimic.load_state_dict(data["mimic"])
        self.step, self.seconds = data["step"], data["seconds"]

    def _mimic(self) -> Mimic | None:
        if self.recipe.mimic is None:
            return None
        if self.recipe.teacher is None:
            raise UserError("mimicking needs a teacher; name the float twin's model.pt")
        try:
            return Mimic(self.model, load_model(self.recipe.teacher), self.recipe.mimic).to(self.device)
        except ValueError as error:
            raise UserError(f"{self.recipe.teacher}: {error}") from error

    def calibrate(self, data: MixedClips) -> None:
        """Medians and information of the teacher's channels, once, on the first clips of the run."""
        if self.mimic and self.step == 0:
            count = min(CALIBRATION_CLIPS, len(data))
            self.mimic.calibrate(*(x.to(self.device) for x in as_clips(data[i] for i in range(count))))

    def prepare(self, phase: Phase) -> None:
        """Before the first step of a phase: what learns in it, shared with the other processes if there are any."""
        if phase.refine:
            for name, parameter in self.objective.named_parameters():
                parameter.requires_grad_(name.startswith("model.refiner."))
        self.shared = team.share(self.objective)

    def train_step(self, phase: Phase, frames: Tensor, alpha: Tensor, foreground: Tensor) -> dict[str, float]:
        """One step on uint8 tensors (B, T, C, H, W); returns the loss terms."""
        number = torch.get_default_dtype()
        frames, alpha, foreground = (x.to(self.device, number) / 255.0 for x in (frames, alpha, foreground))
        large = None
        if phase.refine:
            self.model.eval()
            self.model.refiner.train()
            large, frames = frames, _halve(frames)
        else:
            self.model.train()
        for group in self.optimiser.param_groups:
            group["lr"] = self.recipe.rate(self.step)
        if (how := getattr(self.model, "method", None)) is not None:
            how.progress = self.step / self.recipe.steps
        terms = self.shared(frames, alpha, foreground, large)
        if not math.isfinite(terms["total"].item()):
            first = self._first_sample()
            clips = f"clips {first} to {first + phase.batch - 1} of seed {self.recipe.seed}"
            raise TrainingStopped(f"the loss is not finite at step {self.step} ({clips}); {self.folder}/checkpoint.pt "
                                  "holds the last good state: lower --lr and run again")
        self.optimiser.zero_grad(set_to_none=True)
        terms["total"].backward()
        nn.utils.clip_grad_norm_(self.objective.parameters(), self.recipe.clip_gradient)
        self.optimiser.step()
        self.step += 1
        self._average()
        return {name: value.item() for name, value in terms.items()}

    @torch.no_grad()
    def _average(self) -> None:
        keep = min(self.recipe.ema, (1.0 + self.step) / (10.0 + self.step))
        for mine, theirs in zip(self.average.state_dict().values(), self.model.state_dict().values(), strict=True):
            if mine.dtype.is_floating_point:
                mine.lerp_(theirs, 1.0 - keep)
            else:
                mine.copy_(theirs)

    def report(self, terms: dict[str, float]) -> None:
        if not team.leads():
            return
        row = {"step": self.step, "lr": self.recipe.rate(self.step - 1), "seconds": round(self._elapsed(), 1)}
        row.update({name: round(value, 6) for name, value in terms.items()})
        with open(self.folder / "log.jsonl", "a", encoding="utf-8") as log:
            log.write(json.dumps(row) + "\n")

    def _first_sample(self) -> int:
        return _first_sample(self.recipe, self.step)

    def _elapsed(self) -> float:
        return self.seconds + time.monotonic() - self.clock

    def save_checkpoint(self) -> None:
        if not team.leads():
            return
        data = {"recipe": _as_data(self.recipe), "step": self.step, "seconds": self._elapsed(),
                "model": self.model.state_dict(), "average": self.average.state_dict(),
                "optimiser": self.optimiser.state_dict()}
        if self.mimic:
            data["mimic"] = self.mimic.state_dict()
        save_atomic(data, self.folder / "checkpoint.pt")


def _halve(clip: Tensor) -> Tensor:
    """(B, T, 3, H, W) -> half the size, as 8-bit frames: what the refiner's small network would be given."""
    small = F.interpolate(clip.flatten(0, 1), scale_factor=0.5, mode="bilinear", antialias=True)
    return torch.round(small.unflatten(0, clip.shape[:2]).clamp(0, 1) * 255.0) / 255.0


def _remaining(recipe: Recipe, step: int):
    """(phase, its first step) for the phases that are not finished at `step`."""
    first = 0
    for phase in recipe.phases:
        if step < first + phase.steps:
            yield phase, first
            step = max(step, first + phase.steps)
        first += phase.steps


def _first_sample(recipe: Recipe, step: int) -> int:
    """Number of clips drawn before `step`."""
    drawn = first = 0
    for phase in recipe.phases:
        drawn += phase.batch * max(0, min(step - first, phase.steps))
        first += phase.steps
    return drawn


def _as_data(recipe: Recipe) -> dict:
    """The recipe as plain data, without the paths it read."""
    data = json.loads(json.dumps(dataclasses.asdict(recipe)))
    return {name: value for name, value in data.items() if name not in ("init", "teacher")}


__all__ = ["Phase", "Recipe", "TrainingStopped", "load_model", "load_state", "save_atomic", "train", "trained_size"]
