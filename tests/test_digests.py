"""torch, the engine and data_samples/digests.json: the same numbers, all three."""

import json
from pathlib import Path

import numpy as np
import pytest

from bivm_ref import digests
from bivm_ref.errors import UserError
from bivm_ref.packed import PackedBiVM, weights
from tools import refresh_digests as tool

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "data_samples"
FILES = sorted((ROOT / "bivm_ref" / "weights").glob("*.safetensors"))


def test_the_frames_are_mixed_as_the_equation_says():
    first, second, _ = digests.made_frames(SAMPLES)
    assert first.shape == (144, 256, 3) and first.dtype == np.uint8
    assert first[0, 0].tolist() == [0, 60, 0]  # alpha 0 there: the background's ramps at x = y = 0
    assert first[0, 200].tolist() == [100, 60, 0]
    assert (first != second).any()  # the person moves


def test_without_samples_the_message_names_the_file(tmp_path):
    with pytest.raises(UserError, match=r"0000\.png: cannot be read"):
        digests.made_frames(tmp_path)


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_torch_engine_and_file_are_equal(path):
    frames = digests.made_frames(SAMPLES)
    arch, tensors, _ = weights.load(path)
    by_torch = tool.of_torch(tool.unpack(arch, tensors), frames)
    by_engine = digests.of_engine(PackedBiVM.load(path, size=None), frames)
    in_file = digests.stored(SAMPLES, path)  # stale after a training: python tools/refresh_digests.py
    binary = {conv.name for conv in arch.convs() if conv.kind == "binary" and not conv.name.startswith("refiner.")}
    for t, (theirs, ours, kept) in enumerate(zip(by_torch, by_engine, in_file, strict=True)):
        assert set(theirs["sums"]) == binary
        assert ours == theirs, f"frame {t}: torch and engine"
        assert kept == theirs, f"frame {t}: torch and file; run python tools/refresh_digests.py"


def test_another_kernel_and_a_changed_pixel():
    frames = digests.made_frames(SAMPLES, 1)
    table, xor = (digests.of_engine(PackedBiVM.load(size=None, kernel=k), frames) for k in ("table", "xor"))
    assert table == xor
    frames[0][70, 120] ^= 255
    changed = digests.of_engine(PackedBiVM.load(size=None, kernel="xor"), frames)[0]
    assert changed["frame"] != xor[0]["frame"] and changed["sums"] != xor[0]["sums"]


def test_digests_of_other_weights_are_refused(tmp_path):
    shipped = weights.default_weights()
    with pytest.raises(UserError, match=f"holds no digests of {shipped.name}; run python tools/refresh_digests"):
        digests.stored(tmp_path, shipped)
    entry = {shipped.name: {"sha256": "0" * 64, "frames": []}}
    (tmp_path / digests.NAME).write_text(json.dumps(entry))
    with pytest.raises(UserError, match=f"those of another {shipped.name}"):
        digests.stored(tmp_path, shipped)


def test_a_digest_sees_values_and_shape_but_not_the_integer_type():
    a = np.arange(12).reshape(3, 4)
    assert digests.digest(a.astype(np.int16)) == digests.digest(a)
    assert len({digests.digest(x) for x in (a, a + 1, a.reshape(4, 3), a.astype(np.float32))}) == 4
