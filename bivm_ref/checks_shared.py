"""What every exercise check does: call the reader's function once, compare, print one line."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np


def call(name: str, fn: Callable, arguments: tuple, hint: str):
    """fn(*arguments), or None once a line has been printed: not attempted, or stopped with an error."""
    try:
        result = fn(*arguments)
    except Exception as error:  # whatever a beginner's first version raises
        print(f"{name}: it stops with {type(error).__name__}: {error}. Hint: {hint}")
        return None
    if result is None:
        print(f"{name}: not attempted yet")
    return result


def say(name: str, hint: str | None, praise: str) -> None:
    """The one line: right when there is no hint."""
    print(f"{name}: right, {praise}" if hint is None else f"{name}: not yet. Hint: {hint}")


def kind(value) -> str:
    return f"a {type(value).__name__}"


def number_hint(result, answer: float, known: Mapping[str, float], rtol: float = 1e-6) -> str | None:
    """None when `result` is the answer; else the text of the first known mistake that gives the same number.

    Anything that is no number is named first, then `known` in order.
    """
    if np.ndim(result) != 0:
        return f"the result has shape {np.shape(result)}; one number is asked for"
    if not isinstance(result, (int, float, np.number)):
        return f"returns {kind(result)}; return a number"
    if np.isclose(float(result), answer, rtol=rtol, atol=1e-12):
        return None
    return next((text for text, wrong in known.items() if np.isclose(float(result), wrong, rtol=rtol)),
                f"gives {float(result):.6g} where {answer:.6g} is right")


def unchanged(before: tuple[np.ndarray, ...], given: tuple[np.ndarray, ...]) -> str | None:
    """A hint when the function wrote into its arguments."""
    if all(np.array_equal(a, b) for a, b in zip(before, given)):
        return None
    return "it changes its inputs; compute in a new array, not in place"


def array_hint(result, answer: np.ndarray, known: Mapping[str, np.ndarray], where: Callable) -> str | None:
    """None when `result` is the answer, else the known mistake that gives the same array, else the worst place.

    where(index) says in words what stands at an index.
    """
    if not isinstance(result, np.ndarray):
        return f"returns {kind(result)}; return an array"
    if result.shape != answer.shape:
        return f"the result is {result.shape}; it must be {answer.shape}"
    if np.allclose(result, answer, rtol=1e-5, atol=1e-6):
        return None
    for text, wrong in known.items():
        if np.allclose(result, wrong, rtol=1e-5, atol=1e-6):
            return text
    worst = np.unravel_index(np.abs(result - answer).argmax(), answer.shape)
    return f"{where(worst)} it gives {result[worst]:.3g}, and {answer[worst]:.3g} is right"
