"""Count multiply-accumulates (MACs) by watching the convolutions of a real forward pass."""

from __future__ import annotations

import torch
from torch import nn


def count_conv_macs(model: nn.Module, *inputs) -> dict[str, int]:
    """MACs of every `nn.Conv2d` (subclasses included) that `model(*inputs)` runs: {module name: MACs}.

    One output value of a convolution costs k_h * k_w * C_in / groups MACs; batch and frames are part of
    the count, and a module that runs several times (a ConvGRU over T frames) adds up. Padding taps count
    as work. Bias, normalisation, activations, pooling and resizing are left out.
    Only shapes matter: a model and inputs on torch's "meta" device give the same figures without any
    arithmetic. Runs in eval mode without gradients and restores the mode of every module.
    """
    macs: dict[str, int] = {}

    def watch(name: str):
        def hook(conv: nn.Conv2d, _inputs, output: torch.Tensor) -> None:
            k_h, k_w = conv.kernel_size
            macs[name] = macs.get(name, 0) + output.numel() * k_h * k_w * conv.in_channels // conv.groups

        return hook

    modes = [(module, module.training) for module in model.modules()]
    handles = [module.register_forward_hook(watch(name))
               for name, module in model.named_modules() if isinstance(module, nn.Conv2d)]
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
