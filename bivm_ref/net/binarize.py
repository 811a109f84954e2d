"""Signs with a gradient: how a network of +1 and -1 is trained, method by method.

The derivative of sign is 0 almost everywhere, so backpropagation pretends that it was something else: a
straight-through estimator (STE). sign(0) = +1 everywhere in this repository, as in the packed file.

A binarization method decides four things, and `Method` has one place for each: how an activation becomes a bit
(`sign`), how a weight becomes a bit and what scale it keeps (`weight`), what leads round the convolution
(`shortcut`), and what follows it (`activation`). Any of them drops into the same network by name:
`BiVM("small", method="bnn")`. Their formulas are restated from the papers named at each; where a paper puts its
convolution into a network of its own, the way it is put into ours is our reading. Symbols: W the latent weights of
one layer (cout, cin, kh, kw), n = cin*kh*kw, g the gradient that arrives, b in {-1, +1} the bits.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import torch
from torch import Tensor

# -- estimators ---------------------------------------------------------------------------------------------------


def sign(x: Tensor) -> Tensor:
    """+1.0 where x >= 0, else -1.0: a number, never 0."""
    return (x >= 0).to(x.dtype).mul_(2.0).sub_(1.0)


class ClipSTE(torch.autograd.Function):
    """sign forward, clip-STE backward: dx = g * 1[|x| <= 1] (Hubara et al. 2016, BNN)."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return sign(x)

    @staticmethod
    def backward(ctx, g: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return g * (x.abs() <= 1)


class BiRealSTE(torch.autograd.Function):
    """sign forward, BiReal-STE backward: dx = g * max(0, 2 - 2|x|) (Liu et al. 2018, Bi-Real Net)."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return sign(x)

    @staticmethod
    def backward(ctx, g: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return x.abs().mul_(-2.0).add_(2.0).clamp_(min=0.0).mul_(g)


class IdentitySTE(torch.autograd.Function):
    """sign forward, dx = g backward, however large x is (Bengio et al. 2013)."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        return sign(x)

    @staticmethod
    def backward(ctx, g: Tensor) -> Tensor:
        return g


class EDE(torch.autograd.Function):
    """sign forward; backward the error decay estimator dx = g * k*t*(1 - tanh^2(t*x)) (Qin et al. 2020, IR-Net).

    t small, k = 1/t: nearly the identity, every weight may still move; t large, k = 1: nearly the true derivative.
    """

    @staticmethod
    def forward(ctx, x: Tensor, t: float, k: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.t, ctx.k = t, k
        return sign(x)

    @staticmethod
    def backward(ctx, g: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        return g * (ctx.k * ctx.t) * (1.0 - torch.tanh(ctx.t * x) ** 2), None, None


def centre(weight: Tensor) -> Tensor:
    """W minus its mean per output channel: half of the bits become +1, half -1 (BiMatting's release does so).

    A bit that is +1 half of the time carries the most information.
    """
    return weight - weight.mean(dim=(1, 2, 3), keepdim=True)


def standardise(weight: Tensor) -> Tensor:
    """(W - mean) / std per output channel; std with n - 1, as IR-Net and ReCU take it. 0 where all weights agree."""
    wide = weight.std(dim=(1, 2, 3), keepdim=True) if weight[0].numel() > 1 else torch.ones_like(weight)
    return centre(weight) / wide.clamp(min=1e-12)


def mean_size(weight: Tensor) -> Tensor:
    """alpha_o = mean |W_o|, (cout, 1, 1, 1): the scale that makes alpha * sign(W) nearest to W (XNOR-Net)."""
    return weight.abs().mean(dim=(1, 2, 3), keepdim=True)


# -- methods ------------------------------------------------------------------------------------------------------


@dataclass
class Method:
    """One way to binarize, ours by default; the subclasses are the others.

    theta       a learned shift per channel before the sign
    shortcut    round each binary convolution: "none", "plain" (R(P(x))), or "elastic" (times a learned gain)
    activation  after it: "none", "hardtanh", "prelu" or "rprelu" (PReLU(x + b1) + b2)
    branches    latent weights trained wide and merged before the sign (`binary.Branches`)
    progress    share of the training that is done, for the two methods whose estimator sharpens on the way
    """

    name: str = "bivm"
    theta: bool = True
    shortcut: str = "elastic"
    activation: str = "prelu"
    branches: bool = True
    learned_scale: bool = False
    progress: float = 0.0

    @property
    def binary(self) -> bool:
        return self.name != "float"

    def sign(self, x: Tensor) -> Tensor:
        """Bits of activations (B, C, H, W), in {-1, +1}: sign(x) with BiReal-STE, as ReActNet's RSign."""
        return BiRealSTE.apply(x)

    def weight(self, weight: Tensor) -> Tensor:
        """sign(W), clip-STE; shape of `weight`.

        The usual scale alpha is left out: a batch norm follows every binary convolution (but the neck's gate, which
        has a scale of its own) and divides by the standard deviation, so any positive scale before it cancels. W is
        not centred, as BiMatting's is: students that begin with a float twin's filters would lose what the filters'
        means say ("bivm-centred" puts the centring back).
        """
        return ClipSTE.apply(weight)


class Float(Method):
    """The float twin: the same network with every sign taken out."""

    def sign(self, x: Tensor) -> Tensor:
        return x

    def weight(self, weight: Tensor) -> Tensor:
        return weight


class Centred(Method):
    """Ours with W minus its mean per output channel, so that half of the bits are +1: an ablation."""

    def weight(self, weight: Tensor) -> Tensor:
        return ClipSTE.apply(centre(weight))


class BNN(Method):
    """A: sign(A), clip-STE. W: sign(W), clip-STE. Convolution, batch norm, hardtanh (Hubara et al. 2016)."""

    def sign(self, x: Tensor) -> Tensor:
        return ClipSTE.apply(x)

    def weight(self, weight: Tensor) -> Tensor:
        return ClipSTE.apply(weight)


class _XNORWeight(torch.autograd.Function):
    @staticmethod
    def forward(ctx, weight: Tensor) -> Tensor:
        ctx.save_for_backward(weight)
        return mean_size(weight) * sign(weight)

    @staticmethod
    def backward(ctx, g: Tensor) -> Tensor:
        (weight,) = ctx.saved_tensors
        return g * (1.0 / weight[0].numel() + mean_size(weight) * (weight.abs() <= 1))


class XNOR(BNN):
    """A: sign(A), clip-STE. W: alpha_o * sign(W_o), backward g * (1/n + alpha_o * 1[|W| <= 1]).

    XNOR-Net (Rastegari et al. 2016) without its map K of activation scales, as is usual since XNOR-Net++.
    """

    def weight(self, weight: Tensor) -> Tensor:
        return _XNORWeight.apply(weight)


class DoReFa(BNN):
    """A: sign(A), clip-STE. W: alpha * sign(W) with one alpha = mean |W| per *layer*, backward the identity.

    As benchmarks run DoReFa-Net (Zhou et al. 2016) at one bit; its own activations are in {0, 1}.
    """

    def weight(self, weight: Tensor) -> Tensor:
        alpha = weight.abs().mean().detach().clamp(min=1e-12)
        return alpha * IdentitySTE.apply(weight / alpha)  # backward: alpha * (1 / alpha), the identity


class BiReal(Method):
    """A: sign(A), BiReal-STE. W: alpha_o * sign(W_o), alpha_o detached, clip-STE (Liu et al. 2018).

    A real-valued shortcut round *every* convolution, and nothing else that is not linear.
    """

    def weight(self, weight: Tensor) -> Tensor:
        return mean_size(weight).detach() * ClipSTE.apply(weight)


class IRNet(Method):
    """A: sign(A), EDE. W: 2^s * sign(V), V = (W - mean)/std, s = round(log2 mean |V|), EDE through V.

    "Information retention" (Qin et al. 2020): V is balanced, so its bits have the largest entropy. The estimator goes
    from t = 0.001 to t = 10 over the training, k = max(1/t, 1).
    """

    def _tk(self) -> tuple[float, float]:
        t = 10.0 ** (-3.0 + 4.0 * self.progress)
        return t, max(1.0 / t, 1.0)

    def sign(self, x: Tensor) -> Tensor:
        return EDE.apply(x, *self._tk())

    def weight(self, weight: Tensor) -> Tensor:
        balanced = standardise(weight)
        power = torch.round(torch.log2(mean_size(balanced).clamp(min=1e-12))).detach()
        return 2.0**power * EDE.apply(balanced, *self._tk())


class ReActNet(BiReal):
    """Bi-Real's signs, after a learned shift: A: sign(A + theta), BiReal-STE. RPReLU follows (Liu et al. 2020)."""


class ReCU(Method):
    """A: sign(A / std of the sample), BiReal-STE. W: V = 2 sqrt(2) (W - mean)/std, clamped to +-Q, sign, learned scale.

    Rectified clamp unit (Xu et al. 2021): its paper pulls dead weights, those in the tails that never change sign, back
    to Q = -mean |V| * ln(2 - 2 tau), the tau-quantile of a Laplace distribution. As the clamp comes before the sign, it
    changes no bit and no latent weight; backward the identity, 0 outside the clamp, so a weight beyond Q rests until Q
    has grown past it. tau grows from 0.85 to 0.99 as A * exp(progress) + B. The learned scale alpha_o lives in the
    layer.
    """

    @property
    def tau(self) -> float:
        slope = (0.99 - 0.85) / (math.e - 1.0)
        return slope * math.exp(self.progress) + 0.85 - slope

    def sign(self, x: Tensor) -> Tensor:
        if x[0].numel() == 1:
            return BiRealSTE.apply(x)
        return BiRealSTE.apply(x / x.flatten(1).std(1).clamp(min=1e-12).view(-1, *[1] * (x.ndim - 1)))

    def weight(self, weight: Tensor) -> Tensor:
        wide = 2.0 * math.sqrt(2.0) * standardise(weight)
        quantile = (-mean_size(wide) * math.log(2.0 - 2.0 * self.tau)).detach()
        return IdentitySTE.apply(torch.minimum(torch.maximum(wide, -quantile), quantile))


class BiMatting(Method):
    """A: sign(A + theta), clip-STE. W: alpha_o * sign(V), V = W - mean, alpha_o = mean |V|.

    As BiMatting's release trains (Xu et al. 2023): alpha_o detached, clip-STE through the centring, RPReLU, shortcuts
    without gain.
    """

    def sign(self, x: Tensor) -> Tensor:
        return ClipSTE.apply(x)

    def weight(self, weight: Tensor) -> Tensor:
        centred = centre(weight)
        return mean_size(centred).detach() * ClipSTE.apply(centred)


_BARE = {"theta": False, "shortcut": "none", "branches": False}  # a convolution and what its paper says, no more
METHODS: dict[str, Method] = {m.name: m for m in (
    Method(),
    Float("float", branches=False),
    BNN("bnn", activation="hardtanh", **_BARE),
    XNOR("xnor", activation="none", **_BARE),
    DoReFa("dorefa", activation="none", **_BARE),
    BiReal("bireal", theta=False, shortcut="plain", activation="none", branches=False),
    IRNet("irnet", activation="hardtanh", **_BARE),
    ReActNet("reactnet", shortcut="plain", activation="rprelu", branches=False),
    ReCU("recu", theta=False, shortcut="plain", activation="hardtanh", branches=False, learned_scale=True),
    BiMatting("bimatting", shortcut="plain", activation="rprelu", branches=False),
    # ours with a part taken out
    Method("bivm-no-shortcut", shortcut="none"),
    Method("bivm-plain-shortcut", shortcut="plain"),
    Method("bivm-no-branches", branches=False),
    Centred("bivm-centred"),
)}


def method(name: str | Method) -> Method:
    """A fresh `Method` of that name (its `progress` is its own). ValueError, naming all, for an unknown one."""
    if isinstance(name, Method):
        return name
    if name not in METHODS:
        raise ValueError(f"unknown method {name!r}: choose one of {', '.join(METHODS)}")
    return copy.copy(METHODS[name])


def names() -> tuple[str, ...]:
    """The methods one may ask for by name, ours first."""
    return tuple(METHODS)


__all__ = ["EDE", "METHODS", "BiRealSTE", "ClipSTE", "IdentitySTE", "Method", "centre", "mean_size",
           "method", "names", "sign", "standardise"]
