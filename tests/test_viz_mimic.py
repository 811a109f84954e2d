"""Pictures of notebook 07: greys and correlations by hand, colours of bits, arms that are missing, the widget."""

import numpy as np
import pytest

from bivm_ref import results, viz, viz_mimic


def random_maps(channels=3, side=8, seed=0):
    return np.random.default_rng(seed).normal(2, 3, (2, channels, side, side)).astype(np.float32)


def test_standardised_by_hand_and_a_dead_channel_stays_flat():
    maps = np.stack([np.array([[1.0, 3.0], [1.0, 3.0]]), np.full((2, 2), 7.0)])[None]  # mean 2, deviation 1; constant
    z = viz_mimic.standardised(maps)
    np.testing.assert_allclose(z[0, 0], [[-1, 1], [-1, 1]])
    assert not z[0, 1].any()


def test_grey_is_the_middle_at_the_mean_and_clips_at_two_deviations():
    assert viz_mimic.grey(np.array([-9.0, -2.0, 0.0, 1.0, 2.0, 9.0])).tolist() == [0.0, 0.0, 0.5, 0.75, 1.0, 1.0]
    assert len(np.unique(viz_mimic.grey(np.linspace(-3, 3, 999)))) == viz_mimic.LEVELS


def test_large_repeats_cells():
    assert viz_mimic.large(np.array([[1, 2], [3, 4]]), 4).tolist() == [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4],
                                                                       [3, 3, 4, 4]]
    assert viz_mimic.large(np.zeros((8, 8, 3)), 64).shape == (64, 64, 3)


def test_likenesses_are_numpys_correlations():
    a, b = random_maps(seed=1), random_maps(seed=2)
    b[:, 1] = -5 * a[:, 1] + 3
    b[:, 2] += a[:, 2]
    by_numpy = [np.corrcoef(a[:, c].ravel(), b[:, c].ravel())[0, 1] for c in range(3)]
    np.testing.assert_allclose(viz_mimic.likenesses(a, b), by_numpy, atol=1e-6)
    assert by_numpy[1] == pytest.approx(-1)


def test_channel_strip_names_channels_above_and_correlations_below():
    a, b = random_maps(), random_maps(seed=3)
    b[:, 2] = 10 * a[:, 2]
    figure = viz_mimic.channel_strip({"teacher": a, "with": b}, [2, 0])
    titles = [panel.get_title(loc="left") for panel in figure.axes]
    assert titles[:3] == ["channel 2", "channel 0", "r = 1.00"] and figure.axes[2].get_ylabel() == "with"
    shown = [panel.images[0].get_array() for panel in figure.axes]
    np.testing.assert_array_equal(shown[0], shown[2])  # ten times the size: the same z-scores


def test_bits_are_coloured_by_who_says_one():
    mine, theirs = np.array([[True, False], [True, False]]), np.array([[True, False], [False, True]])
    picture = viz_mimic.agreement_picture(mine, theirs)
    assert picture[0].tolist() == [[255] * 3, [0] * 3]
    assert picture[1].tolist() == [list(viz._rgb(viz.ORANGE)), list(viz._rgb(viz.BLUE))]
    bits = np.broadcast_to(mine, (1, 1, 2, 2)), np.broadcast_to(theirs, (1, 1, 2, 2))
    figure = viz_mimic.bit_strip({"teacher": bits[1], "with": bits[0]}, [0])
    assert [panel.get_title(loc="left") for panel in figure.axes] == ["channel 0", "50% agree"]


def test_weight_heat_shows_multiples_of_the_even_weight():
    w = np.full((4, 4), 0.5 / 15)
    w[1, 1] = 0.5  # eight times the even weight, 1/16
    figure = viz_mimic.weight_heat(np.zeros((16, 16, 3), np.uint8), {"f3": w, "f4": np.full((2, 2), 0.25)})
    first, second = (np.asarray(figure.axes[i].images[1].get_array()) for i in (0, 1))
    assert first.shape == (16, 16) and first[4:8, 4:8].min() == first.max() == 8.0
    assert second.min() == second.max() == 1.0
    assert figure.axes[2].get_ylabel() == "times the even weight"


def test_information_bars_fall_and_the_dots_keep_their_channels():
    told, pi = np.array([0.1, 0.4, 0.2]), np.array([0.5, 0.3, 0.2])
    panel, other = viz_mimic.information_bars(told, pi).axes
    assert [bar.get_height() for bar in panel.patches] == [0.4, 0.2, 0.1]
    np.testing.assert_allclose(other.lines[0].get_ydata(), [0.9, 0.6, 1.5])  # times the even weight, 1/3


def test_stage_chart_draws_every_series_with_its_interval():
    rows = {s: {"mean": m, "low": m - 0.1, "high": m + 0.2} for s, m in (("f1", 0.5), ("f2", -0.05))}
    panel = viz_mimic.stage_chart({"with": rows, "without": rows}, "bits").axes[0]
    assert [text.get_text() for text in panel.get_xticklabels()] == ["f1", "f2"]
    drawn = [box for box in panel.containers if box.has_yerr]
    assert len(drawn) == 2 and drawn[0][0].get_ydata().tolist() == [0.5, -0.05]
    (low, high) = drawn[0][2][0].get_segments()[0][:, 1]
    assert (low, high) == (pytest.approx(0.4), pytest.approx(0.7))


def row(arm, seed, mads):
    return {"arm": arm, "seed": seed, "MAD": mads}


def test_worth_names_what_is_missing_and_pairs_the_rest():
    rows = [row("bivm", 0, [10.0, 30.0]), row("no-mimicking", 0, [20.0, 60.0]), row("float", 0, [1.0, 2.0])]
    found, missing = viz_mimic.worth(rows)
    assert list(found) == ["bivm", "no-mimicking"]
    assert missing == ["no-localization", "no-bits", "no-information"]
    assert found["bivm"]["mean"] == 20 and "ratio" not in found["bivm"]
    # twice as bad on every clip: whichever clips are drawn, the ratio is 2, although the intervals overlap
    assert [found["no-mimicking"]["ratio"][key] for key in ("ratio", "low", "high")] == [2.0, 2.0, 2.0]
    assert found["no-mimicking"]["low"] < found["bivm"]["high"]
    labels = [text.get_text() for text in viz_mimic.worth_chart(found).axes[0].get_yticklabels()]
    assert labels == [results.LABELS["bivm"], results.LABELS["no-mimicking"]]


def test_worth_without_the_full_arm_compares_with_nothing():
    found, missing = viz_mimic.worth([row("no-bits", 0, [5.0, 7.0]), row("no-bits", 1, [6.0, 6.0])])
    assert list(found) == ["no-bits"] and "bivm" in missing
    assert found["no-bits"]["seeds"] == 2 and "ratio" not in found["no-bits"]


def test_the_parts_are_arms_of_the_comparison():
    pytest.importorskip("torch")
    from bivm_ref.learn.compare import ARMS

    assert set(viz_mimic.PARTS) <= set(ARMS) and set(viz_mimic.PARTS) <= set(results.LABELS)


def test_live_curves_name_their_ends():
    figure = viz_mimic.live_curves({"with": (np.array([2.0, 1.0]), np.array([0.5, 0.7]))})
    left, right = figure.axes
    assert left.lines[0].get_ydata().tolist() == [2.0, 1.0] and right.lines[0].get_ydata().tolist() == [0.5, 0.7]
    assert [panel.texts[0].get_text() for panel in (left, right)] == [" with", " with"]


def test_the_explorer_follows_its_controls():
    pytest.importorskip("ipywidgets")
    maps = {"f4": {"teacher": random_maps(5), "with": random_maps(5, seed=1)},
            "d1": {"teacher": random_maps(3, 16), "with": random_maps(3, 16, seed=1)}}
    bits = {stage: {name: m > 2 for name, m in of.items()} for stage, of in maps.items()}
    box = viz_mimic.feature_explorer(maps, bits)
    (stage, channel, frame), line, image = box.children[0].children, box.children[1], box.children[2]
    assert channel.max == 2 and frame.max == 1
    share = np.mean(bits["d1"]["with"][0, 0] == bits["d1"]["teacher"][0, 0])
    assert line.value == f"teacher | with; bits that agree with the teacher's: with {share:.0%}"
    before = bytes(image.value)
    channel.value = 2
    assert image.value != before
    stage.value = "f4"
    assert channel.max == 4
    stage.value = "d1"  # a channel that the stage does not have is brought back into range
    assert channel.max == 2 and channel.value <= 2
