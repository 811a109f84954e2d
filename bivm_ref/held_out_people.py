"""Rendered people that no training saw, before rendered scenes that none saw: clips of known alpha, and empty scenes;
and clips filmed off whole photographs.

Rendered stills and scenes are numbered: h000000 to h000059 and b000000 to b000009 are held out, which `shelf.drawable`
sees to. Still n stands in scene n mod 10, set in motion by `clips.still_clip` from a seed that is held out as well. A
scene with nobody in it has alpha 0 everywhere, so its MAD is its mean alpha, times 1e3. README.md's figures are of
a set that a forerunner of `tools/people` rendered: other people than its seeds give now, half of the scenes outdoors.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from .clips import HELD_OUT, Clip, background_clip, still_clip
from .errors import UserError
from .filmed import FilmedPhotograph
from .images import sound_size, unreadable
from .motion import Path as Way
from .shelf import drawable, load

PEOPLE, ROOMS = 60, 10  # numbers below these are held out
FRAMES, HEIGHT, WIDTH = 8, 288, 512
PHOTOGRAPH_FRAMES = 4
FIRST_SEED = HELD_OUT.start + 20_000  # of the clips with people; with nobody, 1,000 further on


def held_out_files(folder: str | Path, letter: str, below: int) -> list[Path]:
    """The images of a folder whose names are `letter` + six digits, less than `below`, sorted. UserError if there is
    none."""
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; give one that tools/people rendered")
    names = re.compile(rf"{letter}(\d{{6}})\.(png|webp|jpg|jpeg)", re.IGNORECASE)
    files = [file for file in sorted(folder.iterdir()) if (m := names.fullmatch(file.name)) and int(m[1]) < below]
    if not files:
        raise UserError(f"{folder}: no held-out image, {letter}000000 to {letter}{below - 1:06d}, in it; render them "
                        "with tools/people")
    return files


def held_out_clips(people: str | Path, scenes: str | Path, frames: int = FRAMES, height: int = HEIGHT,
                   width: int = WIDTH) -> Iterator[Clip]:
    """A clip for each held-out still ("people/h000012 b000002"), then one for each room alone ("empty/b000002").

    Raises UserError for a folder without such files, for a scene that a still needs, and for a file that cannot be
    read, all before the first clip.
    """
    stills, rooms = held_out_files(people, "h", PEOPLE), held_out_files(scenes, "b", ROOMS)
    by_number = {int(room.stem[1:]): room for room in rooms}
    check_readable([*stills, *rooms])
    for file in stills:
        if (needed := int(file.stem[1:]) % ROOMS) not in by_number:
            raise UserError(f"{scenes}: no b{needed:06d}, before which {file.name} stands; render it with tools/people")
    for file in stills:
        number = int(file.stem[1:])
        room = by_number[number % ROOMS]
        background = background_clip(FIRST_SEED + number, frames, height, width, load(room, 1024, "RGB"))
        yield still_clip(load(file, 768, "RGBA"), FIRST_SEED + number, frames, height, width, background,
                         name=f"people/{file.stem} {room.stem}")
    for room in rooms:
        seed = FIRST_SEED + 1_000 + int(room.stem[1:])
        seen = background_clip(seed, frames, height, width, load(room, 1024, "RGB"))
        yield Clip(f"empty/{room.stem}", seen, np.zeros(seen.shape[:3], np.float32), seen)


def check_readable(files: list[Path]) -> None:
    """UserError for the first file that cannot be read, and how many there are."""
    broken = [file for file in files if sound_size(file) is None]
    if broken:
        raise UserError(f"{unreadable(broken[0])}" + (f" ({len(broken)} such files)" if len(broken) > 1 else ""))


def photograph_clips(folder: str | Path, frames: int = PHOTOGRAPH_FRAMES, height: int = HEIGHT, width: int = WIDTH
                     ) -> Iterator[Clip]:
    """A clip filmed off each whole photograph of a folder ("photograph/npm_f0…"), RGBA with the people's alpha.

    `tools/photographs.py templates` keeps some from training; their alpha is MediaPipe's and pymatting's, so a good
    guess, no truth. Raises UserError as `shelf.drawable` does, and before the first clip for a file that cannot be
    read.
    """
    check_readable(files := drawable(folder, "h", 0))
    still = Way(np.random.default_rng(0), 0.0)
    for number, file in enumerate(files):
        rng = np.random.default_rng([FIRST_SEED, 2, number])
        shot = FilmedPhotograph(load(file, 1024, "RGB+A"), rng, height, width, (still, still), nearest=0.8)
        seen, alphas = (np.stack(planes) for planes in zip(*(shot.view(float(t)) for t in range(frames)), strict=True))
        yield Clip(f"photograph/{file.stem}", seen, alphas, seen)


def count(people: str | Path, scenes: str | Path) -> int:
    """How many clips `held_out_clips` makes."""
    return len(held_out_files(people, "h", PEOPLE)) + len(held_out_files(scenes, "b", ROOMS))
