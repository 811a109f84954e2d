"""Measured active shares: at how many of its positions the masked decoder really computes its 3x3.

A count of operations needs that share, and it depends on the clips: so it is measured with the packed engine on
clips that no training saw, kept in a file with where it came from, and read by `bivm-ref cost`. One file holds
one record per network:

    {"schema": 1, "networks": {"small": {
        "file", "sha256"       the weight file that was measured
        "date", "command"      when, and how to measure anew
        "size", "network_size" [width, height] of the frames; longer side that the network works at
        "trained_size"         longer side that it was trained at
        "seeds", "frames"      [first, last] of the procedural clips, frames of each
        "shares"               {"8": {"mean": 0.41, "interval": [0.36, 0.46]}, "4": …, "2": …, "1": …}, procedural clips
        "clips"                [{"clip", "source": "procedural" or "sample", "frames", "active": {"8": …}}]}}}

A share is a mean over the frames of a clip, then over clips; the interval is the 95 % one of a bootstrap over clips.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from .clips import HELD_OUT, procedural_clip
from .errors import UserError
from .evaluate import HELD_OUT_SEED
from .files import beside
from .packed import PackedBiVM
from .packed.weights import working_size
from .video import open_frames

SCHEMA = 1
ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "data_samples" / "results" / "active_shares.json"
WIDTH, HEIGHT, FRAMES = 512, 288, 8
RESAMPLES = 2000
SCALES = (8, 4, 2, 1)  # of the masked convolutions
AGAIN = "measure it with bivm-ref cost --measure 32 --write, or add --dense or --active"


# -- measuring --

def measure(path: Path, count: int = 32, first_seed: int = HELD_OUT_SEED, samples: Path = ROOT / "data_samples",
            tick: Callable[[], None] = lambda: None) -> dict:
    """The record of one network: `count` held-out procedural clips at 512x288, and the sample clips that are there.

    tick is called after every clip. Raises UserError for a file that is not a network, ValueError for seeds that are
    not held out.
    """
    seeds = range(first_seed, first_seed + count)
    if count < 1 or seeds[0] not in HELD_OUT or seeds[-1] not in HELD_OUT:
        raise ValueError(f"{count} clips from seed {first_seed:,}: not held out, see clips.HELD_OUT")
    net = PackedBiVM.load(path, size=WIDTH)
    rows = []
    for seed in seeds:
        clip = procedural_clip(seed, FRAMES, HEIGHT, WIDTH)
        rows.append(_row(f"seed {seed}", "procedural", net, clip.frames))
        tick()
    for clip in sample_clips(samples):
        rows.append(_row(clip.parent.name, "sample", net, open_frames(clip)))
        tick()
    drawn = {str(scale): [row["active"][str(scale)] for row in rows if row["source"] == "procedural"]
             for scale in SCALES}
    return {"file": path.name, "sha256": fingerprint(path),
            "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "command": f"bivm-ref cost --measure {count} --write",
            "size": [WIDTH, HEIGHT], "network_size": WIDTH, "trained_size": working_size(net.metadata),
            "seeds": [seeds[0], seeds[-1]], "frames": FRAMES,
            "shares": {scale: {"mean": _round(np.mean(values)), "interval": interval(values)}
                       for scale, values in drawn.items()},
            "clips": rows}


def sample_clips(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/com.mp4"))


def _row(name: str, source: str, net: PackedBiVM, frames: Iterable[np.ndarray]) -> dict:
    """The active shares of one clip, means over its frames."""
    net.reset()
    seen = []
    for frame in frames:
        net.step(frame)
        seen.append(dict(net.active))
    return {"clip": name, "source": source, "frames": len(seen),
            "active": {str(scale): _round(np.mean([active[scale] for active in seen])) for scale in SCALES}}


def interval(values: Iterable[float], seed: int = 0) -> list[float] | None:
    """95 % interval of the mean over clips, percentiles of a bootstrap; None for fewer than two clips."""
    values = np.asarray(list(values))
    if len(values) < 2:
        return None
    drawn = np.random.default_rng(seed).integers(0, len(values), (RESAMPLES, len(values)))
    return [_round(x) for x in np.percentile(values[drawn].mean(axis=1), (2.5, 97.5))]


def fingerprint(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _round(x: float) -> float:
    return round(float(x), 4)


# -- the file --

def write(path: Path, records: dict[str, dict]) -> None:
    """Put the records of some networks into the file, beside those of others that it holds already. Raises UserError
    when it cannot be written, or holds something else."""
    held = read(path) if path.exists() else {}
    text = json.dumps({"schema": SCHEMA, "networks": {**held, **records}}, indent=1)
    text = re.sub(r"[\[{][^\[\]{}]*[\]}]", lambda inner: " ".join(inner.group().split()), text)  # innermost on one line
    with beside(path, "name another place with --shares") as part:
        part.write_text(text + "\n", encoding="utf-8")


def read(path: Path = RESULTS) -> dict[str, dict]:
    """{network: record}. Raises UserError, one line, for a file that is missing or not of this kind."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path}: no measured active shares there; {AGAIN}") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); {AGAIN}") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not JSON ({error}); {AGAIN}") from error
    if not isinstance(data, dict) or data.get("schema") != SCHEMA or not isinstance(data.get("networks"), dict):
        raise UserError(f"{path}: not a file of active shares (schema {SCHEMA}); {AGAIN}")
    for name, record in data["networks"].items():
        if problem := find_problem(record):
            raise UserError(f"{path}: {name}: {problem}; {AGAIN}")
    return data["networks"]


def shares(record: dict) -> dict[int, float]:
    """{scale: mean share} of a record that `read` gave."""
    return {scale: float(record["shares"][str(scale)]["mean"]) for scale in SCALES}


def find_problem(record: object) -> str | None:
    """The first thing that is wrong with a record, None if nothing is."""
    if not isinstance(record, dict) or not isinstance(record.get("shares"), dict):
        return "no shares in it"
    if not isinstance(record.get("clips"), list):
        return "no list of clips in it"
    tables = [{scale: held.get("mean") if isinstance(held, dict) else held for scale, held in record["shares"].items()}]
    for clip in record["clips"]:
        if not (isinstance(clip, dict) and {"clip", "source"} <= clip.keys() and isinstance(clip.get("active"), dict)):
            return f"{clip!r:.40} is no clip with its active shares"
        tables.append(clip["active"])
    known = [str(scale) for scale in SCALES]
    for table in tables:
        for scale in [*table, *known]:
            if scale not in known:
                return f"unknown scale {scale!r}, the masked ones are {', '.join(known)}"
            if scale not in table:
                return f"no share for scale {scale}"
            if not _is_share(table[scale]):
                return f"the share at scale {scale} is {table[scale]!r}, not a number in [0, 1]"
    for held in record["shares"].values():
        if not isinstance(held, dict):
            return f"a share is {held!r:.40}, and not a mean with its interval"
        between = held.get("interval")
        if between is not None and not (isinstance(between, list) and list(map(_is_share, between)) == [True, True]):
            return f"{between!r:.40} is no interval of shares"
    return None


def _is_share(x: object) -> bool:
    return isinstance(x, (int, float)) and not isinstance(x, bool) and 0.0 <= x <= 1.0
