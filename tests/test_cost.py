"""The field's rule against hooks on the torch networks, the engine's own table, and what is known of the ancestors."""

from collections import Counter

import numpy as np
import pytest
import torch
from cli_tools import write_random_weights

from bivm_ref.ancestors import BIMATTING, BIMATTING_PARAMETERS
from bivm_ref.ancestors import RVM as RVM_TABLE
from bivm_ref.arch import PRESETS, preset
from bivm_ref.cost import (
    RVM_PARAMETERS,
    RVM_MACS_512x288,
    layer_costs,
    share_at,
    share_needed,
    sizes,
    storage,
    total_operations,
)
from bivm_ref.learn.export import pack
from bivm_ref.net import RVM, BiVM
from bivm_ref.net.count import count_conv_macs
from bivm_ref.packed import PackedBiVM, weights

# -- ours --

def layer_of(module: str) -> str:
    """The name in `Arch.convs()` of a convolution of `net.BiVM`."""
    if module in ("coarse", "decoder.detail.conv"):
        return {"coarse": "coarse.head"}.get(module, "decoder.d0.detail")
    name = module.replace("neck.aspp.", "neck.").replace(".memory.gru", ".gru")
    return name.removesuffix(".conv")  # an elastic layer's convolution is its `conv`


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("width, height, ratio", [(512, 288, 1.0), (131, 97, 1.0), (1920, 1080, 0.25), (250, 130, 0.5)])
def test_ours_layer_by_layer(name, width, height, ratio):
    """Every convolution that runs is in the table with its MACs, and nothing else is."""
    model = BiVM(name, masked=False).eval().to("meta")
    large = torch.empty(1, 1, 3, height, width, device="meta")
    small = torch.empty(1, 1, 3, round(height * ratio), round(width * ratio), device="meta")
    counted = count_conv_macs(model, small, None, *([large] if ratio < 1 else []))
    found = {layer_of(module): macs for module, macs in counted.items()}
    assert found == {row.conv.name: row.dense_macs for row in layer_costs(preset(name), width, height, ratio=ratio)}


def test_the_engine_counts_the_same_with_its_mask(tmp_path):
    """`explain` after a real frame, masked and refined, beside the cost model given the same active shares."""
    net = PackedBiVM.load(write_random_weights(tmp_path / "random.safetensors"), size=100)
    net.step(np.random.default_rng(1).integers(0, 256, (150, 200, 3), np.uint8))
    assert 0 < net.active[1] < 1
    rows = layer_costs(net.arch, 200, 150, net.active, ratio=0.5)
    assert [(r["layer"], r["operations"]) for r in net.explain()] == [(r.conv.name, round(r.macs)) for r in rows]
    assert sum(r["bytes"] for r in net.explain()) == sum(r.bytes for r in rows)


def test_active_share_scales_only_masked_layers():
    arch = preset("small")
    full, half = layer_costs(arch), layer_costs(arch, active={8: 0.5, 4: 0.5, 2: 0.5, 1: 0.5})
    for a, b in zip(full, half, strict=True):
        assert b.macs == a.macs * (0.5 if a.conv.masked else 1.0)
    assert {r.conv.scale for r in full if r.conv.masked} == {8, 4, 2, 1}
    assert total_operations(arch, active=share_needed(arch, 5e7)) == pytest.approx(5e7)


def test_operations_worked_by_hand():
    """The stem at 512x288: 256*144 positions, 27 taps, 16 channels, in full; a binary layer counts 1/64."""
    rows = {r.conv.name: r for r in layer_costs(preset("small"))}
    stem = rows["encoder.f1"]
    assert stem.dense_macs == 256 * 144 * 27 * 16 == stem.operations == stem.flops and stem.bops == 0
    assert stem.bytes == 27 * 16 * 2
    first = rows["encoder.f2.0.spatial"]  # 16 -> 16, stride 2, at 128 x 72
    assert first.dense_macs == 128 * 72 * 9 * 16 * 16 == first.bops and first.operations == first.bops / 64
    assert first.flops == 0 and first.bytes == 9 * 16 * 16 / 8
    assert not any(name.startswith("refiner.") for name in rows)


def test_sizes():
    """The network works on multiples of 16 of the reduced frame, the refiner on the reduced frame."""
    where = sizes(preset("small"), 1920, 1080, 0.25)
    assert where == ((1920, 1080), (480, 270), (480, 272)) and where.refines
    assert sizes(RVM_TABLE, 1920, 1080, 0.25).padded == (480, 270)
    assert not sizes(preset("small"), 97, 131).refines and sizes(preset("small"), 97, 131).padded == (112, 144)
    rows = {r.conv.name: r.positions for r in layer_costs(preset("small"), 1920, 1080, ratio=0.25)}
    assert (rows["decoder.d0.detail"], rows["head"], rows["refiner.mix"]) == (480 * 272, 480 * 270, 480 * 270)
    assert rows["neck.value"] == 30 * 17


@pytest.mark.parametrize("wrong, message", [
    ({"active": 1.5}, "active share"), ({"active": -0.1}, "active share"), ({"active": float("nan")}, "active share"),
    ({"active": {8: 0.5, 4: 0.5, 2: 0.5}}, "scale 1"), ({"ratio": 0.0}, "ratio"), ({"ratio": 1.2}, "ratio"),
    ({"width": 0}, "0x288")])
def test_senseless_questions(wrong, message):
    with pytest.raises(ValueError, match=message):
        layer_costs(preset("small"), **wrong)


def test_share_at_a_scale():
    assert share_at(0.25, 8) == 0.25 and share_at({8: 0.5, 4: 0.1}, 4) == 0.1


@pytest.mark.parametrize("name", PRESETS)
def test_storage_is_that_of_the_file(name, tmp_path):
    """Beside the sections of a file written by the exporter, whose header is all that is not counted."""
    model = BiVM(name)
    weights.save(tmp_path / "f.safetensors", pack(model.eval()), model.arch)
    sections, counted = weights.sections(tmp_path / "f.safetensors"), storage(preset(name))
    assert counted["bytes"] == sum(size for section, size in sections.items() if section != "header")
    assert (counted["binary_weights"], 2 * counted["stem_weights"]) == (
        8 * sections["binary weights"], sections["stem weights"])


# -- RVM --

@pytest.mark.parametrize("width, height, ratio", [(512, 288, 1.0), (1920, 1080, 0.25), (131, 97, 1.0), (131, 97, 0.5)])
def test_rvm_convolution_by_convolution(width, height, ratio):
    """As many convolutions of every size as hooks see on the torch network; names differ, so sizes are compared."""
    counted = count_conv_macs(RVM().to("meta"), torch.empty(1, 1, 3, height, width, device="meta"), None, ratio)
    rows = layer_costs(RVM_TABLE, width, height, ratio=ratio)
    assert Counter(counted.values()) == Counter(row.dense_macs for row in rows)


def test_rvm_totals():
    assert total_operations(RVM_TABLE) == pytest.approx(RVM_MACS_512x288, abs=5e5)
    assert round(total_operations(RVM_TABLE, 1920, 1080, ratio=0.25) / 1e9, 3) == 4.076
    assert RVM_TABLE.bytes == 4 * RVM_PARAMETERS


# -- BiMatting: what is known of the release is the oracle --

def test_bimatting_totals():
    rows = layer_costs(BIMATTING)
    assert sum(c.weights for c in BIMATTING.convs() if c.kind == "binary") == 4_217_584 < BIMATTING_PARAMETERS
    binary, floating = sum(r.bops for r in rows), sum(r.flops for r in rows)
    assert (round(binary / 1e9, 2), round(floating / 1e9, 2)) == (6.93, 0.40)
    assert round(total_operations(BIMATTING) / 1e9, 3) == 0.511
    assert total_operations(BIMATTING, active=0.0) / 1e9 == pytest.approx(0.13, abs=0.006)


def test_bimatting_parts():
    """The last 3x3 is two thirds of all operations, and five reducing blocks are half of the encoder's."""
    rows = {r.conv.name: r for r in layer_costs(BIMATTING)}
    assert rows["decoder.1.detail.k3"].operations == 512 * 288 * 9 * 16 * 16 > 0.66 * total_operations(BIMATTING)
    blocks = [name.rpartition(".")[0] for name, r in rows.items() if r.conv.name.endswith(".point")
              and name.startswith("encoder.") and r.conv.cout * 2 == r.conv.cin]
    assert len(blocks) == 5
    encoder = sum(r.bops for name, r in rows.items() if name.startswith("encoder."))
    reducing = sum(r.bops for name, r in rows.items() if name.rpartition(".")[0] in blocks)
    assert reducing / encoder == pytest.approx(0.5, abs=0.05)


def test_bimattings_published_operations():
    """0.37 G fit when 63-68 % of the masked positions are computed, and BiVM's 0.32 G when about half are."""
    assert 0.63 <= share_needed(BIMATTING, 0.37e9) <= 0.68
    assert share_needed(BIMATTING, 4.57e9 / 14.3) == pytest.approx(0.5, abs=0.02)
    assert RVM_TABLE.published.operations / BIMATTING.published.operations == pytest.approx(12.4, abs=0.05)
    assert RVM_TABLE.published.megabytes / BIMATTING.published.megabytes == pytest.approx(21.6, abs=0.05)
