"""Work through seeds so that the same command, run again, goes on where it was.

What is there already is kept. A file is written beside its name and then renamed, so there are no halves. While a seed
is in work, a mark `.NAME.trying` stands in the folder: one that is found there later says that the seed brought the
process down (Blender can crash without an exception), and it is passed over. An exception leaves the mark as well,
with what it said. Ctrl-C and a polite kill (interrupts.py) take the mark away.
"""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from bivm_ref.errors import UserError
from bivm_ref.files import beside

SETTINGS = "people.json"
FRESH_AFTER = 100  # renders: Blender loses a little memory with each, and a new process has it back


@dataclass
class Tally:
    """How many of the seeds asked for are there, and why the others are not."""

    kept: int = 0
    made: int = 0
    failed: int = 0  # now
    skipped: int = 0  # for a mark of an earlier run
    unfinished: bool = False  # stopped early for a fresh process

    def text(self) -> str:
        parts = [f"{self.made} made", f"{self.kept} were there"]
        parts += [f"{self.failed} failed"] if self.failed else []
        parts += [f"{self.skipped} passed over, marked by an earlier run"] if self.skipped else []
        return ", ".join(parts)


def mark(out: Path, name: str) -> Path:
    return out / f".{name}.trying"


def run(out: Path, names: Iterable[str], there: Callable[[str], bool], make: Callable[[str], str],
        say: Callable[[str], None], most: int = FRESH_AFTER) -> Tally:
    """Make every name that is not there yet; `make` returns a line about it, which `say` is told.

    An exception fails that one name and the work goes on; UserError and Ctrl-C end it. After `most` names it returns
    with `unfinished` set.
    """
    tally = Tally()
    for name in names:
        trying = mark(out, name)
        if there(name):
            tally.kept += 1
            continue
        if trying.exists():
            tally.skipped += 1
            say(f"{name}: passed over, an earlier run ended while making it; remove {trying} to try again")
            continue
        if tally.made + tally.failed == most:
            tally.unfinished = True
            return tally
        try:
            touch(trying, "this seed was in work when the process ended\n")
            text = make(name)
        except (UserError, KeyboardInterrupt):
            trying.unlink(missing_ok=True)
            raise
        except Exception as error:
            tally.failed += 1
            touch(trying, traceback.format_exc())
            say(f"{name}: FAILED ({type(error).__name__}: {error}); passed over, details in {trying}")
            continue
        trying.unlink()
        tally.made += 1
        say(f"{name}: {text}")
    return tally


def touch(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path.parent}: cannot be written to ({error.strerror}); choose another --out") from error


def claim(out: Path, settings: dict) -> None:
    """Write down what a folder's pictures were made with, or raise UserError if it holds others."""
    path = out / SETTINGS
    if path.exists():
        try:
            earlier = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise UserError(f"{path}: cannot be read ({error}); choose another --out, or remove the folder") from error
        for key, value in settings.items():
            if earlier.get(key) != value:
                raise UserError(f"{out}: holds pictures made with {key} {earlier.get(key)}, not {value}; choose "
                                "another --out, or that value")
        return
    write_text(path, json.dumps(settings, indent=1) + "\n")


def write_text(path: Path, text: str) -> None:
    with beside(path, "choose another --out") as part:
        part.write_text(text, encoding="utf-8")


def read_number(path: Path) -> float | None:
    """The number in a file that write_text made, or None where there is no file."""
    if not path.exists():
        return None
    try:
        return float(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path}: is damaged ({error}); delete {path.parent}, and the same command makes it again"
                        ) from error


def write_picture(path: Path, pixels: np.ndarray) -> None:
    """(H, W, 4) or (H, W, 3) uint8, by the suffix: WebP or JPEG with loss in colour only, PNG without any."""
    options = {".webp": {"format": "WEBP", "quality": 92, "alpha_quality": 100, "exact": True, "method": 4},
               ".jpg": {"format": "JPEG", "quality": 92, "subsampling": 0}, ".png": {"format": "PNG"}}
    with beside(path, "choose another --out") as part:
        Image.fromarray(pixels).save(part, **options[path.suffix])


def say(text: str) -> None:
    print(text, file=sys.stdout, flush=True)
