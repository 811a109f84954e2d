"""Readers of MakeHuman's text formats: meshes, morph targets, skeleton, skin weights, garments.

All lengths are MakeHuman's, decimetres, with x to the person's left, y up and z to the front. A reader knows one
format and nothing of the others; which files there have to be is the business of assets.py. The formats:

    .obj      Wavefront: `v x y z`, `g name`, `f 1/1 2/2 3/3 4/4` (indices from 1)
    .target   one line for every vertex that moves: `index dx dy dz`
    .mhskel   JSON: "bones" {name: {head, tail, parent}}, "joints" {name: [vertices whose mean the joint is]}
    .mhw      JSON: "weights" {bone: [[vertex, weight], ...]}
    .mhclo    a garment's vertices, each hung on three vertices of the body: `a b c  wa wb wc  dx dy dz`
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bivm_ref.errors import UserError

LFS_POINTER = "version https://git-lfs"  # what a clone without Git LFS holds in a large file's place


@dataclass(frozen=True)
class Mesh:
    """Vertices, faces and the name of every face's group. A triangle is a quad whose last vertex comes twice."""

    vertices: np.ndarray  # (V, 3) float64
    faces: np.ndarray  # (F, 4) int32
    groups: tuple[str, ...]  # F names


@dataclass(frozen=True)
class Garment:
    """A mesh that follows the body: vertex n is Σ weights[n, k] · body[anchors[n, k]] + scale · offsets[n]."""

    anchors: np.ndarray  # (N, 3) int32, vertices of the base mesh
    weights: np.ndarray  # (N, 3) float64; a row sums to 1, up to rounding
    offsets: np.ndarray  # (N, 3) float64, for a body as large as the one the garment was made on
    scales: np.ndarray  # (3, 3): for each axis two vertices of the base mesh and their distance on that first body
    faces: np.ndarray  # (F, 4) int32
    hides: np.ndarray  # (D,) int32: the body's vertices below, which are not drawn


def read_text(path: Path) -> str:
    """A file's text. Raises UserError that names the cure for a missing file and for Git LFS's pointers."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); name MakeHuman's data folder, see "
                        "tools/people/README.md") from error
    if text.startswith(LFS_POINTER):
        raise UserError(f"{path}: is only a pointer of Git LFS; run `git lfs pull` in that clone")
    return text


def damaged(path: Path, number: int, line: str) -> UserError:
    return UserError(f"{path}: line {number} is not of that format ({line.strip()[:40]!r}); fetch the file again")


def read_obj(path: Path) -> Mesh:
    """The vertices, faces and groups of a Wavefront file; texture coordinates and normals are passed over."""
    vertices, faces, groups, group = [], [], [], ""
    for number, line in enumerate(read_text(path).splitlines(), 1):
        words = line.split()
        try:
            if not words or words[0] not in ("v", "g", "f"):
                continue
            if words[0] == "v":
                vertices.append([float(word) for word in words[1:4]])
            elif words[0] == "g":
                group = words[1] if len(words) > 1 else ""
            else:
                corners = [int(word.split("/")[0]) - 1 for word in words[1:]]
                if len(corners) not in (3, 4) or not 0 <= min(corners) <= max(corners) < len(vertices):
                    raise ValueError
                faces.append(corners if len(corners) == 4 else [*corners, corners[-1]])
                groups.append(group)
        except ValueError:
            raise damaged(path, number, line) from None
    if not faces:
        raise UserError(f"{path}: holds no faces; fetch the file again")
    return Mesh(np.array(vertices, float), np.array(faces, np.int32), tuple(groups))


def read_target(path: Path, vertices: int) -> tuple[np.ndarray, np.ndarray]:
    """A morph target: which vertices move (K,) int32, and by how much at weight 1 (K, 3) float32, in decimetres.

    `vertices` is how many the base mesh has; a target of another mesh is refused.
    """
    indices, moves = [], []
    text = read_text(path)
    if not text.strip():  # comments alone are a target that moves nothing, and there are such
        raise UserError(f"{path}: is empty; fetch the file again")
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith(("#", '"')):
            continue
        try:
            index, move = int(words[0]), [float(word) for word in words[1:]]
            if len(move) != 3 or not 0 <= index < vertices:
                raise ValueError
        except ValueError:
            raise damaged(path, number, line) from None
        indices.append(index)
        moves.append(move)
    return np.array(indices, np.int32), np.array(moves, np.float32).reshape(-1, 3)


def read_json(path: Path, *keys: str) -> dict:
    """A JSON object that has all of `keys`."""
    try:
        content = json.loads(read_text(path))
    except ValueError as error:
        raise UserError(f"{path}: is not JSON ({error}); fetch the file again") from error
    for key in keys:
        if not isinstance(content, dict) or not isinstance(content.get(key), dict):
            raise UserError(f"{path}: has no {key!r}; take the one of MakeHuman 1.1 or newer")
    return content


def read_skeleton(path: Path) -> tuple[dict[str, str | None], dict[str, tuple[list[int], list[int]]]]:
    """Each bone's parent, and the base mesh's vertices whose means are the bone's head and tail.

    Parents come before their children, whatever the file's order.
    """
    content = read_json(path, "bones", "joints")
    bones, joints = content["bones"], content["joints"]
    parents, ends = {}, {}

    def place(name: str, children: tuple[str, ...] = ()) -> None:
        """Put a bone behind its parents."""
        if name in parents:
            return
        if name not in bones or name in children:
            raise UserError(f"{path}: bone {name!r} has no place in the tree; fetch the file again")
        bone = bones[name]
        if bone["parent"]:
            place(bone["parent"], (*children, name))
        parents[name] = bone["parent"]
        ends[name] = (joints[bone["head"]], joints[bone["tail"]])

    try:
        for name in bones:
            place(name)
    except (KeyError, TypeError) as error:
        raise UserError(f"{path}: a bone lacks {error}; fetch the file again") from error
    return parents, ends


def read_weights(path: Path, bones: list[str], vertices: int) -> np.ndarray:
    """Skin weights (V, B) float32, one column for every bone: how much of a vertex follows it.

    Every row sums to 1; a vertex that no bone moves follows the first bone, the root.
    """
    weights = np.zeros((vertices, len(bones)), np.float32)
    for name, pairs in read_json(path, "weights")["weights"].items():
        if name not in bones:
            raise UserError(f"{path}: weighs a bone {name!r} that the skeleton has not; fetch both from one release")
        for vertex, weight in pairs:
            if not 0 <= vertex < vertices:
                raise UserError(f"{path}: weighs vertex {vertex}, and the mesh has {vertices}; fetch both from one "
                                "release")
            weights[vertex, bones.index(name)] = max(weight, 0.0)
    weights[weights.sum(axis=1) == 0, 0] = 1.0
    return weights / weights.sum(axis=1, keepdims=True)


def read_garment(path: Path) -> Garment:
    """A .mhclo file and the .obj it names. A vertex line may also be one number: exactly that vertex of the body."""
    anchors, weights, offsets, hides, scales = [], [], [], [], {}
    mesh, section = None, "header"
    for number, line in enumerate(read_text(path).splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            if words[0] in ("verts", "delete_verts"):
                section = words[0]
            elif words[0] == "obj_file":
                mesh = read_obj(path.with_name(words[1]))
            elif words[0] in ("x_scale", "y_scale", "z_scale"):
                scales[words[0][0]] = [int(words[1]), int(words[2]), float(words[3])]
            elif section == "delete_verts":
                hides += hidden_vertices(words)
            elif section == "verts" and len(words) in (1, 9):
                anchors.append([int(words[0])] * 3 if len(words) == 1 else [int(word) for word in words[:3]])
                numbers = [1.0, 0, 0, 0, 0, 0] if len(words) == 1 else [float(word) for word in words[3:]]
                weights.append(numbers[:3])
                offsets.append(numbers[3:])
        except (ValueError, IndexError):
            raise damaged(path, number, line) from None
    if mesh is None or len(anchors) != len(mesh.vertices):
        found = "no obj_file" if mesh is None else f"{len(anchors)} vertices for the {len(mesh.vertices)} of its .obj"
        raise UserError(f"{path}: {found}; fetch the garment's folder again")
    unscaled = [0, 0, 0.0]
    return Garment(
        np.array(anchors, np.int32), np.array(weights, float), np.array(offsets, float),
        np.array([scales.get(axis, unscaled) for axis in "xyz"], float), mesh.faces,
        np.array(sorted(set(hides)), np.int32))


def hidden_vertices(words: list[str]) -> list[int]:
    """`3 5 - 8 10` → [3, 5, 6, 7, 8, 10]."""
    found = []
    for k, word in enumerate(words):
        if word == "-":
            found += range(int(words[k - 1]) + 1, int(words[k + 1]))
        else:
            found.append(int(word))
    return found
