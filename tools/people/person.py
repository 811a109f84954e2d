"""Everything that is drawn at random about one person, from one seed: body, face, hair, clothes, motion, view, light.

Each part has its own stream of random numbers, named after it, so a change to one part leaves all others as they are.
What is drawn depends on the seed and on which targets and garments there are, and on nothing else.
"""

from __future__ import annotations

import colorsys
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np

from .assets import FACE, RACES
from .body import blend
from .garments import Cut
from .hair import STYLES, HairStyle
from .motion import Motion, draw_motion

FRAMINGS, FRAMING_SHARES = ("head", "waist", "full"), (0.5, 0.3, 0.2)
MALE_STYLES = {"bald": 0.1, "buzz": 0.1, "short": 0.24, "back": 0.16, "messy": 0.18, "afro": 0.05, "curly": 0.07,
               "bob": 0.06, "long": 0.04}
FEMALE_STYLES = {"short": 0.05, "messy": 0.06, "back": 0.08, "bob": 0.23, "long": 0.25, "wavy": 0.15, "afro": 0.06,
                 "curly": 0.1, "buzz": 0.02}
SKIN_TONES = {  # sRGB in [0, 1]
    "caucasian": ((0.93, 0.76, 0.66), (0.85, 0.65, 0.53), (0.78, 0.58, 0.45)),
    "asian": ((0.90, 0.74, 0.60), (0.80, 0.62, 0.46), (0.68, 0.49, 0.34)),
    "african": ((0.48, 0.31, 0.22), (0.36, 0.23, 0.17), (0.56, 0.38, 0.27))}
IRISES = ((0.25, 0.14, 0.07), (0.18, 0.10, 0.05), (0.25, 0.40, 0.60), (0.30, 0.40, 0.30), (0.40, 0.40, 0.42))
Colour = tuple[float, float, float]  # linear light, not sRGB


def stream(seed: int, part: str) -> np.random.Generator:
    """The random numbers of one part of one person; crc32, unlike hash(), is the same in every process."""
    return np.random.default_rng([seed, zlib.crc32(part.encode())])


def linear(srgb) -> np.ndarray:
    """sRGB in [0, 1] → linear light (IEC 61966-2-1)."""
    srgb = np.asarray(srgb, float)
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def hsv(hue: float, saturation: float, value: float) -> Colour:
    """A colour by hue, saturation and value of its sRGB, as linear light."""
    return tuple(linear(colorsys.hsv_to_rgb(hue % 1, saturation, value)).tolist())


@dataclass(frozen=True)
class Fabric:
    """The look of one piece of cloth."""

    colours: tuple[Colour, Colour, Colour]
    pattern: str  # "plain", "stripes", "checks" or "dots"
    scale: float  # of the pattern, per metre
    direction: str  # of the stripes: "X" or "Z"
    edge: float  # share of the pattern's second colour
    roughness: float


@dataclass(frozen=True)
class Light:
    """An area light around the head."""

    azimuth: float  # degrees, 0 from the camera
    elevation: float
    distance: float  # metres
    power: float  # watts
    size: float  # metres
    colour: Colour


@dataclass(frozen=True)
class View:
    """Camera and light, as the stage needs them. Angles are in degrees."""

    framing: str
    height: float  # of what the image shows: metres, or for "full" heights of the person
    field: float  # vertical field of view
    yaw: float  # of the camera around the person, 0 in front
    pitch: float
    roll: float
    aside: float  # of the person from the image's middle, as a share of its height
    headroom: float  # above the crown, as a share of the image's height
    ambient: float
    sky: tuple[Colour, Colour]
    lights: tuple[Light, ...]
    exposure: float  # mean linear brightness that the person is brought to


@dataclass(frozen=True)
class Person:
    """One person, complete but for the geometry, which figure.py makes of it."""

    seed: int
    male: bool
    old: float
    weights: Mapping[str, float]  # of morph targets
    motion: Motion
    skin: Colour
    lips: Colour
    iris: Colour
    hair_colour: Colour
    hair: HairStyle | None  # None: bald
    style: str
    recession: float  # degrees by which the hairline over the forehead stands higher
    stubble: float  # in [0, 1]
    beard: float  # length in decimetres; 0: none
    brows: int  # hairs
    outfit: str | None  # a garment's name; None: cut pieces
    pieces: tuple[Cut, ...]
    shoes: str | None
    hat: str | None
    glasses: tuple[float, float, float, float] | None  # half width, half height, squareness, radius of the wire
    fabrics: tuple[Fabric, Fabric, Fabric]
    view: View


def draw_person(seed: int, targets: Collection[str], garments: Collection[str]) -> Person:
    """The person of a seed, given the names of the targets and garments there are."""
    rng = stream(seed, "build")
    male = bool(rng.random() < 0.5)
    races = dict(zip(RACES, rng.dirichlet([0.45] * 3)))
    ages = draw_ages(rng)
    old, child = ages.get("old", 0.0), ages.get("child", 0.0)
    weights = blend(
        rng.uniform(0.85, 1) if male else rng.uniform(0, 0.15), ages, races, np.clip(rng.normal(0.52, 0.17), 0, 1),
        np.clip(rng.normal(0.52, 0.2), 0, 1), np.clip(rng.normal(0.5, 0.2), 0, 1), rng.uniform(0, 0.9))
    weights |= draw_face(stream(seed, "face"), targets)

    rng = stream(seed, "colours")
    tone = sum(races[race] * np.array(SKIN_TONES[race][rng.integers(3)]) for race in RACES)
    tone = linear(np.clip(tone * rng.uniform(0.85, 1.08) + rng.normal(0, 0.015, 3), 0.03, 1))
    lips = np.array([0.9, 0.5, 0.5]) * rng.uniform(0.7, 1.05) if male else np.array([0.85, 0.38, 0.4]) * rng.uniform(
        0.5, 1.1)
    iris = linear(IRISES[rng.integers(len(IRISES))])
    hair_colour = draw_hair_colour(rng, old, races)

    rng = stream(seed, "hair")
    style, hair = draw_hair(rng, male)
    recession = rng.uniform(0, 25) if male and rng.random() < 0.4 else rng.uniform(-3, 4)
    bearded = male and child < 0.1 and rng.random() < 0.6
    stubble = rng.uniform(0.05, 0.4) if bearded else 0.0
    beard = rng.uniform(0.03, 0.5) if bearded and rng.random() < 0.6 else 0.0
    brows = int(rng.uniform(350, 700) if male else rng.uniform(120, 380))

    outfit, pieces, shoes, hat = draw_clothes(stream(seed, "clothes"), male, sorted(garments))
    rng = stream(seed, "glasses")
    lens = (rng.uniform(0.24, 0.3), rng.uniform(0.16, 0.26), float(rng.choice([2, 3, 4])), rng.uniform(0.008, 0.025))
    glasses = lens if rng.random() < 0.2 else None
    rng = stream(seed, "fabrics")
    return Person(
        seed, male, old, weights, draw_motion(stream(seed, "motion")), tuple(tone), tuple(lips * tone), tuple(iris),
        hair_colour, hair, style, recession, stubble, beard, brows, outfit, pieces, shoes, hat, glasses,
        (draw_fabric(rng), draw_fabric(rng), draw_fabric(rng)), draw_view(stream(seed, "view")))


def draw_ages(rng: np.random.Generator) -> dict[str, float]:
    """Shares of child, young (about 25) and old (about 90) that sum to 1."""
    kind = rng.random()
    if kind < 0.12:
        share = rng.uniform(0.15, 0.5)
        return {"child": share, "young": 1 - share}
    share = rng.uniform(0, 0.35) if kind < 0.6 else rng.uniform(0.35, 1) if kind < 0.85 else 0.0
    return {"old": share, "young": 1 - share}


def draw_face(rng: np.random.Generator, targets: Collection[str]) -> dict[str, float]:
    """Small changes of the face, the same on both sides, and an expression."""
    skipped = ("trans", "age", "pointed", "triangular-", "push")  # these leave the plausible soon
    pool = sorted(name for name in targets if name.split("/")[0] in FACE and not any(word in name for word in skipped))
    weights: dict[str, float] = {}
    for name in rng.choice(pool, min(22, len(pool)), replace=False) if pool else ():
        weight = rng.uniform(0, 0.5) * (0.6 if name.startswith("head") else 1.0)
        for twin in sorted({name, name.replace("/l-", "/r-"), name.replace("/r-", "/l-")}):  # a set has no order
            if twin in targets:
                weights[str(twin)] = weights.get(twin, 0.0) + weight
    unit = "expression/units/caucasian/"
    if rng.random() < 0.6:
        weights[unit + "mouth-corner-puller"] = rng.uniform(0.1, 0.8)
    closed = rng.uniform(0, 0.25)
    way, lift = ("up", rng.uniform(0, 0.35)) if rng.random() < 0.75 else ("down", rng.uniform(0, 0.14))
    for side in ("left", "right"):
        weights[f"{unit}eye-{side}-closure"] = closed
        weights[f"{unit}eyebrows-{side}-{way}"] = lift
    return weights


def draw_hair_colour(rng: np.random.Generator, old: float, races: Mapping[str, float]) -> Colour:
    """Grey with age; else black, brown, blond, red or, now and then, dyed."""
    if rng.random() < 0.8 * old:
        value = rng.uniform(0.35, 0.85)
        return tuple(linear([value, 0.98 * value, 0.95 * value]).tolist())
    dark, kind = rng.random() < races["african"] + races["asian"], rng.random()
    if dark or kind < 0.35:
        colour = np.array([0.10, 0.075, 0.06]) * rng.uniform(0.5, 1.6)
    elif kind < 0.6:
        colour = np.array([0.28, 0.17, 0.10]) * rng.uniform(0.7, 1.4)
    elif kind < 0.85:
        colour = np.array([0.72, 0.55, 0.34]) * rng.uniform(0.7, 1.15)
    elif kind < 0.93:
        colour = np.array([0.55, 0.24, 0.12]) * rng.uniform(0.7, 1.2)
    else:
        return hsv(rng.random(), rng.uniform(0.4, 0.8), rng.uniform(0.4, 0.8))
    return tuple(linear(np.clip(colour, 0, 1)).tolist())


def draw_hair(rng: np.random.Generator, male: bool) -> tuple[str, HairStyle | None]:
    """A style and its variant of this person; None for a bald head."""
    shares = MALE_STYLES if male else FEMALE_STYLES
    name = str(rng.choice(list(shares), p=list(shares.values())))
    if name == "bald":
        return name, None
    style = STYLES[name]
    comb = style.comb
    if name in ("long", "bob", "wavy") and rng.random() < 0.35:
        comb = (0.5, 0.1, -1.0)  # combed back instead of parted
    if name == "short":
        comb = (rng.uniform(0.2, 0.9), rng.uniform(-0.1, 0.3), rng.uniform(-0.6, 0.9))
    return name, replace(
        style, comb=comb, length=style.length * rng.uniform(0.65, 1.35), count=int(style.count * rng.uniform(0.8, 1.2)),
        frizz=style.frizz * rng.uniform(0.4, 1.8), clump=min(style.clump * rng.uniform(0.5, 1.2), 0.92),
        curl=style.curl * rng.uniform(0.6, 1.3), parting=rng.uniform(-0.35, 0.35), swirl=rng.normal(0, 0.25),
        wave=rng.uniform(0.7, 1.6) if name == "wavy" else rng.uniform(0.35, 1.2), uneven=rng.uniform(0.1, 0.8))


def draw_clothes(rng: np.random.Generator, male: bool, garments: list[str]):
    """An outfit if there is one for this sex, else cut pieces; shoes and, seldom, a hat."""
    suits = [name for name in garments if name.startswith("male_" if male else "female_")]
    shoes, hats = ([name for name in garments if name.startswith(kind)] for kind in ("shoes", "fedora"))
    outfit = str(rng.choice(suits)) if suits and rng.random() < 0.45 else None
    hem, tank = rng.uniform(-0.9, 0.4), rng.random() < 0.12
    sleeve = 1.45 if tank else rng.uniform(2.2, 2.9) if rng.random() < 0.6 else rng.uniform(3.6, 4.2)
    top = Cut("top", sleeve=sleeve, neck=rng.uniform(5.6, 6.2), hem=hem, loose=rng.uniform(0.07, 0.22),
              plunge=rng.uniform(0, 0.5) if rng.random() < 0.4 else 0.0, smooth=int(rng.integers(3, 14)),
              seed=int(rng.integers(2**31)))
    skirt = not male and rng.random() < 0.35
    bottom = Cut("skirt" if skirt else "trousers", hem=hem, loose=rng.uniform(0.04, 0.12),
                 smooth=int(rng.integers(2, 8)), crease=0.02, seed=int(rng.integers(2**31)),
                 length=rng.uniform(-6.5, -3.0) if skirt or rng.random() < 0.2 else -7.3)
    return (outfit, () if outfit else (bottom, top), str(rng.choice(shoes)) if shoes else None,
            str(rng.choice(hats)) if hats and rng.random() < 0.06 else None)


def draw_fabric(rng: np.random.Generator) -> Fabric:
    """A fabric; half of them are muted, as most clothes are."""
    def colour() -> Colour:
        if rng.random() < 0.5:
            return hsv(rng.random(), rng.uniform(0, 0.3), rng.uniform(0.08, 0.95))
        return hsv(rng.random(), rng.uniform(0.3, 0.85), rng.uniform(0.15, 0.9))

    pattern = str(rng.choice(["plain", "stripes", "checks", "dots"], p=[0.6, 0.16, 0.12, 0.12]))
    scale = {"plain": 1, "stripes": rng.uniform(4, 28), "checks": rng.uniform(5, 18), "dots": rng.uniform(8, 60)}
    return Fabric((colour(), colour(), colour()), pattern, float(scale[pattern]), str(rng.choice(["X", "Z"])),
                  rng.uniform(0.3, 0.8), rng.uniform(0.55, 0.95))


def draw_view(rng: np.random.Generator) -> View:
    """Where the camera stands and what light falls."""
    framing = str(rng.choice(FRAMINGS, p=FRAMING_SHARES))
    heights = {"head": rng.uniform(0.42, 0.72), "waist": rng.uniform(0.8, 1.15), "full": rng.uniform(1.15, 1.45)}
    distance = rng.uniform(1.2, 3)
    lights = [Light(rng.uniform(-75, 75), rng.uniform(-6, 63), distance, rng.uniform(5, 18) * distance**2,
                    rng.uniform(0.2, 1.6), hsv(rng.choice([0.07, 0.1, 0.6]), rng.uniform(0, 0.3), 1))]
    if rng.random() < 0.45:  # a second one, from behind
        lights.append(Light(rng.uniform(115, 246), rng.uniform(0, 52), 2.0, rng.uniform(15, 80), rng.uniform(0.2, 1.0),
                            hsv(rng.random(), rng.uniform(0, 0.4), 1)))
    sky = (hsv(rng.choice([0.08, 0.1, 0.58, 0.6]), rng.uniform(0, 0.35), 1),
           hsv(rng.random(), rng.uniform(0, 0.4), rng.uniform(0.15, 0.9)))
    yaw = rng.normal(0, 20) if rng.random() < 0.85 else rng.uniform(-90, 90)
    if rng.random() < 0.03:
        yaw += 180  # now and then somebody's back
    return View(framing, heights[framing], rng.uniform(28, 58), yaw, rng.normal(0, 8), rng.normal(0, 2),
                float(np.clip(rng.normal(0, 0.11), -0.2, 0.2)), rng.uniform(0.06, 0.2), rng.uniform(0.15, 0.9), sky,
                tuple(lights), float(np.exp(rng.normal(np.log(0.2), 0.4))))
