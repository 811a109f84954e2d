"""Frames in: a video file, a folder of images, one image, a webcam; one frame in memory at a time.

Whatever comes in, a frame leaves as (H, W, 3) uint8 RGB, upright: the rotation flag of a video (phones film
sideways and say so) and the EXIF orientation of a photograph are applied. Single images are decoded in
`images.py`; writing lives in `video_out.py` and is re-exported here.
"""

import itertools
import re
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from .errors import UserError
from .images import MAX_PIXELS, image_count, image_paths, image_size, read_image, too_large
from .video_out import (
    BT709,
    IMAGE_SUFFIXES,
    VIDEO_SUFFIXES,
    ImageFolderWriter,
    ImageWriter,
    VideoWriter,
    check_output,
)

__all__ = ["FrameReader", "open_frames", "VideoWriter", "ImageFolderWriter", "ImageWriter", "check_output",
           "IMAGE_SUFFIXES", "VIDEO_SUFFIXES"]

# Containers FFmpeg may open. Its other readers include playlists (a text file that makes it open other files)
# and ANSI art (any .txt is a "video").
_FORMATS = "mov,mp4,m4a,3gp,matroska,webm,avi,gif,mpegts,mpeg,flv,ogg,asf,mxf,yuv4mpegpipe"


class FrameReader:
    """An iterable of frames, (H, W, 3) uint8 RGB. Make one with `open_frames`.

    kind      "video" (webcams too), "folder" or "image"
    fps       frames per second as an exact Fraction; None for images
    size      (width, height) after rotation, the same for every frame
    count     number of frames the source announces, None if it does not say
    live      whether frames come when they come, as from a camera, whoever is ready for them
    warnings  one line for each thing that went wrong without stopping the clip; complete after iteration

    Iterating again starts from the first frame (a webcam goes on). Memory does not grow with the clip.
    """

    def __init__(self, kind: str, fps: Fraction | None, size: tuple[int, int], count: int | None, start,
                 live: bool = False):
        self.kind, self.fps, self.size, self.count, self.live = kind, fps, size, count, live
        self.warnings: list[str] = []
        self._start = start  # a function: warnings → iterator of frames

    def __iter__(self):
        self.warnings.clear()
        return self._start(self.warnings)


def open_frames(path) -> FrameReader:
    """Open a video file, a folder of images (natural order: 2.png before 10.png), one image, or "webcam:0".

    Alpha channels are dropped, not composited. 16-bit grey images are scaled by 1/257, so that 65535 becomes
    255; Pillow reads 16-bit colour by its high byte, which differs from that by at most one step. A video
    that changes size midway is scaled to its first frame.

    Raises UserError, one line with file and cure: missing, empty, not a video, no frame in it, an unreadable
    image, images of unequal size, more than 64 megapixels, no camera. A clip that is damaged further on is
    no error: its frames up to the damage are yielded and `warnings` says where it stopped.
    """
    if str(path).startswith("webcam:"):
        return _open_webcam(str(path))
    path = Path(path)
    if path.is_dir():
        return _open_folder(path)
    if not path.exists():
        raise UserError(f"{path}: no such file or folder; check the spelling")
    if not path.is_file():
        raise UserError(f"{path}: neither a file nor a folder; pass a video, an image or a folder of images")
    if path.stat().st_size == 0:
        raise UserError(f"{path}: the file is empty (0 bytes); copy or record it again")
    if path.suffix.lower() in IMAGE_SUFFIXES:
        image = read_image(path)
        size = image.shape[1], image.shape[0]
        return FrameReader("image", None, size, 1, lambda warnings: _one(image, path, warnings))
    return _open_video(path)


# ── video files and webcams, through FFmpeg ──────────────────────────────────────────────────

def _open_video(path):
    with _container(path) as container:
        stream = container.streams.video[0]
        rate = stream.average_rate or stream.guessed_rate
        known = bool(rate) and Fraction(1, 1000) <= rate <= 1000  # what is outside is no rate that a video can have
        fps, count = (_tidy_rate(rate) if known else Fraction(25)), stream.frames or None
    first = next(_video_frames(path, []), None)  # decoding one frame tells size and health
    if first is None:
        raise UserError(f"{path}: no frame in it can be read; record or convert it again")
    return FrameReader("video", fps, (first.shape[1], first.shape[0]), count,
                       lambda warnings: _video_frames(path, warnings))


def _container(path):
    try:  # "file:": the a in a:b.mp4 is no protocol
        container = av.open(f"file:{path}", options={"format_whitelist": _FORMATS}, metadata_errors="ignore")
    except (OSError, av.error.FFmpegError) as error:
        if isinstance(error, PermissionError):
            raise UserError(f"{path}: you may not read this file; change its permissions") from error
        raise UserError(f"{path}: not a readable video (another kind of file, or cut off before its index); "
                        "convert it to MP4, or copy it again") from error
    if not container.streams.video:
        container.close()
        raise UserError(f"{path}: has no video track; pass a file with pictures in it")
    stream = container.streams.video[0]
    if stream.codec_context is None:
        container.close()
        raise UserError(f"{path}: its codec is not known here; convert it to H.264 in MP4")
    if (stream.width or 0) * (stream.height or 0) > MAX_PIXELS:
        container.close()
        raise too_large(path, stream.width, stream.height)
    return container


def _one(image, path, warnings):
    if (held := image_count(path)) > 1:  # an animated WebP or PNG, a TIFF of several pages
        warnings.append(f"{path}: holds {held} pictures, of which the first was taken; make a video or a folder of it")
    yield image


def _video_frames(path, warnings):
    with _container(path) as container:
        yield from _rgb_frames(container, path, warnings)


def _rgb_frames(container, name, warnings):
    """Decode the first video track to upright RGB; note in `warnings` where damage ended it."""
    stream = container.streams.video[0]
    kept, end, size, damaged = 0, None, None, False
    step = 1 / (stream.average_rate or Fraction(25))  # seconds from frame to frame
    frames = _sound_frames(container, stream)
    while True:
        try:
            frame = next(frames)
        except StopIteration as stop:
            damaged = stop.value
            break
        if size is None:
            size, turned = (frame.width, frame.height), _display_matrix(frame)
        # Older PyAV takes BT.601 whatever the file says, unless the two sides differ; RGB has no matrix.
        matrix = {"src_colorspace": "itu709", "dst_colorspace": "itu601"} if frame.colorspace == BT709 else {}
        array = frame.to_ndarray(format="rgb24", width=size[0], height=size[1], **matrix)
        if frame.pts is not None:
            shown = (frame.duration or 0) * stream.time_base
            end = frame.pts * stream.time_base + (shown or step)
        yield _upright(array, turned)
        kept += 1
    promised = _promised_end(container, stream)
    if end is not None and promised is not None and promised - end > 2 * step:
        damaged = True  # a file cut between two frames just ends
    if damaged:
        warnings.append(f"{name}: damaged after frame {kept}; the frames before it were kept")


def _sound_frames(container, stream):
    """Yield decoded frames in display order up to the first damage. Returns whether there was any."""
    last, damaged = None, False
    try:
        for packet in container.demux(stream):
            if packet.is_corrupt:  # cut short: the decoder would invent the rest
                damaged = True
                break
            decoded = packet.decode()
            sound = list(itertools.takewhile(lambda frame: not frame.is_corrupt, decoded))
            for frame in sound:
                last = frame
                yield frame
            if len(sound) < len(decoded):
                damaged = True
                break
    except (OSError, av.error.FFmpegError):
        damaged = True
    if damaged and last is not None:
        # The decoder still holds sound frames. A P-frame is decoded before the B-frames shown ahead of it, so
        # the last of them may come after a hole in time: stop there.
        try:
            held = stream.codec_context.decode(None)
        except av.error.FFmpegError:
            held = []
        step = 1 / ((stream.average_rate or 25) * stream.time_base)
        for frame in held:
            if frame.is_corrupt or frame.pts is None or frame.pts - last.pts > 1.5 * step:
                break
            last = frame
            yield frame
    return damaged


def _promised_end(container, stream):
    """Where the header says the video track ends, in seconds; None if it does not say."""
    start = (stream.start_time or 0) * stream.time_base
    if stream.duration:
        return start + stream.duration * stream.time_base
    tag = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", ""))  # Matroska
    if tag:
        return int(tag[1]) * 3600 + int(tag[2]) * 60 + Fraction(tag[3])
    if container.duration and len(container.streams) == 1:  # else it may be the sound that is longer
        return start + Fraction(container.duration, 1_000_000)
    return None


def _tidy_rate(rate: Fraction) -> Fraction:
    """Matroska stores 1/fps in nanoseconds; give 60000/1001 back its name. Exact rates pass unchanged."""
    for candidate in (Fraction(round(rate)), Fraction(round(rate * 1001 / 1000) * 1000, 1001)):
        if abs(candidate - rate) < rate / 1_000_000:
            return candidate
    return rate


def _display_matrix(frame):
    """[[a, b, ·], [c, d, ·], ·] as whole numbers, or None: x' = a·x + c·y, y' = b·x + d·y.

    Asked of a clip's first frame only: PyAV keeps every frame whose side data was looked at until Python next
    collects cycles, and a clip then takes ten times the memory.
    """
    data = frame.side_data.get("DISPLAYMATRIX")
    return None if data is None else np.frombuffer(bytes(data), "=i4").reshape(3, 3).tolist()


def _upright(array, matrix):
    """Turn and mirror by the display matrix."""
    if matrix is None:
        return array
    (a, b, _), (c, d, _), _ = matrix
    if abs(b) > abs(a):  # a quarter turn: rows become columns
        array, a, d = array.transpose(1, 0, 2), c, b
    array = array[:, ::-1] if a < 0 else array
    array = array[::-1] if d < 0 else array
    return np.ascontiguousarray(array)


def _open_webcam(name):
    number = name.removeprefix("webcam:")
    if not number.isdecimal():
        raise UserError(f"{name}: a camera is named by its number; write webcam:0")
    systems = {"linux": (f"/dev/video{number}", "v4l2"), "darwin": (number, "avfoundation")}
    if sys.platform not in systems:
        raise UserError(f"{name}: cameras are read on Linux and macOS only; pass a video file")
    device, driver = systems[sys.platform]
    try:
        container = av.open(device, format=driver)
    except (OSError, ValueError, av.error.FFmpegError) as error:  # ValueError: FFmpeg without this driver
        raise UserError(f"{name}: no camera at {device}; plug one in, or pass a video file") from error
    notes: list[str] = []
    frames = _rgb_frames(container, name, notes)
    first = next(frames, None)
    if first is None:
        raise UserError(f"{name}: the camera at {device} sends no picture; close other programs that use it")

    def start(warnings):
        yield from itertools.chain([first], frames)
        warnings.extend(notes)

    rate = container.streams.video[0].average_rate or Fraction(30)
    return FrameReader("video", rate, (first.shape[1], first.shape[0]), None, start, live=True)


# ── folders of images ────────────────────────────────────────────────────────────────────────

def _open_folder(folder):
    paths = image_paths(folder)
    if not paths:
        raise UserError(f"{folder}: no image in this folder; put {' '.join(IMAGE_SUFFIXES)} files into it")
    size = image_size(paths[0])
    for path in paths[1:]:  # headers only: better now than after an hour
        _same_size(path, image_size(path), paths[0], size)

    def start(warnings):
        for path in paths:
            image = read_image(path)
            _same_size(path, (image.shape[1], image.shape[0]), paths[0], size)
            yield image

    return FrameReader("folder", None, size, len(paths), start)


def _same_size(path, size, first, expected):
    if size != expected:
        raise UserError(f"{path}: is {size[0]}x{size[1]} but {first.name} is {expected[0]}x{expected[1]}; "
                        "give all images of a folder one size")
