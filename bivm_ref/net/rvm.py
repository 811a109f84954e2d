"""RVM, the full-precision ancestor: robust video matting on MobileNetV3-Large (2108.11515).

    frame ── encoder ──> f1 1/2, f2 1/4, f3 1/8, f4 1/16
    f4 ── LR-ASPP neck ── ConvGRU ──> up 1/8 ──> up 1/4 ──> up 1/2 ──> output block ── heads
    (high resolution: all of it on a reduced frame, then a deep guided filter brings back the detail)

BiVM keeps this layout and makes its convolutions binary, so this is the network it is compared with and
the teacher it can mimic. Written from the papers and from published sizes: 3,748,633 parameters, and
4.496 G multiply-accumulates on the convolutions of one 512 x 288 frame. State-dict names are ours.

Frames travel through the convolutions as one big batch, (B*T, C, H, W); only the ConvGRUs see time.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bivm_ref.net.ops import leaky_clamp
from bivm_ref.net.output import MattingOutput

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


# ── encoder: MobileNetV3-Large (1905.02244) ──────────────────────────────────────────────────────


class Row(NamedTuple):
    """One inverted residual block, as a row of the paper's table 1."""

    c_in: int
    kernel: int
    expanded: int
    c_out: int
    squeeze: bool  # squeeze-and-excitation
    activation: type[nn.Module]
    stride: int
    dilation: int = 1


R, H = nn.ReLU, nn.Hardswish
STAGES = (  # one tuple per feature map f1 .. f4
    (Row(16, 3, 16, 16, False, R, 1),),
    (Row(16, 3, 64, 24, False, R, 2), Row(24, 3, 72, 24, False, R, 1)),
    (Row(24, 5, 72, 40, True, R, 2), Row(40, 5, 120, 40, True, R, 1), Row(40, 5, 120, 40, True, R, 1)),
    (Row(40, 3, 240, 80, False, H, 2), Row(80, 3, 200, 80, False, H, 1),
     Row(80, 3, 184, 80, False, H, 1), Row(80, 3, 184, 80, False, H, 1),
     Row(80, 3, 480, 112, True, H, 1), Row(112, 3, 672, 112, True, H, 1),
     # the classifier has stride 2 here; matting keeps 1/16 and dilates to see as far
     Row(112, 5, 672, 160, True, H, 1, 2), Row(160, 5, 960, 160, True, H, 1, 2),
     Row(160, 5, 960, 160, True, H, 1, 2)),
)


def conv_bn(c_in: int, c_out: int, kernel: int, activation: type[nn.Module] | None, stride: int = 1,
            dilation: int = 1, groups: int = 1) -> nn.Sequential:
    """Convolution without bias, MobileNetV3's batch norm, activation. Output size ceil(size / stride)."""
    layers = [nn.Conv2d(c_in, c_out, kernel, stride, dilation * (kernel // 2), dilation, groups, bias=False),
              nn.BatchNorm2d(c_out, eps=1e-3, momentum=0.01)]
    return nn.Sequential(*layers, *([activation()] if activation else []))


def squeezed_width(expanded: int) -> int:
    """expanded / 4 to the nearest multiple of 8, but never more than 10 % below it (18 -> 24, not 16)."""
    wanted = expanded / 4
    width = max(8, int(wanted + 4) // 8 * 8)
    return width if width >= 0.9 * wanted else width + 8


class SqueezeExcitation(nn.Module):
    """x * hard_sigmoid(W2 relu(W1 mean(x))): one weight per channel, from the whole image."""

    def __init__(self, channels: int):
        super().__init__()
        width = squeezed_width(channels)
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(channels, width, 1), nn.ReLU(),
                                  nn.Conv2d(width, channels, 1), nn.Hardsigmoid())

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(x)  # (N, C, H, W) * (N, C, 1, 1)


class InvertedResidual(nn.Module):
    """1x1 expand, depthwise, squeeze-and-excitation, 1x1 project; plus x where the shapes allow it."""

    def __init__(self, row: Row):
        super().__init__()
        layers = []
        if row.expanded != row.c_in:
            layers.append(conv_bn(row.c_in, row.expanded, 1, row.activation))
        layers.append(conv_bn(row.expanded, row.expanded, row.kernel, row.activation, row.stride,
                              row.dilation, groups=row.expanded))
        if row.squeeze:
            layers.append(SqueezeExcitation(row.expanded))
        layers.append(conv_bn(row.expanded, row.c_out, 1, None))
        self.layers = nn.Sequential(*layers)
        self.residual = row.stride == 1 and row.c_in == row.c_out

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.residual else self.layers(x)


class Encoder(nn.Module):
    """(N, 3, H, W) RGB in [0, 1] -> f1 (N, 16, H/2, W/2), f2 (24, 1/4), f3 (40, 1/8), f4 (960, 1/16)."""

    def __init__(self):
        super().__init__()
        # constants of the recipe, not weights: kept out of the state dict
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(3, 1, 1), persistent=False)
        self.stem = conv_bn(3, 16, 3, nn.Hardswish, stride=2)
        self.stages = nn.ModuleList(nn.Sequential(*map(InvertedResidual, rows)) for rows in STAGES)
        self.last = conv_bn(160, 960, 1, nn.Hardswish)

    def forward(self, rgb: Tensor) -> list[Tensor]:
        x = self.stem((rgb - self.mean) / self.std)
        features = []
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        features[-1] = self.last(features[-1])
        return features


# ── neck and recurrent decoder ───────────────────────────────────────────────────────────────────


class LRASPP(nn.Module):
    """(N, 960, h, w) -> (N, 128, h, w): local 1x1 features, gated by what the whole image shows."""

    def __init__(self, c_in: int = 960, c_out: int = 128):
        super().__init__()
        self.local = nn.Sequential(nn.Conv2d(c_in, c_out, 1, bias=False), nn.BatchNorm2d(c_out), nn.ReLU())
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(c_in, c_out, 1, bias=False),
                                  nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        return self.local(x) * self.gate(x)


class ConvGRU(nn.Module):
    """Gated recurrent unit with 3x3 convolutions; memory per pixel and channel.

    r, z = sigmoid(conv [x, h]),  c = tanh(conv [x, r*h]),  h <- (1 - z) h + z c.
    x (B, T, C, H, W), h (B, C, H, W) -> all hidden maps (B, T, C, H, W) and the last one.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.gates = nn.Conv2d(2 * channels, 2 * channels, 3, padding=1)
        self.candidate = nn.Conv2d(2 * channels, channels, 3, padding=1)

    def forward(self, x: Tensor, h: Tensor | None) -> tuple[Tensor, Tensor]:
        if h is None:
            h = torch.zeros_like(x[:, 0])
        elif h.shape != x[:, 0].shape:
            raise ValueError(f"the recurrent state is {tuple(h.shape)} where the clip needs "
                             f"{tuple(x[:, 0].shape)}; start a new clip with state=None")
        hidden = []
        for frame in x.unbind(1):
            r, z = self.gates(torch.cat([frame, h], 1)).sigmoid().chunk(2, 1)
            c = self.candidate(torch.cat([frame, r * h], 1)).tanh()
            h = (1 - z) * h + z * c
            hidden.append(h)
        return torch.stack(hidden, 1), h


class HalfRecurrent(nn.Module):
    """ConvGRU on the second half of the channels; the first half passes by, a cheap memory."""

    def __init__(self, channels: int):
        super().__init__()
        self.gru = ConvGRU(channels // 2)

    def forward(self, x: Tensor, h: Tensor | None, frames: int) -> tuple[Tensor, Tensor]:
        still, moving = x.chunk(2, 1)  # (B*T, C/2, H, W) each
        moving, h = self.gru(moving.unflatten(0, (-1, frames)), h)
        return torch.cat([still, moving.flatten(0, 1)], 1), h


def upsample_to(x: Tensor, like: Tensor) -> Tensor:
    """Bilinear x2, cropped to the size of `like`: a level of odd size came from ceil(size / 2)."""
    x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
    if x.shape[-2:] == like.shape[-2:]:
        return x  # a crop of nothing costs nothing here, but would be a copy in an exported graph
    return x[..., :like.shape[-2], :like.shape[-1]]


class UpBlock(nn.Module):
    """One level up: x2, join the encoder's skip and the pooled RGB, 3x3, memory on half the channels."""

    def __init__(self, c_in: int, c_skip: int, c_out: int):
        super().__init__()
        self.mix = nn.Sequential(nn.Conv2d(c_in + c_skip + 3, c_out, 3, padding=1, bias=False),
                                 nn.BatchNorm2d(c_out), nn.ReLU())
        self.memory = HalfRecurrent(c_out)

    def forward(self, x: Tensor, skip: Tensor, rgb: Tensor, h: Tensor | None, frames: int):
        x = self.mix(torch.cat([upsample_to(x, rgb), skip, rgb], 1))
        return self.memory(x, h, frames)


class Decoder(nn.Module):
    """Neck features, skips and frame -> hidden features (B*T, 16, H, W) at full size, and 4 states."""

    def __init__(self):
        super().__init__()
        self.memory = HalfRecurrent(128)  # 1/16
        self.up = nn.ModuleList([UpBlock(128, 40, 80), UpBlock(80, 24, 40), UpBlock(40, 16, 32)])
        self.output = nn.Sequential(
            nn.Conv2d(32 + 3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
            nn.Conv2d(16, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU())

    def forward(self, x: Tensor, skips: list[Tensor], rgb: Tensor, state: list[Tensor | None], frames: int):
        pyramid = [rgb]  # 1, 1/2, 1/4, 1/8
        for _ in range(3):
            pyramid.append(F.avg_pool2d(pyramid[-1], 2, ceil_mode=True))
        x, h = self.memory(x, state[0], frames)
        new_state = [h]
        for block, skip, small, h in zip(self.up, skips[::-1], pyramid[:0:-1], state[1:]):
            x, h = block(x, skip, small, h, frames)
            new_state.append(h)
        return self.output(torch.cat([upsample_to(x, rgb), rgb], 1)), new_state


# ── refiner and the whole ────────────────────────────────────────────────────────────────────────


class DeepGuidedFilter(nn.Module):
    """Joint upsampling by local linear models (fast end-to-end trainable guided filter, 1803.05619).

    In every window the result is taken as y = A x + b in the guide x. A comes from the small images'
    statistics and the decoder's features, b = mean(y) - A mean(x); both are smooth, so they survive
    upsampling, and the large guide puts the sharp edges back.
    The guide has 4 channels, R, G, B and their mean: one for each channel of y (3 foreground, alpha).
    """

    def __init__(self):
        super().__init__()
        self.box = nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False)
        nn.init.constant_(self.box.weight, 1 / 9)  # begins as a mean, may learn another window
        self.slope = nn.Sequential(
            nn.Conv2d(4 + 4 + 16, 16, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(),
            nn.Conv2d(16, 16, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 4, 1))

    def forward(self, rgb: Tensor, small: Tensor, y: Tensor, hidden: Tensor) -> Tensor:
        """rgb (N, 3, H, W); small (N, 3, h, w); y (N, 4, h, w); hidden (N, 16, h, w) -> (N, 4, H, W)."""
        x_large = torch.cat([rgb, rgb.mean(1, keepdim=True)], 1)
        x = torch.cat([small, small.mean(1, keepdim=True)], 1)
        mean_x, mean_y = self.box(x), self.box(y)
        cov_xy = self.box(x * y) - mean_x * mean_y
        var_x = self.box(x * x) - mean_x * mean_x
        a = self.slope(torch.cat([cov_xy, var_x, hidden], 1))
        b = mean_y - a * mean_x
        size = rgb.shape[-2:]
        a = F.interpolate(a, size, mode="bilinear", align_corners=False)
        b = F.interpolate(b, size, mode="bilinear", align_corners=False)
        return a * x_large + b


class RVM(nn.Module):
    """Float video matting network. `model(clip, state=None, downsample_ratio=1.0)` -> MattingOutput.

    clip: (B, T, 3, H, W) float RGB in [0, 1], any H and W. state: `.state` of the previous call on the
    same sequences (4 maps: 64 channels at 1/16, 40 at 1/8, 20 at 1/4, 16 at 1/2), None at a clip's start.
    downsample_ratio: in (0, 1]; below 1 the network sees the frame bilinearly reduced by it and the deep
    guided filter restores the full resolution. coarse_alpha is None.
    Raises ValueError on a wrong shape, state or ratio.
    """

    def __init__(self):
        super().__init__()
        self.encoder = Encoder()
        self.neck = LRASPP()
        self.decoder = Decoder()
        self.matting_head = nn.Conv2d(16, 4, 1)  # 3 foreground residual, 1 alpha
        self.segmentation_head = nn.Conv2d(16, 1, 1)
        self.refiner = DeepGuidedFilter()

    def features(self, clip: Tensor, state: list[Tensor] | None) -> tuple[Tensor, list[Tensor]]:
        """(B, T, 3, H, W) -> hidden features (B*T, 16, H, W) and the new state."""
        if clip.ndim != 5 or clip.shape[2] != 3:
            raise ValueError(f"clip must be (B, T, 3, H, W), not {tuple(clip.shape)}")
        if state is not None and len(state) != 4:
            raise ValueError(f"RVM's state has 4 hidden maps, not {len(state)}")
        rgb = clip.flatten(0, 1)
        *skips, deep = self.encoder(rgb)
        return self.decoder(self.neck(deep), skips, rgb, state or [None] * 4, frames=clip.shape[1])

    def forward(self, clip: Tensor, state: list[Tensor] | None = None,
                downsample_ratio: float = 1.0) -> MattingOutput:
        if not 0 < downsample_ratio <= 1:
            raise ValueError(f"downsample_ratio must be in (0, 1], not {downsample_ratio}")
        small = reduce_clip(clip, downsample_ratio)
        hidden, state = self.features(small, state)
        y = self.matting_head(hidden)
        if downsample_ratio < 1:
            y = self.refiner(clip.flatten(0, 1), small.flatten(0, 1), y, hidden)
        y = y.unflatten(0, clip.shape[:2])
        residual, alpha = y.split([3, 1], dim=2)
        alpha, foreground = (leaky_clamp(x, self.training) for x in (alpha, clip + residual))
        return MattingOutput(alpha, foreground, None, state)

    def segment(self, clip: Tensor, state: list[Tensor] | None = None) -> tuple[Tensor, list[Tensor]]:
        """Second training task, on segmentation data: person logits (B, T, 1, H, W) and the state."""
        hidden, state = self.features(clip, state)
        return self.segmentation_head(hidden).unflatten(0, clip.shape[:2]), state


def reduce_clip(clip: Tensor, ratio: float) -> Tensor:
    """(B, T, 3, H, W) -> (B, T, 3, round(ratio H), round(ratio W)), bilinear, at least one pixel."""
    if ratio == 1:
        return clip
    size = [max(1, round(ratio * int(side))) for side in clip.shape[-2:]]  # int: torch's tracer passes tensors
    frames = F.interpolate(clip.flatten(0, 1), size, mode="bilinear", align_corners=False)
    return frames.unflatten(0, clip.shape[:2])
