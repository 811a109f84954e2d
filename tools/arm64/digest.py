"""What the engine computes on a clip, as digests that two machines can compare.

Both sides read the same frames from a file: drawing them takes sines and exponentials, which two processors may
round differently, and then the clips would differ before the engine has begun. Every whole number of every
binary convolution, the masks, and the packed sign maps with which the memory enters the next frame must then be
equal. So is alpha, as far as anybody saw; what is asked of it is 1e-6.

    python -m tools.arm64.digest CLIPS.npz OUT     writes OUT.json and OUT.npz
"""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bivm_ref.digests import digest, digest_record
from bivm_ref.packed import PackedBiVM, weights
from bivm_ref.packed.bits import pack_signs

NETWORKS = Path(__file__).resolve().parents[2] / "bivm_ref" / "weights"
FRAMES = 5
TOLERANCE = 1e-6
MEMORIES = ("neck.gru", "decoder.d3.gru", "decoder.d2.gru", "decoder.d1.gru")  # in the order of PackedBiVM.state


@dataclass(frozen=True)
class Case:
    """One way of running a network over a clip."""

    name: str
    height: int
    width: int
    size: int | None = None  # smaller than the frame: the refiner runs
    kernel: str = "auto"
    threads: int = 1
    recorded: bool = True  # False: as a user runs it, with nobody looking at the whole numbers

    @property
    def clip(self) -> str:
        return f"{self.width}x{self.height}"


CASES = (
    Case("xor", 97, 131, kernel="xor"),
    Case("table", 97, 131, kernel="table"),
    Case("unrecorded", 97, 131, recorded=False),
    Case("table4", 97, 131, kernel="table4"),
    Case("auto", 144, 256),
    Case("team of two", 144, 256, threads=2, recorded=False),
    Case("refined", 120, 208, size=128),
)


def draw(file: Path, frames: int = FRAMES) -> None:
    """The clips of all cases, one per frame size: {"131x97": (T, H, W, 3) uint8, ...}."""
    from bivm_ref.clips import procedural_clip

    clips = {}
    for number, case in enumerate(CASES):
        if case.clip not in clips:
            clips[case.clip] = procedural_clip(number, frames, case.height, case.width).frames
    np.savez(file, **clips)


def run_case(file: Path, case: Case, clip: np.ndarray) -> tuple[list[dict], np.ndarray]:
    """Digests of every frame, and the alphas (T, H, W)."""
    net = PackedBiVM.load(file, kernel=case.kernel, threads=case.threads, size=case.size)
    tensors = weights.load(file)[1]
    digests, alphas = [], []
    for frame in clip:
        net.record = {} if case.recorded else None
        alpha, _ = net.step(frame)
        packed = {name: digest(pack_signs(state, tensors[f"{name}.h.theta"]))
                  for name, state in zip(MEMORIES, net.state, strict=True)}
        accumulators = {layer: digest_record(entry) for layer, entry in (net.record or {}).items()}
        digests.append({"accumulators": accumulators, "mask": digest(net.mask), "packed": packed})
        alphas.append(alpha)
    return digests, np.stack(alphas)


def run(clips: Path, out: Path) -> None:
    """Every case with every shipped network: digests into OUT.json, alphas into OUT.npz."""
    frames = np.load(clips)
    digests, alphas = {}, {}
    for file in sorted(NETWORKS.glob("*.safetensors")):
        for case in CASES:
            title = f"{file.stem} {case.clip} {case.name}"
            digests[title], alphas[title] = run_case(file, case, frames[case.clip])
            print(f"test-arm64: {platform.machine()}: {title}", flush=True)
    np.savez(out.with_suffix(".npz"), **alphas)
    found = {"machine": platform.machine(), "python": platform.python_version(), "numpy": np.__version__,
             "cases": digests}
    out.with_suffix(".json").write_text(json.dumps(found, indent=1))


# -- comparing --

@dataclass
class Row:
    """What the comparison of one case found."""

    title: str
    equal: dict[str, int]  # how many digests of each kind are equal,
    total: dict[str, int]  # of how many
    alpha: float  # the largest difference
    first: str  # what differs first, in the order of execution; empty: nothing

    def __str__(self) -> str:
        counts = "  ".join(f"{f'{self.equal[kind]} of {self.total[kind]}':>12}" for kind in self.equal)
        return f"{self.title:<28}{counts}  {self.alpha:>9.1e}"


HEADER = f"{'network, frame, case':<28}{'accumulators':>12}  {'masks':>12}  {'packed maps':>12}  {'max |d alpha|':>9}"


def flatten(frame: dict) -> Iterator[tuple[str, str, str]]:
    """(kind, name, digest) of everything in a frame, in the order of execution."""
    yield from (("accumulators", name, value) for name, value in frame["accumulators"].items())
    yield "masks", "the mask", frame["mask"]
    yield from (("packed maps", name, value) for name, value in frame["packed"].items())


def compare_case(title: str, ours: list[dict], theirs: list[dict], alpha: np.ndarray, other: np.ndarray) -> Row:
    equal, total = ({kind: 0 for kind in ("accumulators", "masks", "packed maps")} for _ in range(2))
    first = "" if len(ours) == len(theirs) else f"{len(ours)} frames here, {len(theirs)} there"
    for number, (frame, answer) in enumerate(zip(ours, theirs, strict=False), 1):
        got = {(kind, name): value for kind, name, value in flatten(answer)}
        for kind, name, value in flatten(frame):
            total[kind] += 1
            same = got.pop((kind, name), None) == value
            equal[kind] += same
            if not same and not first:
                first = f"frame {number}: {kind} of {name}" if kind != "masks" else f"frame {number}: the mask"
        if got and not first:
            first = f"frame {number}: {next(iter(got))[1]} was computed there alone"
    difference = float(np.abs(alpha - other).max()) if alpha.shape == other.shape else float("nan")
    if not first and not difference <= TOLERANCE:  # NaN differs, too
        first = f"alpha, by {difference:.1e}"
    return Row(title, equal, total, difference, first)


def compare(ours: Path, theirs: Path) -> list[Row]:
    """One row for each case of either side."""
    mine, other = (json.loads(side.with_suffix(".json").read_text())["cases"] for side in (ours, theirs))
    alpha, others = (np.load(side.with_suffix(".npz")) for side in (ours, theirs))
    rows = []
    for title in {**mine, **other}:
        if title in mine and title in other:
            rows.append(compare_case(title, mine[title], other[title], alpha[title], others[title]))
        else:
            nothing = {"accumulators": 0, "masks": 0, "packed maps": 0}
            rows.append(Row(title, nothing, nothing, float("nan"), "it ran on one side alone"))
    return rows


if __name__ == "__main__":
    run(Path(sys.argv[1]), Path(sys.argv[2]))
