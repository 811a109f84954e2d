"""Places under the sky to put people in front of: a street, a square, a park or a yard, from one seed, in plain NumPy.

Metres, z up, as in rooms.py: the camera stands near the origin and looks along y. What stands there is in
outdoor_things.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .outdoor_things import car, fence, grow, hedge, row, small_thing, street_lamp
from .person import Colour, hsv, stream
from .rooms import Kit

PLACES = {"street": 0.3, "square": 0.3, "park": 0.2, "yard": 0.2}


@dataclass(frozen=True)
class Sky:
    """What is above: a gradient with clouds, and one sun or moon. Colours are linear."""

    zenith: Colour
    horizon: Colour
    clouds: float  # share of the sky, 0 to 1
    strength: float  # of the sky's light
    sun: float  # strength of the direct light, watts per square metre
    tint: Colour  # of that
    azimuth: float  # degrees from the camera's direction
    elevation: float  # degrees
    softness: float  # degrees across; a veiled sun throws soft shadows


@dataclass(frozen=True)
class Outdoors:
    """A place ready to be drawn. `floor`, `eye`, `aim`, `lens` and `aperture` are as in `rooms.Room`."""

    meshes: dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]
    kind: str  # one of PLACES
    sky: Sky
    floor: str
    eye: np.ndarray
    aim: np.ndarray
    lens: float
    aperture: float | None


def facing(corner, way) -> np.ndarray:
    """Axes of a row that begins at a corner and runs along `way` (x, y): y points a quarter turn clockwise from it."""
    place = np.eye(4)
    way = np.array([*way, 0.0])
    place[:3] = np.column_stack([way, [way[1], -way[0], 0.0], (0, 0, 1), corner])
    return place


def draw_sky(rng: np.random.Generator) -> tuple[Sky, bool]:
    """Day, overcast, low sun or night, and whether lamps are on."""
    kind = str(rng.choice(["day", "overcast", "low sun", "night"], p=[0.4, 0.3, 0.18, 0.12]))
    blue = rng.uniform(0.54, 0.63)
    zenith = {"day": hsv(blue, rng.uniform(0.4, 0.8), rng.uniform(0.5, 0.9)),
              "overcast": hsv(blue, rng.uniform(0, 0.15), rng.uniform(0.6, 0.9)),
              "low sun": hsv(blue, rng.uniform(0.3, 0.6), rng.uniform(0.4, 0.7)),
              "night": hsv(blue + 0.05, rng.uniform(0.3, 0.7), rng.uniform(0.1, 0.3))}[kind]
    horizon = {"day": hsv(blue, rng.uniform(0.05, 0.3), 0.95), "overcast": hsv(blue, rng.uniform(0, 0.1), 0.9),
               "low sun": hsv(rng.uniform(0.03, 0.13), rng.uniform(0.3, 0.7), 0.95),
               "night": hsv(rng.uniform(0.05, 0.7), rng.uniform(0.2, 0.5), rng.uniform(0.2, 0.4))}[kind]
    sun, tint, elevation, softness = {
        "day": (rng.uniform(2, 5), hsv(0.11, rng.uniform(0, 0.15), 1), rng.uniform(25, 70), rng.uniform(0.5, 4)),
        "overcast": (rng.uniform(0, 0.6), (1.0, 1.0, 1.0), rng.uniform(40, 80), 40.0),
        "low sun": (rng.uniform(1.5, 4), hsv(0.07, rng.uniform(0.3, 0.6), 1), rng.uniform(4, 20), rng.uniform(0.5, 3)),
        "night": (0.02, hsv(0.6, 0.3, 1), 40.0, 5.0)}[kind]
    clouds = {"day": rng.uniform(0, 0.7), "overcast": 0.9, "low sun": rng.uniform(0, 0.8), "night": 0.3}[kind]
    return Sky(zenith, horizon, float(clouds), {"night": 0.5}.get(kind, rng.uniform(0.6, 1.2)), float(sun), tint,
               rng.uniform(-180, 180), float(elevation), float(softness)), kind == "night"


def street(kit: Kit, rng: np.random.Generator, depth: float, lit: float) -> None:
    """A road between two rows of houses, with cars parked along both."""
    half = rng.uniform(5, 11)
    kit.box((-half + 3, -30, 0), (half - 3, depth, 0.01), np.full(3, rng.uniform(0.03, 0.12)), "wall")
    for y in np.arange(0, depth, 6):
        kit.box((-0.07, y, 0), (0.07, y + 2.5, 0.015), (0.8, 0.8, 0.78))
    row(kit, rng, facing((-half, 0, 0), (0, 1)), depth, lit)
    row(kit, rng, facing((half, depth, 0), (0, -1)), depth, lit)
    for side in (-1, 1):
        for y in np.arange(rng.uniform(3, 9), depth, rng.uniform(5.5, 9)):
            if rng.random() < 0.6:
                car(kit, rng, (side * (half - 3.9), y, 0), across=False)


def square(kit: Kit, rng: np.random.Generator, depth: float, lit: float) -> None:
    """A row of houses across the view, and cars before it."""
    row(kit, rng, facing((-45, depth, 0), (1, 0)), 90, lit)
    for x in np.arange(-12, 12, 5.5):
        if rng.random() < 0.4:
            car(kit, rng, (x, depth - rng.uniform(2.5, 4), 0), across=True)


def park(kit: Kit, rng: np.random.Generator, depth: float, lit: float) -> None:
    """A path of gravel, and perhaps houses in the distance."""
    gravel = hsv(0.09, 0.3, rng.uniform(0.4, 0.8))
    kit.box((-0.8, -5, 0), (0.8, depth, 0.01), gravel, "wall", rng.uniform(-25, 25))
    houses_behind(kit, rng, depth, lit)


def yard(kit: Kit, rng: np.random.Generator, depth: float, lit: float) -> None:
    """A hedge or a fence, and perhaps houses behind it."""
    kit.place = facing((-12, depth, 0), (1, 0))
    if rng.random() < 0.45:
        hedge(kit, rng, 24, rng.uniform(1, 2.2))
    else:
        fence(kit, rng, 24)
    kit.place = np.eye(4)
    houses_behind(kit, rng, depth, lit)


def houses_behind(kit: Kit, rng: np.random.Generator, depth: float, lit: float) -> None:
    if rng.random() < 0.6:
        row(kit, rng, facing((-60, depth + rng.uniform(8, 25), 0), (1, 0)), 120, lit)


SURROUNDINGS = {"street": street, "square": square, "park": park, "yard": yard}


def draw_outdoors(seed: int) -> Outdoors:
    """The place of a seed."""
    rng, kit = stream(seed, "outdoors"), Kit()
    kind = str(rng.choice(list(PLACES), p=list(PLACES.values())))
    sky, night = draw_sky(rng)
    lit = rng.uniform(0.2, 0.7) if night else rng.uniform(0, 0.05)
    green = kind in ("park", "yard") and rng.random() < 0.8
    ground = np.array(hsv(rng.uniform(0.18, 0.32), rng.uniform(0.3, 0.7), rng.uniform(0.35, 0.65)) if green else
                      hsv(rng.uniform(0.05, 0.12), rng.uniform(0, 0.25), rng.uniform(0.35, 0.8)))
    kit.box((-150, -30, -0.1), (150, 300, 0), ground, "floor")
    depth = {"street": rng.uniform(50, 120), "square": rng.uniform(9, 30), "park": rng.uniform(40, 90),
             "yard": rng.uniform(3, 8)}[kind]
    SURROUNDINGS[kind](kit, rng, depth, lit)
    scatter(kit, rng, kind, depth, night)
    eye = np.array([rng.normal(0, 1), 0.0, rng.uniform(1.1, 1.75)])
    aim = eye + [rng.normal(0, 0.25), 1.0, rng.normal(0.03, 0.06)]
    floor = "grass" if green else str(rng.choice(["tiles", "asphalt"]))
    return Outdoors(kit.meshes(), kind, sky, floor, eye, aim, rng.uniform(22, 50),
                    rng.uniform(1.2, 2.8) if rng.random() < 0.5 else None)


def scatter(kit: Kit, rng: np.random.Generator, kind: str, depth: float, night: bool) -> None:
    """Plants, lamps and small things of a place; in a street they stand on its pavements."""
    plenty = {"street": 4, "square": 6, "park": 18, "yard": 8}[kind]
    near, wide = (2.0, 6.0) if kind == "yard" else (5.0, 16.0)
    for _ in range(rng.integers(0 if kind in ("street", "square") else plenty // 2, plenty + 1)):
        grow(kit, rng, spot(rng, kind, near, depth, wide))
    if kind != "yard":
        for _ in range(rng.integers(1, 6)):
            street_lamp(kit, rng, spot(rng, kind, 6.0, min(depth, 40.0), 9.0), night)
    for _ in range(rng.integers(0, 7)):
        small_thing(kit, rng, spot(rng, kind, min(near + 1, depth - 1), min(depth, 20.0), 7.0))


def spot(rng: np.random.Generator, kind: str, near: float, far: float, wide: float) -> np.ndarray:
    """A point on the ground between two distances."""
    aside = rng.choice([-1, 1]) * rng.uniform(3.2, 4.8) if kind == "street" else rng.uniform(-wide, wide)
    return np.array([aside, rng.uniform(near, max(far - 0.6, near + 0.1)), 0.0])
