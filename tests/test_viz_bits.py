"""Notebook 04's pictures: what the squares, the cells and the buttons say, worked by hand."""

import numpy as np
import pytest

from bivm_ref import viz_bits, viz_grids

A = np.array([1, 0, 1, 1, 0, 1, 0, 1], bool)
W = np.array([1, 1, 0, 1, 1, 0, 0, 0], bool)  # differs at 1, 2, 4, 5, 7


def test_bit_rows_says_bits_signs_and_xor():
    panel = viz_bits.bit_rows(A, W).axes[0]
    marks = [text.get_text() for text in panel.texts]
    assert marks[:3] == ["1  (+1)", "0  (−1)", "1  (+1)"] and marks[8:10] == ["1  (+1)", "1  (+1)"]
    assert "".join(marks[16:]) == "01101101"
    assert panel.get_title(loc="left").endswith("8 − 2·5 = −2: 3 agree, 5 differ")


def test_rows_of_unequal_length_are_refused():
    with pytest.raises(ValueError, match="not 8 and 7 bits"):
        viz_bits.bit_rows(A, W[:7])


def test_the_buttons_flip_bits_and_the_line_follows():
    box = viz_bits.bit_flipper(A, W)
    first, second, line = box.children
    assert line.value == "a XOR w = 01101101, so dot = 8 − 2·5 = −2: 3 agree, 5 differ"
    second.children[2].value = False  # child 0 is the row's name: this is bit 1 of w
    assert line.value == "a XOR w = 00101101, so dot = 8 − 2·4 = 0: 4 agree, 4 differ"
    assert second.children[2].description == "0 (−1)"
    first.children[1].value = False
    assert line.value == "a XOR w = 10101101, so dot = 8 − 2·5 = −2: 3 agree, 5 differ"


def test_number_grids_write_every_number_and_leave_nan_empty():
    figure = viz_grids.number_grids([np.array([[1, -2.5], [np.nan, 0]]), np.eye(2)], ["first", "second"])
    left, right = figure.axes
    assert [text.get_text() for text in left.texts] == ["1", "−2.5", "0"]
    assert [text.get_text() for text in right.texts] == ["1", "0", "0", "1"]
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["first", "second"]


def test_number_grids_share_a_scale_or_have_their_own():
    def depth(figure, panel):
        return figure.axes[panel].collections[0].get_clim()[1]

    pair, titles = [np.full((1, 1), 1.0), np.full((1, 1), 8.0)], ["a", "b"]
    shared, own = viz_grids.number_grids(pair, titles), viz_grids.number_grids(pair, titles, scale="each")
    assert (depth(shared, 0), depth(shared, 1)) == (8, 8)
    assert (depth(own, 0), depth(own, 1)) == (1, 8)


@pytest.mark.parametrize(("grids", "titles"), [([np.eye(2)], []), ([np.zeros(3)], ["x"]), ([], [])])
def test_other_shapes_are_refused(grids, titles):
    with pytest.raises(ValueError, match="one title per"):
        viz_grids.number_grids(grids, titles)
