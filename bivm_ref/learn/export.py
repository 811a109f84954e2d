"""From a trained torch network to the packed file: fold, pack, write.

Nothing is approximated here. Signs become bits; the batch norms are stored in the folded form in which the
torch network itself evaluates (`Norm.folded`); the stem's rounded whole numbers are stored as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from bivm_ref.net.binary import BinaryConv2d
from bivm_ref.net.bivm import BiVM
from bivm_ref.net.blocks import ConvGRU, Elastic, FixedPointStem, Norm, TwoBranch
from bivm_ref.packed import weights
from bivm_ref.packed.bits import pack_weights

EXPORTED = ("bivm", "bivm-no-branches", "bivm-centred")  # the same network once branches are merged


def export(model: BiVM, path: str | Path, provenance: Mapping | None = None,
           figures: Mapping | None = None) -> None:
    """Write the packed file of a trained network. provenance and figures are JSON dicts that travel in it.

    Raises ValueError for the float twin or a network with NaN, UserError when the file cannot be written.
    """
    weights.save(path, pack(model), model.arch, provenance, figures)


def pack(model: BiVM) -> dict[str, np.ndarray]:
    """The tensors of `weights.schema(model.arch)`, latent branches merged.

    ValueError for another method than ours: the float twin has no bits, and the engine runs none of the others; and
    for one with NaN.
    """
    if model.method.name not in EXPORTED:
        raise ValueError(f"a network of the method {model.method.name!r} has no place in a packed file, which holds "
                         f"{' or '.join(EXPORTED)}")
    for name, value in model.state_dict().items():  # the sign of NaN would be a bit like any other
        if not torch.isfinite(value).all():
            raise ValueError(f"{name} is not finite")
    packer = Packer()
    walk(model, packer)
    return packer.tensors


def walk(model: BiVM, packer: Packer) -> None:
    """Show `packer` every part of the network under its name in the file."""
    encoder, neck, decoder, refiner = model.encoder, model.neck, model.decoder, model.refiner

    packer.stem("encoder.f1", encoder.f1)
    packer.norm("encoder.f1", encoder.f1.norm)
    packer.floats("encoder.f1", slope=encoder.f1.act.weight)
    for stage in ("f2", "f3", "f4"):
        for i, block in enumerate(getattr(encoder, stage)):
            for part, elastic in block.named_children():
                packer.elastic(f"encoder.{stage}.{i}.{part}", elastic)

    packer.elastic("neck.value", neck.aspp.value)
    packer.conv("neck.gate", neck.aspp.gate)
    packer.floats("neck.gate", theta=neck.aspp.sign_mean.theta, scale=neck.aspp.gate_scale,
                  shift=neck.aspp.gate_shift)
    packer.gru("neck.gru", neck.memory.gru)
    packer.elastic("coarse.conv", model.coarse.conv)
    packer.floats("coarse.head", weight=model.coarse.weight.view(1, -1), bias=model.coarse.bias)

    for name in ("d3", "d2", "d1", "d0"):
        stage, full = getattr(decoder, name), f"decoder.{name}"
        packer.two_branch(f"{full}.conv", stage.conv)
        packer.floats(f"{full}.up", theta=stage.sign_up.theta)
        packer.floats(f"{full}.rgb", theta=stage.rgb.sign.theta)
        packer.floats(full, gain=stage.gain, slope=stage.act.weight)
        if stage.sign_skip is not None:
            packer.floats(f"{full}.skip", theta=stage.sign_skip.theta)
            packer.gru(f"{full}.gru", stage.memory.gru)
    detail = decoder.detail
    packer.conv("decoder.d0.detail", detail.conv)
    packer.norm("decoder.d0.detail", detail.norm)
    packer.floats("decoder.d0.detail", theta=detail.sign.theta, slope=detail.act.weight)
    packer.floats("head", weight=model.head.weight.flatten(1), bias=model.head.bias)

    packer.norm("refiner.norm", refiner.norm)
    packer.elastic("refiner.mix", refiner.mix)
    packer.elastic("refiner.hidden", refiner.hidden)
    packer.floats("refiner.head", weight=refiner.head.weight.flatten(1), bias=refiner.head.bias)


class Packer:
    """Collects tensors under the names of the file, one method per kind of layer."""

    def __init__(self) -> None:
        self.tensors: dict[str, np.ndarray] = {}

    def floats(self, prefix: str, **values: Tensor) -> None:
        self.tensors.update({f"{prefix}.{name}": _numpy(value) for name, value in values.items()})

    def stem(self, name: str, stem: FixedPointStem) -> None:
        self.tensors[f"{name}.weight"] = _numpy(torch.round(stem.integer_weight())).astype(np.int16)

    def conv(self, name: str, conv: BinaryConv2d) -> None:
        self.tensors[f"{name}.bits"] = pack_weights(_numpy(conv.weight_bits().cpu()))

    def norm(self, prefix: str, norm: Norm) -> None:
        scale, shift = norm.folded()
        self.floats(prefix, scale=scale, shift=shift)

    def elastic(self, name: str, layer: Elastic) -> None:
        self.conv(name, layer.conv)
        self.norm(name, layer.norm)
        self.floats(name, theta=layer.sign.theta, gain=layer.gain, slope=layer.act.weight)

    def two_branch(self, name: str, layer: TwoBranch) -> None:
        for kernel in ("k3", "k1"):
            self.conv(f"{name}.{kernel}", getattr(layer, kernel))
        self.norm(f"{name}.k3", layer.norm3)
        self.norm(f"{name}.k1", layer.norm1)

    def gru(self, name: str, layer: ConvGRU) -> None:
        for part in ("x", "h", "rh"):
            self.floats(f"{name}.{part}", theta=getattr(layer, f"sign_{part}").theta)
        self.two_branch(f"{name}.gates", layer.gates)
        self.two_branch(f"{name}.candidate", layer.candidate)
        self.floats(name, gain=layer.gain)


def _numpy(x: Tensor | nn.Parameter) -> np.ndarray:
    return x.detach().cpu().float().numpy().copy()
