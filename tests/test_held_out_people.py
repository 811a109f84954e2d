"""Evaluation on held-out rendered people and empty rooms, the overlap, and the picture of the worst frames."""

import hashlib
import json
import math
import shutil

import numpy as np
import pytest
from cli_tools import ROOT, run, write_random_weights
from PIL import Image

from bivm_ref import claims_data, evaluate, held_out_people, metrics
from bivm_ref.clips import HELD_OUT
from bivm_ref.errors import UserError
from bivm_ref.worst import Worst
from tools import refresh_people as tool


class Grey:
    """An engine that answers one alpha everywhere."""

    size = 64

    def __init__(self, alpha):
        self.alpha = alpha

    def reset(self):
        pass

    def step(self, frame):
        return np.full(frame.shape[:2], self.alpha, np.float32), np.zeros(frame.shape, np.float32)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two held-out stills and one that is trained on; their two held-out rooms and one that is trained on."""
    root = tmp_path_factory.mktemp("rendered")
    (root / "people").mkdir()
    (root / "scenes").mkdir()
    still = np.zeros((64, 48, 4), np.uint8)
    still[8:, 8:40] = (200, 120, 90, 255)
    for number in (3, 12, 60):
        Image.fromarray(still).save(root / "people" / f"h{number:06d}.png")
    for number, colour in ((2, (20, 40, 160)), (3, (20, 40, 160)), (10, (9, 9, 9))):
        Image.new("RGB", (128, 96), colour).save(root / "scenes" / f"b{number:06d}.jpg", quality=100)
    return root / "people", root / "scenes"


def test_held_out_numbers_alone_and_every_room_empty(folders):
    clips = list(held_out_people.held_out_clips(*folders, frames=2, height=36, width=64))
    assert [clip.name for clip in clips] == ["people/h000003 b000003", "people/h000012 b000002", "empty/b000002",
                                               "empty/b000003"]
    assert held_out_people.count(*folders) == 4
    for clip in clips[:2]:
        assert clip.frames.shape == (2, 36, 64, 3) and 0.02 < clip.alpha.mean() < 0.98
        outside = clip.frames[clip.alpha == 0].mean(0)
        assert outside[2] > 2 * outside[:2].max()  # the blue room is seen beside the person, in whatever light
    empty = clips[2]
    assert not empty.alpha.any() and np.abs(empty.frames.reshape(-1, 3).mean(0) - (20, 40, 160)).max() < 5
    again = next(held_out_people.held_out_clips(*folders, frames=2, height=36, width=64))
    assert np.array_equal(again.frames, clips[0].frames)


def test_its_seeds_are_held_out():
    assert held_out_people.FIRST_SEED in HELD_OUT and held_out_people.FIRST_SEED + 1_999 in HELD_OUT


def test_the_mad_of_an_empty_room_is_its_mean_alpha(folders):
    rows = evaluate.evaluate_people(*folders, Grey(0.03), fast=True, overlap=True)
    empty = next(row for row in rows if row["clip"] == "empty/b000003")
    assert empty["MAD"] == pytest.approx(30) and math.isnan(empty["IoU"]) and empty["zero_MAD"] == 0
    assert [row["clip"] for row in evaluate.set_means(rows)] == ["mean of people", "mean of empty"]


def test_overlap_by_hand():
    """Four pixels: both, mine alone, theirs alone, neither -> 1 / 3. Exactly 0.5 is outside."""
    mine, theirs = np.array([[0.9, 0.6, 0.5, 0.0]]), np.array([[0.51, 0.5, 1.0, 0.2]])
    assert metrics.iou(mine, theirs) == pytest.approx(1 / 3)
    both = metrics.iou(np.stack([mine, mine]), np.stack([theirs, mine]))
    assert both == pytest.approx(3 / 5)  # of all frames together
    assert metrics.iou(np.zeros((2, 2)), np.ones((2, 2))) == 0.0
    assert math.isnan(metrics.iou(np.ones((2, 2)), np.zeros((2, 2))))


def test_worst_keeps_one_frame_of_a_clip_and_the_worst_clips():
    worst, frame, nobody = Worst(2), np.zeros((2, 4, 3), np.uint8), np.zeros((2, 4))
    for clip, errors in (("a", (0.1, 0.4, 0.2)), ("b", (0.3,)), ("c", (0.35, 0.9)), ("d", (0.05,))):
        for t, error in enumerate(errors):
            worst.offer(clip, t, frame, nobody, np.full((2, 4), error))
    assert [(found.clip, found.index, round(found.mad)) for found in worst.frames()] == [("c", 1, 900), ("a", 1, 400)]


def test_a_clip_that_fell_out_may_come_back():
    worst, frame, nobody = Worst(1), np.zeros((2, 4, 3), np.uint8), np.zeros((2, 4))
    for t, (clip, error) in enumerate((("a", 0.2), ("b", 0.3), ("a", 0.1), ("a", 0.6))):
        worst.offer(clip, t, frame, nobody, np.full((2, 4), error))
    assert [(found.clip, found.index) for found in worst.frames()] == [("a", 3)]


def test_nothing_is_worse_than_a_matte_that_is_none():
    worst, frame, nobody = Worst(1), np.zeros((2, 4, 3), np.uint8), np.zeros((2, 4))
    for clip, error in (("a", 0.9), ("b", np.nan), ("c", 1.0)):
        worst.offer(clip, 0, frame, nobody, np.full((2, 4), error))
    assert [found.clip for found in worst.frames()] == ["b"] and worst.sheet().ndim == 3


def test_what_is_missing_or_broken_is_said_before_the_first_clip(folders, tmp_path):
    """A still whose room is missing, and files that are cut off, are met before minutes of work, not after."""
    people, scenes = (shutil.copytree(folder, tmp_path / folder.name) for folder in folders)
    whole = (scenes / "b000003.jpg").read_bytes()
    for name in ("b000003.jpg", "b000002.jpg"):
        (scenes / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"b000002.jpg: not a readable image.*\(2 such files\)"):
        next(held_out_people.held_out_clips(people, scenes))
    (scenes / "b000003.jpg").write_bytes(whole)
    (scenes / "b000002.jpg").unlink()
    with pytest.raises(UserError, match="no b000002, before which h000012.png stands;"):
        next(held_out_people.held_out_clips(people, scenes))


def test_the_sheet_shows_frame_reference_and_answer():
    worst = Worst()
    with pytest.raises(ValueError, match="no frame was offered"):
        worst.sheet()
    worst.offer("x", 0, np.full((128, 256, 3), (250, 10, 10), np.uint8), np.ones((128, 256)), np.full((128, 256), 0.5))
    sheet = worst.sheet()
    middle = sheet[sheet.shape[0] - 60]
    assert [tuple(middle[x]) for x in (134, 396, 658)] == [(250, 10, 10), (255, 255, 255), (128, 128, 128)]


def test_command_line(folders, tmp_path, capfd):
    weights = write_random_weights(tmp_path / "random.safetensors")
    people, scenes = folders
    words = ("evaluate", "--people", people, "--scenes", scenes, "--weights", weights, "--size", "64", "--fast")
    code, out, _ = run(capfd, *words, "--iou", "--json", "--worst", tmp_path / "worst.png")
    answer = json.loads(out)
    assert code == 0 and [row["clip"] for row in answer["sets"]] == ["mean of people", "mean of empty"]
    assert 0 <= answer["clips"][0]["IoU"] <= 1
    assert Image.open(tmp_path / "worst.png").width > 3 * 256
    for wrong, what in ((words[:3], "--people and --scenes go together"), ((*words, "--procedural", "1"), "one thing"),
                        ((*words, "--worst", tmp_path / "worst.mp4"), "ends in .png or .jpg"),
                        (("evaluate", "--people", scenes, "--scenes", scenes), "no held-out image, h000000 to h000059"),
                        (("evaluate", "--people", tmp_path / "no", "--scenes", scenes), "no such folder")):
        code, out, err = run(capfd, *wrong)
        assert code == 2 and out == "" and err.count("\n") == 1 and what in err


def test_a_broken_still_is_named(folders, tmp_path):
    (tmp_path / "h000001.png").write_bytes(b"not a picture")
    with pytest.raises(UserError, match="h000001.png: not a readable image"):
        evaluate.evaluate_people(tmp_path, folders[1], Grey(0.0))


# -- whole photographs ---------------------------------------------------------------------------------------------

@pytest.fixture
def photographs(tmp_path):
    folder = tmp_path / "held_out"
    folder.mkdir()
    for k in range(2):
        picture = np.full((180, 240, 4), (30, 90, 160, 0), np.uint8)
        picture[40:, 60 + 40 * k : 160] = (220, 170, 140, 255)
        Image.fromarray(picture, "RGBA").save(folder / f"npm_f{k}.png")
    return folder


def test_photographs_are_filmed_as_they_are(photographs):
    clips = list(held_out_people.photograph_clips(photographs, frames=3, height=36, width=64))
    assert [clip.name for clip in clips] == ["photograph/npm_f0", "photograph/npm_f1"]
    for clip in clips:
        assert clip.frames.shape == (3, 36, 64, 3) and clip.alpha.shape == (3, 36, 64)
        for where, colour in ((clip.alpha > 0.999, (220, 170, 140)), (clip.alpha < 0.001, (30, 90, 160))):
            assert where.any() and np.abs(clip.frames[where].astype(int) - colour).max() <= 1
    again = next(held_out_people.photograph_clips(photographs, frames=3, height=36, width=64))
    assert np.array_equal(again.frames, clips[0].frames)


def test_the_mad_of_nothing_is_the_mean_alpha_of_the_photographs(photographs):
    rows = evaluate.evaluate_photographs(photographs, Grey(0.0), fast=True, overlap=True)
    assert [row["clip"] for row in rows] == ["photograph/npm_f0", "photograph/npm_f1"]
    for row, clip in zip(rows, held_out_people.photograph_clips(photographs), strict=True):
        assert row["MAD"] == pytest.approx(1e3 * clip.alpha.mean(), rel=1e-5) and row["IoU"] == 0
        assert row["frames"] == len(clip.frames) == 4


def test_the_command_evaluates_them(photographs, tmp_path, capfd):
    weights = write_random_weights(tmp_path / "random.safetensors")
    words = ("evaluate", "--whole", photographs, "--weights", weights, "--size", "64", "--fast")
    code, out, _ = run(capfd, *words, "--json")
    assert code == 0 and [row["clip"] for row in json.loads(out)["clips"]] == ["photograph/npm_f0", "photograph/npm_f1"]
    (photographs / "npm_f2.png").write_bytes(b"none")
    for wrong, what in (((*words, "--procedural", "1"), "one thing at a time"), (words, "npm_f2.png: not a readable"),
                        (("evaluate", "--whole", tmp_path / "no"), "no such folder")):
        code, out, err = run(capfd, *wrong)
        assert code == 2 and out == "" and err.count("\n") == 1 and what in err


def test_figures_on_photographs_alone_join_those_that_are_kept(photographs, monkeypatch):
    monkeypatch.setattr(tool, "load_engine", lambda *_: Grey(0.0))
    before = {**tool.read()["small"], "dates": {"people": "2026-01-02", "photographs": "2026-01-03"}}
    old = [row for row in before["clips"] if not row["clip"].startswith("photograph/")]
    measured = tool.measure("small", None, None, str(photographs), before, None)
    after, dates = measured["clips"], measured["dates"]
    assert dates["people"] == "2026-01-02" and dates["photographs"] > "2026-11"
    assert after[: len(old)] == old and [row["clip"] for row in after[len(old):]] == ["photograph/npm_f0",
                                                                                    "photograph/npm_f1"]
    for kept in (None, {**before, "sha256": "another"}):
        with pytest.raises(UserError, match="small.safetensors: not the network whose figures are kept; give --people"):
            tool.measure("small", None, None, str(photographs), kept, None)


# -- what the repository shows ------------------------------------------------------------------------------------

def test_both_pages_show_the_committed_figures():
    networks, pages = tool.read(), tool.pages(claims_data.people(tool.FILE))
    assert set(networks) == set(tool.NETWORKS) > set(tool.IN_README)
    for path, text in pages.items():
        shown = path.read_text(encoding="utf-8")
        assert text == shown and shown.count(tool.MARKERS[0]) == shown.count(tool.MARKERS[1]) == 1
    for name, record in networks.items():
        file = ROOT / "bivm_ref" / "weights" / record["file"]
        assert record["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest(), f"measure {name} again"
        clips = [row["clip"] for row in record["clips"]]
        assert clips[:2] == ["portrait", "astronaut"]
        assert sum(clip.startswith("photograph/npm_f") for clip in clips) == 38
        assert sum(clip.startswith("people/") for clip in clips) == 60
        assert sum(clip.startswith("empty/") for clip in clips) == 10
    shipped = (ROOT / "bivm_ref" / "weights" / "SHIPPED").read_text().split()[0]
    assert tool.SHIPPED == shipped.removesuffix(".safetensors") and tool.SHIPPED in networks
    with Image.open(tool.PICTURE) as picture:
        assert picture.width > 3 * 256 and picture.height > 10 * 144  # ten rows
