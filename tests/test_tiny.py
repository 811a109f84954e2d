"""The network that learns in seconds: same seed, same network; it fits what it sees; the methods end in order."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from bivm_ref.learn import tiny  # noqa: E402
from bivm_ref.net.binary import BinaryConv2d  # noqa: E402


@pytest.fixture(scope="module")
def seen():
    return tiny.tiny_frames(40)


@pytest.fixture(scope="module")
def unseen():
    return tiny.tiny_frames(6, held_out=True)


def test_frames_are_the_same_again_and_held_out_ones_are_others(seen, unseen):
    assert seen.levels.shape == (40, 3, 32, 32) and seen.alpha.shape == (40, 1, 32, 32)
    assert float(seen.alpha.min()) >= 0 and float(seen.alpha.max()) <= 1 and float(seen.levels.max()) > 1
    again = tiny.tiny_frames(2, first=1)
    assert torch.equal(again.levels, seen.levels[1:3]) and torch.equal(again.alpha, seen.alpha[1:3])
    assert not torch.equal(unseen.levels, seen.levels[:6])
    with pytest.raises(ValueError, match="multiple of 8, not 30"):
        tiny.tiny_frames(1, 30)


@pytest.mark.parametrize("how", ["bivm", "float", "bnn", "recu", "irnet"])
def test_five_binary_convolutions_and_all_of_them_learn(how, seen):
    torch.manual_seed(0)
    model = tiny.TinyMatte(how)
    assert len([m for m in model.modules() if isinstance(m, BinaryConv2d)]) == 5
    logits = model(seen.levels[:4])
    assert logits.shape == (4, 1, 32, 32)
    logits.square().sum().backward()
    for name in ("quarter", "eighth", "middle", "up_quarter", "up_half"):
        assert getattr(model, name).conv.weight.grad.abs().sum() > 0
    matte = model.matte(seen.levels[:4])
    assert matte.shape == (4, 32, 32) and 0 <= matte.min() and matte.max() <= 1


def test_one_seed_gives_one_training(seen, unseen):
    first, again, other = (tiny.train_tiny("bivm", seen, unseen, steps=4, seed=s) for s in (0, 0, 1))
    assert np.array_equal(first.losses, again.losses) and first.held_out_mad == again.held_out_mad
    assert not np.array_equal(first.losses, other.losses) and len(first.losses) == 4


def test_unknown_methods_are_refused(seen, unseen):
    with pytest.raises(ValueError, match="unknown method"):
        tiny.train_tiny("binaryconnect", seen, unseen, steps=1)


def test_last_loss_is_the_mean_of_the_end():
    lesson = tiny.Lesson(None, np.arange(10.0), 0.0)
    assert tiny.last_loss(lesson) == 8.5 and tiny.last_loss(lesson, 0.01) == 9


def test_float_fits_better_than_ours_and_ours_better_than_bnn(seen, unseen):
    """What notebook 03 says, with less than half of the smallest gap that six seeds showed."""
    ends = {how: tiny.last_loss(tiny.train_tiny(how, seen, unseen, steps=120)) for how in ("float", "bivm", "bnn")}
    assert ends["float"] < ends["bivm"] - 0.02 < ends["bnn"] - 0.04
