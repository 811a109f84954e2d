"""Signs with a gradient: how a network of +1 and -1 is trained.

The derivative of sign is 0 almost everywhere, so backpropagation pretends it was something else: a
straight-through estimator (STE). sign(0) = +1 everywhere in this repository, as in the packed file.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


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


def centre(weight: Tensor) -> Tensor:
    """W (cout, cin, kh, kw) minus its mean per output channel: half of the bits become +1, half -1.

    BiMatting's release centres its weights so; a bit that is +1 half of the time carries the most information.
    """
    return weight - weight.mean(dim=(1, 2, 3), keepdim=True)


def weight_bits(weight: Tensor) -> Tensor:
    """sign(W - mean W) in {-1, +1}, clip-STE through the centring. Shape of `weight`.

    The usual scale alpha = mean|W| per channel is left out: a batch norm follows every binary convolution and
    divides by the standard deviation, so any positive scale before it cancels.
    """
    return ClipSTE.apply(centre(weight))


class Sign(nn.Module):
    """sign(x + theta) with a learned threshold shift theta per channel (ReActNet's RSign), BiReal-STE.

    In the float twin (`binary=False`) the sign is taken out and x passes unchanged.
    x (B, C, H, W) -> same shape, values in {-1, +1}.
    """

    def __init__(self, channels: int, binary: bool = True) -> None:
        super().__init__()
        self.binary = binary
        self.theta = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        if not self.binary:
            return x
        return BiRealSTE.apply(x + self.theta.view(-1, 1, 1))


class BinaryConv2d(nn.Module):
    """Convolution of sign bits with sign bits: an *integer* dot product, no bias, no scale.

    bits (B, cin, H, W) in {-1, +1} -> (B, cout, H/stride, W/stride) of whole numbers (as float32). A tap outside
    the image adds nothing (zero padding of the +-1 map), in training and in the packed engine alike.
    In the float twin the same layer is an ordinary convolution with real weights.

    train_dtype: torch.bfloat16 trains about 1.5x as fast on CPUs that multiply it natively; +-1 is exact in it, sums
    above 256 are rounded to 8 bits, and gradients carry that noise. Evaluation is always float32, and exact.
    """

    train_dtype = torch.float32

    def __init__(self, cin: int, cout: int, kernel: int, stride: int = 1, binary: bool = True) -> None:
        super().__init__()
        self.binary, self.stride, self.padding = binary, stride, kernel // 2
        self.weight = nn.Parameter(torch.empty(cout, cin, kernel, kernel))
        nn.init.kaiming_normal_(self.weight, mode="fan_in", nonlinearity="relu")

    def forward(self, bits: Tensor) -> Tensor:
        weight = weight_bits(self.weight) if self.binary else self.weight
        if self.training and self.train_dtype != torch.float32:
            bits = bits.to(self.train_dtype, memory_format=torch.channels_last)
            weight = weight.to(self.train_dtype, memory_format=torch.channels_last)
            return nn.functional.conv2d(bits, weight, None, self.stride, self.padding).float()
        return nn.functional.conv2d(bits, weight, stride=self.stride, padding=self.padding)
