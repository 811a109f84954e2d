"""How far a 95 % interval can be trusted: several ways of making one, tried on figures whose truth is known.

A figure of an arm varies with the seed (luck of a training) and with the held-out clip (some are hard). The model here
is the plainest that has both: value = truth + seed's part + clip's part + the rest, all normal and independent. Real
rows are not normal; what the model shows is which parts an interval leaves out.
"""

from __future__ import annotations

import numpy as np

DRAWS = 500


def interval(values: np.ndarray, seeds: bool = True, clips: bool = True, draws: int = 2000, seed: int = 0
             ) -> tuple[float, float]:
    """95 % bootstrap interval of the mean of values (seeds, clips), resampling what is True -> (low, high).

    Both: the crossed bootstrap of results.py. Drawing with replacement gives each row a count, so a draw's mean is
    counts · values · counts / (seeds · clips). ValueError when nothing is resampled.
    """
    if not (seeds or clips):
        raise ValueError("nothing is resampled: draw seeds, clips or both")
    rng, (s, n) = np.random.default_rng(seed), values.shape
    of_seeds = _counts(rng, s, draws) if seeds else np.ones((draws, s))  # (draws, s)
    of_clips = _counts(rng, n, draws) if clips else np.ones((draws, n))  # (draws, n)
    means = (of_seeds @ values * of_clips).sum(1) / (s * n)
    low, high = np.percentile(means, (2.5, 97.5))
    return float(low), float(high)


def _counts(rng: np.random.Generator, items: int, draws: int) -> np.ndarray:
    """How often each of `items` is drawn when `items` are drawn with replacement: (draws, items) whole numbers."""
    return rng.multinomial(items, np.full(items, 1 / items), size=draws)


def made_up(rng: np.random.Generator, seeds: int, clips: int, seed_spread: float, clip_spread: float, rest: float
            ) -> np.ndarray:
    """Figures of a made-up arm whose true mean is 0 -> (seeds, clips) float64. Spreads are standard deviations."""
    return (seed_spread * rng.normal(size=(seeds, 1)) + clip_spread * rng.normal(size=(1, clips))
            + rest * rng.normal(size=(seeds, clips)))


def coverage(seeds: int, clips: int = 64, seed_spread: float = 6.0, clip_spread: float = 30.0, rest: float = 15.0,
             repeats: int = 200, seed: int = 0) -> dict[str, float]:
    """How often each way's 95 % interval holds the truth, over `repeats` made-up comparisons: {way: share}.

    A way that does what it says comes to about 0.95.
    """
    rng, held = np.random.default_rng(seed), {"clips alone": 0, "seeds and clips": 0}
    for repeat in range(repeats):
        values = made_up(rng, seeds, clips, seed_spread, clip_spread, rest)
        for way in held:
            low, high = interval(values, seeds=way != "clips alone", draws=DRAWS, seed=repeat)
            held[way] += low <= 0 <= high
    return {way: count / repeats for way, count in held.items()}
