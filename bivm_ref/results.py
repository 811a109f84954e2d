"""From the rows of a comparison to what one may say: means, 95 % intervals, paired ratios, a table.

Two things vary between runs: the seed (weights and training clips) and the held-out clip. Both are resampled, crossed:
a bootstrap draws seeds with replacement, draws clips with replacement, and averages. All arms see the same draws of
clips, so that a ratio of two arms is paired. With few seeds such an interval is a rough one,
rather too narrow than too wide (notebook 10 counts how often it holds the truth).
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from .errors import UserError

LABELS = {  # the arms of `learn.compare`, in the order of tables and pictures
    "float": "float twin", "rvm": "RVM", "bnn": "BNN", "xnor": "XNOR-Net", "dorefa": "DoReFa (±1)", "bireal": "Bi-Real",
    "irnet": "IR-Net", "reactnet": "ReActNet", "recu": "ReCU", "bimatting": "BiMatting", "bivm": "BiVM (ours)",
    "reactnet-mimicking": "ReActNet, with our teacher",
    "no-shortcut": "ours − elastic shortcuts", "no-gain": "ours − the shortcuts' gain",
    "no-branches": "ours − evolvable branches", "no-mask": "ours − mask",
    "centred": "ours, weights centred",
    "no-mimicking": "ours − mimicking", "no-localization": "ours − localization", "no-bits": "ours − bit term",
    "no-information": "ours − information weights",
}
METHODS = ("bnn", "xnor", "dorefa", "bireal", "irnet", "reactnet", "recu", "bimatting")  # binarized by others' rules
PARTS = ("no-shortcut", "no-gain", "no-branches", "no-mask", "no-mimicking", "no-localization", "no-bits",
         "no-information")  # of ours, taken out one by one
FIGURES = ("MAD", "MSE", "Grad", "Conn", "dtSSD", "boundary_MAD")
DRAWS = 2000


def load(path: str | Path) -> list[dict]:
    """The rows of a results.jsonl; a line that a power cut left half written is passed over. UserError when the file
    is missing, empty or not one of ours."""
    path = Path(path)
    try:
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line]
        rows = [row for line in lines if (row := _row(line)) is not None]
        assert (rows or not lines) and all(map(_is_row, rows))
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; bivm-ref compare writes it") from error
    except IsADirectoryError as error:
        raise UserError(f"{path}: is a folder; name the results.jsonl in it") from error
    except (AssertionError, TypeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not the results of a comparison; bivm-ref compare writes them") from error
    if not rows:
        raise UserError(f"{path}: holds no finished run; go on with bivm-ref compare")
    if len({len(row["MAD"]) for row in rows}) > 1:
        raise UserError(f"{path}: its runs were measured on unequal numbers of clips; keep one comparison to a file")
    return rows


def _row(line: str) -> dict | None:
    """What a line holds; None for one that is not whole."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _is_row(row: object) -> bool:
    """Whether it has every figure of every clip, numbers all (NaN where a clip has none)."""
    if not (isinstance(row, dict) and isinstance(row.get("arm"), str) and isinstance(row.get("seed"), int)):
        return False
    figures = [row.get(name) for name in FIGURES]
    return (all(isinstance(values, list) and len(values) == len(figures[0]) > 0 for values in figures)
            and all(isinstance(x, (int, float)) and (x != x or abs(x) < 1e300) for values in figures for x in values))


def by_arm(rows: list[dict], figure: str) -> dict[str, np.ndarray]:
    """{arm: (seeds, clips) float64}, seeds in ascending order, arms as they first occur."""
    table: dict[str, dict[int, list]] = {}
    for row in rows:
        table.setdefault(row["arm"], {})[row["seed"]] = row[figure]
    return {arm: np.array([seeds[s] for s in sorted(seeds)], np.float64) for arm, seeds in table.items()}


def draws(values: np.ndarray, clips: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Bootstrap means of values (seeds, clips), seeds drawn here, clips given as indices (DRAWS, clips) -> (DRAWS,)."""
    seeds = rng.integers(0, len(values), (len(clips), len(values)))
    per_clip = np.stack([values[s].mean(0) for s in seeds])  # (DRAWS, clips)
    return np.take_along_axis(per_clip, clips, 1).mean(1)


def summary(rows: list[dict], figure: str = "MAD", seed: int = 0) -> dict[str, dict[str, float]]:
    """{arm: {"mean", "low", "high", "seeds"}}: mean over seeds and clips with its 95 % interval."""
    return {arm: {"mean": float(values.mean()), "low": low, "high": high, "seeds": len(values)}
            for arm, (values, low, high) in _intervals(by_arm(rows, figure), seed).items()}


def _intervals(table: dict[str, np.ndarray], seed: int) -> dict[str, tuple[np.ndarray, float, float]]:
    found = {}
    for arm, values in table.items():
        values = values[:, ~np.isnan(values).any(0)]  # clips without that figure
        rng = np.random.default_rng(seed)
        clips = rng.integers(0, values.shape[1], (DRAWS, values.shape[1]))
        low, high = np.percentile(draws(values, clips, rng), (2.5, 97.5))
        found[arm] = values, float(low), float(high)
    return found


def paired(rows: list[dict], arm: str, against: str, figure: str = "MAD") -> tuple[np.ndarray, np.ndarray]:
    """Both arms' figures, each (seeds, clips) float64, of the seeds and clips both have, row for row the same seed.

    ValueError for an arm without runs, or two without a seed in common.
    """
    seeds = [{row["seed"] for row in rows if row["arm"] == name} for name in (arm, against)]
    for name, found in zip((arm, against), seeds):
        if not found:
            raise ValueError(f"no run of {name!r}")
    shared = set.intersection(*seeds)
    if not shared:
        raise ValueError(f"{arm!r} and {against!r} have no seed in common")
    table = by_arm([row for row in rows if row["seed"] in shared], figure)
    known = ~(np.isnan(table[arm]).any(0) | np.isnan(table[against]).any(0))
    return table[arm][:, known], table[against][:, known]


def ratio(rows: list[dict], arm: str, against: str, figure: str = "MAD", seed: int = 0) -> dict[str, float]:
    """mean(arm) / mean(against) with a 95 % interval: the same clips and the same seeds are drawn for both.
    ValueError as `paired`."""
    a, b = paired(rows, arm, against, figure)
    rng = np.random.default_rng(seed)
    seeds = rng.integers(0, len(a), (DRAWS, len(a)))
    clips = rng.integers(0, a.shape[1], (DRAWS, a.shape[1]))
    drawn = [a[s][:, c].mean() / b[s][:, c].mean() for s, c in zip(seeds, clips, strict=True)]
    low, high = np.percentile(drawn, (2.5, 97.5))
    return {"ratio": float(a.mean() / b.mean()), "low": float(low), "high": float(high), "seeds": len(a)}


def markdown(rows: list[dict], labels: dict[str, str], figures: tuple[str, ...] = FIGURES) -> str:
    """The table that the README shows: a row per arm in the order of `labels`, mean and half interval, seeds."""
    columns = {figure: summary(rows, figure) for figure in figures}
    head = " | ".join(figure.replace("_", " ") for figure in figures)
    lines = [f"| | {head} | seeds |", "|---|" + "---|" * (len(figures) + 1)]
    for arm, label in labels.items():
        if arm not in columns[figures[0]]:
            continue
        cells = [_cell(columns[figure][arm]) for figure in figures]
        lines.append(f"| {label} | " + " | ".join(cells) + f" | {columns[figures[0]][arm]['seeds']} |")
    return "\n".join(lines)


def _cell(row: dict[str, float]) -> str:
    digits = 1 if row["mean"] >= 10 else 2
    return f"{row['mean']:.{digits}f} ({row['low']:.{digits}f}–{row['high']:.{digits}f})"
