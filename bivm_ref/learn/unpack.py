"""From a packed file back to torch: the network that evaluates exactly as the file says.

The real weights behind the signs are gone, so it is no place to train on from (weights/training/ is). It serves to hold
torch against the engine with the shipped numbers, whatever run they come from.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from bivm_ref.arch import Arch
from bivm_ref.learn.export import Packer, walk
from bivm_ref.net.binary import BinaryConv2d
from bivm_ref.net.bivm import BiVM
from bivm_ref.net.blocks import FixedPointStem, Norm
from bivm_ref.packed import weights
from bivm_ref.packed.bits import unpack_weights


@torch.no_grad()
def unpack(arch: Arch, tensors: Mapping[str, np.ndarray]) -> BiVM:
    """The tensors of `weights.schema(arch)` -> a BiVM in evaluation mode; `export.pack` of it gives them back.

    ValueError unless they are those of the schema.
    """
    if problem := weights.find_problem(weights.schema(arch), tensors):
        raise ValueError(problem)
    model = BiVM(arch).eval()
    walk(model, _Unpacker(tensors))
    return model


class _Unpacker(Packer):
    """Walks the network as the packer does, and writes where that one reads."""

    def __init__(self, tensors: Mapping[str, np.ndarray]) -> None:
        self.tensors = tensors

    def _torch(self, name: str) -> Tensor:
        return torch.from_numpy(self.tensors[name].copy())

    def floats(self, prefix: str, **values: Tensor) -> None:
        for name, value in values.items():
            value.copy_(self._torch(f"{prefix}.{name}"))

    def stem(self, name: str, stem: FixedPointStem) -> None:
        stem.weight.copy_(self._torch(f"{name}.weight").float())  # each channel's largest is 2047: rounding keeps them

    def conv(self, name: str, conv: BinaryConv2d) -> None:
        conv.branches = None
        conv.weight.copy_(torch.from_numpy(unpack_weights(self.tensors[f"{name}.bits"])).float())

    def norm(self, prefix: str, norm: Norm) -> None:
        """gamma = A, beta = B, mean 0 and variance 1 without an epsilon: it folds to A and B exactly."""
        norm.eps, norm.input_scale = 0.0, 1.0
        norm.running_mean.zero_()
        norm.running_var.fill_(1.0)
        norm.weight.copy_(self._torch(f"{prefix}.scale"))
        norm.bias.copy_(self._torch(f"{prefix}.shift"))
