"""What the tests of the data sets share: small folders in the field's layouts, written with Pillow."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from bivm_ref.learn.datasets import Phase
from bivm_ref.learn.footage import FolderClips


def picture(seed: int, size=(64, 64), channels: int = 3) -> np.ndarray:
    """(H, W, 3) or (H, W) uint8: noise, different for every seed."""
    shape = (size[1], size[0], 3) if channels == 3 else (size[1], size[0])
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def save(path: Path, array: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)
    return path


def write_video_mattes(root: Path, lengths=(5, 4), size=(64, 64)) -> Path:
    """VideoMatte240K's layout: fgr/0001/00000.png, pha/0001/00000.png. Frame t of clip c has seed 100 c + t."""
    for c, length in enumerate(lengths):
        for t in range(length):
            save(root / f"fgr/{c + 1:04d}/{t:05d}.png", picture(100 * c + t, size))
            save(root / f"pha/{c + 1:04d}/{t:05d}.png", picture(100 * c + t + 50, size, 1))
    return root


def write_image_mattes(root: Path, count=3, size=(64, 64)) -> Path:
    for i in range(count):
        save(root / f"fgr/{'abcdefgh'[i]}.png", picture(1000 + i, size))
        save(root / f"pha/{'abcdefgh'[i]}.png", picture(1050 + i, size, 1))
    return root


def write_backgrounds(root: Path, count=2, size=(64, 64)) -> Path:
    for i in range(count):
        save(root / f"{i}.png", picture(2000 + i, size))
    return root


def write_background_clips(root: Path, lengths=(4, 6), size=(64, 64)) -> Path:
    for c, length in enumerate(lengths):
        for t in range(length):
            save(root / f"{c:04d}/{t:04d}.png", picture(3000 + 100 * c + t, size))
    return root


def rectangle(x0, y0, x1, y1):
    return [[x0, y0, x1, y0, x1, y1, x0, y1]]


def write_coco(root, count=3, size=(64, 48)):
    """Image i: a person at (4, 4)-(20, 30), a dog elsewhere; image 1 a crowd as well; the last shows no person."""
    images, annotations = [], []
    for i in range(count):
        save(root / f"images/{i}.png", picture(i, size))
        images.append({"id": 70 + i, "file_name": f"{i}.png", "width": size[0], "height": size[1]})
        annotations.append({"image_id": 70 + i, "category_id": 18, "segmentation": rectangle(40, 0, 64, 48)})
        if i < count - 1:
            annotations.append({"image_id": 70 + i, "category_id": 1, "segmentation": rectangle(4, 4, 20, 30)})
    crowd = np.zeros((size[1], size[0]), bool)
    crowd[40:45, 30:36] = True
    annotations.append({"image_id": 71, "category_id": 1, "iscrowd": 1, "segmentation": rle(crowd)})
    write_json(root / "instances.json", images=images, annotations=annotations,
               categories=[{"id": 1, "name": "person"}, {"id": 18, "name": "dog"}])
    return root


def write_json(path, **data):
    path.write_text(json.dumps(data), encoding="utf-8")


def write_youtube(root, length=4, size=(64, 48)):
    """Two videos. In "aa" one person walks right, 8 pixels a frame, and another is there in frame 1 alone."""
    videos, annotations = [], []
    for v, name in enumerate(("aa", "bb")):
        for t in range(length):
            save(root / f"JPEGImages/{name}/{5 * t:05d}.png", picture(100 * v + t, size))
        videos.append({"id": v, "width": size[0], "height": size[1],
                       "file_names": [f"{name}/{5 * t:05d}.png" for t in range(length)]})
    walker, guest = [], [None] * length
    for t in range(length):
        mask = np.zeros((size[1], size[0]), bool)
        mask[10:40, 8 * t:8 * t + 8] = True
        walker.append(rle(mask))
    guest[1] = rectangle(50, 0, 60, 10)
    annotations = [{"video_id": 0, "category_id": 26, "segmentations": walker},
                   {"video_id": 0, "category_id": 26, "segmentations": guest},
                   {"video_id": 1, "category_id": 3, "segmentations": walker}]  # a giraffe
    write_json(root / "instances.json", videos=videos, annotations=annotations,
               categories=[{"id": 26, "name": "person"}, {"id": 3, "name": "giraffe"}])
    return root


def rle(mask):
    """Uncompressed run lengths of a boolean mask, counted one pixel after the other."""
    counts, current = [0], False
    for pixel in mask.T.ravel():
        if pixel != current:
            counts.append(0)
            current = pixel
        counts[-1] += 1
    return {"size": list(mask.shape), "counts": counts}


def damage_pixels(path: Path) -> None:
    """Spoil a PNG's pixels and nothing else: its header and its end stay as they were."""
    data = bytearray(path.read_bytes())
    start = data.index(b"IDAT") + 4
    data[start + 2:start + 40] = bytes(38)
    path.write_bytes(data)


def clips(mattes, backgrounds, augment, frames=3, seed=0, first=0, side=64, batch=1, **more) -> FolderClips:
    return FolderClips(Phase(10, side, side, batch, frames), first, seed, mattes, [backgrounds], augment, **more)
