"""Encoder and neck: from pixels to four feature maps, then to 1/16 context with memory."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bivm_ref.arch import Arch
from bivm_ref.net import ops
from bivm_ref.net.binarize import Method
from bivm_ref.net.binary import BinaryConv2d, Sign
from bivm_ref.net.blocks import Elastic, FixedPointStem, RecurrentHalf, elastic_block


class Encoder(nn.Module):
    """levels (N, 3, H, W) -> f1 (N, ., H/2, W/2), f2 (1/4), f3 (1/8), f4 (1/16)."""

    def __init__(self, arch: Arch, how: Method) -> None:
        super().__init__()
        self.f1 = FixedPointStem(arch.stem)
        for i, blocks in enumerate(arch.stages):
            self.add_module(f"f{i + 2}", nn.Sequential(*(elastic_block(b, how) for b in blocks)))

    def forward(self, levels: Tensor) -> list[Tensor]:
        features = [self.f1(levels)]
        for stage in (self.f2, self.f3, self.f4):
            features.append(stage(features[-1]))
        return features


class BinaryLRASPP(nn.Module):
    """LR-ASPP with one bit: a 1x1 branch times a gate that sees the whole image.

    RVM gates with the mean of a float map. Here the mean of the *sign* map is taken: it is a popcount, an exact
    whole number over H*W, and a second sign turns it into the bits that the gate's 1x1 reads (our reading).
    x (N, f4, h, w) -> (N, neck, h, w).
    """

    def __init__(self, cin: int, cout: int, how: Method) -> None:
        super().__init__()
        self.value = Elastic(cin, cout, 1, how=how)
        self.sign_mean = Sign(cin, how)
        self.gate = BinaryConv2d(cin, cout, 1, how=how)
        # one value per image is too few for a batch norm: a plain affine, A * dot + B
        self.gate_scale = nn.Parameter(torch.full((cout,), cin**-0.5))
        self.gate_shift = nn.Parameter(torch.full((cout,), 1.5))

    def forward(self, x: Tensor) -> Tensor:
        bits = self.value.sign(x)
        mean = bits.sum(dim=(2, 3), keepdim=True) / float(x.shape[2] * x.shape[3])
        dot = self.gate(self.sign_mean(mean))
        gate = ops.hard_sigmoid(dot * self.gate_scale.view(-1, 1, 1) + self.gate_shift.view(-1, 1, 1))
        value = self.value.act(self.value.norm(self.value.conv(bits)) + self.value.shortcut(x))
        return value * gate


class Neck(nn.Module):
    """LR-ASPP, then a dense ConvGRU on half of the channels. f4 (B, T, C, h, w) -> ((B, T, neck, h, w), state)."""

    def __init__(self, arch: Arch, how: Method) -> None:
        super().__init__()
        self.aspp = BinaryLRASPP(arch.features[3], arch.neck, how)
        self.memory = RecurrentHalf(arch.neck, how)

    def forward(self, f4: Tensor, h: Tensor | None) -> tuple[Tensor, Tensor]:
        x = self.aspp(f4.flatten(0, 1)).unflatten(0, f4.shape[:2])
        return self.memory(x, h, None)


class CoarseHead(nn.Module):
    """A first guess of alpha at 1/16, always supervised; the mask is made from it. (N, neck, h, w) -> (N, 1, h, w).

    The 16 products are added in a fixed order, since the mask compares the result with tau.
    """

    def __init__(self, arch: Arch, how: Method) -> None:
        super().__init__()
        self.conv = Elastic(arch.neck, arch.coarse, 3, how=how)
        self.weight = nn.Parameter(torch.randn(arch.coarse) * 0.1)
        self.bias = nn.Parameter(torch.tensor([0.3]))

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        total = x[:, 0:1] * self.weight[0]
        for c in range(1, x.shape[1]):
            total = total + x[:, c:c + 1] * self.weight[c]
        return ops.leaky_clamp(total + self.bias, self.training)
