"""Entropy, mutual information and their intervals: hand-worked tables, closed forms, scipy, refusals."""

import json

import numpy as np
import pytest

from bivm_ref import information as library
from bivm_ref import information_sheet, information_text
from bivm_ref.errors import UserError
from bivm_ref.information import (
    as_bits,
    clip_tables,
    corrected_entropy,
    corrected_information,
    crossed_draws,
    estimate,
    group_codes,
    kmeans,
    mutual_information,
    nearest,
    permutation_null,
    quantize,
    summary,
)

# -- tables -------------------------------------------------------------------------------------------------------


def test_miller_madow_by_hand():
    """Two codes seen twice each: 1 bit + (2 - 1) / (2 * 4 * ln 2). A code that is never seen does not count."""
    assert corrected_entropy([2, 2]) == pytest.approx(1.0 + 1.0 / (8.0 * np.log(2)))
    assert corrected_entropy([2, 2, 0]) == corrected_entropy([2, 2])
    assert corrected_entropy([7, 0]) == 0.0
    table = [[4, 0], [0, 4]]  # H(A) = H(B) = H(A, B) = 1, each with one code more than one: 1 + 1/(16 ln 2)
    assert corrected_information(table) == pytest.approx(1.0 + 1.0 / (16.0 * np.log(2)))


def test_correction_takes_the_bias_away():
    """Independent codes: the plug-in finds (64 - 1)(3 - 1) / (2 N ln 2) bits, the correction a tenth at most."""
    rng = np.random.default_rng(0)
    tables = rng.multinomial(3000, np.full(192, 1 / 192), 50).reshape(50, 64, 3)
    expected = 63 * 2 / (2 * 3000 * np.log(2))
    assert mutual_information(tables).mean() == pytest.approx(expected, rel=0.1)
    assert abs(corrected_information(tables).mean()) < 0.1 * expected


def test_tables_are_counted_clip_by_clip():
    codes = np.tile([[0, 1, 1, 0, 1, 0, 1, 1, 0, 1]], (3, 1))
    labels = np.array([[0] * 10, [1] * 10, [0] * 5 + [1] * 5])
    tables = clip_tables(codes, labels, (2, 2))
    assert tables.tolist() == [[[4, 0], [6, 0]], [[0, 4], [0, 6]], [[2, 2], [3, 3]]]


@pytest.mark.parametrize("codes, labels, sizes, message", [
    (np.zeros((2, 50), int), np.full((2, 50), 3), (2, 4), "constant .all 100 of them 3.: H.Y. = 0"),
    (np.zeros((2, 50), int), np.eye(2, 50, dtype=int), (256, 2), "100 samples do not support 256 codes: at least 2560"),
    (np.zeros((2, 50), int), np.zeros((2, 51), int), (2, 2), r"\(2, 50\) and labels \(2, 51\)"),
    (np.full((2, 50), 9), np.eye(2, 50, dtype=int), (8, 2), "codes span 9 to 9, but there are 8"),
])
def test_tables_that_cannot_be(codes, labels, sizes, message):
    with pytest.raises(ValueError, match=message):
        clip_tables(codes, labels, sizes)


# -- intervals ----------------------------------------------------------------------------------------------------


def test_percentiles_are_those_of_t_and_the_normal():
    stats = pytest.importorskip("scipy.stats")
    for clips in (10, 40, 500):
        low, high = library.percentiles(clips)
        expected = 100 * stats.norm.cdf(-np.sqrt(clips / (clips - 1)) * stats.t.ppf(0.975, clips - 1))
        assert low == pytest.approx(expected, abs=0.02) and low + high == 100.0
    assert library.percentiles(10)[0] < library.percentiles(100)[0] < 2.5


def test_too_few_clips_are_refused():
    for call in (lambda: estimate(np.ones((9, 2, 2))), lambda: crossed_draws(np.ones((3, 9))),
                 lambda: permutation_null(np.zeros((4, 50), int), np.eye(4, 50, dtype=int), (2, 2))):
        with pytest.raises(ValueError, match=r"(9|4) clips are too few for an interval: at least 10"):
            call()


def test_what_is_the_same_in_every_clip_has_no_interval():
    point, low, high = estimate(np.tile([[40.0, 10.0], [10.0, 40.0]], (12, 1, 1)))
    assert point == pytest.approx(low) and point == pytest.approx(high)
    assert point == pytest.approx(1 - information_sheet.h2(0.2), abs=2e-3)


def test_differences_and_ratios_are_paired():
    """b = a - 0.3 in every seed and clip: their difference has no spread though both have; so has the ratio c = 2a."""
    a = np.random.default_rng(1).uniform(1, 2, (3, 20))
    lone = summary(a)
    assert lone["high"] - lone["low"] > 0.1 and lone["low"] < a.mean() < lone["high"]
    gap = summary(np.stack((a, a - 0.3)), lambda x, y: x - y)
    assert all(gap[key] == pytest.approx(0.3) for key in ("mean", "low", "high"))
    double = summary(np.stack((a, 2 * a)), lambda x, y: y / x)
    assert double["low"] == pytest.approx(2.0) and double["high"] == pytest.approx(2.0)


def test_seeds_and_clips_are_both_drawn():
    """Only seeds differ in one array, only clips in the other: both have an interval."""
    seeds, clips = np.repeat([[1.0], [2.0], [3.0]], 20, 1), np.repeat([np.arange(20.0)], 3, 0)
    for values in (seeds, clips):
        drawn = crossed_draws(values)
        assert drawn.std() > 0.3 and drawn.mean() == pytest.approx(values.mean(), abs=0.1)


def test_the_null_keeps_what_cells_of_a_clip_share():
    """Codes and labels that are constant within a clip tell nothing of each other. With 20 clips chance alone pairs
    them well: exchanging clips shows that, exchanging cells would say 0."""
    rng = np.random.default_rng(2)
    codes, labels = (np.repeat(rng.integers(0, 2, (20, 1)), 100, 1) for _ in range(2))
    mean, high = permutation_null(codes, labels, (2, 2))
    assert mean > 0.01 and high >= mean
    cells = rng.permutation(labels.ravel()).reshape(labels.shape)
    assert abs(corrected_information(clip_tables(codes, cells, (2, 2)).sum(0))) < 0.004


# -- codes --------------------------------------------------------------------------------------------------------


def test_groups_of_eight_by_hand():
    signs = np.array([[1, -1, -1, -1, -1, -1, -1, 1, -1, -1, -1, -1, -1, -1, 1, -1]])
    assert group_codes(signs).tolist() == [[0b10000001, 0b00000010]]
    with pytest.raises(ValueError, match="12 channels do not make groups of 8"):
        group_codes(np.ones((3, 12)))


def test_features_that_are_not_binary_are_refused_with_their_number():
    with pytest.raises(ValueError, match=r"2 of 4 are not, as 0\.25"):
        as_bits(np.array([1.0, -1.0, 0.25, 3.0]))
    assert as_bits(np.array([1.0, -1.0])).tolist() == [True, False]


def test_quantizing_keeps_what_it_can():
    x = np.random.default_rng(3).standard_normal((500, 3)).astype(np.float32) * [1, 10, 100]
    one = quantize(x, 1)
    assert ((one > np.median(x, 0)) == (x >= np.median(x, 0))).mean() > 0.99
    lost = [np.square((quantize(x, bits) - x) / x.std(0)).mean() for bits in (1, 2, 3, 4, 8)]
    assert all(a > 2 * b for a, b in zip(lost, lost[1:]))
    # a normal in two equal halves keeps 2/pi of its variance; levels are means, so that the mean stays
    assert lost[0] == pytest.approx(1 - 2 / np.pi, abs=0.05)
    np.testing.assert_allclose(quantize(x, 3).mean(0), x.mean(0), rtol=1e-3, atol=1e-3)
    for bits in (1, 2, 4):
        assert all(len(np.unique(column)) == 2**bits for column in quantize(x, bits).T)
    assert np.unique(quantize(np.zeros((10, 2)), 3)).tolist() == [0.0]  # a silent channel stays silent
    with pytest.raises(ValueError, match="0 bits"):
        quantize(x, 0)


def test_kmeans_finds_three_heaps():
    rng = np.random.default_rng(4)
    heaps = np.array([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    which = rng.integers(0, 3, 300)
    points = heaps[which] + 0.5 * rng.standard_normal((300, 2))
    centres = kmeans(points, 3)
    order = nearest(heaps, centres)
    assert sorted(order) == [0, 1, 2] and np.abs(centres[order] - heaps).max() < 0.3
    assert (nearest(points, centres) == order[which]).all()
    np.testing.assert_array_equal(centres, kmeans(points, 3))
    assert len(kmeans(np.zeros((100, 2)), 4)) == 4
    with pytest.raises(ValueError, match="100 samples do not support 16 codes: at least 160"):
        kmeans(np.zeros((100, 2)), 16)


# -- the sanity sheet -----------------------------------------------------------------------------------------------


def test_closed_forms_are_the_published_ones():
    assert [round(information_sheet.channel_truth(e), 3) for e in (0.11, 0.05, 0.25)] == [0.500, 0.714, 0.189]
    assert [round(information_sheet.sign_truth(r), 3) for r in (0.75, 0.9)] == [0.222, 0.406]
    assert [round(information_sheet.normal_truth(r), 3) for r in (0.75, 0.9)] == [0.596, 1.198]


def test_the_sheet_passes():
    rows = information_sheet.table_cases()
    sound = [r for r in rows if r["sound"]]
    assert len(sound) == 11 and all(r["inside"] >= 90 for r in sound), information_sheet.as_text(rows)
    unsound = {r["estimator"]: r for r in rows if not r["sound"]}
    assert len(unsound) == 3 and all(r["inside"] < 60 for r in unsound.values())
    floats = unsound["plug-in, every float its own code"]
    assert floats["mean"] == pytest.approx(np.log2(2000)) and floats["truth"] < 0.6  # whatever the truth is
    assert information_sheet.passed(rows)
    assert not information_sheet.passed([{**sound[0], "inside": 89}])
    assert not information_sheet.passed([{**floats, "mean": 8.0}])


def test_all_distinct_floats_say_log2_n_and_nothing_else():
    rng = np.random.default_rng(5)
    for n in (16, 1000):
        assert information_sheet.distinct_information(*rng.standard_normal((2, n))) == pytest.approx(np.log2(n))


# -- the file -----------------------------------------------------------------------------------------------------


def test_sections_are_replaced_one_by_one(tmp_path):
    path = tmp_path / "information_small.json"
    information_text.write(path, {"sheet": {"passed": True}, "decoder": {"a": [1.23456789, float("nan")]}})
    information_text.write(path, {"sheet": {"passed": False}})
    assert information_text.read(path, ["decoder"]) == {"sheet": {"passed": False}, "decoder": {"a": [1.2346, None]}}
    assert json.loads(path.read_text())["schema"] == information_text.SCHEMA
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_files_that_cannot_be_read_are_named(tmp_path):
    path = tmp_path / "x.json"
    with pytest.raises(UserError, match="x.json: no such file; make it with bivm-ref information"):
        information_text.read(path)
    path.write_text("{")
    with pytest.raises(UserError, match="cannot be read as JSON"):
        information_text.read(path)
    path.write_text('{"schema": 7}')
    with pytest.raises(UserError, match="not a file of information studies"):
        information_text.write(path, {"sheet": {}})
    path.write_text(json.dumps({"schema": information_text.SCHEMA}))
    with pytest.raises(UserError, match="no section 'encoder'"):
        information_text.read(path, ["encoder"])
