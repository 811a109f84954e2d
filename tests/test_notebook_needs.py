"""A notebook that lacks torch or ipywidgets says in one line what to install; a board's needs neither torch nor a room
of the package that does."""

import ast
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from bivm_ref.errors import UserError
from tools import notebooks_full as full

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = {path.stem: nbformat.read(path, as_version=4) for path in sorted((ROOT / "notebooks").glob("*.ipynb"))}
WITH_TORCH = [name for name, notebook in NOTEBOOKS.items() if full.imports_torch(notebook)]
# As if a package were not there: what else it would be found by is not asked.
BLOCK = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {package!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Missing())
"""


def code_of(name: str) -> list[str]:
    return [cell.source for cell in NOTEBOOKS[name].cells if cell.cell_type == "code"]


def run_without(package: str, *sources: str) -> subprocess.CompletedProcess:
    """The sources in a fresh Python in which `package` is missing."""
    program = "\n".join((BLOCK.format(package=package), *sources))
    return subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)


def imports(name: str) -> str:
    """Every import of a notebook, none of its work; need_torch stays, for it belongs to them."""
    lines = [node for source in code_of(name) for node in ast.parse(source).body
             if isinstance(node, ast.Import | ast.ImportFrom) or ast.unparse(node).startswith("need_torch(")]
    return "\n".join(map(ast.unparse, lines))


def widget_calls(name: str) -> list[ast.Call]:
    """What makes a notebook's widgets: the calls whose result a cell shows, of functions documented to return one."""
    modules, found = {}, []
    exec(imports(name), modules)
    for source in code_of(name):
        last = ast.parse(source).body[-1] if source.strip() else None
        if isinstance(last, ast.Expr) and isinstance(last.value, ast.Call):
            made_by = eval(ast.unparse(last.value.func), modules) if _is_known(last.value.func, modules) else None
            if "-> ipywidgets." in (getattr(made_by, "__doc__", None) or ""):
                found.append(last.value)
    return found


def _is_known(function: ast.expr, modules: dict) -> bool:
    return isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name) and function.value.id in modules


# ── torch ────────────────────────────────────────────────────────────────────────────────────

def test_both_kinds_of_notebook_are_there():
    assert {"03_binarization", "05_elastic_and_evolvable"} <= set(WITH_TORCH)
    assert not {"00_start_here", "04_bits_by_hand", "08_packed_engine", "09_arm_timing"} & set(WITH_TORCH)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_the_title_tells_who_has_no_use_for_it_on_a_board(name):
    """Board readers are told in the title's table, and `make notebooks-full` runs the others without torch."""
    assert ("not meant for one" in NOTEBOOKS[name].cells[0].source) == (name in WITH_TORCH)


@pytest.mark.parametrize("name", WITH_TORCH)
def test_without_torch_the_cell_that_imports_it_says_what_to_install(name):
    sources = code_of(name)
    first = next(i for i, source in enumerate(sources) if "import torch" in source or "bivm_ref.learn" in source)
    result = run_without("torch", *sources[:first + 1])
    last = result.stderr.strip().splitlines()[-1]
    assert last.endswith(f"UserError: notebook {name[:2]} needs torch, which is not installed; "
                         "pip install 'bivm_ref[train]'")


@pytest.mark.parametrize("name", sorted(set(NOTEBOOKS) - set(WITH_TORCH)))
def test_a_notebook_for_boards_imports_without_torch(name):
    result = run_without("torch", imports(name), "assert 'torch' not in sys.modules")
    assert result.returncode == 0, result.stderr


# ── ipywidgets ───────────────────────────────────────────────────────────────────────────────

@pytest.mark.parametrize("name", NOTEBOOKS)
def test_without_ipywidgets_the_widget_says_what_to_install(name):
    """The rest of the notebook does not notice. It is asked for before the arguments are looked at, so any will do."""
    calls = widget_calls(name)
    assert calls
    for call in calls:
        nothing = ", ".join(["None"] * len(call.args) + [f"{word.arg}=None" for word in call.keywords])
        result = run_without("ipywidgets", imports(name), f"{ast.unparse(call.func)}({nothing})")
        last = result.stderr.strip().splitlines()[-1]
        assert last.endswith("UserError: ipywidgets is not installed, and pictures need it: "
                             'pip install "bivm_ref[notebooks]"'), result.stderr


# ── how a cell shows it ──────────────────────────────────────────────────────────────────────

def test_a_cell_shows_a_user_error_in_one_line_and_others_with_their_traceback():
    wrong = "from bivm_ref.errors import UserError\ndef inner():\n    raise UserError('f.mp4: no such file')\ninner()"
    sources = [wrong, "1 / 0"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    client = NotebookClient(notebook, kernel_name="python3", allow_errors=True,
                            resources={"metadata": {"path": str(ROOT)}})
    client.execute()
    shown, other = (cell.outputs[0].traceback for cell in notebook.cells)
    assert shown == ["UserError: f.mp4: no such file"]
    assert len("\n".join(other).splitlines()) > 3
    with pytest.raises(CellExecutionError, match="UserError: f.mp4"):  # nbclient and papermill name it as before
        NotebookClient(notebook, kernel_name="python3", resources={"metadata": {"path": str(ROOT)}}).execute()
    assert str(UserError("a line")) == "a line"
