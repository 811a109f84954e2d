"""Entropy and mutual information of discrete variables, in bits, from tables of counts; intervals over clips.

What can be measured and what cannot: a network is deterministic, so of a real-valued map Z the information I(X; Z) is
infinite, and any finite figure is a property of the bins. Codes are different: for a finite code I(X; Z) = H(Z), and
I(Z; Y) is a sum over a small table. So everything here takes codes: bits of one channel, bytes of 8 channels, the
nearest of 16 centres. Real-valued maps are compared with binary ones by a probe instead (`learn.probes`).

The unit of sampling is the clip: cells of one clip resemble each other. Tables are therefore counted clip by clip,
and intervals come from drawing clips. `information_sheet` holds all of this against closed forms.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

DRAWS = 1000  # of a bootstrap
FEWEST_CLIPS = 10  # below that a bootstrap over clips says nothing
SAMPLES_PER_CODE = 10


# -- tables -----------------------------------------------------------------------------------------------------

def entropy(counts: np.ndarray) -> np.ndarray:
    """H = -sum p log2 p over the last axis of counts (..., K) >= 0; 0 where a row is empty."""
    counts = np.asarray(counts, np.float64)
    total = counts.sum(-1, keepdims=True)
    p = np.divide(counts, total, out=np.zeros_like(counts), where=total > 0)
    return -(p * np.log2(p, out=np.zeros_like(p), where=p > 0)).sum(-1)


def mutual_information(table: np.ndarray) -> np.ndarray:
    """I(A; B) = H(A) + H(B) - H(A, B) of joint counts (..., a, b) -> (...), the plug-in estimate."""
    table = np.asarray(table, np.float64)
    joint = table.reshape(*table.shape[:-2], -1)
    return entropy(table.sum(-1)) + entropy(table.sum(-2)) - entropy(joint)


def corrected_entropy(counts: np.ndarray) -> np.ndarray:
    """H + (K - 1) / (2 N ln 2), K the codes that occur (Miller and Madow 1955): N samples make codes look less varied
    than they are, by that much to first order. counts (..., K) -> (...)."""
    counts = np.asarray(counts, np.float64)
    seen, total = (counts > 0).sum(-1), np.maximum(counts.sum(-1), 1.0)
    return entropy(counts) + np.maximum(seen - 1, 0) / (2.0 * total * np.log(2.0))


def corrected_information(table: np.ndarray) -> np.ndarray:
    """I(A; B) of joint counts (..., a, b) -> (...), each of its three entropies corrected. May fall below 0."""
    table = np.asarray(table, np.float64)
    joint = table.reshape(*table.shape[:-2], -1)
    return corrected_entropy(table.sum(-1)) + corrected_entropy(table.sum(-2)) - corrected_entropy(joint)


def clip_tables(codes: np.ndarray, labels: np.ndarray, sizes: tuple[int, int]) -> np.ndarray:
    """Joint counts clip by clip: codes and labels (clips, cells) integers -> (clips, codes, labels) float64.

    sizes: how many codes and labels there can be. ValueError for other shapes, for values outside, for labels that
    are constant, and for more codes than the samples support (fewer than 10 samples for each)."""
    codes, labels = np.asarray(codes), np.asarray(labels)
    if codes.shape != labels.shape or codes.ndim != 2:
        raise ValueError(f"codes {codes.shape} and labels {labels.shape} are both (clips, cells)")
    for name, values, size in (("codes", codes, sizes[0]), ("labels", labels, sizes[1])):
        if values.min() < 0 or values.max() >= size:
            raise ValueError(f"{name} span {values.min()} to {values.max()}, but there are {size} of them")
    check_labels(labels)
    if codes.size < SAMPLES_PER_CODE * sizes[0]:
        raise ValueError(f"{codes.size} samples do not support {sizes[0]} codes: at least "
                         f"{SAMPLES_PER_CODE * sizes[0]} are needed, {SAMPLES_PER_CODE} for each")
    flat = (np.arange(len(codes))[:, None] * sizes[0] + codes) * sizes[1] + labels
    return np.bincount(flat.ravel(), minlength=len(codes) * sizes[0] * sizes[1]).reshape(-1, *sizes).astype(np.float64)


def check_labels(labels: np.ndarray) -> None:
    """ValueError for labels that are all one: nothing can tell anything about them."""
    if labels.size == 0 or labels.min() == labels.max():
        found = "none" if labels.size == 0 else f"all {labels.size} of them {labels.flat[0]}"
        raise ValueError(f"the labels are constant ({found}): H(Y) = 0, and so is every information about them")


def check_clips(count: int) -> None:
    if count < FEWEST_CLIPS:
        raise ValueError(f"{count} clips are too few for an interval: at least {FEWEST_CLIPS} are needed")


# -- intervals over clips -------------------------------------------------------------------------------------------

def percentiles(clips: int) -> tuple[float, float]:
    """Those of a 95 % bootstrap interval, laid wider for few clips (Hesterberg 2015, "expanded percentile interval").

    A bootstrap of n spreads by (n - 1)/n too little and knows no t distribution: in place of 2.5 % it takes the normal
    tail beyond sqrt(n / (n - 1)) * t, t the 97.5 % point with n - 1 degrees of freedom. 40 clips: 2.0 and 98.0.
    """
    z, nu = 1.959964, clips - 1
    t = z + (z**3 + z) / (4 * nu) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * nu**2)  # Cornish and Fisher's expansion
    tail = 50.0 * math.erfc(math.sqrt(clips / nu) * t / math.sqrt(2.0))
    return tail, 100.0 - tail


def estimate(tables: np.ndarray, draws: int = DRAWS, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Corrected I(A; B) of tables (..., clips, a, b) with a 95 % interval: point, low, high, each (...).

    Clips are drawn with replacement. A redrawn table is a sample of a sample: it has the plug-in's bias once more. So
    the draws are centred before their percentiles are laid round the estimate.
    """
    tables = np.asarray(tables, np.float64)
    clips, cells = tables.shape[-3], tables.shape[-2:]
    check_clips(clips)
    rng = np.random.default_rng(seed)
    times = rng.multinomial(clips, np.full(clips, 1.0 / clips), draws).astype(np.float64)  # how often each was drawn
    drawn = mutual_information((times @ tables.reshape(*tables.shape[:-2], -1)).reshape(
        *tables.shape[:-3], draws, *cells))
    point = corrected_information(tables.sum(-3))
    low, high = np.percentile(drawn - drawn.mean(-1, keepdims=True), percentiles(clips), axis=-1)
    return point, point + low, point + high


def permutation_null(codes: np.ndarray, labels: np.ndarray, sizes: tuple[int, int], repeats: int = 20, seed: int = 0
                     ) -> tuple[float, float]:
    """What the estimate says where nothing is to be found: every clip's codes meet another clip's labels.

    codes, labels (clips, cells) -> (mean, 97.5th percentile) of the corrected information over `repeats` pairings.
    Whole clips are exchanged, which keeps the likeness of cells within a clip: single cells give too small a null.
    """
    check_clips(len(codes))
    rng, found = np.random.default_rng(seed), []
    for _ in range(repeats):
        found.append(corrected_information(clip_tables(codes, labels[partners(rng, len(codes))], sizes).sum(0)))
    return float(np.mean(found)), float(np.percentile(found, 97.5))


def partners(rng: np.random.Generator, clips: int) -> np.ndarray:
    """For every clip another one whose labels it meets: a random permutation (clips,) without a fixed point."""
    order = rng.permutation(clips)
    shift = int(rng.integers(1, clips))  # along a random circle, so that no clip meets itself
    partner = np.empty_like(order)
    partner[order] = np.roll(order, shift)
    return partner


def crossed_draws(values: np.ndarray, draws: int = DRAWS, seed: int = 0) -> np.ndarray:
    """Bootstrap means of values (..., seeds, clips) -> (..., draws): seeds and clips are both drawn with replacement.

    All leading axes share the draws, so that differences and ratios of them are paired. ValueError for too few clips.
    """
    values = np.asarray(values, np.float64)
    seeds, clips = values.shape[-2:]
    check_clips(clips)
    rng = np.random.default_rng(seed)
    of_seeds, of_clips = (rng.multinomial(n, np.full(n, 1.0 / n), draws) / n for n in (seeds, clips))
    return np.einsum("ds,...sc,dc->...d", of_seeds, values, of_clips, optimize=True)


def summary(values: np.ndarray, statistic: Callable[..., np.ndarray] | None = None) -> dict[str, float]:
    """{"mean", "low", "high"} of values (seeds, clips), or of `statistic` of several such means, values (k, seeds,
    clips): statistic(*means) must work on numbers and on arrays alike."""
    values = np.asarray(values, np.float64)
    means, drawn = values.mean((-2, -1)), crossed_draws(values)
    if statistic is not None:
        means, drawn = statistic(*means), statistic(*drawn)
    low, high = np.percentile(drawn, percentiles(values.shape[-1]))
    return {"mean": float(means), "low": float(low), "high": float(high)}


# -- codes ------------------------------------------------------------------------------------------------------

def as_bits(features: np.ndarray) -> np.ndarray:
    """Features of -1 and +1 -> bool, same shape. ValueError, with what was found, for anything else."""
    features = np.asarray(features)
    odd = features[(features != 1) & (features != -1)]
    if odd.size:
        raise ValueError(f"binary features are -1 or +1; {odd.size} of {features.size} are not, as {odd.flat[0]:.4g}")
    return features > 0


def group_codes(features: np.ndarray) -> np.ndarray:
    """Binary features (..., C) of -1 and +1 -> one byte for each 8 channels, (..., C/8) uint8; the first channel is
    the highest bit. ValueError for other values and for C that 8 does not divide."""
    bits = as_bits(features)
    if bits.shape[-1] % 8:
        raise ValueError(f"{bits.shape[-1]} channels do not make groups of 8")
    return np.packbits(bits, axis=-1)


def quantize(features: np.ndarray, bits: int) -> np.ndarray:
    """Each channel of (..., C) reduced to 2^bits levels that are equally often met -> same shape, float32.

    A level's value is the mean of what fell into it: the best a `bits`-bit code of one channel can hand on, without
    anything learned. 1 bit is the channel compared with its median.
    """
    if not 1 <= bits <= 16:
        raise ValueError(f"{bits} bits: 1 to 16 are possible")
    flat = np.asarray(features, np.float64).reshape(-1, np.shape(features)[-1])
    out = np.empty_like(flat)
    for c, column in enumerate(flat.T):
        edges = np.quantile(column, np.linspace(0, 1, 2**bits + 1)[1:-1])
        level = np.searchsorted(edges, column, side="right")
        count = np.bincount(level, minlength=2**bits)
        total = np.bincount(level, weights=column, minlength=2**bits)
        out[:, c] = (total / np.maximum(count, 1))[level]
    return out.reshape(np.shape(features)).astype(np.float32)


def kmeans(points: np.ndarray, k: int = 16, seed: int = 0, rounds: int = 25) -> np.ndarray:
    """k centres (k, C) of points (N, C), by Lloyd's rounds from k-means++ seeds; deterministic.
    ValueError for fewer than 10 points per centre."""
    points = np.asarray(points, np.float64)
    if len(points) < SAMPLES_PER_CODE * k:
        raise ValueError(f"{len(points)} samples do not support {k} codes: at least {SAMPLES_PER_CODE * k} are needed")
    rng = np.random.default_rng(seed)
    centres = points[rng.integers(len(points))][None]
    for _ in range(k - 1):
        far = _squares(points, centres).min(1)
        chosen = rng.choice(len(points), p=far / far.sum()) if far.sum() > 0 else rng.integers(len(points))
        centres = np.concatenate((centres, points[chosen][None]))
    for _ in range(rounds):
        code = nearest(points, centres)
        count = np.bincount(code, minlength=k)
        total = np.stack([np.bincount(code, weights=column, minlength=k) for column in points.T], 1)
        moved = np.where(count[:, None] > 0, total / np.maximum(count, 1)[:, None], centres)
        if np.array_equal(moved, centres):
            break
        centres = moved
    return centres


def nearest(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """The index of the nearest centre: points (..., C), centres (k, C) -> (...) int64."""
    points = np.asarray(points, np.float64)
    return _squares(points.reshape(-1, points.shape[-1]), centres).argmin(1).reshape(points.shape[:-1])


def _squares(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Squared distances (N, k), by |p|^2 - 2 p.c + |c|^2; rounding below 0 is cut off."""
    return np.maximum((points**2).sum(1)[:, None] - 2.0 * points @ centres.T + (centres**2).sum(1), 0.0)
