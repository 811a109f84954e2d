"""Checks of notebook 03, binarization: clip-STE's gradient, XNOR-Net's scale, ReActNet's shifted sign."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .checks_shared import array_hint, call, say, unchanged


def check_E3_1(fn: Callable, seed: int = 0) -> None:
    """E3.1: fn(x, g) -> dx of clip-STE, g * 1[|x| <= 1]. x, g (n,) float64; both ends of the interval pass."""
    rng = np.random.default_rng(seed)
    x, g = rng.uniform(-2.5, 2.5, 24), rng.normal(0, 2, 24)
    x[:5] = [-1.5, -0.5, 0.0, 0.25, 1.5]
    x[5:7] = [1.0, -1.0]
    given = x.copy(), g.copy()
    result = call("E3.1", fn, given, "np.abs(x) <= 1 is True where the gradient passes; g times that")
    if result is None:
        return
    inside = np.abs(x) <= 1
    known = {
        "that is where the gradient passes; it is still to be multiplied by g, the gradient that arrives":
            inside.astype(float),
        "the sign of x belongs to the forward pass; backward, the gradient that arrives passes as it is":
            g * inside * np.where(x >= 0, 1, -1),
        "that is the identity: where |x| is above 1, nothing passes": g,
        "turned round: it must pass where |x| is at most 1": g * ~inside,
        "that is 1 for every x at most 1; large negative x are blocked as well: take |x|": g * (x <= 1),
        "that is 1 for every x at least -1; large positive x are blocked as well: take |x|": g * (x >= -1),
        "the interval is closed: at |x| = 1 the gradient still passes": g * (np.abs(x) < 1),
        "that is BiReal's estimator, max(0, 2 - 2|x|); clip-STE is 1 inside and 0 outside":
            g * np.maximum(0, 2 - 2 * np.abs(x)),
        "x is clipped there, not the gradient: which x let g through?": np.clip(x, -1, 1),
        "g is clipped there; it is x that decides, g passes whole": np.clip(g, -1, 1),
        "that is hardtanh of x times g: the function whose derivative is asked for": g * np.clip(x, -1, 1),
        "that is sign's true derivative, 0 everywhere: nothing would be learned": np.zeros_like(x),
    }
    hint = unchanged((x, g), given) or array_hint(
        result, g * inside, known, lambda i: f"at x = {x[i]:.2f} with g = {g[i]:.2f}")
    say("E3.1", hint, "blocked outside [-1, 1], untouched inside")


def check_E3_2(fn: Callable, seed: int = 0) -> None:
    """E3.2: fn(W) -> alpha (o,), the scales that make alpha_o * sign(W_o) nearest to W_o: mean |W_o|.

    W (o, i, kh, kw) float64.
    """
    rng = np.random.default_rng(seed)
    W = rng.normal(0, 1, (4, 3, 3, 3)) * np.array([0.1, 0.5, 1, 3])[:, None, None, None] + 0.2
    given = W.copy()
    result = call("E3.2", fn, (given,), "axis=(1, 2, 3) names all axes but the first: one number per output channel")
    if result is None:
        return
    axes, size = (1, 2, 3), np.abs(W)
    answer = size.mean(axes)
    known = {
        "one scale for the whole layer, as DoReFa has it; here each output channel has its own":
            np.full(4, size.mean()),
        "that is the mean of W: what is positive and what is negative cancel. Take |W| first": W.mean(axes),
        "that is |mean W|; take the absolute values before the mean": np.abs(W.mean(axes)),
        "the values are added up, not averaged: divide by n": size.sum(axes),
        "that is the root of the mean square; the best scale is the mean of |W|": np.sqrt((W**2).mean(axes)),
        "that is the standard deviation; the best scale is the mean of |W|": W.std(axes),
        "that is the standard deviation (n - 1); the best scale is the mean of |W|": W.std(axes, ddof=1),
        "that is the largest |W|; it makes every other weight too large": size.max(axes),
        "that is the median of |W|, which minimises the sum of absolute errors, not of squares":
            np.median(size, axes),
        "that is mean W²: the squares belong to the error, not to the scale": (W**2).mean(axes),
    }
    if isinstance(result, np.ndarray) and result.shape == (4, 1, 1, 1):
        result = result.reshape(4)  # keepdims is as good
    if np.ndim(result) == 0 and np.isclose(float(result), size.mean()):
        hint = next(iter(known))
    elif isinstance(result, np.ndarray) and result.shape == (3,) and np.allclose(result, size.mean((0, 2, 3))):
        hint = "one scale per *input* channel; the scale belongs to the output channel, axis 0"
    else:
        hint = unchanged((W,), (given,)) or array_hint(result, answer, known, lambda i: f"for channel {i[0]}")
    say("E3.2", hint, "no other scale brings sign(W) nearer to W")


def check_E3_3(fn: Callable, seed: int = 0) -> None:
    """E3.3: fn(x, theta) -> sign(x + theta) in {-1, +1}, theta one shift per channel, sign(0) = +1.

    x (C, H, W) float32, theta (C,) float32.
    """
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 1, (3, 4, 5)).astype(np.float32)
    theta = np.array([-0.75, 0, 0.5], np.float32)
    x[0, 0, 0], x[1, 0, 0], x[2, 0, 0] = 0.75, 0, -0.5  # exactly on the threshold
    given = x.copy(), theta.copy()
    result = call("E3.3", fn, given,
                  "x is (C, H, W) and theta is (C,): theta[:, None, None] gives it the other two axes")
    if result is None:
        return
    total, less = x + theta[:, None, None], x - theta[:, None, None]

    def bits(v):
        return np.where(v >= 0, 1.0, -1.0)

    known = {
        "sign(0) is +1 here, and np.sign(0) is 0: compare, total >= 0": np.sign(total),
        "sign(0) is +1 here: total >= 0, not total > 0": np.where(total > 0, 1.0, -1.0),
        "theta is subtracted; ReActNet's sign adds it, so a positive theta makes more bits +1": bits(less),
        "theta is missing": bits(x),
        "those are the bits 0 and 1; the convolution multiplies by -1 and +1": (total >= 0).astype(float),
        "the sign is turned round: at or above the threshold is +1": -bits(total),
        "theta is added after the sign: then it is no threshold, and the result is no bit":
            bits(x) + theta[:, None, None],
        "that is x + theta; the sign is still to be taken": total,
    }
    if isinstance(result, np.ndarray) and result.dtype == bool:
        result = result.astype(float)  # 0 and 1: the known mistake
    hint = unchanged((x, theta), given) or array_hint(
        result, bits(total), known,
        lambda i: f"with x = {x[i]:.2f} and theta = {theta[i[0]]:.2f}")
    say("E3.3", hint, "and a value that lies on the threshold is +1")
