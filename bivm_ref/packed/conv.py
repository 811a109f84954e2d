"""A packed convolution: sign bits in, whole numbers out, without im2col.

Every column of the kernel (see kernels.py) is laid out once as a padded plane of (H + 2) x (W + 2), border =
"outside". Seen as one long row of numbers, the plane shifted by a tap (dy, dx) is a contiguous slice of
itself:

    plane[(y + dy) * (W + 2) + (x + dx)]   for all y, x   =   plane[offset : offset + H * (W + 2)]

so a tap copies nothing, and zero padding is exact and free. The last two numbers of each row are of no pixel
and are dropped at the end. Stride 2 gathers its positions instead, like the sparse path.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bivm_ref.packed.kernels import ByteTable, XorPopcount, integer_type, scratch
from bivm_ref.packed.sparse import dot_at, read_word

TABLE_BUDGET = 8 << 20  # bytes: a 3x3 from 256 to 256 channels would need 19 MB to be little faster than XOR
BYTES_AT_ONCE = 1 << 18  # of one scratch array: what stays in a second-level cache


class PackedConv:
    """Binary convolution of one or several packed maps that stand side by side in the channels.

    bits     (cout, k, k, cin/8) uint8, k = 3 (padding 1) or 1 (padding 0); cout a multiple of 8
    stride   1 or 2
    sources  channels of each input map, their sum is cin (default: one map). The concatenation is never built
    kernel   "xor", "table", or "auto": the table unless it needs more than `TABLE_BUDGET` bytes

    Raises ValueError when an argument has another dtype, shape or value.
    """

    def __init__(self, bits: np.ndarray, stride: int = 1, sources: Sequence[int] | None = None,
                 kernel: str = "auto", name: str = "") -> None:
        bits = np.asarray(bits)
        where = f"convolution {name}: " if name else ""
        if bits.dtype != np.uint8 or bits.ndim != 4 or bits.shape[1] != bits.shape[2] or 0 in bits.shape:
            raise ValueError(f"{where}bits are (cout, k, k, cin/8) uint8, got {bits.shape} {bits.dtype}")
        if bits.shape[1] not in (1, 3) or bits.shape[0] % 8:
            raise ValueError(f"{where}k is 1 or 3 and cout a multiple of 8, got bits of shape {bits.shape}")
        if stride not in (1, 2):
            raise ValueError(f"{where}stride is 1 or 2, not {stride!r}")
        self.cout, self.size, _, groups = bits.shape
        self.cin = groups * 8
        self.sources = (self.cin,) if sources is None else tuple(int(s) for s in sources)
        if sum(self.sources) != self.cin or any(s <= 0 or s % 8 for s in self.sources):
            raise ValueError(f"{where}sources are multiples of 8 that sum to {self.cin}, got {self.sources}")
        if kernel not in ("auto", "xor", "table"):
            raise ValueError(f"{where}kernel is auto, xor or table, not {kernel!r}")
        if kernel == "auto":
            kernel = "table" if ByteTable.bytes_needed(bits) <= TABLE_BUDGET else "xor"
        kind = XorPopcount if kernel == "xor" else ByteTable
        self.kernel = kind(bits, tuple(s // 8 for s in self.sources))
        self.bits, self.stride, self.name, self.kernel_name = bits, stride, name, kernel
        self.padding = self.size // 2
        reach = range(-self.padding, self.padding + 1)
        self.offsets = [(dy, dx) for dy in reach for dx in reach]  # of each tap, in the order of the weights
        self.dtype = integer_type(self.size * self.size * self.cin)

    def output_shape(self, height: int, width: int) -> tuple[int, int]:
        return -(-height // self.stride), -(-width // self.stride)

    def positions_at_once(self) -> int:
        return max(1, BYTES_AT_ONCE // self.kernel.row_bytes)

    def check(self, maps: np.ndarray | Sequence[np.ndarray]) -> list[np.ndarray]:
        """The maps as a list of contiguous arrays, one per source. ValueError when they do not fit."""
        maps = [maps] if isinstance(maps, np.ndarray) else list(maps)
        where = f"convolution {self.name}: " if self.name else ""
        if len(maps) != len(self.sources):
            raise ValueError(f"{where}{len(self.sources)} maps expected, got {len(maps)}")
        for m, channels in zip(maps, self.sources):
            if not isinstance(m, np.ndarray) or m.dtype != np.uint8 or m.ndim != 3:
                raise ValueError(f"{where}a packed map is (H, W, C/8) uint8, got "
                                 f"{getattr(m, 'shape', type(m).__name__)} {getattr(m, 'dtype', '')}")
            if m.shape != (*maps[0].shape[:2], channels // 8) or 0 in m.shape:
                raise ValueError(f"{where}a source of {channels} channels is (H, W, {channels // 8}), all of "
                                 f"one size, at least 1 x 1; got {[m.shape for m in maps]}")
        return [np.ascontiguousarray(m) for m in maps]

    def dot(self, maps: np.ndarray | Sequence[np.ndarray]) -> np.ndarray:
        """Packed map or list of maps, each (H, W, C/8) uint8 -> (Ho, Wo, cout) int16, int32 when int16 is too
        small.

        Ho = ceil(H / stride), Wo = ceil(W / stride). The result belongs to the caller.
        """
        maps = self.check(maps)
        height, width = maps[0].shape[:2]
        if self.stride > 1:
            rows, columns = self.output_shape(height, width)
            ys, xs = np.divmod(np.arange(rows * columns), columns)
            return dot_at(self, maps, ys, xs).reshape(rows, columns, self.cout)
        padded = width + 2 * self.padding
        planes, inside = self._planes(maps, height, width)
        starts = [(dy + self.padding) * padded + dx + self.padding for dy, dx in self.offsets]
        out = np.empty((height, width, self.cout), self.dtype)
        step = max(1, self.positions_at_once() // padded)  # rows
        for top in range(0, height, step):
            rows = min(step, height - top)
            n = rows * padded
            slices = [slice(top * padded + start, top * padded + start + n) for start in starts]
            total = self.kernel.dot((([p[s] for p in planes], inside[s]) for s in slices), n)
            out[top:top + rows] = total.reshape(rows, padded, self.cout)[:, :width]
        return out

    def _planes(self, maps: list[np.ndarray], height: int, width: int) -> tuple[list[np.ndarray], np.ndarray]:
        """One flat padded plane per column of the kernel, and the plane of what is inside."""
        p = self.padding
        shape = (height + 2 * p, width + 2 * p)
        middle = (slice(p, p + height), slice(p, p + width))
        length = shape[0] * shape[1] + 2 * p  # the last tap of the last row reads this far

        def plane(name: str, dtype: np.dtype, border: int, values: np.ndarray | bool) -> np.ndarray:
            flat = scratch(name, (length,), dtype)
            grid = flat[:shape[0] * shape[1]].reshape(shape)
            if p:
                grid[0] = grid[-1] = border
                grid[:, 0] = grid[:, -1] = border
                flat[-2 * p:] = border
            grid[middle] = values
            return flat

        kernel = self.kernel
        planes = [plane(f"plane{i}", dtype, kernel.border, read_word(maps[source], first, size))
                  for i, ((source, first, size), dtype) in enumerate(zip(kernel.words, kernel.dtypes))]
        return planes, plane("inside", np.dtype(np.bool_), False, True)
