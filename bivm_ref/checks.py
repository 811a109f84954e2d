"""Checks for the notebooks' exercises: each runs your function on small made-up data and prints one line.

The line says "not attempted yet" while the function returns None, "right" when it is, and otherwise names
the mistake it recognises: so a wrong answer is worth trying. `check_E3_1` belongs to exercise E3.1 of
notebook 03. Those of notebook 00 stand here; the others in `checks_NN.py`, and all are called from here.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .checks_01 import check_E1_1, check_E1_2, check_E1_3
from .checks_02 import check_E2_1, check_E2_2, check_E2_3
from .checks_03 import check_E3_1, check_E3_2, check_E3_3
from .checks_04 import check_E4_1, check_E4_2, check_E4_3, check_E4_4
from .checks_05 import check_E5_1, check_E5_2, check_E5_3
from .checks_06 import check_E6_1, check_E6_2, check_E6_3
from .checks_07 import check_E7_1, check_E7_2, check_E7_3
from .checks_08 import check_E8_1, check_E8_2, check_E8_3
from .checks_09 import check_E9_1, check_E9_2, check_E9_3, check_E9_4
from .checks_10 import check_E10_1, check_E10_2, check_E10_3, check_E10_4
from .checks_shared import call, kind, say

__all__ = [
    "check_E0_1", "check_E0_2",
    "check_E1_1", "check_E1_2", "check_E1_3",
    "check_E2_1", "check_E2_2", "check_E2_3",
    "check_E3_1", "check_E3_2", "check_E3_3",
    "check_E4_1", "check_E4_2", "check_E4_3", "check_E4_4",
    "check_E5_1", "check_E5_2", "check_E5_3",
    "check_E6_1", "check_E6_2", "check_E6_3",
    "check_E7_1", "check_E7_2", "check_E7_3",
    "check_E8_1", "check_E8_2", "check_E8_3",
    "check_E9_1", "check_E9_2", "check_E9_3", "check_E9_4",
    "check_E10_1", "check_E10_2", "check_E10_3", "check_E10_4",
]


def check_E0_1(fn: Callable, seed: int = 0) -> None:
    """E0.1: fn(foreground, alpha, background) -> C = alpha*F + (1 - alpha)*B as uint8.

    foreground, background (H, W, 3) uint8; alpha (H, W) float32 in [0, 1]. Rounding down or to the nearest:
    both pass.
    """
    rng = np.random.default_rng(seed)
    f, b = rng.integers(0, 256, (2, 6, 8, 3), dtype=np.uint8)
    alpha = rng.random((6, 8), dtype=np.float32)
    alpha[0], alpha[1] = 0, 1  # pure background, pure foreground
    given = f.copy(), alpha.copy(), b.copy()
    result = call("E0.1", fn, given,
                  "alpha is (H, W), the pictures are (H, W, 3): alpha[..., None] gives it the third axis")
    if result is None:
        return
    a, F, B = alpha[..., None].astype(float), f.astype(float), b.astype(float)
    mixed = a * F + (1 - a) * B
    known = {
        "foreground and background have changed places: where alpha is 1 there must be foreground":
            a * B + (1 - a) * F,
        "the background's share (1 - alpha)*B is missing": a * F,
        "the foreground's share alpha*F is missing": (1 - a) * B,
        "the foreground is not multiplied by alpha": F + (1 - a) * B,
        "the background is not multiplied by (1 - alpha)": a * F + B,
        "a sign: the shares are added, alpha*F + (1 - alpha)*B": a * F - (1 - a) * B,
        "alpha was turned into whole numbers: every value below 1 became 0": np.where(a < 1, B, F),
    }
    if not isinstance(result, np.ndarray):
        hint = f"returns {kind(result)}; return an array"
    elif result.shape != f.shape:
        hint = f"the result is {result.shape}; a picture of this foreground is {f.shape}"
    elif any(not np.array_equal(before, after) for before, after in zip((f, alpha, b), given)):
        hint = "it changes its inputs; compute in a new array, not in place (no *= on an argument)"
    elif result.dtype != np.uint8:
        near = " (its values are right)" if _near(result, mixed) else ""
        hint = f"the result is {result.dtype}{near}; a frame is uint8: end with .astype(np.uint8)"
    elif _near(result, mixed):
        hint = None
    else:
        hint = next((text for text, wrong in known.items() if _near(result, _wrapped(wrong))
                     or _near(result, np.clip(wrong, 0, 255))), None)
        if hint is None:
            y, x, c = np.unravel_index(np.abs(result.astype(float) - mixed).argmax(), mixed.shape)
            hint = (f"with F = {f[y, x, c]}, B = {b[y, x, c]}, alpha = {alpha[y, x]:.2f} it gives "
                    f"{result[y, x, c]}, and alpha*F + (1 - alpha)*B is {mixed[y, x, c]:.0f}")
    say("E0.1", hint, "at alpha 0, at alpha 1 and between")


def check_E0_2(fn: Callable, seed: int = 0) -> None:
    """E0.2: fn(pred, true) -> dtSSD, 1e2 * the mean over t = 1 ... T-1 of sqrt(mean(e_t²)),
    e_t = (pred_t - pred_(t-1)) - (true_t - true_(t-1)).

    pred, true (T, H, W) float64 in [0, 1].
    """
    rng = np.random.default_rng(seed)
    true = rng.random((5, 6, 8))
    # errors that grow with time, so that the mean of roots is not the root of the mean
    pred = np.clip(true + rng.normal(0, 1, true.shape) * np.linspace(0.02, 0.5, 5)[:, None, None], 0, 1)
    result = call("E0.2", fn, (pred.copy(), true.copy()),
                  "np.diff(pred, axis=0) is every step from frame to frame")
    if result is None:
        return
    p, t = np.diff(pred, axis=0), np.diff(true, axis=0)  # (T - 1, H, W)

    def root(d, axis=(1, 2)):
        return 100 * np.sqrt(np.square(d).mean(axis))

    answer = root(p - t).mean()
    known = {
        "the factor 1e2 is missing": answer / 100,
        "the reference's own motion is not taken off: a still matte would win": root(p).mean(),
        "the differences run along another axis: frames are axis 0": root(
            np.diff(pred, axis=1) - np.diff(true, axis=1)).mean(),
        "that is the error of the frames; dtSSD is about the steps between them": root(pred - true).mean(),
        "a sign: the reference's step is subtracted from the matte's, not added": root(p + t).mean(),
        "frame 0 has no step to it, yet it is averaged in as 0: divide by T - 1":
            root(p - t).sum() / len(pred),
        "one root over the whole clip; take the root in each frame, then the mean": root(p - t, None),
        "the square root is missing": 100 * np.square(p - t).mean(),
        "absolute values where squares belong": 100 * np.abs(p - t).mean(),
        "the frames are added up; dtSSD is their mean": root(p - t).sum(),
    }
    if np.ndim(result) != 0:
        hint = f"the result has shape {np.shape(result)}; a clip has one number: the mean over its frames"
    elif not isinstance(result, (int, float, np.number)):
        hint = f"returns {kind(result)}; return a number"
    elif np.isclose(result, answer, rtol=1e-5):
        hint = None
    else:
        hint = next((text for text, wrong in known.items() if np.isclose(result, wrong, rtol=1e-5)),
                    f"gives {result:.4g} where {answer:.4g} is right")
    say("E0.2", hint, "frame 0 is left out, and the reference's own motion is no error")


# ── helpers ──────────────────────────────────────────────────────────────────────────────────

def _near(result: np.ndarray, wanted: np.ndarray) -> bool:
    """Within one level: however it was rounded."""
    return bool(np.all(np.abs(result.astype(float) - wanted) <= 1.01))


def _wrapped(values: np.ndarray) -> np.ndarray:
    """What uint8 makes of values outside 0 ... 255."""
    return np.mod(np.floor(values), 256)
