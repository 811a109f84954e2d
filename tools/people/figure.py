"""A person's geometry at any moment: meshes and curves, still without Blender.

What does not change is made once (build, clothes, hair at time 0); `Figure.frame` then morphs, poses and skins for one
moment, so a clip's frame costs what a still costs. Points are decimetres as in body.py; radii are decimetres too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import garments, hair
from .assets import Assets
from .body import bone_heads, bone_matrices, morph, rotation, skin, unit, vertex_normals
from .hair import Skin
from .motion import turns
from .person import Person, stream

UNIT = "expression/units/caucasian/"
LAG = 0.12  # seconds by which tips of hair follow the head
RINGS, SEGMENTS = 40, 32  # of an eyeball
SCLERA = np.array([0.72, 0.68, 0.65])


@dataclass(frozen=True)
class Surface:
    """A mesh to draw."""

    name: str
    points: np.ndarray  # (N, 3)
    faces: np.ndarray  # (F, 4)
    material: str  # "skin", "eye", "teeth", "fabric0", "fabric1", "fabric2"
    rest: np.ndarray | None = None  # (N, 3): where its pattern is anchored
    colours: np.ndarray | None = None  # (N, 3) linear
    finer: int = 0  # levels of subdivision


@dataclass(frozen=True)
class Strands:
    """Curves to draw: hair, and a pair of glasses' wires."""

    name: str
    points: np.ndarray  # (n, K, 3)
    radii: np.ndarray  # (n, K)
    material: str  # "hair", "brow", "wire"


@dataclass(frozen=True)
class Frame:
    """All there is to draw at one moment, and where the camera finds the head."""

    surfaces: list[Surface]
    strands: list[Strands]
    skull: np.ndarray  # (3,) the middle of the skull
    low: float  # y of the lowest point of the skin
    high: float  # y of the crown; a hand may be higher


class Figure:
    """One person, ready for any moment."""

    def __init__(self, assets: Assets, person: Person):
        self.assets, self.person = assets, person
        self.rest = morph(assets.vertices, assets.targets, person.weights)
        self.heads = bone_heads(assets, self.rest)
        self.heads["root"] = np.array([0.0, self.rest[: assets.skin_vertices, 1].min(), 0.0])  # sway about the feet
        names = [name for name in (person.outfit, person.shoes, person.hat) if name in assets.garments]
        self.worn = {name: assets.garments[name] for name in names}
        self.worn_weights = {name: garments.follow(worn, assets.weights) for name, worn in self.worn.items()}
        self.cloths = [garments.Cloth(assets, cut) for cut in person.pieces]
        self.shown = self.visible_faces()
        self.scalp = self.scalp_faces()
        self.colours = self.skin_colours()
        self.first, self.first_late = self.pose(0.0), self.pose(-LAG)  # bones at time 0, and of the hair's tips then
        self.strands = self.make_strands()

    # ── made once ────────────────────────────────────────────────────────────────────────────

    def visible_faces(self) -> np.ndarray:
        """Faces of the skin that are not wholly below clothes."""
        hidden = np.zeros(len(self.rest), bool)
        for worn in self.worn.values():
            hidden[worn.hides[worn.hides < len(hidden)]] = True
        for cloth in self.cloths:
            hidden[: self.assets.skin_vertices] |= cloth.hidden(self.assets)
        return self.assets.body[~hidden[self.assets.body].all(axis=1)]

    def scalp_faces(self) -> np.ndarray:
        faces = hair.scalp(self.assets, self.person.recession)
        if self.person.hat in self.worn:  # no strands through the hat
            faces = faces[self.assets.vertices[faces].mean(axis=1)[:, 1] < 7.65]
        return faces

    def skin_colours(self) -> np.ndarray:
        """Linear colours (V, 3): the tone, with lips, redder cheeks, hair's shade on the scalp, and stubble."""
        person, base = self.person, self.assets.vertices
        tone, of_hair = np.array(person.skin), np.array(person.hair_colour)
        colours = np.tile(tone, (len(base), 1))
        cheek = np.exp(-((np.abs(base[:, 0]) - 0.5) ** 2 + (base[:, 1] - 6.85) ** 2) / 0.05) * (base[:, 2] > 0.8)
        colours *= 1 - cheek[:, None] * np.array([0, 0.18, 0.16])
        if person.hair:
            colours[np.unique(self.scalp)] = 0.15 * tone + 0.85 * np.minimum(0.7 * of_hair, tone)
        jaw = self.jaw()
        colours[jaw] = (1 - person.stubble) * colours[jaw] + person.stubble * 0.6 * np.minimum(of_hair, tone)
        colours[self.assets.lips] = person.lips
        return colours

    def jaw(self) -> np.ndarray:
        """(V,) bool: where a beard grows."""
        base = self.assets.vertices
        grows = (base[:, 1] < 6.75) & (base[:, 1] > 6.0) & (base[:, 2] > 0.35)
        grows[self.assets.skin_vertices :] = False
        grows[self.assets.lips] = False
        return grows

    def make_strands(self) -> list[Strands]:
        """Hair, brows, beard and glasses as they lie at time 0."""
        person, found = self.person, []
        posed = skin(self.rest, self.assets.weights, self.first)
        normals = vertex_normals(posed, self.assets.body)
        obstacle = self.obstacle(posed, normals, self.clothes(posed, normals, self.first))
        head = self.bone("head", self.first)
        if person.hair and len(self.scalp):
            rng = stream(person.seed, "strands")
            strands = hair.grow(person.hair, self.scalp, posed, normals, obstacle, head, rng)
            along = np.linspace(0, 1, person.hair.points)
            thick = rng.uniform(0.0009, 0.0014) * (1.3 if hair.parted(person.hair) else 1.0)  # 0.1 mm, as hair is
            radii = thick * (1 - 0.75 * along**2) * rng.uniform(0.7, 1.2, (len(strands), 1))
            found.append(Strands("hair", strands, radii, "hair"))
        found += self.brows(obstacle, head)
        beard = self.assets.body[self.jaw()[self.assets.body].all(axis=1)]
        if person.beard and len(beard):
            rng = stream(person.seed, "beard")
            count = int(rng.uniform(4000, 14000))
            roots, out = hair.sample(beard, posed, normals, count, rng)
            down = min(1.0, 2 * person.beard) * np.array([0, -1.3, 0])
            ways = unit(out + down + rng.normal(0, 0.3, (count, 3)))
            hairs = hair.straight(roots, ways, person.beard * rng.uniform(0.5, 1.1, count), 5, 0.5)
            radii = np.tile(0.001 * np.array([1, 1, 0.8, 0.6, 0.2]), (count, 1))
            found.append(Strands("beard", obstacle.push_out(hairs, 0.008), radii, "hair"))
        if person.glasses:
            found.append(self.wires(head))
        return found

    def brows(self, obstacle: Skin, head: np.ndarray) -> list[Strands]:
        """Brows on one of MakeHuman's eyebrow meshes, or none where there is no such mesh."""
        names = sorted(name for name in self.assets.garments if name.startswith("eyebrow"))
        if not names:
            return []
        rng, count = stream(self.person.seed, "brows"), self.person.brows
        mesh = self.assets.garments[str(rng.choice(names))]
        points = skin(garments.fit(mesh, self.rest), garments.follow(mesh, self.assets.weights), self.first)
        roots, _ = hair.sample(mesh.faces, points, vertex_normals(points, mesh.faces), count, rng)
        outwards = np.sign(((roots - head[:3, 3]) @ head[:3, :3])[:, 0])
        ways = np.column_stack([outwards, rng.normal(0.25, 0.25, count), rng.normal(-0.1, 0.1, count)])
        hairs = hair.straight(roots, unit(ways) @ head[:3, :3].T, rng.uniform(0.04, 0.1, count))
        radii = np.tile(0.0012 * np.array([1, 0.9, 0.6, 0.2]), (count, 1))
        return [Strands("brows", obstacle.push_out(hairs, 0.012), radii, "brow")]

    def wires(self, head: np.ndarray) -> Strands:
        """Glasses: two rims, a bridge and two temples, each a curve of 41 points."""
        half_width, half_height, squareness, radius = self.person.glasses
        left, right = self.heads["eye.L"], self.heads["eye.R"]
        front = max(self.rest[self.assets.lips, 2].max() + 0.02, left[2] + 0.35)
        angle = np.linspace(0, 2 * np.pi, 41)

        def bend(wave: np.ndarray) -> np.ndarray:  # of a superellipse: 2 is an ellipse, 4 nearly a rectangle
            return np.sign(wave) * np.abs(wave) ** (2 / squareness)

        def depth(x: np.ndarray) -> np.ndarray:  # rims follow the face's curve
            return front - 0.12 * (np.abs(x) / 0.6) ** 2

        curves = []
        for eye in (left, right):
            x = 1.05 * eye[0] + half_width * bend(np.cos(angle))
            curves.append(np.column_stack([x, eye[1] - 0.03 + half_height * bend(np.sin(angle)), depth(x)]))
        inner, outer = 1.05 * left[0] - half_width, 1.05 * left[0] + half_width
        level = left[1] + 0.03
        curves.append(polyline([[-inner, level, front], [0, level + 0.04, front + 0.02], [inner, level, front]]))
        beside = np.abs(self.rest[self.assets.ears, 0]).min() if len(self.assets.ears) else outer
        for sign in (1, -1):
            curves.append(polyline([[sign * outer, level, depth(np.array(outer))], [sign * beside, level, front - 0.5],
                                    [sign * beside, level, 0.4]]))
        points = np.stack(curves) @ head[:3, :3].T + head[:3, 3]
        return Strands("glasses", points, np.full(points.shape[:2], radius), "wire")

    # ── for one moment ───────────────────────────────────────────────────────────────────────

    def pose(self, time: float) -> np.ndarray:
        """All bones' transforms at a moment, (B, 4, 4)."""
        return bone_matrices(self.assets.parents, self.heads, turns(self.person.motion.at(time), self.heads))

    def expression(self, time: float) -> dict[str, float]:
        """What the face adds at a moment to the person's own weights."""
        motion = self.person.motion
        shut = motion.lids(time)
        added = {UNIT + "mouth-open": max(0.0, motion.angles["jaw"](time))}
        for side in ("left", "right"):
            name = f"{UNIT}eye-{side}-closure"
            added[name] = shut * (1 - self.person.weights.get(name, 0.0))
        return {name: weight for name, weight in added.items() if weight > 0}

    def bone(self, name: str, bones: np.ndarray) -> np.ndarray:
        return bones[self.assets.bones.index(name)]

    def clothes(self, posed: np.ndarray, normals: np.ndarray, bones: np.ndarray) -> list[Surface]:
        count, found = self.assets.skin_vertices, []
        own = Skin(posed[:count], normals[:count])
        for name, worn in self.worn.items():
            rest = garments.fit(worn, self.rest)
            points = skin(rest, self.worn_weights[name], bones)
            points = points + 0.02 * vertex_normals(points, worn.faces)  # 2 mm: what keeps the skin from showing
            cloth = "fabric0" if name == self.person.outfit else "fabric2"
            found.append(Surface(name, points, worn.faces, cloth, rest, finer=int(len(rest) < 4000)))
        for number, cloth in enumerate(self.cloths):
            points = cloth.drape(posed, own)
            found.append(Surface(cloth.cut.kind, points, cloth.faces, f"fabric{number}", cloth.rest, finer=1))
        return found

    def obstacle(self, posed: np.ndarray, normals: np.ndarray, clothes: list[Surface]) -> Skin:
        """What hair must not enter: skin and clothes."""
        count = self.assets.skin_vertices
        outward = [normals[:count], *(vertex_normals(surface.points, surface.faces) for surface in clothes)]
        return Skin(np.concatenate([posed[:count], *(surface.points for surface in clothes)]), np.concatenate(outward))

    def eyes(self, vertices: np.ndarray, head: np.ndarray, time: float) -> list[Surface]:
        """Two balls in the places of the base mesh's helpers, whose pupils look along z and turn with the gaze."""
        polar = np.repeat(np.linspace(0, np.pi, RINGS), SEGMENTS)  # 0 is the pupil
        around = np.tile(np.linspace(0, 2 * np.pi, SEGMENTS, endpoint=False), RINGS)
        ball = np.column_stack([np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around), np.cos(polar)])
        at = np.arange(RINGS * SEGMENTS).reshape(RINGS, SEGMENTS)
        right = np.roll(at, -1, axis=1)
        faces = np.stack([at[:-1], at[1:], right[1:], right[:-1]], axis=-1).reshape(-1, 4)
        degrees, iris = np.degrees(polar)[:, None], np.array(self.person.iris)
        lit = iris * (0.6 + 0.5 * np.clip((degrees - 9) / 15, 0, 1))
        colours = np.select([degrees < 9, degrees < 22.5, degrees < 25], [np.full(3, 0.004), lit, 0.3 * iris], SCLERA)
        gaze = rotation([0, 1, 0], np.clip(self.person.motion.angles["gaze"](time), -12, 12)) @ rotation([1, 0, 0], 4)
        found = []
        for side in "lr":
            helper = vertices[np.unique(self.assets.group(f"helper-{side}-eye"))]
            low, high = helper.min(axis=0), helper.max(axis=0)
            points = (ball * (high - low)[:2].mean() / 2) @ gaze.T + (low + high) / 2
            found.append(Surface(f"eye-{side}", points @ head[:3, :3].T + head[:3, 3], faces, "eye", colours=colours))
        return found

    def moved_strands(self, time: float, bones: np.ndarray, obstacle: Skin) -> list[Strands]:
        """The strands of time 0, taken along by head and chest."""
        if time == 0:
            return self.strands
        late, back = self.pose(time - LAG), np.linalg.inv
        head = self.bone("head", bones) @ back(self.bone("head", self.first))
        after = self.bone("head", late) @ back(self.bone("head", self.first_late))
        chest = self.bone("spine01", bones) @ back(self.bone("spine01", self.first))
        joint = self.bone("head", self.first)[1] @ [*self.heads["head"], 1]  # y of the skull's base
        found = []
        for group in self.strands:
            if group.name == "hair":
                points = hair.carry(group.points, group.points[:, :, 1] - joint, head, after, chest)
                roots = points[:, 0].copy()
                points = obstacle.push_out(points, 0.012)
                points[:, 0] = roots  # they stay rooted
            else:
                points = group.points @ head[:3, :3].T + head[:3, 3]
            found.append(Strands(group.name, points, group.radii, group.material))
        return found

    def frame(self, time: float) -> Frame:
        """The person at `time` seconds."""
        assets, bones = self.assets, self.pose(time)
        vertices = morph(self.rest, assets.targets, self.expression(time))
        posed = skin(vertices, assets.weights, bones)
        normals = vertex_normals(posed, assets.body)
        clothes, head = self.clothes(posed, normals, bones), self.bone("head", bones)
        teeth = np.concatenate([assets.group("helper-upper-teeth"), assets.group("helper-lower-teeth")])
        surfaces = [Surface("skin", posed, self.shown, "skin", self.rest, self.colours, finer=1),
                    Surface("teeth", posed, teeth, "teeth"), *self.eyes(vertices, head, time), *clothes]
        strands = self.moved_strands(time, bones, self.obstacle(posed, normals, clothes))
        heights = posed[: assets.skin_vertices, 1]
        crown = posed[assets.strongest_bone == "head", 1].max()
        skull = head[:3, :3] @ hair.SKULL + head[:3, 3]
        return Frame(surfaces, strands, skull, float(heights.min()), float(crown))


def polyline(corners: list) -> np.ndarray:
    """41 points evenly along the straight pieces between corners: (41, 3)."""
    corners = np.asarray(corners, float)
    return np.column_stack([np.interp(np.linspace(0, len(corners) - 1, 41), np.arange(len(corners)), corners[:, k])
                            for k in range(3)])
