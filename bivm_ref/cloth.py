"""Cloth: other clothes for rendered people, and cloth that nobody wears.

Rendered people wear little that photographs are full of: creases, uniforms, badges, thick sleeves, photographed grain.
And where only backgrounds are photographs, a network learns that what looks photographed is background. So takes may
dress a still anew (`dressed`), in plain or printed cloth or in a piece of a photograph, tight or loose; and hang cloth
behind people (`hung`: curtains, flags), so that cloth alone is nobody.

NumPy and Pillow only; our recipe.
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from .motion import Path
from .scenes import colour, noise, resize, texture

BILINEAR = Image.Resampling.BILINEAR
PLAIN, PRINTED = 0.5, 0.2  # odds of one colour and of a pattern; otherwise a photograph's piece, where there is one
LOOSE = 0.5  # odds that the new clothes are wider than the body
BARE = 0.35  # odds that skin below the neck stays bare


def cloth(rng: np.random.Generator, height: int, width: int, photo: np.ndarray | None = None) -> np.ndarray:
    """A piece of cloth with creases and perhaps badges, (height, width, 3) float32 in [0, 1].

    photo: (h, w, 3) uint8 that it may be printed with. Deterministic in the generator and the photograph.
    """
    kind = rng.random()
    if kind < PLAIN:
        sheet = np.broadcast_to(colour(rng), (height, width, 3)).copy()
    elif kind < PLAIN + PRINTED or photo is None:
        sheet = np.ascontiguousarray(texture(rng, height, width).transpose(1, 2, 0))
    else:
        sheet = _printed(rng, height, width, photo)
    if rng.random() < 0.5:
        sheet = _with_badges(rng, sheet)
    return np.clip(sheet * creases(rng, height, width)[..., None], 0, 1)


def _printed(rng: np.random.Generator, height: int, width: int, photo: np.ndarray) -> np.ndarray:
    """A random part of a photograph, its colours mixed towards one dye: (height, width, 3) float32."""
    part = rng.uniform(0.2, 1.0) * min(photo.shape[0] / height, photo.shape[1] / width)
    high, wide = max(int(height * part), 2), max(int(width * part), 2)
    y, x = int(rng.integers(photo.shape[0] - high + 1)), int(rng.integers(photo.shape[1] - wide + 1))
    piece = Image.fromarray(np.ascontiguousarray(photo[y : y + high, x : x + wide]), "RGB")
    sheet = np.asarray(piece.resize((width, height), BILINEAR)) * np.float32(1 / 255)
    dye = sheet.mean(-1, keepdims=True) * 2 * colour(rng)
    return sheet + np.float32(rng.uniform(0, 1)) * (dye - sheet)


def creases(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """What folds do to the light, a factor (height, width) float32 around 1: ridges that run one way, and shade."""
    long = rng.uniform(1.5, 5)  # how much longer than wide a fold is
    if rng.random() < 0.6:
        field = resize(noise(rng, max(int(height / long), 4), width, rng.uniform(1.5, 5), 3), height, width)
    else:
        field = resize(noise(rng, height, max(int(width / long), 4), rng.uniform(1.5, 5), 3), height, width)
    ridges = 1 - np.abs(2 * field - 1)  # 1 on the crests
    shade = noise(rng, height, width, 1, 2)
    deep, broad = np.float32(rng.uniform(0.05, 0.7)), np.float32(rng.uniform(0, 0.6))
    return 1 + deep * (ridges - np.float32(0.6)) + broad * (shade - np.float32(0.5))


def _with_badges(rng: np.random.Generator, sheet: np.ndarray) -> np.ndarray:
    """A few badges, straps and buttons of other colours on a sheet (H, W, 3) float32: a new one."""
    height, width = sheet.shape[:2]
    picture = Image.fromarray((np.clip(sheet, 0, 1) * 255).astype(np.uint8), "RGB")
    draw = ImageDraw.Draw(picture)
    for _ in range(int(rng.integers(1, 7))):
        fill = tuple(int(c * 255) for c in colour(rng))
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        a, b = rng.uniform(0.01, 0.09, 2) * width
        shape = rng.random()
        if shape < 0.4:
            draw.rectangle((x - a, y - b, x + a, y + b), fill=fill)
        elif shape < 0.75:
            draw.ellipse((x - a, y - b, x + a, y + b), fill=fill)
        else:
            turn = rng.uniform(0, math.pi)
            dx, dy = width * math.cos(turn), width * math.sin(turn)
            draw.line((x - dx, y - dy, x + dx, y + dy), fill=fill, width=max(2, int(a)))
    return np.asarray(picture) * np.float32(1 / 255)


def dressed(still: np.ndarray, rng: np.random.Generator, head: tuple[float, float, float],
            photo: np.ndarray | None = None) -> np.ndarray:
    """A still (h, w, 4) uint8, straight alpha, in other clothes: a new one. Its head stays as it was, alpha included.

    head: its upper row, height and middle column (`staging.head_of`). Below a round collar the cloth takes the place
    of the colour and keeps the light on it, and may be wider than the body; there alpha grows, and nowhere shrinks.
    """
    h, w = still.shape[:2]
    top, tall, middle = head
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    open_collar = np.float32(rng.uniform(0.0, 0.4) * tall)
    collar = top + np.float32(rng.uniform(0.95, 1.15) * tall)
    collar = collar + open_collar * np.exp(-(((x - middle) / np.float32(0.3 * tall)) ** 2))
    below = np.clip((y - collar) / np.float32(max(0.02 * tall, 1)), 0, 1)
    alpha = still[..., 3] * np.float32(1 / 255)
    straight = still[..., :3] * np.float32(1 / 255)
    half = Image.fromarray((cloth(rng, h // 2 + 1, w // 2 + 1, photo) * 255).astype(np.uint8), "RGB")
    sheet = np.asarray(half.resize((w, h), BILINEAR)) * np.float32(1 / 255)
    sheet = sheet * _light(straight, alpha, below)[..., None]
    worn = below
    if rng.random() < BARE:
        worn = below * (1 - _skin(straight, alpha, head))
    if rng.random() < LOOSE:
        wide = _widened(alpha * below, rng.uniform(0.02, 0.14) * tall) * below
        grown = np.maximum(alpha, wide)
        worn = np.where(alpha < wide, np.maximum(worn, 1 - alpha / np.maximum(wide, np.float32(1e-3))), worn)
        alpha = grown
    mixed = straight + worn[..., None] * (sheet - straight)
    result = np.concatenate([np.clip(mixed, 0, 1), alpha[..., None]], axis=-1)
    return (result * 255 + np.float32(0.5)).astype(np.uint8)


def _light(straight: np.ndarray, alpha: np.ndarray, below: np.ndarray) -> np.ndarray:
    """The light on the old clothes, (h, w) float32 around 1: their luma without what is printed on them."""
    weight = alpha * below
    luma = straight.mean(-1) * weight
    mean = max(float(luma.sum() / max(weight.sum(), 1)), 0.05)
    size = alpha.shape[1], alpha.shape[0]
    planes = [Image.fromarray(plane, "F").reduce(12).resize(size, BILINEAR)
              for plane in (luma / np.float32(mean), weight)]
    lit, known = (np.asarray(plane) for plane in planes)
    some = np.float32(0.06)  # where little is known, as beside the body, the mean counts more
    return np.clip((lit + some) / (known + some), 0.35, 1.6)


def _skin(straight: np.ndarray, alpha: np.ndarray, head: tuple[float, float, float]) -> np.ndarray:
    """How much a pixel looks like the face, (h, w) float32 in [0, 1]: by the share of each channel, not by light."""
    top, tall, middle = head
    rows = slice(int(top + 0.35 * tall), int(top + 0.75 * tall) + 1)
    columns = slice(max(int(middle - 0.2 * tall), 0), int(middle + 0.2 * tall) + 1)
    opaque = alpha[rows, columns] > 0.9
    if not opaque.any():
        return np.zeros_like(alpha)
    shares = straight / np.maximum(straight.sum(-1, keepdims=True), np.float32(0.02))
    face = np.median(shares[rows, columns][opaque], axis=0)
    return np.exp(-(((shares - face) ** 2).sum(-1) / np.float32(0.03**2)))


def _widened(body: np.ndarray, by: float) -> np.ndarray:
    """A body's alpha (h, w) grown by so many pixels all around, with a soft edge. Found at a quarter of the size."""
    h, w = body.shape
    small = Image.fromarray((body * 255).astype(np.uint8), "L").resize((max(w // 4, 1), max(h // 4, 1)),
                                                                       Image.Resampling.BOX)
    radius = max(int(round(by / 4)), 1)
    grown = small.filter(ImageFilter.MaxFilter(2 * radius + 1)).filter(ImageFilter.GaussianBlur(radius / 2 + 0.5))
    smooth = np.asarray(grown.resize((w, h), Image.Resampling.BICUBIC)) * np.float32(1 / 255)
    return np.clip((smooth - np.float32(0.35)) * 4, 0, 1)


def flag(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Stripes, a cross, a disc, a corner full of stars: (height, width, 3) float32 in [0, 1]."""
    dyes = [tuple(int(c * 255) for c in colour(rng)) for _ in range(4)]
    picture = Image.new("RGB", (width, height), dyes[0])
    draw = ImageDraw.Draw(picture)
    bands, along = int(rng.integers(2, 14)), rng.random() < 0.7  # mostly lying
    long = height if along else width
    for k in range(0, bands, 2):
        a, b = k * long / bands, (k + 1) * long / bands
        draw.rectangle((0, a, width, b) if along else (a, 0, b, height), fill=dyes[1])
    kind = rng.random()
    if kind < 0.45:
        right, low = rng.uniform(0.3, 0.8) * width, rng.uniform(0.3, 0.8) * height
        draw.rectangle((0, 0, right, low), fill=dyes[2])
        columns, rows, size = int(rng.integers(2, 8)), int(rng.integers(2, 8)), rng.uniform(0.2, 0.45)
        for i in range(columns):
            for j in range(rows):
                _star(draw, ((i + 0.5) * right / columns, (j + 0.5) * low / rows),
                      size * min(right / columns, low / rows), dyes[3])
    elif kind < 0.6:
        x, y, thick = rng.uniform(0.25, 0.6) * width, height / 2, rng.uniform(0.05, 0.12) * height
        draw.rectangle((x - thick, 0, x + thick, height), fill=dyes[2])
        draw.rectangle((0, y - thick, width, y + thick), fill=dyes[2])
    elif kind < 0.75:
        _star(draw, (width / 2, height / 2), rng.uniform(0.15, 0.4) * min(height, width), dyes[3])
    return np.asarray(picture) * np.float32(1 / 255)


def _star(draw: ImageDraw.ImageDraw, centre: tuple[float, float], radius: float, fill: tuple[int, ...]) -> None:
    """A star of five points; a small one is a disc."""
    if radius < 3:
        draw.ellipse((centre[0] - radius, centre[1] - radius, centre[0] + radius, centre[1] + radius), fill=fill)
        return
    draw.polygon([(centre[0] + radius * (1, 0.4)[k % 2] * math.sin(math.pi * k / 5),
                   centre[1] - radius * (1, 0.4)[k % 2] * math.cos(math.pi * k / 5)) for k in range(10)], fill=fill)


def draped(rng: np.random.Generator, sheet: np.ndarray) -> np.ndarray:
    """A sheet (H, W, 3) float32 gathered into folds that fall: what lies deep is narrow and dark. A new one.

    A fold is a wave across the cloth, whose phase grows unevenly and leans with the height. Seen from the front, a
    place at phase p shows the cloth at p - depth*sin(p): little of it where a fold faces us (p = 0), much between.
    """
    height, width = sheet.shape[:2]
    folds, depth, dark = rng.uniform(1.5, 8), rng.uniform(0.2, 0.95), rng.uniform(0.2, 0.75)
    x, y = np.linspace(0, 1, width, dtype=np.float32)[None], np.linspace(0, 1, height, dtype=np.float32)[:, None]
    turn = np.float32(2 * math.pi)
    uneven = sum(np.float32(rng.uniform(0.2, 1) / n) * np.sin(turn * (n * x + np.float32(rng.random())))
                 for n in (1, 2, 3))
    lean = np.float32(rng.normal(0, 0.2)) * y + np.float32(rng.normal(0, 0.1)) * y * y
    phase = turn * np.float32(folds) * (x + np.float32(0.07) * uneven + lean)
    slack = np.float32(rng.uniform(0.3, 1.0) * depth / (2 * math.pi * folds)) * np.sin(phase)
    column = np.clip((x - slack + np.float32(rng.normal(0, 0.15)) * y) * (width - 1), 0, width - 1).astype(np.int32)
    sag = np.float32(rng.uniform(0, 0.06)) * np.cos(phase)
    row = np.clip((y + sag) * (height - 1), 0, height - 1).astype(np.int32)
    light = 1 - np.float32(dark) * (np.float32(0.5) - np.float32(0.5) * np.cos(phase + np.float32(rng.uniform(-1, 1))))
    return np.clip(sheet[row, column] * (light * np.float32(1.15))[..., None], 0, 1)


def hung(rng: np.random.Generator, image: Image.Image, photo: np.ndarray | None = None,
         gathered: float = 0.0) -> Image.Image:
    """A backdrop (RGB) with one or two pieces of cloth in it, curtains or flags, some as large as itself: a new one.

    gathered: the odds that a piece falls in deep folds (`draped`); half of those are flags.
    """
    width, height = image.size
    drape = rng.spawn(1)[0]  # of its own, so that all else is as it was before there were folds
    for _ in range(int(rng.integers(1, 3))):
        wide, high = int(rng.uniform(0.2, 1.1) * width), int(rng.uniform(0.4, 1.3) * height)
        sheet = cloth(rng, high, wide, photo)
        if drape.random() < gathered:
            sheet = draped(drape, flag(drape, high, wide) if drape.random() < 0.5 else sheet)
        sheet = Image.fromarray((sheet * 255).astype(np.uint8), "RGB")
        edges = [Path(rng, 0.05 * high, 0.01, 0.04) for _ in range(2)]  # they hang in waves
        points = [(k / 63 * wide, 0.06 * high + edges[0](k)) for k in range(64)]
        points += [(k / 63 * wide, 0.93 * high + edges[1](k)) for k in range(63, -1, -1)]
        cover = Image.new("L", (wide, high))
        ImageDraw.Draw(cover).polygon(points, fill=255)
        cover = cover.rotate(rng.uniform(-12, 12), BILINEAR)
        image = image.copy()
        image.paste(sheet, (int(rng.uniform(-0.3, 1.0) * width), int(rng.uniform(-0.3, 0.5) * height)), cover)
    return image
