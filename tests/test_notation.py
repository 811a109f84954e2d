"""docs/notation.md and the notebooks agree: the order of terms, the names in code, the letters of formulas."""

import ast
import importlib
import re
from functools import cache
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "docs" / "notation.md").read_text(encoding="utf-8")
COURSE = [f"{number:02}" for number in range(11)]
GREEK = set("alpha beta gamma delta epsilon varepsilon eta theta kappa lambda mu nu pi rho sigma tau phi varphi chi "
            "psi omega Gamma Delta Theta Lambda Sigma Phi Psi Omega".split())


# ── reading the page ─────────────────────────────────────────────────────────────────────────

def table(heading: str, text: str = TEXT) -> list[list[str]]:
    """The rows of the table below `## heading`, without its head."""
    section = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", text, re.M | re.S).group(1)
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[2:]]


def words(cell: str) -> list[str]:
    """The terms of a cell that are searched for: those not in italics."""
    return [word.strip() for word in cell.split(",") if not word.strip().startswith("*")]


def pattern(word: str) -> re.Pattern:
    """`word` or its plural, a hyphen being part of a word; capitals count where it has some."""
    return re.compile(rf"(?<![\w-]){re.escape(word)}(?:s|es)?(?![\w-])", 0 if re.search("[A-Z]", word) else re.I)


def letters(formula: str) -> set[str]:
    r"""The letters of a formula, Greek ones as \name; words in \mathrm and commands are none."""
    formula = re.sub(r"\\(?:mathrm|text|operatorname)\{[^}]*\}", " ", formula)
    greek = {f"\\{name}" for name in re.findall(r"\\([A-Za-z]+)", formula) if name in GREEK}
    return greek | set(re.findall("[A-Za-z]", re.sub(r"\\[A-Za-z]+", " ", formula)))


def formulas(markdown: str) -> list[str]:
    plain = re.sub(r"```.*?```|`[^`]*`", " ", markdown, flags=re.S)
    return [a or b for a, b in re.findall(r"\$\$(.+?)\$\$|(?<!\$)\$([^$]+?)\$", plain, re.S)]


def notebooks() -> dict[str, list]:
    """{number: cells} of the notebooks that exist."""
    paths = sorted((ROOT / "notebooks").glob("*.ipynb"))
    return {path.name[:2]: nbformat.read(path, as_version=4).cells for path in paths}


TERMS, EARLY, LETTERS = table("Terms"), table("Named before they are introduced"), table("Letters in formulas")
CELLS = notebooks()
SOURCES = {number: "\n".join(cell.source for cell in cells) for number, cells in CELLS.items()}
FIRST = {word: row[5] for row in TERMS for word in words(row[0])}
ALLOWED = {(row[0], number) for row in EARLY for number in row[1].split(", ")}


# ── terms ────────────────────────────────────────────────────────────────────────────────────

def test_the_page_was_read():
    assert len(TERMS) > 60 and len(LETTERS) > 40
    assert [{len(row) for row in rows} for rows in (TERMS, EARLY, LETTERS)] == [{6}, {3}, {4}]
    assert {row[5] for row in TERMS} <= set(COURSE)
    assert [row[5] for row in TERMS] == sorted(row[5] for row in TERMS), "rows stand in the order of the course"
    assert all(set(row[4].split(", ")) <= {"field", "abstract", "BiMatting", "ours"} for row in TERMS)
    names = [word for row in TERMS for word in row[0].split(", ")]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("word", FIRST)
def test_no_term_is_used_before_it_is_introduced(word):
    before = [number for number in SOURCES if number < FIRST[word] and (word, number) not in ALLOWED]
    found = {number: pattern(word).search(SOURCES[number]).group() for number in before
             if pattern(word).search(SOURCES[number])}
    assert found == {}, f"{word!r} belongs to notebook {FIRST[word]}"


@pytest.mark.parametrize("word", FIRST)
def test_every_term_occurs_where_it_is_introduced(word):
    assert FIRST[word] not in SOURCES or pattern(word).search(SOURCES[FIRST[word]])


def test_exceptions_are_few_and_needed():
    assert len(EARLY) <= 12
    for word, number in ALLOWED:
        assert number < FIRST[word], f"{word} is at home in {FIRST[word]}: no exception for {number}"
        assert number not in SOURCES or pattern(word).search(SOURCES[number]), f"{word} no longer occurs in {number}"


def test_the_search_sees_plurals_and_leaves_compounds_alone():
    assert pattern("branch").search("two Branches.") and pattern("MAD").search("its MAD,")
    assert pattern("XNOR").search("with XNOR, which") and not pattern("XNOR").search("XNOR-Net")
    assert not pattern("mask").search("mask_of(x) unmasked") and not pattern("MAD").search("we mad; boundary_MAD")


# ── code ─────────────────────────────────────────────────────────────────────────────────────

def resolves(name: str) -> bool:
    """Whether bivm_ref.`name` can be imported: modules first, then attributes (also of dataclasses and in __init__)."""
    parts, holder = name.split("."), importlib.import_module("bivm_ref")
    for at, part in enumerate(parts):
        if hasattr(holder, "__path__"):
            try:
                holder = importlib.import_module(f"{holder.__name__}.{part}")
                continue
            except ModuleNotFoundError:
                pass
        if at == len(parts) - 1 and part in getattr(holder, "__annotations__", {}):
            return True
        if not hasattr(holder, part):
            return False
        holder = getattr(holder, part)
    return True


@cache
def identifiers() -> frozenset[str]:
    """Every name, argument and attribute in the package's and the notebooks' code."""
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "bivm_ref").rglob("*.py")]
    sources += [cell.source for cells in CELLS.values() for cell in cells if cell.cell_type == "code"]
    found: set[str] = set()
    for node in (node for source in sources for node in ast.walk(ast.parse(source))):
        named = (getattr(node, field, None) for field in ("id", "arg", "attr"))
        found |= {name for name in named if isinstance(name, str)}
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(node.value)  # tensors are known by name
    return frozenset(found)


@pytest.mark.parametrize("name", sorted({name for row in [*TERMS, *LETTERS] for name in re.findall(
    "`([^`]+)`", row[2] if len(row) == 6 else row[3])}))
def test_every_name_in_code_exists(name):
    assert resolves(name) if "." in name else name in identifiers() or resolves(name)


def test_made_up_names_are_found_out():
    assert not resolves("metrics.madness") and not resolves("packed.nothing") and resolves("arch.Arch.tau")
    assert "sphericity" not in identifiers()


# ── letters ──────────────────────────────────────────────────────────────────────────────────

@pytest.mark.parametrize("number", SOURCES)
def test_the_letters_of_every_formula_are_listed(number):
    prose = "\n\n".join(cell.source for cell in CELLS[number] if cell.cell_type == "markdown")
    used = {letter for formula in formulas(prose) for letter in letters(formula)}
    listed = {letter for row in LETTERS if number in row[1].split(", ") for letter in letters(row[0].replace("$", ""))}
    anywhere = {letter for row in LETTERS if row[1] == "any" for letter in letters(row[0].replace("$", ""))}
    assert used - listed - anywhere == set(), f"add them to docs/notation.md for notebook {number}"
    assert listed - used == set(), f"docs/notation.md lists them for notebook {number}, and no formula there has them"


def test_letters_are_read_from_formulas():
    assert letters(r"y = \mathrm{PReLU}(A \cdot x_i) + \varepsilon") == {"y", "A", "x", "i", "\\varepsilon"}
    assert formulas("costs `$HOME` and $a+b$, then\n$$c = \\frac{d}{2}$$") == ["a+b", "c = \\frac{d}{2}"]
