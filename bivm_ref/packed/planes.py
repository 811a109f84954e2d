"""A sign map laid out the way the kernels read it: padded planes, so that a tap of a convolution copies nothing.

A plane holds one word of channels for every pixel of the image and a border of one pixel around it. Seen as
one long row of numbers, the plane shifted by a tap (dy, dx) is a contiguous slice of itself:

    plane[(y + 1 + dy) * (W + 2) + (x + 1 + dx)]  for all y, x  =  plane[start : start + H * (W + 2)]

Zero padding is then exact. For a table it is free, a row of zeros; to XOR and popcount a word of 0 would be eight -1,
so a plane `inside` says what counts. The last two numbers of each row are of no pixel and are dropped later.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bivm_ref.packed.memory import aligned


class SignMap:
    """One packed map and its planes. Each plane is laid out when a kernel first asks for it.

    bytes (H, W, C/8) uint8 is written by whoever makes the map, who then calls `changed`. The memory serves
    frame after frame: borders are set once.
    """

    def __init__(self, height: int, width: int, groups: int, packed: np.ndarray | None = None) -> None:
        self.height, self.width, self.groups = height, width, groups
        self.row = width + 2  # numbers per row of a plane
        self.bytes = np.zeros((height, width, groups), np.uint8) if packed is None else packed
        self._planes: dict[tuple[int, int, int], np.ndarray] = {}
        self._fresh: set[tuple[int, int, int]] = set()
        self._inside: np.ndarray | None = None

    @classmethod
    def of(cls, packed: np.ndarray) -> SignMap:
        """Of a packed map (H, W, C/8) uint8, which is copied."""
        made = cls(*packed.shape)
        made.bytes[...] = packed
        return made

    def changed(self) -> SignMap:
        """Say that `bytes` was written: the planes are laid out anew when next asked for."""
        self._fresh.clear()
        return self

    def index(self, group: int, word: int = 8, shift: int = 0) -> np.ndarray:
        """Plane of byte `group`, or of half of it (word 4), as row numbers of a table:
        ((H + 2) * (W + 2) + 2,) intp, at the border the row after the last."""

        def values() -> np.ndarray:
            held = self.bytes[..., group]
            return held if word == 8 else held >> shift & 15

        return self._plane((group, word, shift), np.intp, 1 << word, values)

    def word(self, first: int, size: int) -> np.ndarray:
        """Plane of the bytes first .. first + size as one unsigned integer each; the border is 0."""
        return self._plane((first, 8 * size, -1), np.dtype(f"u{size}"), 0, lambda: read_word(self.bytes, first, size))

    def inside(self) -> np.ndarray:
        """Plane of bool: True at pixels, False on the border."""
        if self._inside is None:
            self._inside = self._empty(np.bool_, False)
            self._middle(self._inside)[...] = True
        return self._inside

    def _plane(self, key: tuple[int, int, int], dtype: type | np.dtype, border: int,
               values: Callable[[], np.ndarray]) -> np.ndarray:
        if key not in self._planes:
            self._planes[key] = self._empty(dtype, border)
        plane = self._planes[key]
        if key not in self._fresh:
            self._middle(plane)[...] = values()
            self._fresh.add(key)
        return plane

    def _empty(self, dtype: type | np.dtype, border: int) -> np.ndarray:
        plane = aligned((self.height + 2) * self.row + 2, dtype)  # 2 more: the last tap of the last row reads that far
        plane[...] = border
        return plane

    def _middle(self, plane: np.ndarray) -> np.ndarray:
        return plane[:-2].reshape(self.height + 2, self.row)[1:-1, 1:-1]


def read_word(packed: np.ndarray, first: int, size: int) -> np.ndarray:
    """Bytes first .. first+size of every pixel as one unsigned integer: (..., C/8) uint8 -> (...)."""
    if size == 1:
        return packed[..., first]
    return np.ascontiguousarray(packed[..., first:first + size]).view(f"u{size}")[..., 0]
