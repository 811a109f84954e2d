"""Folders of stills, backgrounds and rendered clips that training clips are made of, a few of which may be broken.

Which files may be drawn, how one is read, and what happens to one that cannot be: it is left out, counted and named.
NumPy and Pillow.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path as FilePath

import numpy as np
from PIL import Image, UnidentifiedImageError

from .errors import UserError

TOLERATED = 0.01  # share of a folder's files that may be unreadable, as of the field's data sets (`learn.folders`)


def drawable(folder: str | FilePath, letter: str, first: int) -> list[FilePath]:
    """The images in a folder, sorted by name, without the held-out ones (`letter` + six digits below
    `first`)."""
    folder = FilePath(folder)
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; give a folder of images")
    held_out = re.compile(rf"{letter}(\d{{6}})\.", re.IGNORECASE)
    files = []
    for file in sorted(folder.iterdir()):
        number = held_out.match(file.name)
        hidden = file.name.startswith(".")  # as the "._" files that macOS leaves beside copies
        if not hidden and file.suffix.lower() in {".png", ".webp", ".jpg", ".jpeg"} and not (
            number and int(number[1]) < first
        ):
            files.append(file)
    if not files:
        raise UserError(
            f"{folder}: no image to train on (numbers below {first} are held out); add PNG or WebP files"
        )
    return files


def drawable_clips(folder: str | FilePath, first: int = 60) -> list[FilePath]:
    """The folders of frames in a folder, `c` + six digits, sorted, without the held-out ones (below `first`).

    `python -m tools.people clip` renders such. Raises UserError if the folder is missing or holds none.
    """
    folder = FilePath(folder)
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; give a folder of clips, c000060/0000.webp and so on")
    found = [place for place in sorted(folder.iterdir())
             if place.is_dir() and re.fullmatch(r"c\d{6,}", place.name) and int(place.name[1:]) >= first]
    if not found:
        raise UserError(f"{folder}: no clip to train on, c{first:06} or above; render some with tools/people")
    return found


def load_frames(folder: FilePath, side: int) -> np.ndarray:
    """The frames of such a clip, (T, h, w, 4) uint8, straight alpha. UserError for none, and for unequal sizes."""
    files = sorted(file for file in folder.iterdir()
                   if file.suffix.lower() in {".png", ".webp"} and not file.name.startswith("."))
    frames = [load(file, side, "RGBA") for file in files]
    if len({frame.shape for frame in frames}) != 1:
        raise UserError(f"{folder}: {'frames of unequal size' if frames else 'no frames'}; render it again")
    return np.stack(frames)


@functools.lru_cache(maxsize=192)
def load(file: FilePath, side: int, mode: str) -> np.ndarray:
    """An image as uint8 array (H, W, 3 or 4), its longer side at most `side` pixels; recent ones stay decoded.

    mode: "RGB", "RGBA", or "RGB+A", whose colours count where alpha is 0, too: a whole photograph with its matte."""
    try:
        with Image.open(file) as image:
            if mode != "RGB" and "A" not in image.getbands() and "transparency" not in image.info:
                raise UserError(
                    f"{file}: no alpha channel; people must be RGBA images with a transparent background"
                )
            image = image.convert(mode.replace("+", ""))
    except (OSError, UnidentifiedImageError) as error:
        raise UserError(f"{file}: not a readable image ({error}); remove or replace it") from error
    if max(image.size) > side:
        if mode == "RGB+A":  # each plane by itself, as Pillow premultiplies RGBA while it resizes
            planes = image.split()
            for plane in planes:
                plane.thumbnail((side, side), Image.Resampling.BOX)
            image = Image.merge("RGBA", planes)
        else:
            image.thumbnail((side, side), Image.Resampling.BOX)
    if mode == "RGB" and min(image.size) < 2:
        raise UserError(f"{file}: a background of {image.width}x{image.height} pixels shows nothing; remove it")
    array = np.asarray(image)
    array.setflags(write=False)
    return array


class Shelf:
    """Files by kind, read by number. One that cannot be read is marked in `marks`, and the next one is taken instead;
    when they are over 1 % of their folder, UserError.

    marks (files,) uint8, one byte a file, kind after kind: 1 was of no use. A training's workers share it (see
    `learn.datasets`). As long as all files are sound, what is read depends on the number alone.
    """

    def __init__(self, **files: list[FilePath]) -> None:
        self.files = files
        self.marks = np.zeros(sum(map(len, files.values())), np.uint8)

    def read(self, kind: str, number: int, side: int, mode: str) -> tuple[np.ndarray, str]:
        """File `number` of a kind, or the next one that can be read: uint8 (h, w, 3 or 4), of a clip (T, h, w, 4); and
        its name."""
        files, first = self.files[kind], self._first(kind)
        for k in range(len(files)):
            n = (number + k) % len(files)
            if self.marks[first + n]:
                continue
            try:
                return (load_frames(files[n], side) if kind == "moving" else load(files[n], side, mode),
                        files[n].stem)
            except Exception as error:  # decoders raise nearly anything on broken bytes
                self.marks[first + n] = 1
                reason = str(error) if isinstance(error, UserError) else f"{files[n]}: not a readable image"
                self.check(kind, reason)
        raise UserError(f"{files[0].parent}: no file of it can be read; copy the folder again")

    def _first(self, kind: str) -> int:
        """Number of the kind's first file among `marks`."""
        kinds = list(self.files)
        return sum(len(self.files[k]) for k in kinds[: kinds.index(kind)])

    def left_out(self, kind: str) -> list[FilePath]:
        """The files of a kind ("people", "scene", "photo") that turned out to be of no use."""
        first = self._first(kind)
        return [file for n, file in enumerate(self.files[kind]) if self.marks[first + n]]

    def check(self, kind: str, reason: str) -> None:
        """Raises UserError when more than `TOLERATED` of the kind's files are of no use; reason: the last one's."""
        files, bad = self.files[kind], len(self.left_out(kind))
        if bad > TOLERATED * len(files):
            share = f"{100 * bad / len(files):.1f} %, over {100 * TOLERATED:.0f} %"
            raise UserError(f"{reason.split(';')[0]}; with it {bad:,} of {len(files):,} files of {files[0].parent} are "
                            f"of no use ({share}); copy the folder again, or remove them")

    def account(self) -> dict[str, list]:
        """{kind: [files, first name, last name]} of what may be drawn, for a training's record."""
        return {kind: [len(files), files[0].stem, files[-1].stem] for kind, files in self.files.items() if files}

    def summary(self) -> str:
        """A line per folder: files, and what was left out. To print after a training."""
        lines = []
        for kind, files in self.files.items():
            if files:
                bad = self.left_out(kind)
                names = ", ".join(file.name for file in bad[:3]) + (", …" if len(bad) > 3 else "")
                lines.append(f"{files[0].parent}: {len(files) - len(bad):,} files"
                             + (f"; left out {len(bad):,} unreadable ({names})" if bad else ""))
        return "\n".join(lines)
