"""Checks of notebook 10, results: a paired bootstrap, the clip that drives a lead, operations, a verdict."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np

from . import claims
from .checks_shared import call, kind, number_hint, say, unchanged


def check_E10_1(fn: Callable, seed: int = 0) -> None:
    """E10.1: fn(ours, other, seeds, clips) -> (low, high): the 95 % interval of mean(other - ours), paired.

    ours, other (S, N) float; seeds (D, S) and clips (D, N) int: the rows and columns of each of D draws.
    """
    rng = np.random.default_rng(seed)
    hard = rng.gamma(2, 40, 12)  # clips differ far more than methods
    ours = hard + rng.normal(0, 4, (3, 12)) + rng.normal(0, 3, (3, 1))
    other = 1.1 * hard + rng.normal(0, 4, (3, 12)) + rng.normal(0, 3, (3, 1))
    seeds, clips = rng.integers(0, 3, (400, 3)), rng.integers(0, 12, (400, 12))
    given = tuple(v.copy() for v in (ours, other, seeds, clips))
    result = call("E10.1", fn, given, "ours[seeds[d]][:, clips[d]] is what draw d sees of ours; take the same of other")
    if result is None:
        return

    def drawn(values, with_seeds=True, with_clips=True):
        return np.array([(values[s] if with_seeds else values)[:, c if with_clips else slice(None)].mean()
                         for s, c in zip(seeds, clips)])

    def ends(values, at=(2.5, 97.5)):
        return tuple(np.percentile(values, at))

    lead = other - ours
    each = ends(drawn(other)), ends(drawn(ours))
    known = {
        "a sign: the lead is other minus ours, so that more is better for us": ends(-drawn(lead)),
        "that is 90 %: 95 % leave 2.5 below and 2.5 above": ends(drawn(lead), (5, 95)),
        "that leaves 5 % above alone; leave 2.5 % on either side": ends(drawn(lead), (0, 95)),
        "the clips are not resampled": ends(drawn(lead, with_clips=False)),
        "the seeds are not resampled": ends(drawn(lead, with_seeds=False)),
        "that subtracts the ends of two intervals; subtract within each draw, then take percentiles":
            (each[0][0] - each[1][0], each[0][1] - each[1][1]),
        "that is the widest the two intervals allow, as if they were not paired; subtract within each draw":
            (each[0][0] - each[1][1], each[0][1] - each[1][0]),
        "that is the ratio; the difference is asked for": ends(drawn(other) / drawn(ours)),
        "that is ours alone": each[1],
    }
    right = ends(drawn(lead))
    hint = _pair_hint(result) or unchanged((ours, other, seeds, clips), given)
    if hint is None and not np.allclose(result, right, rtol=1e-6):
        hint = next((text for text, wrong in known.items() if np.allclose(result, wrong, rtol=1e-6)), None)
        hint = hint or f"gives {result[0]:.3f} to {result[1]:.3f} where {right[0]:.3f} to {right[1]:.3f} is right"
    say("E10.1", hint, "one draw, two methods, the same seeds and clips")


def check_E10_2(fn: Callable, seed: int = 0) -> None:
    """E10.2: fn(ours, other) -> (clip, lead without it): the clip whose removal lowers the mean lead most.

    ours, other (S, N) float; the lead is the mean of other - ours over seeds and clips.
    """
    rng = np.random.default_rng(seed)
    ours, other = rng.uniform(50, 150, (2, 8)), rng.uniform(60, 160, (2, 8))
    a, b, c, d, e = rng.permutation(8)[:5]
    ours[:, a], other[:, a] = (100, 110), (490, 500)  # the largest lead
    ours[:, b], other[:, b] = 600, 610  # the largest error of ours
    ours[:, c], other[:, c] = 250, 900 - 240  # leads by 410 ...
    ours[1, c], other[1, c] = 250, 190  # ... in one seed, and is behind in the other
    ours[:, d], other[:, d] = 580, 60  # ours is far behind
    ours[:, e], other[:, e] = 4, 60  # the largest ratio
    given = ours.copy(), other.copy()
    result = call("E10.2", fn, given, "(other - ours).mean(axis=0) is the lead in each clip")
    if result is None:
        return
    lead = (other - ours).mean(0)
    clip = int(lead.argmax())
    without = np.delete(lead, clip).mean()
    known = {
        int(b): "that is the clip where ours is worst; the lead there is small",
        int(c): "that clip leads far in one seed and is behind in the other: take the mean over seeds first",
        int(d): "that is the largest difference either way, and there ours is behind: without it the lead grows",
        int(e): "that is the largest ratio; the mean lead is made of differences",
    }
    hint = _pair_hint(result, "the clip's number and the lead without it") or unchanged((ours, other), given)
    if hint is None and int(result[0]) != clip:
        hint = known.get(int(result[0]), f"clip {int(result[0])} is not the one")
    elif hint is None:
        hint = number_hint(float(result[1]), without, {
            "that is the lead with every clip": lead.mean(), "that is the lead of that clip alone": lead[clip],
            "that is how much the lead falls; give the lead that is left": lead.mean() - without,
            "divide by the clips that are left": lead.sum() / 8 - lead[clip] / 8})
        hint = hint and f"the clip is right; the lead without it: {hint}"
    say("E10.2", hint, "a lead that hangs on one clip is a lead on one clip")


def check_E10_3(fn: Callable, seed: int = 0) -> None:
    """E10.3: fn(height, width, kernel, cin, cout, stride, binary) -> operations of a convolution, FLOPs + BOPs/64.

    A multiply-accumulate is one; the output has ceil(height / stride) rows, columns likewise.
    """
    rng = np.random.default_rng(seed)
    layers = [(9 + 2 * int(rng.integers(1, 9)), 15 + 2 * int(rng.integers(1, 9)), 3, 24, 40, stride, binary)
              for binary, stride in ((False, 2), (True, 2), (True, 1))]  # float first: there 2 · MACs is not of words
    for height, width, kernel, cin, cout, stride, binary in layers:
        given = height, width, kernel, cin, cout, stride, binary
        result = call("E10.3", fn, given, "positions of the output, times the weights behind each of them")
        if result is None:
            return
        per_unit = 64 if binary else 1
        rows, columns = -(-height // stride), -(-width // stride)
        weights = kernel * kernel * cin * cout
        answer = rows * columns * weights / per_unit
        known = {
            "a word of 64 bits holds 64 binary products: divide by 64": rows * columns * weights,
            "a float layer is not divided": rows * columns * weights / 64,
            "divide by 64, the bits of a word, not by 32": rows * columns * weights / 32,
            "the stride is missing: the output is smaller than the input": height * width * weights / per_unit,
            "the stride counts for rows and for columns": rows * width * weights / per_unit,
            "odd sides are rounded up at a stride of 2, not down":
                (height // stride) * (width // stride) * weights / per_unit,
            "at a stride of 1 the output is as large as the input: round up with -(-height // stride)":
                ((height + 1) // stride) * ((width + 1) // stride) * weights / per_unit,
            "a kernel has kernel · kernel taps": rows * columns * kernel * cin * cout / per_unit,
            "that is one tap: a kernel has kernel · kernel of them": rows * columns * cin * cout / per_unit,
            "every output channel reads every input channel: times cin": rows * columns * kernel**2 * cout / per_unit,
            "there are cout output channels": rows * columns * kernel**2 * cin / per_unit,
            "that counts multiplication and addition as two; here a multiply-accumulate is one": 2 * answer,
            "that is the number of weights; each works at every position": weights / per_unit,
        }
        hint = number_hint(result, answer, {text: wrong for text, wrong in known.items() if wrong != answer})
        if hint:
            say("E10.3", f"for a {'binary' if binary else 'float'} layer, {hint}", "")
            return
    say("E10.3", None, "a float layer and a binary one")


def check_E10_4(fn: Callable, seed: int = 0) -> None:
    """E10.4: fn(low, high, seeds) -> a verdict, by the rule of `claims.lead`; low, high: of the ratio ours / other."""
    rng = np.random.default_rng(seed)
    below, above, across = (0.7, 0.9), (1.1, 1.4), (0.9, 1.1)
    cases = [(*ends, seeds) for ends, seeds in product((below, above, across), (1, 2, 3, 7))]
    for low, high, seeds in (cases[i] for i in rng.permutation(len(cases))):
        result = call("E10.4", fn, (low, high, seeds), "three questions: all below 1? all above 1? at least 3 seeds?")
        if result is None:
            return
        answer = claims.lead(low, high, seeds)
        if result == answer:
            continue
        where = f"with {low} to {high} and {seeds} seed{'s' * (seeds > 1)} it says {result!r}"
        verdicts = claims.MET, claims.PART, claims.NOT, claims.AGAINST
        if result not in verdicts:
            hint = f"{where}; a verdict is one of {', '.join(map(repr, verdicts))}"
        elif {result, answer} == {claims.MET, claims.AGAINST}:
            hint = f"{where}: the ratio is ours / other, so below 1 is less error for us"
        elif (low, high) == across:
            hint = f"{where}, but 1 lies inside: both answers are possible, whatever the number of seeds"
        elif (low, high) == below and seeds < claims.ENOUGH_SEEDS:
            hint = f"{where}: the clips say it, but for good it takes {claims.ENOUGH_SEEDS} seeds: a part is met"
        elif seeds < claims.ENOUGH_SEEDS:
            hint = f"{where}: fewer than {claims.ENOUGH_SEEDS} seeds cannot speak against a claim for good"
        else:
            hint = f"{where}: all of it is on one side of 1, and {seeds} seeds are enough by our rule"
        say("E10.4", hint, "")
        return
    say("E10.4", None, "and 1 inside the interval stays open, however many seeds")


# ── helpers ──────────────────────────────────────────────────────────────────────────────────

def _pair_hint(result, what: str = "low and high") -> str | None:
    """A hint unless `result` is two numbers."""
    if isinstance(result, str) or np.shape(result) == ():
        return f"returns {kind(result)}; return two numbers, {what}"
    return None if np.shape(result) == (2,) else f"the result has shape {np.shape(result)}; return two numbers, {what}"

