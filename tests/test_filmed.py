"""Whole photographs, filmed: frame and alpha of the same place, nothing beyond the edge, colours kept where nobody is.

Oracle: a photograph whose colours are its own coordinates, and whose alpha is a function of them.
"""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from bivm_ref import filmed, shelf, takes
from bivm_ref.filmed import FilmedPhotograph, somebody
from bivm_ref.motion import Path
from bivm_ref.takes import Odds, Takes

STILL = [Path(np.random.default_rng(0), 0.0)] * 2


def coordinates(height=240, width=320):
    """Red runs from left to right, green from top to bottom; alpha is red."""
    y, x = np.mgrid[0:height, 0:width]
    red, green = np.rint(255 * x / (width - 1)), np.rint(255 * y / (height - 1))
    return np.stack([red, green, np.full_like(red, 77), red], -1).astype(np.uint8)


@pytest.mark.parametrize("shape", [(240, 320), (500, 200), (90, 700), (60, 80)])  # wide, tall, a strip, too small
def test_alpha_moves_with_the_colours_and_the_window_stays_within(shape):
    for seed in range(8):
        shake = [Path(np.random.default_rng(seed), 30.0) for _ in range(2)]  # far more than any camera has
        shot = FilmedPhotograph(coordinates(*shape), np.random.default_rng(seed), 72, 128, shake)
        for t in (0, 7.5, 40):
            left, top, size = shot.window(t)
            assert 0 <= left <= left + 128 * size <= shot.w + 1e-6 and 0 <= top <= top + 72 * size <= shot.h + 1e-6
            frame, alpha = shot.view(t)
            assert frame.shape == (72, 128, 3) and frame.dtype == np.uint8 and alpha.dtype == np.float32
            np.testing.assert_allclose(255 * alpha, frame[..., 0], atol=1.01)
            np.testing.assert_allclose(frame[..., 2], 77, atol=1)  # never beyond the edge, where it is black
            across = np.diff(frame[36, :, 0].astype(int))
            assert (across >= 0).all() or (across <= 0).all()  # mirrored or not, but not torn


def test_the_picture_moves_and_both_sides_are_seen():
    shots = [FilmedPhotograph(coordinates(), np.random.default_rng(seed), 72, 128, STILL) for seed in range(40)]
    moved = [np.abs(shot.view(0)[0].astype(int) - shot.view(15)[0]).max() for shot in shots]
    assert 0.4 < np.mean(np.array(moved) > 1) < 0.95  # 70 % of the cameras move
    mirrored = [shot.view(0)[0][36, 0, 0] > shot.view(0)[0][36, -1, 0] for shot in shots]
    assert 0.25 < np.mean(mirrored) < 0.75


def test_somebody_is_looked_for_where_alpha_is():
    alpha = np.zeros((100, 150), np.uint8)
    alpha[20:100, 60:90] = 255
    rng = np.random.default_rng(0)
    points = np.array([somebody(alpha, rng) for _ in range(400)])
    assert ((60 <= points[:, 0]) & (points[:, 0] <= 90) & (20 <= points[:, 1]) & (points[:, 1] < 100)).all()
    values, counts = np.unique(points[:, 1], return_counts=True)
    assert counts.max() / 400 == pytest.approx(filmed.HEAD, abs=0.1) and values[counts.argmax()] < 60  # the head's row
    anywhere = np.array([somebody(np.zeros_like(alpha), rng) for _ in range(50)])
    assert anywhere[:, 0].max() > 110 and anywhere[:, 1].max() > 70


@pytest.fixture
def whole(tmp_path):
    """Two whole photographs, h000059 (held out) and h000060, larger than what is decoded for small frames."""
    folder = tmp_path / "whole"
    folder.mkdir()
    for n in (59, 60):
        picture = np.zeros((1200, 1600, 4), np.uint8)
        picture[..., :3] = (30 * (n == 60) + 40, 120, 200)
        picture[300:1200, 600:1000] = (220, 60, 40, 255)
        Image.fromarray(picture, "RGBA").save(folder / f"h{n:06d}.png")
    return folder


def test_takes_film_them_and_the_frame_is_the_photograph(whole):
    source = Takes(whole=whole, odds=Odds(whole=1))
    seen = set()
    for seed in range(6):
        clip = source.clip(seed, 3, 36, 64, filmed=False)
        assert "whole+h000060" in clip.name and "h000059" not in clip.name
        if source.plan(seed, 3).shots[0].thing:
            continue
        np.testing.assert_array_equal(clip.frames, clip.foreground)
        np.testing.assert_array_equal(clip.frames, clip.background)
        sure, nobody = clip.alpha[0] > 0.999, clip.alpha[0] < 0.001
        for where, colour in ((sure, (220, 60, 40)), (nobody, (70, 120, 200))):  # its own, also where alpha is 0
            np.testing.assert_allclose(clip.frames[0][where].reshape(-1, 3), np.full((where.sum(), 3), colour), atol=1)
        seen |= {name for name, there in (("somebody", sure.any()), ("nobody", nobody.any())) if there}
    assert seen == {"somebody", "nobody"}


def test_how_near_one_goes_is_the_odds_to_say(tmp_path):
    """Red runs over the whole photograph, so its range in a frame is the share that is seen."""
    Image.fromarray(coordinates(360, 640), "RGBA").save(tmp_path / "h000060.png")

    def seen(nearest):
        source = Takes(whole=tmp_path, odds=Odds(whole=1, nearest=nearest))
        plain = [seed for seed in range(40) if [shot.thing for shot in source.plan(seed, 1).shots] == [""]]
        return [np.ptp(source.clip(seed, 1, 72, 128, filmed=False).frames[0, 36, :, 0].astype(float)) / 255
                for seed in plain]

    far, near = seen(1.0), seen(0.4)
    assert min(far) > 1 - 3 * filmed.BREATH and min(near) < 0.6
    assert Odds().nearest == filmed.NEAREST


def test_a_thing_in_front_of_one_hides_its_people(whole, monkeypatch):
    source = Takes(whole=whole, odds=Odds(whole=1))
    plan = next(p for seed in range(300) if len((p := source.plan(seed, 2)).shots) == 1 and p.shots[0].thing)
    clips = []
    for thing in (plan.shots[0].thing, ""):
        shot = dataclasses.replace(plan.shots[0], thing=thing)
        made = dataclasses.replace(plan, shots=(shot,))
        monkeypatch.setattr(Takes, "plan", lambda *_, made=made: made)
        clips.append(source.clip(plan.seed, 2, 72, 128, filmed=False))
    hidden, clear = clips
    assert (hidden.alpha <= clear.alpha + 1e-6).all()
    changed = np.abs(hidden.frames.astype(int) - clear.frames).max(-1) > 40
    assert changed.any() and (hidden.alpha[changed] < 1).all() and not changed.all()


def test_odds_are_kept_and_plans_without_them_are_those_of_before():
    odds = Odds(whole=0.3)
    shots = [shot for seed in range(1500) for shot in takes.plan(seed, 2, people=6, whole=4, odds=odds).shots]
    drawn = np.array([shot.whole for shot in shots])
    assert np.mean(drawn >= 0) == pytest.approx(0.3, abs=4 * np.sqrt(0.21 / len(drawn)))
    assert set(drawn) == {-1, 0, 1, 2, 3}
    for seed in range(50):
        one, other = takes.plan(seed, 3, people=6), takes.plan(seed, 3, people=6, whole=4, odds=Odds(whole=0))
        assert one == other


def test_a_photograph_is_reduced_without_turning_black_where_nobody_is(tmp_path):
    picture = np.full((400, 400, 4), (200, 100, 50, 0), np.uint8)
    picture[:, 200:, 3] = 255
    Image.fromarray(picture, "RGBA").save(tmp_path / "a.png")
    small = shelf.load(tmp_path / "a.png", 50, "RGB+A")
    assert small.shape == (50, 50, 4) and (small[..., :3] == (200, 100, 50)).all()
    assert (small[:, :25, 3] == 0).all() and (small[:, 25:, 3] == 255).all()
    assert (shelf.load(tmp_path / "a.png", 50, "RGBA")[:, :25, :3] == 0).all()  # what must not happen
