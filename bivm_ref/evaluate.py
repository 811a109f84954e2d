"""Figures of an engine on clips of known alpha: folders in the field's layout, or held-out procedural ones.

The layout: clip/com/0000.png … the frames, clip/pha/0000.png … the reference alphas, matched by name; the
frames may be one file instead, clip/com.mp4 (or .mov, .mkv, .webm, .gif), matched in order. clip/fgr is not
read. A row is {"clip", "frames", "MAD", "MSE", "Grad", "Conn", "dtSSD", "zero_MAD", "ms_per_frame"}: the
field's figures (see metrics.py), the MAD of a predictor that always answers 0, and the engine's time.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from tqdm import tqdm

from . import metrics
from .clips import HELD_OUT, procedural_clip
from .errors import UserError
from .images import image_paths, image_size, natural_key, read_image
from .video import VIDEO_SUFFIXES, open_frames

HELD_OUT_SEED = HELD_OUT.start + 3_000  # for figures that are reported; those below are for choosing weights by
HELD_OUT_FRAMES, HELD_OUT_HEIGHT, HELD_OUT_WIDTH = 8, 144, 256
FIGURES = {"MAD": metrics.mad, "MSE": metrics.mse, "Grad": metrics.grad, "Conn": metrics.conn,
           "dtSSD": metrics.dtssd}
SLOW = ("Grad", "Conn")


def evaluate_clip(name: str, pairs: Iterable[tuple[np.ndarray, np.ndarray]], engine,
                  fast: bool = False) -> dict:
    """One row. pairs: frames (H, W, 3) uint8 with their alphas (H, W) float32; fast leaves out Grad and Conn.

    Frames are taken one at a time; the alphas of the clip are kept, 8 bytes per pixel and frame.
    """
    engine.reset()
    predicted, reference, seconds = [], [], 0.0
    for frame, alpha in pairs:
        start = time.perf_counter()
        mine, _ = engine.step(frame)
        seconds += time.perf_counter() - start
        predicted.append(mine)
        reference.append(alpha)
    return figures(name, np.stack(predicted), np.stack(reference), seconds, fast)


def figures(name: str, predicted: np.ndarray, reference: np.ndarray, seconds: float,
            fast: bool = False) -> dict:
    """The row of a clip from its alphas, both (T, H, W) float32."""
    row = {"clip": name, "frames": len(predicted)}
    row.update({key: figure(predicted, reference) for key, figure in FIGURES.items()
                if not (fast and key in SLOW)})
    row["zero_MAD"] = metrics.mad(np.zeros_like(reference), reference)
    row["ms_per_frame"] = 1e3 * seconds / len(predicted)
    return row


def evaluate_folder(root, engine, fast: bool = False, progress: bool = False) -> list[dict]:
    """A row for every clip below `root`, which may be a clip itself. Raises UserError for a folder without
    clips and for whatever `clip_pairs` refuses."""
    root = Path(root)
    clips = clip_folders(root)
    bar = tqdm(clips, unit="clip", desc="evaluate", disable=None if progress else True)
    return [evaluate_clip(clip_name(clip, root), clip_pairs(clip), engine, fast) for clip in bar]


def evaluate_procedural(count: int, engine, fast: bool = False, progress: bool = False,
                        first_seed: int = HELD_OUT_SEED, wild: bool = False) -> list[dict]:
    """A row for each of `count` held-out procedural clips: 8 frames, 256x144, seeds from `first_seed` on.

    wild: two figures, clutter, hard light (see `procedural_clip`). Raises UserError for seeds outside `HELD_OUT`,
    which training may draw.
    """
    seeds = range(first_seed, first_seed + count)
    if seeds[0] not in HELD_OUT or seeds[-1] not in HELD_OUT:
        raise UserError(f"seeds {seeds[0]:,} to {seeds[-1]:,}: not all held out; choose among {HELD_OUT.start:,} to "
                        f"{HELD_OUT.stop - 1:,}")
    rows = []
    for seed in tqdm(seeds, unit="clip", desc="evaluate", disable=None if progress else True):
        clip = procedural_clip(seed, HELD_OUT_FRAMES, HELD_OUT_HEIGHT, HELD_OUT_WIDTH, wild=wild)
        rows.append(evaluate_clip(clip.name, zip(clip.frames, clip.alpha), engine, fast))
    return rows


def mean_row(rows: list[dict]) -> dict:
    """The mean over clips, every clip weighing the same; a figure that is NaN in a clip is left out there."""
    values = metrics.summarise([{k: v for k, v in row.items() if k not in ("clip", "frames")}
                                for row in rows])
    return {"clip": "mean", "frames": sum(row["frames"] for row in rows), **values}


def table(rows: list[dict]) -> str:
    """Rows as text, columns aligned."""
    head = list(rows[0])
    cells = [head] + [[_cell(row[key]) for key in head] for row in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(head))]
    return "\n".join("  ".join(text.ljust(w) if i == 0 else text.rjust(w)
                               for i, (text, w) in enumerate(zip(line, widths))) for line in cells)


def _cell(value) -> str:
    if not isinstance(value, float):
        return str(value)
    return "-" if math.isnan(value) else f"{value:.2f}" if value < 1000 else f"{value:.0f}"


# -- the field's folders ------------------------------------------------------------------------------------

def clip_folders(root: Path) -> list[Path]:
    """The folders at or below `root` that hold a `pha` folder, in natural order."""
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; give a folder of clips, each with com/ and pha/")
    found = [pha.parent for pha in [root / "pha", *root.rglob("*/pha")] if pha.is_dir()]
    if not found:
        raise UserError(f"{root}: no clip in it; a clip is a folder with com/ (or com.mp4) and pha/")
    return sorted(found, key=lambda clip: natural_key(clip.as_posix()))


def clip_name(clip: Path, root: Path) -> str:
    """Its path below `root`; the folder's own name if it is `root`."""
    return clip.resolve().name if clip == root else clip.relative_to(root).as_posix()


def clip_pairs(clip: Path) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Every frame of a clip with its reference alpha: (H, W, 3) uint8, (H, W) float32.

    Raises UserError, naming the file: no frames, a frame without alpha, an alpha of another size, a video
    that holds more or fewer frames than there are alphas, and whatever `open_frames` refuses.
    """
    alphas = image_paths(clip / "pha")
    if not alphas:
        raise UserError(f"{clip / 'pha'}: no image in it; put one alpha per frame there")
    if (clip / "com").is_dir():
        by_name = {path.stem: path for path in alphas}
        frames = image_paths(clip / "com")
        if not frames:
            raise UserError(f"{clip / 'com'}: no image in it; put the frames there")
        for frame in frames:  # names first: better now than after half of the clip
            if frame.stem not in by_name:
                raise UserError(f"{clip / 'pha' / frame.stem}.png: missing; every frame of {clip / 'com'} "
                                "needs its alpha")
        for frame in frames:
            yield _pair(read_image(frame), by_name[frame.stem], frame)
        return
    videos = [path for path in (clip / f"com{suffix}" for suffix in VIDEO_SUFFIXES) if path.is_file()]
    if not videos:
        raise UserError(f"{clip / 'com'}: missing; put the frames there, or in com.mp4")
    yield from _video_pairs(videos[0], alphas)


def _video_pairs(video: Path, alphas: list[Path]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    reader, count = open_frames(video), 0
    for frame in reader:
        if count == len(alphas):
            raise UserError(f"{alphas[0].parent}: holds {count} alphas and {video} more frames; "
                            "put one alpha per frame there")
        yield _pair(frame, alphas[count], video)
        count += 1
    if count < len(alphas):
        raise UserError(f"{video}: holds {count} frames for {len(alphas)} alphas; "
                        "copy the video again, or remove the alphas beyond")


def _pair(frame: np.ndarray, alpha: Path, source: Path) -> tuple[np.ndarray, np.ndarray]:
    width, height = image_size(alpha)
    if (height, width) != frame.shape[:2]:
        raise UserError(f"{alpha}: is {width}x{height}, and {source} is {frame.shape[1]}x{frame.shape[0]}; "
                        "give frames and alphas one size")
    return frame, read_image(alpha)[..., 0].astype(np.float32) / np.float32(255)
