"""learn/recalibrate.py: what changes in a file and what does not; that the mean over batches is taken: test_search."""

import numpy as np
import pytest
import torch
from PIL import Image

from bivm_ref.cli import main
from bivm_ref.clips import ClipMix
from bivm_ref.learn.datasets import MixedClips, Phase
from bivm_ref.learn.recalibrate import SAMPLE, training_frames, write_recalibrated
from bivm_ref.learn.store import load_model, load_state, save_atomic
from bivm_ref.net import RVM, BiVM
from bivm_ref.net.binary import fold
from tools import make_weights as tool

PHASES = [{"steps": 5, "height": 32, "width": 48, "batch": 2, "frames": 2, "refine": False},
          {"steps": 5, "height": 32, "width": 64, "batch": 1, "frames": 1, "refine": True}]
RECIPE = {"arch": "small", "method": "bivm", "seed": 3, "phases": PHASES}


@pytest.fixture
def run(tmp_path):
    """A checkpoint whose average has other statistics than its clips give, and other weights than its model."""
    torch.manual_seed(0)
    average, model = BiVM("small"), BiVM("small")
    for norm in average.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            norm.running_mean.fill_(5.0)
    save_atomic({"recipe": RECIPE, "model": model.state_dict(), "average": average.state_dict()},
                tmp_path / "checkpoint.pt")
    return tmp_path / "checkpoint.pt", fold(average).state_dict()


def test_statistics_change_and_weights_stay(run, tmp_path):
    path, before = run
    write_recalibrated(path, tmp_path / "out.pt", ClipMix(), count=2)
    after = load_state(tmp_path / "out.pt")
    assert after["recipe"] == RECIPE and set(after["model"]) == set(before)
    changed = {name for name, value in after["model"].items() if not torch.equal(value, before[name])}
    assert {name.rpartition(".")[2] for name in changed} == {"running_mean", "running_var", "num_batches_tracked"}
    means = {name for name in before if name.endswith("running_mean")}
    kept = {name for name in means if name.startswith("refiner.")}
    assert kept and means - changed == kept
    assert not load_model(tmp_path / "out.pt").training
    write_recalibrated(path, tmp_path / "again.pt", ClipMix(), count=2)
    assert (tmp_path / "again.pt").read_bytes() == (tmp_path / "out.pt").read_bytes()


def test_what_comes_out_of_a_norm_is_standard_again(run, tmp_path):
    """On the batches themselves, the first norm's output has mean beta = 0 and spread gamma = 1."""
    path, _ = run
    write_recalibrated(path, tmp_path / "out.pt", ClipMix(), count=1)
    model, seen = load_model(tmp_path / "out.pt"), []
    model.encoder.f1.norm.register_forward_hook(lambda module, given, out: seen.append(out.detach()))
    for frames in training_frames(RECIPE, ClipMix(), 1, workers=0):
        model(frames.float() / 255.0)
    torch.testing.assert_close(seen[0].mean((0, 2, 3)), torch.zeros(seen[0].shape[1]), rtol=0, atol=1e-3)
    torch.testing.assert_close(seen[0].std((0, 2, 3)), torch.ones(seen[0].shape[1]), rtol=0, atol=1e-2)


def test_frames_are_like_the_last_phase_of_its_own_and_new():
    frames = list(training_frames(RECIPE, ClipMix(), 2, workers=0))
    assert [batch.shape for batch in frames] == [(4, 2, 3, 32, 48)] * 2
    training = MixedClips(Phase(5, 32, 48, 2, 2), 0, 3, ClipMix())
    assert len(training) < SAMPLE
    assert not any(np.array_equal(clip, frames[0][0]) for clip, _, _ in (training[i] for i in range(10)))


def test_a_refiners_run_is_calibrated_at_the_size_that_the_network_has_in_it():
    (frames,) = training_frames({**RECIPE, "phases": PHASES[1:]}, ClipMix(), 1, workers=0)
    assert frames.shape == (4, 1, 3, 32, 64)


def test_the_command(run, tmp_path, capfd):
    path, _ = run
    out = str(tmp_path / "out.pt")
    (tmp_path / "people").mkdir()
    Image.new("RGBA", (32, 48), (200, 100, 50, 255)).save(tmp_path / "people" / "a.png")
    asked = ["recalibrate", str(path), out, "--takes", "--people", str(tmp_path / "people"), "--batches", "1"]
    assert main(asked) == 0
    said = capfd.readouterr().out
    assert "people: 1 files" in said and f"statistics of 1 batches -> {out}" in said
    assert main(asked) == 2
    assert "out.pt: exists already" in capfd.readouterr().err
    assert main([*asked, "--overwrite"]) == 0
    save_atomic({"optimiser": 1}, tmp_path / "odd.pt")
    save_atomic({"recipe": {**RECIPE, "arch": "rvm"}, "model": RVM().state_dict()}, tmp_path / "rvm.pt")
    for name, message in (("none.pt", "no such file"), ("odd.pt", "holds no model"), ("rvm.pt", "holds RVM")):
        assert main(["recalibrate", str(tmp_path / name), str(tmp_path / "new.pt")]) == 2
        assert message in capfd.readouterr().err
    assert not (tmp_path / "new.pt").exists()


def test_the_tool_takes_them_from_a_mean(run, tmp_path, monkeypatch):
    path, _ = run
    *_, (name, of) = tool.RECALIBRATED.items()
    (tmp_path / "runs" / of).mkdir(parents=True)
    path.rename(tmp_path / "runs" / of / "model.pt")
    (tmp_path / "people").mkdir()
    Image.new("RGBA", (32, 48), (200, 100, 50, 255)).save(tmp_path / "people" / "a.png")
    monkeypatch.setattr("sys.argv", ["make_weights", "recalibrate", name, "--runs", str(tmp_path / "runs"), "--people",
                                     str(tmp_path / "people")])
    tool.main()
    made = load_model(tmp_path / "runs" / name / "model.pt")
    assert (made.encoder.f1.norm.running_mean != 5.0).all() and made.encoder.f1.norm.num_batches_tracked == 60
