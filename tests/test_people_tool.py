"""tools/people: parsers on hand-made files, a body's arithmetic, one person per seed, work that goes on, bad input.

No Blender here: it draws what `Figure.frame` says, and that is plain NumPy. A mannequin of a few hundred vertices
stands in for MakeHuman's mesh, written in MakeHuman's own formats.
"""

import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
import types
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bivm_ref.errors import UserError
from tools.people import __main__ as command
from tools.people import (
    assets,
    body,
    figure,
    garments,
    hair,
    interrupts,
    jobs,
    makehuman,
    motion,
    outdoor_things,
    outdoors,
    person,
    render,
    rooms,
    sheet,
)

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def thin_hair(monkeypatch):
    """A hundredth of the strands: growing them all takes seconds."""
    monkeypatch.setattr(person, "STYLES", {name: replace(style, count=300) for name, style in hair.STYLES.items()})


# ── the formats ──────────────────────────────────────────────────────────────────────────────

def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


OBJ = """# a square and a triangle
v 0 0 0
v 1.5 0 0
v 1 1 0
v 0 1 -2
g body
f 1/1 2/2 3/3 4/4
g helper-tights
f 1 3 4
"""


def test_obj_has_vertices_faces_from_zero_and_groups(tmp_path):
    mesh = makehuman.read_obj(write(tmp_path / "a.obj", OBJ))
    assert mesh.vertices.tolist() == [[0, 0, 0], [1.5, 0, 0], [1, 1, 0], [0, 1, -2]]
    assert mesh.faces.tolist() == [[0, 1, 2, 3], [0, 2, 3, 3]] and mesh.groups == ("body", "helper-tights")


@pytest.mark.parametrize("text, said", [
    ("v 0 0 0\nf 1 2 3\n", "line 2 is not of that format"), ("v 0 zero 0\n", "line 1 is not of that format"),
    ("v 0 0 0\n", "holds no faces"), ("version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull")])
def test_damaged_obj_is_named_with_its_cure(tmp_path, text, said):
    with pytest.raises(UserError, match=said) as caught:
        makehuman.read_obj(write(tmp_path / "a.obj", text))
    assert "a.obj" in str(caught.value) and "\n" not in str(caught.value)


def test_target_moves_the_vertices_it_names(tmp_path):
    path = write(tmp_path / "a.target", "# by hand\n2 0 -.5 1\n\n0 .25 0 0\n")
    index, move = makehuman.read_target(path, 3)
    assert index.tolist() == [2, 0] and move.tolist() == [[0, -0.5, 1], [0.25, 0, 0]]
    with pytest.raises(UserError, match="a.target: line 2 is not of that format"):
        makehuman.read_target(path, 2)  # vertex 2 is of another mesh


def skeleton(bones: dict) -> str:
    """{name: (parent, vertex of its head, vertex of its tail)} as .mhskel."""
    return json.dumps({
        "bones": {name: {"head": f"{name}____head", "tail": f"{name}____tail", "parent": parent}
                  for name, (parent, _, _) in bones.items()},
        "joints": {f"{name}____{end}": [vertex] for name, (_, *ends) in bones.items()
                   for end, vertex in zip(("head", "tail"), ends)}})


def test_skeleton_puts_parents_first(tmp_path):
    path = write(tmp_path / "a.mhskel", skeleton({"hand": ("arm", 2, 3), "arm": ("root", 1, 2), "root": (None, 0, 1)}))
    parents, ends = makehuman.read_skeleton(path)
    assert list(parents.items()) == [("root", None), ("arm", "root"), ("hand", "arm")]
    assert ends["hand"] == ([2], [3])


@pytest.mark.parametrize("text, said", [
    (skeleton({"a": ("b", 0, 0), "b": ("a", 0, 0)}), "bone 'a' has no place in the tree"),
    (skeleton({"a": ("nobody", 0, 0)}), "bone 'nobody' has no place"),
    ('{"bones": {"a": {"parent": null, "head": "x", "tail": "x"}}, "joints": {}}', "lacks 'x'"),
    ('{"bones": {}}', "no 'joints'"), ("{", "is not JSON")])
def test_damaged_skeleton(tmp_path, text, said):
    with pytest.raises(UserError, match=said):
        makehuman.read_skeleton(write(tmp_path / "a.mhskel", text))


def test_weights_sum_to_one_and_the_unmoved_follow_the_root(tmp_path):
    path = write(tmp_path / "a.mhw", json.dumps({"weights": {"arm": [[0, 0.5], [1, 2]], "root": [[0, 1.5]]}}))
    weights = makehuman.read_weights(path, ["root", "arm"], 3)
    assert weights.tolist() == [[0.75, 0.25], [0, 1], [1, 0]]
    with pytest.raises(UserError, match="a bone 'arm' that the skeleton has not"):
        makehuman.read_weights(path, ["root"], 3)
    with pytest.raises(UserError, match="vertex 1, and the mesh has 1"):
        makehuman.read_weights(path, ["root", "arm"], 1)


MHCLO = """# a hat
name hat
obj_file hat.obj
x_scale 0 1 0.5
verts 0
0 1 2 .5 .25 .25 0.1 0.2 0
2
delete_verts
1 - 3 7
"""
HAT = "v 9 9 9\nv 9 9 9\nf 1 2 2\n"


def test_garment_hangs_on_the_body_and_grows_with_it(tmp_path):
    write(tmp_path / "hat.obj", HAT)
    hat = makehuman.read_garment(write(tmp_path / "hat.mhclo", MHCLO))
    assert hat.hides.tolist() == [1, 2, 3, 7]
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 4, 8]], float)
    # x: the two vertices of x_scale are 1 apart and were 0.5, so offsets double; y and z have no scale
    assert garments.fit(hat, vertices).tolist() == [[0.25 + 0.2, 1.2, 2.0], [0, 4, 8]]
    weights = np.array([[1, 0], [0, 1], [0.5, 0.5]])
    assert garments.follow(hat, weights).tolist() == [[0.625, 0.375], [0.5, 0.5]]


def test_garment_of_another_obj(tmp_path):
    write(tmp_path / "hat.obj", "v 9 9 9\n" + HAT)
    with pytest.raises(UserError, match="hat.mhclo: 2 vertices for the 3 of its .obj; fetch the garment's folder"):
        makehuman.read_garment(write(tmp_path / "hat.mhclo", MHCLO))


# ── the body ─────────────────────────────────────────────────────────────────────────────────

def test_shares_of_a_build_sum_to_one():
    assert [body.three_way(v) for v in (0, 0.5, 0.75, 1)] == [(1, 0, 0), (0, 1, 0), (0, 0.5, 0.5), (0, 0, 1)]
    weights = body.blend(0.25, {"young": 0.5, "old": 0.5}, {"asian": 1.0}, 0.75, 0.5, 1.0, 0.5)
    assert weights["macrodetails/asian-female-old"] == 0.75 * 0.5
    assert weights["macrodetails/universal-male-young-maxmuscle-averageweight"] == 0.25 * 0.5 * 0.5
    assert weights["macrodetails/height/male-young-maxmuscle-averageweight-maxheight"] == 0.0625
    assert weights["macrodetails/proportions/male-young-maxmuscle-averageweight-idealproportions"] == 0.03125
    assert not any("minheight" in name or "minmuscle" in name for name in weights)
    for part in ("macrodetails/asian", "macrodetails/universal"):
        assert sum(w for name, w in weights.items() if name.startswith(part)) == pytest.approx(1)
    assert set(weights) <= set(assets.macro_targets())


def test_morph_adds_weighted_moves_and_leaves_its_input():
    base = np.zeros((3, 3))
    targets = {"a": (np.array([0, 2]), np.array([[1, 0, 0], [0, 2, 0]])), "b": (np.array([2]), np.array([[0, 0, 4.0]]))}
    assert body.morph(base, targets, {"a": 0.5, "b": 0.25}).tolist() == [[0.5, 0, 0], [0, 0, 0], [0, 1, 1]]
    assert not base.any()


def test_bones_turn_after_their_parents():
    """An arm along x, bent 90° at the elbow and raised 90° at the shoulder, both about z: the hand ends at (-1, 1)."""
    parents = {"shoulder": None, "elbow": "shoulder"}
    heads = {"shoulder": np.zeros(3), "elbow": np.array([1.0, 0, 0])}
    quarter = body.rotation([0, 0, 2], 90)
    np.testing.assert_allclose(quarter @ [1, 0, 0], [0, 1, 0], atol=1e-15)
    bones = body.bone_matrices(parents, heads, {"shoulder": quarter, "elbow": quarter})
    points, weights = np.array([[0.5, 0, 0], [2.0, 0, 0], [2.0, 0, 0]]), np.array([[1, 0], [0, 1], [0.5, 0.5]])
    expected = [[0, 0.5, 0], [-1, 1, 0], [-0.5, 1.5, 0]]  # the last: halfway between (0, 2) and (-1, 1)
    np.testing.assert_allclose(body.skin(points, weights, bones), expected, atol=1e-12)


def test_normals_weigh_faces_by_area():
    points = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 2.0]])
    square, triangle = [0, 1, 2, 3], [0, 3, 4, 4]  # areas 1 (towards z) and 1 (towards x)
    normals = body.vertex_normals(points, np.array([square, triangle]))
    np.testing.assert_allclose(normals[[1, 4]], [[0, 0, 1], [1, 0, 0]], atol=1e-12)
    np.testing.assert_allclose(normals[0], np.array([1, 0, 1]) / np.sqrt(2), atol=1e-12)


# ── motion ───────────────────────────────────────────────────────────────────────────────────

def test_curve_on_hand_worked_values():
    curve = motion.Curve(1.0, waves=((2.0, 0.25, 0.0),), steps=((2.0, 4.0, 10.0),))
    assert curve(1.0) == pytest.approx(1 + 2)  # a quarter of a period
    assert curve(4.0) == pytest.approx(1 + 0 + 5)  # half of the step: s(1/2) = 1/2
    assert curve(9.0) == pytest.approx(1 + 2 + 10)
    assert curve.top_speed == pytest.approx(2 * np.pi * 2 * 0.25 + 1.875 * 10 / 4)


@pytest.mark.parametrize("seed", range(6))
def test_no_angle_jumps(seed):
    moves, times = motion.draw_motion(np.random.default_rng(seed)), np.linspace(0, 10, 1001)
    for name, curve in moves.angles.items():
        values = np.array([curve(t) for t in times])
        assert np.abs(np.diff(values)).max() <= curve.top_speed * 0.01 + 1e-9, name
        assert curve.top_speed < 450, name  # degrees per second: an elbow at its quickest
    lids = np.array([moves.lids(t) for t in times])
    assert lids.max() > 0.9 and np.mean(lids == 0) > 0.8 and np.abs(np.diff(lids)).max() < 0.16


# ── hair ─────────────────────────────────────────────────────────────────────────────────────

def test_sample_is_even_over_the_area():
    points = np.array([[0, 0, 0], [3, 0, 0], [3, 1, 0], [0, 1, 0], [0, 5, 0], [1, 5, 0], [1, 6, 0], [0, 6, 0.0]])
    faces = np.array([[0, 1, 2, 3], [4, 5, 6, 7]])  # areas 3 and 1
    places, normals = hair.sample(faces, points, np.tile([0, 0, 1.0], (8, 1)), 4000, np.random.default_rng(0))
    large = places[:, 1] <= 1
    assert large.mean() == pytest.approx(0.75, abs=0.03) and (normals == [0, 0, 1]).all()
    np.testing.assert_allclose(places[large].mean(axis=0), [1.5, 0.5, 0], atol=0.06)


def test_nothing_stays_inside_the_skin():
    skin = hair.Skin(np.array([[0, 0, 0], [5.0, 0, 0]]), np.array([[0, 0, 1.0], [0, 0, 1.0]]))
    points = np.array([[0, 0, -0.2], [0.1, 0, 0.05], [0, 0, 0.5], [0, 9.0, -0.2]])
    expected = [[0, 0, 0.1], [0.1, 0, 0.1], [0, 0, 0.5], [0, 9, -0.2]]  # in, too near, free, out of reach
    np.testing.assert_allclose(skin.push_out(points, 0.1), expected, atol=1e-12)


def test_hair_follows_head_and_chest():
    strands, height = np.zeros((1, 3, 3)), np.array([[1.0, 0.0, -3.2]])
    shift = [np.eye(4) for _ in range(3)]
    for matrix, x in zip(shift, (1.0, 2.0, 5.0)):  # head, late head, chest
        matrix[0, 3] = x
    moved = hair.carry(strands, height, *shift)
    # root: the head; middle: half head, half late; tip: late, but 80 % chest as it hangs low
    np.testing.assert_allclose(moved[0, :, 0], [1.0, 1.5, 0.2 * 2 + 0.8 * 5])
    assert hair.carry(strands + 3, height, *[np.eye(4)] * 3).tolist() == (strands + 3).tolist()


# ── a mannequin in MakeHuman's formats ───────────────────────────────────────────────────────

CHAIN = ["root", *motion.SPINE, *motion.NECK]
ARM_BONES = {"clavicle": (0.2, 5.5), "upperarm01": (1.7, 5.2), "lowerarm01": (3.1, 3.5), "lowerarm02": (3.7, 3.0),
             "wrist": (4.3, 2.4)}


def mannequin_bones() -> dict[str, tuple[str | None, tuple]]:
    """{bone: (parent, where it begins)}: a spine, two arms with fingers, two legs, eyes."""
    heights = np.linspace(0.5, 6.9, len(CHAIN))
    bones = {name: (CHAIN[k - 1] if k else None, (0, heights[k], 0)) for k, name in enumerate(CHAIN)}
    for side, sign in motion.SIDES:
        parent = "spine01"
        for name, (x, y) in ARM_BONES.items():
            bones[f"{name}.{side}"] = (parent, (sign * x, y, 0.1 if name == "upperarm01" else 0.6))
            parent = f"{name}.{side}"
        for finger, joint in motion.FINGERS:
            place = (sign * (4.5 + 0.2 * int(joint)), 2.3, 0.2 * (5 - int(finger)))
            above = f"wrist.{side}" if joint == "1" else f"finger{finger}-{int(joint) - 1}.{side}"
            bones[f"finger{finger}-{joint}.{side}"] = (above, place)
        bones[f"upperleg01.{side}"] = ("root", (sign, 0.4, 0))
        bones[f"lowerleg01.{side}"] = (f"upperleg01.{side}", (sign, -3.7, 0))
        bones[f"eye.{side}"] = ("head", (0.3 * sign, 7.3, 1.2))
    return bones


def tube(radii: list[float], heights: list[float], centre=(0.0, 0.0), segments: int = 16):
    """Vertices and quads of a surface of revolution about y."""
    angle = 2 * np.pi * np.arange(segments) / segments
    x, z = centre
    vertices = [(x + r * np.sin(a), y, z + r * np.cos(a)) for r, y in zip(radii, heights) for a in angle]
    at = np.arange(len(vertices)).reshape(len(radii), segments)
    right = np.roll(at, -1, axis=1)
    return vertices, np.stack([at[:-1], right[:-1], right[1:], at[1:]], axis=-1).reshape(-1, 4)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """A data folder that is complete: mesh, skeleton, weights, every required target, one outfit."""
    folder, bones = tmp_path_factory.mktemp("data"), mannequin_bones()
    turn = np.linspace(-np.pi / 2, np.pi / 2, 13)
    parts = {
        "body": (*tube([1.2] * 8 + [0.4, 0.35], [*np.linspace(-8, 5, 8), 5.8, 6.6]), "spine01"),
        "body ": (*tube(np.cos(turn), 7.5 + np.sin(turn), (0, 0.35)), "head"),
        "helper-tights": (*tube([1.3] * 12, np.linspace(-7.9, 6.1, 12)), "spine01"),
        "helper-skirt": (*tube([2.0] * 6, np.linspace(-7, 1.5, 6)), "root"),
        **{f"helper-{name}": (*tube([0.01, 0.2, 0.01], [y - 0.2, y, y + 0.2], (x, 1.1)), "head") for name, x, y in (
            ("l-eye", 0.3, 7.3), ("r-eye", -0.3, 7.3), ("upper-teeth", 0, 6.7), ("lower-teeth", 0, 6.6))}}
    lines, count, weights = [], 0, {}
    faces = []
    for name, (vertices, quads, bone) in parts.items():
        lines += ["v {:.5f} {:.5f} {:.5f}".format(*vertex) for vertex in vertices]
        faces += [f"g {name.strip()}", *("f " + " ".join(str(k + count + 1) for k in quad) for quad in quads)]
        weights.setdefault(bone, []).extend([[count + k, 1.0] for k in range(len(vertices))])
        count += len(vertices)
    first_joint = count
    lines += ["v {:.5f} {:.5f} {:.5f}".format(*place) for _, place in bones.values()]
    write(folder / assets.MESH, "\n".join(lines + faces) + "\n")
    numbers = {name: first_joint + k for k, name in enumerate(bones)}
    write(folder / assets.SKELETON, skeleton({n: (p, numbers[n], numbers[n]) for n, (p, _) in bones.items()}))
    write(folder / assets.WEIGHTS, json.dumps({"weights": weights}))
    for path in assets.required_files()[3:]:
        write(folder / path, "# moves one vertex of the head\n250 0 0 .01\n")
    write(folder / "targets/nose/nose-long.target", "250 0 0 .2\n")
    write(folder / "clothes/shoes01/shoes.obj", HAT)
    write(folder / "clothes/shoes01/shoes01.mhclo", MHCLO.replace("hat.obj", "shoes.obj"))
    return folder


@pytest.fixture(scope="module")
def mannequin(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("prepared") / "mannequin.npz"
    assert command.main(["prepare", str(data), str(path)]) == 0
    return path


@pytest.fixture(scope="module")
def read(mannequin):
    return assets.load(mannequin)


def test_prepared_file_says_what_the_folder_says(data, read):
    direct = assets.load(data)
    for name in ("vertices", "faces", "face_groups", "weights", "body", "lips", "strongest_bone"):
        np.testing.assert_array_equal(getattr(read, name), getattr(direct, name), name)
    assert read.parents == direct.parents and read.ends == direct.ends and list(read.targets) == list(direct.targets)
    assert read.targets["nose/nose-long"][1].tolist() == np.float32([[0, 0, 0.2]]).tolist()
    assert read.garments["shoes01"].hides.tolist() == [1, 2, 3, 7] and read.skin_vertices == 10 * 16 + 13 * 16
    assert assets.summary(read)[2] == (
        "garments: 1, 0 of them whole outfits; people will wear plain shirts, trousers and skirts")


def test_one_seed_is_one_person(read):
    again, other = (person.draw_person(seed, read.targets, read.garments) for seed in (7, 8))
    assert person.draw_person(7, list(read.targets)[::-1], read.garments) == again != other


def test_parts_are_drawn_independently(read):
    """Another wardrobe leaves face, hair, motion and view as they are."""
    one = person.draw_person(5, read.targets, read.garments)
    two = person.draw_person(5, read.targets, [*read.garments, "male_suit", "female_suit", "fedora"])
    same = ("weights", "hair", "motion", "view", "skin", "beard", "glasses", "fabrics")
    assert {name: getattr(one, name) for name in same} == {name: getattr(two, name) for name in same}


def test_people_are_the_same_in_every_process(mannequin):
    program = ("import zlib; from dataclasses import replace; from tools.people import assets, figure, hair, person; "
               "a = assets.load({!r}); p = person.draw_person(4, a.targets, a.garments); "
               "p = replace(p, beard=0, hair=replace(hair.STYLES['wavy'], count=300)); "
               "f = figure.Figure(a, p).frame(0.5); "
               "print(zlib.crc32(repr(p).encode()), [zlib.crc32(s.points.tobytes()) for s in f.surfaces + f.strands])")
    said = [subprocess.run([sys.executable, "-c", program.format(str(mannequin))], cwd=ROOT, text=True, check=True,
                           capture_output=True, env=os.environ | {"PYTHONHASHSEED": seed}).stdout for seed in "12"]
    assert said[0] == said[1] and said[0].count(",") > 5


def test_the_figures_vary(read):
    people = [person.draw_person(seed, read.targets, read.garments) for seed in range(120)]
    assert {p.style for p in people} >= {"bald", "buzz", "short", "long", "afro", "curly", "bob", "wavy", "messy"}
    assert {p.view.framing for p in people} == {"head", "waist", "full"}
    assert 36 < sum(p.male for p in people) < 84 and 6 < sum(p.glasses is not None for p in people) < 50
    assert {cut.kind for p in people for cut in p.pieces} == {"top", "trousers", "skirt"}


def long_haired(read, seed: int = 4):
    someone = person.draw_person(seed, read.targets, read.garments)
    style = replace(hair.STYLES["long"], count=300)
    return replace(someone, hair=style, beard=0.3, glasses=(0.25, 0.2, 2.0, 0.01))


@pytest.mark.parametrize("seed", [4, 9])
def test_a_clip_moves_without_jumps(read, seed):
    """Half a second at 24 frames a second: no vertex of skin, cloth or hair moves over 7 cm from frame to frame."""
    walk = figure.Figure(read, long_haired(read, seed))
    frames = [walk.frame(k / 24) for k in range(12)]
    travelled = 0.0
    for before, after in zip(frames, frames[1:]):
        for one, two in zip(before.surfaces + before.strands, after.surfaces + after.strands, strict=True):
            step = np.linalg.norm(two.points - one.points, axis=-1)
            assert one.name == two.name and step.max() < 0.7, one.name
            travelled += step.mean()
    assert travelled > 0.05  # and it does move


def test_hair_is_rooted_in_the_scalp_at_every_moment(read):
    walk = figure.Figure(read, long_haired(read))
    for moment in (0.0, 0.7):
        frame = walk.frame(moment)
        skin, strands = frame.surfaces[0], next(s for s in frame.strands if s.name == "hair")
        away, _ = hair.Skin(skin.points, skin.points).tree.query(strands.points[:, 0])
        assert away.max() < 0.35  # the ball's vertices are up to 0.4 apart
        lengths = np.linalg.norm(np.diff(strands.points, axis=1), axis=-1).sum(axis=1)
        assert 1.0 < np.median(lengths) < 7.0 and strands.radii.max() < 0.003


def test_skin_below_clothes_is_not_drawn_and_cloth_lies_outside(read):
    someone = replace(person.draw_person(4, read.targets, read.garments), outfit=None, shoes=None,
                      pieces=(garments.Cut("top", hem=-0.5), garments.Cut("trousers", hem=-0.5)))
    dressed = figure.Figure(read, someone)
    assert 0 < len(dressed.shown) < len(read.body)
    top = next(s for s in dressed.frame(0.0).surfaces if s.name == "top")
    assert dressed.cloths[0].rest[:, 1].min() > -2.0 and np.isfinite(top.points).all()
    skirt = garments.Cloth(read, garments.Cut("skirt", hem=0.0, length=-4.0))
    assert not skirt.hidden(read).any() and -6.0 < skirt.rest[:, 1].min() < -3.0


# ── rooms ────────────────────────────────────────────────────────────────────────────────────

def test_kit_places_a_box_along_a_wall():
    kit = rooms.Kit()
    kit.place[:3] = np.column_stack([(0, 1, 0), (-1, 0, 0), (0, 0, 1), (3, 0, 0)])  # a wall at x = 3, along y
    kit.place = rooms.along(kit.place, 2.0)
    kit.box((0, 0, 0), (1, 0.5, 2), (0.1, 0.2, 0.3))
    points, faces, colours = kit.meshes()["plain"]
    assert points.min(axis=0).tolist() == [2.5, 2, 0] and points.max(axis=0).tolist() == [3, 3, 2]
    assert faces.shape == (6, 4) and colours.tolist() == [[0.1, 0.2, 0.3]] * 6
    kit.box((0, 0, 0), (1, 1, 1), (0, 0, 0), turn=90)  # about its own middle: the same cube
    assert kit.meshes()["plain"][1].max() == 15
    np.testing.assert_allclose(kit.meshes()["plain"][0][8:].min(axis=0), [2, 2, 0], atol=1e-12)


def test_turned_things_are_round():
    kit = rooms.Kit()
    kit.turned(np.array([1.0, 2, 3]), [0.5, 0.25], [0, 1], (1, 1, 1), "glow")
    points, faces, _ = kit.meshes()["glow"]
    radius = np.linalg.norm(points[:, :2] - [1, 2], axis=1)
    np.testing.assert_allclose(radius, [0.5] * rooms.ROUND + [0.25] * rooms.ROUND)
    assert faces.shape == (rooms.ROUND, 4) and points[:, 2].tolist() == [3.0] * rooms.ROUND + [4.0] * rooms.ROUND


@pytest.mark.parametrize("seed", range(8))
def test_a_room_has_a_window_and_keeps_within_its_walls(seed):
    room, again = rooms.draw_room(seed), rooms.draw_room(seed)
    width, depth, height = room.size
    assert room.windows and set(room.meshes) <= set(rooms.MATERIALS)
    for name, (points, faces, colours) in room.meshes.items():
        assert np.array_equal(points, again.meshes[name][0]) and len(colours) == len(faces)
        assert faces.min() == 0 and faces.max() == len(points) - 1 and (colours >= 0).all(), name
        assert (np.abs(points[:, 0]) <= width / 2 + 0.5).all() and (points[:, 1] <= depth + 0.5).all(), name
        assert (points[:, 2] >= -0.3).all() and (points[:, 2] <= height + 0.3).all(), name
    assert abs(room.eye[0]) < width / 2 and 0 <= room.eye[1] < depth
    assert not np.array_equal(rooms.draw_room(seed + 100).eye, room.eye)


# ── outdoors ─────────────────────────────────────────────────────────────────────────────────

def edges_of(faces):
    """How often every edge occurs, by its two corners; a quad whose last corners are one is a triangle."""
    count = {}
    for face in faces.tolist():
        corners = face[:3] if face[2] == face[3] else face
        for pair in zip(corners, corners[1:] + corners[:1]):
            key = tuple(sorted(pair))
            count[key] = count.get(key, 0) + 1
    return count


@pytest.mark.parametrize("way", [(0, 0, 2), (0, 3, 0), (1, 1, 1)])
def test_a_limb_is_a_closed_cone_between_its_ends(way):
    kit, start = rooms.Kit(), np.array([1.0, 2, 3])
    outdoor_things.limb(kit, start, start + way, 0.5, 0.25, (1, 0, 0))
    points, faces, _ = kit.meshes()["plain"]
    assert set(edges_of(faces).values()) == {2}  # watertight: every edge belongs to two faces
    unit = np.array(way) / np.linalg.norm(way)
    height = (points - start) @ unit
    radius = np.linalg.norm(points - start - height[:, None] * unit, axis=1)
    n = outdoor_things.SIDES
    np.testing.assert_allclose(height, [0] * n + [np.linalg.norm(way)] * n + [0, np.linalg.norm(way)], atol=1e-12)
    np.testing.assert_allclose(radius, [0.5] * n + [0.25] * n + [0, 0], atol=1e-7)


def test_a_tapered_box_is_drawn_in_above():
    kit = rooms.Kit()
    outdoor_things.tapered(kit, (0, 0, 0), (4, 2, 1), (0.5, 0.25), (1, 1, 1))
    points, _, _ = kit.meshes()["plain"]
    below, above = points[points[:, 2] == 0], points[points[:, 2] == 1]
    assert below.min(axis=0).tolist() == [0, 0, 0] and below.max(axis=0).tolist() == [4, 2, 0]
    assert above.min(axis=0).tolist() == [0.5, 0.25, 1] and above.max(axis=0).tolist() == [3.5, 1.75, 1]


def test_rows_face_the_camera():
    for way, out in (((1, 0), (0, -1)), ((0, 1), (1, 0)), ((0, -1), (-1, 0))):  # at the back, on the left, on the right
        place = outdoors.facing((5, 6, 0), way)
        assert (place @ [1, 0, 0, 1])[:2].tolist() == [5 + way[0], 6 + way[1]]
        assert (place @ [0, 1, 0, 1])[:2].tolist() == [5 + out[0], 6 + out[1]]


@pytest.mark.parametrize("seed", range(12))
def test_a_place_outdoors_is_whole_and_leaves_the_camera_free(seed):
    seen, again = outdoors.draw_outdoors(seed), outdoors.draw_outdoors(seed)
    assert seen.kind in outdoors.PLACES and set(seen.meshes) <= set(rooms.MATERIALS)
    for name, (points, faces, colours) in seen.meshes.items():
        assert np.array_equal(points, again.meshes[name][0]) and len(colours) == len(faces)
        assert np.isfinite(points).all() and faces.min() == 0 and faces.max() == len(points) - 1, name
        assert (colours >= 0).all() and points[:, 2].min() > -1.0, name  # low twigs may end in it
        # Nothing but the ground is nearer than a person who stands at a metre.
        near = np.linalg.norm(points - seen.eye, axis=1) < 1.0
        assert not near.any(), name
    assert seen.aim[1] > seen.eye[1] and 0 <= seen.sky.clouds <= 1 and seen.sky.strength > 0


def test_all_kinds_of_places_and_hours_occur():
    seen = [outdoors.draw_outdoors(seed) for seed in range(40)]
    assert {place.kind for place in seen} == set(outdoors.PLACES)
    assert any("glow" in place.meshes for place in seen) and {place.aperture is None for place in seen} == {True, False}
    suns = np.array([place.sky.sun for place in seen])
    assert (suns < 0.05).any() and (suns > 2).any()  # nights and bright days


# ── from two passes to a picture ─────────────────────────────────────────────────────────────

def test_alpha_is_the_second_pass_and_colour_bleeds_outwards():
    own = np.zeros((40, 40))
    own[:, :20] = 1.0
    colour = np.dstack([own * c for c in (0.4, 0.2, 0.1)] + [own])
    alpha = own.copy()
    alpha[:, 20] = 0.25
    mean = 0.2126 * 0.4 + 0.7152 * 0.2 + 0.0722 * 0.1
    assert (gain := render.exposure_gain(colour, 0.2)) == pytest.approx(0.2 / mean)
    picture = render.finish(colour, alpha, gain)
    assert picture[..., 3].tolist() == np.rint(255 * alpha).astype(int).tolist()
    linear = np.array([0.4, 0.2, 0.1]) * 0.2 / mean  # all below the shoulder
    assert linear.max() < 0.7
    expected = 255 * (1.055 * linear ** (1 / 2.4) - 0.055)
    np.testing.assert_allclose(picture[20, [3, 19, 20, 30, 39], :3], np.tile(expected, (5, 1)), atol=1.0)


def test_bright_spot_does_not_burn_out():
    colour = np.zeros((8, 8, 4))
    colour[..., 3] = 1
    colour[..., :3] = 0.01
    colour[:2, :, :3] = 4.0
    gain = render.exposure_gain(colour, 0.2)
    assert gain == 0.3  # 0.2 / (0.4 · 4.0) = 0.125 is held at the lower end
    picture = render.finish(colour, np.ones((8, 8)), gain)
    assert picture[0, 0, 0] < 250 and picture[7, 7, 0] > 0


# ── work that goes on ────────────────────────────────────────────────────────────────────────

def runner(out: Path, names: list[str], fail: dict | None = None):
    """jobs.run with a fake render: writes NAME.webp; `fail` maps a name to the exception it raises."""
    made, said = [], []

    def make(name: str) -> str:
        if error := (fail or {}).get(name):
            raise error
        jobs.write_picture(out / f"{name}.webp", np.zeros((4, 4, 4), np.uint8))
        made.append(name)
        return "done"

    return made, said, lambda most=100: jobs.run(
        out, names, lambda name: (out / f"{name}.webp").exists(), make, said.append, most)


def test_the_same_command_goes_on(tmp_path):
    names = [f"h{k:06}" for k in range(5)]
    made, _, run = runner(tmp_path, names[:2])
    assert run().text() == "2 made, 0 were there"
    made, said, run = runner(tmp_path, names)
    assert run().text() == "3 made, 2 were there" and made == names[2:] and said == [f"{n}: done" for n in names[2:]]
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{name}.webp" for name in names]


def test_a_seed_that_fails_is_marked_named_and_counted(tmp_path):
    made, said, run = runner(tmp_path, ["a", "b", "c"], {"b": ZeroDivisionError("no light")})
    assert run().text() == "2 made, 0 were there, 1 failed" and made == ["a", "c"]
    assert said[1].startswith("b: FAILED (ZeroDivisionError: no light); passed over, details in")
    assert "ZeroDivisionError: no light" in (tmp_path / ".b.trying").read_text()
    made, said, run = runner(tmp_path, ["a", "b", "c"])
    assert run().text() == "0 made, 2 were there, 1 passed over, marked by an earlier run"
    assert "remove" in said[0] and ".b.trying" in said[0]
    (tmp_path / ".b.trying").unlink()
    assert run().text() == "1 made, 2 were there"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), UserError("disk full")])
def test_an_interruption_ends_the_run_and_leaves_no_mark(tmp_path, error):
    made, _, run = runner(tmp_path, ["a", "b", "c"], {"b": error})
    with pytest.raises(type(error)):
        run()
    assert made == ["a"] and [path.name for path in tmp_path.iterdir()] == ["a.webp"]


def test_a_long_run_asks_for_a_fresh_process(tmp_path):
    made, _, run = runner(tmp_path, ["a", "b", "c"])
    assert run(2).unfinished and made == ["a", "b"]
    assert not run(2).unfinished and made == ["a", "b", "c"]


def test_a_half_written_still_is_never_seen(tmp_path, monkeypatch):
    def half(self, path, **options):
        Path(path).write_bytes(b"RIFF")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", half)
    with pytest.raises(UserError, match="a.webp: cannot be written .No space left on device.; choose another --out"):
        jobs.write_picture(tmp_path / "a.webp", np.zeros((4, 4, 4), np.uint8))
    assert list(tmp_path.iterdir()) == []


def test_stills_keep_alpha_without_loss(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 4), dtype=np.uint8)
    jobs.write_picture(tmp_path / "a.webp", pixels)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.webp"))[..., 3], pixels[..., 3])


@pytest.mark.skipif(os.name != "posix", reason="signals to another process are POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_exits_130_with_one_line(tmp_path, number):
    program = f"""
import sys, time
from pathlib import Path
from tools.people import __main__ as command
def slow(arguments):
    def make(name):
        Path({str(tmp_path)!r}, "ready").touch()
        time.sleep(60)
    return command.work(arguments, "h", lambda name: False, make)
command.make_people = slow
sys.exit(command.main(["person", "--assets", "none", "--out", {str(tmp_path / "out")!r}]))
"""
    process = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 30
    while not (tmp_path / "ready").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130 and said == "people: stopped; the same command goes on from here\n"
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_waits_until_blender_has_returned(number):
    """Blender prints and swallows what is raised within a render; the work must end all the same."""
    done, before = [], [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(KeyboardInterrupt), interrupts.polite():
        with interrupts.put_off():
            signal.raise_signal(number)
            done.append("the render")
        done.append("never")
    assert done == ["the render"] and [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == before
    with pytest.raises(KeyboardInterrupt), interrupts.polite():
        signal.raise_signal(number)  # outside of Blender: at once
    with interrupts.put_off():  # and no old wish is left over
        done.append("another render")
    assert done == ["the render", "another render"]


def test_a_signal_is_not_lost_where_the_render_fails_as_well():
    with pytest.raises(KeyboardInterrupt), interrupts.polite(), interrupts.put_off():
        signal.raise_signal(signal.SIGINT)
        raise RuntimeError("Blender gave up")


def test_an_ignored_ctrl_c_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with interrupts.polite():
            signal.raise_signal(signal.SIGINT)
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


class Renders(list):
    """The seeds that were rendered, and the gain that each render was given."""

    def __init__(self):
        self.gains = []


@pytest.fixture
def fake_blender(monkeypatch):
    """Blender and its stage replaced: a render is a picture whose pixels all are the number of renders so far."""
    renders = Renders()

    def render_frame(someone, frame, shot, quality, gain=None):
        renders.append(someone.seed)
        renders.gains.append(gain)
        return np.full((quality.size, quality.size, 4), len(renders), np.uint8), gain or 1.5

    monkeypatch.setattr(command, "require_blender", lambda: "4.2.0")
    monkeypatch.setattr(render, "render_frame", render_frame)
    stage, place_stage = types.ModuleType("tools.people.stage"), types.ModuleType("tools.people.place_stage")
    stage.frame_shot = lambda view, frame: None
    place_stage.render_place = lambda seen, width, height, *_: np.zeros((height, width, 3), np.uint8)
    monkeypatch.setitem(sys.modules, "tools.people.stage", stage)
    monkeypatch.setitem(sys.modules, "tools.people.place_stage", place_stage)
    return renders


def test_scenes_from_the_command_line(tmp_path, fake_blender, capsys):
    words = ["scene", "--out", str(tmp_path), "--size", "64", "--start", "10", "--count", "2"]
    assert command.main(words) == 0 and command.main(words) == 0
    assert capsys.readouterr().out.endswith("0 made, 2 were there\n")
    assert {path.name: Image.open(path).size for path in tmp_path.glob("*.jpg")} == {
        "b000010.jpg": (64, 36), "b000011.jpg": (64, 36)}
    assert sheet.check(tmp_path) == []  # no alpha is asked of a scene


@pytest.mark.parametrize("kind", ["rooms", "outdoors", "both"])
def test_scenes_are_of_the_kind_asked_for(kind, tmp_path, fake_blender, capsys):
    words = ["scene", "--out", str(tmp_path), "--size", "64", "--start", "10", "--count", "6", "--kind", kind]
    assert command.main(words) == 0
    found = [line.split(": ")[1].split(",")[0] for line in capsys.readouterr().out.splitlines() if line[0] == "b"]
    inside = [name == "room" for name in found]
    assert len(found) == 6 and set(found) <= {"room", *outdoors.PLACES}
    assert set(inside) == {"rooms": {True}, "outdoors": {False}, "both": {True, False}}[kind]
    refused = command.main([*words[:-1], "rooms" if kind != "rooms" else "both"])
    assert refused == 2 and "ERROR" in capsys.readouterr().err  # a folder holds pictures of one kind


def test_person_and_clip_from_the_command_line(mannequin, tmp_path, fake_blender, capsys):
    words = ["--assets", str(mannequin), "--size", "32", "--start", "60"]
    assert command.main(["person", *words, "--out", str(tmp_path / "people"), "--count", "2"]) == 0
    assert sorted(path.name for path in (tmp_path / "people").glob("*.webp")) == ["h000060.webp", "h000061.webp"]
    assert fake_blender == [60, 61]

    clip = ["clip", *words, "--out", str(tmp_path / "clips"), "--frames", "3"]
    assert command.main(clip) == 0
    (tmp_path / "clips" / "c000060" / "0001.webp").unlink()  # as if the run had ended there
    capsys.readouterr()
    assert command.main(clip) == 0 and fake_blender[2:] == [60, 60, 60, 60]
    assert "c000060: " in (said := capsys.readouterr().out) and "1 made, 0 were there" in said
    assert command.main(clip) == 0 and len(fake_blender) == 6  # nothing is made twice
    assert fake_blender.gains == [None, None, None, 1.5, 1.5, 1.5]  # all frames of a clip have the first one's
    (tmp_path / "clips" / "c000060" / "gain.txt").write_text("bright")
    (tmp_path / "clips" / "c000060" / "0002.webp").unlink()
    assert command.main(clip) == 2
    assert "gain.txt: is damaged" in (said := capsys.readouterr().err) and "the same command makes it again" in said

    assert command.main([*clip[:-1], "4"]) == 2
    assert "holds pictures made with frames 3, not 4; choose another --out" in capsys.readouterr().err
    assert command.main(["person", *words, "--out", str(tmp_path / "people"), "--size", "64"]) == 2
    assert "made with size 32, not 64" in capsys.readouterr().err


def test_after_a_hundred_renders_a_new_process_goes_on(mannequin, tmp_path, fake_blender, monkeypatch):
    class Replaced(BaseException):
        pass

    def replace_process(program, words):
        raise Replaced(words[1:3])

    monkeypatch.setattr(jobs.run, "__defaults__", (2,))
    monkeypatch.setattr(os, "execv", replace_process)
    with pytest.raises(Replaced, match=r"'-m', 'tools.people'"):
        command.main(["person", "--assets", str(mannequin), "--size", "32", "--out", str(tmp_path), "--count", "3"])
    assert len(fake_blender) == 2


# ── the contact sheet, and what is wrong with a folder ───────────────────────────────────────

def save(path: Path, colour: tuple, mode: str = "RGBA", size: int = 40) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, (size, size), colour).save(path)
    return path


def test_sheet_shows_every_still_in_order(tmp_path):
    for number, colour in enumerate([(255, 0, 0, 255), (0, 255, 0, 255), (0, 0, 255, 0)]):
        save(tmp_path / f"h00000{number}.png", colour)
    assert command.main(["sheet", str(tmp_path), "--cell", "40", "--columns", "2"]) == 0
    shown = np.asarray(Image.open(tmp_path / "sheet" / "sheet.png"))
    assert shown.shape == (2 * (40 + 14), 2 * 40, 3)
    assert [shown[y, x].tolist() for y, x in ((20, 20), (20, 60), (74, 20))] == [
        [255, 0, 0], [0, 255, 0], list(sheet.GROUND)]  # the third is transparent


def test_sheet_shows_six_frames_of_each_clip(tmp_path):
    for clip in ("c000001", "c000002"):
        for number in range(11):
            save(tmp_path / clip / f"{number:04}.png", (20 * number, 0, 0, 255))
    assert sheet.contact_sheet(tmp_path, tmp_path / "sheet.png", cell=40) == 12
    shown = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert shown[20, 20::40, 0].tolist() == [0, 40, 80, 120, 160, 200]  # frames 0, 2, 4, 6, 8, 10


def test_a_corrupt_still_is_named_with_its_cure(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(command, "require_blender", lambda: "4.2.0")
    save(tmp_path / "h000001.webp", (1, 2, 3, 4))
    whole = (tmp_path / "h000001.webp").read_bytes()
    (tmp_path / "h000002.webp").write_bytes(whole[: len(whole) // 2])
    save(tmp_path / "h000003.png", (1, 2, 3), "RGB")
    (tmp_path / ".h000004.trying").touch()
    assert command.main(["sheet", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "h000002.webp: is damaged" in line and "delete it, and the same command as before makes it again" in line
    assert command.main(["check", str(tmp_path)]) == 2
    damaged, opaque, trying = sorted(capsys.readouterr().err.splitlines(), key=lambda line: line[-30:])
    said = " ".join((damaged, opaque, trying))
    assert all(part in said for part in ("h000002.webp: is damaged", "h000003.png: has no alpha", ".h000004.trying"))
    for path in ("h000002.webp", "h000003.png", ".h000004.trying"):
        (tmp_path / path).unlink()
    assert command.main(["check", str(tmp_path)]) == 0
    assert "1 pictures, 0 frames of clips" in capsys.readouterr().out


# ── bad input ────────────────────────────────────────────────────────────────────────────────

def refused(capsys, *words: str) -> str:
    """The one line that a command prints on stderr before it exits with 2."""
    assert command.main(list(words)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("people: ERROR: ")
    return line


def test_without_blender_one_line_says_how_to_get_it(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "bpy", None)  # importing it fails, whether it is installed or not
    for words in (["check"], ["person", "--assets", "none", "--out", str(tmp_path / "out")]):
        assert "bpy is missing here: in an environment of Python 3.11, pip install 'bpy==4.2.*'" in refused(
            capsys, *words)
    assert not (tmp_path / "out").exists()


def test_an_old_blender(capsys, monkeypatch):
    old = types.SimpleNamespace(app=types.SimpleNamespace(version=(3, 6, 0), version_string="3.6.0"))
    monkeypatch.setitem(sys.modules, "bpy", old)
    assert "bpy 3.6.0 is too old" in refused(capsys, "check")


@pytest.mark.parametrize("lost", [assets.MESH, assets.WEIGHTS, "targets/macrodetails/asian-male-old.target",
                                  "targets/expression/units/caucasian/mouth-open.target"])
def test_incomplete_assets_name_the_first_missing_file(data, tmp_path, capsys, lost):
    for path in assets.required_files():
        if path != lost:
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            os.symlink(data / path, tmp_path / path)
    line = refused(capsys, "prepare", str(tmp_path), str(tmp_path / "out.npz"))
    assert f"no {lost}; get MakeHuman 1.2 or newer, https://github.com/makehumancommunity/makehuman" in line
    assert not (tmp_path / "out.npz").exists()


def test_no_assets_at_all(tmp_path, capsys, fake_blender):
    words = ["person", "--out", str(tmp_path / "out"), "--assets"]
    assert "nowhere: no such file or folder; get MakeHuman" in refused(capsys, *words, str(tmp_path / "nowhere"))
    assert f"no {assets.MESH}; get MakeHuman" in refused(capsys, *words, str(tmp_path))
    assert fake_blender == [] and not (tmp_path / "out").exists()


class Trap:
    """Unpickling it would write a file."""

    def __reduce__(self):
        return (open, ("unpickled", "w"))


@pytest.mark.parametrize("kind", ["pickle", "npy", "npz", "text", "zip of nothing"])
def test_other_files_are_refused_and_never_unpickled(tmp_path, capsys, monkeypatch, fake_blender, kind):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "cache.npz"
    trap = np.array([Trap()], object)
    with open(path, "wb") as file:
        if kind == "pickle":
            pickle.dump(Trap(), file)
        elif kind == "npy":
            np.save(file, trap, allow_pickle=True)
        elif kind == "npz":
            np.savez(file, facts=trap)
        elif kind == "text":
            file.write(b"no archive")
        else:
            np.savez(file)
    line = refused(capsys, "person", "--assets", str(path), "--out", "out")
    assert "cache.npz: is no prepared file of this tool; make it again with `python -m tools.people prepare`" in line
    assert not (tmp_path / "unpickled").exists()


def test_garment_and_skeleton_of_another_mesh(data, tmp_path):
    with pytest.raises(UserError, match="garment hat hangs on vertex 2, and the mesh has 2"):
        write(tmp_path / "hat.obj", HAT)
        assets.check_indices(data, 2, {}, {"hat": makehuman.read_garment(write(tmp_path / "hat.mhclo", MHCLO))})
    with pytest.raises(UserError, match="the ends of bone root are not on the mesh"):
        assets.check_indices(data, 2, {"root": ([0], [2])}, {})


@pytest.mark.parametrize("what", ["finger2-1.L", "helper-tights", "is empty", "moves in the target mouth"])
def test_assets_that_lack_a_part_are_one_line(data, tmp_path, capsys, fake_blender, what):
    """Else every seed would fail in turn, and be marked."""
    folder = shutil.copytree(data, tmp_path / "data")
    if what == "helper-tights":
        path = folder / assets.MESH
        path.write_text(path.read_text().replace("g helper-tights", "g helper-other"))
    elif what == "finger2-1.L":
        path = folder / assets.SKELETON
        path.write_text(path.read_text().replace('"finger2-1.L"', '"finger9-1.L"'))
        path = folder / assets.WEIGHTS
        path.write_text(path.read_text().replace('"finger2-1.L"', '"finger9-1.L"'))
    else:
        path = folder / "targets" / f"{assets.LIPS[0]}.target"
        path.write_text("" if what == "is empty" else "# nothing moves\n")
    for words in (("person", "--out", str(tmp_path / "out"), "--assets", str(folder)),
                  ("prepare", str(folder), str(tmp_path / "out.npz"))):
        line = refused(capsys, *words)
        assert what in line and ";" in line
    assert fake_blender == [] and not (tmp_path / "out").exists()


def test_empty_and_missing_folders(tmp_path, capsys):
    assert "holds no pictures" in refused(capsys, "sheet", str(tmp_path))
    assert "nowhere: no such folder" in refused(capsys, "sheet", str(tmp_path / "nowhere"))


def test_settings_that_cannot_be_read(tmp_path):
    (tmp_path / "people.json").write_text("{")
    with pytest.raises(UserError, match="people.json: cannot be read .*choose another --out"):
        jobs.claim(tmp_path, {"size": 32})


@pytest.mark.parametrize("words", [["person"], ["person", "--assets", "a", "--out", "b", "--size", "8"],
                                   ["clip", "--assets", "a", "--out", "b", "--frames", "none"], ["paint"]])
def test_wrong_options_exit_with_2(words, capsys):
    with pytest.raises(SystemExit) as ended:
        command.main(words)
    assert ended.value.code == 2 and "usage: python -m tools.people" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["check", "prepare", "person", "clip", "scene", "sheet"])
def test_every_command_explains_itself(name, capsys):
    with pytest.raises(SystemExit) as ended:
        command.main([name, "--help"])
    assert ended.value.code == 0 and f"usage: python -m tools.people {name}" in capsys.readouterr().out


def test_the_module_starts_from_the_repository():
    done = subprocess.run([sys.executable, "-m", "tools.people", "--help"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0 and "usage: python -m tools.people" in done.stdout
