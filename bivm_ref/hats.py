"""Hats: caps, brims, beanies, hoods for procedural figures and for rendered people.

Hardly anybody who is rendered wears one, so a network that learns from them alone takes a cap for background. A hat is
a few signed distances in the head's own coordinates (`Hat.parts`): u to the side and v downwards, in heads, the crown
at about v = -0.5. `Figure.wear` puts it on a procedural figure, `hatted` on a still.

NumPy only; our recipe.
"""

from __future__ import annotations

import math

import numpy as np

from .cloth import cloth
from .scenes import colour
from .shapes import F, coverage, ellipse, look_up, rounded, tiled

KINDS = {"cap": 0.28, "uniform": 0.2, "brim": 0.2, "beanie": 0.17, "hood": 0.15}
TEXELS = 96  # of cloth per head


class Hat:
    """One hat; rng decides its kind, its cut, its cloth and how it sits."""

    def __init__(self, rng: np.random.Generator) -> None:
        u = rng.uniform
        self.kind = str(rng.choice(list(KINDS), p=list(KINDS.values())))
        self.band = u(-0.3, -0.14)  # v of its lower edge, over the brows
        self.tilt = rng.normal(0, 0.07)
        self.width, self.height = u(0.41, 0.5), u(0.3, 0.5)
        if self.kind == "beanie":
            self.width, self.height = u(0.4, 0.45), u(0.38, 0.6)
        self.crown = (u(0.46, 0.64), u(0.12, 0.22))  # of a uniform's cap
        self.brim = (u(0.58, 0.95), u(0.04, 0.13))
        self.peak = (u(0.28, 0.38), u(0.05, 0.1))
        self.hood = (u(0.5, 0.72), u(0.58, 0.72))
        self.opening = (u(0.29, 0.36), u(0.36, 0.48))
        self.cloth = tiled(np.ascontiguousarray(cloth(rng, TEXELS, 2 * TEXELS).transpose(2, 0, 1)))
        self.second = np.asarray(colour(rng), F) * F(u(0.3, 1.0))  # peak, brim and ribbon
        self.ribbon = u(0.04, 0.12) if rng.random() < 0.5 else 0.0
        angle = u(-1.3, 1.3)
        self.light = (math.sin(angle) * 0.7, -0.5 * u(-0.2, 1), 0.75, u(0.35, 0.8))

    def parts(self, u: np.ndarray, v: np.ndarray, yaw: float) -> tuple[np.ndarray, np.ndarray]:
        """Distances in heads, (h, w) each: to its cloth, and to what has the second colour. yaw 0 looks at us."""
        sin, cos = F(math.sin(self.tilt)), F(math.cos(self.tilt))
        u, v = u * cos + v * sin, v * cos - u * sin
        none, seen = np.full(np.broadcast_shapes(u.shape, v.shape), F(9)), math.cos(yaw) > -0.2
        if self.kind == "hood":
            outer = ellipse(u, v, (0, 0.05), *self.hood)
            if not seen:
                return outer, none
            return np.maximum(outer, -ellipse(u, v, (0.12 * math.sin(yaw), 0.1), *self.opening)), none
        band = F(self.band)
        if self.kind == "uniform":
            side = np.maximum(np.abs(u) - F(0.41), np.abs(v - band + F(0.09)) - F(0.09))
            main = np.minimum(side, ellipse(u, v, (0, self.band - 0.22), *self.crown))
        else:
            main = np.maximum(ellipse(u, v, (0, self.band), self.width, self.height), v - band - F(0.03))
        if self.kind == "brim":
            return main, ellipse(u, v, (0, self.band), *self.brim)
        if self.kind == "beanie" or not seen:
            return main, none
        return main, ellipse(u, v, (0.25 * math.sin(yaw), self.band + 0.03), *self.peak)

    def distance(self, u: np.ndarray, v: np.ndarray, yaw: float, scale: float) -> np.ndarray:
        """Signed distance in pixels, (h, w), where a head is `scale` pixels high."""
        return np.minimum(*self.parts(u, v, yaw)) * F(scale)

    def paint(self, u: np.ndarray, v: np.ndarray, yaw: float, scale: float, distance: np.ndarray) -> np.ndarray:
        """Its colour, (3, h, w) in [0, 1]."""
        main, second = self.parts(u, v, yaw)
        picture = look_up(self.cloth, v * F(TEXELS) + F(600), (u - F(0.4 * math.sin(yaw))) * F(TEXELS) + F(600))
        low = F(self.band - self.ribbon)
        marked = (second < main) | ((v > low) & (F(self.ribbon) > 0) & (self.kind != "hood"))
        picture = np.where(marked, self.second[:, None, None], picture)
        return picture * rounded(distance, 0.3 * scale, self.light)


def hatted(still: np.ndarray, hat: Hat, head: tuple[float, float, float], yaw: float = 0.0) -> np.ndarray:
    """A still (h, w, 4) uint8, straight alpha, with a hat on: a new one. Alpha grows where the hat is wider than hair.

    head: its upper row, height and middle column (`staging.head_of`), hair included; a guess, and so is the fit.
    """
    top, tall, middle = head
    alpha = still[..., 3] * F(1 / 255)
    rows = slice(max(int(top + 0.3 * tall), 0), max(int(top + 0.5 * tall), 0) + 1)
    across = np.flatnonzero(np.median(alpha[rows], axis=0) > 0.5) if len(alpha[rows]) else np.zeros(0)
    near = across[np.abs(across - middle) < 0.8 * tall]
    if not len(near):
        return still.copy()
    centre, half = (near[0] + near[-1]) / 2, float(np.clip((near[-1] - near[0]) / 2, 0.25 * tall, 0.55 * tall))
    h, w = alpha.shape
    u = (np.arange(w, dtype=F)[None] - F(centre)) * F(0.4 / half)
    v = (np.arange(h, dtype=F)[:, None] - F(top)) * F(1 / tall) - F(0.52)
    distance = hat.distance(u, v, yaw, min(half / 0.4, tall))
    cover = coverage(distance)
    picture = np.clip(hat.paint(u, v, yaw, tall, distance), 0, 1).transpose(1, 2, 0)
    straight = still[..., :3] * F(1 / 255)
    total = cover + alpha * (1 - cover)
    share = cover / np.maximum(total, F(1e-3))  # of the hat in what is seen
    mixed = straight + share[..., None] * (picture - straight)
    return (np.concatenate([mixed, total[..., None]], axis=-1) * 255 + F(0.5)).astype(np.uint8)
