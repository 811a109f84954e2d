"""A grown network computes what the smaller one did: exactly for float twins, exactly where it can for binary ones."""

import pytest
import torch
from torch import nn

from bivm_ref.arch import Arch, Block, preset
from bivm_ref.cli import main
from bivm_ref.learn.grow import Grower, concatenated, copies, grow, halves, resampling
from bivm_ref.learn.store import load_model, save_atomic
from bivm_ref.net import BiVM, ops
from bivm_ref.net.binary import fold
from bivm_ref.net.blocks import Norm
from tools import make_weights as tool


def arch(name, f2, f3, f4, neck, decoder, stem=8, detail=8):
    stages, width = [], stem
    for row in (f2, f3, f4):
        stages.append(tuple(Block(a, b, 2 if i == 0 else 1) for i, (a, b) in enumerate(zip((width, *row), row))))
        width = row[-1]
    return Arch(name=name, stem=stem, stages=tuple(stages), neck=neck, coarse=8, decoder=decoder, detail=detail,
                thresholds=8, refiner=8)


SMALL = arch("little", (16,), (24, 24), (40, 48), 32, (48, 32, 16))
# widths that are no multiples, blocks that are new, and one that reduces; f2 and f3 end as they did
LARGE = arch("wider", (16, 32, 16), (24, 48, 24, 48), (56, 96, 48, 96), 48, (80, 48, 32))


def lively(net, seed=0):
    """Every number of a network drawn anew, so that a forgotten gain, slope, threshold or norm would show."""
    drawn = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, Norm):
                module.running_mean.normal_(0, 0.2, generator=drawn)
                module.running_var.uniform_(0.5, 1.5, generator=drawn)
                module.weight.uniform_(0.5, 1.5, generator=drawn)
                module.bias.normal_(0, 0.3, generator=drawn)
            if isinstance(module, nn.PReLU):
                module.weight.uniform_(0.1, 0.5, generator=drawn)
        for name, parameter in net.named_parameters():
            if name.endswith(("gain", "gate_scale")):
                parameter.uniform_(0.4, 1.2, generator=drawn)
            if name.endswith("theta") and ".rgb." not in name:
                parameter.normal_(0, 0.2, generator=drawn)
        for head in (net.head.weight, net.refiner.head.weight):
            head.normal_(0, 0.1, generator=drawn)
    return fold(net).eval()


@pytest.fixture
def clip():
    return torch.rand(2, 3, 3, 32, 48, generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("masked", [True, False])
def test_a_float_twin_computes_the_same_matte(clip, masked):
    small, large = lively(BiVM(SMALL, "float", masked)), fold(BiVM(LARGE, "float", masked))
    grow(small, large, [clip])
    large.eval()
    assert sum(p.numel() for p in large.parameters()) > 2 * sum(p.numel() for p in small.parameters())
    other = torch.rand(1, 4, 3, 48, 32, generator=torch.Generator().manual_seed(6))
    with torch.no_grad():
        for frames, big in ((clip, None), (other, torch.rand(1, 4, 3, 96, 64))):
            mine, theirs = small(frames, large=big), large(frames, large=big)
            assert mine.alpha.std() > 0.02
            for name in ("alpha", "foreground", "coarse_alpha"):
                assert (getattr(mine, name) - getattr(theirs, name)).abs().max() < 1e-4, name


def test_the_presets_fit_one_another(clip):
    small = lively(BiVM("small", "float"))
    large = fold(BiVM("default", "float"))
    grow(small, large, [clip])
    with torch.no_grad():
        assert (small(clip).alpha - large.eval()(clip).alpha).abs().max() < 1e-4


def test_training_moves_copies_apart(clip):
    """Copies get gradients of their own, and what was a detour gets one, too."""
    small, large = lively(BiVM(SMALL, "float")), fold(BiVM(LARGE, "float"))
    grow(small, large, [clip])
    large.train()(clip).alpha.mean().backward()
    spatial = large.encoder.f4[1].point.conv.weight.grad  # 48 channels, each twice
    assert (spatial[:48] - spatial[48:]).abs().max() > 1e-6 * spatial.abs().max() > 0
    assert large.encoder.f2[1].spatial.norm.weight.grad.abs().max() > 0


def test_a_binary_network_that_grows_to_its_own_size_stays_what_it_was(clip):
    small, large = lively(BiVM(SMALL, "bivm")), fold(BiVM(SMALL, "bivm"))
    grow(small, large, [clip])
    with torch.no_grad():
        assert torch.equal(small.train()(clip).alpha, large.train()(clip).alpha)


def test_where_no_rule_is_in_the_way_a_binary_networks_maps_are_copies(clip):
    small, large = lively(BiVM(SMALL, "bivm")), fold(BiVM(LARGE, "bivm"))
    grow(small, large, [clip])
    levels = ops.pixel_levels(clip.flatten(0, 1))
    with torch.no_grad():
        mine, theirs = small.train().encoder(levels), large.train().encoder(levels)
    assert torch.equal(mine[0], theirs[0])
    for k in (1, 2):
        copied = torch.arange(theirs[k].shape[1]) % mine[k].shape[1]
        torch.testing.assert_close(theirs[k], mine[k][:, copied], rtol=0, atol=1e-4)
    assert (large.encoder.f2[2].point.norm.weight == 0).all() and (large.encoder.f2[0].point.norm.weight != 0).all()


def test_shares_of_a_channel_add_up_to_its_weight():
    m = torch.tensor([0, 1, 2, 0, 0, 2])
    weight = torch.randn(4, 3, 3, 3)
    spread = Grower(1).spread(weight, m, torch.tensor([3, 0, 3]))
    for row, old in enumerate((3, 0, 3)):
        for channel in range(3):
            torch.testing.assert_close(spread[row][m == channel].sum(0), weight[old, channel])
    assert not torch.equal(spread[0], spread[2])  # two copies do not read the same


def test_maps_by_hand():
    assert halves(8, 4).tolist() == [0, 1, 0, 1, 2, 3, 2, 3]
    assert concatenated((torch.tensor([0, 1, 0]), 2), (torch.tensor([1, 0]), 2)).tolist() == [0, 1, 0, 3, 2]
    assert copies(torch.tensor([1, 0, 1]), 2).tolist() == [[0, 1], [1, 0], [0, 1]]
    assert resampling(2, 4).tolist() == [[1, 0], [0, 1], [1, 0], [0, 1]]
    assert resampling(4, 2).tolist() == [[0.5, 0, 0.5, 0], [0, 0.5, 0, 0.5]]


@pytest.mark.parametrize("large, said", [
    (BiVM(LARGE, "bivm"), "into one of the same method"),
    (BiVM(arch("s", (16,), (24, 24), (40, 48), 32, (48, 32, 16), stem=16), "float"), "must be of equal widths"),
    (BiVM(arch("f", (16,), (24,), (40, 48), 32, (48, 32, 16)), "float"), "too few blocks"),
    (BiVM(arch("e", (16,), (24, 24), (32, 48), 32, (48, 32, 16)), "float"), "encoder is wider already"),
    (BiVM(arch("d", (16,), (24, 24), (40, 48), 32, (32, 32, 16)), "float"), "decoder is wider already"),
])
def test_what_does_not_fit_is_refused(clip, large, said):
    with pytest.raises(ValueError, match=said):
        grow(lively(BiVM(SMALL, "float")), large, [clip])


@pytest.mark.parametrize("f2, said", [((16, 24, 16), "16 channels to 24"), ((16, 8), "not copies of one")])
def test_a_new_block_that_would_change_something_is_refused(clip, f2, said):
    large = BiVM(arch("l", f2, (24, 48, 24, 48), (56, 96, 48, 96), 48, (80, 48, 32)), "float")
    with pytest.raises(ValueError, match=said):
        grow(lively(BiVM(SMALL, "float")), large, [clip])


def test_networks_of_other_methods_are_refused(clip, tmp_path, capfd):
    for name in ("reactnet", "bnn"):
        with pytest.raises(ValueError, match=f"and {name} has not"):
            grow(BiVM(SMALL, name), BiVM(LARGE, name), [clip])
    save_atomic({"recipe": {"arch": "small", "method": "reactnet"}, "model": BiVM("small", "reactnet").state_dict()},
                tmp_path / "r.pt")
    assert main(["grow", str(tmp_path / "r.pt"), str(tmp_path / "grown.pt")]) == 2
    assert "r.pt: does not grow into the preset 'default'" in capfd.readouterr().err


def test_tool_and_command_write_what_a_run_would(tmp_path, capfd):
    (name, source, size), = ((n, s, a) for n, (s, a) in tool.GROWN.items() if n == "default-float-grown")
    tool.grown(name, tmp_path)
    kept = tool.WEIGHTS / "training" / f"{source}.pt"
    assert main(["grow", str(kept), str(tmp_path / "grown.pt")]) == 0
    assert "--preset default --init" in capfd.readouterr().out
    assert (tmp_path / "grown.pt").read_bytes() == (tmp_path / name / "model.pt").read_bytes()
    assert main(["grow", str(kept), str(tmp_path / "grown.pt")]) == 2
    assert "grown.pt: exists already" in capfd.readouterr().err
    assert main(["grow", str(tmp_path / "grown.pt"), str(tmp_path / "less.pt"), "--preset", "small"]) == 2
    assert "grown.pt: does not grow into the preset 'small'" in capfd.readouterr().err
    assert not (tmp_path / "less.pt").exists()
    small = load_model(tool.WEIGHTS / "training" / f"{source}.pt")
    large = load_model(tmp_path / name / "model.pt")
    assert large.arch == preset(size) != small.arch
    clip = torch.rand(1, 2, 3, 64, 80, generator=torch.Generator().manual_seed(7))
    with torch.no_grad():
        assert (small(clip).alpha - large(clip).alpha).abs().max() < 1e-4
