"""A contact sheet: rows of small pictures under column heads, drawn with Pillow alone."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFont

CELL = 256  # width of a picture, pixels
GAP, LINE = 6, 20  # between pictures; height of a line of text


def contact_sheet(columns: tuple[str, ...], rows: list[tuple[str, list[np.ndarray]]]) -> np.ndarray:
    """rows of (label, one picture per column), each (H, W) or (H, W, 3) uint8 of any size -> (H, W, 3) uint8.

    Pictures are scaled to one width and keep their shape. Raises ValueError for a row of another length.
    """
    scaled = []
    for label, pictures in rows:
        if len(pictures) != len(columns):
            raise ValueError(f"row {label!r} has {len(pictures)} pictures for {len(columns)} columns")
        scaled.append((label, [_scaled(picture) for picture in pictures]))
    height = LINE + sum(LINE + max(p.height for p in pictures) + GAP for _, pictures in scaled)
    sheet = Image.new("RGB", (GAP + len(columns) * (CELL + GAP), height + GAP), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for i, name in enumerate(columns):
        draw.text((GAP + i * (CELL + GAP), 3), name, "black", font)
    y = LINE
    for label, pictures in scaled:
        draw.text((GAP, y + 2), label, (90, 90, 90), font)
        for i, picture in enumerate(pictures):
            sheet.paste(picture, (GAP + i * (CELL + GAP), y + LINE))
        y += LINE + max(p.height for p in pictures) + GAP
    return np.asarray(sheet)


def _scaled(picture: np.ndarray) -> Image.Image:
    image = Image.fromarray(picture).convert("RGB")
    return image.resize((CELL, max(1, round(image.height * CELL / image.width))), Image.Resampling.LANCZOS)
