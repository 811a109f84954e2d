"""The float layers between the binary ones, in NumPy: `bivm_ref.net.ops` formula by formula.

A sign turns a rounding error of 1e-7 into a wrong bit, so every sum and product here stands in the order in
which torch computes it, and IEEE 754 does the rest: float32 results are equal bit for bit. Only the two heads
(a matrix product) and the refiner's resize may differ in the last digit.

Maps are (H, W, C), channels last. A per-channel vector is repeated W times and meets whole rows of W*C
numbers: NumPy is fast on long inner loops and slow on 16 numbers. Large maps are walked in strips of rows
that stay in the cache.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

STRIP = 1 << 15  # numbers per strip: 128 kB of float32


def strips(height: int, row: int) -> Iterator[slice]:
    """Slices of rows that cover `height` rows of `row` numbers, about STRIP numbers each."""
    step = max(1, STRIP // max(1, row))
    return (slice(top, min(top + step, height)) for top in range(0, height, step))


# -- after a binary convolution --

def affine(dot: np.ndarray, scale: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """dot * scale + shift: whole numbers (..., C) -> float32 (..., C). The folded batch norm."""
    y = dot.astype(np.float32, order="C")
    y *= scale
    y += shift
    return y


def finish(dot: np.ndarray, scale: np.ndarray, shift: np.ndarray, add: np.ndarray | None = None,
           gain: np.ndarray | None = None, slope: np.ndarray | None = None) -> np.ndarray:
    """PReLU((dot * scale + shift) + add * gain): (H, W, C) whole numbers -> float32."""
    height, width, channels = dot.shape
    scale, shift = np.tile(scale, width), np.tile(shift, width)
    gain, slope = (None if v is None else np.tile(v, width) for v in (gain, slope))
    y = np.empty((height, width * channels), np.float32)
    for rows in strips(height, y.shape[1]):
        strip = y[rows]
        strip.reshape(-1, width, channels)[...] = dot[rows]
        strip *= scale
        strip += shift
        if add is not None:
            other = add[rows].reshape(strip.shape)
            strip += other if gain is None else other * gain
        if slope is not None:
            prelu(strip, slope)
    return y.reshape(dot.shape)


def prelu(x: np.ndarray, slope: np.ndarray) -> np.ndarray:
    """x where x > 0, slope * x elsewhere, in place. x (..., n), slope (n,): per channel, or tiled to rows."""
    if (slope <= 1.0).all():  # then the larger of the two is the right one, for negative slopes as well
        return np.maximum(x, x * slope, out=x)
    below = np.minimum(x, np.float32(0.0))
    below *= slope
    np.maximum(x, np.float32(0.0), out=x)
    x += below  # one of the two is 0, so this rounds nothing
    return x


def resample_channels(x: np.ndarray, cout: int) -> np.ndarray:
    """R of the elastic shortcut: (..., ci) -> (..., cout); tile to the common multiple, average groups."""
    ci = x.shape[-1]
    if cout == ci:
        return x
    common = math.lcm(ci, cout)
    wide = np.concatenate((x,) * (common // ci), axis=-1) if common != ci else x
    if cout == common:
        return wide
    total = wide[..., :cout] + wide[..., cout:2 * cout]
    for k in range(2, common // cout):
        total += wide[..., k * cout:(k + 1) * cout]
    total *= np.float32(1.0 / (common // cout))
    return total


def average_pool(x: np.ndarray) -> np.ndarray:
    """P of the elastic shortcut: mean of 2x2, rows first. (H, W, C), H and W even -> (H/2, W/2, C)."""
    rows = x[0::2] + x[1::2]
    pooled = rows[:, 0::2] + rows[:, 1::2]
    pooled *= np.float32(0.25)
    return pooled


def hard_sigmoid(x: np.ndarray) -> np.ndarray:
    """clip(x/6 + 1/2, 0, 1), in place."""
    x *= np.float32(1.0 / 6.0)
    x += np.float32(0.5)
    return np.clip(x, 0.0, 1.0, out=x)


def hard_tanh(x: np.ndarray) -> np.ndarray:
    """clip(x, -1, 1), in place."""
    return np.clip(x, -1.0, 1.0, out=x)


# -- upsampling --

def upsample(x: np.ndarray) -> np.ndarray:
    """Bilinear x2, pixel centres, edges repeated: (H, W, C) -> (2H, 2W, C)."""
    out = np.empty((2 * x.shape[0], 2 * x.shape[1], x.shape[2]), np.float32)
    for rows, strip in upsampled_strips(x):
        out[rows] = strip
    return out


def upsampled_strips(x: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """`upsample(x)` strip by strip: (rows of the large map, (rows, 2W, C)). It is mostly compared or added
    and then forgotten, so the large map itself is never built. Columns first, then rows."""
    height, width, channels = x.shape
    wide = np.empty((height, width, 2, channels), np.float32)
    near, far = x * np.float32(0.75), x * np.float32(0.25)
    np.add(near[:, 1:], far[:, :-1], out=wide[:, 1:, 0])
    np.add(near[:, :1], far[:, :1], out=wide[:, :1, 0])
    np.add(near[:, :-1], far[:, 1:], out=wide[:, :-1, 1])
    np.add(near[:, -1:], far[:, -1:], out=wide[:, -1:, 1])
    wide = wide.reshape(height, -1)  # (H, 2W*C)
    for rows in strips(height, 2 * wide.shape[1]):
        top, bottom = rows.start, rows.stop
        near = wide[top:bottom] * np.float32(0.75)
        far = wide[max(top - 1, 0):bottom + 1] * np.float32(0.25)
        if top == 0:
            far = np.concatenate((far[:1], far))
        if bottom == height:
            far = np.concatenate((far, far[-1:]))
        strip = np.empty((bottom - top, 2, wide.shape[1]), np.float32)
        np.add(near, far[:-2], out=strip[:, 0])
        np.add(near, far[2:], out=strip[:, 1])
        yield slice(2 * top, 2 * bottom), strip.reshape(2 * (bottom - top), 2 * width, channels)


# -- the image --

def stem_dot(levels: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """3x3, stride 2, zero padding, of 2 * level - 255: (H, W, 3) uint8, even sides -> (H/2, W/2, C) float32.

    weight (C, 3, 3, 3) int16. im2col and one matrix product; each sum is a whole number below 2^24, so exact.
    """
    height, width, _ = levels.shape
    centred = np.zeros((height + 1, width + 1, 3), np.float32)
    np.multiply(levels, np.float32(2.0), out=centred[1:, 1:])
    centred[1:, 1:] -= np.float32(255.0)
    columns = np.empty((height // 2, width // 2, 27), np.float32)
    for tap in range(9):
        dy, dx = divmod(tap, 3)
        columns[..., 3 * tap:3 * tap + 3] = centred[dy:dy + height:2, dx:dx + width:2]
    matrix = weight.transpose(2, 3, 1, 0).reshape(27, -1).astype(np.float32)  # (dy, dx, colour) x C
    return columns.reshape(-1, 27).dot(matrix).reshape(height // 2, width // 2, -1)


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
        self.values = bits.shape[1]
        self.table = np.packbits(bits, axis=-1).reshape(3 * self.values, -1)

    def __call__(self, sums: np.ndarray) -> np.ndarray:
        """(H, W, 3) sums -> (H, W, 3 * thresholds / 8) uint8."""
        index = sums + np.arange(3, dtype=np.intp) * self.values
        return self.table.take(index.reshape(-1), axis=0).reshape(*sums.shape[:2], -1)


def pad_to_multiple(frame: np.ndarray, multiple: int) -> np.ndarray:
    """(H, W, 3) -> H and W rounded up to a multiple, last row and column repeated."""
    bottom, right = -frame.shape[0] % multiple, -frame.shape[1] % multiple
    return np.pad(frame, ((0, bottom), (0, right), (0, 0)), mode="edge") if bottom or right else frame


# -- coarse alpha, mask, heads --

def ordered_head(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """clip(sum of x_c * w_c + b, 0, 1), added in the order of the channels: (H, W, C) -> (H, W)."""
    total = x[..., 0] * weight[0]
    for c in range(1, x.shape[-1]):
        total += x[..., c] * weight[c]
    total += bias[0]
    return np.clip(total, 0.0, 1.0, out=total)


def detail_mask(coarse_alpha: np.ndarray, tau: float) -> np.ndarray:
    """Coarse alpha (h, w) -> bool (h, w): uncertain (tau <= alpha <= 1 - tau) or at the boundary."""
    uncertain = (coarse_alpha >= np.float32(tau)) & (coarse_alpha <= np.float32(1.0 - tau))
    inside = np.pad(coarse_alpha > 0.5, 1, mode="edge")  # the edge repeats a cell that the 3x3 holds anyway
    rows = np.stack((inside[:-2], inside[1:-1], inside[2:]))
    grown, shrunk = rows.any(0), rows.all(0)
    grown = grown[:, :-2] | grown[:, 1:-1] | grown[:, 2:]
    shrunk = shrunk[:, :-2] & shrunk[:, 1:-1] & shrunk[:, 2:]
    return uncertain | (grown != shrunk)


def linear(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """A float 1x1 convolution: (H, W, C), weight (cout, C), bias (cout,) -> (H, W, cout)."""
    return (x.reshape(-1, x.shape[-1]) @ weight.T + bias).reshape(*x.shape[:2], -1)


# -- the refiner's --

def with_grey(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 3) -> (H, W, 4): the colours and their mean, ((r + g) + b) / 3."""
    grey = ((pixels[..., :1] + pixels[..., 1:2]) + pixels[..., 2:]) * np.float32(1.0 / 3.0)
    return np.concatenate((pixels, grey), axis=-1)


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
