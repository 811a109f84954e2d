"""torch's network behind the packed engine's two methods, `step` and `reset`, to compare the two."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bivm_ref.arch import Arch
from bivm_ref.learn.train import load_model, load_state, trained_size
from bivm_ref.net import BiVM
from bivm_ref.net.binary import BinaryConv2d
from bivm_ref.net.blocks import ConvGRU, Elastic, Norm, TwoBranch
from bivm_ref.packed import weights
from bivm_ref.packed.bits import unpack_weights
from bivm_ref.packed.network import reduce_frame


class TorchEngine:
    """`BiVM` frame by frame, its recurrent state kept. size: as in `PackedBiVM.load`."""

    def __init__(self, model: BiVM, size: int | None = 512) -> None:
        self.model, self.size = model.eval(), size
        self.reset()

    @classmethod
    def load(cls, path: str | Path | None = None, threads: int = 1,
             size: int | str | None = "trained") -> TorchEngine:
        """From a packed file (None: the shipped network), unpacked, or from the `model.pt` of a training run,
        the float twin's included. Raises UserError for any other file."""
        torch.set_num_threads(threads)
        path = weights.default_weights() if path is None else Path(path)
        if path.suffix.lower() in (".pt", ".pth"):
            return cls(load_model(path), trained_size(load_state(path)["recipe"]) if size == "trained" else size)
        arch, tensors, metadata = weights.load(path)
        size = weights.working_size(metadata) if size == "trained" else size
        return cls(unpack(arch, tensors), size)

    def reset(self) -> None:
        """Forget the clip: the next frame starts a new one."""
        self._state: list[Tensor] | None = None

    @torch.no_grad()
    def step(self, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """One frame (H, W, 3) uint8 RGB -> alpha (H, W), foreground (H, W, 3), float32 in [0, 1]."""
        small = reduce_frame(frame, self.size)
        large = None if small is frame else _as_clip(frame)
        out = self.model(_as_clip(small), self._state, large)
        self._state = out.state
        return out.alpha[0, 0, 0].numpy(), out.foreground[0, 0].permute(1, 2, 0).contiguous().numpy()


def _as_clip(frame: np.ndarray) -> Tensor:
    """(H, W, 3) uint8 -> (1, 1, 3, H, W) float in [0, 1]."""
    return torch.from_numpy(np.array(frame)).permute(2, 0, 1)[None, None].float() / 255.0


def unpack(arch: Arch, tensors: Mapping[str, np.ndarray]) -> BiVM:
    """The inverse of `export.pack`: a BiVM in evaluation mode that gives the same whole numbers and matte.

    What training needs and the file does not keep (the weights behind the signs, the batch norms' statistics)
    is gone: the result runs, and is not meant to be trained on.
    """
    model = BiVM(arch)
    _Unpacker(tensors).fill(model)
    return model.eval()


class _Unpacker:
    """Writes the tensors of a file into a network, one method per kind of layer, as `export._Packer` reads
    them."""

    def __init__(self, tensors: Mapping[str, np.ndarray]) -> None:
        self.tensors = tensors

    @torch.no_grad()
    def fill(self, model: BiVM) -> None:
        encoder, aspp, decoder = model.encoder, model.neck.aspp, model.decoder
        # The largest weight of every channel is 2047 already, so the stem's own scaling changes nothing.
        self.put("encoder.f1.weight", encoder.f1.weight)
        self.norm("encoder.f1", encoder.f1.norm)
        self.put("encoder.f1.slope", encoder.f1.act.weight)
        for stage in ("f2", "f3", "f4"):
            for i, block in enumerate(getattr(encoder, stage)):
                for part, elastic in block.named_children():
                    self.elastic(f"encoder.{stage}.{i}.{part}", elastic)
        self.elastic("neck.value", aspp.value)
        self.conv("neck.gate", aspp.gate)
        self.put("neck.gate.theta", aspp.sign_mean.theta)
        self.put("neck.gate.scale", aspp.gate_scale)
        self.put("neck.gate.shift", aspp.gate_shift)
        self.gru("neck.gru", model.neck.memory.gru)
        self.elastic("coarse.conv", model.coarse.conv)
        heads = {"coarse.head": model.coarse, "head": model.head, "refiner.head": model.refiner.head}
        for name, head in heads.items():
            self.put(f"{name}.weight", head.weight)
            self.put(f"{name}.bias", head.bias)
        for part in ("d3", "d2", "d1", "d0"):
            stage, name = getattr(decoder, part), f"decoder.{part}"
            self.two_branch(f"{name}.conv", stage.conv)
            self.put(f"{name}.up.theta", stage.sign_up.theta)
            self.put(f"{name}.rgb.theta", stage.rgb.sign.theta)
            self.put(f"{name}.gain", stage.gain)
            self.put(f"{name}.slope", stage.act.weight)
            if stage.sign_skip is not None:
                self.put(f"{name}.skip.theta", stage.sign_skip.theta)
                self.gru(f"{name}.gru", stage.memory.gru)
        detail = decoder.detail
        self.conv("decoder.d0.detail", detail.conv)
        self.norm("decoder.d0.detail", detail.norm)
        self.put("decoder.d0.detail.theta", detail.sign.theta)
        self.put("decoder.d0.detail.slope", detail.act.weight)
        self.norm("refiner.norm", model.refiner.norm)
        self.elastic("refiner.mix", model.refiner.mix)
        self.elastic("refiner.hidden", model.refiner.hidden)

    def put(self, name: str, parameter: Tensor) -> None:
        parameter.copy_(torch.from_numpy(self.tensors[name].astype(np.float32)).view(parameter.shape))

    def conv(self, name: str, conv: BinaryConv2d) -> None:
        conv.weight.copy_(torch.from_numpy(unpack_weights(self.tensors[f"{name}.bits"]).astype(np.float32)))

    def norm(self, prefix: str, norm: Norm) -> None:
        """Statistics 0 and 1 and eps 0, so that folding gives back scale and shift to the bit."""
        norm.eps, norm.input_scale = 0.0, 1.0
        norm.running_mean.zero_()
        norm.running_var.fill_(1.0)
        self.put(f"{prefix}.scale", norm.weight)
        self.put(f"{prefix}.shift", norm.bias)

    def elastic(self, name: str, layer: Elastic) -> None:
        self.conv(name, layer.conv)
        self.norm(name, layer.norm)
        self.put(f"{name}.theta", layer.sign.theta)
        self.put(f"{name}.gain", layer.gain)
        self.put(f"{name}.slope", layer.act.weight)

    def two_branch(self, name: str, layer: TwoBranch) -> None:
        for kernel, norm in (("k3", layer.norm3), ("k1", layer.norm1)):
            self.conv(f"{name}.{kernel}", getattr(layer, kernel))
            self.norm(f"{name}.{kernel}", norm)

    def gru(self, name: str, layer: ConvGRU) -> None:
        for part in ("x", "h", "rh"):
            self.put(f"{name}.{part}.theta", getattr(layer, f"sign_{part}").theta)
        self.two_branch(f"{name}.gates", layer.gates)
        self.two_branch(f"{name}.candidate", layer.candidate)
        self.put(f"{name}.gain", layer.gain)
