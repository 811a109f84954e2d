"""What a camera does to a clip: light that is common to figure and background, then damage to the frames alone.

The compositing equation C = alpha*F + (1 - alpha)*B holds before the camera. Everything *linear and common to F and B*
keeps it: white balance, vignette, black and white. So does a tone curve that is applied to F and to B before they are
mixed. Sharpening, a smaller stream, sensor noise, JPEG and H.264 come after the mixing and are in the frames only.

NumPy, Pillow and PyAV. Our recipe; the kinds of damage are what webcams and phones do. Formulas are chosen for speed:
a tone curve is a table of 256 entries, and the grain of all frames is cut from one larger field.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from PIL import Image, ImageFilter

from .clips import graded, jpeg
from .motion import Path

LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True)
class Look:
    """One camera in one light: all that it does to a clip. `draw` makes one at random."""

    gamma: float = 1.0  # of the tone curve, on values in [0, 1]
    gain: tuple[float, float, float] = (1.0, 1.0, 1.0)  # brightness and white balance, a factor per channel
    drift: float = 0.0  # how far exposure swings during the clip, as a share; white balance swings a third of it
    vignette: float = 0.0  # how much darker the corners are, as a share
    grey: bool = False  # black and white
    shake: float = 0.0  # of the hand, as a share of the frame's height
    sharpen: float = 0.0  # overshoot at edges, as a share of their height
    small: float = 1.0  # the stream's size as a share of the frame's: scaled down and up again
    read: float = 0.0  # sensor noise that is everywhere: standard deviation in levels of 255
    shot: float = 0.0  # noise that grows with the light: its standard deviation at level 255
    coarse: bool = False  # the noise is smeared over 2 × 2 pixels, as after a cheap denoiser
    levels: int = 256  # a low bit rate leaves few levels per channel
    codec: str = ""  # "jpeg", "h264" or none
    quality: int = 0  # JPEG's quality or H.264's crf


def draw(rng: np.random.Generator) -> Look:
    """A look at random; about a seventh are low light, which is noisy."""
    u = rng.uniform
    dim = rng.random() < 0.15
    brightness = u(0.45, 0.75) if dim else u(0.8, 1.25)
    gain = brightness * u(0.9, 1.1, 3)
    noise = u(0.8, 1.8) if dim else rng.choice([0.0, u(0.1, 0.9)], p=[0.2, 0.8])
    codec = str(rng.choice(["", "jpeg", "h264"], p=[0.3, 0.3, 0.4]))
    quality = {"": 0, "jpeg": int(rng.integers(30, 92)), "h264": int(rng.integers(23, 39))}[codec]
    return Look(
        gamma=float(u(0.8, 1.3)), gain=tuple(float(g) for g in gain), drift=float(rng.choice([0.01, 0.04, 0.15])),
        vignette=float(u(0.1, 0.5) * (rng.random() < 0.3)), grey=bool(rng.random() < 0.03),
        shake=float(rng.choice([0.0, 0.004, 0.02], p=[0.45, 0.35, 0.2])),
        sharpen=float(u(0.3, 1.2) * (rng.random() < 0.2)), small=float(u(0.45, 0.85) if rng.random() < 0.2 else 1.0),
        read=float(4 * noise), shot=float(5 * noise), coarse=bool(rng.random() < 0.3),
        levels=int(rng.integers(16, 49)) if rng.random() < 0.03 else 256, codec=codec, quality=quality)


def develop(look: Look, rng: np.random.Generator, moments: tuple[float, ...], foreground: np.ndarray,
            background: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The light that is common to both: new foreground and background, (T, H, W, 3) uint8, for T moments in frames."""
    exposure = Path(rng, look.drift)
    tints = [Path(rng, look.drift / 3) for _ in range(3)]
    height, width = foreground.shape[1:3]
    shade = vignette(height, width, look.vignette) if look.vignette else None
    curve = (np.arange(256)[:, None] / 255) ** look.gamma * np.array(look.gain)  # (256, 3)
    planes = []
    for clip in (foreground, background):
        lit = np.empty_like(clip)
        for t, moment in enumerate(moments):
            swing = 1 + exposure(moment) + np.array([tint(moment) for tint in tints])
            frame = graded(clip[t], curve * swing)
            if shade is not None:
                frame = (frame * shade + np.float32(0.5)).astype(np.uint8)
            lit[t] = grey(frame) if look.grey else frame
        planes.append(lit)
    return planes[0], planes[1]


def grey(frame: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 in black and white, likewise: Rec. 601's luma in all three channels."""
    return (frame @ LUMA + np.float32(0.5)).astype(np.uint8)[..., None].repeat(3, axis=-1)


def vignette(height: int, width: int, strength: float) -> np.ndarray:
    """Brightness (H, W, 1) float32: 1 in the middle, 1 - strength in the corners, falling with the distance squared."""
    y, x = np.linspace(-1, 1, height, dtype=np.float32), np.linspace(-1, 1, width, dtype=np.float32)
    return 1 - np.float32(strength / 2) * (y[:, None, None] ** 2 + x[None, :, None] ** 2)


def damage(look: Look, rng: np.random.Generator, frames: np.ndarray) -> np.ndarray:
    """Composites (T, H, W, 3) uint8 as the camera delivers them, likewise: smaller, noisy, sharpened, compressed."""
    height, width = frames.shape[1:3]
    size = (max(round(width * look.small), 8), max(round(height * look.small), 8))
    if look.small < 1:
        frames = np.stack([resized(frame, size) for frame in frames])
    if look.read or look.shot:
        frames = noisy(look, rng, frames)
    if look.sharpen:
        unsharp = ImageFilter.UnsharpMask(1.0 * height / 144, int(100 * look.sharpen), 0)
        frames = np.stack([np.asarray(Image.fromarray(frame).filter(unsharp)) for frame in frames])
    if look.levels < 256:
        table = np.rint(np.rint(np.arange(256) / 255 * (look.levels - 1)) / (look.levels - 1) * 255).astype(np.uint8)
        frames = table[frames]
    if look.codec == "jpeg":
        frames = np.stack([jpeg(frame, look.quality) for frame in frames])
    elif look.codec == "h264":
        frames = h264(frames, look.quality)
    if look.small < 1:
        frames = np.stack([resized(frame, (width, height)) for frame in frames])
    return frames


def resized(frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(H, W, 3) uint8 at another size, (width, height), bilinear (area-averaging where it shrinks)."""
    return np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BILINEAR))


def noisy(look: Look, rng: np.random.Generator, frames: np.ndarray) -> np.ndarray:
    """Read noise plus shot noise, variance read² + shot²·level/255, on (T, H, W, 3) uint8; half of it is colour.

    One field of grain, a little larger than the frame, serves the clip: each frame takes another window of it, mirrored
    or not, so frames differ and only two numbers a frame are drawn.
    """
    height, width = frames.shape[1:3]
    rows, columns = height + 48, width + 48
    shape = (rows // 2 + 1, columns // 2 + 1) if look.coarse else (rows, columns)
    luma, chroma = rng.standard_normal((*shape, 1), np.float32), rng.standard_normal((*shape, 3), np.float32)
    grain = np.float32(0.7071) * (luma + chroma)
    if look.coarse:
        grain = grain.repeat(2, axis=0).repeat(2, axis=1)
    sigma = np.sqrt(look.read**2 + look.shot**2 * np.arange(256) / 255).astype(np.float32)
    result = np.empty_like(frames)
    for t, frame in enumerate(frames):
        y, x = (int(v) for v in rng.integers(48, size=2))
        window = grain[y : y + height, x : x + width]
        window = window[:, ::-1] if t % 2 else window
        result[t] = np.clip(sigma[frame] * window + frame + np.float32(0.5), 0, 255)
    return result


def h264(frames: np.ndarray, crf: int) -> np.ndarray:
    """Frames (T, H, W, 3) uint8 through H.264 and back, likewise, in memory. crf: 0 (nothing lost) to 51.

    Colour at half the resolution, as everywhere; odd sizes are padded by their last row or column for it. One thread,
    so that the same frames give the same bytes on the same build of x264.
    """
    count, height, width = frames.shape[:3]
    padded = np.pad(frames, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    encoder, decoder = av.CodecContext.create("libx264", "w"), av.CodecContext.create("h264", "r")
    encoder.height, encoder.width = padded.shape[1:3]
    encoder.pix_fmt, encoder.time_base = "yuv420p", Fraction(1, 30)
    encoder.thread_count = decoder.thread_count = 1
    encoder.options = {"crf": str(crf), "preset": "superfast", "tune": "zerolatency"}
    decoded = []
    for t, frame in enumerate(padded):
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), "rgb24")
        picture.pts = t
        for packet in encoder.encode(picture):
            decoded += decoder.decode(packet)
    for packet in encoder.encode(None):
        decoded += decoder.decode(packet)
    decoded += decoder.decode(None)
    result = np.stack([picture.to_ndarray(format="rgb24") for picture in decoded])[:, :height, :width]
    assert len(result) == count
    return np.ascontiguousarray(result)
