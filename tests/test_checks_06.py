"""Notebook 06's checks: a mistake gets its hint. (Stubs and published solutions: test_checks.py.)"""

import numpy as np
import pytest
from test_checks import said

from bivm_ref import checks
from bivm_ref.packed import ops

CHECKS = {"E6.1": checks.check_E6_1, "E6.2": checks.check_E6_2, "E6.3": checks.check_E6_3}


def test_the_package_itself_passes(capsys):
    assert said(capsys, checks.check_E6_1, lambda c, tau: ops.detail_mask(c.astype(np.float32), tau)
                ).startswith("E6.1: right")


# -- E6.1, spelled with scalar loops --

def around(coarse, y, x, diagonal=True):
    h, w = coarse.shape
    return [coarse[j, i] > 0.5 for j in range(max(0, y - 1), min(h, y + 2)) for i in range(max(0, x - 1), min(w, x + 2))
            if diagonal or j == y or i == x]


def unsure(coarse, tau):
    return (coarse >= tau) & (coarse <= 1 - tau)


def rim(coarse, diagonal=True):
    found = np.zeros(coarse.shape, bool)
    for y, x in np.ndindex(coarse.shape):
        sides = around(coarse, y, x, diagonal)
        found[y, x] = any(sides) and not all(sides)
    return found


def darkened(coarse, tau):
    right = unsure(coarse, tau) | rim(coarse)
    coarse[:] = 0
    return right


# -- E6.2 --

def gathered(x, mask, dot, pad="constant", flip=False, begin=-1):
    padded = np.pad(x, 2, mode=pad)
    ys, xs = np.nonzero(mask)
    steps = [(dy, dx) for dy in range(begin, begin + 3) for dx in range(begin, begin + 3)]
    return dot(np.stack([padded[ys + 2 + (dx if flip else dy), xs + 2 + (dy if flip else dx)] for dy, dx in steps], 1))


def scattered(x, mask, dot, **how):
    out = np.zeros_like(x)
    out[mask] = gathered(x, mask, dot, **how)
    return out


def everywhere(x, mask, dot):
    return scattered(x, np.ones_like(mask), dot)


def overwritten(x, mask, dot):
    x[:] = scattered(x, mask, dot)
    return x


def without_dot(x, mask, dot):
    weights = [int(dot(np.eye(9, dtype=int)[i:i + 1])[0]) for i in range(3)]  # only three rows reach dot
    weights += [5, 7, -4, 2, 6, -1]
    return scattered(x, mask, lambda taps: taps @ np.array(weights))


def counted(layers, share, binary_at=64, float_at=1, inverse=False, masked=True, others=False):
    at = 1 - share if inverse else share
    return sum(m / (binary_at if b else float_at) * ((at if masked else 1) if s else (share if others else 1))
               for m, b, s in layers)


MISTAKES = [
    ("E6.1", "boundary is missing", unsure),
    ("E6.1", "uncertain cells are missing", lambda c, tau: rim(c)),
    ("E6.1", "needs both", lambda c, tau: unsure(c, tau) & rim(c)),
    ("E6.1", "other way round", lambda c, tau: ~(unsure(c, tau) | rim(c))),
    ("E6.1", "tau itself", lambda c, tau: (c > tau) & (c < 1 - tau) | rim(c)),
    ("E6.1", "only the outer half", lambda c, tau: unsure(c, tau) | rim(c) & (c <= 0.5)),
    ("E6.1", "only the inner half", lambda c, tau: unsure(c, tau) | rim(c) & (c > 0.5)),
    ("E6.1", "diagonal neighbours", lambda c, tau: unsure(c, tau) | rim(c, diagonal=False)),
    ("E6.1", "repeat the edge", lambda c, tau: unsure(c, tau) | rim(np.pad(c, 1))[1:-1, 1:-1]),
    ("E6.1", "wraps round", lambda c, tau: unsure(c, tau) | rim(np.tile(c, (3, 3)))[9:18, 12:24]),
    ("E6.1", "whole figure", lambda c, tau: unsure(c, tau) | rim(c) | (c > 0.5)),
    ("E6.1", "int64 (the values are right)", lambda c, tau: (unsure(c, tau) | rim(c)).astype(int)),
    ("E6.1", "one value for each", lambda c, tau: c[1:-1, 1:-1] > 0.5),
    ("E6.1", "return an array", lambda c, tau: True),
    ("E6.1", "changes its inputs", darkened),
    ("E6.1", "it says True", lambda c, tau: np.ones(c.shape, bool)),
    ("E6.1", "it stops with IndexError", lambda c, tau: c[99]),
    ("E6.2", "nothing is skipped: dot was given 42 rows", lambda x, m, dot: everywhere(x, m, dot) * m),
    ("E6.2", "that is the dense result", everywhere),
    ("E6.2", "computes where the mask is False", lambda x, m, dot: scattered(x, ~m, dot)),
    ("E6.2", "x and y have changed places", lambda x, m, dot: scattered(x, m, dot, flip=True)),
    ("E6.2", "begins at the position", lambda x, m, dot: scattered(x, m, dot, begin=0)),
    ("E6.2", "edge is repeated", lambda x, m, dot: scattered(x, m, dot, pad="edge")),
    ("E6.2", "other side comes in", lambda x, m, dot: scattered(x, m, dot, pad="wrap")),
    ("E6.2", "(they are right); scatter them", gathered),
    ("E6.2", "the map is (6, 7)", lambda x, m, dot: np.zeros((3, 3))),
    ("E6.2", "return an array", lambda x, m, dot: 0),
    ("E6.2", "changes its inputs", overwritten),
    ("E6.2", "not from dot", without_dot),
    ("E6.2", "is right", lambda x, m, dot: np.where(m, 10_000, 0)),
    ("E6.2", "it stops with ValueError", lambda x, m, dot: dot(x)),
    ("E6.3", "mask is ignored", lambda layers, s: counted(layers, s, masked=False)),
    ("E6.3", "only masked ones skip", lambda layers, s: counted(layers, s, others=True)),
    ("E6.3", "not skipped", lambda layers, s: counted(layers, s, inverse=True)),
    ("E6.3", "masked layers are left out", lambda layers, s: counted([row for row in layers if not row[2]], s)),
    ("E6.3", "64 binary MACs are one", lambda layers, s: counted(layers, s, binary_at=1)),
    ("E6.3", "1/32 is what", lambda layers, s: counted(layers, s, binary_at=32)),
    ("E6.3", "float MACs count in full", lambda layers, s: counted(layers, s, float_at=64)),
    ("E6.3", "unmasked layers are missing", lambda layers, s: counted([row for row in layers if row[2]], s)),
    ("E6.3", "have changed places", lambda layers, s: counted(layers, s, masked=False, others=True)),
    ("E6.3", "return a number", lambda layers, s: "many"),
    ("E6.3", "is right", lambda layers, s: 1.0),
    ("E6.3", "it stops with TypeError", lambda layers, s: sum(layers)),
]


@pytest.mark.parametrize(("name", "hint", "wrong"), MISTAKES, ids=[f"{n} {h}" for n, h, _ in MISTAKES])
@pytest.mark.parametrize("seed", [0, 3])
def test_the_mistake_is_named(name, hint, wrong, seed, capsys):
    line = said(capsys, CHECKS[name], wrong, seed)
    assert hint in line and "right, " not in line
