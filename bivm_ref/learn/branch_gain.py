"""What the 3x3 branch of the decoder gains over the 1x1 branch, cell by cell, by distance to the boundary.

Pointwise V-information: log2 p(y | both branches) - log2 p(y | the 1x1 alone), each by a probe on clips it never saw. A
mean over flat regions says nothing by itself (their label is easy from either branch); the profile over distance does.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from bivm_ref.clips import Clip
from bivm_ref.information import FEWEST_CLIPS, summary
from bivm_ref.learn.features import as_batch
from bivm_ref.learn.mimic import alpha_class, cell_alpha
from bivm_ref.learn.probes import LINEAR, pointwise
from bivm_ref.net import BiVM

REACH = ((0, 0), (1, 4), (5, 8), (9, 16), (17, 32), (33, None))  # bins of distance, in pixels; None: and beyond
FARTHEST = 33
STAGES = ("d3", "d2", "d1", "d0")


def boundary_distance(alpha: Tensor) -> Tensor:
    """Chessboard distance in pixels to the nearest boundary pixel of alpha (T, 1, H, W) -> same shape, whole numbers;
    33 for all that is further. Boundary: half transparent, or next to a pixel of the other side."""
    inside = (alpha > 0.5).float()
    edge = F.max_pool2d(inside, 3, 1, 1) + F.max_pool2d(-inside, 3, 1, 1) > 0
    near = (edge | ((alpha > 0.02) & (alpha < 0.98))).float()
    distance = torch.full_like(alpha, float(FARTHEST))
    for step in range(FARTHEST):
        distance = torch.where((near > 0) & (distance == FARTHEST), torch.full_like(alpha, float(step)), distance)
        near = F.max_pool2d(near, 3, 1, 1)
    return distance


def by_distance(values: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """Mean of values in every bin of `REACH`, by clip: both (clips, ...) -> (bins, clips), NaN for an empty bin."""
    values, distance = (x.reshape(len(x), -1) for x in (values, distance))
    found = np.full((len(REACH), len(values)), np.nan)
    for row, (start, stop) in zip(found, REACH, strict=True):
        chosen = (distance >= start) & (distance <= (np.inf if stop is None else stop))
        some = chosen.any(1)
        row[some] = np.where(chosen, values, 0.0).sum(1)[some] / chosen.sum(1)[some]
    return found


def gain_by_distance(model: BiVM, clips: Sequence[Clip], cells: int, seed: int = 0) -> list[dict]:
    """Rows of {"stage", "from", "to" (pixels, None: beyond), "clips", mean, low, high}, in bits; intervals over the
    clips that have such cells, Nones for fewer than 10 of them."""
    rows = []
    for stage, (point, both, classes, distance) in branch_features(model, clips, cells, seed).items():
        gain = pointwise(both, classes, LINEAR, seed) - pointwise(point, classes, LINEAR, seed)
        for (start, stop), clip_means in zip(REACH, by_distance(gain, distance), strict=True):
            known = clip_means[~np.isnan(clip_means)]
            figures = summary(known[None]) if len(known) >= FEWEST_CLIPS else dict.fromkeys(("mean", "low", "high"))
            rows.append({"stage": stage, "from": start, "to": stop, "clips": len(known), **figures})
    return rows


def branch_features(model: BiVM, clips: Sequence[Clip], cells: int, seed: int) -> dict[str, tuple[np.ndarray, ...]]:
    """For every decoder stage (point, both, classes, distance): the 1x1 branch alone and the sum of both, each (clips,
    cells, C), computed everywhere; the alpha class of the cell and the distance of its nearest pixel, (clips, cells).

    A third of the cells is drawn within 8 pixels of the boundary, so that near bins are not empty.
    """
    kept: dict[str, list[tuple[np.ndarray, ...]]] = {stage: [] for stage in STAGES}
    for i, clip in enumerate(clips):
        frames, alpha = as_batch(clip)
        branches = _branches(model, frames)
        distance = boundary_distance(alpha[0])
        for stage, (point, around) in branches.items():
            height, width = (-(-n // 2 ** int(stage[1])) for n in alpha.shape[-2:])
            classes = alpha_class(cell_alpha(alpha[0], height, width))[:, 0].numpy()
            far = _cell_minimum(distance, height, width)[:, 0].numpy()
            near = far.ravel() <= 8
            odds = np.full(far.size, 2.0 / far.size) + (near / near.sum() if near.any() else 1.0 / far.size)
            rng = np.random.default_rng([seed, i, STAGES.index(stage)])
            where = np.unravel_index(rng.choice(far.size, cells, replace=False, p=odds / odds.sum()), far.shape)
            vectors = (x.movedim(1, -1).numpy()[where] for x in (point, point + around))
            kept[stage].append((*vectors, classes[where], far[where]))
    return {stage: tuple(map(np.stack, zip(*found, strict=True))) for stage, found in kept.items()}


@torch.no_grad()
def _branches(model: BiVM, frames: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """{stage: (1x1 branch, 3x3 branch)} of one clip, (T, C, h, w) each, with the 3x3 computed everywhere."""
    seen: dict[str, Tensor] = {}
    hooks, masked = [], model.masked
    for stage in STAGES:
        two = getattr(model.decoder, stage).conv
        for name, norm in (("1", two.norm1), ("3", two.norm3)):
            hooks.append(norm.register_forward_hook(lambda _m, _x, y, key=stage + name: seen.__setitem__(key, y)))
    try:
        model.masked = False
        model(frames)
    finally:
        model.masked = masked
        for hook in hooks:
            hook.remove()
    return {stage: (seen[stage + "1"], seen[stage + "3"]) for stage in STAGES}


def _cell_minimum(x: Tensor, height: int, width: int) -> Tensor:
    """Least value of each cell: (T, 1, H, W) -> (T, 1, height, width), by `cell_alpha`'s rule."""
    times = -(-x.shape[-2] // height)
    padded = F.pad(x, (0, width * times - x.shape[-1], 0, height * times - x.shape[-2]), mode="replicate")
    return -F.max_pool2d(-padded, times)
