"""Times on paper: a machine that changes while it is timed, Amdahl's law, a frame's time as a straight line.

No clock is read here. `drifting` makes up the times that two programs would show on a machine that slows down, so that
ways of measuring can be compared where the true ratio is known. The rest predicts times from a few measured ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Drift:
    """Seconds of two programs, (rounds,) each, on a machine whose slowness changes. state: how slow it was, 1 is
    fastest, at each of the 2 * rounds runs."""

    ours: np.ndarray
    theirs: np.ndarray
    state: np.ndarray


def drifting(seed: int, interleaved: bool, rounds: int = 40, ratio: float = 1.25) -> Drift:
    """Two programs, `theirs` taking `ratio` times as long, on a machine that heats up and is disturbed now and then.

    interleaved  True: ours, theirs, ours, theirs ...; False: all of ours, then all of theirs. The machine goes through
                 the same 2 * rounds states either way: full speed, then throttled to half from 45 % to 85 % of them, a
                 noise of some per cent, and in one run of twelve something else runs and takes a while.
    """
    rng = np.random.default_rng(seed)
    runs = np.arange(2 * rounds)
    state = np.where((runs >= 0.45 * len(runs)) & (runs < 0.85 * len(runs)), 2.0, 1.0)
    state *= 1 + np.abs(rng.normal(0, 0.03, len(runs)))
    state += (rng.random(len(runs)) < 1 / 12) * rng.exponential(1.0, len(runs))
    first = runs % 2 == 0 if interleaved else runs < rounds
    return Drift(0.1 * state[first], 0.1 * ratio * state[~first], state)


def serial_part(one: float, many: float, threads: int = 2) -> float:
    """Amdahl's law turned round: many = one * (s + (1 - s) / threads), solved for s.

    0: everything is shared; 1: nothing; above 1: threads make it slower; below 0: the times were disturbed.
    Raises ValueError for fewer than two threads.
    """
    if threads < 2:
        raise ValueError(f"one thread says nothing of what threads share; got {threads}")
    return (threads * many / one - 1) / (threads - 1)


def amdahl_lines(sources: Mapping[str, Mapping[int, float]]) -> list[str]:
    """A line for each source and each number of threads above 1: its speed, serial part, and the limit they foretell.

    sources  {name: {threads: how many times faster than one thread}}
    """
    lines = []
    for name, faster in sources.items():
        for threads, times in faster.items():
            if threads > 1:
                serial = serial_part(1, 1 / times, threads)
                limit = f"{1 / serial:.1f}x at most" if 0 < serial < 1 else "not in 0 ... 1: others had a share"
                speed = f"{threads} threads {times:.2f}x the speed of one"
                lines.append(f"{name}: {speed}, serial part {serial:.0%}, {limit}")
    return lines


@dataclass(frozen=True)
class FrameTime:
    """A frame's milliseconds as a straight line in the active share: at_none + share * (at_all - at_none), on one
    thread; on several, the part `serial` of it stays and the rest is shared out.

    dense  of the network that never looks at its mask
    """

    at_none: float
    at_all: float
    dense: float
    serial: float = 1.0

    @classmethod
    def fit(cls, shares: Sequence[float], ms: Sequence[float], dense: float, serial: float = 1.0) -> FrameTime:
        """The line through measured times, by least squares. Raises ValueError for fewer than two different shares."""
        if len(set(shares)) < 2:
            raise ValueError(f"a line needs times at two active shares at least, got {list(shares)}")
        slope, start = np.polyfit(shares, ms, 1)
        return cls(float(start), float(start + slope), dense, serial)

    def ms(self, share: float, threads: int = 1) -> float:
        alone = self.at_none + share * (self.at_all - self.at_none)
        return alone * (self.serial + (1 - self.serial) / threads)

    @property
    def break_even(self) -> float:
        """The active share from which on dense is faster: 0 never masks with profit, 1 (or more, cut off) always."""
        if self.at_all <= self.dense:
            return 1.0
        return float(np.clip((self.dense - self.at_none) / (self.at_all - self.at_none), 0, 1))
