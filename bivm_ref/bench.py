"""How long a frame takes, beside what others need for it: the plan of a measurement, its rounds and its figures.

    report = bench(Options(samples=["data_samples/portrait/com.mp4"], sizes=[(256, 144)]))

Times of two programs compare only when both met the same machine in the same state. So they are measured in rounds:
in each, every contender does one frame in turn, and a ratio is the median of the ratios within the rounds. Whatever
slows the machine for a while slows all of them, and falls out. Each round begins with the next contender: who comes
after a stranger finds the caches full of the stranger's numbers, and nobody should always be the one.

Every pass is a process of its own (contenders.py), because cores, thread pools and peak memory belong to a process:
first everything on one pinned core, then everything on all cores. This module knows no contender; it starts those
processes and puts their answers together. bench_text.py shows them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from . import machine
from .errors import UserError

SCHEMA = 1  # of the report; a new number when a key changes its meaning
SIZES = ((256, 144), (512, 288), (1280, 720))
WORKING_SIZE = 512  # longer frames are reduced to it for the network, ours and RVM, and a refiner restores them
WARM_UP = 2  # rounds that are not counted: caches fill, buffers are made, the recurrent state settles
ROUNDS = 15
STREAMED, LONG = 60, 500  # frames after which the peak of memory is read


@dataclass
class Options:
    """What to measure. samples: the clips that the frames are taken from."""

    samples: Sequence[str]
    sizes: Sequence[tuple[int, int]] = SIZES  # (width, height)
    rounds: int = ROUNDS
    core: int | None = None  # None: the last one that this process may use
    threads: int | None = None  # of the second pass; None: one for every core, and 1 leaves that pass out
    weights: str | None = None  # None: the shipped network
    peers: bool = True
    layers: bool = False
    long: bool = False  # stream LONG frames too, to see whether memory stays flat
    streamed: int | None = None  # None: STREAMED; fewer make a quick look, whose peak of memory may still be rising


# -- rounds -------------------------------------------------------------------------------------------------

def time_rounds(steps: Mapping[Hashable, Callable], inputs: Sequence, warm_up: int = WARM_UP,
                clock: Callable[[], float] = time.perf_counter, tick: Callable[[], None] = lambda: None) -> dict:
    """{name: seconds of each counted round}. One input is one round: every step is called with it, in order, the
    first round from the first on, the second from the second, and so on round."""
    times: dict = {name: [] for name in steps}
    names = list(steps)
    for number, value in enumerate(inputs):
        first = number % len(names) if names else 0
        for name in names[first:] + names[:first]:
            start = clock()
            steps[name](value)
            seconds = clock() - start
            if number >= warm_up:
                times[name].append(seconds)
        tick()
    return times


def figures(seconds: Sequence[float], unit: Sequence[float]) -> dict:
    """Median and quartiles in milliseconds, and of the per-round ratios to `unit`, the times of ours."""
    ms, ratios = 1e3 * np.asarray(seconds), np.asarray(seconds) / np.asarray(unit)
    (q1, median, q3), (low, ratio, high) = (np.percentile(x, (25, 50, 75)) for x in (ms, ratios))
    return {"ms": _round(median), "ms_quartiles": [_round(q1), _round(q3)], "ms_least": _round(ms.min()),
            "frames_per_second": _round(1e3 / median), "ratio": _round(ratio),
            "ratio_quartiles": [_round(low), _round(high)], "rounds_ms": [_round(x) for x in ms]}


def _round(x: float) -> float:
    """Four figures: no clock here is better."""
    return float(f"{x:.4g}")


# -- the whole measurement ----------------------------------------------------------------------------------

@dataclass
class Job:
    """What one process is to do; it reaches the process as JSON. folder: for what its jobs share."""

    kind: str  # frames, layers or engine
    folder: str
    samples: Sequence[str]
    weights: str | None
    core: int | None  # None: all
    threads: list[int]  # ours, one contender for each; peers get the first
    size: tuple[int, int] = (512, 288)  # (width, height)
    rounds: int = ROUNDS
    peers: bool = True
    streamed: list[int] = field(default_factory=list)

    @property
    def ticks(self) -> int:
        """Steps of the progress bar."""
        return self.streamed[-1] if self.kind == "engine" else WARM_UP + self.rounds


def bench(options: Options, progress: Callable[[int], Callable[[str], None]] = lambda total: lambda what: None) -> dict:
    """Measure, and return the report as data that JSON can hold.

    progress  called once with the number of steps ahead; what it returns is called after each, with what is measured
    Raises UserError when a process of the measurement fails. A peer that is not installed, or fails, is a row.
    """
    core = chosen_core(options.core)
    threads = options.threads or len(machine.allowed_cores())
    before = machine.state()
    with tempfile.TemporaryDirectory(prefix="bivm_bench_") as folder:
        jobs = plan(options, core, threads, folder)
        write_stream(options.samples, jobs[0].streamed[-1], Path(jobs[0].samples[0]))
        tick = progress(sum(job.ticks for job in jobs))
        answers = [run(job, tick) for job in jobs]
    report = {
        "schema": SCHEMA, "machine": machine.facts(), "before": before, "after": machine.state(),
        "options": {"rounds": options.rounds, "warm_up": WARM_UP, "core": core, "threads": threads,
                    "samples": [f"{Path(p).parent.name}/{Path(p).name}" for p in options.samples]},
        "passes": [], "engine": None, "layers": None}
    for job, answer in zip(jobs, answers, strict=True):
        if job.kind == "frames":
            report["passes"].append({"cores": "one" if len(job.threads) == 1 else "all", "threads": job.threads[0],
                                     "core": job.core, "size": list(job.size), **answer})
        else:
            report[job.kind] = answer
    return report


def plan(options: Options, core: int | None, threads: int, folder: str) -> list[Job]:
    """The processes of a measurement, in order."""
    common = {"folder": folder, "samples": list(options.samples), "weights": options.weights}
    streamed = [options.streamed or STREAMED, *([LONG] if options.long else [])]
    stream = {"samples": [str(Path(folder) / "stream.mp4")]}
    jobs = [Job("engine", core=core, threads=[1], streamed=streamed, **{**common, **stream})]
    frames = {"rounds": options.rounds, "peers": options.peers, **common}
    jobs += [Job("frames", core=core, threads=[1], size=size, **frames) for size in options.sizes]
    if threads > 1:
        ours = sorted({threads, 2, 1}, reverse=True)
        jobs += [Job("frames", core=None, threads=[n for n in ours if n <= threads], size=size, **frames)
                 for size in options.sizes]
    if options.layers:
        jobs.append(Job("layers", core=core, threads=[1], **frames))
    return jobs


def write_stream(samples: Sequence[str], count: int, path: Path) -> None:
    """One video of that many frames, the clips over and over: what the engine's memory is watched on. Written here,
    for encoding has its own needs."""
    from .video import VideoWriter, open_frames

    frames = [frame for sample in samples for frame in open_frames(sample)]
    height, width = frames[0].shape[:2]
    with VideoWriter(path, 24, (width, height)) as writer:
        for i in range(count):
            writer.write(frames[i % len(frames)])


def chosen_core(core: int | None) -> int | None:
    """The core to pin to: the last one allowed, where interrupts are rarest. None where nothing can be pinned.

    Raises UserError for a core that this process may not use."""
    allowed = machine.allowed_cores()
    if not hasattr(os, "sched_setaffinity"):
        if core is not None:
            raise UserError(f"--core {core}: this system cannot keep a program on one core; leave it out")
        return None
    if core is not None and core not in allowed:
        raise UserError(f"--core {core}: not a core of this process; choose one of {', '.join(map(str, allowed))}")
    return allowed[-1] if core is None else core


def run(job: Job, tick: Callable[[str], None] = lambda what: None) -> dict:
    """Do the job in a fresh Python, which prints a line for every step, and return its answer."""
    result, errors = Path(job.folder) / "result.json", Path(job.folder) / "errors.txt"
    result.unlink(missing_ok=True)
    what = f"{job.size[0]}x{job.size[1]}" if job.kind == "frames" else job.kind
    command = [sys.executable, "-m", "bivm_ref.contenders", json.dumps(asdict(job)), str(result)]
    with errors.open("w") as log, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True,
                                                   env=environment(job.threads[0])) as process:
        try:
            for line in process.stdout:
                if line.strip() == "step":
                    tick(what)
        except BaseException:  # Ctrl-C, above all: nothing of ours goes on running
            process.kill()
            raise
    if process.returncode or not result.exists():
        last = (errors.read_text(encoding="utf-8", errors="replace").strip().splitlines() or ["no message"])[-1]
        raise UserError(f"bench: measuring {what} ended early ({last.removeprefix('bivm_ref.errors.UserError: ')}); "
                        "choose smaller --sizes, or close other programs")
    return json.loads(result.read_text(encoding="utf-8"))


def environment(threads: int) -> dict[str, str]:
    """Thread pools read their size when they are loaded. NumPy's own gets 1: our threads are the engine's own."""
    return {**os.environ, "OPENBLAS_NUM_THREADS": "1", "VECLIB_MAXIMUM_THREADS": "1", "OMP_NUM_THREADS": str(threads),
            "MKL_NUM_THREADS": str(threads)}
