"""Everything the generator takes from MakeHuman, from its data folder or from one file prepared of it.

Reading some five hundred text files takes a while, so `python -m tools.people prepare DATA FILE.npz` writes what they
say into one file of plain arrays and a piece of JSON. Nothing here is ever unpickled: a pickle runs whatever code its
author put into it.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from bivm_ref.errors import UserError
from bivm_ref.files import beside

from .bones import BONES
from .makehuman import Garment, read_garment, read_obj, read_skeleton, read_target, read_weights

GET = ("get MakeHuman 1.2 or newer, https://github.com/makehumancommunity/makehuman with the garments of "
       "makehuman-assets, and name its makehuman/data folder")
VERSION = 1  # of the prepared file
MESH, SKELETON, WEIGHTS = "3dobjs/base.obj", "rigs/default.mhskel", "rigs/default_weights.mhw"

RACES, SEXES, AGES = ("african", "asian", "caucasian"), ("female", "male"), ("child", "young", "old")
MUSCLES = ("minmuscle", "averagemuscle", "maxmuscle")
FATS = ("minweight", "averageweight", "maxweight")
HEIGHTS = ("minheight", "maxheight")
EXPRESSIONS = tuple(f"expression/units/caucasian/{name}" for name in (
    "mouth-corner-puller", "mouth-open", "eye-left-closure", "eye-right-closure",
    "eyebrows-left-up", "eyebrows-right-up", "eyebrows-left-down", "eyebrows-right-down"))
LIPS = ("mouth/mouth-upperlip-volume-incr", "mouth/mouth-lowerlip-volume-incr")
GROUPS = ("body", "helper-tights", "helper-skirt", "helper-l-eye", "helper-r-eye", "helper-upper-teeth",
          "helper-lower-teeth")  # of the base mesh's faces, without which no figure can be made
FACE = ("head", "nose", "mouth", "chin", "neck", "eyes", "ears")  # folders of small changes, drawn at random


def macro_targets() -> list[str]:
    """The targets every body is a blend of: face by ancestry, build by muscle and fat, proportions, height."""
    names = [f"macrodetails/{race}-{sex}-{age}" for race in RACES for sex in SEXES for age in AGES]
    builds = [f"{sex}-{age}-{muscle}-{fat}" for sex in SEXES for age in AGES for muscle in MUSCLES for fat in FATS]
    names += [f"macrodetails/universal-{build}" for build in builds]
    names += [f"macrodetails/proportions/{build}-idealproportions" for build in builds]
    return names + [f"macrodetails/height/{build}-{height}" for build in builds for height in HEIGHTS]


def required_files() -> list[str]:
    """Paths below the data folder without which no person can be made, in the order they are looked for."""
    targets = [*macro_targets(), *EXPRESSIONS, *LIPS]
    return [MESH, SKELETON, WEIGHTS, *(f"targets/{name}.target" for name in targets)]


@dataclass(frozen=True)
class Assets:
    """The base mesh with its morph targets, skeleton and skin weights, and the garments made for it."""

    vertices: np.ndarray  # (V, 3) float64, decimetres; x to the person's left, y up, z to the front
    faces: np.ndarray  # (F, 4) int32
    face_groups: np.ndarray  # (F,) of names: "body", "helper-tights", "helper-l-eye", "joint-...", ...
    targets: dict[str, tuple[np.ndarray, np.ndarray]]  # name: (K,) vertices, (K, 3) moves at weight 1
    parents: dict[str, str | None]  # of every bone; parents stand before their children
    ends: dict[str, tuple[list[int], list[int]]]  # of every bone: the vertices that its head and its tail are means of
    weights: np.ndarray  # (V, B) float32, rows sum to 1: how much of a vertex follows each bone
    garments: dict[str, Garment]

    @cached_property
    def bones(self) -> list[str]:
        return list(self.parents)

    def group(self, name: str) -> np.ndarray:
        """The faces of one group: (F', 4) int32."""
        return self.faces[self.face_groups == name]

    @cached_property
    def body(self) -> np.ndarray:
        """Faces of the skin. The base mesh's other groups are helpers: what clothes hang on, eyes, teeth, joints."""
        return self.group("body")

    @cached_property
    def skin_vertices(self) -> int:
        """The skin's vertices come first in the mesh: [0, skin_vertices)."""
        return int(self.body.max()) + 1

    @cached_property
    def lips(self) -> np.ndarray:
        """Vertices of the skin that the targets for fuller lips move by at least 0.3 of their largest move."""
        found = []
        for name in LIPS:
            index, move = self.targets[name]
            length = np.linalg.norm(move, axis=1)
            found.append(index[length > 0.3 * length.max()])
        return np.unique(np.concatenate(found))

    @cached_property
    def ears(self) -> np.ndarray:
        """Vertices of the skin that any target for ears moves."""
        moved = [self.targets[name][0] for name in self.targets if name.startswith("ears/")]
        index = np.unique(np.concatenate(moved or [np.zeros(0, np.int32)]))
        return index[index < self.skin_vertices]

    @cached_property
    def strongest_bone(self) -> np.ndarray:
        """(V,) names: the bone that moves a vertex most."""
        return np.array(self.bones)[self.weights.argmax(axis=1)]


# ── from MakeHuman's folder ──────────────────────────────────────────────────────────────────

def first_missing(data: Path) -> str | None:
    return next((name for name in required_files() if not (data / name).is_file()), None)


def read_folder(data: Path, say=lambda text: None) -> Assets:
    """Read MakeHuman's data folder; `say` is told the progress. Raises UserError that names the first missing file."""
    if missing := first_missing(data):
        raise UserError(f"{data}: no {missing}; {GET}")
    mesh = read_obj(data / MESH)
    parents, ends = read_skeleton(data / SKELETON)
    weights = read_weights(data / WEIGHTS, list(parents), len(mesh.vertices))
    names = set(macro_targets()) | set(EXPRESSIONS) | set(LIPS)
    for folder in FACE:
        names |= {f"{folder}/{path.stem}" for path in (data / "targets" / folder).glob("*.target")}
    targets = {}
    for number, name in enumerate(sorted(names)):
        if number % 100 == 0:
            say(f"reading target {number} of {len(names)}")
        targets[name] = read_target(data / "targets" / f"{name}.target", len(mesh.vertices))
    garments = {path.stem: read_garment(path)
                for kind in ("clothes", "eyebrows") for path in sorted((data / kind).glob("*/*.mhclo"))}
    check_indices(data, len(mesh.vertices), ends, garments)
    groups = np.array(mesh.groups)
    return whole(Assets(mesh.vertices, mesh.faces, groups, targets, parents, ends, weights, garments), data)


def whole(assets: Assets, source: Path) -> Assets:
    """The assets, or UserError where the mesh, the skeleton or a target lacks what every figure is made of."""
    groups = set(assets.face_groups.tolist())
    lacking = [f"faces of the group {name}" for name in GROUPS if name not in groups]
    lacking += [f"bone {name}" for name in BONES if name not in assets.parents]
    lacking += [f"moves in the target {name}" for name in LIPS if not len(assets.targets.get(name, ((), ()))[0])]
    if lacking:
        raise UserError(f"{source}: has no {lacking[0]}; {GET}")
    return assets


def check_indices(source: Path, vertices: int, ends: dict, garments: dict[str, Garment]) -> None:
    """Raises UserError for a joint or a garment that hangs on a vertex the base mesh has not."""
    for name, pair in ends.items():
        if not all(part and 0 <= min(part) <= max(part) < vertices for part in pair):
            raise UserError(f"{source}: the ends of bone {name} are not on the mesh; fetch all from one release")
    for name, garment in garments.items():
        anchors = garment.anchors
        if anchors.size and not 0 <= anchors.min() <= anchors.max() < vertices:
            raise UserError(f"{source}: garment {name} hangs on vertex {anchors.max()}, and the mesh has {vertices}; "
                            "it was made for another base mesh: remove it")


# ── one prepared file ────────────────────────────────────────────────────────────────────────

def save(assets: Assets, path: Path) -> None:
    """All of it in one compressed .npz: arrays, and a JSON text for names and the tree of bones."""
    names = list(assets.targets)
    moves = [assets.targets[name] for name in names]
    arrays = {
        "vertices": assets.vertices, "faces": assets.faces, "weights": assets.weights,
        "target_index": np.concatenate([index for index, _ in moves]),
        "target_move": np.concatenate([move for _, move in moves]),
    }
    for number, garment in enumerate(assets.garments.values()):
        arrays |= {f"garment{number}.{key}": getattr(garment, key) for key in Garment.__dataclass_fields__}
    groups = sorted(set(assets.face_groups.tolist()))
    arrays["face_group"] = np.array([groups.index(name) for name in assets.face_groups], np.int16)
    facts = {"version": VERSION, "groups": groups, "parents": assets.parents, "ends": assets.ends,
             "targets": {name: len(index) for name, (index, _) in assets.targets.items()},
             "garments": list(assets.garments)}
    with beside(path) as part, open(part, "wb") as file:  # an open file: np.savez would add .npz to a name
        np.savez_compressed(file, facts=np.frombuffer(json.dumps(facts).encode(), np.uint8), **arrays)


def read_prepared(path: Path) -> Assets:
    """The inverse of save. Raises UserError for any other file, pickles among them."""
    cure = "make it again with `python -m tools.people prepare`"
    try:
        with np.load(path, allow_pickle=False) as file:
            facts = json.loads(file["facts"].tobytes())
            if facts["version"] != VERSION:
                raise UserError(f"{path}: was prepared by another version; {cure}")
            ends = np.cumsum([0, *facts["targets"].values()])
            index, move = file["target_index"], file["target_move"]
            targets = {name: (index[a:b], move[a:b]) for name, a, b in zip(facts["targets"], ends, ends[1:])}
            garments = {name: Garment(**{key: file[f"garment{n}.{key}"] for key in Garment.__dataclass_fields__})
                        for n, name in enumerate(facts["garments"])}
            return whole(Assets(
                file["vertices"], file["faces"], np.array(facts["groups"])[file["face_group"]], targets,
                facts["parents"], {name: tuple(pair) for name, pair in facts["ends"].items()},
                file["weights"], garments), path)
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile, EOFError) as error:
        raise UserError(f"{path}: is no prepared file of this tool; {cure}") from error


def load(place: str | Path, say=lambda text: None) -> Assets:
    """From a data folder or a prepared file, whichever `place` is."""
    place = Path(place)
    if place.is_dir():
        return read_folder(place, say)
    if not place.exists():
        raise UserError(f"{place}: no such file or folder; {GET}")
    return read_prepared(place)


def summary(assets: Assets) -> list[str]:
    """What there is, in a few lines for `check`."""
    suits = [name for name in assets.garments if name.startswith(("male_", "female_"))]
    small = sum(name.split("/")[0] in FACE for name in assets.targets)
    return [
        f"base mesh: {assets.skin_vertices} vertices of skin, {len(assets.vertices)} in all, {len(assets.bones)} bones",
        f"targets: {len(assets.targets)}, {small} of them small changes of the face",
        f"garments: {len(assets.garments)}, {len(suits)} of them whole outfits"
        + ("" if suits else "; people will wear plain shirts, trousers and skirts"),
    ]
