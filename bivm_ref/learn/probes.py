"""V-information: what a probe of a given kind can tell about a label from features, in bits, on clips it never saw.

    I_V(Z -> Y) = H_V(Y) - H_V(Y | Z)        (Xu et al. 2020, "A theory of usable information", 2002.10689)

H_V(Y | Z) is the held-out log-loss of the best probe of the family V that reads Z, H_V(Y) that of the best one that
reads nothing: the label's frequencies. The same family reads real-valued maps and maps of -1 and +1, so that the two
may stand on one axis, as mutual information may not. It can rise with depth: a layer makes nothing known that was not
in the image, it makes it readable for a simple probe.

Clips are dealt into five parts. Probe s is tested on part s, stops early by part s + 1 and learns from the other three,
with a seed of its own: five probes, every clip held out once. All probes train side by side, as one batch of models.
A probe begins as the prior, which belongs to every family, and falls back to it unless it is better on the validation
clips by two standard errors: where nothing can be read, 0 is reported, not what learning noise costs. What a probe does
read it reads from a sample, so that I_V is underestimated, by about (parameters) / (2 N ln 2) bits: `learning_cost`. An
estimate is *sound* where that is less than half the width of its interval, otherwise a lower bound.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from bivm_ref.information import check_clips, check_labels

FOLDS = 5
FAR = 8.0  # standard deviations: a channel that is silent on the training clips may not shout on the others


@dataclass(frozen=True)
class Probe:
    """A family V: linear (`hidden` = 0) or one hidden layer of ReLUs; and how it is trained (Adam)."""

    hidden: int = 0
    lr: float = 0.01
    batch: int = 256
    steps: int = 18  # between two looks at the validation clips
    rounds: int = 40  # of so many steps, for few samples as for many: half of the data is no less trained
    patience: int = 4  # rounds without a better loss on the validation clips


LINEAR, MLP = Probe(), Probe(hidden=32)
PROBES = {"linear": LINEAR, "mlp": MLP}


def learning_cost(channels: int, kinds: int, clips: int, cells: int) -> float:
    """Bits by which a linear probe underestimates I_V because it learned from so few: (parameters) / (2 N ln 2).

    The excess log-loss of a maximum-likelihood fit of (channels + 1)(kinds - 1) parameters to N independent samples,
    as in Akaike's criterion; N are the cells of three fifths of the clips. Cells of a clip are alike: rather more.
    """
    samples = clips * cells * (FOLDS - 2) / FOLDS
    return (channels + 1) * (kinds - 1) / (2.0 * samples * np.log(2.0))


def folds(clips: int, seed: int = 0) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Five times (training, validation, test) indices of clips. ValueError for too few clips."""
    check_clips(clips)
    parts = np.array_split(np.random.default_rng([seed, 7]).permutation(clips), FOLDS)
    return [(np.concatenate([parts[(s + k) % FOLDS] for k in range(2, FOLDS)]), parts[(s + 1) % FOLDS], parts[s])
            for s in range(FOLDS)]


def pointwise(features: np.ndarray, labels: np.ndarray, probe: Probe = LINEAR, seed: int = 0) -> np.ndarray:
    """log2 p(y | z) - log2 p(y) of every cell, by the probe to which its clip is held out, in bits.

    features (clips, cells, C), labels (clips, cells) integers from 0 -> (clips, cells) float64. With a leading axis in
    both, each of those data sets is measured on its own (all at once). The mean over cells is a clip's V-information.
    ValueError for other shapes, constant labels and too few clips.
    """
    features, labels = np.asarray(features, np.float32), np.asarray(labels, np.int64)
    if features.ndim not in (3, 4) or features.shape[:-1] != labels.shape:
        raise ValueError(f"features {features.shape} are (clips, cells, channels) and labels {labels.shape} "
                         "(clips, cells)")
    if features.ndim == 3:
        return pointwise(features[None], labels[None], probe, seed)[0]
    check_labels(labels)
    clips, cells = labels.shape[1:]
    rows = np.arange(clips * cells).reshape(clips, cells)
    plan = folds(clips, seed)
    few = [min(map(len, parts)) for parts in zip(*plan)]  # parts differ by a clip or two; those of one batch may not
    steps = [(base + rows[train[:few[0]]].ravel(), base + rows[validation[:few[1]]], base + rows[test].ravel())
             for base in range(0, labels.size, clips * cells) for train, validation, test in plan]
    gains = _fit(torch.from_numpy(features).flatten(0, 2), torch.from_numpy(labels).flatten(), steps, probe, seed)
    out = np.empty(labels.size)
    for (_, _, test), gain in zip(steps, gains, strict=True):
        out[test] = gain
    return out.reshape(labels.shape)


def v_information(features: np.ndarray, labels: np.ndarray, probe: Probe = LINEAR, seed: int = 0) -> np.ndarray:
    """I_V(features -> labels) of every clip, in bits: the mean over its cells of `pointwise`. (..., clips) float64."""
    return pointwise(features, labels, probe, seed).mean(-1)


def _fit(x: Tensor, y: Tensor, steps: list[tuple[np.ndarray, ...]], probe: Probe, seed: int) -> list[np.ndarray]:
    """Train one probe for each of `steps`: (training, validation, test) rows of x (N, C) and y (N,), validation as
    (clips, cells). Returns what each gains on its test rows, in bits."""
    generator = torch.Generator().manual_seed(seed)
    kinds = int(y.max()) + 1
    train, held = (torch.from_numpy(np.stack([step[i] for step in steps])) for i in (0, 1))  # (M, n), (M, clips, cells)
    prior = F.one_hot(y[train], kinds).sum(1) + 0.5  # half a sample more, so that none is impossible
    prior = torch.log(prior / prior.sum(1, keepdim=True))[:, None]  # (M, 1, kinds)
    mean = torch.stack([x[rows].mean(0) for rows in train])[:, None]  # (M, 1, C)
    std = torch.stack([x[rows].std(0) for rows in train])[:, None].clamp(min=1e-6)
    weights = _begin(probe, x.shape[1], prior, generator)
    optimizer = torch.optim.Adam(weights, probe.lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, probe.rounds)

    def losses(rows: Tensor, of: slice | Tensor = slice(None)) -> Tensor:
        """Log-loss in nats of rows (M, n) -> (M, n); of: which models these are, all of them if it is left out."""
        z = ((x[rows] - mean[of]) / std[of]).clamp(-FAR, FAR)
        logits = _logits(z, [w[of] for w in weights])
        return F.cross_entropy(logits.flatten(0, 1), y[rows].flatten(), reduction="none").view(rows.shape)

    @torch.no_grad()
    def validation() -> Tensor:
        return losses(held.flatten(1)).view(held.shape).mean(2)  # (M, clips)

    first = best = validation()  # all begin as the prior
    kept, waited = [w.detach().clone() for w in weights], 0
    for _ in range(probe.rounds):
        for _ in range(probe.steps):
            batch = torch.randint(train.shape[1], (probe.batch,), generator=generator)
            optimizer.zero_grad()
            losses(train[:, batch]).mean(1).sum().backward()
            optimizer.step()
        schedule.step()
        now = validation()
        better = now.mean(1) < best.mean(1)
        best = torch.where(better[:, None], now, best)
        kept = [torch.where(better.view(-1, 1, 1), w.detach(), k) for w, k in zip(weights, kept, strict=True)]
        waited = 0 if better.any() else waited + 1
        if waited > probe.patience:
            break
    gained = first - best
    believed = gained.mean(1) > 2.0 * gained.std(1) / gained.shape[1] ** 0.5
    with torch.no_grad():
        for w, k in zip(weights, kept, strict=True):
            w.copy_(k)
        gains = [np.empty(0)] * len(steps)
        for size in {len(test) for _, _, test in steps}:  # parts differ by a clip: those of one size side by side
            models = torch.tensor([m for m, (_, _, test) in enumerate(steps) if len(test) == size])
            rows = torch.from_numpy(np.stack([steps[m][2] for m in models]))
            gain = -prior[models, 0].gather(1, y[rows]) - losses(rows, models)
            for m, bits in zip(models, (gain * believed[models, None] / np.log(2)).numpy(), strict=True):
                gains[m] = bits
    return gains


def _begin(probe: Probe, channels: int, prior: Tensor, generator: torch.Generator) -> list[Tensor]:
    """Weights (M, in, out) and biases (M, 1, out), layer after layer; the last one says the prior, nothing else."""
    models, width = len(prior), probe.hidden or channels
    layers = []
    if probe.hidden:
        first = torch.randn(models, channels, width, generator=generator) * (2.0 / channels) ** 0.5
        layers += [first, torch.zeros(models, 1, width)]
    layers += [torch.zeros(models, width, prior.shape[-1]), prior.clone()]
    return [w.requires_grad_() for w in layers]


def _logits(x: Tensor, weights: list[Tensor]) -> Tensor:
    """x (M, n, C) -> (M, n, kinds)."""
    if len(weights) == 4:
        x = torch.relu(torch.baddbmm(weights[1], x, weights[0]))
    return torch.baddbmm(weights[-1], x, weights[-2])
