"""The two float heads: alpha, and the foreground as a correction of the frame."""

from __future__ import annotations

import numpy as np

from bivm_ref.packed import ops
from bivm_ref.packed.kernels import scratch
from bivm_ref.packed.layers import Parts


class Heads:
    """clip(hidden . w + b) and clip(frame + hidden . W + B): float 1x1 convolutions on the decoder's last map."""

    def __init__(self, parts: Parts) -> None:
        self.parts, self.weight, self.bias = parts, parts["head.weight"], parts["head.bias"]  # three colours, alpha

    def __call__(self, hidden: np.ndarray, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """hidden (H', W', C), frame (H, W, 3) uint8, H <= H', W <= W' -> alpha (H, W), foreground (H, W, 3).

        Both float32 in [0, 1], see `Memory.output`.
        """
        height, width, _ = frame.shape
        memory = self.parts.memory
        alpha, foreground = memory.output("alpha", height, width), memory.output("foreground", height, width, 3)

        def strip(top: int, bottom: int) -> None:
            rows = slice(top, bottom)
            block = hidden[rows, :width].reshape(-1, hidden.shape[2])
            out = ops.linear(block, self.weight, self.bias, scratch("heads", (4, len(block)), np.float32))
            np.clip(out[3], ops.ZERO, ops.ONE, out=alpha[rows].reshape(-1))
            colours = foreground[rows].reshape(-1, 3)
            np.divide(frame[rows].reshape(-1, 3), np.float32(255.0), out=colours)
            colours += out[:3].T
            np.clip(colours, ops.ZERO, ops.ONE, out=colours)

        self.parts.workers.run(strip, height, width * hidden.shape[2])
        return alpha, foreground
