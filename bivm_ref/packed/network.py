"""PackedBiVM: a trained network in NumPy, frame by frame, equal to `net.BiVM` bit for bit up to the refiner.

    from bivm_ref.packed import PackedBiVM
    net = PackedBiVM.load()
    for frame in frames:                      # (H, W, 3) uint8 RGB
        alpha, foreground = net.step(frame)   # (H, W) and (H, W, 3) float32 in [0, 1]
    net.reset()                               # before another clip
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from bivm_ref.arch import SCALES, Arch, Conv
from bivm_ref.packed import ops, team, tune, weights
from bivm_ref.packed.decoder import ConvGRU, DecoderStage, Detail
from bivm_ref.packed.heads import Heads
from bivm_ref.packed.layers import Elastic, Neck, Parts, Stem
from bivm_ref.packed.refiner import Refiner
from bivm_ref.packed.run import Memory
from bivm_ref.packed.sparse import Active

MULTIPLE = 16  # frames are padded to a multiple of it, by repeating the last row and column, and cropped back
NOMINAL = (288, 512)  # rows, columns for which `explain` counts operations before a first frame


class PackedBiVM:
    """A packed network and its recurrent state. Made by `load` or `from_tensors`.

    After a `step`: coarse_alpha (h, w) float32 and mask (h, w) bool, both at 1/16 of the (reduced) frame;
    active {scale: share of positions at which the decoder's 3x3 was computed}; metadata of the weight file.
    """

    def __init__(self, parts: Parts, threads: int, size: int | None, dense: bool, metadata: dict) -> None:
        if size is not None and (not isinstance(size, int) or size < MULTIPLE):
            raise ValueError(f"size is a whole number of pixels, at least {MULTIPLE}, or None; not {size!r}")
        self.arch, self.size, self.dense, self.metadata = parts.arch, size, dense, metadata
        self._parts, self.threads = parts, threads
        self._stem = Stem(parts)
        self._stages = {stage: [Elastic(parts, name) for name in parts.rows if name.startswith(f"encoder.{stage}.")]
                        for stage in ("f2", "f3", "f4")}
        self._neck, self._memory = Neck(parts), ConvGRU(parts, "neck.gru")
        self._coarse = Elastic(parts, "coarse.conv")
        self._decoder = [DecoderStage(parts, f"decoder.d{i}") for i in (3, 2, 1, 0)]
        self._detail, self._heads = Detail(parts), Heads(parts)
        self._refiner = Refiner(parts)
        self._at_the_end: weakref.finalize | None = None  # dismisses the team, if there is one
        self.reset()

    @classmethod
    def load(cls, path: str | Path | None = None, threads: int = 1, size: int | str | None = "trained",
             kernel: str = "auto", dense: bool = False, table_budget_mb: float | None = None) -> PackedBiVM:
        """Read a weight file (None: the shipped network).

        threads  processor cores that share the rows of every layer from a clip's second frame on (see team.py);
                 Linux only, elsewhere one
        size     a frame whose longer side exceeds it is reduced to it, and the refiner restores its
                 resolution; "trained": the size the file says it was trained at; None: never reduce
        kernel   "xor", "table", "table4" or "auto" (per layer, see tune.py): the same integers, another speed
        dense    True computes the decoder's 3x3 everywhere, `BiVM(masked=False)`: an ablation
        table_budget_mb  megabytes that the tables may take in all (40); layers that find no room use "xor"
        Raises UserError when the file is not a network that this version knows, ValueError for senseless options.
        """
        arch, tensors, metadata = weights.load(weights.default_weights() if path is None else path)
        size = weights.working_size(metadata) if size == "trained" else size
        return cls._made(arch, tensors, threads, size, kernel, dense, table_budget_mb, metadata)

    @classmethod
    def from_tensors(cls, arch: Arch, tensors: Mapping[str, np.ndarray], threads: int = 1,
                     size: int | None = 512, kernel: str = "auto", dense: bool = False,
                     table_budget_mb: float | None = None) -> PackedBiVM:
        """The same from tensors in memory. ValueError unless they are those of `weights.schema(arch)`."""
        if problem := weights.find_problem(weights.schema(arch), tensors):
            raise ValueError(problem)
        return cls._made(arch, dict(tensors), threads, size, kernel, dense, table_budget_mb, {})

    @classmethod
    def _made(cls, arch: Arch, tensors: dict[str, np.ndarray], threads: int, size: int | None, kernel: str, dense: bool,
              table_budget_mb: float | None, metadata: dict) -> PackedBiVM:
        choices = tune.choose(arch, tensors, kernel, table_budget_mb)
        return cls(Parts(arch, tensors, choices), _count(threads), size, dense, metadata)

    # -- running --

    def reset(self) -> None:
        """Forget the clip: the next frame starts a new one, of any size."""
        self._state: list[np.ndarray | None] = [None] * len(SCALES)
        self._turn = 0  # which of two memories the next hidden maps go to; the other one holds the current ones
        self._shape: tuple[int, int] | None = None
        self.coarse_alpha: np.ndarray | None = None
        self.mask: np.ndarray | None = None
        self.active: dict[int, float] = {}

    def step(self, frame: np.ndarray, mask: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """One frame (H, W, 3) uint8 RGB -> alpha (H, W), foreground (H, W, 3), float32 in [0, 1].

        mask  (h, w) bool at 1/16: where the decoder computes its 3x3 instead of where the coarse alpha says, for
              studies of the mask. Computed by one process, whatever `threads` is.
        Raises ValueError for another dtype or shape, or another size than the clip began with; the state then
        stays as it was.
        """
        if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8:
            raise ValueError(f"a frame is a uint8 array, not {getattr(frame, 'dtype', type(frame).__name__)}")
        if frame.ndim != 3 or frame.shape[2] != 3 or 0 in frame.shape:
            raise ValueError(f"a frame is (H, W, 3), not {frame.shape}")
        if self._shape not in (None, frame.shape[:2]):
            raise ValueError(f"the clip began with frames of {self._shape}, this one is {frame.shape[:2]}; "
                             "call reset() before another clip")
        if mask is not None:
            self._check_mask(mask, frame.shape[:2])
        if self._shape is None:  # a new clip, perhaps of another size: nothing of the last one fits
            self._work_alone()
        elif mask is None and self._may_form_a_team():
            return self._step_in_team(frame)
        elif self._parts.workers.team is not None:
            self._work_alone()
        return self._frame(frame, mask)

    def _may_form_a_team(self) -> bool:
        """Asked from a clip's second frame on: one was done alone, so it is known what memory a frame takes."""
        return (self.threads > 1 and team.possible() and self._parts.record is None
                and self._parts.memory.nbytes > 0)

    def _check_mask(self, mask: np.ndarray, frame: tuple[int, int]) -> None:
        cells = tuple(-(-side // MULTIPLE) for side in reduced_size(*frame, self.size))
        if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or mask.shape != cells:
            raise ValueError(f"the mask of this frame is {cells} bool, got "
                             f"{getattr(mask, 'shape', type(mask).__name__)} {getattr(mask, 'dtype', '')}")

    def _step_in_team(self, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The frame computed by several processes, see team.py."""
        workers = self._parts.workers
        try:
            if workers.team is None:
                made = team.Team.form(self.threads, lambda: self._frame(self._shared_frame), self._share)
                self._at_the_end = weakref.finalize(self, made.dismiss)
            np.copyto(self._shared_frame, frame)
            workers.team.begin()
            alpha, foreground = self._frame(self._shared_frame)
        except BaseException:  # the others stand somewhere in the middle of the frame
            self._work_alone()
            raise
        return alpha.copy(), foreground.copy()

    def _share(self, made: team.Team) -> None:
        """Before the others are forked: maps, states and frame into memory that all of them see."""
        alone, pixels = self._parts.memory, self._shape[0] * self._shape[1]
        # the hidden maps are there once so far, of two; alpha and foreground not at all
        arena = team.Arena(2 * alone.nbytes + 48 * pixels + (1 << 20))
        self._parts.memory, self._parts.workers.team = Memory(arena.allocate), made
        self._parts.memory.reserve(alone)
        self._shared_frame = arena.allocate(3 * pixels).reshape(*self._shape, 3)

    def _work_alone(self) -> None:
        if self._at_the_end is not None:
            self._at_the_end()
        self._parts.workers.team = self._at_the_end = None
        self._parts.memory = Memory()

    def _frame(self, frame: np.ndarray, mask: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        small = reduce_frame(frame, self.size)
        levels = ops.pad_to_multiple(small, MULTIPLE)
        skips, x = self._encoder(levels)
        to = [f"h{scale}.{self._turn}" for scale in SCALES]
        x = self._neck(x, "neck")
        after = [self._memory(x, self._state[0], None, to[0])]
        coarse = self._coarse_alpha(x)
        everywhere = self.dense and mask is None
        mask = ops.detail_mask(coarse, self.arch.tau) if mask is None else mask
        active = None if everywhere else Active(mask)

        sums = ops.pooled_sums(levels)
        for stage, skip, h, name in zip(self._decoder, skips, [*self._state[1:], None], [*to[1:], ""], strict=True):
            x, h = stage(x, skip, sums, active, h, name)
            after.append(h)
        hidden = self._detail(x, active)
        alpha, foreground = self._heads(hidden, small)
        if small is not frame:
            alpha, foreground = self._refiner(small, frame, alpha, foreground, hidden)

        self._state, self._shape, self._turn = after[:len(SCALES)], frame.shape[:2], 1 - self._turn
        self.coarse_alpha, self.mask = coarse, mask
        share = 1.0 if active is None else active.share
        self.active = dict.fromkeys((8, 4, 2, 1), share)
        return alpha, foreground

    def _encoder(self, levels: np.ndarray) -> tuple[list[np.ndarray | None], np.ndarray]:
        """(skips of d3, d2, d1 and d0: f3, f2, f1, None), f4. Inside a stage two memories take turns."""
        x = self._stem(levels)
        features = [x]
        for stage, layers in self._stages.items():
            for i, elastic in enumerate(layers):
                x = elastic(x, stage if elastic is layers[-1] else "ab"[i % 2])
            features.append(x)
        return [*features[2::-1], None], x

    def _coarse_alpha(self, x: np.ndarray) -> np.ndarray:
        weight, bias = self._parts["coarse.head.weight"], self._parts["coarse.head.bias"]
        return ops.ordered_head(self._coarse(x, "coarse"), weight[0], bias)

    # -- looking inside --

    @property
    def state(self) -> list[np.ndarray | None]:
        """Copies of the four hidden maps, coarsest first: (h, w, c) float32, None before the first frame."""
        return [None if h is None else h.copy() for h in self._state]

    @property
    def record(self) -> dict | None:
        """Set it to a dict, and the next steps leave the whole numbers of every binary convolution in it, by
        name: (H, W, cout), or (ys, xs, (N, cout)) where it was computed at active positions alone."""
        return self._parts.record

    @record.setter
    def record(self, record: dict | None) -> None:
        self._parts.record = record

    def explain(self) -> list[dict]:
        """The layer table: {layer, shape, kind, why, bytes, operations, kernel, table_bytes, chosen}, in the order of
        execution.

        kind is "packed", "fixed" or "float", and why says why a layer is not packed. bytes are those of the
        stored weights. operations are multiply-accumulates per frame, of the size last seen (512 x 288 before
        the first), which the network sees at `size` pixels; masked layers count their active share of that frame.
        kernel is "xor", "table", "table4" or "" (not packed), table_bytes what its table takes in memory, and chosen
        says what the choice rests on.
        """
        height, width = self._shape or NOMINAL
        small_h, small_w = reduced_size(height, width, self.size)
        refines = (small_h, small_w) != (height, width)
        rows = []
        for conv in self.arch.convs():
            if conv.name.startswith("refiner.") and not refines:
                operations = 0
            else:
                operations = conv.weights * _positions(conv, small_h, small_w)
            if conv.masked:
                operations = round(operations * self.active.get(conv.scale, 1.0))
            kind = "packed" if conv.kind == "binary" else conv.kind
            stored = self._parts[f"{conv.name}.{'bits' if kind == 'packed' else 'weight'}"]
            shape = f"{conv.kernel}x{conv.kernel} {'+'.join(map(str, conv.sources))} -> {conv.cout}"
            shape += " /2" if conv.stride == 2 else ""
            shape += f" at 1/{conv.scale}" if conv.scale else " once"
            shape += " masked" if conv.masked else ""
            why = conv.why_float or "1-bit weights and activations: XOR and popcount"
            choice = self._parts.choices.get(conv.name)
            rows.append({"layer": conv.name, "shape": shape, "kind": kind, "why": why, "bytes": stored.nbytes,
                         "operations": operations, "kernel": choice.kernel if choice else "",
                         "table_bytes": choice.table_bytes if choice else 0,
                         "chosen": choice.why if choice else ""})
        return rows


def _positions(conv: Conv, height: int, width: int) -> int:
    """Output positions of a layer for a frame of that size. The head and the refiner see it unpadded."""
    if conv.scale == 0:
        return 1
    if conv.name == "head" or conv.name.startswith("refiner."):
        return height * width
    height, width = height + -height % MULTIPLE, width + -width % MULTIPLE
    return (height // conv.scale) * (width // conv.scale)


def _count(threads: int) -> int:
    if not isinstance(threads, int) or threads < 1:
        raise ValueError(f"threads is a whole number, at least 1, not {threads!r}")
    return threads


def reduced_size(height: int, width: int, size: int | None) -> tuple[int, int]:
    """(height, width), shrunk so that the longer side is `size` when it is longer than that."""
    longer = max(height, width)
    if size is None or longer <= size:
        return height, width
    return max(1, round(height * size / longer)), max(1, round(width * size / longer))


def reduce_frame(frame: np.ndarray, size: int | None) -> np.ndarray:
    """(H, W, 3) uint8 -> the same array, or a reduced one; Pillow's bilinear filter widens as it shrinks, so
    thin structures do not alias."""
    height, width = reduced_size(*frame.shape[:2], size)
    if (height, width) == frame.shape[:2]:
        return frame
    return np.asarray(Image.fromarray(frame).resize((width, height), Image.Resampling.BILINEAR))
