"""The exercise checks: a stub is "not attempted yet", the published solution is right, a mistake gets its hint."""

import re
from pathlib import Path

import numpy as np
import pytest

from bivm_ref import checks, metrics
from bivm_ref.clips import composite

SOLUTIONS = Path(__file__).resolve().parent.parent / "notebooks" / "solutions"


def said(capsys, check, fn, seed=0) -> str:
    check(fn, seed=seed)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1  # one line, whatever happens
    return lines[0]


def solution(exercise: str):
    """The last function that is defined under the exercise's heading on its page of solutions, "E3.1" -> clip_ste."""
    (page,) = SOLUTIONS.glob(f"{int(exercise[1:].split('.')[0]):02d}_*.md")
    upto, heading, rest = page.read_text("utf-8").partition(f"\n## {exercise}\n")
    assert heading, f"{page.name} has no heading {exercise}"
    blocks, defined = "\n".join(code_blocks(upto)), {"np": np}
    section = "\n".join(code_blocks(rest.split("\n## ")[0]))
    exec(blocks + "\n" + section, defined)  # our own file; later exercises may use what earlier ones defined
    return defined[re.findall(r"^def (\w+)", section, re.M)[-1]]


def code_blocks(text: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S)


CHECKS = {name.removeprefix("check_").replace("_", "."): getattr(checks, name) for name in checks.__all__}


def test_every_notebook_has_its_checks():
    assert {int(name[1:].split(".")[0]) for name in CHECKS} == set(range(11))


@pytest.mark.parametrize("exercise", CHECKS)
def test_a_stub_is_not_attempted_yet(exercise, capsys):
    assert said(capsys, CHECKS[exercise], lambda *given: None) == f"{exercise}: not attempted yet"


@pytest.mark.parametrize("exercise", CHECKS)
def test_the_published_solution_is_right(exercise, capsys):
    for seed in range(5):
        assert said(capsys, CHECKS[exercise], solution(exercise), seed).startswith(f"{exercise}: right")


@pytest.mark.parametrize("exercise", CHECKS)
def test_the_published_solution_has_the_name_that_the_notebook_calls(exercise):
    """A solution that is pasted over the stub is the one that gets checked."""
    (notebook,) = SOLUTIONS.parent.glob(f"{int(exercise[1:].split('.')[0]):02d}_*.ipynb")
    (called,) = re.findall(rf"check_{exercise.replace('.', '_')}\((\w+)", notebook.read_text("utf-8"))
    assert solution(exercise).__name__ == called


def test_the_package_itself_passes(capsys):
    assert said(capsys, checks.check_E0_1, composite).startswith("E0.1: right")
    assert said(capsys, checks.check_E0_2, metrics.dtssd).startswith("E0.2: right")


def test_rounding_down_passes_too(capsys):
    assert said(capsys, checks.check_E0_1, lambda f, a, b: mix(f, a, b).astype(np.uint8)).startswith("E0.1: right")


def mix(f, a, b):
    a = a[..., None]
    return a * f.astype(float) + (1 - a) * b.astype(float)


def u8(x):
    return np.floor(x).astype(np.int64).astype(np.uint8)  # wraps, as a careless cast does


def in_place(f, a, b):
    right = np.rint(mix(f, a, b)).astype(np.uint8)
    a *= 0
    return right


E0_1_MISTAKES = {
    "alpha[..., None] gives it the third axis": lambda f, a, b: a * f + (1 - a) * b,
    "a frame is uint8": lambda f, a, b: mix(f, a, b),
    "changed places": lambda f, a, b: u8(mix(b, a, f)),
    "background's share": lambda f, a, b: u8(a[..., None] * f),
    "foreground's share": lambda f, a, b: u8((1 - a[..., None]) * b),
    "foreground is not multiplied": lambda f, a, b: u8(f + (1 - a[..., None]) * b),
    "background is not multiplied": lambda f, a, b: u8(a[..., None] * f + b),
    "a sign": lambda f, a, b: u8(a[..., None] * f.astype(float) - (1 - a[..., None]) * b),
    "whole numbers": lambda f, a, b: u8(mix(f, a.astype(np.uint8), b)),
    "a picture of this foreground is (6, 8, 3)": lambda f, a, b: u8(mix(f, a, b))[..., 0],
    "return an array": lambda f, a, b: "an image",
    "changes its inputs": in_place,
    "it gives": lambda f, a, b: np.full_like(f, 7),
}


@pytest.mark.parametrize("hint", E0_1_MISTAKES)
def test_E0_1_names_the_mistake(hint, capsys):
    line = said(capsys, checks.check_E0_1, E0_1_MISTAKES[hint])
    assert hint in line and "right, " not in line


def steps(x):
    return np.diff(x, axis=0)


def rms(e, axis=(1, 2)):
    return np.sqrt((e**2).mean(axis))


E0_2_MISTAKES = {
    "factor 1e2": lambda p, t: rms(steps(p) - steps(t)).mean(),
    "own motion": lambda p, t: 100 * rms(steps(p)).mean(),
    "another axis": lambda p, t: 100 * rms(np.diff(p, axis=1) - np.diff(t, axis=1)).mean(),
    "error of the frames": lambda p, t: 100 * rms(p - t).mean(),
    "a sign": lambda p, t: 100 * rms(steps(p) + steps(t)).mean(),
    "divide by T - 1": lambda p, t: 100 * rms(steps(p) - steps(t)).sum() / len(p),
    "one root": lambda p, t: 100 * rms(steps(p) - steps(t), None),
    "square root is missing": lambda p, t: 100 * ((steps(p) - steps(t)) ** 2).mean(),
    "absolute values": lambda p, t: 100 * np.abs(steps(p) - steps(t)).mean(),
    "added up": lambda p, t: 100 * rms(steps(p) - steps(t)).sum(),
    "has shape (4,)": lambda p, t: 100 * rms(steps(p) - steps(t)),
    "return a number": lambda p, t: "3.2",
    "is right": lambda p, t: 41.0,
    "it stops with ValueError": lambda p, t: 100 * rms(steps(p) - t),
}


@pytest.mark.parametrize("hint", E0_2_MISTAKES)
def test_E0_2_names_the_mistake(hint, capsys):
    line = said(capsys, checks.check_E0_2, E0_2_MISTAKES[hint])
    assert hint in line and "right, " not in line
