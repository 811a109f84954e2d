"""The deep guided filter of the packed network: from a small matte and the full frame to the full matte.

In a small window the large matte is a linear function of the large frame, out = A * frame + b. A comes from
the covariances of the small frame and matte and from the decoder's map; A and b are smooth, so they survive
bilinear upsampling, and the large frame brings the sharp edges back. `bivm_ref.net.refiner` is the torch
side.
"""

from __future__ import annotations

import numpy as np

from bivm_ref.packed import ops
from bivm_ref.packed.kernels import scratch
from bivm_ref.packed.layers import Elastic, Parts


class Refiner:
    def __init__(self, parts: Parts) -> None:
        self.parts, self.norm = parts, parts.affine("refiner.norm", factor=1)
        self.mix, self.hidden = Elastic(parts, "refiner.mix"), Elastic(parts, "refiner.hidden")
        self.head = parts["refiner.head.weight"], parts["refiner.head.bias"]

    def __call__(self, small: np.ndarray, large: np.ndarray, alpha: np.ndarray, foreground: np.ndarray,
                 hidden: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """small (h, w, 3) and large (H, W, 3) uint8; alpha (h, w) and foreground (h, w, 3) of the small frame;
        hidden (h', w', C), h <= h', w <= w' -> alpha (H, W) and foreground (H, W, 3), float32 in [0, 1]."""
        height, width, _ = small.shape
        x = ops.with_grey(small / np.float32(255.0))
        matte = np.concatenate((foreground, alpha[..., None]), axis=-1)
        mean_x, mean_y = ops.box3(x), ops.box3(matte)
        covariance = ops.box3(x * matte) - mean_x * mean_y
        variance = ops.box3(x * x) - mean_x * mean_x
        statistics = np.concatenate((covariance, variance), axis=-1).reshape(-1, 8)
        self.norm(statistics, statistics)
        features = np.concatenate((statistics.reshape(height, width, 8), hidden[:height, :width]), axis=-1)
        features = self.hidden(self.mix(features, "a"), "b").reshape(height * width, -1)
        planar = ops.linear(features, *self.head, np.empty((4, height * width), np.float32))
        slope = np.ascontiguousarray(planar.T).reshape(height, width, 4)
        offset = mean_y - slope * mean_x
        return self._apply(np.concatenate((slope, offset), axis=-1), large)

    def _apply(self, lines: np.ndarray, large: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Upsample (slope, offset) (h, w, 8) and evaluate every pixel's line, strip by strip."""
        (height, width), (h, w) = large.shape[:2], lines.shape[:2]
        left, right, part = ops.source_positions(w, width)
        part = part[:, None]
        lines = lines.take(left, axis=1) * (np.float32(1.0) - part) + lines.take(right, axis=1) * part
        lines = np.ascontiguousarray(lines.reshape(h, width, 2, 4).transpose(0, 2, 1, 3))  # (h, 2, W, 4)
        above, below, down = ops.source_positions(h, height)
        alpha, foreground = np.empty((height, width), np.float32), np.empty((height, width, 3), np.float32)

        def strip(top: int, bottom: int) -> None:
            rows = slice(top, bottom)
            share = down[rows, None, None, None]
            shape = (bottom - top, *lines.shape[1:])
            y = lines.take(above[rows], 0, scratch("refine.above", shape, np.float32), "clip")
            under = lines.take(below[rows], 0, scratch("refine.below", shape, np.float32), "clip")
            y *= np.float32(1.0) - share
            under *= share
            y += under
            y = np.multiply(y[:, 0], ops.with_grey(large[rows] / np.float32(255.0)), out=y[:, 0]) + y[:, 1]
            np.clip(y, ops.ZERO, ops.ONE, out=y)
            alpha[rows], foreground[rows] = y[..., 3], y[..., :3]

        self.parts.workers.run(strip, height, 8 * width)
        return alpha, foreground
