"""A first frame that is shown before it counts: how often, to whom, and that first mattes get better by it."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bivm_ref import metrics
from bivm_ref.cli import main
from bivm_ref.evaluation_sets import read_pairs, surveyed
from bivm_ref.matte import load_engine, matte
from bivm_ref.settled import IMAGE_SHOWN, Settled

ROOT = Path(__file__).resolve().parent.parent


class Counting:
    """Its alpha is how often it was called since the reset, in hundredths."""

    def __init__(self):
        self.seen, self.calls = [], 0

    def reset(self):
        self.calls = 0

    def step(self, frame):
        self.seen.append(int(frame[0, 0, 0]))
        self.calls += 1
        return np.full(frame.shape[:2], self.calls / 100, np.float32), np.zeros(frame.shape, np.float32)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    for i in range(3):
        Image.fromarray(np.full((16, 16, 3), 10 * i, np.uint8)).save(tmp_path / f"in/{i}.png")
    return tmp_path / "in"


def alphas(source, out, **options):
    found, engine = [], Counting()
    matte(source, out, engine, on_frame=lambda i, frame, alpha, products: found.append(round(100 * alpha[0, 0])),
          **options)
    return found, engine.seen


@pytest.mark.parametrize("settle, expected, seen", [
    (None, [1, 2, 3], [0, 10, 20]), (0, [1, 2, 3], [0, 10, 20]), (2, [3, 4, 5], [0, 0, 0, 10, 20])])
def test_a_clip_is_settled_when_asked_for(folder, tmp_path, settle, expected, seen):
    assert alphas(folder, tmp_path / "out", settle=settle) == (expected, seen)
    assert len(list((tmp_path / "out/alpha").iterdir())) == 3  # what came before was thrown away


@pytest.mark.parametrize("settle, calls", [(None, 1 + IMAGE_SHOWN), (0, 1), (4, 5)])
def test_an_image_is_settled_unless_forbidden(folder, tmp_path, settle, calls):
    assert alphas(folder / "1.png", tmp_path / "out", settle=settle) == ([calls], [10] * calls)


def test_each_clip_begins_anew():
    engine = Settled(Counting(), 3)
    frame = np.zeros((2, 2, 3), np.uint8)
    for _ in range(2):
        engine.reset()
        assert [round(100 * engine.step(frame)[0][0, 0]) for _ in range(2)] == [4, 5]


def test_first_frames_of_the_samples_get_better():
    """Their mean over the four samples falls, by the shipped network; the frames after the first stay as they were
    within a few thousandths."""
    first, later = {0: [], 2: []}, {0: [], 2: []}
    for times in first:
        engine = Settled(load_engine(), times)
        for _, files in surveyed(ROOT / "data_samples", False):
            engine.reset()
            pairs = [pair for pair, _ in zip(read_pairs(files), range(3))]
            found = [metrics.mad(engine.step(frame)[0][None], alpha[None]) for frame, alpha in pairs]
            first[times].append(found[0])
            later[times].append(found[2])
    assert np.mean(first[2]) < 0.9 * np.mean(first[0]), first
    assert np.mean(later[2]) < np.mean(later[0]) + 3, later


def test_the_commands_pass_it_on(folder, tmp_path, capsys):
    """`evaluate --settle 2` has the figures of frames that were shown twice before, `matte` writes their mattes."""
    clip = tmp_path / "clip"
    (clip / "pha").mkdir(parents=True)
    folder.rename(clip / "com")
    for i in range(3):
        Image.fromarray(np.zeros((16, 16), np.uint8)).save(clip / f"pha/{i}.png")
    figures = {}
    for settle in ("0", "2"):
        assert main(["evaluate", str(clip), "--fast", "--json", "--settle", settle]) == 0
        figures[settle] = json.loads(capsys.readouterr().out)["clips"][0]["MAD"]
    assert figures["0"] != figures["2"]
    engine, found = load_engine(), []
    frames = [np.array(Image.open(clip / f"com/{i}.png")) for i in range(3)]
    for frame in [frames[0], frames[0], *frames]:
        found.append(engine.step(frame)[0])
    assert figures["2"] == pytest.approx(1e3 * np.mean(found[2:]), rel=1e-6)
    assert main(["matte", str(clip / "com"), str(tmp_path / "out"), "--only", "alpha", "--settle", "2"]) == 0
    for i, alpha in enumerate(found[2:]):
        assert np.array_equal(np.array(Image.open(tmp_path / f"out/alpha/{i:04d}.png")), np.rint(255 * alpha))


@pytest.mark.parametrize("value", ["-1", "two", "1.5"])
def test_a_count_that_is_none_is_refused(value, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["matte", "in.mp4", "out", "--settle", value])
    assert stop.value.code == 2
    assert "--settle" in capsys.readouterr().err
