"""A first frame that is matted with a memory: shown to the network a few times before it counts (our reading).

The ConvGRUs' memory is empty when a clip begins, so a first frame is matted worse than those after it, and a single
image is nothing but a first frame. Shown the frame before, its mattes thrown away, the network remembers it. Training
and the published figures begin with an empty memory, as RVM's do; README.md says what this is worth.
"""

from __future__ import annotations

import numpy as np

from .errors import UserError

IMAGE_SHOWN = 2  # times that `matte` shows a single image beforehand; more gains nothing on photographs


class Settled:
    """An engine that after each reset is shown the first frame `times` before it counts; that frame costs 1 + times
    frames. Raises what the engine raises, and UserError for a matte that holds NaN."""

    def __init__(self, engine, times: int) -> None:
        self.engine, self.times, self.begun = engine, times, False

    def reset(self) -> None:
        self.engine.reset()
        self.begun = False

    def step(self, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The engine's `step`: frame (H, W, 3) uint8 -> alpha (H, W) and foreground (H, W, 3), float32."""
        for _ in range(0 if self.begun else self.times):
            self.engine.step(frame)
        self.begun = True
        alpha, foreground = self.engine.step(frame)
        if not np.isfinite(alpha).all():
            raise UserError("the network's matte holds NaN: its weights are damaged, or their training diverged; "
                            "choose others with --weights")
        return alpha, foreground
