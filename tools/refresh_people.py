"""How the networks do on people: the tables in two READMEs, their data, and the picture of the worst frames.

    python tools/refresh_people.py measure --people PEOPLE --scenes SCENES --photographs HELD_OUT [NETWORK ...]
    python tools/refresh_people.py readme

PEOPLE and SCENES are folders that tools/people rendered, with its held-out numbers (people 0-59, rooms 0-9), HELD_OUT
one that tools/photographs.py fills. `measure` runs the named networks (all of NETWORKS without a name) on them and on
the two photographs of data_samples, puts the figures into data_samples/results/people.json beside those that it holds,
and for the shipped network draws worst_frames.jpg. With --photographs alone the other figures of a network stay.
`readme` brings the tables between their two markers up to date: that of README.md, which has the networks of IN_README,
and that of bivm_ref/weights/training/README.md, which has all. A test holds them equal to the file.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from bivm_ref import claims_data, evaluate
from bivm_ref.errors import UserError
from bivm_ref.files import beside
from bivm_ref.matte import load_engine
from bivm_ref.reporting import run_and_report
from bivm_ref.video import ImageWriter
from bivm_ref.worst import Worst

ROOT = Path(__file__).resolve().parent.parent
WEIGHTS = ROOT / "bivm_ref" / "weights"
RESULTS = ROOT / "data_samples" / "results"
FILE, PICTURE = RESULTS / "people.json", RESULTS / "worst_frames.jpg"
PHOTOGRAPHS = ("portrait", "astronaut")
NETWORKS = {  # name -> (what it is, engine, file)
    "default": ("shipped: half two students of `default-float`, half `default-38`", "packed", "default.safetensors"),
    "default-float": ("float: the twin and teacher of `default`", "torch", "training/default-float.pt"),
    "default-38": ("shipped before: two students of an earlier twin, with 0.15 each of `default-34` and `default-14`",
                   "packed", "training/default-38.safetensors"),
    "default-34": ("shipped before: two students of that earlier twin, a fifth of `default-25`", "packed",
                   "training/default-34.safetensors"),
    "default-25": ("shipped before: half of `default-21` trained on at three sizes, half `default-14`", "packed",
                   "training/default-25.safetensors"),
    "default-21": ("shipped before: `default-14` trained on, the first to work at 320×180", "packed",
                   "training/default-21.safetensors"),
    "default-14": ("shipped before: `default-7` trained on with more rendered places", "packed",
                   "training/default-14.safetensors"),
    "default-7": ("shipped before: `default-2` trained on", "packed", "training/default-7.safetensors"),
    "default-2": ("shipped before: grown out of `small`", "packed", "training/default-2.safetensors"),
    "small": ("the smaller network, shipped before", "packed", "small.safetensors"),
    "small-float-whole-mean": ("float: teacher of `small`; 0.8 `small-float-whole`, 0.2 `small-float-portraits`",
                               "torch", "training/small-float-whole-mean.pt"),
    "small-float-whole": ("float: trained with 611 photographs of people, filmed whole, too", "torch",
                          "training/small-float-whole.pt"),
    "small-portraits": ("shipped before: with 120 photographs of people", "packed",
                        "training/small-portraits.safetensors"),
    "small-float-mean": ("float: teacher of `small-portraits`; 0.7 of the next one, 0.3 `small-float-cloth`", "torch",
                         "training/small-float-mean.pt"),
    "small-float-portraits": ("float: trained with 120 photographs of people", "torch",
                              "training/small-float-portraits.pt"),
    "small-blend-2": ("shipped before: with four photographs of people", "packed",
                      "training/small-blend-2.safetensors"),
    "small-float-blend": ("float: teacher of `small-blend-2`; a mean of the last three of this table", "torch",
                          "training/small-float-blend.pt"),
    "small-cloth-2": ("shipped before: a student of `small-float-cloth`", "packed",
                      "training/small-cloth-2.safetensors"),
    "small-mix": ("shipped at first: no teacher, no filmed takes", "packed", "training/small-mix.safetensors"),
    "small-float": ("float: the twin of `small-mix`", "torch", "training/small-float.pt"),
    "small-float-cloth": ("float: `small-float` after 400 steps on takes with cloth", "torch",
                          "training/small-float-cloth.pt"),
    "small-float-takes": ("float: `small-float` after 4,000 steps on takes before there was cloth", "torch",
                          "training/small-float-takes.pt"),
    "small-float-photos": ("float: `small-float` after takes, cloth, hats, photographs", "torch",
                           "training/small-float-photos.pt"),
}
IN_README = ("default", "default-float", "default-38", "small", "small-float-whole-mean", "small-mix", "small-float")
WORKS_AT = {"default-float": 320}  # of what was trained at several sizes: that of most of its steps, and its student's
SHIPPED = "default"
MARKERS = ("<!-- people: python tools/refresh_people.py readme -->", "<!-- end of people -->")


def measure(name: str, people: str | None, scenes: str | None, photographs: str, before: dict | None,
            worst: Worst | None) -> dict:
    """Every clip's figures of one network: {"file", "sha256", "engine", "dates", "size", "clips"}. before: such, of
    the same file, whose figures on people are kept, with their date, when no people are given."""
    _, kind, file = NETWORKS[name]
    engine = load_engine(kind, WEIGHTS / file, WORKS_AT.get(name, "trained"))
    digest = hashlib.sha256((WEIGHTS / file).read_bytes()).hexdigest()
    today = datetime.now(timezone.utc).date().isoformat()
    if people is None:
        if before is None or before["sha256"] != digest:
            raise UserError(f"{file}: not the network whose figures are kept; give --people and --scenes, too")
        since = before["dates"]["people"]
        rows = [row for row in before["clips"] if not row["clip"].startswith("photograph/")]
    else:
        since = today
        rows = [row for photo in PHOTOGRAPHS
                for row in evaluate.evaluate_folder(ROOT / "data_samples" / photo, engine, overlap=True, worst=worst)]
        rows += evaluate.evaluate_people(people, scenes, engine, progress=True, overlap=True, worst=worst)
    rows += evaluate.evaluate_photographs(photographs, engine, progress=True, overlap=True)
    kept = [{key: short(value) for key, value in row.items() if key != "ms_per_frame"} for row in rows]
    return {"file": file, "sha256": digest, "engine": kind,
            "dates": {"people": since, "photographs": today}, "size": engine.size, "clips": kept}


def short(value: str | int | float | None) -> str | int | float | None:
    """A cell as it is written: three digits, and nothing for NaN."""
    if value is None or isinstance(value, (str, int)):
        return value
    return None if np.isnan(value) else round(value, 3)


def table(networks: dict[str, dict], names: Iterable[str]) -> str:
    """networks: of `claims_data.people`; names: which of them, row after row. Of each the two photographs one by one,
    means over the photographs that were kept out, over the rendered people and over the empty rooms."""
    lines = ["| network | | portrait | astronaut | 38 photographs | 60 rendered people | Grad | dtSSD "
             "| 10 empty rooms, mean alpha |", "|---|---|---|---|---|---|---|---|---|"]
    for name in names:
        if name in networks:
            of, people = networks[name], networks[name]["people"]
            sets = [of[which] for which in (*PHOTOGRAPHS, "photograph", "people")]
            cells = [f"{row['MAD']:.0f} ({row['IoU']:.2f})" for row in sets]
            cells += [f"{people['Grad']:.1f}", f"{people['dtSSD']:.1f}", f"{of['empty']['MAD'] / 1e3:.3f}"]
            lines.append(f"| `{name}` | {NETWORKS[name][0]} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def between_markers(text: str, new: str) -> str:
    """A page's text with what stands between its two markers made anew."""
    head, _, rest = text.partition(MARKERS[0])
    _, _, tail = rest.partition(MARKERS[1])
    return f"{head}{MARKERS[0]}\n{new}\n{MARKERS[1]}{tail}"


def pages(networks: dict[str, dict]) -> dict[Path, str]:
    """The two pages that hold a table -> their text with the table made anew."""
    return {path: between_markers(path.read_text(encoding="utf-8"), table(networks, names))
            for path, names in ((ROOT / "README.md", IN_README), (WEIGHTS / "training" / "README.md", NETWORKS))}


def read() -> dict[str, dict]:
    return json.loads(FILE.read_text(encoding="utf-8"))["networks"] if FILE.exists() else {}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("measure", "readme"))
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help=", ".join(NETWORKS))
    parser.add_argument("--people", metavar="D")
    parser.add_argument("--scenes", metavar="D")
    parser.add_argument("--photographs", metavar="D")
    args = parser.parse_args()
    if unknown := set(args.networks) - set(NETWORKS):
        parser.error(f"unknown network {min(unknown)}; choose among {', '.join(NETWORKS)}")
    if args.what == "measure":
        if not args.photographs or bool(args.people) != bool(args.scenes):
            parser.error("measure needs --photographs, a folder held_out of tools/photographs.py, and --people with "
                         "--scenes, folders that tools/people rendered, or neither of them")
        for name in args.networks or NETWORKS:
            worst = Worst() if name == SHIPPED and args.people else None
            found = read()
            found[name] = measure(name, args.people, args.scenes, args.photographs, found.get(name), worst)
            networks = {key: found[key] for key in NETWORKS if key in found}
            lines = ",\n".join(f" {json.dumps(key)}: " + json.dumps(value).replace('{"clip"', '\n  {"clip"')
                               for key, value in networks.items())
            with beside(FILE, "check the folder") as part:
                part.write_text('{"schema": 1, "networks": {\n' + lines + "\n}}\n", encoding="utf-8")
            if worst is not None:
                with ImageWriter(PICTURE) as writer:
                    writer.write(worst.sheet())
    for path, text in pages(claims_data.people(FILE)).items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(run_and_report(main, "refresh_people"))
