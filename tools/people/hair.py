"""Hair as curves: guides grow strand by strand over the skull, and many strands follow the guides near them.

Real curves, and not cards with a painted alpha, are what this generator is for: a pixel's alpha is then the share of
it that strands truly cover. Lengths are in decimetres, "comb" directions in the head's axes (sideways from the
parting, up, forward).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from .assets import Assets
from .body import unit

SKULL = np.array([0.0, 7.5, 0.35])  # about the middle of the base mesh's skull
GUIDES = 1200
DOWN = np.array([0.0, -1.0, 0.0])


@dataclass(frozen=True)
class HairStyle:
    """What tells one cut from another. Times without unit are shares of a strand, 0 at its root and 1 at its tip."""

    length: float  # of a guide
    points: int  # along a strand
    count: int  # strands
    lift: float  # how much a strand leaves along the skin's normal ...
    combed: float  # ... and how much along the comb
    comb: tuple[float, float, float]  # sideways from the parting, up, forward
    gravity: float
    wobble: float  # random turns on the way
    clump: float  # how much strands gather around their guide
    curl: float  # radius of the helix that a strand winds around its way
    frizz: float  # random bend
    loose: float  # share of strands with up to 3.5 times the frizz
    layer: float  # how far from the skin the outer guides lie
    parting: float = 0.0  # x of the parting, in decimetres from the middle
    swirl: float = 0.0  # added to the comb's sideways part on both sides
    wave: float = 0.8  # length of one turn of the helix
    uneven: float = 0.4  # how much the strands of one guide differ in the helix's phase


STYLES = {
    "buzz": HairStyle(0.08, 4, 26000, 1.0, 0.3, (0.1, -0.2, 0.3), 0.0, 0.05, 0.1, 0.0, 0.01, 0.02, 0.02),
    "short": HairStyle(0.35, 7, 24000, 0.5, 1.1, (0.5, 0.1, 0.5), 0.8, 0.06, 0.45, 0.0, 0.03, 0.03, 0.12),
    "back": HairStyle(0.7, 9, 24000, 0.45, 1.3, (0.1, 0.25, -1.0), 0.5, 0.04, 0.5, 0.0, 0.03, 0.03, 0.12),
    "messy": HairStyle(0.6, 9, 22000, 1.0, 0.6, (0.4, 0.2, 0.3), 0.5, 0.16, 0.7, 0.03, 0.06, 0.06, 0.2),
    "bob": HairStyle(2.2, 15, 32000, 0.5, 1.0, (1.0, 0.0, -0.15), 1.5, 0.03, 0.4, 0.0, 0.06, 0.04, 0.18),
    "long": HairStyle(4.2, 20, 36000, 0.5, 1.0, (1.0, 0.0, -0.25), 1.6, 0.03, 0.5, 0.0, 0.08, 0.04, 0.2),
    "wavy": HairStyle(3.2, 26, 28000, 0.6, 1.0, (1.0, 0.0, -0.2), 1.3, 0.06, 0.75, 0.12, 0.12, 0.06, 0.3),
    "afro": HairStyle(0.9, 18, 20000, 1.6, 0.15, (0.1, 0.1, -0.1), 0.05, 0.05, 0.5, 0.1, 0.1, 0.05, 0.2),
    "curly": HairStyle(1.6, 24, 20000, 1.1, 0.5, (0.8, 0.1, -0.1), 0.7, 0.1, 0.8, 0.16, 0.12, 0.07, 0.3),
}


def scalp(assets: Assets, recession: float) -> np.ndarray:
    """The faces that hair grows from, (F', 4): those above a hairline, drawn as elevation over azimuth in degrees.

    Azimuth 0 is the face, 90 the ear, 180 the nape; `recession` raises the hairline over forehead and temples.
    """
    base, faces = assets.vertices, assets.body
    centre = base[faces].mean(axis=1)  # (F, 3)
    towards = centre - SKULL
    azimuth = np.degrees(np.arctan2(np.abs(towards[:, 0]), towards[:, 2]))
    elevation = np.degrees(np.arctan2(towards[:, 1], np.hypot(towards[:, 0], towards[:, 2])))
    forehead = [25 + recession, 25 + 1.3 * recession, 15 + 0.8 * recession]
    line = np.interp(azimuth, [0, 25, 50, 72, 84, 105, 125, 150, 180], [*forehead, -4, -12, 5, -24, -42, -46])
    ear = np.zeros(len(base), bool)
    ear[assets.ears] = True
    ear &= (np.abs(base[:, 0]) > 0.72) & (base[:, 1] < 7.6) & (base[:, 2] < 0.75) & (base[:, 2] > -0.2)
    grows = (centre[:, 1] > 6.2) & (elevation > line) & ~ear[faces].any(axis=1)
    return faces[grows & (np.linalg.norm(towards, axis=1) > 0.5)]


def sample(faces: np.ndarray, points: np.ndarray, normals: np.ndarray, count: int,
           rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """`count` places drawn evenly over a surface: points (count, 3) and their unit normals (count, 3)."""
    triangles = np.concatenate([faces[:, [0, 1, 2]], faces[:, [0, 2, 3]]])
    a, b, c = (points[triangles[:, k]] for k in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    chosen = triangles[rng.choice(len(triangles), count, p=area / area.sum())]
    share = rng.random((count, 2))
    outside = share.sum(axis=1) > 1  # of the triangle: fold the parallelogram's other half back
    share[outside] = 1 - share[outside]
    share = np.column_stack([1 - share.sum(axis=1), share])[:, :, None]  # (count, 3, 1)
    return (points[chosen] * share).sum(axis=1), unit((normals[chosen] * share).sum(axis=1))


class Skin:
    """A surface that strands and cloth must not enter: its vertices with their normals."""

    def __init__(self, points: np.ndarray, normals: np.ndarray):
        self.points, self.normals = points, normals
        self.tree = cKDTree(points)

    def push_out(self, points: np.ndarray, distance: float | np.ndarray, reach: float = 1.2) -> np.ndarray:
        """Points moved along the nearest vertex's normal until they are `distance` outside; far ones stay."""
        flat = points.reshape(-1, 3)
        away, nearest = self.tree.query(flat, distance_upper_bound=reach)
        near = np.isfinite(away)
        nearest = np.where(near, nearest, 0)
        height = ((flat - self.points[nearest]) * self.normals[nearest]).sum(axis=1)
        wanted = np.broadcast_to(distance, points.shape[:-1]).reshape(-1)
        push = np.where(near & (height < wanted) & (height > -1.0), wanted - height, 0.0)
        return (flat + push[:, None] * self.normals[nearest]).reshape(points.shape)


def grow(style: HairStyle, faces: np.ndarray, points: np.ndarray, normals: np.ndarray, skin: Skin,
         head: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """All strands of a head of hair, (count, points, 3), for a body in its pose.

    faces are the scalp's, points and normals (V, 3) the body's, head (4, 4) the head bone's transform.
    """
    turned, centre = head[:3, :3], head[:3, :3] @ SKULL + head[:3, 3]
    guides, sides = grow_guides(style, faces, points, normals, skin, turned, centre, rng)
    roots, root_normals = sample(faces, points, normals, style.count, rng)
    along = np.linspace(0, 1, style.points)[None, :, None]

    away, near = cKDTree(guides[:, 0]).query(roots, k=3)  # each strand mixes the three guides nearest to its root
    own_side = np.sign(((roots - centre) @ turned)[:, 0] - style.parting)
    across = parted(style) & (own_side[:, None] != sides[near])
    mix = np.where(across, 0.02, 1.0) / (away + 0.02)
    mix /= mix.sum(axis=1, keepdims=True)
    shapes = guides - guides[:, :1]
    strands = np.einsum("nk,nkpc->npc", mix, shapes[near])
    cut = np.where(rng.random(style.count) < 0.8, rng.uniform(0.85, 1.05, style.count),
                   rng.uniform(0.4, 1.0, style.count))
    strands = roots[:, None] + strands * cut[:, None, None]

    best = near[np.arange(style.count), mix.argmax(axis=1)]
    clump = style.clump * along**0.7
    gathered = guides[best] + (roots - guides[best, 0])[:, None] * (1 - along) * 0.6
    strands = strands * (1 - clump) + gathered * clump
    strands = strands + curls(style, strands, best, along, rng) + frizz(style, along, rng)
    strands = skin.push_out(strands, 0.012)
    strands[:, 0] = roots - 0.01 * root_normals  # rooted a millimetre deep: no gap between skin and hair
    return strands


def parted(style: HairStyle) -> bool:
    return style.length > 1.1


def grow_guides(style: HairStyle, faces: np.ndarray, points: np.ndarray, normals: np.ndarray, skin: Skin,
                turned: np.ndarray, centre: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Guides (GUIDES, points, 3), each grown step by step, and the side of the parting they stand on, ±1."""
    roots, root_normals = sample(faces, points, normals, GUIDES, rng)
    length = style.length * rng.uniform(0.75, 1.15, GUIDES)
    if parted(style):
        side = np.sign(((roots - centre) @ turned)[:, 0] - style.parting + 1e-6)
    else:
        side = np.full(GUIDES, 1.0 if style.parting > 0 else -1.0)
    sideways, up, forward = style.comb
    comb = np.column_stack([side * sideways + style.swirl, np.full(GUIDES, up), np.full(GUIDES, forward)]) @ turned.T
    comb = unit(comb - root_normals * (comb * root_normals).sum(axis=1, keepdims=True))  # along the skin
    heading = unit(style.lift * root_normals + style.combed * comb + rng.normal(0, 0.15, (GUIDES, 3)))
    step = (length / (style.points - 1))[:, None]
    layer = style.layer * rng.uniform(0.1, 1.0, GUIDES)
    place = roots + 0.01 * root_normals
    guides = [place]
    for k in range(1, style.points):
        t = k / (style.points - 1)
        combing = 0.5 * (1 - t) * step if parted(style) else 0.32 * (1 - t)
        heading = unit(heading + 2 * style.gravity * np.maximum(step, 0.05) * DOWN + style.combed * combing * comb
                       + rng.normal(0, style.wobble, (GUIDES, 3)))
        target = skin.push_out(place + heading * step, layer * min(1.0, 2.5 * t) + 0.015)
        onward = unit(target - place)
        heading = unit(0.6 * heading + 0.4 * onward)  # hair that met the skin goes on along it
        place = place + onward * step
        guides.append(place)
    return np.stack(guides, axis=1), side


def curls(style: HairStyle, strands: np.ndarray, guide: np.ndarray, along: np.ndarray,
          rng: np.random.Generator) -> np.ndarray | float:
    """A helix around each strand's way; strands of one guide wind nearly in step, as locks do."""
    if style.curl == 0:
        return 0.0
    count = len(strands)
    way = unit(np.gradient(strands, axis=1))
    first = unit(np.cross(way, [0.3, 0.2, 0.93]))
    second = np.cross(way, first)
    phase = rng.uniform(0, 2 * np.pi, GUIDES)[guide] + rng.normal(0, style.uneven, count)
    angle = 2 * np.pi * style.length / style.wave * along + phase[:, None, None]
    radius = style.curl * (1 - np.exp(-5 * along)) * rng.uniform(0.6, 1.3, count)[:, None, None]
    return radius * (np.cos(angle) * first + np.sin(angle) * second)


def frizz(style: HairStyle, along: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random bend of every strand; the loose ones stand off most."""
    count = style.count
    size = style.frizz * np.where(rng.random(count) < style.loose, rng.uniform(1.5, 3.5, count), 1.0)
    bend, wiggle = rng.normal(size=(2, count, 1, 3))
    turns = rng.uniform(1, 4, count)[:, None, None]
    return size[:, None, None] * (along * bend + 0.5 * along * np.sin(2 * np.pi * turns * along) * wiggle)


def carry(strands: np.ndarray, height: np.ndarray, head: np.ndarray, late: np.ndarray,
          chest: np.ndarray) -> np.ndarray:
    """Strands of the first frame, taken along to another moment.

    Roots follow the head, tips the head of a moment before, and what hangs low mostly the chest. strands (n, K, 3);
    height (n, K) above the skull's base in the first frame, in decimetres; head, late and chest (4, 4) lead from the
    first frame to this one.
    """
    def moved(matrix: np.ndarray) -> np.ndarray:
        return strands @ matrix[:3, :3].T + matrix[:3, 3]

    along = np.linspace(0, 1, strands.shape[1])[None, :, None]
    with_head = moved(head) * (1 - along) + moved(late) * along
    low = np.clip(-height / 1.6, 0.0, 0.8)[:, :, None]
    return with_head * (1 - low) + moved(chest) * low


def straight(roots: np.ndarray, directions: np.ndarray, length: np.ndarray, points: int = 4,
             sag: float = 0.0) -> np.ndarray:
    """Short stiff hairs, as of brows and beards: (n, points, 3), bent down by `sag` times their length."""
    along = np.linspace(0, 1, points)[None, :, None]
    size = length[:, None, None]
    return roots[:, None] + along * directions[:, None] * size + along**2 * sag * DOWN * size
