"""`make notebooks-full`: which notebooks run without torch, and what an error looks like."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tools import notebooks_full as full

ROOT = Path(__file__).resolve().parent.parent


def notebook(*sources: str):
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    cells[0].metadata["tags"] = ["parameters"]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})


@pytest.mark.parametrize(("source", "expected"), [
    ("import torch", True), ("import torch.nn as nn", True), ("from torch.nn import functional as F", True),
    ("if MODE:\n    import torch", True), ("from bivm_ref.learn import tiny", True),
    ("from bivm_ref import net", True), ("from bivm_ref import viz, learn", True),
    ("import torchless", False), ("from bivm_ref.network import x", False), ("print('import torch')", False),
    ("from bivm_ref import checks, viz\nnet = 1", False), ("assert 'torch' not in sys.modules", False),
])
def test_which_notebooks_need_torch(source, expected):
    assert full.imports_torch(notebook("MODE = 'fast'", source)) == expected


def test_prose_does_not_import():
    written = notebook("MODE = 'fast'")
    written.cells.append(nbformat.v4.new_markdown_cell("import torch"))
    assert not full.imports_torch(written)


def test_a_board_environment_with_torch_is_refused(tmp_path, capsys):
    assert full.main(["--board-python", sys.executable, "--out", str(tmp_path / "out")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"notebooks-full: ERROR: {sys.executable} has torch") and not (tmp_path / "out").exists()


def test_an_error_is_one_line_and_the_others_still_run(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(full, "has_torch", lambda python: False)  # one environment plays both
    for name in ("JUPYTER_PATH", "PYTHONPATH"):
        monkeypatch.setenv(name, os.environ.get(name, ""))  # main changes them for its kernels
    bad = notebook("MODE = 'fast'", "x = 6", "# the worst\ny = {}\ny['alpha']", "print(x)")
    good = notebook("MODE = 'fast'", "print(MODE, 6 * 7)")
    (tmp_path / "course").mkdir()
    for name, written in (("a_bad", bad), ("b_good", good)):
        nbformat.write(written, tmp_path / "course" / f"{name}.ipynb")
    paths = [f"course/{name}.ipynb" for name in ("a_bad", "b_good")]
    monkeypatch.chdir(tmp_path)  # as make does, all paths are relative, while the kernels start in the course's folder
    assert full.main(["--board-python", os.path.relpath(sys.executable), "--out", "out", *paths]) == 1
    told = capsys.readouterr()
    failed = [line for line in told.err.splitlines() if line.startswith("notebooks-full:")]
    assert failed == ["notebooks-full: FAILED: a_bad.ipynb, cell 4 (# the worst): KeyError: 'alpha'"]
    assert [line.split()[0] for line in told.out.splitlines()] == ["a_bad", "b_good", "in"]
    assert told.out.splitlines()[-1].endswith("within the 40 minutes that they are meant to take at most")
    ran = nbformat.read(tmp_path / "out" / "b_good.ipynb", as_version=4)
    assert ran.cells[-1].outputs[0].text == "full 42\n"


def test_the_fast_pass_prints_a_notebooks_run_time():
    """nbval's cells lie outside tests/, where a conftest's own hooks are not called for them."""
    other = "tests/test_browser_tool.py::test_continuous_integration_runs_it_and_its_folders_are_ignored"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--nbval", "--nbval-current-env",
               other, "notebooks/00_start_here.ipynb::Cell 0"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("00_start_here ")]
    assert float(line.split()[1]) > 0 and line.split()[2] == "-"
