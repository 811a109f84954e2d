"""Notebook 09's pictures: what is drawn is what was measured."""

import numpy as np
import pytest

from bivm_ref import viz_timing
from bivm_ref.arch import Conv
from bivm_ref.packed.clock import Part
from bivm_ref.roofline import Layer
from bivm_ref.time_model import FrameTime, drifting

MODEL = FrameTime(20.0, 30.0, dense=28.0, serial=0.5)
MEASURED = {0.0: 20.0, 0.5: 25.2, 1.0: 30.0}


def test_runs_are_dots_and_the_mean_is_not_the_median():
    panel = viz_timing.run_dots([10, 10, 10, 50]).axes[0]
    assert panel.lines[0].get_ydata().tolist() == [10, 10, 10, 50]
    assert [line.get_label() for line in panel.lines[1:]] == ["least 10.0", "median 10.0", "mean 20.0"]
    assert [line.get_ydata()[0] for line in panel.lines[1:]] == [10, 10, 20]


def test_the_two_plans_show_every_run_once():
    blocks, mixed = (drifting(1, interleaved, rounds=10) for interleaved in (False, True))
    left, right = viz_timing.two_plans(blocks, mixed).axes
    assert [line.get_xdata().tolist() for line in left.lines] == [[*range(10)], [*range(10, 20)]]
    assert right.lines[0].get_xdata().tolist() == list(range(0, 20, 2))
    np.testing.assert_allclose(right.lines[1].get_ydata(), 1e3 * mixed.theirs)


def test_part_bars_stack_convolutions_and_what_lies_between():
    panel = viz_timing.part_bars({"a": Part(3e-3, 1e-3), "not run": Part(), "b": Part(1e-3)}).axes[0]
    assert [bar.get_width() for bar in panel.patches] == pytest.approx([1, 0, 2, 1])
    assert [text.get_text() for text in panel.texts] == ["3.00  75%", "1.00  25%"]
    assert [label.get_text() for label in panel.get_yticklabels()] == ["a", "b"]


def test_the_roof_has_its_knee_where_memory_and_arithmetic_meet():
    conv = Conv("x", "binary", 3, 16, 16, 1, 2, sources=(16,))
    layer = Layer(("x",), conv, 100, seconds=1e-5)
    panel = viz_timing.roofline_chart([layer], {"table": 80e9, "xor": 40e9}, 10e9).axes[0]
    span, roof = panel.lines[0].get_data()
    np.testing.assert_allclose(roof, np.minimum(80, 10 * span))
    assert span[0] < 8 < span[-1] and roof.max() == 80  # the knee, at 8 operations per byte, is in the picture
    assert panel.lines[1].get_ydata().max() == 40
    dot = next(line for line in panel.lines if line.get_label() == "3×3")
    assert dot.get_xdata() == [layer.intensity] and dot.get_ydata() == [pytest.approx(100 * 2304 / 1e-5 / 1e9)]
    assert [text.get_text() for text in panel.texts] == ["table: 80 G/s", "xor: 40 G/s", "memory: 10 GB/s"]


def test_share_lines_have_dots_line_dense_and_mark():
    panel = viz_timing.share_lines(MODEL, MEASURED, 0.4, at=(0.5, 2)).axes[0]
    lines = {line.get_label(): line.get_ydata() for line in panel.lines}
    assert list(lines["masked, measured"]) == [20.0, 25.2, 30.0]
    assert list(lines["line through them"]) == [20, 30] and lines["dense, 28.0 ms"][0] == 28
    assert list(lines["foretold, threads: 2"]) == [15, 22.5]
    assert panel.lines[-1].get_ydata() == [25 * 0.75]


def test_the_line_below_names_a_measured_time_only_where_there_is_one():
    said = viz_timing.foretold_line(MODEL, MEASURED, 0.5, 1)
    assert said == "50% active, 1 thread: 25.0 ms foretold, 40 frames per second; measured at 50%: 25.2 ms"
    assert "measured" not in viz_timing.foretold_line(MODEL, MEASURED, 0.5, 2)
    assert "measured" not in viz_timing.foretold_line(MODEL, MEASURED, 0.3, 1)


def test_the_sliders_move_line_and_picture():
    share, threads, line, image = viz_timing.time_slider(MODEL, MEASURED, 0.41).children
    assert (share.value, threads.value) == (41, 1)
    before = line.value, image.value
    threads.value, share.value = 4, 100
    assert line.value.startswith("100% active, 4 threads: 18.8 ms") and image.value != before[1]
