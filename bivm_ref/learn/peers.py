"""What our engine is timed against: RVM, the float ancestor, in torch and in onnxruntime, there also as int8.

RVM here has random weights: how long a convolution takes does not depend on its weights, and nobody's weights need to
be downloaded to repeat a measurement. Its batch norms take their statistics from real frames, so that the maps have
the magnitudes they have in a trained network: neither numbers so small that a processor handles them specially, nor
ranges that int8 could not cover.

The int8 peer is made the way onnxruntime's own guide recommends for CPUs: static quantisation, because ranges found
while running cost time in every frame; QDQ nodes, because the runtime then fuses them into its int8 kernels; unsigned
activations, signed weights, a scale per output channel. Of the variants tried on x86 with VNNI this was the fastest
(convolutions alone, or signed activations, are slower), and a peer should be met at its best. What it loses in quality
is not asked here: every range but the weights' is that of eight frames.
"""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bivm_ref.net.rvm import RVM

STATES = ("r1", "r2", "r3", "r4")
OPSET = 17


def random_rvm(frames: Sequence[np.ndarray], ratio: float = 1.0, seed: int = 0) -> RVM:
    """RVM in evaluation mode, its weights random, its batch norms' statistics those of `frames`."""
    torch.manual_seed(seed)
    model = RVM()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the plain mean over what it sees
            module.reset_running_stats()
    with torch.no_grad():
        model.train()(torch.stack([as_tensor(frame)[0] for frame in frames])[None], None, ratio)
    return model.eval()


def as_tensor(frame: np.ndarray) -> Tensor:
    """(H, W, 3) uint8 -> (1, 3, H, W) float in [0, 1]."""
    return torch.from_numpy(np.array(frame)).permute(2, 0, 1)[None].float() / 255.0


class TorchRVM:
    """RVM in torch behind `step` and `reset`, as the engines have them. Threads are torch's own setting."""

    def __init__(self, model: RVM, ratio: float = 1.0) -> None:
        self.model, self.ratio = model, ratio
        self.reset()

    def reset(self) -> None:
        self._state: list[Tensor] | None = None

    @torch.no_grad()
    def step(self, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(H, W, 3) uint8 -> alpha (H, W), foreground (3, H, W), float32 in [0, 1]."""
        out = self.model(as_tensor(frame)[None], self._state, self.ratio)
        self._state = out.state
        return out.alpha[0, 0, 0].numpy(), out.foreground[0, 0].numpy()


# -- onnxruntime --------------------------------------------------------------------------------------------

class OneFrame(nn.Module):
    """RVM as onnx wants a network: one frame and the four states in, alpha, foreground and new states out."""

    def __init__(self, model: RVM, ratio: float) -> None:
        super().__init__()
        self.model, self.ratio = model, ratio

    def forward(self, frame: Tensor, *state: Tensor):
        out = self.model(frame[:, None], list(state), self.ratio)
        return out.alpha[:, 0], out.foreground[:, 0], *out.state


def export_rvm(model: RVM, path: Path, frame: np.ndarray, ratio: float = 1.0) -> Path:
    """Write the model for frames of this one's size. A fixed size lets the runtime plan its memory, at its best."""
    x = as_tensor(frame)
    with torch.no_grad(), _quiet():
        state = [torch.zeros_like(map_) for map_ in model(x[None], None, ratio).state]
        torch.onnx.export(OneFrame(model, ratio).eval(), (x, *state), str(path), opset_version=OPSET, dynamo=False,
                          input_names=["frame", *STATES],
                          output_names=["alpha", "foreground", *(f"{name}_out" for name in STATES)])
    return path


def quantise(source: Path, path: Path, frames: Sequence[np.ndarray]) -> Path:
    """The int8 network of an exported one, its ranges taken from these frames, run as one clip."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Clip(CalibrationDataReader):
        """Hands the calibration one frame after another, with the states that the float network has reached."""

        def __init__(self):
            self.engine, self.frames = OnnxRVM(source), iter(frames)

        def get_next(self) -> dict | None:
            frame = next(self.frames, None)
            if frame is None:
                return None
            feed = self.engine.feed(frame)
            self.engine.step(frame)
            return feed

    prepared = path.with_suffix(".prepared.onnx")
    with _quiet():
        # Its optimiser folds batch norms and constant shapes; its symbolic shapes fail on views and are not needed.
        quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        quantize_static(str(prepared), str(path), Clip(), quant_format=QuantFormat.QDQ, per_channel=True,
                        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)
    return path


class OnnxRVM:
    """An exported RVM behind `step` and `reset`."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        self.session = _session(str(path), threads)
        self.outputs = [output.name for output in self.session.get_outputs()]
        self.shapes = {i.name: i.shape for i in self.session.get_inputs() if i.name in STATES}
        self.reset()

    def reset(self) -> None:
        self._state = {name: np.zeros(shape, np.float32) for name, shape in self.shapes.items()}

    def feed(self, frame: np.ndarray) -> dict[str, np.ndarray]:
        planes = np.ascontiguousarray(frame.transpose(2, 0, 1)[None], np.float32)
        planes *= np.float32(1 / 255)
        return {"frame": planes, **self._state}

    def step(self, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(H, W, 3) uint8 -> alpha (H, W), foreground (3, H, W), float32 in [0, 1]."""
        alpha, foreground, *state = self.session.run(self.outputs, self.feed(frame))
        self._state = dict(zip(STATES, state, strict=True))
        return alpha[0, 0], foreground[0]


def _session(model: str | bytes, threads: int):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3  # errors alone
    # Its threads wait by spinning. Between two frames that would take the cores from whoever is timed next.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


@contextlib.contextmanager
def _quiet():
    """Exporters and quantisers remark on much that is as it should be."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), open(os.devnull, "w") as sink, contextlib.redirect_stdout(sink):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


# -- one layer ----------------------------------------------------------------------------------------------

def torch_layer(x: np.ndarray, weights: np.ndarray, stride: int) -> Callable[[], np.ndarray]:
    """sign, then a float convolution: x (H, W, C) float32, weights (cout, C, k, k) of -1 and 1."""
    planes, kernel = _planes(x), torch.from_numpy(weights.astype(np.float32))

    @torch.no_grad()
    def run() -> np.ndarray:
        return F.conv2d(torch.sign(planes), kernel, stride=stride, padding=kernel.shape[-1] // 2).numpy()

    return run


def onnx_layer(x: np.ndarray, weights: np.ndarray, stride: int, threads: int = 1) -> Callable[[], np.ndarray]:
    """The same in onnxruntime."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    planes, pad = _planes(x).numpy(), weights.shape[-1] // 2
    nodes = [helper.make_node("Sign", ["x"], ["signs"]),
             helper.make_node("Conv", ["signs", "w"], ["y"], strides=[stride] * 2, pads=[pad] * 4)]
    graph = helper.make_graph(nodes, "layer", [helper.make_tensor_value_info("x", TensorProto.FLOAT, planes.shape)],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, list("nchw"))],
                              [numpy_helper.from_array(weights.astype(np.float32), "w")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    onnx.checker.check_model(model)
    session = _session(model.SerializeToString(), threads)
    return lambda: session.run(["y"], {"x": planes})[0]


def _planes(x: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(x.transpose(2, 0, 1)[None]))
