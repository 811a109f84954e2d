"""Every binarization method: golden values of formula and gradient, worked by hand from the papers' formulas."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from bivm_ref.net import BiVM
from bivm_ref.net.binarize import EDE, METHODS, IdentitySTE, method, names
from bivm_ref.net.binary import BinaryConv2d, Branches, Sign, fold

X = (-1.5, -0.5, 0.0, 0.25, 1.5)
W = (0.3, -0.1, 0.2, -0.6)
BITS = (1, -1, 1, -1)
OTHERS = ("bnn", "xnor", "dorefa", "bireal", "irnet", "reactnet", "recu", "bimatting")
CLIP, BIREAL, TANH = (0, 1, 1, 1, 0), (0, 1, 2, 1.5, 0), (0.1807, 0.7864, 1, 0.9400, 0.1807)


def of(name: str, progress: float = 0.0):
    found = method(name)
    found.progress = progress
    return found


def backward(f, values, upstream=None):
    """(f(x), gradient of sum(upstream * f(x)) in x), flat, for values laid out as one output channel."""
    x = torch.tensor(values, dtype=torch.float64).view(1, -1, 1, 1).requires_grad_()
    y = f(x)
    (y * (1.0 if upstream is None else torch.tensor(upstream, dtype=torch.float64).view(1, -1, 1, 1))).sum().backward()
    return y.detach().flatten().numpy(), x.grad.flatten().numpy()


# -- activations --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name, progress, gradient", [
    ("bnn", 0, CLIP), ("xnor", 0, CLIP), ("dorefa", 0, CLIP), ("bimatting", 0, CLIP), ("bireal", 0, BIREAL),
    ("reactnet", 0, BIREAL), ("bivm", 0, BIREAL), ("irnet", 0.75, TANH)])  # IR-Net has t = k = 1 at 3/4 of the training
def test_activation_gradients(name, progress, gradient):
    y, g = backward(of(name, progress).sign, X)
    assert y.tolist() == [-1, -1, 1, 1, 1]
    np.testing.assert_allclose(g, gradient, atol=5e-5)


def test_recu_divides_by_the_samples_spread():
    """u = x/s; dx_j = g_j/s - (sum_i g_i x_i) (x_j - m) / ((n-1) s^3), with g = max(0, 2 - 2|u|)."""
    x = np.array(X)
    n, m, s = len(x), x.mean(), x.std(ddof=1)
    g = np.maximum(0, 2 - 2 * np.abs(x / s))
    y, found = backward(of("recu").sign, X)
    assert y.tolist() == [-1, -1, 1, 1, 1]
    np.testing.assert_allclose(found, g / s - (g * x).sum() * (x - m) / ((n - 1) * s**3), atol=1e-12)


def test_the_two_estimators_that_nobody_else_tests():
    assert backward(IdentitySTE.apply, X)[1].tolist() == [1] * 5
    y, g = backward(lambda x: EDE.apply(x, 0.001, 1000.0), X)  # k*t = 1: the start of IR-Net's schedule is the identity
    np.testing.assert_allclose(g, 1.0, atol=1e-5)
    assert y.tolist() == [-1, -1, 1, 1, 1]


# -- weights ------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name, scale, gradient", [
    ("bnn", 1.0, 1.0), ("bivm", 1.0, 1.0), ("xnor", 0.3, 0.55), ("dorefa", 0.3, 1.0), ("bireal", 0.3, 0.3),
    ("reactnet", 0.3, 0.3)])
def test_weights_without_centring(name, scale, gradient):
    """mean |W| = .3; XNOR's factor 1/4 + .3 = .55."""
    y, g = backward(of(name).weight, W)
    np.testing.assert_allclose(y, np.array(BITS) * scale, atol=1e-12)
    np.testing.assert_allclose(g, gradient, atol=1e-12)


def test_clip_blocks_large_weights_except_where_the_method_says_identity():
    wide = (2.0, -0.1, 0.2, -3.0)  # mean |W| = 1.325
    assert backward(of("bnn").weight, wide)[1].tolist() == [0, 1, 1, 0]
    np.testing.assert_allclose(backward(of("xnor").weight, wide)[1], [0.25, 1.575, 1.575, 0.25], atol=1e-12)
    np.testing.assert_allclose(backward(of("dorefa").weight, wide)[1], 1.0, atol=1e-12)


def test_bimatting_centres_its_weights():
    """Wc = (.35, -.05, .25, -.55), mean |Wc| = .3; the gradient of one bit passes the centring: 3/4 and -1/4."""
    for name, scale in (("bimatting", 0.3), ("bivm-centred", 1.0)):
        y, g = backward(of(name).weight, W, (1, 0, 0, 0))
        np.testing.assert_allclose(y, np.array(BITS) * scale, atol=1e-12)
        np.testing.assert_allclose(g, np.array((0.75, -0.25, -0.25, -0.25)) * scale, atol=1e-12)


def through_standardisation(upstream: np.ndarray, factor: float) -> np.ndarray:
    """Gradient in W of sum_i upstream_i V_i, V = factor (W - m)/s: the textbook Jacobian."""
    w = np.array(W)
    n, d, s = len(w), w - w.mean(), w.std(ddof=1)
    return factor / s * (upstream - upstream.mean() - d * (upstream * d).sum() / ((n - 1) * s**2))


def test_ir_net():
    """std .4041, mean |V| = .7423, so s = round(-.43) = 0; the estimator at V, then the standardisation."""
    v = (np.array(W) - np.mean(W)) / np.std(W, ddof=1)
    assert np.std(W, ddof=1) == pytest.approx(0.4041, abs=1e-4) and np.abs(v).mean() == pytest.approx(0.7423, abs=1e-4)
    g = np.array((1.0, 2.0, 0.0, -1.0))
    y, found = backward(of("irnet", 0.75).weight, W, g)
    assert y.tolist() == list(BITS)
    np.testing.assert_allclose(found, through_standardisation(g * (1 - np.tanh(v) ** 2), 1.0), atol=1e-12)
    large = of("irnet").weight(torch.tensor((5.0, -5.0, 5.0, -5.0)).view(1, 4, 1, 1))
    assert set(large.abs().flatten().tolist()) == {1.0}  # scale-free: the standardisation comes first


def test_recu():
    """V = (2.449, -.350, 1.750, -3.849), Q = 2.528 at tau = .85: only the last is clamped, and gets no gradient."""
    v = 2 * math.sqrt(2) * (np.array(W) - np.mean(W)) / np.std(W, ddof=1)
    np.testing.assert_allclose(v, (2.449, -0.350, 1.750, -3.849), atol=1e-3)
    recu = of("recu")
    assert recu.tau == pytest.approx(0.85) and of("recu", 1.0).tau == pytest.approx(0.99)
    assert -np.abs(v).mean() * math.log(2 - 2 * recu.tau) == pytest.approx(2.528, abs=1e-3)
    y, blocked = backward(recu.weight, W, (0, 0, 0, 1))
    assert y.tolist() == list(BITS) and np.abs(blocked).max() == 0
    _, found = backward(recu.weight, W, (1, 0, 0, 0))
    np.testing.assert_allclose(found, through_standardisation(np.array((1.0, 0, 0, 0)), 2 * math.sqrt(2)), atol=1e-12)
    conv = BinaryConv2d(4, 1, 1, how="recu")
    assert conv.scale.shape == (1, 1, 1, 1) and conv.scale.requires_grad


@pytest.mark.parametrize("name", [*OTHERS, "bivm"])
def test_zero_weights_and_zero_activations_become_plus_one(name):
    assert (method(name).weight(torch.zeros(8, 8, 3, 3)) >= 0).all()
    assert method(name).sign(torch.zeros(2, 3, 4, 4)).unique().tolist() == [1.0]


# -- in the network -----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", names())
def test_any_method_drops_into_the_same_network(name):
    """It runs, every one of its parameters learns, and evaluation is not training's numbers by accident."""
    torch.manual_seed(3)
    model = BiVM("small", name).train()
    model.method.progress = 0.5
    clip = torch.rand(2, 2, 3, 64, 64)
    out = model(clip)
    sum(x.std() for x in (out.alpha, out.foreground, out.coarse_alpha)).backward()
    idle = {n for n, p in model.named_parameters() if not n.startswith("refiner.")
            and (p.grad is None or not p.grad.abs().sum() > 0)}
    if name == "float":
        idle = {n for n in idle if not n.endswith(".theta")}
    assert idle == set()
    with torch.no_grad():
        alpha = model.eval()(clip).alpha
    assert alpha.shape == (2, 2, 1, 64, 64) and torch.isfinite(alpha).all()


def test_the_table_says_what_each_method_has():
    """Shifts, scales, shortcuts and branches exist where the method has them and nowhere else."""
    def parameters(name, ending):
        return [n for n, _ in BiVM("small", name).named_parameters() if n.endswith(ending)]

    for name in names():
        found = METHODS[name]
        assert bool([n for n in parameters(name, ".theta") if ".rgb." not in n]) == found.theta
        assert bool(parameters(name, ".gain")) == (found.shortcut == "elastic")
        assert bool(parameters(name, ".branches.row")) == found.branches
        assert bool(parameters(name, ".conv.scale")) == found.learned_scale


def test_shortcuts_are_where_the_method_has_them():
    """With its convolutions' norms zeroed, a block passes its input on by the shortcut alone, or not at all."""
    from bivm_ref.net.blocks import Elastic

    x = torch.randn(1, 8, 4, 4)
    for name in names():
        layer = Elastic(8, 8, 3, how=name).eval()
        torch.nn.init.zeros_(layer.norm.weight)
        layer.act = torch.nn.Identity()
        expected = torch.zeros_like(x) if METHODS[name].shortcut == "none" else x
        assert torch.equal(layer(x), expected), name


def test_unknown_method_names_all():
    with pytest.raises(ValueError, match="reactnet.*bimatting"):
        BiVM("small", "binaryconnect")


def test_a_network_has_one_method_of_its_own():
    """Setting the progress of one network reaches all of its layers and no other network."""
    one, other = BiVM("small", "irnet"), BiVM("small", "irnet")
    one.method.progress = 0.5
    signs = [m for m in one.modules() if isinstance(m, (Sign, BinaryConv2d))]
    assert {m.method.progress for m in signs} == {0.5} and other.method.progress == 0.0


# -- evolvable topology: train wide, merge before the sign --------------------------------------------------------

def wide(cin: int = 8, cout: int = 16) -> BinaryConv2d:
    torch.manual_seed(5)
    conv = BinaryConv2d(cin, cout, 3)
    for p in conv.branches.parameters():
        torch.nn.init.normal_(p, std=0.3)
    return conv


def test_merged_kernel_is_the_sum_of_the_branches():
    """By linearity: five convolutions added equal one convolution with the merged kernel (float64)."""
    conv = wide().double()
    b, x = conv.branches, torch.randn(2, 8, 6, 7, dtype=torch.float64)
    copies = torch.stack([x[:, o % 8] for o in range(16)], 1)
    added = (F.conv2d(x, conv.weight, padding=1) + F.conv2d(x, b.point) + F.conv2d(x, b.row, padding=(0, 1))
             + F.conv2d(x, b.column, padding=(1, 0)) + copies * b.identity.view(-1, 1, 1))
    torch.testing.assert_close(F.conv2d(x, conv.latent(), padding=1), added)


def test_folded_bits_are_the_bits_of_the_branch_sum():
    conv = wide()
    before = conv.weight_bits().detach()
    assert not torch.equal(before, method("bivm").weight(conv.weight))  # the branches do change bits
    conv.fold()
    assert torch.equal(conv.weight_bits(), before) and conv.branches is None
    assert [n for n, _ in conv.named_parameters()] == ["weight"]


def test_folding_changes_no_matte_and_no_exported_byte():
    from bivm_ref.learn.export import pack

    torch.manual_seed(6)
    model = BiVM("small").eval()
    for module in model.modules():
        if isinstance(module, Branches):
            for p in module.parameters():
                torch.nn.init.normal_(p, std=0.2)
    clip = torch.rand(1, 2, 3, 48, 64)
    with torch.no_grad():
        before, packed = model(clip).alpha, pack(model)
        after = fold(model)(clip).alpha
    again = pack(model)
    assert torch.equal(before, after)
    assert packed.keys() == again.keys() and all(np.array_equal(packed[k], again[k]) for k in packed)


def test_branches_start_as_the_plain_network():
    torch.manual_seed(7)
    conv = BinaryConv2d(8, 8, 3)
    assert torch.equal(conv.latent(), conv.weight)
