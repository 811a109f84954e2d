"""What is done to footage so that a few hundred clips look like many: a moving window, light and colour that drift,
pauses, other speeds, time run backwards.

The kinds are those that RVM's paper lists (motion, colour, sharpness, grey, flip, pause, reverse, speed, all changing
smoothly over a clip); formulas and amounts are our own. Two rules hold throughout: what moves, moves alpha and colour
together; what changes colour never touches alpha.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from bivm_ref.motion import Path

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # how bright the eye finds red, green and blue (BT.601)


@dataclass(frozen=True)
class Augment:
    """Odds of each augmentation in a clip, and the strength of those that have one. All 0 (`Augment.off()`): none."""

    flip: float = 0.5  # odds: left and right exchanged
    crop: float = 0.4  # the window is narrower than what would fit by up to this share
    motion: float = 1.0  # strength: 1 lets the window wander, turn by 4 degrees, shear and zoom by 5 %
    reverse: float = 0.5  # odds
    pause: float = 0.1  # odds
    speed: float = 0.3  # odds of every second or third frame alone
    colour: float = 1.0  # strength: 1 changes brightness, contrast and saturation by up to 30 %, hue by 15 degrees
    grey: float = 0.05  # odds
    sharpness: float = 0.2  # odds of a clip that is softer or sharper than filmed
    noise: float = 0.3  # odds of a sensor's grain, which is in the frames only

    @classmethod
    def off(cls) -> Augment:
        return cls(*[0.0] * 10)


# -- time ---------------------------------------------------------------------------------------------------

def clock(rng: np.random.Generator, frames: int, augment: Augment, speeds: tuple[int, ...] = (2, 3)) -> np.ndarray:
    """Which moment of the footage each frame shows: (frames,) int, 0, 1, 2 … if nothing happens.

    A pause holds one moment for up to half of the clip. The same draws are made whatever the odds.
    """
    chance, speed = rng.random(3), int(rng.choice(speeds))
    at, held = int(rng.integers(max(1, frames - 1))), 1 + int(rng.integers(max(1, frames // 2)))
    moments = np.arange(frames)
    if chance[0] < augment.pause:
        moments -= np.clip(moments - at, 0, held)
    if chance[1] < augment.speed:
        moments *= speed
    return moments[::-1].copy() if chance[2] < augment.reverse else moments


def fold(moments: np.ndarray, length: int) -> np.ndarray:
    """Moments on footage of `length` frames: at its end it runs backwards, as often as needed."""
    if length == 1:
        return np.zeros_like(moments)
    there = moments % (2 * length - 2)
    return np.minimum(there, 2 * length - 2 - there)


# -- where the camera looks ---------------------------------------------------------------------------------

def reduced_size(rng: np.random.Generator, size: tuple[int, int], height: int, width: int,
                 augment: Augment) -> tuple[int, int]:
    """Size (w, h) to which footage of `size` (w, h) is reduced, so that a frame is a window of it: at least the
    frame's own, larger the closer we crop."""
    share = 1 - augment.crop * rng.random()  # of the widest window that fits
    scale = max(width / size[0], height / size[1]) / share
    return max(width, round(size[0] * scale)), max(height, round(size[1] * scale))


def window(rng: np.random.Generator, size: tuple[int, int], height: int, width: int, moments: np.ndarray,
           inside: set[str], augment: Augment, focus: tuple[float, float] | None = None) -> np.ndarray:
    """The way of a frame-shaped window over footage of `size` (w, h): (T, 6) float64 rows (a, b, c, d, e, f), which
    take the frame's point (x, y) to (a x + b y + c, d x + e y + f) in the footage.

    inside: the sides ("left", "right", "top", "bottom") that the window must not look beyond: those where the picture
    cuts the figure off, or all four if there is nothing behind the picture. It shrinks where it would not fit.
    focus: the point (x, y) that a crop lies around, so that it finds someone; None: a crop lies anywhere.
    """
    m, (w, h), frame = augment.motion, size, np.array([width, height])
    room, draw, start = np.maximum(np.array(size) - frame, 0), rng.random(2) - 0.5, np.array(size) / 2
    if augment.crop:
        start = start + draw * room if focus is None else np.array(focus) + 0.6 * draw * frame
    wander = [Path(rng, amount) for amount in m * (0.1 * room + 0.03 * frame)]
    turn, shear, zoom = Path(rng, m * math.radians(4)), Path(rng, m * 0.04), Path(rng, m * 0.05)
    turned = []  # (2, 2) each: the frame's axes in the footage
    for t in moments:
        c, s, z, k = math.cos(turn(t)), math.sin(turn(t)), 1 + zoom(t), shear(t)
        turned.append(z * np.array([[c, c * k - s], [s, s * k + c]]))  # a turn after a shear along x
    corners = np.array([[-1, -1, 1, 1], [-1, 1, -1, 1]]) * (frame / 2)[:, None]
    reach = np.array([np.abs(axes @ corners).max(1) for axes in turned])  # (T, 2): how far from its centre it looks
    sides = ((w, "left", "right"), (h, "top", "bottom"))
    fits = [side / (2 * reach[:, k].max()) for k, (side, low, high) in enumerate(sides) if {low, high} <= inside]
    shrink = min([1.0, *fits])
    rows = []
    for t, axes, span in zip(moments, turned, reach * shrink, strict=True):
        centre = start + [path(t) for path in wander]
        for k, (side, low, high) in enumerate(sides):
            if high in inside:
                centre[k] = min(centre[k], side - span[k])
            if low in inside:
                centre[k] = max(centre[k], span[k])
        (a, b), (d, e) = axes * shrink
        c, f = centre - axes @ (frame / 2) * shrink
        rows.append((a, b, c, d, e, f))
    return np.array(rows)


def look(image: Image.Image, row: np.ndarray, height: int, width: int) -> Image.Image:
    """What one row of `window` sees of a picture; beyond its edges there is transparent black."""
    return image.transform((width, height), Image.Transform.AFFINE, tuple(row), Image.Resampling.BILINEAR)


# -- colour -------------------------------------------------------------------------------------------------

def colour_matrix(contrast: float = 1, gain: float = 1, saturation: float = 1, hue: float = 0) -> np.ndarray:
    """(3, 4) float32: new colour = M[:, :3] @ colour + M[:, 3], colours in [0, 1].

    Hue turns about the grey axis (radians), saturation scales the distance from grey, contrast that from 1/2.
    """
    one = np.ones((3, 3))
    cross = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]])
    turn = math.cos(hue) * np.eye(3) + (1 - math.cos(hue)) / 3 * one + math.sin(hue) / math.sqrt(3) * cross
    grey = np.outer(np.ones(3), LUMA)
    matrix = contrast * gain * (saturation * np.eye(3) + (1 - saturation) * grey) @ turn
    return np.column_stack([matrix, np.full(3, 0.5 * (1 - contrast))]).astype(np.float32)


def colour_path(rng: np.random.Generator, moments: np.ndarray, augment: Augment, grey: bool = False) -> np.ndarray:
    """A colour matrix for every frame, (T, 3, 4): a constant change, and a smaller one that drifts."""
    s = augment.colour
    fixed = s * rng.uniform(-0.2, 0.2, 3)
    drift = [Path(rng, s * 0.1) for _ in fixed]
    hue, hue_drift = s * rng.uniform(-1, 1) * math.radians(10), Path(rng, s * math.radians(5))
    result = []
    for t in moments:
        contrast, gain, saturation = (1 + a + b(t) for a, b in zip(fixed, drift, strict=True))
        result.append(colour_matrix(contrast, gain, 0.0 if grey else saturation, hue + hue_drift(t)))
    return np.stack(result)


def graded(frame: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """A frame (H, W, 3) uint8 through a colour matrix (3, 4)."""
    if np.array_equal(matrix, np.eye(3, 4)):
        return frame
    mixed = frame.astype(np.float32) @ matrix[:, :3].T + (255 * matrix[:, 3] + np.float32(0.5))
    return np.clip(mixed, 0, 255).astype(np.uint8)


def sharpened(frame: np.ndarray, amount: float) -> np.ndarray:
    """A frame (H, W, 3) uint8, sharper for amounts over 0 (an unsharp mask) and softer below (a Gaussian of that many
    pixels)."""
    if amount == 0:
        return frame
    kind = ImageFilter.UnsharpMask(2, round(100 * amount), 0) if amount > 0 else ImageFilter.GaussianBlur(-amount)
    return np.asarray(Image.fromarray(frame).filter(kind))
