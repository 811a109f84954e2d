"""Notebook 02's pictures: the curves are the formulas, the estimates lie as theory says, the plane is the file's."""

from pathlib import Path

import numpy as np
import pytest

from bivm_ref import viz_bottleneck as pictures
from bivm_ref.information_text import read

RESULTS = Path(__file__).resolve().parents[1] / "data_samples" / "results" / "information_small.json"


def titles(figure):
    return [panel.get_title(loc="left") for panel in figure.axes]


@pytest.mark.parametrize("rho", [0.0, 0.3, 0.75, 0.9, 0.99])
def test_one_sign_is_the_integral(rho):
    """Against scipy's quadrature of the same expectation; opposite correlations tell as much."""
    integrate, stats = pytest.importorskip("scipy.integrate"), pytest.importorskip("scipy.stats")

    def left_open(y):
        p = stats.norm.cdf(rho * y / np.sqrt(1 - rho * rho))
        return stats.norm.pdf(y) * stats.entropy([p, 1 - p], base=2)

    truth = 1 - integrate.quad(left_open, -8, 8, limit=400, points=[0])[0]
    assert pictures.one_sign(rho) == pytest.approx(truth, abs=1e-6)
    assert pictures.one_sign(-rho) == pytest.approx(truth, abs=1e-6)


def test_a_sign_never_adds_and_keeps_two_over_pi_of_a_weak_relation():
    from bivm_ref.information_sheet import normal_truth, sign_truth

    for rho in (0.1, 0.5, 0.9):
        assert sign_truth(rho) < pictures.one_sign(rho) < normal_truth(rho)
    assert pictures.one_sign(0.01) / normal_truth(0.01) == pytest.approx(2 / np.pi, abs=1e-3)
    assert sign_truth(0.01) / normal_truth(0.01) == pytest.approx(4 / np.pi**2, abs=1e-3)


def test_sign_panels_have_a_cloud_each_and_dots_on_the_curves():
    figure = pictures.sign_panels([0.5, 0.9])
    assert titles(figure) == ["ρ = 0.50:\n33% of signs differ", "ρ = 0.90:\n14% of signs differ",
                              "bits that one tells of the other"]
    clouds, curves = figure.axes[:2], figure.axes[2]
    for panel in clouds:
        agree, differ = (line.get_data() for line in panel.lines[:2])
        assert len(agree[0]) + len(differ[0]) == 400
        assert (agree[0] * agree[1] >= 0).all() and (differ[0] * differ[1] <= 0).all()
    np.testing.assert_allclose(curves.lines[1].get_xydata(), [[0.5, 0.2075], [0.9, 1.1980]], atol=1e-4)
    np.testing.assert_allclose(curves.lines[7].get_xydata(), [[0.5, 0.0817], [0.9, 0.4065]], atol=1e-4)


def test_the_slider_says_and_draws_what_it_is_set_to():
    box = pictures.sign_slider()
    rho, line, image = box.children
    assert line.value == "0.60 bits, one sign 0.32, both 0.22" and bytes(image.value).startswith(b"\x89PNG")
    before = bytes(image.value)
    rho.value = 0.9
    assert line.value == "1.20 bits, one sign 0.55, both 0.41" and bytes(image.value) != before
    rho.value = 0
    assert line.value == "0.00 bits, one sign 0.00, both 0.00"
    assert rho.max == 0.99  # at 1 the information of real numbers is infinite


def test_naive_estimates_lie_by_what_theory_says():
    sizes = [256, 1024, 4096]
    found = pictures.naive_estimates(sizes)
    np.testing.assert_allclose(found["floats"], [8, 10, 12], atol=1e-9)
    np.testing.assert_allclose(found["unrelated"], [8, 10, 12], atol=1e-9)
    np.testing.assert_allclose(found["expected"], [0.3550, 0.0888, 0.0222], atol=1e-4)
    np.testing.assert_allclose(found["plug-in"][1:], found["expected"][1:], rtol=0.15)
    assert np.abs(found["corrected"][1:]).max() < 0.02 and found["corrected"][0] > 0.1  # 256 samples of 192 cells


def test_naive_chart_shows_what_was_found():
    sizes = [256, 1024]
    found = {"floats": np.array([8.0, 10]), "unrelated": np.array([8.0, 10]), "plug-in": np.array([0.4, 0.1]),
             "corrected": np.array([0.2, 0.0]), "expected": np.array([0.35, 0.09])}
    left, right = pictures.naive_chart(sizes, found).axes
    assert [line.get_ydata().tolist() for line in left.lines[:2]] == [[8, 10], [8, 10]]
    assert left.lines[2].get_ydata()[0] == pytest.approx(0.596, abs=1e-3)
    assert [line.get_ydata().tolist() for line in right.lines[:3]] == [[0.35, 0.09], [0.4, 0.1], [0.2, 0.0]]
    assert [text.get_text() for text in left.texts] == ["truth, ρ = 0.75: 0.60", "truth, unrelated: 0.00"]


def test_channel_bars_are_sorted_under_the_null():
    told = {"f1": np.array([0.1, 0.3, 0.2]), "f4": np.array([0.5, 0.0])}
    null = {"f1": np.array([[0.0, 0.02, 0.01], [0.0, 0.01, 0.05]]), "f4": np.array([[-0.01, -0.02]])}
    figure = pictures.channel_bars(told, null)
    assert titles(figure) == ["f1: 3 channels", "f4: 2 channels"]
    first, second = figure.axes
    assert [bar.get_height() for bar in first.patches[:3]] == [0.3, 0.2, 0.1]
    assert first.patches[3].get_height() == pytest.approx(0.05)
    assert second.patches[2].get_height() == 0.0  # a null below 0 is no band


def test_the_plane_is_the_shares_of_the_file():
    section = read(RESULTS, ["encoder"])["encoder"]
    left, right = pictures.encoder_plane(section).axes
    stages = list(section["label_entropy"])
    assert [label.get_text() for label in left.get_xticklabels()] == stages
    arms = list(dict.fromkeys(row["arm"] for row in section["rows"]))
    assert len(right.lines) == len(arms) and len(left.get_legend().get_texts()) == len(arms)

    def mean(measure, stage):
        return next(r["mean"] for r in section["rows"] if (r["arm"], r["stage"], r["measure"], r["where"], r["probe"])
                    == ("float", stage, measure, "before", "linear"))

    twin = right.lines[arms.index("float")].get_xydata()
    for point, stage in zip(twin, ("f1", "f2", "f3", "f4"), strict=True):
        h = section["label_entropy"][stage]
        assert point == pytest.approx([mean("detail", stage) / h["detail"], mean("relevance", stage) / h["relevance"]])
    assert [text.get_text() for text in right.texts] == ["f1", "f2", "f3", "f4"]
