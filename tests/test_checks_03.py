"""Notebook 03's checks: a mistake gets its hint. (Stubs and published solutions: test_checks.py.)"""

import numpy as np
import pytest
from test_checks import said

from bivm_ref import checks


def test_the_package_itself_passes(capsys):
    torch = pytest.importorskip("torch")
    from bivm_ref.net import binarize
    from bivm_ref.net.binary import Sign

    def clip_ste(x, g):
        v = torch.tensor(x, requires_grad=True)
        (binarize.ClipSTE.apply(v) * torch.tensor(g)).sum().backward()
        return v.grad.numpy()

    def shifted(x, theta):
        layer = Sign(len(theta))
        layer.theta.data = torch.from_numpy(theta)
        return layer(torch.from_numpy(x)[None])[0].detach().numpy()

    assert said(capsys, checks.check_E3_1, clip_ste).startswith("E3.1: right")
    assert said(capsys, checks.check_E3_2, lambda W: binarize.mean_size(torch.from_numpy(W)).numpy()) \
        .startswith("E3.2: right")  # (cout, 1, 1, 1) is as good
    assert said(capsys, checks.check_E3_3, shifted).startswith("E3.3: right")


def spoiled(x, g):
    right = g * (np.abs(x) <= 1)
    g *= 0
    return right


E3_1_MISTAKES = {
    "still to be multiplied by g": lambda x, g: (np.abs(x) <= 1) * 1.0,
    "belongs to the forward pass": lambda x, g: g * (np.abs(x) <= 1) * np.where(x >= 0, 1, -1),
    "that is the identity": lambda x, g: g.copy(),
    "turned round": lambda x, g: g * (np.abs(x) > 1),
    "large negative x are blocked": lambda x, g: g * (x <= 1),
    "large positive x are blocked": lambda x, g: g * (x >= -1),
    "interval is closed": lambda x, g: g * (np.abs(x) < 1),
    "BiReal's estimator": lambda x, g: g * np.clip(2 - 2 * np.abs(x), 0, None),
    "x is clipped there": lambda x, g: x.clip(-1, 1),
    "g is clipped there": lambda x, g: g.clip(-1, 1),
    "hardtanh of x times g": lambda x, g: g * x.clip(-1, 1),
    "true derivative": lambda x, g: 0 * x,
    "it changes its inputs": spoiled,
    "the result is ()": lambda x, g: np.array(3.0),
    "return an array": lambda x, g: [0.0] * len(x),
    "is right": lambda x, g: g * (np.abs(x) <= 2),
    "it stops with ValueError": lambda x, g: g if abs(x) <= 1 else 0 * g,
}


@pytest.mark.parametrize("hint", E3_1_MISTAKES)
def test_E3_1_names_the_mistake(hint, capsys):
    line = said(capsys, checks.check_E3_1, E3_1_MISTAKES[hint])
    assert hint in line and "right, " not in line


AXES = (1, 2, 3)
E3_2_MISTAKES = {
    "whole layer, as DoReFa": lambda W: np.full(len(W), np.abs(W).mean()),
    "what is positive and what is negative cancel": lambda W: W.mean(AXES),
    "absolute values before the mean": lambda W: np.abs(W.mean(AXES)),
    "divide by n": lambda W: np.abs(W).sum(AXES),
    "root of the mean square": lambda W: np.sqrt((W**2).mean(AXES)),
    "standard deviation; ": lambda W: W.std(AXES),
    "standard deviation (n - 1)": lambda W: W.std(AXES, ddof=1),
    "largest |W|": lambda W: np.abs(W).max(AXES),
    "median of |W|": lambda W: np.median(np.abs(W), AXES),
    "mean W²": lambda W: (W**2).mean(AXES),
    "*input* channel": lambda W: np.abs(W).mean((0, 2, 3)),
    "it must be (4,)": lambda W: np.abs(W).mean((2, 3)),
    "is right": lambda W: np.abs(W).mean(AXES) + 1,
    "it stops with": lambda W: np.abs(W).mean(axis=(1, 2, 3, 4)),
}


@pytest.mark.parametrize("hint", E3_2_MISTAKES)
def test_E3_2_names_the_mistake(hint, capsys):
    line = said(capsys, checks.check_E3_2, E3_2_MISTAKES[hint])
    assert hint in line and "right, " not in line


def test_E3_2_one_number_for_the_layer_is_named_too(capsys):
    assert "DoReFa" in said(capsys, checks.check_E3_2, lambda W: float(np.abs(W).mean()))


def plus(x, theta):
    return x + theta[:, None, None]


def pm(condition):
    return np.where(condition, 1.0, -1.0)


E3_3_MISTAKES = {
    "np.sign(0) is 0": lambda x, t: np.sign(plus(x, t)),
    "not total > 0": lambda x, t: pm(plus(x, t) > 0),
    "theta is subtracted": lambda x, t: pm(x >= t[:, None, None]),
    "theta is missing": lambda x, t: pm(x >= 0),
    "the bits 0 and 1": lambda x, t: plus(x, t) >= 0,
    "turned round": lambda x, t: pm(plus(x, t) < 0),
    "after the sign": lambda x, t: plus(pm(x >= 0), t),
    "still to be taken": plus,
    "theta[:, None, None]": lambda x, t: pm(x + t >= 0),
    "with x = ": lambda x, t: 5 * pm(plus(x, t) >= 0),
}


@pytest.mark.parametrize("hint", E3_3_MISTAKES)
def test_E3_3_names_the_mistake(hint, capsys):
    line = said(capsys, checks.check_E3_3, E3_3_MISTAKES[hint])
    assert hint in line and "right, " not in line
