"""One frame to RGBA: a pass for colour, a pass for alpha, and the two put together.

The colour pass takes few samples and is denoised. Its alpha would be noisy, and a denoiser must not touch alpha, so a
second pass draws every surface white, without light or bounces, with many samples: that costs little, and a pixel's
value is the share of it that is covered, hair by hair. Colour is straight (not multiplied by alpha) and bleeds
outwards beyond the edge, so that resizing and compositing meet no dark rim.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from . import interrupts

LUMINANCE = np.array([0.2126, 0.7152, 0.0722])  # of linear sRGB (BT.709)
BLEED = (1.0, 2.5, 6.0, 16.0, 48.0)  # pixels


@dataclass(frozen=True)
class Quality:
    """What a render may cost."""

    size: int = 512  # pixels, both sides
    samples: int = 12  # per pixel, of the colour pass
    alpha_samples: int = 160
    threads: int = 1


def render_frame(person, frame, shot, quality: Quality, gain: float | None = None) -> tuple[np.ndarray, float]:
    """(size, size, 4) uint8 RGBA with straight alpha, and the gain of its exposure.

    A clip's later frames are given the gain of its first: with one of their own each, the light would flicker.
    """
    from . import materials, stage  # here, because they import bpy

    scene = stage.empty_scene()
    stage.build(person, frame, shot)
    prepare_cycles(scene, quality.size, quality.size, quality.threads)
    scene.cycles.seed = person.seed % 2**31
    scene.cycles.samples = quality.samples
    scene.cycles.use_denoising, scene.cycles.denoiser = True, "OPENIMAGEDENOISE"
    scene.cycles.denoising_prefilter = "FAST"
    colour = shoot(scene)

    scene.cycles.use_denoising = False
    scene.cycles.samples, scene.cycles.max_bounces = quality.alpha_samples, 0
    scene.cycles.use_adaptive_sampling, scene.cycles.adaptive_threshold = quality.alpha_samples >= 64, 0.025
    scene.cycles.adaptive_min_samples = 24
    scene.view_layers[0].material_override = materials.white()
    scene.world = None
    alpha = np.clip(shoot(scene)[..., 0], 0, 1)
    gain = gain or exposure_gain(colour, person.view.exposure)
    return finish(colour, alpha, gain), gain


def prepare_cycles(scene, width: int, height: int, threads: int) -> None:
    """Cycles on the CPU, with as few bounces as people under simple light need."""
    render, cycles = scene.render, scene.cycles
    render.engine, cycles.device = "CYCLES", "CPU"
    render.resolution_x, render.resolution_y = width, height
    render.resolution_percentage, render.film_transparent = 100, True
    render.threads_mode, render.threads = "FIXED", threads
    render.image_settings.file_format, render.image_settings.color_mode = "OPEN_EXR", "RGBA"
    render.image_settings.color_depth = "32"
    scene.view_settings.view_transform = "Standard"
    cycles.use_adaptive_sampling = False
    cycles.max_bounces, cycles.diffuse_bounces = 3, 2
    cycles.glossy_bounces = cycles.transmission_bounces = 1
    cycles.transparent_max_bounces = 4
    cycles.caustics_reflective = cycles.caustics_refractive = False
    cycles.sample_clamp_direct, cycles.sample_clamp_indirect = 8, 3
    cycles.pixel_filter_type, cycles.filter_width = "BLACKMAN_HARRIS", 1.5
    scene.cycles_curves.shape, scene.cycles_curves.subdivisions = "RIBBONS", 2


def shoot(scene) -> np.ndarray:
    """Render, and read back what Blender can give through a file only: (H, W, 4) float32, linear, premultiplied."""
    import bpy

    with tempfile.TemporaryDirectory() as folder:
        scene.render.filepath = str(Path(folder) / "pass.exr")
        with interrupts.put_off(), silent():
            bpy.ops.render.render(write_still=True)
        image = bpy.data.images.load(scene.render.filepath)
        image.colorspace_settings.name = "Non-Color"
        width, height = image.size
        pixels = np.empty(width * height * 4, np.float32)
        image.pixels.foreach_get(pixels)
        bpy.data.images.remove(image)
    return pixels.reshape(height, width, 4)[::-1]  # Blender's first row is the lowest


@contextlib.contextmanager
def silent():
    """Blender prints a line per render from C, past sys.stdout: point the descriptor elsewhere for a while."""
    sys.stdout.flush()
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


def blur(image: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur of (H, W) or, channel by channel, (H, W, 3)."""
    return gaussian_filter(image, (sigma, sigma, 0)[: image.ndim])


def exposure_gain(colour: np.ndarray, exposure: float) -> float:
    """The factor that brings the person of a colour pass (H, W, 4) to this mean linear brightness."""
    own, brightness = colour[..., 3], colour[..., :3] @ LUMINANCE
    mean = brightness.sum() / max(own.sum(), 1e-6)
    bright = np.percentile(brightness[own > 0.9], 95) if (own > 0.9).any() else 1.0
    return float(np.clip(exposure / max(mean, 0.4 * bright, 1e-3), 0.3, 6))  # a small bright spot must not burn out


def finish(colour: np.ndarray, alpha: np.ndarray, gain: float) -> np.ndarray:
    """Two passes → RGBA.

    colour (H, W, 4) float, linear, premultiplied, with the colour pass's own alpha; alpha (H, W) in [0, 1] of the
    alpha pass.
    """
    own = colour[..., 3]
    straight = colour[..., :3] / np.maximum(own, 1e-3)[..., None]
    # The denoiser smears colour across an edge and leaves alpha sharp, so dividing gives bright specks there. Where
    # alpha is soft, take the mean colour of what is near instead.
    near = blur(colour[..., :3], 1.3) / np.maximum(blur(own, 1.3), 1e-3)[..., None]
    solid = np.clip((blur(own, 0.7) - 0.75) / 0.23, 0, 1)[..., None]
    straight = straight * solid + near * (1 - solid)

    known = own > 0.06
    source, weight = np.where(known[..., None], straight, 0), known.astype(float)
    filled, done = source.copy(), known.copy()
    for sigma in BLEED:  # each wider blur fills what the narrower ones did not reach
        reach = blur(weight, sigma)
        here = ~done & (reach > 1e-4)
        filled[here] = blur(source, sigma)[here] / reach[here, None]
        done |= here

    lit = filled * gain
    lit = np.where(lit > 0.7, 0.7 + 0.3 * np.tanh((lit - 0.7) / 0.6), lit)  # a soft shoulder, as film has
    return np.rint(255 * np.clip(np.dstack([srgb(lit), alpha]), 0, 1)).astype(np.uint8)


def srgb(linear: np.ndarray) -> np.ndarray:
    """Linear light → sRGB (IEC 61966-2-1): person.linear the other way."""
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.clip(linear, 1e-9, None) ** (1 / 2.4) - 0.055)
