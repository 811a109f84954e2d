"""Spoilt mattes: closed forms on small arrays, monotone MAD, and the MAD that was asked for."""

import numpy as np
import pytest
from scipy import ndimage

from bivm_ref import damage, metrics


def clip(seed=0, shape=(3, 40, 60)):
    """A smooth random alpha with plateaus and a few thin strands."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(shape), (0, 4, 4))
    alpha = np.clip(0.5 + 2 * noise / noise.std(), 0, 1)
    alpha[:, 5:30, 10::12] = 1
    return alpha.astype(np.float32)


def test_veil_is_a_change_of_contrast_that_grad_cannot_see():
    alpha = clip()
    hazy = damage.damaged(alpha, "veil", 0.4)
    assert np.allclose(hazy, 0.2 + 0.8 * alpha, atol=1e-6)
    assert metrics.grad(hazy, alpha) == pytest.approx(0, abs=1e-6) and metrics.mad(hazy, alpha) > 50


def test_shift_by_whole_pixels_is_a_roll():
    alpha = clip()
    alpha[:, :, :4] = alpha[:, :, :1]  # so that the repeated edge is the same
    moved = damage.damaged(alpha, "shift", 2 / damage.PIXELS)
    assert np.allclose(moved[:, :, 2:], alpha[:, :, :-2], atol=1e-6)
    assert np.allclose(moved[:, :, :2], alpha[:, :, :1], atol=1e-6)


def test_flicker_moves_to_and_fro_and_is_shift_in_even_frames():
    alpha = clip()
    there, back = damage.damaged(alpha, "shift", 0.3), damage.damaged(alpha[:, :, ::-1], "shift", 0.3)[:, :, ::-1]
    both = damage.damaged(alpha, "flicker", 0.3)
    assert np.allclose(both[::2], there[::2], atol=1e-6) and np.allclose(both[1::2], back[1::2], atol=1e-6)


def test_strand_takes_thin_things_and_leaves_broad_ones():
    alpha = np.zeros((1, 40, 40), np.float32)
    alpha[0, 5:20, 5:20] = 1
    alpha[0, 25:35, 10:14] = 1  # four pixels wide
    bald = damage.damaged(alpha, "strand", 1.0)
    assert bald[0, 5:20, 5:20].min() == 1 and bald[0, 25:35].max() == 0
    assert np.allclose(damage.damaged(alpha, "strand", 0.25)[0, 25:35, 10:14], 0.75)
    opened = ndimage.grey_opening(clip()[0], (7, 7), mode="nearest")
    assert np.allclose(damage.damaged(clip(), "strand", 1.0)[0], opened, atol=1e-6)


def test_blur_is_the_mean_over_a_square():
    alpha = clip()
    wide = ndimage.uniform_filter(alpha.astype(np.float64), (0, 13, 13), mode="nearest")
    assert np.allclose(damage.damaged(alpha, "blur", 1.0), wide, atol=1e-5)


def test_grain_stands_still():
    flat = np.full((3, 20, 30), 0.5, np.float32)
    noisy = damage.damaged(flat, "grain", 0.4)
    assert np.array_equal(noisy[0], noisy[2]) and metrics.dtssd(noisy, flat) == 0
    assert 0.15 < np.abs(noisy - 0.5).max() <= 0.2


@pytest.mark.parametrize("kind", damage.KINDS)
def test_strength_zero_is_nothing_and_mad_grows(kind):
    alpha = clip()
    assert metrics.mad(damage.damaged(alpha, kind, 0.0), alpha) < 1e-4
    mads = [metrics.mad(damage.damaged(alpha, kind, s), alpha) for s in (0.05, 0.2, 0.5, 1.0)]
    assert mads == sorted(mads) and mads[0] < mads[-1]


@pytest.mark.parametrize("kind", damage.KINDS)
def test_at_mad_has_the_mad_that_was_asked_for(kind):
    alpha = clip()
    matte = damage.at_mad(alpha, kind, 5.0)
    assert metrics.mad(matte, alpha) == pytest.approx(5.0, abs=1e-3)
    assert matte.dtype == np.float32 and 0 <= matte.min() and matte.max() <= 1


def test_what_cannot_be_done_is_named():
    alpha = clip()
    with pytest.raises(ValueError, match=r"strand reaches MAD [\d.]+ on this clip, not 900"):
        damage.at_mad(alpha, "strand", 900)
    with pytest.raises(ValueError, match="one of veil, grain, blur, strand, shift, flicker, not 'fog'"):
        damage.damaged(alpha, "fog", 0.5)
    with pytest.raises(ValueError, match="strength lies in"):
        damage.damaged(alpha, "veil", 1.5)
    with pytest.raises(ValueError, match=r"alpha is \(T, H, W\) float"):
        damage.damaged(alpha[0], "veil", 0.5)
