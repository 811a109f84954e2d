"""The live window: what it shows, how it ends, and what happens where there is none."""

import sys
import threading
import time
import types
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from bivm_ref.cli import main
from bivm_ref.errors import UserError
from bivm_ref.live import Window, live
from bivm_ref.matte import matte
from bivm_ref.newest import newest
from bivm_ref.video import FrameReader, open_frames


class Half:
    """An engine whose alpha is 1 on the left half of the frame, whose foreground is blue."""

    def __init__(self) -> None:
        self.resets = 0

    def reset(self) -> None:
        self.resets += 1

    def step(self, frame):
        alpha = np.zeros(frame.shape[:2], np.float32)
        alpha[:, :frame.shape[1] // 2] = 1.0
        return alpha, np.broadcast_to(np.float32([0.0, 0.0, 1.0]), frame.shape)


class Screen:
    """A window that remembers; `script` names the keys pressed before each frame, "x" closes the window."""

    def __init__(self, script=()) -> None:
        self.script, self.shown, self.titles, self.closed = list(script), [], [], 0

    def keys(self):
        self.now = self.script.pop(0) if self.script else []
        return [key for key in self.now if key != "x"]

    def show(self, picture, title):
        self.shown.append(picture.copy())
        self.titles.append(title)
        return "x" not in self.now

    def close(self):
        self.closed += 1


@pytest.fixture
def folder(tmp_path):
    """Five grey frames of 12 x 8, levels 10, 20, ... 50."""
    for i in range(5):
        Image.new("RGB", (12, 8), (10 * (i + 1),) * 3).save(tmp_path / f"{i}.png")
    return tmp_path


def test_the_composite_is_shown_frame_after_frame(folder):
    screen, engine = Screen(), Half()
    report = live(folder, engine, "#ff0000", screen)
    assert (report.frames, report.interrupted, engine.resets, screen.closed) == (5, False, 1, 1)
    for picture in screen.shown:  # blue where alpha is 1, the red background elsewhere
        assert (picture[:, :6] == (0, 0, 255)).all() and (picture[:, 6:] == (255, 0, 0)).all()


def test_the_space_bar_goes_round_the_views(folder):
    screen = Screen([[], ["space"], ["space"], ["space"], ["space", "space"]])
    live(folder, Half(), "#ff0000", screen)
    composite, alpha, frame, again, two = screen.shown
    assert (alpha[:, :6] == 255).all() and (alpha[:, 6:] == 0).all()
    assert (frame == 30).all()  # the third frame as it came
    assert (again == composite).all() and (two == 50).all()
    assert "composite" in screen.titles[0] and "alpha" in screen.titles[1] and "frame" in screen.titles[2]


@pytest.mark.parametrize("script, seen", [([[], ["q"]], 2), ([[], [], ["Escape"]], 3), ([["x"]], 1)])
def test_q_escape_or_closing_the_window_end_it(folder, script, seen):
    screen = Screen(script)
    assert live(folder, Half(), None, screen).frames == seen and screen.closed == 1


def test_ctrl_c_ends_it_and_closes_the_window(folder):
    class Pressed(Half):
        def step(self, frame):
            if frame[0, 0, 0] == 30:
                raise KeyboardInterrupt
            return super().step(frame)

    screen = Screen()
    report = live(folder, Pressed(), None, screen)
    assert (report.frames, report.interrupted, screen.closed) == (2, True, 1)


def test_the_title_tells_the_frame_rate(folder):
    """A clock that goes on by 0.25 s at every look: four frames a second."""
    ticks = iter(np.arange(0, 100, 0.25))
    screen = Screen()
    live(folder, Half(), None, screen, clock=lambda: float(next(ticks)))
    assert "frames/s" not in screen.titles[0] and "4.0 frames/s" in screen.titles[-1]


class Camera:
    """Frames that come when the test says so; counts how many were read."""

    def __init__(self, count=1000) -> None:
        self.count, self.read, self.ready = count, 0, threading.Semaphore(0)
        self.error: Exception | None = None

    def __iter__(self):
        while self.read < self.count:
            assert self.ready.acquire(timeout=20)
            if self.error:
                raise self.error
            self.read += 1
            yield self.read

    def send(self, frames: int) -> None:
        """Let frames come, and wait until they were read."""
        upto = self.read + frames
        self.ready.release(frames)
        limit = time.monotonic() + 20
        while self.read < upto and time.monotonic() < limit:
            time.sleep(0.001)
        time.sleep(0.02)  # the last one is put down after it was counted


def test_a_slow_engine_is_given_the_newest_frame():
    camera = Camera()
    frames = newest(camera)
    camera.ready.release(1)
    assert next(frames) == 1
    camera.ready.release(1)
    assert next(frames) == 2  # the thread has begun
    camera.send(7)  # while the engine works
    assert next(frames) == 9
    camera.send(1)
    assert next(frames) == 10
    frames.close()
    camera.send(1)  # and then it stops reading
    camera.ready.release(5)
    time.sleep(0.1)
    assert camera.read == 11


def test_a_camera_that_ends_or_fails_says_so_after_its_last_frame():
    assert list(newest([])) == [] and list(newest([5])) == [5]
    taken = list(newest(range(100)))
    assert taken[0] == 0 and taken[-1] == 99 and taken == sorted(set(taken))
    camera = Camera()
    camera.error = UserError("webcam:0: unplugged")
    camera.ready.release(1)
    with pytest.raises(UserError, match="unplugged"):
        next(newest(camera))
    camera = Camera()
    frames = newest(camera)
    camera.ready.release(1)
    next(frames)
    camera.error = UserError("webcam:0: unplugged")
    camera.ready.release(1)
    with pytest.raises(UserError, match="unplugged"):
        next(frames)


def test_frames_of_a_camera_are_skipped_and_those_of_a_clip_are_not(folder, monkeypatch):
    asked = []
    monkeypatch.setattr("bivm_ref.live.newest", lambda frames: asked.append(1) or iter(frames))
    live(folder, Half(), None, Screen())
    assert not asked
    monkeypatch.setattr("bivm_ref.live.open_frames", lambda source: camera_of([np.zeros((8, 12, 3), np.uint8)] * 5))
    assert live("webcam:0", Half(), None, Screen()).frames == 5 and asked


def camera_of(frames) -> FrameReader:
    """A camera of 12 x 8 pixels and 30 frames a second, as `open_frames` would give it."""
    return FrameReader("video", Fraction(30), (12, 8), None, lambda warnings: iter(frames), live=True)


def ticks_of(path: Path) -> list[int]:
    """When the frames of a video are shown, in thirtieths of a second."""
    with av.open(str(path)) as container:
        return [round(frame.pts * frame.time_base * 30) for frame in container.decode(video=0)]


def test_a_camera_s_file_moves_as_fast_as_people_did(tmp_path, monkeypatch):
    """Frames at 0, 0.1, 0.5 and 0.51 s: in thirtieths 0, 3, 15, and 16, as two cannot be shown at once."""
    grey = [np.full((8, 12, 3), level, np.uint8) for level in (10, 60, 110, 160)]
    monkeypatch.setattr("bivm_ref.matte.open_frames", lambda source: camera_of(grey))
    monkeypatch.setattr("bivm_ref.matte.newest", iter)  # none is dropped: the test is about times
    clock = iter([7.0, 7.5, 7.6, 8.0, 8.01, 9.0])  # the job begins, four frames come, the job ends
    report = matte("webcam:0", tmp_path / "out", Half(), clock=lambda: next(clock))
    assert report.frames == 4 and report.seconds == 2.0
    for product in ("alpha", "foreground", "composite"):
        assert ticks_of(tmp_path / "out" / f"{product}.mp4") == [0, 3, 15, 16]
    reader = open_frames(tmp_path / "out" / "alpha.mp4")
    assert sum(1 for _ in reader) == 4 and not reader.warnings


def test_a_job_takes_a_camera_s_newest_frame_and_all_of_a_clip(folder, tmp_path, monkeypatch):
    """Twenty frames in 0.2 s, an engine that needs 0.1 s for each: most are dropped, in a file as in a window."""
    def frames():
        for level in range(20):
            time.sleep(0.01)
            yield np.full((8, 12, 3), level, np.uint8)

    class Slow(Half):
        def step(self, frame):
            seen.append(int(frame[0, 0, 0]))
            time.sleep(0.1)
            return super().step(frame)

    seen: list[int] = []
    monkeypatch.setattr("bivm_ref.matte.open_frames", lambda source: camera_of(frames()))
    assert matte("webcam:0", tmp_path / "a", Slow()).frames < 20
    assert seen[0] == 0 and seen[-1] == 19 and seen == sorted(set(seen))
    monkeypatch.undo()
    seen.clear()
    assert matte(folder, tmp_path / "b", Slow()).frames == 5 and seen == [10, 20, 30, 40, 50]


def test_a_missing_clip_is_refused_before_the_window_shows_anything(tmp_path):
    screen = Screen()
    with pytest.raises(UserError, match="no_such.mp4"):
        live(tmp_path / "no_such.mp4", Half(), None, screen)
    assert not screen.shown


# -- the window itself, on a tkinter that only remembers ---------------------------------------------------------

class TclError(Exception):
    pass


class Anything:
    """Takes every call and keeps what it was given."""

    def __init__(self, *_given, **options) -> None:
        self.options, self.bound, self.protocols = options, {}, {}

    def title(self, text):
        self.name = text

    def bind(self, event, work):
        self.bound[event] = work

    def protocol(self, event, work):
        self.protocols[event] = work

    def configure(self, **options):
        self.options.update(options)

    def winfo_screenwidth(self):
        return 100

    def winfo_screenheight(self):
        return 100

    def pack(self):
        pass

    update = destroy = pack


@pytest.fixture
def tkinter(monkeypatch):
    fake = types.SimpleNamespace(Tk=Anything, Label=Anything, PhotoImage=Anything, TclError=TclError)
    monkeypatch.setitem(sys.modules, "tkinter", fake)
    return fake


def test_a_picture_reaches_the_screen_as_ppm_and_a_large_one_smaller(tkinter):
    window = Window("a title")
    picture = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)
    assert window.show(picture, "now")
    assert window.label.options["image"].options["data"] == b"P6 5 4 255\n" + picture.tobytes()
    assert window.root.name == "now"
    assert window.show(np.zeros((300, 200, 3), np.uint8), "large")
    header = window.label.options["image"].options["data"].split(b"\n")[0]
    assert header == b"P6 56 85 255"  # 85 % of the screen's 100 rows


def test_keys_are_told_once_and_a_closed_window_shows_nothing_more(tkinter):
    window = Window("a title")
    for key in ("space", "q"):
        window.root.bound["<Key>"](types.SimpleNamespace(keysym=key))
    assert window.keys() == ["space", "q"] and window.keys() == []
    window.root.protocols["WM_DELETE_WINDOW"]()
    assert not window.show(np.zeros((2, 2, 3), np.uint8), "gone")
    window.close()  # a second time does no harm


def test_a_display_that_is_gone_ends_it_as_a_closed_window_does(tkinter):
    def gone():
        raise TclError("can't invoke \"update\" command: application has been destroyed")

    window = Window("a title")
    window.root.update = gone
    assert not window.show(np.zeros((2, 2, 3), np.uint8), "gone") and not window.open


def no_display(*_given):
    raise TclError("couldn't connect to display")


def test_no_display_is_one_line_that_names_the_cure(tkinter, folder, capsys):
    tkinter.Tk = no_display
    assert main(["matte", str(folder)]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1 and "couldn't connect to display" in said[0] and "name OUT" in said[0]


def test_without_tkinter_too(monkeypatch, folder, capsys):
    monkeypatch.setitem(sys.modules, "tkinter", None)
    assert main(["matte", str(folder)]) == 2
    assert "python3-tk" in capsys.readouterr().err


def test_what_is_about_files_needs_one(folder, capsys):
    assert main(["matte", str(folder), "--png"]) == 2
    assert "--png" in capsys.readouterr().err


def test_a_camera_without_a_window_goes_to_a_new_folder(tkinter, folder, tmp_path_factory, monkeypatch, capsys):
    """The camera is a folder of images here; the second time another folder is taken."""
    from bivm_ref import matte as module

    tkinter.Tk = no_display
    monkeypatch.chdir(tmp_path_factory.mktemp("here"))
    monkeypatch.setattr(module, "load_engine", lambda *_given: Half())
    whole = module.open_frames
    monkeypatch.setattr(module, "open_frames", lambda source: whole(folder if source == "webcam:0" else source))
    for name in ("webcam", "webcam-2"):
        assert main(["matte", "webcam:0"]) == 0
        assert len(list(Path("outputs", name, "alpha").iterdir())) == 5
        assert f"writing to {Path('outputs', name)}" in capsys.readouterr().err
