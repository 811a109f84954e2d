"""Rooms to put people in front of: furniture along three walls, from one seed, in plain NumPy.

Metres, z up. The room lies in x from -width/2 to width/2, y from 0 to depth, z from 0 to height; the camera stands
near y = 0 and looks towards the wall at y = depth. Every piece of furniture is built in its wall's own axes (x along
the wall, y out of it, z up) by a function that returns nothing and adds to a Kit.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .person import Colour, hsv, stream

CUBE = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], float)
CUBE_FACES = np.array([[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]])
ROUND = 20  # corners of a turned thing
MATERIALS = ("wall", "floor", "plain", "wood", "cloth", "leaf", "glow")


@dataclass
class Kit:
    """Faces collected by material; `place` (4, 4) leads from a wall's axes to the room's."""

    parts: dict[str, list] = field(default_factory=dict)
    place: np.ndarray = field(default_factory=lambda: np.eye(4))

    def add(self, material: str, points: np.ndarray, faces: np.ndarray, colours) -> None:
        """points (N, 3), faces (F, 4), colours (3,) or (F, 3), linear."""
        moved = points @ self.place[:3, :3].T + self.place[:3, 3]
        self.parts.setdefault(material, []).append((moved, faces, np.broadcast_to(colours, (len(faces), 3))))

    def box(self, low, high, colour, material: str = "plain", turn: float = 0.0) -> None:
        """A box from corner to corner, turned about its own middle by degrees around z."""
        low, high = np.asarray(low, float), np.asarray(high, float)
        points, middle, angle = low + CUBE * (high - low), (low + high) / 2, np.radians(turn)
        flat = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
        self.add(material, (points - middle) @ flat.T + middle, CUBE_FACES, colour)

    def turned(self, base, radii, heights, colour, material: str = "plain") -> None:
        """A surface of revolution on `base`: radii at heights, from the bottom up."""
        angle = 2 * np.pi * np.arange(ROUND) / ROUND
        rings = [np.column_stack([r * np.cos(angle), r * np.sin(angle), np.full(ROUND, h)])
                 for r, h in zip(radii, heights)]
        at = np.arange(len(rings) * ROUND).reshape(-1, ROUND)
        right = np.roll(at, -1, axis=1)
        faces = np.stack([at[:-1], right[:-1], right[1:], at[1:]], axis=-1).reshape(-1, 4)
        self.add(material, np.concatenate(rings) + base, faces, colour)

    def meshes(self) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Per material: points (N, 3), faces (F, 4), colours (F, 3)."""
        found = {}
        for material, parts in self.parts.items():
            starts = np.cumsum([0, *(len(points) for points, _, _ in parts)])
            found[material] = (np.concatenate([points for points, _, _ in parts]),
                               np.concatenate([faces + start for (_, faces, _), start in zip(parts, starts)]),
                               np.concatenate([colours for _, _, colours in parts]))
        return found


@dataclass(frozen=True)
class Room:
    """A room ready to be drawn."""

    meshes: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]
    size: tuple[float, float, float]  # width, depth, height
    windows: tuple[tuple[np.ndarray, np.ndarray, float], ...]  # middle, direction into the room, width
    floor: str  # "planks", "tiles" or "carpet"
    eye: np.ndarray  # the camera's place
    aim: np.ndarray  # what it looks at
    lens: float  # millimetres, on a sensor of 36
    aperture: float | None  # f-stop when the room is out of focus, behind a person who is not there; None: all sharp
    daylight: float  # watts per window
    lamp: float  # watts of the lamp below the ceiling
    warmth: Colour  # of that lamp


# ── furniture ────────────────────────────────────────────────────────────────────────────────

def furniture_colour(rng: np.random.Generator) -> np.ndarray:
    """Mostly wood, white or dark, sometimes painted."""
    kind = rng.random()
    if kind < 0.5:
        return np.array(hsv(rng.uniform(0.05, 0.1), rng.uniform(0.3, 0.7), rng.uniform(0.25, 0.75)))
    if kind < 0.8:
        return np.array(hsv(0.1, rng.uniform(0, 0.1), rng.choice([0.15, 0.85, 0.92])))
    return any_colour(rng)


def any_colour(rng: np.random.Generator) -> np.ndarray:
    return np.array(hsv(rng.random(), rng.uniform(0.1, 0.75), rng.uniform(0.15, 0.9)))


def books(kit: Kit, rng: np.random.Generator, left: float, right: float, bottom: float, room: float,
          depth: float) -> None:
    """A row of books from left to right that leaves gaps; `room` is the shelf's clear height."""
    palette = [any_colour(rng) for _ in range(rng.integers(3, 8))]
    x = left
    while x < right - 0.03:
        if rng.random() < 0.12:
            x += rng.uniform(0.05, 0.25)
            continue
        thick = min(rng.uniform(0.012, 0.05), right - x)
        kit.box((x, 0.02, bottom), (x + thick, depth * rng.uniform(0.6, 0.85), bottom + room * rng.uniform(0.55, 0.95)),
                palette[rng.integers(len(palette))] * rng.uniform(0.7, 1.1))
        x += thick + 0.001


def shelf(kit: Kit, rng: np.random.Generator, width: float) -> None:
    colour, height, depth, board = furniture_colour(rng), rng.uniform(0.9, 2.3), rng.uniform(0.25, 0.4), 0.025
    for x in (0.0, width - board):
        kit.box((x, 0, 0), (x + board, depth, height), colour, "wood")
    kit.box((0, 0, 0), (width, 0.01, height), 0.8 * colour, "wood")
    levels = max(2, round(height / rng.uniform(0.28, 0.4)))
    step = (height - board) / levels
    for level in range(levels + 1):
        kit.box((0, 0, level * step), (width, depth, level * step + board), colour, "wood")
        if level < levels:
            books(kit, rng, board, width - board, level * step + board, step - board, depth)


def small_things(kit: Kit, rng: np.random.Generator, width: float, depth: float, top: float) -> None:
    """A few vases, boxes and lamps on something flat."""
    for _ in range(rng.integers(1, 5)):
        base = np.array([rng.uniform(0.08, max(0.09, width - 0.08)), rng.uniform(0.1, max(0.11, depth - 0.1)), top])
        size, kind = rng.uniform(0.04, 0.1), rng.random()
        if kind < 0.4:
            kit.turned(base, size * rng.uniform(0.3, 1, 5), size * np.linspace(0, 3, 5), any_colour(rng))
        elif kind < 0.75:
            kit.box(base - [size, 0.6 * size, 0], base + [size, 0.6 * size, 1.5 * size * rng.random() + 0.01],
                    any_colour(rng), turn=rng.uniform(-30, 30))
        else:
            lamp(kit, rng, base, rng.uniform(0.3, 0.5))


def lamp(kit: Kit, rng: np.random.Generator, base: np.ndarray, height: float) -> None:
    """A foot and a shade that glows, on a table or, when tall, on the floor."""
    kit.turned(base, [0.25 * height, 0.02, 0.012, 0.012], [0, 0.03, 0.05, 0.7 * height], furniture_colour(rng))
    kit.turned(base, [0.35 * height, 0.22 * height], [0.65 * height, height],
               np.array(hsv(0.1, rng.uniform(0.1, 0.4), 1)), "glow" if rng.random() < 0.7 else "cloth")


def cabinet(kit: Kit, rng: np.random.Generator, width: float) -> None:
    colour, height, depth = furniture_colour(rng), rng.uniform(0.5, 1.1), rng.uniform(0.35, 0.55)
    kit.box((0, 0, 0.06), (width, depth, height), 0.85 * colour, "wood")
    columns, rows = max(1, round(width / rng.uniform(0.4, 0.7))), rng.integers(1, 4)
    wide, tall = width / columns, (height - 0.1) / rows
    for column in range(columns):
        for row in range(rows):
            x, z = column * wide, 0.08 + row * tall
            kit.box((x + 0.006, depth, z), (x + wide - 0.006, depth + 0.018, z + tall - 0.012), colour, "wood")
            kit.box((x + wide / 2 - 0.05, depth + 0.018, z + tall - 0.07),
                    (x + wide / 2 + 0.05, depth + 0.035, z + tall - 0.055), (0.3, 0.3, 0.3))
    small_things(kit, rng, width, depth, height)


def table(kit: Kit, rng: np.random.Generator, width: float) -> None:
    colour, height, depth = furniture_colour(rng), rng.uniform(0.7, 0.78), rng.uniform(0.55, 0.8)
    kit.box((0, 0.02, height - 0.03), (width, depth, height), colour, "wood")
    for x in (0.03, width - 0.08):
        for y in (0.05, depth - 0.1):
            kit.box((x, y, 0), (x + 0.05, y + 0.05, height - 0.03), 0.7 * colour, "wood")
    if rng.random() < 0.5:  # a screen
        middle = rng.uniform(0.3, 0.7) * width
        kit.box((middle - 0.28, 0.15, height + 0.1), (middle + 0.28, 0.18, height + 0.43), (0.01, 0.01, 0.01))
        kit.box((middle - 0.03, 0.12, height), (middle + 0.03, 0.15, height + 0.2), (0.05, 0.05, 0.05))
        kit.box((middle - 0.27, 0.18, height + 0.11), (middle + 0.27, 0.182, height + 0.42), 0.3 * any_colour(rng),
                "glow")
    small_things(kit, rng, width, depth, height)
    seat = rng.uniform(0.3, max(0.31, width - 0.5))
    shade = any_colour(rng)
    kit.box((seat, depth - 0.1, 0.42), (seat + 0.44, depth + 0.34, 0.47), shade, "cloth")
    kit.box((seat, depth + 0.3, 0.47), (seat + 0.44, depth + 0.34, 0.95), shade, "cloth")
    for x in (seat, seat + 0.4):
        for y in (depth - 0.1, depth + 0.3):
            kit.box((x, y, 0), (x + 0.04, y + 0.04, 0.42), 0.5 * colour, "wood")


def sofa(kit: Kit, rng: np.random.Generator, width: float) -> None:
    colour, depth, back = any_colour(rng), rng.uniform(0.8, 0.95), rng.uniform(0.7, 0.9)
    kit.box((0, 0.05, 0.08), (width, depth, 0.4), 0.9 * colour, "cloth")
    kit.box((0, 0.05, 0.3), (width, 0.28, back), colour, "cloth")
    for x in (0.0, width - 0.16):
        kit.box((x, 0.05, 0.1), (x + 0.16, depth, 0.6), colour, "cloth")
    for _ in range(rng.integers(0, 4)):
        x = rng.uniform(0.2, max(0.21, width - 0.6))
        kit.box((x, 0.3, 0.42), (x + 0.4, 0.42, 0.8), any_colour(rng), "cloth", rng.uniform(-20, 20))


def plant(kit: Kit, rng: np.random.Generator, width: float) -> None:
    """A pot with a stem and some hundred leaves, each a kite of four corners."""
    base = np.array([width / 2, 0.35, 0.0])
    kit.turned(base, [0.12, 0.17, 0.16], [0, 0.3, 0.3], furniture_colour(rng))
    height, count = rng.uniform(0.8, 1.7), int(rng.integers(60, 220))
    kit.turned(base, [0.02, 0.015], [0.25, height], (0.1, 0.06, 0.03))
    out = rng.normal(size=(count, 3)) + [0, 0, 0.4]
    out /= np.linalg.norm(out, axis=1, keepdims=True)
    start = base + [0, 0, 0.6 * height] + out * [0.12, 0.12, 0.35 * height] * rng.uniform(0.2, 1, (count, 1))
    green = np.array(hsv(rng.uniform(0.22, 0.38), rng.uniform(0.4, 0.8), rng.uniform(0.25, 0.6)))
    leaves(kit, rng, start, out, rng.uniform(0.1, 0.3, (count, 1)), green)


def leaves(kit: Kit, rng: np.random.Generator, start: np.ndarray, out: np.ndarray, length: np.ndarray,
           colour: np.ndarray) -> None:
    """Leaves from `start` (N, 3) along `out` (N, 3), bent down a little: kites of `length` (N, 1), of many shades."""
    count = len(start)
    across = np.cross(out, rng.normal(size=(count, 3)))
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    kites = [start, start + 0.5 * length * out + 0.2 * length * across, start + length * (out - [0, 0, 0.3]),
             start + 0.5 * length * out - 0.2 * length * across]
    kit.add("leaf", np.stack(kites, axis=1).reshape(-1, 3), np.arange(4 * count).reshape(-1, 4),
            colour * rng.uniform(0.6, 1.4, (count, 1)))


def picture(kit: Kit, rng: np.random.Generator, width: float, height: float) -> None:
    """A framed sheet of coloured rectangles on the wall."""
    wide, tall = rng.uniform(0.3, min(1.1, width)), rng.uniform(0.3, 0.9)
    x, z = (width - wide) / 2, min(rng.uniform(1.3, 1.6), height - tall - 0.15)
    kit.box((x - 0.03, 0, z - 0.03), (x + wide + 0.03, 0.025, z + tall + 0.03), furniture_colour(rng), "wood")
    kit.box((x, 0.02, z), (x + wide, 0.028, z + tall), any_colour(rng))
    for _ in range(rng.integers(2, 9)):
        low = rng.uniform(0, 0.7, 2) * (wide, tall)
        size = rng.uniform(0.1, 0.3, 2) * (wide, tall)
        lift = 0.029 + 0.001 * rng.random()  # apart, or two faces in one plane would flicker
        kit.box((x + low[0], 0.028, z + low[1]), (x + low[0] + size[0], lift, z + low[1] + size[1]), any_colour(rng))


def window(kit: Kit, rng: np.random.Generator, width: float, height: float) -> float:
    """A pane that glows like the sky, its frame and, mostly, curtains; returns the height of its middle."""
    low, top = rng.uniform(0.7, 1.0), min(height - 0.15, rng.uniform(2.0, 2.5))
    kit.box((0, 0, low), (width, 0.01, top), np.array(hsv(rng.uniform(0.53, 0.62), rng.uniform(0.05, 0.35), 1)), "glow")
    frame = np.array([0.75, 0.75, 0.75]) if rng.random() < 0.6 else furniture_colour(rng)
    for x in np.linspace(0, width, max(2, round(width / 0.7) + 1)):
        kit.box((x - 0.025, 0, low), (x + 0.025, 0.05, top), frame)
    for z in (low, top):
        kit.box((-0.025, 0, z - 0.025), (width + 0.025, 0.06, z + 0.025), frame)
    if rng.random() < 0.7:
        colour, folds = any_colour(rng), rng.uniform(0.08, 0.14)
        for left in (-0.25, width - 0.2):
            x = np.linspace(left, left + 0.45, 40)
            y = 0.12 + 0.035 * np.sin(2 * np.pi * x / folds)
            points = np.concatenate([np.column_stack([x, y, np.full(40, z)]) for z in (0.05, top + 0.1)])
            k = np.arange(39)
            kit.add("cloth", points, np.column_stack([k, k + 1, k + 41, k + 40]), colour)
    return (low + top) / 2


# ── the whole room ───────────────────────────────────────────────────────────────────────────

PIECES = {"shelf": shelf, "cabinet": cabinet, "table": table, "sofa": sofa, "plant": plant}


def along(place: np.ndarray, x: float) -> np.ndarray:
    """A wall's axes moved by x along the wall."""
    moved = place.copy()
    moved[:3, 3] += x * place[:3, 0]
    return moved


def furnish(kit: Kit, rng: np.random.Generator, place: np.ndarray, length: float, height: float,
            bright: bool) -> list[tuple[np.ndarray, np.ndarray, float]]:
    """Pieces side by side along one wall, a window first if it is to be `bright`; returns the windows."""
    windows, x = [], rng.uniform(0.1, 0.5)
    while x < length - 0.7:
        wide = min(rng.uniform(0.7, 2.0), length - x - 0.1)
        kit.place = along(place, x)
        if bright or rng.random() < 0.15:
            bright, middle = False, window(kit, rng, wide, height)
            windows.append((kit.place[:3] @ [wide / 2, 0.1, middle, 1], place[:3, 1], wide))
        else:
            name = str(rng.choice(list(PIECES), p=[0.28, 0.24, 0.18, 0.16, 0.14]))
            PIECES[name](kit, rng, wide)
            if name != "shelf" and rng.random() < 0.7:
                picture(kit, rng, wide, height)
        x += wide + rng.uniform(0.05, 0.5)
    return windows


def draw_room(seed: int) -> Room:
    """The room of a seed."""
    rng, kit = stream(seed, "room"), Kit()
    width, depth, height = rng.uniform(3.5, 6.5), rng.uniform(3.5, 6.0), rng.uniform(2.4, 3.0)
    paint = np.array(hsv(rng.random(), rng.uniform(0, 0.3), rng.uniform(0.5, 0.95)))
    ground = np.array(hsv(rng.uniform(0.04, 0.12), rng.uniform(0.05, 0.55), rng.uniform(0.25, 0.8)))
    kit.box((-width / 2, -1, -0.1), (width / 2, depth, 0), ground, "floor")
    kit.box((-width / 2, -1, height), (width / 2, depth, height + 0.1), (0.85, 0.85, 0.83), "wall")
    walls = (  # where each begins, the way along it, the way out of it, and its length
        ((-width / 2, depth, 0), (1, 0, 0), (0, -1, 0), width), ((-width / 2, 0, 0), (0, 1, 0), (1, 0, 0), depth),
        ((width / 2, 0, 0), (0, 1, 0), (-1, 0, 0), depth))
    bright, windows = rng.integers(3), []
    for number, (corner, way, out, length) in enumerate(walls):
        place = np.eye(4)
        place[:3] = np.column_stack([way, out, (0, 0, 1), corner])
        kit.place = place
        kit.box((0, -0.1, 0), (length, 0, height), paint if rng.random() < 0.8 else any_colour(rng), "wall")
        kit.box((0, 0, 0), (length, 0.015, 0.09), (0.7, 0.7, 0.68))  # skirting board
        windows += furnish(kit, rng, place, length, height, number == bright)
    eye = np.array([rng.uniform(-0.2, 0.2) * width, rng.uniform(0.0, 0.25) * depth, rng.uniform(1.1, 1.7)])
    aim = np.array([rng.uniform(-0.35, 0.35) * width, depth, eye[2] + rng.normal(0, 0.25)])
    return Room(kit.meshes(), (width, depth, height), tuple(windows), str(rng.choice(["planks", "tiles", "carpet"])),
                eye, aim, rng.uniform(22, 45), rng.uniform(1.2, 2.8) if rng.random() < 0.5 else None,
                rng.uniform(30, 150), rng.uniform(10, 120), hsv(rng.uniform(0.07, 0.13), rng.uniform(0, 0.45), 1))
