"""Every method side by side, and ours with its parts taken out one by one: many short trainings, one protocol.

A run is an arm (what is trained) and a seed (the training clips, the same for every arm of that seed, and all weights
that are drawn). Every arm takes the same number of steps. With `init`, a trained float twin, every arm of its
architecture begins with its weights, as binary networks usually do; without, all begin with random ones. The float arm
takes the same steps too, and its run of the same seed is the teacher of those that mimic. A finished run is one line of
`results.jsonl`, with every figure of every held-out clip, so that tables, intervals and figures can be made again
without training (`bivm_ref.results`). An interrupted comparison goes on where it was, inside a run too.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import time
from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import torch
from tqdm import tqdm

from bivm_ref.clips import procedural_clip
from bivm_ref.errors import UserError
from bivm_ref.learn.evaluate import predict
from bivm_ref.learn.mimic import Mimicking
from bivm_ref.learn.train import Phase, Recipe, TrainingStopped, train
from bivm_ref.metrics import clip_metrics

CLIPS_FROM = 10_004_000  # seeds of the clips that are reported on; nothing is chosen by them


@dataclass(frozen=True)
class Arm:
    """What is trained: an architecture ("preset" is the protocol's), a method, the mask, the mimicking."""

    method: str = "bivm"
    arch: str = "preset"
    masked: bool = True
    mimic: Mimicking | None = None


FULL = Mimicking()
ARMS: dict[str, Arm] = {
    "float": Arm("float"),
    "rvm": Arm("float", arch="rvm"),
    "bnn": Arm("bnn"),
    "xnor": Arm("xnor"),
    "dorefa": Arm("dorefa"),
    "bireal": Arm("bireal"),
    "irnet": Arm("irnet"),
    "reactnet": Arm("reactnet"),
    "recu": Arm("recu"),
    "bimatting": Arm("bimatting"),
    "bivm": Arm(mimic=FULL),
    "reactnet-mimicking": Arm("reactnet", mimic=FULL),  # the best of the others, with the teacher that only ours has
    "no-shortcut": Arm("bivm-no-shortcut", mimic=FULL),
    "no-gain": Arm("bivm-plain-shortcut", mimic=FULL),
    "centred": Arm("bivm-centred", mimic=FULL),
    "no-branches": Arm("bivm-no-branches", mimic=FULL),
    "no-mask": Arm(masked=False, mimic=FULL),
    "no-mimicking": Arm(),
    "no-localization": Arm(mimic=dataclasses.replace(FULL, localized=False)),
    "no-bits": Arm(mimic=dataclasses.replace(FULL, bits=0.0)),
    "no-information": Arm(mimic=dataclasses.replace(FULL, informed=False)),
}


@dataclass(frozen=True)
class Protocol:
    """What all runs share. Steps at one size, learning rate falling over the last `decay` of them."""

    preset: str = "small"
    steps: int = 800
    height: int = 128
    width: int = 128
    batch: int = 4
    frames: int = 2
    lr: float = 2e-3
    decay: float = 0.5
    ema: float = 0.99
    bf16: bool = True
    clips: int = 64
    clip_frames: int = 8

    def recipe(self, arm: Arm, seed: int, teacher: Path, init: str | None) -> Recipe:
        return Recipe(arch=self.preset if arm.arch == "preset" else arm.arch, method=arm.method, masked=arm.masked,
                      mimic=arm.mimic, phases=(Phase(self.steps, self.height, self.width, self.batch, self.frames),),
                      lr=self.lr, decay=self.decay, warmup=max(1, min(50, self.steps // 10)), ema=self.ema, seed=seed,
                      bf16=self.bf16, mix=(1.0, 0.0), teacher=str(teacher) if arm.mimic else None,
                      init=init if arm.arch == "preset" else None)

    def quick(self) -> Protocol:
        """A protocol that takes minutes, to see that everything runs; its figures mean nothing."""
        return dataclasses.replace(self, steps=10, height=64, width=64, batch=2, clips=3, clip_frames=3)


def compare(out: str | Path, arms: Iterable[str], seeds: Iterable[int], protocol: Protocol | None = None,
            init: str | Path | None = None, jobs: int = 1, progress: bool = True,
            keep_clips: bool = False) -> list[dict]:
    """Train and measure every arm with every seed that is not in `out`/results.jsonl yet; returns all its rows.

    jobs: runs at a time, one thread each. A float twin that an arm needs as teacher is run first, whether it was asked
    for or not. Raises UserError for an unknown arm and for a folder that holds another protocol's results.
    keep_clips: make the training clips of a seed once, for all its arms, and keep them in `out`/clips (0.7 GB a seed).
    init: a model.pt of the float twin; its digest is part of every row, so that runs from other weights do not mix.
    """
    protocol, out = protocol or Protocol(), Path(out)
    arms, seeds = list(arms), list(seeds)
    unknown = [arm for arm in arms if arm not in ARMS]
    if unknown:
        raise UserError(f"unknown arm {unknown[0]!r}; choose among {', '.join(ARMS)}")
    out.mkdir(parents=True, exist_ok=True)
    start = str(init) if init else None
    stamp = {"protocol": dataclasses.asdict(protocol), "init": digest(start)}
    done = {(row["arm"], row["seed"]) for row in read(out, stamp)}
    twins = [("float", seed) for seed in seeds if any(ARMS[arm].mimic for arm in arms)]
    wanted = [(arm, seed) for seed in seeds for arm in arms]
    waiting = [run for run in dict.fromkeys([*twins, *wanted])
               if run not in done or (run in twins and not _model(out, *run).exists())]
    running: dict[Future, tuple[str, int]] = {}
    with tqdm(total=len(waiting), desc="compare", unit="run", disable=not progress) as bar, \
            ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        while waiting or running:
            while len(running) < jobs and (run := _first_ready(waiting, running.values())):
                waiting.remove(run)
                running[pool.submit(run_one, out, *run, protocol, start, keep_clips)] = run
            for finished in wait(running, return_when=FIRST_COMPLETED).done:
                run, row = running.pop(finished), finished.result()
                if run not in done:
                    append(out, {**row, **stamp})
                bar.set_postfix_str(f"{run[0]} {run[1]}: MAD {sum(row['MAD']) / len(row['MAD']):.1f}")
                bar.update()
    return read(out, stamp)


def _first_ready(waiting: list[tuple[str, int]], running: Iterable) -> tuple[str, int] | None:
    """The first run that waits for no teacher: its twin is neither still to be trained nor in training."""
    ahead = {*waiting, *running}
    return next((run for run in waiting if ARMS[run[0]].mimic is None or ("float", run[1]) not in ahead), None)


def digest(path: str | None) -> str | None:
    """sha256 of a file, its first 12 digits; None for none."""
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:12] if path else None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); name the float twin's model.pt") from error


def run_one(out: Path, name: str, seed: int, protocol: Protocol, init: str | None, keep_clips: bool = False) -> dict:
    """Train one arm with one seed (or go on training it) and measure it: its row."""
    torch.set_num_threads(1)
    arm, began = ARMS[name], time.monotonic()
    recipe = protocol.recipe(arm, seed, _model(out, "float", seed), init)
    keep = out / "clips" / f"{seed}" if keep_clips else None
    folder = _model(out, name, seed).parent
    try:
        model = train(recipe, folder, workers=0, progress=False, keep=keep)
    except TrainingStopped as error:
        raise UserError(f"{name}, seed {seed}: {str(error).rpartition('; ')[0]}; {folder} is kept: delete it to begin "
                        "this run anew, or leave the arm out (--arms)") from error
    trained = time.monotonic() - began
    figures: dict[str, list[float]] = {}
    for i in range(protocol.clips):
        clip = procedural_clip(CLIPS_FROM + i, protocol.clip_frames, protocol.height, protocol.width)
        for figure, value in clip_metrics(predict(model, clip), clip.alpha).items():
            figures.setdefault(figure, []).append(round(value, 3))
    return {"arm": name, "seed": seed, "torch": torch.__version__, "seconds": round(trained, 1), **figures}


def _model(out: Path, name: str, seed: int) -> Path:
    return out / "runs" / f"{name}-{seed}" / "model.pt"


def append(out: Path, row: dict) -> None:
    """Add one line; a line that a power cut left half written is closed first, so that it stays the only bad one."""
    path = out / "results.jsonl"
    whole = not path.exists() or path.stat().st_size == 0 or path.read_bytes().endswith(b"\n")
    with open(path, "a", encoding="utf-8") as file:
        file.write(("" if whole else "\n") + json.dumps(row) + "\n")
        file.flush()
        os.fsync(file.fileno())


def read(out: Path, stamp: dict) -> list[dict]:
    """The rows of `out`/results.jsonl; a half-written line is left out. UserError where a row's stamp (protocol and
    initial weights) is another."""
    path, rows = out / "results.jsonl", []
    if not path.exists():
        return rows
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue
        if not isinstance(row, dict) or any(row.get(key, "") != value for key, value in stamp.items()):
            raise UserError(f"{path}: holds runs of another protocol or from other weights; choose another folder, or "
                            "the same settings")
        rows.append(row)
    return rows
