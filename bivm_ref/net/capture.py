"""Look inside a network: the feature maps of every stage, before the sign that reads them.

Used by mimicking (`learn.mimic`) and by the information studies. Nothing is changed in the network: forward hooks
take the maps while it runs.
"""

from __future__ import annotations

from types import TracebackType

from torch import Tensor, nn

from bivm_ref.net.binary import Sign
from bivm_ref.net.bivm import BiVM

STAGES = ("f1", "f2", "f3", "f4", "neck", "d3", "d2", "d1", "d0")
"""In the order of execution: the encoder's four maps, the neck's after its memory, the decoder's after theirs."""


def stage_module(model: BiVM, stage: str) -> nn.Module:
    """The module whose output is that map. ValueError, naming the stages, for an unknown one."""
    if stage not in STAGES:
        raise ValueError(f"unknown stage {stage!r}: choose among {', '.join(STAGES)}")
    if stage == "neck":
        return model.neck
    return getattr(model.encoder if stage.startswith("f") else model.decoder, stage)


def reader(model: BiVM, stage: str) -> Sign:
    """The sign that reads the map of that stage first (on the way forward, not across a skip)."""
    encoder, decoder = model.encoder, model.decoder
    if stage in ("f1", "f2", "f3"):
        return getattr(encoder, f"f{int(stage[1]) + 1}")[0][0].sign
    following = {"f4": lambda: model.neck.aspp.value.sign, "neck": lambda: decoder.d3.sign_up,
                 "d3": lambda: decoder.d2.sign_up, "d2": lambda: decoder.d1.sign_up,
                 "d1": lambda: decoder.d0.sign_up, "d0": lambda: decoder.detail.sign}
    stage_module(model, stage)
    return following[stage]()


class _Enough(Exception):
    """All stages were seen."""


class Capture:
    """`with Capture(model, stages) as maps: model(clip)` -> maps[stage] (B*T, C, h, w), gradients kept.

    stop: leave the model, and the `with` block, as soon as the last of the stages is there: the rest is not needed.
    """

    def __init__(self, model: BiVM, stages: tuple[str, ...] = STAGES, stop: bool = False) -> None:
        self.maps: dict[str, Tensor] = {}
        self.modules = {stage: stage_module(model, stage) for stage in stages}
        self.stop = stop
        self.handles: list = []

    def __enter__(self) -> dict[str, Tensor]:
        for stage, module in self.modules.items():
            self.handles.append(module.register_forward_hook(self._keep(stage)))
        return self.maps

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> bool:
        for handle in self.handles:
            handle.remove()
        self.handles.clear()
        return kind is _Enough

    def _keep(self, stage: str):
        def hook(_module: nn.Module, _inputs, output) -> None:
            x = output[0] if isinstance(output, tuple) else output  # stages with a memory return (map, state)
            self.maps[stage] = x.flatten(0, 1) if x.ndim == 5 else x
            if self.stop and len(self.maps) == len(self.modules):
                raise _Enough
        return hook
