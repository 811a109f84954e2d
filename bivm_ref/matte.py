"""The matting job: frames in, engine, then alpha, foreground and composite out, one frame at a time.

    report = matte("clip.mp4", "out", load_engine())

The command line, the demo and the notebook all call `matte`. An engine is anything with `step(frame)` and
`reset()`: `PackedBiVM`, or torch's network behind the same two methods (`learn.engine`).
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image, ImageColor, ImageOps
from tqdm import tqdm

from .clips import composite
from .errors import UserError
from .files import hidden
from .images import read_image
from .newest import newest
from .settled import IMAGE_SHOWN, Settled
from .video import (
    IMAGE_SUFFIXES,
    VIDEO_SUFFIXES,
    FrameReader,
    ImageFolderWriter,
    ImageWriter,
    VideoWriter,
    check_output,
    open_frames,
)

PRODUCTS = ("alpha", "foreground", "composite")
GREEN = "#00b140"  # the green of green screens: the composite's background when none is named
FOLDER_RATE = Fraction(25)  # frames per second of a video made from a folder of images, which names no rate
WITH_ALPHA = (".png", ".webp", ".tif", ".tiff")  # image formats in which the foreground is a cut-out (RGBA)

OTHER_VIDEO = (".avi", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv", ".ts")  # no one wants a folder of that name


@dataclass
class Report:
    """What a job did. `interrupted`: Ctrl-C ended it early; the files in `outputs` are whole all the same."""

    frames: int = 0
    seconds: float = 0.0  # wall time, reading and writing included
    outputs: list[Path] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    interrupted: bool = False


def load_engine(kind: str = "packed", weights: str | Path | None = None, size: int | str = "trained",
                threads: int = 1, kernel: str = "auto", table_budget_mb: float | None = None):
    """An engine by name: "packed" (NumPy, no torch) or "torch". weights None: the shipped network. size: pixels on
    the longer side at which the network works; "trained": those its weights were trained at. kernel and
    table_budget_mb are the packed engine's (see `PackedBiVM.load`).

    Raises UserError for a file that is no network, for torch where it is not installed, for a kernel that was asked
    for and does not fit the budget.
    """
    if kind == "packed":
        from .packed import PackedBiVM

        return PackedBiVM.load(weights, threads=threads, size=size, kernel=kernel, table_budget_mb=table_budget_mb)
    if kind != "torch":
        raise ValueError(f"engine is packed or torch, not {kind!r}")
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise UserError("--engine torch: torch is not installed; pip install 'bivm_ref[train]', "
                        "or use --engine packed") from error
    from .learn.engine import TorchEngine

    return TorchEngine.load(weights, threads=threads, size=size)


def matte(source, out, engine, background: str | None = None, only: str | None = None,
          png: bool | None = None, overwrite: bool = False, progress: bool = False, settle: int | None = None,
          on_frame: Callable | None = None, clock: Callable[[], float] = time.perf_counter) -> Report:
    """Matte a video, a folder of images, one image or a webcam into `out`.

    out         a folder: alpha, foreground and composite in it, as .mp4, or as folders of PNGs (`png`; None:
                PNGs when the source is images). A video file: one product, the composite if a background is
                given, else alpha. An image file, for one image: likewise
    background  a colour ("white", "#00b140") or an image file, scaled to cover the frame and cropped;
                None: green
    only        one product's name: write just that one
    settle      how often the first frame is shown to the engine before it counts (`settled.py`); None: a single
                image twice, a clip's never
    on_frame    called as on_frame(index, frame, alpha, products); alpha is (H, W) float32, products are
                {name: uint8}

    Frame rate and size are the source's. Of a camera's frames the newest is taken each time, and a video shows it when
    it came by `clock`, in seconds, so that people move as fast as they did. The foreground is straight (not multiplied
    by alpha) where alpha > 0 and black elsewhere; as PNG it is a cut-out, RGBA. The first Ctrl-C stops after the frame
    in work and keeps what is done; a second one drops it. Raises UserError as `open_frames` and the writers do; then
    nothing is left behind.
    """
    reader = open_frames(source)
    paths = plan(reader, out, background, only, png, overwrite)
    _refuse_own_input(source, paths)
    backdrop = read_background(background or GREEN, reader.size) if "composite" in paths else None
    report, start = Report(), clock()
    engine = Settled(engine, settle if settle is not None else IMAGE_SHOWN if reader.kind == "image" else 0)
    engine.reset()
    begun = at = None  # a clip's frames need no times
    bar = tqdm(total=reader.count, unit="frame", desc="matte", disable=None if progress else True)
    with bar, _ctrl_c() as pressed, _cleared_on_failure(paths), contextlib.ExitStack() as stack:
        writers = {name: stack.enter_context(_writer(path, reader)) for name, path in paths.items()}
        for frame in newest(reader) if reader.live else reader:
            if reader.live:
                now = clock()
                begun = now if begun is None else begun
                at = now - begun
            alpha, foreground = engine.step(frame)
            products = finish(alpha, foreground, backdrop, paths)
            for name, writer in writers.items():
                writer.write(_for_file(name, products, paths[name]), at)
            if on_frame is not None:
                on_frame(report.frames, frame, alpha, products)
            report.frames += 1
            bar.update()
            if pressed():
                report.interrupted = True
                break
    report.seconds = clock() - start
    report.warnings = list(reader.warnings)
    report.outputs = list(paths.values()) if report.frames else []
    return report


# -- what is written ----------------------------------------------------------------------------------------

def plan(reader: FrameReader, out, background: str | None = None, only: str | None = None,
         png: bool | None = None, overwrite: bool = False) -> dict[str, Path]:
    """{product: path} for this source and output; a path without suffix is a folder of PNGs."""
    if only is not None and only not in PRODUCTS:
        raise ValueError(f"only is one of {', '.join(PRODUCTS)}, not {only!r}")
    out = check_output(out, overwrite)
    suffix = out.suffix.lower()
    if suffix in VIDEO_SUFFIXES + IMAGE_SUFFIXES:
        if suffix in IMAGE_SUFFIXES and reader.kind != "image":
            raise UserError(f"{out}: an image holds one frame; name a folder or a video file for a clip")
        return {only or ("composite" if background else "alpha"): out}
    if suffix in OTHER_VIDEO:
        raise UserError(f"{out}: {suffix} is not written; end it in one of {' '.join(VIDEO_SUFFIXES)}")
    as_png = reader.kind in ("folder", "image") if png is None else png
    ending = ".mp4" if not as_png else ".png" if reader.kind == "image" else ""
    paths = {name: out / f"{name}{ending}" for name in PRODUCTS if only in (None, name)}
    for path in paths.values():
        if path.exists() and path.is_dir() != (ending == ""):
            raise UserError(f"{path}: stands in the way of the output of that name; remove it, or choose another OUT")
    return paths


def finish(alpha: np.ndarray, foreground: np.ndarray, backdrop: np.ndarray | None,
           wanted) -> dict[str, np.ndarray]:
    """The engine's floats as 8-bit products: alpha (H, W), and of foreground and composite (H, W, 3) those
    in `wanted`."""
    products = {"alpha": np.rint(alpha * 255).astype(np.uint8)}
    if "foreground" in wanted:
        colours = np.rint(foreground * 255).astype(np.uint8)
        products["foreground"] = colours * (products["alpha"] > 0)[..., None]
    if "composite" in wanted:
        products["composite"] = composite(foreground * 255, alpha, backdrop)
    return products


def _for_file(name: str, products: dict[str, np.ndarray], path: Path) -> np.ndarray:
    if name == "foreground" and (path.suffix.lower() in WITH_ALPHA or not path.suffix):
        return np.dstack((products["foreground"], products["alpha"]))
    return products[name]


def read_background(background: str, size: tuple[int, int]) -> np.ndarray:
    """A colour's name, "#rrggbb" or an image file -> (H, W, 3) uint8 for frames of size (width, height)."""
    path = Path(background)
    if path.is_file():
        return np.asarray(ImageOps.fit(Image.fromarray(read_image(path)), size))
    if path.suffix.lower() in IMAGE_SUFFIXES:
        raise UserError(f"{path}: no such background image; check the spelling")
    try:
        colour = np.array(ImageColor.getrgb(background)[:3])
        if colour.max() > 255:
            raise ValueError("over 255")
    except ValueError as error:
        raise UserError(f"{background}: neither a colour nor an image file; "
                        "write a colour as white or '#00b140'") from error
    return np.broadcast_to(colour.astype(np.uint8), (size[1], size[0], 3))


def _refuse_own_input(source, paths: dict[str, Path]) -> None:
    source = Path(source)
    if not source.exists():
        return  # a webcam
    for path in paths.values():
        if os.path.realpath(path) == os.path.realpath(source):  # Path.resolve raises on a link to itself
            raise UserError(f"{path}: is the input itself; choose another name for the output")


# -- how it is written --------------------------------------------------------------------------------------

def _writer(path: Path, reader: FrameReader):
    suffix = path.suffix.lower()
    if suffix in VIDEO_SUFFIXES:
        return VideoWriter(path, reader.fps or FOLDER_RATE, reader.size)
    return ImageWriter(path) if suffix in IMAGE_SUFFIXES else Sequence(path)


def remove_frames(folder: Path) -> None:
    """Remove 0000.png and so on; other files stay."""
    for old in folder.iterdir():
        if re.fullmatch(r"\d{4,}\.png", old.name):
            old.unlink()


class Sequence(ImageFolderWriter):
    """A folder of PNGs that gets its name when it is complete, like a video file. Frames of a longer clip
    that was there before are removed; other files stay."""

    def __init__(self, folder: Path):
        self.final = folder
        super().__init__(hidden(folder))

    def close(self) -> None:
        try:
            if self.count and not self.final.exists():
                os.replace(self.folder, self.final)
                return
            if self.count:
                remove_frames(self.final)
                for new in self.folder.iterdir():
                    os.replace(new, self.final / new.name)
        except OSError as error:
            self.abort()
            raise UserError(f"{self.final}: cannot be written ({error.strerror}); "
                            "choose another folder") from error
        self.abort()

    def abort(self) -> None:
        with contextlib.suppress(OSError):
            for file in self.folder.iterdir():
                file.unlink()
            self.folder.rmdir()


@contextlib.contextmanager
def _cleared_on_failure(paths: dict[str, Path]):
    """After an error, remove the files that this job made, and its folders, if they are empty: of three products that
    go together, one alone would be taken for the whole."""
    folder = next(iter(paths.values())).parent
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    new = [path for path in paths.values() if not path.exists()]
    try:
        yield
    except BaseException:
        for path in new:
            with contextlib.suppress(OSError):  # never written, or a folder of frames
                path.unlink()
        for path in made:
            with contextlib.suppress(OSError):
                path.rmdir()
        raise


@contextlib.contextmanager
def _ctrl_c():
    """Yields a function that says whether Ctrl-C was pressed: an exception in the middle of a frame would
    leave the three outputs with unequal lengths. A second Ctrl-C raises KeyboardInterrupt at once."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or before in (signal.SIG_IGN, None):
        yield lambda: False
        return
    pressed = []

    def note(number, frame):
        if pressed:
            raise KeyboardInterrupt
        pressed.append(number)

    signal.signal(signal.SIGINT, note)
    try:
        yield lambda: bool(pressed)
    finally:
        signal.signal(signal.SIGINT, before)
