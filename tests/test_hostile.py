"""More of what a careless or hostile user passes: no traceback, nothing half-written, an exit code to trust."""

import json
import os
import signal
import struct
import time

import numpy as np
import pytest
import torch
from cli_tools import moving_square, run, start, tree, write_random_weights, write_video
from PIL import Image
from safetensors.numpy import load as parse
from safetensors.numpy import save as serialise

from bivm_ref import results
from bivm_ref.errors import UserError
from bivm_ref.files import alone, hidden
from bivm_ref.images import image_count
from bivm_ref.learn.store import load_checkpoint
from bivm_ref.settled import Settled
from bivm_ref.video import ImageWriter, open_frames


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return write_random_weights(tmp_path_factory.mktemp("hostile") / "random.safetensors")


def refused(answer, *phrases):
    code, _, err = answer
    assert code == 2 and err.count("\n") == 1 and "Traceback" not in err, err
    for phrase in phrases:
        assert phrase in err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_kill_leaves_nothing_half_written(tmp_path, weights, number):
    source = write_video(tmp_path / "long.mkv", np.tile(moving_square(20), (60, 1, 1, 1)))  # half a minute of work
    out = tmp_path / "out"
    process = start("matte", source, out, "--weights", weights, "--size", 64,
                    preexec_fn=lambda: signal.signal(number, signal.SIG_DFL))
    deadline = time.monotonic() + 60
    while not (out.exists() and tree(out)) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number and "Traceback" not in err
    assert not out.exists()


def test_a_full_disk_leaves_none_of_the_three(tmp_path, weights, capfd, monkeypatch):
    clip, out, closed = write_video(tmp_path / "clip.mkv", moving_square(3)), tmp_path / "out", []
    from bivm_ref.video_out import VideoWriter

    close = VideoWriter.close

    def failing(self):
        closed.append(self.path.name)
        if len(closed) == 2:
            self.abort()
            raise UserError(f"{self.path}: the disk is full")
        close(self)

    monkeypatch.setattr(VideoWriter, "close", failing)
    refused(run(capfd, "matte", clip, out, "--weights", weights, "--size", 64), "full")
    assert len(closed) >= 2 and not out.exists()


def test_what_was_there_before_a_failure_stays(tmp_path, weights, capfd, monkeypatch):
    clip, out = write_video(tmp_path / "clip.mkv", moving_square(3)), tmp_path / "out"
    assert run(capfd, "matte", clip, out, "--weights", weights, "--size", 64)[0] == 0
    before = {path: path.read_bytes() for path in out.iterdir()}
    monkeypatch.setattr(Settled, "step", lambda *_: (_ for _ in ()).throw(UserError("broken")))
    refused(run(capfd, "matte", clip, out, "--weights", weights, "--size", 64, "--overwrite"), "broken")
    assert {path: path.read_bytes() for path in out.iterdir()} == before


def test_an_unknown_codec_is_one_line(tmp_path, weights, capfd):
    clip = write_video(tmp_path / "clip.mkv", moving_square(3))
    data = clip.read_bytes()
    assert data.count(b"V_MPEG4/ISO/AVC") == 1
    clip.write_bytes(data.replace(b"V_MPEG4/ISO/AVC", b"V_MPEG9/ISO/XXX"))
    refused(run(capfd, "matte", clip, tmp_path / "o.mp4", "--weights", weights), "clip.mkv: its codec is not known")
    assert not (tmp_path / "o.mp4").exists()


@pytest.mark.parametrize("rate", ["100000000:1", "1:100000000"])
def test_a_rate_that_no_video_has_is_taken_for_none(tmp_path, rate):
    frame = b"FRAME\n" + bytes(range(64)) * 24 + b"\x80" * 768
    (tmp_path / "odd.y4m").write_bytes(f"YUV4MPEG2 W64 H24 F{rate} Ip C420jpeg\n".encode() + 2 * frame[:6 + 64 * 36])
    assert open_frames(tmp_path / "odd.y4m").fps == 25


def test_a_damaged_second_page_does_not_matter(tmp_path):
    path, picture = tmp_path / "pages.tif", Image.new("RGB", (16, 8), (200, 10, 30))
    picture.save(path, save_all=True, append_images=[picture])
    assert image_count(path) == 2
    data = bytearray(path.read_bytes())
    first = struct.unpack_from("<I", data, 4)[0]
    entries = struct.unpack_from("<H", data, first)[0]
    struct.pack_into("<I", data, first + 2 + 12 * entries, 2**31)  # where the second page is said to be
    path.write_bytes(data)
    assert image_count(path) == 1 and next(iter(open_frames(path)))[0, 0].tolist() == [200, 10, 30]


def test_a_matte_of_nan_is_refused(tmp_path, weights, capfd):
    """Weights that are finite, as a diverged training leaves them, and overflow on the way."""
    data = weights.read_bytes()
    metadata = json.loads(data[8:8 + int.from_bytes(data[:8], "little")])["__metadata__"]
    tensors = {name: value.copy() for name, value in parse(data).items()}
    tensors["scale"][:] = tensors["gain"][:] = 3e38
    bad, picture = tmp_path / "bad.safetensors", tmp_path / "a.png"
    bad.write_bytes(serialise(tensors, metadata))
    with ImageWriter(picture) as writer:
        writer.write(moving_square(1)[0])
    with np.errstate(all="ignore"):
        refused(run(capfd, "matte", picture, tmp_path / "o.png", "--weights", bad), "matte holds NaN")
    assert not (tmp_path / "o.png").exists()


def test_nan_is_met_by_the_engine_that_settles():
    class Broken:
        def reset(self):
            pass

        def step(self, frame):
            return np.array([[0.5, np.inf]], np.float32), np.zeros((1, 2, 3), np.float32)

    with pytest.raises(UserError, match="NaN"):
        Settled(Broken(), 0).step(np.zeros((1, 2, 3), np.uint8))


@pytest.mark.parametrize("words", [("matte", "", "out"), ("evaluate", ""), ("compare", "--show", ""),
                                   ("compare", "--out", "x", "--arms", ""), ("bench", "--json", "")])
def test_an_empty_argument_is_a_mistake(tmp_path, capfd, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    refused(run(capfd, *words), "an empty argument")
    assert tree(tmp_path) == []


def test_what_is_no_weight_file_is_not_read(tmp_path, capfd):
    film = tmp_path / "film.safetensors"
    with film.open("wb") as file:
        file.truncate(1 << 40)  # a terabyte of nothing: takes no space, and no memory unless it is read
    refused(run(capfd, "info", film), "film.safetensors", "no packed network's")
    os.mkfifo(tmp_path / "pipe")
    refused(run(capfd, "info", tmp_path / "pipe"), "pipe: not a file")


def test_closed_streams_are_no_error(tmp_path, weights):
    clip = write_video(tmp_path / "clip.mkv", moving_square(2))
    for k, stream in enumerate(("stdout", "stderr")):
        out = tmp_path / f"{k}.mp4"
        process = start("matte", clip, out, "--weights", weights, "--size", 64, "--only", "alpha",
                        before=f"import sys; sys.{stream} = None")
        process.communicate(timeout=120)
        assert process.returncode == 0 and out.exists()


def test_a_seed_that_torch_cannot_take(tmp_path, capfd):
    refused(run(capfd, "train", "--out", tmp_path / "r", "--steps", 1, "--seed", 2**64), "too large")
    assert tree(tmp_path) == []


def test_only_a_checkpoint_is_gone_on_from(tmp_path):
    for thing in ([1, 2], {"recipe": {}, "model": {}}, None):
        torch.save(thing, tmp_path / "checkpoint.pt")
        with pytest.raises(UserError, match="checkpoint.pt: "):
            load_checkpoint(tmp_path / "checkpoint.pt")


def test_results_that_do_not_fit_together(tmp_path):
    row = {"arm": "bnn", "seed": 0, **{figure: [1.0, 2.0] for figure in results.FIGURES}}
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row) + "\n" + "[" * 100_000 + "\n")
    assert len(results.load(path)) == 1  # the second line is not whole
    path.write_text(json.dumps({**row, "MAD": [10**400, 1]}) + "\n")
    with pytest.raises(UserError, match="rows.jsonl: "):
        results.load(path)
    fewer = {**row, "seed": 1, **{figure: [1.0] for figure in results.FIGURES}}
    path.write_text(json.dumps(row) + "\n" + json.dumps(fewer) + "\n")
    with pytest.raises(UserError, match="rows.jsonl: its runs were measured on unequal numbers of clips"):
        results.load(path)


def test_a_long_name_that_is_allowed_can_be_written(tmp_path):
    name = "ü" * 100 + ".json"  # 205 bytes
    assert len(os.fsencode(hidden(tmp_path / name).name)) < 255
    (tmp_path / name).write_text("{}")  # the file system takes it


def test_a_folder_that_is_not_there_is_said_before_the_work(tmp_path, capfd):
    model = tmp_path / "no.pt"
    for words in (("recalibrate", model, tmp_path / "none/r.pt"), ("grow", model, tmp_path / "none/g.pt")):
        refused(run(capfd, *words), "there is no folder")


def test_two_trainings_in_one_folder(tmp_path, capfd):
    """The second is refused before it touches what the first has written; killed, the first leaves the folder free."""
    out = tmp_path / "run"
    words = ("train", "--out", out, "--steps", 400, "--workers", 0)
    first = start(*words)
    try:
        deadline = time.monotonic() + 120
        while not (out / ".lock").exists() and time.monotonic() < deadline:
            assert first.poll() is None, first.communicate()
            time.sleep(0.05)
        refused(run(capfd, *words), str(out), "another process works there; wait for its end, or name another")
    finally:
        first.kill()
        first.communicate()
    with alone(out):
        assert not (out / "model.pt").exists()
