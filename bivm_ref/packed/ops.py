"""The float layers between the binary ones, in NumPy: `bivm_ref.net.ops` formula by formula.

A sign turns a rounding error of 1e-7 into a wrong bit, so every sum and product here stands in the order in
which torch computes it, and IEEE 754 does the rest: float32 results are equal bit for bit. Only the
refiner's resize may differ in the last digit.

Maps are (H, W, C), channels last. The functions work on blocks, (n, C): the pixels of a strip of rows, small
enough to stay in the cache while one function after another goes over them. They write into `out`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from bivm_ref.packed.kernels import scratch
from bivm_ref.packed.memory import aligned
from bivm_ref.packed.planes import SignMap

TILE = 1 << 13  # numbers that a per-channel vector is repeated to; half of it was measured to be slower by half

ZERO, HALF, ONE, TWO, THREE = map(np.float32, (0.0, 0.5, 1.0, 2.0, 3.0))


class PerChannel:
    """A number per channel, (C,) float32, repeated for several pixels: NumPy is fast on long inner loops and slow
    on 16 numbers."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = np.asarray(values, np.float32)
        self.channels = len(self.values)
        self.pixels = max(1, TILE // self.channels)
        self.row = aligned(self.pixels * self.channels, np.float32)
        self.row[...] = np.tile(self.values, self.pixels)

    def apply(self, ufunc: np.ufunc, x: np.ndarray, out: np.ndarray) -> np.ndarray:
        """out = ufunc(x, values): contiguous (n, C) blocks; out may be x."""
        x, out = x.reshape(-1), out.reshape(-1)
        whole = len(x) - len(x) % len(self.row)
        if whole:
            ufunc(x[:whole].reshape(-1, len(self.row)), self.row, out=out[:whole].reshape(-1, len(self.row)))
        if whole < len(x):
            ufunc(x[whole:], self.row[:len(x) - whole], out=out[whole:])
        return out


class Affine:
    """The folded batch norm: scale * dot + shift. It is given half dots, so it holds twice the scale: exact."""

    def __init__(self, scale: np.ndarray, shift: np.ndarray, factor: int = 2) -> None:
        self.scale, self.shift = PerChannel(scale * np.float32(factor)), PerChannel(shift)

    def __call__(self, half: np.ndarray, out: np.ndarray) -> np.ndarray:
        """half (n, C) or (rows, columns, C), whole numbers -> out (n, C) float32."""
        np.copyto(out.reshape(half.shape), half, casting="unsafe")  # exact: far below 2^24
        self.scale.apply(np.multiply, out, out)
        self.shift.apply(np.add, out, out)
        return out


class PReLU:
    """x where x > 0, slope * x elsewhere, in place."""

    def __init__(self, slope: np.ndarray) -> None:
        self.slope, self.gentle = PerChannel(slope), bool((slope <= 1.0).all())

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """x (n, C) float32."""
        below = scratch("prelu", x.shape, np.float32)
        if self.gentle:  # then the larger of the two is the right one, for negative slopes as well
            self.slope.apply(np.multiply, x, below)
            return np.maximum(x, below, out=x)
        np.minimum(x, ZERO, out=below)
        self.slope.apply(np.multiply, below, below)
        np.maximum(x, ZERO, out=x)
        return np.add(x, below, out=x)  # one of the two is 0, so this rounds nothing


class Threshold:
    """sign(x + theta) into a sign map, as x >= -theta: the same set (see `bits.pack_signs`), without the sum."""

    def __init__(self, theta: np.ndarray) -> None:
        self.theta, self.minus = theta, PerChannel(-theta)
        self.groups = len(theta) // 8

    def __call__(self, x: np.ndarray, to: SignMap, top: int, bottom: int) -> None:
        """x (n, C) float32, the pixels of rows top .. bottom."""
        positive = scratch("positive", x.shape, np.bool_)
        self.minus.apply(np.greater_equal, x, positive)
        to.bytes[top:bottom] = np.packbits(positive.reshape(-1)).reshape(bottom - top, to.width, self.groups)


def items(x: np.ndarray, numbers: int) -> np.ndarray:
    """(..., C) contiguous -> (..., C / numbers): runs of so many numbers as one thing each, without a meaning.

    For copying parts of pixels: NumPy moves one thing of 64 bytes several times faster than 16 things of 4.
    """
    return x.view(np.dtype(f"V{x.itemsize * numbers}"))


def resample_channels(x: np.ndarray, cout: int, out: np.ndarray) -> np.ndarray:
    """R of the elastic shortcut: (n, ci) -> (n, cout); tile to the common multiple, average groups.

    Writes into out (n, cout), except that equal widths give x itself.
    """
    n, ci = x.shape
    if cout == ci:
        return x
    if cout % ci == 0:
        items(out, ci)[...] = items(x, ci)
        return out
    common = math.lcm(ci, cout)
    if common != ci:
        x = resample_channels(x, common, np.empty((n, common), np.float32))
    parts, held = items(x, cout), scratch("part", out.shape, np.float32)
    items(out, cout)[:, 0] = parts[:, 0]
    for k in range(1, common // cout):
        items(held, cout)[:, 0] = parts[:, k]
        out += held
    out *= np.float32(1.0 / (common // cout))
    return out


def average_pool(x: np.ndarray, out: np.ndarray) -> np.ndarray:
    """P of the elastic shortcut: mean of 2x2, rows first. (H, W, C), H and W even -> out (H/2, W/2, C)."""
    height, width, channels = x.shape
    rows = np.add(x[0::2], x[1::2], out=scratch("pool", (height // 2, width, channels), np.float32))
    np.add(rows[:, 0::2], rows[:, 1::2], out=out)
    out *= np.float32(0.25)
    return out


def hard_sigmoid(x: np.ndarray) -> np.ndarray:
    """clip(x/6 + 1/2, 0, 1), in place."""
    x *= np.float32(1.0 / 6.0)
    x += HALF
    return np.clip(x, ZERO, ONE, out=x)


def hard_tanh(x: np.ndarray) -> np.ndarray:
    """clip(x, -1, 1), in place."""
    return np.clip(x, -ONE, ONE, out=x)


# -- upsampling --

def upsample_rows(x: np.ndarray, top: int, bottom: int, out: np.ndarray) -> np.ndarray:
    """Rows top .. bottom of bilinear x2, times 16: (H, W, C) -> out (bottom - top, 2W, C); both even.

    Pixel centres, edges repeated, columns first, then rows. A number is three quarters of its nearer neighbour and one
    of the farther: 3 * near + far is four times that with half of the multiplications, and a power of two rounds
    nothing, so whoever reads the map has a threshold 16 times as large, or a gain 16 times smaller, and the same bits.
    A strip reads one row more above and below than its own, so the large map need not be kept whole; where only its
    signs are wanted it is never built.
    """
    height, width, channels = x.shape
    first, last = max(top // 2 - 1, 0), min(bottom // 2 + 1, height)
    far = x[first:last]
    near = np.multiply(far, THREE, out=scratch("up.near", far.shape, np.float32))
    rows = bottom // 2 - top // 2 + 2  # one more row above and below; at the edge of the map, the edge again
    wide = scratch("up.wide", (rows, width, 2 * channels), np.float32)
    inner = items((wide[1:] if top == 0 else wide)[:last - first], channels)  # (rows, width, left or right)
    column = scratch("up.column", far.shape, np.float32)
    for side, own, other, edge in ((0, slice(channels, None), slice(None, -channels), 0),
                                   (1, slice(None, -channels), slice(channels, None), -1)):
        # In one long row, a step to the next pixel is a step of C numbers; only the edge must be put right.
        np.add(near.reshape(-1)[own], far.reshape(-1)[other], out=column.reshape(-1)[own])
        np.add(near[:, edge], far[:, edge], out=column[:, edge])
        inner[..., side] = items(column, channels)[..., 0]
    if top == 0:
        wide[0] = wide[1]
    if bottom == 2 * height:
        wide[-1] = wide[-2]
    wide = wide.reshape(rows, -1)  # (rows, 2W*C)
    near = np.multiply(wide[1:-1], THREE, out=scratch("up.near", (rows - 2, wide.shape[1]), np.float32))
    pairs = out.reshape(rows - 2, 2, -1)
    np.add(near, wide[:-2], out=pairs[:, 0])
    np.add(near, wide[2:], out=pairs[:, 1])
    return out


# -- the image --

def stem_matrix(weight: np.ndarray) -> np.ndarray:
    """(C, 3, 3, 3) int16 (colour, dy, dx) -> (27, C) float32, in the order of `stem_rows`' patches."""
    return np.ascontiguousarray(weight.transpose(2, 3, 1, 0).reshape(27, -1), np.float32)


def stem_rows(levels: np.ndarray, weight: np.ndarray, top: int, bottom: int, out: np.ndarray) -> np.ndarray:
    """Rows top .. bottom of the 3x3, stride 2, zero padding, over 2 * level - 255: out (rows, W/2, C) float32.

    levels (H, W, 3) uint8, H and W even; weight of `stem_matrix`. The one convolution that is a matrix product here:
    three channels of whole levels are no bits, 27 numbers a patch are few to copy, and as each sum is a whole number
    below 2^24 it is exact in whatever order the library adds. Each row is a product of its own, too small to be
    shared out between cores.
    """
    rows, width = bottom - top, levels.shape[1] // 2
    seen = scratch("stem.seen", (2 * rows + 1, 2 * width + 1, 3), np.float32)  # a row above, a column on the left
    seen[:, 0] = 0.0
    if top == 0:
        seen[0] = 0.0
    inner = seen[1 if top == 0 else 0:, 1:]
    np.multiply(levels[max(2 * top - 1, 0):2 * bottom], TWO, out=inner)
    inner -= np.float32(255.0)
    patches = scratch("stem.patches", (rows, width, 3, 9), np.float32)
    lines = sliding_window_view(seen.reshape(2 * rows + 1, -1), 9, axis=1)[:, ::6]  # three pixels side by side
    for dy in range(3):
        patches[:, :, dy] = lines[dy:dy + 2 * rows:2]
    return np.matmul(patches.reshape(rows, width, 27), weight, out=out)


def pooled_sums(levels: np.ndarray) -> dict[int, np.ndarray]:
    """Sum of each scale x scale square of 8-bit levels, {scale: (H/scale, W/scale, 3)} for 1, 2, 4, 8."""
    sums = {1: levels}
    for scale in (2, 4, 8):  # 8 * 8 * 255 = 16320 fits 16 bits
        rows = np.add(sums[scale // 2][0::2], sums[scale // 2][1::2], dtype=np.uint16)
        sums[scale] = rows[:, 0::2] + rows[:, 1::2]
    return sums


class Thermometer:
    """The image skip as bits: bit i of a colour says mean level / 255 + theta_i >= 0.

    Pixels are 8-bit, so the sum over a scale x scale square has 255 * scale^2 + 1 values: their bits are
    looked up. theta (3 * thresholds,) float32, colour by colour.
    """

    def __init__(self, theta: np.ndarray, scale: int) -> None:
        theta = theta.reshape(3, 1, -1)
        mean = np.arange(255 * scale * scale + 1, dtype=np.float32) / np.float32(scale * scale)
        bits = (mean / np.float32(255.0))[:, None] + theta >= 0.0  # (3, values, thresholds)
        self.table = np.packbits(bits, axis=-1)  # (3, values, thresholds / 8)

    def __call__(self, sums: np.ndarray, to: SignMap, top: int, bottom: int) -> None:
        """Rows top .. bottom of sums (H, W, 3) into a sign map, 3 * thresholds channels."""
        each = self.table.shape[2]
        for colour in range(3):
            bits = self.table[colour].take(sums[top:bottom, :, colour], axis=0, mode="clip")
            to.bytes[top:bottom, :, colour * each:(colour + 1) * each] = bits


def pad_to_multiple(frame: np.ndarray, multiple: int) -> np.ndarray:
    """(H, W, 3) -> H and W rounded up to a multiple, last row and column repeated."""
    bottom, right = -frame.shape[0] % multiple, -frame.shape[1] % multiple
    return np.pad(frame, ((0, bottom), (0, right), (0, 0)), mode="edge") if bottom or right else frame


# -- coarse alpha, mask, heads --

def ordered_head(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """clip(sum of x_c * w_c + b, 0, 1), added in the order of the channels: (H, W, C), (C,), (1,) -> (H, W)."""
    height, width, channels = x.shape
    total = linear(x.reshape(-1, channels), weight[None], bias, np.empty((1, height * width), np.float32))
    return np.clip(total, 0.0, 1.0, out=total).reshape(height, width)


def detail_mask(coarse_alpha: np.ndarray, tau: float) -> np.ndarray:
    """Coarse alpha (h, w) -> bool (h, w): uncertain (tau <= alpha <= 1 - tau) or at the boundary."""
    uncertain = (coarse_alpha >= np.float32(tau)) & (coarse_alpha <= np.float32(1.0 - tau))
    inside = np.pad(coarse_alpha > 0.5, 1, mode="edge")  # the edge repeats a cell that the 3x3 holds anyway
    rows = np.stack((inside[:-2], inside[1:-1], inside[2:]))
    grown, shrunk = rows.any(0), rows.all(0)
    grown = grown[:, :-2] | grown[:, 1:-1] | grown[:, 2:]
    shrunk = shrunk[:, :-2] & shrunk[:, 1:-1] & shrunk[:, 2:]
    return uncertain | (grown != shrunk)


def linear(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, out: np.ndarray) -> np.ndarray:
    """A float 1x1 convolution, added up channel after channel: (n, C), weight (k, C), bias (k,) -> out (k, n).

    A matrix product would be faster by half, but its order of additions is the library's own, on every machine
    another one.
    """
    n, channels = x.shape
    planes = scratch("linear.planes", (channels, n), np.float32)
    np.copyto(planes, x.T)
    term = scratch("linear.term", out.shape, np.float32)
    columns = np.ascontiguousarray(weight.T)[:, :, None]  # (C, k, 1)
    np.multiply(planes[0], columns[0], out=out)
    for plane, column in zip(planes[1:], columns[1:]):
        out += np.multiply(plane, column, out=term)
    out += bias[:, None]
    return out


# -- the refiner's --

def grey(red: np.ndarray, green: np.ndarray, blue: np.ndarray, out: np.ndarray) -> np.ndarray:
    """The mean of three colours, ((r + g) + b) / 3."""
    np.add(red, green, out=out)
    out += blue
    out *= np.float32(1.0 / 3.0)
    return out


def with_grey(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 3) -> (H, W, 4): the colours and their mean."""
    out = np.empty((*pixels.shape[:2], 4), np.float32)
    out[..., :3] = pixels
    grey(*(pixels[..., k] for k in range(3)), out=out[..., 3])
    return out


def box3(x: np.ndarray) -> np.ndarray:
    """Mean of 3x3 neighbours, edges repeated, columns first: (H, W, C) -> same."""
    x = np.pad(x, ((1, 1), (1, 1), (0, 0)), mode="edge")
    x = (x[:, :-2] + x[:, 1:-1]) + x[:, 2:]
    return ((x[:-2] + x[1:-1]) + x[2:]) * np.float32(1.0 / 9.0)


def source_positions(n: int, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bilinear resize of n samples to `size`, pixel centres: (left, right, weight of right), each (size,)."""
    x = float(np.float32(n / size)) * (np.arange(size) + 0.5) - 0.5  # torch, too, rounds the ratio to float32
    x = np.maximum(x, 0.0).astype(np.float32)
    left = np.minimum(x.astype(np.intp), n - 1)
    return left, np.minimum(left + 1, n - 1), x - left.astype(np.float32)
