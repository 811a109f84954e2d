"""The repository keeps its own rules: dependency lists agree, imports go down only, files stay small."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent

# pip's name -> conda-forge's, where they differ.
CONDA_NAME = {"torch": "pytorch", "playwright": "playwright-python"}

# The ground floor, as module names below bivm_ref: they run on a board that has neither torch nor matplotlib.
GROUND = {
    *"active ancestors arch arguments bench bench_text camera clips cost cost_arguments cost_table cost_text".split(),
    *"claims claims_data damage digests elementwise errors evaluate evaluation_sets figures files images".split(),
    *"information information_sheet information_text machine metrics motion newest packed parts".split(),
    *"resampling results roofline scenes shapes sheet sign_bits staging takes time_model timings topology".split(),
    *"video video_out wardrobe".split(),
}
# Importable there as well, though a function inside may reach upstairs when it is called.
DOORS = {
    *"bench_layers cli command_helpers commands contenders demo doctor learning_commands matte search_command".split(),
}
NOT_IN_BASE = ["torch", "onnx", "onnxruntime", "matplotlib", "scipy", "skimage", "pymatting", "ipywidgets", "IPython"]


# ---------------------------------------------------------------- dependency lists


def pyproject_requirements() -> list[Requirement]:
    """Every requirement in pyproject.toml, base and extras; by pattern, for tomllib came with Python 3.11."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    base = re.search(r"^dependencies = \[(.*?)^\]", text, re.M | re.S).group(1)
    extras = re.search(r"^\[project\.optional-dependencies\]$(.*?)^\[", text, re.M | re.S).group(1)
    return [Requirement(line) for line in re.findall(r'^\s+"([^"]+)",$', base + extras, re.M)]


def floor(requirement: Requirement) -> str:
    (specifier,) = requirement.specifier  # exactly one bound
    assert specifier.operator == ">=", f"{requirement}: a floor only, no pin and no ceiling"
    return specifier.version


def python_floor() -> str:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    return re.search(r'^requires-python = ">=([\d.]+)"$', text, re.M).group(1)


def test_pyproject_has_floors_and_nothing_above_them():
    requirements = pyproject_requirements()
    every_list = {"numpy", "torch", "jupyterlab", "pytest"}  # one of each: the pattern saw them all
    assert {r.name for r in requirements} >= every_list
    assert all(floor(r) for r in requirements)


def test_base_dependencies_are_what_the_engine_and_video_need():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    base = re.search(r"^dependencies = \[(.*?)^\]", text, re.M | re.S).group(1)
    names = {Requirement(r).name for r in re.findall(r'"([^"]+)"', base)}
    assert names == {"numpy", "safetensors", "pillow", "av", "tqdm"}


def test_environment_yml_has_the_floors_of_pyproject():
    text = (ROOT / "environment.yml").read_text(encoding="utf-8")
    conda = dict(re.findall(r"^  - ([\w-]+)>=([\d.]+)$", text, re.M))
    expected = {CONDA_NAME.get(r.name, r.name): floor(r) for r in pyproject_requirements()}
    expected["python"] = python_floor()
    assert conda == expected


def test_constraints_pin_every_requirement_at_or_above_its_floor():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    pinned = {r.name.lower(): Version(str(r.specifier).removeprefix("==")) for r in pins}
    for requirement in pyproject_requirements():
        assert pinned[requirement.name] >= Version(floor(requirement)), requirement
    assert not [name for name in pinned if name.startswith(("nvidia", "cuda", "triton"))]
    assert not any(version.local for version in pinned.values())  # "+cpu" exists on one index only


def test_one_version_everywhere():
    pattern = r'^version\s*[=:]\s*"?([\d.]+)"?$'
    in_pyproject = re.search(pattern, (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.M).group(1)
    in_citation = re.search(pattern, (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.M).group(1)
    assert in_pyproject == in_citation


# ---------------------------------------------------------------- imports go down only


def module_name(path: Path) -> str:
    """bivm_ref/packed/bits.py -> bivm_ref.packed.bits;  bivm_ref/net/__init__.py -> bivm_ref.net"""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_modules(source: str, package: str) -> set[str]:
    """Absolute names of all that `source` imports anywhere, functions included; `package` resolves dots.

    `from a import b` yields both a and a.b, for b may be a module.
    """
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            origin = ".".join(base + ([node.module] if node.module else []))
            found |= {origin} | {f"{origin}.{alias.name}" for alias in node.names}
    return found


def imports_of(path: Path) -> set[str]:
    name = module_name(path)
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    return imported_modules(path.read_text(encoding="utf-8"), package)


def within(names: set[str], *forbidden: str) -> set[str]:
    return {n for n in names if any(n == f or n.startswith(f + ".") for f in forbidden)}


def floor_files(*rooms: str) -> list[Path]:
    """Files of the named rooms below bivm_ref that exist: modules and packages alike."""
    package = ROOT / "bivm_ref"
    files = [package / f"{room}.py" for room in rooms if (package / f"{room}.py").exists()]
    return sorted(files + [f for room in rooms for f in (package / room).rglob("*.py")])


def test_import_reader_on_hand_written_lines():
    top = "import torch.nn as nn\nfrom ..net import binarize\nfrom . import bits\n"
    inner = "def f():\n    from torch import ops\n"
    assert imported_modules(top, "bivm_ref.packed") == {
        *("torch.nn", "bivm_ref.net", "bivm_ref.net.binarize", "bivm_ref.packed", "bivm_ref.packed.bits"),
    }
    assert imported_modules(inner, "bivm_ref.packed") == {"torch", "torch.ops"}
    assert within({"torch.nn", "torchvision", "bivm_ref.network"}, "torch", "bivm_ref.net") == {"torch.nn"}


def test_ground_floor_names_neither_torch_nor_the_floor_above():
    files = [ROOT / "bivm_ref" / "__init__.py", *floor_files(*GROUND)]
    assert len(files) > 10
    upstairs = ("torch", "bivm_ref.net", "bivm_ref.learn", "bivm_ref.viz", "bivm_ref.checks")
    offenders = {str(f.relative_to(ROOT)): bad for f in files if (bad := within(imports_of(f), *upstairs))}
    assert offenders == {}


def test_net_does_not_import_learn():
    files = floor_files("net")
    assert len(files) > 3
    upstairs = ("bivm_ref.learn", "bivm_ref.cli", "bivm_ref.viz")
    offenders = {str(f.relative_to(ROOT)): bad for f in files if (bad := within(imports_of(f), *upstairs))}
    assert offenders == {}


def test_ground_floor_and_doors_import_where_only_the_base_is_installed():
    modules = sorted({module_name(f) for f in floor_files(*GROUND, *DOORS)})
    for needed in ("packed", "arch", "clips", "video", "metrics", "cli"):
        assert f"bivm_ref.{needed}" in modules
    program = "import importlib, sys\n"
    program += f"sys.modules.update(dict.fromkeys({NOT_IN_BASE!r}))\n"  # None: the import raises ImportError
    program += f"for name in {modules!r}: importlib.import_module(name)\n"
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


# ---------------------------------------------------------------- files


def tracked_files(*patterns: str) -> list[Path]:
    result = subprocess.run(["git", "ls-files", "-z", *patterns], cwd=ROOT, capture_output=True, text=True)
    if result.returncode:
        pytest.fail(f"git ls-files: {result.stderr.strip()} (the tests run in a git checkout)")
    files = [ROOT / name for name in result.stdout.split("\0") if name]
    return [f for f in files if f.is_file()]


def test_no_module_outgrows_one_sitting():
    files = tracked_files("bivm_ref/*.py")  # git's * crosses folders
    assert files
    long = {str(f.relative_to(ROOT)): n for f in files if (n := len(f.read_text("utf-8").splitlines())) > 330}
    assert long == {}, "a file over 330 lines holds two ideas"


LARGE = 3 * 1024 * 1024  # bytes; the float twin of `small` has 2.7 million
KEPT = 9 * 1024 * 1024  # 4.4 million numbers of `default` in half precision, to go on from


def test_no_large_file_is_tracked():
    files = tracked_files()
    assert files
    large = {str(f.relative_to(ROOT)): f.stat().st_size for f in files if f.stat().st_size > LARGE}
    behind = ("bivm_ref/weights/training/default.pt", "bivm_ref/weights/training/default-float.pt")
    assert {name: size for name, size in large.items() if name not in behind or size > KEPT} == {}


def test_readme_opens_with_demo_and_test():
    opening = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:40]
    commands = [i for i, line in enumerate(opening) if re.search(r"\bmake \w+", line)]
    first_two = [re.search(r"\bmake (\w+)", opening[i]).group(1) for i in commands[:2]]
    assert first_two == ["demo", "test"]
