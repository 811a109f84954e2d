"""How near a student's features come to its teacher's, on held-out clips; and two frames to look at.

A student's channel c is held against the teacher's channel c, without the adapter of training: both began with the same
float weights, so that equal numbers mean the same filter at the start. Per stage, and per clip for the intervals:

    bits       share of the student's signs that are the teacher's bits, F >= median; all channels that live, all cells
    rim        the same, cells weighted by w (`mimic.boundary_weight`)
    preferred  the same, channels weighted by pi
    chance     the same as bits, with the next clip's teacher: what agrees without looking at the frame
    values     mean product of z-scores: the correlation, channel by channel
    readable   share of the variance (R²) that the best 1x1 adapter reads of the teacher's z-scores, fitted on the first
               half of the clips, judged on the second: what is there even if it is spread over other channels
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from bivm_ref.clips import HELD_OUT, Clip, procedural_clip
from bivm_ref.errors import UserError
from bivm_ref.files import beside
from bivm_ref.information import summary
from bivm_ref.learn.features import as_batch
from bivm_ref.learn.mimic import Mimicking, alpha_class, boundary_weight, cell_alpha, channel_information, z_score
from bivm_ref.learn.unpack import unpack
from bivm_ref.net import BiVM
from bivm_ref.net.capture import Capture, reader
from bivm_ref.packed import weights

FIRST_SEED = HELD_OUT.start + 6_000  # of the clips that this study measures on
STAGES = Mimicking().stages
STEPS_PER_STD = 8  # of the stored features: the error of a value is at most 1/16 of its channel's standard deviation
ALIVE = 1e-8  # variance from which on a channel of the teacher counts as alive


@torch.no_grad()
def run(model: BiVM, clips: Sequence[Clip], last: bool = False, name: str | None = None
        ) -> tuple[dict[str, Tensor], np.ndarray]:
    """Feature maps before the sign {stage: (N, C, h, w)} and mattes (N, H, W) float32, N = clips * frames.

    The memory runs from frame 0 of each clip. last: keep the last frame of each only. name: what a progress bar says.
    """
    found: dict[str, list[Tensor]] = {stage: [] for stage in STAGES}
    mattes = []
    for clip in tqdm(clips, desc=name, unit="clip", disable=name is None):
        keep = slice(-1, None) if last else slice(None)
        with Capture(model.eval(), STAGES) as maps:
            mattes.append(model(as_batch(clip)[0]).alpha[0, keep, 0])
        for stage in STAGES:
            found[stage].append(maps[stage][keep])
    return {stage: torch.cat(parts) for stage, parts in found.items()}, torch.cat(mattes).numpy()


@torch.no_grad()
def student_bits(student: BiVM, stage: str, features: Tensor) -> Tensor:
    """Features (N, C, h, w) of a binary student as its next sign reads them, True for +1. ValueError for a twin."""
    if not student.binary:
        raise ValueError("a float twin has no signs; a binary student is needed")
    return reader(student, stage)(features) > 0


def cell_weights(alpha: np.ndarray, shape: tuple[int, int], floor: float = Mimicking().floor) -> np.ndarray:
    """The localization weights w of frames with alpha (N, H, W) at cells (h, w) -> (N, h, w) float32, sum 1 each."""
    return boundary_weight(cell_alpha(torch.from_numpy(alpha)[:, None], *shape), floor)[:, 0].numpy()


def teacher_information(features: Tensor, median: Tensor, alpha: np.ndarray, clips: int) -> np.ndarray:
    """Bits that each of the teacher's binarized channels tells of the alpha class, null taken off -> (C,)."""
    classes = alpha_class(cell_alpha(torch.from_numpy(alpha)[:, None], *features.shape[-2:]))
    return channel_information(features >= median.view(-1, 1, 1), classes, clips)


# -- the study ------------------------------------------------------------------------------------------------------

def likeness(bits: Tensor, mine: Tensor, theirs: Tensor, median: Tensor, pi: Tensor, w: np.ndarray, clips: int
             ) -> dict[str, np.ndarray]:
    """The six figures of one stage for each clip, (clips,) each ((clips / 2,) for "readable").

    bits: the student's signs, bool; mine, theirs: its features and the teacher's; all (N, C, h, w). w (N, h, w), sum 1
    in each frame.
    """
    alive = theirs.var((0, 2, 3)) > ALIVE
    wanted = theirs >= median.view(-1, 1, 1)
    other = wanted.unflatten(0, (clips, -1)).roll(1, 0).flatten(0, 1)
    same = (bits == wanted).float()
    products = (z_score(mine) * z_score(theirs))[:, alive]
    frames = {
        "bits": same[:, alive].mean((1, 2, 3)), "rim": (same[:, alive].mean(1) * torch.from_numpy(w)).sum((1, 2)),
        "preferred": (same.mean((2, 3)) * pi).sum(1) / pi.sum(),
        "chance": (bits == other).float()[:, alive].mean((1, 2, 3)), "values": products.mean((1, 2, 3)),
    }
    per_clip = {name: values.unflatten(0, (clips, -1)).mean(1).double().numpy() for name, values in frames.items()}
    return {**per_clip, "readable": readable(mine, theirs[:, alive], clips)}


def readable(mine: Tensor, theirs: Tensor, clips: int) -> np.ndarray:
    """R² of a linear map from channels (N, C, h, w) to the z-scores of channels (N, K, h, w), fitted by least squares
    on the first half of the clips -> (clips - clips // 2,): 1 - mean squared error, for each of the others."""
    x, y = (m.movedim(1, -1).unflatten(0, (clips, -1)).flatten(1, 3).double() for m in (mine, z_score(theirs)))
    x = torch.cat((x, torch.ones_like(x[..., :1])), -1)  # (clips, cells, C + 1)
    half = clips // 2
    a, b = x[:half].flatten(0, 1), y[:half].flatten(0, 1)
    square = a.T @ a
    ridge = 1e-6 * square.diagonal().mean() * torch.eye(len(square), dtype=square.dtype)  # for dead channels
    fit = torch.linalg.solve(square + ridge, a.T @ b)
    return 1.0 - (x[half:] @ fit - y[half:]).square().mean((1, 2)).numpy()


def study(student: BiVM, mine: Mapping[str, Tensor], theirs: Mapping[str, Tensor], alpha: np.ndarray,
          tables: Mapping[str, Tensor], clips: int) -> list[dict]:
    """Rows {"stage", "figure", "mean", "low", "high"} with 95 % intervals over clips.

    mine, theirs: maps of `run`; alpha (N, H, W) the true one; tables: median_<stage> and pi_<stage> of the run that
    mimicked.
    """
    rows = []
    for stage in STAGES:
        w = cell_weights(alpha, mine[stage].shape[-2:])
        found = likeness(student_bits(student, stage, mine[stage]), mine[stage], theirs[stage],
                         tables[f"median_{stage}"], tables[f"pi_{stage}"], w, clips)
        rows += [{"stage": stage, "figure": name, **summary(values[None])} for name, values in found.items()]
    return rows


# -- two frames to look at --------------------------------------------------------------------------------------------

@dataclass(frozen=True)
class Sample:
    """The teacher on the last frame of a few clips, and what its channels are worth.

    seeds   of the procedural clips, frames: how many each had, size: of a side in pixels
    alpha   the teacher's matte (N, H, W) float32
    maps    {stage: (N, C, h, w) float32}, rounded; the bits F >= median are exact
    median, pi, told: {stage: (C,)}, as in training; told: bits of information on held-out clips
    """

    seeds: tuple[int, ...]
    frames: int
    size: int
    alpha: np.ndarray
    maps: dict[str, Tensor]
    median: dict[str, Tensor]
    pi: dict[str, Tensor]
    told: dict[str, np.ndarray]


def save_sample(path: Path, sample: Sample, spread: Mapping[str, Tensor]) -> None:
    """Write a Sample as npz, features as whole numbers of 1/8 standard deviation above the median, one byte each.

    spread: {stage: (C,)} standard deviations. Rounded to the middle between two steps: no bit changes. What lies more
    than 16 deviations from the median is cut off there.
    """
    held: dict[str, np.ndarray] = {"clips": np.array([*sample.seeds, sample.frames, sample.size], np.int64),
                                   "alpha": np.rint(sample.alpha * 255).astype(np.uint8)}
    for stage, features in sample.maps.items():
        step = spread[stage].clamp(min=1e-6) / STEPS_PER_STD
        codes = torch.floor((features - sample.median[stage].view(-1, 1, 1)) / step.view(-1, 1, 1))
        held |= {f"codes_{stage}": codes.clamp(-128, 127).to(torch.int8).numpy(), f"step_{stage}": step.numpy(),
                 f"median_{stage}": sample.median[stage].numpy(), f"pi_{stage}": sample.pi[stage].numpy(),
                 f"told_{stage}": sample.told[stage].astype(np.float32)}
    with beside(path) as part, open(part, "wb") as file:
        np.savez_compressed(file, **held)


def load_sample(path: str | Path) -> Sample:
    """UserError for a file that is missing or is not one of `save_sample`'s."""
    again = "make it with tools/make_mimicking_samples.py"
    try:
        with np.load(path, allow_pickle=False) as file:
            held = {name: file[name] for name in file.files}
        *seeds, frames, size = held["clips"].tolist()
        tables = {kind: {s: torch.from_numpy(held[f"{kind}_{s}"]) for s in STAGES} for kind in ("median", "pi", "step")}
        maps = {}
        for s in STAGES:
            median, step = (tables[kind][s].view(-1, 1, 1) for kind in ("median", "step"))
            maps[s] = median + step * (torch.from_numpy(held[f"codes_{s}"]).float() + 0.5)
        return Sample(tuple(seeds), frames, size, held["alpha"].astype(np.float32) / 255.0, maps, tables["median"],
                      tables["pi"], {s: held[f"told_{s}"] for s in STAGES})
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; {again}") from error
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise UserError(f"{path}: not a teacher's sample, or damaged ({type(error).__name__}); {again}") from error


def load_student(path: str | Path) -> BiVM:
    """The torch network of a packed file, in evaluation mode. UserError for any other file."""
    arch, tensors, _ = weights.load(path)
    return unpack(arch, tensors)


@dataclass(frozen=True)
class Seen:
    """A teacher and its students on the same N frames: the teacher comes first, under "teacher".

    frames (N, H, W, 3) uint8, alpha (N, H, W); mattes {network: (N, H, W)}; maps and bits {stage: {network: (N, C, h,
    w)}}, before the sign and as the next sign (for the teacher: its median) makes them.
    """

    frames: np.ndarray
    alpha: np.ndarray
    mattes: dict[str, np.ndarray]
    maps: dict[str, dict[str, np.ndarray]]
    bits: dict[str, dict[str, np.ndarray]]


def side_by_side(teacher: Sample, students: Mapping[str, BiVM]) -> Seen:
    """The clips are drawn again from their seeds, and the students run on them."""
    clips = [procedural_clip(seed, teacher.frames, teacher.size, teacher.size) for seed in teacher.seeds]
    mattes = {"teacher": teacher.alpha}
    maps = {s: {"teacher": teacher.maps[s].numpy()} for s in STAGES}
    bits = {s: {"teacher": (teacher.maps[s] >= teacher.median[s].view(-1, 1, 1)).numpy()} for s in STAGES}
    for name, student in students.items():
        found, mattes[name] = run(student, clips, last=True)
        for s in STAGES:
            maps[s][name], bits[s][name] = found[s].numpy(), student_bits(student, s, found[s]).numpy()
    frames, alpha = (np.stack([getattr(clip, what)[-1] for clip in clips]) for what in ("frames", "alpha"))
    return Seen(frames, alpha, mattes, maps, bits)
