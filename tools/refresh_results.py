"""What the repository shows of its comparison, made from the rows of the runs.

    python tools/refresh_results.py [--from runs/compare/results.jsonl]

Copies the rows to data_samples/results/compare_small.jsonl (with --from), draws compare_small.png beside them and
brings README.md's table between its two markers up to date. A test holds the table equal to the rows.

compare_small_again.jsonl holds some of the same runs, made once more on another machine: what a single run is worth.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

import numpy as np

from bivm_ref import results, viz
from bivm_ref.reporting import run_and_report

ROOT = Path(__file__).resolve().parent.parent
ROWS = ROOT / "data_samples" / "results" / "compare_small.jsonl"
AGAIN = ROWS.with_name("compare_small_again.jsonl")
MARKERS = ("<!-- comparison: python tools/refresh_results.py -->", "<!-- end of comparison -->")
SHOWN = ("MAD", "MSE", "Grad", "Conn", "dtSSD", "boundary_MAD")


def block(rows: list[dict]) -> str:
    """What stands between the markers: the table, and the ratios that the text speaks of. A part pays where the network
    without it has a ratio above 1."""
    lines = [results.markdown(rows, results.LABELS, SHOWN), ""]
    arms = results.by_arm(rows, "MAD")
    others = [arm for arm in results.METHODS if arm in arms]
    if "bivm" in arms and others:
        best = min(others, key=lambda arm: results.summary(rows)[arm]["mean"])
        name = f"the best other method's ({results.LABELS[best]})"
        lines.append(said(rows, "BiVM's MAD", "bivm", best, name))
        if "no-mimicking" in arms:  # the other methods have no teacher
            lines.append(said(rows, "Without its teacher, which no other method has, ours", "no-mimicking", best, name))
        if "reactnet-mimicking" in arms:
            lines.append(said(rows, "BiVM's MAD", "bivm", "reactnet-mimicking", "ReActNet's with the same teacher"))
    if {"bivm", "float"} <= set(arms):
        lines.append(said(rows, "BiVM's MAD", "bivm", "float", "the float twin's"))
    for arm in results.PARTS:
        if {"bivm", arm} <= set(arms):
            lines.append(said(rows, f"{results.LABELS[arm][0].upper()}{results.LABELS[arm][1:]}", arm, "bivm",
                              "the whole BiVM's"))
    unpaid = [arm for arm in results.PARTS
              if {"bivm", arm} <= set(arms) and results.ratio(rows, arm, "bivm")["low"] <= 1]
    if unpaid:
        names = ", ".join(results.LABELS[arm].removeprefix("ours − ") for arm in unpaid)
        lines += ["", f"Not shown to pay here, since these intervals hold 1 or lie below it: {names}."]
    if AGAIN.exists():
        lines += ["", once_more(rows, results.load(AGAIN))]
    return "\n".join(lines)


def said(rows: list[dict], whose: str, arm: str, against: str, what: str) -> str:
    found = results.ratio(rows, arm, against)
    seeds = f"{found['seeds']} seeds" if found["seeds"] > 1 else "one seed, so over clips alone"
    return (f"- {whose} is {found['ratio']:.2f} times {what}, 95 % interval {found['low']:.2f} to "
            f"{found['high']:.2f} ({seeds}).")


def once_more(rows: list[dict], again: list[dict]) -> str:
    """The MAD of runs that were made twice, on two machines: the same arm, seed, clips and initial weights."""
    first = {(row["arm"], row["seed"]): np.mean(row["MAD"]) for row in rows}
    pairs = [(row["arm"], first[row["arm"], row["seed"]], np.mean(row["MAD"])) for row in again
             if (row["arm"], row["seed"]) in first]
    pairs.sort(key=lambda pair: list(results.LABELS).index(pair[0]))
    each = ", ".join(f"{results.LABELS[arm]} {a:.1f} and {b:.1f}" for arm, a, b in pairs)
    worst = max(abs(b / a - 1.0) for _, a, b in pairs)
    return (f"Made twice, on two machines that round bfloat16 sums differently (seed {again[0]['seed']}): {each}. "
            f"Up to {100 * worst:.0f} % apart with nothing else changed, so a difference of that size between single "
            f"runs says nothing.{exchanged(rows, again)}")


def exchanged(rows: list[dict], again: list[dict]) -> str:
    """What becomes of the ratios when the second runs take the place of the first."""
    mixed = list({(row["arm"], row["seed"]): row for row in [*rows, *again]}.values())
    if not {"bivm", "reactnet"} <= {row["arm"] for row in again}:
        return ""
    pairs = [("BiVM's MAD", "bivm", "reactnet", "ReActNet's")]
    pairs += [(f"{results.LABELS[arm]}", arm, "bivm", "the whole BiVM's") for arm in results.PARTS
              if any(row["arm"] == arm for row in rows)]
    said = []
    for whose, arm, against, what in pairs:
        found = results.ratio(mixed, arm, against)
        said.append(f"{whose} is {found['ratio']:.2f} times {what} ({found['low']:.2f} to {found['high']:.2f})")
    return f" With the second runs in the place of the first, {'; '.join(said)}."


def readme(text: str, rows: list[dict]) -> str:
    """README.md's text with the block between its markers made anew."""
    head, _, rest = text.partition(MARKERS[0])
    _, _, tail = rest.partition(MARKERS[1])
    return f"{head}{MARKERS[0]}\n{block(rows)}\n{MARKERS[1]}{tail}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--from", dest="source", type=Path, metavar="results.jsonl")
    args = parser.parse_args()
    if args.source:
        results.load(args.source)
        ROWS.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(args.source, ROWS)
    rows = results.load(ROWS)
    viz.compare_chart(rows).savefig(ROWS.with_suffix(".png"))
    path = ROOT / "README.md"
    path.write_text(readme(path.read_text(encoding="utf-8"), rows), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(run_and_report(main, "refresh_results"))
