"""Batch norm statistics of the weights as they are: the last thing that a network gets before it is packed.

The network that a run ends with is an average, of its own last steps (`Recipe.ema`) or of several runs, and never took
a step itself. Its running statistics are averages, too, of those that other weights had; but signs turn between one
step and the next, and the sums that the average's own signs give have another mean and spread. Stochastic weight
averaging (Izmailov et al., UAI 2018) takes the statistics anew therefore, over training clips and without a gradient,
and so does a supernet's genome (`judge.py`). Float twins hardly need it, binary networks do: figures are in
bivm_ref/weights/training/README.md. Nothing else changes; the refiner, whose phase comes last, keeps its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm

from bivm_ref.clips import ClipMix
from bivm_ref.errors import UserError
from bivm_ref.learn.datasets import MixedClips, Phase
from bivm_ref.learn.store import load_average, load_state, own_phases, save_atomic
from bivm_ref.net import BiVM
from bivm_ref.net.binary import fold
from bivm_ref.net.blocks import Norm
from bivm_ref.takes import Takes

BATCH, BATCHES = 4, 60  # clips in one, and how many; from draw to draw MADs still move by one to three
SAMPLE = 1 << 31  # training never comes to this sample


@torch.no_grad()
def recalibrate(model: BiVM, batches: Iterable[Tensor]) -> BiVM:
    """Give every batch norm but the refiner's the mean statistics of these batches of frames (B, T, 3, H, W) uint8;
    evaluation mode afterwards."""
    refiner = set(model.refiner.modules())
    norms = [module for module in model.modules() if isinstance(module, Norm) and module not in refiner]
    usual = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # torch's word for a plain mean over all batches
    model.train()
    for frames in batches:
        model(frames.float() / 255.0)
    for norm, momentum in zip(norms, usual):
        norm.momentum = momentum
    return model.eval()


def training_frames(recipe: dict, source: ClipMix | Takes, count: int, workers: int = 1) -> Iterator[Tensor]:
    """`count` batches of frames like those of a recipe's last phase, of clips that its training did not draw."""
    last = own_phases(recipe)[-1]
    phase = Phase(count, last["height"], last["width"], max(last["batch"], BATCH), last["frames"])
    loader = DataLoader(MixedClips(phase, SAMPLE, recipe["seed"], source), phase.batch, num_workers=workers)
    yield from (frames for frames, _, _ in loader)


def write_recalibrated(run: str | Path, out: str | Path, source: ClipMix | Takes, count: int = BATCHES,
                       progress: bool = False) -> None:
    """A model.pt of the network in `run`, a model.pt or a checkpoint (its average), with statistics taken anew."""
    model = load_average(run)
    if not isinstance(model, BiVM):
        raise UserError(f"{run}: holds RVM, whose batch norms are not ours; name a run of a BiVM")
    recipe = load_state(run)["recipe"]
    frames = training_frames(recipe, source, count)
    recalibrate(fold(model), tqdm(frames, "recalibrate", count, unit="batch", disable=not progress))
    save_atomic({"recipe": recipe, "model": model.state_dict()}, Path(out))
