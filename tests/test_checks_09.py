"""Notebook 09's checks: a mistake gets its hint. (Stubs and published solutions: test_checks.py.)"""

import numpy as np
import pytest
from test_checks import said

from bivm_ref import checks

CHECKS = {"E9.1": checks.check_E9_1, "E9.2": checks.check_E9_2, "E9.3": checks.check_E9_3, "E9.4": checks.check_E9_4}


def in_place(ours, theirs):
    theirs /= ours
    return np.median(theirs)


def traffic(signs=1.0, weights=1.0, sums=1.0, operations=1.0):
    """A wrong intensity: each term times what the mistake makes of it."""
    def fn(cin, cout, k, height, width):
        at, held = height * width, k * k * cin * cout
        return operations * at * held / (signs * at * cin / 8 + weights * held / 8 + 2 * sums * at * cout)
    return fn


MISTAKES = [
    ("E9.1", "turn the quotient round", lambda a, b: np.median(a / b)),
    ("E9.1", "Divide within each round first", lambda a, b: np.median(b) / np.median(a)),
    ("E9.1", "of the ratios take the median", lambda a, b: (b / a).mean()),
    ("E9.1", "decides it", lambda a, b: b.mean() / a.mean()),
    ("E9.1", "from different rounds", lambda a, b: b.min() / a.min()),
    ("E9.1", "a difference in seconds", lambda a, b: np.median(b - a)),
    ("E9.1", "geometric", lambda a, b: np.exp(np.log(b / a).mean())),
    ("E9.1", "they are right", lambda a, b: b / a),
    ("E9.1", "changes its inputs", in_place),
    ("E9.1", "is right", lambda a, b: 1.0),
    ("E9.1", "return a number", lambda a, b: "1.5"),
    ("E9.1", "it stops with TypeError", lambda a: a),
    ("E9.2", "the remainder", lambda one, two: 2 - 2 * two / one),
    ("E9.2", "1/2, not 0", lambda one, two: two / one),
    ("E9.2", "that is the speedup", lambda one, two: one / two),
    ("E9.2", "the efficiency", lambda one, two: one / two / 2),
    ("E9.2", "was saved", lambda one, two: (one - two) / one),
    ("E9.2", "changed places", lambda one, two: 2 * one / two - 1),
    ("E9.2", "MINUS 1", lambda one, two: 2 * two / one + 1),
    ("E9.2", "divide by one", lambda one, two: 2 * two - one),
    ("E9.2", "not by two", lambda one, two: (2 * two - one) / two),
    ("E9.2", "is right", lambda one, two: 0.9),
    ("E9.3", "the other way round", lambda *given: 1 / traffic()(*given)),
    ("E9.3", "ONE position", lambda i, o, k, h, w: traffic()(i, o, k, h, w) / (h * w)),
    ("E9.3", "signs are read as bytes", traffic(signs=8)),
    ("E9.3", "weights are read as bytes", traffic(weights=8)),
    ("E9.3", "signs and weights are bits", traffic(signs=8, weights=8)),
    ("E9.3", "are no bits", traffic(sums=1 / 16)),
    ("E9.3", "here it takes one", traffic(sums=1 / 2)),
    ("E9.3", "here it takes four", traffic(sums=2)),
    ("E9.3", "the weights are missing", traffic(weights=0)),
    ("E9.3", "they must be written", traffic(sums=0)),
    ("E9.3", "that are read are missing", traffic(signs=0)),
    ("E9.3", "not at every position", lambda i, o, k, h, w: traffic(weights=h * w)(i, o, k, h, w)),
    ("E9.3", "reads it anew", traffic(signs=9)),
    ("E9.3", "not as two", traffic(operations=2)),
    ("E9.3", "1/64", traffic(operations=1 / 64)),
    ("E9.3", "here there are k", lambda i, o, k, h, w: traffic(weights=1 / k, operations=1 / k)(i, o, k, h, w)),
    ("E9.3", "divide by the bytes", lambda i, o, k, h, w: h * w * k * k * i * o),
    ("E9.3", "divide the operations by them", lambda i, o, k, h, w: h * w * i / 8 + k * k * i * o / 8 + 2 * h * w * o),
    ("E9.3", "is right", lambda *given: 1.0),
    ("E9.4", "SKIPPED", lambda n, e, d: 1 - (d - n) / (e - n)),
    ("E9.4", "take them off both", lambda n, e, d: d / e),
    ("E9.4", "not by everything", lambda n, e, d: (d - n) / e),
    ("E9.4", "dense - none", lambda n, e, d: d / (e - n)),
    ("E9.4", "changed places", lambda n, e, d: (e - n) / (d - n)),
    ("E9.4", "half of dense", lambda n, e, d: (d / 2 - n) / (e - n)),
    ("E9.4", "outside of 0", lambda n, e, d: (d - n) / (e - n)),
    ("E9.4", "the share is 0, not 1", lambda n, e, d: min(1, abs((d - n) / (e - n))) if d > n else 1),
    ("E9.4", "is right", lambda n, e, d: 0.123),
]


@pytest.mark.parametrize(("name", "hint", "wrong"), MISTAKES, ids=[f"{n} {h}" for n, h, _ in MISTAKES])
@pytest.mark.parametrize("seed", [0, 3])
def test_the_mistake_is_named(name, hint, wrong, seed, capsys):
    line = said(capsys, CHECKS[name], wrong, seed)
    assert hint in line and ": right, " not in line
