"""Augmentations by their properties: what moves, moves colour and alpha together; colour never touches alpha; time run
backwards twice is time."""

import math

import numpy as np
import pytest
from folder_tools import clips, save, write_background_clips, write_backgrounds, write_video_mattes

from bivm_ref.learn.augment import (
    Augment,
    clock,
    colour_matrix,
    colour_path,
    fold,
    graded,
    reduced_size,
    sharpened,
    window,
)
from bivm_ref.learn.folders import background_clips, background_images, image_mattes, video_mattes

OFF = Augment.off()
SIDES = {"left", "right", "top", "bottom"}


def only(**odds):
    return Augment(**{**vars(OFF), **odds})


def times(seed, augment, frames=12):
    return clock(np.random.default_rng(seed), frames, augment)


@pytest.fixture
def sets(tmp_path):
    return (video_mattes(write_video_mattes(tmp_path / "vm", (12, 12))),
            background_clips(write_background_clips(tmp_path / "bv", (9,))))


# ---------------------------------------------------------------- time


def test_nothing_happens_when_all_is_off():
    assert times(0, OFF).tolist() == list(range(12))
    assert times(3, OFF, 1).tolist() == [0]


def test_reverse_is_the_same_backwards_and_twice_is_forwards():
    for seed in range(20):
        forwards, backwards = (times(seed, only(reverse=r, pause=0.5, speed=0.5)) for r in (0, 1))
        assert backwards[::-1].tolist() == forwards.tolist()


def test_pause_holds_one_moment_and_goes_on_from_there():
    held = set()
    for seed in range(50):
        moments = times(seed, only(pause=1))
        steps = np.diff(moments)
        assert moments[0] == 0 and set(steps) == {0, 1}
        (still,) = np.nonzero(steps == 0)
        assert still.tolist() == list(range(still[0], still[-1] + 1))  # in one piece
        held.add(len(still))
    assert max(held) == 6 and min(held) == 1  # up to half of the clip


def test_speed_leaves_frames_out():
    assert {tuple(np.diff(times(seed, only(speed=1)))) for seed in range(20)} == {(2,) * 11, (3,) * 11}


def test_fold_runs_back_and_forth():
    assert fold(np.arange(8), 3).tolist() == [0, 1, 2, 1, 0, 1, 2, 1]
    assert fold(np.arange(4) * 2, 5).tolist() == [0, 2, 4, 2]
    assert fold(np.arange(3), 1).tolist() == [0, 0, 0]


def test_a_clip_reversed_is_the_clip_backwards(sets):
    forwards, backwards = (clips(*sets, only(reverse=r), 6).clip(2) for r in (0, 1))
    assert not np.array_equal(forwards.frames, backwards.frames)
    for name in ("frames", "alpha", "foreground", "background"):
        assert np.array_equal(getattr(forwards, name), getattr(backwards, name)[::-1])


def test_pause_repeats_foreground_and_alpha_together(sets):
    for i in range(4):
        clip = clips(*sets, only(pause=1), 6).clip(i)
        same = [[np.array_equal(part[t], part[t + 1]) for t in range(5)] for part in (clip.foreground, clip.alpha)]
        assert same[0] == same[1] and any(same[0]) and not all(same[0])


# ---------------------------------------------------------------- colour


def test_colour_never_touches_alpha(sets):
    plain = clips(*sets, OFF).clip(1)
    for augment in (only(colour=1), only(grey=1), only(sharpness=1), only(noise=1)):
        clip = clips(*sets, augment).clip(1)
        assert np.array_equal(clip.alpha, plain.alpha)
        assert not np.array_equal(clip.frames, plain.frames)


def test_grey_is_the_whole_shot(sets):
    clip = clips(*sets, only(grey=1)).clip(0)
    for part in (clip.foreground, clip.background):
        assert np.ptp(part.astype(int), axis=-1).max() <= 1 < np.ptp(part)


def apply(matrix, colour):
    return matrix[:, :3] @ np.array(colour) + matrix[:, 3]


def test_colour_matrix_by_hand():
    assert np.allclose(colour_matrix(), np.eye(3, 4))
    assert np.allclose(apply(colour_matrix(saturation=0), [1, 0, 0]), 0.299)
    assert np.allclose(apply(colour_matrix(saturation=0), [0, 1, 0]), 0.587)
    assert np.allclose(apply(colour_matrix(contrast=0), [0.9, 0.1, 0.3]), 0.5)
    assert np.allclose(apply(colour_matrix(contrast=2), [0.6, 0.5, 0.4]), [0.7, 0.5, 0.3])
    assert np.allclose(apply(colour_matrix(gain=0.5), [0.6, 0.4, 0.2]), [0.3, 0.2, 0.1])
    third = 2 * math.pi / 3
    assert np.allclose(apply(colour_matrix(hue=third), [1, 0, 0]), [0, 1, 0], atol=1e-6)  # red becomes green
    for grey in (0.0, 0.3, 1.0):  # hue and saturation leave grey alone
        assert np.allclose(apply(colour_matrix(saturation=1.7, hue=0.4), [grey] * 3), grey, atol=1e-6)


def test_colour_changes_smoothly_within_its_bounds():
    path = colour_path(np.random.default_rng(0), np.arange(50), Augment(colour=1))
    assert path.shape == (50, 3, 4) and 0 < np.abs(np.diff(path, axis=0)).max() < 0.08
    assert np.array_equal(colour_path(np.random.default_rng(0), np.arange(3), OFF), np.stack([np.eye(3, 4)] * 3))


def test_graded_rounds_and_stays_in_range():
    frame = np.array([[[0, 100, 255]]], np.uint8)
    assert graded(frame, np.eye(3, 4, dtype=np.float32)) is frame
    assert graded(frame, colour_matrix(gain=1.5)).tolist() == [[[0, 150, 255]]]
    assert graded(frame, colour_matrix(gain=0.255)).tolist() == [[[0, 26, 65]]]  # 25.5 and 65.025


def test_sharpened_softens_and_sharpens_an_edge():
    edge = np.zeros((9, 20, 3), np.uint8)
    edge[:, 10:] = 200
    edge[:, :10] = 50
    assert sharpened(edge, 0) is edge
    soft, sharp = sharpened(edge, -1).astype(int), sharpened(edge, 1).astype(int)
    assert 50 < soft[4, 9, 0] < soft[4, 10, 0] < 200
    assert sharp[4, 9, 0] < 50 and sharp[4, 10, 0] > 200


# ---------------------------------------------------------------- motion


def test_window_without_motion_is_the_middle():
    rows = window(np.random.default_rng(0), (200, 100), 100, 100, np.arange(3), SIDES, OFF)
    assert np.allclose(rows, [[1, 0, 50, 0, 1, 0]] * 3)
    assert reduced_size(np.random.default_rng(0), (400, 200), 100, 100, OFF) == (200, 100)
    for seed in range(20):
        w, h = reduced_size(np.random.default_rng(seed), (400, 200), 100, 100, Augment(crop=0.5))
        assert 100 <= h <= 200 and abs(w - 2 * h) <= 1


@pytest.mark.parametrize("inside", [SIDES, {"bottom"}, {"left", "bottom"}, {"left", "right", "bottom"}])
def test_window_never_looks_beyond_a_side_that_cuts_the_figure(inside):
    width, height, (w, h) = 96, 64, (130, 80)
    corners = np.array([[x, y, 1] for x in (0, width) for y in (0, height)]).T
    beyond = set()
    for seed in range(40):
        rng = np.random.default_rng(seed)
        focus = tuple(rng.uniform((0, 0), (w, h)))
        rows = window(rng, (w, h), height, width, np.arange(15), inside, Augment(motion=2), focus)
        u, v = (rows.reshape(-1, 2, 3) @ corners).transpose(1, 0, 2)
        looks = {"left": -u.min(), "right": u.max() - w, "top": -v.min(), "bottom": v.max() - h}
        assert all(looks[side] < 1e-9 for side in inside)
        beyond |= {side for side, amount in looks.items() if amount > 1}
    assert beyond == SIDES - inside  # and elsewhere it may


def opened(tmp_path, colour, alpha, still):
    """A clip of 8 equal frames, or one still, of this foreground and alpha; and a background."""
    for t in range(8):
        save(tmp_path / ("fgr/a.png" if still else f"fgr/0/{t}.png"), colour)
        save(tmp_path / ("pha/a.png" if still else f"pha/0/{t}.png"), alpha)
    return (image_mattes if still else video_mattes)(tmp_path), background_images(write_backgrounds(tmp_path / "bg", 1))


@pytest.mark.parametrize("still", [False, True])
def test_motion_moves_alpha_and_foreground_together(tmp_path, still):
    """Alpha and red are the same ramp, 60 apart, so wherever the camera looks they must stay 60 apart."""
    x = np.broadcast_to(np.arange(96), (80, 96))
    colour = np.stack([2 * x, 0 * x + 90, 0 * x], -1).astype(np.uint8)
    sets = opened(tmp_path, colour, (2 * x + 60).astype(np.uint8), still)
    moved = []
    for seed in range(4):
        clip = clips(*sets, only(motion=1, crop=0.2, flip=0.5), 8, seed=seed).clip(0)
        red = clip.foreground[..., 0].astype(int)
        within = clip.alpha > 0.3  # the ramp's faint side does not count as cut: the window may look beyond it
        assert np.abs(255 * clip.alpha - red - 60)[within].max() < 5 and within.mean() > 0.3
        assert np.ptp(red, axis=(1, 2)).min() > 20  # a real ramp is in sight
        moved.append(np.ptp(red[:, 32, 32]))
    assert max(moved) > 2


@pytest.mark.parametrize("still", [False, True])
def test_motion_draws_no_dark_rim(tmp_path, still):
    """A red disc on black: the black of alpha = 0 must not creep into soft edges."""
    y, x = np.mgrid[:80, :96]
    distance = np.hypot(x - 48, y - 40)
    colour = np.where(distance[..., None] < 21, np.uint8([250, 0, 0]), np.uint8(0))
    sets = opened(tmp_path, colour, (255 * np.clip(20.5 - distance, 0, 1)).astype(np.uint8), still)
    for seed in range(4):
        clip = clips(*sets, only(motion=1, crop=0.2), 8, side=96, seed=seed).clip(0)
        soft = (clip.alpha > 0.1) & (clip.alpha < 0.9)
        assert soft.sum() > 100 and clip.foreground[soft][:, 0].min() > 200


def test_flip_mirrors_foreground_and_alpha(sets):
    plain, flipped = (clips(*sets, only(flip=f), 3).clip(0) for f in (0, 1))
    for name in ("foreground", "alpha", "background"):
        assert np.array_equal(getattr(flipped, name), getattr(plain, name)[:, :, ::-1])
