"""What the tests of the data sets share: small folders in the field's layouts, written with Pillow."""

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


def damage_pixels(path: Path) -> None:
    """Spoil a PNG's pixels and nothing else: its header and its end stay as they were."""
    data = bytearray(path.read_bytes())
    start = data.index(b"IDAT") + 4
    data[start + 2:start + 40] = bytes(38)
    path.write_bytes(data)


def clips(mattes, backgrounds, augment, frames=3, seed=0, first=0, side=64, batch=1, **more) -> FolderClips:
    return FolderClips(Phase(10, side, side, batch, frames), first, seed, mattes, [backgrounds], augment, **more)
