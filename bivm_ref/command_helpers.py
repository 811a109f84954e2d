"""What several commands of `bivm-ref` do: check a request before the work, print figures."""

from __future__ import annotations

import json
import math
import tempfile
from pathlib import Path

from .errors import UserError


def frame_text(count: int) -> str:
    return f"{count} frame" + ("s" if count != 1 else "")


def print_json(data) -> None:
    """Strict JSON: a figure that is not a number (dtSSD of one frame), or not finite, becomes null."""
    def clean(x):
        if isinstance(x, dict):
            return {key: clean(value) for key, value in x.items()}
        if isinstance(x, (list, tuple)):
            return [clean(value) for value in x]
        return None if isinstance(x, float) and not math.isfinite(x) else x

    print(json.dumps(clean(data), indent=2, allow_nan=False))


def need_torch(command: str) -> None:
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise UserError(f"{command} needs torch, which is not installed; "
                        "pip install 'bivm_ref[train]'") from error


def need_chart(name: str) -> None:
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise UserError(f"--chart {name}: matplotlib is not installed; pip install 'bivm_ref[notebooks]', "
                        "or leave it out: the table has bars too") from error
    if Path(name).suffix.lower() not in (".png", ".svg", ".pdf"):
        raise UserError(f"--chart {name}: charts are .png, .svg or .pdf; change the name")


def check_new_file(path: Path, overwrite: bool) -> None:
    """Refuse a path that cannot be written, before the work that is to fill it."""
    if path.exists() and not (overwrite and path.is_file()):
        raise UserError(f"{path}: exists already; choose another name or add --overwrite")
    if not path.parent.is_dir():
        raise UserError(f"{path}: there is no folder {path.parent}; make it, or choose another name")
    try:  # permission bits mislead: create a file and see
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise UserError(f"{path}: nothing can be written in {path.parent} ({error.strerror}); choose another folder"
                        ) from error


def clip_source(args, mix: tuple[float, float] = (0.35, 0.65)):
    """The source of clips that --takes and the folders ask for. mix: the odds of a ClipMix."""
    from .clips import ClipMix
    from .takes import Takes

    if args.photos and not args.takes:
        raise UserError("--photos: only --takes draws from a second folder; add it, or give the folder as --scenes")
    if args.moving and not (args.takes and args.people):
        raise UserError("--moving: clips of people are drawn by --takes, beside stills; add it and --people")
    if args.whole and not args.takes:
        raise UserError("--whole: only --takes films whole photographs; add it")
    if args.takes:
        return Takes(args.people, args.scenes, args.photos, moving=args.moving, whole=args.whole)
    return ClipMix(args.people, args.scenes, mix)


def load_model(path: str):
    from .learn.store import load_bivm

    return load_bivm(path)


def check_torch(device: str) -> None:
    import torch

    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"--device {device}: torch cannot use it here; "
                        "leave it out, or install the torch for it") from error


def folder(path: str) -> Path:
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{path}: the folder cannot be made ({error.strerror}); choose another") from error
    return Path(path)
