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
        (height, width, _), extra = small.shape, hidden.shape[2]
        memory, run = self.parts.memory, self.parts.workers.run
        features = memory.floats("refiner.features", height, width, 8 + extra)
        mean_x, mean_y = memory.floats("refiner.means", 2, height, width, 4)
        lines = memory.floats("refiner.lines", 8, height, width)  # four slopes, four offsets

        def look(top: int, bottom: int) -> None:
            rows, seen = slice(top, bottom), slice(max(top - 1, 0), min(bottom + 1, height))
            inner = slice(top - seen.start, bottom - seen.start)  # a window of 3x3 sees one row more on either side
            x = ops.with_grey(small[seen] / np.float32(255.0))
            y = np.concatenate((foreground[seen], alpha[seen, :, None]), axis=-1)
            mean_x[rows], mean_y[rows] = ops.box3(x)[inner], ops.box3(y)[inner]
            covariance = ops.box3(x * y)[inner] - mean_x[rows] * mean_y[rows]
            variance = ops.box3(x * x)[inner] - mean_x[rows] * mean_x[rows]
            statistics = np.concatenate((covariance, variance), axis=-1).reshape(-1, 8)
            features[rows, :, :8] = self.norm(statistics, statistics).reshape(-1, width, 8)
            features[rows, :, 8:] = hidden[rows, :width]

        def draw(top: int, bottom: int) -> None:
            rows = slice(top, bottom)
            block = deep[rows].reshape(-1, deep.shape[2])
            slope = ops.linear(block, *self.head, scratch("refiner.head", (4, len(block)), np.float32))
            lines[:4, rows] = slope.reshape(4, -1, width)
            lines[4:, rows] = mean_y[rows].transpose(2, 0, 1) - lines[:4, rows] * mean_x[rows].transpose(2, 0, 1)

        run(look, height, width * (8 + extra))
        deep = self.hidden(self.mix(features, "a"), "b")
        run(draw, height, width * deep.shape[2])
        return self._apply(lines, large)

    def _apply(self, lines: np.ndarray, large: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Upsample the lines (8, h, w), columns first, and evaluate every pixel's, strip by strip."""
        (height, width), (h, w) = large.shape[:2], lines.shape[1:]
        left, right, part = ops.source_positions(w, width)
        wide = self.parts.memory.floats("refiner.wide", 8, h, width)

        def columns(first: int, last: int) -> None:
            for plane, line in zip(wide[first:last], lines[first:last]):
                line.take(left, 1, plane, "clip")
                plane *= ops.ONE - part
                other = line.take(right, 1, scratch("refiner.right", plane.shape, np.float32), "clip")
                plane += np.multiply(other, part, out=other)

        above, below, down = ops.source_positions(h, height)
        down = down[:, None]
        memory = self.parts.memory
        alpha = memory.output("refined alpha", height, width)
        foreground = memory.output("refined foreground", height, width, 3)

        def between(plane: np.ndarray, rows: slice, out: np.ndarray) -> np.ndarray:
            plane.take(above[rows], 0, out, "clip")
            out *= ops.ONE - down[rows]
            under = plane.take(below[rows], 0, scratch("refiner.under", out.shape, np.float32), "clip")
            under *= down[rows]
            out += under
            return out

        def strip(top: int, bottom: int) -> None:
            rows = slice(top, bottom)
            pixels, slope, offset = (scratch(f"refiner.{name}", (planes, bottom - top, width), np.float32)
                                     for name, planes in (("pixels", 4), ("slope", 1), ("offset", 1)))
            for colour in range(3):
                np.divide(large[rows, :, colour], np.float32(255.0), out=pixels[colour])
            ops.grey(*pixels)
            for k, pixel in enumerate(pixels):
                y = between(wide[k], rows, slope[0])
                y *= pixel
                y += between(wide[4 + k], rows, offset[0])
                np.clip(y, ops.ZERO, ops.ONE, out=alpha[rows] if k == 3 else foreground[rows, :, k])

        self.parts.workers.run(columns, 8, h * width)
        self.parts.workers.run(strip, height, 8 * width)
        return alpha, foreground
