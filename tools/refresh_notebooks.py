"""Run the notebooks in a fresh kernel and write their outputs: nothing else writes committed outputs.

    python tools/refresh_notebooks.py                     all of notebooks/*.ipynb
    python tools/refresh_notebooks.py --check             write nothing; exit 1 if an output would change
    python tools/refresh_notebooks.py notebooks/00*.ipynb

What differs between two runs and means nothing is left out of the file: cell timings, the widgets' state
(large, and stale at once), the Python version. A widget's own output goes too: without its state Jupyter
shows an error there until the cell is run, and the static twin above it stays. Cell ids are made from the
sources, so a refresh keeps them.

--check compares as nbval does, by the rules of tests/nbval_sanitize.cfg and without the cells tagged
nbval-ignore-output (timings, widgets), and looks at the pictures too, which nbval does not: they may differ
by less than 2 of 255 levels on average, so that a new matplotlib's text edges pass.
"""

from __future__ import annotations

import argparse
import base64
import configparser
import copy
import hashlib
import io
import os
import re
import sys
import time
from pathlib import Path

import nbformat
import numpy as np
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from PIL import Image

from bivm_ref.files import beside

ROOT = Path(__file__).resolve().parent.parent
IGNORED = "nbval-ignore-output"
WIDGET = "application/vnd.jupyter.widget-view+json"
SAME_PICTURE = 2.0  # mean absolute difference in levels


def execute(notebook, folder: Path, timeout: int = 300):
    """A copy of the notebook, run from top to bottom in `folder` by a fresh kernel, tidied. Raises
    CellExecutionError."""
    notebook = copy.deepcopy(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    NotebookClient(notebook, timeout=timeout, kernel_name="python3", record_timing=False, coalesce_streams=True,
                   resources={"metadata": {"path": str(folder)}}).execute()
    return tidy(notebook)


def tidy(notebook):
    """Leave out of a run notebook what only looks like a change; returns it."""
    notebook.metadata.pop("widgets", None)
    notebook.metadata.pop("papermill", None)
    notebook.metadata.get("language_info", {}).pop("version", None)
    seen: dict[str, int] = {}
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        key = hashlib.sha256(cell.source.encode()).hexdigest()[:8]
        seen[key] = seen.get(key, 0) + 1
        cell.id = key if seen[key] == 1 else f"{key}-{seen[key]}"
        if cell.cell_type == "code":
            cell.outputs = [out for out in cell.outputs if WIDGET not in out.get("data", {})]
    return notebook


def changes(old, new, rules: list[tuple[str, str]]) -> list[str]:
    """What a refresh would change, one line each, in the outputs of the cells that are compared."""
    if [(c.cell_type, c.source) for c in old.cells] != [(c.cell_type, c.source) for c in new.cells]:
        return ["the cells themselves differ"]
    lines = []
    for number, (before, after) in enumerate(zip(old.cells, new.cells)):
        if before.cell_type != "code":
            continue
        if before.execution_count != after.execution_count:
            lines.append(f"cell {number}: run as {before.execution_count} -> {after.execution_count}")
        if IGNORED in after.metadata.get("tags", []):
            continue
        mine, theirs = (_compared(cell, rules) for cell in (before, after))
        if mine["text"] != theirs["text"]:
            lines.append(f"cell {number}: {_first_difference(mine['text'], theirs['text'])}")
        elif len(mine["pictures"]) != len(theirs["pictures"]):
            lines.append(f"cell {number}: {len(mine['pictures'])} pictures -> {len(theirs['pictures'])}")
        elif not all(map(same_picture, mine["pictures"], theirs["pictures"])):
            lines.append(f"cell {number}: a picture")
    return lines


def _compared(cell, rules) -> dict[str, list]:
    """The text of a cell's outputs, sanitised, and its pictures as arrays."""
    text, pictures = "", []
    for out in cell.outputs:
        if out.output_type == "stream":
            text += f"{out.name}: {out.text}"
        elif out.output_type == "error":
            text += f"{out.ename}: {out.evalue}\n"
        for kind, data in sorted(out.get("data", {}).items()):  # in a file they are sorted, from a kernel they are not
            if kind in ("image/png", "image/jpeg"):
                alt = out.metadata.get(kind, {}).get("alt", "")
                text += f"picture: {alt}\n"
                picture = Image.open(io.BytesIO(base64.b64decode(data)))
                pictures.append(np.asarray(picture.convert("RGB"), np.int16))
            else:
                text += f"{kind}: {data}\n"
    for pattern, replacement in rules:
        text = re.sub(pattern, replacement, text)
    return {"text": text.splitlines(), "pictures": pictures}


def _first_difference(old: list[str], new: list[str]) -> str:
    length = max(len(old), len(new))
    pad = [lines + ["(nothing)"] * (length - len(lines)) for lines in (old, new)]
    return next(f"{a!r} -> {b!r}" for a, b in zip(*pad) if a != b)


def same_picture(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape and float(np.abs(a - b).mean()) < SAME_PICTURE


def sanitizer(path: Path) -> list[tuple[str, str]]:
    """nbval's rules: [(regex, replacement), ...]."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(path, encoding="utf-8")
    return [(section["regex"], section["replace"]) for section in map(parser.__getitem__, parser.sections())]


def write(notebook, path: Path) -> None:
    """A run that is stopped leaves the old file."""
    nbformat.validate(notebook)
    with beside(path) as part:
        part.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: notebooks/*.ipynb")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if one would change")
    arguments = parser.parse_args(argv)
    if missing := [path for path in arguments.notebooks if not path.is_file()]:
        parser.error(f"{missing[0]}: no such notebook; name files, as in notebooks/00*.ipynb")
    # The kernel runs the package of this checkout, wherever another copy may be installed.
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    rules, stale = sanitizer(ROOT / "tests" / "nbval_sanitize.cfg"), 0
    for path in arguments.notebooks or sorted((ROOT / "notebooks").glob("*.ipynb")):
        old, start = nbformat.read(path, as_version=4), time.perf_counter()
        try:
            new = execute(old, path.resolve().parent)
        except CellExecutionError as error:
            print(f"{path}: a cell failed; nothing was written\n{error}", file=sys.stderr)
            return 1
        lines = changes(old, new, rules)
        stale += bool(lines)
        if not arguments.check:
            write(new, path)
        seconds = time.perf_counter() - start
        print("\n  ".join([f"{path.name}: {len(lines)} changed outputs, {seconds:.0f} s", *lines]))
    return int(arguments.check and stale > 0)


if __name__ == "__main__":
    sys.exit(main())
