"""The documents name what exists: links, notebooks, exercises, commands and their options; and minutes add up."""

import argparse
import re
import shlex
from pathlib import Path

import nbformat
import pytest

from bivm_ref import checks, cli

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
NOTES = (ROOT / "docs" / "instructor.md").read_text(encoding="utf-8")
COURSE = [f"{number:02}" for number in range(11)]
NOTEBOOKS = {path.name[:2]: path for path in (ROOT / "notebooks").glob("*.ipynb")}
named = {"argnames": "document", "argvalues": DOCUMENTS, "ids": [path.name for path in DOCUMENTS]}


# ── links ────────────────────────────────────────────────────────────────────────────────────

def links(text: str) -> list[str]:
    """The targets of a document's links and pictures, code left out."""
    return re.findall(r"\]\(([^()\s]+)\)", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S))


def anchors(text: str) -> set[str]:
    """The anchors that a heading makes: lower case, punctuation dropped, spaces as hyphens."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(**named)
def test_every_relative_link_resolves(document):
    text, missing = document.read_text(encoding="utf-8"), []
    for target in links(text):
        if re.match(r"[a-z]+:", target):
            continue
        place, _, anchor = target.partition("#")
        path = (document.parent / place).resolve() if place else document
        if not path.exists() or (anchor and anchor not in anchors(path.read_text(encoding="utf-8"))):
            missing.append(target)
    assert missing == []


def test_the_reader_of_links_on_a_hand_written_text():
    text = "[a](b.md#c) and ![d](e.png)\n```\n[no](link)\n```\n# Two words, `code`!"
    assert links(text) == ["b.md#c", "e.png"] and anchors(text) == {"two-words-code"}


# ── notebooks and exercises ──────────────────────────────────────────────────────────────────

def rows(heading: str) -> list[list[str]]:
    """The rows of the table below a heading of the notes, without its head."""
    section = re.search(rf"^#+ {heading}.*?\n(.*?)(?=^#|\Z)", NOTES, re.M | re.S).group(1)
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in lines]


def test_the_course_table_says_what_the_notebooks_say():
    table = rows("The course at a glance")
    assert [row[0][:2] for row in table] == COURSE
    for name, minutes, level, torch, board, _ in table:
        if (path := NOTEBOOKS.get(name[:2])) is None:
            continue
        cells = nbformat.read(path, as_version=4).cells
        title, code = cells[0].source, "\n".join(c.source for c in cells if c.cell_type == "code")
        assert f"**Time** | {minutes} minutes" in title and f"**Level** | {level} of 3" in title, name
        assert (torch == "yes") == bool(re.search(r"^import torch|need_torch", code, re.M)), name
        assert (board == "no") == ("board: not meant for one" in title), name


@pytest.mark.parametrize("hours", [2, 6, 12])
def test_a_plan_fits_into_its_hours_and_names_notebooks(hours):
    plan = rows(f"{hours} hours")
    assert hours * 54 <= sum(int(row[0]) for row in plan) <= hours * 60
    assert {number for row in plan for number in row[1].split(", ") if number} <= set(COURSE)


def exercises(text: str) -> set[tuple[str, str]]:
    return set(re.findall(r"\bE(\d+)\.(\d+)\b", text))


def test_every_exercise_is_in_the_notes_and_every_named_one_exists():
    existing = {tuple(name.removeprefix("check_E").split("_")) for name in checks.__all__}
    here = {str(int(number)) for number in NOTEBOOKS}  # of a notebook that is still being written nothing is asked
    assert {e for e in exercises(NOTES) if e[0] in here} == {e for e in existing if e[0] in here}
    assert len(existing) > 20


def test_every_notebook_with_exercises_has_its_part():
    parts = re.findall(r"^### (\d\d) · ", NOTES, re.M)
    assert parts == sorted(parts) and set(NOTEBOOKS) - {"10"} <= set(parts) <= set(COURSE)
    for number, text in re.findall(r"^### (\d\d) · .*?\n(.*?)(?=^##|\Z)", NOTES, re.M | re.S):
        assert {e[0] for e in exercises(text)} == {str(int(number))}, "an exercise of another notebook"


# ── commands ─────────────────────────────────────────────────────────────────────────────────

def commands(text: str) -> list[str]:
    """Lines of fenced blocks without a language, and code in the text, that begin with a program of ours."""
    blocks = re.findall(r"^```\n(.*?)^```", text, re.M | re.S)
    lines = [line.split("  #")[0].strip() for block in blocks for line in block.splitlines()]
    lines += re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S))
    return [line.removeprefix(".venv/bin/") for line in lines
            if re.match(r"(\.venv/bin/)?(make|bivm-ref|python) \S", line)]


def options(command: str) -> set[str]:
    """The options of a subcommand of bivm-ref."""
    subparsers = next(a for a in cli.parser()._actions if isinstance(a, argparse._SubParsersAction))
    if command not in subparsers.choices:
        raise LookupError(f"bivm-ref has no command {command}")
    return {name for action in subparsers.choices[command]._actions for name in action.option_strings}


def find_problem(line: str) -> str | None:
    """What of a command does not exist, or None."""
    words = shlex.split(line.replace("…", ""))
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    if words[0] == "make":
        return next((f"no target {w}" for w in words[1:] if "=" not in w and w not in targets), None)
    if words[0] == "bivm-ref":
        if words[1].startswith("-"):
            return None
        try:
            known = options(words[1])
        except LookupError as error:
            return str(error)
        return next((f"{words[1]} has no {w}" for w in words if w.startswith("--") and w not in known), None)
    if words[1] == "-m" and words[2].startswith(("tools.", "bivm_ref.")):
        return None if (ROOT / (words[2].replace(".", "/") + ".py")).exists() else f"no module {words[2]}"
    return f"no file {words[1]}" if words[1].endswith(".py") and not (ROOT / words[1]).exists() else None


@pytest.mark.parametrize(**named)
def test_every_command_exists_with_its_options(document):
    found = commands(document.read_text(encoding="utf-8"))
    assert found or document.name == "notation.md"
    assert {line: problem for line in found if (problem := find_problem(line))} == {}


def test_commands_that_do_not_exist_are_found_out():
    made_up = "```\nmake coffee\nbivm-ref brew --hot\n```\n`bivm-ref info --sugar`, `python tools/none.py`, `make test`"
    assert [find_problem(line) for line in commands(made_up)] == [
        "no target coffee", "bivm-ref has no command brew", "info has no --sugar", "no file tools/none.py", None]
