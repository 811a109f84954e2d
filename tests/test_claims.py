"""The table of claims: rules on hand-made figures, every verdict reachable, and whatever subset of runs is there."""

import dataclasses
import json
from itertools import pairwise

import numpy as np
import pytest

from bivm_ref import claims, claims_data, resampling, results
from bivm_ref.ancestors import RVM
from bivm_ref.claims import AGAINST, MET, NOT, PART
from bivm_ref.cost import total_operations
from bivm_ref.errors import UserError


def rows_of(levels: dict[str, float], seeds: int = 3, spread: float = 1.0) -> list[dict]:
    """Rows whose arms differ by a factor and nearly nothing else: a ratio of two is nearly that of their levels."""
    rng = np.random.default_rng(0)
    clips = rng.uniform(50, 150, 20)
    return [{"arm": arm, "seed": seed, "MAD": (level * clips + rng.normal(0, spread, 20)).tolist()}
            for arm, level in levels.items() for seed in range(seeds)]


ALL = dict.fromkeys(results.METHODS, 1.5)


# -- the rules ----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("low", "high", "seeds", "margin", "verdict"), [
    (0.7, 0.8, 3, 1.0, MET), (0.7, 0.8, 2, 1.0, PART), (0.7, 0.8, 3, 0.9, MET),
    (0.7, 0.95, 3, 0.9, PART),  # a lead, the margin is not sure
    (0.9, 1.1, 9, 1.0, NOT), (1.1, 1.2, 3, 1.0, AGAINST), (1.1, 1.2, 1, 1.0, NOT), (0.9, 1.0, 5, 1.0, NOT),
])
def test_a_lead(low, high, seeds, margin, verdict):
    assert claims.lead(low, high, seeds, margin) == verdict


@pytest.mark.parametrize(("verdicts", "missing", "whole"), [
    ([MET, MET], False, MET), ([MET, MET], True, PART), ([MET, PART], False, PART), ([MET, NOT], False, PART),
    ([MET, AGAINST], False, PART), ([AGAINST, NOT], False, AGAINST), ([NOT], True, NOT), ([], True, NOT),
    ([], False, NOT),
])
def test_parts_make_a_whole(verdicts, missing, whole):
    assert claims.combined(verdicts, missing) == whole


# -- methods and parts --------------------------------------------------------------------------------------------

def test_all_methods_beaten_with_three_seeds_is_met():
    found = claims.methods(rows_of({"bivm": 1.0, **ALL}))
    assert found.verdict == MET and "0.67" in found.measured and "provisional" not in found.reason


def test_two_seeds_are_provisional_and_a_missing_method_is_named():
    two = claims.methods(rows_of({"bivm": 1.0, **ALL}, seeds=2))
    assert two.verdict == PART and "provisional: 2 seeds" in two.reason
    lacking = claims.methods([row for row in rows_of({"bivm": 1.0, **ALL}) if row["arm"] != "recu"])
    assert lacking.verdict == PART and "not run: ReCU" in lacking.reason


def test_the_lead_without_the_teacher_is_said():
    found = claims.methods(rows_of({"bivm": 1.0, **ALL, "no-mimicking": 1.5}, spread=0.001))
    assert found.verdict == MET and "without its teacher, 1.00 (1.00 to 1.00) times" in found.reason
    assert "teacher" not in claims.methods(rows_of({"bivm": 1.0, **ALL})).reason


def test_rivals_share_a_seed():
    rows = rows_of({"bivm": 1.0, "recu": 1.0}, seeds=1) + [{"arm": "bnn", "seed": 5, "MAD": [1.0]}]
    assert claims.rivals(rows) == ["recu"] and claims.rivals(rows, "no-mimicking") == []


def test_one_method_that_is_better_is_named_and_all_of_them_contradict():
    one = claims.methods(rows_of({"bivm": 1.0, **ALL, "irnet": 0.5}))
    assert one.verdict == PART and "more than IR-Net" in one.reason and "best other's (IR-Net)" in one.measured
    every = claims.methods(rows_of({"bivm": 2.0, **ALL}))
    assert every.verdict == AGAINST and every.reason.startswith("less MAD than none")


def test_a_lead_of_five_per_cent_is_not_substantial():
    assert claims.methods(rows_of({"bivm": 1.0, **dict.fromkeys(ALL, 1.05)})).verdict == PART


@pytest.mark.parametrize("rows", [[], rows_of({"float": 1.0}), rows_of({"bivm": 1.0}), rows_of(ALL)])
def test_without_pairs_nothing_is_shown(rows):
    for claim in (claims.methods(rows), claims.parts(rows, "x", ["no-mask"])):
        assert (claim.verdict, claim.measured) == (NOT, "no run")


def test_arms_without_a_seed_in_common_are_not_compared():
    rows = rows_of({"bivm": 1.0}, seeds=1) + [{**row, "seed": 7} for row in rows_of({"no-mask": 2.0}, seeds=1)]
    assert claims.parts(rows, "x", ["no-mask"]).measured == "no run"


def test_a_part_helps_harms_or_is_undecided():
    rows = rows_of({"bivm": 1.0, "no-mask": 1.3, "no-bits": 0.8})
    both = claims.parts(rows, "x", ["no-mask", "no-bits"])
    assert (both.verdict, both.reason) == (PART, "helps: mask; harms: bit term")
    assert claims.parts(rows, "x", ["no-mask"]).verdict == MET
    assert claims.parts(rows, "x", ["no-bits"]).verdict == AGAINST
    wide = claims.parts(rows_of({"bivm": 1.0, "no-mask": 1.01}, spread=40), "x", ["no-mask"])
    assert (wide.verdict, wide.reason) == (NOT, "undecided: mask")


def test_a_search_adds_a_part_at_most():
    def search(mean):
        return {"picks": {"chosen": {"against_preset_again": [mean, 3.0]}}}

    assert claims.topologies([], None).verdict == NOT
    assert claims.topologies([], search(-5.0)).verdict == NOT  # -5 + 1.96 · 3 is above 0
    assert claims.topologies([], search(-6.0)).verdict == PART
    helps = rows_of({"bivm": 1.0, "no-branches": 1.3})
    assert claims.topologies(helps, None).verdict == MET
    assert claims.topologies(helps, search(1.0)).verdict == PART  # branches shown, the search not


# -- savings, mask, information, hardware -------------------------------------------------------------------------

@pytest.mark.parametrize(("times", "share", "verdict"), [(20.0, 0.1, MET), (20.0, 0.9, PART), (5.0, 0.1, NOT)])
def test_a_saving_needs_its_number_and_a_matte(times, share, verdict):
    found = claims.saving("x", 14.3, {"net": times}, {"net": {"portrait": share}}, "")
    assert (found.verdict, found.paper) == (verdict, "14.3×")


def test_a_saving_of_a_network_without_figures_has_no_matte():
    assert claims.saving("x", 14.3, {"net": 20.0}, {"net": {}}, "").verdict == PART


def test_accuracy_is_a_part_at_most():
    good, bad = dict.fromkeys(claims.SAMPLES, 0.05), {"portrait": 0.05, "rendered": 0.9}
    assert [claims.accuracy("net", shares).verdict for shares in (good, bad, {})] == [PART, NOT, NOT]


def decoder(kept=0.7, high=2.0, random=10.0):
    return {"own": {"ours": {"mean": 0.5, "low": -1.0, "high": high}, "random_against_ours": {"low": random}},
            "curve": [{"size": "own", "kept": kept}]}


@pytest.mark.parametrize(("study", "times", "verdict"), [
    (decoder(), {"board": 1.5}, MET), (decoder(), {"board": 1.5, "other": 1.02}, PART), (decoder(), {}, PART),
    (decoder(high=9.0), {"board": 1.5}, PART), (decoder(1.0, 9.0, -1.0), {"board": 1.0}, NOT), (None, {}, NOT)])
def test_the_mask_is_asked_four_questions(study, times, verdict):
    assert claims.mask(study, times).verdict == verdict


@pytest.mark.parametrize(("lost", "closed", "verdict"), [(0.5, 0.3, PART), (0.5, -0.1, PART), (-0.1, -0.1, NOT)])
def test_a_probe_shows_a_part_at_most(lost, closed, verdict):
    row = {"mean": 0.6, "high": 0.7}
    gap = {"stage": "f4", "where": "before", "probe": "linear", "float-bnn": {**row, "low": lost},
           "closed": {"bivm": {"bits": {**row, "low": closed}}}}
    assert claims.information({"gaps": [{"stage": "f1"}, gap]}).verdict == verdict
    assert "provisional: 2 seeds" in claims.information({"gaps": [gap], "seeds": {"bnn": [0, 1]}}).reason
    assert claims.information({"gaps": []}).verdict == claims.information(None).verdict == NOT


@pytest.mark.parametrize(("architecture", "verdict"), [("aarch64", MET), ("arm64", MET), ("x86_64", NOT)])
def test_only_an_arm_processor_is_one(architecture, verdict):
    report = {"machine": {"board": None, "cpu": "X", "architecture": architecture}}
    assert claims.hardware([report]).verdict == verdict
    assert claims.hardware([]).verdict == NOT


# -- this repository's figures ------------------------------------------------------------------------------------

def test_the_table_of_this_repository():
    table = claims_data.everything()
    assert all(c.verdict in (MET, PART, NOT, AGAINST) and c.reason and c.measured for c in table)
    abstract = ["14.3x", "21.6x", "ARM CPU", "elastic shortcuts", "evolvable topologies", "substantial margin"]
    assert all(any(words in c.words for c in table) for words in abstract)
    lines = claims.markdown(table).splitlines()
    assert len(lines) == 2 + len(table) and {line.count("|") for line in lines} == {6}


def test_every_prefix_of_the_runs_makes_a_table():
    """Runs arrive one by one; whatever has arrived, the table stands and says what is missing."""
    rows = results.load(claims_data.ROWS)
    found = [claims.methods(rows[:n], figure) for n in range(len(rows) + 1) for figure in ("MAD", "dtSSD")]
    assert all(dataclasses.astuple(claim) for claim in found) and found[0].measured == "no run"


def test_costs_are_those_of_the_cost_model():
    for row, network in zip(claims_data.costs(), claims_data.networks()):
        assert row["dense"] == pytest.approx(total_operations(RVM) / total_operations(network.arch))
        assert row["bytes"] == 14_994_532 / network.path.stat().st_size
        assert row["dense"] < row["masked_least"] < row["masked"] and row["strict"] < row["masked"]


def test_files_that_are_not_what_they_should_be(tmp_path):
    (tmp_path / "x.json").write_text("{")
    with pytest.raises(UserError, match="x.json: not JSON"):
        claims_data.reports(tmp_path)
    with pytest.raises(UserError, match="not the log of a search"):
        claims_data.search_result(tmp_path / "x.json")
    (tmp_path / "log").write_text('{"kind": "run"}\n')
    assert claims_data.search_result(tmp_path / "log") is None
    assert claims_data.reports(tmp_path / "nowhere") == []


def test_dense_times_are_of_one_core_at_that_size(tmp_path):
    def part(cores, size, ratio):
        rows = [{"contender": "packed dense", "ratio": ratio}, {"contender": "x"}]
        return {"cores": cores, "size": size, "rows": rows}

    report = {"machine": {"board": "Pi", "cpu": "A76"}, "passes": [
        part("one", [256, 144], 1.1), part("one", [512, 288], 1.3), part("all", [512, 288], 1.2)]}
    (tmp_path / "a.json").write_text(json.dumps(report))
    assert claims_data.dense_times(claims_data.reports(tmp_path)) == {"Pi": 1.3}


# -- resampling ---------------------------------------------------------------------------------------------------

def test_an_interval_by_counts_is_the_crossed_bootstrap():
    """The same distribution as results.summary draws: ends agree up to the luck of 2,000 draws."""
    rng = np.random.default_rng(3)
    values = 100 + 10 * rng.normal(size=(4, 1)) + 20 * rng.normal(size=(1, 30)) + rng.normal(size=(4, 30))
    row = results.summary([{"arm": "a", "seed": s, "MAD": v.tolist()} for s, v in enumerate(values)])["a"]
    low, high = resampling.interval(values)
    assert abs(low - row["low"]) < 1.0 and abs(high - row["high"]) < 1.0 and high - low > 10


def test_what_does_not_vary_is_not_seen():
    seeds_differ = np.repeat([[1.0], [3.0]], 10, axis=1)  # clips are all alike
    assert resampling.interval(seeds_differ, seeds=False) == (2.0, 2.0)
    assert resampling.interval(seeds_differ) == (1.0, 3.0)
    assert resampling.interval(seeds_differ.T, clips=False) == (2.0, 2.0)
    with pytest.raises(ValueError, match="nothing is resampled"):
        resampling.interval(seeds_differ, seeds=False, clips=False)


def test_clips_alone_hold_the_truth_too_rarely_and_more_seeds_help():
    one, many = resampling.coverage(1, repeats=80), resampling.coverage(12, repeats=80)
    assert one["clips alone"] == one["seeds and clips"] < 0.9  # one seed cannot be resampled
    assert many["seeds and clips"] >= 0.88
    few = [resampling.coverage(3, seed_spread=spread, repeats=80)["clips alone"] for spread in (0.0, 6.0, 30.0)]
    assert all(a > b for a, b in pairwise(few)) and few[0] >= 0.88
