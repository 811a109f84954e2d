"""Checks of notebook 07, mimicking: weights on the boundary, the loss of a bit, weights from information."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .checks_shared import array_hint, call, number_hint, say, unchanged
from .information import mutual_information


def check_E7_1(fn: Callable, seed: int = 0) -> None:
    """E7.1: fn(between, floor) -> w (h, w): 1 + floor on `between` and its 3x3 neighbours, floor elsewhere, divided so
    that the sum is 1.

    between (h, w) bool; floor > 0.
    """
    rng = np.random.default_rng(seed)
    between = np.zeros((8, 11), bool)
    between[3, 2:5] = between[4, 5] = between[int(rng.integers(5, 7)), 10] = True  # the last one at the border
    floor, given = 0.25, between.copy()
    result = call("E7.1", fn, (given, floor), "np.pad(between, 1) and nine shifted slices, any() over them")
    if result is None:
        return
    window = _window(between)
    band, cross = window.any(0), window[[1, 3, 4, 5, 7]].any(0)
    total = band + floor
    answer = total / total.sum()
    rolled = np.any([np.roll(between, (dy, dx), (0, 1)) for dy in (-1, 0, 1) for dx in (-1, 0, 1)], 0)

    def one(w: np.ndarray) -> np.ndarray:
        return w / w.sum()

    known = {
        "it is not divided by its sum: a frame with a long outline would weigh more than others": total,
        "the mean is 1 there; divide by the sum": total / total.mean(),
        "the floor is missing: nothing at all is asked for away from the band": one(band.astype(float)),
        "the floor is added after the division, so the sum is no longer 1": one(band.astype(float)) + floor,
        "the neighbours are missing: the band is `between` and the 3x3 around each of its cells": one(between + floor),
        "the diagonal neighbours are missing: the neighbourhood is 3x3, a square": one(cross + floor),
        "the band has 1 + floor, not 1: the floor lies under everything": one(np.where(band, 1.0, floor)),
        "it is the other way round: the band weighs more, not less": one(~band + floor),
        "that weighs every cell alike": np.full(band.shape, 1 / band.size),
        "the band comes in on the other side of the frame: np.roll wraps round, np.pad does not": one(rolled + floor),
        "the band only, without its floor and undivided": band.astype(float),
    }
    hint = unchanged((between,), (given,)) or array_hint(
        result, answer, known, lambda i: f"at row {i[0]}, column {i[1]}")
    say("E7.1", hint, "most of the weight lies on the band, and every frame weighs the same")


def check_E7_2(fn: Callable, seed: int = 0) -> None:
    """E7.2: fn(a, theta, wanted) -> mean of BCE(sigmoid(kappa (a + theta)), wanted), natural logarithm,
    kappa = 2 / std(a).

    a (h, w) float64, one channel; theta a number; wanted (h, w) bool.
    """
    rng = np.random.default_rng(seed)
    a, theta = rng.normal(0.4, 1.5, (6, 7)), -0.5
    wanted = a + rng.normal(0, 1.5, a.shape) > 0.4  # the teacher agrees with most of them
    given = a.copy(), wanted.copy()
    result = call("E7.2", fn, (given[0], theta, given[1]),
                  "p = 1 / (1 + np.exp(-kappa * (a + theta))), then -log(p) where a 1 is wanted, -log(1 - p) elsewhere")
    if result is None:
        return
    std = a.std()

    def bce(logits: np.ndarray, target: np.ndarray = wanted) -> np.ndarray:
        return np.logaddexp(0, np.where(target, -logits, logits))  # -log(sigmoid), without overflow

    logits = 2 / std * (a + theta)
    p = 1 / (1 + np.exp(-logits))
    answer = bce(logits).mean()
    known = {
        "kappa is missing: a channel of large values would be punished more than one of small ones":
            bce(a + theta).mean(),
        "kappa is 2 / std(a); the 2 is missing": bce(logits / 2).mean(),
        "kappa multiplies by the spread; it divides by it": bce(2 * std * (a + theta)).mean(),
        "kappa is 2 / variance there; std is its root": bce(2 / std**2 * (a + theta)).mean(),
        "theta is missing: the next sign reads a + theta": bce(2 / std * a).mean(),
        "theta is subtracted; the next sign reads a + theta": bce(2 / std * (a - theta)).mean(),
        "kappa times a, then theta: the shift belongs inside the brackets": bce(2 / std * a + theta).mean(),
        "it rewards the wrong bit: -log(p) belongs where a 1 is wanted": bce(logits, ~wanted).mean(),
        "the cells are added up; take the mean": bce(logits).sum(),
        "a sign: the loss is -log, a positive number": -answer,
        "that is in bits, log2; the loss uses the natural logarithm": answer / np.log(2),
        "that is the squared error of p; a bit's loss is the cross-entropy": ((p - wanted) ** 2).mean(),
        "that is the share of wrong bits: right as a figure, but it has no gradient": ((logits > 0) != wanted).mean(),
        "only the cells where a 1 is wanted: a wrong 1 must cost as well": np.where(wanted, bce(logits), 0).mean(),
        "only the cells where a 0 is wanted: a wrong 0 must cost as well": np.where(wanted, 0, bce(logits)).mean(),
    }
    hint = unchanged((a, wanted), given) or number_hint(result, answer, known)
    say("E7.2", hint, "cheap on the right side of the threshold, and dearer the farther on the wrong one")


def check_E7_3(fn: Callable, seed: int = 0) -> None:
    """E7.3: fn(bits, classes, others) -> pi (C,): max(0, I(bit; classes) - I(bit; others)) of each channel, divided by
    their sum, I from the 2x3 table of counts.

    bits (C, N) bool; classes, others (N,) integers 0, 1, 2.
    """
    rng = np.random.default_rng(seed)
    classes, others = rng.choice(3, (2, 900), p=[0.5, 0.15, 0.35])
    noise = rng.random((5, 900))
    bits = np.stack([
        np.where(noise[0] < 0.1, classes != 2, classes == 2),  # knows the foreground, mostly
        np.where(noise[1] < 0.15, classes != 1, classes == 1),  # knows the rim: no line through 0, 1, 2 finds it
        np.where(noise[2] < 0.3, others != 2, others == 2),  # knows the other clip: its share is below 0
        noise[3] < 0.5,
        np.where(noise[4] < 0.35, (classes == 2) ^ (others == 2), classes == 2)])
    given = bits.copy(), classes.copy(), others.copy()
    result = call("E7.3", fn, given, "np.array([[np.sum((b == v) & (classes == c)) for c in range(3)] for v in (0, 1)])"
                  " is the table of a channel b")
    if result is None:
        return

    def told(labels: np.ndarray, count: int = 3) -> np.ndarray:
        tables = [[[np.sum((b == v) & (labels == c)) for c in range(count)] for v in (0, 1)] for b in bits]
        return mutual_information(np.array(tables, float))

    real, null = told(classes), told(others)
    two = told(np.minimum(classes, 1), 2) - told(np.minimum(others, 1), 2)

    def shares(x: np.ndarray) -> np.ndarray:
        x = np.maximum(0, x)
        return x / x.sum()

    known = {
        "they are not divided by their sum: the weights of a stage add up to 1": np.maximum(0, real - null),
        "the null is not taken off: what a bit tells of another clip's alpha is no merit": shares(real),
        "a channel that tells more of the other clip gets a weight below 0: max(0, …) before dividing":
            (real - null) / (real - null).sum(),
        "classes and others have changed places": shares(null - real),
        "background and the two others are told apart, the rim and the foreground are not: the table has three columns":
            shares(two),
        "that is only the information; take off the null, cut at 0, divide by the sum": real,
        "every channel weighs alike there": np.full(len(bits), 1 / len(bits)),
        "that is how often the bit is 1, which says nothing about alpha": shares(bits.mean(1)),
    }
    hint = unchanged((bits, classes, others), given) or array_hint(
        result, shares(real - null), known, lambda i: f"for channel {i[0]}")
    say("E7.3", hint, "and the channel that knew the wrong clip gets nothing")


def _window(mask: np.ndarray) -> np.ndarray:
    """(h, w) -> (9, h, w): the 3x3 around each cell, nothing outside."""
    padded, (height, width) = np.pad(mask, 1), mask.shape
    return np.stack([padded[dy:dy + height, dx:dx + width] for dy in range(3) for dx in range(3)])
