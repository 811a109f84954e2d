"""The shipped weights: the recipes they were trained with, and how a finished run becomes a file with its card.

    python tools/make_weights.py train small-float --people PEOPLE --scenes SCENES          -> runs/small-float/
    python tools/make_weights.py train small       --people PEOPLE --scenes SCENES --photos PHOTOS --whole WHOLE
    python tools/make_weights.py ship small [--twin TWIN/model.pt]                    -> bivm_ref/weights/small.*
    python tools/make_weights.py twin small-float                                     -> bivm_ref/weights/training/
    python tools/make_weights.py keep small-float-cloth                               -> the same, in half precision
    python tools/make_weights.py blend small-float-blend          -> runs/small-float-blend/model.pt, a mean of several
    python tools/make_weights.py grow default-float-grown         -> the same, a larger network out of a smaller one
    python tools/make_weights.py recalibrate default-anew --people …     -> the same, batch norms' statistics taken anew
    python tools/make_weights.py choose                                               -> bivm_ref/weights/SHIPPED
    python tools/make_weights.py readme                                               -> the table in README.md

`train` takes any stage of bivm_ref/learn/shipped.py, after those it begins with. PEOPLE is a folder of RGBA stills of
people, SCENES one of photographs (or rendered rooms), PHOTOS one more of photographs, WHOLE one of whole photographs
of people, and MOVING (some recipes) one of rendered clips; without them a run draws procedural figures and textures
alone. `ship` measures with the NumPy engine, on clips no run ever draws. A run that was stopped early is shipped from
its checkpoint, and its card says at which step it stopped. The real weights behind the signs, and the float twin's, are
kept in weights/training/ in half precision: `--init` goes on from them.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import platform
import sys
from pathlib import Path

import numpy as np
import torch

from bivm_ref import cost
from bivm_ref import evaluate as ground
from bivm_ref.clips import ClipMix, procedural_clip
from bivm_ref.learn import evaluate as learned
from bivm_ref.learn.export import export
from bivm_ref.learn.grow import write_grown
from bivm_ref.learn.recalibrate import write_recalibrated
from bivm_ref.learn.shipped import BLENDS, FILES, FILMED, GROWN, MIXED, ODDS, RECALIBRATED, RECIPES, STARTED_FROM
from bivm_ref.learn.store import build_from, load_model, load_state, load_weights, save_atomic, trained_size
from bivm_ref.learn.train import train
from bivm_ref.net import BiVM
from bivm_ref.net.binary import fold
from bivm_ref.packed import PackedBiVM, weights
from bivm_ref.reporting import run_and_report
from bivm_ref.takes import Odds, Takes

ROOT = Path(__file__).resolve().parent.parent
WEIGHTS = ROOT / "bivm_ref" / "weights"
HELD_OUT_CLIPS = 32
SAMPLES = ("portrait", "procedural", "rendered")
CLIPS = {"procedural_256x144": "32 procedural, 256×144, held out", "portrait": "sample: portrait (photograph)",
         "astronaut": "sample: astronaut (photograph)", "procedural": "sample: procedural",
         "rendered": "sample: rendered person",
         "float_twin_procedural_256x144": "its float twin on the 32 procedural clips"}
NAMES = {"blend": BLENDS, "grow": GROWN, "recalibrate": RECALIBRATED, "keep": {**BLENDS, **RECIPES}}
MARKERS = ("<!-- figures: python tools/make_weights.py readme -->", "<!-- end of figures -->")


def stopped_run(folder: Path) -> dict:
    """Recipe, weights, step and wall time of a run, finished or not."""
    state = load_state(folder / "checkpoint.pt")
    return {"recipe": state["recipe"], "model": state["average"], "step": state["step"], "seconds": state["seconds"],
            "drawn": state.get("drawn"), "steps": sum(phase["steps"] for phase in state["recipe"]["phases"])}


def data_of(run: dict) -> str:
    """What a run's clips were made of, in words."""
    filmed, drawn = run["recipe"].get("source") == "takes", dict(run["drawn"] or {})
    if not drawn:  # a run of before the account was kept
        return FILMED if filmed else MIXED
    odds = drawn.pop("odds", None) or {"procedural": drawn.pop("procedural")}
    files = [f"{kind}: {count} files, {first} to {last}" for kind, (count, first, last) in drawn.items()]
    chances = ", ".join(f"{name} {value:g}" for name, value in odds.items())
    return ("takes (`bivm_ref/takes.py`)" if filmed else "`clips.ClipMix`") + f", odds: {chances}; " + (
        "; ".join(files) or "procedural figures alone")


def curve(log: Path, points: int = 10) -> str:
    """A card's table of the training loss: means over stretches of equal length. Phases have losses of their own."""
    rows = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()] if log.exists() else []
    found = np.array([(row["step"], row["total"]) for row in rows]).reshape(-1, 2)
    parts = [part for part in np.array_split(found, points) if len(part)]
    if not parts:
        return ""
    steps, losses = ([f"{part[-1, 0]:.0f}" for part in parts], [f"{part[:, 1].mean():.3f}" for part in parts])
    lines = [["step", *steps], ["---"] * (len(parts) + 1), ["loss", *losses]]
    table = "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
    return f"\nThe training loss, means up to each step:\n\n{table}\n"


def blend(name: str, runs: Path) -> None:
    """The weighted mean of networks as the model.pt of a run that never was: of runs that are there, else kept ones."""
    parts = []
    for part, share in BLENDS[name].items():
        files = runs / part / "checkpoint.pt", runs / part / "model.pt", WEIGHTS / "training" / f"{part}.pt"
        state = load_state(next((file for file in files if file.exists()), files[-1]))
        parts.append((share, state["average" if "average" in state else "model"]))
    mean = dict(parts[-1][1])  # counters are the last one's
    for weight, value in mean.items():
        if value.is_floating_point():
            mean[weight] = sum(share * numbers[weight].float() for share, numbers in parts)
    (runs / name).mkdir(parents=True, exist_ok=True)
    save_atomic({"recipe": state["recipe"], "model": mean}, runs / name / "model.pt")


def grown(name: str, runs: Path) -> None:
    """A larger network that begins as a smaller one, as the model.pt of a run that never was."""
    source, arch = GROWN[name]
    run, kept = runs / source / "model.pt", WEIGHTS / "training" / f"{source}.pt"
    write_grown(run if run.exists() else kept, arch, runs / name / "model.pt")


def network(run: dict) -> BiVM:
    model = build_from(run["recipe"])
    load_weights(model, run["model"])
    return fold(model).eval()


def procedural_figures(model: BiVM) -> dict[str, float]:
    """A torch network on the held-out procedural clips that `bivm-ref evaluate --procedural 32` draws."""
    clips = (procedural_clip(ground.HELD_OUT_SEED + i, ground.HELD_OUT_FRAMES, ground.HELD_OUT_HEIGHT,
                             ground.HELD_OUT_WIDTH) for i in range(HELD_OUT_CLIPS))
    return rounded(learned.evaluate(model, clips))


def rounded(row: dict) -> dict:
    return {k: round(v, 2) for k, v in row.items() if isinstance(v, float) and k != "ms_per_frame"}


def machine() -> str:
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        named = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        cpu = named[0].split(":", 1)[1].strip() if named else cpu
    return f"{cpu}, one thread, torch {torch.__version__.split('+')[0]}, no GPU"


def ship(name: str, folder: Path, twin: Path | None) -> None:
    """Export the run in `folder` as weights/<name>.safetensors, measure it, write weights/<name>.md beside it."""
    run, path = stopped_run(folder), WEIGHTS / f"{name}.safetensors"
    model = network(run)
    provenance = {"size": trained_size(run["recipe"]), "recipe": run["recipe"],
                  "started_from": STARTED_FROM.get(name, ""), "steps_done": run["step"],
                  "wall_hours": round(run["seconds"] / 3600, 2), "machine": machine(),
                  "data": "; ".join(filter(None, (data_of(run), FILES.get(name))))}
    export(model, path, provenance, {})
    engine = PackedBiVM.load(path)
    figures = {"procedural_256x144": rounded(ground.mean_row(ground.evaluate_procedural(HELD_OUT_CLIPS, engine)))}
    for row in ground.evaluate_folder(ROOT / "data_samples", engine):
        figures[row["clip"]] = rounded(row)
    if twin is not None:
        figures["float_twin_procedural_256x144"] = procedural_figures(fold(load_model(twin)))
    export(model, path, provenance, figures)
    keep_for_training(name, run)
    text = card(name, path, run, provenance, figures) + curve(folder / "log.jsonl")
    (WEIGHTS / f"{name}.md").write_text(text, encoding="utf-8")
    print(json.dumps(figures, indent=1))


def card(name: str, path: Path, run: dict, provenance: dict, figures: dict) -> str:
    keys = ["MAD", "MSE", "Grad", "Conn", "dtSSD", "zero_MAD"]
    rows = [f"| {clip} | " + " | ".join(f"{row[k]:.2f}" if k in row else "" for k in keys) + " |"
            for clip, row in figures.items()]
    finished = run["step"] == run["steps"]
    mimic, drawn = run["recipe"].get("mimic"), run["drawn"] or {}
    options = {"photo": "photos", "moving": "moving", "whole": "whole"}
    more = "".join(f" --{option} {option.upper()}" for kind, option in options.items() if kind in drawn)
    taught = f"\n- mimics `{Path(RECIPES[name].teacher).parent}`, its float twin: {settings(mimic)}" if mimic else ""
    phases = "\n".join(f"- {p['steps']} steps at {p['width']}x{p['height']}, batch {p['batch']}, {p['frames']} frames"
                       + (", the refiner alone, from twice that size" if p["refine"] else "")
                       for p in run["recipe"]["phases"])
    return f"""# {name}.safetensors

{path.stat().st_size:,} bytes; preset `{run['recipe']['arch']}`. Written by `python tools/make_weights.py ship {name}`.

- works at {provenance['size']} pixels on the longer side, the size it was trained at; the refiner does the rest
- data: {provenance['data']}
- command: `python tools/make_weights.py train {name} --people PEOPLE --scenes SCENES{more}`;
  the last run's phases stand below, and its whole recipe in the file (`bivm-ref info`)
- started from: {provenance['started_from'] or 'random weights'}{taught}
- seed {run['recipe']['seed']}, learning rate {run['recipe']['lr']}, average {run['recipe']['ema']}, \
bfloat16 convolutions in training: {run['recipe']['bf16']}
- {'finished' if finished else 'STOPPED EARLY, at'} step {run['step']} of {run['steps']}, \
{provenance['wall_hours']} h wall time (shared with other work) on {provenance['machine']}

{phases}

Measured with the NumPy engine (the float twin with torch); MAD and MSE times 1e3, dtSSD times 1e2. zero_MAD is the
MAD of an all-zero matte. Grad and Conn are sums over pixels and compare at equal size only.

| clips, none of them trained on | {' | '.join(keys)} |
|---|{'---|' * len(keys)}
""" + "\n".join(rows) + "\n"


def settings(mimic: dict) -> str:
    """The options of a `Mimicking`, as a run's recipe holds them, but for the stages."""
    return ", ".join(f"{name} {value}" for name, value in mimic.items() if name != "stages")


def keep_for_training(name: str, run: dict, number: torch.dtype = torch.float16) -> None:
    """weights/training/<name>.pt: a `model.pt` of such numbers, branches merged, for `bivm-ref train --init` and
    `--engine torch`. A tensor with a number too large for that, as variances of a binary network's sums may be, stays
    as it is."""
    merged = network(run).state_dict()
    kept = {k: v.to(number) if v.dtype == torch.float32 and torch.isfinite(v.to(number)).all() else v
            for k, v in merged.items()}
    (WEIGHTS / "training").mkdir(parents=True, exist_ok=True)
    save_atomic({"recipe": run["recipe"], "model": kept}, WEIGHTS / "training" / f"{name}.pt")


def readme_table() -> str:
    """The figures of every shipped network, read from the weight files, as the README shows them."""
    lines = ["| network | clips | MAD | MSE | dtSSD | all-zero MAD |", "|---|---|---|---|---|---|"]
    for path in sorted(WEIGHTS.glob("*.safetensors")):
        for clips, row in weights.load(path)[2]["figures"].items():
            cells = " | ".join(f"{row[k]:.1f}" for k in ("MAD", "MSE", "dtSSD", "zero_MAD"))
            lines.append(f"| `{path.stem}` | {CLIPS.get(clips, clips)} | {cells} |")
    lines += ["", "| network | binary weights | file | operations of a 512×288 frame, every position computed |",
              "|---|---|---|---|"]
    for path in sorted(WEIGHTS.glob("*.safetensors")):
        arch = weights.load(path)[0]
        bits = sum(c.weights for c in arch.convs() if c.kind == "binary")
        lines.append(f"| `{path.stem}` | {bits:,} | {path.stat().st_size:,} bytes "
                     f"| {cost.total_operations(arch) / 1e9:.3f} G |")
    lines.append(f"| RVM, the float ancestor | – | {4 * cost.RVM_PARAMETERS:,} bytes of float32 "
                 f"| {cost.RVM_MACS_512x288 / 1e9:.3f} G |")
    return "\n".join(lines)


def readme(text: str) -> str:
    """README.md's text with the table between its two markers brought up to date."""
    head, _, rest = text.partition(MARKERS[0])
    _, _, tail = rest.partition(MARKERS[1])
    return f"{head}{MARKERS[0]}\n{readme_table()}\n{MARKERS[1]}{tail}"


def choose() -> None:
    """Ship the network with the lower mean MAD on the sample clips."""
    means = {}
    for path in sorted(WEIGHTS.glob("*.safetensors")):
        figures = weights.load(path)[2]["figures"]
        means[path.name] = sum(figures[clip]["MAD"] for clip in SAMPLES) / len(SAMPLES)
    best = min(means, key=means.get)
    (WEIGHTS / "SHIPPED").write_text(best + "\n", encoding="utf-8")
    print(means, "->", best)


def takes(args: argparse.Namespace, odds: Odds | None) -> Takes:
    return Takes(args.people, args.scenes, args.photos, moving=args.moving, odds=odds, whole=args.whole)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=("train", "ship", "twin", "keep", "blend", "grow", "recalibrate",
                                           "choose", "readme"))
    parser.add_argument("name", nargs="?", metavar="NAME",
                        choices=sorted({*RECIPES, *BLENDS, *GROWN, *RECALIBRATED}),
                        help="of a stage, a mean or a shipped network: see bivm_ref/learn/shipped.py")
    parser.add_argument("--people", type=Path)
    parser.add_argument("--scenes", type=Path)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--moving", type=Path)
    parser.add_argument("--whole", type=Path)
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder of the runs (default: runs)")
    parser.add_argument("--twin", type=Path, help="its float twin: a model.pt or a kept file, measured too")
    args = parser.parse_args()
    if args.action == "choose":
        choose()
    elif args.action == "readme":
        path = ROOT / "README.md"
        path.write_text(readme(path.read_text(encoding="utf-8")), encoding="utf-8")
    elif args.name is None:
        parser.error(f"{args.action} needs a name: {', '.join(RECIPES)}")
    elif args.name not in NAMES.get(args.action, RECIPES):
        parser.error(f"{args.action} {args.name}: blend makes {', '.join(BLENDS)}, grow {', '.join(GROWN)}, "
                     f"recalibrate {', '.join(RECALIBRATED)}; means are kept and not shipped")
    elif args.action == "blend":
        blend(args.name, args.runs)
    elif args.action == "grow":
        grown(args.name, args.runs)
    elif args.action == "recalibrate":
        torch.set_num_threads(1)
        of, run = takes(args, ODDS.get(args.name)), args.runs / RECALIBRATED[args.name]
        files = run / "checkpoint.pt", run / "model.pt"
        (args.runs / args.name).mkdir(parents=True, exist_ok=True)
        write_recalibrated(next((file for file in files if file.exists()), files[-1]),
                           args.runs / args.name / "model.pt", of, progress=True)
        print(of.summary())
    elif args.action == "train":
        recipe = RECIPES[args.name]
        found = {field: str(args.runs / path) for field in ("init", "teacher") if (path := getattr(recipe, field))}
        recipe = dataclasses.replace(recipe, **found)
        torch.set_num_threads(1)
        source = (takes(args, ODDS.get(args.name)) if recipe.source == "takes"
                  else ClipMix(args.people, args.scenes, recipe.mix))
        train(recipe, args.runs / args.name, source)
        print(source.summary())
    elif args.action == "twin":
        keep_for_training(args.name, stopped_run(args.runs / args.name), torch.float32)  # compare --init reads it
    elif args.action == "keep":
        folder = args.runs / args.name
        keep_for_training(args.name, load_state(folder / "model.pt") if args.name in BLENDS else stopped_run(folder))
    else:
        ship(args.name, args.runs / args.name, args.twin)


if __name__ == "__main__":
    sys.exit(run_and_report(main, "make_weights"))
