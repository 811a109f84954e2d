"""Whole photographs of people, filmed: a window wanders over one and goes nearer, colour and alpha alike.

What is pasted betrays itself by its light and its edge; on a whole photograph there is nothing to betray. It is
foreground and background in one, so that the compositing equation gives the photograph whatever its alpha is.

NumPy and Pillow only; our recipe.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from .motion import Path
from .staging import COARSEST, head_of

NEAREST = 0.5  # how near a window goes in training
HEAD = 0.7  # odds that a head is looked for; otherwise any point of somebody
BREATH = 0.04  # how far the window's size goes up and down, as a share


class FilmedPhotograph:
    """A frame-shaped window of a photograph, never beyond its edges.

    photograph: (h, w, 4) uint8, colours as taken everywhere and the people's alpha. shake: two paths, pixels of the
    frame, that the whole shot has. nearest: the smallest window, as a share of the widest one that fits. `view(t)`
    gives frame (H, W, 3) uint8 and alpha (H, W) float32 in [0, 1].
    """

    def __init__(self, photograph: np.ndarray, rng: np.random.Generator, height: int, width: int,
                 shake: Sequence[Path], nearest: float = NEAREST) -> None:
        if rng.random() < 0.5:
            photograph = photograph[:, ::-1]
        h, w = photograph.shape[:2]
        fit = min(w / width, h / height)  # pixels of the photograph to one of the frame, at most
        scale = min(1 / (fit * rng.uniform(nearest, 1)), max(COARSEST, 1 / fit))
        self.w, self.h = max(round(w * scale), width), max(round(h * scale), height)
        alpha = photograph[..., 3]
        # Apart, since Pillow would premultiply: what is behind people would turn black.
        self.planes = [Image.fromarray(np.ascontiguousarray(plane)).resize((self.w, self.h), Image.Resampling.BOX
                                                                           if scale < 1 else Image.Resampling.BILINEAR)
                       for plane in (photograph[..., :3], alpha)]
        self.height, self.width, self.shake = height, width, shake
        x, y = somebody(alpha, rng)
        self.centre = (x * scale + rng.uniform(-0.3, 0.3) * width, y * scale + rng.uniform(-0.3, 0.3) * height)
        moving = rng.random() < 0.7
        self.pan = [Path(rng, 0.08 * n * moving) for n in (width, height)]
        self.breath = Path(rng, BREATH * moving)

    def window(self, t: float) -> tuple[float, float, float]:
        """Left, top and size (as a share of the frame) of what is seen at time t, in pixels of the reduced picture."""
        size = 1 - BREATH + self.breath(t)
        left, top = (
            min(max(centre - side * size / 2 + pan(t) + shake(t), 0.0), whole - side * size)
            for centre, side, whole, pan, shake in zip(self.centre, (self.width, self.height), (self.w, self.h),
                                                       self.pan, self.shake, strict=True))
        return left, top, size

    def view(self, t: float) -> tuple[np.ndarray, np.ndarray]:
        left, top, size = self.window(t)
        frame, alpha = (plane.transform((self.width, self.height), Image.Transform.AFFINE,
                                        (size, 0, left, 0, size, top), Image.Resampling.BILINEAR)
                        for plane in self.planes)
        return np.asarray(frame), np.asarray(alpha) / np.float32(255)


def somebody(alpha: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    """A point (x, y) of somebody in an alpha (h, w) uint8: of the head (odds `HEAD`) or anywhere."""
    odds, draw = rng.random(), rng.random(2)
    points = np.flatnonzero(alpha > 127)
    if not len(points):
        return draw[0] * alpha.shape[1], draw[1] * alpha.shape[0]
    if odds < HEAD:
        top, head, middle = head_of(alpha)
        return middle, top + head / 2
    y, x = divmod(int(points[int(draw[0] * len(points))]), alpha.shape[1])
    return float(x), float(y)
