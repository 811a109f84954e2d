"""Hats: where they are and where they are not, on figures and on stills, and that nothing else changes."""

import math
from dataclasses import replace

import numpy as np
import pytest

from bivm_ref import takes
from bivm_ref.figures import Figure
from bivm_ref.hats import KINDS, Hat, hatted


def hat_of(kind: str) -> Hat:
    return next(hat for seed in range(200) if (hat := Hat(np.random.default_rng(seed))).kind == kind)


def inside(hat: Hat, u: float, v: float, yaw: float = 0.0) -> bool:
    """Whether one point of the head's coordinates is covered; the hat straightened first."""
    hat.tilt = 0.0
    return bool(hat.distance(np.array([[u]], np.float32), np.array([[v]], np.float32), yaw, 1.0)[0, 0] < 0)


def test_all_kinds_occur_at_about_their_odds():
    found = [Hat(np.random.default_rng(seed)).kind for seed in range(600)]
    for kind, odds in KINDS.items():
        assert abs(found.count(kind) / 600 - odds) < 4 * math.sqrt(odds * (1 - odds) / 600), kind


@pytest.mark.parametrize("kind", KINDS)
def test_a_hat_covers_the_crown_and_leaves_the_mouth_free(kind):
    hat = hat_of(kind)
    assert inside(hat, 0, -0.45) and not inside(hat, 0, 0.3)
    for u, v in ((1.5, 0), (-1.5, 0), (0, -1.5), (0, 1.5)):  # far away on every side
        assert not inside(hat, u, v), (u, v)


def test_a_hood_is_open_before_the_face_alone_and_a_peak_points_where_the_face_does():
    hood = hat_of("hood")
    assert not inside(hood, 0, 0.1, yaw=0) and inside(hood, 0, 0.1, yaw=math.pi)
    assert inside(hood, hood.opening[0] + 0.1, 0.1)  # beside the face
    cap = hat_of("cap")
    edge = 0.25 + cap.peak[0] - 0.02  # of a peak that points to the right
    at = cap.band + 0.03
    cap.width = 0.41
    assert inside(cap, edge, at, yaw=math.pi / 2) and not inside(cap, -edge, at, yaw=math.pi / 2)
    assert inside(cap, -edge, at, yaw=-math.pi / 2) and not inside(cap, edge, at, yaw=-math.pi / 2)
    assert inside(cap, 0, at, yaw=0) and not inside(cap, 0, cap.band + 0.06, yaw=math.pi)  # behind there is none


def test_a_brim_is_wider_than_its_crown():
    hat = hat_of("brim")
    out = (hat.width + hat.brim[0]) / 2
    assert inside(hat, out, hat.band) and inside(hat, -out, hat.band)
    assert not inside(hat, out, hat.band - hat.brim[1] - 0.05)


@pytest.mark.parametrize("seed", range(6))
def test_a_hat_is_laid_over_a_still_and_changes_nothing_outside_it(seed):
    """Against the over operator on premultiplied colour, with the coverage that a white hat on a black ball shows."""
    y, x = np.mgrid[0:96, 0:96]
    still = np.zeros((96, 96, 4), np.uint8)
    still[..., :3] = (90, 60, 30)
    body = ((x - 48) / 20) ** 2 + ((y - 50) / 28) ** 2 < 1
    still[..., 3] = np.where(body, 255, 0)
    head = (22.0, 56.0, 48.0)
    hat = Hat(np.random.default_rng(seed))
    hat.tilt = 0.0
    result = hatted(still, hat, head)
    assert result.dtype == np.uint8 and (result[..., 3] >= still[..., 3]).all()
    same = (result == still).all(-1)
    assert same[66:74, 48].all() and not same[:40].all()  # the chin stays, the crown does not
    assert same[78:].all() or hat.kind == "hood"  # which is around the face, too
    changed = ~same & ~body
    assert changed.any() or hat.kind in ("cap", "beanie")
    hat.paint = lambda u, v, *_: np.ones((3, 96, 96), np.float32)
    black = still.copy()
    black[..., :3] = 0
    white = hatted(black, hat, head).astype(float) / 255
    cover = white[..., 0] * white[..., 3]  # premultiplied white over black: the coverage itself
    expected = cover + still[..., 3] / 255 * (1 - cover)
    np.testing.assert_allclose(white[..., 3], expected, atol=2 / 255)


def test_a_still_with_nobody_and_a_hat_out_of_the_picture_are_no_fault():
    nobody = np.zeros((40, 30, 4), np.uint8)
    assert np.array_equal(hatted(nobody, hat_of("cap"), (0.0, 40.0, 15.0)), nobody)
    all_over = np.full((40, 30, 4), 255, np.uint8)
    assert hatted(all_over, hat_of("brim"), (0.0, 400.0, 15.0)).shape == (40, 30, 4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_figure_with_a_hat_is_the_same_figure_below_it(kind):
    bare, worn = (Figure(np.random.default_rng(5), 120, 160, wild=False) for _ in range(2))
    hat = hat_of(kind)
    worn.wear(hat)
    before, after = bare.render([0.0]), worn.render([0.0])
    pose = bare.pose(0.0)
    scale, middle = pose["scale"][0], pose["head"][1]
    assert (after[3] >= before[3] - 1e-6).all()
    below = int(middle + 0.9 * scale)
    assert np.array_equal(before[:, below:], after[:, below:])
    assert not np.array_equal(before[:, :below], after[:, :below])
    assert after.min() >= 0 and (after[:3] <= after[3] + 1e-5).all()  # premultiplied


def test_hats_are_drawn_by_themselves():
    """With hats or without, all else about a clip is the same."""
    never, always = ([takes.plan(seed, 4, people=9, scenes=3, odds=takes.Odds(hatted=what)) for seed in range(80)]
                     for what in (0, 1))
    for without, all_with in zip(never, always):
        assert not any(any(shot.hatted) for shot in without.shots)
        for one, other in zip(without.shots, all_with.shots):
            assert other.hatted == (True,) * len(other.people)
            assert replace(other, hatted=one.hatted) == one
        assert without.moments == all_with.moments and without.look == all_with.look


def test_takes_with_hats_differ_where_heads_are():
    shown = []
    for what in (0, 1):
        source = takes.Takes(odds=takes.Odds(hatted=what))
        shown.append([source.clip(seed, 1, 72, 128, filmed=False) for seed in range(12)])
    changed = [not np.array_equal(a.frames, b.frames) for a, b in zip(*shown)]
    assert sum(changed) >= 6 and all(np.array_equal(a.background, b.background) or c
                                     for a, b, c in zip(*shown, changed))
    assert all((b.alpha >= a.alpha - 1e-6).all() for a, b in zip(*shown))
    assert sum("figureh" in b.name for b in shown[1]) >= 6 and not any("figureh" in a.name for a in shown[0])
