"""The torch network: signs and gradients, elastic shortcuts, mask, memory, float twin."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from bivm_ref.arch import preset
from bivm_ref.net import BiVM, ops
from bivm_ref.net.binarize import BiRealSTE, ClipSTE, method
from bivm_ref.net.binary import BinaryConv2d, Sign, fold
from bivm_ref.net.blocks import STEM_LEVELS, ConvGRU, Elastic, FixedPointStem, Norm, TwoBranch
from bivm_ref.net.decoder import Thermometer, detail_mask, repeat_mask

X = (-1.5, -0.5, 0.0, 0.25, 1.5)


@pytest.mark.parametrize("ste, gradient", [(ClipSTE, (0, 1, 1, 1, 0)), (BiRealSTE, (0, 1, 2, 1.5, 0))])
def test_ste_golden_values(ste, gradient):
    """facts: upstream gradient 1 at x = (-1.5, -.5, 0, .25, 1.5); sign(0) = +1."""
    x = torch.tensor(X, requires_grad=True)
    y = ste.apply(x)
    y.sum().backward()
    assert y.tolist() == [-1, -1, 1, 1, 1]
    assert x.grad.tolist() == list(gradient)


def test_zero_weights_become_plus_one():
    assert method("bivm").weight(torch.zeros(8, 8, 3, 3)).unique().tolist() == [1.0]


def test_padding_adds_nothing():
    """+1 image, +1 weights: a corner sees 4 taps, an edge 6, the middle 9, times the channels."""
    conv = BinaryConv2d(8, 8, 3)
    torch.nn.init.zeros_(conv.weight)
    dot = conv(torch.ones(1, 8, 3, 3))[0, 0]
    assert dot.tolist() == [[32, 48, 32], [48, 72, 48], [32, 48, 32]]


def test_theta_moves_the_threshold():
    sign = Sign(8)
    with torch.no_grad():
        sign.theta.fill_(-0.5)
    x = torch.tensor([0.4, 0.5, 0.6, -1.0]).view(1, 1, 2, 2).repeat(1, 8, 1, 1)
    assert sign(x)[0, 3].flatten().tolist() == [-1, 1, 1, -1]


# -- elastic shortcut ---------------------------------------------------------------------------------------------

PAIRS = [(16, 16), (16, 32), (16, 64), (32, 16), (24, 16), (16, 24), (96, 128), (128, 96), (152, 48), (512, 128)]


@pytest.mark.parametrize("ci, co", PAIRS)
def test_resampling_keeps_the_channel_mean(ci, co):
    x = torch.randn(2, ci, 3, 5, dtype=torch.float64)
    y = ops.resample_channels(x, co)
    assert y.shape == (2, co, 3, 5)
    torch.testing.assert_close(y.mean(1), x.mean(1))


def test_resampling_equals_bimattings_rules():
    x = torch.randn(2, 16, 3, 5)
    assert torch.equal(ops.resample_channels(x, 16), x)
    assert torch.equal(ops.resample_channels(x, 32), torch.cat((x, x), 1))
    assert torch.equal(ops.resample_channels(x, 64), torch.cat((x, x, x, x), 1))
    assert torch.equal(ops.resample_channels(x, 8), (x[:, :8] + x[:, 8:]) / 2)


def test_resampling_is_the_mean_its_docstring_states():
    x = np.random.default_rng(0).normal(size=24).astype(np.float32)
    y = ops.resample_channels(torch.from_numpy(x).view(1, 24, 1, 1), 16).flatten().numpy()
    expected = [np.mean([x[(j + 16 * k) % 24] for k in range(3)]) for j in range(16)]
    np.testing.assert_allclose(y, expected, rtol=1e-6)


@pytest.mark.parametrize("ci, co", PAIRS[:8])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [1, 3])
def test_gradient_passes_the_shortcut_of_every_shape(ci, co, kernel, stride):
    """With the convolution's contribution zeroed (gamma = 0), x still receives a gradient in every position."""
    layer = Elastic(ci, co, kernel, stride)
    with torch.no_grad():
        layer.norm.weight.zero_()
    x = torch.randn(2, ci, 6, 4, requires_grad=True)
    y = layer(x)
    assert y.shape == (2, co, 6 // stride, 4 // stride)
    y.sum().backward()
    assert (x.grad.abs() > 0).all()


def test_average_pool_and_upsample_equal_torchs():
    x = torch.randn(2, 8, 6, 10)
    torch.testing.assert_close(ops.average_pool(x), F.avg_pool2d(x, 2))
    expected = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
    torch.testing.assert_close(ops.upsample(x), expected)
    torch.testing.assert_close(ops.upsample(x, training=True), expected)
    single = torch.randn(1, 8, 1, 1)
    assert torch.equal(ops.upsample(single), single.expand(1, 8, 2, 2))


def test_gates_worked_by_hand():
    x = torch.tensor([-4.0, -3.0, 0.0, 1.5, 3.0, 9.0])
    assert ops.hard_sigmoid(x).tolist() == [0, 0, 0.5, 0.75, 1, 1]
    assert ops.hard_tanh(x).tolist() == [-1, -1, 0, 1, 1, 1]


# -- stem ---------------------------------------------------------------------------------------------------------

def test_stem_sums_are_whole_numbers_below_2_24():
    stem = FixedPointStem(16).eval()
    weight = stem.integer_weight().detach()
    assert weight.abs().amax(dim=(1, 2, 3)).tolist() == [STEM_LEVELS] * 16
    levels = torch.randint(0, 256, (1, 3, 12, 10)).float()
    dot = stem.dot(levels)
    exact = F.conv2d(levels.double() * 2 - 255, torch.round(weight).double(), stride=2, padding=1)
    assert torch.equal(dot.double(), exact)
    assert 27 * 255 * STEM_LEVELS < 2**24


def test_norm_evaluates_in_its_folded_form():
    norm = Norm(8, input_scale=0.5)
    norm.weight.data = torch.linspace(-2, 2, 8)
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2)
    norm.eval()
    x = torch.randn(2, 8, 3, 3)
    expected = F.batch_norm(x * 0.5, norm.running_mean, norm.running_var, norm.weight, norm.bias, False, 0.0, norm.eps)
    torch.testing.assert_close(norm(x), expected)


# -- mask ---------------------------------------------------------------------------------------------------------

def test_mask_worked_by_hand():
    """A hard step between columns 1 and 2: both sides of it are boundary; one uncertain cell stands alone."""
    alpha = torch.tensor([[0, 0, 1, 1, 1, 1], [0, 0, 1, 1, 1, 0.94], [0, 0.0, 1, 1, 1, 1]]).view(1, 1, 3, 6)
    expected = [[0, 1, 1, 0, 0, 0], [0, 1, 1, 0, 0, 1], [0, 1, 1, 0, 0, 0]]
    assert detail_mask(alpha, 0.05)[0, 0].tolist() == expected


def test_a_homogeneous_frame_needs_nothing():
    assert detail_mask(torch.zeros(1, 1, 4, 4), 0.05).sum() == 0
    assert detail_mask(torch.ones(1, 1, 4, 4), 0.05).sum() == 0
    assert detail_mask(torch.full((1, 1, 4, 4), 0.05), 0.05).sum() == 16, "tau itself is uncertain"


def test_repeated_mask_stays_binary():
    mask = torch.tensor([[0.0, 1.0]]).view(1, 1, 1, 2)
    assert repeat_mask(mask, 2)[0, 0].tolist() == [[0, 0, 1, 1], [0, 0, 1, 1]]


def test_masked_branch_is_dense_times_mask():
    branch = TwoBranch(8, 16).eval()
    bits, mask = torch.randn(2, 8, 5, 7).sign(), (torch.rand(2, 1, 5, 7) > 0.5).float()
    difference = branch(bits, None) - branch(bits, mask)
    assert (difference * mask).abs().max() == 0
    torch.testing.assert_close(branch(bits, torch.zeros_like(mask)), branch.norm1(branch.k1(bits)))


# -- memory -------------------------------------------------------------------------------------------------------

def test_gru_state_stays_a_convex_mix():
    gru = ConvGRU(8).eval()
    h = torch.zeros(1, 8, 6, 6)
    for _ in range(30):
        h = gru(torch.randn(1, 8, 6, 6) * 5, h, None)
    assert h.abs().max() <= 1.0


def test_gru_keeps_or_takes_by_its_gate():
    gru = ConvGRU(8).eval()
    with torch.no_grad():
        for norm in (gru.gates.norm1, gru.gates.norm3, gru.candidate.norm1, gru.candidate.norm3):
            norm.weight.zero_()
            norm.bias.zero_()
        gru.gates.norm1.bias[:8] = -10.0  # z = 0: keep
    x, h = torch.rand(1, 8, 4, 4) * 0.5, torch.randn(1, 8, 4, 4).clamp(-1, 1)
    assert torch.equal(gru(x, h, None), h)
    gru.gates.norm1.bias.data[:8] = 10.0  # z = 1: take the candidate, here g * x
    torch.testing.assert_close(gru(x, h, None), x)


def test_thermometer_counts_levels():
    """A mid-grey pixel passes the lower half of the eight thresholds of its colour."""
    bits = Thermometer(8, "bivm")(torch.tensor([0.5, 0.0, 1.0]).view(1, 3, 1, 1)).view(3, 8)
    assert (bits > 0).sum(1).tolist() == [4, 0, 8]


# -- the whole network --------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    return BiVM("small").eval()


@pytest.mark.parametrize("batch, time, height, width", [(1, 1, 32, 32), (2, 3, 48, 33), (1, 2, 17, 64), (1, 1, 1, 1)])
def test_shapes_of_any_size(small, batch, time, height, width):
    with torch.no_grad():
        out = small(torch.rand(batch, time, 3, height, width))
    assert out.alpha.shape == (batch, time, 1, height, width)
    assert out.foreground.shape == (batch, time, 3, height, width)
    assert out.coarse_alpha.shape == (batch, time, 1, -(-height // 16), -(-width // 16))
    for state, c in zip(out.state, preset("small").hidden, strict=True):
        assert state.shape[1] == c
    assert 0 <= out.alpha.min() and out.alpha.max() <= 1


def test_frame_by_frame_equals_clip_at_once(small):
    clip = torch.rand(2, 4, 3, 32, 48)
    with torch.no_grad():
        whole, state, frames = small(clip), None, []
        for t in range(4):
            out = small(clip[:, t:t + 1], state)
            state = out.state
            frames.append(out.alpha)
    assert torch.equal(whole.alpha, torch.cat(frames, 1))


def test_memory_matters(small):
    clip = torch.rand(1, 2, 3, 32, 48)
    with torch.no_grad():
        assert not torch.equal(small(clip).alpha[:, 1], small(clip[:, 1:]).alpha[:, 0])


def test_wrong_shapes_are_refused(small):
    with pytest.raises(ValueError, match="B, T, 3, H, W"):
        small(torch.rand(1, 3, 32, 32))


def test_every_parameter_learns():
    """One training step reaches every parameter, refiner included, in the student and in its float twin."""
    for binary in (True, False):
        torch.manual_seed(1)
        model = BiVM("small", "bivm" if binary else "float").train()
        torch.nn.init.normal_(model.refiner.head.weight)
        clip = torch.rand(2, 2, 3, 64, 64)
        large = torch.rand(2, 2, 3, 128, 128)
        plain = model(clip)
        refined = model(clip, large=large)
        sum(x.std() for x in (refined.alpha, plain.alpha, plain.foreground, plain.coarse_alpha)).backward()
        names = [n for n, _ in model.named_parameters()]
        unused = set() if binary else {n for n in names if n.endswith(".theta") and ".rgb." not in n}
        idle = {n for n, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0}
        assert idle - unused == set(), binary


def test_twin_is_the_same_description_without_signs():
    student, twin = fold(BiVM("small")), BiVM("small", "float")
    assert {k: v.shape for k, v in student.state_dict().items()} == {k: v.shape for k, v in twin.state_dict().items()}
    conv = BinaryConv2d(8, 8, 3, how="float")
    x = torch.randn(1, 8, 4, 4)
    assert torch.equal(conv(x), F.conv2d(x, conv.weight, padding=1))


def test_refiner_returns_the_large_size(small):
    clip, large = torch.rand(1, 2, 3, 32, 48), torch.rand(1, 2, 3, 75, 101)
    with torch.no_grad():
        out = small(clip, large=large)
    assert out.alpha.shape == (1, 2, 1, 75, 101) and out.foreground.shape == (1, 2, 3, 75, 101)
