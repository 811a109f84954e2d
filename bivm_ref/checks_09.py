"""Checks of notebook 09, ARM timing: paired ratio, Amdahl's serial part, a layer's intensity, where masking pays."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .checks_shared import call, number_hint, say, unchanged


def check_E9_1(fn: Callable, seed: int = 0) -> None:
    """E9.1: fn(ours, theirs) -> how many times as long theirs takes: the median of the ratios within the rounds.

    ours, theirs (T,) float seconds of the same T rounds. The machine slows down in some rounds, and in one something
    else disturbs theirs alone.
    """
    rng = np.random.default_rng(seed)
    state = np.array([1.0, 1.0, 1.0, 1.0, 2.2, 2.2, 2.2, 1.5, 1.5])
    ours = 0.04 * state * (1 + rng.uniform(0, 0.02, 9))
    theirs = 0.06 * state * (1 + rng.uniform(0, 0.10, 9))
    theirs[6] += 1.0  # an update begins, say
    ours[2] += 0.03
    given = ours.copy(), theirs.copy()
    result = call("E9.1", fn, given, "theirs / ours divides round by round; np.median takes the middle one")
    if result is None:
        return
    ratios = theirs / ours
    known = {
        "that is how many times as long OURS takes: turn the quotient round": np.median(ours / theirs),
        "that divides one median by the other: the rounds they are from may have met different machines. Divide within "
        "each round first": np.median(theirs) / np.median(ours),
        "one disturbed round moves a mean as far as it likes; of the ratios take the median": ratios.mean(),
        "that divides one mean by the other: a single disturbed round decides it": theirs.mean() / ours.mean(),
        "the least of theirs and the least of ours are from different rounds": theirs.min() / ours.min(),
        "that is a difference in seconds; a ratio was asked for": np.median(theirs - ours),
        "one disturbed round moves a geometric mean too; take the median": np.exp(np.log(ratios).mean()),
    }
    if np.shape(result) == ratios.shape and np.allclose(result, ratios):
        hint = "those are the ratios of the rounds (they are right); one number is asked for: their median"
    else:
        hint = unchanged((ours, theirs), given) or number_hint(result, float(np.median(ratios)), known)
    say("E9.1", hint, "a slow phase slows both, and one outlier is one of many")


def check_E9_2(fn: Callable, seed: int = 0) -> None:
    """E9.2: fn(one, two) -> the serial part s of the work, from the seconds with one and with two threads.

    Amdahl: two = one · (s + (1 - s) / 2).
    """
    rng = np.random.default_rng(seed)
    serial, one = float(rng.uniform(0.15, 0.3)), float(rng.uniform(0.05, 0.09))
    two = one * (serial + (1 - serial) / 2)
    result = call("E9.2", fn, (one, two), "write two / one = s + (1 - s) / 2 and solve for s")
    if result is None:
        return
    known = {
        "that is the part that is shared out; the serial one is the remainder": 1 - serial,
        "that is two / one; with nothing serial it would be 1/2, not 0": two / one,
        "that is the speedup": one / two,
        "that is the speedup divided by the threads, the efficiency": one / two / 2,
        "that is the part of the time that was saved": 1 - two / one,
        "one and two have changed places": 2 * one / two - 1,
        "a sign: 2·two / one MINUS 1": 2 * two / one + 1,
        "s is a share of the work with one thread: divide by one": 2 * two - one,
        "those are the serial seconds of one frame with both threads in it; divide by one, not by two":
            (2 * two - one) / two,
    }
    say("E9.2", number_hint(result, serial, known), "two times, and all other thread counts can be foretold")


def check_E9_3(fn: Callable, seed: int = 0) -> None:
    """E9.3: fn(cin, cout, k, height, width) -> binary multiply-accumulates per byte that must be moved, stride 1.

    Bytes: signs in and weights in at 8 to a byte, whole numbers out at 2 bytes (int16), each once.
    """
    rng = np.random.default_rng(seed)
    cin, cout = 40, 24  # with these, and a prime number of columns, no two mistakes give one number
    k, height, width = 3, int(rng.integers(9, 20)), int(rng.choice([23, 29, 31, 37]))
    result = call("E9.3", fn, (cin, cout, k, height, width), "a position needs k·k·cin products for each of cout sums; "
                                                             "the map has height·width positions")
    if result is None:
        return
    positions, weights = height * width, k * k * cin * cout
    bops, signs, held, sums = positions * weights, positions * cin / 8, weights / 8, 2 * positions * cout
    known = {
        "that is bytes per operation; it is the other way round": (signs + held + sums) / bops,
        "the operations are those of ONE position; the map has height·width": weights / (signs + held + sums),
        "signs are read as bytes: eight of them fit one": bops / (8 * signs + held + sums),
        "weights are read as bytes: eight of them fit one": bops / (signs + 8 * held + sums),
        "signs and weights are bits: eight fit a byte": bops / (8 * signs + 8 * held + sums),
        "the results are no bits: whole numbers, two bytes each": bops / (signs + held + positions * cout / 8),
        "a whole number takes two bytes (int16), here it takes one": bops / (signs + held + sums / 2),
        "a whole number takes two bytes (int16), here it takes four": bops / (signs + held + 2 * sums),
        "the weights are missing; they are read once for the whole map": bops / (signs + sums),
        "the results are missing; they must be written": bops / (signs + held),
        "the signs that are read are missing": bops / (held + sums),
        "the weights are read once for the whole map, not at every position":
            bops / (signs + positions * held + sums),
        "every sign is read once and then lies in the cache; here each of the k·k taps reads it anew":
            bops / (k * k * signs + held + sums),
        "a product and its addition count as one here (a multiply-accumulate), not as two":
            2 * bops / (signs + held + sums),
        "binary operations are counted in full; the 1/64 of the field's rule has no place here":
            bops / 64 / (signs + held + sums),
        "k·k taps: here there are k": bops / k / (signs + held / k + sums),
        "those are the operations; divide by the bytes": bops,
        "those are the bytes; divide the operations by them": signs + held + sums,
    }
    say("E9.3", number_hint(result, bops / (signs + held + sums), known), "operations per byte, from the description "
                                                                          "alone")


def check_E9_4(fn: Callable, seed: int = 0) -> None:
    """E9.4: fn(none, everything, dense) -> the active share in [0, 1] up to which the masked network is faster.

    Milliseconds: masked with nothing active, with everything active, a straight line between; dense has no share.
    """
    rng = np.random.default_rng(seed)
    none, step = float(rng.uniform(10, 14)), float(rng.uniform(10, 16))
    for dense in (none + 0.7 * step, none + 2 * step, none - 3):
        given = none, none + step, dense
        result = call("E9.4", fn, given, "the line is none + share·(everything - none); where does it meet dense?")
        if result is None:
            return
        hint = _break_even_hint(result, *given)
        if hint:
            break
    say("E9.4", hint, "also where it always pays, and where it never does")


def _break_even_hint(result, none: float, everything: float, dense: float) -> str | None:
    share = (dense - none) / (everything - none)
    case = f"none {none:.1f}, everything {everything:.1f}, dense {dense:.1f} ms: "
    if share > 1 or share < 0:
        right = float(share > 1)
        why = "dense is slower even than everything active" if right else "dense is faster even than nothing active"
        known = {f"{why}: the lines meet outside of 0 … 1. The share is {right:g}": share,
                 f"{why}: the share is {right:g}, not {1 - right:g}": 1 - right}
        hint = number_hint(result, right, known)
        return hint and case + hint
    known = {
        "that is the share that must be SKIPPED": 1 - share,
        "at share 0 the masked network takes none milliseconds already: take them off both": dense / everything,
        "the line rises by everything - none, not by everything": (dense - none) / everything,
        "the line begins at none: dense - none": dense / (everything - none),
        "numerator and denominator have changed places": 1 / share,
        "at that share the masked network takes as much as half of dense": (dense / 2 - none) / (everything - none),
    }
    hint = number_hint(result, share, known)
    return hint and case + hint
