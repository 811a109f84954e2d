"""What stands outdoors: trees and hedges, houses, cars, lamps and what lies about, in plain NumPy.

Everything is added to a `rooms.Kit`: what stands in a row (houses, fences, hedges) in the row's own axes (x along the
row, y out of it towards the camera, z up), all else at a point on the ground. Metres.
"""

from __future__ import annotations

import numpy as np

from .person import hsv
from .rooms import CUBE, CUBE_FACES, Kit, along, any_colour, leaves

SIDES = 10  # corners of a limb
GLASS = (0.02, 0.03, 0.04)


def limb(kit: Kit, start, end, thick: float, thin: float, colour, material: str = "plain") -> None:
    """A straight round bar from start to end, with its two radii and both ends closed: poles, branches, wheels."""
    start, end = np.asarray(start, float), np.asarray(end, float)
    along_it = (end - start) / np.linalg.norm(end - start)
    side = np.cross(along_it, [0.0, 0.0, 1.0] if abs(along_it[2]) < 0.9 else [1.0, 0.0, 0.0])
    side /= np.linalg.norm(side)
    angle = 2 * np.pi * np.arange(SIDES)[:, None] / SIDES
    ring = np.cos(angle) * side + np.sin(angle) * np.cross(along_it, side)
    points = np.concatenate([start + thick * ring, end + thin * ring, [start, end]])
    k, after = np.arange(SIDES), np.roll(np.arange(SIDES), -1)
    walls = np.column_stack([k, after, after + SIDES, k + SIDES])
    caps = [np.column_stack([k + at, after + at, np.full(SIDES, middle), np.full(SIDES, middle)])
            for at, middle in ((0, 2 * SIDES), (SIDES, 2 * SIDES + 1))]
    kit.add(material, points, np.concatenate([walls, *caps]), colour)


def tapered(kit: Kit, low, high, inset: tuple[float, float], colour, material: str = "plain") -> None:
    """A box whose upper face is drawn in by so much along x and y: roofs, the upper half of a car."""
    low, high = np.asarray(low, float), np.asarray(high, float)
    points = low + CUBE * (high - low)
    upper, middle = CUBE[:, 2] == 1, (low + high) / 2
    points[upper, :2] -= np.sign(points[upper, :2] - middle[:2]) * np.asarray(inset)
    kit.add(material, points, CUBE_FACES, colour)


# ── what grows ───────────────────────────────────────────────────────────────────────────────

def foliage_colour(rng: np.random.Generator) -> np.ndarray:
    """Mostly green; one in five has its autumn or blossom colours."""
    if rng.random() < 0.8:
        return np.array(hsv(rng.uniform(0.2, 0.36), rng.uniform(0.4, 0.85), rng.uniform(0.3, 0.65)))
    return np.array(hsv(rng.choice([0.04, 0.09, 0.13, 0.93]), rng.uniform(0.4, 0.9), rng.uniform(0.4, 0.8)))


def clump(kit: Kit, rng: np.random.Generator, centre, radii, count: int, length: float, colour) -> None:
    """`count` leaves in an ellipsoid, more of them near its surface, pointing outwards and down a little."""
    out = rng.normal(size=(count, 3))
    out /= np.linalg.norm(out, axis=1, keepdims=True)
    start = np.asarray(centre) + out * radii * rng.uniform(0.3, 1, (count, 1)) ** 0.5
    leaves(kit, rng, start, out, length * rng.uniform(0.6, 1.4, (count, 1)), colour)


def tree(kit: Kit, rng: np.random.Generator, at, height: float) -> None:
    """A trunk that forks, and clumps of leaves at the ends of its branches; bare now and then."""
    bark = np.array(hsv(rng.uniform(0.05, 0.1), rng.uniform(0.1, 0.45), rng.uniform(0.15, 0.4)))
    fork = np.asarray(at, float) + [rng.normal(0, 0.02) * height, rng.normal(0, 0.02) * height,
                                    rng.uniform(0.25, 0.45) * height]
    limb(kit, at, fork, 0.03 * height, 0.022 * height, bark, "wood")
    bare, colour = rng.random() < 0.15, foliage_colour(rng)
    for _ in range(rng.integers(5, 11)):
        way = np.array([rng.normal(0, 0.5), rng.normal(0, 0.5), rng.uniform(0.4, 1.1)])
        tip = fork + way * rng.uniform(0.3, 0.6) * height
        limb(kit, fork, tip, 0.014 * height, 0.004 * height, bark, "wood")
        if bare:
            for _ in range(8):
                begin = fork + rng.uniform(0.3, 1) * (tip - fork)
                twig = begin + 0.18 * height * (rng.normal(0, 0.5, 3) + way)
                limb(kit, begin, twig, 0.005 * height, 0.0015 * height, bark, "wood")
        else:
            clump(kit, rng, tip, height * rng.uniform(0.1, 0.2, 3), int(rng.integers(250, 600)), 0.04 * height, colour)


def conifer(kit: Kit, rng: np.random.Generator, at, height: float) -> None:
    """Whorls of drooping needles around a straight trunk."""
    limb(kit, at, np.asarray(at) + [0, 0, height], 0.02 * height, 0.003 * height, (0.08, 0.05, 0.03), "wood")
    green = np.array(hsv(rng.uniform(0.3, 0.45), rng.uniform(0.4, 0.7), rng.uniform(0.12, 0.35)))
    count = 900
    share, angle = rng.uniform(0.1, 1, count) ** 0.7, rng.uniform(0, 2 * np.pi, count)
    out = np.column_stack([np.cos(angle), np.sin(angle), np.full(count, -0.35)])
    reach = (1 - share) * rng.uniform(0.3, 1, count) * 0.24 * height
    start = np.asarray(at) + out * reach[:, None] + np.column_stack([np.zeros((count, 2)), share * height])
    leaves(kit, rng, start, out, 0.045 * height * rng.uniform(0.6, 1.4, (count, 1)), green)


def bush(kit: Kit, rng: np.random.Generator, at) -> None:
    size = rng.uniform(0.3, 0.9)
    clump(kit, rng, np.asarray(at) + [0, 0, 0.7 * size], size * rng.uniform(0.7, 1.2, 3), 600, 0.2 * size,
          foliage_colour(rng))


def grow(kit: Kit, rng: np.random.Generator, at: np.ndarray) -> None:
    """A tree, a conifer or a bush; the nearer, the lower, so that no branch hangs before the camera's nose."""
    which, height = rng.random(), min(rng.uniform(3, 9), 1.1 * at[1])
    if which < 0.5:
        tree(kit, rng, at, height)
    elif which < 0.65:
        conifer(kit, rng, at, height)
    else:
        bush(kit, rng, at)


def hedge(kit: Kit, rng: np.random.Generator, length: float, height: float) -> None:
    """A dense row of leaves along x, nearly square in section."""
    count = int(min(420 * length, 6000))
    start = rng.uniform((0, -0.4, 0), (length, 0.4, height), (count, 3))
    out = rng.normal(size=(count, 3)) + [0, 1.0, 0.3]
    out /= np.linalg.norm(out, axis=1, keepdims=True)
    colour = foliage_colour(rng)
    kit.box((0, -0.35, 0), (length, 0.3, 0.95 * height), 0.5 * colour, "leaf")
    leaves(kit, rng, start, out, rng.uniform(0.06, 0.16, (count, 1)), colour)


# ── what is built ────────────────────────────────────────────────────────────────────────────

def windows(kit: Kit, rng: np.random.Generator, width: float, floors: int, storey: float, lit: float) -> None:
    """A grid of panes, alike on a whole house, of which the share `lit` glows."""
    columns = max(1, int(width / rng.uniform(1.6, 3.2)))
    wide, tall, sill = rng.uniform(0.35, 0.75), rng.uniform(0.4, 0.7), rng.uniform(0.15, 0.3)
    trim, cell = any_colour(rng) if rng.random() < 0.3 else np.full(3, rng.uniform(0.1, 0.8)), width / columns
    for floor in range(1, floors):
        for column in range(columns):
            x, z = (column + (1 - wide) / 2) * cell, (floor + sill) * storey
            low, high = np.array([x, 0.0, z]), np.array([x + wide * cell, 0.05, z + tall * storey])
            kit.box(low - [0.07, 0, 0.07], high + [0.07, -0.02, 0.07], trim)
            glows = rng.random() < lit
            kit.box(low, high, hsv(rng.uniform(0.07, 0.14), rng.uniform(0.1, 0.6), rng.uniform(0.1, 0.5))
                    if glows else GLASS, "glow" if glows else "plain")
            kit.box((x + wide * cell / 2 - 0.03, 0, z), (x + wide * cell / 2 + 0.03, 0.07, z + tall * storey), trim)


def ground_floor(kit: Kit, rng: np.random.Generator, width: float, storey: float, lit: float) -> None:
    """Shop windows with a sign and perhaps an awning, or a door and two windows."""
    colour = any_colour(rng)
    if rng.random() < 0.5:
        x = 0.4
        while x < width - 1.5:
            wide = min(rng.uniform(1.2, 3.0), width - x - 0.3)
            shade = any_colour(rng) * rng.uniform(0.05, 0.3)
            glass = "glow" if rng.random() < lit + 0.2 else "plain"
            kit.box((x, 0, 0.4), (x + wide, 0.06, 0.78 * storey), shade, glass)
            x += wide + 0.25
        kit.box((0.2, 0, 0.82 * storey), (width - 0.2, 0.2, 0.97 * storey), colour)
        if rng.random() < 0.5:  # an awning, in stripes
            edges = np.linspace(0.3, width - 0.3, max(4, int(width / 0.35)))
            for k, (left, right) in enumerate(zip(edges[:-1], edges[1:])):
                points = np.array([[left, 0.1, 0.85 * storey], [right, 0.1, 0.85 * storey],
                                   [right, 1.4, 0.68 * storey], [left, 1.4, 0.68 * storey]])
                kit.add("cloth", points, np.array([[0, 1, 2, 3]]), colour if k % 2 else np.full(3, 0.8))
    else:
        x = rng.uniform(0.1, 0.7) * width
        kit.box((x, 0, 0), (x + 1.0, 0.08, 2.1), colour, "wood")
        for left in (x - 2.2, x + 1.6):
            if 0.2 < left < width - 1.4:
                kit.box((left, 0, 0.9), (left + 1.1, 0.05, 2.2), GLASS)


def house(kit: Kit, rng: np.random.Generator, width: float, lit: float) -> None:
    """A facade in its row's axes, a storey to ten of them high, with a flat or a hipped roof."""
    floors, storey = int(rng.choice([1, 2, 3, 4, 5, 7, 10])), rng.uniform(2.7, 3.6)
    height = floors * storey + rng.uniform(0.2, 1.0)
    paint = any_colour(rng) if rng.random() < 0.2 else np.array(hsv(rng.uniform(0.02, 0.14), rng.uniform(0, 0.55),
                                                                     rng.uniform(0.2, 0.9)))
    kit.box((0, -9, 0), (width, 0, height), paint, "wall")
    windows(kit, rng, width, floors, storey, lit)
    ground_floor(kit, rng, width, storey, lit)
    if rng.random() < 0.5:
        kit.box((-0.15, -9.15, height), (width + 0.15, 0.25, height + rng.uniform(0.15, 0.6)), 0.7 * paint, "wall")
    else:
        tapered(kit, (-0.3, -9.3, height), (width + 0.3, 0.3, height + rng.uniform(1.5, 3.5)), (0.2 * width, 4.4),
                np.array(hsv(rng.uniform(0, 0.08), rng.uniform(0.1, 0.7), rng.uniform(0.15, 0.45))), "wall")


def row(kit: Kit, rng: np.random.Generator, place: np.ndarray, length: float, lit: float) -> None:
    """Houses side by side along a row, with gaps now and then."""
    x = rng.uniform(-6, 0)
    while x < length:
        wide = rng.uniform(6, 16)
        kit.place = along(place, x)
        house(kit, rng, wide, lit)
        x += wide + (rng.uniform(1, 8) if rng.random() < 0.25 else 0)
    kit.place = np.eye(4)


def car(kit: Kit, rng: np.random.Generator, at, across: bool) -> None:
    """A car at a point, its length along x (`across` the view) or along y."""
    paint = any_colour(rng) if rng.random() < 0.5 else np.full(3, rng.choice([0.02, 0.2, 0.6, 0.85]))
    length, cabin, top = rng.uniform(3.7, 4.8), rng.uniform(0.4, 0.6), rng.uniform(1.4, 1.75)
    place = np.eye(4)
    if not across:
        place[:2, :2] = [[0, -1], [1, 0]]
    place[:3, 3] = at
    kit.place, half = place, length / 2
    kit.box((-half, -0.88, 0.25), (half, 0.88, 0.6), paint)
    tapered(kit, (-half, -0.88, 0.6), (half, 0.88, 0.88), (0.12, 0.06), paint)
    begin = -half + rng.uniform(0.05, 0.25) * length
    tapered(kit, (begin, -0.8, 0.86), (begin + cabin * length + 0.5, 0.8, top - 0.05), (0.45, 0.15), GLASS)
    kit.box((begin + 0.45, -0.64, top - 0.06), (begin + cabin * length + 0.05, 0.64, top), paint)
    for x in (-0.3 * length, 0.3 * length):
        for side in (-1, 1):
            limb(kit, (x, 0.7 * side, 0.32), (x, 0.9 * side, 0.32), 0.32, 0.32, (0.02, 0.02, 0.02))
            limb(kit, (x, 0.9 * side, 0.32), (x, 0.92 * side, 0.32), 0.19, 0.19, (0.5, 0.5, 0.5))
    kit.place = np.eye(4)


def street_lamp(kit: Kit, rng: np.random.Generator, at, night: bool) -> None:
    at, height = np.asarray(at, float), rng.uniform(3.5, 7)
    limb(kit, at, at + [0, 0, height], 0.08, 0.05, (0.08, 0.08, 0.09))
    arm = at + [rng.choice([-1, 1]) * rng.uniform(0.1, 1.2), 0, height]
    limb(kit, at + [0, 0, height - 0.05], arm, 0.04, 0.04, (0.08, 0.08, 0.09))
    kit.turned(arm - [0, 0, 0.15], [0.08, 0.25, 0.1], [0, 0.15, 0.3], (1, 0.8, 0.5) if night else (0.6, 0.6, 0.6),
               "glow" if night else "plain")


def small_thing(kit: Kit, rng: np.random.Generator, at) -> None:
    """A bench, a bin, a bollard, a sign or a parasol."""
    at, kind, colour = np.asarray(at, float), rng.integers(5), any_colour(rng)
    if kind == 0:
        for z, y in ((0.45, 0.0), (0.45, 0.15), (0.65, -0.1), (0.82, -0.13)):
            kit.box(at + [-0.8, y, z], at + [0.8, y + 0.1, z + 0.04], 0.6 * colour, "wood")
        for x in (-0.7, 0.7):
            kit.box(at + [x, -0.13, 0], at + [x + 0.06, 0.2, 0.45], (0.05, 0.05, 0.05))
    elif kind == 1:
        kit.turned(at, [0.2, 0.25, 0.26, 0.2], [0, 0.7, 0.75, 0.85], colour)
    elif kind == 2:
        kit.turned(at, [0.08, 0.08, 0.1, 0.02], [0, 0.8, 0.85, 0.95], 0.5 * colour)
    elif kind == 3:
        limb(kit, at, at + [0, 0, 2.6], 0.03, 0.03, (0.4, 0.4, 0.4))
        limb(kit, at + [0, 0.03, 2.3], at + [0, 0.06, 2.3], 0.32, 0.32, colour)
        limb(kit, at + [0, 0.06, 2.3], at + [0, 0.065, 2.3], 0.22, 0.22, (0.85, 0.85, 0.85))
    else:
        limb(kit, at, at + [0, 0, 2.4], 0.03, 0.03, (0.5, 0.4, 0.3), "wood")
        kit.turned(at, [1.4, 0.7, 0.02], [2.0, 2.3, 2.45], colour, "cloth")


def fence(kit: Kit, rng: np.random.Generator, length: float) -> None:
    """Boards, rails or a wall along x."""
    kind, height, colour = rng.integers(3), rng.uniform(0.9, 2.0), any_colour(rng)
    if kind == 0:
        kit.box((0, -0.15, 0), (length, 0.1, height), colour, "wall")
        return
    wide, gap = (rng.uniform(0.08, 0.18), 0.02) if kind == 1 else (0.05, rng.uniform(0.1, 0.3))
    for x in np.arange(0, length, wide + gap):
        shade = colour * rng.uniform(0.85, 1.1)
        kit.box((x, 0, 0.05), (x + wide, 0.03, height * rng.uniform(0.98, 1.02)), shade, "wood")
    for z in (0.25, 0.8):
        kit.box((0, -0.05, z * height), (length, 0.0, z * height + 0.08), 0.8 * colour, "wood")
