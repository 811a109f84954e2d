"""Study 1: what of the alpha class, and what of the colour, can still be read at every stage of a network.

    relevance  I_V(Z -> alpha class of the cell)    the part of the image that matting needs
    detail     I_V(Z -> colour code of the cell)    a part that it could forget

for the float twin, the naive BNN, ReActNet's way and ours, with and without mimicking: the runs of a comparison,
several seeds of each, or the two networks that are shipped. Beside the probes stand the float twin's features reduced
to k bits, and estimators that share nothing with a probe: k-means codes, and exact tables of 8 channels' signs.

It does not show where information is created (nowhere: a layer only makes it readable), nor that readable features
cause good mattes: better networks have more at the output by definition.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bivm_ref.errors import UserError
from bivm_ref.information import (
    FEWEST_CLIPS,
    SAMPLES_PER_CODE,
    clip_tables,
    corrected_information,
    entropy,
    estimate,
    group_codes,
    kmeans,
    nearest,
    permutation_null,
    quantize,
)
from bivm_ref.learn.features import Cells, after_sign, capture, choose_cells, colour_codes, held_out_clips
from bivm_ref.learn.probes import LINEAR, PROBES, v_information
from bivm_ref.learn.store import load_model, load_state, own_phases
from bivm_ref.net import BiVM
from bivm_ref.net.capture import STAGES

ARMS = ("float", "bnn", "reactnet", "no-mimicking", "bivm")  # of `learn.compare`, in the order of tables
BITS = (1, 2, 3, 4, 8)
CODES = 16
CLASSES = 3
LABELS = {"relevance": "classes", "detail": "colour"}  # measure -> field of Cells

Key = tuple[str, str, str, str]  # stage, measure, "before" or "after" the sign or "k bit", probe
Networks = dict[str, dict[int, Path]]  # arm -> seed -> model.pt


@dataclass(frozen=True)
class Options:
    """clips, frames: of the held-out clips; cells: looked at in each, at every stage; mlp: that probe too, for the
    relevance."""

    clips: int = 240
    frames: int = 2
    cells: int = 48
    height: int = 128
    width: int = 128
    stages: tuple[str, ...] = STAGES
    mlp: bool = True
    seed: int = 0

    def quick(self) -> Options:
        """Minutes: wide intervals, and no table of 256 codes."""
        return replace(self, clips=40, stages=("f1", "f3", "f4", "d2"), mlp=False)


def find_runs(folder: str | Path) -> Networks:
    """The runs of `bivm-ref compare --out OUT` that this study reads, from OUT or OUT/runs. UserError if the float twin
    or every other arm is missing."""
    folder = Path(folder)
    folder = folder / "runs" if (folder / "runs").is_dir() else folder
    found: Networks = {}
    for arm in ARMS:
        runs = {int(path.parent.name.rpartition("-")[2]): path for path in sorted(folder.glob(f"{arm}-*/model.pt"))
                if path.parent.name.removeprefix(f"{arm}-").isdecimal()}
        if runs:
            found[arm] = runs
    if "float" not in found or len(found) < 2:
        raise UserError(f"{folder}: holds runs of {', '.join(found) or 'no arm'}; this study needs the float twin's "
                        "and another's: bivm-ref compare --arms float,bnn,reactnet,no-mimicking,bivm --out DIR")
    return found


def frame_size(path: Path) -> tuple[int, int]:
    """(height, width) of the frames that a network was last trained on, the refiner's phases apart."""
    last = own_phases(load_state(path)["recipe"])[-1]
    return last["height"], last["width"]


# -- one network ----------------------------------------------------------------------------------------------------

def measure(model: BiVM, maps: dict[str, np.ndarray], cells: dict[str, Cells], options: Options
            ) -> tuple[dict[Key, np.ndarray], dict[str, dict]]:
    """maps: what `capture` found, {stage: (clips, cells, C)}, before the sign -> ({key: bits of every clip (clips,)},
    {stage: what the tables say})."""
    values, tables = {}, {}
    for stage, before in maps.items():
        places = {"before": before}
        if model.binary:
            places["after"] = after_sign(model, stage, before)
        for where, features in places.items():
            for name, field in LABELS.items():
                for kind in ("linear", "mlp") if options.mlp and name == "relevance" else ("linear",):
                    values[stage, name, where, kind] = v_information(features, getattr(cells[stage], field),
                                                                     PROBES[kind], options.seed)
        if not model.binary:
            for bits in BITS:
                values[stage, "relevance", f"{bits} bit", "linear"] = v_information(
                    quantize(before, bits), cells[stage].classes, LINEAR, options.seed)
        tables[stage] = table_figures(before, places.get("after"), cells[stage].classes, options.seed)
    return values, tables


def table_figures(before: np.ndarray, after: np.ndarray | None, classes: np.ndarray, seed: int) -> dict[str, float]:
    """The estimators without a probe: "codes", the `code_figures` of three quarters of the clips, "codes_half" of half
    of those, and for binary maps (of the float twin: each channel compared with its median) "groups", the mean over
    groups of 8 channels, with "group_entropy" = I(X; Z).

    A null is what the same estimator says of clips with exchanged labels. Codes need 160 samples to learn from, groups
    2560 in all: None with fewer.
    """
    found: dict = {"channels": before.shape[-1], "codes": None, "codes_half": None, "groups": None,
                   "groups_null": None, "group_entropy": None}
    quarter = len(before) // 4
    if len(before) - quarter >= FEWEST_CLIPS and quarter * before.shape[1] >= SAMPLES_PER_CODE * CODES:
        codes, labels = cluster_codes(before, quarter, seed), classes[quarter:]
        found["codes"], half = code_figures(codes, labels), len(codes) // 2
        if half >= FEWEST_CLIPS:
            found["codes_half"] = code_figures(codes[:half], labels[:half])
    if classes.size >= 2560:
        signs = after if after is not None else np.where(before > np.median(before, (0, 1)), 1.0, -1.0)
        groups = np.moveaxis(group_codes(signs), -1, 0)  # (C/8, clips, cells)
        each = [clip_tables(g, classes, (256, CLASSES)).sum(0) for g in groups]
        found["groups"] = float(np.mean([corrected_information(t) for t in each]))
        found["groups_null"] = float(np.mean([permutation_null(g, classes, (256, CLASSES), 3)[0] for g in groups]))
        found["group_entropy"] = float(np.mean([entropy(t.sum(1)) for t in each]))
    return found


def cluster_codes(features: np.ndarray, learn: int, seed: int) -> np.ndarray:
    """16 k-means codes of z-scored features (clips, cells, C) -> (clips - learn, cells): centres from the first `learn`
    clips, codes of the others. So the code is a function that no measured clip had a part in, and the same one whether
    all of those are measured or half."""
    learned = features[:learn].reshape(-1, features.shape[-1]).astype(np.float64)
    mean, std = learned.mean(0), np.maximum(learned.std(0), 1e-6)
    centres = kmeans(((learned - mean) / std).clip(-8, 8), CODES, seed)
    return nearest(((features[learn:] - mean) / std).clip(-8, 8), centres)


def code_figures(codes: np.ndarray, classes: np.ndarray) -> dict[str, float]:
    """I(code; alpha class), both (clips, cells), with its interval and its null."""
    point, low, high = estimate(clip_tables(codes, classes, (CODES, CLASSES)))
    return {"mean": float(point), "low": float(low), "high": float(high),
            "null": permutation_null(codes, classes, (CODES, CLASSES))[0]}


def shuffled(maps: dict[str, np.ndarray], cells: dict[str, Cells], options: Options) -> dict[Key, np.ndarray]:
    """The linear probe of every stage with each clip's features beside the next clip's labels: nothing to be read."""
    return {(stage, "relevance", "shuffled", "linear"): v_information(
        features, exchanged(cells[stage].classes, options.seed), LINEAR, options.seed)
        for stage, features in maps.items()}


def exchanged(labels: np.ndarray, seed: int) -> np.ndarray:
    """Labels (clips, cells) that go with nothing: each clip gets the next one's, dealt anew among its cells.

    Dealt anew because cells are stored in the order of their places, and a place tells something in every clip (people
    stand in the middle, and a map knows its borders): with 960 clips a probe reads 0.02 bits from that alone.
    """
    return np.random.default_rng([seed, 11]).permuted(np.roll(labels, 1, axis=0), axis=1)


# -- all of them ----------------------------------------------------------------------------------------------------

def study(networks: Networks, options: Options, tick: Callable[[str], None] = lambda what: None) -> dict:
    """Measure every network; see `encoder_report.report` for what comes out.

    tick(what) is called after each network. UserError for too few clips and for networks of different architectures.
    """
    from bivm_ref.learn.encoder_report import report

    if options.clips < FEWEST_CLIPS:
        raise UserError(f"--clips {options.clips}: too few for an interval; at least {FEWEST_CLIPS} are needed")
    clips = list(held_out_clips(options.clips, options.frames, options.height, options.width))
    codes = colour_codes(clips, options.seed)
    cells = {stage: choose_cells(clips, stage, options.cells, codes, options.seed) for stage in options.stages}
    tick("clips")
    values: dict[str, dict[int, dict[Key, np.ndarray]]] = {}
    tables: dict[str, dict[int, dict]] = {}
    checks: dict[str, dict[str, dict]] = {"shuffled": {}, "half": {}}
    for arm, seed, model in _loaded(networks):
        maps = capture(model, clips, cells)
        found, tabled = measure(model, maps, cells, options)
        values.setdefault(arm, {})[seed], tables.setdefault(arm, {})[seed] = found, tabled
        if seed == min(networks[arm]):
            checks["shuffled"][arm] = shuffled(maps, cells, options)
            checks["half"][arm] = measure_half(maps, cells, options)
        tick(f"{arm} {seed}")
    truth = {stage: {name: float(entropy(np.bincount(getattr(which, field).ravel())))
                     for name, field in LABELS.items()} for stage, which in cells.items()}
    return report(values, tables, checks, truth, options)


def measure_half(maps: dict[str, np.ndarray], cells: dict[str, Cells], options: Options) -> dict[Key, np.ndarray]:
    """What `measure` finds by the linear probe on the first half of the clips; nothing for too few."""
    half = options.clips // 2
    if half < FEWEST_CLIPS:
        return {}
    return {(stage, name, "before", "linear"): v_information(
        features[:half], getattr(cells[stage], field)[:half], LINEAR, options.seed)
        for stage, features in maps.items() for name, field in LABELS.items()}


def _loaded(networks: Networks) -> Iterator[tuple[str, int, BiVM]]:
    arch = None
    for arm, runs in networks.items():
        for seed, path in runs.items():
            model = load_model(path)
            if arch is not None and getattr(model, "arch", None) != arch:
                raise UserError(f"{path}: another architecture than the other networks'; compare runs of one preset")
            arch = model.arch
            yield arm, seed, model
