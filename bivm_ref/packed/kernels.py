"""Two exact kernels for one sum: n - 2 * popcount(a XOR w), over every tap and input channel.

`XorPopcount` computes the definition, on words of 64 bits where the width allows. `ByteTable` remembers it:
eight input channels are one byte, a byte has 256 values, so the signed dot product of every byte value with
every output channel fits a small table and a convolution becomes look-ups and additions. Both return the same
integers.

A kernel reads columns. A column is one word of channels (8 for the table, up to 64 for XOR) of one source at
n positions; a tap of the convolution is a list of columns, in the order of `kernel.words`, and the n flags
that say which positions lie inside the image. Where the columns come from (a slice of a padded plane, or a
gather) is not the kernel's business: see conv.py and sparse.py.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable

import numpy as np

from bivm_ref.packed.bits import popcount

Tap = tuple[list[np.ndarray], np.ndarray]  # columns, each (n,); inside (n,) bool

OUTSIDE = 256  # the table's row for "no pixel here": all zeros
GROUPS_PER_INT8 = 15  # a table entry is -8 .. 8, and 15 * 8 = 120 is the last multiple that int8 holds
_memory = threading.local()


def scratch(name: str, shape: tuple[int, ...], dtype: type | np.dtype) -> np.ndarray:
    """An uninitialised array that the next call with the same name (in this thread) overwrites.

    Fresh memory costs a page fault per 4 KiB, which is slower than the additions that fill it.
    """
    buffers = _memory.__dict__
    need = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if name not in buffers or buffers[name].nbytes < need:
        buffers[name] = np.empty(need, np.uint8)
    return buffers[name][:need].view(dtype).reshape(shape)


def integer_type(terms: int) -> type:
    """The narrowest dtype that holds a sum of `terms` signs."""
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

    border = 0  # any value: positions outside are taken out of the count

    def __init__(self, bits: np.ndarray, sizes: tuple[int, ...]) -> None:
        """bits (cout, k, k, cin/8) uint8; sizes: bytes per source, their sum is cin/8."""
        self.cout, kernel = bits.shape[0], bits.shape[1]
        self.words = split_bytes(sizes, widest=8)
        self.dtypes = [np.dtype(f"u{word}") for _, _, word in self.words]
        self.channels = bits.shape[3] * 8
        self.dtype = integer_type(kernel * kernel * self.channels)
        starts = np.concatenate(([0], np.cumsum(sizes)))
        taps = bits.reshape(self.cout, kernel * kernel, -1)
        # weights[tap][word]: (cout, 1), so that it meets a column of n positions as (cout, n)
        self.weights = [[np.ascontiguousarray(taps[:, t, starts[s] + a:][:, :size]).view(dtype)
                         for (s, a, size), dtype in zip(self.words, self.dtypes)]
                        for t in range(kernel * kernel)]
        self.nbytes = bits.nbytes
        self.row_bytes = 2 * self.cout  # of counts: decides how many positions are done at a time

    def dot(self, taps: Iterable[Tap], n: int) -> np.ndarray:
        """(n, cout) sums; a view of scratch memory, valid until the next call."""
        shape = (self.cout, n)
        differ = scratch("xor.differ", shape, np.uint16 if self.dtype == np.int16 else np.uint32)
        differ[...] = 0
        few = scratch("xor.few", shape, np.uint8)  # counts of one tap, while they fit 8 bits
        count = scratch("xor.count", shape, np.uint8)
        terms = np.zeros(n, self.dtype)  # signs that were added: fewer at the border
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
            terms += inside * self.dtype(self.channels)
        result = scratch("xor.result", shape, self.dtype)
        np.multiply(differ.view(self.dtype), -2, out=result)
        np.add(result, terms, out=result)
        return result.T


class ByteTable:
    """XOR and popcount, memoised. table[tap][byte group]: (257, width) int8; row 256 is outside.

    32 bytes of table per weight bit. Rows are padded to a width that NumPy copies fast.
    """

    border = OUTSIDE

    def __init__(self, bits: np.ndarray, sizes: tuple[int, ...]) -> None:
        """bits (cout, k, k, cin/8) uint8; sizes: bytes per source, their sum is cin/8."""
        self.cout, kernel, _, groups = bits.shape
        self.words = split_bytes(sizes, widest=1)
        self.dtypes = [np.dtype(np.intp)] * groups  # `take` would convert anything else, each time
        self.dtype = integer_type(kernel * kernel * groups * 8)
        self.width = self.row_width(self.cout)
        value = np.arange(256, dtype=np.uint8)
        dot8 = (8 - 2 * popcount((value[:, None] ^ value)[..., None])).astype(np.int8)  # [byte, weight byte]
        self.table = np.zeros((kernel * kernel, groups, OUTSIDE + 1, self.width), np.int8)
        for t, tap in enumerate(bits.reshape(self.cout, kernel * kernel, groups).transpose(1, 2, 0)):
            for g, weight_bytes in enumerate(tap):  # (cout,)
                self.table[t, g, :OUTSIDE, :self.cout] = dot8.take(weight_bytes, axis=1)
        self.nbytes = self.table.nbytes
        self.row_bytes = self.width  # as above; found by trying, and flat within a factor of two

    @staticmethod
    def row_width(cout: int) -> int:
        return cout if cout == 8 else -(-cout // 16) * 16

    @classmethod
    def bytes_needed(cls, bits: np.ndarray) -> int:
        return bits[0].size * (OUTSIDE + 1) * cls.row_width(bits.shape[0])

    def dot(self, taps: Iterable[Tap], n: int) -> np.ndarray:
        """(n, cout) sums; a view of scratch memory, valid until the next call."""
        shape = (n, self.width)
        few = scratch("table.few", shape, np.int8)  # sum of up to 15 groups
        rows = scratch("table.rows", shape, np.int8)
        total = scratch("table.total", shape, self.dtype)
        held, widened = 0, False
        for tables, (columns, _) in zip(self.table, taps):
            for table, column in zip(tables, columns):
                if held == GROUPS_PER_INT8:
                    _widen(total, few, widened)
                    held, widened = 0, True
                # mode='clip': the default checks every index first. `table[column]` is five times slower.
                table.take(column, axis=0, out=rows if held else few, mode="clip")
                if held:
                    np.add(few, rows, out=few)
                held += 1
        _widen(total, few, widened)
        return total[:, :self.cout]


def _widen(total: np.ndarray, few: np.ndarray, add: bool) -> None:
    if add:
        np.add(total, few, out=total)
    else:
        np.copyto(total, few)
