"""Notebook 08's pictures: which channels they show, which bytes they name."""

import numpy as np
import pytest

from bivm_ref import viz_engine

RAMP = np.linspace(-4, 4, 9 * 16, dtype=np.float32).reshape(9, 16, 1) * np.float32([1, -1, 2, 0])  # (9, 16, 4)


def test_channels_are_stretched_each_by_itself():
    first, second, third, flat = viz_engine.channel_pictures(RAMP, 12)
    assert (first.min(), first.max()) == (0, 1)
    np.testing.assert_allclose(second, 1 - first, atol=1e-6)
    np.testing.assert_allclose(third, first, atol=1e-6)  # twice as large looks the same
    assert np.ptp(flat) == 0 and np.isfinite(flat).all()


def test_one_channel_is_shown_as_it_is():
    (picture,) = viz_engine.channel_pictures(np.array([[0.25, 0.5], [0.0, 1.0]], np.float32), 5)
    assert picture.tolist() == [[0.25, 0.5], [0.0, 1.0]]
    (mask,) = viz_engine.channel_pictures(np.eye(2, dtype=bool), 5)
    assert mask.tolist() == [[1, 0], [0, 1]]
    with pytest.raises(ValueError, match=r"not \(3,\)"):
        viz_engine.channel_pictures(np.zeros(3), 5)


def test_a_strip_has_a_row_for_each_map_with_its_size():
    figure = viz_engine.channel_strip({"f1": RAMP, "coarse alpha": RAMP[..., 0]}, columns=3)
    assert [axes.get_title(loc="left") for axes in figure.axes[::3]] == ["f1  9 × 16 × 4", "coarse alpha  9 × 16"]
    assert [len(axes.images) for axes in figure.axes] == [1, 1, 1, 1, 0, 0]


def test_a_mosaic_keeps_the_order_and_fills_the_last_line():
    tiles = np.zeros((9, 16, 3), np.float32)
    tiles[4:, :, 1] = 1
    picture = viz_engine.mosaic(tiles, columns=2, width=320)
    assert picture.shape == (180, 320)
    assert picture[60, 240] == 255 and picture[10, 240] == 0  # channel 1, upper right, its lower half bright
    assert (picture[90:, 160:] == 255).all()  # no fourth channel


def test_the_slider_names_station_size_and_bytes():
    slider, caption, image = viz_engine.station_slider({"f1": RAMP, "mask": RAMP[..., 0] > 0}).children
    assert caption.value == "f1: 9 × 16 × 4 float32, 2 kB"
    before = image.value
    slider.value = 1
    assert caption.value == "mask: 9 × 16 bool, 144 B" and image.value != before


def test_map_bytes_are_those_of_the_map_and_of_a_bit_each():
    figure = viz_engine.map_bytes({"f1": RAMP})
    assert [bar.get_width() for bar in figure.axes[0].patches] == [9 * 16 * 4 * 4, 9 * 16 * 4 / 8]
    assert [text.get_text() for text in figure.axes[0].texts] == ["2 kB", "72 B"]


def test_work_bars_come_largest_first_with_their_share():
    figure = viz_engine.work_bars({"all others": 4e6, "signs": 1e6, "binary convolutions": 3e6})
    panel = figure.axes[0]
    assert [label.get_text() for label in panel.get_yticklabels()] == ["binary convolutions", "signs", "all others"]
    assert [text.get_text() for text in panel.texts] == ["3.00 M, 38%", "1.00 M, 12%", "4.00 M, 50%"]
    assert "8 million" in panel.get_title(loc="left")
