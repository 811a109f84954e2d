"""What notebook 07 shows of mimicking, made from the runs of a comparison: data_samples/results/mimicking/.

    python tools/make_mimicking_samples.py --runs runs/compare

bivm.safetensors, no-mimicking.safetensors   the two students of one seed, packed
teacher.npz                                  their teacher's features of two frames, its medians, pi and information
likeness.json                                how near each student's features come to the teacher's, on 64 held-out
                                             clips, and where all of this comes from

DIR is the folder that `bivm-ref compare --out DIR` filled; no training is done here. Students of further arms that lie
there (no-localization, no-bits, no-information) are measured too, but not stored.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from bivm_ref import information_text
from bivm_ref.clips import Clip
from bivm_ref.errors import UserError
from bivm_ref.learn import mimic_study
from bivm_ref.learn.export import export
from bivm_ref.learn.features import held_out_clips
from bivm_ref.learn.mimic_study import STAGES, Sample
from bivm_ref.learn.store import load_model, load_state
from bivm_ref.metrics import mad
from bivm_ref.net import BiVM

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "data_samples" / "results" / "mimicking"
STORED = ("bivm", "no-mimicking")
MEASURED = (*STORED, "no-localization", "no-bits", "no-information")
SHOWN = (0, 14)  # which of the clips: a head close by and a whole figure, chosen by the frame, not by the mattes
SIZE, FRAMES = 128, 2  # as in training
FEWEST = 20  # clips: of "readable", half of them carry the interval


def origin(run: Path, kind: str = "model.pt") -> dict:
    """Where a file of a run comes from: {"sha256", "steps", "seed"}."""
    recipe = load_state(run / kind)["recipe"]
    return {"sha256": hashlib.sha256((run / kind).read_bytes()).hexdigest(), "seed": recipe["seed"],
            "steps": sum(phase["steps"] for phase in recipe["phases"])}


def tables_of(run: Path) -> dict[str, torch.Tensor]:
    """median_<stage> and pi_<stage> as the run that mimicked used them: they are in its checkpoint alone."""
    state = load_state(run / "checkpoint.pt").get("mimic")
    if not state:
        raise UserError(f"{run / 'checkpoint.pt'}: holds no mimicking; name the folder of a comparison")
    return {name: value for name, value in state.items() if name.startswith(("median_", "pi_"))}


def sample_of(teacher: BiVM, theirs: dict, clips: Sequence[Clip], shown: Sequence[int], tables: dict) -> Sample:
    """theirs: the teacher's maps on all clips, from which its channels' information is taken."""
    chosen = [clips[i] for i in shown]
    maps, mattes = mimic_study.run(teacher, chosen, last=True)
    alpha = np.concatenate([clip.alpha for clip in clips])
    told = {s: mimic_study.teacher_information(theirs[s], tables[f"median_{s}"], alpha, len(clips)) for s in STAGES}
    seeds = tuple(mimic_study.FIRST_SEED + i for i in shown)
    return Sample(seeds, clips[0].frames.shape[0], clips[0].frames.shape[1], mattes, maps,
                  {s: tables[f"median_{s}"] for s in STAGES}, {s: tables[f"pi_{s}"] for s in STAGES}, told)


def make(runs: Path, out: Path, seed: int = 0, count: int = 64, shown: Sequence[int] = SHOWN, size: int = SIZE) -> dict:
    """Write the four files into `out`; returns what likeness.json holds. UserError where a run is missing,
    and for fewer clips than an interval needs."""
    if count < FEWEST:
        raise UserError(f"--clips {count}: too few for intervals; ask for {FEWEST} at least")
    command = f"python tools/make_mimicking_samples.py --runs DIR --seed {seed} --clips {count}"
    found = {arm: runs / "runs" / f"{arm}-{seed}" for arm in ("float", *MEASURED)}
    arms = [arm for arm in MEASURED if arm in STORED or (found[arm] / "model.pt").exists()]
    teacher, tables = load_model(found["float"] / "model.pt"), tables_of(found["bivm"])
    clips = list(held_out_clips(count, FRAMES, size, size, mimic_study.FIRST_SEED))
    theirs, mattes = mimic_study.run(teacher, clips, name="float")
    alpha = np.concatenate([clip.alpha for clip in clips])

    out.mkdir(parents=True, exist_ok=True)
    rows, networks = [], {"float": {**origin(found["float"]), "MAD": round(mad(mattes, alpha), 2)}}
    for arm in arms:
        student = load_model(found[arm] / "model.pt")
        mine, mattes = mimic_study.run(student, clips, name=arm)
        rows += [{"arm": arm, **row} for row in mimic_study.study(student, mine, theirs, alpha, tables, count)]
        networks[arm] = {**origin(found[arm]), "MAD": round(mad(mattes, alpha), 2)}
        if arm in STORED:
            export(student, out / f"{arm}.safetensors", {"command": command, "size": size, **networks[arm]})
    spread = {s: features.std((0, 2, 3)) for s, features in theirs.items()}
    mimic_study.save_sample(out / "teacher.npz", sample_of(teacher, theirs, clips, shown, tables), spread)
    likeness = {"date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
                "command": command, "torch": torch.__version__, "networks": networks,
                "tables": origin(found["bivm"], "checkpoint.pt"),
                "clips": {"count": count, "frames": FRAMES, "size": size, "first_seed": mimic_study.FIRST_SEED},
                "rows": rows}
    information_text.write(out / "likeness.json", {"likeness": likeness})
    return likeness


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, required=True, metavar="DIR", help="what `compare --out DIR` filled")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--clips", type=int, default=64)
    parser.add_argument("--out", type=Path, default=FOLDER)
    args = parser.parse_args(argv)
    try:
        make(args.runs, args.out, args.seed, args.clips)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
