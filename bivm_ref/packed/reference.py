"""The oracle: binary convolution as loops that hide nothing. Slow; the tests hold both kernels equal to it.

Everything here is plain integers: no bits, no padding tricks, no tables. A tap outside the image adds
nothing.
"""

from __future__ import annotations

import numpy as np


def dot_reference(signs: np.ndarray, weights: np.ndarray, stride: int = 1) -> np.ndarray:
    """signs (H, W, cin), weights (cout, cin, k, k), all -1 or +1 -> (ceil(H/s), ceil(W/s), cout) int64.

    Centred kernel (k odd): output (y, x) looks at input (y*s + dy, x*s + dx) for dy, dx = -(k//2) .. k//2.
    """
    height, width, _ = signs.shape
    signs, weights = signs.astype(np.int64), weights.astype(np.int64)
    out = np.zeros((-(-height // stride), -(-width // stride), weights.shape[0]), np.int64)
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            out[y, x] = dot_reference_at(signs, weights, y * stride, x * stride)
    return out


def dot_reference_at(signs: np.ndarray, weights: np.ndarray, y: int, x: int) -> np.ndarray:
    """The sums of one output, its kernel centred on input pixel (y, x): (cout,) int64."""
    height, width, _ = signs.shape
    cout, _, k, _ = weights.shape
    total = np.zeros(cout, np.int64)
    for i in range(k):
        for j in range(k):
            row, column = y + i - k // 2, x + j - k // 2
            if 0 <= row < height and 0 <= column < width:
                total += weights[:, :, i, j] @ signs[row, column]
    return total


def masked_dot_reference(signs: np.ndarray, weights: np.ndarray, mask: np.ndarray,
                         stride: int = 1) -> np.ndarray:
    """`dot_reference`, but only where mask (Ho, Wo) bool is set; 0 elsewhere."""
    out = np.zeros((*mask.shape, weights.shape[0]), np.int64)
    for y in range(mask.shape[0]):
        for x in range(mask.shape[1]):
            if mask[y, x]:
                out[y, x] = dot_reference_at(signs, weights, y * stride, x * stride)
    return out
