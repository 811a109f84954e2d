"""What the command line answers where the system, not our own check, says no; what an evaluation must not pass over."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from cli_tools import ROOT, moving_square, run, start, tree, write_random_weights, write_video
from PIL import Image

from bivm_ref import evaluation_sets
from bivm_ref.errors import UserError
from bivm_ref.images import image_size, read_image
from bivm_ref.video import ImageWriter


def one_line(answer, *names):
    code, _, err = answer
    assert code == 2 and err.count("\n") == 1 and err.startswith("bivm-ref: error: ") and ";" in err, answer
    for name in names:
        assert str(name) in err, err


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    return write_random_weights(tmp_path_factory.mktemp("weights") / "random.safetensors")


@pytest.fixture
def clip(tmp_path):
    """A clip of two frames in the field's layout."""
    for name, image in (("com", np.full((48, 64, 3), 90, np.uint8)), ("pha", np.full((48, 64), 255, np.uint8))):
        (tmp_path / "set" / "a" / name).mkdir(parents=True)
        for n in range(2):
            Image.fromarray(image).save(tmp_path / "set" / "a" / name / f"{n:04d}.png")
    return tmp_path / "set"


def test_names_that_the_system_refuses(tmp_path, capfd, weights):
    long = "n" * 300
    one_line(run(capfd, "info", tmp_path / f"{long}.safetensors"), "too long")
    one_line(run(capfd, "evaluate", tmp_path / long, "--weights", weights), "too long")
    one_line(run(capfd, "compare", "--show", tmp_path), "is a folder; name the results.jsonl in it")
    film = write_video(tmp_path / "clip.mp4", moving_square(2))
    one_line(run(capfd, "matte", film, "/dev/null", "--weights", weights), "/dev/null")
    os.symlink("loop.mp4", tmp_path / "loop.mp4")
    code, _, err = run(capfd, "matte", film, tmp_path / "loop.mp4", "--weights", weights, "--size", 64, "--overwrite")
    assert code in (0, 2) and "Traceback" not in err
    one_line(run(capfd, "matte", film, tmp_path / "x.mp4", "--background", "rgb(300,0,0)", "--weights", weights), "rgb")
    (tmp_path / "out" / "alpha.mp4").mkdir(parents=True)
    one_line(run(capfd, "matte", film, tmp_path / "out", "--overwrite", "--weights", weights), "alpha.mp4")
    assert tree(tmp_path / "out") == []


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full is Linux's")
@pytest.mark.parametrize("where, code", [("full", 2), ("closed", 0)])
def test_output_that_cannot_be_printed(where, code):
    """A full disk behind stdout is a mistake, a reader that went away is none; neither ends in Python's own words."""
    words = ("cost", "--preset", "small")
    if where == "closed":
        reader, writer = os.pipe()
        os.close(reader)
        process = start(*words, stdout=writer)
        os.close(writer)
    else:
        with open("/dev/full", "w") as full:
            process = start(*words, stdout=full)
    err = process.stderr.read()
    assert process.wait() == code and "Traceback" not in err and "Exception ignored" not in err
    assert err.count("\n") == (code == 2)


def test_a_name_that_the_console_cannot_print(tmp_path, weights):
    film = write_video(tmp_path / "ünï.mp4", moving_square(2))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"}
    words = ["-m", "bivm_ref.cli", "matte", film, tmp_path / "ö.mp4", "--weights", weights, "--size", "64"]
    done = subprocess.run([sys.executable, *map(str, words)], capture_output=True, text=True, env=environment)
    assert done.returncode == 0 and "\\xf6.mp4" in done.stdout, done.stderr


def test_an_evaluation_goes_behind_links_once_and_names_what_it_may_not_see(clip, tmp_path, monkeypatch):
    os.rename(clip / "a", tmp_path / "elsewhere")
    os.symlink(tmp_path / "elsewhere", clip / "linked")
    os.symlink(clip, clip / "back")  # and never comes back to where it was
    assert evaluation_sets.clip_folders(clip) == [clip / "linked"]

    def locked(path):
        if os.path.basename(path) == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    (clip / "locked").mkdir()
    scan = os.scandir
    monkeypatch.setattr(os, "scandir", locked)
    with pytest.raises(UserError, match="locked: cannot be looked into"):
        evaluation_sets.clip_folders(clip)


def test_the_picture_of_the_worst_frames_replaces_nothing_unasked(clip, capfd, weights):
    frame = clip / "a" / "com" / "0000.png"
    before = frame.read_bytes()
    words = ("evaluate", clip, "--fast", "--weights", weights, "--size", 64, "--worst")
    one_line(run(capfd, *words, frame), frame, "exists already")
    assert frame.read_bytes() == before
    code, out, _ = run(capfd, *words, clip.parent / "worst.png")
    assert code == 0 and "mean" in out and (clip.parent / "worst.png").exists()
    assert run(capfd, *words, clip.parent / "worst.png", "--overwrite")[0] == 0


def test_clips_made_again_hold_nothing_of_the_clips_before(tmp_path, capfd):
    words = ("clips", tmp_path / "out", "--size", "32x32")
    assert run(capfd, *words, "--count", 2, "--frames", 3)[0] == 0
    (tmp_path / "out" / "0000" / "com" / "mine.txt").write_text("stays")
    assert run(capfd, *words, "--count", 1, "--frames", 2, "--overwrite")[0] == 0
    assert tree(tmp_path / "out") == ["0000/com/0000.png", "0000/com/0001.png", "0000/com/mine.txt",
                                      *(f"0000/{name}/000{n}.png" for name in ("fgr", "pha") for n in range(2)),
                                      "contact_sheet.png"]
    one_line(run(capfd, "clips", tmp_path / "new", "--seed", 9_999_999, "--count", 2), "10000000", "held out")
    one_line(run(capfd, "clips", tmp_path / "new.mp4"), "new.mp4", "folder")
    assert not (tmp_path / "new").exists() and not (tmp_path / "new.mp4").exists()


@pytest.mark.parametrize("orientation", [1, 2, 3, 4, 5, 6, 7, 8, 9, None])
def test_pictures_of_every_orientation_stand_upright(tmp_path, orientation):
    """Pillow's own `exif_transpose` is the oracle; 9 is none, and garbage in the EXIF is no reason to refuse pixels."""
    from PIL import ImageOps

    picture = Image.fromarray(np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3))
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    picture.save(tmp_path / "a.png", exif=exif if orientation is not None else b"Exif\x00\x00garbage")
    found = read_image(tmp_path / "a.png")
    true = picture
    if orientation in range(1, 9):
        with Image.open(tmp_path / "a.png") as stored:
            true = ImageOps.exif_transpose(stored)
    assert np.array_equal(found, np.asarray(true)) and image_size(tmp_path / "a.png") == found.shape[1::-1]


def test_more_than_one_picture_in_a_file_is_said(tmp_path, capfd, weights):
    first, second = (Image.new("RGB", (64, 48), colour) for colour in ("red", "blue"))
    first.save(tmp_path / "two.webp", save_all=True, append_images=[second])
    code, _, err = run(capfd, "matte", tmp_path / "two.webp", tmp_path / "x.png", "--weights", weights, "--size", 64)
    assert code == 0 and err.count("\n") == 1 and "warning" in err and "holds 2 pictures, of which the first" in err
    first.save(tmp_path / "one.webp")
    code, _, err = run(capfd, "matte", tmp_path / "one.webp", tmp_path / "y.png", "--weights", weights, "--size", 64)
    assert code == 0 and err == ""


def test_formats_have_a_largest_side(tmp_path):
    for name, side in (("a.webp", 17000), ("a.jpg", 66000)):
        with pytest.raises(UserError, match=f"{name}: .* pixels a side, and this image is {side}x16; write a .png"):
            ImageWriter(tmp_path / name).write(np.zeros((16, side, 3), np.uint8))
    assert tree(tmp_path) == []


@pytest.mark.parametrize("line", [
    {"arm": "bnn", "seed": 0, "MAD": [1.0]}, {"arm": "bnn", "seed": 0, "MAD": "high"}, [1], "text",
    {"arm": "bnn", "seed": 0, **{name: [1.0, float("inf")] for name in ("MAD", "MSE", "Grad", "Conn", "dtSSD",
                                                                        "boundary_MAD")}}], ids=str)
def test_other_files_are_no_results(line, tmp_path, capfd):
    (tmp_path / "odd.jsonl").write_text(json.dumps(line) + "\n")
    one_line(run(capfd, "compare", "--show", tmp_path / "odd.jsonl"), "not the results of a comparison")


def test_many_clips_of_video_through_one_engine_with_two_threads(tmp_path, weights):
    """The forked member must not clean up after the leader's decoders, whose threads it has not: it waited for ever."""
    code = """
import sys
from bivm_ref.matte import matte
from bivm_ref.packed import PackedBiVM
engine = PackedBiVM.load(sys.argv[1], threads=2, size=64)
for n in range(6):
    matte(sys.argv[2], f"{sys.argv[3]}/{n}.mp4", engine)
print("done")
"""
    film = write_video(tmp_path / "clip.mp4", moving_square(12))
    done = subprocess.run([sys.executable, "-c", code, str(weights), str(film), str(tmp_path)], capture_output=True,
                          text=True, timeout=240, env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0 and done.stdout == "done\n", done.stderr
