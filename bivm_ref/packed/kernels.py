"""Two exact kernels for one sum: n - 2 * popcount(a XOR w), over every tap and input channel.

`XorPopcount` computes the definition, on words of 64 bits where the width allows. `Table` remembers it: eight
input channels are one byte, a byte has 256 values, so the signed dot product of every byte value with every
output channel fits a small table and a convolution becomes look-ups and additions. With four channels to a
word it takes twice the look-ups and an eighth of the memory. All return the same integers.

The integers are *half* dot products. A sum of n signs, n a multiple of 8, is even, so nothing is lost; and
half of eight signs lies in -4 .. 4, so that 31 of them, not 15, add up within 8 bits. The other factor 2 goes
into the scale that follows, where it is exact.

A kernel reads columns. A column is one word of channels (8 or 4 for a table, up to 64 for XOR) of one source at
n positions; a tap of the convolution is a list of columns, in the order of `kernel.planes`, and the n flags
that say which positions lie inside the image (None for a table, whose columns say it themselves). Where the
columns come from (a slice of a padded plane, or a gather) is not the kernel's business: see conv.py.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable

import numpy as np

from bivm_ref.packed.bits import popcount
from bivm_ref.packed.memory import aligned, aligned_bytes
from bivm_ref.packed.planes import SignMap

Tap = tuple[list[np.ndarray], "np.ndarray | None"]  # columns, each (n,); inside (n,) bool

_memory = threading.local()


def scratch(name: str, shape: tuple[int, ...], dtype: type | np.dtype) -> np.ndarray:
    """An uninitialised array that the next call with the same name (in this thread) overwrites.

    Fresh memory costs a page fault for every 4 or 16 KiB, which is slower than the additions that fill it.
    """
    buffers = _memory.__dict__
    need = math.prod(shape) * np.dtype(dtype).itemsize
    held = buffers.get(name)
    if held is None or held.size < need:
        held = buffers[name] = aligned_bytes(need)
    return held[:need].view(dtype).reshape(shape)


def integer_type(terms: int) -> type:
    """The narrowest dtype, from int16 on, that holds a sum of `terms` signs."""
    return np.int16 if terms <= np.iinfo(np.int16).max else np.int32


def split_bytes(sizes: Iterable[int], widest: int) -> list[tuple[int, int, int]]:
    """How the bytes of each source are cut into words: (source, first byte, bytes), at most `widest`.

    Greedy, so 88 channels (11 bytes) are words of 8, 2 and 1 bytes. A word never spans two sources.
    """
    words = []
    for source, size in enumerate(sizes):
        first = 0
        while first < size:
            word = widest
            while word > size - first:
                word //= 2
            words.append((source, first, word))
            first += word
    return words


class XorPopcount:
    """The definition, XOR and popcount, on words of 64, 32, 16 or 8 channels. 1 bit stored per weight."""

    def __init__(self, bits: np.ndarray, sizes: tuple[int, ...]) -> None:
        """bits (cout, k, k, cin/8) uint8; sizes: bytes per source, their sum is cin/8."""
        self.cout, kernel = bits.shape[0], bits.shape[1]
        self.words = split_bytes(sizes, widest=8)
        self.channels = bits.shape[3] * 8
        self.dtype = integer_type(kernel * kernel * self.channels)
        starts = np.concatenate(([0], np.cumsum(sizes)))
        taps = bits.reshape(self.cout, kernel * kernel, -1)
        # weights[tap][word]: (cout, 1), so that it meets a column of n positions as (cout, n)
        self.weights = [[np.ascontiguousarray(taps[:, t, starts[s] + a:][:, :size]).view(f"u{size}")
                         for s, a, size in self.words]
                        for t in range(kernel * kernel)]
        self.row_bytes = 4 * self.cout  # of scratch per position

    def planes(self, maps: list[SignMap]) -> list[np.ndarray]:
        """What it reads of the maps, one per source: a plane per word, and at last the plane of what is inside."""
        return [*(maps[source].word(first, size) for source, first, size in self.words), maps[0].inside()]

    def tap(self, columns: list[np.ndarray]) -> Tap:
        """Columns read from all `planes` -> a tap."""
        return columns[:-1], columns[-1]

    def half_dot(self, taps: Iterable[Tap], n: int) -> np.ndarray:
        """(n, cout) half sums; a view of scratch memory, valid until the next call."""
        shape = (self.cout, n)
        differ = scratch("xor.differ", shape, self.dtype)
        differ[...] = 0
        few = scratch("xor.few", shape, np.uint8)  # counts of one tap, while they fit 8 bits
        count = scratch("xor.count", shape, np.uint8)
        half = scratch("xor.half", (n,), self.dtype)  # half of the signs that were added: fewer at the border
        half[...] = 0
        for weights, (columns, inside) in zip(self.weights, taps):
            outside = np.flatnonzero(~inside)
            held = 0
            for column, weight in zip(columns, weights):
                xor = scratch("xor.words", shape, column.dtype)
                np.bitwise_xor(column, weight, out=xor)
                if held + 8 * column.itemsize > 255:
                    few[:, outside] = 0
                    np.add(differ, few, out=differ)
                    held = 0
                np.bitwise_count(xor, out=count if held else few)
                if held:
                    np.add(few, count, out=few)
                held += 8 * column.itemsize
            few[:, outside] = 0
            np.add(differ, few, out=differ)
            half += inside * self.dtype(self.channels // 2)
        return np.subtract(half, differ, out=differ).T  # (n - 2 d) / 2


class Table:
    """XOR and popcount, memoised. table[tap][word]: (2^bits + 1, width) int8 half sums; the last row is outside.

    32 bytes of table per weight bit for words of 8 channels, 4 for words of 4. Rows are padded to a width that
    NumPy copies fast.
    """

    def __init__(self, bits: np.ndarray, sizes: tuple[int, ...], word: int = 8) -> None:
        """bits (cout, k, k, cin/8) uint8; sizes: bytes per source, their sum is cin/8; word 8 or 4 channels."""
        self.cout, kernel, _, groups = bits.shape
        self.word, self.width = word, self.row_width(self.cout)
        shifts = (0,) if word == 8 else (4, 0)  # channel 0 is the highest bit
        self.words = [(source, first, shift) for source, first, _ in split_bytes(sizes, widest=1) for shift in shifts]
        self.held = 127 // (word // 2)  # look-ups that add up within int8
        lookups = kernel * kernel * len(self.words)
        self.dtype = np.int8 if lookups <= self.held else integer_type(lookups * word // 2)
        value = np.arange(1 << word, dtype=np.uint8)
        half = (word // 2 - popcount((value[:, None] ^ value)[..., None])).astype(np.int8)  # [word, weight's word]
        self.table = aligned((kernel * kernel, len(self.words), len(value) + 1, self.width), np.int8)
        self.table[...] = 0
        taps = bits.reshape(self.cout, kernel * kernel, groups).transpose(1, 2, 0)  # (taps, groups, cout)
        for tables, tap in zip(self.table, taps):
            for i, table in enumerate(tables):
                weights = tap[i // len(shifts)] >> shifts[i % len(shifts)] & (len(value) - 1)
                half.take(weights, axis=1, out=table[:-1, :self.cout], mode="clip")
        self.tables = [list(tap) for tap in self.table]  # [tap][word]: indexing an array costs more than a list
        self.row_bytes = self.width

    @staticmethod
    def row_width(cout: int) -> int:
        return cout if cout == 8 else -(-cout // 16) * 16

    @classmethod
    def bytes_needed(cls, bits: np.ndarray, word: int = 8) -> int:
        return bits[0].size * (8 // word) * ((1 << word) + 1) * cls.row_width(bits.shape[0])

    def planes(self, maps: list[SignMap]) -> list[np.ndarray]:
        """What it reads of the maps, one per source: a plane of row numbers per word."""
        return [maps[source].index(first, self.word, shift) for source, first, shift in self.words]

    def tap(self, columns: list[np.ndarray]) -> Tap:
        return columns, None

    def half_dot(self, taps: Iterable[Tap], n: int) -> np.ndarray:
        """(n, cout) half sums; a view of scratch memory, valid until the next call."""
        shape = (n, self.width)
        few = scratch("table.few", shape, np.int8)  # while the sum fits 8 bits
        rows = scratch("table.rows", shape, np.int8)
        held, total = 0, None
        for tables, (columns, _) in zip(self.tables, taps):
            for table, column in zip(tables, columns):
                if held == self.held:
                    total = self._widen(total, few)
                    held = 0
                # mode='clip': the default checks every index first. `table[column]` is five times slower.
                if held:
                    table.take(column, 0, rows, "clip")
                    np.add(few, rows, few)
                else:
                    table.take(column, 0, few, "clip")
                held += 1
        if self.dtype != np.int8:
            few = self._widen(total, few)
        return few[:, :self.cout]

    def _widen(self, total: np.ndarray | None, few: np.ndarray) -> np.ndarray:
        if total is None:
            total = scratch("table.total", few.shape, self.dtype)
            np.copyto(total, few)
        else:
            np.add(total, few, out=total)
        return total
