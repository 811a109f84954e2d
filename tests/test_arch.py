"""One description: a width changed in the dataclass is followed by torch, NumPy and the cost model."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from bivm_ref.arch import PRESETS, Arch, Block, preset
from bivm_ref.cost import binary_weight_bytes, total_operations
from bivm_ref.learn.export import pack
from bivm_ref.net import BiVM
from bivm_ref.net.binary import BinaryConv2d
from bivm_ref.packed import PackedBiVM


def widened(arch: Arch) -> Arch:
    """`small` with 16 more channels in d2 and 8 more in the detail layer."""
    d3, d2, d1 = arch.decoder
    return dataclasses.replace(arch, name="wider", decoder=(d3, d2 + 16, d1), detail=arch.detail + 8)


def torch_binary_weights(model: BiVM) -> int:
    return sum(m.weight.numel() for m in model.modules() if isinstance(m, BinaryConv2d))


@pytest.mark.parametrize("change", [lambda arch: arch, widened], ids=["small", "wider"])
def test_three_readers_agree(change):
    arch = change(preset("small"))
    model = BiVM(arch).eval()
    engine = PackedBiVM.from_tensors(arch, pack(model))
    described = sum(c.weights for c in arch.convs() if c.kind == "binary")
    assert torch_binary_weights(model) == described
    assert sum(row["bytes"] for row in engine.explain() if row["kind"] == "packed") * 8 == described
    assert binary_weight_bytes(arch) * 8 == described
    frame = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    alpha, _ = engine.step(frame)
    with torch.no_grad():
        clip = torch.from_numpy(frame).permute(2, 0, 1)[None, None].float() / 255
        expected = model(clip).alpha[0, 0, 0].numpy()
    np.testing.assert_allclose(alpha, expected, atol=1e-6)


def test_a_wider_network_is_wider_in_every_reader():
    narrow, wide = preset("small"), widened(preset("small"))
    assert torch_binary_weights(BiVM(wide)) > torch_binary_weights(BiVM(narrow))
    assert binary_weight_bytes(wide) > binary_weight_bytes(narrow)
    assert total_operations(wide) > total_operations(narrow)
    assert pack(BiVM(wide))["decoder.d2.gain"].shape == (wide.decoder[1],)


@pytest.mark.parametrize("name", PRESETS)
def test_json_round_trip(name):
    assert Arch.from_json(preset(name).to_json()) == preset(name)


@pytest.mark.parametrize("damage", [
    lambda d: d.pop("stem"), lambda d: d.update(colour="red"), lambda d: d.update(stages=3),
    lambda d: d.update(decoder=[48, 32]), lambda d: d.update(detail=12), lambda d: d.update(tau=0.7)])
def test_a_text_that_is_no_arch_is_refused(damage):
    data = json.loads(preset("small").to_json())
    damage(data)
    with pytest.raises(ValueError):
        Arch.from_json(json.dumps(data))


def test_blocks_must_follow_each_other():
    arch = preset("small")
    with pytest.raises(ValueError, match="follows"):
        dataclasses.replace(arch, stages=((Block(24, 32, 2),), *arch.stages[1:]))
    with pytest.raises(ValueError, match="stride"):
        dataclasses.replace(arch, stages=((Block(16, 32, 1),), *arch.stages[1:]))
    with pytest.raises(ValueError, match="unknown preset"):
        preset("huge")


def test_default_is_at_paper_scale():
    arch = preset("default")
    bits = sum(c.weights for c in arch.convs() if c.kind == "binary")
    assert 4.0e6 < bits < 4.6e6  # BiMatting as released: 4,217,584 binary weights
    assert bits / 8 < 671_000  # 14.5 MB / 21.6: room for the floats is checked on the file itself
