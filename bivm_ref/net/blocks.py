"""Blocks: the elastic convolution of the encoder, the two-branch convolution and ConvGRU of the decoder.

"Integers first": a binary convolution gives whole numbers, and everything real happens after it, as
y = A * dot + B. In evaluation mode the batch norm is applied in exactly that folded form, the one that the packed
file stores, so that torch and the NumPy engine round alike.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bivm_ref.arch import Block
from bivm_ref.net import ops, sync
from bivm_ref.net.binarize import Method, method
from bivm_ref.net.binary import BinaryConv2d, Sign

STEM_LEVELS = 2047  # largest 12-bit weight: 27 taps x 255 x 2047 < 2^24, so float32 sums are exact


class Norm(nn.BatchNorm2d):
    """Batch norm that evaluates in its folded form y = A * x + B. `input_scale` multiplies x first."""

    def __init__(self, channels: int, input_scale: float = 1.0) -> None:
        super().__init__(channels)
        self.input_scale = input_scale

    def folded(self) -> tuple[Tensor, Tensor]:
        """(A, B), each (C,) float32: A = gamma / sqrt(var + eps) * input_scale, B = beta - mean * gamma / sqrt(...)."""
        slope = self.weight.double() / torch.sqrt(self.running_var.double() + self.eps)
        shift = self.bias.double() - self.running_mean.double() * slope
        return (slope * self.input_scale).float(), shift.float()

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            x = x * self.input_scale if self.input_scale != 1.0 else x
            return super().forward(x) if sync.world_size() == 1 else sync.batch_norm(self, x)
        a, b = self.folded()
        return x * a.view(-1, 1, 1) + b.view(-1, 1, 1)


class Head(nn.Conv2d):
    """A float 1x1 convolution that, in evaluation mode, adds up channel after channel: the one order that NumPy can
    repeat on every machine, so mattes are equal bit for bit. (B, C, H, W) -> (B, outputs, H, W)."""

    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__(channels, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            return super().forward(x)
        weight = self.weight.view(self.out_channels, self.in_channels, 1, 1)
        total = x[:, :1] * weight[:, 0]
        for c in range(1, self.in_channels):
            total = total + x[:, c:c + 1] * weight[:, c]
        return total + self.bias.view(-1, 1, 1)


class FixedPointStem(nn.Module):
    """f1: 3x3, stride 2, from 8-bit pixels, with 12-bit integer weights (our reading; the field keeps it float).

    levels (N, 3, H, W) whole numbers 0 .. 255 -> (N, C, H/2, W/2). Pixels enter centred, as 2 * level - 255, so a
    tap outside the image stands for mid-grey. The sums are whole numbers below 2^24: exact in float32.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels, 3, 3, 3))
        nn.init.kaiming_normal_(self.weight, nonlinearity="relu")
        self.norm = Norm(channels, input_scale=1.0 / (255.0 * STEM_LEVELS))
        self.act = nn.PReLU(channels)

    def integer_weight(self) -> Tensor:
        """(C, 3, 3, 3) whole numbers in [-2047, 2047]: each channel scaled to its largest weight. Rounding is STE."""
        largest = self.weight.detach().abs().amax(dim=(1, 2, 3), keepdim=True).clamp(min=1e-12)
        scaled = self.weight * (STEM_LEVELS / largest)
        return scaled + (torch.round(scaled) - scaled).detach()

    def dot(self, levels: Tensor) -> Tensor:
        weight = self.integer_weight() if self.training else torch.round(self.integer_weight().detach())
        return F.conv2d(levels * 2.0 - 255.0, weight, stride=2, padding=1)

    def forward(self, levels: Tensor) -> Tensor:
        return self.act(self.norm(self.dot(levels)))


def new_gain(channels: int, how: Method) -> nn.Parameter | None:
    """g of the elastic shortcut, one per channel, init 1; None for methods whose shortcuts have no gain."""
    return nn.Parameter(torch.ones(channels)) if how.shortcut == "elastic" else None


def scaled(x: Tensor, gain: nn.Parameter | None) -> Tensor:
    return x if gain is None else x * gain.view(-1, 1, 1)


class RPReLU(nn.Module):
    """PReLU(x + b1) + b2, all three learned per channel (ReActNet)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.before = nn.Parameter(torch.zeros(channels))
        self.prelu = nn.PReLU(channels)
        self.after = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return self.prelu(x + self.before.view(-1, 1, 1)) + self.after.view(-1, 1, 1)


def activation(channels: int, how: Method) -> nn.Module:
    """What follows a binary convolution and its shortcut in that method."""
    kinds = {"none": nn.Identity, "hardtanh": nn.Hardtanh, "prelu": nn.PReLU, "rprelu": RPReLU}
    return kinds[how.activation](channels) if how.activation in ("prelu", "rprelu") else kinds[how.activation]()


class Elastic(nn.Module):
    """One binary convolution with its elastic shortcut, for every channel ratio and stride.

        y = PReLU( BN(bconv(sign(x + theta))) + g * R(P(x)) )

    P average-pools a stride, R resamples channels (`ops.resample_channels`), g is one gain per channel, init 1: a
    real-valued path goes round every sign, and stores only g. Our reading of "elastic shortcuts"; ReActNet's two
    extra shifts (RPReLU) are not needed, since beta of the BN and theta of the next sign already are those shifts.
    x (B, cin, H, W) -> (B, cout, H/stride, W/stride).
    """

    def __init__(self, cin: int, cout: int, kernel: int, stride: int = 1, how: Method | str = "bivm") -> None:
        super().__init__()
        how = method(how)
        self.stride, self.cout, self.has_shortcut = stride, cout, how.shortcut != "none"
        self.sign = Sign(cin, how)
        self.conv = BinaryConv2d(cin, cout, kernel, stride, how)
        self.norm = Norm(cout)
        self.gain = new_gain(cout, how)
        self.act = activation(cout, how)

    def shortcut(self, x: Tensor) -> Tensor | float:
        if not self.has_shortcut:
            return 0.0
        x = ops.average_pool(x) if self.stride == 2 else x
        return scaled(ops.resample_channels(x, self.cout), self.gain)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.norm(self.conv(self.sign(x))) + self.shortcut(x))


def elastic_block(block: Block, how: Method) -> nn.Sequential:
    """The two elastic convolutions of an `arch.Block`, named "spatial" and "point"."""
    layers = nn.Sequential()
    for part, kernel, cin, cout, stride in block.parts():
        layers.add_module(part, Elastic(cin, cout, kernel, stride, how))
    return layers


class TwoBranch(nn.Module):
    """The decoder's convolution: a 3x3 branch where the mask is set, a 1x1 branch everywhere.

        y = M * BN3(bconv3x3(s)) + BN1(bconv1x1(s))        s: one sign map, shared by both branches

    Training computes the 3x3 densely and multiplies by the same binary mask; the packed engine computes only the
    active positions. bits (B, cin, H, W), mask (B, 1, H, W) of 0 and 1 or None (dense) -> (B, cout, H, W).
    """

    def __init__(self, cin: int, cout: int, how: Method | str = "bivm") -> None:
        super().__init__()
        how = method(how)
        self.k3 = BinaryConv2d(cin, cout, 3, how=how)
        self.k1 = BinaryConv2d(cin, cout, 1, how=how)
        self.norm3, self.norm1 = Norm(cout), Norm(cout)

    def forward(self, bits: Tensor, mask: Tensor | None) -> Tensor:
        around = self.norm3(self.k3(bits))
        if mask is not None:
            around = around * mask
        return around + self.norm1(self.k1(bits))


class ConvGRU(nn.Module):
    """A binary ConvGRU over c channels: memory from frame to frame.

        z, r = hard_sigmoid(two_branch([x, h]));  c = hard_tanh(two_branch([x, r * h]) + g * x);  h <- h + z * (c - h)

    The two branches are added *before* the gate function (BiMatting's release adds two sigmoids, so its state is
    not a convex mix and was seen to reach 157); here |h| <= 1 always. x, h (B, c, H, W) -> h (B, c, H, W).
    """

    def __init__(self, channels: int, how: Method | str = "bivm") -> None:
        super().__init__()
        how = method(how)
        self.sign_x, self.sign_h, self.sign_rh = (Sign(channels, how) for _ in range(3))
        self.gates = TwoBranch(2 * channels, 2 * channels, how)
        self.candidate = TwoBranch(2 * channels, channels, how)
        self.gain, self.has_shortcut = new_gain(channels, how), how.shortcut != "none"

    def forward(self, x: Tensor, h: Tensor, mask: Tensor | None) -> Tensor:
        bits_x = self.sign_x(x)
        z, r = ops.hard_sigmoid(self.gates(torch.cat((bits_x, self.sign_h(h)), 1), mask)).chunk(2, 1)
        bits = torch.cat((bits_x, self.sign_rh(r * h)), 1)
        c = ops.hard_tanh(self.candidate(bits, mask) + (scaled(x, self.gain) if self.has_shortcut else 0.0))
        return h + z * (c - h)


class RecurrentHalf(nn.Module):
    """Half of the channels pass through, half through the ConvGRU, frame by frame (RVM's arrangement).

    x (B, T, C, H, W), h (B, C/2, H, W) or None (zeros), mask (B, T, 1, H, W) or None -> (x, last h).
    """

    def __init__(self, channels: int, how: Method | str = "bivm") -> None:
        super().__init__()
        self.gru = ConvGRU(channels // 2, how)

    def forward(self, x: Tensor, h: Tensor | None, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        through, remembered = x.chunk(2, 2)
        h = torch.zeros_like(remembered[:, 0]) if h is None else h
        steps = []
        for t in range(x.shape[1]):
            h = self.gru(remembered[:, t], h, None if mask is None else mask[:, t])
            steps.append(h)
        return torch.cat((through, torch.stack(steps, 1)), 2), h
