"""Metrics against hand-worked arrays, closed forms and scipy.ndimage as an independent oracle."""

import math
import time

import numpy as np
import pytest
from scipy import ndimage

from bivm_ref import metrics


def matte(seed, shape=(60, 81), blur=3.0):
    """A smooth random alpha with plateaus at 0 and 1, as a matte has."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(shape), blur)
    return np.clip(0.5 + noise / (2 * noise.std() + 1e-9), 0, 1).astype(np.float32)


# ---------------------------------------------------------------- MAD, MSE, dtSSD: by hand


def test_constant_offset_gives_1000_d_and_1000_d_squared():
    true = np.full((3, 4, 5), 0.25)
    pred = true + 0.125
    assert metrics.mad(pred, true) == 125.0
    assert metrics.mse(pred, true) == 15.625
    assert metrics.grad(pred, true) == 0 and metrics.dtssd(pred, true) == 0


def test_mad_and_mse_of_two_by_two():
    pred, true = np.array([[0.0, 0.5], [1.0, 1.0]]), np.array([[0.0, 1.0], [1.0, 0.0]])
    assert metrics.mad(pred, true) == 375.0  # (0 + 0.5 + 0 + 1) / 4
    assert metrics.mse(pred, true) == 312.5  # (0 + 0.25 + 0 + 1) / 4


def test_dtssd_forgives_a_static_error_and_counts_flicker():
    true = np.zeros((4, 2, 2))
    static = np.full((4, 2, 2), 0.5)
    assert metrics.dtssd(static, true) == 0
    flicker = true.copy()
    flicker[1, 0, 0] = flicker[3, 0, 0] = 0.5  # one of four pixels jumps by 0.5 at each of the three steps
    assert metrics.dtssd(flicker, true) == pytest.approx(25.0)  # 100 · sqrt(0.25 / 4)
    assert metrics.dtssd(flicker, true, rvm=True) == pytest.approx(18.75)  # the same three, divided by four
    assert metrics.dtssd(true, flicker) == pytest.approx(25.0)


def test_dtssd_ignores_motion_that_both_share():
    moving = np.stack([np.eye(4), 1 - np.eye(4), np.ones((4, 4))])
    assert metrics.dtssd(moving, moving.copy()) == 0


def test_dtssd_of_one_frame_is_not_a_number_and_to_rvm_zero():
    assert math.isnan(metrics.dtssd(np.zeros((5, 5)), np.zeros((5, 5))))
    assert metrics.dtssd(np.zeros((5, 5)), np.ones((5, 5)), rvm=True) == 0


# ---------------------------------------------------------------- Grad


def gradient_oracle(image, sigma=1.4):
    """The same gradient by one full 2-D kernel and scipy's correlate."""
    x = np.arange(-4, 5)
    g = np.exp(-(x**2) / (2 * sigma**2)) / (sigma * math.sqrt(2 * math.pi))
    kernel = np.outer(g, -x * g / sigma**2)
    kernel /= np.sqrt((kernel**2).sum())
    dx, dy = (ndimage.correlate(image, k, mode="nearest") for k in (kernel, kernel.T))
    return np.sqrt(dx**2 + dy**2)


@pytest.mark.parametrize("shape", [(60, 81), (5, 7), (1, 1), (2, 30)])
def test_grad_equals_the_two_dimensional_kernel(shape):
    p, t = matte(1, shape, 1.5).astype(np.float64), matte(2, shape, 1.5).astype(np.float64)
    assert np.abs(metrics.gradient_magnitude(p) - gradient_oracle(p)).max() < 1e-12

    def stretch(a):
        return (a - a.min()) / (a.max() - a.min()) if a.max() > a.min() else a * 0

    expected = ((gradient_oracle(stretch(p)) - gradient_oracle(stretch(t))) ** 2).sum() / 1000
    assert metrics.grad(p, t) == pytest.approx(expected, rel=1e-9, abs=1e-15)


def test_gradient_kernel_has_unit_norm_and_reaches_four_pixels():
    point = np.zeros((21, 21))
    point[10, 10] = 1
    response = metrics.gradient_magnitude(point)  # its square is kx² + ky², both of norm 1
    assert (response**2).sum() == pytest.approx(2.0)
    rows, columns = np.nonzero(response)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (6, 14, 6, 14)


def test_grad_is_blind_to_contrast_and_zero_for_equal_images():
    t = matte(3)
    assert metrics.grad(t, t) == 0
    assert metrics.grad(0.25 + 0.5 * t.astype(np.float64), t) == pytest.approx(0, abs=1e-12)


def test_grad_without_stretching_sees_contrast():
    """Gradients are linear in alpha: halve it, and |∇p| − |∇t| is −|∇t| / 2 everywhere."""
    t = matte(3).astype(np.float64)
    energy = (gradient_oracle(t) ** 2).sum()
    assert metrics.grad(t / 2, t, stretch=False) == pytest.approx(energy / 4 / 1000)
    assert metrics.grad(t / 2, t) == pytest.approx(0, abs=1e-12)


# ---------------------------------------------------------------- foreground


def test_foreground_mse_counts_seen_pixels_only():
    alpha = np.zeros((3, 2, 2))
    alpha[0, 0, 0], alpha[0, 0, 1], alpha[1, 1, 1] = 1.0, 0.004, 1.0  # frame 2 shows nobody
    true = np.zeros((3, 2, 2, 3))
    pred = np.full((3, 2, 2, 3), 0.5)  # wrong everywhere, and it must not matter where alpha is 0
    pred[0, 0, 0], pred[0, 0, 1], pred[1, 1, 1] = (0.3, 0, 0), (0, 0, 0), (0.1, 0.1, 0.2)
    first, second = 1000 * 0.09 / 6, 1000 * 0.06 / 3  # two pixels of three channels, one pixel
    assert metrics.foreground_mse(pred, true, alpha) == pytest.approx((first + second) / 2)
    assert metrics.foreground_mse(pred[0], true[0], alpha[0]) == pytest.approx(first)
    assert math.isnan(metrics.foreground_mse(pred[2], true[2], alpha[2]))
    with pytest.raises(ValueError, match=r"true is \(2, 2, 2, 3\) but alpha is \(3, 2, 2\)"):
        metrics.foreground_mse(pred, true[:2], alpha)
    with pytest.raises(ValueError, match="pred spans 0 to 128"):
        metrics.foreground_mse(pred * 256, true, alpha)


# ---------------------------------------------------------------- Conn


def test_conn_of_two_blobs_by_hand():
    true = np.array([[1, 1, 1, 0, 1.0]])
    pred = np.array([[1, 1, 0.5, 0, 1.0]])
    # Levels 0.1 … 0.5 keep pixels 0, 1, 2 as the largest blob; from 0.6 on, pixels 0 and 1. Pixel 4 never is.
    # l = 1, 1, 0.5, 0, 0. φ_t = 1, 1, 0.5, 1, 0 and φ_p = 1, 1, 1, 1, 0: they differ by 0.5 at pixel 2.
    assert metrics.conn(pred, true) == pytest.approx(0.5e-3)


def test_conn_forgives_less_than_15_hundredths():
    true = np.ones((1, 4))
    assert metrics.conn(np.array([[1, 1, 1, 0.9]]), true) == 0  # l = 0.9, d_t = 0.1: forgiven
    assert metrics.conn(np.array([[1, 1, 1, 0.8]]), true) == pytest.approx(0.2e-3)  # d_t = 0.2: counted


def test_conn_is_four_connected():
    diagonal = np.array([[1, 1, 0], [0, 0, 1.0]])
    assert metrics.largest_component(diagonal > 0).tolist() == [[True, True, False], [False, False, False]]
    # The corner pixel alone is off the blob in both images: φ = 0 in both, no error.
    assert metrics.conn(diagonal, diagonal) == 0


def conn_oracle(p, t):
    level, done = np.ones(p.shape), np.zeros(p.shape, bool)
    for i in range(1, 11):
        labels, n = ndimage.label((p >= i / 10) & (t >= i / 10))  # scipy's default has 4 neighbours
        sizes = np.bincount(labels.ravel())[1:]
        blob = labels == sizes.argmax() + 1 if n else np.zeros(p.shape, bool)
        level[~blob & ~done] = (i - 1) / 10
        done |= ~blob
    phi = [1 - np.where(a - level >= 0.15, a - level, 0) for a in (p, t)]
    return np.abs(phi[0] - phi[1]).sum() / 1000


@pytest.mark.parametrize("blur", [0.0, 1.0, 4.0])
def test_conn_equals_scipy_labels(blur):
    p, t = matte(4, blur=blur).astype(np.float64), matte(5, blur=blur).astype(np.float64)
    assert metrics.conn(p, t) == pytest.approx(conn_oracle(p, t), rel=1e-12)
    assert conn_oracle(p, t) > 0


@pytest.mark.parametrize("density", [0.0, 0.3, 0.59, 0.8, 1.0])
@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (37, 53)])
def test_largest_component_equals_scipy(shape, density):
    mask = np.random.default_rng(6).random(shape) < density
    labels, n = ndimage.label(mask)
    got = metrics.largest_component(mask)
    sizes = np.bincount(labels.ravel())[1:]
    assert got.sum() == (sizes.max() if n else 0)
    if n:
        winners = set(np.unique(labels[got]))
        assert winners == {int(sizes.argmax()) + 1}  # one blob, the first of the largest


def test_largest_component_follows_a_spiral_and_a_comb():
    spiral = np.zeros((9, 9), bool)
    spiral[0, :] = spiral[:, 8] = spiral[8, :] = spiral[2:, 0] = True
    spiral[2, :7] = spiral[2:7, 6] = spiral[6, 2:7] = spiral[4:7, 2] = spiral[4, 2:5] = True
    assert np.array_equal(metrics.largest_component(spiral), spiral)
    comb = np.zeros((6, 11), bool)
    comb[:, ::2] = comb[5, :] = True  # teeth joined only in the last row
    assert np.array_equal(metrics.largest_component(comb), comb)


def test_conn_is_fast_enough_for_the_protocol():
    p, t = matte(7, (288, 512)), matte(8, (288, 512))
    metrics.conn(p, t)
    best = min(timed(lambda: metrics.conn(p, t)) for _ in range(3))
    assert best < 0.6  # 0.03 s on a laptop; the margin is for a busy machine


def timed(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


# ---------------------------------------------------------------- boundary band, tables, mistakes


def test_boundary_mad_counts_the_grown_band_only():
    true = np.zeros((7, 9))
    true[3, 4], true[:, 7:] = 0.5, 1.0  # one soft pixel; the hard edge is no band
    pred = true.copy()
    pred[3, 4] = 0.25  # in the band
    pred[0, 0] = 1.0  # far from it
    assert metrics.boundary_mad(pred, true, reach=0) == 250.0
    assert metrics.boundary_mad(pred, true, reach=1) == pytest.approx(250 / 9)
    assert metrics.boundary_mad(pred, true) == pytest.approx(250 / 25)
    assert math.isnan(metrics.boundary_mad(np.zeros((4, 4)), np.zeros((4, 4))))


def test_clip_metrics_are_means_over_frames():
    p, t = (np.stack([matte(s, (20, 24)) for s in seeds]) for seeds in ((1, 2, 3), (4, 5, 6)))
    row = metrics.clip_metrics(p, t)
    assert list(row) == ["MAD", "MSE", "Grad", "Conn", "dtSSD", "dtSSD_rvm", "boundary_MAD"]
    single = [metrics.clip_metrics(a, b) for a, b in zip(p, t)]
    for name in ("MAD", "MSE", "Grad", "Conn"):
        assert row[name] == pytest.approx(sum(s[name] for s in single) / 3)
    assert row["dtSSD_rvm"] == pytest.approx(row["dtSSD"] * 2 / 3)
    assert all(type(value) is float for value in row.values())


def test_perfect_prediction_scores_zero():
    t = np.stack([matte(s) for s in (1, 2)])
    assert set(metrics.clip_metrics(t, t.copy()).values()) == {0.0}


def test_summarise_weighs_clips_equally_and_leaves_nan_out():
    rows = [{"MAD": 1.0, "dtSSD": 4.0}, {"MAD": 3.0, "dtSSD": math.nan}]
    assert metrics.summarise(rows) == {"MAD": 2.0, "dtSSD": 4.0}
    assert math.isnan(metrics.summarise([{"dtSSD": math.nan}])["dtSSD"])
    with pytest.raises(ValueError, match="no clip"):
        metrics.summarise([])
    with pytest.raises(ValueError, match="different figures"):
        metrics.summarise([{"MAD": 1.0}, {"MSE": 1.0}])


@pytest.mark.parametrize("pred, words", [
    (np.zeros((4, 5)), r"pred is \(4, 5\) but true is \(4, 4\)"),
    (np.zeros((4, 4), np.uint8), "pred is uint8"),
    (np.full((4, 4), np.nan), "pred holds NaN"),
    (np.full((4, 4), 255.0), "pred spans 255 to 255"),
    (np.full((4, 4), -np.inf), "pred spans -inf"),
])  # fmt: skip
def test_mistakes_name_the_array(pred, words):
    for figure in (metrics.mad, metrics.mse, metrics.grad, metrics.conn, metrics.dtssd, metrics.boundary_mad):
        with pytest.raises(ValueError, match=words):
            figure(pred, np.zeros((4, 4)))
    with pytest.raises(ValueError, match=r"\(H, W\) or \(T, H, W\)"):
        metrics.mad(np.zeros((1, 2, 3, 4)), np.zeros((1, 2, 3, 4)))
    with pytest.raises(ValueError, match="true holds NaN"):
        metrics.mad(np.zeros((1, 1)), np.full((1, 1), np.nan))


def test_boundary_band_is_the_undecided_grown():
    true = np.zeros((9, 9))
    true[4, 4], true[0, 0] = 0.5, 0.01  # 0.01 is decided
    band = metrics.boundary_band(true)
    assert band.sum() == 25 and band[2:7, 2:7].all()
    assert metrics.boundary_band(true, 0).sum() == 1


def test_connected_level_by_hand():
    """A body at 1 with a dent of 0.87, and an islet that never belongs to it."""
    true = np.zeros((3, 6))
    true[:, :3] = true[1, 5] = 1
    pred = true.copy()
    pred[1, 1] = 0.87
    expected = np.zeros((3, 6))
    expected[:, :3] = 1
    expected[1, 1] = 0.8
    assert metrics.connected_level(pred, true).tolist() == expected.tolist()
