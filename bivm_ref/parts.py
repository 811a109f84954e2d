"""The parts of a procedural figure, as distance and colour at a pose.

A part is (anchor, box, shape, paint): the joint that it moves with; `box(pose)` that surely holds it;
`shape(pose, x, y)`, its signed distance in pixels, or its coverage where `is_alpha(shape)`; `paint(pose, x,
y, distance)`, its colour (3, h, w) in [0, 1]. x is (1, w), y is (h, 1): pixel centres of the frame.
`figures.Figure` owns the skeleton.
"""

from __future__ import annotations

import math

import numpy as np

from .shapes import (
    F,
    around,
    blended,
    capsule,
    coverage,
    ellipse,
    length,
    look_up,
    mid,
    near,
    rounded,
    smooth_union,
)


def is_alpha(shape) -> bool:
    """Hair and veils give their coverage themselves; every other shape gives a distance."""
    return getattr(shape, "is_alpha", False)


class Parts:
    """The half of a figure that draws; `Figure` sets the attributes that are read here."""

    def stack(self):
        """The parts, back to front."""
        arms = [self.arm("L"), self.arm("R")]
        parts = [self.mane_part(front=False)] if self.mane is not None else []
        parts += [arm for arm, behind in zip(arms, self.arm_behind, strict=True) if behind]
        parts += [self.leg("L"), self.leg("R")]
        parts += [self.neck_part(), self.torso(), self.head_part()]
        if self.mane is not None:
            parts.append(self.mane_part(front=True))
        if self.hat is not None:
            parts.append(self.hat_part())
        if self.veil is not None:
            parts.append(self.veil_part())
        parts += [arm for arm, behind in zip(arms, self.arm_behind, strict=True) if not behind]
        if self.prop is not None:
            parts.append(self.prop_part())
        return parts

    def dressed(self, picture, x, y, pose, anchor, shade):
        """Cloth in the figure's own coordinates, with folds, times shading: (3, h, w)."""
        s, (ax, ay) = pose["scale"][0], pose[anchor]
        k = F(self.cloth_zoom / s)
        lean = pose["lean"][0]
        px, py = x - F(ax), y - F(ay)
        u = (px * F(math.cos(lean)) + py * F(math.sin(lean))) * k + F(600)
        v = (py * F(math.cos(lean)) - px * F(math.sin(lean))) * k + F(600)
        h, w = self.folds.shape
        fold = self.folds.reshape(-1)[v.astype(np.int32) % h * w + u.astype(np.int32) % w]
        return look_up(picture, v, u) * (shade * (F(0.75) + F(0.4) * fold))

    def torso(self):
        def distance(pose, x, y):
            s, b = pose["scale"][0], self.body
            left, right = pose["shoulderL"], pose["shoulderR"]
            d, _ = capsule(x, y, left, right, b["limb"] * 1.15 * s, b["limb"] * 1.15 * s)
            trunk, _ = capsule(
                x, y, mid(left, right, 0.5, 0.12 * s), pose["waist"], b["chest"] * 1.35 * s, b["waist"] * s
            )
            d = smooth_union(d, trunk, 0.35 * s)
            lower, _ = capsule(x, y, pose["waist"], pose["hip"], b["waist"] * s, b["hip"] * s)
            return smooth_union(d, lower, 0.2 * s)

        def paint(pose, x, y, d):
            return self.dressed(
                self.cloth, x, y, pose, "neck", rounded(d, 0.5 * pose["scale"][0], self.light)
            )

        def box(pose):
            s, b = pose["scale"][0], self.body
            wide = max(b["shoulder"], b["hip"], b["chest"] * 1.35) * s + 0.2 * s
            return around([pose["neck"], pose["waist"], pose["hip"]], wide)

        return "neck", box, distance, paint

    def neck_part(self):
        def distance(pose, x, y):
            s = pose["scale"][0]
            low = mid(pose["neck"], pose["neck"], 0, 0.2 * s)
            return capsule(x, y, pose["head"], low, self.body["neck"] * s, self.body["neck"] * 1.25 * s)[0]

        def paint(pose, x, y, d):
            shade = rounded(d, 0.2 * pose["scale"][0], self.light) * F(0.8)  # the chin's shadow
            return self.skin[:, None, None] * shade

        return (
            "neck",
            lambda pose: around([pose["head"], pose["neck"]], 0.45 * pose["scale"][0]),
            distance,
            paint,
        )

    def arm(self, name):
        bones = ["shoulder" + name, "elbow" + name, "wrist" + name]
        side = -1 if name == "L" else 1

        def shape(pose, x, y):
            s, r = pose["scale"][0], self.body["limb"]
            a, b, c = (pose[k] for k in bones)
            upper, u = capsule(x, y, a, b, r * s, 0.75 * r * s)
            fore, v = capsule(x, y, b, c, 0.75 * r * s, 0.5 * r * s)
            reach = math.atan2(c[1] - b[1], c[0] - b[0])
            d = smooth_union(upper, fore, 0.15 * s)
            palm = mid(c, (c[0] + math.cos(reach), c[1] + math.sin(reach)), 0.16 * s)
            part, x, y = near(x, y, palm, 0.6 * s)  # fingers are many and small: look only where they are
            hand, _ = capsule(x, y, c, palm, 0.1 * s, 0.14 * s)
            if s > 15:  # four fingers and a thumb, where pixels can show them
                for long, spread in ((0.36, -0.5), (0.38, -0.15), (0.37, 0.2), (0.33, 0.5), (0.27, 1.3)):
                    angle = reach + side * spread
                    tip = palm[0] + long * s * math.cos(angle), palm[1] + long * s * math.sin(angle)
                    hand = np.minimum(hand, capsule(x, y, palm, tip, 0.055 * s, 0.045 * s)[0])
            d[part] = smooth_union(d[part], hand, 0.06 * s)
            return d, np.where(upper < fore, u, 1 + v)

        def paint(pose, x, y, d):
            _, along = shape(pose, x, y)
            s = pose["scale"][0]
            shade = rounded(d, self.body["limb"] * s, self.light)
            cloth = self.dressed(self.cloth, x, y, pose, bones[1], shade)
            return np.where(along < F(self.sleeve), cloth, self.skin[:, None, None] * shade)

        def box(pose):
            return around(
                [pose[k] for k in bones] + [mid(pose[bones[1]], pose[bones[2]], 1.3)], 0.4 * pose["scale"][0]
            )

        return bones[1], box, lambda pose, x, y: shape(pose, x, y)[0], paint

    def leg(self, name):
        bones = ["top" + name, "knee" + name, "foot" + name]

        def distance(pose, x, y):
            s, b = pose["scale"][0], self.body
            upper, _ = capsule(x, y, pose[bones[0]], pose[bones[1]], b["hip"] * 0.5 * s, 0.24 * s)
            lower, _ = capsule(x, y, pose[bones[1]], pose[bones[2]], 0.24 * s, 0.15 * s)
            foot = pose[bones[2]]
            shoe, _ = capsule(
                x,
                y,
                foot,
                (foot[0] + 0.3 * s * (1 if self.yaw > 0 else -1), foot[1] + 0.1 * s),
                0.15 * s,
                0.1 * s,
            )
            return np.minimum(smooth_union(upper, lower, 0.2 * s), shoe)

        def paint(pose, x, y, d):
            s = pose["scale"][0]
            shade = rounded(d, 0.25 * s, self.light)
            cloth = self.dressed(self.trousers, x, y, pose, bones[1], shade)
            return np.where(y > F(pose[bones[2]][1] - 0.1 * s), self.shoes[:, None, None] * shade, cloth)

        return (
            bones[1],
            lambda pose: around([pose[k] for k in bones], 0.6 * pose["scale"][0]),
            distance,
            paint,
        )

    def on_head(self, pose, x, y):
        """Pixels in the head's own coordinates, in heads: u to the side, v downwards."""
        s, (cx, cy), tilt = pose["scale"][0], pose["head"], pose["tilt"][0]
        px, py = (x - F(cx)) * F(1 / s), (y - F(cy)) * F(1 / s)
        return px * F(math.cos(tilt)) + py * F(math.sin(tilt)), py * F(math.cos(tilt)) - px * F(
            math.sin(tilt)
        )

    def head_part(self):
        rx, ry = self.body["head"]

        def distance(pose, x, y):
            u, v = self.on_head(pose, x, y)
            d = ellipse(u, v, (0, -0.05), rx, ry * 0.9)
            jaw = ellipse(u, v, (0.04 * math.sin(pose["yaw"][0]), 0.18), rx * 0.72, ry * 0.66)
            ears = length((np.abs(u) - F(rx * math.cos(pose["yaw"][0]))) * F(1.6), v) - F(0.1)
            return np.minimum(smooth_union(d, jaw, 0.15), ears) * F(pose["scale"][0])

        def paint(pose, x, y, d):
            u, v = self.on_head(pose, x, y)
            belt = np.sqrt(np.maximum(1 - (v * F(1 / ry)) ** 2, F(0.05)))
            longitude = np.arcsin(np.clip(u / (belt * F(rx)), -1, 1)) - F(
                pose["yaw"][0]
            )  # a sphere that turns
            rows = np.clip((v * F(1 / ry) + 1) * F(47.5), 0, 95)
            picture = look_up(self.face, rows, longitude * F(288 / (2 * math.pi)) + F(144 + 288))
            return picture * rounded(d, rx * pose["scale"][0], self.light)

        return "head", lambda pose: around([pose["head"]], 0.7 * pose["scale"][0]), distance, paint

    def mane_part(self, front):
        """Hair: polar noise around the head, stretched downwards for long hair; the front leaves the face
        open."""
        n = self.mane.shape[1]

        def polar(pose, x, y):
            u, v = self.on_head(pose, x, y)
            v = v + F(0.1)
            low = np.where(v > 0, v * F(self.stretch), v)
            r = length(u, low) * F(self.unit / self.reach)
            return u, v, r, np.arctan2(low, u) * F(n / (2 * math.pi)) + F(pose["yaw"][0] * n / 20)

        def cover(pose, x, y):
            if "mane" not in pose:  # behind and in front are one shape: compute it once per pose
                u, v, r, column = polar(pose, x, y)
                pose["mane"] = u, v, column, blended(self.mane, r * F(47 / 1.02), column)
            u, v, column, alpha = pose["mane"]
            if front:
                s, turn = pose["scale"][0], 0.25 * math.sin(pose["yaw"][0])
                rx = self.body["head"][0]
                opening = ellipse(u, v, (turn, 0.35), rx * 1.02, 0.35 + self.forehead) * F(s)
                ragged = self.gloss.reshape(-1)[column.astype(np.int32) % n] - F(
                    0.5
                )  # strands over the forehead
                alpha = alpha * np.clip(opening * F(0.7) + ragged * F(0.1 * s), 0, 1)
                if self.stretch >= 0.8:  # short hair stays above the ears
                    alpha = alpha * np.clip((F(0.25) - v) * F(s * 0.3), 0, 1)
            return alpha

        def paint(pose, x, y, _):
            u, v, r, column = polar(pose, x, y)
            h, w = self.gloss.shape
            strand = self.gloss.reshape(-1)[
                np.clip(r * 23, 0, 23).astype(np.int32) * w + column.astype(np.int32) % w
            ]
            sheen = np.exp(-(((r - F(0.55)) * 5) ** 2)) * F(0.35)
            side = F(0.85) + F(self.light[0]) * u * F(0.5) - v * F(0.15)
            shade = (F(0.55) + F(0.7) * strand + sheen) * side * (F(1) if front else F(0.75))
            return self.hair[:, None, None] * shade + sheen * strand * F(0.15)

        def box(pose):
            reach = self.reach * pose["scale"][0] / self.unit * 1.05
            x, y = pose["head"]
            tail = reach / self.stretch
            tilt = pose["tilt"][0]
            return around(
                [(x, y), (x - math.sin(tilt) * (tail - reach), y + math.cos(tilt) * (tail - reach))],
                reach * 1.1,
            )

        cover.is_alpha = True
        return "head", box, cover, paint

    def hat_part(self):
        """A hat that turns with the head; its size follows the head's width."""
        fit = 0.38 / self.body["head"][0]

        def seen(pose, x, y):
            u, v = self.on_head(pose, x, y)
            return u * F(fit), v, pose["yaw"][0], pose["scale"][0]

        def distance(pose, x, y):
            return self.hat.distance(*seen(pose, x, y))

        def paint(pose, x, y, _):
            where = seen(pose, x, y)
            return self.hat.paint(*where, self.hat.distance(*where))

        return "head", lambda pose: around([pose["head"]], 1.2 * pose["scale"][0]), distance, paint

    def veil_part(self):
        """Thin cloth over head and shoulders: the part of the alpha that is neither 0 nor 1 for many
        pixels."""
        opacity, picture, folds, wide, length = self.veil

        def cover(pose, x, y):
            s = pose["scale"][0]
            head, end = pose["head"], mid(pose["head"], pose["hip"], length / 3)
            d, along = capsule(x, y, (head[0], head[1] - 0.1 * s), end, wide * s * 0.85, wide * s * 1.6)
            u, v = self.on_head(pose, x, y)
            h, w = folds.shape
            index = ((v * 14).astype(np.int32) % h) * w + ((u * 60 + np.sin(v * 3)).astype(np.int32) % w)
            sheet = opacity * (F(0.55) + F(0.75) * folds.reshape(-1)[index])
            hem = np.clip(1 + d * F(6 / s), 0, 1) * F(0.25)
            return coverage(d) * np.clip(sheet + hem, 0, 1)

        def paint(pose, x, y, _):
            return self.dressed(picture, x, y, pose, "head", F(1.05))

        cover.is_alpha = True
        wide_box = wide * 1.7

        def box(pose):
            return around(
                [pose["head"], mid(pose["head"], pose["hip"], length / 3)], wide_box * pose["scale"][0]
            )

        return "head", box, cover, paint

    def prop_part(self):
        """A ball or a box in the right hand."""
        rx, ry, picture, ball = self.prop

        def distance(pose, x, y):
            s = pose["scale"][0]
            cx, cy = mid(pose["elbowR"], pose["wristR"], 1.3)
            if ball:
                return ellipse(x, y, (cx, cy), rx * s, ry * s)
            qx, qy = np.abs(x - F(cx)) - F(rx * s * 0.9), np.abs(y - F(cy)) - F(ry * s * 0.9)
            return (
                length(np.maximum(qx, 0), np.maximum(qy, 0)) + np.minimum(np.maximum(qx, qy), 0) - F(0.05 * s)
            )

        def paint(pose, x, y, d):
            return self.dressed(picture, x, y, pose, "wristR", rounded(d, 0.3 * pose["scale"][0], self.light))

        def box(pose):
            return around([mid(pose["elbowR"], pose["wristR"], 1.3)], 0.65 * pose["scale"][0])

        return "wristR", box, distance, paint
