"""Notebook 02's checks: a mistake gets its hint. (Stubs and published solutions: test_checks.py.)"""

import numpy as np
import pytest
from test_checks import said

from bivm_ref import checks, information
from bivm_ref.information import clip_tables, corrected_information, mutual_information

CHECKS = {"E2.1": checks.check_E2_1, "E2.2": checks.check_E2_2, "E2.3": checks.check_E2_3}


def test_the_package_itself_passes(capsys):
    assert said(capsys, checks.check_E2_1, information.mutual_information).startswith("E2.1: right")


def H(p, log=np.log2):
    p = np.asarray(p, float).ravel()
    p = p[p > 0] / p.sum()
    return -(p * log(p)).sum()


def shared(t, log=np.log2):
    return H(t.sum(1), log) + H(t.sum(0), log) - H(t, log)


def zero_kept(t):
    p = t / t.sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        return -(p * np.log2(p)).sum()


def in_place(t):
    bits = shared(t)
    t /= t.sum()
    return bits


def h2(p, log=np.log2):
    return -p * log(p) - (1 - p) * log(1 - p)


def flips(r):
    return np.arccos(r) / np.pi


def one_sided(r):
    if r < 0:
        raise ValueError("negative")
    return 1 - h2(flips(r))


def pairing(codes, labels):
    return corrected_information(clip_tables(codes, labels, (2, 2)).sum(0))


def rolled(c, y, axis, first=1, count=None, bits=pairing):
    return [bits(c, np.roll(y, k, axis)) for k in range(first, count or len(c))]


def plug_in(c, y):
    return mutual_information(clip_tables(c, y, (2, 2)).sum(0))


def mean_table(c, y):
    return corrected_information(sum(clip_tables(c, np.roll(y, k, 0), (2, 2)).sum(0) for k in range(1, len(c))))


MISTAKES = [
    ("E2.1", "in nats", lambda t: shared(t, np.log)),
    ("E2.1", "a sign:", lambda t: -shared(t)),
    ("E2.1", "entropy of both together", lambda t: H(t)),
    ("E2.1", "H(A) alone", lambda t: H(t.sum(1))),
    ("E2.1", "H(B) alone", lambda t: H(t.sum(0))),
    ("E2.1", "not taken off", lambda t: H(t.sum(1)) + H(t.sum(0))),
    ("E2.1", "leaves open of A", lambda t: H(t) - H(t.sum(0))),
    ("E2.1", "leaves open of B", lambda t: H(t) - H(t.sum(1))),
    ("E2.1", "gives nan", zero_kept),
    ("E2.1", "changes its inputs", in_place),
    ("E2.1", "one number is asked for", lambda t: t.sum(1)),
    ("E2.1", "is right", lambda t: 0.5),
    ("E2.1", "it stops with", lambda t: t[9]),
    ("E2.2", "before the signs", lambda r: -0.5 * np.log2(1 - r * r)),
    ("E2.2", "what the channel destroys", lambda r: h2(flips(r))),
    ("E2.2", "arcsin", lambda r: 1 - h2(np.arcsin(r) / np.pi)),
    ("E2.2", "not by 2 pi", lambda r: 1 - h2(np.arccos(r) / (2 * np.pi))),
    ("E2.2", "rho is not the share", lambda r: 1 - h2(r)),
    ("E2.2", "correlation of the *signs*", lambda r: 1 - h2((1 - r) / 2)),
    ("E2.2", "eps is the share of pairs that differ", flips),
    ("E2.2", "1 - eps is the share", lambda r: 1 - flips(r)),
    ("E2.2", "that is in nats", lambda r: np.log(2) - h2(flips(r), np.log)),
    ("E2.2", "h2 is in nats there", lambda r: 1 - h2(flips(r), np.log)),
    ("E2.2", "only half of h2", lambda r: 1 + flips(r) * np.log2(flips(r))),
    ("E2.2", "opposites tell as much", lambda r: 1 - h2(flips(r)) if r > 0 else 0.0),
    ("E2.2", "it stops with ValueError: negative", one_sided),
    ("E2.2", "return a number", lambda r: "0.2"),
    ("E2.3", "k = 0 is in it", lambda c, y: np.mean(rolled(c, y, 0, 0))),
    ("E2.3", "nothing has been exchanged", pairing),
    ("E2.3", "one shift only", lambda c, y: pairing(c, np.roll(y, 1, 0))),
    ("E2.3", "cells were shifted within their clip", lambda c, y: np.mean(rolled(c, y, 1))),
    ("E2.3", "cells were shifted within their clip", lambda c, y: np.mean(rolled(c, y, 1, count=c.shape[1]))),
    ("E2.3", "without an axis", lambda c, y: np.mean(rolled(c, y, None))),
    ("E2.3", "not corrected", lambda c, y: np.mean(rolled(c, y, 0, bits=plug_in))),
    ("E2.3", "added up", lambda c, y: np.sum(rolled(c, y, 0))),
    ("E2.3", "the largest of them", lambda c, y: np.max(rolled(c, y, 0))),
    ("E2.3", "the mean table", mean_table),
    ("E2.3", "has shape (11,)", lambda c, y: np.array(rolled(c, y, 0))),
]


@pytest.mark.parametrize(("name", "hint", "wrong"), MISTAKES, ids=[f"{n} {h}" for n, h, _ in MISTAKES])
@pytest.mark.parametrize("seed", [0, 3])
def test_the_mistake_is_named(name, hint, wrong, seed, capsys):
    line = said(capsys, CHECKS[name], wrong, seed)
    assert hint in line and "right, " not in line
