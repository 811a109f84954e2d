"""Look at a folder of pictures: are they all whole, and a contact sheet of them. Needs Pillow and nothing else."""

from __future__ import annotations

import warnings
from pathlib import Path

from PIL import Image, ImageDraw

from bivm_ref.errors import UserError
from bivm_ref.files import beside

SUFFIXES = (".webp", ".png", ".jpg")
GROUND, INK = (118, 134, 150), (255, 255, 255)  # a colour that neither skin nor common clothes have
PER_CLIP = 6  # frames of a clip on a sheet


def pictures(folder: Path) -> list[Path]:
    """Pictures directly in a folder, by name; hidden ones are halves or marks."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; name one that `person`, `clip` or `scene` wrote")
    return sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES and not path.name.startswith("."))


def clips(folder: Path) -> list[list[Path]]:
    """The frames of every clip folder `c000123` in a folder."""
    found = [pictures(path) for path in sorted(folder.glob("c[0-9]*")) if path.is_dir()]
    return [frames for frames in found if frames]


def read(path: Path, alpha: bool | None = None) -> Image.Image:
    """A picture, decoded to its last pixel. Raises UserError that names the cure for a damaged one.

    With `alpha` True a picture without alpha is refused too.
    """
    cure = "delete it, and the same command as before makes it again"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with Image.open(path) as image:
                image.load()
                found = image.copy()
    except Exception as error:  # Pillow's decoders raise whatever they like at damaged bytes
        raise UserError(f"{path}: is damaged ({error}); {cure}") from error
    if alpha and found.mode != "RGBA":
        raise UserError(f"{path}: has no alpha (mode {found.mode}), so it is no person; {cure}")
    return found


def check(folder: Path) -> list[str]:
    """What is wrong with a folder's pictures, one line each; nothing if all are whole."""
    problems = []
    for path in [*pictures(folder), *(frame for frames in clips(folder) for frame in frames)]:
        try:
            read(path, alpha=path.suffix != ".jpg")
        except UserError as error:
            problems.append(str(error))
    for trying in sorted(folder.glob(".*.trying")):
        problems.append(f"{trying}: a seed that failed, or is in work right now; remove the file to try it again")
    return problems


def contact_sheet(folder: Path, out: Path, cell: int = 160, columns: int = 8, most: int = 64) -> int:
    """Write a sheet of a folder's first pictures, or of its clips with six frames each in a row; returns how many."""
    rows = clips(folder)
    if rows:
        columns = PER_CLIP
        shown = [frames[round(k * (len(frames) - 1) / (PER_CLIP - 1))] for frames in rows[: max(1, most // PER_CLIP)]
                 for k in range(PER_CLIP)]
    else:
        shown = pictures(folder)[:most]
    if not shown:
        raise UserError(f"{folder}: holds no pictures; make some with `python -m tools.people person`")
    columns = min(columns, len(shown))
    height = cell + 14  # the seed stands below each picture
    sheet = Image.new("RGB", (columns * cell, -(-len(shown) // columns) * height), GROUND)
    draw = ImageDraw.Draw(sheet)
    for number, path in enumerate(shown):
        x, y = number % columns * cell, number // columns * height
        image = read(path).convert("RGBA")
        image.thumbnail((cell, cell), Image.Resampling.LANCZOS)
        sheet.paste(image, (x + (cell - image.width) // 2, y + cell - image.height), image)
        draw.text((x + 3, y + cell + 1), f"{path.parent.name}/{path.stem}" if rows else path.stem, INK)
    with beside(out, "choose another --out") as part:
        sheet.save(part, "PNG")
    return len(shown)
