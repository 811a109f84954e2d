"""Notebook 01's pictures: their parts, and the sliders that spoil a matte."""

import io

import numpy as np
import pytest
from PIL import Image

from bivm_ref import metrics, viz_metrics
from bivm_ref.clips import procedural_clip
from bivm_ref.damage import damaged


@pytest.fixture(scope="module")
def clip():
    return procedural_clip(10_000_002, frames=3, height=36, width=64)


def test_columns_hold_rows_of_pictures_under_titles():
    grey = [np.full((4, 6), level, np.float32) for level in (0, 1)]
    figure = viz_metrics.columns({"first": grey, "second": grey[::-1]}, ["a", "b"])
    a, b, c, d = figure.axes
    assert [axes.get_title(loc="left") for axes in (a, b)] == ["a", "b"]
    assert (a.get_ylabel(), c.get_ylabel()) == ("first", "second")
    assert [int(axes.images[0].get_array().max()) for axes in (a, b, c, d)] == [0, 255, 255, 0]
    with pytest.raises(ValueError, match="one picture per title"):
        viz_metrics.columns({"first": grey}, ["a"])


def test_metric_bars_are_as_long_as_their_figures():
    table = {"one": {"MAD": 6.0, "Grad": 0.25}, "two": {"MAD": 3.0, "Grad": 0.5}}
    figure = viz_metrics.metric_bars(table, ["MAD", "Grad"])
    mad, grad, empty = figure.axes
    assert [bar.get_width() for bar in mad.patches] == [6, 3]
    assert [bar.get_width() for bar in grad.patches] == [0.25, 0.5]
    assert [text.get_text() for text in grad.texts] == ["0.25", "0.50"]
    assert not empty.axison


def test_frame_curves_go_through_their_values():
    panel = viz_metrics.frame_curves({"steady": [1, 1, 1], "broken": [0, 3, 0]}, "MAD").axes[0]
    assert [line.get_ydata().tolist() for line in panel.lines] == [[1, 1, 1], [0, 3, 0]]
    assert [text.get_text() for text in panel.get_legend().get_texts()] == ["steady", "broken"]


def test_on_green_is_green_where_there_is_nobody(clip):
    picture = viz_metrics.on_green(clip, np.zeros_like(clip.alpha), 0)
    assert (picture == viz_metrics.GREEN).all()
    assert np.array_equal(viz_metrics.on_green(clip, np.ones_like(clip.alpha), 1), clip.foreground[1])


def test_damage_strip_says_the_mad_of_each_column(clip):
    figure = viz_metrics.damage_strip(clip, "veil", [0, 0.5])
    expected = metrics.mad(damaged(clip.alpha, "veil", 0.5), clip.alpha)
    titles = [axes.get_title(loc="left") for axes in figure.axes[:2]]
    assert titles == ["0: MAD 0.0", f"0.5: MAD {expected:.1f}"]


def test_the_slider_spoils_and_says_all_figures(clip):
    box = viz_metrics.damage_slider(clip, width=256)
    controls, line, image = box.children
    kind, strength, frame = controls.children
    assert list(kind.options) == ["veil", "grain", "blur", "strand", "shift", "flicker"] and frame.max == 2
    first = line.value
    strength.value = 1.0  # a veil of a half
    assert line.value.startswith(f"MAD {metrics.mad(damaged(clip.alpha, 'veil', 1.0), clip.alpha):.2f}, MSE ")
    assert "boundary MAD" in line.value and line.value != first
    matte = np.asarray(Image.open(io.BytesIO(image.value)).convert("L"))[:, :128]
    assert matte.shape[0] == 72 and abs(int(matte[2, 100]) - 128) < 8  # background at alpha 0.5
    kind.value = "shift"
    assert line.value.startswith(f"MAD {metrics.mad(damaged(clip.alpha, 'shift', 1.0), clip.alpha):.2f}")
    before = image.value
    frame.value = 2
    assert image.value != before
