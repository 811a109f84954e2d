"""Which training data helps on photographs: one float twin for each, same steps, and the table in README.md.

    python tools/data_ablation.py run --people PEOPLE --moving CLIPS --scenes SCENES --photos PHOTOS \
        --held-out ROOT --out RUNS
    python tools/data_ablation.py readme

PEOPLE, CLIPS, SCENES and PHOTOS as for `bivm-ref train --takes`; ROOT holds stills/ and scenes/ of tools/people with
the held-out numbers. Every arm adds one thing to the one above it. All begin from random weights of the same seed, take
STEPS steps at 160x96, and are measured at that size: on the two photographs of data_samples and on rendered people and
empty rooms that no training draws. A finished arm and seed is a row of data_samples/results/data_ablation.jsonl, and
is not run again; an interrupted one goes on. A test holds README's table equal to the rows.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from bivm_ref import held_out_people, metrics
from bivm_ref.clips import Clip
from bivm_ref.learn.evaluate import predict, reduced
from bivm_ref.learn.train import Phase, Recipe, train
from bivm_ref.reporting import run_and_report
from bivm_ref.takes import Odds, Takes

ROOT = Path(__file__).resolve().parent.parent
SAMPLES, ROWS = ROOT / "data_samples", ROOT / "data_samples" / "results" / "data_ablation.jsonl"
STEPS, HEIGHT, WIDTH = 700, 96, 160
PHOTOGRAPHS = ("portrait", "astronaut")
FOLDERS = ("people", "moving", "scenes", "photos")
AS_THEY_ARE = Odds(dressed=0, hung=0, hatted=0, gathered=0)
IN_CLOTH = Odds(hung=0.2, hatted=0, gathered=0)
ARMS = {  # name -> (what it adds, the folders it draws from, odds)
    "procedural": ("procedural figures and textures", (), AS_THEY_ARE),
    "stills": ("+ rendered people", ("people",), AS_THEY_ARE),
    "clips": ("+ clips of them, rendered moving", ("people", "moving"), AS_THEY_ARE),
    "scenes": ("+ rendered scenes", ("people", "moving", "scenes"), AS_THEY_ARE),
    "cloth": ("+ other clothes, cloth behind", ("people", "moving", "scenes"), IN_CLOTH),
    "photos": ("+ photographs behind and on clothes", ("people", "moving", "scenes", "photos"), IN_CLOTH),
}
MARKERS = ("<!-- data: python tools/data_ablation.py readme -->", "<!-- end of data -->")


def judged_on(held_out: Path) -> Iterator[Clip]:
    yield from (reduced(SAMPLES / name, WIDTH, HEIGHT) for name in PHOTOGRAPHS)
    yield from held_out_people.held_out_clips(held_out / "stills", held_out / "scenes", 4, HEIGHT, WIDTH)


def run(name: str, seed: int, steps: int, folders: dict[str, str], held_out: Path, out: Path) -> dict:
    """Train an arm (or go on) and measure it: its row."""
    began = time.monotonic()
    _, drawn, odds = ARMS[name]
    takes = Takes(**{kind: folders[kind] for kind in drawn}, odds=odds)
    recipe = Recipe(arch="small", method="float", bf16=True, seed=seed, source="takes", decay=0.5,
                    phases=(Phase(steps, HEIGHT, WIDTH, frames=2),))
    model = train(recipe, out / f"{name}-{seed}", takes)
    print(takes.summary())
    seconds = time.monotonic() - began
    figures: dict[str, list[tuple[float, float]]] = {}
    for clip in judged_on(held_out):
        alpha = predict(model, clip)
        figures.setdefault(clip.name.partition("/")[0], []).append(
            (metrics.mad(alpha, clip.alpha), metrics.iou(alpha, clip.alpha)))
    means = {}
    for of, found in figures.items():
        mads, ious = np.transpose(found)
        means[of] = {"MAD": round(float(mads.mean()), 2)}
        if of != "empty":  # nobody there overlaps with nobody
            means[of]["IoU"] = round(float(ious.mean()), 4)
    return {"arm": name, "seed": seed, "steps": steps, "seconds": round(seconds), "torch": torch.__version__, **means}


def read() -> list[dict]:
    return [json.loads(line) for line in ROWS.read_text(encoding="utf-8").splitlines()] if ROWS.exists() else []


def table(rows: list[dict]) -> str:
    """A row for each arm, means over its seeds, the seeds' own MAD on the photographs in brackets."""
    lines = ["| data | portrait, MAD | astronaut, MAD | 60 rendered people, MAD (IoU) | empty rooms, mean alpha |",
             "|---|---|---|---|---|"]
    for name, (what, _, _) in ARMS.items():
        of = [row for row in rows if row["arm"] == name]
        if not of:
            continue
        cells = []
        for photo in PHOTOGRAPHS:
            each = [row[photo]["MAD"] for row in of]
            cells.append(f"{np.mean(each):.0f}" + (f" ({', '.join(f'{v:.0f}' for v in each)})" if len(of) > 1 else ""))
        people = [np.mean([row["people"][key] for row in of]) for key in ("MAD", "IoU")]
        cells += [f"{people[0]:.0f} ({people[1]:.2f})", f"{np.mean([row['empty']['MAD'] for row in of]) / 1e3:.3f}"]
        lines.append(f"| {what} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def readme(text: str, rows: list[dict]) -> str:
    """README.md's text with the table between its markers made anew."""
    head, _, rest = text.partition(MARKERS[0])
    _, _, tail = rest.partition(MARKERS[1])
    return f"{head}{MARKERS[0]}\n{table(rows)}\n{MARKERS[1]}{tail}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "readme"))
    parser.add_argument("--arms", default=",".join(ARMS), help="some of them (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="seeds 0 to N-1 (1)")
    parser.add_argument("--steps", type=int, default=STEPS, help="of each arm (%(default)s)")
    for name in (*FOLDERS, "held-out", "out"):
        parser.add_argument(f"--{name}", metavar="D", type=Path)
    args = parser.parse_args()
    if unknown := set(args.arms.split(",")) - set(ARMS):
        parser.error(f"unknown arm {min(unknown)}; choose among {', '.join(ARMS)}")
    if args.what == "run":
        needed = (*FOLDERS, "held_out", "out")
        if missing := [name for name in needed if getattr(args, name) is None]:
            parser.error(f"run needs --{missing[0].replace('_', '-')} D")
        torch.set_num_threads(1)
        folders = {name: args.__dict__[name] for name in FOLDERS}
        Takes(**folders)  # what is missing is said now, not after minutes of training
        next(held_out_people.held_out_clips(args.held_out / "stills", args.held_out / "scenes", 1, HEIGHT, WIDTH))
        done = {(row["arm"], row["seed"], row["steps"]) for row in read()}
        for seed in range(args.seeds):
            for name in args.arms.split(","):
                if (name, seed, args.steps) not in done:
                    row = run(name, seed, args.steps, folders, args.held_out, args.out)
                    with open(ROWS, "a", encoding="utf-8") as file:
                        file.write(json.dumps(row) + "\n")
    path = ROOT / "README.md"
    path.write_text(readme(path.read_text(encoding="utf-8"), read()), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(run_and_report(main, "data_ablation"))
