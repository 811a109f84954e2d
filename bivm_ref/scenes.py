"""Backgrounds: procedural textures that move, or a slow pan and zoom over a photograph.

A matting network must not learn "the plain part is the background", so these textures range from plain walls
to busy patterns, carry blobs shaped vaguely like people, and draw their colours independently of the
figures'.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

from .motion import Path


def resize(plane: np.ndarray, height: int, width: int) -> np.ndarray:
    """(h, w) float32 → (height, width) float32, bicubic."""
    return np.asarray(Image.fromarray(plane, "F").resize((width, height), Image.Resampling.BICUBIC))


def noise(
    rng: np.random.Generator, height: int, width: int, cells: float = 4, octaves: int = 4
) -> np.ndarray:
    """Multi-octave value noise in [0, 1], (height, width) float32: random grids, each finer and half as
    strong."""
    total = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        rows = int(cells * 2**octave) + 2
        columns = max(int(rows * width / height), 2)
        if octave and (rows > height or columns > width):
            break
        total += resize(rng.random((rows, columns), np.float32), height, width) * np.float32(0.5**octave)
    low, high = total.min(), total.max()
    return (total - low) / max(high - low, np.float32(1e-6))


def pattern(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """One scalar pattern in [0, 1], (height, width) float32: noise, stripes, checks, a gradient, dots or
    weave."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) / np.float32(max(height, width))
    angle = rng.uniform(0, np.pi)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    along, across = along.astype(np.float32), across.astype(np.float32)
    if rng.random() < 0.4:  # cloth and foliage are never straight
        along = along + np.float32(0.08) * noise(rng, height, width, 3, 2)
    pitch = np.float32(rng.uniform(4, 22) * 2 * np.pi)
    kind = rng.choice(
        ["noise", "stripes", "checks", "gradient", "dots", "weave"], p=[0.35, 0.15, 0.12, 0.18, 0.1, 0.1]
    )
    if kind == "noise":
        return noise(rng, height, width, rng.uniform(2, 12), int(rng.integers(2, 6)))
    if kind == "gradient":
        return (along - along.min()) / (np.ptp(along) + np.float32(1e-6))
    if kind == "stripes":
        value = np.sin(along * pitch) + np.float32(rng.uniform(-0.6, 0.6))
    elif kind == "checks":
        value = np.sin(along * pitch) * np.sin(across * pitch) * 2
    elif kind == "dots":
        value = np.cos(along * pitch) + np.cos(across * pitch) - np.float32(rng.uniform(0.4, 1.4))
    else:
        value = np.sin(along * pitch) + np.float32(0.5) * np.sin(
            across * pitch * np.float32(rng.uniform(0.5, 2))
        )
    return np.clip(np.float32(0.5) + value * np.float32(rng.uniform(0.5, 4)), 0, 1)


def colour(rng: np.random.Generator) -> np.ndarray:
    """A random colour (3,) float32 in [0, 1]: any hue, from grey to vivid, from dark to light."""
    vivid = rng.random() ** 1.5
    value = rng.uniform(0.06, 1)
    return (value * (1 - vivid * (1 - rng.dirichlet([0.6, 0.6, 0.6]) ** 0.5))).astype(np.float32)


def texture(rng: np.random.Generator, height: int, width: int, contrast: float = 1.0) -> np.ndarray:
    """A coloured texture, (3, height, width) float32 in [0, 1]: a pattern between two colours, with grain."""
    first, second = colour(rng), colour(rng)
    second = first + (second - first) * np.float32(contrast * rng.uniform(0.15, 1))
    mix = pattern(rng, height, width)
    grain = 1 + np.float32(rng.uniform(0, 0.25)) * (
        noise(rng, height, width, rng.uniform(6, 24), 3) - np.float32(0.5)
    )
    return np.clip((first[:, None, None] + (second - first)[:, None, None] * mix) * grain, 0, 1)


def blob(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Coverage (height, width) of a blob that could be mistaken for someone: a head on shoulders, a pillar,
    a ball."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    size = np.float32(rng.uniform(0.08, 0.3) * height)
    cx, cy = np.float32(rng.uniform(0, width)), np.float32(rng.uniform(0.2, 0.9) * height)
    parts = [(cx, cy, size * np.float32(rng.uniform(0.5, 1.3)), size)]
    if rng.random() < 0.6:
        w = size * np.float32(rng.uniform(1.2, 2.6))
        h = size * np.float32(rng.uniform(1, 4))
        parts.append((cx, cy + size * np.float32(0.7) + h, w, h))
    power = rng.choice([2, 4])  # an ellipse or a rounded box
    inside = np.min(
        [
            ((np.abs(x - a) / c) ** power + (np.abs(y - b) / d) ** power - 1) * min(c, d) / 2
            for a, b, c, d in parts
        ],
        axis=0,
    )
    return np.clip(np.float32(0.5) - inside / np.float32(rng.uniform(1, 4)), 0, 1)


def canvas(rng: np.random.Generator, height: int, width: int, clutter: bool = True) -> np.ndarray:
    """A still procedural scene, (3, height, width) float32: one to three textures, soft borders, light and,
    with clutter, blobs that could be mistaken for someone."""
    scene = texture(rng, height, width)
    for _ in range(int(rng.choice([0, 1, 2], p=[0.3, 0.4, 0.3]))):
        kind = rng.random()
        mask = noise(rng, height, width, rng.uniform(1, 4), 3)
        if kind < 0.4:  # a wall's edge or a horizon
            mask = np.linspace(-1, 1, height if kind < 0.2 else width, dtype=np.float32) + np.float32(
                rng.uniform(-0.6, 0.6)
            )
            mask = np.broadcast_to(mask[:, None] if kind < 0.2 else mask, (height, width)) + np.float32(0.5)
        mask = np.clip((mask - np.float32(0.5)) * np.float32(rng.uniform(5, 60)), 0, 1)
        scene = scene + (texture(rng, height, width) - scene) * mask
    for _ in range(int(rng.choice([0, 1, 2, 4], p=[0.4, 0.2, 0.2, 0.2])) * clutter):
        scene = scene + (texture(rng, height, width, 0.7) - scene) * blob(rng, height, width)
    light = np.float32(1.1 - rng.uniform(0, 0.6)) + np.float32(rng.uniform(0, 0.6)) * noise(
        rng, height, width, 1, 2
    )
    return np.clip(scene * light, 0, 1)


def background_clip(
    seed: int, frames: int, height: int, width: int, image: np.ndarray | None = None, clutter: bool = True
) -> np.ndarray:
    """A moving background, (frames, height, width, 3) uint8 RGB.

    image: (h, w, 3) uint8, a photograph to pan and zoom over; None paints a procedural scene instead, with
    (clutter) blobs that sometimes move on their own. Deterministic in the arguments. Our own recipe.
    """
    rng = np.random.default_rng([seed, 2])
    margin = 1.25
    h, w = round(height * margin), round(width * margin)
    if image is None:
        painted = canvas(rng, h, w, clutter) * 255
        source = Image.fromarray(np.ascontiguousarray(painted.transpose(1, 2, 0)).astype(np.uint8), "RGB")
    else:  # a random window of the photograph, in the frame's shape, at most twice as close
        closer = rng.uniform(1.0, 2.0)
        fit = min(image.shape[1] / width, image.shape[0] / height) / closer
        wide, high = max(int(width * fit), 2), max(int(height * fit), 2)
        x, y = int(rng.integers(image.shape[1] - wide + 1)), int(rng.integers(image.shape[0] - high + 1))
        source = Image.fromarray(np.ascontiguousarray(image[y : y + high, x : x + wide]), "RGB")
        source = source.resize((w, h), Image.Resampling.BILINEAR)
        if rng.random() < 0.5:
            source = source.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    defocus = float(rng.uniform(0.3, 2.5) * (rng.random() < 0.5) * height / 144)
    if defocus > 0.2:
        source = source.filter(ImageFilter.GaussianBlur(defocus))

    moving = rng.random() < 0.6
    room = (margin - 1) / 2 * 0.9  # the pan stays inside the painted margin
    pan_x, pan_y = Path(rng, room * width * 0.7 * moving), Path(rng, room * height * 0.7 * moving)
    zoom = Path(rng, 0.05 * moving)
    movers = []
    if image is None and clutter and rng.random() < 0.35:
        for _ in range(int(rng.integers(1, 3))):
            cover, paint = blob(rng, h, w), texture(rng, h, w, 0.7) * 255
            rgba = np.concatenate([paint, cover[None] * 255]).transpose(1, 2, 0).astype(np.uint8)
            movers.append(
                (
                    Image.fromarray(np.ascontiguousarray(rgba), "RGBA").convert("RGBa"),
                    Path(rng, 0.15 * width),
                    Path(rng, 0.04 * height),
                )
            )

    def view(sprite: Image.Image, x0: float, y0: float, scale: float) -> np.ndarray:
        """What the frame's window sees: its centre shifted by (x0, y0) pixels, its size times `scale`."""
        x0, y0 = (w - width * scale) / 2 + x0, (h - height * scale) / 2 + y0
        matrix = (scale, 0, x0, 0, scale, y0)
        return np.asarray(
            sprite.transform((width, height), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
        )

    result = np.empty((frames, height, width, 3), np.uint8)
    for t in range(frames):
        result[t] = view(source, pan_x(t), pan_y(t), 0.95 + zoom(t))
        for sprite, dx, dy in movers:
            layer = view(sprite, pan_x(t) + dx(t), pan_y(t) + dy(t), 1.0)
            behind = result[t] * (1 - layer[..., 3:] / np.float32(255))
            result[t] = (behind + layer[..., :3]).clip(0, 255).astype(np.uint8)
    return result
