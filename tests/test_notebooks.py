"""Every notebook keeps the house's structure, and runs with MODE = "full" under papermill.

Its committed outputs are compared cell by cell by nbval (`make test` runs pytest over notebooks/ as well); nbval passes
an unexecuted notebook in silence, so the lint here demands that every cell was run, in order.
"""

import copy
import re
from pathlib import Path

import nbformat
import numpy as np
import papermill
import pytest

from tools import refresh_notebooks as refresh

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MOST = {"cells": 40, "code cells": 25, "code lines": 150, "kilobytes": 300}
names = {"argnames": "path", "argvalues": NOTEBOOKS, "ids": [path.stem for path in NOTEBOOKS]}


# ── the lint ─────────────────────────────────────────────────────────────────────────────────

def problems(notebook, size: int) -> list[str]:
    """What is wrong with the structure of a notebook of `size` bytes, one line each."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    prose = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    lines = sum(bool(line.strip()) for cell in code for line in cell.source.splitlines())
    sizes = {"cells": len(notebook.cells), "code cells": len(code), "code lines": lines, "kilobytes": size / 1000}
    found = [f"{sizes[what]:.0f} {what}, over {most}" for what, most in MOST.items() if sizes[what] > most]

    if [cell.execution_count for cell in code] != list(range(1, len(code) + 1)):
        found.append("not run from top to bottom")
    outputs = [out for cell in code for out in cell.outputs]
    found += [f"an error in its output: {out.ename}" for out in outputs if out.output_type == "error"]
    if notebook.metadata.get("kernelspec", {}).get("name") != "python3":
        found.append("the kernel is not python3")
    if "widgets" in notebook.metadata or "version" in notebook.metadata.get("language_info", {}):
        found.append("the outputs were not written by tools/refresh_notebooks.py")

    title, wanted = notebook.cells[0].source, {
        "level": r"\*\*Level\*\* \| [123] of 3", "minutes": r"\*\*Time\*\* \| \d+ minutes",
        "run time on a laptop and a board": r"\*\*Run time\*\* \|.*laptop.*board", "do": r"\*\*Do\*\* \| \w",
        "learn": r"\*\*Learn\*\* \| \w", "need": r"\*\*Need\*\* \| \w"}
    if not re.match(r"# \d\d · \S", title):
        found.append("does not open with a title, # 00 · …")
    found += [f"its first cell does not say: {what}" for what, text in wanted.items() if not re.search(text, title)]
    found += [f"no section: {name}" for name in ("Objectives", "Summary", "What comes next")
              if not re.search(rf"^## {name}$", prose, re.M)]
    if not 3 <= len(re.findall(r"^\d\. ", _section(prose, "Objectives"), re.M)) <= 5:
        found.append("not 3 to 5 objectives")
    predictions = prose.count("**Predict, then run")
    if predictions < 2 or prose.count("<details><summary>") < predictions or prose.count("</details>") < predictions:
        found.append("fewer than 2 predictions with a folded answer")
    exercises = set(re.findall(r"\*\*Exercise E(\d+\.\d+)\.\*\*", prose))
    calls = re.findall(r"^checks\.check_E(\d+_\d+)\(", "\n".join(cell.source for cell in code), re.M)
    checked = {call.replace("_", ".") for call in calls}
    if not 2 <= len(exercises) <= 4 or exercises != checked:
        found.append(f"2 to 4 exercises, each with its check: {sorted(exercises)} against {sorted(checked)}")
    return found + _parameter_problems(code) + _picture_problems(notebook.cells)


def _section(prose: str, name: str) -> str:
    return "".join(re.findall(rf"^## {name}\n(.*?)(?=^## |\Z)", prose, re.M | re.S))


def _parameter_problems(code) -> list[str]:
    tagged = [i for i, cell in enumerate(code) if "parameters" in cell.metadata.get("tags", [])]
    if tagged != [0] or not re.match(r'MODE = "fast"', code[0].source):
        return ['its first code cell is not the one tagged parameters, with MODE = "fast"']
    if not code[1].source.startswith('assert MODE in ("fast", "full")'):  # a misspelt parameter would exit 0
        return ["no assert on MODE after the parameters"]
    return []


def _picture_problems(cells) -> list[str]:
    """Every picture has alternative text, and prose before it that says what to see."""
    found = []
    for before, cell in zip([None, *cells], cells):
        for out in cell.get("outputs", []):
            for kind in (k for k in out.get("data", {}) if k.startswith("image/")):
                if len(out.metadata.get(kind, {}).get("alt", "").split()) < 4:
                    found.append(f"a picture without alternative text in {cell.source[:40]!r}")
                if before.cell_type != "markdown":
                    found.append(f"no sentence that says what to see before {cell.source[:40]!r}")
        if cell.cell_type == "markdown" and re.search(r"!\[\s*\]\(|<img(?![^>]*alt=)", cell.source):
            found.append(f"a picture without alternative text in {cell.source[:40]!r}")
    return found


def test_there_are_notebooks():
    assert [path.name for path in NOTEBOOKS][:1] == ["00_start_here.ipynb"]


@pytest.mark.parametrize(**names)
def test_structure(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert problems(notebook, path.stat().st_size) == []


# What the lint must catch, done to a good notebook.

def _code(notebook, number):
    return [cell for cell in notebook.cells if cell.cell_type == "code"][number]


def _picture_cell(notebook):
    return next(c for c in notebook.cells if any("image/jpeg" in o.get("data", {}) for o in c.get("outputs", [])))


def _replaced(notebook, old, new):
    changed = [cell for cell in notebook.cells if old in cell.source]
    for cell in changed:
        cell.source = cell.source.replace(old, new)
    assert changed


DAMAGE = {
    "not run": lambda nb: _code(nb, 3).update(execution_count=None),
    "41 cells": lambda nb: nb.cells.extend([nbformat.v4.new_markdown_cell("x")] * (41 - len(nb.cells))),
    "code lines": lambda nb: _code(nb, 5).update(source="\n".join(["x = 1"] * 150)),
    "the kernel": lambda nb: nb.metadata.kernelspec.update(name="conda-env-bivm-py"),
    "not written by": lambda nb: nb.metadata.update(widgets={}),
    "a title": lambda nb: _replaced(nb, "# 00 ·", "##"),
    "does not say: minutes": lambda nb: _replaced(nb, "minutes", "min"),
    "does not say: level": lambda nb: _replaced(nb, "1 of 3", "easy"),
    "no section: Summary": lambda nb: _replaced(nb, "## Summary", "## In short"),
    "objectives": lambda nb: nb.cells[0].update(source=re.sub(r"(?m)^\d\. ", "- ", nb.cells[0].source)),
    "predictions": lambda nb: _replaced(nb, "**Predict, then run", "**Run"),
    "exercises": lambda nb: _replaced(nb, "checks.check_E0_1(", "print("),
    "parameters": lambda nb: _code(nb, 0).metadata.pop("tags"),
    "MODE = ": lambda nb: _code(nb, 0).update(source='MODE = "full"'),
    "no assert on MODE": lambda nb: _replaced(nb, "assert MODE", "print(MODE)  # assert MODE"),
    "alternative text": lambda nb: [out.metadata.clear() for out in _picture_cell(nb).outputs],
    "an error in its output": lambda nb: _code(nb, 2).outputs.append(
        nbformat.v4.new_output("error", ename="ValueError", evalue="", traceback=[])),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_the_lint_sees(damage):
    notebook = nbformat.read(NOTEBOOKS[0], as_version=4)
    DAMAGE[damage](notebook)
    assert any(damage in line for line in problems(notebook, 1000))


def test_the_lint_sees_a_large_file():
    assert problems(nbformat.read(NOTEBOOKS[0], as_version=4), 301_000) == ["301 kilobytes, over 300"]


# ── running ──────────────────────────────────────────────────────────────────────────────────

def run(path, folder, **parameters):
    return papermill.execute_notebook(str(path), str(folder / path.name), parameters, kernel_name="python3",
                                      cwd=str(path.parent), progress_bar=False, execution_timeout=600)


@pytest.mark.parametrize(**names)
def test_full_mode_runs(path, tmp_path):
    notebook = run(path, tmp_path, MODE="full")
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert any(cell.source.startswith("# Parameters") and 'MODE = "full"' in cell.source for cell in code)
    assert all(cell.metadata.papermill.status == "completed" for cell in code)


def test_a_misspelt_mode_is_refused(tmp_path):
    with pytest.raises(papermill.exceptions.PapermillExecutionError, match="AssertionError: ful"):
        run(NOTEBOOKS[0], tmp_path, MODE="ful")


def test_the_first_notebook_needs_no_torch():
    notebook = nbformat.read(NOTEBOOKS[0], as_version=4)
    printed = "".join(out.get("text", "") for cell in notebook.cells for out in cell.get("outputs", []))
    assert "torch was imported: False" in printed


# ── tools/refresh_notebooks.py ───────────────────────────────────────────────────────────────

def small(*sources, tags=()):
    """A notebook of those code cells."""
    cells = [nbformat.v4.new_code_cell(source, metadata={"tags": list(tags)}) for source in sources]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """One run of a notebook with a print, a widget and twice the same cell."""
    sources = ["print(6 * 7)", "import ipywidgets\nipywidgets.IntSlider()", "object()", "object()"]
    return refresh.execute(small(*sources), tmp_path_factory.mktemp("run"))


RULES = refresh.sanitizer(ROOT / "tests" / "nbval_sanitize.cfg")


def test_refresh_runs_and_leaves_out_what_changes_by_itself(ran):
    assert [cell.execution_count for cell in ran.cells] == [1, 2, 3, 4]
    assert ran.cells[0].outputs[0].text == "42\n"
    assert ran.cells[1].outputs == []  # the widget: nothing to show without a kernel
    assert "widgets" not in ran.metadata and "version" not in ran.metadata.language_info
    assert not any("execution" in cell.metadata for cell in ran.cells)


def test_cell_ids_come_from_the_sources_and_are_unique(ran):
    ids = [cell.id for cell in ran.cells]
    assert len(set(ids)) == 4 and ids[3] == ids[2] + "-2"
    again = copy.deepcopy(ran)
    for cell in again.cells:
        cell.id = "x"
    assert [cell.id for cell in refresh.tidy(again).cells] == ids


def test_check_passes_addresses_and_names_a_changed_output(ran):
    ran, other = copy.deepcopy(ran), copy.deepcopy(ran)
    other.cells[2].outputs[0].data["text/plain"] = "<object at 0x7fffdeadbeef>"
    assert refresh.changes(ran, other, RULES) == []
    for notebook, order in ((ran, ("text/markdown", "text/plain")), (other, ("text/plain", "text/markdown"))):
        notebook.cells[2].outputs[0].data = {kind: kind for kind in order}
    assert refresh.changes(ran, other, RULES) == []
    other.cells[0].outputs[0].text = "43\n"
    assert refresh.changes(ran, other, RULES) == ["cell 0: 'stdout: 42' -> 'stdout: 43'"]
    other.cells[0].metadata["tags"] = ["nbval-ignore-output"]  # a timing
    assert refresh.changes(ran, other, RULES) == []
    other.cells[1].source += "  # edited"
    assert refresh.changes(ran, other, RULES) == ["the cells themselves differ"]


def test_pictures_may_differ_by_a_trifle_only():
    plain = np.full((40, 60, 3), 200, np.int16)
    edge, other = plain.copy(), plain.copy()
    edge[:, 30] -= 60  # one column in sixty: 1 level on average
    other[:, :30] -= 60
    assert refresh.same_picture(plain, edge)
    assert not refresh.same_picture(plain, other)
    assert not refresh.same_picture(plain, plain[:-1])


def test_a_failing_cell_writes_nothing(tmp_path, capsys):
    path = tmp_path / "bad.ipynb"
    path.write_text(nbformat.writes(small("1 / 0")), encoding="utf-8")
    before = path.read_bytes()
    assert refresh.main([str(path)]) == 1
    assert "ZeroDivisionError" in capsys.readouterr().err
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_refresh_twice_writes_the_same_bytes_and_check_writes_none(tmp_path):
    path = tmp_path / "good.ipynb"
    path.write_text(nbformat.writes(small("print(2**10)", "object()")), encoding="utf-8")
    fresh = path.read_bytes()
    assert refresh.main(["--check", str(path)]) == 1  # not run yet
    assert path.read_bytes() == fresh
    assert refresh.main([str(path)]) == 0
    assert refresh.main(["--check", str(path)]) == 0
    assert nbformat.read(path, as_version=4).cells[0].outputs[0].text == "1024\n"
