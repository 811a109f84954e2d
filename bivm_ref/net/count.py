"""Count multiply-accumulates (MACs) by watching the convolutions of a real forward pass."""

from __future__ import annotations

import torch
from torch import nn

from bivm_ref.net.binary import BinaryConv2d
from bivm_ref.net.blocks import FixedPointStem
from bivm_ref.net.encoder import CoarseHead


def count_conv_macs(model: nn.Module, *inputs) -> dict[str, int]:
    """MACs of every convolution that `model(*inputs)` runs: {module name: MACs}.

    Convolutions are `nn.Conv2d` (subclasses included) and the modules of ours that convolve in their own way:
    `BinaryConv2d`, `FixedPointStem` and the 1x1 at the end of `CoarseHead`.
    One output value of a convolution costs k_h * k_w * C_in / groups MACs; batch and frames are part of
    the count, and a module that runs several times (a ConvGRU over T frames) adds up. Padding taps count
    as work. Bias, normalisation, activations, pooling and resizing are left out.
    Only shapes matter: a model and inputs on torch's "meta" device give the same figures without any
    arithmetic. Runs in eval mode without gradients and restores the mode of every module.
    """
    macs: dict[str, int] = {}

    def watch(name: str):
        def hook(module: nn.Module, _inputs, output: torch.Tensor) -> None:
            macs[name] = macs.get(name, 0) + output.numel() * terms(module)

        return hook

    modes = [(module, module.training) for module in model.modules()]
    handles = [module.register_forward_hook(watch(name))
               for name, module in model.named_modules() if terms(module)]
    try:
        model.eval()
        with torch.no_grad():
            model(*inputs)
    finally:
        for handle in handles:
            handle.remove()
        for module, training in modes:
            module.training = training  # .train() would overwrite the children as well
    return macs


def terms(module: nn.Module) -> int:
    """Products that a convolution adds up for one output value; 0 for any other module."""
    if isinstance(module, (nn.Conv2d, BinaryConv2d, FixedPointStem)):
        return module.weight[0].numel()  # (C_out, C_in / groups, k_h, k_w)
    return module.weight.numel() if isinstance(module, CoarseHead) else 0
