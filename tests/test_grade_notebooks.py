"""tools/grade_notebooks.py: every verdict on made notebooks, the seed, and what may go wrong on the way."""

import csv
from pathlib import Path

import nbformat
import pytest

from tools import grade_notebooks as grader

ROOT = Path(__file__).resolve().parent.parent

RIGHT = ("def popcount_by_table(packed):\n    table = np.array([bin(v).count('1') for v in range(256)])\n"
         "    return int(table[packed].sum())\nchecks.check_E4_4(popcount_by_table)")
STUB = "def pack(x):\n    return None\nchecks.check_E4_2(pack)"
WRONG = "def dot_of_bits(a, w):\n    return int((a ^ w).sum())\nchecks.check_E4_1(dot_of_bits)"
STOPS = "def border_dot(taps, weights, inside):\n    return nothing\nchecks.check_E4_3(border_dot)"
IMPORTS = "import numpy as np\nfrom bivm_ref import checks"


def save(path: Path, *sources: str) -> Path:
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(nbformat.writes(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})), "utf-8")
    return path


def rows(path: Path) -> dict[tuple[str, str], tuple[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return {(row["notebook"], row["exercise"]): (row["verdict"], row["hint"]) for row in csv.DictReader(file)}


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """A class of three: one notebook with every kind of answer, one that hangs, one file that is no notebook."""
    folder = tmp_path_factory.mktemp("class")
    one = save(folder / "ada" / "04.ipynb", IMPORTS, RIGHT, "1 / 0", STUB, WRONG, STOPS)
    save(folder / "bob" / "04.ipynb", IMPORTS, RIGHT, "import time; time.sleep(60)", WRONG)
    (folder / "eve.ipynb").write_text("{", encoding="utf-8")
    before = one.read_bytes()
    assert grader.main([str(folder), "--seed", "7", "--timeout", "8"]) == 0
    assert one.read_bytes() == before
    return rows(folder / "grades.csv")


def test_every_verdict(graded):
    ada = {exercise: verdict for (notebook, exercise), verdict in graded.items() if notebook == "ada/04.ipynb"}
    assert ada["E4.4"] == ("right", "")  # and the cell that fails after it stops nothing
    assert ada["E4.2"] == ("not attempted", "")
    assert ada["E4.1"][0] == "not yet" and "how many bits differ" in ada["E4.1"][1]
    assert ada["E4.3"][0] == "error" and ada["E4.3"][1].startswith("NameError")


def test_a_cell_that_hangs_keeps_what_came_before(graded):
    assert graded["bob/04.ipynb", "E4.4"] == ("right", "")
    assert graded["bob/04.ipynb", "E4.1"] == ("not run", "a cell took over 8 seconds")


def test_a_broken_file_is_one_row(graded):
    assert graded["eve.ipynb", ""][0] == "unreadable"
    assert len(graded) == 7


def test_the_teachers_seed_reaches_the_check():
    notebook = grader.with_checks(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(RIGHT)]), seed=7)
    assert [cell.source.splitlines()[-1] for cell in notebook.cells] == [
        "checks.check_E4_4(popcount_by_table)", "_c.check_E4_4(popcount_by_table, seed=7)"]


def printed(*texts: str):
    outputs = [nbformat.v4.new_output("stream", name="stdout", text=text) for text in texts]
    return nbformat.v4.new_code_cell("", outputs=outputs, metadata={grader.GRADER: "E4.1"})


def test_only_the_last_line_counts():
    cells = [printed("E4.1: right, as I say\n", "E4.1: not attempted yet\n"), printed("E4.2: right\n"), printed()]
    found = list(grader.verdicts(nbformat.v4.new_notebook(cells=cells), None))
    assert [verdict for _, verdict, _ in found] == ["not attempted", "not run", "not run"]


@pytest.mark.parametrize("words", [["--seed", "-1"], ["--timeout", "0"], []])
def test_mistakes_are_one_line(words, tmp_path, capsys):
    if words:
        save(tmp_path / "a.ipynb", "1")
    assert grader.main([str(tmp_path), *words]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
