"""Features of any network of ours at every stage, a few cells of each clip, the same cells for every network.

    stage   f1 f2 f3 f4   neck   d3 d2 d1   d0
    scale    2  4  8 16     16    8  4  2    1      a cell is scale x scale pixels of the frame

A cell's vector is labelled with its own square of the frame: what alpha is there (background, between, foreground)
and what colour. "Before the sign" is the map as the stage hands it on, which shortcuts read; "after the sign" is what
the next binary convolution reads of it, -1 and +1.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from bivm_ref.clips import HELD_OUT, Clip, procedural_clip
from bivm_ref.information import kmeans, nearest
from bivm_ref.learn.mimic import alpha_class, cell_alpha
from bivm_ref.net import BiVM
from bivm_ref.net.capture import STAGES, Capture, reader, stage_module

FIRST_SEED = HELD_OUT.start + 5_000  # of the clips that the studies measure on; no choice was made by them
COLOURS = 8  # codes of a cell's colour


@dataclass(frozen=True)
class Cells:
    """The cells that are looked at, and their labels: all (clips, cells).

    frame, row, column   which; classes 0, 1, 2: alpha below .02, between, above .98; colour: a code of `colour_codes`.
    """

    frame: np.ndarray
    row: np.ndarray
    column: np.ndarray
    classes: np.ndarray
    colour: np.ndarray


def held_out_clips(count: int, frames: int, height: int, width: int, first_seed: int = FIRST_SEED) -> Iterable[Clip]:
    for seed in range(first_seed, first_seed + count):
        yield procedural_clip(seed, frames, height, width)


def as_batch(clip: Clip) -> tuple[Tensor, Tensor]:
    """frames (1, T, 3, H, W) and alpha (1, T, 1, H, W), float in [0, 1]."""
    frames = torch.from_numpy(clip.frames).permute(0, 3, 1, 2)[None].float() / 255.0
    return frames, torch.from_numpy(clip.alpha)[None, :, None].float()


def scale_of(stage: str) -> int:
    """Pixels per cell of that stage. ValueError, naming the stages, for an unknown one."""
    if stage not in STAGES:
        raise ValueError(f"unknown stage {stage!r}: choose among {', '.join(STAGES)}")
    return {"f": 2 ** int(stage[1]), "d": 2 ** int(stage[1])}[stage[0]] if stage != "neck" else 16


def colour_codes(clips: Sequence[Clip], seed: int = 0) -> np.ndarray:
    """The 8 centres (8, 3) to which cells' colours are assigned: k-means of the mean colours of 16 x 16 squares."""
    frames = torch.from_numpy(np.concatenate([clip.frames[:1] for clip in clips])).permute(0, 3, 1, 2).float() / 255.0
    squares = cell_alpha(frames, -(-frames.shape[-2] // 16), -(-frames.shape[-1] // 16))
    return kmeans(squares.permute(0, 2, 3, 1).flatten(0, 2).numpy(), COLOURS, seed)


def choose_cells(clips: Sequence[Clip], stage: str, count: int, codes: np.ndarray, seed: int = 0) -> Cells:
    """`count` cells of every clip, anywhere in its frames, drawn without replacement by seed, clip and stage alone.

    ValueError for more cells than a clip has.
    """
    scale, picked = scale_of(stage), []
    for i, clip in enumerate(clips):
        frames, alpha = (x[0] for x in as_batch(clip))
        height, width = (-(-n // scale) for n in alpha.shape[-2:])
        if count > len(frames) * height * width:
            raise ValueError(f"{count} cells per clip are wanted, but {stage} has {len(frames)} x {height} x {width} = "
                             f"{len(frames) * height * width} in a clip; ask for fewer, or for larger frames")
        rng = np.random.default_rng([seed, i, STAGES.index(stage)])
        where = np.unravel_index(np.sort(rng.choice(len(frames) * height * width, count, replace=False)),
                                 (len(frames), height, width))
        classes = alpha_class(cell_alpha(alpha, height, width))[:, 0].numpy()[where]
        colour = nearest(cell_alpha(frames, height, width).movedim(1, -1).numpy()[where], codes)
        picked.append((*where, classes, colour))
    return Cells(*map(np.stack, zip(*picked, strict=True)))


@torch.no_grad()
def capture(model: BiVM, clips: Sequence[Clip], cells: dict[str, Cells]) -> dict[str, np.ndarray]:
    """Every stage of `cells`, before the sign: {stage: (clips, cells, C) float32}. The memory runs from frame 0."""
    for stage in cells:
        stage_module(model, stage)
    model.eval()
    found: dict[str, list[np.ndarray]] = {stage: [] for stage in cells}
    for i, clip in enumerate(clips):
        with Capture(model, tuple(cells)) as maps:
            model(as_batch(clip)[0])
        for stage, which in cells.items():
            found[stage].append(maps[stage].movedim(1, -1).numpy()[which.frame[i], which.row[i], which.column[i]])
    return {stage: np.stack(vectors) for stage, vectors in found.items()}


@torch.no_grad()
def after_sign(model: BiVM, stage: str, features: np.ndarray) -> np.ndarray:
    """Features (..., C) of that stage as its reader sees them: -1 and +1, float32. ValueError for a float twin."""
    if not model.binary:
        raise ValueError("a float twin has no signs; binary features are needed")
    flat = torch.from_numpy(features).flatten(0, -2)[..., None, None]  # (N, C, 1, 1)
    return reader(model, stage)(flat)[..., 0, 0].numpy().reshape(features.shape)
