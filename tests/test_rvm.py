"""RVM, the float ancestor: sizes against known and hand-worked counts, recurrence, odd frames, refiner."""

import math

import pytest
import torch
from torch import nn

from bivm_ref.net.count import count_conv_macs
from bivm_ref.net.output import MattingOutput
from bivm_ref.net.rvm import RVM, ConvGRU, DeepGuidedFilter, squeezed_width, upsample_to


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return RVM().eval()


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def clip(height, width, frames=1, seed=0):
    return torch.rand(1, frames, 3, height, width, generator=torch.Generator().manual_seed(seed))


# ── sizes. Origin of the figures: parameters and MACs counted on RVM's released network ──


def test_parameters_by_part(model):
    parts = {name: count(part) for name, part in model.named_children()}
    assert parts == {"encoder": 2_971_952, "neck": 246_016, "decoder": 529_772, "matting_head": 68,
                     "segmentation_head": 17, "refiner": 808}
    assert count(model) == 3_748_633


def test_parameters_worked_by_hand(model):
    def gru(c):  # gates 3x3 2c -> 2c and candidate 3x3 2c -> c, both with bias
        return 9 * 2 * c * 3 * c + 3 * c

    up = sum(9 * (c_in + c_skip + 3) * c + 2 * c + gru(c // 2)  # 2c: batch norm
             for c_in, c_skip, c in [(128, 40, 80), (80, 24, 40), (40, 16, 32)])
    output = 9 * 35 * 16 + 32 + 9 * 16 * 16 + 32
    assert count(model.decoder) == gru(64) + up + output
    assert count(model.neck) == 2 * 960 * 128 + 2 * 128
    assert count(model.refiner) == 4 * 9 + (24 * 16 + 32) + (16 * 16 + 32) + (16 * 4 + 4)


def test_squeeze_widths_of_mobilenet_v3_large():
    # 18 would round to 16, more than 10 % less; the paper's code goes up instead
    assert [squeezed_width(c) for c in (72, 120, 480, 672, 960)] == [24, 32, 120, 168, 240]


@pytest.mark.parametrize("height, width, ratio, giga", [(288, 512, 1.0, 4.496), (1080, 1920, 0.25, 4.076)])
def test_macs(height, width, ratio, giga):
    meta = RVM().to("meta")  # shapes only, no arithmetic
    frame = torch.empty(1, 1, 3, height, width, device="meta")
    macs = count_conv_macs(meta, frame, None, ratio)
    assert round(sum(macs.values()) / 1e9, 3) == giga
    assert any(name.startswith("refiner") for name in macs) == (ratio < 1)  # 4.076 includes the refiner
    assert "segmentation_head" not in macs


def test_counter_on_hand_worked_convolutions():
    net = nn.Sequential(nn.Conv2d(4, 6, 3, stride=2, padding=1), nn.Conv2d(6, 6, (1, 3), groups=3)).train()
    x = torch.zeros(2, 4, 9, 11)  # -> (2, 6, 5, 6) -> (2, 6, 5, 4)
    assert count_conv_macs(net, x) == {"0": 2 * 6 * 5 * 6 * 9 * 4, "1": 2 * 6 * 5 * 4 * 3 * 2}
    assert net.training and not net[0]._forward_hooks  # nothing left behind


def test_counter_adds_up_the_frames_of_a_recurrent_unit():
    macs = count_conv_macs(ConvGRU(2), torch.zeros(1, 5, 2, 3, 3), None)
    assert macs == {"gates": 5 * 9 * 9 * 4 * 4, "candidate": 5 * 9 * 9 * 4 * 2}


# ── recurrence ──


def test_gru_by_hand():
    # zero weights: z = sigmoid(0) = 1/2 and c = tanh(bias), so h goes half the way to c at every frame
    gru = ConvGRU(1)
    for p in gru.parameters():
        nn.init.zeros_(p)
    nn.init.constant_(gru.candidate.bias, 0.7)
    hidden, last = gru(torch.rand(1, 3, 1, 2, 2), torch.ones(1, 1, 2, 2))
    c = math.tanh(0.7)
    for t, expected in enumerate([1 + (c - 1) / 2, 1 + (c - 1) * 3 / 4, 1 + (c - 1) * 7 / 8]):
        torch.testing.assert_close(hidden[0, t, 0], torch.full((2, 2), expected))
    assert torch.equal(last, hidden[:, -1])


def test_gru_gates_by_hand():
    # only centre taps: gates [r, z] = sigmoid([h, x]), candidate = tanh(r h), on one pixel
    gru = ConvGRU(1)
    for p in gru.parameters():
        nn.init.zeros_(p)
    with torch.no_grad():
        gru.gates.weight[0, 1, 1, 1] = 1  # r sees h
        gru.gates.weight[1, 0, 1, 1] = 1  # z sees x
        gru.candidate.weight[0, 1, 1, 1] = 1
    x, h = 0.3, -0.8
    _, last = gru(torch.full((1, 1, 1, 1, 1), x), torch.full((1, 1, 1, 1), h))
    r, z = 1 / (1 + math.exp(-h)), 1 / (1 + math.exp(-x))
    assert last.item() == pytest.approx((1 - z) * h + z * math.tanh(r * h), abs=1e-6)


def test_four_frames_at_once_equal_four_steps(model):
    frames = clip(64, 96, frames=4)
    with torch.no_grad():
        whole = model(frames)
        state, steps = None, []
        for t in range(4):
            steps.append(model(frames[:, t:t + 1], state))
            state = steps[-1].state
        forgetful = model(frames[:, 3:])
    torch.testing.assert_close(torch.cat([s.alpha for s in steps], 1), whole.alpha)
    torch.testing.assert_close(torch.cat([s.foreground for s in steps], 1), whole.foreground)
    for ours, theirs in zip(state, whole.state):
        torch.testing.assert_close(ours, theirs)
    assert not torch.allclose(forgetful.state[0], whole.state[0])  # the past does matter


def test_clips_of_a_batch_do_not_mix(model):
    a, b = clip(32, 48, frames=2, seed=1), clip(32, 48, frames=2, seed=2)
    with torch.no_grad():
        both = model(torch.cat([a, b]))
        alone = model(b)
    torch.testing.assert_close(both.foreground[1:], alone.foreground)
    torch.testing.assert_close(both.state[0][1:], alone.state[0])


# ── sizes of frames ──


@pytest.mark.parametrize("ratio", [1.0, 0.5])
def test_odd_frame(model, ratio):
    with torch.no_grad():
        result = model(clip(131, 97, frames=2), None, ratio)
    assert isinstance(result, MattingOutput) and result.coarse_alpha is None
    assert result.alpha.shape == (1, 2, 1, 131, 97)
    assert result.foreground.shape == (1, 2, 3, 131, 97)
    for image in (result.alpha, result.foreground):
        assert 0 <= image.min() and image.max() <= 1
    sizes = {1.0: [(9, 7), (17, 13), (33, 25), (66, 49)], 0.5: [(5, 3), (9, 6), (17, 12), (33, 24)]}
    assert [tuple(h.shape) for h in result.state] == [
        (1, c, *size) for c, size in zip((64, 40, 20, 16), sizes[ratio])]


def test_smallest_frame(model):
    assert model(clip(1, 1)).alpha.shape == (1, 1, 1, 1, 1)


def test_upsample_is_bilinear_between_pixel_centres():
    x = torch.tensor([[[[0.0, 4.0]]]])
    assert upsample_to(x, torch.empty(1, 3)).tolist() == [[[[0.0, 1.0, 3.0]]]]  # 0 1 3 4, cropped


def test_untouched_foreground_is_the_frame(model):
    plain = RVM().eval()
    nn.init.zeros_(plain.matting_head.weight)
    plain.matting_head.bias.data = torch.tensor([0.0, 0.0, 0.0, 0.25])
    frames = clip(32, 32)
    result = plain(frames)
    assert torch.equal(result.foreground, frames)
    assert torch.equal(result.alpha, torch.full((1, 1, 1, 32, 32), 0.25))


# ── deep guided filter ──


@pytest.fixture
def guided():
    """The filter with a slope of 0.5 everywhere, whatever it sees."""
    refiner = DeepGuidedFilter().eval()
    nn.init.zeros_(refiner.slope[-1].weight)
    nn.init.constant_(refiner.slope[-1].bias, 0.5)
    return refiner


def test_guided_filter_keeps_a_constant(guided):
    # b = y - A x, so A x + b = y inside; the box's window leaves the image only in the outer ring
    small, large = torch.full((1, 3, 8, 8), 0.6), torch.full((1, 3, 16, 16), 0.6)
    y = guided(large, small, torch.full((1, 4, 8, 8), 0.3), torch.zeros(1, 16, 8, 8))
    torch.testing.assert_close(y[..., 4:-4, 4:-4], torch.full((1, 4, 8, 8), 0.3))


def test_guided_filter_takes_edges_from_the_large_frame(guided):
    # a step d in one colour moves that channel by A d and the alpha, guided by the mean, by A d / 3
    small, large = torch.full((1, 3, 8, 8), 0.6), torch.full((1, 3, 16, 16), 0.6)
    edged = large.clone()
    edged[:, 0, :, 8:] += 0.3
    rest = torch.full((1, 4, 8, 8), 0.3), torch.zeros(1, 16, 8, 8)
    step = (guided(edged, small, *rest) - guided(large, small, *rest))[0, :, 8]  # (4, 16), one row
    assert step[:, :8].abs().max() == 0
    torch.testing.assert_close(step[:, 8:], torch.tensor([0.15, 0, 0, 0.05])[:, None].expand(4, 8))


# ── training ──


@pytest.mark.parametrize("ratio", [1.0, 0.5])
def test_gradients_reach_every_used_weight(ratio):
    torch.manual_seed(0)
    net = RVM().train()
    net.matting_head.bias.data = torch.tensor([0.0, 0.0, 0.0, 0.5])  # away from the clamp
    result = net(clip(64, 64, frames=2), None, ratio)
    (result.alpha.mean() + result.foreground.square().mean()).backward()
    assert net.encoder.stem[0].weight.grad.abs().sum() > 0
    without = {name for name, p in net.named_parameters() if p.grad is None}
    unused = ("segmentation_head",) if ratio < 1 else ("segmentation_head", "refiner")
    assert without == {name for name, _ in net.named_parameters() if name.startswith(unused)}


def test_segmentation_task(model):
    logits, state = model.segment(clip(33, 20, frames=2))
    assert logits.shape == (1, 2, 1, 33, 20) and len(state) == 4
    (grad,) = torch.autograd.grad(logits.mean(), model.encoder.stem[0].weight)
    assert grad.abs().sum() > 0


# ── mistakes ──


@pytest.mark.parametrize("args, message", [
    ((torch.rand(1, 3, 16, 16),), "clip must be"),
    ((torch.rand(1, 1, 3, 16, 16), [None]), "4 hidden maps"),
    ((torch.rand(1, 1, 3, 16, 16), None, 1.5), "downsample_ratio"),
])
def test_wrong_input(model, args, message):
    with pytest.raises(ValueError, match=message):
        model(*args)


def test_state_of_another_frame_size(model):
    state = model(clip(32, 32)).state
    with pytest.raises(ValueError, match="start a new clip"):
        model(clip(64, 32), state)
