"""The studies' figures as tables to read, and the file in which they are kept: data_samples/results/information_*.json.

    {"schema": 2, "sheet": {...}, "encoder": {...}, "encoder_shipped": {...}, "decoder": {...}}

Each section has "date", "command" and "torch" beside what its study found; a run replaces the sections that it makes
and leaves the others. "encoder" is study 1 on the runs of a comparison, "encoder_shipped" on the two shipped networks.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

from .errors import UserError
from .files import beside
from .information_sheet import as_text as sheet_text
from .results import LABELS

SCHEMA = 2


def figure(row: dict | None, digits: int = 3) -> str:
    """"0.46 (0.41 to 0.50)", or "-" where too few clips had it."""
    if row is None or row["mean"] is None:
        return "-"
    mean, low, high = (f"{row[key]:.{digits}f}" for key in ("mean", "low", "high"))
    return f"{mean} ({low} to {high})"


def as_text(sections: dict[str, dict]) -> str:
    writers = {"sheet": lambda s: sheet_text(s["rows"]), "encoder": encoder_text, "encoder_shipped": encoder_text,
               "decoder": decoder_text}
    return "\n\n".join(f"== {name.replace('_', ', ')} ==\n{writers[name](section)}"
                       for name, section in sections.items())


def encoder_rows(section: dict, measure: str, where: str, probe: str = "linear") -> dict[str, dict[str, dict]]:
    """{arm: {stage: row}}; the float twin, which has no sign, in both places."""
    found: dict[str, dict[str, dict]] = {}
    for row in section["rows"]:
        place = "before" if row["arm"] == "float" else where
        if (row["measure"], row["where"], row["probe"]) == (measure, place, probe):
            found.setdefault(row["arm"], {})[row["stage"]] = row
    return found


def encoder_text(section: dict) -> str:
    stages, lines = list(section["label_entropy"]), []
    for measure in ("relevance", "detail"):
        entropy = [section["label_entropy"][stage][measure] for stage in stages]
        for where in ("before", "after"):
            table = [[LABELS[arm], *(_bound(found[stage]) for stage in stages)]
                     for arm, found in encoder_rows(section, measure, where).items()]
            lines += [f"{measure} {where} the sign, bits by the linear probe, 95 % intervals (≥: a lower bound)",
                      *_table([["", *stages], ["H(Y)", *(f"{h:.2f}" for h in entropy)], *table]), ""]
    gaps = [["stage", "sign", "float - BNN", *(f"{LABELS[arm]} closes" for arm in _closers(section)), "mimicking adds"]]
    for gap in section["gaps"]:
        if gap["probe"] == "linear" and "float-bnn" in gap:
            gaps.append([gap["stage"], gap["where"], figure(gap["float-bnn"], 2),
                         *(_closed(gap["closed"].get(arm)) for arm in _closers(section)),
                         figure(gap.get("mimicking"), 2)])
    if len(gaps) > 1:
        lines += ["gap of the relevance, paired", *_table(gaps), ""]
    widths = [[row["stage"], *(figure(lost, 2) for lost in row["lost"].values()), figure(row.get("bnn_lost"), 2),
               str(row.get("like_bnn") or "-")] for row in section["bit_width"]]
    head = ["stage", *(f"{k} bit" for k in section["bit_width"][0]["lost"]), "BNN", "k"]
    lines += ["relevance lost by the float twin at k bits per channel, by the BNN's signs, and the first k that loses "
              "no more", *_table([head, *widths])]
    shuffled, halving, codes = (section["checks"][name] for name in ("shuffled", "halving", "halving_codes"))
    bounds = halving["lower_bounds"]
    lines += ["", f"labels exchanged: {shuffled['intervals'] - len(shuffled['without_zero'])} of "
              f"{shuffled['intervals']} intervals contain 0",
              f"half of the clips: all clips' estimate lies in the interval that half gives for {_stayed(halving)} "
              f"sound ones of the linear probe, {_stayed(codes)} of the k-means codes, {_stayed(bounds)} lower bounds"]
    return "\n".join([*lines, *section["cannot_say"]])


def _bound(row: dict) -> str:
    return ("" if row["sound"] else "≥ ") + figure(row, 2)


def _stayed(check: dict) -> str:
    return f"{check['estimates'] - len(check['moved'])} of {check['estimates']}"


def _closers(section: dict) -> list[str]:
    return list(dict.fromkeys(arm for gap in section["gaps"] for arm in gap["closed"]))


def _closed(row: dict | None) -> str:
    if row is None:
        return "-"
    return figure(row["bits"], 2) + (f", {row['per_cent']['mean']:.0f} %" if row["per_cent"] else "")


def decoder_text(section: dict) -> str:
    lines = ["MAD with the 3x3 zeroed outside a mask (area: share of the 3x3's MACs; kept: of all operations)",
             *_table([["our mask's size", "area", "kept", "ours", "random", "oracle"],
                      *([row["size"], f"{row['area']['mean']:.3f}", f"{row['kept']:.3f}",
                         *(figure(row[name], 1) for name in ("ours", "random", "oracle"))]
                        for row in section["curve"])]),
             "", "per cent of MAD at our own area against computing everywhere"]
    lines += [f"  {name.replace('_', ' ')}: {figure(row, 1)}" for name, row in section["own"].items()]
    lines += ["", "our mask, shares", *(f"  {name.replace('_', ' ')}: {figure(row)}"
                                        for name, row in section["mask"].items()),
              "", "what the 3x3 gains, by distance to the boundary in pixels"]
    stages = list(dict.fromkeys(row["stage"] for row in section["gain"]))
    table = []
    for error in section["error_gain"]:
        start, stop = error["from"], error["to"]
        bits = [next(row for row in section["gain"] if (row["stage"], row["from"]) == (stage, start))
                for stage in stages]
        table.append([distance_text(start, stop), figure(error, 1), *(figure(row) for row in bits)])
    lines += _table([["distance", "|error| 1e3", *(f"{stage}, bits" for stage in stages)], *table])
    return "\n".join([*lines, "", *section["cannot_say"]])


def distance_text(start: int, stop: int | None) -> str:
    return f"> {start - 1}" if stop is None else str(start) if start == stop else f"{start}-{stop}"


def _table(rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]


# -- the file -----------------------------------------------------------------------------------------------------

def write(path: Path, sections: dict[str, dict]) -> None:
    """Put sections into the file beside those that it holds. UserError when it
    cannot be written, or holds something else."""
    held = read(path) if path.exists() else {}
    text = json.dumps({"schema": SCHEMA, **held, **rounded(sections)}, indent=1, allow_nan=False)
    text = re.sub(r"[\[{][^\[\]{}]*[\]}]", lambda inner: " ".join(inner.group().split()), text)  # innermost on one line
    with beside(path, "name another folder with --out") as part:
        part.write_text(text + "\n", encoding="utf-8")


def read(path: Path, needed: Iterable[str] = ()) -> dict[str, dict]:
    """The sections of a file. UserError for one that is missing, not of this kind, or without a section that is
    needed."""
    again = "make it with bivm-ref information"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; {again}") from error
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as JSON ({error}); {again}") from error
    if not isinstance(data, dict) or data.pop("schema", None) != SCHEMA:
        raise UserError(f"{path}: not a file of information studies (schema {SCHEMA}); {again}")
    for name in needed:
        if name not in data:
            raise UserError(f"{path}: has no section {name!r}; {again}")
    return data


def rounded(x):
    """Floats to 4 digits after the point, not-a-number to None, all the way down."""
    if isinstance(x, dict):
        return {key: rounded(value) for key, value in x.items()}
    if isinstance(x, (list, tuple)):
        return [rounded(value) for value in x]
    if isinstance(x, float):
        return None if x != x else round(x, 4)
    return x
