"""One description: a width changed in the dataclass is followed by torch, NumPy and the cost model."""

import dataclasses
import json

import numpy as np
import pytest
import torch

from bivm_ref.arch import PRESETS, Arch, Block, preset
from bivm_ref.cost import binary_weight_bytes, layer_costs, total_operations
from bivm_ref.learn.export import pack
from bivm_ref.net import BiVM
from bivm_ref.net.binary import BinaryConv2d
from bivm_ref.net.count import count_conv_macs
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
def test_cost_counts_what_torch_computes(name):
    """MACs counted by forward hooks on the torch network at 96x64 sum to the cost model's dense ones."""
    arch = preset(name)
    model = BiVM(arch, masked=False).eval()
    with torch.no_grad():
        counted = sum(count_conv_macs(model, torch.zeros(1, 1, 3, 64, 96)).values())
    rows = layer_costs(arch, 96, 64)
    modules = {type(m).__name__ for m in model.modules()}
    assert "BinaryConv2d" in modules
    head = sum(r.dense_macs for r in rows if r.conv.name == "head")
    assert counted == head, "nn.Conv2d runs only in the full-resolution head"
    hooked = []
    for m in model.modules():
        if isinstance(m, BinaryConv2d):
            m.register_forward_hook(lambda m, i, o: hooked.append(o[0, 0].numel() * m.weight.numel()))
    with torch.no_grad():
        model(torch.zeros(1, 1, 3, 64, 96))
    assert sum(hooked) == sum(r.dense_macs for r in rows if r.conv.kind == "binary")


def test_active_share_scales_only_masked_layers():
    arch = preset("small")
    full, half = layer_costs(arch), layer_costs(arch, active=0.5)
    for a, b in zip(full, half, strict=True):
        assert b.macs == a.macs * (0.5 if a.conv.masked else 1.0)
    assert any(r.conv.masked for r in full) and not all(r.conv.masked for r in full)
    with pytest.raises(ValueError, match="active share"):
        layer_costs(arch, active=1.5)


def test_operations_worked_by_hand():
    """The stem at 512x288: 256*144 positions, 27 taps, 16 channels; a binary layer counts 1/64."""
    rows = {r.conv.name: r for r in layer_costs(preset("small"))}
    assert rows["encoder.f1"].dense_macs == 256 * 144 * 27 * 16 == rows["encoder.f1"].operations
    first = rows["encoder.f2.0.spatial"]  # 16 -> 16, stride 2, at 128 x 72
    assert first.dense_macs == 128 * 72 * 9 * 16 * 16 and first.operations == first.dense_macs / 64


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
