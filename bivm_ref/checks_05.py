"""Checks of notebook 05, elastic and evolvable: the resampling matrix, reduce-first counted, a branch folded in."""

from __future__ import annotations

from collections.abc import Callable
from math import gcd

import numpy as np

from .checks_shared import array_hint, call, kind, say, unchanged

PAIRS = ((6, 4), (4, 6), (8, 4), (4, 8), (5, 5), (3, 5))  # (ci, co): each ratio that can occur, the plain ones too


def check_E5_1(fn: Callable, seed: int = 0) -> None:
    """E5.1: fn(ci, co) -> R (co, ci) of the elastic shortcut: out[j] = mean over k of x[(j + k*co) mod ci].

    Tried at the ratios of PAIRS; the first that is wrong is named. seed is not used: there is nothing random.
    """
    del seed
    for ci, co in PAIRS:
        result = call("E5.1", fn, (ci, co),
                      "R = np.zeros((co, ci)); row j gets 1/terms at column (j + k*co) % ci, k = 0 ... terms - 1")
        if result is None:
            return
        hint = _resampling_hint(result, ci, co)
        if hint:
            say("E5.1", f"{ci} -> {co}: {hint}", "")
            return
    say("E5.1", None, "for every ratio, and every row adds up to 1")


def _matrix(ci: int, co: int, step: int, terms: int, weight: float) -> np.ndarray:
    """`weight` is added at column (j + k*step) mod ci of row j, for each of the terms k."""
    made = np.zeros((co, ci))
    for j in range(co):
        for k in range(terms):
            made[j, (j + k * step) % ci] += weight
    return made


def _resampling_hint(result, ci: int, co: int) -> str | None:
    terms = ci // gcd(ci, co)
    answer = _matrix(ci, co, co, terms, 1 / terms)
    nearest = np.zeros((co, ci))
    nearest[np.arange(co), np.arange(co) * ci // co] = 1
    known = {
        "the channels are added up, not averaged: divide by the number of terms": answer * terms,
        "only the first term: the mean goes over k = 0 ... terms - 1, with terms = lcm(ci, co) / co":
            _matrix(ci, co, co, 1, 1.0),
        "the groups lie beside each other there; ours are those that meet in one place after tiling: (j + k*co) mod ci":
            _matrix(ci, co, 1, terms, 1 / terms),
        "that copies the nearest channel; ours tiles and averages": nearest,
        "every output is the mean of all channels: only those with the same place mod co belong to it":
            np.full((co, ci), 1 / ci),
    }
    if isinstance(result, np.ndarray) and result.shape == (ci, co) != (co, ci):
        return f"the result is {result.shape}; a row for each channel that goes out: ({co}, {ci})"
    return array_hint(result, answer, known, lambda i: f"in row {i[0]}, column {i[1]}")


def check_E5_2(fn: Callable, seed: int = 0) -> None:
    """E5.2: fn(c) -> (look first, narrow first): multiply-accumulates per position of a block from c to c/2 channels.

    Look first: 3x3 c -> c, then 1x1 c -> c/2. Narrow first: 1x1 c -> c/2, then 3x3 c/2 -> c/2.
    """
    c = 8 * int(np.random.default_rng(seed).integers(2, 20))
    result = call("E5.2", fn, (c,), "a k x k convolution from a to b channels costs k*k*a*b per position")
    if result is None:
        return
    half = c // 2
    look, narrow = 9 * c * c + c * half, c * half + 9 * half * half
    known = {
        "the two have changed places: first look first, then narrow first": (narrow, look),
        "the 1x1 is missing in both": (9 * c * c, 9 * half * half),
        "a 3x3 has 9 taps, not 3": (3 * c * c + c * half, c * half + 3 * half * half),
        "the 3x3 that looks first keeps c channels; the 1x1 after it narrows": (9 * c * half + half * half, narrow),
        "after the 1x1 the 3x3 goes from c/2 to c/2 channels, not from c": (look, c * half + 9 * c * half),
        "after the 1x1 the 3x3 goes from c/2 to c/2 channels, not from c/2 to c": (look, c * half + 9 * half * c),
        "both count the same there: look where the 3x3 stands, and how wide it is": (look, look),
        "per position: leave the frame's size out": (look * 512 * 288, narrow * 512 * 288),
    }
    if not isinstance(result, (tuple, list, np.ndarray)) or len(result) != 2:
        hint = f"returns {kind(result)}; return two numbers, (look_first, narrow_first)"
    elif np.allclose(result, (look, narrow)):
        hint = None
    else:
        hint = next((text for text, wrong in known.items() if np.allclose(result, wrong)),
                    f"for c = {c} it gives {result[0]:.6g} and {result[1]:.6g}; right is {look} and {narrow}")
    say("E5.2", hint, f"and {1 - narrow / look:.0%} is saved, whatever c is")


def check_E5_3(fn: Callable, seed: int = 0) -> None:
    """E5.3: fn(weight, row) -> weight (o, i, 3, 3) with the 1x3 branch row (o, i, 1, 3) added to its middle row."""
    rng = np.random.default_rng(seed)
    weight, row = rng.normal(0, 1, (2, 3, 3, 3)), rng.normal(0, 1, (2, 3, 1, 3))
    given = weight.copy(), row.copy()
    result = call("E5.3", fn, given, "row[:, :, 0] is (o, i, 3), and so is merged[:, :, 1]")
    if result is None:
        return

    def added(part, value):
        out = weight.copy()
        out[part] += value
        return out

    rows, columns, flat = np.s_[:, :, 1], np.s_[:, :, :, 1], row[:, :, 0]
    known = {
        "NumPy broadcast it: the 1x3 was added to all three rows. It covers the middle one only": weight + row,
        "that is the middle column; a 1x3 is one row high and three columns wide": added(columns, flat),
        "that is the top row; the kernel's middle is row 1": added(np.s_[:, :, 0], flat),
        "that is the bottom row; the kernel's middle is row 1": added(np.s_[:, :, 2], flat),
        "the middle row was replaced; the branches are summed": added(rows, flat - weight[rows]),
        "it is subtracted; branches are summed": added(rows, -flat),
        "the signs are taken first and then added: a sum of bits is no bit. Add the latent weights, sign comes later":
            added(rows, flat) * 0 + np.where(weight >= 0, 1.0, -1.0)
            + np.pad(np.where(row >= 0, 1.0, -1.0), ((0, 0), (0, 0), (1, 1), (0, 0))),
        "that is the sign already; the merged kernel stays latent, the sign comes later":
            np.where(added(rows, flat) >= 0, 1.0, -1.0),
        "nothing was added": weight,
    }
    hint = unchanged((weight, row), given) or array_hint(
        result, added(rows, flat), known, lambda i: f"at tap ({i[2]}, {i[3]}) of kernel ({i[0]}, {i[1]})")
    say("E5.3", hint, "one kernel, and the 1x3 costs nothing any more")
