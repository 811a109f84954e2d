"""Pictures of notebook 05: matrices and kernels worked by hand, R² against closed forms, the front against a search."""

import json
from math import gcd, lcm

import numpy as np
import pytest

from bivm_ref import viz_elastic as pictures


@pytest.mark.parametrize("ci", range(1, 10))
@pytest.mark.parametrize("co", range(1, 10))
def test_resample_matrix_is_tile_and_average(ci, co):
    """R by its words: tile to the least common multiple, average the groups that share a position; rank gcd."""
    pytest.importorskip("torch")
    tiled = np.tile(np.eye(ci), (lcm(ci, co) // ci, 1))  # (lcm, ci)
    by_words = tiled.reshape(-1, co, ci).mean(0)
    found = pictures.resample_matrix(ci, co)
    np.testing.assert_allclose(found, by_words, atol=1e-12)
    assert np.linalg.matrix_rank(found) == gcd(ci, co)
    np.testing.assert_allclose(found.sum(0), co / ci)  # every input counts alike: the mean over channels is kept


def test_resample_panels_write_the_shares():
    pytest.importorskip("torch")
    first, second = pictures.resample_panels([(4, 2), (2, 2)]).axes
    assert [panel.get_title(loc="left") for panel in (first, second)] == ["4 → 2", "2 → 2"]
    assert [text.get_text() for text in first.texts] == ["1/2"] * 4
    assert [text.get_text() for text in second.texts] == ["1"] * 2


def test_resample_explorer_follows_its_sliders():
    pytest.importorskip("torch")
    pytest.importorskip("ipywidgets")
    box = pictures.resample_explorer(12)
    (ci, co), caption, image = box.children[0].children, box.children[1], box.children[2]
    assert caption.value == "each output is the mean of 3 of 6 inputs"
    before = bytes(image.value)
    ci.value, co.value = 8, 12
    assert caption.value == "each output is the mean of 2 of 8 inputs" and image.value != before
    co.value = 8
    assert caption.value == "each output is the mean of 1 of 8 inputs"


def test_recovered_is_one_for_any_linear_mix_and_nothing_for_noise():
    rng = np.random.default_rng(0)
    maps = rng.normal(0, 1, (3, 40, 50))
    assert pictures.recovered(maps, 2 * maps[0] - maps[2] + 7) == pytest.approx(1)
    assert pictures.recovered(maps, rng.normal(0, 1, (40, 50))) < 0.02
    # one channel with noise as strong as the signal: R² is the squared correlation
    wanted = rng.normal(0, 1, (40, 50))
    noisy = wanted + rng.normal(0, 1, (40, 50))
    correlation = np.corrcoef(noisy.ravel(), wanted.ravel())[0, 1]
    assert pictures.recovered(noisy[None], wanted) == pytest.approx(correlation**2)


def test_grey_stretches_and_clips():
    ramp = np.linspace(-5, 5, 101).reshape(1, -1)
    assert pictures.grey(ramp)[0, [0, 1, 50, 99, 100]] == pytest.approx([0, 0, 0.5, 1, 1], abs=1e-6)
    assert not pictures.grey(np.full((2, 2), 3.0)).any()  # a flat map has no contrast to show


def test_layer_strip_names_its_columns():
    maps = [np.random.default_rng(i).normal(0, 1, (9, 16)) for i in range(3)]
    figure = pictures.layer_strip({"with": maps, "without": maps})
    assert [axes.get_title(loc="left") for axes in figure.axes[:3]] == ["input", "after 1", "after 2"]
    assert [figure.axes[i].get_ylabel() for i in (0, 3)] == ["with", "without"]


def test_kernel_sum_adds_and_takes_the_sign():
    row = np.full((3, 3), np.nan)
    row[1] = [1.0, -3.0, 0.5]
    figure = pictures.kernel_sum({"3×3": np.full((3, 3), 0.5), "1×3": row})
    names = [panel.get_title(loc="left") for panel in figure.axes]
    assert names == ["3×3", "1×3", "sum", "its sign"]
    texts = [[text.get_text() for text in panel.texts] for panel in figure.axes]
    assert texts[1] == ["1.0", "-3.0", "0.5"]  # empty taps carry no number
    assert texts[2] == ["0.5"] * 3 + ["1.5", "-2.5", "1.0"] + ["0.5"] * 3
    assert texts[3] == ["+1"] * 4 + ["-1"] + ["+1"] * 4


def test_read_search_splits_the_log(tmp_path):
    lines = [{"kind": "run"}, {"kind": "genome", "cost": 1}, {"kind": "genome", "cost": 2}, {"kind": "result", "x": 3}]
    (tmp_path / "log.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    rows, result = pictures.read_search(tmp_path / "log.jsonl")
    assert [row["cost"] for row in rows] == [1, 2] and result["x"] == 3


def test_front_by_hand_and_against_all_pairs():
    assert pictures.front([1, 2, 3, 2], [5, 4, 4, 3]) == [0, 3]  # 1 is beaten by 3 at equal cost, 2 by 3
    rng = np.random.default_rng(0)
    costs, errors = rng.integers(0, 8, (2, 30)) + rng.random((2, 30)) / 100
    beaten = [any((costs[k] <= costs[i]) and (errors[k] <= errors[i]) and k != i for k in range(30)) for i in range(30)]
    assert set(pictures.front(costs, errors)) == {i for i in range(30) if not beaten[i]}


def test_pareto_shows_both_sets_and_marks_the_picks():
    rows = [{"genome": [name], "cost": cost, "MAD": mad, "MAD_again": again}
            for name, cost, mad, again in (("a", 1, 9, 5), ("b", 2, 7, 6), ("c", 3, 8, 4))]
    left, right = pictures.pareto(rows, {"own": ["c"], "pick": ["b"]}).axes
    assert left.lines[0].get_ydata().tolist() == [9, 7, 8] and right.lines[0].get_ydata().tolist() == [5, 6, 4]
    assert left.lines[1].get_xdata().tolist() == [1, 2]  # the front of the choosing clips ...
    assert right.lines[1].get_ydata().tolist() == [5, 6]  # ... is shown in both panels
    assert [(line.get_label(), line.get_ydata()[0]) for line in right.lines[2:]] == [("own", 4), ("pick", 6)]
