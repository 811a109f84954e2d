"""Four photographs of people, cut out to train on, and what is behind them: the only photographed people there are.

    python tools/photographs.py PHOTOS OUT

PHOTOS is the folder tests/test_images of the sdist of face_recognition 1.3.0 (on PyPI). Four of its files are official
White House photographs by Pete Souza of Barack Obama and Joe Biden (2009 to 2012): their EXIF and IPTC fields say so.
As works of the United States government they are in the public domain there (17 U.S.C. 105). The same fields hold the
White House's notice: for news and personal printing, not to be manipulated, nor to be used as if it approved of
something. Nothing of them is in this repository, and whoever wants to heed the notice trains without them.

OUT/people gets nine RGBA stills, OUT/places nine pieces of
what is behind them. Trimaps come from MediaPipe's selfie segmentation (Apache 2.0; its model lies
in the wheel), alpha and foreground from pymatting:

    pip install -e . mediapipe==0.10.14 pymatting

The two photographs of data_samples are held out and none of these.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from bivm_ref.errors import UserError
from bivm_ref.images import read_image
from bivm_ref.reporting import run_and_report

SIDE = 900  # pixels of the longer side that is matted
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


def cut_out(photos: Path, out: Path) -> None:
    """Write the stills and the places of every photograph."""
    missing = [name for name in PHOTOGRAPHS if not (photos / f"{name}.jpg").exists()]
    if missing:
        raise UserError(f"{photos / missing[0]}.jpg: no such photograph; unpack face_recognition's sdist (see --help)")
    try:
        import mediapipe
        from pymatting import estimate_alpha_cf, estimate_foreground_ml
    except ImportError as error:
        raise UserError(f"{error.name} is missing; pip install -e . mediapipe==0.10.14 pymatting") from error

    segmenter = mediapipe.solutions.selfie_segmentation.SelfieSegmentation(model_selection=0)
    for folder in (out / "people", out / "places"):
        folder.mkdir(parents=True, exist_ok=True)
    for name, (used, stills, places) in PHOTOGRAPHS.items():
        image = part(read_image(photos / f"{name}.jpg"), used)
        for number, box in enumerate(places):
            Image.fromarray(part(image, box)).save(out / "places" / f"{name}_{number}.png")
        scale = SIDE / max(image.shape[:2])
        size = round(image.shape[1] * scale), round(image.shape[0] * scale)
        image = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS))
        trimap = trimap_of(segmenter.process(image).segmentation_mask)
        alpha = estimate_alpha_cf(image / 255.0, trimap)
        foreground = estimate_foreground_ml(image / 255.0, alpha)
        cut = np.rint(255 * np.clip(np.dstack([foreground, alpha]), 0, 1)).astype(np.uint8)
        for number, box in enumerate(stills):
            Image.fromarray(part(cut, box), "RGBA").save(out / "people" / f"{name}_{number}.png")
        print(f"{name}: {len(stills)} stills of {size[0]}x{size[1]}, {len(places)} places", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path, metavar="PHOTOS", help="tests/test_images of face_recognition's sdist")
    parser.add_argument("out", type=Path, metavar="OUT", help="gets a folder of people and one of places")
    args = parser.parse_args()
    cut_out(args.photos, args.out)


if __name__ == "__main__":
    sys.exit(run_and_report(main, "photographs"))
