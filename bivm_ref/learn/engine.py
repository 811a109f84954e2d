"""torch's network behind the packed engine's two methods, `step` and `reset`, to compare the two."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bivm_ref.learn.store import load_bivm, load_state, trained_size
from bivm_ref.learn.unpack import unpack
from bivm_ref.net import BiVM
from bivm_ref.packed import weights
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
            return cls(load_bivm(path), trained_size(load_state(path)["recipe"]) if size == "trained" else size)
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
