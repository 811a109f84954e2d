"""Notebook 10's pictures: seeds beside every arm, hollow dots for provisional ones, bars as long as their figures."""

import numpy as np
import pytest

from bivm_ref import results, viz_results


@pytest.fixture
def rows():
    """Ours with three seeds, BNN with one: three clips."""
    return [{"arm": arm, "seed": seed, **{figure: (np.array([10.0, 20.0, 60.0]) * level).tolist() for figure in
             results.FIGURES}} for arm, seed, level in (("bivm", 0, 1), ("bivm", 1, 2), ("bivm", 2, 3), ("bnn", 0, 4))]


@pytest.mark.parametrize(("seeds", "text"), [(1, "1 seed, provisional"), (2, "2 seeds, provisional"), (3, "3 seeds")])
def test_seeds_text(seeds, text):
    assert viz_results.seeds_text(seeds) == text


def test_arms_say_their_seeds_and_provisional_dots_are_hollow(rows):
    panel = viz_results.arms_chart(rows).axes[0]
    labels = [text.get_text() for text in panel.get_yticklabels()]
    assert labels == ["BNN · 1 seed, provisional", "BiVM (ours) · 3 seeds"]
    dots = [line for line in panel.lines if line.get_marker() == "o"]
    assert [float(dot.get_xdata()[0]) for dot in dots] == [120.0, 60.0]
    assert dots[0].get_markerfacecolor() == "white" != dots[1].get_markerfacecolor()


def test_the_chooser_redraws_and_names_the_best(rows):
    which, caption, image = viz_results.figure_chooser(rows).children
    assert which.options == results.FIGURES and caption.value == "least MAD: BiVM (ours), 60.00"
    before = image.value
    which.value = "boundary_MAD"
    assert caption.value == "least boundary MAD: BiVM (ours), 60.00" and image.value != before


def test_interval_lines_end_where_the_intervals_do():
    panel = viz_results.interval_lines({"a": (1.0, 2.0, 4.0), "b": (-1.0, 0.0, 1.0)}, "MAD", at=0.0).axes[0]
    assert [list(line.get_xdata()) for line in panel.lines[:4:2]] == [[1.0, 4.0], [-1.0, 1.0]]
    assert panel.get_xlabel() == "MAD" and panel.lines[-1].get_linestyle() == "--"


def test_clip_differences_are_sorted_and_coloured_by_who_is_better():
    panel = viz_results.clip_differences(np.array([-5.0, 30.0, 10.0]), "BNN").axes[0]
    assert [bar.get_height() for bar in panel.patches] == [30.0, 10.0, -5.0]
    first, _, last = (bar.get_facecolor() for bar in panel.patches)
    assert first != last and "better in 2 of 3 clips" in panel.get_title(loc="left")


def test_error_rows_show_frame_truth_matte_and_signed_error():
    frame = np.full((9, 16, 3), 7, np.uint8)
    truth, matte = np.zeros((9, 16), np.float32), np.full((9, 16), 0.5, np.float32)
    axes = viz_results.error_rows({"a": (frame, truth, matte), "b": (frame, matte, truth)}).axes
    assert (axes[0].get_ylabel(), axes[4].get_ylabel()) == ("a", "b")
    assert np.array_equal(axes[0].images[0].get_array(), frame)
    assert axes[3].images[0].get_array()[0, 0] == 0.5 and axes[7].images[0].get_array()[0, 0] == -0.5
