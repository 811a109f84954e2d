"""Skipping for real: where the decoder's 3x3 is computed.

The mask says which cells of 16 x 16 pixels are active; at scale s a cell is a square of 16/s x 16/s positions. Their
3x3 is gathered, computed and added in place, and nowhere else is anything done. Gathering costs too: from a
share of active positions on, which tune.py measures, whole rows are computed and the active ones picked.
"""

from __future__ import annotations

import numpy as np


class Active:
    """The active positions of one frame. cells (h, w) bool: the mask at scale 16."""

    def __init__(self, cells: np.ndarray) -> None:
        self.cells = cells
        self.share = float(cells.mean())
        self._at: dict[int, Positions] = {}

    def at(self, scale: int) -> Positions:
        """The positions at that scale, laid out on first use."""
        if scale not in self._at:
            times = 16 // scale
            self._at[scale] = Positions(self.cells.repeat(times, 0).repeat(times, 1))
        return self._at[scale]


class Positions:
    """Where a mask (H, W) bool is set, row by row, N positions; and what a 3x3 there reads.

    flat    (N,) intp: y * W + x, in the map
    corner  (N,) intp: y * (W + 2) + x, the corner of the 3x3 in a padded plane (planes.py)
    reads   (M,) intp: the numbers of a plane that the upper rows of the 3x3's read. Active positions come in
            runs; the 3x3's of a run of n read n + 2 numbers of a row, so M is little more than N
    at      (N,) intp: reads[at] = corner
    Row y's own: flat[starts[y]:starts[y + 1]], reads[reads_from[y]:reads_from[y + 1]]; both lists have H + 1 entries.
    """

    def __init__(self, mask: np.ndarray) -> None:
        mask = np.asarray(mask)
        if mask.ndim != 2 or mask.dtype != np.bool_ or 0 in mask.shape:
            raise ValueError(f"a mask is (H, W) bool, got {mask.shape} {mask.dtype}")
        height, self.width = mask.shape
        self.flat = np.flatnonzero(mask)
        self.rows = self.flat // self.width
        self.corner = self.flat + 2 * self.rows
        read = np.zeros((height, self.width + 2), np.bool_)
        for dx in range(3):
            read[:, dx:dx + self.width] |= mask
        self.reads = np.flatnonzero(read)
        self.at = (np.cumsum(read.reshape(-1), dtype=np.intp) - 1)[self.corner]
        self.starts = [0, *np.cumsum(np.count_nonzero(mask, axis=1)).tolist()]
        self.reads_from = [0, *np.cumsum(np.count_nonzero(read, axis=1)).tolist()]
        self.share = len(self.flat) / mask.size

    @property
    def columns(self) -> np.ndarray:
        return self.flat - self.rows * self.width

    def __len__(self) -> int:
        return len(self.flat)
