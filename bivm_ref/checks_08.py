"""Checks of notebook 08, the packed engine: folding a batch norm, one output pixel, the threshold on whole numbers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .checks_shared import call, kind, say, unchanged


def check_E8_1(fn: Callable, seed: int = 0) -> None:
    """E8.1: fn(gamma, beta, mean, var, eps) -> (A, B), (C,) each, so that A·x + B is the batch norm of x."""
    rng = np.random.default_rng(seed)
    gamma, beta, mean = rng.normal(0, 1, 6), rng.normal(0, 1, 6), rng.normal(0, 20, 6)
    var, eps = rng.uniform(0.05, 90, 6), 0.1  # a large eps, so that it shows
    given = tuple(v.copy() for v in (gamma, beta, mean, var))
    result = call("E8.1", fn, (*given, eps), "write gamma * (x - mean) / sqrt(var + eps) + beta, and gather what "
                                             "stands before x")
    if result is None:
        return
    a = gamma / np.sqrt(var + eps)
    right = a, beta - a * mean
    known = {
        "A is right; the mean is not in B. Put x = 0 into the batch norm: that is B": (a, beta),
        "A is right; in B the mean must be multiplied by A": (a, beta - mean),
        "A is right; a sign: at x = 0 the batch norm is beta MINUS A times the mean": (a, beta + a * mean),
        "A is right; B lacks beta": (a, -a * mean),
        "eps is missing under the root": (gamma / np.sqrt(var), beta - gamma / np.sqrt(var) * mean),
        "eps belongs under the root, beside the variance":
            (gamma / (np.sqrt(var) + eps), beta - gamma / (np.sqrt(var) + eps) * mean),
        "a batch norm divides by the standard deviation: the root of the variance is missing":
            (gamma / (var + eps), beta - gamma / (var + eps) * mean),
        "A and B have changed places": right[::-1],
    }
    hint = _pair_hint(result, gamma.shape) or unchanged((gamma, beta, mean, var), given)
    if hint is None and not _close(result, right):
        hint = next((text for text, wrong in known.items() if _close(result, wrong)), None)
        hint = hint or (f"in channel 0 it makes A = {result[0][0]:.4g}, B = {result[1][0]:.4g}; right is "
                        f"{a[0]:.4g} and {right[1][0]:.4g}")
    say("E8.1", hint, "two numbers for each channel replace four")


def check_E8_2(fn: Callable, seed: int = 0) -> None:
    """E8.2: fn(patch, weights, A, B, around, slope) -> (cout,): one output pixel of an elastic 3×3.

    patch (9, C/8) uint8; weights (cout, 9, C/8) uint8; A, B, around, slope (cout,) float32. around is the shortcut,
    gain included: PReLU(A·dot + B + around), dot = n - 2·popcount(patch XOR weights), n = 9·C.
    """
    rng = np.random.default_rng(seed)
    cout, groups = 6, 2  # C = 16
    patch = rng.integers(0, 256, (9, groups), dtype=np.uint8)
    weights = rng.integers(0, 256, (cout, 9, groups), dtype=np.uint8)
    a = rng.uniform(0.02, 0.05, cout).astype(np.float32) * np.float32([1, -1, 1, -1, 1, -1])
    b = np.float32([2, -2, 0.5, -2.5, -0.7, 1.5])
    around = np.float32([1.5, -1.2, 0.8, -0.6, -1.4, 0.9])
    slope = np.float32([0.25, 0.1, 0.3, 0.2, 0.15, 0.4])
    given = tuple(v.copy() for v in (patch, weights, a, b, around, slope))
    result = call("E8.2", fn, given, "np.bitwise_count(patch ^ weights).sum(axis=(1, 2)) is one count for each "
                                     "output channel")
    if result is None:
        return
    n, d = 9 * 8 * groups, np.bitwise_count(patch ^ weights).sum(axis=(1, 2)).astype(int)

    def made(dot, shortcut=around, shift=b):
        y = a * dot + shift + shortcut
        return np.where(y > 0, y, slope * y)

    def late(dot):
        y = a * dot + b
        return np.where(y > 0, y, slope * y) + around

    dot = n - 2 * d
    known = {
        "that is the number before the PReLU: below 0 it is multiplied by the slope": a * dot + b + around,
        "the shortcut is missing": made(dot, 0),
        "the shortcut is added after the PReLU; it belongs before": late(dot),
        "that takes the count of differing bits for the dot product: it is n - 2·d": made(d),
        "each differing bit takes 2 from n, not 1": made(n - d),
        "n is how many signs there are: 9 taps times C channels, and a byte holds 8": made(9 * groups - 2 * d),
        "n counts the channels of one tap; there are nine taps": made(8 * groups - 2 * d),
        "B is missing": made(dot, shift=0),
        "a PReLU keeps what is above 0 and shrinks what is below; here it is the other way round":
            np.where(a * dot + b + around > 0, slope, 1) * (a * dot + b + around),
        "that is a ReLU: below 0 there is slope times the number, not 0": np.maximum(a * dot + b + around, 0),
        "those are the whole numbers; A, B, the shortcut and the PReLU follow": dot,
    }
    if not isinstance(result, np.ndarray):
        hint = f"returns {kind(result)}; return an array, one number for each output channel"
    elif result.shape != (cout,):
        hint = f"the result is {result.shape}; it has one number for each of {cout} output channels: ({cout},)"
    elif unchanged((patch, weights, a, b, around, slope), given):
        hint = unchanged((patch, weights, a, b, around, slope), given)
    elif np.allclose(result, made(dot), rtol=1e-4, atol=1e-5):
        hint = None
    else:
        hint = next((text for text, wrong in known.items() if np.allclose(result, wrong, rtol=1e-4, atol=1e-5)), None)
        hint = hint or f"channel 0 has d = {d[0]} of n = {n}, and comes to {made(dot)[0]:.4g}, not {result[0]:.4g}"
    say("E8.2", hint, "integers first, then four numbers for each channel")


def check_E8_3(fn: Callable, seed: int = 0) -> None:
    """E8.3: fn(A, B) -> (T, up): sign(A·dot + B) is +1 exactly where dot >= T (up True) or dot <= T (up False).

    T is a whole number; dot is any whole number; sign(0) = +1; A is not 0.
    """
    rng = np.random.default_rng(seed)
    cases = [(0.5, -3.25), (0.5, 3.25), (-0.5, 3.25), (-0.5, -3.25), (0.25, -2.0), (-0.25, 2.0)]
    cases += [(float(a), float(b)) for a, b in zip(rng.choice([-0.375, 0.625, 1.5, -2.25], 6), rng.normal(0, 8, 6))]
    dots, hint = np.arange(-144, 145), None
    for a, b in cases:
        result = call("E8.3", fn, (a, b), "solve A·dot + B >= 0 for dot; what does dividing by a negative A do?")
        if result is None:
            return
        if not isinstance(result, tuple) or len(result) != 2:
            hint = f"returns {kind(result)}; return two things, T and up"
        elif not isinstance(result[1], (bool, np.bool_)):
            hint = f"up is {kind(result[1])}; it is True or False"
        elif np.ndim(result[0]) or isinstance(result[0], (bool, str)) or not float(result[0]).is_integer():
            hint = f"T is {result[0]!r}; dots are whole numbers, so T can be one: round it, but which way?"
        else:
            hint = _threshold_hint(a, b, int(result[0]), bool(result[1]), dots)
        if hint:
            break
    say("E8.3", hint, "a comparison of whole numbers instead of a product, a sum and a comparison")


def _threshold_hint(a: float, b: float, t: int, up: bool, dots: np.ndarray) -> str | None:
    """What is wrong with (t, up) for this A and B; None when every dot gets its bit."""
    right, made = a * dots + b >= 0, dots >= t if up else dots <= t
    wrong = np.flatnonzero(right != made)
    if not len(wrong):
        return None
    at = f"A = {a:g}, B = {b:g}: "
    if up != (a > 0):
        rule = "grows with dot, so it is +1 from T upward" if a > 0 else "falls as dot grows, so it is +1 up to T"
        return f"{at}A·dot + B {rule}"
    if len(wrong) == 1 and a * dots[wrong[0]] + b == 0:
        return f"{at}at dot = {dots[wrong[0]]} the number is exactly 0, and sign(0) is +1"
    if len(wrong) == 1:
        return f"{at}dot = {dots[wrong[0]]} gets the wrong bit: T is rounded the wrong way (or towards 0)"
    if t in (int(np.floor(b / a)), int(np.ceil(b / a))):
        return f"{at}a sign: A·dot + B is 0 at dot = -B / A"
    return f"{at}{len(wrong)} of the sums from -144 to 144 get the wrong bit, dot = {dots[wrong[0]]} for one"


def _pair_hint(result, shape: tuple[int, ...]) -> str | None:
    if not isinstance(result, tuple) or len(result) != 2:
        return f"returns {kind(result)}; return two arrays, A and B"
    if any(np.shape(part) != shape for part in result):
        return f"A and B have shapes {np.shape(result[0])} and {np.shape(result[1])}; there are {shape[0]} channels"
    return None


def _close(pair, wanted) -> bool:
    return all(np.allclose(mine, theirs, rtol=1e-5, atol=1e-7) for mine, theirs in zip(pair, wanted))
