"""`make demo`, or `python -m bivm_ref.demo`: the sample clips through the packed engine, without torch.

Writes outputs/demo/<clip>/{alpha,foreground,composite}.mp4 and outputs/demo/contact_sheet.png, and prints the
figures of every clip, the time per frame, the size of the weights and the peak memory.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

from . import evaluate, machine
from .errors import UserError
from .images import image_paths, read_image
from .matte import matte
from .packed import PackedBiVM, weights
from .reporting import run_and_report
from .sheet import contact_sheet
from .video import ImageWriter

COLUMNS = ("frame", "reference alpha", "our alpha", "composite")
FRAMES_SHOWN = 3  # of every clip, on the contact sheet


class Timed:
    """An engine that adds up the seconds spent in `step`; reading and writing videos is not its time."""

    def __init__(self, engine):
        self.engine, self.seconds = engine, 0.0
        self.reset = engine.reset

    def step(self, frame):
        start = time.perf_counter()
        result = self.engine.step(frame)
        self.seconds += time.perf_counter() - start
        return result


def sample_clips(folder: Path) -> list[Path]:
    """The clips to show: every folder with com.mp4 and pha/. Raises UserError if there is none."""
    clips = sorted(path.parent for path in folder.glob("*/com.mp4") if (path.parent / "pha").is_dir())
    if not clips:
        raise UserError(f"{folder}: no sample clip (a folder with com.mp4 and pha/) in it; "
                        "run from a fresh clone, or name a folder with --samples")
    return clips


def show_clip(clip: Path, out: Path, net: PackedBiVM) -> tuple[dict, list[tuple[str, list[np.ndarray]]]]:
    """Matte one clip into out/<clip>; returns its row of figures and its rows of the contact sheet."""
    alphas = image_paths(clip / "pha")
    shown = {round(i * (len(alphas) - 1) / (FRAMES_SHOWN - 1)) for i in range(FRAMES_SHOWN)}
    engine, mine, rows = Timed(net), [], []
    reference = np.stack([read_image(path)[..., 0] for path in alphas])  # (T, H, W) uint8

    def look(index: int, frame: np.ndarray, alpha: np.ndarray, products: dict) -> None:
        if index >= len(reference) or reference[index].shape != alpha.shape:
            raise UserError(f"{clip / 'pha'}: does not fit com.mp4; make the sample again")
        mine.append(alpha)
        if index in shown:
            rows.append((f"{clip.name}, frame {index}",
                         [frame, reference[index], products["alpha"], products["composite"]]))

    matte(clip / "com.mp4", out / clip.name, engine, overwrite=True, progress=True, on_frame=look)
    reference = reference[:len(mine)].astype(np.float32) / np.float32(255)
    return evaluate.figures(clip.name, np.stack(mine), reference, engine.seconds, fast=True), rows


def main(argv: list[str] | None = None) -> int:
    root = Path(__file__).resolve().parent.parent
    p = argparse.ArgumentParser(prog="python -m bivm_ref.demo", description=__doc__.split("\n\n")[0])
    p.add_argument("--samples", type=Path, default=root / "data_samples", help="a folder of clips")
    p.add_argument("--out", type=Path, default=root / "outputs" / "demo", help="where the demo is written")
    p.add_argument("--weights", type=Path, help="a packed network; default: the shipped one")
    args = p.parse_args(argv)
    return run_and_report(lambda: show(args.samples, args.out, args.weights))


def show(samples: Path, out: Path, path: Path | None) -> None:
    path = weights.default_weights() if path is None else path
    net = PackedBiVM.load(path)
    table, sheet = [], []
    for clip in sample_clips(samples):
        row, rows = show_clip(clip, out, net)
        table.append(row)
        sheet += rows
    with ImageWriter(out / "contact_sheet.png") as writer:
        writer.write(contact_sheet(COLUMNS, sheet))
    print(evaluate.table([*table, evaluate.mean_row(table)]))
    memory = machine.peak_memory()
    print(f"\nnetwork: {path.name}, {path.stat().st_size:,} bytes; peak memory: "
          + ("unknown" if memory is None else f"{memory:.0f} MB"))
    print(f"videos and contact_sheet.png are in {out}")


if __name__ == "__main__":
    sys.exit(main())
