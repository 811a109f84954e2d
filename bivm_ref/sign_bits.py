"""What the packed engine's signs tell of alpha: a stage's bits beside the true alpha of each cell, over clips.

    signs = read_signs(PackedBiVM.load(), clips)       # {"f1": Signs, ..., "f4": Signs}
    told = channel_information(signs["f4"])            # (C,) bits that each channel alone tells of the alpha class
    luck = channel_null(signs["f4"])                   # (repeats, C) the same where clips have exchanged their alphas

A channel's sign is one bit and a cell has one of three classes, so that the information is a sum over a 2x3 table,
with no bins and no probe. It is what a channel tells *alone*: channels together tell less than the sum where they
repeat each other, and more where only their combination speaks (the exclusive or).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from .clips import Clip
from .information import check_clips, check_labels, clip_tables, corrected_information, partners
from .packed.network import PackedBiVM
from .packed.trace import trace

STAGES = ("f1", "f2", "f3", "f4")  # the encoder's maps, at 1/2, 1/4, 1/8 and 1/16 of the frame
READERS = {"f1": "encoder.f2.", "f2": "encoder.f3.", "f3": "encoder.f4.", "f4": "neck.value"}  # who reads them first
CLEAR = 0.02  # a cell whose mean alpha is below it is background, above 1 - CLEAR foreground, else between
CLASSES = 3


@dataclass(frozen=True)
class Signs:
    """packed (clips, cells, C/8) uint8: the signs of C channels in every cell, a byte for each 8. classes (clips,
    cells) int64, see `cell_classes`. shape (h, w): cells = h * w, row after row."""

    packed: np.ndarray
    classes: np.ndarray
    shape: tuple[int, int]

    @property
    def bits(self) -> np.ndarray:
        """(clips, cells, C) uint8 of 0 (sign -1) and 1 (sign +1)."""
        return np.unpackbits(self.packed, axis=-1)


def read_signs(net: PackedBiVM, clips: Iterable[Clip], stages: Sequence[str] = STAGES) -> dict[str, Signs]:
    """The first frame of every clip through the network, from an empty memory: {stage: Signs}, before its first reader.

    All clips have one frame size, in multiples of 16 pixels. ValueError for another, and for an unknown stage.
    """
    unknown = [stage for stage in stages if stage not in READERS]
    if unknown:
        raise ValueError(f"unknown stage {unknown[0]!r}: choose among {', '.join(READERS)}")
    found: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {stage: [] for stage in stages}
    for clip in clips:
        net.reset()
        reads = trace(net, clip.frames[0]).reads
        for stage in stages:
            packed = next(maps[0] for name, maps in reads.items() if name.startswith(READERS[stage]))  # (h, w, C/8)
            found[stage].append((packed, cell_classes(clip.alpha[0], *packed.shape[:2])))
    net.reset()
    return {stage: Signs(np.stack([packed.reshape(-1, packed.shape[-1]) for packed, _ in pairs]),
                         np.stack([classes.ravel() for _, classes in pairs]), pairs[0][1].shape)
            for stage, pairs in found.items()}


def cell_classes(alpha: np.ndarray, height: int, width: int) -> np.ndarray:
    """alpha (H, W) in [0, 1] -> (height, width) int64: 0 where a cell's mean alpha is below 0.02, 2 above 0.98, else 1.

    A cell is H / height by W / width pixels. ValueError unless these are whole numbers, as they are for frames of
    multiples of 16 pixels.
    """
    (down, below), (across, beside) = divmod(alpha.shape[0], height), divmod(alpha.shape[1], width)
    if below or beside:
        pixels = " x ".join(map(str, alpha.shape))
        raise ValueError(f"{height} x {width} cells do not divide a frame of {pixels} pixels")
    mean = alpha.reshape(height, down, width, across).mean((1, 3), dtype=np.float64)
    return (mean >= CLEAR).astype(np.int64) + (mean > 1.0 - CLEAR)


def channel_information(signs: Signs) -> np.ndarray:
    """I(bit; alpha class) of every channel alone, Miller and Madow's correction applied, in bits: (C,) float64.
    ValueError for constant classes."""
    check_labels(signs.classes)
    return corrected_information(_tables(signs.bits, signs.classes))


def channel_null(signs: Signs, repeats: int = 20, seed: int = 0) -> np.ndarray:
    """`channel_information` where every clip's bits meet another clip's classes: (repeats, C).

    What is left then is chance, and what a bit tells of *where people usually are* in a frame. The largest of a row
    is what the best of C channels reaches by that alone. ValueError for fewer than 10 clips.
    """
    check_clips(len(signs.classes))
    rng, bits = np.random.default_rng(seed), signs.bits
    return np.stack([corrected_information(_tables(bits, signs.classes[partners(rng, len(bits))]))
                     for _ in range(repeats)])


def byte_tables(signs: Signs) -> np.ndarray:
    """Joint counts of every byte, that is of 8 channels together, and the class: (C/8, 256, 3). ValueError for fewer
    than 10 cells for each of the 256 codes."""
    return np.stack([clip_tables(codes, signs.classes, (256, CLASSES)).sum(0)
                     for codes in np.moveaxis(signs.packed, -1, 0)])


def _tables(bits: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Joint counts (C, 2, 3) of bits (clips, cells, C) and classes (clips, cells)."""
    kinds = np.eye(CLASSES, dtype=np.float32)[classes.ravel()]  # (N, 3), one 1 in a row
    ones = bits.reshape(-1, bits.shape[-1]).astype(np.float32).T @ kinds  # (C, 3), exact: N < 2^24
    return np.stack([kinds.sum(0) - ones, ones], axis=1)
