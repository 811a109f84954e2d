"""Notebook 01's checks: a mistake gets its hint. (Stubs and published solutions: test_checks.py.)"""

import numpy as np
import pytest
from scipy import ndimage
from test_checks import said

from bivm_ref import checks, metrics

CHECKS = {"E1.1": checks.check_E1_1, "E1.2": checks.check_E1_2, "E1.3": checks.check_E1_3}
size = metrics.gradient_magnitude


def test_the_package_itself_passes(capsys):
    assert said(capsys, checks.check_E1_2, metrics.grad).startswith("E1.2: right")


def stretch(image):
    return (image - image.min()) / (image.max() - image.min())


def jointly(p, t):
    low, high = min(p.min(), t.min()), max(p.max(), t.max())
    return 1e-3 * ((size((p - low) / (high - low)) - size((t - low) / (high - low))) ** 2).sum()


def steepness(p, t):
    return size(stretch(p)) - size(stretch(t))


def spoilt(where, value=1.0):
    def fn(true):
        matte = true.copy()
        matte[where] = value
        return matte
    return fn


def fuzzy(true):
    """Small errors everywhere: a checkerboard of 0.003."""
    rows, columns = np.indices(true.shape[1:])
    return np.abs(true - 0.003 * ((rows + columns) % 2))


def in_place(true):
    true[:, 4:8, 4:10] = 1
    return true


MISTAKES = [
    ("E1.1", "factor 1e3", lambda p, t, b: np.abs(p - t)[b].mean()),
    ("E1.1", "divided by all pixels", lambda p, t, b: 1e3 * (np.abs(p - t) * b).mean()),
    ("E1.1", "the whole frame", lambda p, t, b: 1e3 * np.abs(p - t).mean()),
    ("E1.1", "outside the band", lambda p, t, b: 1e3 * np.abs(p - t)[~b].mean()),
    ("E1.1", "cancel", lambda p, t, b: 1e3 * (p - t)[b].mean()),
    ("E1.1", "cancel", lambda p, t, b: 1e3 * abs((p - t)[b].mean())),
    ("E1.1", "squares", lambda p, t, b: 1e3 * ((p - t)[b] ** 2).mean()),
    ("E1.1", "mean over frames", lambda p, t, b: 1e3 * np.mean([np.abs(x - y)[z].mean() for x, y, z in zip(p, t, b)])),
    ("E1.1", "added up", lambda p, t, b: 1e3 * np.abs(p - t)[b].sum()),
    ("E1.1", "has shape", lambda p, t, b: 1e3 * np.abs(p - t)[b]),
    ("E1.1", "return a number", lambda p, t, b: "41"),
    ("E1.1", "is right", lambda p, t, b: 1.0),
    ("E1.1", "it stops with IndexError", lambda p, t, b: p[b[0, 0]]),
    ("E1.2", "factor 1e-3 is missing", lambda p, t: (steepness(p, t) ** 2).sum()),
    ("E1.2", "the factor is 1e-3", lambda p, t: 1e3 * (steepness(p, t) ** 2).sum()),
    ("E1.2", "stretched to [0, 1] first", lambda p, t: 1e-3 * ((size(p) - size(t)) ** 2).sum()),
    ("E1.2", "its own smallest", jointly),
    ("E1.2", "smallest is taken off", lambda p, t: 1e-3 * ((size(p / p.max()) - size(t / t.max())) ** 2).sum()),
    ("E1.2", "gradient of the difference", lambda p, t: 1e-3 * (size(stretch(p) - stretch(t)) ** 2).sum()),
    ("E1.2", "that is the mean", lambda p, t: 1e-3 * (steepness(p, t) ** 2).mean()),
    ("E1.2", "absolute values", lambda p, t: 1e-3 * np.abs(steepness(p, t)).sum()),
    ("E1.2", "square root", lambda p, t: 1e-3 * np.sqrt((steepness(p, t) ** 2).sum())),
    ("E1.2", "squared gradients", lambda p, t: 1e-3 * (size(stretch(p)) ** 2 - size(stretch(t)) ** 2).sum()),
    ("E1.2", "has shape (64, 96)", lambda p, t: steepness(p, t) ** 2),
    ("E1.3", "nothing has changed", lambda t: t.copy()),
    ("E1.3", "24 pixels of a frame", spoilt(np.s_[:, 4:20, 4:20])),
    ("E1.3", "spread thin", fuzzy),
    ("E1.3", "Small steps", spoilt(np.s_[:, 4:10, 4:12], 0.05)),
    ("E1.3", "let them touch", spoilt(np.s_[:, 4:64:12, 4:28:6])),
    ("E1.3", "a little more of it", spoilt(np.s_[:, 4, 4:8])),
    ("E1.3", "alpha lies in [0, 1]", spoilt(np.s_[:, 4:6, 4:6], 3.0)),
    ("E1.3", "a matte of this clip is", lambda t: t[0]),
    ("E1.3", "return an array", lambda t: 1),
    ("E1.3", "changes its inputs", in_place),
]


@pytest.mark.parametrize(("name", "hint", "wrong"), MISTAKES, ids=[f"{n} {h}" for n, h, _ in MISTAKES])
@pytest.mark.parametrize("seed", [0, 3])
def test_the_mistake_is_named(name, hint, wrong, seed, capsys):
    line = said(capsys, CHECKS[name], wrong, seed)
    assert hint in line and "right, " not in line


def test_the_text_of_E1_3_says_what_a_shift_by_one_pixel_gives():
    """Its docstring and the notebook give MAD 13 and Grad 0.23 for comparison; by scipy, not by our gradient."""
    seen = []
    checks.check_E1_3(lambda true: seen.append(true.copy()))
    true = seen[0]
    moved = np.roll(true, 1, axis=2)
    assert 1e3 * np.abs(moved - true).mean() == pytest.approx(13.0, abs=0.05)
    x = np.arange(-4, 5)
    g, d = np.exp(-(x**2) / 3.92), -x * np.exp(-(x**2) / 3.92)
    kernels = [np.outer(a, b) / np.linalg.norm(np.outer(a, b)) for a, b in ((g, d), (d, g))]

    def steep(image):
        return np.hypot(*(ndimage.correlate(image, k, mode="nearest") for k in kernels))

    grads = [1e-3 * ((steep(m) - steep(t)) ** 2).sum() for m, t in zip(moved, true)]
    assert np.mean(grads) == pytest.approx(0.23, abs=0.005)
