"""How a program of ours answers: one line for a mistake, an exit code that scripts can trust, and no traceback for what
its user can mend."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Callable

from .errors import UserError


def run_and_report(work: Callable[[], int | None], name: str = "bivm-ref") -> int:
    """Do the work; answer a mistake with one line on stderr that begins with `name`. Returns the exit code."""
    with contextlib.suppress(AttributeError, ValueError):  # a stdout that is no console of Python's own
        sys.stdout.reconfigure(errors="backslashreplace")  # names that the console cannot print
    try:
        with warnings.catch_warnings():
            if not sys.warnoptions:
                warnings.simplefilter("ignore")  # a library's remarks to programmers; python -W shows them
            code = work() or 0
            sys.stdout.flush()
            return code
    except UserError as error:
        return _fail(str(error), name)
    except KeyboardInterrupt:
        print(f"{name}: interrupted", file=sys.stderr)
        return 130
    except MemoryError:
        return _fail("out of memory; close other programs, or pass smaller frames", name)
    except BrokenPipeError:  # the reader of our output went away: `bivm-ref info | head`
        _mute()
        return 0
    except OSError as error:  # a name too long, a folder that may not be entered, a full disk behind stdout
        try:
            sys.stdout.flush()
        except OSError:
            _mute()
        return _fail(f"{error.filename or 'the output'}: {error.strerror}; check the name and its permissions, or "
                     "choose another place", name)


def _mute() -> None:
    """Whatever is still to be printed goes nowhere; else Python would fail once more at its end."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(message: str, name: str) -> int:
    print(f"{name}: error:", " ".join(message.split()), file=sys.stderr)
    return 2
