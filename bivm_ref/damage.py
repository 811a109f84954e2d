"""Mattes spoilt on purpose: one kind of error at a time, at a strength of your choice, to see what each metric sees.

Every kind takes the true alpha (T, H, W) float in [0, 1] and a strength from 0 (nothing) to 1 (as much as it has), and
gives (T, H, W) float32 in [0, 1]. MAD grows with the strength, so that `at_mad` can find the strength for a given MAD.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from . import metrics

PIXELS = 8  # how far a boundary moves at strength 1
THIN = 3  # pixels: what is no wider than twice this counts as a strand


def veil(alpha: np.ndarray, strength: float) -> np.ndarray:
    """A faint haze over everything: alpha + s·(1 − alpha), s = strength / 2."""
    return alpha + strength / 2 * (1 - alpha)


def shift(alpha: np.ndarray, strength: float) -> np.ndarray:
    """The matte stands 8·strength pixels too far right, between pixels by linear interpolation."""
    return np.stack([_moved(a, PIXELS * strength) for a in alpha])


def flicker(alpha: np.ndarray, strength: float) -> np.ndarray:
    """Every frame is off as in `shift`, even frames to the right and odd frames to the left."""
    return np.stack([_moved(a, PIXELS * strength * (-1) ** t) for t, a in enumerate(alpha)])


def strand(alpha: np.ndarray, strength: float) -> np.ndarray:
    """Strands of hair fade: what is thinner than 7 pixels in any direction goes (at strength 1, wholly).

    That is alpha less its morphological opening, a minimum and then a maximum over 7×7 pixels.
    """
    opened = _extreme(_extreme(alpha, THIN, np.min), THIN, np.max)
    return alpha - strength * (alpha - opened)


def blur(alpha: np.ndarray, strength: float) -> np.ndarray:
    """The boundary goes soft: mixed with the mean over 13×13 pixels."""
    wide = alpha
    for axis in (1, 2):
        padded = np.pad(wide, [(6, 6) if a == axis else (0, 0) for a in range(3)], mode="edge")
        wide = np.lib.stride_tricks.sliding_window_view(padded, 13, axis=axis).mean(axis=-1)
    return alpha + strength * (wide - alpha)


def grain(alpha: np.ndarray, strength: float) -> np.ndarray:
    """Noise that stands still: one pattern, the same in all frames, added and cut off at 0 and 1."""
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, alpha.shape[1:])
    return np.clip(alpha + strength * noise, 0, 1)


KINDS: dict[str, Callable[[np.ndarray, float], np.ndarray]] = {
    "veil": veil, "grain": grain, "blur": blur, "strand": strand, "shift": shift, "flicker": flicker,
}


def damaged(alpha: np.ndarray, kind: str, strength: float) -> np.ndarray:
    """`alpha` (T, H, W) float in [0, 1] spoilt -> likewise, float32. ValueError for another shape, kind or strength."""
    alpha = np.asarray(alpha)
    if alpha.ndim != 3 or alpha.dtype.kind != "f":
        raise ValueError(f"alpha is (T, H, W) float, not {alpha.shape} {alpha.dtype}")
    if kind not in KINDS:
        raise ValueError(f"a kind of damage is one of {', '.join(KINDS)}, not {kind!r}")
    if not 0 <= strength <= 1:
        raise ValueError(f"strength lies in [0, 1], not {strength}")
    return np.clip(KINDS[kind](alpha, strength), 0, 1).astype(np.float32)


def at_mad(alpha: np.ndarray, kind: str, target: float) -> np.ndarray:
    """The damage of that kind whose MAD is `target`, to a ten-thousandth.

    The strength lies between two that are too weak and too strong: guess in turns as if MAD were linear in between,
    which it is for half of the kinds, and the middle. ValueError when even strength 1 falls short.
    """
    low, high, below, above = 0.0, 1.0, 0.0, metrics.mad(damaged(alpha, kind, 1.0), alpha)
    if above < target:
        raise ValueError(f"{kind} reaches MAD {above:.2f} on this clip, not {target:g}")
    for turn in range(60):
        strength = (low + high) / 2 if turn % 2 else low + (high - low) * (target - below) / (above - below)
        matte = damaged(alpha, kind, strength)
        found = metrics.mad(matte, alpha)
        if abs(found - target) < 1e-4:
            break
        if found < target:
            low, below = strength, found
        else:
            high, above = strength, found
    return matte


def _moved(image: np.ndarray, right: float) -> np.ndarray:
    """(H, W) moved by `right` pixels (left if negative); the edge column is repeated."""
    columns = np.arange(image.shape[1]) - right
    return np.stack([np.interp(columns, np.arange(image.shape[1]), row) for row in image])


def _extreme(alpha: np.ndarray, reach: int, which: Callable) -> np.ndarray:
    """Minimum or maximum over squares of side 2·reach + 1, one axis after the other; edges are repeated."""
    for axis in (1, 2):
        padded = np.pad(alpha, [(reach, reach) if a == axis else (0, 0) for a in range(3)], mode="edge")
        alpha = which(np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis=axis), axis=-1)
    return alpha
