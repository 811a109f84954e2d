"""Measured active shares: what is measured, the file that keeps it, and `bivm-ref cost`, which reads it."""

import argparse
import hashlib
import json
import re
import shutil

import numpy as np
import pytest
from cli_tools import ROOT, moving_square, run, write_random_weights, write_video

from bivm_ref import active, cost_table, evaluate
from bivm_ref.arch import preset
from bivm_ref.clips import procedural_clip
from bivm_ref.cost import total_operations
from bivm_ref.elementwise import strict_operations
from bivm_ref.errors import UserError
from bivm_ref.packed import PackedBiVM


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return write_random_weights(tmp_path_factory.mktemp("weights") / "random.safetensors")


@pytest.fixture
def record():
    """Shares that differ from scale to scale, as a network with masks of its own for each would have."""
    shares = {"8": 0.5, "4": 0.4, "2": 0.3, "1": 0.2}
    return {"file": "none", "sha256": "0", "date": "2026-01-02T03:04:05+00:00", "network_size": 512,
            "trained_size": 256,
            "shares": {scale: {"mean": share, "interval": [0.1, 0.6]} for scale, share in shares.items()},
            "clips": [{"clip": "seed 1", "source": "procedural", "frames": 8, "active": shares}]}


# -- measuring --

def test_measured_is_what_the_engine_says(tmp_path, weights):
    """Two procedural clips and a sample, beside the mask of the engine, frame by frame."""
    (tmp_path / "square").mkdir()
    write_video(tmp_path / "square" / "com.mp4", moving_square(3))
    ticks = []
    found = active.measure(weights, 2, samples=tmp_path, tick=lambda: ticks.append(1))
    net, means = PackedBiVM.load(weights, size=512), []
    for seed in (evaluate.HELD_OUT_SEED, evaluate.HELD_OUT_SEED + 1):
        net.reset()
        cells = []
        for frame in procedural_clip(seed, 8, 288, 512).frames:
            net.step(frame)
            cells.append(net.mask.mean())
        means.append(np.mean(cells))
    assert [row["source"] for row in found["clips"]] == ["procedural", "procedural", "sample"] and len(ticks) == 3
    for row, mean in zip(found["clips"], means):
        assert row["active"] == dict.fromkeys("8421", pytest.approx(mean, abs=1e-4)) and row["frames"] == 8
    assert found["clips"][2]["clip"] == "square" and found["clips"][2]["frames"] == 3
    assert found["shares"]["4"]["mean"] == pytest.approx(np.mean(means), abs=1e-4)
    low, high = found["shares"]["4"]["interval"]
    assert low == pytest.approx(min(means), abs=1e-4) and high == pytest.approx(max(means), abs=1e-4)
    assert found["sha256"] == active.fingerprint(weights) and len(found["sha256"]) == 64
    assert active.find_problem(found) is None


@pytest.mark.parametrize("count, seed", [(0, evaluate.HELD_OUT_SEED), (1, 0), (2, 10_999_999)])
def test_only_held_out_clips(weights, count, seed):
    with pytest.raises(ValueError, match="held out"):
        active.measure(weights, count, seed)


def test_interval_covers_the_mean():
    """Of a share with standard deviation 0.1, 64 clips: the mean's is 0.0125, a 95 % interval 4 of those wide."""
    values = np.random.default_rng(5).normal(0.4, 0.1, 64)
    low, high = active.interval(values)
    assert low < values.mean() < high and high - low == pytest.approx(4 * 0.0125, rel=0.25)
    assert active.interval([0.3]) is None and active.interval([0.3, 0.3]) == [0.3, 0.3]


# -- the file --

def test_a_network_is_added_and_replaced(tmp_path, record):
    path = tmp_path / "new" / "shares.json"
    active.write(path, {"small": record})
    active.write(path, {"default": {**record, "date": "2026-02-03"}})
    active.write(path, {"small": {**record, "date": "2026-03-04"}})
    held = active.read(path)
    assert {name: r["date"] for name, r in held.items()} == {"small": "2026-03-04", "default": "2026-02-03"}
    assert active.shares(held["small"]) == {8: 0.5, 4: 0.4, 2: 0.3, 1: 0.2}
    assert [p.name for p in path.parent.iterdir()] == ["shares.json"]


def test_the_file_that_comes_with_us_is_consistent():
    """Means are those of its clips, inside their intervals; every network has all clips."""
    for name, held in active.read().items():
        assert held["file"] == f"{name}.safetensors"
        file = ROOT / "bivm_ref" / "weights" / held["file"]
        assert held["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest(), "measure anew: bivm-ref cost --measure"
        drawn = [clip["active"] for clip in held["clips"] if clip["source"] == "procedural"]
        assert len(drawn) == held["seeds"][1] - held["seeds"][0] + 1 >= 16
        for scale, share in held["shares"].items():
            assert share["mean"] == pytest.approx(np.mean([clip[scale] for clip in drawn]), abs=1e-3)
            assert share["interval"][0] <= share["mean"] <= share["interval"][1]
        assert {"portrait", "procedural", "rendered"} <= {clip["clip"] for clip in held["clips"]}


def damage(change):
    def apply(data):
        change(data["networks"]["small"])
        return json.dumps(data)
    return apply


DAMAGED = {
    "unknown scale '3'": damage(lambda r: r["shares"].update({"3": {"mean": 0.5}})),
    "no share for scale 2": damage(lambda r: r["shares"].pop("2")),
    "is 1.2, not a number": damage(lambda r: r["shares"]["8"].update(mean=1.2)),
    "is -0.1, not a number": damage(lambda r: r["shares"]["1"].update(mean=-0.1)),
    "is 'much', not a number": damage(lambda r: r["shares"]["1"].update(mean="much")),
    "is nan, not a number": damage(lambda r: r["shares"]["1"].update(mean=float("nan"))),
    "is None, not a number": damage(lambda r: r["shares"].update({"4": {}})),
    "no interval": damage(lambda r: r["shares"]["1"].update(interval=[0.1])),
    "no clip": damage(lambda r: r["clips"].append({"clip": "x"})),
    "no list of clips": damage(lambda r: r.pop("clips")),
    "no shares in it": damage(lambda r: r.update(shares=[0.5])),
    "not a file of active shares": lambda data: json.dumps([1]),
    "schema 1": lambda data: json.dumps({**data, "schema": 2}),
    "not JSON": lambda data: json.dumps(data)[:-20],
    "has no shares of 'default'": json.dumps,
}


@pytest.mark.parametrize("message", DAMAGED)
def test_a_damaged_file_is_one_line(capfd, tmp_path, record, message):
    path = tmp_path / "shares.json"
    path.write_text(DAMAGED[message]({"schema": 1, "networks": {"small": record}}), encoding="utf-8")
    code, out, err = run(capfd, "cost", "--shares", path)
    assert code == 2 and out == "" and err.count("\n") == 1, err
    assert err.startswith(f"bivm-ref: error: {path}: ") and message in err and "; " in err


@pytest.mark.parametrize("words, names", [
    (["--shares", "nowhere.json"], ["nowhere.json", "--measure"]),
    (["--weights", "README.md"], ["README.md", "bivm-ref export"]),
    (["--weights", "nowhere.safetensors"], ["nowhere.safetensors"]),
    (["--active", "1.5"], ["[0, 1]", "1.5"]), (["--active", "half"], ["half"]), (["--active", "nan"], ["nan"]),
    (["--ratio", "2", "--size", "64x64"], ["ratio"]), (["--ratio", "0.5"], ["--size"]), (["--write"], ["--measure"]),
    (["--size", "0x0"], ["0x0"]), (["--measure", "0"], ["at least 1"]), (["--preset", "huge"], ["huge"]),
    (["--dense", "--active", "0.3"], ["not allowed"]), (["--preset", "small", "--weights", "x"], ["not allowed"])])
def test_mistakes_are_one_line(capfd, words, names):
    code, out, err = run(capfd, "cost", *words)
    assert code == 2 and out == "" and err.count("\n") == 1 and all(name in err for name in names), err


# -- the command --

def answer(capfd, *words) -> dict:
    code, out, err = run(capfd, "cost", "--json", *words)
    assert code == 0, err
    return json.loads(out)


def rows_of(part: dict, network: str) -> list[dict]:
    return [row for row in part["rows"] if row["network"] == network]


def test_the_table(capfd, tmp_path, record):
    """Every figure of our rows is the cost model's, with a share of its own for each scale."""
    path = tmp_path / "shares.json"
    active.write(path, {"small": record})
    data = answer(capfd, "--preset", "small", "--shares", path)
    arch, shares = preset("small"), active.shares(record)
    for part, size in zip(data["frames"], ((512, 288, 1.0), (1920, 1080, 0.25)), strict=True):
        width, height, ratio = size
        (rvm, *_), (dense, masked) = rows_of(part, "RVM"), rows_of(part, "small")
        assert dense["operations"] == total_operations(arch, width, height, ratio=ratio)
        assert masked["operations"] == total_operations(arch, width, height, shares, ratio)
        assert dense["strict"] == strict_operations(arch, width, height, ratio=ratio, dense=True)
        assert masked["strict"] == strict_operations(arch, width, height, shares, ratio)
        assert masked["operations"] == masked["float_macs"] + masked["binary_macs"] / 64
        for row in (dense, masked):
            assert row["ratio"] == rvm["operations"] / row["operations"]
            assert row["strict_ratio"] == rvm["strict"] / row["strict"] < row["ratio"]
            assert row["bytes_ratio"] == rvm["bytes"] / row["bytes"]
    assert data["shares"]["small"]["note"].endswith("measures anew")  # of another file


def test_the_claim_is_reached_by_the_shipped_shares(capfd):
    """The bar of the default network: 14.3 times fewer operations by the field's rule, 21.6 times fewer bytes."""
    last = rows_of(answer(capfd, "--preset", "default")["frames"][0], "default")[-1]
    assert "active" in last["how"] and last["ratio"] >= 14.3 and last["bytes_ratio"] >= 21.6


def test_other_sizes_and_shares(capfd):
    data = answer(capfd, "--preset", "small", "--size", "1280x720", "--active", "0.3")
    (part,), arch = data["frames"], preset("small")
    assert (part["ratio"], part["network_size"], part["refiner"]) == (0.4, [512, 288], True)
    assert rows_of(part, "small")[-1]["operations"] == total_operations(arch, 1280, 720, 0.3, 0.4)
    data = answer(capfd, "--preset", "small", "--size", "1280x720", "--ratio", "1", "--dense")
    (row,) = rows_of(data["frames"][0], "small")
    assert row["operations"] == total_operations(arch, 1280, 720) and not data["frames"][0]["refiner"]


@pytest.mark.parametrize("share", [["--dense"], ["--active", "0.25"]])
def test_layers_add_up_to_the_table(capfd, share):
    data = answer(capfd, "--preset", "default", "--layers", "--size", "640x360", *share)
    (part,), row = data["layers"], rows_of(data["frames"][0], "default")[-1]
    assert sum(r.get("operations", 0) for r in part["rows"]) == pytest.approx(row["operations"])
    assert sum(r.get("operations", 0) + r["elementwise"] for r in part["rows"]) == pytest.approx(row["strict"])
    assert {r["active"] for r in part["rows"] if "active" in r} == ({1.0} if share == ["--dense"] else {0.25, 1.0})


def test_a_file_of_ones_own(capfd, tmp_path, weights):
    data = answer(capfd, "--weights", weights, "--active", "0.5")
    assert data["storage"]["small"]["file"] == weights.stat().st_size == rows_of(data["frames"][0], "small")[0]["bytes"]


def test_measure_and_write(capfd, tmp_path, weights, monkeypatch):
    """What was measured is used at once, kept, and read again without a word about another file."""
    (tmp_path / "data_samples").mkdir()
    monkeypatch.setattr(active, "ROOT", tmp_path)
    monkeypatch.setattr(active, "FRAMES", 1)
    path, own = tmp_path / "shares.json", tmp_path / "mine.safetensors"
    shutil.copy(weights, own)
    first = answer(capfd, "--weights", own, "--measure", "2", "--write", "--shares", path)
    held = active.read(path)["small"]
    assert held["command"] == "bivm-ref cost --measure 2 --write" and held["file"] == "mine.safetensors"
    again = answer(capfd, "--weights", own, "--shares", path)
    assert again == first and again["shares"]["small"]["note"] == ""
    assert answer(capfd, "--shares", path, "--preset", "small")["shares"]["small"]["note"] != ""


def test_a_file_that_cannot_be_kept_is_found_before_the_wait(capfd, tmp_path, monkeypatch):
    path = tmp_path / "shares.json"
    path.write_text("mine", encoding="utf-8")
    monkeypatch.setattr(active, "measure", lambda *words, **options: pytest.fail("measured for nothing"))
    code, out, err = run(capfd, "cost", "--measure", "1", "--write", "--shares", path)
    assert (code, out) == (2, "") and str(path) in err and path.read_text(encoding="utf-8") == "mine"


def test_text_says_the_same_as_the_figures(capfd):
    code, out, err = run(capfd, "cost", "--active", "0.3", "--layers")
    assert (code, err) == (0, "")
    assert "RVM, published" in out and "BiMatting, published" in out and "the paper's claim" in out
    ours = next(line for line in out.splitlines() if line.startswith("  default, 30 % active"))
    arch = preset("default")
    operations, strict = (f"{count(arch, active=0.3) / 1e9:.3f}" for count in (total_operations, strict_operations))
    assert f" {operations} " in ours and f" {strict} " in ours
    assert re.search(r"default, 30 % active: [\d.]+x and [\d.]+x, both reached", out)
    assert "encoder.f1" in out and "decoder.d0.detail" in out
    assert not [line for line in out.splitlines() if line != line.rstrip() or len(line) > 130]


def test_one_network_without_a_file(tmp_path, monkeypatch):
    """A preset whose weights are not there is counted from its description, but cannot be measured."""
    (tmp_path / "weights").mkdir()
    monkeypatch.setattr(cost_table.weights, "default_weights", lambda: tmp_path / "weights" / "small.safetensors")
    args = argparse.Namespace(weights=None, preset="small", measure=None, write=False, ratio=None, size=None,
                              dense=True, active=None, shares=None, layers=False)
    data = cost_table.report(args)
    assert data["storage"]["small"]["file"] is None
    assert rows_of(data["frames"][0], "small")[0]["bytes"] == data["storage"]["small"]["bytes"]
    args.dense, args.measure = False, 1
    with pytest.raises(UserError, match="no weight file"):
        cost_table.report(args)
