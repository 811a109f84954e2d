"""What a step is asked for: a batch in, its loss terms out.

One module holds the network and its helpers in training (the mimicking's adapters, a head for segmentation), so that
`DistributedDataParallel` sees every gradient. The helpers are not exported.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bivm_ref.learn.losses import matting_loss
from bivm_ref.learn.mimic import Mimic
from bivm_ref.learn.segmentation import segmentation_loss
from bivm_ref.net import RVM, BiVM, MattingOutput
from bivm_ref.net.capture import Capture

# How the names of an objective's parameters begin → the part of the network whose learning rate they take in a stage
# (`recipes.Rates`). All others, heads and helpers included, go with the decoder, as in RVM. The memory at 1/16 is in
# our neck's module, and in RVM's decoder.
PARTS = {"model.encoder.": "backbone", "model.neck.": "neck", "model.refiner.": "refiner"}


def part_of(name: str) -> str:
    """"backbone", "neck", "decoder" or "refiner", by a parameter's name in `Objective`."""
    return next((part for start, part in PARTS.items() if name.startswith(start)), "decoder")


class SegmentationHead(nn.Module):
    """Where people are, as logits: a float 1x1 convolution beside the matting head, on the map that it reads.

    RVM has this head inside (`RVM.segment`). Nobody asks a matting network for a segmentation, so ours is a helper of
    training: it takes the map from outside, the network and its packed file stay as they are, and `model.pt` keeps it
    for the stage that follows. (Our reading: the abstract does not say what of the network segments.)
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 1, 1)

    def forward(self, model: BiVM, frames: Tensor) -> Tensor:
        """frames (B, T, 3, H, W) in [0, 1] -> logits (B, T, 1, H, W)."""
        seen: list[Tensor] = []
        hook = model.head.register_forward_pre_hook(lambda _head, inputs: seen.append(inputs[0]))
        try:
            model(frames)
        finally:
            hook.remove()
        return self.conv(seen[0]).unflatten(0, frames.shape[:2])


class Objective(nn.Module):
    """Network and helpers: a batch of clips, or one of segmentation -> the loss terms, their sum as "total".

    segmentation: whether batches of segmentation will come.
    """

    def __init__(self, model: BiVM | RVM, mimic: Mimic | None = None, segmentation: bool = False) -> None:
        super().__init__()
        self.model, self.mimic = model, mimic
        own = segmentation and not isinstance(model, RVM)
        self.segmentation = SegmentationHead(model.arch.detail) if own else None

    def forward(self, frames: Tensor, truth: Tensor, foreground: Tensor | None = None,
                large: Tensor | None = None) -> dict[str, Tensor]:
        """frames (B, T, 3, H, W) with truth (B, T, 1, H, W), all in [0, 1].

        With a foreground, truth is alpha; without, it is the mask of a batch of segmentation. large: the same clip at
        twice the size, for the refiner; truth and foreground are of that size then.
        """
        if foreground is None:
            return {"total": segmentation_loss(self._segment(frames), truth)}
        if large is not None:  # the refiner alone learns: there is nothing to mimic
            return matting_loss(refined(self.model, frames, large), truth, foreground)
        if self.mimic is None:
            return matting_loss(self.model(frames), truth, foreground)
        with Capture(self.model, self.mimic.options.stages) as maps:
            terms = matting_loss(self.model(frames), truth, foreground)
        terms["mimic"] = self.mimic.loss(self.model, maps, frames, truth)
        terms["total"] = terms["total"] + terms["mimic"]
        return terms

    def _segment(self, frames: Tensor) -> Tensor:
        if self.segmentation is not None:
            return self.segmentation(self.model, frames)
        return self.model.segment(frames)[0]


def refined(model: BiVM | RVM, frames: Tensor, large: Tensor) -> MattingOutput:
    """The matte of `large` through the refiner; frames: the same at half the size. (RVM halves by itself.)"""
    return model(large, downsample_ratio=0.5) if isinstance(model, RVM) else model(frames, large=large)


def halve(clip: Tensor) -> Tensor:
    """(B, T, 3, H, W) -> half the size, as 8-bit frames: what the refiner's small network would be given."""
    small = F.interpolate(clip.flatten(0, 1), scale_factor=0.5, mode="bilinear", antialias=True)
    return torch.round(small.unflatten(0, clip.shape[:2]).clamp(0, 1) * 255.0) / 255.0
