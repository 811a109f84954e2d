"""The processes of `bivm-ref bench`: who takes part, built, timed and answered as JSON. Started by bench.py, as

    python -m bivm_ref.contenders '{"kind": "frames", ...}' result.json

Ours come first: the masked network is the unit of every ratio. A peer that is not installed, or does not work here, is
a row that says why; the others are measured all the same. Every contender is given the frame as it comes from a video,
(H, W, 3) uint8, and hands out alpha and foreground as arrays: making its own input is part of its time.
"""

from __future__ import annotations

import functools
import importlib
import itertools
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from . import bench, machine

CALIBRATION = 8  # frames that int8's ranges are taken from


@dataclass
class Contender:
    """step(frame) does one frame and keeps its recurrent state; None: it cannot, and `note` says why."""

    name: str
    threads: int
    step: Callable | None = None
    note: str = ""


def main(argv: list[str]) -> None:
    job, result = bench.Job(**json.loads(argv[0])), Path(argv[1])
    machine.pin(job.core)  # first of all, so that every thread to come inherits it
    tick = functools.partial(print, "step", flush=True)
    if job.kind == "layers":
        from .bench_layers import measure_layers as measure
    else:
        measure = {"frames": measure_frames, "engine": measure_engine}[job.kind]
    result.write_text(json.dumps(measure(job, tick)), encoding="utf-8")


# -- frames -------------------------------------------------------------------------------------------------

def measure_frames(job: bench.Job, tick: Callable[[], None]) -> dict:
    frames = sample_frames(job.samples, bench.WARM_UP + job.rounds, *job.size)
    shares: list[dict[int, float]] = []
    contenders = ours(job, shares) + (peers(job, frames) if job.peers else [])
    steps = {i: c.step for i, c in enumerate(contenders) if c.step}
    times = bench.time_rounds(steps, frames, tick=tick)
    rows = [{"contender": c.name, "threads": c.threads, "note": c.note,
             **(bench.figures(times[i], times[0]) if i in times else {})} for i, c in enumerate(contenders)]
    counted = shares[bench.WARM_UP:]
    return {"rows": rows, "active": {str(scale): round(float(np.median([share[scale] for share in counted])), 4)
                                     for scale in counted[0]}}


def sample_frames(samples: list[str], count: int, width: int, height: int) -> list[np.ndarray]:
    """`count` frames of that size, as many from the start of each clip: their masks are those of real clips."""
    from .video import open_frames

    each, frames = -(-count // len(samples)), []
    for path in samples:
        frames += itertools.islice(open_frames(path), each)
    frames = list(itertools.islice(itertools.cycle(frames), count))
    return [np.asarray(Image.fromarray(frame).resize((width, height), Image.Resampling.BICUBIC)) for frame in frames]


def working_size(width: int, height: int) -> int | None:
    """`PackedBiVM.load`'s size: None where the network sees the frame as it is."""
    return bench.WORKING_SIZE if max(width, height) > bench.WORKING_SIZE else None


def ours(job: bench.Job, shares: list[dict[int, float]]) -> list[Contender]:
    """The packed engine, masked and dense, and masked again with fewer threads. The first leaves in `shares` what
    share of each scale it computed."""
    from .packed import PackedBiVM

    load = functools.partial(PackedBiVM.load, job.weights, size=working_size(*job.size))
    main = load(threads=job.threads[0])

    def step(frame: np.ndarray) -> None:
        main.step(frame)
        shares.append(dict(main.active))

    return [Contender("packed masked", job.threads[0], step),
            *(Contender("packed masked", threads, load(threads=threads).step) for threads in job.threads[1:]),
            Contender("packed dense", job.threads[0], load(threads=job.threads[0], dense=True).step)]


def peers(job: bench.Job, frames: list[np.ndarray]) -> list[Contender]:
    """Our network as torch simulates it in float, and RVM three times."""
    threads, calibration = job.threads[0], frames[::-(-len(frames) // CALIBRATION)]
    ratio = min(1.0, bench.WORKING_SIZE / max(job.size))
    stem = Path(job.folder) / f"rvm_{job.size[0]}x{job.size[1]}"

    def learn(module: str):
        """A module upstairs, after torch has been told its threads."""
        import torch

        torch.set_num_threads(threads)
        return importlib.import_module(f"bivm_ref.learn.{module}")

    @functools.cache
    def model():
        return learn("peers").random_rvm(calibration, ratio)

    @functools.cache
    def exported() -> Path:  # passes share the folder: exported once, measured in each
        path = stem.with_suffix(".onnx")
        return path if path.exists() else learn("peers").export_rvm(model(), path, frames[0], ratio)

    def simulated():
        return learn("engine").TorchEngine.load(job.weights, threads, working_size(*job.size))

    def float32():
        import onnx  # noqa: F401  the exporter needs it

        return learn("peers").OnnxRVM(exported(), threads)

    def int8():
        import onnx  # noqa: F401

        path = stem.with_suffix(".int8.onnx")
        if not path.exists():
            learn("peers").quantise(exported(), path, calibration)
        return learn("peers").OnnxRVM(path, threads)

    def torch_rvm():
        return learn("peers").TorchRVM(model(), ratio)

    makers = {"torch, ours in float": simulated, "torch RVM fp32": torch_rvm, "onnxruntime RVM fp32": float32,
              "onnxruntime RVM int8": int8}
    return [attempt(name, threads, lambda make=make: _checked(make(), frames[0])) for name, make in makers.items()]


def _checked(engine, frame: np.ndarray) -> Callable:
    """Its `step`, after one frame: what fails, fails before the rounds begin."""
    engine.step(frame)
    engine.reset()
    return engine.step


def attempt(name: str, threads: int, make: Callable[[], Callable]) -> Contender:
    """A contender, or why there is none."""
    try:
        return Contender(name, threads, make())
    except ImportError as error:
        return Contender(name, threads, note=missing(error))
    except Exception as error:  # another version, another processor: a row, not the end of the measurement
        return Contender(name, threads, note=f"failed: {(str(error).strip() or type(error).__name__).splitlines()[0]}")


def missing(error: ImportError) -> str:
    """What to install. torch is in an extra of its own, for it is large, and a board may be better off without."""
    extras = "train,bench" if (error.name or "torch").partition(".")[0] == "torch" else "bench"
    return f"not installed: pip install 'bivm_ref[{extras}]'"


# -- the engine alone ---------------------------------------------------------------------------------------

def measure_engine(job: bench.Job, tick: Callable[[], None]) -> dict:
    """Loading, and memory while a video is decoded and matted; nothing else is in this process."""
    from .packed import PackedBiVM, weights
    from .video import open_frames

    start = time.perf_counter()
    net = PackedBiVM.load(job.weights, size=bench.WORKING_SIZE)
    loaded = time.perf_counter()
    first, peaks = None, {}
    for done, frame in enumerate(open_frames(job.samples[0]), 1):
        begun = time.perf_counter()
        net.step(frame)
        first = first or time.perf_counter() - begun
        tick()
        if done == 1 or done in job.streamed:
            peaks[str(done)] = _rounded(machine.peak_memory())
    path = Path(job.weights) if job.weights else weights.default_weights()
    rows = net.explain()
    tables = [row["table_bytes"] for row in rows if row.get("table_bytes") is not None]
    kernels = [row["kernel"] for row in rows if row.get("kernel")]
    return {"weights": path.name, "network": net.arch.name, "file_bytes": path.stat().st_size,
            "load_s": round(loaded - start, 4), "load_to_first_matte_s": round(loaded - start + first, 4),
            "table_bytes": sum(tables) if tables else None,
            "kernels": {name: kernels.count(name) for name in sorted(set(kernels))} or None,
            "peak_mb_after_frames": peaks}


def _rounded(megabytes: float | None) -> float | None:
    return None if megabytes is None else round(megabytes, 1)


if __name__ == "__main__":
    main(sys.argv[1:])
