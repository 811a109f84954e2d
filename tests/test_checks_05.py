"""Notebook 05's checks: a mistake gets its hint. (Stubs and published solutions: test_checks.py.)"""

from math import lcm

import numpy as np
import pytest
from test_checks import said

from bivm_ref import checks


def test_the_package_itself_passes(capsys):
    torch = pytest.importorskip("torch")
    from bivm_ref.arch import Block
    from bivm_ref.net.binary import Branches
    from bivm_ref.viz_elastic import resample_matrix

    def fold_row(weight, row):
        branches = Branches(3, 2).double()
        branches.row.data = torch.from_numpy(row)
        return branches(torch.from_numpy(weight)).detach().numpy()

    def reducing_block(c):
        narrow = sum(kernel**2 * cin * cout for _, kernel, cin, cout, _ in Block(c, c // 2).parts())
        return 9 * c * c + c * c // 2, narrow

    assert said(capsys, checks.check_E5_1, resample_matrix).startswith("E5.1: right")
    assert said(capsys, checks.check_E5_2, reducing_block) == "E5.2: right, and 71% is saved, whatever c is"
    assert said(capsys, checks.check_E5_3, fold_row).startswith("E5.3: right")


def rows(ci, co, place, terms, weight):
    R = np.zeros((co, ci))
    for j in range(co):
        for k in range(terms(ci, co)):
            R[j, place(j, k, ci, co) % ci] += weight(ci, co)
    return R


def count(ci, co):
    return lcm(ci, co) // co


def mean(ci, co):
    return 1 / count(ci, co)


def right(ci, co):
    return rows(ci, co, lambda j, k, ci, co: j + k * co, count, mean)


def nearest(ci, co):
    R = np.zeros((co, ci))
    R[range(co), [j * ci // co for j in range(co)]] = 1
    return R


E5_1_MISTAKES = {
    "6 -> 4: the channels are added up": lambda ci, co: right(ci, co) * count(ci, co),
    "only the first term": lambda ci, co: rows(ci, co, lambda j, k, ci, co: j, lambda *_: 1, lambda *_: 1.0),
    "groups lie beside each other": lambda ci, co: rows(ci, co, lambda j, k, ci, co: j + k, count, mean),
    "copies the nearest": nearest,
    "mean of all channels": lambda ci, co: np.full((co, ci), 1 / ci),
    "a row for each channel that goes out: (4, 6)": lambda ci, co: right(ci, co).T,
    "4 -> 6: ": lambda ci, co: right(ci, co) if co < ci else nearest(ci, co),
    "it must be (4, 6)": lambda ci, co: np.zeros((2, 2)),
    "return an array": lambda ci, co: right(ci, co).tolist(),
    "in row": lambda ci, co: right(ci, co) + 1,
    "it stops with IndexError": lambda ci, co: np.eye(co)[np.arange(ci)],
}


@pytest.mark.parametrize("hint", E5_1_MISTAKES)
def test_E5_1_names_the_mistake(hint, capsys):
    line = said(capsys, checks.check_E5_1, E5_1_MISTAKES[hint])
    assert hint in line and "right, " not in line


def test_E5_1_later_ratios_are_tried_as_well(capsys):
    plain = said(capsys, checks.check_E5_1, lambda ci, co: right(ci, co) if (ci, co) != (3, 5) else np.zeros((5, 3)))
    assert "3 -> 5: " in plain


E5_2_MISTAKES = {
    "changed places": lambda c: (2.75 * c * c, 9.5 * c * c),
    "1x1 is missing": lambda c: (9 * c * c, 9 * c * c / 4),
    "9 taps": lambda c: (3.5 * c * c, c * c / 2 + 3 * c * c / 4),
    "looks first keeps c channels": lambda c: (9 * c * c / 2 + c * c / 4, 2.75 * c * c),
    "from c/2 to c/2 channels, not from c": lambda c: (9.5 * c * c, 5 * c * c),
    "both count the same": lambda c: (9.5 * c * c, 9.5 * c * c),
    "leave the frame's size out": lambda c: (9.5 * c * c * 512 * 288, 2.75 * c * c * 512 * 288),
    "return two numbers": lambda c: 0.71,
    "right is": lambda c: (c, c),
    "it stops with TypeError": lambda c: c["width"],
}


@pytest.mark.parametrize("hint", E5_2_MISTAKES)
def test_E5_2_names_the_mistake(hint, capsys):
    line = said(capsys, checks.check_E5_2, E5_2_MISTAKES[hint])
    assert hint in line and "right, " not in line


def with_row(change):
    def fn(weight, row):
        merged = weight.copy()
        change(merged, row[:, :, 0])
        return merged
    return fn


def plus(place):
    def change(merged, flat):
        merged[place] += flat
    return with_row(change)


def in_place(weight, row):
    weight[:, :, 1] += row[:, :, 0]
    return weight


def sums_signs(weight, row):
    bits = np.sign(weight)
    bits[:, :, 1] += np.sign(row[:, :, 0])
    return bits


E5_3_MISTAKES = {
    "NumPy broadcast it": lambda w, r: w + r,
    "middle column": plus(np.s_[:, :, :, 1]),
    "top row": plus(np.s_[:, :, 0]),
    "bottom row": plus(np.s_[:, :, 2]),
    "was replaced": with_row(lambda m, r: m.__setitem__(np.s_[:, :, 1], r)),
    "subtracted": with_row(lambda m, r: m.__setitem__(np.s_[:, :, 1], m[:, :, 1] - r)),
    "a sum of bits is no bit": sums_signs,
    "that is the sign already": lambda w, r: np.sign(plus(np.s_[:, :, 1])(w, r)),
    "nothing was added": lambda w, r: w.copy(),
    "it changes its inputs": in_place,
    "it must be (2, 3, 3, 3)": lambda w, r: w[:, :, 1] + r[:, :, 0],
    "is right": lambda w, r: plus(np.s_[:, :, 1])(w, r) * 2,
    "it stops with IndexError": plus(np.s_[:, :, 3]),
}


@pytest.mark.parametrize("hint", E5_3_MISTAKES)
def test_E5_3_names_the_mistake(hint, capsys):
    line = said(capsys, checks.check_E5_3, E5_3_MISTAKES[hint])
    assert hint in line and "right, " not in line
