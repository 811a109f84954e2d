"""How the layers run: strip by strip, on one thread or several, in memory that lasts.

A layer walks its map in strips of whole rows, and does everything to a strip while it is in the cache: look-ups,
scale and shift, shortcut, PReLU, sign, packing. Strips do not touch each other, so several threads may take
one each (NumPy lets go of Python's lock while it computes). The first frame of a size allocates every map;
the following ones write into the same memory.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from bivm_ref.packed.planes import SignMap

NUMBERS_AT_ONCE = 1 << 18  # per strip: 256 kB of half sums, 1 MB of float32; smaller ones cost calls

WORTH_SHARING = 1 << 14  # numbers in a map: handing a strip to another thread costs some 20 microseconds


class Workers:
    """One thread or several. `run(work, height, row)` calls work(top, bottom) for strips that cover the rows."""

    def __init__(self, threads: int = 1) -> None:
        self.threads = threads
        self.pool = ThreadPoolExecutor(threads) if threads > 1 else None

    def run(self, work: Callable[[int, int], None], height: int, row: int, even: bool = False) -> None:
        """row: numbers in a row of the widest map that `work` touches. even: strips begin at even rows."""
        step = max(1, NUMBERS_AT_ONCE // max(1, row))
        shared = self.pool is not None and height * row >= WORTH_SHARING
        if shared:  # as many strips as threads, or twice, three times as many: nobody waits for the last one
            strips = -(-height // step)
            step = -(-height // (strips + -strips % self.threads))
        if even:
            step += step % 2
        tops = range(0, height, step)
        if not shared or len(tops) == 1:
            for top in tops:
                work(top, min(top + step, height))
        else:
            for done in [self.pool.submit(work, top, min(top + step, height)) for top in tops]:
                done.result()

    def close(self) -> None:
        if self.pool is not None:
            self.pool.shutdown()


class Memory:
    """Maps by name, kept from frame to frame. A name never shrinks, so maps may take turns under one."""

    def __init__(self) -> None:
        self._floats: dict[str, np.ndarray] = {}
        self._signs: dict[tuple[str, int, int, int], SignMap] = {}

    def floats(self, name: str, height: int, width: int, channels: int) -> np.ndarray:
        """(H, W, C) float32, holding whatever was there."""
        need = height * width * channels
        if name not in self._floats or self._floats[name].size < need:
            self._floats[name] = np.empty(need, np.float32)
        return self._floats[name][:need].reshape(height, width, channels)

    def signs(self, name: str, height: int, width: int, groups: int) -> SignMap:
        """A sign map whose `bytes` are about to be written."""
        key = name, height, width, groups
        if key not in self._signs:
            self._signs[key] = SignMap(height, width, groups)
        return self._signs[key].changed()

    def clear(self) -> None:
        self._floats.clear()
        self._signs.clear()
