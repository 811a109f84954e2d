"""Motion for training clips: smooth paths, the open shutter, and stills that come alive.

A still with alpha becomes a clip by *motion augmentation*: the figure is moved, scaled, sheared and gently
bent a little further in every frame. Three rules keep the alpha exact:

1. warp premultiplied colour, (alpha*R, alpha*G, alpha*B, alpha), and divide by alpha afterwards: straight
   colour
   drags in whatever lies under alpha = 0, which shows as a dark halo around the hair;
2. a figure that the still's edge cuts off must be cut by the frame's edge too, or the cut shows;
3. motion blur is an average of sub-frames (five or more: three ghost visibly), again of premultiplied colour.

The recipe is our own; ImageMatte-style stills with motion augmentation are the field's habit since RVM.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
from PIL import Image

SUBFRAMES = 5  # the fewest that hide the ghosts; long exposures take more


class Path:
    """A smooth random function of time, the sum of two slow sines: `path(t)` lies in [-amplitude, amplitude].

    t counts frames and may be fractional, so that sub-frames fall between frames.
    """

    def __init__(
        self, rng: np.random.Generator, amplitude: float, slow: float = 0.01, fast: float = 0.05
    ) -> None:
        share = rng.uniform(0.2, 0.8)
        self.amplitudes = float(amplitude) * np.array([share, 1 - share])
        self.frequencies = 2 * math.pi * rng.uniform(slow, fast, 2)  # radians per frame
        self.phases = rng.uniform(0, 2 * math.pi, 2)

    def __call__(self, t: float) -> float:
        return float((self.amplitudes * np.sin(self.frequencies * t + self.phases)).sum())


def subframe_times(travel: float, shutter: float) -> list[float]:
    """When to render inside one exposure, as offsets from the frame's time, in frames.

    travel: the farthest that any point moves in one frame, in pixels; shutter: the share of the frame
    interval that the shutter stays open. Up to one pixel of smear needs one rendering; more needs
    `SUBFRAMES` to 8.
    """
    smear = travel * shutter
    if smear <= 1:
        return [0.0]
    count = min(max(SUBFRAMES, math.ceil(smear / 2)), 8)
    return [shutter * ((k + 0.5) / count - 0.5) for k in range(count)]


def cut_edges(alpha: np.ndarray) -> dict[str, bool]:
    """Which edges of a still (H, W) cut the figure off: more than 2 % of the edge is opaque there."""
    lines = {"left": alpha[:, 0], "right": alpha[:, -1], "top": alpha[0], "bottom": alpha[-1]}
    return {edge: bool((line > 0.5).mean() > 0.02) for edge, line in lines.items()}


def extent(poses: np.ndarray) -> np.ndarray:
    """Where a figure ever is: poses (T, h, w, 4) uint8 -> (h, w, 4), the first one's colour, the largest alpha."""
    return np.concatenate([poses[0, ..., :3], poses[..., 3:].max(0)], axis=-1)


class MovingStill:
    """One still on its way through a clip.

    still: (h, w, 4) uint8 RGBA, straight alpha. After construction `render(times)` gives the premultiplied
    average (4, H, W) float32 in [0, 1] over those times.
    """

    def __init__(self, still: np.ndarray, rng: np.random.Generator, height: int, width: int) -> None:
        self.mirrored = bool(rng.random() < 0.5)
        if self.mirrored:
            still = still[:, ::-1]
        self.height, self.width = height, width
        alpha = still[..., 3] / np.float32(255)
        self.cut = cut_edges(alpha)
        rows, columns = np.nonzero(alpha.max(1) > 0.05)[0], np.nonzero(alpha.max(0) > 0.05)[0]
        top, bottom = (rows[0], rows[-1] + 1) if len(rows) else (0, alpha.shape[0])
        left, right = (columns[0], columns[-1] + 1) if len(columns) else (0, alpha.shape[1])

        # How large: the share of the frame's height that the figure takes, and how far it runs on below the
        # frame.
        share = rng.uniform(0.5, 0.98) if rng.random() < 0.85 else rng.uniform(0.98, 1.2)
        closer = rng.uniform(1, 1.7) if rng.random() < 0.35 else 1.0
        scale = share * closer * height / (bottom - top)
        scale = min(scale, 1.5 * width / (right - left))
        self.sway, self.bend, self.nod = (
            rng.uniform(0, a) * rng.choice([0.3, 1]) for a in (0.06, 0.025, 0.012)
        )
        self.side = 2 + (self.sway + self.bend) * height * 1.6  # pixels that a side cut must stay outside
        if self.cut["left"] and self.cut["right"]:
            scale = max(scale, (width + 2 * self.side) / still.shape[1])
        if self.cut["top"] and self.cut["bottom"]:
            scale = max(scale, (height + 4) / still.shape[0])
        scale *= 1.06  # room for the zoom below

        # Reduce once, with area averaging; per frame a bilinear look-up is then enough.
        self.w, self.h = max(round(still.shape[1] * scale), 2), max(round(still.shape[0] * scale), 2)
        self.source = self.reduced(still)
        self.poses, self.begin, self.rate = [self.source], 0, 0.0

        # Where: the figure's centre anywhere in the frame and a little beyond; cut figures stand on its
        # lower edge.
        centre = rng.uniform(0.0, 1.0) if rng.random() < 0.3 else rng.uniform(0.25, 0.75)
        self.x = centre * width - (left + right) / 2 * scale
        rise = (
            rng.uniform(0, max(1 - share, 0)) if not self.cut["bottom"] and closer == 1 else 0
        )  # feet above the edge
        self.y = (1 - share - rise) * height - top * scale
        speed = rng.choice([0.15, 1.0, 2.0], p=[0.4, 0.4, 0.2])
        self.drift = rng.normal(0, 0.004 * speed) * width  # pixels per frame, a slow walk
        self.paths = {
            "x": Path(rng, 0.04 * width * speed),
            "y": Path(rng, 0.03 * height * speed),
            "zoom": Path(rng, 0.04 * min(speed, 1)),
            "sway": Path(rng, self.sway * min(speed, 1.5) / 1.5),
            "bend": Path(rng, math.pi, 0.005, 0.03),
            "nod": Path(rng, math.pi, 0.01, 0.06),
        }
        self.waves = rng.uniform(2, 5, 2)  # half-waves of bending over the figure's height and width

    def reduced(self, still: np.ndarray) -> Image.Image:
        """A still (h, w, 4) uint8, straight alpha, at the size it is seen at: premultiplied."""
        source = Image.fromarray(np.ascontiguousarray(still), "RGBA").convert("RGBa")  # RGBa is premultiplied
        return source.resize((self.w, self.h), Image.Resampling.BILINEAR)

    def act(self, stills: Sequence[np.ndarray], begin: int, rate: float) -> None:
        """Let the figure pass through poses, stills like the first one, beginning at number `begin`; rate: poses per
        frame. At the last one it turns back."""
        self.poses = [self.reduced(still[:, ::-1] if self.mirrored else still) for still in stills]
        self.begin, self.rate = begin, rate

    def pose(self, t: float) -> Image.Image:
        """What the figure looks like at time t, before it is moved and bent."""
        turn = max(2 * len(self.poses) - 2, 1)
        number = int(self.begin + t * self.rate) % turn
        return self.poses[min(number, turn - number)]

    def place(self, t: float) -> tuple[float, float, float]:
        """(left, top, zoom) of the still at time t, in pixels of the frame, held so that no cut edge
        shows."""
        zoom = 1 + self.paths["zoom"](t)
        w, h = self.w * zoom, self.h * zoom
        left = self.x + self.drift * t + self.paths["x"](t) - (w - self.w) / 2
        top = self.y + self.paths["y"](t) - (h - self.h)
        if self.cut["left"]:
            left = min(left, -self.side)
        if self.cut["right"]:
            left = max(left, self.width + self.side - w)
        if self.cut["top"]:
            top = min(top, -1)
        if self.cut["bottom"]:  # may sink below the frame's edge, never rise above it
            top = max(top, self.height + 1 - h)
        return left, top, zoom

    def travel(self, t: float, shutter: float) -> float:
        """The farthest that a corner of the still moves within one frame, in pixels."""
        (xa, ya, za), (xb, yb, zb) = self.place(t - shutter / 2), self.place(t + shutter / 2)
        sway = abs(self.paths["sway"](t + shutter / 2) - self.paths["sway"](t - shutter / 2)) * self.h
        return (math.hypot(xb - xa, yb - ya) + abs(zb - za) * self.h + sway) / shutter

    def source_points(self, t: float, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """For points (x, y) of the frame, the points of the still that are seen there at time t (pixels)."""
        left, top, zoom = self.place(t)
        u, v = (x - left) / zoom, (y - top) / zoom
        above = np.clip((self.h - v) / self.h, 0, 1.2)  # 0 at the still's lower edge: nothing bends there
        bend = self.bend * self.h * np.sin(self.waves[0] * above + self.paths["bend"](t)) * above
        lift = (
            0
            if self.cut["top"]
            else self.nod * self.h * above * np.sin(self.waves[1] * u / self.w + self.paths["nod"](t))
        )
        return u - self.paths["sway"](t) * self.h * above - bend, v - lift

    def render(self, times: list[float]) -> np.ndarray:
        """The average over `times` of the premultiplied still in the frame: (4, H, W) float32 in [0, 1]."""
        total = np.zeros((self.height, self.width, 4), np.uint16)
        for t in times:
            total += np.asarray(warp(self.pose(t), self.height, self.width, partial(self.source_points, t)))
        return np.ascontiguousarray(total.transpose(2, 0, 1)) * np.float32(1 / (255 * len(times)))


def warp(image: Image.Image, height: int, width: int, source_points) -> Image.Image:
    """Pull `image` through a smooth map, exact at the corners of a coarse grid and bilinear between them.

    source_points(x, y) → (u, v): where in the image the frame's point (x, y) looks; outside is transparent
    black.
    """
    rows = np.linspace(0, height, 6).round().astype(int)
    columns = np.linspace(0, width, 7).round().astype(int)
    u, v = source_points(*np.meshgrid(columns.astype(float), rows.astype(float)))
    mesh = []
    for i in range(len(rows) - 1):
        for j in range(len(columns) - 1):
            if rows[i] == rows[i + 1] or columns[j] == columns[j + 1]:
                continue
            corners = [
                (i, j),
                (i + 1, j),
                (i + 1, j + 1),
                (i, j + 1),
            ]  # counter-clockwise from the upper left
            quad = [float(c) for k in corners for c in (u[k], v[k])]
            mesh.append(((int(columns[j]), int(rows[i]), int(columns[j + 1]), int(rows[i + 1])), quad))
    return image.transform((width, height), Image.Transform.MESH, mesh, Image.Resampling.BILINEAR)
