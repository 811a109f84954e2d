"""The camera: light that figure and background share keeps the compositing equation; damage keeps shape and seed.

Oracles: curves and levels worked by hand, the statistics that a noise was asked for, a grey wall that must stay grey.
"""

import dataclasses

import numpy as np
import pytest

from bivm_ref import camera
from bivm_ref.camera import Look
from bivm_ref.clips import composite

STEADY = Look()  # changes nothing
SIZES = ((144, 256), (288, 512), (432, 768), (17, 33), (45, 80))


def ramp(frames, height, width):
    """Frames (T, H, W, 3) uint8 with an edge and a slope, each a little different."""
    x = np.linspace(0, 200, width)[None, None, :, None]
    y = np.linspace(0, 40, height)[None, :, None, None]
    return (x + y + np.arange(frames)[:, None, None, None] + [0, 5, 10]).astype(np.uint8)


def rng(seed=0):
    return np.random.default_rng(seed)


def test_a_look_that_changes_nothing_changes_nothing():
    f, b = ramp(2, 9, 16), ramp(2, 9, 16)[:, ::-1]
    for before, after in zip((f, b), camera.develop(STEADY, rng(), (0.0, 1.0), f, b), strict=True):
        np.testing.assert_array_equal(before, after)
    np.testing.assert_array_equal(camera.damage(STEADY, rng(), f), f)


def test_tone_and_white_balance_by_hand():
    """Level 51 is 0.2; squared 0.04; times (1, 0.5, 2): 10.2, 5.1, 20.4. Level 255 times 2 stays at 255."""
    look = dataclasses.replace(STEADY, gamma=2.0, gain=(1.0, 0.5, 2.0))
    pixels = np.array([51, 255], np.uint8).reshape(1, 1, 2, 1).repeat(3, axis=-1)
    f, b = camera.develop(look, rng(), (0.0,), pixels, pixels)
    for plane in (f, b):
        np.testing.assert_array_equal(plane[0, 0], [[10, 5, 20], [255, 128, 255]])


def test_exposure_drifts_alike_in_figure_and_background_and_within_its_share():
    look = dataclasses.replace(STEADY, drift=0.15)
    grey = np.full((20, 2, 2, 3), 100, np.uint8)
    f, b = camera.develop(look, rng(3), tuple(np.arange(20) * 3.0), grey, grey)
    np.testing.assert_array_equal(f, b)
    assert np.ptp(f[:, 0, 0, 1]) >= 5  # it moves
    assert f.min() >= 100 * (1 - 0.15 * 4 / 3) - 1 and f.max() <= 100 * (1 + 0.15 * 4 / 3) + 1


def test_a_vignette_is_common_to_both_so_the_equation_survives_it():
    """Corners lose the share that was asked for. Mixing first and shading then is the same to a level of rounding."""
    shade = camera.vignette(45, 81, 0.4)
    assert shade[22, 40, 0] == pytest.approx(1) and shade[0, 0, 0] == pytest.approx(0.6)
    look = dataclasses.replace(STEADY, vignette=0.4)
    f, b, alpha = ramp(1, 45, 81), ramp(1, 45, 81)[:, :, ::-1], rng().random((1, 45, 81), np.float32)
    lit = composite(*(lambda pair: (pair[0], alpha, pair[1]))(camera.develop(look, rng(), (0.0,), f, b)))
    late = composite(f, alpha, b) * shade
    assert np.abs(lit - late).max() <= 1.5


def test_black_and_white_by_hand():
    colours = np.array([[[200, 100, 50]]], np.uint8)  # 59.8 + 58.7 + 5.7 = 124.2
    np.testing.assert_array_equal(camera.grey(colours), [[[124, 124, 124]]])


@pytest.mark.parametrize("codec, quality", [("jpeg", 40), ("h264", 30)])
@pytest.mark.parametrize("size", SIZES)
def test_codecs_keep_shape_and_dtype_and_are_deterministic(codec, quality, size):
    frames, look = ramp(2, *size), dataclasses.replace(STEADY, codec=codec, quality=quality)
    once, again = camera.damage(look, rng(1), frames), camera.damage(look, rng(2), frames)
    assert once.shape == frames.shape and once.dtype == np.uint8 and once.flags.c_contiguous
    assert once.tobytes() == again.tobytes()
    error = np.abs(once.astype(int) - frames)
    assert error.any() and error.mean() < 8


def test_h264_keeps_order_and_loses_more_at_a_higher_crf():
    levels = np.array([20, 90, 160, 230], np.uint8)
    frames = np.broadcast_to(levels[:, None, None, None], (4, 32, 48, 3)).copy()
    np.testing.assert_allclose(camera.h264(frames, 20).mean((1, 2, 3)), levels, atol=4)
    busy = rng().integers(0, 256, (2, 64, 64, 3), np.uint8)
    low, high = (np.abs(camera.h264(busy, crf).astype(int) - busy).mean() for crf in (10, 38))
    assert low < high


@pytest.mark.parametrize("level", [10, 120, 230])
def test_noise_has_the_variance_that_was_asked_for(level):
    """Variance 3² + 8²·level/255; half of it luma, so two channels correlate by a half."""
    look = dataclasses.replace(STEADY, read=3.0, shot=8.0)
    wall = np.full((2, 200, 200, 3), level, np.uint8)
    noisy = camera.noisy(look, rng(4), wall).astype(float)
    expected = np.sqrt(9 + 64 * level / 255)
    if 4 * expected < min(level, 255 - level):  # not clipped at 0 or 255
        assert noisy.std() == pytest.approx(expected, rel=0.05)
        assert noisy.mean() == pytest.approx(level, abs=0.3)
        channels = np.corrcoef(noisy[0].reshape(-1, 3).T)
        assert channels[0, 1] == pytest.approx(0.5, abs=0.05)
    assert np.abs(np.corrcoef(noisy[0].ravel(), noisy[1].ravel())[0, 1]) < 0.05  # frames have grain of their own


def test_coarse_noise_is_smeared_over_two_pixels():
    wall = np.full((1, 100, 100, 3), 128, np.uint8)
    for coarse, expected in ((False, 0.0), (True, 0.5)):  # half of the neighbours share a cell
        look = dataclasses.replace(STEADY, read=6.0, coarse=coarse)
        plane = camera.noisy(look, rng(5), wall)[0, :, :, 0].astype(float)
        assert np.corrcoef(plane[:, :-1].ravel(), plane[:, 1:].ravel())[0, 1] == pytest.approx(expected, abs=0.08)


def test_few_levels_by_hand():
    """Three levels: 0, 127.5 (rounded to even, 128) and 255."""
    frames = np.array([0, 60, 70, 180, 200, 255], np.uint8).reshape(1, 1, 6, 1).repeat(3, axis=-1)
    found = camera.damage(dataclasses.replace(STEADY, levels=3), rng(), frames)
    np.testing.assert_array_equal(found[0, 0, :, 0], [0, 0, 128, 128, 255, 255])


def test_a_smaller_stream_is_softer_and_sharpening_overshoots():
    edge = np.full((1, 40, 80, 3), 60, np.uint8)
    edge[:, :, 40:] = 180
    soft = camera.damage(dataclasses.replace(STEADY, small=0.5), rng(), edge)
    assert soft.shape == edge.shape
    assert np.abs(np.diff(soft[0, 20, :, 0].astype(int))).max() < 120
    sharp = camera.damage(dataclasses.replace(STEADY, sharpen=1.0), rng(), edge)
    assert sharp.min() < 60 and sharp.max() > 180
    flat = np.full((1, 40, 80, 3), 77, np.uint8)
    for look in (dataclasses.replace(STEADY, small=0.5), dataclasses.replace(STEADY, sharpen=1.0)):
        assert np.abs(camera.damage(look, rng(), flat).astype(int) - 77).max() <= 1


def test_looks_are_drawn_in_their_ranges_and_all_kinds_occur():
    looks = [camera.draw(rng(seed)) for seed in range(600)]
    assert camera.draw(rng(7)) == looks[7]
    assert {look.codec for look in looks} == {"", "jpeg", "h264"}
    assert all(23 <= look.quality <= 38 for look in looks if look.codec == "h264")
    for name, low, high in (("grey", 0.01, 0.06), ("vignette", 0.24, 0.36), ("small", 0.14, 0.26), ("read", 0.75, 0.9)):
        share = np.mean([getattr(look, name) != getattr(STEADY, name) for look in looks])
        assert low < share < high, name
    assert 0.09 < np.mean([look.gain[1] < 0.7 for look in looks]) < 0.21  # low light
