"""A body's geometry in plain NumPy: blend morph targets, turn bones, let the skin follow.

Points are (N, 3) float64 in decimetres, x to the person's left, y up, z to the front. The three steps of every frame:

    morph   v = v₀ + Σ weightₜ · moveₜ                      (one body out of many targets)
    bones   Mᵦ = M_parent(ᵦ) · T(hᵦ) · Rᵦ · T(-hᵦ)           (turn about the bone's own head hᵦ, after its parents)
    skin    v' = Σᵦ weightᵥᵦ · Mᵦ · v                        (linear blend skinning)
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np

from .assets import AGES, FATS, HEIGHTS, MUSCLES, RACES, SEXES, Assets

X, Y, Z = np.eye(3)


def three_way(value: float) -> tuple[float, float, float]:
    """Shares of (least, average, most) for a value in [0, 1]: 0 → (1, 0, 0), 0.5 → (0, 1, 0), 0.75 → (0, 0.5, 0.5)."""
    return max(0.0, 1 - 2 * value), 1 - abs(2 * value - 1), max(0.0, 2 * value - 1)


def blend(male: float, ages: Mapping[str, float], races: Mapping[str, float], muscle: float, fat: float,
          height: float, proportion: float) -> dict[str, float]:
    """Weights of the macro targets for one build.

    male, muscle, fat, height and proportion are in [0, 1], with 0.5 the average of muscle, fat and height; ages and
    races are shares that sum to 1. MakeHuman's macro targets are products of such shares: the face's weights
    (sex × age × ancestry) sum to 1, and so do the build's (sex × age × muscle × fat).
    """
    weights: dict[str, float] = {}
    sexes = dict(zip(SEXES, (1 - male, male)))
    heights = dict(zip(HEIGHTS, three_way(height)[::2]))
    for sex, age in itertools.product(SEXES, AGES):
        share = sexes[sex] * ages.get(age, 0.0)
        for race in RACES:
            weights[f"macrodetails/{race}-{sex}-{age}"] = share * races.get(race, 0.0)
        for (muscled, much), (fattened, fatness) in itertools.product(
                zip(MUSCLES, three_way(muscle)), zip(FATS, three_way(fat))):
            build, weight = f"{sex}-{age}-{muscled}-{fattened}", share * much * fatness
            weights[f"macrodetails/universal-{build}"] = weight
            weights[f"macrodetails/proportions/{build}-idealproportions"] = weight * proportion
            for name, how_much in heights.items():
                weights[f"macrodetails/height/{build}-{name}"] = weight * how_much
    return {name: weight for name, weight in weights.items() if weight > 0}


def morph(vertices: np.ndarray, targets: Mapping, weights: Mapping[str, float]) -> np.ndarray:
    """The base mesh moved by its targets, each by its weight: (V, 3)."""
    moved = vertices.copy()
    for name, weight in weights.items():
        index, move = targets[name]
        moved[index] += weight * move  # a target names each vertex once
    return moved


def bone_heads(assets: Assets, vertices: np.ndarray) -> dict[str, np.ndarray]:
    """Where each bone begins in this body, (3,): the mean of the joint's little helper cube, which morphs as well."""
    return {name: vertices[head].mean(axis=0) for name, (head, _) in assets.ends.items()}


def rotation(axis: np.ndarray, degrees: float) -> np.ndarray:
    """A right-handed turn about an axis, (3, 3): Rodrigues' R = I + sin·K + (1 - cos)·K², with K·v = axis × v."""
    x, y, z = np.asarray(axis, float) / np.linalg.norm(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.radians(degrees)
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def bone_matrices(parents: Mapping[str, str | None], heads: Mapping[str, np.ndarray],
                  turns: Mapping[str, np.ndarray]) -> np.ndarray:
    """Every bone's transform from rest to pose, (B, 4, 4), in the order of `parents`.

    `turns` holds rotations (3, 3) in the rest pose's axes; a bone that it lacks keeps still on its parent.
    """
    found: dict[str, np.ndarray] = {}
    for name, parent in parents.items():  # parents stand before their children
        local = np.eye(4)
        local[:3, :3] = turns.get(name, np.eye(3))
        local[:3, 3] = heads[name] - local[:3, :3] @ heads[name]
        found[name] = found[parent] @ local if parent else local
    return np.stack(list(found.values()))


def skin(points: np.ndarray, weights: np.ndarray, matrices: np.ndarray) -> np.ndarray:
    """Linear blend skinning: points (N, 3), weights (N, B) with rows that sum to 1, matrices (B, 4, 4) → (N, 3)."""
    blended = (weights @ matrices[:, :3].reshape(-1, 12)).reshape(-1, 3, 4)
    return np.einsum("nij,nj->ni", blended[:, :, :3], points) + blended[:, :, 3]


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors scaled to length 1 along the last axis; a zero vector stays zero."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


def vertex_normals(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Unit normals at the vertices (N, 3): the mean of the faces' normals, each by its area.

    The cross product of a quad's diagonals is twice its area; for a triangle, whose last vertex comes twice, as well.
    """
    a, b, c, d = (points[faces[:, k]] for k in range(4))
    across = np.where((faces[:, 2] == faces[:, 3])[:, None], np.cross(b - a, c - a), np.cross(c - a, d - b))
    normals = np.zeros_like(points)
    for k in range(4):
        np.add.at(normals, faces[:, k], across)
    return unit(normals)
