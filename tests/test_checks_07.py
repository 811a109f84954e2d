"""Notebook 07's checks: a mistake gets its hint. (Stubs and published solutions: test_checks.py.)"""

import math

import numpy as np
import pytest
from test_checks import said

from bivm_ref import checks
from bivm_ref.information import entropy

CHECKS = {"E7.1": checks.check_E7_1, "E7.2": checks.check_E7_2, "E7.3": checks.check_E7_3}


# -- the package itself, through the same door --

def test_the_loss_of_the_package_weighs_as_E7_1_asks(capsys):
    torch = pytest.importorskip("torch")
    from bivm_ref.learn.mimic import boundary_weight

    def weigh(between, floor):
        alpha = torch.from_numpy(np.where(between, 0.3, 0.0))[None, None]  # soft cells, no hard edge
        return boundary_weight(alpha, floor)[0, 0].numpy()

    assert said(capsys, checks.check_E7_1, weigh).startswith("E7.1: right")


def test_the_loss_of_the_package_asks_for_bits_as_E7_2_does(capsys):
    torch = pytest.importorskip("torch")
    from bivm_ref.learn.mimic import Mimic, Mimicking
    from bivm_ref.net import BiVM
    from bivm_ref.net.capture import reader

    student = BiVM("small")
    term = Mimic(student, BiVM("small", "float"), Mimicking(stages=("f2",)))
    channels = term.buffer_of("median", "f2").numel()

    student.double(), term.double()

    def loss(a, theta, wanted):
        with torch.no_grad():
            reader(student, "f2").theta.fill_(theta)
            mine, theirs = (torch.from_numpy(x).expand(1, channels, *a.shape) for x in (a, np.where(wanted, 1.0, -1.0)))
            return term._bit_term(student, "f2", mine, theirs).mean().item()  # the medians are 0 before calibrate()

    assert said(capsys, checks.check_E7_2, loss).startswith("E7.2: right")


# -- mistakes, spelled with loops --

def around(between, y, x, diagonal=True):
    h, w = between.shape
    return any(between[j, i] for j in range(max(0, y - 1), min(h, y + 2)) for i in range(max(0, x - 1), min(w, x + 2))
               if diagonal or j == y or i == x)


def grown(between, diagonal=True):
    found = np.zeros(between.shape)
    for y, x in np.ndindex(between.shape):
        found[y, x] = around(between, y, x, diagonal)
    return found


def one(w):
    return w / w.sum()


def wrapped(between, floor):
    tiled = grown(np.tile(between, (3, 3)))
    h, w = between.shape
    return one(tiled[h:2 * h, w:2 * w] + floor)


def cleared(between, floor):
    right = one(grown(between) + floor)
    between[:] = False
    return right


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def cross(p, wanted):
    return -(wanted * np.log(p) + ~wanted * np.log(1 - p))


def p_of(a, theta, kappa=2.0):
    return sigmoid(kappa / a.std() * (a + theta))


def info(b, y, count=3):
    """I(b; y) = H(b) + H(y) - H(b, y), another way than the table's own."""
    joint = np.array([[np.sum((b == v) & (y == c)) for c in range(count)] for v in (0, 1)], float)
    return entropy(joint.sum(1)) + entropy(joint.sum(0)) - entropy(joint.ravel())


def each(bits, y, count=3):
    return np.array([info(b, y, count) for b in bits])


def positive(x):
    return np.maximum(0, x) / np.maximum(0, x).sum()


def test_the_other_way_to_information_is_right_too(capsys):
    line = said(capsys, checks.check_E7_3, lambda bits, y, z: positive(each(bits, y) - each(bits, z)))
    assert line.startswith("E7.3: right")


MISTAKES = [
    ("E7.1", "not divided by its sum", lambda b, floor: grown(b) + floor),
    ("E7.1", "the mean is 1", lambda b, floor: one(grown(b) + floor) * b.size),
    ("E7.1", "the floor is missing", lambda b, floor: one(grown(b))),
    ("E7.1", "added after the division", lambda b, floor: one(grown(b)) + floor),
    ("E7.1", "the neighbours are missing", lambda b, floor: one(b + floor)),
    ("E7.1", "diagonal neighbours", lambda b, floor: one(grown(b, diagonal=False) + floor)),
    ("E7.1", "1 + floor, not 1", lambda b, floor: one(np.maximum(grown(b), floor))),
    ("E7.1", "other way round", lambda b, floor: one(1 - grown(b) + floor)),
    ("E7.1", "every cell alike", lambda b, floor: np.full(b.shape, 1 / b.size)),
    ("E7.1", "wraps round", wrapped),
    ("E7.1", "without its floor", lambda b, floor: grown(b)),
    ("E7.1", "changes its inputs", cleared),
    ("E7.1", "return an array", lambda b, floor: 1.0),
    ("E7.1", "it must be (8, 11)", lambda b, floor: b[1:-1, 1:-1] + floor),
    ("E7.1", "is right", lambda b, floor: b * 7.0),
    ("E7.1", "it stops with IndexError", lambda b, floor: b[99]),
    ("E7.2", "kappa is missing", lambda a, t, w: cross(sigmoid(a + t), w).mean()),
    ("E7.2", "the 2 is missing", lambda a, t, w: cross(p_of(a, t, 1), w).mean()),
    ("E7.2", "it divides by it", lambda a, t, w: cross(sigmoid(2 * a.std() * (a + t)), w).mean()),
    ("E7.2", "std is its root", lambda a, t, w: cross(sigmoid(2 / a.var() * (a + t)), w).mean()),
    ("E7.2", "theta is missing", lambda a, t, w: cross(p_of(a, 0), w).mean()),
    ("E7.2", "theta is subtracted", lambda a, t, w: cross(p_of(a, -t), w).mean()),
    ("E7.2", "inside the brackets", lambda a, t, w: cross(sigmoid(2 / a.std() * a + t), w).mean()),
    ("E7.2", "rewards the wrong bit", lambda a, t, w: cross(p_of(a, t), ~w).mean()),
    ("E7.2", "take the mean", lambda a, t, w: cross(p_of(a, t), w).sum()),
    ("E7.2", "a positive number", lambda a, t, w: -cross(p_of(a, t), w).mean()),
    ("E7.2", "log2", lambda a, t, w: cross(p_of(a, t), w).mean() / math.log(2)),
    ("E7.2", "the squared error", lambda a, t, w: ((p_of(a, t) - w) ** 2).mean()),
    ("E7.2", "no gradient", lambda a, t, w: np.mean((a + t > 0) != w)),
    ("E7.2", "where a 1 is wanted: a wrong 1", lambda a, t, w: -(w * np.log(p_of(a, t))).mean()),
    ("E7.2", "where a 0 is wanted: a wrong 0", lambda a, t, w: -(~w * np.log(1 - p_of(a, t))).mean()),
    ("E7.2", "one number is asked for", lambda a, t, w: cross(p_of(a, t), w)),
    ("E7.2", "is right", lambda a, t, w: 0.0),
    ("E7.3", "not divided by their sum", lambda b, y, z: np.maximum(0, each(b, y) - each(b, z))),
    ("E7.3", "null is not taken off", lambda b, y, z: one(each(b, y))),
    ("E7.3", "weight below 0", lambda b, y, z: one(each(b, y) - each(b, z))),
    ("E7.3", "changed places", lambda b, y, z: positive(each(b, z) - each(b, y))),
    ("E7.3", "three columns", lambda b, y, z: positive(each(b, y > 0, 2) - each(b, z > 0, 2))),
    ("E7.3", "only the information", lambda b, y, z: each(b, y)),
    ("E7.3", "every channel weighs alike", lambda b, y, z: np.full(len(b), 1 / len(b))),
    ("E7.3", "how often the bit is 1", lambda b, y, z: one(b.mean(1))),
    ("E7.3", "it must be (5,)", lambda b, y, z: np.ones(3)),
    ("E7.3", "for channel", lambda b, y, z: np.arange(5.0)),
]


@pytest.mark.parametrize(("name", "hint", "wrong"), MISTAKES, ids=[f"{n} {h}" for n, h, _ in MISTAKES])
@pytest.mark.parametrize("seed", [0, 3])
def test_the_mistake_is_named(name, hint, wrong, seed, capsys):
    line = said(capsys, CHECKS[name], wrong, seed)
    assert hint in line and "right, " not in line
