"""The masked decoder: work only where the image is not homogeneous.

The abstract: "sparse the intermediate feature of the binarized decoder by masking homogeneous parts". Our reading:
a binary mask at 1/16 from the coarse alpha, resized to every scale by repetition, gates every 3x3 of the decoder.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bivm_ref.arch import Arch
from bivm_ref.net import ops
from bivm_ref.net.binarize import Method
from bivm_ref.net.binary import BinaryConv2d, Sign
from bivm_ref.net.blocks import Norm, RecurrentHalf, TwoBranch, activation, new_gain, scaled


def detail_mask(coarse_alpha: Tensor, tau: float) -> Tensor:
    """Where to compute: coarse alpha (N, 1, h, w) -> mask (N, 1, h, w) of 0.0 and 1.0.

    uncertain (tau <= alpha <= 1 - tau) or at the boundary: the morphological gradient of [alpha > 0.5], which is 1
    where the 3x3 neighbourhood (inside the image) holds both foreground and background.
    """
    uncertain = (coarse_alpha >= tau) & (coarse_alpha <= 1.0 - tau)
    inside = (coarse_alpha > 0.5).float()
    grown = F.max_pool2d(inside, 3, 1, 1)
    shrunk = -F.max_pool2d(-inside, 3, 1, 1)
    return (uncertain | (grown != shrunk)).float()


def repeat_mask(mask: Tensor, times: int) -> Tensor:
    """(N, 1, h, w) -> (N, 1, h*times, w*times), each cell repeated: a nearest resize that stays binary."""
    return mask.repeat_interleave(times, 2).repeat_interleave(times, 3)


class Thermometer(nn.Module):
    """The image skip as bits: each colour is compared with several learned thresholds.

    Released BiMatting feeds RGB in [0, 1] to sign(.), which is +1 everywhere until a shift is learned. Here a pixel
    becomes a thermometer code: bit i of a colour says level + theta_i >= 0, with theta spread over [-1, 0].
    pixels (N, 3, H, W) in [0, 1] -> (N, 3 * thresholds, H, W), colour by colour.
    """

    def __init__(self, thresholds: int, how: Method) -> None:
        super().__init__()
        self.thresholds = thresholds
        self.sign = Sign(3 * thresholds, how, theta=True)  # without thresholds it would say nothing
        with torch.no_grad():
            self.sign.theta.copy_((-(torch.arange(thresholds) + 0.5) / thresholds).repeat(3))

    def forward(self, pixels: Tensor) -> Tensor:
        repeated = pixels.repeat_interleave(self.thresholds, 1)
        if not self.sign.method.binary:  # the float twin keeps the ramp around each threshold
            return torch.clamp((repeated + self.sign.theta.view(-1, 1, 1)) * self.thresholds, -1.0, 1.0)
        return self.sign(repeated)


class DecoderStage(nn.Module):
    """One step up: upsample, join with the encoder's map and the image, two-branch convolution, half through a GRU.

        y = PReLU( two_branch([sign(up(x)), sign(skip), thermometer(rgb)]) + g * up(R(x)) )

    x (B, T, C, h, w), skip (B, T, S, 2h, 2w) or None, levels (B*T, 3, H, W), mask (B*T, 1, h16, w16).
    """

    def __init__(self, below: int, skip: int, arch: Arch, cout: int, scale: int, how: Method) -> None:
        super().__init__()
        self.scale, self.cout = scale, cout
        self.sign_up = Sign(below, how)
        self.sign_skip = Sign(skip, how) if skip else None
        self.rgb = Thermometer(arch.thresholds, how)
        self.conv = TwoBranch(below + skip + arch.rgb, cout, how)
        self.gain, self.has_shortcut = new_gain(cout, how), how.shortcut != "none"
        self.act = activation(cout, how)
        self.memory = RecurrentHalf(cout, how) if scale > 1 else None

    def shortcut(self, x: Tensor) -> Tensor | float:
        """g * up(R(x)): R first, since it leaves fewer channels to enlarge."""
        if not self.has_shortcut:
            return 0.0
        return scaled(ops.upsample(ops.resample_channels(x, self.cout), self.training), self.gain)

    def forward(self, x: Tensor, skip: Tensor | None, levels: Tensor, mask: Tensor | None,
                h: Tensor | None) -> tuple[Tensor, Tensor | None]:
        clip = x.shape[:2]
        x = x.flatten(0, 1)
        bits = [self.sign_up(ops.upsample(x, self.training))]
        if self.sign_skip is not None:
            bits.append(self.sign_skip(skip.flatten(0, 1)))
        bits.append(self.rgb(ops.pooled_pixels(levels, self.scale)))
        mask = None if mask is None else repeat_mask(mask, 16 // self.scale)
        y = self.conv(torch.cat(bits, 1), mask)
        y = y + self.shortcut(x)
        y = self.act(y).unflatten(0, clip)
        if self.memory is None:
            return y, None
        return self.memory(y, h, None if mask is None else mask.unflatten(0, clip))


class Detail(nn.Module):
    """The last 3x3, at full resolution, on active positions alone: y = x + M * PReLU(BN(bconv3x3(sign(x))))."""

    def __init__(self, channels: int, how: Method) -> None:
        super().__init__()
        self.sign = Sign(channels, how)
        self.conv = BinaryConv2d(channels, channels, 3, how=how)
        self.norm = Norm(channels)
        self.act = activation(channels, how)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        y = self.act(self.norm(self.conv(self.sign(x))))
        return x + (y if mask is None else y * mask)


class Decoder(nn.Module):
    """d3, d2, d1 with memory, then d0 at full resolution. Returns (N, detail, H, W) and the three hidden states."""

    def __init__(self, arch: Arch, how: Method) -> None:
        super().__init__()
        f1, f2, f3, _ = arch.features
        d3, d2, d1 = arch.decoder
        self.d3 = DecoderStage(arch.neck, f3, arch, d3, 8, how)
        self.d2 = DecoderStage(d3, f2, arch, d2, 4, how)
        self.d1 = DecoderStage(d2, f1, arch, d1, 2, how)
        self.d0 = DecoderStage(d1, 0, arch, arch.detail, 1, how)
        self.detail = Detail(arch.detail, how)

    def forward(self, neck: Tensor, features: list[Tensor], levels: Tensor, mask: Tensor | None,
                state: list[Tensor | None]) -> tuple[Tensor, list[Tensor]]:
        clip, after = neck.shape[:2], []
        x = neck
        for stage, skip, h in zip((self.d3, self.d2, self.d1), features[2::-1], state, strict=True):
            x, h = stage(x, skip.unflatten(0, clip), levels, mask, h)
            after.append(h)
        x, _ = self.d0(x, None, levels, mask, None)
        full = None if mask is None else repeat_mask(mask, 16)
        return self.detail(x.flatten(0, 1), full), after
