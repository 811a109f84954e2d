"""Figures of an engine on clips of known alpha: folders in the field's layout, held-out procedural ones, held-out
rendered people.

A row is {"clip", "frames", "MAD", "MSE", "Grad", "Conn", "dtSSD", "zero_MAD", "ms_per_frame"}: the field's figures
(see metrics.py), the MAD of a predictor that always answers 0, and the engine's time. Two variants of the figures:

    ours   dtSSD is the mean from frame 1 on; Grad is of alphas stretched to [0, 1], at every size
    rvm    dtSSD_rvm averages in a 0 for frame 0; Grad_rvm stretches only up to 512 pixels on the longer side, the size
           of the published low-resolution sets; fgr_MSE is the foreground's, where alpha > 0, if the clip has fgr

MAD, MSE and Conn are the same in both. RVM's script reads mattes that were saved with 8 bits, here they are float.
With `overlap` a row has "IoU" too, of alpha > 0.5: higher is better.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from tqdm import tqdm

from . import held_out_people, metrics
from .clips import HELD_OUT, Clip, procedural_clip
from .errors import UserError
from .evaluation_sets import clip_folders, clip_name, clip_pairs, read_foregrounds, read_pairs, surveyed
from .shelf import drawable
from .worst import Worst

__all__ = ["evaluate_clip", "evaluate_folder", "evaluate_people", "evaluate_photographs", "evaluate_procedural",
           "figures", "mean_row", "set_means", "table", "clip_folders", "clip_name", "clip_pairs", "HELD_OUT_SEED"]

HELD_OUT_SEED = HELD_OUT.start + 3_000  # for figures that are reported; those below are for choosing weights by
HELD_OUT_FRAMES, HELD_OUT_HEIGHT, HELD_OUT_WIDTH = 8, 144, 256
STRETCHED_SIDE = 512  # pixels: RVM's protocol stretches alphas for Grad in its 512x288 sets, not in the larger ones
FIGURES = {
    "MAD": metrics.mad,
    "MSE": metrics.mse,
    "Grad": metrics.grad,
    "Grad_rvm": lambda pred, true: metrics.grad(pred, true, stretch=max(true.shape[1:]) <= STRETCHED_SIDE),
    "Conn": metrics.conn,
    "dtSSD": metrics.dtssd,
    "dtSSD_rvm": lambda pred, true: metrics.dtssd(pred, true, rvm=True),
}
SLOW = ("Grad", "Grad_rvm", "Conn")
VARIANTS = {
    "ours": ("MAD", "MSE", "Grad", "Conn", "dtSSD"),
    "rvm": ("MAD", "MSE", "Grad_rvm", "Conn", "dtSSD_rvm", "fgr_MSE"),
    "both": ("MAD", "MSE", "Grad", "Grad_rvm", "Conn", "dtSSD", "dtSSD_rvm", "fgr_MSE"),
}


def evaluate_clip(name: str, pairs: Iterable[tuple[np.ndarray, np.ndarray]], engine, fast: bool = False,
                  variant: str = "ours", foregrounds: Iterable[np.ndarray] | None = None, overlap: bool = False,
                  worst: Worst | None = None) -> dict:
    """One row. pairs: frames (H, W, 3) uint8 with their alphas (H, W) float32; fast leaves out Grad and Conn.

    variant: "ours", "rvm" or "both". foregrounds: the true ones, (H, W, 3) uint8, in the order of the pairs, for
    fgr_MSE, which is NaN without. worst: is offered every frame. Frames are taken one at a time; the alphas of the
    clip are kept, 8 bytes per pixel and frame.
    """
    engine.reset()
    predicted, reference, colour, seconds = [], [], [], 0.0
    painted = iter(foregrounds) if foregrounds is not None and "fgr_MSE" in VARIANTS[variant] else None
    for frame, alpha in pairs:
        start = time.perf_counter()
        mine, foreground = engine.step(frame)
        seconds += time.perf_counter() - start
        if worst is not None:
            worst.offer(name, len(predicted), frame, alpha, mine)
        predicted.append(mine)
        reference.append(alpha)
        if painted is not None:
            true = next(painted).astype(np.float32) / np.float32(255)
            colour.append({"fgr_MSE": metrics.foreground_mse(foreground, true, alpha)})
    fgr_mse = metrics.summarise(colour)["fgr_MSE"] if colour else math.nan
    return figures(name, np.stack(predicted), np.stack(reference), seconds, fast, variant, fgr_mse, overlap)


def figures(name: str, predicted: np.ndarray, reference: np.ndarray, seconds: float, fast: bool = False,
            variant: str = "ours", fgr_mse: float = math.nan, overlap: bool = False) -> dict:
    """The row of a clip from its alphas, both (T, H, W) float32, and the foreground's figure if it is known."""
    row = {"clip": name, "frames": len(predicted)}
    for key in VARIANTS[variant]:
        if not (fast and key in SLOW):
            row[key] = fgr_mse if key == "fgr_MSE" else FIGURES[key](predicted, reference)
    if overlap:
        row["IoU"] = metrics.iou(predicted, reference)
    row["zero_MAD"] = metrics.mad(np.zeros_like(reference), reference)
    row["ms_per_frame"] = 1e3 * seconds / len(predicted)
    return row


def evaluate_folder(root, engine, fast: bool = False, progress: bool = False, variant: str = "ours",
                    overlap: bool = False, worst: Worst | None = None) -> list[dict]:
    """A row for every clip below `root`, which may be a clip itself. Raises UserError for whatever
    `surveyed` refuses, before the first clip is run, and for what only decoding shows."""
    root = Path(root)
    with_colour = "fgr_MSE" in VARIANTS[variant]
    bar = tqdm(surveyed(root, with_colour), unit="clip", desc="evaluate", disable=None if progress else True)
    return [evaluate_clip(name, read_pairs(files), engine, fast, variant, read_foregrounds(files), overlap, worst)
            for name, files in bar]


def evaluate_procedural(count: int, engine, fast: bool = False, progress: bool = False,
                        first_seed: int = HELD_OUT_SEED, wild: bool = False, variant: str = "ours",
                        overlap: bool = False, worst: Worst | None = None) -> list[dict]:
    """A row for each of `count` held-out procedural clips: 8 frames, 256x144, seeds from `first_seed` on.

    wild: two figures, clutter, hard light (see `procedural_clip`). Raises UserError for seeds outside `HELD_OUT`,
    which training may draw.
    """
    seeds = range(first_seed, first_seed + count)
    if seeds[0] not in HELD_OUT or seeds[-1] not in HELD_OUT:
        raise UserError(f"seeds {seeds[0]:,} to {seeds[-1]:,}: not all held out; choose among {HELD_OUT.start:,} to "
                        f"{HELD_OUT.stop - 1:,}")
    made = (procedural_clip(seed, HELD_OUT_FRAMES, HELD_OUT_HEIGHT, HELD_OUT_WIDTH, wild=wild) for seed in seeds)
    return _evaluate_clips(made, count, engine, fast, progress, variant, overlap, worst)


def evaluate_people(people, scenes, engine, fast: bool = False, progress: bool = False, variant: str = "ours",
                    overlap: bool = False, worst: Worst | None = None) -> list[dict]:
    """A row for each held-out still of the folder `people` before a room of the folder `scenes`, "people/…", and for
    each room without anybody, "empty/…": see held_out_people.py, and for what is raised."""
    count = held_out_people.count(people, scenes)
    return _evaluate_clips(held_out_people.held_out_clips(people, scenes), count, engine, fast, progress, variant,
                           overlap, worst)


def evaluate_photographs(folder, engine, fast: bool = False, progress: bool = False, variant: str = "ours",
                         overlap: bool = False, worst: Worst | None = None) -> list[dict]:
    """A row for each whole photograph of a folder, filmed, "photograph/…": see held_out_people.py."""
    count = len(drawable(folder, "h", 0))
    return _evaluate_clips(held_out_people.photograph_clips(folder), count, engine, fast, progress, variant, overlap,
                           worst)


def _evaluate_clips(made: Iterable[Clip], count: int, engine, fast: bool, progress: bool, variant: str, overlap: bool,
                    worst: Worst | None) -> list[dict]:
    bar = tqdm(made, total=count, unit="clip", desc="evaluate", disable=None if progress else True)
    return [evaluate_clip(clip.name, zip(clip.frames, clip.alpha), engine, fast, variant, clip.foreground, overlap,
                          worst) for clip in bar]


def mean_row(rows: list[dict]) -> dict:
    """The mean over clips, every clip weighing the same; a figure that is NaN in a clip is left out there."""
    values = metrics.summarise([{k: v for k, v in row.items() if k not in ("clip", "frames")}
                                for row in rows])
    return {"clip": "mean", "frames": sum(row["frames"] for row in rows), **values}


def set_means(rows: list[dict]) -> list[dict]:
    """A mean row for each set, "mean of videomatte_motion", where clips lie in several folders; else none."""
    sets: dict[str, list[dict]] = {}
    for row in rows:
        sets.setdefault(row["clip"].rpartition("/")[0], []).append(row)
    if len(sets) < 2:
        return []
    return [{**mean_row(members), "clip": f"mean of {name or '.'}"} for name, members in sets.items()]


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
