"""What stands before the camera in a take: people close up or passing by, a backdrop, a thing in front; their light.

Everything is a premultiplied layer (4, H, W) float32 in [0, 1], as in `motion`, so what moves alpha moves colour too.
Two formulas keep the compositing equation C = alpha*F + (1 - alpha)*B exact:

- a change of colour is affine, F' = M F + b, which on premultiplied colour is P' = M P + b*alpha (`recoloured`);
- a thing in front with coverage o and colour O leaves alpha' = alpha*(1 - o) of the figure, and everything that is not
  figure becomes background: (1 - alpha')*B' = o*O + (1 - o)*(1 - alpha)*B (`occluded`).

NumPy and Pillow only; our recipe.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from .clips import over
from .figures import Figure
from .motion import MovingStill, Path, cut_edges, subframe_times
from .scenes import blob, canvas, texture

# RGB to luma and two colour differences, Y, B - Y and R - Y, as JPEG has them.
OPPONENT = np.array([[0.299, 0.587, 0.114], [-0.169, -0.331, 0.5], [0.5, -0.419, -0.081]], np.float32)
MARGIN = 1.25  # backdrops and things in front are painted this much larger than the frame: room to move
COARSEST = 2.6  # a still is enlarged no further than that


class CloseUp(MovingStill):
    """A still so near that the head takes `share` of the frame's height, often up to its upper edge or beyond.

    still: (h, w, 4) uint8, straight alpha. Moves as every `MovingStill`, and what is cut stays cut.
    """

    def __init__(self, still: np.ndarray, rng: np.random.Generator, height: int, width: int, share: float) -> None:
        self.mirrored = bool(rng.random() < 0.5)
        if self.mirrored:
            still = still[:, ::-1]
        self.height, self.width = height, width
        self.cut = cut_edges(still[..., 3] / np.float32(255))
        top, head, middle = head_of(still[..., 3])
        self.sway, self.bend, self.nod = (rng.uniform(0, a) for a in (0.03, 0.012, 0.008))
        scale = min(share * height / head, COARSEST)
        self.side = 2 + (self.sway + self.bend) * still.shape[0] * scale * 1.6
        if self.cut["left"] and self.cut["right"]:
            scale = max(scale, (width + 2 * self.side) / still.shape[1])
        if self.cut["top"] and self.cut["bottom"]:
            scale = max(scale, (height + 4) / still.shape[0])
        scale *= 1.06  # room for the zoom below
        self.w, self.h = (max(round(n * scale), 2) for n in (still.shape[1], still.shape[0]))
        self.source = self.reduced(still)
        self.poses, self.begin, self.rate = [self.source], 0, 0.0

        beyond = rng.random() < 0.6  # hat or hair touch the upper edge or go past it
        crown = rng.uniform(-0.25, 0.0) if beyond else rng.uniform(0.0, 0.2)
        self.x = (rng.uniform(0.3, 0.7) if rng.random() < 0.8 else rng.uniform(0.0, 1.0)) * width - middle * scale
        self.y = crown * height - top * scale
        speed = rng.choice([0.15, 1.0, 2.0], p=[0.4, 0.4, 0.2])
        self.drift = rng.normal(0, 0.003 * speed) * width
        self.paths = {
            "x": Path(rng, 0.05 * width * speed),
            "y": Path(rng, 0.04 * height * speed),
            "zoom": Path(rng, 0.05 * min(speed, 1)),
            "sway": Path(rng, self.sway * min(speed, 1.5) / 1.5),
            "bend": Path(rng, math.pi, 0.005, 0.03),
            "nod": Path(rng, math.pi, 0.01, 0.06),
        }
        self.waves = rng.uniform(2, 5, 2)


def head_of(alpha: np.ndarray) -> tuple[float, float, float]:
    """Where the head is in a still's alpha (h, w) uint8: its upper row, height and middle column, a rough guess.

    A full figure is 7.5 heads high. One that the lower edge cuts off is about 1.7 heads wide below, of which we take
    what can be: from a fifth to 0.55 of the visible height.
    """
    covered = alpha > 127
    rows = np.flatnonzero(covered.any(1))
    if not len(rows):
        return 0.0, float(alpha.shape[0]), alpha.shape[1] / 2
    top, tall = float(rows[0]), float(rows[-1] + 1 - rows[0])
    head = tall / 7.5
    if covered[-1].mean() > 0.02:
        below = covered[int(top + 0.6 * tall):].sum(1)
        head = float(np.clip(np.median(below) / 1.7, 0.2 * tall, 0.55 * tall))
    columns = np.flatnonzero(covered[int(top): int(top + 0.8 * head) + 1].any(0))
    return top, head, float(columns.mean())


def head_height(actor: Figure | MovingStill) -> float:
    """About how high an actor's head is in the frame, pixels: who is larger is nearer."""
    return actor.unit if isinstance(actor, Figure) else head_of(np.asarray(actor.source)[..., 3])[1]


def figure_close_up(rng: np.random.Generator, height: int, width: int, share: float) -> Figure:
    """A procedural figure whose head takes `share` of the frame's height."""
    figure = Figure(rng, height, width, False)
    grown = share * height / figure.unit
    figure.unit *= grown
    figure.reach *= grown
    figure.home = (rng.uniform(0.3, 0.7) * width, height * rng.uniform(-0.1, 0.15) + 0.5 * figure.unit)
    return figure


def shaken(actor: Figure | MovingStill, shake: Sequence[Path]) -> None:
    """The camera's shake, an offset (x, y) in pixels over time, on top of the actor's own motion."""
    for axis, hand in zip(("x", "y"), shake, strict=True):
        actor.paths[axis] = _together(actor.paths[axis], hand)


def _together(one: Callable[[float], float], other: Callable[[float], float]) -> Callable[[float], float]:
    return lambda t: one(t) + other(t)


def pass_by(actor: Figure | MovingStill, rng: np.random.Generator, when: float) -> bool:
    """Let the actor cross a side of the frame at time `when`, coming or going; False if it cannot: it is cut on both.

    At `when` some point of it is on the frame's edge. A still that is cut at one side can only be at that side.
    """
    side = rng.choice([-1, 1])
    speed = rng.uniform(0.015, 0.07) * actor.width * rng.choice([-1, 1])
    edge = 0 if side < 0 else actor.width
    lead = rng.uniform(-1.0, 1.0)
    if isinstance(actor, Figure):
        actor.home = (edge + lead * side * 0.9 * actor.unit - speed * when, actor.home[1])
        actor.walk = speed
        return True
    if actor.cut["left"] and actor.cut["right"]:
        return False
    if actor.cut["left"] or actor.cut["right"]:
        side = -1 if actor.cut["left"] else 1
        edge = 0 if side < 0 else actor.width
    columns = np.flatnonzero(np.asarray(actor.source)[..., 3].max(0) > 127)
    if len(columns):
        left, right = float(columns[0]), float(columns[-1] + 1)
        point = (left + right) / 2 - lead * side * (right - left) / 2  # the one that enters first
        actor.x, actor.drift = edge - point - speed * when, speed
    return True


def photographed(actors: Sequence[Figure | MovingStill], tints: Sequence[np.ndarray], moments: Sequence[float],
                 shutter: float, height: int, width: int) -> np.ndarray:
    """All actors, back to front, each in its tint (3, 4), at each moment: premultiplied (T, 4, H, W) float32.

    moments: when each frame is taken; shutter: how long it stays open; both in the unit of the actors' motion, frames.
    A moment that is the same as the one before is a pause: the same picture.
    """
    layers = np.zeros((len(moments), 4, height, width), np.float32)
    for t, moment in enumerate(moments):
        if t and moment == moments[t - 1]:
            layers[t] = layers[t - 1]
            continue
        for actor, tint in zip(actors, tints, strict=True):
            times = [moment + offset for offset in subframe_times(actor.travel(moment, shutter), shutter)]
            layers[t] = over(recoloured(actor.render(times), tint), layers[t])
    return layers


# -- colour ------------------------------------------------------------------------------------------------

def recoloured(layer: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Premultiplied (4, H, W) with its straight colour mapped F' = affine @ (F, 1), affine (3, 4); alpha as it was."""
    result = layer.copy()
    np.matmul(affine.astype(np.float32), layer.reshape(4, -1), out=result[:3].reshape(3, -1))
    np.clip(result[:3], 0, layer[3], out=result[:3])
    return result


def tint(rng: np.random.Generator) -> np.ndarray:
    """Other clothes and skin, mildly: hue by up to 8°, saturation, contrast and brightness by a fifth. (3, 4)."""
    angle = rng.uniform(-1, 1) * math.radians(8)
    saturation, contrast, brightness = rng.uniform(0.75, 1.2), rng.uniform(0.85, 1.2), rng.uniform(-0.07, 0.07)
    turn = np.array([[contrast, 0, 0], [0, saturation * math.cos(angle), -saturation * math.sin(angle)],
                     [0, saturation * math.sin(angle), saturation * math.cos(angle)]])
    offset = np.array([(1 - contrast) * 0.45 + brightness, 0, 0])
    return _in_rgb(turn, offset)


def harmony(layers: np.ndarray, background: np.ndarray, strength: float) -> np.ndarray:
    """The affine map (3, 4) that moves the figure's mean and spread to the background's, `strength` of the way.

    layers: premultiplied (T, 4, H, W); background: (T, H, W, 3) uint8. Means and spreads are of luma and two colour
    differences, so that a bluish room makes a bluish figure, weighted by alpha; spreads change by at most a half.
    """
    some = layers[0, :, ::3, ::3].reshape(4, -1)
    weight = some[3].sum()
    if weight < 1:
        return _in_rgb(np.eye(3), np.zeros(3))
    mine = OPPONENT @ some[:3]  # premultiplied
    mean = mine.sum(1) / weight
    straight = mine / np.maximum(some[3], np.float32(1e-3))
    spread = np.sqrt((some[3] * (straight - mean[:, None]) ** 2).sum(1) / weight)
    theirs = OPPONENT @ (background[0, ::3, ::3].reshape(-1, 3).T / np.float32(255))
    gain = 1 + strength * (np.clip(theirs.std(1) / np.maximum(spread, 1e-3), 0.67, 1.5) - 1)
    target = mean + strength * (theirs.mean(1) - mean)
    return _in_rgb(np.diag(gain), target - gain * mean)


def _in_rgb(matrix: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """An affine map of (Y, B-Y, R-Y) as one of RGB, (3, 4)."""
    back = np.linalg.inv(OPPONENT.astype(np.float64))
    return np.concatenate([back @ matrix @ OPPONENT, (back @ offset)[:, None]], axis=1).astype(np.float32)


def relit(layers: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Light from one side: premultiplied (T, 4, H, W), brighter there and darker opposite, by up to 40 %."""
    height, width = layers.shape[2:]
    angle, strength = rng.uniform(0, 2 * math.pi), rng.uniform(0.1, 0.4)
    y, x = np.linspace(-1, 1, height, dtype=np.float32), np.linspace(-1, 1, width, dtype=np.float32)
    light = 1 + np.float32(strength) * np.clip(math.sin(angle) * y[:, None] + math.cos(angle) * x, -1, 1)
    colour = np.minimum(layers[:, :3] * light, layers[:, 3:])
    return np.concatenate([colour, layers[:, 3:]], axis=1)


def defocused(layers: np.ndarray, radius: float) -> np.ndarray:
    """Premultiplied (T, 4, H, W) out of focus, alpha with it; radius: of a Gaussian, in pixels. Edges are repeated."""
    result = np.empty_like(layers)
    for t, layer in enumerate(layers):
        planes = np.ascontiguousarray((layer * 255 + np.float32(0.5)).astype(np.uint8).transpose(1, 2, 0))
        blurred = Image.fromarray(planes, "RGBa").filter(ImageFilter.GaussianBlur(radius))
        result[t] = np.asarray(blurred).transpose(2, 0, 1) * np.float32(1 / 255)
    return np.minimum(result, result[:, 3:])  # rounding may leave a colour one level above alpha


# -- what is behind and in front ---------------------------------------------------------------------------

class Sprite:
    """A picture larger than the frame, (H·MARGIN, W·MARGIN), of which `view(t)` shows a window that moves."""

    def __init__(self, picture: Image.Image, height: int, width: int, shake: Sequence[Path],
                 pan: Sequence[Path], zoom: Callable[[float], float]) -> None:
        self.picture, self.height, self.width = picture, height, width
        self.shake, self.pan, self.zoom = shake, pan, zoom

    def view(self, t: float) -> np.ndarray:
        """(H, W, 3 or 4) uint8 at time t."""
        scale = self.zoom(t)
        x = (self.picture.width - self.width * scale) / 2 - self.pan[0](t) - self.shake[0](t)
        y = (self.picture.height - self.height * scale) / 2 - self.pan[1](t) - self.shake[1](t)
        return np.asarray(self.picture.transform((self.width, self.height), Image.Transform.AFFINE,
                                                 (scale, 0, x, 0, scale, y), Image.Resampling.BILINEAR))


def backdrop(rng: np.random.Generator, height: int, width: int, image: np.ndarray | None, shake: Sequence[Path],
             blur: float, furnish: Callable[[Image.Image], Image.Image] | None = None) -> Sprite:
    """A window of a photograph (h, w, 3) uint8, or a painted scene, that pans and zooms slowly. blur: pixels.

    furnish: puts more into the picture, before it is blurred.
    """
    h, w = round(height * MARGIN), round(width * MARGIN)
    source = window(rng, image, h, w) if image is not None else _picture(canvas(rng, h, w))
    if furnish:
        source = furnish(source)
    if blur > 0.2:
        source = source.filter(ImageFilter.GaussianBlur(blur))
    moving = rng.random() < 0.5
    pan = [Path(rng, 0.07 * n * moving) for n in (width, height)]
    zoom = Path(rng, 0.05 * moving)
    return Sprite(source, height, width, shake, pan, lambda t: 0.95 + zoom(t))


def window(rng: np.random.Generator, image: np.ndarray, height: int, width: int) -> Image.Image:
    """A random part of a photograph at (height, width), at most twice as close as it fits, perhaps mirrored."""
    fit = min(image.shape[1] / width, image.shape[0] / height) / rng.uniform(1.0, 2.0)
    wide, high = max(int(width * fit), 2), max(int(height * fit), 2)
    x, y = int(rng.integers(image.shape[1] - wide + 1)), int(rng.integers(image.shape[0] - high + 1))
    source = Image.fromarray(np.ascontiguousarray(image[y : y + high, x : x + wide]), "RGB")
    source = source.resize((width, height), Image.Resampling.BILINEAR)
    return source.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else source


def _picture(planes: np.ndarray) -> Image.Image:
    """(3, H, W) float in [0, 1] as an image."""
    return Image.fromarray(np.ascontiguousarray((planes * 255).astype(np.uint8).transpose(1, 2, 0)), "RGB")


def thing_in_front(rng: np.random.Generator, height: int, width: int, kind: str, image: np.ndarray | None,
                   shake: Sequence[Path]) -> Sprite:
    """A thing between camera and people, premultiplied: a desk's "edge", a "bar" (a post, a door's frame), a "polygon"
    cut out of a scene, a round "blob". image: (h, w, 3) uint8 that it is cut from; None paints it."""
    h, w = round(height * MARGIN), round(width * MARGIN)
    u, unit = rng.uniform, min(height, width)
    if kind == "blob":
        cover = Image.fromarray((blob(rng, h, w) * 255).astype(np.uint8), "L")
    else:
        if kind == "edge":
            level, slope = u(0.72, 0.92) * height + (h - height) / 2, u(-0.12, 0.12) * height
            points = [(0, level - slope), (w, level + slope), (w, h), (0, h)]
        elif kind == "bar":
            x, lean, thick = u(0.1, 0.9) * w, u(-0.25, 0.25) * h, u(0.03, 0.12) * unit
            points = [(x - thick, 0), (x + thick, 0), (x + thick + lean, h), (x - thick + lean, h)]
        else:
            x, y, n = u(0.1, 0.9) * w, u(0.45, 1.0) * h, int(rng.integers(3, 8))
            angles = np.sort(u(0, 2 * math.pi, n))
            points = [(x + u(0.12, 0.4) * unit * math.cos(a), y + u(0.12, 0.4) * unit * math.sin(a)) for a in angles]
        large = Image.new("L", (2 * w, 2 * h))  # drawn at twice the size, so that its edge is soft
        ImageDraw.Draw(large).polygon([(2 * x, 2 * y) for x, y in points], fill=255)
        cover = large.resize((w, h), Image.Resampling.BOX)
    paint = window(rng, image, h, w) if image is not None else _picture(texture(rng, h, w))
    paint.putalpha(cover)
    picture = paint.convert("RGBa")
    if rng.random() < 0.6:  # too near to be in focus
        picture = picture.filter(ImageFilter.GaussianBlur(u(0.5, 3.0) * height / 144))
    nearer = [_together(hand, hand) for hand in shake]  # what is near moves more
    drift = Path(rng, 0.04 * width * (rng.random() < 0.4))
    return Sprite(picture, height, width, nearer, [drift, Path(rng, 0.0)], lambda t: 1.0)


def occluded(alpha: np.ndarray, background: np.ndarray, front: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A figure's alpha (H, W) and the picture behind it, with a thing (H, W, 4) uint8 premultiplied in front of both.

    Returns alpha' = alpha*(1 - o) and B' (H, W, 3) uint8, the mixture of the thing and the old background that is seen
    where the figure is not: see the module's docstring. Its weights, o and (1 - o)(1 - alpha), add up to 1 - alpha'.
    """
    thing = front.astype(np.float32) * np.float32(1 / 255)
    o = thing[..., 3]
    left = alpha * (1 - o)
    others = ((1 - o) * (1 - alpha))[..., None]
    mixed = (thing[..., :3] * 255 + others * background) / np.maximum(1 - left, np.float32(1 / 512))[..., None]
    return left, np.clip(mixed + np.float32(0.5), 0, 255).astype(np.uint8)
