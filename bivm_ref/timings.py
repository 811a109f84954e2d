"""The timing files of all machines: data_samples/timings/*.json, as `bivm-ref bench --json` writes them.

A time belongs to the machine that its file describes. So no function here returns a time without that machine's name,
and none compares two machines' milliseconds; ratios within a file are the file's own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from .bench import SCHEMA
from .errors import UserError
from .files import beside

FOLDER = Path(__file__).resolve().parent.parent / "data_samples" / "timings"
COLUMNS = ("file", "machine", "date", "masked ms", "dense", "threads")


def read(path: Path) -> dict:
    """One report. Raises UserError for a file that is none."""
    try:
        report = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); name a file that bench --json wrote") from error
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({error}); measure again with bivm-ref bench --json") from error
    if not isinstance(report, dict) or report.get("schema") != SCHEMA \
            or not {"machine", "before", "passes"} <= report.keys():
        raise UserError(f"{path}: not a timing file (schema {SCHEMA}); measure again with bivm-ref bench --json")
    return report


def read_all(folder: Path = FOLDER) -> dict[str, dict]:
    """{file name without .json: report}, sorted. Raises UserError as `read` does."""
    return {path.stem: read(path) for path in sorted(Path(folder).glob("*.json"))}


def write(report: Mapping, path: Path) -> Path:
    """A report as bench writes it, into a folder that is made if need be.

    Raises UserError when it cannot be written.
    """
    with beside(path, "choose another folder") as part:
        part.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return path


def is_arm(report: Mapping) -> bool:
    """Whether it was measured on a processor of the ARM family, by what the machine calls itself."""
    return str(report["machine"]["architecture"]).lower().startswith(("aarch64", "arm"))


def row(report: Mapping, part: Mapping, dense: str = "packed dense") -> dict:
    """{"ms", "dense", "threads"} of one pass: our masked network's milliseconds, dense and fewer threads as ratios.

    dense    median of the ratios dense / masked within the rounds; None if it was not measured
    threads  {threads: ratio to the first row}, for our masked network, the pass's own threads (1.0) included
    """
    ours = [r for r in part["rows"] if r["contender"] == "packed masked" and "ms" in r]
    other = next((r["ratio"] for r in part["rows"] if r["contender"] == dense and "ratio" in r), None)
    return {"ms": ours[0]["ms"], "dense": other, "threads": {r["threads"]: r["ratio"] for r in ours}}


def machine_name(report: Mapping) -> str:
    facts = report["machine"]
    name = facts["board"] or facts["cpu"] or "a processor without a name"
    return f"{name} ({facts['architecture']}{', virtual' if facts['virtual'] else ''})"


def speedups(report: Mapping, size: Sequence[int]) -> dict[int, float]:
    """{threads: how many times faster than one thread} of our masked network in the pass on all cores.

    Quotients of two medians of ratios to the same row, so both met the same rounds. {1: 1.0} where only one core is.
    """
    part = find_pass(report, "all", size)
    if part is None:
        return {1: 1.0}
    ratios = row(report, part)["threads"]
    return {threads: ratios[1] / ratio for threads, ratio in sorted(ratios.items())}


def find_pass(report: Mapping, cores: str, size: Sequence[int]) -> dict | None:
    """The pass on "one" core or on "all", for frames of size (width, height); None if there is none."""
    return next((part for part in report["passes"] if part["cores"] == cores and part["size"] == list(size)), None)


def as_table(reports: Mapping[str, Mapping], size: Sequence[int] = (512, 288)) -> str:
    """One line for each file that has that size, on one core, with its machine and date."""
    lines = [COLUMNS]
    for name, report in reports.items():
        part = find_pass(report, "one", size)
        if part is None:
            lines.append((name, machine_name(report), report["before"]["date"][:10], "-", "-", "-"))
            continue
        mine = row(report, part)
        faster = ", ".join(f"{threads}: {times:.2f}x" for threads, times in speedups(report, size).items())
        dense = "-" if mine["dense"] is None else f"{mine['dense']:.2f}x"
        lines.append((name, machine_name(report), report["before"]["date"][:10], f"{mine['ms']:.1f}", dense, faster))
    wide = [max(len(line[i]) for line in lines) for i in range(len(COLUMNS))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, wide)).rstrip() for line in lines)
