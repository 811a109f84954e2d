"""Notebook 10's checks: a mistake gets its hint. (Stubs and published solutions: test_checks.py.)"""

import numpy as np
import pytest
from test_checks import said

from bivm_ref import checks, claims

CHECKS = {"E10.1": checks.check_E10_1, "E10.2": checks.check_E10_2, "E10.3": checks.check_E10_3,
          "E10.4": checks.check_E10_4}


def test_the_package_itself_passes(capsys):
    assert said(capsys, checks.check_E10_4, claims.lead).startswith("E10.4: right")


def drawn(values, seeds, clips):
    return np.array([values[np.ix_(s, c)].mean() for s, c in zip(seeds, clips)])


def ends(values, low=2.5, high=97.5):
    return tuple(np.percentile(values, (low, high)))


def in_place(a, b, s, c):
    b -= a
    return ends(drawn(b, s, c))


def up(n, stride):
    return -(-n // stride)


def operations(h, w, k, cin, cout, stride, binary, factor=1.0):
    return factor * up(h, stride) * up(w, stride) * k * k * cin * cout / (64 if binary else 1)


def rule(low, high, seeds):
    return claims.MET if high < 1 else claims.AGAINST if low > 1 else claims.NOT


def lead(a, b):
    return (b - a).mean(0)


MISTAKES = [
    ("E10.1", "a sign", lambda a, b, s, c: ends(drawn(a - b, s, c))),
    ("E10.1", "that is 90 %", lambda a, b, s, c: ends(drawn(b - a, s, c), 5, 95)),
    ("E10.1", "above alone", lambda a, b, s, c: ends(drawn(b - a, s, c), 0, 95)),
    ("E10.1", "clips are not resampled", lambda a, b, s, c: ends((b - a)[s].mean((1, 2)))),
    ("E10.1", "seeds are not resampled", lambda a, b, s, c: ends((b - a)[:, c].mean((0, 2)))),
    ("E10.1", "ends of two intervals", lambda a, b, s, c: np.subtract(ends(drawn(b, s, c)), ends(drawn(a, s, c)))),
    ("E10.1", "not paired", lambda a, b, s, c: (ends(drawn(b, s, c))[0] - ends(drawn(a, s, c))[1],
                                                ends(drawn(b, s, c))[1] - ends(drawn(a, s, c))[0])),
    ("E10.1", "that is the ratio", lambda a, b, s, c: ends(drawn(b, s, c) / drawn(a, s, c))),
    ("E10.1", "ours alone", lambda a, b, s, c: ends(drawn(a, s, c))),
    ("E10.1", "return two numbers", lambda a, b, s, c: 5.0),
    ("E10.1", "shape (400,)", lambda a, b, s, c: drawn(b - a, s, c)),
    ("E10.1", "is right", lambda a, b, s, c: (0.0, 1.0)),
    ("E10.1", "changes its inputs", in_place),
    ("E10.1", "it stops with IndexError", lambda a, b, s, c: a[c]),
    ("E10.2", "ours is worst", lambda a, b: (int(a.mean(0).argmax()), 0.0)),
    ("E10.2", "mean over seeds first", lambda a, b: (int((b - a).max(0).argmax()), 0.0)),
    ("E10.2", "there ours is behind", lambda a, b: (int(np.abs(lead(a, b)).argmax()), 0.0)),
    ("E10.2", "largest ratio", lambda a, b: (int((b / a).mean(0).argmax()), 0.0)),
    ("E10.2", "is not the one", lambda a, b: (99, 0.0)),
    ("E10.2", "with every clip", lambda a, b: (int(lead(a, b).argmax()), lead(a, b).mean())),
    ("E10.2", "that clip alone", lambda a, b: (int(lead(a, b).argmax()), lead(a, b).max())),
    ("E10.2", "clips that are left", lambda a, b: (
        int(lead(a, b).argmax()), (lead(a, b).sum() - lead(a, b).max()) / 8)),
    ("E10.2", "return two numbers", lambda a, b: int(lead(a, b).argmax())),
    ("E10.2", "it stops with", lambda a, b: a[99]),
    ("E10.3", "a word of 64 bits", lambda *layer: operations(*layer[:6], False)),
    ("E10.3", "is not divided", lambda *layer: operations(*layer[:6], True)),
    ("E10.3", "not by 32", lambda *layer: operations(*layer, 2.0 if layer[6] else 1.0)),
    ("E10.3", "stride is missing", lambda h, w, k, i, o, s, b: operations(h, w, k, i, o, 1, b)),
    ("E10.3", "rows and for columns", lambda h, w, k, i, o, s, b: up(h, s) * w * k * k * i * o / (64 if b else 1)),
    ("E10.3", "rounded up", lambda h, w, k, i, o, s, b: (h // s) * (w // s) * k * k * i * o / (64 if b else 1)),
    ("E10.3", "at a stride of 1", lambda h, w, k, i, o, s, b: operations((h + 1) // s, (w + 1) // s, k, i, o, 1, b)),
    ("E10.3", "kernel · kernel taps", lambda h, w, k, i, o, s, b: operations(h, w, 1, i, o, s, b, k)),
    ("E10.3", "one tap", lambda h, w, k, i, o, s, b: operations(h, w, 1, i, o, s, b)),
    ("E10.3", "times cin", lambda h, w, k, i, o, s, b: operations(h, w, k, 1, o, s, b)),
    ("E10.3", "cout output channels", lambda h, w, k, i, o, s, b: operations(h, w, k, i, 1, s, b)),
    ("E10.3", "as two", lambda *layer: operations(*layer, 2.0)),
    ("E10.3", "number of weights", lambda h, w, k, i, o, s, b: k * k * i * o / (64 if b else 1)),
    ("E10.3", "is right", lambda *layer: 1.0),
    ("E10.4", "a verdict is one of", lambda low, high, seeds: high < 1),
    ("E10.4", "a verdict is one of", lambda low, high, seeds: "yes"),
    ("E10.4", "below 1 is less error", lambda low, high, seeds: {
        claims.MET: claims.AGAINST, claims.AGAINST: claims.MET}.get(claims.lead(low, high, seeds),
                                                                   claims.lead(low, high, seeds))),
    ("E10.4", "but 1 lies inside", lambda low, high, seeds: claims.PART if low < 1 < high else claims.lead(
        low, high, seeds)),
    ("E10.4", "a part is met", lambda low, high, seeds: claims.NOT if seeds < 3 else claims.lead(low, high, seeds)),
    ("E10.4", "speak against", lambda low, high, seeds: claims.AGAINST if low > 1 else claims.lead(low, high, seeds)),
    ("E10.4", "3 seeds are enough", lambda low, high, seeds: claims.lead(low, high, seeds - (seeds == 3))),
]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("name", "hint", "fn"), MISTAKES)
def test_a_mistake_is_named(name, hint, fn, seed, capsys):
    line = said(capsys, CHECKS[name], fn, seed)
    assert line.startswith(f"{name}: ") and hint in line and ": right" not in line
