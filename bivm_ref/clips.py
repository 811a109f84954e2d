"""Training clips with exact alpha: figures, known to the pixel, composited over backgrounds that move.

Every clip obeys the compositing equation, frame = alpha * foreground + (1 - alpha) * background, before the
camera's noise. Three sources feed it: procedural figures (`figures.py`), RGBA stills set in motion
(`motion.py`) and scenes, painted or photographed (`scenes.py`). `ClipMix` draws from all three by seed.

NumPy and Pillow only. Everything is deterministic in the seed. The recipe is our own; the ideas (motion
augmentation of stills, independent motion of the background, camera noise after compositing) are RVM's
habits.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath

import numpy as np
from PIL import Image

from .errors import UserError
from .figures import Figure
from .motion import MovingStill, Path, subframe_times
from .scenes import background_clip
from .shelf import Shelf, drawable

__all__ = ["HELD_OUT", "Clip", "ClipMix", "background_clip", "composite", "procedural_clip", "still_clip"]


WILD = 0.25  # share of training clips with more in them than a webcam would see
HELD_OUT = range(10_000_000, 11_000_000)  # seeds for validation and the samples: training never draws them


@dataclass(frozen=True)
class Clip:
    """A clip and its truth: T frames of H × W pixels, uint8 RGB and float32 alpha."""

    name: str
    frames: np.ndarray  # (T, H, W, 3) uint8 RGB, the composite
    alpha: np.ndarray  # (T, H, W) float32 in [0, 1]
    foreground: np.ndarray  # (T, H, W, 3) uint8, straight colour; spread outwards where alpha = 0
    background: np.ndarray | None = None  # (T, H, W, 3) uint8, what the figure stands before


def composite(foreground: np.ndarray, alpha: np.ndarray, background: np.ndarray) -> np.ndarray:
    """The compositing equation, C = alpha*F + (1 - alpha)*B, rounded to uint8.

    foreground, background: (..., H, W, 3), 0 to 255; alpha: (..., H, W) in [0, 1]. Shapes may broadcast.
    """
    a = np.clip(np.asarray(alpha, np.float32), 0, 1)[..., None].repeat(3, axis=-1)
    b = np.asarray(background, np.float32)
    mixed = foreground - b
    mixed *= a
    mixed += b
    mixed += np.float32(0.5)  # truncation below then rounds to the nearest
    return mixed.astype(np.uint8)


def over(front: np.ndarray, back: np.ndarray) -> np.ndarray:
    """Porter and Duff's "over" on premultiplied planes (4, H, W)."""
    return front + (1 - front[3]) * back


def straighten(layers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Premultiplied (T, 4, H, W) in [0, 1] → foreground (T, H, W, 3) uint8 straight, alpha (T, H, W) float32.

    Where alpha is 0 the colour is free; we let the figure's colours spread there, so that a network's
    foreground head meets no sudden black and a resized foreground has no dark seam.
    """
    alpha = np.clip(layers[:, 3], 0, 1)
    foreground = np.empty((*alpha.shape, 3), np.uint8)
    nearby = spread(layers.mean(0))  # where the figure goes during the clip, its colour is near
    for t, layer in enumerate(layers):
        premultiplied, a = layer[:3], layer[3]
        trust = np.clip(a * 40 - np.float32(0.5), 0, 1)  # alpha < 1/80: the quotient is mostly rounding error
        straight = premultiplied / np.maximum(a, np.float32(1e-3))
        straight += (1 - trust) * (nearby - straight)
        foreground[t] = (np.clip(straight, 0, 1) * 255 + np.float32(0.5)).transpose(1, 2, 0)
    return foreground, alpha


def spread(layer: np.ndarray) -> np.ndarray:
    """The nearby foreground colour everywhere, (3, H, W), from premultiplied (4, H, W): averages over ever
    larger blocks, each a thousandth as heavy as the last, so that the nearest colour wins."""
    planes = [Image.fromarray(plane, "F") for plane in layer * (layer[3] > 1 / 8)]
    width, height = planes[0].size
    small = max(width // 4, 1), max(height // 4, 1)
    total, weight = np.zeros((4, small[1], small[0]), np.float32), np.float32(1)
    for step in (4, 16, 64, max(width, height)):
        size = max(width // step, 1), max(height // step, 1)
        planes = [plane.resize(size, Image.Resampling.BOX) for plane in planes]
        total += weight * np.stack(
            [np.asarray(plane.resize(small, Image.Resampling.BILINEAR)) for plane in planes]
        )
        weight *= np.float32(1e-3)
    total = np.where(total[3] > 0, total[:3] / np.maximum(total[3], np.float32(1e-30)), np.float32(0.5))
    grown = (
        Image.fromarray(plane, "F").resize((width, height), Image.Resampling.BILINEAR) for plane in total
    )
    return np.stack([np.asarray(plane) for plane in grown])


def finish(name: str, layers: np.ndarray, background: np.ndarray, seed: int, noise: bool) -> Clip:
    """From premultiplied layers (T, 4, H, W) and a background to a clip, through the camera if `noise`.

    Light and exposure change foreground and background alike, so the compositing equation survives them;
    sensor noise and JPEG come after it and are in `frames` only.
    """
    foreground, alpha = straighten(layers)
    background = np.broadcast_to(background, foreground.shape)
    if not noise:
        frames = composite(foreground, alpha, background)
        return Clip(name, frames, alpha, foreground, np.ascontiguousarray(background))
    rng = np.random.default_rng([seed, 3])
    drift = Path(rng, rng.choice([0.02, 0.15]))
    light = rng.uniform(0.75, 1.2) * rng.uniform(0.9, 1.1, 3)  # the shot's brightness and white balance
    own = rng.uniform(0.75, 1.25) * rng.uniform(0.92, 1.08, 3)  # the figure's own light
    gamma = rng.uniform(0.75, 1.35, 2)
    levels = np.arange(256)[:, None] / 255
    background = background.copy()
    for t in range(len(alpha)):
        gain = light * (1 + drift(t))
        foreground[t] = graded(foreground[t], levels**gamma[0] * gain * own)
        background[t] = graded(background[t], levels**gamma[1] * gain)
    frames = composite(foreground, alpha, background)
    sigma = rng.choice([0, rng.uniform(1, 8)], p=[0.3, 0.7])
    if sigma:
        grain = rng.standard_normal(frames.shape, np.float32)
        frames = np.clip(frames + grain * np.float32(sigma), 0, 255).astype(np.uint8)
    if rng.random() < 0.3:
        quality = int(rng.integers(35, 95))
        frames = np.stack([jpeg(frame, quality) for frame in frames])
    return Clip(name, frames, alpha, foreground, background)


def graded(frame: np.ndarray, curves: np.ndarray) -> np.ndarray:
    """Each channel of (H, W, 3) uint8 through its own curve, (256, 3) in [0, 1]."""
    table = np.rint(np.clip(curves, 0, 1) * 255).astype(np.uint8)
    return np.stack([table[:, c][frame[..., c]] for c in range(3)], axis=-1)


def jpeg(frame: np.ndarray, quality: int) -> np.ndarray:
    """A frame (H, W, 3) uint8 after one JPEG encoding and decoding."""
    buffer = io.BytesIO()
    Image.fromarray(frame, "RGB").save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer).convert("RGB"))


def exposed(actors: Sequence[Figure | MovingStill], frames: int, height: int, width: int, rng) -> np.ndarray:
    """All actors, back to front, photographed through one shutter: premultiplied (frames, 4, H, W)
    float32."""
    shutter = rng.uniform(0.3, 0.95)
    layers = np.zeros((frames, 4, height, width), np.float32)
    for t in range(frames):
        for actor in actors:
            times = [t + offset for offset in subframe_times(actor.travel(t, shutter), shutter)]
            layers[t] = over(actor.render(times), layers[t])
    return layers


def procedural_clip(
    seed: int,
    frames: int = 8,
    height: int = 144,
    width: int = 256,
    background: np.ndarray | None = None,
    noise: bool = True,
    wild: bool = False,
) -> Clip:
    """A clip of a procedural figure: exact alpha, nothing to download.

    As a webcam would see someone (the abstract's "online conferences"): head and shoulders or waist up, before
    a textured background. wild=True is what a student should try next: one or two figures of any framing,
    partly outside the frame, arms up, green skin, and blobs in the background that look like someone.
    background: (T, H, W, 3) or (H, W, 3) uint8; None paints one. noise=False leaves out the camera (light,
    exposure drift, sensor noise, JPEG): then frames == composite(foreground, alpha, background) exactly.
    """
    rng = np.random.default_rng([seed, 0])
    figures = [Figure(rng, height, width, wild) for _ in range(1 + (rng.random() < 0.2 and wild))]
    layers = exposed(figures, frames, height, width, rng)
    if background is None:
        background = background_clip(seed, frames, height, width, clutter=wild)
    return finish(f"procedural-{seed}", layers, background, seed, noise)


def still_clip(
    rgba: np.ndarray | Sequence[np.ndarray],
    seed: int,
    frames: int,
    height: int,
    width: int,
    background: np.ndarray | None = None,
    name: str | None = None,
    noise: bool = True,
) -> Clip:
    """Motion augmentation: one RGBA still, or several in one frame (back to front), becomes a clip.

    rgba: (h, w, 4) uint8, straight alpha, or a list of such. A figure that the still's edge cuts off stays
    cut off by the frame's edge in every frame. background and noise as in `procedural_clip`.
    """
    rng = np.random.default_rng([seed, 1])
    stills = [rgba] if isinstance(rgba, np.ndarray) else list(rgba)
    actors = [MovingStill(still, rng, height, width) for still in stills]
    layers = exposed(actors, frames, height, width, rng)
    if background is None:
        background = background_clip(seed, frames, height, width)
    return finish(name or f"still-{seed}", layers, background, seed, noise)


class ClipMix(Shelf):
    """A seeded source of training clips: `mix.clip(seed, frames, height, width)`.

    people: a folder of RGBA stills (PNG or WebP); scenes: a folder of backgrounds (JPEG, PNG or WebP); None
    leaves that source out, so `ClipMix()` is fully procedural. weights: the odds of a procedural figure
    against stills, and of a painted background against a scene, is `weights[0] : weights[1]` in both draws.
    A quarter of the clips are wild (see `procedural_clip`).
    Held-out files are never drawn: names hNNNNNN.* below `first_seed`, bNNNNNN.* below `first_scene`; other
    names are all used. A file that cannot be read is left out (see `shelf.Shelf`).
    Raises UserError if a folder is missing or holds nothing to draw; `clip` does when over 1 % cannot be read.
    """

    def __init__(
        self,
        people: str | FilePath | None = None,
        scenes: str | FilePath | None = None,
        weights: tuple[float, float] = (0.35, 0.65),
        first_seed: int = 60,
        first_scene: int = 10,
    ) -> None:
        super().__init__(
            people=drawable(people, "h", first_seed) if people is not None else [],
            scene=drawable(scenes, "b", first_scene) if scenes is not None else [],
        )
        self.procedural = weights[0] / (weights[0] + weights[1])

    def account(self) -> dict:
        """As of every `Shelf`, and the odds of what is procedural."""
        return {**super().account(), "procedural": self.procedural}

    def clip(self, seed: int, frames: int, height: int, width: int) -> Clip:
        """One clip, the same for the same arguments and files. Raises UserError for a seed in `HELD_OUT`."""
        if seed in HELD_OUT:
            raise UserError(f"seed {seed}: held out for validation; choose one below {HELD_OUT.start:,}")
        rng = np.random.default_rng([seed, 4])
        people, scenes = self.files["people"], self.files["scene"]
        side = max(512, 2 ** int(np.ceil(np.log2(1.5 * max(height, width)))))  # decode no larger than needed
        image = None
        if scenes and rng.random() >= self.procedural:
            image, _ = self.read("scene", int(rng.integers(len(scenes))), side, "RGB")
        wild = rng.random() < WILD
        background = background_clip(seed, frames, height, width, image, clutter=wild)
        if not people or rng.random() < self.procedural:
            return procedural_clip(seed, frames, height, width, background, wild=wild)
        count = min(int(rng.choice([1, 2, 3], p=[0.75, 0.2, 0.05])), len(people))
        chosen = rng.choice(len(people), count, replace=False)
        stills, names = zip(*(self.read("people", int(i), side, "RGBA") for i in chosen), strict=True)
        return still_clip(stills, seed, frames, height, width, background, "+".join(names) + f"-{seed}")
