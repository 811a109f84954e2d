"""tools/stage_figures.py: its rows against mattes of nobody, and against the figures in a shipped file."""

import sys

import numpy as np
import pytest
from cli_tools import ROOT
from PIL import Image

from bivm_ref.evaluate import evaluate_people
from bivm_ref.packed import PackedBiVM, weights
from tools import stage_figures as tool

KEPT = ROOT / "bivm_ref" / "weights" / "training"


@pytest.fixture
def photographs(tmp_path):
    """A folder with one whole photograph of somebody, RGBA."""
    image = np.random.default_rng(0).integers(0, 256, (160, 240, 4), np.uint8)
    image[..., 3] = 0
    image[40:, 80:160, 3] = 255
    (tmp_path / "photographs").mkdir()
    Image.fromarray(image, "RGBA").save(tmp_path / "photographs" / "a.png")
    return tmp_path / "photographs"


@pytest.fixture
def held_out(tmp_path):
    """A folder with one held-out still of somebody and one room."""
    for folder, name, mode in (("stills", "h000003.png", "RGBA"), ("scenes", "b000003.png", "RGB")):
        (tmp_path / folder).mkdir()
        Image.new(mode, (48, 64), (200, 120, 90, 255)[:len(mode)]).save(tmp_path / folder / name)
    return tmp_path


def test_quick_of_nobody(held_out, photographs, monkeypatch):
    """A network that answers 0 has as its MAD the mean alpha, and overlaps with nobody."""
    monkeypatch.setattr(tool, "SHOTS", 6)
    sets = tool.quick_clips(held_out, photographs)
    assert tuple(sets) == tool.QUICK
    assert [len(sets[name]) for name in ("people", "procedural", "empty", "portrait")] == [1, 12, 1, 1]
    assert 1 <= len(sets["38 photographs"]) <= 6 and all(clip.alpha.shape == (2, 144, 256)
                                                         for clip in sets["38 photographs"])
    wider = tool.quick_clips(held_out, photographs, 320)
    assert {clip.alpha.shape[1:] for clips in wider.values() for clip in clips} == {(180, 320)}
    monkeypatch.setattr(tool, "predict", lambda model, clip: np.zeros_like(clip.alpha))
    cells = dict(zip(tool.QUICK, tool.quick(KEPT / "small.pt", sets), strict=True))
    for name, clips in sets.items():
        alphas = [clip.alpha.mean(dtype=float) for clip in clips]
        assert cells[name][0] == pytest.approx(1e3 * np.mean(alphas), rel=1e-5)
    assert cells["empty"][0] == 0 and np.isnan(cells["empty"][1])
    assert all(iou == 0 for name, (_, iou) in cells.items() if name != "empty")


def test_engine_measures_what_would_be_shipped(held_out, photographs, monkeypatch):
    """With the shipped `small` in place of the packed candidate, its figures are those in its file, and of one still
    and one room those that `evaluate_people` has."""
    shipped = ROOT / "bivm_ref" / "weights" / "small.safetensors"
    arch, _, said = weights.load(shipped)
    shipped_engine, packed = PackedBiVM.load(shipped), []

    def load(path):
        packed.append(weights.load(path))
        return shipped_engine

    monkeypatch.setattr(tool, "PROCEDURAL", 1)
    monkeypatch.setattr(tool.PackedBiVM, "load", load)
    cells = dict(zip(tool.ENGINE, tool.engine(KEPT / "small.pt", held_out, photographs), strict=True))
    (candidate, _, told), = packed
    assert candidate == arch and told["provenance"]["size"] == said["provenance"]["size"] == 256
    figures = said["figures"]
    for name in ("portrait", "astronaut", "procedural", "rendered"):
        assert cells[name][0] == pytest.approx(figures[name]["MAD"], abs=0.006)
    means = sum(figures[name]["MAD"] for name in ("portrait", "procedural", "rendered")) / 3
    assert cells["mean of three"][0] == pytest.approx(means, abs=0.006)
    person, room = evaluate_people(held_out / "stills", held_out / "scenes", shipped_engine, fast=True, overlap=True)
    assert (person["clip"].split("/")[0], room["clip"].split("/")[0]) == ("people", "empty")
    assert cells["60 people"] == (person["MAD"], person["IoU"]) and cells["their dtSSD"][0] == person["dtSSD"]
    assert cells["empty"][0] == room["MAD"] and np.isnan(cells["empty"][1])


def test_a_stretched_matte(monkeypatch):
    """By hand: 1/4 goes to 1/5 and to 0; where the truth is 0 and 1 the error falls by what was added."""
    soft, true = np.zeros((2, 16, 16), np.float32), np.zeros((2, 16, 16), np.float32)
    true[:, :, 8:], soft[:, :, :8], soft[:, :, 8:] = 1, 0.25, 0.75
    assert tool.stretch(soft, 1.2)[0, 0, [0, 8]] == pytest.approx([0.2, 0.8])
    assert tool.stretch(np.array([0.1, 0.9, 0.5]), 2.0) == pytest.approx([0, 1, 0.5])
    monkeypatch.setattr(tool, "predict", lambda model, clip: soft)
    clip = tool.Clip("half", np.zeros((2, 16, 16, 3), np.uint8), true, np.zeros((2, 16, 16, 3), np.uint8))
    rows = tool.stretched(KEPT / "small.pt", dict.fromkeys(tool.STRETCHED, [clip]))
    assert list(rows) == [1.0, 1.3, 2.0]
    for k, mad, mse in ((1.0, 250.0, 62.5), (1.3, 175.0, 30.6), (2.0, 0.0, 0.0)):
        for cell in rows[k]:
            figures = [float(figure) for figure in cell.split(", ")]
            assert figures[:2] == pytest.approx([mad, mse], abs=0.06) and figures[3] == 0


def test_a_settled_first_frame(monkeypatch):
    """By a network whose error is 0.4 at first and half of that in each frame after: what is shown before is not
    measured, and the truth stays with its frames."""
    seen = []

    def halving(model, clip):
        seen.append(clip.frames[:, 0, 0, 0].tolist())
        return np.stack([np.full((4, 4), 0.4 / 2**t, np.float32) for t in range(len(clip.frames))])

    monkeypatch.setattr(tool, "predict", halving)
    frames = np.arange(3, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 3), np.uint8)
    clip = tool.Clip("x", frames, np.zeros((3, 4, 4), np.float32), frames)
    rows = tool.settled(KEPT / "small.pt", dict.fromkeys(tool.QUICK, [clip]))
    assert list(rows) == [0, 1, 2, 3, 5]
    for times, first, all_frames in ((0, 400, 233.3), (1, 200, 116.7), (2, 100, 58.3)):
        for cell in rows[times]:
            assert [float(figure) for figure in cell.split(", ")] == pytest.approx([first, all_frames], abs=0.06)
    assert seen[len(tool.QUICK)] == [0, 0, 1, 2] and seen[-1] == [0] * 6 + [1, 2]


def test_a_row_by_hand():
    assert tool.row("x", [(64.25, 0.8149), (12.0, float("nan"))]) == "| x | 64.2 (0.81) | 12.0 |"


def test_what_cannot_be_measured_is_said(monkeypatch, capfd, held_out, photographs):
    asked = ["--held-out", str(held_out), "--photographs", str(photographs)]
    for words, said in ((["quick", str(KEPT / "small.pt"), "--width", "300"], "--width 300: frames are 16:9"),
                        (["engine", str(KEPT / "small.pt"), "--width", "320"], "--width: the engine works at the size"),
                        (["engine", str(KEPT / "default-float.pt")], "default-float.pt: a float twin")):
        monkeypatch.setattr(sys, "argv", ["stage_figures", *words, *asked])
        with pytest.raises(SystemExit) as stopped:
            sys.exit(tool.run_and_report(tool.main, "stage_figures"))
        assert stopped.value.code == 2 and said in capfd.readouterr().err
