"""Notebook 04's checks: a mistake gets its hint. (Stubs and published solutions: test_checks.py.)"""

import numpy as np
import pytest
from test_checks import said

from bivm_ref import checks
from bivm_ref.packed import bits

CHECKS = {"E4.1": checks.check_E4_1, "E4.2": checks.check_E4_2, "E4.3": checks.check_E4_3, "E4.4": checks.check_E4_4}


def test_the_package_itself_passes(capsys):
    assert said(capsys, checks.check_E4_2, bits.pack_signs).startswith("E4.2: right")
    assert said(capsys, checks.check_E4_4, lambda p: bits.popcount(p)).startswith("E4.4: right")
    assert said(capsys, checks.check_E4_1, lambda a, w: bits.xnor_dot(np.packbits(a), np.packbits(w), len(a))
                ).startswith("E4.1: right")


def differing(t, w):
    return np.bitwise_count(t ^ w).sum(axis=1).astype(int)


def in_place(packed):
    total = int(np.bitwise_count(packed).sum())
    packed[:] = 0
    return total


MISTAKES = [
    ("E4.1", "how many bits differ", lambda a, w: (a ^ w).sum()),
    ("E4.1", "how many bits agree", lambda a, w: (a == w).sum()),
    ("E4.1", "turned round", lambda a, w: 2 * (a ^ w).sum() - len(a)),
    ("E4.1", "multiplies the bits", lambda a, w: int((a & w).sum())),
    ("E4.1", "not always 8", lambda a, w: 8 - 2 * int((a ^ w).sum())),
    ("E4.1", "unsigned", lambda a, w: np.uint8(len(a)) - np.uint8(2) * (a ^ w).sum(dtype=np.uint8)),
    ("E4.1", "unsigned", lambda a, w: np.uint64(len(a)) - np.uint64(2) * (a ^ w).sum(dtype=np.uint64)),
    ("E4.1", "one number", lambda a, w: a ^ w),
    ("E4.1", "return a number", lambda a, w: "-18"),
    ("E4.1", "is right", lambda a, w: 4),
    ("E4.1", "changes its inputs", lambda a, w: (np.logical_xor(a, w, out=a), len(a) - 2 * int(a.sum()))[1]),
    ("E4.1", "it stops with TypeError", lambda a, w: (a - w).sum()),
    ("E4.2", "must mean +1", lambda x: np.packbits(x < 0)),
    ("E4.2", "zero gives bit 1", lambda x: np.packbits(x > 0)),
    ("E4.2", "here it is the lowest", lambda x: np.packbits(x >= 0, bitorder="little")),
    ("E4.2", "run backwards", lambda x: np.packbits(x >= 0)[::-1]),
    ("E4.2", "one number for each sign", lambda x: (x >= 0).astype(np.uint8)),
    ("E4.2", "32 signs are 4 bytes", lambda x: np.packbits(x[:8] >= 0)),
    ("E4.2", "int64 (the values are right)", lambda x: np.packbits(x >= 0).astype(np.int64)),
    ("E4.2", "return an array", lambda x: [161]),
    ("E4.2", "right is 10100001", lambda x: np.zeros(4, np.uint8)),
    ("E4.3", "the outside is counted", lambda t, w, i: 72 * 3 - 2 * differing(t, w).sum()),
    ("E4.3", "a row of zero bits", lambda t, w, i: 24 * t.any(1).sum() - 2 * differing(t, w)[t.any(1)].sum()),
    ("E4.3", "n does not", lambda t, w, i: 72 * 3 - 2 * differing(t, w)[i].sum()),
    ("E4.3", "the count of differing bits does not", lambda t, w, i: 24 * 4 - 2 * differing(t, w).sum()),
    ("E4.3", "the outside alone", lambda t, w, i: 24 * 5 - 2 * differing(t, w)[~i].sum()),
    ("E4.3", "n counts bytes", lambda t, w, i: 3 * 4 - 2 * differing(t, w)[i].sum()),
    ("E4.3", "n is 9 here", lambda t, w, i: 9 - 2 * differing(t, w)[i].sum()),
    ("E4.3", "how many bits differ", lambda t, w, i: differing(t, w)[i].sum()),
    ("E4.3", "unsigned", lambda t, w, i: np.uint64(24) - np.uint64(90 + 10 * len(t))),
    ("E4.3", "has shape (9,)", lambda t, w, i: 24 - 2 * differing(t, w)),
    ("E4.4", "how many bytes are not 0", lambda p: int((p > 0).sum())),
    ("E4.4", "adds the bytes up", lambda p: int(p.sum())),
    ("E4.4", "bits are 0", lambda p: 8 * p.size - int(np.bitwise_count(p).sum())),
    ("E4.4", "ran over", lambda p: np.bitwise_count(p).sum(dtype=np.uint8)),
    ("E4.4", "255 was missed", lambda p: int(np.bitwise_count(p[p < 255]).sum())),
    ("E4.4", "highest bit", lambda p: int(np.bitwise_count(p & 127).sum())),
    ("E4.4", "(they are right); add them up", lambda p: np.bitwise_count(p)),
    ("E4.4", "changes its inputs", in_place),
    ("E4.4", "it stops with IndexError", lambda p: int(np.zeros(255)[p].sum())),
]


@pytest.mark.filterwarnings("ignore:overflow")
@pytest.mark.parametrize(("name", "hint", "wrong"), MISTAKES, ids=[f"{n} {h}" for n, h, _ in MISTAKES])
@pytest.mark.parametrize("seed", [0, 3])
def test_the_mistake_is_named(name, hint, wrong, seed, capsys):
    line = said(capsys, CHECKS[name], wrong, seed)
    assert hint in line and "right, " not in line
