"""What the tests of the command line share: a random network in a file, small clips, and how to run a
command."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch

from bivm_ref.cli import main
from bivm_ref.learn.export import export
from bivm_ref.net import BiVM
from bivm_ref.video import VideoWriter

ROOT = Path(__file__).resolve().parent.parent


def write_random_weights(path: Path) -> Path:
    """A `small` network with random weights. Its mattes mean nothing, but they vary with the frame."""
    torch.manual_seed(0)
    model = BiVM("small")
    with torch.no_grad():
        model.head.weight.normal_(0, 0.3)
        model.coarse.weight.mul_(3)
        model.train()(torch.rand(1, 2, 3, 64, 64))  # batch norms take their statistics from it
    export(model.eval(), path, {"seed": 0, "command": "tests/cli_tools.py"}, {"MAD": 1.25})
    return path


def moving_square(frames: int, height: int = 48, width: int = 64) -> np.ndarray:
    """(T, H, W, 3) uint8: a bright square walks over a gradient."""
    y, x = np.mgrid[:height, :width]
    clip = np.repeat(np.stack((2 * x, 3 * y, x + y), -1)[None].astype(np.uint8), frames, 0)
    for t in range(frames):
        left = 4 + 2 * t % max(1, width - 24)
        clip[t, height // 4:-height // 4, left:left + 16] = (250, 200, 160)
    return clip


def write_video(path: Path, frames, fps=25) -> Path:
    with VideoWriter(path, fps, (frames[0].shape[1], frames[0].shape[0])) as writer:
        for frame in frames:
            writer.write(frame)
    return path


def run(capfd, *words) -> tuple[int, str, str]:
    """`bivm-ref words` in this process -> (exit code, stdout, stderr), those of C libraries included."""
    capfd.readouterr()
    try:
        code = main([str(word) for word in words])
    except SystemExit as stop:  # argparse
        code = stop.code
    out, err = capfd.readouterr()
    return code, out, err


def start(*words, before: str = "", **options) -> subprocess.Popen:
    """`bivm-ref words` in a process of its own; `before` is Python that runs there first."""
    code = f"{before}\nimport sys\nfrom bivm_ref.cli import main\nsys.exit(main(sys.argv[1:]))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.Popen([sys.executable, "-c", code, *map(str, words)], text=True, env=environment, **options)


def tree(folder: Path) -> list[str]:
    """All files below a folder, hidden ones included."""
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
