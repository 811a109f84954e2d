"""`make notebooks-full`: run every notebook with MODE = "full" under papermill, and say how long each took.

    python tools/notebooks_full.py --board-python .venv-board/bin/python              all of notebooks/*.ipynb
    python tools/notebooks_full.py --board-python ... notebooks/04*.ipynb

A notebook that imports no torch promises to run on a board. So it is run by the kernel of an environment that has
none, --board-python; the others by this one. The executed notebooks go to outputs/notebooks-full/ (--out). An error is
one line that names the notebook and the cell, the other notebooks still run, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat
import papermill
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.exceptions import PapermillExecutionError

ROOT = Path(__file__).resolve().parent.parent
MINUTES = 40  # that all of them together are meant to stay below; said, not enforced: machines differ
CELL_SECONDS = 3600


def imports_torch(notebook) -> bool:
    """Whether a cell imports torch, or a room of the package that does."""
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    return bool(re.search(r"^\s*(import (torch|bivm_ref\.(net|learn))\b|from (torch|bivm_ref\.(net|learn))\b|"
                          r"from bivm_ref import .*\b(net|learn)\b)", code, re.M))


def kernels(folder: Path, **pythons: str) -> None:
    """Kernels of those names for those interpreters, below `folder`, where this process will look for kernels."""
    for name, python in pythons.items():
        argv = [python, "-m", "ipykernel_launcher", "--log-level=ERROR", "-f", "{connection_file}"]
        (folder / "kernels" / name).mkdir(parents=True)
        kernel = {"argv": argv, "display_name": name, "language": "python"}
        (folder / "kernels" / name / "kernel.json").write_text(json.dumps(kernel))
    os.environ["JUPYTER_PATH"] = os.pathsep.join(filter(None, [str(folder), os.environ.get("JUPYTER_PATH")]))
    # The kernels run the package of this checkout, wherever another copy may be installed.
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))


def has_torch(python: str) -> bool:
    command = [python, "-c", "import importlib.util as u, ipykernel; print(u.find_spec('torch') is not None)"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "True"


def execute(path: Path, out: Path, kernel: str) -> str:
    """Run a notebook in full mode into the file `out`; what went wrong, in one line, or nothing."""
    try:
        papermill.execute_notebook(str(path), str(out), {"MODE": "full"}, kernel_name=kernel, cwd=str(path.parent),
                                   execution_timeout=CELL_SECONDS, progress_bar=sys.stderr.isatty())
    except PapermillExecutionError as error:
        return f"cell {error.exec_count} ({_first_line(error.source)}): {error.ename}: {_first_line(error.evalue)}"
    except (CellTimeoutError, DeadKernelError) as error:
        return f"a cell of {out} has no output: {_first_line(str(error))}"
    return ""


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: notebooks/*.ipynb")
    parser.add_argument("--board-python", required=True, help="the Python of an environment without torch")
    parser.add_argument("--out", type=Path, default=ROOT / "outputs" / "notebooks-full")
    arguments = parser.parse_args(argv)
    if has_torch(arguments.board_python):
        print(f"notebooks-full: ERROR: {arguments.board_python} has torch, so it cannot show that a board needs none; "
              "remove that environment, then run again", file=sys.stderr)
        return 2
    arguments.out.mkdir(parents=True, exist_ok=True)
    failures, total = 0, 0.0
    with tempfile.TemporaryDirectory() as folder:
        # absolute, for kernels start in a notebook's folder; not resolved, for an environment is known by its link
        kernels(Path(folder), board=os.path.abspath(arguments.board_python), torch=sys.executable)
        for path in arguments.notebooks or sorted((ROOT / "notebooks").glob("*.ipynb")):
            kernel = "torch" if imports_torch(nbformat.read(path, as_version=4)) else "board"
            start = time.perf_counter()
            wrong = execute(path.resolve(), arguments.out / path.name, kernel)
            seconds = time.perf_counter() - start
            total, failures = total + seconds, failures + bool(wrong)
            where = "with torch" if kernel == "torch" else "without torch"
            print(f"{path.stem:28}{seconds:7.1f} s  {where}", flush=True)
            if wrong:
                print(f"notebooks-full: FAILED: {path.name}, {wrong}", file=sys.stderr, flush=True)
    enough = "within" if total <= 60 * MINUTES else "OVER"
    print(f"{'in all':28}{total:7.1f} s  {enough} the {MINUTES} minutes that they are meant to take at most")
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
