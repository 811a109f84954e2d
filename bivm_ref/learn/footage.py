"""Training clips from the field's data sets: footage with alpha over other backgrounds, augmented.

Sample number n is the same clip in every run with the same seed and files, whichever process makes it. A file that
turns out to be damaged is marked in its `ImageSet`, and the sample is drawn again.
"""

from __future__ import annotations

import functools
import math
from dataclasses import replace

import numpy as np
import torch
from PIL import Image
from torch.utils.data import Dataset

from bivm_ref.clips import Clip, composite, straighten
from bivm_ref.errors import UserError
from bivm_ref.learn.augment import (
    Augment,
    clock,
    colour_path,
    fold,
    graded,
    look,
    reduced_size,
    sharpened,
    window,
)
from bivm_ref.learn.datasets import Phase
from bivm_ref.learn.folders import ImageSet, Unreadable
from bivm_ref.motion import MovingStill, cut_edges, subframe_times
from bivm_ref.scenes import background_clip

ATTEMPTS = 50  # damaged files in a row before a sample gives up; 1 % of a set stops a run long before
SIDES = {"left", "right", "top", "bottom"}
STEP = 32  # sides of frames are multiples of it, so that the refiner's half size is one of 16


class FolderClips(Dataset):
    """Clips of an `ImageSet` of mattes over those of backgrounds; items as `MixedClips` has them.

    Item i -> (frames (T, 3, H, W), alpha (T, 1, H, W), foreground (T, 3, H, W)), uint8 tensors with
    frames = alpha * foreground + (1 - alpha) * background, rounded, before the sensor's noise.
    An epoch shows every stretch of T frames once, in an order of its own.
    """

    def __init__(self, phase: Phase, first: int, seed: int, mattes: ImageSet, backgrounds: list[ImageSet],
                 augment: Augment | None = None, smallest: int | None = None) -> None:
        """phase, first, seed: as in `MixedClips`. smallest: draw height and width anew for every batch, between this
        and the phase's (RVM: 256 to 512); None keeps the phase's."""
        if not mattes.clips or not backgrounds:
            raise UserError("no mattes, or no backgrounds to put them before; name a folder that holds both")
        self.phase, self.first, self.seed, self.smallest = phase, first, seed, smallest
        self.mattes, self.backgrounds = mattes, backgrounds
        self.augment = Augment() if augment is None else augment
        self.stretches = stretches(mattes, phase.frames)

    def __len__(self) -> int:
        return self.phase.steps * self.phase.batch

    def __getitem__(self, i: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        clip = self.clip(i)
        alpha = np.rint(clip.alpha * 255).astype(np.uint8)[:, None]
        return planes(clip.frames), torch.from_numpy(alpha), planes(clip.foreground)

    def name(self, i: int) -> str:
        """Which footage item i shows; see `stretch_name`."""
        return stretch_name(self.mattes, self.stretches, self.seed, self.first + i)

    def clip(self, i: int) -> Clip:
        """Item i as arrays, background included. Raises UserError when too many files are damaged."""
        number = self.first + i
        height, width = batch_size(self.phase, self.seed, self.first, i, self.smallest)
        for rng, chosen in draws(self.seed, number, len(self.stretches), 5, self.mattes):
            try:
                return self._clip(rng, *self.stretches[chosen], height, width)
            except Unreadable as broken:
                broken.mark()

    def _clip(self, rng: np.random.Generator, c: int, start: int, height: int, width: int) -> Clip:
        augment, frames = self.augment, self.phase.frames
        # One source of chance per thing: what one augmentation draws does not shift the others.
        time, place, behind, light, dark, shared = rng.spawn(6)
        moments = clock(time, frames, augment)
        if len(self.mattes.clips[c]) == 1 and augment.motion:
            foreground, alpha = self._still(place, c, moments, height, width)
        else:
            foreground, alpha = self._video(place, c, start, moments, height, width)
        background = self._background(behind, height, width)
        grey, soft = shared.random() < augment.grey, shared.random() < augment.sharpness
        amount = float(shared.uniform(-1, 1)) * soft
        own, other = (colour_path(r, moments, augment, grey) for r in (light, dark))
        foreground = np.stack([sharpened(graded(f, m), amount) for f, m in zip(foreground, own, strict=True)])
        background = np.stack([sharpened(graded(b, m), amount) for b, m in zip(background, other, strict=True)])
        if shared.random() < augment.flip:
            foreground, alpha = foreground[:, :, ::-1], alpha[:, :, ::-1]
        alpha = alpha.astype(np.float32) / np.float32(255)
        shot = composite(foreground, alpha, background)
        if shared.random() < augment.noise:
            grain = shared.standard_normal(shot.shape, np.float32) * np.float32(shared.uniform(1, 8))
            shot = np.clip(shot + grain, 0, 255).astype(np.uint8)
        name = f"{self.mattes.clips[c].name}@{start}"
        return Clip(name, shot, np.ascontiguousarray(alpha), np.ascontiguousarray(foreground), background)

    def _video(self, rng, c: int, start: int, moments, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
        """Foreground (T, H, W, 3) and alpha (T, H, W), uint8, through a window that moves over the footage."""
        times = fold(start + moments, len(self.mattes.clips[c]))
        native = self._size(c)
        size = reduced_size(rng, native, height, width, self.augment)
        seen = {t: self._picture(c, t) for t in sorted(set(map(int, times)))}
        if native == (width, height) and size == native and not self.augment.motion:
            pictures = np.stack([np.asarray(seen[int(t)]) for t in times])
            return pictures[..., :3], pictures[..., 3]
        # Resized and warped premultiplied, or the black of alpha = 0 would creep into the hair (see motion.py).
        seen = {t: picture.convert("RGBa").resize(size, Image.Resampling.BILINEAR) for t, picture in seen.items()}
        alphas = {t: picture.getchannel(3) for t, picture in seen.items()}
        inside = {side for alpha in alphas.values() for side, cut in cut_edges(np.asarray(alpha) / 255).items() if cut}
        focus = middle(alphas[int(times[0])])
        rows = window(rng, size, height, width, start + moments, inside, self.augment, focus)
        layers = (np.asarray(look(seen[int(t)], row, height, width)) for t, row in zip(times, rows, strict=True))
        return straight(layer.transpose(2, 0, 1) / np.float32(255) for layer in layers)

    def _still(self, rng, c: int, moments, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
        """One picture set in motion by `MovingStill`, with an open shutter."""
        picture, most = self._picture(c, 0), 2 * max(height, width)  # no use for more: it is reduced further at once
        if max(picture.size) > most:
            picture.thumbnail((most, most), Image.Resampling.BOX)  # Pillow premultiplies RGBA while it resizes
        actor, shutter = MovingStill(np.asarray(picture), rng, height, width), rng.uniform(0.3, 0.95)
        return straight(actor.render([t + offset for offset in subframe_times(actor.travel(t, shutter), shutter)])
                        for t in map(int, moments))

    def _picture(self, c: int, t: int) -> Image.Image:
        """Foreground and alpha of a frame as one picture of mode "RGBA", straight."""
        picture = self.mattes.read(c, t, 0, "RGB")
        picture.putalpha(self.mattes.read(c, t, 1, "L"))
        return picture

    def _size(self, c: int) -> tuple[int, int]:
        return self.mattes.clips[c].size or self.mattes.read(c, 0).size

    def _background(self, rng, height: int, width: int) -> np.ndarray:
        """(T, H, W, 3) uint8: a clip, or a photograph that the camera pans over."""
        images = self.backgrounds[int(rng.integers(len(self.backgrounds)))]
        c = int(rng.integers(len(images.clips)))
        clip = images.clips[c]
        if len(clip) == 1 and self.augment.motion:
            w, h = clip.size or images.read(c, 0).size
            scale = min(1.0, 2.5 * max(width / w, height / h))  # as close as `background_clip` may go, and its margin
            picture = images.read(c, 0, 0, "RGB", (math.ceil(w * scale), math.ceil(h * scale)))
            panned = background_clip(int(rng.integers(2**31)), self.phase.frames, height, width, np.asarray(picture))
            return panned[clock(rng, self.phase.frames, replace(self.augment, speed=0))]
        moments = clock(rng, self.phase.frames, self.augment)
        return through_window(rng, images, c, fold(int(rng.integers(len(clip))) + moments, len(clip)), moments,
                              height, width, self.augment)


# -- what the segmentation sets share -----------------------------------------------------------------------

def planes(frames: np.ndarray) -> torch.Tensor:
    """(T, H, W, 3) → (T, 3, H, W), a uint8 tensor."""
    return torch.from_numpy(np.ascontiguousarray(frames.transpose(0, 3, 1, 2)))


def stretches(images: ImageSet, frames: int) -> list[tuple[int, int]]:
    """(clip, first frame) of every stretch of T frames; the last of a clip may be shorter, and is played back and
    forth."""
    return [(c, start) for c, clip in enumerate(images.clips) for start in range(0, len(clip), frames)]


def draws(seed: int, number: int, count: int, kind: int, images: ImageSet):
    """(source of chance, which of `count` stretches) for sample `number`: first the one whose turn it is in this
    epoch, then, as long as one asks because a file was damaged, any other. Raises UserError after `ATTEMPTS`."""
    for attempt in range(ATTEMPTS):
        rng = np.random.default_rng([seed, number, attempt, kind])
        yield rng, int(rng.integers(count)) if attempt else turn(seed, number, count)
    raise UserError(f"{images.root}: {ATTEMPTS} damaged files in a row; copy or unpack the set again")


def turn(seed: int, number: int, count: int) -> int:
    """Which of `count` stretches sample `number` shows: each one once in an epoch."""
    return int(shuffled(seed, number // count, count)[number % count])


def stretch_name(images: ImageSet, choices: list[tuple[int, int]], seed: int, number: int) -> str:
    """The clip and the first frame that sample `number` shows, as "0001@15". (If a file in it is damaged, it shows
    another stretch.)"""
    c, start = choices[turn(seed, number, len(choices))]
    return f"{images.clips[c].name}@{start}"


@functools.lru_cache(maxsize=4)
def shuffled(seed: int, epoch: int, count: int) -> np.ndarray:
    """The order of an epoch: a permutation of 0 … count − 1."""
    return np.random.default_rng([seed, epoch, 6]).permutation(count)


def batch_size(phase: Phase, seed: int, first: int, i: int, smallest: int | None) -> tuple[int, int]:
    """Height and width of item i's batch: the phase's (twice as large for the refiner), or drawn from `smallest` up.

    All items of a batch get the same, and a run that resumes (with another `first`) draws what it would have drawn.
    """
    zoom = 2 if phase.refine else 1
    largest = phase.height * zoom, phase.width * zoom
    if smallest is None:
        return largest
    head = first % phase.batch  # batches start at numbers ≡ head
    rng = np.random.default_rng([seed, (first + i - head) // phase.batch, 7])
    return tuple(STEP * int(rng.integers(math.ceil(smallest / STEP), side // STEP + 1)) for side in largest)


def middle(alpha: Image.Image) -> tuple[float, float] | None:
    """The point (x, y) at the middle of a figure; None if there is none."""
    box = alpha.point(lambda value: 255 * (value > 127)).getbbox()
    return None if box is None else ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)


def straight(layers) -> tuple[np.ndarray, np.ndarray]:
    """Premultiplied layers (4, H, W) in [0, 1] → foreground (T, H, W, 3) and alpha (T, H, W), uint8."""
    pairs = [straighten(layer[None]) for layer in layers]
    return (np.concatenate([foreground for foreground, _ in pairs]),
            np.rint(255 * np.concatenate([alpha for _, alpha in pairs])).astype(np.uint8))


def through_window(rng, images: ImageSet, c: int, times: np.ndarray, moments: np.ndarray, height: int, width: int,
                   augment: Augment, masks=None):
    """Frames of clip c at `times` through a window that stays inside: (T, H, W, 3) uint8.

    masks: a function t → Image of mode "L" and the footage's size; given, (frames, masks (T, H, W) uint8).
    """
    flip = rng.random() < augment.flip
    native = images.clips[c].size or images.read(c, int(times[0])).size
    size = reduced_size(rng, native, height, width, augment)
    rows = window(rng, size, height, width, moments, SIDES, augment)
    plain = size == (width, height) and not augment.motion
    seen, hidden = {}, {}
    for t in sorted(set(map(int, times))):
        seen[t] = images.read(c, t, 0, "RGB", size)
        if masks is not None:
            mask = masks(t)
            hidden[t] = mask if mask.size == size else mask.resize(size, Image.Resampling.BILINEAR)

    def film(pictures):
        shots = [pictures[int(t)] if plain else look(pictures[int(t)], row, height, width)
                 for t, row in zip(times, rows, strict=True)]
        shots = np.stack([np.asarray(shot) for shot in shots])
        return np.ascontiguousarray(shots[:, :, ::-1]) if flip else shots

    return film(seen) if masks is None else (film(seen), film(hidden))
