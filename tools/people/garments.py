"""Clothes: outfits made for MakeHuman's body, and shirts, trousers and skirts cut from the body's own helper meshes.

The base mesh wears invisible tights and an invisible skirt, meant for fitting clothes. A shirt here is the part of the
tights within some lengths (sleeve, neck, hem), smoothed so that it spans hollows as cloth does, and kept off the skin.
Lengths are decimetres on the base mesh: its soles are at y = -8.4, hips near 0, shoulders near 5.4, crown at 8.5.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

from .assets import Assets
from .body import vertex_normals
from .hair import Skin
from .makehuman import Garment

ARM = ("upperarm", "lowerarm", "wrist", "finger", "metacarpal")
LEG = ("upperleg", "lowerleg", "foot", "toe")
BARE = ("wrist", "finger", "metacarpal", "foot", "toe", "head", "neck")  # bones whose skin no shirt or trousers cover
CREASES = 6


def fit(garment: Garment, vertices: np.ndarray) -> np.ndarray:
    """A garment's vertices on a body in rest pose: (N, 3). `vertices` (V, 3) are that body's, helpers included.

    Offsets grow with the body: along each axis by the distance of two of its vertices, relative to the same distance
    on the body that the garment was made on.
    """
    scale = np.ones(3)
    for axis, (first, second, distance) in enumerate(garment.scales):
        if distance > 0:
            scale[axis] = abs(vertices[int(first), axis] - vertices[int(second), axis]) / distance
    return (vertices[garment.anchors] * garment.weights[:, :, None]).sum(axis=1) + garment.offsets * scale


def follow(garment: Garment, weights: np.ndarray) -> np.ndarray:
    """Skin weights (N, B) of a garment: those (V, B) of the vertices it hangs on, in the same shares."""
    share = np.clip(garment.weights, 0.0, None)
    share /= np.maximum(share.sum(axis=1, keepdims=True), 1e-6)
    return sum(share[:, k, None] * weights[garment.anchors[:, k]] for k in range(3))


@dataclass(frozen=True)
class Cut:
    """One piece cut from the helper meshes: "top", "trousers" or "skirt"."""

    kind: str
    sleeve: float = 2.5  # |x| at which sleeves end; the wrist is near 4.4
    neck: float = 5.9  # y of the neckline ...
    plunge: float = 0.0  # ... and how much deeper it is at the front
    hem: float = 0.0  # y at which a top ends or the waistband begins
    length: float = -7.3  # y at which trousers or a skirt end
    loose: float = 0.1  # distance from the helper mesh
    smooth: int = 6  # rounds of smoothing
    crease: float = 0.05  # height of the creases
    seed: int = 0  # of their places


def moved_by(assets: Assets, prefixes: tuple[str, ...]) -> np.ndarray:
    """(V,) bool: vertices whose strongest bone's name starts with one of `prefixes`."""
    return np.char.startswith(assets.strongest_bone[:, None], np.array(prefixes)).any(axis=1)


def cut_faces(assets: Assets, cut: Cut) -> np.ndarray:
    """The helper faces within a cut: (F', 4)."""
    faces = assets.group("helper-skirt" if cut.kind == "skirt" else "helper-tights")
    x, y, z = assets.vertices[faces].mean(axis=1).T
    x = np.abs(x)
    arm = moved_by(assets, ARM)[faces].any(axis=1)
    if cut.kind == "skirt":
        return faces[(y > cut.length) & (y < cut.hem + 0.6)]
    if cut.kind == "trousers":
        return faces[~arm & (y < cut.hem + 0.6) & (y > cut.length)]
    front = np.where(z > 0.5, 2 * cut.plunge * (1 - np.minimum(1, x / 0.7)), 0.0)
    below_neck = (x > 0.85) | (y < cut.neck - front)
    return faces[np.where(arm, x < cut.sleeve, y > cut.hem) & below_neck]


class Cloth:
    """A cut piece, ready to be draped over the body frame after frame."""

    def __init__(self, assets: Assets, cut: Cut):
        self.cut, faces = cut, cut_faces(assets, cut)
        self.used, local = np.unique(faces, return_inverse=True)
        self.faces = local.reshape(faces.shape).astype(np.int32)
        self.rest = assets.vertices[self.used]  # where the pattern is printed on
        count = len(self.used)
        edges = np.concatenate([self.faces[:, [k, (k + 1) % 4]] for k in range(4)])
        ones = np.ones(len(edges))
        near = sparse.csr_matrix((ones, (edges[:, 0], edges[:, 1])), shape=(count, count))
        near = ((near + near.T) > 0).astype(float)
        self.mean = sparse.diags(1 / np.maximum(np.asarray(near.sum(axis=1)).ravel(), 1)) @ near
        rng = np.random.default_rng(cut.seed)
        ways = rng.uniform(1, 3.5, (CREASES, 3)) * rng.choice([-1, 1], (CREASES, 3))
        phases = rng.uniform(0, 2 * np.pi, CREASES)
        self.creases = np.sin(self.rest @ ways.T + phases).mean(axis=1)  # fixed in the cloth, so they move with it

    def hidden(self, assets: Assets) -> np.ndarray:
        """(skin_vertices,) bool: skin that surely lies below this piece and is not drawn."""
        helpers = np.unique(assets.group("helper-tights"))
        covered = np.isin(helpers, self.used)
        if self.cut.kind == "skirt":  # it hangs free, and the legs show below
            return np.zeros(assets.skin_vertices, bool)
        skin = assets.vertices[: assets.skin_vertices]
        _, nearest = cKDTree(assets.vertices[helpers]).query(skin, k=min(26, len(helpers)))
        bare = moved_by(assets, BARE)[: assets.skin_vertices]
        return covered[nearest].all(axis=1) & (skin[:, 1] < 5.4) & ~bare

    def drape(self, posed: np.ndarray, skin: Skin) -> np.ndarray:
        """Where the piece lies on a posed body: posed (V, 3) with its helpers → (N, 3)."""
        points = posed[self.used]
        for _ in range(self.cut.smooth):
            points = 0.5 * points + 0.5 * (self.mean @ points)
        normals = vertex_normals(points, self.faces)
        points = points + normals * (self.cut.loose + self.cut.crease * self.creases[:, None])
        return skin.push_out(points, 0.05)
