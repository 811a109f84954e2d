"""Notebook 08's checks: a mistake gets its hint. (Stubs and published solutions: test_checks.py.)"""

import math

import numpy as np
import pytest
from test_checks import said

from bivm_ref import checks

CHECKS = {"E8.1": checks.check_E8_1, "E8.2": checks.check_E8_2, "E8.3": checks.check_E8_3}


def count(p, w):
    return np.bitwise_count(p ^ w).sum(axis=(1, 2)).astype(int)


def prelu(y, s):
    return np.where(y > 0, y, s * y)


def in_place(p, w, a, b, around, s):
    b += around
    return prelu(a * (144 - 2 * count(p, w)) + b, s)


def sigma(v, e):
    return np.sqrt(v + e)


MISTAKES = [
    ("E8.1", "the mean is not in B", lambda g, b, m, v, e: (g / sigma(v, e), b)),
    ("E8.1", "multiplied by A", lambda g, b, m, v, e: (g / sigma(v, e), b - m)),
    ("E8.1", "MINUS", lambda g, b, m, v, e: (g / sigma(v, e), b + m * g / sigma(v, e))),
    ("E8.1", "lacks beta", lambda g, b, m, v, e: (g / sigma(v, e), -m * g / sigma(v, e))),
    ("E8.1", "eps is missing", lambda g, b, m, v, e: (g / np.sqrt(v), b - m * g / np.sqrt(v))),
    ("E8.1", "beside the variance", lambda g, b, m, v, e: (g / (np.sqrt(v) + e), b - m * g / (np.sqrt(v) + e))),
    ("E8.1", "the root of the variance", lambda g, b, m, v, e: (g / (v + e), b - m * g / (v + e))),
    ("E8.1", "changed places", lambda g, b, m, v, e: (b - m * g / sigma(v, e), g / sigma(v, e))),
    ("E8.1", "return two arrays", lambda g, b, m, v, e: g),
    ("E8.1", "there are 6 channels", lambda g, b, m, v, e: (g[:2], b)),
    ("E8.1", "right is", lambda g, b, m, v, e: (g, b)),
    ("E8.1", "it stops with TypeError", lambda g, b: g),
    ("E8.2", "before the PReLU", lambda p, w, a, b, r, s: a * (144 - 2 * count(p, w)) + b + r),
    ("E8.2", "shortcut is missing", lambda p, w, a, b, r, s: prelu(a * (144 - 2 * count(p, w)) + b, s)),
    ("E8.2", "added after", lambda p, w, a, b, r, s: prelu(a * (144 - 2 * count(p, w)) + b, s) + r),
    ("E8.2", "it is n - 2·d", lambda p, w, a, b, r, s: prelu(a * count(p, w) + b + r, s)),
    ("E8.2", "not 1", lambda p, w, a, b, r, s: prelu(a * (144 - count(p, w)) + b + r, s)),
    ("E8.2", "a byte holds 8", lambda p, w, a, b, r, s: prelu(a * (p.size - 2 * count(p, w)) + b + r, s)),
    ("E8.2", "nine taps", lambda p, w, a, b, r, s: prelu(a * (16 - 2 * count(p, w)) + b + r, s)),
    ("E8.2", "B is missing", lambda p, w, a, b, r, s: prelu(a * (144 - 2 * count(p, w)) + r, s)),
    ("E8.2", "that is a ReLU", lambda p, w, a, b, r, s: prelu(a * (144 - 2 * count(p, w)) + b + r, 0)),
    ("E8.2", "other way round", lambda p, w, a, b, r, s: (lambda y: np.where(y > 0, s * y, y))(
        a * (144 - 2 * count(p, w)) + b + r)),
    ("E8.2", "those are the whole numbers", lambda p, w, a, b, r, s: 144 - 2 * count(p, w)),
    ("E8.2", "return an array", lambda p, w, a, b, r, s: 3.0),
    ("E8.2", "the result is (6, 9)", lambda p, w, a, b, r, s: np.bitwise_count(p ^ w).sum(axis=2)),
    ("E8.2", "comes to", lambda p, w, a, b, r, s: np.zeros(6)),
    ("E8.2", "changes its inputs", in_place),
    ("E8.3", "return two things", lambda a, b: -b / a),
    ("E8.3", "up is a str", lambda a, b: (1, "up")),
    ("E8.3", "round it", lambda a, b: (-b / a, a > 0)),
    ("E8.3", "falls as dot grows", lambda a, b: (math.ceil(-b / a), True)),
    ("E8.3", "grows with dot", lambda a, b: (math.floor(-b / a), False)),
    ("E8.3", "rounded the wrong way", lambda a, b: (math.floor(-b / a), a > 0)),
    ("E8.3", "towards 0", lambda a, b: (int(-b / a), a > 0)),
    ("E8.3", "sign(0) is +1", lambda a, b: (math.floor(-b / a) + 1, True) if a > 0 else (math.ceil(-b / a) - 1, False)),
    ("E8.3", "-B / A", lambda a, b: (math.ceil(b / a), a > 0)),
    ("E8.3", "get the wrong bit", lambda a, b: (40, a > 0)),
    ("E8.3", "it stops with NameError", lambda a, b: undefined),  # noqa: F821
]


@pytest.mark.parametrize(("name", "hint", "wrong"), MISTAKES, ids=[f"{n} {h}" for n, h, _ in MISTAKES])
@pytest.mark.parametrize("seed", [0, 3])
def test_the_mistake_is_named(name, hint, wrong, seed, capsys):
    line = said(capsys, CHECKS[name], wrong, seed)
    assert hint in line and "right, " not in line
