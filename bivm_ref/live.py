"""A matte to look at while it is made: a camera or a clip in a window.

`Window` shows one picture after another, with what Python brings along (tkinter); `live` fills it, from a camera with
the `newest` frame there is. Nothing is written.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable

import numpy as np
from PIL import Image

from .clips import composite
from .errors import UserError
from .matte import GREEN, Report, read_background
from .newest import newest
from .video import open_frames

VIEWS = ("composite", "alpha", "frame")  # in the order in which the space bar shows them
RATE_FRAMES = 20  # over which the frame rate in the title is taken
HELP = "space: composite, alpha or frame; q: end"


class Window:
    """One picture at a time. Raises UserError where no window can be opened: no tkinter, no display."""

    def __init__(self, title: str) -> None:
        try:
            import tkinter
        except ImportError as error:
            raise UserError("no window: this Python has no tkinter (on Debian: apt install python3-tk)") from error
        self._tk = tkinter
        try:
            self.root = tkinter.Tk()
        except tkinter.TclError as error:
            raise UserError(f"no window: {error}") from error
        self.root.title(title)
        self.label = tkinter.Label(self.root, borderwidth=0)
        self.label.pack()
        self.open, self.pressed = True, []
        self.root.protocol("WM_DELETE_WINDOW", self.close)
        self.root.bind("<Key>", lambda event: self.pressed.append(event.keysym))

    def show(self, picture: np.ndarray, title: str) -> bool:
        """picture (H, W, 3) uint8, scaled down where the screen is smaller. False when the window has been closed, or
        its display is gone."""
        if self.open:
            try:
                self._draw(picture, title)
            except self._tk.TclError:
                self.open = False
        return self.open

    def _draw(self, picture: np.ndarray, title: str) -> None:
        height, width = picture.shape[:2]
        room = min(1.0, 0.9 * self.root.winfo_screenwidth() / width, 0.85 * self.root.winfo_screenheight() / height)
        if room < 1.0:
            size = max(1, int(width * room)), max(1, int(height * room))
            picture = np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR))
            height, width = picture.shape[:2]
        data = b"P6 %d %d 255\n" % (width, height) + picture.tobytes()
        # kept as an attribute: Tk shows nothing of a picture that Python has forgotten
        self.image = self._tk.PhotoImage(master=self.root, data=data, format="PPM")
        self.label.configure(image=self.image)
        self.root.title(title)
        self.root.update()  # draws, and calls close() if the user did

    def keys(self) -> list[str]:
        """Names of the keys that were pressed since the last call."""
        pressed, self.pressed = self.pressed, []
        return pressed

    def close(self) -> None:
        if self.open:
            self.open = False
            with contextlib.suppress(self._tk.TclError):  # the display may be gone
                self.root.destroy()


def live(source, engine, background: str | None = None, window: Window | None = None,
         clock: Callable[[], float] = time.perf_counter) -> Report:
    """Show the matte of a camera or a clip until it ends, the window is closed, q or Escape is pressed, or Ctrl-C.

    background: as in `matte.matte`. window: one that is open already; it is closed at the end. Raises UserError as
    `open_frames` and `Window` do, before the first frame.
    """
    reader = open_frames(source)
    backdrop = read_background(background or GREEN, reader.size)
    window = Window(f"bivm-ref {source}") if window is None else window
    report, start = Report(), clock()
    times: deque[float] = deque(maxlen=RATE_FRAMES)
    view = 0
    engine.reset()
    try:
        for frame in newest(reader) if reader.live else reader:
            alpha, foreground = engine.step(frame)
            report.frames += 1
            times.append(clock())
            keys = window.keys()
            view = (view + keys.count("space")) % len(VIEWS)
            picture = _picture(VIEWS[view], frame, alpha, foreground, backdrop)
            if not window.show(picture, _title(source, VIEWS[view], times)) or {"q", "Escape"} & set(keys):
                break
    except KeyboardInterrupt:
        report.interrupted = True
    finally:
        window.close()
    report.seconds, report.warnings = clock() - start, list(reader.warnings)
    return report


def _picture(view: str, frame: np.ndarray, alpha: np.ndarray, foreground: np.ndarray,
             backdrop: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 of that view; alpha (H, W) and foreground (H, W, 3) are floats in [0, 1]."""
    if view == "alpha":
        return np.rint(alpha * 255).astype(np.uint8)[..., None].repeat(3, axis=2)
    return frame if view == "frame" else composite(foreground * 255, alpha, backdrop)


def _title(source, view: str, times: deque) -> str:
    span = times[-1] - times[0]
    rate = f", {(len(times) - 1) / span:.1f} frames/s" if span > 0 else ""
    return f"bivm-ref {source}: {view}{rate} ({HELP})"
