"""Frames out: a video file, a folder of images, one image; streaming and atomic.

Atomic means that the final name never holds half a file. Everything is first written under a hidden name in
the same folder and renamed when it is complete; a rename within a folder either happens or does not.
A frame is uint8, (H, W, 3) RGB or (H, W) grey (an alpha matte, for instance); images take (H, W, 4) RGBA too.
"""

import contextlib
import errno
import os
import tempfile
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

from .errors import UserError
from .files import hidden

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
VIDEO_SUFFIXES = (".mp4", ".mov", ".mkv", ".webm", ".gif")  # what VideoWriter writes
LARGEST_SIDE = {".jpg": 65535, ".jpeg": 65535, ".webp": 16383}
_CONTAINER = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm", ".gif": "gif"}
# A full disk, a file over the allowed size, a spent quota: one mistake, one cure (Windows lacks the last).
_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
BT709 = 1  # its number in FFmpeg's colour tables


def check_output(path, overwrite: bool = False) -> Path:
    """Refuse, before any work is done, an output that would fail or destroy something. Returns the path.

    A name that ends in a video or image suffix is a file, any other name a folder. Raises UserError if it
    exists (for a folder: and is not empty) without `overwrite`, if a file stands where a folder is wanted or
    the other way round, or if nothing can be created in the nearest folder that exists.
    """
    path = Path(path)
    wants_file = path.suffix.lower() in VIDEO_SUFFIXES + IMAGE_SUFFIXES
    if wants_file and path.is_dir():
        raise UserError(f"{path}: a folder of that name exists; choose another name for the output file")
    if not wants_file and path.exists() and not path.is_dir():
        raise UserError(f"{path}: a file of that name exists where a folder is to be written; choose another "
                        f"name, or end it in {' '.join(VIDEO_SUFFIXES)}")
    if not overwrite and path.exists() and (wants_file or any(path.iterdir())):
        what = "exists already" if wants_file else "this folder exists and is not empty"
        raise UserError(f"{path}: {what}; choose another name or add --overwrite")
    folder = path if path.is_dir() else path.parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir():
        raise UserError(f"{path}: cannot be created, because {folder} is a file; choose another folder")
    try:  # permission bits mislead (root, read-only disks): create a file and see
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(f"{path}: nothing can be written in {folder} ({error.strerror}); "
                        "choose another folder") from error
    return path


class _Writer:
    """What the three writers share: `write(frame, at)`, `close()`, `abort()`, `with`. Images have no time."""

    keep_on_interrupt = False

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is None or (self.keep_on_interrupt and issubclass(kind, KeyboardInterrupt)):
            self.close()
        else:
            self.abort()

    def close(self) -> None:
        """Finish the output and give it its name."""

    def abort(self) -> None:
        """Drop what is unfinished. After close() this does nothing."""


class VideoWriter(_Writer):
    """Write frames to one video file.

    path     .mp4 .mov (H.264), .mkv (H.264, or FFV1 if lossless), .webm (VP9), .gif (one palette per frame)
    fps      frames per second, > 0; int, float or Fraction. A Fraction such as 30000/1001 is kept exactly
             (Matroska and WebM store times in milliseconds, GIF in hundredths of a second)
    size     (width, height) of every frame. Odd sizes come back as they are: H.264 then stores colour at full
             resolution (4:4:4), because 4:2:0 counts pixels in pairs
    lossless FFV1 on RGB, .mkv only: what is read back equals what was written, bit for bit
    keep_on_interrupt  leave a `with` block by Ctrl-C and the frames written so far become the file.
             Any other exception removes the unfinished file; calling close() first keeps it

    Raises UserError (unknown suffix, unwritable folder, full disk) and ValueError (a frame of the wrong shape
    or dtype). No frame written: no file.
    """

    def __init__(self, path, fps, size: tuple[int, int], lossless: bool = False,
                 keep_on_interrupt: bool = False):
        self.path, self.size, self.count = Path(path), (int(size[0]), int(size[1])), 0
        self._tick = -1  # of the last frame, in units of 1 / fps
        self.keep_on_interrupt = keep_on_interrupt
        self.fps = Fraction(fps).limit_denominator(1_000_000)  # FFmpeg's rationals are 32 bits wide
        self._suffix = self.path.suffix.lower()
        if self.fps <= 0 or min(self.size) < 1:
            raise ValueError(f"fps and size must be positive, got fps={fps}, size={size}")
        if self._suffix not in VIDEO_SUFFIXES:
            raise UserError(f"{self.path}: unknown kind of video; end it in {' '.join(VIDEO_SUFFIXES)}")
        if lossless and self._suffix != ".mkv":
            raise UserError(f"{self.path}: lossless video is written as .mkv only; change the suffix")
        self._temporary, self._container = hidden(self.path), None
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._container = av.open(f"file:{self._temporary}", "w", format=_CONTAINER[self._suffix])
            self._stream = self._add_stream(lossless)
        except (OSError, av.error.FFmpegError) as error:
            self.abort()
            raise _write_error(self.path, error) from error

    def _add_stream(self, lossless):
        odd = self.size[0] % 2 or self.size[1] % 2
        if lossless:
            codec, pixels, options = "ffv1", "bgr0", {}
        elif self._suffix == ".gif":
            codec, pixels, options = "gif", "pal8", {}
        elif self._suffix == ".webm":  # VP9 takes odd sizes in 4:2:0
            codec, pixels = "libvpx-vp9", "yuv420p"
            options = {"crf": "20", "b": "0", "deadline": "realtime", "cpu-used": "6", "row-mt": "1"}
        else:  # crf 16: visually lossless; veryfast: the network needs the processor more than x264 does
            codec, pixels = "libx264", "yuv444p" if odd else "yuv420p"
            options = {"crf": "16", "preset": "veryfast"}
        stream = self._container.add_stream(codec, rate=self.fps, options=options)
        (stream.width, stream.height), stream.pix_fmt = self.size, pixels
        if pixels.startswith("yuv"):  # name the matrix: no player has to guess
            context = stream.codec_context
            context.colorspace = context.color_primaries = context.color_trc = BT709
            context.color_range = 1  # limited range, 16..235
        return stream

    def write(self, frame: np.ndarray, at: float | None = None) -> None:
        """Append one frame: uint8, (H, W, 3) or (H, W).

        at: when it is shown, in seconds from the first one's, rounded to 1 / fps; at the least it comes 1 / fps after
        the frame before it, and so it does for None.
        """
        frame = _checked(frame, self.size)
        if self._container is None:
            raise ValueError(f"{self.path}: write after close")
        picture = self._picture(np.ascontiguousarray(frame))
        self._tick += 1
        if at is not None:
            self._tick = max(self._tick, round(at * self.fps))
        picture.pts, picture.time_base = self._tick, 1 / self.fps
        try:
            self._container.mux(self._stream.encode(picture))
        except (OSError, av.error.FFmpegError) as error:
            self.abort()
            raise _write_error(self.path, error) from error
        self.count += 1

    def _picture(self, frame):
        if self._stream.pix_fmt == "pal8":  # the best 256 colours of this frame
            indexed = Image.fromarray(frame).quantize(256)
            palette = np.full((256, 4), 255, np.uint8)  # alpha, red, green, blue
            colours = np.array(indexed.getpalette(), np.uint8).reshape(-1, 3)
            palette[:len(colours), 1:] = colours
            return av.VideoFrame.from_ndarray((np.array(indexed), palette), "pal8")
        picture = av.VideoFrame.from_ndarray(frame, "rgb24")
        if self._stream.pix_fmt == "bgr0":
            return picture.reformat(format="bgr0")
        return picture.reformat(format=self._stream.pix_fmt, dst_colorspace="itu709", dst_color_range="MPEG")

    def close(self) -> None:
        """Write what the encoder still holds, then rename the file to its final name. Safe to call twice."""
        if self._container is None or self.count == 0:
            return self.abort()
        try:
            self._container.mux(self._stream.encode(None))
            self._container.close()
            os.replace(self._temporary, self.path)
        except (OSError, av.error.FFmpegError) as error:
            self.abort()
            raise _write_error(self.path, error) from error
        self._container = None

    def abort(self) -> None:
        """Remove the unfinished file. After close() this does nothing."""
        if self._container is not None:
            with contextlib.suppress(OSError, av.error.FFmpegError):
                self._container.close()
            self._container = None
        with contextlib.suppress(OSError):  # it may never have come into being
            self._temporary.unlink()


class ImageFolderWriter(_Writer):
    """Write frames as `folder/<prefix>0000.png`, `0001.png` …; each file appears complete or not at all.

    Files finished before an error stay: every one of them is whole. Raises UserError as VideoWriter does.
    """

    def __init__(self, folder, prefix: str = ""):
        self.folder, self.prefix, self.count = Path(folder), prefix, 0
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _write_error(self.folder, error) from error

    def write(self, frame: np.ndarray, at: float | None = None) -> None:
        """Write the next image: uint8, (H, W), (H, W, 3), or (H, W, 4) RGBA."""
        _save_image(frame, self.folder / f"{self.prefix}{self.count:04d}.png")
        self.count += 1


class ImageWriter(_Writer):
    """Write exactly one image, in the format its suffix names. A second frame is a ValueError."""

    def __init__(self, path):
        self.path, self.count = Path(path), 0
        if self.path.suffix.lower() not in IMAGE_SUFFIXES:
            raise UserError(f"{self.path}: unknown kind of image; end it in {' '.join(IMAGE_SUFFIXES)}")

    def write(self, frame: np.ndarray, at: float | None = None) -> None:
        """Write the image: uint8, (H, W), (H, W, 3), or (H, W, 4) RGBA where the format has alpha."""
        if self.count:
            raise ValueError(f"{self.path}: one image holds one frame")
        _save_image(frame, self.path)
        self.count = 1


def _save_image(frame, path):
    frame = _checked(frame, None, image=True)
    temporary, limit = hidden(path), LARGEST_SIDE.get(path.suffix.lower(), 2**31)
    if max(frame.shape[:2]) > limit:
        raise UserError(f"{path}: {path.suffix} holds at most {limit:,} pixels a side, and this image is "
                        f"{frame.shape[1]}x{frame.shape[0]}; write a .png")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        kind = Image.registered_extensions()[path.suffix.lower()]
        Image.fromarray(frame).save(temporary, format=kind, quality=95)
        os.replace(temporary, path)
    except OSError as error:
        raise _write_error(path, error) from error
    finally:
        with contextlib.suppress(OSError):  # gone already if the rename was reached
            temporary.unlink()


def _checked(frame, size, image=False):
    frame = np.asarray(frame)
    channels = (3, 4) if image else (3,)
    if frame.dtype != np.uint8 or not (frame.ndim == 2 or (frame.ndim == 3 and frame.shape[2] in channels)):
        raise ValueError(f"a frame is uint8 (H, W, 3) or (H, W), got {frame.dtype} {frame.shape}")
    if size is not None and (frame.shape[1], frame.shape[0]) != size:
        raise ValueError(f"the frame is {frame.shape[1]}x{frame.shape[0]}, the video {size[0]}x{size[1]}")
    return frame if frame.ndim == 3 or image else np.repeat(frame[..., None], 3, axis=2)


def _write_error(path, error) -> UserError:
    if error.errno in _FULL:
        return UserError(f"{path}: the disk or the quota is full; free some space or write elsewhere")
    return UserError(f"{path}: cannot be written ({error.strerror or error}); choose another folder or name")
