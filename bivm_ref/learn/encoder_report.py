"""From study 1's measurements to what one may say: means with intervals, paired gaps, how much of them is closed."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from bivm_ref.information import summary
from bivm_ref.learn.features import COLOURS
from bivm_ref.learn.probes import learning_cost

KINDS = {"relevance": 3, "detail": COLOURS}  # labels of either measure

CANNOT_SAY = (
    "Bits that a probe can read on held-out clips, not information: a real-valued map may keep all of the image.",
    "A rise with depth is accessibility, not creation: no layer adds anything about alpha.",
    "Better networks have more readable at the output by definition: the table locates a loss, it proves no cause.",
    "A cell is a larger square at a deeper stage: compare networks within a stage, stages only as shares of H(Y).",
)


def report(values: dict, tables: dict, checks: dict, truth: dict, options) -> dict:
    """JSON-ready. values[arm][seed][key] is (clips,), see `study_encoder`.

    rows      mean, low, high of every arm, stage, measure, place and probe: over seeds and clips, both drawn; of the
              linear probe also "sound", False for a lower bound (see `probes.learning_cost`)
    gaps      float - bnn, paired, and of it what every other arm closes: bits and per cent; "mimicking" = bivm minus
              no-mimicking
    bit_width per stage: what the float twin loses at k bits, and the first k at which it loses less than the BNN
    tables    the estimators without a probe, per arm, seed and stage
    checks    intervals with shuffled labels; and what half of the clips says, see `_halving`
    """
    return {"options": dataclasses.asdict(options), "seeds": {arm: sorted(seeds) for arm, seeds in values.items()},
            "label_entropy": truth, "rows": _rows(values, tables, options), "gaps": _gaps(values),
            "bit_width": _bit_width(values),
            "tables": [{"arm": arm, "seed": seed, "stage": stage, **found} for arm, seeds in tables.items()
                       for seed, stages in seeds.items() for stage, found in stages.items()],
            "checks": {"shuffled": _shuffled(checks["shuffled"]),
                       "halving": _halving(values, checks["half"], tables, options),
                       "halving_codes": _halving_codes(tables)},
            "cannot_say": list(CANNOT_SAY)}


def stacked(values: dict, arms: Sequence[str], keys: Sequence[tuple]) -> np.ndarray | None:
    """(arms, seeds, clips) of the seeds that all of these arms have; None where one has none. keys: one per arm."""
    shared = sorted(set.intersection(*(set(values.get(arm, {})) for arm in arms)))
    if not shared or any(key not in values[arm][seed] for arm, key in zip(arms, keys, strict=True) for seed in shared):
        return None
    return np.array([[values[arm][seed][key] for seed in shared] for arm, key in zip(arms, keys, strict=True)])


def sound(row: dict, channels: int, measure: str, clips: int, cells: int) -> bool:
    """Whether what a linear probe did not learn, for want of samples, is less than half the width of its interval."""
    return bool(learning_cost(channels, KINDS[measure], clips, cells) <= (row["high"] - row["low"]) / 2)


def _rows(values: dict, tables: dict, options) -> list[dict]:
    rows = []
    for arm, seeds in values.items():
        for key in next(iter(seeds.values())):
            stage, measure, where, probe = key
            row = summary(stacked(values, [arm], [key])[0])
            if probe == "linear":
                channels = next(iter(tables[arm].values()))[stage]["channels"]
                row["sound"] = sound(row, channels, measure, options.clips, options.cells)
            rows.append({"arm": arm, "stage": stage, "measure": measure, "where": where, "probe": probe, **row})
    return rows


def _gaps(values: dict) -> list[dict]:
    """Per stage, place and probe, of the relevance. The float twin has no sign: its map is the same in both places."""
    rows = []
    for stage, where, probe in _places(values):
        twin, other = (stage, "relevance", "before", probe), (stage, "relevance", where, probe)
        row = {"stage": stage, "where": where, "probe": probe, "closed": {}}
        pair = stacked(values, ["float", "bnn"], [twin, other])
        if pair is not None:
            row["float-bnn"] = summary(pair, lambda f, b: f - b)
        for arm in ("reactnet", "no-mimicking", "bivm"):
            three = stacked(values, ["float", "bnn", arm], [twin, other, other])
            if three is not None:
                clear = row["float-bnn"]["low"] > 0.0  # per cent of a gap that may be none would be noise
                row["closed"][arm] = {"bits": summary(three, lambda f, b, a: a - b), "per_cent": summary(
                    three, lambda f, b, a: 100.0 * (a - b) / (f - b)) if clear else None}
        both = stacked(values, ["bivm", "no-mimicking"], [other, other])
        if both is not None:
            row["mimicking"] = summary(both, lambda a, b: a - b)
        rows.append(row)
    return rows


def _places(values: dict) -> list[tuple[str, str, str]]:
    keys = [key for seeds in values.values() for found in seeds.values() for key in found]
    return list(dict.fromkeys((stage, where, probe) for stage, measure, where, probe in keys
                              if measure == "relevance" and where in ("before", "after")))


def _bit_width(values: dict) -> list[dict]:
    """lost[k]: float minus the float twin at k bits per channel. like_bnn: the fewest bits at which the float twin
    keeps at least as much as the BNN's signs (1 bit) do; None where none of the widths does."""
    rows = []
    any_float = next(iter(values["float"].values()))
    widths = sorted({int(where.split()[0]) for _, _, where, _ in any_float if where.endswith("bit")})
    for stage in dict.fromkeys(key[0] for key in any_float):
        plain = (stage, "relevance", "before", "linear")
        lost = {}
        for bits in widths:
            pair = stacked(values, ["float", "float"], [plain, (stage, "relevance", f"{bits} bit", "linear")])
            lost[str(bits)] = summary(pair, lambda f, k: f - k)
        row = {"stage": stage, "lost": lost}
        signs = stacked(values, ["float", "bnn"], [plain, (stage, "relevance", "after", "linear")])
        if signs is not None:
            row["bnn_lost"] = summary(signs, lambda f, b: f - b)
            row["like_bnn"] = next((k for k in widths if lost[str(k)]["mean"] <= row["bnn_lost"]["mean"]), None)
        rows.append(row)
    return rows


def _shuffled(found: dict) -> dict:
    """How many intervals with exchanged labels there are, and those that do not contain 0."""
    rows = [{"arm": arm, "stage": key[0], **summary(clips[None])} for arm, keys in found.items()
            for key, clips in keys.items()]
    return {"intervals": len(rows), "without_zero": [r for r in rows if not r["low"] <= 0.0 <= r["high"]]}


def _halving(values: dict, found: dict, tables: dict, options) -> dict:
    """The sound estimates on half of the clips: how many, and those "moved": the mean of all clips lies outside the
    interval that half gives. The others, lower bounds, are expected to rise with more clips; the same of them."""
    checked = {True: [], False: []}
    for arm, keys in found.items():
        first = min(values[arm])
        for key, clips in keys.items():
            stage, measure = key[:2]
            row, mean = summary(clips[None]), float(values[arm][first][key].mean())
            fit = sound(row, tables[arm][first][stage]["channels"], measure, options.clips // 2, options.cells)
            checked[fit].append({"arm": arm, "stage": stage, "measure": measure, "all_clips": mean, **row})
    sides = {fit: {"estimates": len(rows), "moved": [r for r in rows if not r["low"] <= r["all_clips"] <= r["high"]]}
             for fit, rows in checked.items()}
    return {**sides[True], "lower_bounds": sides[False]}


def _halving_codes(tables: dict) -> dict:
    """The same of the k-means codes, which need no training: all sound."""
    rows = [{"arm": arm, "stage": stage, "all_clips": found["codes"]["mean"], **found["codes_half"]}
            for arm, seeds in tables.items() for stage, found in seeds[min(seeds)].items() if found["codes_half"]]
    return {"estimates": len(rows), "moved": [r for r in rows if not r["low"] <= r["all_clips"] <= r["high"]]}
