"""Run a folder of students' notebooks and write what the checks say of every exercise, as CSV.

    python tools/grade_notebooks.py FOLDER                        into FOLDER/grades.csv
    python tools/grade_notebooks.py FOLDER --seed 2026 --out week3.csv

Every *.ipynb below FOLDER is run from the first cell to the last in a kernel of its own, started in notebooks/ as the
students had it. Behind each cell that calls `checks.check_E3_1(clip_ste)`, the same check is called once more with the
teacher's seed, so that answers which fit the students' own data (seed 0) do not pass. A cell that fails does not stop
the ones after it. Nothing is written into the notebooks.

**The notebooks are programs and are run with your rights.** Use an account or a container that can be thrown away; see
docs/instructor.md. A student who sets out to deceive the checks can: read what surprises you.
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from tqdm import tqdm

from bivm_ref.files import beside

ROOT = Path(__file__).resolve().parent.parent
CALL = re.compile(r"^checks\.check_E(\d+)_(\d+)\((\w+)", re.M)
GRADER = "teachers-check"  # metadata of the cells that are added
COLUMNS = ("notebook", "exercise", "verdict", "hint", "seed")


def with_checks(notebook, seed: int):
    """The notebook with a cell behind each exercise that calls its check with `seed`; outputs dropped. Changes it."""
    cells = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        cells.append(cell)
        for chapter, number, function in CALL.findall(cell.source if cell.cell_type == "code" else ""):
            source = f"import bivm_ref.checks as _c\n_c.check_E{chapter}_{number}({function}, seed={seed})"
            cells.append(nbformat.v4.new_code_cell(source, metadata={GRADER: f"E{chapter}.{number}"}))
    notebook.cells = cells
    return notebook


def run(notebook, timeout: int) -> str | None:
    """Run it in place; what ended it early, or None. A cell may take `timeout` seconds."""
    client = NotebookClient(notebook, timeout=timeout, kernel_name="python3", allow_errors=True, record_timing=False,
                            resources={"metadata": {"path": str(ROOT / "notebooks")}})
    try:
        client.execute()
    except CellTimeoutError:
        return f"a cell took over {timeout} seconds"
    except DeadKernelError:
        return "the kernel died"
    return None


def verdicts(notebook, ended: str | None) -> Iterator[tuple[str, str, str]]:
    """(exercise, verdict, hint) of each exercise, from the outputs of the cells that with_checks added."""
    for cell in notebook.cells:
        if GRADER in cell.metadata:
            yield (cell.metadata[GRADER], *_verdict(cell, ended))


def _verdict(cell, ended: str | None) -> tuple[str, str]:
    name = cell.metadata[GRADER]
    for output in cell.outputs:
        if output.output_type == "error":
            return "error", f"{output.ename}: {output.evalue}".splitlines()[0]
    lines = "".join(out.text for out in cell.outputs if out.get("name") == "stdout").splitlines()
    said = lines[-1].removeprefix(f"{name}: ") if lines and lines[-1].startswith(f"{name}: ") else None
    if said is None:
        return "not run", ended or "the check printed nothing"
    if said.startswith("right"):
        return "right", ""
    if said == "not attempted yet":
        return "not attempted", ""
    if said.startswith("it stops with"):
        return "error", said.removeprefix("it stops with ")
    return "not yet", said.removeprefix("not yet. Hint: ")


def grade(path: Path, seed: int, timeout: int) -> list[tuple[str, str, str]]:
    """[(exercise, verdict, hint), ...] of one notebook; a single row when it cannot be read or has no exercise."""
    try:
        notebook = with_checks(nbformat.read(path, as_version=4), seed)
        nbformat.validate(notebook)
    except Exception as error:  # whatever a broken file does to the reader
        return [("", "unreadable", f"{type(error).__name__}: {error}".splitlines()[0])]
    rows = list(verdicts(notebook, run(notebook, timeout)))
    return rows or [("", "no exercises", "no cell begins a line with checks.check_E")]


def write(path: Path, rows: list[dict]) -> None:
    """The CSV. UserError where it cannot be written."""
    with beside(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="with students' notebooks, in folders of any depth")
    parser.add_argument("--seed", type=int, default=1, help="of the data of the checks; students have 0 (default: 1)")
    parser.add_argument("--timeout", type=int, default=120, help="seconds that one cell may take (default: 120)")
    parser.add_argument("--out", type=Path, help="default: FOLDER/grades.csv")
    args = parser.parse_args(argv)
    notebooks = [p for p in sorted(args.folder.rglob("*.ipynb")) if ".ipynb_checkpoints" not in p.parts]
    if args.seed < 0 or args.timeout < 1 or not notebooks:
        problem = "no notebook (*.ipynb) in it" if not notebooks else "--seed from 0 and --timeout from 1 upward"
        print(f"grade_notebooks: error: {args.folder}: {problem}", file=sys.stderr)
        return 2
    # The kernels run the package of this checkout, and no student's copy.
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    rows = []
    for path in tqdm(notebooks, unit="notebook", disable=None):
        rows += [dict(zip(COLUMNS, (path.relative_to(args.folder).as_posix(), *row, args.seed)))
                 for row in grade(path, args.seed, args.timeout)]
    out = args.out or args.folder / "grades.csv"
    write(out, rows)
    right = sum(row["verdict"] == "right" for row in rows)
    print(f"{len(notebooks)} notebooks, {right} of {len(rows)} exercises right -> {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
