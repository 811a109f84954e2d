"""How a network does that is not packed yet: a stage of a training, a mean of some. The rows of the tables in
bivm_ref/weights/training/README.md.

    python tools/stage_figures.py quick  --held-out ROOT --photographs HELD_OUT RUN/checkpoint.pt [FILE ...]
    python tools/stage_figures.py engine --held-out ROOT --photographs HELD_OUT RUN/model.pt [FILE ...]
    python tools/stage_figures.py stretch --held-out ROOT --photographs HELD_OUT FILE [FILE ...]
    python tools/stage_figures.py settle --held-out ROOT --photographs HELD_OUT FILE [FILE ...]

`quick` runs torch at 256x144 (--width: another size), without the refiner, on a part of what README.md's tables
measure: the first four frames of 24 rendered people and of the empty rooms, of 12 procedural clips, shots of the
photographs that were kept out (54), and three samples; half a minute each. `engine` packs a student and measures it as
it would be shipped, on all of the procedural clips, samples, photographs, rendered people (dtSSD, too) and empty rooms,
some minutes each; "mean of three" is that by which `make_weights.py choose` ships. `stretch` asks whether mattes are
too soft: MAD, MSE, Grad and dtSSD of `quick`'s mattes, stretched about one half. `settle` asks what it is worth to show
the first frame before it counts (bivm_ref/settled.py): MAD of first frames, and of all. ROOT holds stills/ and scenes/
of tools/people with the held-out numbers, HELD_OUT is one that tools/photographs.py fills. FILE is a checkpoint (its
averaged weights count), a model.pt or a kept file. A cell is MAD (IoU).
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from bivm_ref import evaluate as ground
from bivm_ref import held_out_people, metrics
from bivm_ref.clips import Clip, procedural_clip
from bivm_ref.errors import UserError
from bivm_ref.learn.evaluate import predict, reduced
from bivm_ref.learn.export import export
from bivm_ref.learn.store import load_average, load_state, trained_size
from bivm_ref.net.binary import fold
from bivm_ref.packed import PackedBiVM
from bivm_ref.reporting import run_and_report
from bivm_ref.takes import Odds, Takes

SAMPLES = Path(__file__).resolve().parent.parent / "data_samples"
FRAMES, WIDTH = 4, 256  # frames are 16:9
PROCEDURAL = 32
SHOTS, SHOT_FRAMES = 64, 2  # of the photographs that were kept out; those with a cut in them are dropped
QUICK = ("people", "procedural", "empty", "38 photographs", "portrait", "astronaut", "rendered")
ENGINE = ("32 procedural", "portrait", "astronaut", "procedural", "rendered", "mean of three", "38 photographs",
          "60 people", "their dtSSD", "empty")
STRETCHED, STRETCHES = ("people", "38 photographs", "portrait", "astronaut"), (1.0, 1.3, 2.0)
SHOWN = (0, 1, 2, 3, 5)  # times that a first frame is shown before it counts
CHOSEN_BY = ("portrait", "procedural", "rendered")  # of the samples
Cell = tuple[float, float]  # MAD, IoU


def quick_clips(held_out: Path, photographs: Path, width: int = WIDTH) -> dict[str, list[Clip]]:
    """The clips of each column of QUICK, `width` pixels wide."""
    height = width * 9 // 16
    clips = list(held_out_people.held_out_clips(held_out / "stills", held_out / "scenes", FRAMES, height, width))
    people = [clip for clip in clips if clip.name.startswith("people/")]
    sets = {"people": people[::5][:12] + people[2::5][:12],
            "procedural": [procedural_clip(ground.HELD_OUT_SEED + i, FRAMES, height, width) for i in range(12)],
            "empty": [clip for clip in clips if clip.name.startswith("empty/")],
            "38 photographs": list(shots(photographs, height, width))}
    return {**sets, **{name: [reduced(SAMPLES / name, width, height)] for name in QUICK if name not in sets}}


def shots(photographs: Path, height: int, width: int) -> Iterator[Clip]:
    """Shots of whole photographs, framed as in training, without its damage."""
    takes = Takes(whole=photographs, odds=Odds(whole=1))
    made = (takes.clip(seed, SHOT_FRAMES, height, width, filmed=False) for seed in range(SHOTS))
    yield from (clip for clip in made if "|" not in clip.name)


def mean(cells: list[Cell]) -> Cell:
    mads, ious = np.transpose(cells)
    return float(np.mean(mads)), float(np.nanmean(ious)) if np.isfinite(ious).any() else float("nan")


def quick(file: str, sets: dict[str, list[Clip]]) -> list[Cell]:
    model, cells = load_average(file), []
    for name in QUICK:
        pairs = [(predict(model, clip), clip.alpha) for clip in sets[name]]
        cells.append(mean([(metrics.mad(mine, true), metrics.iou(mine, true)) for mine, true in pairs]))
    return cells


def engine(file: str, held_out: Path, photographs: Path) -> list[Cell]:
    recipe = load_state(file)["recipe"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "candidate.safetensors"
        export(fold(load_average(file)), path, {"size": trained_size(recipe), "recipe": recipe})
        packed = PackedBiVM.load(path)
    samples = {row["clip"]: (row["MAD"], row["IoU"])
               for row in ground.evaluate_folder(SAMPLES, packed, fast=True, overlap=True)}
    sets = {**samples, "mean of three": mean([samples[name] for name in CHOSEN_BY])}
    how = {"fast": True, "progress": True, "overlap": True}
    rows = {"32 procedural": ground.evaluate_procedural(PROCEDURAL, packed, **how),
            "38 photographs": ground.evaluate_photographs(photographs, packed, **how)}
    shown = ground.evaluate_people(held_out / "stills", held_out / "scenes", packed, **how)
    rows["60 people"] = [row for row in shown if row["clip"].startswith("people/")]
    rows["empty"] = [row for row in shown if row["clip"].startswith("empty/")]
    for name, found in rows.items():
        sets[name] = mean([(row["MAD"], row["IoU"]) for row in found])
    sets["their dtSSD"] = float(np.mean([row["dtSSD"] for row in rows["60 people"]])), math.nan
    return [sets[name] for name in ENGINE]


def stretch(alpha: np.ndarray, k: float) -> np.ndarray:
    """k (alpha - 1/2) + 1/2, clipped to [0, 1]; 1 leaves it as it is."""
    return np.clip(k * (alpha - 0.5) + 0.5, 0.0, 1.0)


def stretched(file: str, sets: dict[str, list[Clip]]) -> dict[float, list[str]]:
    """For each of STRETCHES the cells of STRETCHED, "MAD, MSE, Grad, dtSSD" each."""
    model, rows = load_average(file), {k: [] for k in STRETCHES}
    for name in STRETCHED:
        pairs = [(predict(model, clip), clip.alpha) for clip in sets[name]]
        for k, cells in rows.items():
            figures = metrics.summarise([metrics.clip_metrics(stretch(mine, k), true) for mine, true in pairs])
            cells.append("{MAD:.1f}, {MSE:.1f}, {Grad:.2f}, {dtSSD:.2f}".format(**figures))
    return rows


def settled(file: str, sets: dict[str, list[Clip]]) -> dict[int, list[str]]:
    """For each of SHOWN the cells of QUICK, "MAD of first frames, MAD" each."""
    model, rows = load_average(file), {times: [] for times in SHOWN}
    for times, cells in rows.items():
        for name in QUICK:
            found = []
            for clip in sets[name]:
                mine = predict(model, replace(clip, frames=np.concatenate([clip.frames[:1]] * times + [clip.frames])))
                found.append([metrics.mad(mine[times:][:count], clip.alpha[:count]) for count in (1, None)])
            cells.append("{:.1f}, {:.1f}".format(*np.mean(found, axis=0)))
    return rows


def row(name: str, cells: list[Cell]) -> str:
    """A line of a table; nobody there (IoU NaN) is MAD alone."""
    return f"| {name} | " + " | ".join(f"{mad:.1f}" + ("" if np.isnan(iou) else f" ({iou:.2f})")
                                       for mad, iou in cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("how", choices=("quick", "engine", "stretch", "settle"))
    parser.add_argument("files", nargs="+", metavar="FILE")
    parser.add_argument("--held-out", metavar="ROOT", type=Path, required=True)
    parser.add_argument("--photographs", metavar="HELD_OUT", type=Path, required=True)
    parser.add_argument("--width", metavar="N", type=int, help=f"of what torch is run on ({WIDTH})")
    args = parser.parse_args()
    if args.width is not None and args.how == "engine":
        parser.error("--width: the engine works at the size that a network was trained at; leave it out")
    width = WIDTH if args.width is None else args.width
    if width < 32 or width % 16:
        parser.error(f"--width {width}: frames are 16:9; give a multiple of 16, at least 32")
    torch.set_num_threads(1)
    for file in args.files:  # what is missing is said before minutes of work
        if not load_average(file).binary and args.how == "engine":
            raise UserError(f"{file}: a float twin, which the engine does not run; measure it with quick")
    sets = {} if args.how == "engine" else quick_clips(args.held_out, args.photographs, width)
    head = {"quick": QUICK, "engine": ENGINE, "stretch": ("k", *STRETCHED), "settle": ("shown", *QUICK)}[args.how]
    print("| file | " + " | ".join(head) + " |\n|" + "---|" * (len(head) + 1))
    for file in args.files:
        if args.how in ("stretch", "settle"):
            for value, cells in (stretched if args.how == "stretch" else settled)(file, sets).items():
                print("| " + " | ".join([file, str(value), *cells]) + " |", flush=True)
        else:
            print(row(file, quick(file, sets) if sets else engine(file, args.held_out, args.photographs)),
                  flush=True)


if __name__ == "__main__":
    sys.exit(run_and_report(main, "stage_figures"))
