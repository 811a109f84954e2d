"""How the layers run: strip by strip, alone or in a team, in memory that lasts.

A layer walks its map in strips of whole rows, and does everything to a strip while it is in the cache: look-ups,
scale and shift, shortcut, PReLU, sign, packing. Strips do not touch each other, so a team (team.py) may share
them out. The first frame of a clip allocates every map; the following ones write into the same memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from bivm_ref.packed.memory import aligned_bytes
from bivm_ref.packed.planes import SignMap

if TYPE_CHECKING:
    from bivm_ref.packed.team import Team

NUMBERS_AT_ONCE = 1 << 18  # per strip: 256 kB of half sums, 1 MB of float32; smaller ones cost calls
WORTH_SHARING = 1 << 14  # numbers in a map: less is done by one member of a team while the others wait


class Workers:
    """`run(work, height, row)` calls work(top, bottom) for strips that cover the rows: all of them, or this
    member's share of them, and then returns when the whole team is done."""

    def __init__(self) -> None:
        self.team: Team | None = None

    def run(self, work: Callable[[int, int], None], height: int, row: int, even: bool = False) -> None:
        """row: numbers in a row of the widest map that `work` touches. even: strips begin at even rows."""
        size, rank = (1, 0) if self.team is None else (self.team.size, self.team.rank)
        step = max(1, NUMBERS_AT_ONCE // max(1, row))
        if size > 1 and height * row >= WORTH_SHARING:  # as many strips as members, or twice, three times as many
            strips = -(-height // step)
            step = -(-height // (strips + -strips % size))
        if even:
            step += step % 2
        for number, top in enumerate(range(0, height, step)):
            if number % size == rank:
                work(top, min(top + step, height))
        if self.team is not None:
            self.team.wait()


class Memory:
    """Maps by name, kept from frame to frame. A name never shrinks, so maps may take turns under one.

    allocate: bytes -> (bytes,) uint8; a team's memory is one that all of its members see.
    """

    def __init__(self, allocate: Callable[[int], np.ndarray] | None = None) -> None:
        self.shared = allocate is not None
        self._allocate = allocate or aligned_bytes
        self._floats: dict[str, np.ndarray] = {}
        self._signs: dict[tuple[str, int, int, int], SignMap] = {}

    @property
    def nbytes(self) -> int:
        return sum(held.nbytes for held in self._floats.values()) + sum(s.bytes.nbytes for s in self._signs.values())

    def reserve(self, other: Memory) -> None:
        """Make room for every name of another memory at once, so that none has to grow."""
        for name, held in other._floats.items():
            self.floats(name, held.size)

    def floats(self, name: str, *shape: int) -> np.ndarray:
        """float32 of that shape, holding whatever was there."""
        need = math.prod(shape)
        if name not in self._floats or self._floats[name].size < need:
            self._floats[name] = self._allocate(4 * need).view(np.float32)
        return self._floats[name][:need].reshape(shape)

    def output(self, name: str, *shape: int) -> np.ndarray:
        """float32 that this frame gives away: new, unless a team fills it (whoever asked then copies it)."""
        return self.floats(name, *shape) if self.shared else np.empty(shape, np.float32)

    def signs(self, name: str, height: int, width: int, groups: int) -> SignMap:
        """A sign map whose `bytes` are about to be written."""
        key = name, height, width, groups
        if key not in self._signs:
            packed = self._allocate(height * width * groups).reshape(height, width, groups)
            self._signs[key] = SignMap(height, width, groups, packed)
        return self._signs[key].changed()
