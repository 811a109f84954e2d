"""Pictures of notebook 03: the curves are the formulas, the bars the numbers, the table the methods."""

import numpy as np
import pytest

pytest.importorskip("torch")

from bivm_ref import viz_binarization as pictures  # noqa: E402
from bivm_ref.net import binarize  # noqa: E402

X = np.linspace(-2.2, 2.2, 881)
FORMULAS = {  # estimator: its backward for g = 1, and the function that has it as derivative
    "identity": (lambda x: np.ones_like(x), lambda x: x),
    "clip-STE": (lambda x: (np.abs(x) <= 1) * 1.0, lambda x: np.clip(x, -1, 1)),
    "BiReal": (lambda x: np.maximum(0, 2 - 2 * np.abs(x)),
               lambda x: np.where(np.abs(x) < 1, np.sign(x) * (2 * np.abs(x) - x**2), np.sign(x))),
    "EDE": (lambda x: 2 * (1 - np.tanh(2 * x) ** 2), lambda x: np.tanh(2 * x)),  # t = 2, k = 1
}


@pytest.mark.parametrize("name", FORMULAS)
def test_estimators_and_what_they_pretend(name):
    slope, whole = FORMULAS[name]
    np.testing.assert_allclose(pictures.estimator_gradient(name, X, 2.0), slope(X), atol=1e-12)
    np.testing.assert_allclose(pictures.pretended(name, X, 2.0), whole(X), atol=6e-3)  # a step of x is 0.005


def test_an_unknown_estimator_is_refused():
    with pytest.raises(ValueError, match="unknown estimator 'tanh': choose one of clip-STE, BiReal"):
        pictures.estimator_gradient("tanh", X)


def test_curves_show_what_was_computed():
    figure = pictures.estimator_curves([("clip-STE", 1), ("EDE", 2.0)])
    titles = [panel.get_title(loc="left") for panel in figure.axes[:3]]
    assert titles == ["sign itself", "clip-STE", "EDE, t = 2"]
    x, slope = figure.axes[4].lines[0].get_data()
    np.testing.assert_array_equal(slope, np.abs(x) <= 1)
    assert not figure.axes[3].lines[0].get_ydata().any()  # sign's own derivative


def test_flow_counts_who_gets_a_gradient():
    """clip-STE on a normal distribution of spread s: |x| > 1 gets none, that is 2 Phi(-1/s)."""
    for spread, silent in ((1.0, 0.3173), (2.0, 0.6171)):
        x, dx = pictures.passes("clip-STE", 1, spread)
        assert x.std() == pytest.approx(spread, rel=0.02)
        assert (dx == 0).mean() == pytest.approx(silent, abs=0.02)
    figure = pictures.gradient_flow([("BiReal", 1, 1.0), ("EDE", 0.001, 1.0)])
    assert "none, mean gradient 1.00" in figure.axes[3].get_title(loc="left")  # EDE so flat is the identity
    assert "0% get none" in figure.axes[3].get_title(loc="left")


def test_the_widget_draws_what_its_controls_say():
    box = pictures.flow_explorer()
    (name, t, spread), image = box.children[0].children, box.children[1]
    before = bytes(image.value)
    assert before.startswith(b"\x89PNG")
    name.value = "clip-STE"
    assert image.value != before
    again = bytes(image.value)
    t.value = 0.01  # clip-STE has no t
    assert image.value == again
    spread.value = 3.0
    assert image.value != again


def test_weight_bars_have_the_heights_of_the_weights():
    panel = pictures.weight_bars({"one": ((0.3, -0.6), (1.0, -1.0))}).axes[0]
    assert [bar.get_height() for bar in panel.patches] == [0.3, -0.6, 1.0, -1.0]
    assert panel.patches[2].get_edgecolor() != panel.patches[3].get_edgecolor()
    assert [text.get_text() for text in panel.texts] == ["0.3", "-0.6"]


def test_scale_sweep_is_lowest_at_the_mean_size():
    weights = np.array([0.3, -0.1, 0.2, -0.6])
    panel = pictures.scale_sweep(weights).axes[0]
    scales, errors = panel.lines[0].get_data()
    by_hand = [((weights - a * np.sign(weights)) ** 2).sum() for a in scales]
    np.testing.assert_allclose(errors, by_hand, atol=1e-12)
    assert panel.lines[1].get_xdata()[0] == pytest.approx(0.3)
    assert panel.lines[1].get_ydata()[0] == pytest.approx(0.14)  # .5 - 4 * .09
    assert abs(scales[errors.argmin()] - 0.3) < 0.005


def test_learning_curves_are_running_means_named_at_their_end():
    figure = pictures.learning_curves({"a": np.arange(10.0), "b": np.ones(3)}, smooth=4)
    first, second = figure.axes[0].lines
    assert first.get_xdata().tolist() == [4, 5, 6, 7, 8, 9, 10] and first.get_ydata()[0] == 1.5  # mean of 0 to 3
    assert second.get_data()[0].tolist() == [3] and second.get_ydata().tolist() == [1]  # shorter than the window
    assert [text.get_text().strip() for text in figure.axes[0].texts] == ["a: 7.50", "b: 1.00"]


def test_enlarged_keeps_plain_areas():
    big = pictures.enlarged(np.full((4, 6), 0.5, np.float32), times=3)
    assert big.shape == (12, 18, 3) and set(big.flat) == {128}


def test_method_rows_measure_every_method():
    rows = {row["name"]: row for row in pictures.method_rows()}
    assert list(rows) == list(binarize.names())
    for name in ("bnn", "xnor", "dorefa", "bimatting"):
        assert rows[name]["slope"] == [1, 1, 0]
    for name in ("bireal", "reactnet", "recu", "bivm"):
        assert rows[name]["slope"] == [2, 1, 0]
    assert rows["irnet"]["slope"] == pytest.approx([1, 1, 1], abs=1e-4)  # t = 0.001 as training begins
    scaled = {name for name, row in rows.items() if row["scale"] == 0.3}
    assert scaled == {"xnor", "dorefa", "bireal", "reactnet", "bimatting"}
    assert {n for n, row in rows.items() if row["shifted"] == "+-+-"} == {"irnet", "recu", "bimatting", "bivm-centred"}
    assert rows["float"]["scale"] == "real" and rows["bivm"]["shortcut"] == "elastic"
    assert [row["name"] for row in pictures.method_rows(["xnor"])] == ["xnor"]
