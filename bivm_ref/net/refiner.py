"""The deep guided filter, with binary convolutions: from a small matte and a large frame to a large matte.

RVM's arrangement (He et al.'s guided filter with a learned slope): in small windows the large matte is a linear
function of the large frame, out = A * frame + b; covariances of frame and small matte, and the decoder's hidden
map, tell A. RVM's two inner 1x1 convolutions are elastic binary ones here, and the box filter is a fixed mean.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bivm_ref.arch import Arch
from bivm_ref.net import ops
from bivm_ref.net.binarize import Method
from bivm_ref.net.blocks import Elastic, Head, Norm


def with_grey(frame: Tensor) -> Tensor:
    """(N, 3, H, W) -> (N, 4, H, W): the colours and their mean, ((r + g) + b) / 3."""
    return torch.cat((frame, ((frame[:, 0:1] + frame[:, 1:2]) + frame[:, 2:3]) * (1.0 / 3.0)), 1)


class Refiner(nn.Module):
    """small (N, 3, h, w), large (N, 3, H, W) in [0, 1]; matte (N, 4, h, w) = foreground and alpha; hidden (N, C, h, w).

    Returns (N, 4, H, W): foreground and alpha at the large size, not yet clamped.
    """

    def __init__(self, arch: Arch, how: Method) -> None:
        super().__init__()
        self.norm = Norm(8)
        self.mix = Elastic(8 + arch.detail, arch.refiner, 1, how=how)
        self.hidden = Elastic(arch.refiner, arch.refiner, 1, how=how)
        self.head = Head(arch.refiner, 4)
        nn.init.zeros_(self.head.weight)  # start as out = box mean of the matte
        nn.init.zeros_(self.head.bias)

    def forward(self, small: Tensor, large: Tensor, matte: Tensor, hidden: Tensor) -> Tensor:
        x, big = with_grey(small), with_grey(large)
        mean_x, mean_y = ops.box3(x), ops.box3(matte)
        covariance = ops.box3(x * matte) - mean_x * mean_y
        variance = ops.box3(x * x) - mean_x * mean_x
        features = torch.cat((self.norm(torch.cat((covariance, variance), 1)), hidden), 1)
        slope = self.head(self.hidden(self.mix(features)))
        offset = mean_y - slope * mean_x
        slope, offset = (F.interpolate(m, large.shape[-2:], mode="bilinear", align_corners=False)
                         for m in (slope, offset))
        return slope * big + offset
