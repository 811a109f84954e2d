"""The deep guided filter of the packed network: from a small matte and the full frame to the full matte.

In a small window the large matte is a linear function of the large frame, out = A * frame + b. A comes from
the covariances of the small frame and matte and from the decoder's map; A and b are smooth, so they survive
bilinear upsampling, and the large frame brings the sharp edges back. `bivm_ref.net.refiner` is the torch
side.
"""

from __future__ import annotations

import numpy as np

from bivm_ref.packed import ops
from bivm_ref.packed.layers import Elastic, Parts


class Refiner:
    def __init__(self, parts: Parts) -> None:
        self.norm = parts.of("refiner.norm", "scale", "shift")
        self.mix, self.hidden = Elastic(parts, "refiner.mix"), Elastic(parts, "refiner.hidden")
        self.head = parts.of("refiner.head", "weight", "bias")

    def __call__(self, small: np.ndarray, large: np.ndarray, matte: np.ndarray,
                 hidden: np.ndarray) -> np.ndarray:
        """small (h, w, 3) and large (H, W, 3) uint8; matte (h, w, 4) in [0, 1]; hidden (h, w, C) -> (H, W,
        4), foreground and alpha in [0, 1]."""
        x = ops.with_grey(small / np.float32(255.0))
        mean_x, mean_y = ops.box3(x), ops.box3(matte)
        covariance = ops.box3(x * matte) - mean_x * mean_y
        variance = ops.box3(x * x) - mean_x * mean_x
        statistics = ops.affine(np.concatenate((covariance, variance), axis=-1), **self.norm)
        features = np.concatenate((statistics, hidden), axis=-1)
        slope = ops.linear(self.hidden(self.mix(features)), **self.head)
        offset = mean_y - slope * mean_x
        return self._apply(np.concatenate((slope, offset), axis=-1), large)

    @staticmethod
    def _apply(lines: np.ndarray, large: np.ndarray) -> np.ndarray:
        """Upsample (slope, offset) (h, w, 8) and evaluate every pixel's line, strip by strip."""
        (height, width), (h, w) = large.shape[:2], lines.shape[:2]
        left, right, part = ops.source_positions(w, width)
        part = part[:, None]
        lines = lines.take(left, axis=1) * (np.float32(1.0) - part) + lines.take(right, axis=1) * part
        lines = np.ascontiguousarray(lines.reshape(h, width, 2, 4).transpose(0, 2, 1, 3))  # (h, 2, W, 4)
        top, bottom, part = ops.source_positions(h, height)
        out = np.empty((height, width, 4), np.float32)
        for rows in ops.strips(height, 8 * width):
            down = part[rows, None, None, None]
            strip = lines[top[rows]] * (np.float32(1.0) - down) + lines[bottom[rows]] * down
            y = strip[:, 0]
            y *= ops.with_grey(large[rows] / np.float32(255.0))
            y += strip[:, 1]
            np.clip(y, 0.0, 1.0, out=out[rows])
        return out
