"""Photographs to train on: people cut out, and places. Nothing of them is in this repository.

    python tools/photographs.py four PHOTOS OUT       four photographs, nine stills of two people
    python tools/photographs.py templates OUT         649 photographs of people and 352 of places, from npm

`four`: PHOTOS is the folder tests/test_images of the sdist of face_recognition 1.3.0 (on PyPI). Four of its files are
official White House photographs by Pete Souza of Barack Obama and Joe Biden (2009 to 2012): their EXIF and IPTC fields
say so. As works of the United States government they are in the public domain there (17 U.S.C. 105). The same fields
hold the White House's notice: for news and personal printing, not to be manipulated, nor to be used as if it approved
of something. Whoever wants to heed the notice trains without them.

`templates`: photographs.tsv names them, file by file with its digest, in 195 packages of the npm registry: web
templates, themes, UI kits, demonstrations. These are under the MIT licence (seven under Apache 2.0, two under BSD, two
under either MIT or Apache 2.0) by their package.json or, Tabler's two, by its pages. 233 of the people are of
fake-avatars, whose faces look made up by a network, of nobody. Of the others the packages seldom say who took a
photograph; most that do name Unsplash. The 1.9 GB of packages are fetched from registry.npmjs.org and kept in CACHE.
The photographed are not asked here: train on them, do not show them. Private people's and firms' own pages, posters and
faces that are known were left out when the list was made (bivm_ref/weights/training/README.md).

OUT/people gets RGBA stills, OUT/places photographs with nobody near. `templates` writes OUT/whole, too: photographs
with all that is on them and the people's alpha, for `bivm-ref train --whole`. Trimaps come from MediaPipe's selfie
segmentation (Apache 2.0; its model lies in the wheel), alpha and foreground from pymatting; which cut-outs are kept was
decided by eye. 38 of the photographs, those whose digest begins with f, go to OUT/held_out alone: to measure on.

    pip install -e . mediapipe==0.10.14 pymatting

The two photographs of data_samples are held out and none of these.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import sys
import tarfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter, ImageOps
from tqdm import tqdm

from bivm_ref.errors import UserError
from bivm_ref.files import beside
from bivm_ref.images import read_image
from bivm_ref.reporting import run_and_report

SIDE = {"four": 900, "templates": 640}  # pixels of the longer side that is matted
LIST = Path(__file__).with_suffix(".tsv")
REGISTRY = "https://registry.npmjs.org"
HELD_OUT = "f"  # photographs whose digest begins so are not for training
SURE = 0.9  # of a mask, beyond which it is believed, away from its edge
# Boxes are left, top, right, bottom as shares. name -> what of the photograph is used, the stills that are cut from
# that, and places of that with nobody in them: curtains, flags, a chandelier.
PHOTOGRAPHS = {
    "biden": ((0, 0, 1, 0.56), ((0, 0, 1, 0.55), (0, 0, 1, 0.75), (0, 0, 1, 1)),
              ((0, 0, 0.37, 0.42), (0.8, 0, 1, 0.45))),
    "obama": ((0, 0, 1, 0.97), ((0.12, 0, 1, 0.52), (0, 0, 1, 1)),
              ((0, 0, 0.2, 0.42), (0, 0, 0.36, 0.3), (0.75, 0, 1, 0.36))),
    "obama2": ((0, 0, 1, 0.87), ((0, 0.1, 1, 0.6), (0, 0, 1, 1)), ((0, 0, 1, 0.14), (0, 0, 0.28, 0.4))),
    "obama3": ((0, 0.02, 0.88, 0.84), ((0.05, 0, 1, 0.5), (0, 0, 1, 1)), ((0, 0, 0.44, 0.3), (0.77, 0, 1, 0.3))),
}


def part(image: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray:
    """The part of an image (H, W, C) within a box of shares."""
    height, width = image.shape[:2]
    left, top, right, bottom = (round(share * side) for share, side in zip(box, (width, height, width, height)))
    return image[top:bottom, left:right]


def trimap_of(mask: np.ndarray) -> np.ndarray:
    """A mask (H, W) in [0, 1] → a trimap: 1 and 0 where it is sure for some way around, 0.5 elsewhere."""
    reach = 2 * round(0.008 * max(mask.shape)) + 1

    def shrunk(region: np.ndarray) -> np.ndarray:
        return np.asarray(Image.fromarray(region.astype(np.uint8) * 255).filter(ImageFilter.MinFilter(reach))) > 0

    return np.where(shrunk(mask > SURE), 1.0, np.where(shrunk(mask < 1 - SURE), 0.0, 0.5))


def cutter() -> Callable[[np.ndarray], np.ndarray]:
    """What cuts people out: a photograph (H, W, 3) uint8 → (H, W, 4) uint8 with straight alpha. UserError without the
    packages that it needs."""
    try:
        import mediapipe
        from pymatting import estimate_alpha_cf, estimate_foreground_ml
    except ImportError as error:
        raise UserError(f"{error.name} is missing; pip install -e . mediapipe==0.10.14 pymatting") from error
    segmenter = mediapipe.solutions.selfie_segmentation.SelfieSegmentation(model_selection=0)

    def cut(image: np.ndarray) -> np.ndarray:
        trimap = trimap_of(segmenter.process(image).segmentation_mask)
        alpha = estimate_alpha_cf(image / 255.0, trimap)
        foreground = estimate_foreground_ml(image / 255.0, alpha)
        return np.rint(255 * np.clip(np.dstack([foreground, alpha]), 0, 1)).astype(np.uint8)

    return cut


def reduced(image: Image.Image, side: int) -> Image.Image:
    """The image, its longer side `side` pixels at most."""
    scale = min(1.0, side / max(image.size))
    return image.resize([max(1, round(n * scale)) for n in image.size], Image.Resampling.LANCZOS)


def is_cut_out(image: Image.Image) -> bool:
    """Whether part of it is transparent; an alpha that is opaque everywhere, as some PNGs have, says nothing."""
    return image.convert("RGBA").getchannel("A").getextrema()[0] < 128


def four(photos: Path, out: Path) -> None:
    """Write the stills and the places of the four photographs."""
    missing = [name for name in PHOTOGRAPHS if not (photos / f"{name}.jpg").exists()]
    if missing:
        raise UserError(f"{photos / missing[0]}.jpg: no such photograph; unpack face_recognition's sdist (see --help)")
    cut = cutter()
    for folder in (out / "people", out / "places"):
        folder.mkdir(parents=True, exist_ok=True)
    for name, (used, stills, places) in PHOTOGRAPHS.items():
        image = part(read_image(photos / f"{name}.jpg"), used)
        for number, box in enumerate(places):
            Image.fromarray(part(image, box)).save(out / "places" / f"{name}_{number}.png")
        still = cut(np.asarray(reduced(Image.fromarray(image), SIDE["four"])))
        for number, box in enumerate(stills):
            Image.fromarray(part(still, box), "RGBA").save(out / "people" / f"{name}_{number}.png")
        print(f"{name}: {len(stills)} stills of {still.shape[1]}x{still.shape[0]}, {len(places)} places", flush=True)


def package(name: str, version: str, cache: Path) -> Path:
    """A package of the npm registry as a file, fetched if need be. UserError when it cannot be had."""
    file = cache / f"{name.replace('/', '-').lstrip('@')}-{version}.tgz"
    if not file.exists():
        address = f"{REGISTRY}/{name}/-/{name.rpartition('/')[2]}-{version}.tgz"
        try:
            with urllib.request.urlopen(address, timeout=60) as answer, beside(file) as part_file:
                part_file.write_bytes(answer.read())
        except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
            raise UserError(f"{address}: cannot be fetched ({error}); look at the connection, and try again: what is "
                            "there already stays") from error
    return file


def listed(rows: list[dict[str, str]], file: Path) -> Iterator[tuple[dict[str, str], bytes]]:
    """The listed files of a package, each with its row. UserError when one is missing or another than the list says."""
    wanted = {f"package/{row['file']}": row for row in rows}
    try:
        with tarfile.open(file) as archive:
            for member in archive:
                if member.isfile() and member.name in wanted:
                    data = archive.extractfile(member).read()
                    row = wanted.pop(member.name)
                    if not hashlib.sha256(data).hexdigest().startswith(row["sha256"]):
                        raise UserError(f"{file}: {member.name} is not the photograph of the list; delete the file")
                    yield row, data
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise UserError(f"{file}: not a whole package ({error}); delete it, and it is fetched again") from error
    if wanted:
        raise UserError(f"{file}: {min(wanted)} is not in it; delete the file, and it is fetched again")


def save(image: Image.Image, path: Path) -> None:
    with beside(path) as part_file:
        image.save(part_file, "PNG")


def templates(out: Path, cache: Path) -> None:
    """Write the stills and the places that photographs.tsv lists. What is there already is not made again."""
    with LIST.open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    cut = cutter()
    for folder in ("people", "places", "whole", "held_out"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    with tqdm(rows, desc="photographs", leave=False, disable=None) as bar:
        for (name, version), group in groupby(rows, lambda row: (row["package"], row["version"])):
            group = list(group)
            for row, data in listed(group, package(name, version, cache)):
                bar.update()
                name = f"npm_{row['sha256']}.png"
                target, held_out = out / row["use"] / name, out / "held_out" / name
                if target.exists() or held_out.exists():
                    continue
                image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
                if row["use"] == "people" and is_cut_out(image):  # by those who made the template
                    image = image.convert("RGBA")
                else:
                    image = image.convert("RGB")
                    if row["use"] == "people":
                        photograph = reduced(image, SIDE["templates"])
                        image = Image.fromarray(cut(np.asarray(photograph)), "RGBA")
                        photograph.putalpha(image.getchannel("A"))
                        if row["sha256"].startswith(HELD_OUT):
                            save(photograph, held_out)
                            continue
                        save(photograph, out / "whole" / name)
                save(image, target)  # last: what is there is not made again
    uses = [row["use"] for row in rows]
    print(f"{out}: {uses.count('people')} stills of people, {uses.count('places')} places")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    jobs = parser.add_subparsers(dest="job", required=True, metavar="four | templates")
    job = jobs.add_parser("four", help="nine stills of four photographs, and what is behind them")
    job.add_argument("photos", type=Path, metavar="PHOTOS", help="tests/test_images of face_recognition's sdist")
    job.add_argument("out", type=Path, metavar="OUT", help="gets a folder of people and one of places")
    job = jobs.add_parser("templates", help="people and places from packages of the npm registry")
    job.add_argument("out", type=Path, metavar="OUT", help="gets a folder of people and one of places")
    job.add_argument("--cache", type=Path, metavar="CACHE", help="where packages are kept (OUT/packages)")
    args = parser.parse_args()
    if args.job == "four":
        four(args.photos, args.out)
    else:
        templates(args.out, args.cache or args.out / "packages")


if __name__ == "__main__":
    sys.exit(run_and_report(main, "photographs"))
