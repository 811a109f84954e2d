"""Files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from .errors import UserError


def hidden(path: Path) -> Path:
    """A hidden name in the same folder, hence on the same disk, so that the rename is atomic. Of a long name its
    beginning: file systems allow 255 bytes, and a letter takes four at most."""
    return path.with_name(f".{path.name[:50]}.{os.getpid()}.part")


@contextlib.contextmanager
def beside(path: str | Path, cure: str = "choose another place") -> Iterator[Path]:
    """A path to write to, whose file takes the place of `path` when the block has ended: no reader meets half a file,
    and what was there stays if anything goes wrong. The folder is made if need be.

    Raises UserError, which names `path` and the cure, for whatever the system refuses: no permission, no space.
    """
    path = Path(path)
    part = hidden(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        os.replace(part, path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}); {cure}") from error
    finally:
        with contextlib.suppress(OSError):  # gone when all went well; never made where there is no such folder
            part.unlink()


@contextlib.contextmanager
def alone(folder: Path, name: str = ".lock") -> Iterator[None]:
    """No other process works in this folder while the block runs: a file of that name is locked in it, and the system
    lets go of it however the process ends. A disk without locks goes without. Raises UserError where another process
    holds it, or where the folder cannot be written to."""
    try:
        file = open(folder / name, "ab")
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror}); choose another folder") from error
    with file:
        try:
            _lock(file.fileno())
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EACCES, errno.EDEADLK):
                raise UserError(f"{folder}: another process works there; wait for its end, or name another") from None
        yield


def _lock(descriptor: int) -> None:
    """Lock the open file or raise OSError. Closing it unlocks it; a process forked meanwhile does not hold it."""
    if os.name == "nt":
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
