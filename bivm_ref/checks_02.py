"""Checks of notebook 02, the information bottleneck: a table's mutual information, the sign's loss, a null by clips."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .checks_shared import call, number_hint, say, unchanged
from .information import clip_tables, corrected_information, entropy, mutual_information
from .information_sheet import h2, normal_truth, sign_truth


def check_E2_1(fn: Callable, seed: int = 0) -> None:
    """E2.1: fn(table) -> I(A; B) in bits of joint counts (a, b) float64, one of them 0."""
    rng = np.random.default_rng(seed)
    table = rng.integers(5, 60, (3, 4)).astype(np.float64)
    table[rng.integers(3), rng.integers(4)] = 0
    given = table.copy()
    result = call("E2.1", fn, (given,), "p = table / table.sum(); p.sum(1) are the shares of A, p.sum(0) those of B")
    if result is None:
        return
    p = table / table.sum()
    a, b, joint = entropy(p.sum(1)), entropy(p.sum(0)), entropy(p.ravel())
    answer = float(mutual_information(table))
    known = {
        "that is in nats: np.log2, not np.log": answer * np.log(2),
        "a sign: H(A) + H(B) - H(A, B)": -answer,
        "that is H(A, B), the entropy of both together": joint,
        "that is H(A) alone": a,
        "that is H(B) alone": b,
        "that is H(A) + H(B): H(A, B) is not taken off": a + b,
        "that is H(A | B) = H(A, B) - H(B), what B leaves open of A": joint - b,
        "that is H(B | A) = H(A, B) - H(A), what A leaves open of B": joint - a,
    }
    if np.ndim(result) == 0 and np.isnan(result):
        hint = "gives nan: a cell of the table is 0, and 0 * log2(0) counts as 0: leave such cells out (p > 0)"
    else:
        hint = unchanged((table,), (given,)) or number_hint(result, answer, known)
    say("E2.1", hint, "and a cell that never occurs adds nothing")


def check_E2_2(fn: Callable, seed: int = 0) -> None:
    """E2.2: fn(rho) -> I(sign X; sign Y) in bits, of normals X, Y with correlation rho, -1 < rho < 1."""
    rho = float(np.random.default_rng(seed).uniform(0.55, 0.85))
    result = call("E2.2", fn, (rho,), "np.arccos(rho) / np.pi is the share of pairs whose signs differ")
    if result is None:
        return
    flips, answer = float(np.arccos(rho) / np.pi), sign_truth(rho)
    known = {
        "that is I(X; Y), before the signs": normal_truth(rho),
        "that is h2(eps), what the channel destroys; 1 - h2(eps) is what it lets through": h2(flips),
        "arcsin instead of arccos: at rho = 1 the signs never differ": 1 - h2(float(np.arcsin(rho) / np.pi)),
        "the angle is divided by pi, half a turn, not by 2 pi": 1 - h2(flips / 2),
        "rho is not the share of pairs that differ; that is arccos(rho) / pi": 1 - h2(rho),
        "(1 - rho) / 2 would hold if the correlation of the *signs* were rho; theirs is smaller": 1 - h2((1 - rho) / 2),
        "eps is the share of pairs that differ, the answer is 1 - h2(eps)": flips,
        "1 - eps is the share of pairs that agree; bits are 1 - h2(eps)": 1 - flips,
        "that is in nats: np.log2, not np.log": float(np.log(2)) * answer,
        "h2 is in nats there: np.log2, not np.log": 1 - h2(flips) * float(np.log(2)),
        "only half of h2: eps log2(eps) and (1 - eps) log2(1 - eps) both belong to it": 1 + flips * np.log2(flips),
    }
    hint = number_hint(result, answer, known)
    if hint is None:
        hint = _negative(fn, rho)
    say("E2.2", hint, f"at rho = {rho:.2f} two signs keep {answer / normal_truth(rho):.0%} of the bits")


def _negative(fn: Callable, rho: float) -> str | None:
    """A reversed relation tells as much."""
    try:
        mirrored = fn(-rho)
    except Exception as error:  # as in `call`
        return f"at rho = {-rho:.2f} it stops with {type(error).__name__}: {error}"
    return None if np.isclose(mirrored, sign_truth(rho)) else "at -rho it must say the same: opposites tell as much"


def check_E2_3(fn: Callable, seed: int = 0) -> None:
    """E2.3: fn(codes, labels) -> the mean over the shifts k = 1 ... clips - 1 of the corrected information between the
    codes of clip i and the labels of clip i + k. codes and labels (clips, cells) int64 of 0 and 1."""
    rng = np.random.default_rng(seed)
    person = rng.random((12, 1)) < 0.5  # each clip has a habit, so that its cells resemble each other
    labels = (rng.random((12, 30)) < np.where(person, 0.8, 0.25)).astype(np.int64)
    codes = np.where(rng.random(labels.shape) < 0.9, labels, 1 - labels)
    codes[:, :10] = labels[:, :10] = np.arange(10) < 7  # the left third of all clips is alike: place tells something
    given = codes.copy(), labels.copy()
    result = call("E2.3", fn, given, "np.roll(labels, k, axis=0) hands every clip the labels of another clip")
    if result is None:
        return

    def bits(a: np.ndarray, b: np.ndarray) -> float:
        return float(corrected_information(clip_tables(a, b, (2, 2)).sum(0)))

    clips, cells = labels.shape
    by_clip = [bits(codes, np.roll(labels, k, axis=0)) for k in range(clips)]
    plain = [float(mutual_information(clip_tables(codes, np.roll(labels, k, axis=0), (2, 2)).sum(0)))
             for k in range(1, clips)]
    answer = float(np.mean(by_clip[1:]))
    known = {
        "k = 0 is in it, where every clip meets itself: begin at 1": float(np.mean(by_clip)),
        "that is the information itself; nothing has been exchanged": by_clip[0],
        "that is one shift only; the mean runs over all of them": by_clip[1],
        "cells were shifted within their clip (axis=1); whole clips are exchanged (axis=0)":
            float(np.mean([bits(codes, np.roll(labels, k, axis=1)) for k in range(1, clips)])),
        "cells were shifted within their clip (axis=1), not clips (axis=0)":
            float(np.mean([bits(codes, np.roll(labels, k, axis=1)) for k in range(1, cells)])),
        "np.roll without an axis moves single cells on to the next clip: axis=0":
            float(np.mean([bits(codes, np.roll(labels, k)) for k in range(1, clips)])),
        "not corrected: corrected_information instead of mutual_information": float(np.mean(plain)),
        "the shifts are added up; their mean is asked for": float(np.sum(by_clip[1:])),
        "that is the largest of them; their mean is asked for": float(np.max(by_clip[1:])),
        "the information of the mean table: take the information of each shift first, then the mean": float(
            corrected_information(sum(clip_tables(codes, np.roll(labels, k, 0), (2, 2)).sum(0)
                                      for k in range(1, clips)))),
    }
    hint = unchanged((codes, labels), given) or number_hint(result, answer, known)
    say("E2.3", hint, f"{by_clip[0]:.2f} bits are measured, and {answer:.2f} of them need no look at the clip")
