"""The folders that a training of takes draws from, laid out: who is in them, and how often each file is listed.

    python tools/training_folders.py OUT --rendered PEOPLE [PEOPLE ...] --scenes SCENES --templates T --four F

PEOPLE and SCENES are folders that tools/people rendered (the held-out numbers, people below 60 and rooms below 10, are
left out), T and F what `tools/photographs.py templates` and `four` wrote. OUT/people, OUT/scenes, OUT/places and
OUT/whole get links to the files, no copies, and are then what tools/make_weights.py asks for:

    python tools/make_weights.py train small --people OUT/people --scenes OUT/scenes --photos OUT/places \\
        --whole OUT/whole

A file is drawn as often as it is listed, so that `--rendered-times 2` makes up for fewer rendered people than
photographed ones. OUT must not exist, so that nothing of another layout stays in it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from bivm_ref.errors import UserError
from bivm_ref.reporting import run_and_report
from bivm_ref.shelf import drawable

FIRST_PERSON, FIRST_ROOM = 60, 10  # of those that are not held out


def listed(files: Iterable[Path], folder: Path, times: int) -> int:
    """Link each file into the folder so many times; returns how many are new there. UserError for a name that is
    there already."""
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for file in files:
        for k in range(times):
            name = folder / (f"again{k}_{file.name}" if k else file.name)
            if name.exists():
                raise UserError(f"{file}: {name.name} is there already, out of another folder; name each folder once")
            try:
                os.link(file.resolve(), name)
            except OSError:  # another disk, or a system without links
                shutil.copyfile(file, name)
            count += 1
    return count


def lay_out(out: Path, rendered: list[Path], scenes: Path | None, templates: Path | None, four: Path | None,
            rendered_times: int = 2, four_times: int = 3, places_times: int = 4) -> dict[str, int]:
    """Fill the folders below `out`; returns how many files each lists. places_times: of the places of `four`."""
    if out.exists():
        raise UserError(f"{out}: is there already; name a new folder, or delete it")
    parts = [(folder, "h", FIRST_PERSON, "people", rendered_times) for folder in rendered]
    if scenes:
        parts.append((scenes, "b", FIRST_ROOM, "scenes", 1))
    if templates:
        parts += [(templates / name, "-", 0, name, 1) for name in ("people", "places", "whole")]
    if four:
        parts += [(four / "people", "-", 0, "people", four_times), (four / "places", "-", 0, "places", places_times)]
    if not parts:
        raise UserError("nothing to lay out; give --rendered, --scenes, --templates or --four")
    found = [(drawable(folder, letter, first), name, times) for folder, letter, first, name, times in parts]
    counts: dict[str, int] = {}
    for files, name, times in found:  # only when every folder is there
        counts[name] = counts.get(name, 0) + listed(files, out / name, times)
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", metavar="OUT", type=Path)
    parser.add_argument("--rendered", metavar="PEOPLE", type=Path, nargs="+", default=[], help="rendered RGBA stills")
    parser.add_argument("--scenes", metavar="SCENES", type=Path, help="rendered places")
    parser.add_argument("--templates", metavar="T", type=Path, help="what tools/photographs.py templates wrote")
    parser.add_argument("--four", metavar="F", type=Path, help="what tools/photographs.py four wrote")
    for name, times, what in (("rendered", 2, "rendered person"), ("four", 3, "cut-out of the four photographs"),
                              ("places", 4, "place of the four photographs")):
        parser.add_argument(f"--{name}-times", metavar="N", type=int, choices=range(1, 31), default=times,
                            help=f"how often each {what} is listed ({times})")
    counts = lay_out(**vars(parser.parse_args()))
    print(", ".join(f"{name}: {count} files" for name, count in counts.items()))


if __name__ == "__main__":
    sys.exit(run_and_report(main, "training_folders"))
