"""What a procedural figure looks like close up: the skin of its face, and hair strand by strand.

Hair is noise in polar coordinates: every angle owns a strand with a random threshold, the density falls
outwards, and fewer and fewer strands survive. Faces are small drawings wrapped around a sphere, so that
heads can turn.
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw

from .scenes import noise
from .shapes import F


def face(rng: np.random.Generator, skin: np.ndarray, hair: np.ndarray, bald: bool) -> np.ndarray:
    """The skin of a head unrolled, (3, 96, 288) float32: longitude runs along x, the face looks out at x =
    144."""
    h, w = 96, 288
    mix = noise(rng, h, w, 5, 4) * F(0.25) + F(0.85)
    picture = skin[:, None, None] * mix
    if not bald:  # the hair line: high above the forehead, low behind the ears, never quite smooth
        away = np.clip((np.abs(np.arange(w) - 144) - rng.uniform(30, 40)) / 14, 0, 1)
        low, high = rng.uniform(60, 74), rng.uniform(18, 28)
        line = (
            high + (low - high) * away * away * (3 - 2 * away) + 8 * noise(rng, 2, w, 0, 1)[0] * rng.random()
        )
        mask = np.clip((line[None] - np.arange(h)[:, None]) / 5, 0, 1).astype(F)
        picture = picture + (hair[:, None, None] * F(0.8) * mix - picture) * mask
    image = Image.fromarray((np.clip(picture, 0, 1) * 255).astype(np.uint8).transpose(1, 2, 0).copy(), "RGB")
    draw = ImageDraw.Draw(image)

    def shade(gain, tint=(1, 1, 1)):
        return tuple(int(np.clip(c * gain * t, 0, 1) * 255) for c, t in zip(skin, tint, strict=True))

    hair_rgb = tuple(int(c * 200) for c in hair)
    eye, brow, apart = rng.uniform(42, 48), rng.uniform(7, 10), rng.uniform(15, 20)
    for x in (144 - apart, 144 + apart):
        draw.ellipse((x - 9, eye - 6, x + 9, eye + 6), fill=shade(0.75))
        draw.ellipse((x - 7, eye - 3, x + 7, eye + 3), fill=(205, 202, 198))
        draw.ellipse((x - 3, eye - 3, x + 3, eye + 3), fill=tuple(int(v) for v in rng.uniform(10, 110, 3)))
        draw.line((x - 9, eye - brow, x, eye - brow - 2, x + 9, eye - brow + 1), fill=hair_rgb, width=3)
    draw.polygon((144, eye, 137, 63, 151, 63), fill=shade(0.9))
    draw.line((137, 63, 151, 63), fill=shade(0.6), width=2)
    mouth, wide, open_ = rng.uniform(72, 77), rng.uniform(10, 16), rng.uniform(1, 5)
    if rng.random() < 0.25:  # a beard
        draw.ellipse((144 - 42, 62, 144 + 42, 108), fill=hair_rgb)
    draw.ellipse((144 - wide, mouth - open_, 144 + wide, mouth + open_), fill=shade(0.6, (1.25, 0.7, 0.7)))
    if rng.random() < 0.25:  # glasses
        rim = tuple(int(v) for v in rng.uniform(0, 120, 3))
        for x in (144 - apart, 144 + apart):
            draw.rounded_rectangle((x - 13, eye - 9, x + 13, eye + 9), 6, outline=rim, width=2)
        draw.line((144 - apart + 13, eye, 144 + apart - 13, eye), fill=rim, width=2)
        for x in (144 - apart - 13, 144 + apart + 13):
            draw.line((x, eye, x + (30 if x > 144 else -30), eye - 3), fill=rim, width=2)
    return np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1)) / F(255)


def strands(rng: np.random.Generator, radius: float, fringe: float, curl: float) -> np.ndarray:
    """Coverage of hair on polar coordinates, (48, n) float32: rows from the centre to the tips, columns
    around.

    Each angle owns a strand with a random threshold; the density falls from 1 to 0 over the outer `fringe`
    share.
    """
    n = max(int(2 * math.pi * radius * 1.4), 24)
    angle = np.arange(n) / n * 2 * math.pi
    reach = np.ones(n)
    for k in range(1, 7):  # the outline: a few slow waves around the head
        reach += rng.normal(0, 0.05 / k**0.5) * np.sin(k * angle + rng.uniform(0, 2 * math.pi))
    reach = np.clip(reach * (0.93 - fringe * 0.1), 0.6, 1.0)
    threshold = rng.random(n).astype(F)
    lock = noise(rng, 1, n, 1, 1)[0] if n < 60 else np.interp(angle * n / 60, np.arange(n), rng.random(n))
    threshold = np.clip(F(0.7) * threshold + F(0.3) * lock.astype(F), 0, 1)  # strands gather in locks
    r = np.linspace(0, 1.02, 48)[:, None]
    bend = curl * np.sin(r * rng.uniform(6, 18) + 6 * reach) + rng.normal(0, 0.3) * r
    column = (np.arange(n)[None] + bend * n / (2 * math.pi)) % n
    own = threshold[column.astype(int)]  # (48, n)
    density = np.clip((reach[None] - r) / fringe, 0, 1)
    return np.clip((density - own * 0.96) * 5 + (density > 0.99), 0, 1).astype(F) * (density > 0)
