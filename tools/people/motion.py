"""How a person moves: every joint's angle as a smooth function of time.

A still is the frame at time 0 of a clip, so both come from the same functions. An angle is

    angle(t) = rest + Σ aₖ sin(2π fₖ t + φₖ) + Σ changeⱼ · s((t - startⱼ) / lengthⱼ)

with s the quintic 10u³ - 15u⁴ + 6u⁵, clipped to [0, 1]: the shortest way between two poses without a jerk at either
end. No angle can change faster than Σ 2π aₖ fₖ + Σ 1.875 |changeⱼ| / lengthⱼ, see `Curve.top_speed`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .body import X, Y, Z, rotation, unit
from .bones import FINGERS, NECK, SIDES, SPINE

BLINK = 0.22  # seconds from open to open


@dataclass(frozen=True)
class Curve:
    """An angle in degrees, or any other number, as a smooth function of time in seconds."""

    rest: float
    waves: tuple[tuple[float, float, float], ...] = ()  # amplitude, frequency in hertz, phase in radians
    steps: tuple[tuple[float, float, float], ...] = ()  # start, length in seconds, change

    def __call__(self, time: float) -> float:
        value = self.rest + sum(a * np.sin(2 * np.pi * f * time + phase) for a, f, phase in self.waves)
        for start, length, change in self.steps:
            u = min(max((time - start) / length, 0.0), 1.0)
            value += change * u**3 * (10 - 15 * u + 6 * u * u)
        return float(value)

    @property
    def top_speed(self) -> float:
        """A bound on |d/dt|, per second: no frame to frame change is larger than this times the time between."""
        return sum(2 * np.pi * abs(a) * f for a, f, _ in self.waves) + sum(
            1.875 * abs(change) / length for _, length, change in self.steps)


@dataclass(frozen=True)
class Motion:
    """One person's curves by name, and the moments at which the eyes close."""

    angles: Mapping[str, Curve]
    blinks: tuple[float, ...]  # seconds

    def at(self, time: float) -> dict[str, float]:
        return {name: curve(time) for name, curve in self.angles.items()}

    def lids(self, time: float) -> float:
        """How far a blink has closed the eyes, in [0, 1]."""
        nearest = min((abs(time - moment) for moment in self.blinks), default=BLINK)
        return float(np.cos(np.pi * nearest / BLINK) ** 2) if nearest < BLINK / 2 else 0.0


def draw_motion(rng: np.random.Generator, seconds: float = 10.0) -> Motion:
    """A standing person who looks about, shifts weight, breathes and sometimes lifts a hand."""
    def sway(rest: float, amplitude: float) -> Curve:
        """Two slow waves about a rest angle; the second is faster and smaller."""
        a, b = amplitude * rng.uniform(0.4, 1.0), amplitude * rng.uniform(0.1, 0.35)
        return Curve(rest, ((a, rng.uniform(0.12, 0.4), rng.uniform(0, 2 * np.pi)),
                            (b, rng.uniform(0.5, 0.9), rng.uniform(0, 2 * np.pi))))

    def gesture(curve: Curve, low: float, high: float, start: float) -> Curve:
        """Go to another angle in [low, high], stay there a while and come back."""
        change, length, stay = rng.uniform(low, high) - curve.rest, rng.uniform(0.7, 1.4), rng.uniform(0.3, 1.5)
        return Curve(curve.rest, curve.waves,
                     (*curve.steps, (start, length, change), (start + length + stay, length, -change)))

    angles = {
        "body.sway": sway(rng.normal(0, 1), 1.5), "body.rock": sway(rng.normal(0, 1), 1.0),
        "spine.bow": sway(rng.normal(0, 4), 2.5), "spine.turn": sway(rng.normal(0, 6), 5),
        "spine.lean": sway(rng.normal(0, 3), 2),
        "head.nod": sway(rng.normal(3, 7), 6), "head.turn": sway(rng.normal(0, 16), 14),
        "head.tilt": sway(rng.normal(0, 6), 4),
        "breath": Curve(0.0, ((1.0, rng.uniform(0.2, 0.33), rng.uniform(0, 2 * np.pi)),)),
        "jaw": sway(rng.uniform(0.0, 0.15), 0.1), "gaze": sway(rng.normal(0, 5), 5),
    }
    for side, _ in SIDES:
        raised = rng.random() < 0.2  # a hand that is up at time 0: stills want them too
        arm = {
            "clavicle": sway(rng.uniform(-3, 6), 1.0), "twist": sway(rng.uniform(-15, 15), 3),
            "lower": sway(rng.uniform(10, 40) if raised else rng.uniform(30, 43), 2.5),
            "forward": sway(rng.uniform(0, 40) if raised else rng.uniform(-10, 15), 4),
            "across": sway(rng.uniform(0, 40) if raised else rng.uniform(0, 15), 3),
            "elbow": sway(rng.uniform(35, 95) if raised else rng.uniform(-18, 10), 4),
            "forearm": sway(rng.uniform(-25, 25), 5), "wrist": sway(rng.normal(0, 10), 5),
            "curl": sway(rng.uniform(-5, 45), 6),
        }
        if rng.random() < 0.5:
            start = rng.uniform(0.1, max(0.2, 0.4 * seconds))
            ranges = {"lower": (5, 35), "forward": (0, 55), "across": (0, 40), "elbow": (40, 100), "curl": (0, 35)}
            arm |= {name: gesture(arm[name], *ranges[name], start) for name in ranges}
        angles |= {f"{name}.{side}": curve for name, curve in arm.items()}
        angles |= {f"thigh.{side}": sway(rng.normal(0, 4), 1), f"spread.{side}": Curve(rng.uniform(-2, 7)),
                   f"knee.{side}": sway(abs(rng.normal(0, 7)), 1)}
    moments, moment = [], rng.uniform(0.3, 4.0)
    while moment < seconds + 5:
        moments.append(moment)
        moment += rng.uniform(1.5, 5.0)
    return Motion(angles, tuple(moments))


def turns(angles: Mapping[str, float], heads: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Rotations (3, 3) of bones for these angles in degrees; `heads` are where this body's bones begin.

    MakeHuman's rest pose stands with the arms half raised: "lower" lets them hang.
    """
    found: dict[str, np.ndarray] = {}

    def turn(bone: str, axis: np.ndarray, degrees: float) -> None:
        found[bone] = rotation(axis, degrees) @ found.get(bone, np.eye(3))

    turn("root", Z, angles["body.sway"])
    turn("root", X, angles["body.rock"])
    for bone in SPINE:
        turn(bone, X, angles["spine.bow"] / 5 + 0.2 * angles["breath"])
        turn(bone, Y, angles["spine.turn"] / 5)
        turn(bone, Z, angles["spine.lean"] / 5)
    for bone in NECK:
        turn(bone, Z, angles["head.tilt"] / 4)
        turn(bone, X, angles["head.nod"] / 4 - 0.15 * angles["breath"])
        turn(bone, Y, angles["head.turn"] / 4)
    for side, sign in SIDES:
        value = {name: angles[f"{name}.{side}"] for name in
                 ("clavicle", "twist", "lower", "forward", "across", "elbow", "forearm", "wrist", "curl")}
        shoulder, elbow, wrist = (heads[f"{bone}.{side}"] for bone in ("upperarm01", "lowerarm01", "wrist"))
        upper, fore = unit(elbow - shoulder), unit(wrist - elbow)
        hinge = np.cross(upper, fore)
        hinge = unit(hinge) if np.linalg.norm(hinge) > 0.1 else -X  # a straight arm says nothing about its hinge
        turn(f"clavicle.{side}", Z, sign * (value["clavicle"] + 0.8 * angles["breath"]))
        turn(f"upperarm01.{side}", upper, sign * value["twist"])
        turn(f"upperarm01.{side}", Z, -sign * value["lower"])
        turn(f"upperarm01.{side}", X, -value["forward"])
        turn(f"upperarm01.{side}", Y, -sign * value["across"])
        turn(f"lowerarm01.{side}", hinge, value["elbow"])
        turn(f"lowerarm02.{side}", fore, sign * (value["forearm"] - 20))
        knuckles = unit(heads[f"finger2-1.{side}"] - heads[f"finger5-1.{side}"])
        turn(f"wrist.{side}", knuckles, sign * value["wrist"])
        for number, (finger, joint) in enumerate(FINGERS):
            uneven = 1 + 0.25 * np.sin(2.4 * number)  # no hand curls all fingers alike
            turn(f"finger{finger}-{joint}.{side}", knuckles, sign * value["curl"] * uneven)
        turn(f"upperleg01.{side}", X, angles[f"thigh.{side}"] - 0.5 * angles[f"knee.{side}"])
        turn(f"upperleg01.{side}", Z, -sign * angles[f"spread.{side}"])
        turn(f"lowerleg01.{side}", X, angles[f"knee.{side}"])
    return found
