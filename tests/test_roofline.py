"""The roofline: intensities worked by hand, and what is timed computes what the engine computes."""

import math

import numpy as np
import pytest

from bivm_ref import cost, roofline
from bivm_ref.arch import Conv, preset


def test_the_bytes_that_must_be_moved_by_hand():
    conv = Conv("x", "binary", 3, 16, 32, 1, 2, sources=(16,))
    # 100 positions: 2 bytes of signs and 32 sums of 2 bytes each; 9 * 16 * 32 bits of weights
    assert roofline.compulsory_bytes(conv, 100) == 200 + 6400 + 576
    layer = roofline.Layer(("x",), conv, 100)
    assert layer.bops == 100 * 9 * 16 * 32
    assert math.isclose(layer.intensity, 460800 / 7176)


def test_a_stride_reads_four_times_as_many_signs():
    conv = Conv("x", "binary", 3, 8, 8, 2, 4, sources=(8,))
    assert roofline.compulsory_bytes(conv, 10) == 40 + 9 * 8 + 160


def test_a_sum_that_int16_cannot_hold_takes_four_bytes():
    conv = Conv("x", "binary", 3, 4096, 8, 1, 16, sources=(4096,))  # 36,864 terms
    assert roofline.compulsory_bytes(conv, 1) == 512 + 9 * 4096 + 32


@pytest.mark.parametrize("name", ["small", "default"])
def test_every_binary_layer_of_the_frame_is_counted_once(name):
    arch = preset(name)
    found = roofline.layers(arch, 250, 130)  # padded to 256 x 144
    names = [n for layer in found for n in layer.names]
    rows = {row.conv.name: row for row in cost.layer_costs(arch, 250, 130) if row.conv.kind == "binary"}
    assert sorted(names) == sorted(set(rows) - {"neck.gate"})
    assert sum(layer.bops * len(layer.names) for layer in found) == sum(rows[n].dense_macs for n in names)


@pytest.mark.parametrize("kernel", ["table", "xor"])
def test_a_layer_is_measured_with_its_own_shape(kernel, monkeypatch):
    made = []
    monkeypatch.setattr(roofline, "PackedConv", lambda *given: made.append(_Conv(*given)) or made[-1])
    layer = roofline.layers(preset("small"), 64, 48)[0]  # 3x3 16 -> 16, stride 2, at 1/4
    done = roofline.measured(layer, 64, 48, kernel, rounds=2)
    assert (done.names, done.conv, done.positions) == (layer.names, layer.conv, 16 * 12)
    assert done.rate == done.bops / done.seconds > 0
    (conv,) = made
    assert conv.given[1:] == (2, (16,), kernel) and conv.given[0].shape == (16, 3, 3, 2)
    assert conv.rows == [12] * 3  # output rows of each run: one to warm up, two rounds


class _Conv(roofline.PackedConv):
    def __init__(self, *given):
        super().__init__(*given)
        self.given, self.rows = given, []

    def half_rows(self, planes, top, bottom):
        half = super().half_rows(planes, top, bottom)
        self.rows.append(half.shape[0])
        return half


def test_the_fastest_run_counts_and_the_first_does_not():
    now = iter([0.0, 0.1, 1.0, 1.5, 2.0, 2.25, 3.0, 3.75])  # runs of 0.1 (warm-up), 0.5, 0.25, 0.75
    assert roofline.least_seconds(lambda: None, 3, clock=lambda: next(now)) == 0.25


def test_bandwidth_counts_what_is_read_and_what_is_written(monkeypatch):
    monkeypatch.setattr(roofline, "least_seconds", lambda run, rounds: (run(), 0.5)[1])
    assert roofline.bandwidth(size=1 << 10) == 2 * 1024 / 0.5


@pytest.mark.parametrize("kernel", ["table", "xor"])
def test_a_peak_counts_every_product(kernel, monkeypatch):
    shapes = []

    def half_second(run, rounds):
        shapes.append(run().shape)
        return 0.5

    monkeypatch.setattr(roofline, "least_seconds", half_second)
    found = roofline.peak(kernel)
    assert len(shapes) == len(roofline.PEAK_WIDTHS) * len(roofline.PEAK_POSITIONS)
    assert found == max(n * c for n, c in shapes) * 8 * roofline.PEAK_BYTES / 0.5


def test_the_kernels_that_are_timed_agree():
    xor, table = (roofline._one_tap(kernel, 64, 512)() for kernel in ("xor", "table"))
    assert xor.shape == table.shape == (512, 64)
    assert np.abs(xor).max() <= 4 * roofline.PEAK_BYTES >= np.abs(table.astype(int)).max()  # half of 64 signs


def test_the_roof_is_memory_up_to_the_ridge_and_the_peak_beyond():
    assert [roofline.attainable(i, 80.0, 10.0) for i in (1, 4, 8, 16)] == [10, 40, 80, 80]
