"""Localized binarization-aware mimicking, guided by information: the student copies what matters of its teacher.

The abstract names the framework; its formula is our reading. The teacher is a trained float twin, frozen, in
evaluation mode, on the same clip from the same empty memory. For every stage l, features A of the student and F of
the teacher *before* the sign:

    L = weight * mean_l sum_u w_u sum_c pi_c [ (n(psi A) - n(F))^2 + eta * BCE(b, 1[F >= median_c]) ]
    b = sigmoid(kappa (A + theta))

    localized           w_u is 1 + `floor` in the boundary band of the true alpha, `floor` elsewhere, sum 1 per frame
    binarization-aware  the second term asks for the *bit* that the next sign will make, not for the value
    information-guided  pi_c grows with what the teacher's bit of that channel tells of the alpha class,
                        max(0, I - null); the share `even` of it is spread over all channels alike; sum 1

n is the z-score per channel, psi a 1x1 adapter that exists in training only, theta the shift of the sign that reads the
map, kappa = `sharpness` / std of the channel. A channel that hardly varies, as one that a gate has shut, would have a
gradient without bound: a std below `FLAT` of its map's counts as that much. Nothing of this costs anything when the
network runs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bivm_ref.information import mutual_information
from bivm_ref.net import BiVM, sync
from bivm_ref.net.capture import Capture, reader

FLAT = 0.1  # share of the root mean square of a map's stds: the least that a channel's std counts as
CLEAR = 0.02  # a cell whose mean alpha is below it is background, above 1 - CLEAR foreground, else between


@dataclass(frozen=True)
class Mimicking:
    """What of the loss is switched on, and how strongly; part of a `Recipe`.

    weight     of the whole term beside the matting loss
    localized  w on the boundary band; False weighs every cell alike
    bits       eta; 0 leaves the bit term out
    informed   pi from information; False weighs every channel alike

    `floor` and `even` keep something of every cell and channel in the loss. With much less of them (0.1 and 0) a short
    training did better without localization and without information than with them (data_samples/results/README.md).
    """

    weight: float = 1.0
    localized: bool = True
    bits: float = 0.5
    informed: bool = True
    floor: float = 1.0
    even: float = 0.5
    sharpness: float = 2.0
    stages: tuple[str, ...] = ("f1", "f2", "f3", "f4", "neck", "d3", "d2", "d1")


def cell_alpha(alpha: Tensor, height: int, width: int) -> Tensor:
    """Mean alpha of each cell: (N, 1, H, W) -> (N, 1, height, width), H and W padded by repetition to whole cells."""
    times = -(-alpha.shape[-2] // height)
    padded = F.pad(alpha, (0, width * times - alpha.shape[-1], 0, height * times - alpha.shape[-2]), mode="replicate")
    return F.avg_pool2d(padded, times)


def boundary_weight(alpha: Tensor, floor: float) -> Tensor:
    """w (N, 1, h, w), sum 1 in each frame: large on cells between foreground and background and on their neighbours."""
    between = ((alpha > CLEAR) & (alpha < 1.0 - CLEAR)).float()
    edge = (F.max_pool2d(alpha, 3, 1, 1) + F.max_pool2d(-alpha, 3, 1, 1) > 0.5).float()  # hard edges between cells
    w = F.max_pool2d(torch.maximum(between, edge), 3, 1, 1) + floor
    return w / w.sum((1, 2, 3), keepdim=True)


def alpha_class(alpha: Tensor) -> Tensor:
    """0 background, 1 between, 2 foreground; same shape, integers."""
    return (alpha >= CLEAR).long() + (alpha > 1.0 - CLEAR).long()


def channel_information(bits: Tensor, classes: Tensor, clips: int) -> np.ndarray:
    """max(0, I(bit; class) - null) of each channel, in bits, from exact 2x3 tables.

    bits (N, C, h, w) bool, classes (N, 1, h, w) in {0, 1, 2}; N = clips * frames. The null pairs every clip with the
    next one's classes: what a bit tells of *where people usually are* is not counted. -> (C,) float64.
    """
    shifted = classes.unflatten(0, (clips, -1)).roll(1, 0).flatten(0, 1)
    found = []
    for labels in (classes, shifted):
        member = F.one_hot(labels[:, 0], 3).flatten(0, 2).double()  # (N h w, 3)
        ones = bits.movedim(1, 0).flatten(1).double() @ member  # (C, 3)
        found.append(mutual_information(torch.stack((member.sum(0) - ones, ones), 1).numpy()))
    return np.maximum(0.0, found[0] - found[1])


def z_score(x: Tensor) -> Tensor:
    """(x - mean) / std per channel over samples and cells of (N, C, h, w); flat channels come out near 0."""
    mean, variance = sync.moments(x)
    return (x - mean) * inverse_std(variance)


def inverse_std(variance: Tensor) -> Tensor:
    """1 / std of each channel of a map, from its variances (1, C, 1, 1); bounded for those that are flat (`FLAT`)."""
    least = FLAT**2 * variance.detach().mean()
    return torch.rsqrt(torch.maximum(variance, least) + 1e-10)


class Mimic(nn.Module):
    """The teacher, the adapters and the tables; `loss()` is what the student is asked for.

    Raises ValueError for a teacher of another architecture or one that is not the float twin.
    """

    def __init__(self, student: BiVM, teacher: BiVM, options: Mimicking) -> None:
        super().__init__()
        if teacher.arch != student.arch:
            raise ValueError(f"the teacher is {teacher.arch.name!r}, the student {student.arch.name!r}; "
                             "a float twin has its student's architecture")
        if teacher.binary:
            raise ValueError("the teacher is binary; a float twin is needed")
        self.options = options
        self.teacher = [teacher.eval().requires_grad_(False)]  # in a list: its weights are not ours to save
        self.adapters = nn.ModuleDict()
        widths = dict(zip(("f1", "f2", "f3", "f4"), teacher.arch.features, strict=True), neck=teacher.arch.neck,
                      d0=teacher.arch.detail,
                      **dict(zip(("d3", "d2", "d1"), teacher.arch.decoder, strict=True)))
        for stage in options.stages:
            channels = widths[stage]
            adapter = nn.Conv2d(channels, channels, 1)
            nn.init.dirac_(adapter.weight)
            nn.init.zeros_(adapter.bias)
            self.adapters[stage] = adapter
            self.register_buffer(f"median_{stage}", torch.zeros(channels))
            self.register_buffer(f"pi_{stage}", torch.full((channels,), 1.0 / channels))

    def buffer_of(self, kind: str, stage: str) -> Tensor:
        return getattr(self, f"{kind}_{stage}")

    @torch.no_grad()
    def teacher_maps(self, frames: Tensor) -> dict[str, Tensor]:
        with Capture(self.teacher[0], self.options.stages, stop=True) as maps:
            self.teacher[0](frames)
        return maps

    @torch.no_grad()
    def calibrate(self, frames: Tensor, alpha: Tensor) -> None:
        """Medians and pi of the teacher's channels, from clips (B, T, 3, H, W) and alpha (B, T, 1, H, W), B >= 2.

        Once per run: the teacher is frozen, so that they change only with the sample.
        """
        for stage, features in self.teacher_maps(frames).items():
            median = features.movedim(1, 0).flatten(1).median(1).values
            self.buffer_of("median", stage).copy_(median)
            if not self.options.informed:
                continue
            classes = alpha_class(cell_alpha(alpha.flatten(0, 1), *features.shape[-2:]))
            told = channel_information(features >= median.view(-1, 1, 1), classes, len(frames))
            if told.sum() > 0:
                even = self.options.even
                pi = (1.0 - even) * told / told.sum() + even / len(told)
                self.buffer_of("pi", stage).copy_(torch.from_numpy(pi))

    def loss(self, student: BiVM, maps: dict[str, Tensor], frames: Tensor, alpha: Tensor) -> Tensor:
        """maps: the student's, from `Capture`, on the same frames. A scalar."""
        total = frames.new_zeros(())
        teacher = self.teacher_maps(frames)
        for stage in self.options.stages:
            mine, theirs = maps[stage], teacher[stage]
            cells = cell_alpha(alpha.flatten(0, 1), *mine.shape[-2:])
            w = boundary_weight(cells, self.options.floor) if self.options.localized else 1.0 / cells[0].numel()
            error = (z_score(self.adapters[stage](mine)) - z_score(theirs)) ** 2
            if self.options.bits:
                error = error + self.options.bits * self._bit_term(student, stage, mine, theirs)
            total = total + (w * error * self.buffer_of("pi", stage).view(-1, 1, 1)).sum() / len(cells)
        return self.options.weight * total / len(self.options.stages)

    def _bit_term(self, student: BiVM, stage: str, mine: Tensor, theirs: Tensor) -> Tensor:
        theta = reader(student, stage).theta
        shifted = mine if theta is None else mine + theta.view(-1, 1, 1)
        kappa = self.options.sharpness * inverse_std(sync.moments(mine.detach())[1])
        wanted = (theirs >= self.buffer_of("median", stage).view(-1, 1, 1)).to(mine.dtype)
        return F.binary_cross_entropy_with_logits(kappa * shifted, wanted, reduction="none")


def as_clips(samples: Iterable[tuple[Tensor, Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """Items of a training data set -> frames (B, T, 3, H, W) and alpha (B, T, 1, H, W), float in [0, 1]."""
    frames, alpha, _ = zip(*samples, strict=True)
    number = torch.get_default_dtype()
    return torch.stack(frames).to(number) / 255.0, torch.stack(alpha).to(number) / 255.0
