"""The sanity sheet's cases that need a probe: V-information whose value is known. See `information_sheet`."""

from __future__ import annotations

import numpy as np

from bivm_ref.information import crossed_draws, percentiles
from bivm_ref.information_sheet import channel_sample, channel_truth, normal_sample, row, sign_truth
from bivm_ref.learn.probes import Probe, v_information

CLIPS, CELLS = 60, 40
# One or two inputs need no more training.
QUICK, QUICK_MLP = Probe(lr=0.06, steps=6, rounds=6), Probe(hidden=8, lr=0.06, steps=6, rounds=14)


def probe_cases(repeats: int = 100, seed: int = 2) -> list[dict]:
    """A channel read by a linear probe; an exclusive or after a channel, of which a linear probe reads nothing and a
    small MLP all; labels shuffled between clips, of which nothing can be read."""
    rng, shape = np.random.default_rng([seed, 1]), (repeats, CLIPS, CELLS)
    rows = []
    a, b = channel_sample(rng, shape, 0.11)
    rows.append(_row("binary symmetric channel, 0.11 flipped", "linear probe", channel_truth(0.11), b[..., None], a))
    x, y = normal_sample(rng, shape, 0.9)
    rows.append(_row("signs of normals, correlation 0.9", "linear probe", sign_truth(0.9),
                     np.where(x > 0, 1, -1)[..., None], y > 0))
    inputs = rng.integers(0, 2, (*shape, 2))
    label = inputs[..., 0] ^ inputs[..., 1] ^ (rng.random(shape) < 0.11)
    rows.append(_row("exclusive or, 0.11 flipped", "linear probe", 0.0, 2 * inputs - 1, label))
    rows.append(_row("exclusive or, 0.11 flipped", "MLP probe", channel_truth(0.11), 2 * inputs - 1, label, QUICK_MLP))
    rows.append(_row("labels shuffled between clips", "linear probe", 0.0, b[..., None], np.roll(a, 1, 1)))
    return rows


def _row(case: str, estimator: str, truth: float, features: np.ndarray, labels: np.ndarray, probe: Probe = QUICK
         ) -> dict:
    values = v_information(features, labels, probe)[:, None]  # (repeats, 1, clips)
    low, high = np.percentile(crossed_draws(values), percentiles(CLIPS), axis=-1)
    return row(case, estimator, truth, (values.mean((1, 2)), low, high))
