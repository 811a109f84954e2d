"""Bits: a map of signs in 1/8 of a byte per number, and the dot product of two such rows.

A bit 1 stands for +1 and a bit 0 for -1. Channels are the last axis and fill bytes big-endian: channel 0 is
bit 7 (value 128) of the first byte. sign(0) = +1, so a bit is simply `x >= 0`.

Two rows of n signs agree in n - d places and differ in d, so their dot product is (n - d) - d:

    dot(a, w) = n - 2 * popcount(a XOR w)          (XNOR-Net, Rastegari et al. 2016)
"""

from __future__ import annotations

import numpy as np


def pack_signs(x: np.ndarray, theta: np.ndarray | None = None, out: np.ndarray | None = None) -> np.ndarray:
    """The bits of sign(x + theta): x (H, W, C) float32 or integer -> (H, W, C/8) uint8.

    theta (C,) float32 is a threshold shift per channel. It is compared as x >= -theta, which is exactly the
    set x + theta >= 0 of float32 (a rounded sum has the sign of the true sum) and saves the sum. NaN gives
    bit 0.
    out, if given, is a contiguous (H, W, C/8) uint8 array that receives the bits.
    Raises ValueError for another dtype, or when C is not a multiple of 8 or does not fit theta.
    """
    x = np.asarray(x)
    if x.dtype != np.float32 and x.dtype.kind not in "iu":
        raise ValueError(f"pack_signs reads float32 or integers, not {x.dtype}")
    if x.ndim < 1 or x.shape[-1] == 0 or x.shape[-1] % 8:
        raise ValueError(f"pack_signs needs a multiple of 8 channels in the last axis, got shape {x.shape}")
    shape = (*x.shape[:-1], x.shape[-1] // 8)
    if theta is None:
        positive = x >= 0
    else:
        theta = np.asarray(theta)
        if theta.shape != x.shape[-1:] or theta.dtype != np.float32:
            raise ValueError(f"theta is ({x.shape[-1]},) float32, got {theta.shape} {theta.dtype}")
        # One row of the map at a time: NumPy is fast on long inner loops, slow on C = 16 numbers.
        width = x.shape[-2] if x.ndim > 1 else 1
        rows = np.ascontiguousarray(x).reshape(-1, width * x.shape[-1])
        positive = rows >= np.tile(-theta, width)
    # Packed flat: packbits along an axis is 50 times slower, and whole bytes of channels need no axis.
    packed = np.packbits(positive.reshape(-1)).reshape(shape)
    if out is None:
        return packed
    if out.shape != shape or out.dtype != np.uint8:
        raise ValueError(f"out is {shape} uint8, got {out.shape} {out.dtype}")
    out[...] = packed
    return out


def unpack_signs(packed: np.ndarray) -> np.ndarray:
    """The signs of a packed map: (H, W, C/8) uint8 -> (H, W, C) int8 of -1 and +1.

    Raises ValueError for another dtype.
    """
    packed = np.asarray(packed)
    if packed.dtype != np.uint8 or packed.ndim < 1:
        raise ValueError(f"a packed map is an array of uint8, got {packed.dtype}, shape {packed.shape}")
    return np.unpackbits(packed, axis=-1).view(np.int8) * np.int8(2) - np.int8(1)


def pack_weights(w: np.ndarray) -> np.ndarray:
    """Weights (cout, cin, k, k) of any real or integer dtype -> bits (cout, k, k, cin/8) uint8, 1 where w >=
    0.

    The torch order becomes the order of the maps: channels last. Raises ValueError unless cin is a multiple
    of 8.
    """
    w = np.asarray(w)
    if w.ndim != 4 or w.shape[2] != w.shape[3] or w.dtype.kind not in "fiu":
        raise ValueError(f"weights are (cout, cin, k, k) numbers, got {w.shape} {w.dtype}")
    if w.shape[1] == 0 or w.shape[1] % 8:
        raise ValueError(f"weights need a multiple of 8 input channels, got {w.shape[1]}")
    return np.packbits(w.transpose(0, 2, 3, 1) >= 0, axis=-1)


def unpack_weights(bits: np.ndarray) -> np.ndarray:
    """Bits (cout, k, k, cin/8) uint8 -> signs (cout, cin, k, k) int8 of -1 and +1."""
    bits = np.asarray(bits)
    if bits.ndim != 4 or bits.shape[1] != bits.shape[2]:
        raise ValueError(f"weight bits are (cout, k, k, cin/8) uint8, got {bits.shape} {bits.dtype}")
    return np.ascontiguousarray(unpack_signs(bits).transpose(0, 3, 1, 2))


def popcount(packed: np.ndarray) -> np.ndarray:
    """How many bits are 1 along the last axis: (..., n) unsigned integers -> (...) int64."""
    packed = np.asarray(packed)
    if packed.dtype.kind != "u":
        raise ValueError(f"popcount counts bits of unsigned integers, not {packed.dtype}")
    return np.bitwise_count(packed).sum(axis=-1, dtype=np.int64)


def xnor_dot(a: np.ndarray, w: np.ndarray, n: int) -> np.ndarray:
    """n - 2 * popcount(a XOR w): the dot product of n signs, a and w (..., ceil(n/8)) uint8 -> (...) int64.

    Bits beyond n must be equal in both (0, say); then they differ nowhere and count nothing.
    """
    return n - 2 * popcount(np.bitwise_xor(a, w))
