"""How a program of ours answers: one line for a mistake, an exit code that scripts can trust, and no traceback for what
its user can mend."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator

from .errors import UserError


def run_and_report(work: Callable[[], int | None], name: str = "bivm-ref") -> int:
    """Do the work; answer a mistake with one line on stderr that begins with `name`. Returns the exit code."""
    for stream in ("stdout", "stderr"):
        if getattr(sys, stream) is None:  # closed by whoever started us, a daemon for instance
            setattr(sys, stream, open(os.devnull, "w", encoding="utf-8"))
    with contextlib.suppress(AttributeError, ValueError):  # a stdout that is no console of Python's own
        sys.stdout.reconfigure(errors="backslashreplace")  # names that the console cannot print
    try:
        with _orderly_end(), warnings.catch_warnings():
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


@contextlib.contextmanager
def _orderly_end() -> Iterator[None]:
    """A plain kill and a terminal that is closed end the work as an exception does, so that half-written files are put
    away; the exit code is 128 and the signal's number, as a shell has it. kill -9 cannot be met."""
    owner = os.getpid()

    def leave(number: int, _frame: object) -> None:
        if os.getpid() != owner:  # a helper process that inherited this: it has nothing to put away
            os._exit(128 + number)
        sys.exit(128 + number)

    wanted = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    if threading.current_thread() is not threading.main_thread():
        wanted = []  # Python allows it to the main thread alone
    ours = [number for number in wanted if signal.getsignal(number) is signal.SIG_DFL]
    for number in ours:
        signal.signal(number, leave)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


def _mute() -> None:
    """Whatever is still to be printed goes nowhere; else Python would fail once more at its end."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(message: str, name: str) -> int:
    with contextlib.suppress(OSError):  # a stderr on a full disk: the exit code says it all the same
        print(f"{name}: error:", " ".join(message.split()), file=sys.stderr)
    return 2
