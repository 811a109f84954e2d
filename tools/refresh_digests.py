"""What torch computes with the shipped weights, as digests for readers without torch (bivm_ref/digests.py).

    python tools/refresh_digests.py            write data_samples/digests.json
    python tools/refresh_digests.py --check    write nothing; exit 1 if it would change

To be run when a weight file was made anew; a test says so when it was forgotten.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from bivm_ref import digests
from bivm_ref.files import beside
from bivm_ref.learn.export import Packer, walk
from bivm_ref.learn.unpack import unpack
from bivm_ref.net.binary import BinaryConv2d
from bivm_ref.net.bivm import BiVM
from bivm_ref.packed import weights

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ROOT / "data_samples"


class _Convolutions(Packer):
    """Every binary convolution of a torch network, by the name it has in the file."""

    def __init__(self, model: BiVM) -> None:
        super().__init__()
        self.found: dict[str, BinaryConv2d] = {}
        walk(model, self)

    def conv(self, name: str, conv: BinaryConv2d) -> None:
        self.found[name] = conv


@torch.no_grad()
def of_torch(model: BiVM, frames: Sequence[np.ndarray]) -> list[dict]:
    """The digests of every frame of a new clip, computed by torch.

    torch computes a masked convolution everywhere and multiplies by the mask; the engine computes it at the active
    positions alone. So of those layers the active positions count.
    """
    dots, rows = {}, []
    convolutions = _Convolutions(model).found
    handles = [conv.register_forward_hook(
        lambda _module, _inputs, out, name=name: dots.update({name: out[0].permute(1, 2, 0).numpy()}))
        for name, conv in convolutions.items()]
    masked = {conv.name: 16 // conv.scale for conv in model.arch.convs() if conv.masked}
    state = None
    for frame in frames:
        dots.clear()
        out = model(torch.tensor(frame).permute(2, 0, 1)[None, None].float() / 255.0, state)
        state, mask = out.state, model.mask(out)[0, 0, 0].numpy().astype(bool)
        sums = {}
        for name, whole in dots.items():
            if name in masked:
                at = mask.repeat(masked[name], 0).repeat(masked[name], 1)
                sums[name] = *np.nonzero(at), whole[at]
            else:
                sums[name] = whole
        sums = {name: _whole(entry) for name, entry in sums.items()}
        memory = [h[0].permute(1, 2, 0).numpy() for h in state]
        rows.append(digests.frame_digests(frame, sums, mask, memory, out.alpha[0, 0, 0].numpy()))
    for handle in handles:
        handle.remove()
    return rows


def _whole(entry):
    return tuple(map(_whole, entry)) if isinstance(entry, tuple) else entry.astype(np.int32)


def made() -> str:
    """The text of the file: every shipped network over the same frames."""
    frames, entries = digests.made_frames(SAMPLES), {}
    for file in sorted((ROOT / "bivm_ref" / "weights").glob("*.safetensors")):
        arch, tensors, _ = weights.load(file)
        entries[file.name] = {"sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
                              "frames": of_torch(unpack(arch, tensors), frames)}
    return json.dumps(entries, indent=1) + "\n"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the file would change")
    check = parser.parse_args(argv).check
    file, text = SAMPLES / digests.NAME, made()
    changed = not file.exists() or file.read_text(encoding="utf-8") != text
    print(f"{file.name}: {'changed' if changed else 'as it was'}")
    if changed and not check:
        with beside(file) as part:
            part.write_text(text, encoding="utf-8")
    return int(check and changed)


if __name__ == "__main__":
    sys.exit(main())
