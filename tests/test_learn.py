"""Losses worked by hand; a training run that is killed resumes as if it had not been."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from bivm_ref.clips import ClipMix
from bivm_ref.errors import UserError
from bivm_ref.learn import train as module
from bivm_ref.learn.datasets import MixedClips
from bivm_ref.learn.evaluate import evaluate, predict
from bivm_ref.learn.losses import coarse_loss, laplacian_loss, matting_loss, temporal_loss
from bivm_ref.learn.store import trained_size
from bivm_ref.learn.train import Phase, Recipe, TrainingStopped, load_model, load_state, save_atomic, start_from, train
from bivm_ref.net import BiVM, MattingOutput

TINY = Recipe(arch="small", phases=(Phase(3, 32, 32, batch=2, frames=2), Phase(2, 32, 48, batch=1, frames=2),
                                    Phase(2, 32, 32, batch=1, frames=2, refine=True)), warmup=2)


def output(alpha, foreground=None, coarse=None):
    b, t, _, h, w = alpha.shape
    foreground = torch.zeros(b, t, 3, h, w) if foreground is None else foreground
    return MattingOutput(alpha=alpha, foreground=foreground, coarse_alpha=coarse, state=[])


def test_a_perfect_matte_costs_nothing():
    alpha, foreground = torch.rand(1, 3, 1, 32, 32), torch.rand(1, 3, 3, 32, 32)
    coarse = torch.nn.functional.avg_pool2d(alpha[0], 16)[None]
    terms = matting_loss(output(alpha, foreground, coarse), alpha, foreground)
    assert set(terms) == {"alpha_l1", "alpha_laplacian", "alpha_temporal", "foreground_l1", "foreground_temporal",
                          "coarse", "total"}
    assert terms["total"].item() == pytest.approx(0.0, abs=1e-7)


def test_a_constant_error_worked_by_hand():
    """alpha off by 0.2: L1 0.2, no band-pass error, no change in time; colour is judged where alpha > 0."""
    true = torch.zeros(1, 2, 1, 32, 32)
    true[..., :16] = 0.5
    terms = matting_loss(output(true + 0.2, torch.full((1, 2, 3, 32, 32), 0.3)), true, torch.zeros(1, 2, 3, 32, 32))
    assert terms["alpha_l1"].item() == pytest.approx(0.2)
    assert terms["alpha_laplacian"].item() == pytest.approx(0.0, abs=1e-6)
    assert terms["foreground_l1"].item() == pytest.approx(0.15)
    assert terms["total"].item() == pytest.approx(0.35, abs=1e-6)


def test_flicker_worked_by_hand():
    true, flicker = torch.zeros(1, 3, 1, 4, 4), torch.zeros(1, 3, 1, 4, 4)
    flicker[:, 1] = 0.4  # changes of +0.4 and -0.4
    assert temporal_loss(flicker, true).item() == pytest.approx(0.16)
    assert temporal_loss(true[:, :1], flicker[:, :1]).item() == 0.0
    assert coarse_loss(flicker, true).item() == pytest.approx(0.25 * (0.4 / 3 + 5 * 0.16))


def test_laplacian_sees_detail_more_than_an_offset():
    true = torch.zeros(1, 1, 32, 32)
    checker = (torch.arange(32)[:, None] + torch.arange(32)) % 2 * 0.2
    assert laplacian_loss(checker[None, None], true) > 10 * laplacian_loss(true + 0.1, true)
    assert torch.isfinite(laplacian_loss(torch.rand(1, 1, 3, 5), torch.rand(1, 1, 3, 5)))


def test_learning_rate_rises_stays_and_falls():
    recipe = Recipe(phases=(Phase(100, 32, 32),), warmup=10, decay=0.3, lr=1.0)
    rates = [recipe.rate(s) for s in range(100)]
    assert rates[0] == pytest.approx(0.1) and rates[9:70] == pytest.approx([1.0] * 61)
    assert rates[85] == pytest.approx(0.5) and rates[99] == pytest.approx(1 / 30)


def test_training_learns_and_leaves_a_model(tmp_path):
    """40 steps on 32x32 clips lower the loss on the clips that were seen first."""
    recipe = Recipe(phases=(Phase(40, 32, 32, batch=4, frames=2),), warmup=5, decay=0.3, ema=0.9)
    model = train(recipe, tmp_path, workers=0, progress=False, report_every=1)
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [r["step"] for r in rows] == list(range(1, 41))
    assert np.mean([r["total"] for r in rows[-10:]]) < 0.9 * np.mean([r["total"] for r in rows[:10]])
    again = load_model(tmp_path / "model.pt")
    clip = ClipMix().clip(5, 2, 32, 32)
    np.testing.assert_array_equal(predict(model, clip), predict(again, clip))
    figures = evaluate(again, [clip])
    assert figures["zero_MAD"] == pytest.approx(1e3 * clip.alpha.mean(), rel=1e-5)
    assert 0 <= figures["MAD"] <= 1000


def finished(folder: Path) -> dict:
    return load_state(folder / "model.pt")["model"]


def test_a_run_cut_at_any_phase_ends_in_the_same_weights(tmp_path, monkeypatch):
    """Stopped (KeyboardInterrupt) after 2, 4 and 6 of 7 steps, resumed each time: bit for bit the uninterrupted run."""
    train(TINY, tmp_path / "whole", workers=0, progress=False)
    step = module._Run.train_step
    for stop in (2, 4, 6):
        def interrupted(self, *args, stop=stop):
            if self.step == stop:
                raise KeyboardInterrupt
            return step(self, *args)
        monkeypatch.setattr(module._Run, "train_step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(TINY, tmp_path / "cut", workers=0, progress=False)
    monkeypatch.setattr(module._Run, "train_step", step)
    train(TINY, tmp_path / "cut", workers=0, progress=False)
    whole, cut = finished(tmp_path / "whole"), finished(tmp_path / "cut")
    assert all(torch.equal(whole[k], cut[k]) for k in whole)


def test_ctrl_c_while_weights_move_keeps_the_checkpoint_before(tmp_path, monkeypatch):
    """Interrupted when Adam has moved and the step is not counted yet: no mixture of two steps is saved."""
    train(TINY, tmp_path / "whole", workers=0, progress=False)
    move, moves = torch.optim.Adam.step, []

    def interrupted(self):
        move(self)
        moves.append(1)
        if len(moves) == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as cut:
        cut.setattr(torch.optim.Adam, "step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(TINY, tmp_path / "cut", workers=0, progress=False, checkpoint_every=1)
    assert load_state(tmp_path / "cut/checkpoint.pt")["step"] == 2
    train(TINY, tmp_path / "cut", workers=0, progress=False)
    whole, cut = finished(tmp_path / "whole"), finished(tmp_path / "cut")
    assert all(torch.equal(whole[k], cut[k]) for k in whole)


def test_kill_9_leaves_a_checkpoint_that_resumes(tmp_path):
    code = ("from bivm_ref.learn.train import *; import torch; torch.set_num_threads(1)\n"
            "train(Recipe(phases=(Phase(1000, 32, 32, batch=1, frames=2),)), 'run', workers=0, checkpoint_every=1, "
            "report_every=1, progress=False)")
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    process = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, env=env)
    checkpoint, deadline = tmp_path / "run" / "checkpoint.pt", time.monotonic() + 60
    while not checkpoint.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.3)  # somewhere in the middle of a later step or write
    process.send_signal(signal.SIGKILL)
    process.wait()
    reached = load_state(checkpoint)["step"]
    assert reached >= 1
    recipe = Recipe(phases=(Phase(1000, 32, 32, batch=1, frames=2),))
    from bivm_ref.learn.train import _Run
    assert _Run(recipe, tmp_path / "run", "cpu").step == reached
    with pytest.raises(UserError, match="another recipe"):
        _Run(TINY, tmp_path / "run", "cpu")


def test_nan_stops_with_the_step_and_the_checkpoint(tmp_path, monkeypatch):
    """Clip 5 is broken; batches of two: the third, at step 2. A checkpoint is there by then, and not at step 0."""
    clip = MixedClips.__getitem__
    broken = {5}

    def poisoned(self, i):
        frames, alpha, foreground = clip(self, i)
        return frames, alpha, torch.full(foreground.shape, torch.nan) if self.first + i in broken else foreground

    recipe = dataclasses.replace(TINY, phases=(Phase(4, 32, 32, batch=2, frames=2),))
    monkeypatch.setattr(MixedClips, "__getitem__", poisoned)
    with pytest.raises(TrainingStopped, match=r"step 2 \(clips 4, 5; seed 0\);.*checkpoint.pt holds.*--init.*--lr"):
        train(recipe, tmp_path / "a", workers=0, progress=False, checkpoint_every=1)
    kept = load_state(tmp_path / "a/checkpoint.pt")
    again = BiVM("small")
    start_from(again, tmp_path / "a/checkpoint.pt")  # the cure that was named
    assert kept["step"] == 2 and all(torch.equal(kept["model"][name], x) for name, x in again.state_dict().items())
    broken.add(0)
    with pytest.raises(TrainingStopped, match=r"step 0 \(clips 0, 1; seed 0\); no checkpoint.pt is kept yet.*--lr"):
        train(recipe, tmp_path / "b", workers=0, progress=False, checkpoint_every=1)


def test_a_gradient_that_is_not_finite_stops_before_the_weights_move(tmp_path, monkeypatch):
    """The loss is finite, its gradient in the third step is not: what is kept is what was good, untouched."""
    steps = []

    def poisoned(objective):
        def hook(gradient):
            steps.append(1)
            return gradient * torch.inf if len(steps) == 3 else gradient

        next(objective.parameters()).register_hook(hook)
        return objective

    monkeypatch.setattr(module.team, "share", poisoned)
    recipe = dataclasses.replace(TINY, phases=(Phase(4, 32, 32, batch=2, frames=2),))
    with pytest.raises(TrainingStopped, match=r"not finite at step 2 \(clips 4, 5; seed 0\);.*checkpoint.pt"):
        train(recipe, tmp_path, workers=0, progress=False, checkpoint_every=1)
    kept = load_state(tmp_path / "checkpoint.pt")
    assert kept["step"] == 2 and all(torch.isfinite(x).all() for x in kept["model"].values())


def test_the_refiners_phase_moves_the_refiner_alone(tmp_path):
    first = Recipe(phases=(Phase(1, 32, 32, batch=1, frames=2),), warmup=1, ema=0.0)
    train(first, tmp_path / "a", workers=0, progress=False)
    before = finished(tmp_path / "a")
    second = Recipe(phases=(Phase(2, 32, 32, batch=1, frames=2, refine=True),), warmup=1, ema=0.0)
    second = Recipe(**{**second.__dict__, "init": str(tmp_path / "a" / "model.pt")})
    train(second, tmp_path / "b", workers=0, progress=False)
    after = finished(tmp_path / "b")
    changed = {k for k in before if not torch.equal(before[k], after[k])}
    assert changed and all(k.startswith("refiner.") for k in changed)


def test_hostile_and_missing_checkpoints(tmp_path):
    import pickle
    bad = tmp_path / "model.pt"
    bad.write_bytes(pickle.dumps({"a": os.system}))
    with pytest.raises(UserError, match="not a training checkpoint"):
        load_state(bad)
    with pytest.raises(UserError, match="no such file"):
        load_model(tmp_path / "none.pt")
    save_atomic({"recipe": {"arch": "small", "binary": True}, "model": {}}, bad)
    with pytest.raises(UserError, match="architecture"):
        load_model(bad)
    assert not list(tmp_path.glob(".*part"))


def test_sample_i_is_always_the_same_clip():
    phase = Phase(2, 32, 48, batch=2, frames=2)
    a, b = MixedClips(phase, 0, 7, ClipMix()), MixedClips(phase, 2, 7, ClipMix())
    assert torch.equal(a[2][0], b[0][0]) and not torch.equal(a[0][0], a[1][0])
    frames, alpha, foreground = a[0]
    assert frames.shape == foreground.shape == (2, 3, 32, 48) and alpha.shape == (2, 1, 32, 48)
    assert frames.dtype == alpha.dtype == torch.uint8


def test_float_twin_hands_its_weights_to_the_student(tmp_path):
    twin = Recipe(method="float", phases=(Phase(1, 32, 32, batch=1, frames=2),))
    train(twin, tmp_path / "twin", workers=0, progress=False)
    student = BiVM("small")
    start_from(student, tmp_path / "twin" / "model.pt")
    assert torch.equal(student.head.weight, load_model(tmp_path / "twin" / "model.pt").head.weight)


def test_a_gate_is_as_open_in_the_student_as_in_its_twin(tmp_path):
    """The gate's scale was learned around weights of 0.01, shift 0; +-1 would shut or open every gate to its stop."""
    twin = BiVM("small", "float")
    with torch.no_grad():
        twin.neck.aspp.gate.weight.mul_(0.01 / twin.neck.aspp.gate.weight.abs().mean((1, 2, 3), keepdim=True))
        twin.neck.aspp.gate_scale.fill_(20.0)
        twin.neck.aspp.gate_shift.zero_()
    recipe = dataclasses.asdict(Recipe(method="float"))
    save_atomic({"recipe": recipe, "model": twin.state_dict()}, tmp_path / "twin.pt")
    for method, scale in (("bivm", 0.2), ("bnn", 0.2), ("reactnet", 20.0), ("float", 20.0)):
        student = BiVM("small", method)
        start_from(student, tmp_path / "twin.pt")
        torch.testing.assert_close(student.neck.aspp.gate_scale, torch.full_like(twin.neck.aspp.gate_scale, scale))
    student = BiVM("small")
    start_from(student, tmp_path / "twin.pt")
    x = torch.randn(4, student.arch.features[3], 6, 6)
    bits = student.neck.aspp.sign_mean(student.neck.aspp.value.sign(x).mean((2, 3), keepdim=True))
    gate = student.neck.aspp.gate(bits).flatten(1) * student.neck.aspp.gate_scale
    assert gate.abs().median() < 3  # hard_sigmoid moves between -3 and 3; with a scale of 20 it was some 150


def test_the_size_trained_at_is_the_networks_own():
    def phase(width, height, refine):
        return {"width": width, "height": height, "refine": refine}

    both = [phase(160, 96, False), phase(256, 144, False), phase(512, 288, True)]
    assert trained_size({"phases": both}) == 256
    assert trained_size({"phases": [phase(144, 256, False)]}) == 256  # upright
    assert trained_size({"phases": [phase(256, 144, True)]}) == 256  # the refiner alone: the network runs at that size
    assert trained_size({}) == 512  # no recipe is known
