"""Training: the float twin first, then the binary student from its weights.

`train()` writes into one folder: `log.jsonl` (a line per report), `checkpoint.pt` (all that is needed to go on) and,
at the end, `model.pt` (the averaged weights). A checkpoint is written beside its name and renamed, so a run that is
killed at any moment resumes from the last whole one. Sample i of a run is always the same clip, so a resumed run
sees the clips that it would have seen (`feed`).

It trains on clips that are made on the fly, with one learning rate that rises, stays and falls; or, in a stage of
`recipes`, on the field's data sets, with a flat rate for each part of the network.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm import tqdm

from bivm_ref.clips import ClipMix
from bivm_ref.errors import UserError
from bivm_ref.files import alone
from bivm_ref.learn import team
from bivm_ref.learn.datasets import KeptClips, MixedClips, Phase
from bivm_ref.learn.feed import Batch, Feed
from bivm_ref.learn.mimic import Mimic, Mimicking, as_clips
from bivm_ref.learn.objective import Objective, halve, part_of
from bivm_ref.learn.recipes import Stage, StageData
from bivm_ref.learn.store import build, load_checkpoint, load_model, load_state, save_atomic, start_from, trained_size
from bivm_ref.net import BiVM
from bivm_ref.net.binary import BinaryConv2d, fold
from bivm_ref.takes import Takes

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
    source: str = "mix"  # of the clips made on the fly: "mix" (`clips.ClipMix`) or "takes" (`takes.Takes`, without mix)
    stage: Stage | None = None  # of the field's; its rates take the place of lr, warmup and decay, its sets that of mix
    sets: tuple[tuple[str, int, int], ...] = ()  # what the stage found: set, clips, frames
    init: str | None = field(default=None, compare=False)  # a model.pt to start from: the float twin's
    teacher: str | None = field(default=None, compare=False)  # a model.pt to mimic: the float twin's

    @property
    def steps(self) -> int:
        return sum(phase.steps for phase in self.phases)

    @property
    def segments(self) -> bool:
        """Whether batches of segmentation come between those of clips."""
        return self.stage is not None and any(name in self.stage.segmentation for name, *_ in self.sets)

    def rate(self, step: int, part: str | None = None) -> float:
        """Learning rate of that step: warm-up, flat, linear to 0; the refiner's own phase begins without a warm-up.

        In a stage: the flat one of that part of the network (see `recipes.Rates`).
        """
        if self.stage is not None:
            return getattr(self.stage.rates, part)
        matting = sum(p.steps for p in self.phases if not p.refine)
        if step >= matting:
            left = (self.steps - step) / max(1, self.steps - matting)
            return self.lr * min(1.0, left / 0.5)
        rising = min(1.0, (step + 1) / self.warmup)
        falling = min(1.0, (matting - step) / max(1.0, self.decay * matting))
        return self.lr * rising * falling


class TrainingStopped(UserError):
    """The loss was not a number: names the step and the last good checkpoint."""


def train(recipe: Recipe, folder: str | Path, source: ClipMix | Takes | None = None, workers: int = 1,
          report_every: int = 20, checkpoint_every: int = 100, progress: bool = True, device: str = "cpu",
          data: StageData | None = None, keep: str | Path | None = None) -> BiVM:
    """Train, or go on training, in `folder`; returns the averaged model in evaluation mode.

    source: the opened folders that clips are made of, a ClipMix with `recipe.mix` or Takes, whichever the recipe's
    source says; None trains on procedural figures alone. Its `summary()` knows afterwards what could not be read.
    data: the opened sets of `recipe.stage`, instead of those; likewise.
    keep: a folder where clips made on the fly are kept, for other runs of the same seed, phases and mix.
    Raises UserError for a folder that holds another recipe's run or that another process trains in, TrainingStopped
    when the loss is not finite, ValueError for another source than the recipe's.
    """
    source = ClipMix(weights=recipe.mix) if source is None and recipe.source == "mix" else source
    if not isinstance(source, {"mix": ClipMix, "takes": Takes}.get(recipe.source, ())):
        raise ValueError(f"source {recipe.source!r}: 'mix' with a ClipMix, or 'takes' together with opened takes")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if odd := [phase.batch for phase in recipe.phases if phase.batch % team.size()]:
        raise UserError(f"a batch of {odd[0]} clips cannot be shared by {team.size()} processes; start another number")
    with alone(folder, f".lock{team.rank() or ''}"):
        run = _Run(recipe, folder, device, source.account() if data is None else None)
        bar = tqdm(total=recipe.steps, initial=run.step, desc=f"train {folder.name}", unit="step",
                   disable=not progress or not team.leads())
        BinaryConv2d.train_dtype = torch.bfloat16 if recipe.bf16 else torch.float32
        try:
            for phase, begin, first in _remaining(recipe, run.step):
                if data is None:
                    clips = MixedClips(phase, first, recipe.seed, source)
                    feed = Feed(phase, begin, KeptClips(clips, keep) if keep else clips)
                else:  # a phase begins an epoch
                    feed = Feed(phase, begin, data.clips(phase, 0, recipe.seed), data.segmentation(phase, recipe.seed))
                run.prepare(phase, feed)
                for batch, segmentation in feed.batches(run.step, workers):
                    terms = run.train_step(phase, batch, segmentation)
                    bar.update()
                    if run.step % report_every == 0 or run.step == recipe.steps:
                        bar.set_postfix(loss=f"{terms['total']:.4f}")
                        run.report(terms)
                    if run.step % checkpoint_every == 0:
                        run.save_checkpoint()
        except (KeyboardInterrupt, UserError) as stop:
            if not (run.moving or isinstance(stop, TrainingStopped)):  # else the last checkpoint stands
                run.save_checkpoint()
            raise
        finally:
            bar.close()
            BinaryConv2d.train_dtype = torch.float32
        run.save_checkpoint()
        average = fold(copy.deepcopy(run.average))
        if team.leads():
            save_atomic({"recipe": _as_data(recipe), "model": average.state_dict(), **run.helper_states()},
                        folder / "model.pt")
        team.wait()
        return average.eval()


class _Run:
    """The state of a run: model, its moving average, optimiser, step."""

    def __init__(self, recipe: Recipe, folder: Path, device: str, drawn: dict | None = None) -> None:
        """drawn: the account of the files that clips are made of, kept with the weights."""
        torch.manual_seed(recipe.seed)
        self.recipe, self.folder, self.device, self.drawn, self.step = recipe, folder, device, drawn, 0
        self.moving = False  # some weights are those of the next step already, others not
        self.model = build(recipe.arch, recipe.method, recipe.masked)
        if recipe.init:
            start_from(self.model, recipe.init)
        self.model.to(device)
        self.average = copy.deepcopy(self.model).requires_grad_(False)
        self.mimic = self._mimic()
        self.objective = Objective(self.model, self.mimic, recipe.segments).to(device)
        if recipe.init and self.objective.segmentation and "segmentation" in (given := load_state(recipe.init)):
            self.objective.segmentation.load_state_dict(given["segmentation"])
        self.optimiser = torch.optim.Adam(self._groups(), lr=recipe.lr)
        self.seconds = 0.0
        checkpoint = folder / "checkpoint.pt"
        if checkpoint.exists():
            self._resume(checkpoint)
        self.clock = time.monotonic()

    def _resume(self, path: Path) -> None:
        data = load_checkpoint(path)
        mine, theirs = _as_data(self.recipe), data["recipe"]
        if mine != theirs:
            odd = ", ".join(name for name in {**theirs, **mine} if mine.get(name) != theirs.get(name))
            raise UserError(f"{path}: belongs to a run with another recipe ({odd}); choose another folder or delete it")
        if data.get("drawn", self.drawn) != self.drawn and team.leads():
            print(f"{path}: the folders hold other files now than when it was written; clips differ from here on",
                  file=sys.stderr)
        self.model.load_state_dict(data["model"])
        self.average.load_state_dict(data["average"])
        self.optimiser.load_state_dict(data["optimiser"])
        if self.mimic:
            self.mimic.load_state_dict(data["mimic"])
        if self.objective.segmentation:
            self.objective.segmentation.load_state_dict(data["segmentation"])
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

    def _groups(self) -> list[dict]:
        """Adam's parameter groups: all together, or in a stage one for each part of the network."""
        if self.recipe.stage is None:
            return [{"params": list(self.objective.parameters())}]
        parts: dict[str, list[nn.Parameter]] = {}
        for name, parameter in self.objective.named_parameters():
            parts.setdefault(part_of(name), []).append(parameter)
        return [{"params": parameters, "part": part} for part, parameters in parts.items()]

    def prepare(self, phase: Phase, feed: Feed) -> None:
        """Before the first step of a phase: what learns in it, shared with the other processes if there are any."""
        self.feed = feed
        if self.mimic and self.step == 0:  # medians and information of the teacher's channels, once
            # A stage draws a size for every batch: there the first batch alone, whose clips are long.
            count = phase.batch if self.recipe.stage else min(CALIBRATION_CLIPS, len(feed.clips))
            self.mimic.calibrate(*(x.to(self.device) for x in as_clips(feed.clips[i] for i in range(count))))
        if phase.refine:
            for name, parameter in self.objective.named_parameters():
                parameter.requires_grad_(name.startswith("model.refiner."))
        self.shared = team.share(self.objective)

    def train_step(self, phase: Phase, clips: Batch, segmentation: Batch | None = None) -> dict[str, float]:
        """One step on a batch of clips, uint8 (B, T, C, H, W), then on one of segmentation; returns the loss terms:
        "total" is that of the clips."""
        self.model.train(not phase.refine)
        self.model.refiner.train()
        for group in self.optimiser.param_groups:
            group["lr"] = self.recipe.rate(self.step, group.get("part"))
        if (how := getattr(self.model, "method", None)) is not None:
            how.progress = self.step / self.recipe.steps
        frames, alpha, foreground = self._on_device(clips)
        inputs = (halve(frames), alpha, foreground, frames) if phase.refine else (frames, alpha, foreground)
        terms = self._descend(*inputs)
        if segmentation is not None:
            terms["segmentation"] = self._descend(*self._on_device(segmentation), segmentation=True)["total"]
        self.step += 1
        self._average()
        self.moving = False
        return terms

    def _on_device(self, batch: Batch) -> list[Tensor]:
        return [x.to(self.device, torch.get_default_dtype()) / 255.0 for x in batch]

    def _descend(self, *inputs: Tensor, segmentation: bool = False) -> dict[str, float]:
        """The loss terms of a batch, and one step of Adam down their sum. TrainingStopped, with the weights as they
        were, if the loss or its gradient is not finite here or in another process."""
        terms = self.shared(*inputs)
        mine = math.isfinite(terms["total"].item())
        if not team.agree(mine, self.device):
            raise self._stopped(segmentation, mine)
        self.optimiser.zero_grad(set_to_none=True)
        terms["total"].backward()
        norm = nn.utils.clip_grad_norm_(self.objective.parameters(), self.recipe.clip_gradient)
        if not math.isfinite(norm.item()):  # the same in every process: gradients are averaged
            raise self._stopped(segmentation)
        self.moving = True
        self.optimiser.step()
        return {name: value.item() for name, value in terms.items()}

    def _stopped(self, segmentation: bool, elsewhere: bool = False) -> TrainingStopped:
        kind = "segmentation of" if segmentation else "clips"
        if elsewhere:
            return TrainingStopped(f"stopped at step {self.step} with another process, which says why")
        where = f"step {self.step} ({kind} {self.feed.names(self.step, segmentation)}; seed {self.recipe.seed})"
        last = self.folder / "checkpoint.pt"
        cure = (f"{last} holds the last good state: begin a new --out with --init {last} and a lower --lr"
                if last.exists() else f"no {last.name} is kept yet: choose a lower --lr")
        return TrainingStopped(f"the loss or its gradient is not finite at {where}; {cure}")

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
        rate = self.recipe.rate(self.step - 1, "refiner" if self.feed.phase.refine else "decoder")
        row = {"step": self.step, "lr": rate, "seconds": round(self._elapsed(), 1)}
        row.update({name: round(value, 6) for name, value in terms.items()})
        with open(self.folder / "log.jsonl", "a", encoding="utf-8") as log:
            log.write(json.dumps(row) + "\n")

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
        save_atomic({**data, **self.helper_states()}, self.folder / "checkpoint.pt")

    def helper_states(self) -> dict[str, dict]:
        """What the next stage takes over beside the model, and the account of the files."""
        head = self.objective.segmentation
        kept = {"segmentation": head.state_dict() if head else None, "drawn": self.drawn}
        return {name: state for name, state in kept.items() if state}


def _remaining(recipe: Recipe, step: int) -> Iterator[tuple[Phase, int, int]]:
    """(phase, its first step, its first sample) for the phases that are not finished at `step`."""
    begin = first = 0
    for phase in recipe.phases:
        if step < begin + phase.steps:
            yield phase, begin, first
        begin, first = begin + phase.steps, first + phase.steps * phase.batch


def _as_data(recipe: Recipe) -> dict:
    """The recipe as plain data, without the paths it read and, outside of stages, without theirs; and without a source
    that is the usual one, so that runs of before there was another one go on."""
    data = json.loads(json.dumps(dataclasses.asdict(recipe)))
    unsaid = ("init", "teacher") + (("stage", "sets") if recipe.stage is None else ())
    unsaid += ("source",) if recipe.source == "mix" else ()
    return {name: value for name, value in data.items() if name not in unsaid}


__all__ = ["Phase", "Recipe", "TrainingStopped", "load_model", "load_state", "save_atomic", "train", "trained_size"]
