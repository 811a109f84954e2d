"""Ctrl-C and a polite kill, put off while Blender is at work.

Blender calls Python in the midst of a render. An exception raised there is printed and swallowed, and the render goes
on as if nothing had happened, or ends half done. So a signal that comes while Blender works is only noted, and raises
KeyboardInterrupt when Blender has returned: within seconds.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator

_state = {"put off": False, "asked": False}


def _stop(number, frame) -> None:
    if not _state["put off"]:
        raise KeyboardInterrupt
    _state["asked"] = True


@contextlib.contextmanager
def polite() -> Iterator[None]:
    """Within the block SIGTERM ends the work as Ctrl-C does. A Ctrl-C that is ignored, as by nohup, stays ignored."""
    numbers = [number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, _stop) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def put_off() -> Iterator[None]:
    """Signals that arrive within the block raise KeyboardInterrupt at its end."""
    _state.update({"put off": True, "asked": False})
    try:
        yield
    finally:
        asked = _state["asked"]
        _state.update({"put off": False, "asked": False})
        if asked:  # in place of whatever the block raised
            raise KeyboardInterrupt
