"""The commands do what they say: products hand-worked with a stub engine, then everything through
`bivm-ref`."""

import json
import struct
from fractions import Fraction

import av
import numpy as np
import pytest
from cli_tools import moving_square, run, start, tree, write_random_weights, write_video
from PIL import Image

from bivm_ref import demo, doctor, evaluate
from bivm_ref.clips import procedural_clip
from bivm_ref.errors import UserError
from bivm_ref.matte import load_engine, matte
from bivm_ref.packed import PackedBiVM
from bivm_ref.packed import weights as packed_weights
from bivm_ref.sheet import contact_sheet
from bivm_ref.video import open_frames

COMMANDS = ("matte", "info", "evaluate", "train", "search", "export", "grow", "compare", "clips", "bench",
            "cost", "doctor")


class Stub:
    """alpha: a constant per column; foreground: the frame. Counts resets."""

    def __init__(self, columns):
        self.columns, self.resets = np.asarray(columns, np.float32), 0

    def reset(self):
        self.resets += 1

    def step(self, frame):
        alpha = np.broadcast_to(self.columns, frame.shape[:2])
        return alpha, frame.astype(np.float32) / np.float32(255)


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    return write_random_weights(tmp_path_factory.mktemp("weights") / "random.safetensors")


@pytest.fixture(scope="session")
def clip(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("clips") / "clip.mp4", moving_square(5), Fraction(30000, 1001))


@pytest.fixture
def images(tmp_path):
    """A folder of three 4x2 images of one grey, 100."""
    folder = tmp_path / "frames"
    folder.mkdir()
    for i in range(3):
        Image.new("RGB", (4, 2), (100, 100, 100)).save(folder / f"{i}.png")
    return folder


def pixels(path) -> np.ndarray:
    with Image.open(path) as image:
        return np.array(image)


# -- the job, with a stub engine ----------------------------------------------------------------------------

def test_products_by_hand(tmp_path, images):
    """alpha 0, 0.2, 0.5, 1 over grey 100: the composite on 200 is 200 - 100 * alpha."""
    engine = Stub([0, 0.2, 0.5, 1])
    report = matte(images, tmp_path / "out", engine, background="rgb(200, 200, 200)")
    assert (report.frames, report.warnings, report.interrupted, engine.resets) == (3, [], False, 1)
    assert report.outputs == [tmp_path / "out" / name for name in ("alpha", "foreground", "composite")]
    assert tree(tmp_path / "out") == [f"{name}/000{i}.png" for name in ("alpha", "composite", "foreground")
                                      for i in range(3)]
    row = [0, 51, 128, 255]
    assert pixels(tmp_path / "out/alpha/0002.png").tolist() == [row, row]
    assert pixels(tmp_path / "out/composite/0000.png")[0].tolist() == [[v] * 3 for v in (200, 180, 150, 100)]
    cutout = [[0, 0, 0, 0], [100, 100, 100, 51], [100, 100, 100, 128], [100, 100, 100, 255]]
    assert pixels(tmp_path / "out/foreground/0001.png")[1].tolist() == cutout


@pytest.mark.parametrize("options, expected", [
    ({}, [0, 51, 128, 255]), ({"background": "black"}, [[v] * 3 for v in (0, 20, 50, 100)]),
    ({"only": "composite"}, [[0, 177, 64], [20, 162, 71], [50, 138, 82], [100, 100, 100]]),
    ({"only": "foreground"},
     [[0, 0, 0, 0], [100, 100, 100, 51], [100, 100, 100, 128], [100, 100, 100, 255]])])
def test_one_image(tmp_path, images, options, expected):
    """The composite's default background is the green (0, 177, 64): 0.8 * 177 + 0.2 * 100 = 161.6, and so
    on."""
    matte(images / "0.png", tmp_path / "out.png", Stub([0, 0.2, 0.5, 1]), **options)
    found = pixels(tmp_path / "out.png")[0]
    assert np.abs(found.astype(int) - expected).max() <= (1 if options == {"only": "composite"} else 0)


def test_one_image_into_a_folder_and_as_jpeg(tmp_path, images):
    matte(images / "0.png", tmp_path / "out", Stub([1, 1, 0, 0]))
    assert tree(tmp_path / "out") == ["alpha.png", "composite.png", "foreground.png"]
    matte(images / "0.png", tmp_path / "out.jpg", Stub([1, 1, 1, 1]), only="foreground")  # JPEG has no alpha
    assert np.abs(pixels(tmp_path / "out.jpg").astype(int) - 100).max() <= 2


def test_a_background_image_covers_the_frame(tmp_path, images):
    """8x8, left half black, right half white; a 4x2 frame sees its middle: two columns of each."""
    halves = np.repeat(np.repeat([[0, 255]], 4, 1), 8, 0).astype(np.uint8)
    Image.fromarray(halves).save(tmp_path / "halves.png")
    matte(images / "0.png", tmp_path / "out.png", Stub([0, 0, 0, 0]), background=str(tmp_path / "halves.png"))
    found = pixels(tmp_path / "out.png").astype(int)
    assert found[:, 0].max() < 40 and found[:, 3].min() > 215


@pytest.mark.parametrize("name", ["out.mp4", "out.mov", "out.mkv", "out.webm"])
def test_video_keeps_rate_size_and_length(tmp_path, clip, name):
    matte(clip, tmp_path / name, Stub(np.repeat([0, 1], 32)))
    reader = open_frames(tmp_path / name)
    frames = list(reader)
    assert (reader.fps, reader.size, len(frames)) == (Fraction(30000, 1001), (64, 48), 5)
    assert frames[3][:, :28].max() < 12 and frames[3][:, 36:].min() > 243


def test_rotation_is_applied(tmp_path):
    """A phone's video: 64x48 stored, a quarter turn in its header (ISO 14496-12, matrix of the track
    header)."""
    path = write_video(tmp_path / "phone.mp4", moving_square(3))
    data, one = bytearray(path.read_bytes()), 1 << 16
    at = data.index(b"tkhd") + 44
    data[at:at + 36] = struct.pack(">9i", 0, one, 0, -one, 0, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    matte(path, tmp_path / "out", Stub(np.ones(48)))
    assert {open_frames(p).size for p in (tmp_path / "out").iterdir()} == {(48, 64)}


def test_frames_are_streamed(tmp_path, clip, monkeypatch):
    """Frame t is matted and written before frame t + 1 is read: memory does not grow with the clip."""
    log = []
    reader = open_frames(clip)
    original = reader._start

    def logged(warnings):
        for i, frame in enumerate(original(warnings)):
            log.append(f"read {i}")
            yield frame

    reader._start = logged
    monkeypatch.setattr("bivm_ref.matte.open_frames", lambda source: reader)
    matte(clip, tmp_path / "out", Stub(np.ones(64)), on_frame=lambda i, *rest: log.append(f"done {i}"))
    assert log == [f"{verb} {i}" for i in range(5) for verb in ("read", "done")]


def test_an_engine_that_fails_leaves_nothing(tmp_path, clip):
    class Failing(Stub):
        def step(self, frame):
            self.columns[0] += 1
            if self.columns[0] > 3:
                raise RuntimeError("engine")
            return super().step(frame)

    for options in ({}, {"png": True}):
        with pytest.raises(RuntimeError, match="engine"):
            matte(clip, tmp_path / "deep" / "out", Failing(np.zeros(64)), **options)
        assert list(tmp_path.iterdir()) == []


# -- bivm-ref -----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("command", COMMANDS)
def test_help_answers_with_an_example(capfd, command):
    code, out, err = run(capfd, command, "--help")
    assert code == 0 and err == "" and f"bivm-ref {command}" in out.split("example:")[1]


def test_ground_floor_commands_import_no_torch(tmp_path, weights, clip):
    """torch is blocked: matte works, and what needs torch says so in one line."""
    block = "import sys\nsys.modules['torch'] = None"
    process = start("matte", clip, tmp_path / "out.mp4", "--weights", weights, "--size", 64, before=block)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "") and out.startswith("5 frames")
    process = start("train", "--out", tmp_path / "run", before=block)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 2 and err.count("\n") == 1 and "pip install 'bivm_ref[train]'" in err


def test_matte_runs_both_engines_alike(tmp_path, capfd, weights, clip):
    for engine in ("packed", "torch"):
        code, out, err = run(capfd, "matte", clip, tmp_path / engine, "--engine", engine, "--weights",
                             weights, "--size", 48, "--png", "--json")
        answer = json.loads(out)
        assert (code, err, answer["frames"], len(answer["outputs"])) == (0, "", 5, 3)
    for name in tree(tmp_path / "packed"):
        packed, torch = pixels(tmp_path / "packed" / name), pixels(tmp_path / "torch" / name)
        assert np.abs(packed.astype(int) - torch).max() <= 1  # a rounding apart
        if name.startswith("alpha"):
            assert packed.std() > 1


def test_info_adds_up(capfd, weights):
    code, out, _ = run(capfd, "info", weights, "--json")
    answer = json.loads(out)
    assert code == 0 and answer["arch"] == "small"
    assert sum(answer["sections"].values()) == answer["bytes"] == weights.stat().st_size
    assert answer["provenance"]["seed"] == 0 and answer["figures"] == {"MAD": 1.25}
    assert {row["kind"] for row in answer["layers"]} == {"packed", "fixed", "float"}
    assert all(row["why"] for row in answer["layers"])
    code, out, _ = run(capfd, "info", weights)
    assert code == 0
    for words in (f"{weights.stat().st_size:,}", "decoder.d0.detail", "MAD: 1.25"):
        assert words in out


def test_clips_are_what_evaluate_reads(tmp_path, capfd, weights):
    code, _, _ = run(capfd, "clips", tmp_path / "clips", "--count", 2, "--size", "64x48", "--frames", 3,
                     "--seed", 7)
    assert code == 0
    assert tree(tmp_path / "clips") == [f"000{i}/{part}/000{t}.png" for i in range(2)
                                        for part in ("com", "fgr", "pha") for t in range(3)
                                        ] + ["contact_sheet.png"]
    code, out, _ = run(capfd, "evaluate", tmp_path / "clips", "--weights", weights, "--json")
    answer = json.loads(out)
    assert code == 0 and [row["clip"] for row in answer["clips"]] == ["0000", "0001"]
    true = np.stack([pixels(tmp_path / f"clips/0001/pha/000{t}.png") for t in range(3)]) / 255
    net = PackedBiVM.load(weights)
    mine = np.stack([net.step(pixels(tmp_path / f"clips/0001/com/000{t}.png"))[0] for t in range(3)])
    row = answer["clips"][1]
    assert row["MAD"] == pytest.approx(1e3 * np.abs(mine - true).mean(), rel=1e-5)
    assert row["zero_MAD"] == pytest.approx(1e3 * true.mean(), rel=1e-5)
    assert answer["mean"]["MSE"] == pytest.approx(np.mean([r["MSE"] for r in answer["clips"]]))
    code, out, _ = run(capfd, "evaluate", tmp_path / "clips/0001", "--weights", weights, "--fast")
    assert code == 0 and "Grad" not in out and f"{row['MAD']:.2f}" in out.splitlines()[1].split()


def test_train_export_info(tmp_path, capfd):
    """One step, the file, its sections: the whole line, end to end. A second run of the same command is
    done."""
    words = ("train", "--out", tmp_path / "run", "--steps", 1, "--workers", 0)
    assert run(capfd, *words)[0] == 0
    code, out, err = run(capfd, "export", tmp_path / "run/model.pt", tmp_path / "net.safetensors", "--json")
    assert code == 0 and err == ""
    assert json.loads(out)["bytes"] == (tmp_path / "net.safetensors").stat().st_size
    assert packed_weights.load(tmp_path / "net.safetensors")[2]["provenance"]["recipe"]["seed"] == 0
    code, _, err = run(capfd, "export", tmp_path / "run/model.pt", tmp_path / "net.safetensors")
    assert code == 2 and "--overwrite" in err
    assert run(capfd, *words)[0] == 0
    code, _, err = run(capfd, "train", "--out", tmp_path / "run", "--steps", 2, "--workers", 0)
    assert code == 2 and err.count("\n") == 1 and "another recipe" in err
    code, _, err = run(capfd, "train", "--preset", "default", "--init", tmp_path / "run/model.pt", "--out",
                       tmp_path)
    assert code == 2 and "--preset small" in err


def test_ctrl_c_in_training(tmp_path, capfd, monkeypatch):
    def interrupted(recipe, folder, *rest, **options):
        (folder / "checkpoint.pt").write_bytes(b"state")
        raise KeyboardInterrupt

    monkeypatch.setattr("bivm_ref.learn.train.train", interrupted)
    code, _, err = run(capfd, "train", "--out", tmp_path / "run")
    assert code == 130 and err.count("\n") == 1 and str(tmp_path / "run/checkpoint.pt") in err


def test_doctor(capfd, monkeypatch, weights):
    monkeypatch.setattr(packed_weights, "default_weights", lambda: weights)
    code, out, err = run(capfd, "doctor", "--json")
    answer = json.loads(out)
    assert code == 0 and err == "" and answer["healthy"]
    names = {check["name"] for check in answer["checks"]}
    assert {"numpy", "bitwise_count", "codec libx264", "kernels", "weights", "frame time"} <= names

    def gone():
        raise UserError("weights/SHIPPED: this copy ships no network")

    monkeypatch.setattr(packed_weights, "default_weights", gone)
    code, out, _ = run(capfd, "doctor")
    assert code == 1 and "MISSING weights" in out and "reinstall" in out


def test_doctor_finds_wrong_sums(monkeypatch):
    monkeypatch.setattr("bivm_ref.packed.kernels.XorPopcount.half_dot",
                        lambda self, taps, n: np.zeros((n, self.cout), int))
    check = doctor._kernels()
    assert not check.ok and "xor" in check.found and "table" not in check.found


# -- evaluation ---------------------------------------------------------------------------------------------

def test_figures_of_known_predictors():
    """Half everywhere against 0, 0, 1, 1: MAD 500, MSE 250, no flicker. The truth itself: all 0."""
    true = np.broadcast_to(np.array([0, 0, 1, 1], np.float32), (3, 2, 4))
    frames = np.zeros((3, 2, 4, 3), np.uint8)
    engine = Stub([0.5] * 4)
    row = evaluate.evaluate_clip("half", zip(frames, true), engine)
    assert (row["clip"], row["frames"], row["MAD"], row["MSE"], row["dtSSD"]) == ("half", 3, 500, 250, 0)
    assert row["zero_MAD"] == 500 and engine.resets == 1
    row = evaluate.evaluate_clip("truth", zip(frames, true), Stub([0, 0, 1, 1]))
    assert [row[name] for name in ("MAD", "MSE", "Grad", "Conn", "dtSSD")] == [0] * 5
    mean = evaluate.mean_row([row, {**row, "MAD": 4.0, "dtSSD": float("nan")}])
    assert (mean["MAD"], mean["dtSSD"], mean["frames"]) == (2, 0, 6)


def test_procedural_evaluation_is_held_out_and_seeded():
    rows = evaluate.evaluate_procedural(2, Stub(np.zeros(256)), fast=True)
    for i, row in enumerate(rows):
        clip = procedural_clip(10_003_000 + i, frames=8, height=144, width=256)
        assert row["MAD"] == row["zero_MAD"] == pytest.approx(1e3 * clip.alpha.mean(), rel=1e-5)
        assert "Grad" not in row
    (row,) = evaluate.evaluate_procedural(1, Stub(np.zeros(256)), fast=True, first_seed=10_000_007, wild=True)
    wild = procedural_clip(10_000_007, frames=8, height=144, width=256, wild=True)
    assert row["zero_MAD"] == pytest.approx(1e3 * wild.alpha.mean(), rel=1e-5)
    for first in (0, 10_999_999):
        with pytest.raises(UserError, match="10,000,000 to 10,999,999"):
            evaluate.evaluate_procedural(2, Stub(np.zeros(256)), first_seed=first)


def test_procedural_options_need_procedural_clips(tmp_path, capfd):
    for option in (["--wild"], ["--first-seed", 10_003_000]):
        code, _, err = run(capfd, "evaluate", tmp_path, *option)
        assert code == 2 and "add --procedural N" in err


def test_frames_may_be_a_video_and_clips_lie_deep(tmp_path, clip):
    """sets/easy/b holds com.mp4, sets/easy/a a folder; one is bright where the other is dark."""
    for name, level in (("a", 255), ("b", 0)):
        folder = tmp_path / "sets/easy" / name
        (folder / "pha").mkdir(parents=True)
        for i in range(5):
            Image.new("L", (64, 48), level).save(folder / f"pha/{i}.png")
    (tmp_path / "sets/easy/b/com.mp4").write_bytes(clip.read_bytes())
    (tmp_path / "sets/easy/a/com").mkdir()
    for i in range(5):
        Image.new("RGB", (64, 48)).save(tmp_path / f"sets/easy/a/com/{i}.jpg")
    rows = evaluate.evaluate_folder(tmp_path / "sets", Stub(np.full(64, 0.25)))
    found = [(row["clip"], row["frames"], row["MAD"]) for row in rows]
    assert found == [("easy/a", 5, 750), ("easy/b", 5, 250)]


def test_load_engine_refuses_other_names():
    with pytest.raises(ValueError, match="packed or torch"):
        load_engine("onnx")


# -- the demo -----------------------------------------------------------------------------------------------

def test_demo(tmp_path, capfd, weights):
    for seed in (1, 2):
        made = procedural_clip(seed, frames=4, height=48, width=64)
        folder = tmp_path / f"samples/clip{seed}"
        (folder / "pha").mkdir(parents=True)
        write_video(folder / "com.mp4", made.frames)
        for i, alpha in enumerate(made.alpha):
            Image.fromarray(np.rint(255 * alpha).astype(np.uint8)).save(folder / f"pha/{i:04d}.png")
    (tmp_path / "samples/README.md").write_text("not a clip")
    words = ["--samples", str(tmp_path / "samples"), "--out", str(tmp_path / "out"), "--weights",
             str(weights)]
    for _ in range(2):  # the second run overwrites
        assert demo.main(words) == 0
        out, err = capfd.readouterr()
        assert err == ""
        videos = [f"clip{i}/{name}.mp4" for i in (1, 2) for name in ("alpha", "composite", "foreground")]
        assert tree(tmp_path / "out") == [*videos, "contact_sheet.png"]
        assert len(list(open_frames(tmp_path / "out/clip2/alpha.mp4"))) == 4
    sheet = pixels(tmp_path / "out/contact_sheet.png")
    assert sheet.shape[1] > 4 * 200 and sheet.shape[0] > 6 * 100  # four columns, three frames of two clips
    rows = evaluate.evaluate_folder(tmp_path / "samples", PackedBiVM.load(weights), fast=True)
    for row, line in zip(rows, out.splitlines()[1:]):
        assert line.split()[:5] == [row["clip"], "4", *(f"{row[key]:.2f}" for key in ("MAD", "MSE", "dtSSD"))]
    assert f"{weights.stat().st_size:,} bytes" in out and "peak memory" in out
    assert demo.main(["--samples", str(tmp_path), "--weights", str(weights)]) == 2


def test_contact_sheet_places_pictures():
    red, blue = np.full((10, 20, 3), (255, 0, 0), np.uint8), np.full((10, 20, 3), (0, 0, 255), np.uint8)
    sheet = contact_sheet(("a", "b"), [("first", [red, blue]), ("second", [blue, red])])
    def is_(colour):
        return (sheet == colour).all(-1)
    assert is_((255, 0, 0)).sum() == is_((0, 0, 255)).sum() == 2 * 256 * 128
    ys, xs = np.nonzero(is_((255, 0, 0)))
    assert xs[ys.argmin()] < sheet.shape[1] / 2 < xs[ys.argmax()]  # left in row one, right in row two
    with pytest.raises(ValueError, match="columns"):
        contact_sheet(("a", "b"), [("short", [red])])


def test_written_videos_name_their_rate_in_the_header(tmp_path, clip):
    """By PyAV alone, so that our reader does not confirm our writer."""
    matte(clip, tmp_path / "out.mp4", Stub(np.ones(64)))
    with av.open(str(tmp_path / "out.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.average_rate == Fraction(30000, 1001) and stream.frames == 5
