"""Clips: the alpha is exact, the seed decides everything, and no held-out person is ever drawn.

Oracles: the compositing equation in float64, white stills (a white figure can only stay white), opaque blocks
whose place is known, and hand-worked distances.
"""

import numpy as np
import pytest
from PIL import Image

from bivm_ref import clips, motion, shapes, shelf
from bivm_ref.clips import ClipMix, background_clip, composite, procedural_clip, still_clip
from bivm_ref.errors import UserError

SIZE = {"frames": 3, "height": 72, "width": 128}


def still(height=120, width=120, colour=(255, 255, 255), cut=False):
    """An RGBA still: a soft-edged disc of one colour over transparent *black*, the worst case for a halo."""
    y, x = np.mgrid[0:height, 0:width]
    centre = height if cut else height / 2
    distance = np.hypot(x - width / 2, y - centre) - 0.4 * height
    rgba = np.zeros((height, width, 4), np.uint8)
    rgba[..., 3] = np.clip(0.5 - distance / 8, 0, 1) * 255
    rgba[rgba[..., 3] > 0, :3] = colour
    return rgba


def equation(clip):
    """alpha*F + (1 - alpha)*B in float64."""
    alpha = clip.alpha.astype(np.float64)[..., None]
    return alpha * clip.foreground + (1 - alpha) * clip.background


def test_composite_by_hand():
    foreground = np.array([[[200, 0, 10]]], np.uint8)
    background = np.array([[[100, 100, 11]]], np.uint8)
    for alpha, expected in ((0, [100, 100, 11]), (1, [200, 0, 10]), (0.25, [125, 75, 11])):
        np.testing.assert_array_equal(composite(foreground, np.array([[alpha]]), background)[0, 0], expected)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("make", [procedural_clip, lambda seed, **kw: still_clip(still(), seed, **kw)])
def test_before_the_camera_the_compositing_equation_is_exact(make, seed):
    clip = make(seed, **SIZE, noise=False)
    assert clip.alpha.dtype == np.float32 and clip.alpha.shape == (3, 72, 128)
    assert clip.frames.dtype == clip.foreground.dtype == np.uint8
    assert clip.frames.shape == clip.foreground.shape == (3, 72, 128, 3)
    assert clip.alpha.min() >= 0 and clip.alpha.max() <= 1
    assert np.abs(clip.frames - equation(clip)).max() <= 0.51


def test_the_camera_changes_the_frames_but_not_the_alpha():
    for seed in range(4):
        clean, shot = procedural_clip(seed, **SIZE, noise=False), procedural_clip(seed, **SIZE)
        np.testing.assert_array_equal(clean.alpha, shot.alpha)
        assert np.abs(shot.frames - equation(shot)).mean() < 12  # noise and JPEG only: light is in F and B


def test_the_seed_decides_every_byte():
    def makers(seed):
        yield procedural_clip(seed, **SIZE)
        yield still_clip(still(), seed, **SIZE)
        yield ClipMix().clip(seed, **SIZE)

    for one, same, other in zip(makers(5), makers(5), makers(6), strict=True):
        assert one.frames.tobytes() == same.frames.tobytes() and one.alpha.tobytes() == same.alpha.tobytes()
        assert one.foreground.tobytes() == same.foreground.tobytes()
        assert one.frames.tobytes() != other.frames.tobytes() and one.alpha.tobytes() != other.alpha.tobytes()
    assert background_clip(1, **SIZE).tobytes() != background_clip(2, **SIZE).tobytes()


def test_a_moving_figure_is_seen_in_five_sub_frames_or_more():
    assert motion.subframe_times(travel=0.9, shutter=1.0) == [0.0]
    for travel in (1.1, 6, 12, 50):
        times = motion.subframe_times(travel, shutter=1.0)
        assert 5 <= len(times) <= 8
        assert sum(times) == pytest.approx(0) and max(times) <= 0.5  # centred, inside the exposure


def test_motion_blur_is_the_average_of_sub_frames():
    figure = clips.Figure(np.random.default_rng(3), 72, 128)
    times = [0.0, 3.0, 6.0]
    alone = np.mean([figure.render([t])[3] for t in times], axis=0)
    # Exact where each part's coverage is redrawn; a part that keeps still may be drawn once for all (0.3 px).
    assert np.abs(figure.render(times)[3] - alone).mean() < 0.01
    moving = motion.MovingStill(still(), np.random.default_rng(3), 72, 128)
    np.testing.assert_allclose(
        moving.render(times), np.mean([moving.render([t]) for t in times], axis=0), atol=1e-6
    )


def test_figures_and_stills_have_partial_alpha_and_move():
    partial, moved = [], []
    for seed in range(12):
        alpha = procedural_clip(seed, 4, 72, 128, noise=False).alpha
        partial.append(((alpha > 0.02) & (alpha < 0.98)).mean())
        moved.append(np.abs(alpha[-1] - alpha[0]).max())
    assert min(partial) > 0.001 and np.mean(partial) > 0.01
    assert np.mean(np.array(moved) > 0.1) > 0.7


@pytest.mark.parametrize("seed", range(8))
def test_premultiplied_warping_leaves_no_halo(seed):
    clip = still_clip(still(), seed, **SIZE, noise=False)
    seen = clip.alpha > 0.05
    assert seen.any()
    assert clip.foreground[seen].min() >= 250


def test_colour_spreads_where_alpha_is_zero():
    clip = still_clip(still(colour=(250, 120, 10)), 3, **SIZE, noise=False)
    outside = clip.foreground[clip.alpha == 0].astype(int)
    assert len(outside) and np.abs(outside - [250, 120, 10]).max() <= 4


def test_a_cut_figure_stays_cut_by_the_frame():
    for seed in range(12):
        clip = still_clip(still(cut=True), seed, 6, 72, 128, noise=False)
        column = clip.alpha.sum(1).argmax(1)  # where the figure stands, per frame
        for t in range(6):
            assert clip.alpha[t, -1].max() > 0.95
            assert (np.diff(np.where(clip.alpha[t, :, column[t]] > 0.5)[0]) == 1).all()


def test_a_figure_cut_on_both_sides_fills_the_width():
    rgba = np.zeros((100, 100, 4), np.uint8)
    rgba[60:] = 255
    for seed in range(6):
        clip = still_clip(rgba, seed, 4, 60, 100, noise=False)
        assert clip.alpha[:, -1].min() == 1  # no gap at either side of the lowest row


@pytest.fixture
def folders(tmp_path):
    """People h000058 to h000063 and one of the user's own; scenes b000008 to b000011."""
    people, scenes = tmp_path / "people", tmp_path / "scenes"
    people.mkdir()
    scenes.mkdir()
    for n in range(58, 64):
        Image.fromarray(still(64, 64, (n, 2 * n, 3 * n)), "RGBA").save(people / f"h{n:06d}.png")
    Image.fromarray(still(64, 64, (9, 9, 9)), "RGBA").save(people / "my own photo.webp", lossless=True)
    for n in range(8, 12):
        Image.new("RGB", (96, 54), (n * 10, 0, 0)).save(scenes / f"b{n:06d}.png")
    (people / "README.md").write_text("not an image")
    return people, scenes


def test_held_out_people_and_scenes_are_never_drawn(folders, monkeypatch):
    opened = set()
    real = shelf.load
    monkeypatch.setattr(shelf, "load", lambda file, *rest: (opened.add(file.name), real(file, *rest))[1])
    mix = ClipMix(*folders)
    names = {mix.clip(seed, 1, 24, 32).name for seed in range(150)}
    expected = {f"h{n:06d}.png" for n in range(60, 64)} | {"my own photo.webp", "b000010.png", "b000011.png"}
    assert opened == expected
    assert any(name.startswith("procedural") for name in names) and any("+" in name for name in names)


def test_hidden_files_and_held_out_names_in_capitals_are_not_drawn(folders):
    people, scenes = folders
    (people / "._h000062.png").write_bytes(b"what macOS leaves beside a copy")
    Image.fromarray(still(64, 64, (1, 1, 1)), "RGBA").save(people / "H000012.PNG")
    names = {f.name for f in ClipMix(people).files["people"]}
    assert names == {f"h{n:06d}.png" for n in range(60, 64)} | {"my own photo.webp"}
    Image.new("RGB", (4000, 1)).save(scenes / "thin.png")
    with pytest.raises(UserError, match="thin.png: a background of 4000x1 pixels shows nothing;"):
        shelf.load(scenes / "thin.png", 8000, "RGB")


def test_the_limits_can_be_set(folders):
    mix = ClipMix(*folders, first_seed=63, first_scene=11)
    assert [f.name for f in mix.files["people"]] == ["h000063.png", "my own photo.webp"]
    assert [f.name for f in mix.files["scene"]] == ["b000011.png"]


def test_user_mistakes_are_named_in_one_line(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        ClipMix(people=tmp_path / "nowhere")
    with pytest.raises(UserError, match="held out"):
        ClipMix(scenes=tmp_path)
    Image.new("RGB", (8, 8)).save(tmp_path / "opaque.png")
    with pytest.raises(UserError, match="opaque.png: no alpha channel"):
        ClipMix(people=tmp_path, weights=(0, 1)).clip(0, 1, 16, 16)
    (tmp_path / "opaque.png").write_bytes(b"broken")
    shelf.load.cache_clear()
    with pytest.raises(UserError, match="opaque.png: not a readable image"):
        ClipMix(people=tmp_path, weights=(0, 1)).clip(0, 1, 16, 16)


def test_a_given_background_is_used_and_left_alone():
    wall = np.full((3, 72, 128, 3), 77, np.uint8)
    clip = procedural_clip(2, **SIZE, background=wall, noise=False)
    assert (clip.frames[clip.alpha == 0] == 77).all() and (clip.alpha == 0).any()
    procedural_clip(2, **SIZE, background=wall)
    assert (wall == 77).all()


def test_a_photograph_pans_without_showing_its_border():
    photo = np.full((90, 160, 3), 200, np.uint8)
    for seed in range(10):
        assert background_clip(seed, 8, 54, 96, photo).min() >= 198  # black would be the outside


def test_odd_and_small_sizes_work():
    for height, width in ((17, 33), (33, 17), (64, 64)):
        for clip in (procedural_clip(1, 2, height, width), still_clip(still(), 1, 2, height, width)):
            assert clip.frames.shape == (2, height, width, 3) and clip.alpha.shape == (2, height, width)


def test_signed_distances_by_hand():
    x, y = np.array([[0.0, 3.0, 10.0]], np.float32), np.array([[0.0], [4.0]], np.float32)
    d, along = shapes.capsule(x, y, (0, 0), (6, 0), 1, 1)
    np.testing.assert_allclose(d, [[-1, -1, 3], [3, 3, np.hypot(4, 4) - 1]], atol=1e-6)
    np.testing.assert_allclose(along, [[0, 0.5, 1], [0, 0.5, 1]], atol=1e-6)
    ring = shapes.ellipse(x, y, (0, 0), 5, 5)  # a circle: the distance is exact outside the centre
    np.testing.assert_allclose(ring[1], [-1, 0, np.hypot(10, 4) - 5], atol=1e-5)
    two = np.float32([[1.0, 5.0]])
    np.testing.assert_allclose(shapes.smooth_union(two, np.float32([[1.0, 9.0]]), 2), [[0.5, 5.0]])
    np.testing.assert_allclose(shapes.coverage(np.float32([-2, 0, 0.25, 2])), [1, 0.5, 0.25, 0])


def test_held_out_seeds_are_refused():
    mix = clips.ClipMix()
    for seed in (clips.HELD_OUT.start, clips.HELD_OUT.stop - 1):
        with pytest.raises(UserError, match="held out"):
            mix.clip(seed, 1, 16, 16)
    assert mix.clip(clips.HELD_OUT.stop, 1, 16, 16).frames.shape == (1, 16, 16, 3)
