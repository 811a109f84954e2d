"""Procedural figures: people-like shapes whose alpha is known exactly, because we draw it.

A figure is a stack of parts (`parts.py`), painted back to front: hair behind, arms, torso, head, hair in
front, perhaps a veil. This file holds the rest: proportions, skeleton, motion, and the camera's open
shutter. Motion blur renders every part's coverage anew in each sub-frame; its colour is computed once per
frame and rides along with the part's anchor. Sub-frames are averaged as premultiplied colour, which is what
light does. The figures are our own.
"""

from __future__ import annotations

import math

import numpy as np

from .hats import Hat
from .motion import Path
from .parts import Parts, is_alpha
from .scenes import colour, noise, texture
from .shapes import F, coverage, grid, tiled
from .wardrobe import face, strands

Pose = dict[str, tuple]  # joint → (x, y) in pixels of the frame; also a few numbers, as (number, 0)


class Figure(Parts):
    """One person-like figure with its clothes, its pose and its motion, ready to be photographed.

    rng decides everything. wild=False keeps to what a webcam sees: head and shoulders or waist up, near the
    middle, skin-coloured, arms mostly down. `render(times)` gives the premultiplied average over the
    sub-frames, (4, H, W) float32.
    """

    def __init__(self, rng: np.random.Generator, height: int, width: int, wild: bool = True) -> None:
        self.height, self.width = height, width
        u = rng.uniform
        framing = rng.choice(["head", "waist", "full"], p=[0.45, 0.35, 0.2] if wild else [0.6, 0.4, 0.0])
        low, high = {"head": (0.36, 0.62), "waist": (0.2, 0.34), "full": (0.1, 0.16)}[framing]
        self.unit = u(low, high) * height  # one head, chin to crown, in pixels

        # Proportions, in heads; children have large heads, and everyone differs.
        build = u(0.8, 1.35)
        self.body = {
            "head": (u(0.34, 0.42), 0.5),
            "neck": u(0.13, 0.19) * build,
            "shoulder": u(0.62, 0.95) * build,
            "chest": u(0.3, 0.42) * build,
            "waist": u(0.36, 0.56) * build,
            "hip": u(0.4, 0.62) * build,
            "trunk": u(1.9, 2.6),
            "arm": u(1.25, 1.6),
            "leg": u(1.6, 2.1),
            "limb": u(0.15, 0.22) * build,
        }
        x = u(0.25, 0.75) if rng.random() < 0.75 or not wild else u(-0.05, 1.05)
        self.home = (x * width, height * u(0.02, 0.25) + self.unit * u(0.3, 0.6))  # the head's centre

        # Motion.
        lively = rng.choice([0.15, 1.0, 2.2], p=[0.35, 0.45, 0.2] if wild else [0.5, 0.45, 0.05])
        self.walk = rng.normal(0, 0.004 * lively) * width  # pixels per frame
        make = {
            "x": 0.05 * width,
            "y": 0.03 * height,
            "zoom": 0.06,
            "lean": 0.08,
            "yaw": 0.7,
            "nod": 0.08,
            "tilt": 0.2,
        }
        self.paths = {
            k: Path(rng, a * lively ** (0.7 if k in ("yaw", "tilt") else 1)) for k, a in make.items()
        }
        self.yaw, self.lean = rng.normal(0, 0.45), rng.normal(0, 0.08)
        self.limbs = []  # per arm: rest angles of upper and fore arm from "straight down", and their swing
        for side in (-1, 1):
            raised = rng.random() < (0.3 if wild else 0.1)
            upper = u(0.8, 2.9) if raised else u(-0.05, 0.5)
            fore = upper + (u(-0.3, 2.3) if raised else -u(0.0, 2.4) * rng.choice([0.15, 1]))
            self.limbs.append(
                (
                    side,
                    upper,
                    fore,
                    Path(rng, 0.25 * lively, 0.02, 0.07),
                    Path(rng, 0.5 * lively, 0.02, 0.08),
                    Path(rng, 0.4),
                    Path(rng, 0.3 * lively),
                )
            )
        self.arm_behind = (rng.random() < 0.3, rng.random() < 0.3)

        # Clothes, skin and hair; any colour may meet any other, so that colour tells nothing.
        tone = rng.uniform(0.16, 1)
        warm = np.array([1, 0.62 + 0.2 * tone, 0.44 + 0.3 * tone])
        natural_skin = rng.random() < 0.85 or not wild
        skin = warm * tone * u(0.85, 1.15, 3) if natural_skin else colour(rng) * 0.8 + 0.1
        self.skin = skin.clip(0, 1).astype(F)
        natural = np.array(
            [
                [0.05, 0.04, 0.03],
                [0.25, 0.15, 0.08],
                [0.75, 0.6, 0.35],
                [0.55, 0.2, 0.08],
                [0.75, 0.74, 0.72],
            ],
            F,
        )
        self.hair = natural[rng.integers(5)] * F(u(0.8, 1.2)) if rng.random() < 0.75 else colour(rng)
        self.cloth, self.cloth_zoom = tiled(texture(rng, 128, 128)), u(24, 60)  # texels per head
        self.trousers = tiled(texture(rng, 64, 64, 0.6))
        self.shoes = colour(rng)
        self.folds = tiled(noise(rng, 128, 128, 5, 3))
        self.sleeve = rng.choice([0.0, u(0.4, 0.9), 1.95], p=[0.15, 0.35, 0.5])
        angle = u(-1.3, 1.3)
        ambient = u(0.25, 0.75)
        self.light = (math.sin(angle) * 0.7, -0.5 * u(-0.2, 1), 0.75, ambient)
        self.style = rng.choice(["bald", "short", "big", "long"], p=[0.08, 0.32, 0.27, 0.33])
        bald = self.style == "bald"
        self.face = face(rng, self.skin, self.hair, bald)
        reach, self.stretch, fringe = {
            "bald": (1, 1, 1),
            "short": (u(1.15, 1.3), 1, u(0.1, 0.22)),
            "big": (u(1.35, 2.0), u(0.8, 1.05), u(0.2, 0.6)),
            "long": (u(1.2, 1.5), u(0.3, 0.6), u(0.15, 0.4)),
        }[str(self.style)]
        self.reach = reach * 0.46 * self.unit  # of the hair, in pixels
        self.mane = None if bald else strands(rng, self.reach, fringe, u(0, 0.12) * rng.choice([0.2, 1]))
        self.gloss = noise(rng, 24, self.mane.shape[1], 12, 1) if self.mane is not None else None
        self.forehead = u(0.25, 0.5)
        self.veil = None
        if rng.random() < 0.22:
            self.veil = (
                F(u(0.2, 0.75)),
                tiled(texture(rng, 64, 64, 0.5)),
                tiled(noise(rng, 96, 96, 8, 3)),
                u(0.62, 0.9),
                u(1.2, 2.8),
            )
        self.prop = None
        if rng.random() < (0.2 if wild else 0.05):  # something in the hand
            self.prop = (u(0.2, 0.55), u(0.2, 0.55), tiled(texture(rng, 64, 64)), rng.random() < 0.5)
        self.hat: Hat | None = None
        self.parts = self.stack()

    def wear(self, hat: Hat) -> None:
        """Put a hat on: nothing else about the figure changes."""
        self.hat = hat
        self.parts = self.stack()

    # --- the skeleton ---

    def pose(self, t: float) -> Pose:
        """Where the joints are at time t, in pixels of the frame. "scale", "yaw", "tilt" hold numbers."""
        p, b = self.paths, self.body
        s = self.unit * math.exp(p["zoom"](t))
        lean = self.lean + p["lean"](t)
        neck = (self.home[0] + self.walk * t + p["x"](t), self.home[1] + p["y"](t) + 0.72 * s)
        down, right = (-math.sin(lean), math.cos(lean)), (math.cos(lean), math.sin(lean))

        def at(origin, across, along):
            return (
                origin[0] + s * (across * right[0] + along * down[0]),
                origin[1] + s * (across * right[1] + along * down[1]),
            )

        tilt = lean + p["tilt"](t)
        nod = 0.68 + p["nod"](t)
        joints: Pose = {
            "neck": neck,
            "head": (neck[0] + s * nod * math.sin(tilt), neck[1] - s * nod * math.cos(tilt)),
            "waist": at(neck, 0, b["trunk"] * 0.6),
            "hip": at(neck, 0, b["trunk"]),
            "scale": (s, 0),
            "yaw": (self.yaw + p["yaw"](t), 0),
            "tilt": (tilt, 0),
            "lean": (lean, 0),
        }
        for side, upper, fore, swing, flex, _, stride in self.limbs:
            name = "L" if side < 0 else "R"
            shoulder = at(neck, side * (b["shoulder"] - b["limb"]), 0.28)
            one, two = upper + swing(t) - side * lean, fore + swing(t) + flex(t) - side * lean
            elbow = (
                shoulder[0] + side * s * b["arm"] * math.sin(one),
                shoulder[1] + s * b["arm"] * math.cos(one),
            )
            wrist = (
                elbow[0] + side * s * b["arm"] * 0.85 * math.sin(two),
                elbow[1] + s * b["arm"] * 0.85 * math.cos(two),
            )
            joints.update({"shoulder" + name: shoulder, "elbow" + name: elbow, "wrist" + name: wrist})
            top = at(joints["hip"], side * b["hip"] * 0.5, 0)
            angle = side * 0.06 + 0.6 * stride(t)
            knee = (top[0] + s * b["leg"] * math.sin(angle), top[1] + s * b["leg"] * math.cos(angle))
            angle -= 0.3 * abs(stride(t))
            foot = (
                knee[0] + s * b["leg"] * 0.95 * math.sin(angle),
                knee[1] + s * b["leg"] * 0.95 * math.cos(angle),
            )
            joints.update({"top" + name: top, "knee" + name: knee, "foot" + name: foot})
        return joints

    def travel(self, t: float, shutter: float) -> float:
        """The farthest that a joint in view moves within one frame, in pixels."""
        a, b = self.pose(t - shutter / 2), self.pose(t + shutter / 2)
        farthest = 0.0
        for joint, (x, y) in a.items():
            near_frame = -self.unit < x < self.width + self.unit and -self.unit < y < self.height + self.unit
            if near_frame and joint not in ("yaw", "tilt", "lean"):
                farthest = max(farthest, math.dist((x, y), b[joint]))
        return farthest / shutter

    # --- rendering ---

    def render(self, times: list[float]) -> np.ndarray:
        """The average over `times` of the premultiplied figure: (4, H, W) float32 in [0, 1]."""
        poses = [self.pose(t) for t in times]
        centre = self.pose(sum(times) / len(times))

        # The colour of each part, once, over everything that a sub-frame, shifted with its anchor, will ask
        # for.
        work: list[list] = [[] for _ in times]  # per sub-frame: (box, alpha if it keeps still, shape, colour)
        for anchor, box, shape, paint in self.parts:
            exact = np.array([box(p) for p in poses])
            calm = bool((np.ptp(exact, axis=0) < 0.3).all())  # this part keeps still: one coverage will do
            boxes = [self.clipped(box(centre))] * len(times) if calm else [self.clipped(b) for b in exact]
            shifts = [
                (0, 0)
                if calm
                else tuple(round(q - c) for q, c in zip(p[anchor], centre[anchor], strict=True))
                for p in poses
            ]
            moved = [
                (b[0] - s[0], b[1] - s[1], b[2] - s[0], b[3] - s[1])
                for b, s in zip(boxes, shifts, strict=True)
            ]
            seen = [k for k, b in enumerate(boxes) if b[0] < b[2] and b[1] < b[3]]
            if not seen:
                continue
            x0, y0, x1, y1 = (pick(moved[k][i] for k in seen) for i, pick in enumerate((min, min, max, max)))
            x, y = grid((x0, y0, x1, y1))
            distance = shape(centre, x, y) if calm or not is_alpha(shape) else None
            picture = np.clip(paint(centre, x, y, distance), 0, 1)
            alpha = (distance if is_alpha(shape) else coverage(distance)) if calm else None
            for k in seen:
                mx0, my0, mx1, my1 = moved[k]
                work[k].append((boxes[k], alpha, shape, picture[:, my0 - y0 : my1 - y0, mx0 - x0 : mx1 - x0]))

        # The coverage of each part in each sub-frame, painted back to front.
        total = np.zeros((4, self.height, self.width), F)
        frame = np.empty_like(total)
        for pose, parts in zip(poses, work, strict=True):
            frame[:] = 0
            for (x0, y0, x1, y1), alpha, shape, picture in parts:
                if alpha is None:
                    alpha = shape(pose, *grid((x0, y0, x1, y1)))
                    alpha = alpha if is_alpha(shape) else coverage(alpha)
                view = frame[:, y0:y1, x0:x1]
                view *= 1 - alpha
                view[:3] += picture * alpha
                view[3] += alpha
            total += frame
        return total * F(1 / len(times))

    def clipped(self, box):
        """A float box (x0, y0, x1, y1) → integers inside the frame."""
        x0, y0, x1, y1 = box
        return (
            max(math.floor(x0) - 1, 0),
            max(math.floor(y0) - 1, 0),
            min(math.ceil(x1) + 1, self.width),
            min(math.ceil(y1) + 1, self.height),
        )
