"""What the decoder's mask is worth: the same network under other masks, and what a mask covers.

    coarse = coarse_alphas(net, frames)                         # once: no mask changes it
    masks = np.stack([detail_mask(a, 0.05) for a in coarse])    # as if tau were 0.05
    alphas = mattes(net, frames, masks)

The mask acts in the decoder alone. Encoder, neck and coarse head come before it and have memories of their own, so
the coarse alpha of a clip is the same under every mask, and a tau can be tried without building another network.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .packed import PackedBiVM
from .packed.network import MULTIPLE


def coarse_alphas(net: PackedBiVM, frames: Sequence[np.ndarray]) -> np.ndarray:
    """The coarse alpha of every frame of a clip, (T, h, w) float32 at 1/16."""
    net.reset()
    found = []
    for frame in frames:
        net.step(frame)
        found.append(net.coarse_alpha.copy())
    return np.stack(found)


def mattes(net: PackedBiVM, frames: Sequence[np.ndarray], masks: Sequence[np.ndarray] | None = None) -> np.ndarray:
    """The clip's alpha, (T, H, W) float32, the decoder's 3x3 computed where masks (T, h, w) bool say; None: its own."""
    net.reset()
    masks = [None] * len(frames) if masks is None else masks
    return np.stack([net.step(frame, mask)[0] for frame, mask in zip(frames, masks, strict=True)])


def between(alpha: np.ndarray) -> np.ndarray:
    """Partially transparent pixels: 0.02 < alpha < 0.98, the unknown of notebook 01's trimap before it is grown."""
    return (alpha > 0.02) & (alpha < 0.98)


def oracle_mask(alpha: np.ndarray) -> np.ndarray:
    """The mask that knows the truth: every cell of 16 x 16 pixels that holds a partially transparent one.

    True alpha (T, H, W) at the size that the network works at, H and W multiples of 16 -> (T, H/16, W/16) bool.
    """
    return _cells(between(alpha)).any((2, 4))


def covered(mask: np.ndarray, alpha: np.ndarray) -> float:
    """Share of the partially transparent pixels of alpha (T, H, W) that lie in active cells of mask (T, H/16, W/16)
    bool. NaN when there are none."""
    inside = _cells(between(alpha))
    count = np.count_nonzero(inside)
    return np.count_nonzero(inside & mask[:, :, None, :, None]) / count if count else float("nan")


def shuffled(masks: np.ndarray, seed: int = 0) -> np.ndarray:
    """As many active cells in every frame of masks (T, h, w), anywhere: the control of equal area."""
    flat = masks.reshape(len(masks), -1)
    return np.random.default_rng(seed).permuted(flat, axis=1).reshape(masks.shape)


def _cells(pixels: np.ndarray) -> np.ndarray:
    """(T, H, W) -> (T, H/16, 16, W/16, 16). ValueError for other sizes."""
    frames, height, width = pixels.shape
    if height % MULTIPLE or width % MULTIPLE:
        raise ValueError(f"alpha is {height} x {width}; both are to be multiples of {MULTIPLE}")
    return pixels.reshape(frames, height // MULTIPLE, MULTIPLE, width // MULTIPLE, MULTIPLE)
