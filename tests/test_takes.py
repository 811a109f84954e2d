"""Takes: alpha exact whatever stands in front, nobody where nobody is planned, and no held-out file ever drawn.

Oracles: the compositing equation in float64, occlusion worked by hand, opaque blocks, pictures of one colour, and the
odds that a plan is drawn with. Plans are cheap, so odds are counted over hundreds of them.
"""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from bivm_ref import clips, cloth, shelf, staging, takes
from bivm_ref.camera import Look
from bivm_ref.errors import UserError
from bivm_ref.motion import MovingStill, Path, extent
from bivm_ref.takes import KINDS, Plan, Shot, Takes

SIZE = {"frames": 3, "height": 72, "width": 128}
PLAIN = Shot("single", (-1,), ("painted", 0), "", ("painted", 0), 0.6, 0.5, 0.0, False, 0.0, 0.0)
NO_SHAKE = [Path(np.random.default_rng(0), 0.0)] * 2


def bust(height=160, width=160, colour=(200, 140, 110)):
    """An RGBA still cut off below: a head (a disc, 48 high) on shoulders (a box over the whole width but 8 a side)."""
    y, x = np.mgrid[0:height, 0:width].astype(float)
    head = np.hypot(x - width / 2, y - 44) - 24
    body = np.maximum(np.abs(x - width / 2) - (width / 2 - 40), 78 - y)
    neck = np.maximum(np.abs(x - width / 2) - 10, np.abs(y - 70) - 16)
    rgba = np.zeros((height, width, 4), np.uint8)
    rgba[..., 3] = np.clip(0.5 - np.minimum(np.minimum(head, body), neck) / 3, 0, 1) * 255
    rgba[rgba[..., 3] > 0, :3] = colour
    return rgba


@pytest.fixture
def folders(tmp_path):
    """People h000058 to h000065; scenes b000008 to b000012, each of one colour; two photographs."""
    people, scenes, photos = (tmp_path / name for name in ("people", "scenes", "photos"))
    for folder in (people, scenes, photos):
        folder.mkdir()
    for n in range(58, 66):
        Image.fromarray(bust(), "RGBA").save(people / f"h{n:06d}.png")
    for n in range(8, 13):
        Image.new("RGB", (96, 54), (n * 15, 40, 90)).save(scenes / f"b{n:06d}.png")
    for n in range(2):
        Image.new("RGB", (96, 54), (20, 200, n * 100)).save(photos / f"holiday {n}.jpg")
    return people, scenes, photos


def planned(monkeypatch, *shots, frames=3, cut=None, moments=None, look=None):
    """Let every clip follow one plan."""
    def made(self, seed, count):
        assert count == frames
        return Plan(seed, shots, frames if cut is None else cut, moments or tuple(map(float, range(frames))), 0.5,
                    look or Look())
    monkeypatch.setattr(Takes, "plan", made)


def equation(clip):
    """alpha*F + (1 - alpha)*B in float64."""
    alpha = clip.alpha.astype(np.float64)[..., None]
    return alpha * clip.foreground + (1 - alpha) * clip.background


# -- the plan ------------------------------------------------------------------------------------------------

def test_every_kind_and_event_occurs_at_its_odds():
    """Over 2000 plans a share stays within four standard deviations of its odds, √(p(1 - p)/2000)."""
    plans = [takes.plan(seed, 4, people=50, scenes=20, photos=5) for seed in range(2000)]

    def check(odds, hits, name):
        assert np.mean(hits) == pytest.approx(odds, abs=4 * np.sqrt(odds * (1 - odds) / len(hits))), name

    assert sum(KINDS.values()) == pytest.approx(1)
    for kind, odds in KINDS.items():
        check(odds, [p.shots[0].kind == kind for p in plans], kind)
    check(takes.CUT, [len(p.shots) == 2 for p in plans], "cut")
    check(takes.PAUSE, [min(np.diff(p.moments)) == 0 for p in plans], "pause")
    check(takes.OCCLUDED, [p.shots[0].thing != "" for p in plans], "thing in front")
    own = takes.Odds()
    check(own.painted, [p.shots[0].place[0] == "painted" for p in plans], "painted")
    places = [p.shots[0].place for p in plans if p.shots[0].place[0] != "painted"]
    check(0.5, [kind == "photo" for kind, _ in places], "photographs as often as scenes")
    assert {n for kind, n in places if kind == "scene"} == set(range(20))
    who = [n for p in plans for n in p.shots[0].people]
    check(own.procedural, [n < 0 for n in who], "procedural")
    check(own.dressed, [d for p in plans for d in p.shots[0].dressed], "dressed")
    check(own.hung, [p.shots[0].hung for p in plans], "hung")
    assert set(who) == set(range(-1, 50))
    assert {p.shots[0].thing for p in plans} == {"", *takes.THINGS}


def test_a_plan_is_consistent():
    for seed in range(300):
        for frames in (1, 2, 4):
            made = takes.plan(seed, frames, people=2)
            assert made == takes.plan(seed, frames, people=2)
            assert len(made.moments) == frames and min(np.diff(made.moments), default=0) >= 0
            assert (made.cut == frames) == (len(made.shots) == 1) and 1 <= made.cut <= frames
            for shot in made.shots:
                count = len(shot.people)
                assert {"nobody": count == 0, "several": 2 <= count <= 3}.get(shot.kind, count == 1)
                assert len(shot.dressed) == count
                stills = [n for n in shot.people if n >= 0]
                assert len(set(stills)) == len(stills) and shot.place == ("painted", 0)
                assert shot.kind != "close" or 0.4 <= shot.share <= 1


def test_odds_of_0_and_1_are_never_and_always(folders):
    never, always = (takes.Odds(0, 0, 0, what, what, what) for what in (0, 1))
    for odds, what in ((never, False), (always, True)):
        source = Takes(*folders, odds=odds)
        shots = [shot for seed in range(40) for shot in source.plan(seed, 3).shots]
        assert {n >= 0 for shot in shots for n in shot.people} == {True}
        assert {shot.place[0] for shot in shots} == {"scene", "photo"}
        assert {d for shot in shots for d in shot.dressed} == {shot.hung for shot in shots} == {what}


def test_new_clothes_are_seen_below_the_head_and_printed_with_photographs(folders, monkeypatch):
    """One bust, with and without: the head's alpha is the same, colours differ, and only below the collar."""
    monkeypatch.setattr(cloth, "BARE", 0.0)
    monkeypatch.setattr(cloth, "LOOSE", 0.0)
    shots = [dataclasses.replace(PLAIN, people=(0,), dressed=(d,)) for d in (False, True)]
    clips = []
    for shot in shots:
        planned(monkeypatch, shot, frames=1)
        clips.append(Takes(*folders).clip(4, 1, 96, 96, filmed=False))
    old, new = clips
    assert new.name == old.name.replace("h000060", "h000060d") != old.name
    np.testing.assert_array_equal(new.alpha, old.alpha)
    differs = (np.abs(old.foreground[0].astype(int) - new.foreground[0]).max(-1) > 12) & (old.alpha[0] > 0.9)
    rows = np.flatnonzero(differs.any(1))
    inside = np.flatnonzero((old.alpha[0] > 0.9).any(1))
    assert differs.sum() > 0.25 * (old.alpha[0] > 0.9).sum()
    assert rows[0] > inside[0] + 0.2 * len(inside)  # the bust's head is 48 of its 160 rows


def acted(folder, names, sizes=(64, 64)):
    """Rendered clips of two frames: a box that stands left, then right."""
    for name in names:
        (folder / name).mkdir(parents=True)
        for t, size in enumerate(sizes):
            rgba = np.zeros((size, 48, 4), np.uint8)
            rgba[8:56, 4 + 20 * t : 24 + 20 * t] = (200, 30, 30, 255)
            Image.fromarray(rgba, "RGBA").save(folder / name / f"{t:04d}.webp", lossless=True)
    return folder


def test_rendered_clips_are_drawn_beside_stills_and_pass_through_their_poses(folders, tmp_path):
    moving = acted(tmp_path / "moving", ("c000059", "c000060", "c000061"))
    (tmp_path / "moving" / "h000100.webp").write_bytes(b"no clip")
    always = Takes(*folders, moving=moving, odds=takes.Odds(procedural=0, moving=1, dressed=0))
    who = {n for seed in range(40) for shot in always.plan(seed, 2).shots for n in shot.people}
    assert who == {6, 7}  # six stills may be drawn, so the clips are 6 and 7: c000059 is held out
    names = " ".join(always.clip(seed, 2, 36, 64).name for seed in range(20))
    assert "c000060" in names and "c000061" in names and "c000059" not in names and "h0000" not in names
    never = Takes(*folders, moving=moving, odds=takes.Odds(procedural=0, moving=0))
    assert max(n for seed in range(40) for shot in never.plan(seed, 2).shots for n in shot.people) < 6
    half = [n for seed in range(1500) for shot in takes.plan(seed, 2, people=6, moving=2, odds=takes.Odds(0)).shots
            for n in shot.people]
    assert np.mean(np.array(half) >= 6) == pytest.approx(0.5, abs=4 * np.sqrt(0.25 / len(half)))


def test_a_pose_is_shown_at_its_time_and_the_last_one_turns_back():
    stills = [np.zeros((40, 30, 4), np.uint8) for _ in range(3)]
    for n, still in enumerate(stills):
        still[5:, 5:25] = (80 * n + 40, 10, 10, 255)
    actor = MovingStill(extent(np.stack(stills)), np.random.default_rng(0), 60, 80)
    actor.act(stills, 1, 0.5)
    shown = [round(actor.pose(t).getpixel((actor.w // 2, actor.h // 2))[0] / 80 - 0.5) for t in range(14)]
    assert shown == [1, 1, 2, 2, 1, 1, 0, 0, 1, 1, 2, 2, 1, 1]
    actor.act(stills[:1], 0, 0.5)
    assert actor.pose(0).tobytes() == actor.pose(7).tobytes()


def test_where_a_figure_ever_is():
    poses = np.zeros((2, 1, 3, 4), np.uint8)
    poses[0, 0, 0], poses[1, 0, 1], poses[1, 0, 0] = (9, 9, 9, 255), (5, 5, 5, 100), (1, 1, 1, 40)
    assert extent(poses)[0].tolist() == [[9, 9, 9, 255], [0, 0, 0, 100], [0, 0, 0, 0]]


def test_a_clip_with_frames_of_unequal_size_is_left_out_and_said(folders, tmp_path):
    moving = acted(tmp_path / "moving", ("c000060",), sizes=(64, 60))
    source = Takes(*folders, moving=moving, odds=takes.Odds(procedural=0, moving=1))
    with pytest.raises(UserError, match="c000060: frames of unequal size"):
        source.clip(1, 2, 36, 64)


# -- the clip ------------------------------------------------------------------------------------------------

def test_before_the_camera_the_compositing_equation_is_exact(folders):
    source = Takes(*folders)
    seen = set()
    for seed in range(60):
        clip = source.clip(seed, **SIZE, filmed=False)
        assert clip.alpha.dtype == np.float32 and clip.alpha.shape == (3, 72, 128)
        assert clip.frames.dtype == clip.foreground.dtype == clip.background.dtype == np.uint8
        assert clip.frames.shape == clip.foreground.shape == clip.background.shape == (3, 72, 128, 3)
        assert clip.alpha.min() >= 0 and clip.alpha.max() <= 1
        assert np.abs(clip.frames - equation(clip)).max() <= 0.51
        seen.update(shot.kind for shot in source.plan(seed, 3).shots)
        seen.update("thing" for shot in source.plan(seed, 3).shots if shot.thing)
    assert seen == {*KINDS, "thing"}


def test_the_camera_leaves_alpha_alone_and_its_light_keeps_the_equation(folders):
    source = Takes(*folders)
    for seed in range(8):
        clean, shot = source.clip(seed, **SIZE, filmed=False), source.clip(seed, **SIZE)
        np.testing.assert_array_equal(clean.alpha, shot.alpha)
        assert np.abs(shot.frames - equation(shot)).mean() < 20  # damage only: light is in F and B


def test_the_seed_decides_every_byte(folders):
    one, same = (Takes(*folders).clip(11, **SIZE) for _ in range(2))
    other = Takes(*folders).clip(12, **SIZE)
    for name in ("frames", "alpha", "foreground", "background"):
        assert getattr(one, name).tobytes() == getattr(same, name).tobytes()
    assert one.name == same.name and one.frames.tobytes() != other.frames.tobytes()


def test_nobody_is_nobody(folders):
    source = Takes(*folders)
    empty = [seed for seed in range(150) if all(s.kind == "nobody" for s in source.plan(seed, 2).shots)]
    assert len(empty) >= 3
    for seed in empty[:6]:
        clip = source.clip(seed, 2, 48, 64)
        assert not clip.alpha.any() and clip.frames.any()


def test_a_cut_changes_scene_and_person_and_a_pause_holds_the_picture(folders, monkeypatch):
    red = dataclasses.replace(PLAIN, kind="nobody", people=(), place=("scene", 0))
    green = dataclasses.replace(PLAIN, people=(0,), place=("photo", 0))
    planned(monkeypatch, red, green, cut=2, frames=4, moments=(0.0, 1.0, 2.0, 2.0))
    clip = Takes(*folders).clip(3, 4, 72, 128)
    np.testing.assert_allclose(clip.background[:2].mean((1, 2)), [[150, 40, 90]] * 2, atol=2)  # b000010
    np.testing.assert_allclose(clip.background[2:].mean((1, 2)), [[20, 200, 0]] * 2, atol=3)
    assert not clip.alpha[:2].any() and clip.alpha[2:].any()
    np.testing.assert_array_equal(clip.frames[2], clip.frames[3])
    assert clip.name.startswith("nobody+b000010|single+h000060+holiday 0")


def test_somebody_passes_a_side_of_the_frame(folders, monkeypatch):
    """Over a long clip: alpha is there, and at one end of it there is far less than at the other, mostly none."""
    planned(monkeypatch, dataclasses.replace(PLAIN, kind="passing", people=(0,), when=0.5), frames=12,
            moments=tuple(3.0 * t for t in range(12)))
    gone = []
    for seed in range(8):
        area = Takes(*folders).clip(seed, 12, 36, 64).alpha.sum((1, 2))
        assert area.max() > 50
        gone.append(min(area[0], area[-1]) / area.max())
    assert np.median(gone) < 0.05


def test_held_out_people_and_scenes_are_never_drawn(folders, monkeypatch):
    Image.new("RGB", (96, 54)).save(folders[2] / "b000009.png")  # a held-out scene is no photograph either
    opened = set()
    real = shelf.load
    monkeypatch.setattr(shelf, "load", lambda file, *rest: (opened.add(file.name), real(file, *rest))[1])
    source = Takes(*folders)
    for seed in range(120):
        source.clip(seed, 1, 24, 32)
    assert opened == ({f"h{n:06d}.png" for n in range(60, 66)} | {f"b{n:06d}.png" for n in (10, 11, 12)}
                      | {"holiday 0.jpg", "holiday 1.jpg"})


def test_held_out_seeds_are_refused():
    for seed in (clips.HELD_OUT.start, clips.HELD_OUT.stop - 1):
        with pytest.raises(UserError, match="held out"):
            Takes().clip(seed, 1, 16, 16)


@pytest.mark.parametrize("size", [(144, 256), (432, 768), (17, 33), (33, 17), (71, 127)])
def test_all_sizes_work(folders, size):
    source, large = Takes(*folders), size[0] > 200
    for seed in range(2 if large else 6):
        clip = source.clip(seed, 1 if large else 2, *size)
        assert clip.frames.shape[1:] == (*size, 3) and clip.alpha.shape[1:] == size


# -- people --------------------------------------------------------------------------------------------------

def test_the_head_of_a_bust_and_of_a_full_figure_is_found():
    """The bust's head is 48 rows from row 20; its shoulders are 80 wide, and 80 / 1.7 = 47."""
    top, height, middle = staging.head_of(bust()[..., 3])
    assert top == pytest.approx(20, abs=1) and height == pytest.approx(47, abs=2) and middle == pytest.approx(80, abs=1)
    full = np.zeros((200, 100), np.uint8)
    full[20:170, 40:60] = 255  # stands free: 150 rows
    assert staging.head_of(full) == (20, 20, 49.5)
    assert staging.head_of(np.zeros((30, 40), np.uint8)) == (0, 30, 20)  # nothing there: anything finite


@pytest.mark.parametrize("share", [0.4, 0.9])
def test_a_close_up_is_as_near_as_asked_and_cut_below(share):
    for seed in range(8):
        actor = staging.CloseUp(bust(), np.random.default_rng(seed), 90, 160, share)
        assert share < staging.head_height(actor) / 90 < 1.15 * share  # 6 % is room for the zoom
        for t in (0.0, 4.0, 20.0):
            alpha = actor.render([t])[3]
            columns = np.flatnonzero(alpha.max(0) > 0.9)
            assert not len(columns) or alpha[-1, columns].max() > 0.9


def test_a_procedural_close_up_is_as_near_as_asked():
    figure = staging.figure_close_up(np.random.default_rng(1), 90, 160, 0.8)
    assert figure.unit == pytest.approx(72)
    wide = (figure.render([0.0])[3][20:60] > 0.5).sum(1).max()
    assert wide > 0.5 * 72


def test_who_is_larger_stands_in_front(folders, monkeypatch):
    order = []
    real = staging.photographed
    monkeypatch.setattr(staging, "photographed",
                        lambda actors, *rest: (order.append([staging.head_height(a) for a in actors]),
                                               real(actors, *rest))[1])
    planned(monkeypatch, dataclasses.replace(PLAIN, kind="several", people=(0, 1, -1)), frames=1)
    for seed in range(6):
        Takes(*folders).clip(seed, 1, 36, 64)
    assert len(order) == 6 and all(heights == sorted(heights) and len(heights) == 3 for heights in order)


def test_shake_moves_people_and_backdrop_together(monkeypatch):
    """A hand that moves by (5, 0): the backdrop's edge and the figure's edge both move 5 pixels to the right."""
    class Step:
        def __init__(self, size):
            self.size = size

        def __call__(self, t):
            return self.size * (t >= 1)

    edge = np.zeros((60, 100, 3), np.uint8)
    edge[:, 50:] = 255
    shake = [Step(5), Step(0)]
    still = staging.Sprite(Image.fromarray(np.pad(edge, ((8, 7), (13, 12), (0, 0)), "edge")), 60, 100, shake,
                           NO_SHAKE, lambda t: 1.0)
    columns = [int(np.flatnonzero(still.view(t)[30, :, 0] > 127)[0]) for t in (0.0, 1.0)]
    assert columns[1] - columns[0] == 5
    actor = clips.MovingStill(bust(), np.random.default_rng(2), 60, 100)
    before = [actor.place(t)[0] for t in (0.0, 1.0)]
    staging.shaken(actor, shake)
    after = [actor.place(t)[0] for t in (0.0, 1.0)]
    assert np.subtract(after, before).tolist() == pytest.approx([0, 5])


# -- colour --------------------------------------------------------------------------------------------------

def layer(colour, alpha):
    """A premultiplied layer (1, 4, 40, 40): a disc's worth of noise around a colour, under some alpha."""
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, (3, 40, 40))
    straight = np.clip(np.array(colour)[:, None, None] + noise, 0, 1)
    return np.concatenate([straight * alpha, np.full((1, 40, 40), alpha)])[None].astype(np.float32)


def test_harmony_moves_the_mean_towards_the_background_and_leaves_alpha_alone():
    layers, blue = layer((0.7, 0.5, 0.4), 0.8), np.full((1, 40, 40, 3), (60, 80, 160), np.uint8)
    target, before = np.array([60, 80, 160]) / 255, layers[0, :3].mean((1, 2)) / 0.8
    for strength in (0.0, 0.5, 1.0):
        changed = staging.recoloured(layers[0], staging.harmony(layers, blue, strength))
        np.testing.assert_array_equal(changed[3], layers[0, 3])
        np.testing.assert_allclose(changed[:3].mean((1, 2)) / 0.8, before + strength * (target - before), atol=0.01)
        assert (changed[:3] <= changed[3]).all() and changed.min() >= 0


def test_harmony_of_nobody_changes_nothing():
    empty = np.zeros((1, 4, 12, 12), np.float32)
    np.testing.assert_allclose(staging.harmony(empty, np.zeros((1, 12, 12, 3), np.uint8), 1.0), np.eye(3, 4), atol=1e-5)


def test_an_affine_colour_on_premultiplied_planes_is_that_of_the_straight_colour():
    """F' = 0.5 F + 0.1: straight (0.4, 0.2, 0.6) becomes (0.3, 0.2, 0.4) whatever alpha is."""
    affine = np.concatenate([0.5 * np.eye(3), np.full((3, 1), 0.1)], axis=1)
    for alpha in (1.0, 0.5, 0.1):
        planes = (np.array([0.4, 0.2, 0.6, 1.0]) * alpha).astype(np.float32).reshape(4, 1, 1)
        np.testing.assert_allclose(staging.recoloured(planes, affine)[:, 0, 0],
                                   np.array([0.3, 0.2, 0.4, 1.0]) * alpha, atol=1e-6)


def test_other_clothes_are_a_mild_change_and_light_from_one_side_keeps_alpha():
    layers = layer((0.5, 0.4, 0.35), 1.0)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        changed = staging.recoloured(layers[0], staging.tint(rng))
        assert 0 < np.abs(changed[:3].mean((1, 2)) - layers[0, :3].mean((1, 2))).max() < 0.2
        lit = staging.relit(layers, rng)
        np.testing.assert_array_equal(lit[:, 3], layers[:, 3])
        ratio = (lit[0, :3] / layers[0, :3]).mean(0)
        assert ratio.max() / ratio.min() > 1.15 and 0.59 < ratio.min() and ratio.max() < 1.41


def test_defocus_blurs_alpha_with_its_colour():
    """A white half plane: alpha becomes soft, the straight colour stays white."""
    sharp = np.zeros((1, 4, 20, 40), np.float32)
    sharp[..., 20:] = 1
    soft = staging.defocused(sharp, 2.0)
    assert 0.2 < soft[0, 3, 10, 19] < 0.5 < soft[0, 3, 10, 20] < 0.8
    assert soft[0, 3].sum() == pytest.approx(400, rel=0.01)
    np.testing.assert_allclose(soft[:, :3], soft[:, 3:].repeat(3, axis=1), atol=1 / 254)


# -- in front ------------------------------------------------------------------------------------------------

def test_occlusion_by_hand():
    """alpha 0.8 over level 100, a thing of level 200 that covers a half: 0.4 is left of the figure. Of the other 0.6,
    0.5 is the thing and 0.1 the old background: (0.5 * 200 + 0.1 * 100) / 0.6 = 183.3."""
    alpha, behind = np.full((1, 1), 0.8, np.float32), np.full((1, 1, 3), 100, np.uint8)
    for cover, thing, left, expected in ((0, 0, 0.8, 100), (255, 200, 0.0, 200), (127.5, 100, 0.4, 183)):
        front = np.array([thing, thing, thing, cover], np.float32).reshape(1, 1, 4)
        found, background = staging.occluded(alpha, behind, front)
        assert found[0, 0] == pytest.approx(left) and background[0, 0].tolist() == [expected] * 3
    # The picture is the one that light makes: thing over (figure over background), here with a figure of level 50.
    seen = 0.5 * 200 + 0.5 * (0.8 * 50 + 0.2 * 100)
    assert 0.4 * 50 + 0.6 * 183.33 == pytest.approx(seen, abs=0.01)


@pytest.mark.parametrize("kind", takes.THINGS)
def test_a_thing_in_front_takes_exactly_its_coverage_from_alpha(folders, monkeypatch, kind):
    planned(monkeypatch, dataclasses.replace(PLAIN, kind="close", people=(0,), thing=kind, thing_from=("scene", 1)))
    covers, real = [], staging.occluded
    monkeypatch.setattr(staging, "occluded", lambda a, b, front: (covers.append(front.copy()), real(a, b, front))[1])
    touched = 0
    for seed in range(6):
        covers.clear()
        clip = Takes(*folders).clip(seed, **SIZE)
        with monkeypatch.context() as without:
            without.setattr(staging, "occluded", lambda a, b, front: (a, b))
            free = Takes(*folders).clip(seed, **SIZE)
        cover = np.stack(covers)[..., 3] / 255
        np.testing.assert_allclose(clip.alpha, free.alpha * (1 - cover), atol=1e-6)
        full = cover == 1
        assert np.abs(clip.frames[full].astype(int) - [165, 40, 90]).max(initial=0) <= 2  # the colour of b000011
        touched += (free.alpha * cover).max() > 0.5
        assert cover.mean() < 0.8
    assert touched >= 1


# -- files that cannot be read -------------------------------------------------------------------------------

def many(folder, count, broken):
    folder.mkdir()
    for n in range(count):
        path = folder / f"h{60 + n:06d}.png"
        if n in broken:
            path.write_bytes(b"\x89PNG\r\n\x1a\nbroken")
        else:
            Image.new("RGBA", (8, 8), (9, 9, 9, 255)).save(path)
    return folder


def test_a_broken_still_is_skipped_and_counted_and_over_one_percent_stop(tmp_path):
    """1 of 100 is 1 %: tolerated. 2 of 100 are not."""
    one = Takes(many(tmp_path / "one", 100, {7}))
    assert one.read("people", 7, 64, "RGBA")[1] == "h000068"  # the next one
    assert [file.name for file in one.left_out("people")] == ["h000067.png"]
    assert one.summary() == f"{tmp_path / 'one'}: 99 files; left out 1 unreadable (h000067.png)"
    assert one.read("people", 7, 64, "RGBA")[1] == "h000068" and one.marks.sum() == 1
    two = Takes(many(tmp_path / "two", 100, {7, 90}))
    two.read("people", 90, 64, "RGBA")
    with pytest.raises(UserError, match=r"h000067.png: not a readable.*2 of 100 files.*2.0 %, over 1 %.*copy") as stop:
        two.read("people", 7, 64, "RGBA")
    assert "\n" not in str(stop.value)


def test_what_is_no_still_is_named(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        Takes(photos=tmp_path / "nowhere")
    Image.new("RGB", (8, 8)).save(tmp_path / "opaque.png")
    with pytest.raises(UserError, match=r"opaque.png: no alpha channel; with it 1 of 1 files"):
        Takes(people=tmp_path).read("people", 0, 64, "RGBA")
