"""Equality with torch, for readers without torch: what torch computed, kept as digests.

`tools/refresh_digests.py` runs the shipped networks in torch over three made frames and writes the sha256 of every
convolution's whole numbers, of the mask, of the memory and of alpha to data_samples/digests.json. The engine computes
its own here; equal digests are equal numbers, every one. A test holds torch, engine and file together.

The frames are made with whole numbers alone, from PNGs: no video decoder and no sine may round them differently.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from bivm_ref.errors import UserError
from bivm_ref.packed import PackedBiVM

NAME = "digests.json"  # in data_samples
FRAMES = 3


def digest(array: np.ndarray) -> str:
    """sha256 of the values and the shape: of whole numbers as int32 and of bits as bytes, whatever type held them;
    of float32 its very bits."""
    array = np.asarray(array)
    if array.dtype == np.float32:
        array = np.ascontiguousarray(array, "<f4")
    else:
        array = np.ascontiguousarray(array, "u1" if array.dtype in (np.bool_, np.uint8) else "<i4")
    return hashlib.sha256(repr(array.shape).encode() + array.tobytes()).hexdigest()


def digest_record(entry: np.ndarray | tuple) -> str:
    """Of one layer's whole numbers: everywhere, or (ys, xs, values) where it was computed at active positions."""
    return ":".join(map(digest, entry)) if isinstance(entry, tuple) else digest(entry)


def made_frames(samples: str | Path, count: int = FRAMES) -> list[np.ndarray]:
    """Frames (144, 256, 3) uint8: the rendered sample's alpha (its PNGs, every second pixel) between two painted
    colour ramps, mixed in whole numbers. Equal on every machine."""
    y, x = np.mgrid[:144, :256]
    front = np.stack([200 - y // 2, 150 + 0 * y, 90 + x // 4], axis=-1)
    back = np.stack([x // 2, 60 + y, (x * y) % 128], axis=-1)
    frames = []
    for t in range(count):
        file = Path(samples) / "rendered" / "pha" / f"{t:04d}.png"
        try:
            alpha = np.asarray(Image.open(file).convert("L"), np.int64)[::2, ::2, None]
        except OSError as error:
            raise UserError(f"{file}: cannot be read; run from a clone that has data_samples/") from error
        frames.append(((alpha * front + (255 - alpha) * back + 127) // 255).astype(np.uint8))
    return frames


def frame_digests(frame: np.ndarray, sums: dict, mask: np.ndarray, memory: Iterable[np.ndarray],
                  alpha: np.ndarray) -> dict:
    """{"frame", "sums": {layer: ...}, "mask", "memory": [...], "alpha"}: what two engines compare of one frame."""
    return {"frame": digest(frame), "sums": {name: digest_record(entry) for name, entry in sums.items()},
            "mask": digest(mask), "memory": [digest(h) for h in memory], "alpha": digest(alpha)}


def of_engine(net: PackedBiVM, frames: Sequence[np.ndarray]) -> list[dict]:
    """The digests of every frame of a new clip, computed by the packed engine."""
    net.reset()
    rows = []
    for frame in frames:
        net.record = {}
        alpha, _ = net.step(frame)
        rows.append(frame_digests(frame, net.record, net.mask, net.state, alpha))
    net.record = None
    return rows


def stored(samples: str | Path, weights: str | Path) -> list[dict]:
    """What torch computed with that weight file. Raises UserError when there is nothing of exactly this file."""
    file, weights = Path(samples) / NAME, Path(weights)
    cure = "run python tools/refresh_digests.py (it needs torch)"
    try:
        entry = json.loads(file.read_text(encoding="utf-8"))[weights.name]
        sha, rows = entry["sha256"], entry["frames"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{file}: holds no digests of {weights.name}; {cure}") from error
    if sha != hashlib.sha256(weights.read_bytes()).hexdigest():
        raise UserError(f"{file}: its digests are those of another {weights.name}; {cure}")
    return rows
