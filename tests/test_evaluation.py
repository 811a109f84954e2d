"""`bivm-ref evaluate` on sets in RVM's layout: both variants of the figures against hand-worked values, and what it
refuses. The engine is a stub that answers what it is told, so every figure is known beforehand."""

import json

import numpy as np
import pytest
from cli_tools import run, write_random_weights
from PIL import Image

from bivm_ref import evaluate, metrics
from bivm_ref.errors import UserError
from bivm_ref.evaluation_sets import clip_files, read_foregrounds


class Engine:
    """Answers, frame after frame of each clip, these alphas and one grey foreground."""

    def __init__(self, alphas, grey=0.0):
        self.alphas, self.grey, self.t = alphas, grey, 0

    def reset(self):
        self.t = 0

    def step(self, frame):
        alpha = np.full(frame.shape[:2], self.alphas[self.t], np.float32)
        self.t += 1
        return alpha, np.full(frame.shape, self.grey, np.float32)


def save(path, level, size=(20, 12)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L" if isinstance(level, int) else "RGB", size, level).save(path)


def make_clip(folder, alphas=(255, 255), fgr=(51, 51, 51), size=(20, 12)):
    for t, alpha in enumerate(alphas):
        save(folder / f"com/{t:04d}.png", (9, 9, 9), size)
        save(folder / f"pha/{t:04d}.png", alpha, size)
        if fgr is not None:
            save(folder / f"fgr/{t:04d}.png", fgr, size)


def test_rvm_layout_in_both_variants(tmp_path):
    """Two sets below a parent, as in videomatte_512x288. Prediction 1, 0.5, 1, 1 on opaque frames."""
    root = tmp_path / "videomatte_512x288"
    for name in ("videomatte_motion/0000", "videomatte_motion/0001", "videomatte_static/0000"):
        make_clip(root / name, (255,) * 4)
    rows = evaluate.evaluate_folder(root, Engine([1, 0.5, 1, 1], grey=0.5), variant="both")
    assert [row["clip"] for row in rows] == ["videomatte_motion/0000", "videomatte_motion/0001",
                                             "videomatte_static/0000"]
    for row in rows:
        assert list(row) == ["clip", "frames", "MAD", "MSE", "Grad", "Grad_rvm", "Conn", "dtSSD", "dtSSD_rvm",
                             "fgr_MSE", "zero_MAD", "ms_per_frame"]
        assert row["MAD"] == pytest.approx(1000 * 0.5 / 4) and row["MSE"] == pytest.approx(1000 * 0.25 / 4)
        assert row["dtSSD"] == pytest.approx(100 * (0.5 + 0.5 + 0) / 3)  # steps 0->1, 1->2, 2->3
        assert row["dtSSD_rvm"] == pytest.approx(100 * (0 + 0.5 + 0.5 + 0) / 4)  # and frame 0 as 0
        assert row["fgr_MSE"] == pytest.approx(1000 * (0.5 - 0.2) ** 2)  # 51 / 255 = 0.2
        # Levels above 0.5 have no pixel in frame 1: l = 0.5, t - l = 0.5 counts, p - l = 0 does not.
        assert row["Conn"] == pytest.approx(1e-3 * 0.5 * 20 * 12 / 4)
        assert row["Grad"] == row["Grad_rvm"] == 0
    sets = evaluate.set_means(rows)
    assert [(s["clip"], s["frames"]) for s in sets] == [("mean of videomatte_motion", 8),
                                                        ("mean of videomatte_static", 4)]
    assert sets[0]["dtSSD_rvm"] == pytest.approx(25)


def test_default_row_keeps_its_columns(tmp_path):
    make_clip(tmp_path / "a")
    (row,) = evaluate.evaluate_folder(tmp_path, Engine([1, 1]))
    assert list(row) == ["clip", "frames", "MAD", "MSE", "Grad", "Conn", "dtSSD", "zero_MAD", "ms_per_frame"]
    assert evaluate.set_means([row]) == []
    (row,) = evaluate.evaluate_folder(tmp_path, Engine([1, 1]), fast=True, variant="rvm")
    assert list(row) == ["clip", "frames", "MAD", "MSE", "dtSSD_rvm", "fgr_MSE", "zero_MAD", "ms_per_frame"]


def test_foreground_is_scored_where_alpha_is_over_zero_and_only_if_there_is_one(tmp_path):
    make_clip(tmp_path / "a", (0, 1), (255, 51, 51))  # nobody in frame 0; alpha 1/255 still counts
    make_clip(tmp_path / "b", (0, 0))
    make_clip(tmp_path / "c", fgr=None)
    a, b, c = evaluate.evaluate_folder(tmp_path, Engine([0, 0], grey=0.2), variant="rvm")
    assert a["fgr_MSE"] == pytest.approx(1000 * 0.64 / 3)  # red is 0.8 off, green and blue are right
    assert np.isnan(b["fgr_MSE"]) and np.isnan(c["fgr_MSE"])
    assert evaluate.mean_row([a, b, c])["fgr_MSE"] == a["fgr_MSE"]  # of the clips that have one
    assert "  -  " in evaluate.table([a, b, c])


def test_grad_of_large_frames_is_stretched_by_us_and_not_by_rvm():
    rng = np.random.default_rng(0)
    for side, same in ((512, True), (514, False)):
        true = rng.random((1, 6, side)).astype(np.float32)
        row = evaluate.figures("x", true / 2, true, 0.0, variant="both")
        assert row["Grad"] == pytest.approx(0, abs=1e-9)  # half the contrast, stretched away
        assert (row["Grad_rvm"] == row["Grad"]) == same
    assert row["Grad_rvm"] == metrics.grad(true / 2, true, stretch=False) > 0.01


def test_foregrounds_of_a_video_follow_the_alphas(tmp_path):
    make_clip(tmp_path / "a", (255, 255))
    save(tmp_path / "a/fgr/0001.png", (70, 80, 90))
    (tmp_path / "a/com.mp4").write_bytes(b"not opened here")
    for image in (tmp_path / "a/com").iterdir():
        image.unlink()
    (tmp_path / "a/com").rmdir()
    first, second = read_foregrounds(clip_files(tmp_path / "a", foreground=True))
    assert first[0, 0].tolist() == [51, 51, 51] and second[0, 0].tolist() == [70, 80, 90]
    assert read_foregrounds(clip_files(tmp_path / "a")) is None


def spoil(tmp_path, how):
    """A sound clip `a` and a spoilt one `b`; returns the words that the refusal must hold."""
    make_clip(tmp_path / "a")
    b = tmp_path / "b"
    make_clip(b, (255, 255, 255))
    if how == "alpha missing":
        (b / "pha/0001.png").unlink()
        return b / "pha/0001.png", "missing", "alpha"
    if how == "one frame fewer":
        (b / "com/0002.png").unlink()
        return b / "pha/0002.png", "3 images", "2"
    if how == "no alphas at all":
        for image in (b / "pha").iterdir():
            image.unlink()
        (b / "pha").rmdir()
        return b / "pha", "missing"
    if how == "no frames":
        for image in (b / "com").iterdir():
            image.unlink()
        return b / "com", "no image"
    if how == "frames of unequal size":
        save(b / "com/0001.png", (0, 0, 0), (24, 12))
        save(b / "pha/0001.png", 255, (24, 12))
        return b / "com/0001.png", "24x12", "20x12"
    if how == "alpha of another size":
        save(b / "pha/0001.png", 255, (20, 14))
        return b / "pha/0001.png", "20x14"
    if how == "two of one name":
        save(b / "pha/0001.jpg", 255)
        return b / "pha/0001.png", "0001.jpg"
    if how == "foreground missing":
        (b / "fgr/0002.png").unlink()
        return b / "fgr/0002.png", "missing", "foreground"
    if how == "foreground of another size":
        save(b / "fgr/0000.png", (0, 0, 0), (10, 6))
        return b / "fgr/0000.png", "10x6"
    folder = {"corrupt frame": "com", "corrupt alpha": "pha", "corrupt foreground": "fgr"}[how]
    whole = (b / folder / "0001.png").read_bytes()
    (b / folder / "0001.png").write_bytes(whole[: len(whole) // 2])  # cut off within the pixels
    return b / folder / "0001.png", "not a readable image"


@pytest.mark.parametrize("how", [
    "alpha missing", "one frame fewer", "no alphas at all", "no frames", "frames of unequal size",
    "alpha of another size", "two of one name", "corrupt frame", "corrupt alpha", "foreground missing",
    "foreground of another size", "corrupt foreground",
])  # fmt: skip
def test_evaluation_refuses_and_skips_nothing(tmp_path, how):
    words = spoil(tmp_path, how)
    engine = Engine([1] * 3)
    untouched = engine.t
    with pytest.raises(UserError) as refusal:
        evaluate.evaluate_folder(tmp_path, engine, variant="rvm")
    message = str(refusal.value)
    assert "\n" not in message and all(str(word) in message for word in words), message
    assert engine.t == untouched  # names, sizes and ends of files are looked at before the first, sound clip is run
    if "foreground" in how:  # nobody asked for it
        assert len(evaluate.evaluate_folder(tmp_path, engine)) == 2


def test_all_that_is_wrong_is_counted(tmp_path):
    for name in "abc":
        make_clip(tmp_path / name, (255, 255, 255))
    for n in (0, 2):
        (tmp_path / f"a/pha/000{n}.png").unlink()
    whole = (tmp_path / "b/com/0001.png").read_bytes()
    (tmp_path / "b/com/0001.png").write_bytes(whole[: len(whole) // 2])
    save(tmp_path / "b/pha/0002.png", 255, (24, 12))
    first = "3 faults in 2 of 3 clips, the first: .*a/pha/0000.png: missing, with 1 more;"
    with pytest.raises(UserError, match=first):
        evaluate.evaluate_folder(tmp_path, Engine([1] * 3))


def test_command_line(tmp_path, capfd):
    weights = write_random_weights(tmp_path / "random.safetensors")
    make_clip(tmp_path / "set/x/0", size=(64, 48))
    make_clip(tmp_path / "set/y/0", size=(64, 48))
    words = ("evaluate", tmp_path / "set", "--weights", weights)
    code, out, _ = run(capfd, *words, "--variant", "both", "--json")
    answer = json.loads(out)
    assert code == 0 and [s["clip"] for s in answer["sets"]] == ["mean of x", "mean of y"]
    row = answer["clips"][0]
    assert row["dtSSD_rvm"] == pytest.approx(row["dtSSD"] / 2) and row["fgr_MSE"] > 0
    code, out, _ = run(capfd, *words, "--variant", "rvm", "--fast")
    assert code == 0 and out.split("\n")[0].split()[2:6] == ["MAD", "MSE", "dtSSD_rvm", "fgr_MSE"]
    assert [line.split()[0] for line in out.splitlines()[1:]] == ["x/0", "y/0", "mean", "mean", "mean"]
    code, out, _ = run(capfd, *words, "--fast")
    assert code == 0 and "rvm" not in out and "fgr" not in out
    (tmp_path / "set/y/0/pha/0001.png").unlink()
    code, out, err = run(capfd, *words)
    assert code == 2 and err.count("\n") == 1 and "y/0/pha/0001.png" in err and out == ""
