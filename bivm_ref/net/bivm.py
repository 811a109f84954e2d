"""BiVM in torch: the network that is trained, and the reference that the packed engine is held equal to."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bivm_ref.arch import Arch, preset
from bivm_ref.net import ops
from bivm_ref.net.binarize import Method
from bivm_ref.net.binarize import method as find_method
from bivm_ref.net.blocks import Head
from bivm_ref.net.decoder import Decoder, detail_mask
from bivm_ref.net.encoder import CoarseHead, Encoder, Neck
from bivm_ref.net.output import MattingOutput
from bivm_ref.net.refiner import Refiner

MULTIPLE = 16  # frames are padded to a multiple of it, by repeating the last row and column, and cropped back


class BiVM(nn.Module):
    """Recurrent binarized matting of a clip.

    arch     an `Arch` or a preset's name
    method   a binarization method, or its name (`binarize.METHODS`); "float" builds the float twin: the same
             description with every sign taken out
    masked   False computes the decoder's 3x3 everywhere (an ablation)

    forward(clip (B, T, 3, H, W) float in [0, 1], state=None, large=None) -> MattingOutput with
    alpha (B, T, 1, H, W), foreground (B, T, 3, H, W), coarse_alpha (B, T, 1, ceil(H/16), ceil(W/16)) and state, four
    hidden maps to hand to the next call. With `large`, the same clip at a larger size (B, T, 3, H2, W2), the refiner
    brings alpha and foreground to that size. Raises ValueError for other shapes.
    """

    def __init__(self, arch: Arch | str = "default", method: Method | str = "bivm", masked: bool = True) -> None:
        super().__init__()
        self.arch = preset(arch) if isinstance(arch, str) else arch
        how = find_method(method)
        self.method, self.masked = how, masked
        self.encoder = Encoder(self.arch, how)
        self.neck = Neck(self.arch, how)
        self.coarse = CoarseHead(self.arch, how)
        self.decoder = Decoder(self.arch, how)
        self.head = Head(self.arch.detail, 4)  # 3 foreground residuals and alpha
        nn.init.normal_(self.head.weight, std=0.05)
        with torch.no_grad():
            self.head.bias.copy_(torch.tensor([0.0, 0.0, 0.0, 0.3]))
        self.refiner = Refiner(self.arch, how)

    def forward(self, clip: Tensor, state: list[Tensor] | None = None, large: Tensor | None = None) -> MattingOutput:
        if clip.ndim != 5 or clip.shape[2] != 3:
            raise ValueError(f"a clip is (B, T, 3, H, W), not {tuple(clip.shape)}")
        batch, (height, width) = clip.shape[:2], clip.shape[-2:]
        frames = ops.pixel_levels(clip.flatten(0, 1))
        bottom, right = -height % MULTIPLE, -width % MULTIPLE
        levels = F.pad(frames, (0, right, 0, bottom), mode="replicate") if bottom or right else frames

        features = self.encoder(levels)
        state = [None] * 4 if state is None else list(state)
        x, h16 = self.neck(features[3].unflatten(0, batch), state[0])
        coarse = self.coarse(x.flatten(0, 1))
        mask = detail_mask(coarse.detach(), self.arch.tau) if self.masked else None
        hidden, after = self.decoder(x, features, levels, mask, state[1:])

        hidden = hidden[..., :height, :width]
        pixels = frames / 255.0
        out = self.head(hidden)
        out = torch.cat((out[:, :3] + pixels, out[:, 3:]), 1)
        if large is not None:
            matte = torch.clamp(out, 0.0, 1.0)
            out = self.refiner(pixels, large.flatten(0, 1), matte, hidden)
        out = ops.leaky_clamp(out, self.training).unflatten(0, batch)
        return MattingOutput(alpha=out[:, :, 3:], foreground=out[:, :, :3],
                             coarse_alpha=coarse.unflatten(0, batch), state=[h16, *after])

    @property
    def binary(self) -> bool:
        return self.method.binary

    def mask(self, output: MattingOutput) -> Tensor:
        """The mask that a forward pass used, (B, T, 1, h, w) of 0 and 1 at scale 16, from its output."""
        return detail_mask(output.coarse_alpha.flatten(0, 1), self.arch.tau).unflatten(0, output.alpha.shape[:2])
