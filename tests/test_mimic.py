"""Mimicking: each ingredient worked by hand, the teacher left alone, runs that resume."""

import dataclasses
import json
import math

import numpy as np
import pytest
import torch

from bivm_ref.errors import UserError
from bivm_ref.information import entropy, mutual_information
from bivm_ref.learn import mimic
from bivm_ref.learn.mimic import Mimic, Mimicking
from bivm_ref.learn.train import Phase, Recipe, load_state, train
from bivm_ref.net import BiVM
from bivm_ref.net.capture import STAGES, Capture, reader


def square(n=2, size=64, first=16, last=48):
    """(n, 1, 1, size, size): alpha of a hard square."""
    alpha = torch.zeros(n, 1, 1, size, size)
    alpha[..., first:last, first:last] = 1.0
    return alpha


@pytest.fixture(scope="module")
def twin() -> BiVM:
    torch.manual_seed(11)
    return BiVM("small", "float").eval()


# -- tables -------------------------------------------------------------------------------------------------------

def test_entropy_and_mutual_information_worked_by_hand():
    assert entropy([1, 1, 1, 1]) == pytest.approx(2.0) and entropy([5, 0]) == 0.0 and entropy([0, 0]) == 0.0
    assert mutual_information([[4, 0], [0, 4]]) == pytest.approx(1.0)
    assert mutual_information([[1, 3], [2, 6]]) == pytest.approx(0.0, abs=1e-12)
    flipped = 0.11  # binary symmetric channel: 1 - h2(.11) = .500
    assert mutual_information([[1 - flipped, flipped], [flipped, 1 - flipped]]) == pytest.approx(0.500, abs=1e-3)
    assert mutual_information(np.ones((3, 2, 5))).shape == (3,)


def test_channel_information_finds_the_channel_that_knows():
    """Channel 0 is the class itself (I = H(class)); 1 is noise; 2 is constant. Two clips, alphas left and right."""
    torch.manual_seed(0)
    alpha = torch.zeros(2, 1, 16, 16)
    alpha[0, ..., :8] = 1.0
    alpha[1, ..., 8:] = 1.0
    classes = mimic.alpha_class(alpha)
    bits = torch.stack((alpha[:, 0] > 0.5, torch.rand(2, 16, 16) > 0.5, torch.ones(2, 16, 16) > 0), 1)
    told = mimic.channel_information(bits, classes, clips=2)
    # the next clip's classes are the exact opposite, of which channel 0 tells as much: position explains it all
    np.testing.assert_allclose(told, 0.0, atol=0.02)
    alpha[1] = torch.rand(1, 16, 16).round()  # now nothing about the second clip follows from the first
    bits[1, 0] = alpha[1, 0] > 0.5
    told = mimic.channel_information(bits, mimic.alpha_class(alpha), clips=2)
    assert told[0] > 0.9 and told[1] < 0.02 and told[2] == 0.0


def test_classes_and_cells():
    alpha = torch.tensor([0.0, 0.019, 0.02, 0.5, 0.98, 0.981, 1.0])
    assert mimic.alpha_class(alpha).tolist() == [0, 0, 1, 1, 1, 2, 2]
    cells = mimic.cell_alpha(square()[:, 0], 8, 8)
    assert cells.shape == (2, 1, 8, 8) and cells[0, 0, 1].tolist() == [0.0] * 8
    assert cells[0, 0, 2].tolist() == [0, 0, 1, 1, 1, 1, 0, 0]
    odd = mimic.cell_alpha(torch.ones(1, 1, 33, 47), 3, 3)  # padded to 48 by repetition: still 1 everywhere
    assert odd.shape == (1, 1, 3, 3) and odd.min() == 1.0


def test_a_flat_channel_has_a_bounded_gradient_and_the_others_their_z_score():
    """Of four channels two vary, with std 1 and 2; one is constant, one nearly. Their root mean square is sqrt(5/4)."""
    torch.manual_seed(3)
    noise = torch.randn(8, 4, 16, 16)
    noise = (noise - noise.mean((0, 2, 3), keepdim=True)) / noise.std((0, 2, 3), correction=0, keepdim=True)
    x = (noise * torch.tensor([1.0, 2.0, 0.0, 1e-6]).view(-1, 1, 1) + 5.0).requires_grad_()
    z = mimic.z_score(x)
    torch.testing.assert_close(z[:, :2], noise[:, :2], rtol=1e-4, atol=1e-4)
    assert z[:, 2:].abs().max() < 1e-3
    z.square().sum().backward()  # what an unbounded one would make of channel 3: about 1e6
    (z.detach() * mimic.z_score(x)).sum().backward()
    assert x.grad.abs().max() < 100
    kappa = mimic.inverse_std(torch.tensor([1.0, 4.0, 0.0, 1e-12]).view(1, 4, 1, 1)).flatten()
    torch.testing.assert_close(kappa, torch.tensor([1.0, 0.5, 1 / 0.1118, 1 / 0.1118]), rtol=1e-3, atol=0)


def test_a_gate_that_is_shut_does_not_blow_up_the_students_gradient(twin):
    """A neck half of whose channels are 0 throughout: theta of the sign that reads them had gradients above 100."""
    torch.manual_seed(5)
    student = BiVM("small").train()
    with torch.no_grad():
        student.neck.aspp.gate_shift[::2] = -100.0
    listening = Mimic(student, twin, Mimicking())
    frames, alpha = torch.rand(2, 2, 3, 64, 64), square(4).unflatten(0, (2, 2))[:, :, 0]
    with Capture(student, STAGES[:-1]) as maps:
        student(frames)
    assert (maps["neck"].std((0, 2, 3)) == 0).sum() >= student.arch.neck // 4
    listening.loss(student, maps, frames, alpha).backward()
    assert reader(student, "neck").theta.grad.abs().max() < 1
    assert listening.adapters["neck"].weight.grad.abs().max() < 10


def test_the_weight_is_on_the_boundary_and_sums_to_one():
    w = mimic.boundary_weight(mimic.cell_alpha(square()[:, 0], 16, 16), floor=0.1)
    assert w.sum((1, 2, 3)).tolist() == pytest.approx([1.0, 1.0], rel=1e-5)
    far, edge = w[0, 0, 0, 0], w[0, 0, 4, 4]
    assert (edge / far).item() == pytest.approx(11.0, rel=1e-4)
    assert w[0, 0, 8, 8] == far  # deep inside weighs as outside
    flat = mimic.boundary_weight(torch.zeros(2, 1, 4, 4), floor=0.1)
    assert flat.unique().numel() == 1  # nobody in the frame: every cell alike


# -- the loss -----------------------------------------------------------------------------------------------------

def loss_of(student, teacher, options, frames, alpha, calibrate=True):
    term = Mimic(student, teacher, options)
    if calibrate:
        term.calibrate(frames, alpha)
    with Capture(student, options.stages) as maps:
        student(frames)
    return term, term.loss(student, maps, frames, alpha)


def test_a_perfect_mimic_costs_only_its_bits(twin):
    """Student = teacher: the value term is 0, and what is left is the bit term, which the switch takes away."""
    frames, alpha = torch.rand(2, 1, 3, 64, 64), square()
    _, value_only = loss_of(twin, twin, Mimicking(bits=0.0), frames, alpha)
    _, both = loss_of(twin, twin, Mimicking(bits=0.5), frames, alpha)
    assert value_only.item() == pytest.approx(0.0, abs=1e-6) and both.item() > 0.01


def test_value_term_worked_by_hand(twin):
    """One stage, uniform weights: weight * mean over cells and channels of the squared difference of z-scores."""
    torch.manual_seed(12)
    student, frames = BiVM("small").eval(), torch.rand(2, 1, 3, 64, 64)
    options = Mimicking(weight=0.7, bits=0.0, localized=False, informed=False, stages=("f3",))
    _, loss = loss_of(student, twin, options, frames, square())
    with Capture(student, ("f3",)) as mine, Capture(twin, ("f3",)) as theirs:
        student(frames), twin(frames)
    a, b = (x["f3"].detach().double().numpy() for x in (mine, theirs))
    z = [(x - x.mean((0, 2, 3), keepdims=True)) / x.std((0, 2, 3), keepdims=True) for x in (a, b)]
    assert loss.item() == pytest.approx(0.7 * ((z[0] - z[1]) ** 2).mean(), rel=1e-3)


def test_bit_term_asks_for_the_bit(twin):
    """A map whose signs are the teacher's bits costs less than its negative, whatever its size; both by the formula."""
    torch.manual_seed(13)
    student, frames, alpha = BiVM("small").eval(), torch.rand(2, 1, 3, 64, 64), square()
    options = Mimicking(weight=1.0, bits=1.0, localized=False, informed=False, sharpness=2.0, stages=("f2",))
    term, _ = loss_of(student, twin, options, frames, alpha)
    features = term.teacher_maps(frames)["f2"]
    wanted = (features >= term.buffer_of("median", "f2").view(-1, 1, 1)).float()
    for size in (0.1, 30.0):
        right = (2 * wanted - 1) * size
        found = [term._bit_term(student, "f2", x, features).mean().item() for x in (right, -right)]
        # the bits are balanced (median), so std = size: logits are +-2, BCE log(1 + e^-2) and log(1 + e^2)
        assert found == pytest.approx([math.log1p(math.exp(-2)), math.log1p(math.exp(2))], rel=5e-3)


def test_information_weights_sum_to_one_and_can_be_switched_off(twin):
    torch.manual_seed(14)
    frames, alpha = torch.rand(3, 1, 3, 64, 64), torch.rand(3, 1, 1, 64, 64).round()
    frames = frames * 0.2 + alpha * 0.8  # people are bright: the teacher's early channels must tell
    informed, _ = loss_of(BiVM("small"), twin, Mimicking(), frames, alpha)
    uniform, _ = loss_of(BiVM("small"), twin, Mimicking(informed=False), frames, alpha)
    for stage in Mimicking().stages:
        pi = informed.buffer_of("pi", stage)
        assert pi.min() >= 0 and pi.sum().item() == pytest.approx(1.0, rel=1e-4)
        assert uniform.buffer_of("pi", stage).unique().numel() == 1
    assert informed.buffer_of("pi", "f1").unique().numel() > 4


def test_even_keeps_that_share_of_the_weights_for_all_channels_alike(twin):
    torch.manual_seed(14)
    frames, alpha = torch.rand(3, 1, 3, 64, 64), torch.rand(3, 1, 1, 64, 64).round()
    frames = frames * 0.2 + alpha * 0.8
    told, mixed = (loss_of(BiVM("small"), twin, Mimicking(even=even), frames, alpha)[0].buffer_of("pi", "f1")
                   for even in (0.0, 0.25))
    assert told.min() == 0 and mixed.min().item() == pytest.approx(0.25 / len(told), rel=1e-5)
    torch.testing.assert_close(mixed, 0.75 * told + 0.25 / len(told))


def test_the_student_learns_and_the_teacher_does_not(twin):
    torch.manual_seed(15)
    student, frames = BiVM("small").train(), torch.rand(2, 2, 3, 64, 64)
    before = {k: v.clone() for k, v in twin.state_dict().items()}
    term, loss = loss_of(student, twin, Mimicking(), frames, torch.rand(2, 2, 1, 64, 64).round())
    loss.backward()
    assert student.encoder.f2[0].spatial.conv.weight.grad.abs().sum() > 0
    assert all(a.weight.grad.abs().sum() > 0 for a in term.adapters.values())
    assert not twin.training and all(p.grad is None for p in twin.parameters())
    assert all(torch.equal(v, before[k]) for k, v in twin.state_dict().items())
    assert not any("teacher" in name for name in term.state_dict())


def test_teachers_that_cannot_teach(twin):
    with pytest.raises(ValueError, match="is binary"):
        Mimic(BiVM("small"), BiVM("small"), Mimicking())
    with pytest.raises(ValueError, match="'default', the student 'small'"):
        Mimic(BiVM("small"), BiVM("default", "float"), Mimicking())


# -- capture ------------------------------------------------------------------------------------------------------

def test_capture_takes_every_stage_and_lets_go(twin):
    clip = torch.rand(1, 2, 3, 64, 96)
    with Capture(twin) as maps:
        twin(clip)
    assert tuple(maps) == STAGES
    assert {k: (v.shape[0], 64 // v.shape[2], 96 // v.shape[3]) for k, v in maps.items()} == {
        "f1": (2, 2, 2), "f2": (2, 4, 4), "f3": (2, 8, 8), "f4": (2, 16, 16), "neck": (2, 16, 16), "d3": (2, 8, 8),
        "d2": (2, 4, 4), "d1": (2, 2, 2), "d0": (2, 1, 1)}
    with Capture(twin, ("f2", "d3"), stop=True) as few:
        twin(clip)
        raise AssertionError("the model went on after the last stage")
    assert all(torch.equal(few[k], maps[k]) for k in ("f2", "d3"))
    kept = dict(maps)
    twin(clip * 0.5)
    assert all(maps[k] is kept[k] for k in kept)
    with pytest.raises(ValueError, match="unknown stage 'f9'.*neck"):
        Capture(twin, ("f9",))


def test_the_reader_reads_that_map():
    """The reader's input, caught by a hook of its own, is the captured map (enlarged where the decoder enlarges it)."""
    torch.manual_seed(16)
    model, seen = BiVM("small").eval(), {}
    for stage in STAGES:
        reader(model, stage).register_forward_hook(lambda m, x, y, stage=stage: seen.setdefault(stage, x[0]))
    with Capture(model) as maps, torch.no_grad():
        model(torch.rand(1, 1, 3, 64, 64))
    for stage in STAGES:
        if stage in ("neck", "d3", "d2", "d1"):
            torch.testing.assert_close(seen[stage].mean(), maps[stage].mean(), atol=1e-4, rtol=1e-3)
        else:
            assert torch.equal(seen[stage], maps[stage]), stage


# -- in a training ------------------------------------------------------------------------------------------------

TWIN = Recipe(method="float", phases=(Phase(2, 32, 32, batch=2, frames=2),), warmup=1)
STUDENT = Recipe(phases=(Phase(3, 32, 32, batch=2, frames=2), Phase(1, 32, 32, batch=1, frames=1, refine=True)),
                 warmup=1, mimic=Mimicking())


def test_a_mimicking_run_logs_its_term_and_resumes_as_if_uninterrupted(tmp_path, monkeypatch):
    train(TWIN, tmp_path / "twin", workers=0, progress=False)
    recipe = dataclasses.replace(STUDENT, teacher=str(tmp_path / "twin" / "model.pt"))
    train(recipe, tmp_path / "whole", workers=0, progress=False, report_every=1)
    rows = [json.loads(line) for line in (tmp_path / "whole" / "log.jsonl").read_text().splitlines()]
    assert [("mimic" in row) for row in rows] == [True, True, True, False]  # the refiner's phase has no teacher
    assert all(row["mimic"] > 0 for row in rows[:3])

    from bivm_ref.learn.train import _Run
    step, calls = _Run.train_step, []

    def interrupted(run, *batch):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return step(run, *batch)

    monkeypatch.setattr(_Run, "train_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, tmp_path / "parts", workers=0, progress=False)
    monkeypatch.setattr(_Run, "train_step", step)
    train(recipe, tmp_path / "parts", workers=0, progress=False)
    whole, parts = (load_state(tmp_path / d / "model.pt")["model"] for d in ("whole", "parts"))
    assert whole.keys() == parts.keys() and all(torch.equal(whole[k], parts[k]) for k in whole)
    assert not any(".branches." in name for name in whole)  # a finished run is merged


def test_mimicking_without_a_teacher_or_with_a_wrong_one(tmp_path):
    with pytest.raises(UserError, match="needs a teacher"):
        train(STUDENT, tmp_path / "a", workers=0, progress=False)
    train(dataclasses.replace(TWIN, method="bivm"), tmp_path / "binary", workers=0, progress=False)
    with pytest.raises(UserError, match="model.pt: the teacher is binary"):
        train(dataclasses.replace(STUDENT, teacher=str(tmp_path / "binary" / "model.pt")), tmp_path / "b",
              workers=0, progress=False)
