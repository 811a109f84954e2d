"""Checks of notebook 01, matting and its metrics: MAD in a band, the gradient error, a damage that MAD overlooks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from . import metrics
from .checks_shared import call, kind, number_hint, say, unchanged


def check_E1_1(fn: Callable, seed: int = 0) -> None:
    """E1.1: fn(pred, true, band) -> 1e3 times the mean of |pred - true| over the pixels of the band.

    pred, true (T, H, W) float64; band (T, H, W) bool, whose size changes from frame to frame.
    """
    rng = np.random.default_rng(seed)
    pred, true = rng.random((2, 3, 8, 10))
    true *= 0.7  # so that errors do not cancel
    band = np.zeros(pred.shape, bool)
    band[0, :2], band[1, 2:7], band[2, 4] = True, True, True
    given = pred.copy(), true.copy(), band.copy()
    result = call("E1.1", fn, given, "pred[band] is the row of all values in the band")
    if result is None:
        return
    error = pred - true
    answer = 1e3 * np.abs(error[band]).mean()
    known = {
        "the factor 1e3 is missing": answer / 1e3,
        "that is divided by all pixels; the mean is over those of the band": 1e3 * np.abs(error * band).mean(),
        "that is MAD over the whole frame: take the pixels of the band only": 1e3 * np.abs(error).mean(),
        "that is the error outside the band": 1e3 * np.abs(error[~band]).mean(),
        "errors of both signs cancel: the absolute value comes before the mean": 1e3 * error[band].mean(),
        "errors of both signs cancel: the absolute value belongs to each pixel, before the mean":
            1e3 * abs(error[band].mean()),
        "squares where absolute values belong": 1e3 * np.square(error[band]).mean(),
        "that is a mean over frames of each one's mean: a frame with a small band counts too much. All pixels of the "
        "band weigh the same": 1e3 * np.mean([np.abs(e[b]).mean() for e, b in zip(error, band)]),
        "the errors are added up; MAD is their mean": 1e3 * np.abs(error[band]).sum(),
    }
    hint = unchanged((pred, true, band), given) or number_hint(result, answer, known)
    say("E1.1", hint, "and the size of the frame no longer matters")


def check_E1_2(fn: Callable, seed: int = 0) -> None:
    """E1.2: fn(pred, true) -> Grad of one frame: 1e-3 · Σ (|∇p| - |∇t|)², each stretched to [0, 1] first.

    pred, true (H, W) float64, neither of them spanning [0, 1]; |∇| is metrics.gradient_magnitude.
    """
    rng = np.random.default_rng(seed)
    true = 0.1 + 0.7 * _disk(rng.uniform(10, 14))
    pred = 0.2 + 0.5 * _disk(rng.uniform(6, 9))
    given = pred.copy(), true.copy()
    result = call("E1.2", fn, given, "metrics.gradient_magnitude(image) is |∇| of one (H, W) image")
    if result is None:
        return
    size = metrics.gradient_magnitude

    def stretch(image, low=None, high=None):
        low, high = image.min() if low is None else low, image.max() if high is None else high
        return (image - low) / (high - low)

    p, t = size(stretch(pred)), size(stretch(true))
    difference = size(stretch(pred)) - size(stretch(true))
    answer = 1e-3 * np.square(difference).sum()
    both = np.minimum(pred, true).min(), np.maximum(pred, true).max()
    known = {
        "the factor 1e-3 is missing": 1e3 * answer,
        "the factor is 1e-3: Grad is a sum over many pixels": 1e6 * answer,
        "each image is stretched to [0, 1] first: (image - min) / (max - min)":
            1e-3 * np.square(size(pred) - size(true)).sum(),
        "each image is stretched by its own smallest and largest value, not by those of both":
            1e-3 * np.square(size(stretch(pred, *both)) - size(stretch(true, *both))).sum(),
        "only divided by the largest value; the smallest is taken off first":
            1e-3 * np.square(size(pred / pred.max()) - size(true / true.max())).sum(),
        "that is the gradient of the difference. Grad compares how steep the two are: |∇p| less |∇t|":
            1e-3 * np.square(size(stretch(pred) - stretch(true))).sum(),
        "that is the mean; Grad is the sum over the pixels": 1e-3 * np.square(difference).mean(),
        "absolute values where squares belong": 1e-3 * np.abs(difference).sum(),
        "the square root is not taken": 1e-3 * np.sqrt(np.square(difference).sum()),
        "squared gradients were subtracted; the difference of the gradients is squared": 1e-3 * (p**2 - t**2).sum(),
    }
    hint = unchanged((pred, true), given) or number_hint(result, answer, known)
    say("E1.2", hint, "contrast does not matter, steepness does")


MOST_MAD, LEAST_GRAD = 4.0, 0.1  # E1.3's budget and its goal


def check_E1_3(fn: Callable, seed: int = 0) -> None:
    """E1.3: fn(true) -> a spoilt matte with MAD at most 4 and Grad at least 0.1. true (3, 64, 96) float64, a disk.

    For comparison: the same matte one pixel to the right has MAD 13 and Grad 0.23 (seed 0).
    """
    true = np.stack([_disk(20, x=44 + np.random.default_rng(seed).integers(4) - 2 * t) for t in range(3)])
    given = true.copy()
    result = call("E1.3", fn, (given,), "start from true.copy() and change some pixels of it")
    if result is None:
        return
    if not isinstance(result, np.ndarray):
        hint = f"returns {kind(result)}; return an array"
    elif unchanged((true,), (given,)):
        hint = unchanged((true,), (given,))
    elif result.shape != true.shape or result.dtype.kind != "f":
        hint = f"the result is {result.shape} {result.dtype}; a matte of this clip is {true.shape} float"
    elif np.isnan(result).any() or result.min() < 0 or result.max() > 1:
        hint = "alpha lies in [0, 1]: np.clip(matte, 0, 1)"
    else:
        hint = _spoilt_enough(result, true)
    say("E1.3", hint, "MAD hardly moves, and everyone would see it")


def _spoilt_enough(pred: np.ndarray, true: np.ndarray) -> str | None:
    mad, grad = metrics.mad(pred, true), metrics.grad(pred, true)
    figures = f"MAD {mad:.2f} (at most {MOST_MAD:g}), Grad {grad:.3f} (at least {LEAST_GRAD:g})"
    if mad == 0:
        return "nothing has changed"
    if mad > MOST_MAD:
        return f"{figures}. Too many pixels, or too much in each: {int(pred[0].size * MOST_MAD / 1e3)} pixels of a " \
               "frame may be wholly wrong"
    if grad >= LEAST_GRAD:
        return None
    touched = np.abs(pred - true) > 1e-9
    if touched.mean() > 0.1:
        return f"{figures}. It is spread thin, and Grad squares: spend the same MAD on few pixels, wholly"
    if np.abs(pred - true)[touched].mean() < 0.5:
        return f"{figures}. Small steps: turn background (0) into foreground (1), or the reverse"
    if _lonely(touched[0]):
        return f"{figures}. Single pixels: the Gaussian derivative (σ = 1.4) smooths them away; let them touch"
    return f"{figures}. The right kind of error: a little more of it, or as a blob rather than a line"


def _lonely(touched: np.ndarray) -> bool:
    """Whether most pixels of a boolean (H, W) have no neighbour left, right, above or below."""
    around = np.pad(touched, 1)
    neighbours = around[:-2, 1:-1] | around[2:, 1:-1] | around[1:-1, :-2] | around[1:-1, 2:]
    return bool((touched & ~neighbours).sum() > touched.sum() / 2)


def _disk(radius: float, x: float = 48, height: int = 64, width: int = 96) -> np.ndarray:
    """A disk with a soft rim, (H, W) float64 in [0, 1]."""
    rows, columns = np.mgrid[:height, :width]
    return np.clip((radius - np.hypot(rows - height / 2, columns - x)) / 2 + 0.5, 0, 1)
