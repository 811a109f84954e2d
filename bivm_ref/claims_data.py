"""Where the figures behind claims.py lie in this repository, and how they are read: one function per source."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import numpy as np

from . import active, claims, information_text, results
from .ancestors import RVM
from .cost import total_operations
from .cost_table import Network, chosen
from .elementwise import strict_operations
from .errors import UserError
from .packed import weights

DATA = active.ROOT / "data_samples"
ROWS, SEARCH = DATA / "results" / "compare_small.jsonl", DATA / "results" / "search_small.jsonl"
STUDY, TIMINGS = DATA / "results" / "information_small.json", DATA / "timings"
PEOPLE = DATA / "results" / "people.json"


def networks() -> list[Network]:
    """Our presets with their weight files and measured active shares. UserError for a preset without shares; a note
    where they were measured with another file."""
    found, records = chosen(argparse.Namespace(weights=None, preset=None)), active.read()
    for network in found:
        if network.name not in records:
            raise UserError(f"{active.RESULTS}: has no shares of {network.name!r}; {active.AGAIN}")
        network.record = records[network.name]
        network.shares = active.shares(network.record)
        if network.path and network.record.get("sha256") != active.fingerprint(network.path):
            network.note = f"active shares of {network.name}: measured with another file than {network.path.name}"
    return found


def costs(width: int = 512, height: int = 288, ratio: float = 1.0) -> list[dict]:
    """How many times fewer than RVM's, counted alike: {"network", "masked", "masked_least", "dense", "strict",
    "bytes", "note"}. masked: at the mean active share; masked_least: at the upper end of its interval."""
    base = total_operations(RVM, width, height, ratio=ratio)
    strict = strict_operations(RVM, width, height, ratio=ratio)
    rows = []
    for network in networks():
        ends = [held["interval"][1] if held.get("interval") else held["mean"]
                for held in network.record["shares"].values()]
        times = {name: base / total_operations(network.arch, width, height, share, ratio) for name, share in
                 (("masked", network.shares), ("masked_least", max(ends)), ("dense", 1.0))}
        mine = strict_operations(network.arch, width, height, network.shares, ratio)
        rows.append({"network": network.name, **times, "strict": strict / mine, "bytes": RVM.bytes / network.bytes,
                     "note": network.note})
    return rows


def shares_of_zero(path: Path) -> dict[str, float]:
    """{sample clip: MAD / MAD of an all-zero matte}, from the figures kept in a weight file; {} where it has none."""
    figures = weights.load(path)[2].get("figures", {})
    return {clip: figures[clip]["MAD"] / figures[clip]["zero_MAD"] for clip in claims.SAMPLES if clip in figures}


def people(path: Path = PEOPLE) -> dict[str, dict[str, dict[str, float]]]:
    """{network: {"portrait", "astronaut", "photograph", "people", "empty": its figures, means over the last three's
    clips}} of the file that tools/refresh_people.py writes. A figure that no clip has is NaN."""
    found = {}
    for name, record in json.loads(path.read_text(encoding="utf-8"))["networks"].items():
        sets: dict[str, list[dict]] = {}
        for row in record["clips"]:
            sets.setdefault(row["clip"].partition("/")[0], []).append(row)
        found[name] = {which: {key: float(np.mean([row[key] for row in rows])) if rows[0][key] is not None else math.nan
                               for key in ("MAD", "Grad", "dtSSD", "IoU")} for which, rows in sets.items()}
    return found


def reports(folder: Path = TIMINGS) -> list[dict]:
    """What `bivm-ref bench` wrote, one per machine. UserError for a file that is not JSON."""
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            found.append(json.loads(path.read_text(encoding="utf-8")))
        except ValueError as error:
            raise UserError(f"{path}: not JSON ({error}); write it with bivm-ref bench --json {path.name}") from error
    return found


def dense_times(timed: list[dict], size: tuple[int, int] = (512, 288)) -> dict[str, float]:
    """{machine: time of a frame with every position computed / with skipping}, one core, for reports that have both."""
    found = {}
    for report in timed:
        for part in report["passes"]:
            row = next((row for row in part["rows"] if row["contender"] == "packed dense" and "ratio" in row), None)
            if row and part["cores"] == "one" and tuple(part["size"]) == size:
                found[report["machine"]["board"] or report["machine"]["cpu"]] = row["ratio"]
    return found


def search_result(path: Path = SEARCH) -> dict | None:
    """The last line of a search's log, None where none finished. UserError for a file that is not such a log."""
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: not the log of a search ({error}); bivm-ref search writes it") from error
    return next((row for row in rows if row.get("kind") == "result"), None)


def everything(figure: str = "MAD") -> list[claims.Claim]:
    """The table of claims, from the committed figures."""
    rows, counted, timed = results.load(ROWS), costs(), reports()
    study = information_text.read(STUDY)
    useful = {network.name: shares_of_zero(network.path) if network.path else {} for network in networks()}
    shipped = weights.default_weights()
    return [
        claims.methods(rows, figure),
        claims.accuracy(shipped.stem, shares_of_zero(shipped)),
        claims.computation(counted, useful),
        claims.stored(counted, useful),
        claims.information(study.get("encoder")),
        claims.parts(rows, "elastic shortcuts", ["no-shortcut", "no-gain"], figure),
        claims.topologies(rows, search_result(), figure),
        claims.mask(study.get("decoder"), dense_times(timed)),
        claims.parts(rows, "localized binarization-aware mimicking … with the information-guided strategy",
                     ["no-mimicking", "no-localization", "no-bits", "no-information"], figure),
        claims.hardware(timed),
    ]
