"""The comparison: runs that resume, results that cannot mix, intervals with known answers."""

import dataclasses
import json
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pytest
import torch

from bivm_ref import results
from bivm_ref.cli import main
from bivm_ref.clips import HELD_OUT
from bivm_ref.errors import UserError
from bivm_ref.learn import compare as library
from bivm_ref.learn.compare import ARMS, CLIPS_FROM, Protocol, append, compare, run_one
from bivm_ref.learn.datasets import MixedClips
from bivm_ref.learn.store import load_model, load_state
from bivm_ref.net.binarize import METHODS
from tools import refresh_results as tool

TINY = Protocol(steps=2, height=32, width=48, batch=2, frames=2, bf16=False, clips=2, clip_frames=2)


def rows_of(values: dict[str, list[list[float]]]) -> list[dict]:
    """{arm: [[a figure per clip] per seed]} as rows."""
    return [{"arm": arm, "seed": seed, "MAD": clips}
            for arm, seeds in values.items() for seed, clips in enumerate(seeds)]


# -- statistics ---------------------------------------------------------------------------------------------------

def test_means_and_intervals_of_what_does_not_vary():
    found = results.summary(rows_of({"a": [[5.0, 5.0]] * 3, "b": [[1.0, 3.0]]}))
    assert found["a"] == {"mean": 5.0, "low": 5.0, "high": 5.0, "seeds": 3}
    assert found["b"] == {"mean": 2.0, "low": 1.0, "high": 3.0, "seeds": 1}


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    """Seeds and clips both vary (normal, known mean): 95 % intervals hold the truth in at least 80 % of 60 repeats
    with 8 seeds and 40 clips (a bootstrap of few seeds is a little narrow, never this much)."""
    rng, inside = np.random.default_rng(0), 0
    for repeat in range(60):
        values = 50 + 4 * rng.normal(size=(8, 1)) + 10 * rng.normal(size=(1, 40)) + rng.normal(size=(8, 40))
        row = results.summary(rows_of({"a": values.tolist()}), seed=repeat)["a"]
        inside += row["low"] <= 50 <= row["high"]
    assert 48 <= inside <= 60


def test_a_paired_ratio_is_sharper_than_its_parts():
    """b = 0.8 a in every clip: the ratio has no spread though both means do."""
    rng = np.random.default_rng(1)
    a = rng.uniform(10, 100, (3, 20))
    found = results.ratio(rows_of({"a": a.tolist(), "b": (0.8 * a).tolist()}), "b", "a")
    assert found["ratio"] == pytest.approx(0.8) and found["low"] == pytest.approx(0.8)
    assert found["high"] == pytest.approx(0.8) and found["seeds"] == 3
    wide = results.summary(rows_of({"a": a.tolist()}))["a"]
    assert wide["high"] - wide["low"] > 5
    with pytest.raises(ValueError, match="no run of 'c'"):
        results.ratio(rows_of({"a": a.tolist()}), "c", "a")


def test_a_ratio_pairs_runs_of_the_same_seed_in_whatever_order_they_finished():
    """Seeds 2 and 0 of a, 0 and 1 of b: only seed 0 is in both."""
    rows = [{"arm": arm, "seed": seed, "MAD": clips} for arm, seed, clips in (
        ("a", 2, [90.0, 90.0]), ("b", 0, [10.0, 30.0]), ("a", 0, [5.0, 15.0]), ("b", 1, [70.0, 70.0]))]
    a, b = results.paired(rows, "a", "b")
    assert (a.tolist(), b.tolist()) == ([[5.0, 15.0]], [[10.0, 30.0]])
    assert results.ratio(rows, "a", "b") == {"ratio": 0.5, "low": 0.5, "high": 0.5, "seeds": 1}
    with pytest.raises(ValueError, match="'a' and 'b' have no seed in common"):
        results.paired(rows[::3], "a", "b")


def test_a_figure_that_a_clip_does_not_have_is_left_out():
    found = results.summary(rows_of({"a": [[float("nan"), 2.0], [float("nan"), 4.0]]}))["a"]
    assert found["mean"] == 3.0 and 2.0 <= found["low"] <= found["high"] <= 4.0


def test_the_table_has_the_arms_in_order_and_only_those_that_ran():
    rows = [{**row, **{figure: row["MAD"] for figure in results.FIGURES}}
            for row in rows_of({"bivm": [[10.0, 10.0]], "float": [[4.5, 4.5]]})]
    lines = results.markdown(rows, results.LABELS).splitlines()
    assert lines[0] == "| | MAD | MSE | Grad | Conn | dtSSD | boundary MAD | seeds |"
    assert lines[2].startswith("| float twin | 4.50 (4.50–4.50) |")
    assert lines[3].startswith("| BiVM (ours) | 10.0 (10.0–10.0) |")
    assert len(lines) == 4


# -- arms ---------------------------------------------------------------------------------------------------------

def test_every_method_and_ablation_is_an_arm():
    assert set(ARMS) == set(results.LABELS)
    methods = {arm.method for arm in ARMS.values()}
    assert methods == set(METHODS)
    full = ARMS["bivm"]
    ablations = [name for name in ARMS if name.startswith("no-")]
    assert set(ablations) == set(results.PARTS) and {"float", "rvm", "bivm", "centred"} < set(ARMS)
    for name in ablations:
        changed = [f.name for f in dataclasses.fields(full) if getattr(full, f.name) != getattr(ARMS[name], f.name)]
        assert len(changed) == 1, name  # one part is taken out, no more
    assert CLIPS_FROM in HELD_OUT and CLIPS_FROM + 64 in HELD_OUT


# -- runs ---------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Two arms, one seed; the ablation makes the twin run first."""
    out = tmp_path_factory.mktemp("compare")
    return out, compare(out, ["bnn", "no-bits"], [0], TINY, progress=False)


def test_a_comparison_writes_a_row_per_run_and_keeps_the_networks(finished):
    out, rows = finished
    assert {(row["arm"], row["seed"]) for row in rows} == {("float", 0), ("bnn", 0), ("no-bits", 0)}
    for row in rows:
        assert len(row["MAD"]) == len(row["boundary_MAD"]) == 2 and row["protocol"] == dataclasses.asdict(TINY)
        assert all(0 < value < 1000 for value in row["MAD"])
    assert load_state(out / "runs" / "no-bits-0" / "model.pt")["recipe"]["mimic"]["bits"] == 0.0
    assert load_model(out / "runs" / "bnn-0" / "model.pt").method.name == "bnn"


def test_a_row_holds_what_measuring_its_network_again_gives(finished):
    """Independent path: the stored network, the clip, mean |error| by hand."""
    from bivm_ref.clips import procedural_clip

    out, rows = finished
    model = load_model(out / "runs" / "bnn-0" / "model.pt")
    clip = procedural_clip(CLIPS_FROM + 1, 2, 32, 48)
    with torch.no_grad():
        alpha = model(torch.from_numpy(clip.frames).permute(0, 3, 1, 2)[None].float() / 255).alpha[0, :, 0].numpy()
    row = next(row for row in rows if row["arm"] == "bnn")
    assert row["MAD"][1] == pytest.approx(1e3 * np.abs(alpha - clip.alpha).mean(), abs=0.01)


def test_finished_runs_are_not_repeated(finished):
    out, rows = finished
    before = (out / "results.jsonl").read_bytes()
    for checkpoint in out.glob("runs/*/checkpoint.pt"):
        checkpoint.write_bytes(b"a repeated run would read this and fail")
    assert compare(out, ["no-bits", "bnn"], [0], TINY, progress=False) == rows
    assert (out / "results.jsonl").read_bytes() == before


def test_results_of_another_protocol_or_other_weights_do_not_mix(finished):
    out, _ = finished
    with pytest.raises(UserError, match="results.jsonl: holds runs of another protocol"):
        compare(out, ["bnn"], [0], dataclasses.replace(TINY, steps=3), progress=False)
    with pytest.raises(UserError, match="from other weights"):
        compare(out, ["bnn"], [0], TINY, init=out / "runs" / "float-0" / "model.pt", progress=False)


def test_a_half_written_line_is_neither_read_nor_extended(tmp_path):
    stamp = {"protocol": dataclasses.asdict(TINY), "init": None}
    append(tmp_path, {"arm": "bnn", "seed": 0, **stamp})
    with open(tmp_path / "results.jsonl", "a", encoding="utf-8") as file:
        file.write('{"arm": "bnn", "se')  # the power went
    append(tmp_path, {"arm": "bnn", "seed": 1, **stamp})
    assert [row["seed"] for row in library.read(tmp_path, stamp)] == [0, 1]


def test_a_half_written_line_hides_no_finished_run(finished, tmp_path, capsys):
    """Where the power went while a row was written, the finished ones are shown all the same."""
    whole = (finished[0] / "results.jsonl").read_text(encoding="utf-8")
    first, second = whole.splitlines()[:2]
    (tmp_path / "cut.jsonl").write_text(f"{first}\n{second[:80]}\n{second}\n{first[:9]}", encoding="utf-8")
    assert results.load(tmp_path / "cut.jsonl") == [json.loads(first), json.loads(second)]
    assert main(["compare", "--show", str(tmp_path / "cut.jsonl")]) == 0
    (tmp_path / "cut.jsonl").write_text(first[:80], encoding="utf-8")
    assert main(["compare", "--show", str(tmp_path / "cut.jsonl")]) == 2
    assert "not the results of a comparison" in capsys.readouterr().err


def test_a_run_that_is_stopped_says_which(tmp_path, monkeypatch):
    clip = MixedClips.__getitem__
    monkeypatch.setattr(MixedClips, "__getitem__", lambda self, i: [x * torch.nan for x in clip(self, i)])
    with pytest.raises(UserError, match=r"^bnn, seed 3: the loss .*at step 0 \(clips 0.*; seed 3\);.*--arms"):
        run_one(tmp_path, "bnn", 3, TINY, None)


def test_init_reaches_every_arm_of_that_architecture(finished, tmp_path):
    """With a learning rate of next to nothing, a student of the twin's weights keeps the head that it began with."""
    twin = finished[0] / "runs" / "float-0" / "model.pt"
    still = dataclasses.replace(TINY, lr=1e-12)
    run_one(tmp_path, "reactnet", 5, still, str(twin))
    after = tmp_path / "runs" / "reactnet-5" / "model.pt"
    began, ended = (load_state(p)["model"]["head.weight"] for p in (twin, after))
    torch.testing.assert_close(ended, began, atol=1e-6, rtol=0)
    assert still.recipe(ARMS["rvm"], 0, twin, str(twin)).init is None


# -- the command --------------------------------------------------------------------------------------------------

def test_bad_requests_are_one_line(tmp_path, capsys):
    def error(*words):
        assert main(["compare", *map(str, words)]) == 2
        text = capsys.readouterr().err
        assert text.count("\n") == 1
        return text

    assert "--out DIR" in error()
    assert "choose among float, rvm, bnn" in error("--out", tmp_path / "x", "--arms", "binaryconnect")
    assert "no such file; bivm-ref compare writes it" in error("--show", tmp_path / "none.jsonl")
    (tmp_path / "odd.jsonl").write_text("[1]\n")
    assert "not the results of a comparison" in error("--show", tmp_path / "odd.jsonl")
    (tmp_path / "empty.jsonl").write_text("")
    assert "holds no finished run" in error("--show", tmp_path / "empty.jsonl")
    assert "cannot be read" in error("--out", tmp_path / "y", "--init", tmp_path / "none.pt", "--arms", "bnn")


def test_results_can_be_shown_without_training(finished, capsys):
    out, rows = finished
    assert main(["compare", "--show", str(out / "results.jsonl")]) == 0
    assert "| BNN |" in capsys.readouterr().out
    assert main(["compare", "--show", str(out / "results.jsonl"), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    by_hand = np.mean(next(row for row in rows if row["arm"] == "bnn")["MAD"])
    assert shown["MAD"]["bnn"]["mean"] == pytest.approx(by_hand)


def test_the_chart_shows_every_arm(finished):
    pytest.importorskip("matplotlib")
    from bivm_ref import viz

    figure = viz.compare_chart(finished[1])
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["float twin", "BNN", "ours − bit term"]


# -- what the repository shows ------------------------------------------------------------------------------------

def test_the_readme_shows_the_committed_results():
    """The table and the ratios between the README's markers are what the rows say."""
    root = Path(__file__).resolve().parent.parent
    text, rows = (root / "README.md").read_text(encoding="utf-8"), results.load(tool.ROWS)
    assert tool.readme(text, rows) == text
    assert f"| BiVM (ours) | {np.mean([row['MAD'] for row in rows if row['arm'] == 'bivm']):.1f} (" in text
    assert tool.ROWS.with_suffix(".png").stat().st_size > 10_000
    assert {row["init"] for row in rows} == {library.digest(str(root / "bivm_ref/weights/training/small-float.pt"))}
    assert all(len(row["MAD"]) >= 64 and row["protocol"] == dataclasses.asdict(Protocol()) for row in rows)


def test_kept_clips_are_those_that_would_have_been_made_and_are_made_once(tmp_path, monkeypatch):
    """Two arms of one seed with and without keeping: the same rows; the second arm makes no clip."""
    plain = compare(tmp_path / "plain", ["bnn", "bireal"], [0], TINY, progress=False)
    made = []
    monkeypatch.setattr(library, "ProcessPoolExecutor", InThisProcess)
    whole = MixedClips.__getitem__
    monkeypatch.setattr(MixedClips, "__getitem__", lambda self, i: made.append(i) or whole(self, i))
    kept = compare(tmp_path / "kept", ["bnn", "bireal"], [0], TINY, progress=False, keep_clips=True)
    assert sorted(made) == list(range(TINY.steps * TINY.batch))
    assert len(list((tmp_path / "kept" / "clips" / "0").glob("*.npy"))) == len(made)
    for a, b in zip(plain, kept, strict=True):
        assert a["arm"] == b["arm"] and a["MAD"] == b["MAD"]


class InThisProcess:
    """An executor that runs everything at once, here, so that a test can watch."""

    def __init__(self, *_args, **_kwargs) -> None:
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_error) -> None:
        pass

    def submit(self, work, *args) -> Future:
        done = Future()
        done.set_result(work(*args))
        return done
