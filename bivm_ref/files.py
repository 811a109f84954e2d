"""Files that are there whole or not at all."""

from __future__ import annotations

import contextlib
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
