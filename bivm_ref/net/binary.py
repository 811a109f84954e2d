"""The binary layers: a sign per channel, a convolution of bits, and the branches that train it wide."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bivm_ref.net.binarize import Method, method


class Sign(nn.Module):
    """sign(x + theta), theta a learned threshold shift per channel where the method has one (ReActNet's RSign).

    In the float twin the sign is taken out and x passes unchanged. x (B, C, H, W) -> same, values in {-1, +1}.
    """

    def __init__(self, channels: int, how: Method | str = "bivm", theta: bool | None = None) -> None:
        super().__init__()
        self.method = method(how)
        shifted = self.method.theta if theta is None else theta
        self.theta = nn.Parameter(torch.zeros(channels)) if shifted else None

    def forward(self, x: Tensor) -> Tensor:
        if not self.method.binary:
            return x
        return self.method.sign(x if self.theta is None else x + self.theta.view(-1, 1, 1))


class Branches(nn.Module):
    """Evolvable topology inside a convolution (our reading): train wide, merge *before* the sign.

        W = W_3x3 + pad(W_1x1) + pad(W_1x3) + pad(W_3x1) + s * I        I: output channel o copies input o mod cin

    A sum of branches after the sign would be no +-1 any more; latent weights can be summed, so that one binary
    convolution is left at inference and no byte is stored for them. W_3x3 is the layer's own `weight`; the other
    branches start at 0. The gradient of W reaches every branch that covers a tap, so the optimiser moves the taps
    that several branches share further, and in concert.
    """

    def __init__(self, cin: int, cout: int) -> None:
        super().__init__()
        self.point = nn.Parameter(torch.zeros(cout, cin, 1, 1))
        self.row = nn.Parameter(torch.zeros(cout, cin, 1, 3))
        self.column = nn.Parameter(torch.zeros(cout, cin, 3, 1))
        self.identity = nn.Parameter(torch.zeros(cout))

    def forward(self, weight: Tensor) -> Tensor:
        """weight (cout, cin, 3, 3) -> the merged latent weight, same shape."""
        pad = nn.functional.pad
        copies = torch.zeros_like(self.point[..., 0, 0])
        copies[torch.arange(len(copies)), torch.arange(len(copies)) % copies.shape[1]] = 1.0
        middle = self.point + (self.identity.view(-1, 1) * copies)[..., None, None]
        return weight + pad(middle, (1, 1, 1, 1)) + pad(self.row, (0, 0, 1, 1)) + pad(self.column, (1, 1, 0, 0))


class BinaryConv2d(nn.Module):
    """Convolution of sign bits with sign bits: in ours an *integer* dot product, no bias, no scale.

    bits (B, cin, H, W) in {-1, +1} -> (B, cout, H/stride, W/stride) of whole numbers (as float32); methods that keep
    a scale multiply by it. A tap outside the image adds nothing (zero padding of the +-1 map), in training and in
    the packed engine alike. In the float twin the same layer is an ordinary convolution with real weights.

    train_dtype: torch.bfloat16 trains about 1.5x as fast on CPUs that multiply it natively; +-1 is exact in it, sums
    above 256 are rounded to 8 bits, and gradients carry that noise. Evaluation is always float32, and exact.
    """

    train_dtype = torch.float32

    def __init__(self, cin: int, cout: int, kernel: int, stride: int = 1, how: Method | str = "bivm") -> None:
        super().__init__()
        self.method, self.stride, self.padding = method(how), stride, kernel // 2
        self.weight = nn.Parameter(torch.empty(cout, cin, kernel, kernel))
        nn.init.kaiming_normal_(self.weight, mode="fan_in", nonlinearity="relu")
        self.branches = Branches(cin, cout) if self.method.branches and kernel == 3 else None
        self.scale = nn.Parameter(torch.ones(cout, 1, 1, 1)) if self.method.learned_scale else None

    def latent(self) -> Tensor:
        """The real weights behind the bits, branches merged. (cout, cin, kh, kw)."""
        return self.weight if self.branches is None else self.branches(self.weight)

    def weight_bits(self) -> Tensor:
        """What the convolution multiplies by: +-1 in ours, the latent weights in the float twin."""
        bits = self.method.weight(self.latent())
        return bits if self.scale is None else bits * self.scale

    @torch.no_grad()
    def fold(self) -> None:
        """Write the merged weights into `weight` and drop the branches: the bits stay what they were, exactly."""
        if self.branches is not None:
            self.weight.copy_(self.latent())
            self.branches = None

    def forward(self, bits: Tensor) -> Tensor:
        weight = self.weight_bits()
        if self.training and self.train_dtype != torch.float32:
            bits = bits.to(self.train_dtype, memory_format=torch.channels_last)
            weight = weight.to(self.train_dtype, memory_format=torch.channels_last)
            return nn.functional.conv2d(bits, weight, None, self.stride, self.padding).float()
        return nn.functional.conv2d(bits, weight, stride=self.stride, padding=self.padding)


def fold(model: nn.Module) -> nn.Module:
    """Merge the branches of every convolution of `model`, in place; returns it."""
    for module in model.modules():
        if isinstance(module, BinaryConv2d):
            module.fold()
    return model
