"""What bad input gets: one line on stderr that names the file and the cure, exit code 2, and nothing
half-written.

Everything goes through the command line. What Python alone decides runs in this process; signals and full
disks need a process of their own.
"""

import dataclasses
import json
import pickle
import signal
import struct
import time
import zlib

import av
import numpy as np
import pytest
import torch
from cli_tools import moving_square, run, start, tree, write_random_weights, write_video
from PIL import Image
from safetensors.numpy import load as parse
from safetensors.numpy import save as serialise

from bivm_ref.learn.store import build
from bivm_ref.learn.train import Recipe
from bivm_ref.video import open_frames


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    return write_random_weights(tmp_path_factory.mktemp("weights") / "random.safetensors")


@pytest.fixture(scope="session")
def clip(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("clips") / "clip.mp4", moving_square(6))


@pytest.fixture
def matte(capfd, weights):
    """matte(IN, OUT, …) -> (exit code, stdout, stderr)."""
    return lambda *words: run(capfd, "matte", *words, "--weights", weights, "--size", 64)


def refused(answer, *names) -> str:
    """Checks the answer to a mistake: exit code 2, one line that holds all names. Returns the line."""
    code, out, err = answer
    assert code == 2 and out == "", (code, out, err)
    assert err.startswith("bivm-ref: error: ") and err.count("\n") == 1 and err.endswith("\n"), err
    assert "Traceback" not in err
    for name in names:
        assert str(name) in err, f"{name} is not in: {err}"
    assert ";" in err, f"no cure in: {err}"
    return err


# -- input that is no clip ----------------------------------------------------------------------------------

def make_missing(path):
    return path / "nowhere.mp4"


def make_empty(path):
    (path / "empty.mp4").write_bytes(b"")
    return path / "empty.mp4"


def make_text(path):
    (path / "notes.mp4").write_text("This is not a video.\n" * 200, encoding="utf-8")
    return path / "notes.mp4"


def make_no_frames(path):
    """A sound MP4 with a video track that holds no frame."""
    with av.open(str(path / "still-born.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.start_encoding()
    return path / "still-born.mp4"


def make_no_index(path):
    """The first half of an MP4 whose index stands at its end."""
    whole = write_video(path / "half.mp4", moving_square(12)).read_bytes()
    (path / "half.mp4").write_bytes(whole[:len(whole) // 2])
    return path / "half.mp4"


def make_empty_folder(path):
    (path / "frames").mkdir()
    return path / "frames"


def make_unequal_images(path):
    folder = make_empty_folder(path)
    Image.new("RGB", (64, 48)).save(folder / "0.png")
    Image.new("RGB", (65, 48)).save(folder / "1.png")
    return folder


def make_broken_image(path):
    folder = make_empty_folder(path)
    for i in range(3):
        Image.fromarray(moving_square(1)[0]).save(folder / f"{i}.png")
    whole = (folder / "2.png").read_bytes()
    (folder / "2.png").write_bytes(whole[:len(whole) // 2])
    return folder


def make_giant(path):
    """A PNG of 20000x20000 in 50 kB: one bit per pixel, all black."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress(bytes((1 + 20000 // 8) * 20000), 9)
    (path / "giant.png").write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 20000, 20000, 1, 0, 0, 0, 0))
        + chunk(b"IDAT", rows) + chunk(b"IEND", b""))
    return path / "giant.png"


@pytest.mark.parametrize("make, words", [
    (make_missing, "no such file"), (make_empty, "empty"), (make_text, "not a readable video"),
    (make_no_frames, "still-born.mp4"), (make_no_index, "not a readable video"),
    (make_empty_folder, "no image"),
    (make_unequal_images, "1.png"), (make_broken_image, "2.png"), (make_giant, "20000x20000")])
@pytest.mark.parametrize("out", ["out", "out.mp4"])
def test_input_that_is_no_clip(tmp_path, matte, make, words, out):
    source = make(tmp_path)
    before = tree(tmp_path)
    refused(matte(source, tmp_path / out), source.name, words)
    assert tree(tmp_path) == before and not (tmp_path / out).exists()


def test_truncated_video_keeps_the_frames_before_the_damage(tmp_path, matte):
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (30, 48, 64, 3), dtype=np.uint8)  # noise: every frame takes as many bytes
    whole = write_video(tmp_path / "cut.mkv", frames).read_bytes()
    (tmp_path / "cut.mkv").write_bytes(whole[:len(whole) * 6 // 10])
    code, out, err = matte(tmp_path / "cut.mkv", tmp_path / "out")
    kept = [len(list(open_frames(tmp_path / "out" / f"{name}.mp4")))
            for name in ("alpha", "foreground", "composite")]
    assert code == 0 and 5 < kept[0] < 30 and len(set(kept)) == 1
    assert out.startswith(f"{kept[0]} frames")
    assert err == f"bivm-ref: warning: {tmp_path / 'cut.mkv'}: damaged after frame {kept[0]}; " \
                  "the frames before it were kept\n"


# -- unusual input that is fine -----------------------------------------------------------------------------

def alpha_of(tmp_path, matte, image, name) -> np.ndarray:
    image.save(tmp_path / name)
    code, _, err = matte(tmp_path / name, tmp_path / f"{name}.alpha.png")
    assert code == 0 and err == ""
    with Image.open(tmp_path / f"{name}.alpha.png") as alpha:
        assert alpha.mode == "L" and alpha.size == image.size
        return np.array(alpha)


def test_grey_rgba_and_16_bit_images_are_converted(tmp_path, matte):
    frame = moving_square(1)[0]
    grey = frame[..., 0]
    expected = alpha_of(tmp_path, matte, Image.fromarray(np.dstack([grey] * 3)), "rgb.png")
    assert expected.std() > 1  # or equality would say nothing
    assert np.array_equal(alpha_of(tmp_path, matte, Image.fromarray(grey), "grey.png"), expected)
    deep = Image.fromarray(grey.astype(np.uint16) * 257)  # 255 becomes 65535
    assert np.array_equal(alpha_of(tmp_path, matte, deep, "deep.png"), expected)
    veil = np.random.default_rng(0).integers(0, 256, grey.shape, dtype=np.uint8)
    rgba = Image.fromarray(np.dstack([grey] * 3 + [veil]))
    assert np.array_equal(alpha_of(tmp_path, matte, rgba, "rgba.png"), expected)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (33, 17), (131, 97)])
def test_odd_sizes_keep_their_size(tmp_path, matte, size):
    frame = moving_square(1, 100, 140)[0][:size[1], :size[0]]
    assert alpha_of(tmp_path, matte, Image.fromarray(frame), "odd.png").shape == size[::-1]
    write_video(tmp_path / "odd.mp4", [frame, frame])
    code, _, err = matte(tmp_path / "odd.mp4", tmp_path / "out")
    assert code == 0 and err == ""
    assert {open_frames(path).size for path in (tmp_path / "out").iterdir()} == {size}


# -- output that cannot be written --------------------------------------------------------------------------

def test_output_folder_that_cannot_be_written(tmp_path, matte, clip):
    (tmp_path / "plain").write_text("a file")
    refused(matte(clip, tmp_path / "plain" / "out"), tmp_path / "plain", "is a file")
    refused(matte(clip, tmp_path / "plain"), tmp_path / "plain")
    assert tree(tmp_path) == ["plain"] and (tmp_path / "plain").read_text() == "a file"


def test_existing_output_is_refused_and_replaced_with_overwrite(tmp_path, matte, clip):
    for name in ("out.mp4", "out/alpha.mp4"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"precious")
        out = tmp_path / name.split("/")[0]
        refused(matte(clip, out), out, "--overwrite")
        assert path.read_bytes() == b"precious"
        assert matte(clip, out, "--overwrite")[0] == 0
        assert len(list(open_frames(path))) == 6


def test_overwriting_a_sequence_leaves_no_frame_of_the_longer_one(tmp_path, matte, clip):
    folder = tmp_path / "out" / "alpha"
    folder.mkdir(parents=True)
    for name in ("0005.png", "0006.png", "9999.png", "notes.txt"):
        (folder / name).write_bytes(b"old")
    assert matte(clip, tmp_path / "out", "--png", "--only", "alpha", "--overwrite")[0] == 0
    assert tree(folder) == [f"{i:04d}.png" for i in range(6)] + ["notes.txt"]
    assert len(list(open_frames(folder))) == 6


@pytest.mark.parametrize("out, options, named", [
    ("a.mp4", ["--png"], ["--png", "a.mp4"]), ("a.png", ["--png"], ["--png", "a.png"]),
    ("out", ["--only", "alpha", "--background", "white"], ["--background", "--only alpha"]),
    ("a.mp4", ["--background", "white", "--only", "foreground"], ["--background", "--only foreground"])])
def test_an_option_that_would_do_nothing_is_refused(tmp_path, matte, clip, out, options, named):
    refused(matte(clip, tmp_path / out, *options), *named)
    assert not (tmp_path / out).exists()


def test_the_input_is_never_overwritten(tmp_path, matte, clip):
    copy = tmp_path / "clip.mp4"
    copy.write_bytes(clip.read_bytes())
    refused(matte(copy, copy, "--overwrite"), copy, "input itself")
    assert copy.read_bytes() == clip.read_bytes()


@pytest.mark.parametrize("output", ["out", "out.mp4", "out.gif", "out.png"])
def test_full_disk(tmp_path, weights, output):
    """A limit of 2 kB per file stands for the disk. The clip is noise and cannot be compressed below that."""
    source = tmp_path / "in.png"
    frames = np.random.default_rng(0).integers(0, 256, (4, 96, 96, 3), dtype=np.uint8)
    if output == "out.png":
        Image.fromarray(frames[0]).save(source)
    else:
        source = write_video(tmp_path / "in.mp4", frames)
    limit = "import resource, signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n" \
            "resource.setrlimit(resource.RLIMIT_FSIZE, (2048, 2048))"
    process = start("matte", source, tmp_path / output, "--weights", weights, "--only", "foreground",
                    before=limit)
    out, err = process.communicate(timeout=60)
    refused((process.returncode, out, err), tmp_path / output, "full")
    assert tree(tmp_path) == [source.name] and not (tmp_path / output).exists()


def test_full_disk_drops_an_unfinished_sequence(tmp_path, matte, clip, monkeypatch):
    """The third image does not fit: the two before it must not pass for the whole sequence."""
    import errno

    save, saved = Image.Image.save, []

    def failing(self, path, *args, **options):
        saved.append(path)
        if len(saved) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        return save(self, path, *args, **options)

    monkeypatch.setattr(Image.Image, "save", failing)
    refused(matte(clip, tmp_path / "out", "--png", "--only", "alpha"), "alpha", "full")
    assert len(saved) == 3 and not (tmp_path / "out").exists()


# -- Ctrl-C -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("options", [[], ["--png"]])
def test_ctrl_c_keeps_the_finished_part(tmp_path, weights, options):
    frames = np.tile(moving_square(20), (60, 1, 1, 1))  # 1200: about half a minute of work
    source = write_video(tmp_path / "long.mkv", frames)
    out = tmp_path / "out"
    process = start("matte", source, out, "--weights", weights, "--size", 64, *options,
                    preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
    deadline = time.monotonic() + 60
    while not (out.exists() and tree(out)) and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.count("\n") == 1 and "Traceback" not in err and "interrupted after" in err
    kept = int(err.split("interrupted after ")[1].split()[0])
    assert 1 <= kept < 1200
    names = [name + ("" if options else ".mp4") for name in ("alpha", "foreground", "composite")]
    assert {path.name for path in out.iterdir()} == set(names)  # no hidden leftovers
    for name in names:
        assert str(out / name) in err
        assert len(list(open_frames(out / name))) == kept


# -- weights ------------------------------------------------------------------------------------------------

def rewritten(weights, path, change):
    """The weight file after change(tensors, metadata)."""
    data = weights.read_bytes()
    metadata = json.loads(data[8:8 + int.from_bytes(data[:8], "little")])["__metadata__"]
    tensors = {name: value.copy() for name, value in parse(data).items()}
    change(tensors, metadata)
    path.write_bytes(serialise(tensors, metadata))
    return path


def cut_short(weights, path):
    data = weights.read_bytes()
    path.write_bytes(data[:len(data) * 7 // 10])


def other_version(weights, path):
    rewritten(weights, path, lambda tensors, metadata: metadata.update(format_version="99"))


def unknown_architecture(weights, path):
    rewritten(weights, path, lambda tensors, metadata: metadata.update(arch='{"name": "resnet50"}'))


def wider_architecture(weights, path):
    """Metadata that promise another width than the tensors have."""
    def change(tensors, metadata):
        metadata["arch"] = metadata["arch"].replace('"neck": 64', '"neck": 96')
        assert '"neck": 96' in metadata["arch"]

    rewritten(weights, path, change)


def not_a_number(weights, path):
    def change(tensors, metadata):
        tensors["theta"][3] = np.nan

    rewritten(weights, path, change)


def a_pickle(weights, path):
    path.write_bytes(pickle.dumps({"weights": [1, 2, 3]}))


def a_checkpoint(weights, path):
    torch.save({"weights": torch.zeros(3)}, path)


def empty_file(weights, path):
    path.write_bytes(b"")


@pytest.mark.parametrize("spoil, words", [
    (cut_short, "cut short"), (other_version, "format version '99'"), (unknown_architecture, "architecture"),
    (wider_architecture, "shape"), (not_a_number, "NaN"), (a_pickle, "pickle"), (a_checkpoint, "pickle"),
    (empty_file, "empty"), (lambda weights, path: None, "no such file")])
def test_weights_that_are_refused(tmp_path, capfd, weights, clip, spoil, words):
    path = tmp_path / "bad.safetensors"
    spoil(weights, path)
    before = tree(tmp_path)
    refused(run(capfd, "matte", clip, tmp_path / "out", "--weights", path), path, words)
    refused(run(capfd, "info", path), path, words)
    assert tree(tmp_path) == before and not (tmp_path / "out").exists()


def test_a_pickle_is_never_executed(tmp_path, capfd, clip):
    class Bomb:
        def __reduce__(self):
            return (tmp_path / "exploded").touch, ()

    (tmp_path / "bomb.safetensors").write_bytes(pickle.dumps(Bomb()))
    (tmp_path / "bomb.pt").write_bytes(pickle.dumps(Bomb()))
    refused(run(capfd, "matte", clip, tmp_path / "out", "--weights", tmp_path / "bomb.safetensors"), "pickle")
    refused(run(capfd, "matte", clip, tmp_path / "out", "--engine", "torch", "--weights",
                tmp_path / "bomb.pt"),
            "bomb.pt")
    assert not (tmp_path / "exploded").exists()


# -- options and the other commands -------------------------------------------------------------------------

def test_options(tmp_path, matte, capfd, clip):
    refused(matte(clip, tmp_path / "out", "--background", "octarine"), "octarine", "#00b140")
    refused(matte(clip, tmp_path / "out", "--background", tmp_path / "beach.jpg"), "beach.jpg")
    refused(matte(clip, tmp_path / "out.avi"), "out.avi", ".mp4")
    refused(matte(clip, tmp_path / "out.png"), "out.png")
    for words in (("matte",), (), ("nonsense",), ("matte", clip, "out", "--size", "8"),
                  ("clips", "out", "--size", "big"), ("evaluate", "--procedural", "0")):
        refused(run(capfd, *words), "--help")
    assert tree(tmp_path) == []


def image(path, size=(64, 48)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, 128).save(path)


def test_evaluate_names_the_file_at_fault(tmp_path, capfd, weights, clip):
    def evaluate(folder):
        return run(capfd, "evaluate", folder, "--weights", weights)

    refused(evaluate(tmp_path / "nowhere"), "nowhere")
    (tmp_path / "hollow").mkdir()
    refused(evaluate(tmp_path / "hollow"), "hollow", "no clip")
    for i in range(2):
        image(tmp_path / f"a/com/000{i}.png")
    image(tmp_path / "a/pha/0000.png")
    refused(evaluate(tmp_path / "a"), tmp_path / "a/pha/0001.png", "missing")
    image(tmp_path / "a/pha/0001.png", (64, 50))
    refused(evaluate(tmp_path / "a"), tmp_path / "a/pha/0001.png", "64x50", "64x48")
    image(tmp_path / "b/pha/0000.png")
    refused(evaluate(tmp_path / "b"), tmp_path / "b/com", "missing")
    (tmp_path / "b/com.mp4").write_bytes(clip.read_bytes())  # six frames
    refused(evaluate(tmp_path / "b"), tmp_path / "b/com.mp4", tmp_path / "b/pha")
    for i in range(7):
        image(tmp_path / f"b/pha/000{i}.png")
    refused(evaluate(tmp_path / "b"), tmp_path / "b/com.mp4", "6 frames", "7 alphas")
    refused(run(capfd, "evaluate", "--weights", weights), "--procedural")


@pytest.mark.parametrize("what, names", [
    ({"method": "reactnet"}, ["'reactnet'"]), ({"method": "float"}, ["float twin"]), ({"masked": False}, ["mask"]),
    ({"broken": True}, ["not finite"]), ({"arch": "rvm", "method": "float"}, ["RVM"])], ids=str)
def test_models_that_no_packed_file_can_hold(what, names, tmp_path, capfd):
    how = {"arch": "small", "method": "bivm", "masked": True, **what}
    broken = how.pop("broken", False)
    model = build(how["arch"], how["method"], how["masked"])
    if broken:
        next(model.parameters()).data.fill_(np.nan)
    recipe = json.loads(json.dumps(dataclasses.asdict(Recipe(**how))))
    torch.save({"recipe": recipe, "model": model.state_dict()}, tmp_path / "model.pt")
    refused(run(capfd, "export", tmp_path / "model.pt", tmp_path / "x.safetensors"), "model.pt", *names)
    assert not (tmp_path / "x.safetensors").exists()
    if how["arch"] == "rvm":
        for words in (("train", "--out", tmp_path / "out", "--init"), ("train", "--out", tmp_path / "out", "--teacher"),
                      ("search", "--out", tmp_path / "out", "--init"),
                      ("evaluate", "--procedural", 1, "--engine", "torch", "--weights")):
            refused(run(capfd, *words, tmp_path / "model.pt"), "model.pt", "RVM")


def test_training_commands(tmp_path, capfd):
    (tmp_path / "garbage.pt").write_bytes(b"not a model")
    out = tmp_path / "out"
    refused(run(capfd, "export", tmp_path / "garbage.pt", tmp_path / "x.safetensors"), "garbage.pt")
    refused(run(capfd, "export", tmp_path / "nowhere.pt", tmp_path / "x.safetensors"), "nowhere.pt")
    refused(run(capfd, "export", tmp_path / "garbage.pt", tmp_path / "x.bin"), "x.bin", ".safetensors")
    refused(run(capfd, "train", "--out", out, "--init", tmp_path / "nowhere.pt"), "nowhere.pt")
    refused(run(capfd, "train", "--out", tmp_path / "garbage.pt"), "garbage.pt")
    refused(run(capfd, "train", "--out", out, "--people", tmp_path / "nobody", "--workers", "0"), "nobody")
    refused(run(capfd, "clips", tmp_path / "clips", "--people", tmp_path / "nobody"), "nobody")
    assert not (tmp_path / "x.safetensors").exists() and not (tmp_path / "clips").exists()
