"""Probes and the two studies: known V-information, features by hand, masks by hand, reports with known answers."""

import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from bivm_ref import information_sheet, information_text
from bivm_ref.cli import main
from bivm_ref.clips import HELD_OUT
from bivm_ref.errors import UserError
from bivm_ref.learn import branch_gain, encoder_report, features, studies, study_decoder, study_encoder
from bivm_ref.learn.probe_sheet import QUICK, QUICK_MLP, probe_cases
from bivm_ref.learn.probes import LINEAR, folds, learning_cost, pointwise, v_information
from bivm_ref.net import BiVM
from bivm_ref.net.capture import STAGES, Capture, reader
from bivm_ref.net.decoder import detail_mask


@pytest.fixture(scope="module")
def clips():
    return list(features.held_out_clips(2, 2, 40, 56))


@pytest.fixture(scope="module")
def model() -> BiVM:
    torch.manual_seed(21)
    return BiVM("small").eval()


# -- probes -------------------------------------------------------------------------------------------------------


def test_the_probes_sheet_passes():
    rows = probe_cases()
    assert len(rows) == 5 and all(r["sound"] and r["inside"] >= 90 for r in rows), information_sheet.as_text(rows)


def test_an_exclusive_or_is_read_by_the_mlp_alone():
    inputs = np.random.default_rng(0).integers(0, 2, (20, 100, 2))
    label = inputs[..., 0] ^ inputs[..., 1]
    assert v_information(2 * inputs - 1, label, QUICK_MLP).mean() > 0.97
    assert abs(v_information(2 * inputs - 1, label, QUICK).mean()) < 0.01


def test_scale_and_shift_of_a_channel_do_not_matter():
    """Real-valued and binary maps meet the same probe: what it reads must not depend on the unit."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((20, 60, 4))
    y = (x[..., 0] + 0.5 * rng.standard_normal((20, 60)) > 0).astype(int)
    plain, moved = (v_information(z, y, QUICK) for z in (x, 1000 * x - 77))
    assert plain.mean() > 0.3
    np.testing.assert_allclose(plain, moved, atol=0.02)


def test_every_clip_is_held_out_once():
    plan = folds(23)
    assert sorted(np.concatenate([test for _, _, test in plan])) == list(range(23))
    for parts in plan:
        assert sorted(np.concatenate(parts)) == list(range(23))  # disjoint, and all are used


def test_a_clips_own_label_does_not_help_it():
    """Channels that name the clip, and labels that are constant in a clip: read off by heart, useless when held out."""
    names = np.repeat(np.eye(15)[:, None], 40, 1)
    labels = np.repeat(np.random.default_rng(2).integers(0, 2, (15, 1)), 40, 1)
    assert v_information(names, labels, QUICK).mean() < 0.05


def test_a_channel_that_was_silent_in_training_cannot_shout():
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((20, 40, 2)), rng.integers(0, 2, (20, 40))
    x[..., 0] += 3 * y
    x[..., 1] = 0.0
    x[7, :, 1] = 1e6
    gains = pointwise(x, y, LINEAR)
    assert gains.min() > -5 and gains.mean() > 0.4


@pytest.mark.parametrize("features_shape, labels, message", [
    ((9, 5, 2), np.eye(9, 5, dtype=int), "9 clips are too few for an interval: at least 10"),
    ((12, 5, 2), np.full((12, 5), 2), "labels are constant .all 60 of them 2."),
    ((12, 5), np.eye(12, 5, dtype=int), r"features \(12, 5\)"),
])
def test_what_a_probe_refuses(features_shape, labels, message):
    with pytest.raises(ValueError, match=message):
        v_information(np.zeros(features_shape), labels)


# -- features -----------------------------------------------------------------------------------------------------


def test_cells_and_their_labels_by_hand(clips):
    codes = features.colour_codes(clips * 10)
    cells = features.choose_cells(clips, "f3", 12, codes)
    again = features.choose_cells(clips, "f3", 12, codes)
    assert all(np.array_equal(getattr(cells, f.name), getattr(again, f.name)) for f in dataclasses.fields(cells))
    assert len(set(zip(cells.frame[0], cells.row[0], cells.column[0]))) == 12  # without replacement
    for i, clip in enumerate(clips):
        for j in range(12):
            t, y, x = cells.frame[i, j], 8 * cells.row[i, j], 8 * cells.column[i, j]
            alpha = clip.alpha[t, y:y + 8, x:x + 8].mean()
            assert cells.classes[i, j] == (0 if alpha < 0.02 else 2 if alpha > 0.98 else 1)
            colour = clip.frames[t, y:y + 8, x:x + 8].reshape(-1, 3).mean(0) / 255
            assert cells.colour[i, j] == np.square(codes - colour).sum(1).argmin()


def test_cells_that_are_not_there(clips):
    with pytest.raises(ValueError, match="99 cells per clip are wanted, but f4 has 2 x 3 x 4 = 24"):
        features.choose_cells(clips, "f4", 99, np.zeros((8, 3)))
    with pytest.raises(ValueError, match="unknown stage 'f5': choose among f1, f2"):
        features.choose_cells(clips, "f5", 2, np.zeros((8, 3)))


def test_captured_vectors_are_the_maps_at_those_cells(clips, model):
    cells = {stage: features.choose_cells(clips, stage, 5, np.zeros((8, 3))) for stage in STAGES}
    found = features.capture(model, clips, cells)
    with Capture(model) as maps, torch.no_grad():
        model(features.as_batch(clips[1])[0])
    for stage, which in cells.items():
        assert found[stage].shape[:2] == (2, 5)
        for j in range(5):
            expected = maps[stage][which.frame[1, j], :, which.row[1, j], which.column[1, j]].numpy()
            assert np.array_equal(found[stage][1, j], expected)
        signs, theta = features.after_sign(model, stage, found[stage]), reader(model, stage).theta
        shifted = found[stage] if theta is None else found[stage] + theta.detach().numpy()
        assert np.array_equal(signs, np.where(shifted >= 0, 1.0, -1.0))


def test_a_float_twin_has_no_signs():
    with pytest.raises(ValueError, match="binary features are needed"):
        features.after_sign(BiVM("small", "float"), "f2", np.zeros((1, 1, 32), np.float32))


def test_the_studies_clips_are_held_out():
    assert features.FIRST_SEED in HELD_OUT and features.FIRST_SEED + 999 in HELD_OUT


# -- study 1 ------------------------------------------------------------------------------------------------------


NO_CHECKS = {"shuffled": {}, "half": {}}


def tables_of(values: dict, channels: int = 8) -> dict:
    return {arm: {seed: {"f4": {"channels": channels, "codes_half": None}} for seed in seeds}
            for arm, seeds in values.items()}


def known_values() -> dict:
    """Two seeds, 12 clips, one stage. Before the sign: float 1, bnn .2, reactnet .4, ours .6 and .8; of each, a clip's
    own difficulty is taken away, so that means have intervals and paired differences none."""
    levels = {"float": 1.0, "bnn": 0.2, "reactnet": 0.4, "no-mimicking": 0.6, "bivm": 0.8}
    hard = np.random.default_rng(4).uniform(-0.1, 0.1, (2, 12))
    values = {}
    for arm, level in levels.items():
        for seed in (0, 1):
            found = {("f4", "relevance", "before", "linear"): level - hard[seed]}
            if arm == "float":
                found |= {("f4", "relevance", f"{k} bit", "linear"): 1.0 - lost - hard[seed]
                          for k, lost in ((1, 0.9), (2, 0.5), (4, 0.1))}
            else:
                found["f4", "relevance", "after", "linear"] = level - 0.1 - hard[seed]
            values.setdefault(arm, {})[seed] = found
    return values


def test_gaps_and_what_closes_them():
    report = encoder_report.report(known_values(), tables_of(known_values()), NO_CHECKS, {"f4": {}},
                                   study_encoder.Options())
    before, after = report["gaps"]
    assert (before["where"], after["where"]) == ("before", "after")
    assert all(before["float-bnn"][key] == pytest.approx(0.8) for key in ("mean", "low", "high"))
    assert after["float-bnn"]["mean"] == pytest.approx(0.9)  # the twin's map has no sign to pass
    assert before["closed"]["bivm"]["bits"]["mean"] == pytest.approx(0.6)
    assert before["closed"]["bivm"]["per_cent"]["mean"] == pytest.approx(75.0)
    assert before["closed"]["reactnet"]["per_cent"]["high"] == pytest.approx(25.0)
    assert before["mimicking"]["mean"] == pytest.approx(0.2)
    row = next(r for r in report["rows"] if r["arm"] == "bnn" and r["where"] == "before")
    assert row["low"] < row["mean"] < row["high"] and abs(row["mean"] - 0.2) < 0.05
    widths = report["bit_width"][0]
    assert widths["like_bnn"] == 1 and widths["bnn_lost"]["mean"] == pytest.approx(0.9)


def test_per_cent_of_no_gap_is_not_given():
    values = known_values()
    for seed in (0, 1):  # the BNN as good as the twin, but for noise
        noise = np.random.default_rng(seed).uniform(-0.1, 0.1, 12)
        place = ("f4", "relevance", "before", "linear")
        values["bnn"][seed][place] = values["float"][seed][place] + noise - noise.mean()
    before = encoder_report.report(values, tables_of(values), NO_CHECKS, {"f4": {}}, study_encoder.Options())["gaps"][0]
    assert before["closed"]["bivm"]["per_cent"] is None
    assert before["closed"]["bivm"]["bits"]["mean"] == pytest.approx(-0.2)


def test_missing_arms_leave_their_figures_out():
    values = known_values()
    del values["bnn"], values["no-mimicking"]
    report = encoder_report.report(values, tables_of(values), NO_CHECKS, {"f4": {}}, study_encoder.Options())
    assert all(gap["closed"] == {} and "float-bnn" not in gap and "mimicking" not in gap for gap in report["gaps"])


def test_exchanged_labels_keep_nothing_not_even_the_place():
    """Labels that follow from the place alone, the same in every clip, with features that say the place: rolled to the
    next clip they are still told (1 bit); exchanged they are not, though each clip has all of the next one's."""
    rng = np.random.default_rng(3)
    labels = np.tile(np.repeat([0, 1], 12), (60, 1))  # (clips, cells)
    labels[:, -1] = rng.integers(0, 2, 60)
    features = np.tile(np.linspace(-1, 1, 24, dtype=np.float32)[:, None], (60, 1, 1))
    moved = study_encoder.exchanged(labels, seed=0)
    assert (np.sort(moved, 1) == np.sort(np.roll(labels, 1, 0), 1)).all()
    assert v_information(features, np.roll(labels, 1, 0)).mean() > 0.6
    assert abs(v_information(features, moved).mean()) < 0.02
    assert (study_encoder.exchanged(labels, seed=0) == moved).all()


def test_checks_name_what_fails():
    key = ("f4", "relevance", "shuffled", "linear")
    rng = np.random.default_rng(5)
    found = encoder_report._shuffled({"bnn": {key: rng.uniform(-1, 1, 30)}, "bivm": {key: rng.uniform(0.5, 1, 30)}})
    assert found["intervals"] == 2 and [r["arm"] for r in found["without_zero"]] == ["bivm"]
    values, place = known_values(), ("f4", "relevance", "before", "linear")
    half = {arm: {place: values[arm][0][place][:6].repeat(2) - shift} for arm, shift in (("bnn", 0.0), ("bivm", 0.5))}
    options = study_encoder.Options(clips=12, cells=4800)
    halved = encoder_report._halving(values, half, tables_of(values), options)
    assert halved["estimates"] == 2 and [r["arm"] for r in halved["moved"]] == ["bivm"]
    assert halved["lower_bounds"] == {"estimates": 0, "moved": []}
    halved = encoder_report._halving(values, half, tables_of(values, channels=100_000), options)
    assert halved["estimates"] == 0 and halved["lower_bounds"]["estimates"] == 2
    assert [r["arm"] for r in halved["lower_bounds"]["moved"]] == ["bivm"]
    coded = {arm: {0: {"f4": {"codes": {"mean": 0.5}, "codes_half": {"mean": mean, "low": mean - 0.1,
                                                                     "high": mean + 0.1}}}}
             for arm, mean in (("bnn", 0.55), ("bivm", 0.7))}
    found = encoder_report._halving_codes(coded)
    assert found["estimates"] == 2 and [r["arm"] for r in found["moved"]] == ["bivm"]


def test_a_lower_bound_is_one_by_its_parameters_and_samples():
    """63 + 1 weights for each of 8 - 1 logits, from 3/5 of 960 clips of 48 cells: 448 / (2 ln 2 * 27648) = 0.01169."""
    assert learning_cost(63, 8, 960, 48) == pytest.approx(0.01169, abs=5e-6)
    row = {"low": 0.10, "high": 0.125}  # half its width is 0.0125
    assert encoder_report.sound(row, 63, "detail", 960, 48)
    assert not encoder_report.sound(row, 63, "detail", 480, 48) and encoder_report.sound(row, 63, "relevance", 480, 48)


def test_the_learning_cost_is_what_a_probe_loses():
    """Labels that 4 of 40 channels tell (noise in logits): against the truth, which the others' weights hide, a probe
    falls short by about its learning cost."""
    rng = np.random.default_rng(8)
    clips, cells, channels = 300, 16, 40
    x = rng.standard_normal((clips, cells, channels)).astype(np.float32)
    logit = 1.2 * x[..., :4].sum(-1)
    p = 1.0 / (1.0 + np.exp(-logit))
    labels = (rng.random(p.shape) < p).astype(int)
    truth = 1.0 - np.mean(-(p * np.log2(p) + (1 - p) * np.log2(1 - p)))
    few = 60
    cost = learning_cost(channels, 2, few, cells)
    lost = truth - v_information(x[:few], labels[:few]).mean()
    gained = v_information(x, labels).mean() - v_information(x[:few], labels[:few]).mean()
    assert cost == pytest.approx(0.051, abs=1e-3)
    assert 0.4 * cost < gained < 2.5 * cost and lost > 0


def test_codes_are_learned_from_clips_that_are_not_measured():
    """The centres stand where the first clips are, wherever the others lie."""
    rng = np.random.default_rng(2)
    features = rng.standard_normal((20, 50, 3)).astype(np.float32)
    codes = study_encoder.cluster_codes(features, 5, seed=0)
    assert codes.shape == (15, 50) and len(np.unique(codes)) == 16
    half = study_encoder.cluster_codes(features[:12], 5, seed=0)
    assert np.array_equal(half, codes[:7])
    far = features.copy()
    far[5:] += 1000.0  # all beyond the same centre, which no k-means of them all would say
    assert len(np.unique(study_encoder.cluster_codes(far, 5, seed=0))) == 1


@pytest.fixture(scope="module")
def shipped_study():
    options = study_encoder.Options(clips=20, frames=2, cells=16, height=48, width=64, stages=("f4", "d2"), mlp=False)
    return study_encoder.study({arm: {0: path} for arm, path in studies.KEPT.items()}, options)


def test_study_one_runs_on_the_shipped_networks(shipped_study):
    arms = {(row["arm"], row["where"]) for row in shipped_study["rows"] if row["measure"] == "detail"}
    assert arms == {("float", "before"), ("bivm", "before"), ("bivm", "after")}
    assert all(row["low"] <= row["mean"] <= row["high"] for row in shipped_study["rows"])
    assert {row["stage"] for row in shipped_study["bit_width"]} == {"f4", "d2"}
    assert all(row["groups"] is None for row in shipped_study["tables"])  # 320 samples do not support 256 codes
    assert shipped_study["checks"]["shuffled"]["intervals"] == 4
    text = information_text.as_text({"encoder_shipped": shipped_study})
    assert "BiVM (ours)" in text and "accessibility, not creation" in text


def test_runs_are_found_by_arm_and_seed(tmp_path):
    with pytest.raises(UserError, match="holds runs of no arm; this study needs the float twin's"):
        study_encoder.find_runs(tmp_path)
    for name in ("float-0", "float-12", "no-mimicking-1", "irnet-0", "bivm-unfinished"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "model.pt").touch()
    (tmp_path / "runs" / "bnn-0").mkdir()  # begun, not finished
    for folder in (tmp_path, tmp_path / "runs"):
        found = study_encoder.find_runs(folder)
        assert {arm: sorted(seeds) for arm, seeds in found.items()} == {"float": [0, 12], "no-mimicking": [1]}


# -- study 2 ------------------------------------------------------------------------------------------------------


def test_the_network_taken_apart_is_the_network(clips, model):
    frames, _ = features.as_batch(clips[0])
    encoded = study_decoder.encode(model, frames)
    with torch.no_grad():
        whole = model(frames)
        mask = detail_mask(encoded.coarse, model.arch.tau)
        assert np.array_equal(study_decoder.decode(model, encoded, mask), whole.alpha[0, :, 0].numpy())
        model.masked = False
        dense = model(frames).alpha[0, :, 0].numpy()
        model.masked = True
    assert np.array_equal(study_decoder.decode(model, encoded, None), dense)


def test_masks_of_equal_area():
    torch.manual_seed(6)
    coarse = torch.rand(3, 1, 9, 16)
    own = (torch.rand(3, 1, 9, 16) < 0.3).float()
    resized = {size: study_decoder.resized(own, coarse, size) for size in study_decoder.SIZES}
    for small, large in zip(study_decoder.SIZES, study_decoder.SIZES[1:]):
        assert (resized[small] <= resized[large]).all() and resized[small].sum() < resized[large].sum()
    assert resized["1/2"].sum((1, 2, 3)).tolist() == [round(n.item() / 2) for n in own.sum((1, 2, 3))]
    kept = (coarse - 0.5).abs()[resized["1/2"] > 0].max()  # per frame: nothing that was left out is nearer to 1/2
    for t in range(3):
        left_out = (own[t] > 0) & (resized["1/2"][t] == 0)
        assert (coarse[t] - 0.5).abs()[left_out].min() >= (coarse[t] - 0.5).abs()[resized["1/2"][t] > 0].max() <= kept
    random = study_decoder.random_mask(own, torch.Generator().manual_seed(0))
    assert random.sum((1, 2, 3)).tolist() == own.sum((1, 2, 3)).tolist() and not torch.equal(random, own)


def test_the_oracle_takes_the_cells_where_the_3x3_helps():
    alpha = np.zeros((1, 32, 48), np.float32)
    without, everywhere = alpha.copy(), alpha.copy()
    without[0, 0:16, 16:32] = 0.9  # cell (0, 1): wrong without the 3x3
    without[0, 16:32, 32:48] = 0.5  # cell (1, 2): a little wrong
    everywhere[0, 16:32, 0:16] = 1.0  # cell (1, 0): the 3x3 spoils it
    for area, cells in ((1, [(0, 1)]), (2, [(0, 1), (1, 2)])):
        like = torch.zeros(1, 1, 2, 3)
        like.view(-1)[:area] = 1.0
        mask = study_decoder.oracle_mask(like, without, everywhere, alpha)
        assert sorted(map(tuple, mask[0, 0].nonzero().tolist())) == cells


def test_distance_is_the_chessboard_distance():
    ndimage = pytest.importorskip("scipy.ndimage")
    alpha = np.zeros((60, 80), np.float32)
    alpha[20:40, 30:50] = 1.0
    alpha[5, 5] = 0.5
    found = branch_gain.boundary_distance(torch.from_numpy(alpha)[None, None])[0, 0].numpy()
    inside = alpha > 0.5
    edge = ndimage.grey_dilation(inside, (3, 3)) != ndimage.grey_erosion(inside, (3, 3))
    expected = ndimage.distance_transform_cdt(~(edge | (alpha == 0.5)), "chessboard")
    np.testing.assert_array_equal(found, np.minimum(expected, 33))


def test_means_by_distance_by_hand():
    values, distance = np.array([[1.0, 3.0, 5.0, 7.0], [2.0, 4.0, 6.0, 8.0]]), np.array([[0, 1, 4, 33], [0, 0, 9, 20]])
    found = branch_gain.by_distance(values, distance)
    np.testing.assert_array_equal(found[:, 0], [1.0, 4.0, np.nan, np.nan, np.nan, 7.0])
    np.testing.assert_array_equal(found[:, 1], [3.0, np.nan, np.nan, 6.0, 8.0, np.nan])


def test_figures_of_a_mask_by_hand():
    """Two frames of 2 x 2 cells. A square's left edge lies in cell (0, 0), then in (0, 1)."""
    alpha = torch.zeros(2, 1, 32, 32)
    alpha[0, 0, :16, 8:16] = 0.5
    alpha[1, 0, :16, 16:24] = 0.5
    mask = torch.tensor([[[[1.0, 0.0], [0.0, 0.0]]], [[[1.0, 0.0], [1.0, 0.0]]]])
    found = study_decoder.mask_figures(mask, alpha)
    assert found == pytest.approx({"recall": 0.5, "covered": 0.5, "flips": 0.25, "true_flips": 0.5})


def test_branches_add_up_to_what_the_block_gives(clips, model):
    seen = {}
    handle = model.decoder.d2.conv.register_forward_hook(lambda _m, _x, y: seen.setdefault("y", y))
    try:
        branches = branch_gain._branches(model, features.as_batch(clips[0])[0])
    finally:
        handle.remove()
    torch.testing.assert_close(sum(branches["d2"]), seen["y"])
    assert model.masked


@pytest.fixture(scope="module")
def decoder_study(model):
    options = study_decoder.Options(clips=10, frames=2, probed=10, cells=40, height=48, width=64)
    return study_decoder.study(model, options)


def test_study_two_has_its_ends_in_place(decoder_study, model):
    curve = decoder_study["curve"]
    assert [row["size"] for row in curve] == ["none", *study_decoder.SIZES, "dense"]
    assert curve[0]["area"]["mean"] == 0.0 and curve[-1]["kept"] == 1.0
    assert all(a["kept"] < b["kept"] for a, b in zip(curve, curve[1:]) if a["area"]["mean"] < b["area"]["mean"])
    own = next(row for row in curve if row["size"] == "own")
    assert decoder_study["own"]["ours"]["mean"] == pytest.approx(100 * (own["ours"]["mean"] / curve[-1]["ours"]["mean"]
                                                                        - 1))
    errors = []
    for clip in features.held_out_clips(10, 2, 48, 64):  # an independent path to the dense MAD
        model.masked = False
        with torch.no_grad():
            errors.append(1e3 * np.abs(model(features.as_batch(clip)[0]).alpha[0, :, 0].numpy() - clip.alpha).mean())
        model.masked = True
    assert curve[-1]["ours"]["mean"] == pytest.approx(np.mean(errors), rel=1e-5)
    assert {row["stage"] for row in decoder_study["gain"]} == {"d3", "d2", "d1", "d0"}
    assert "our mask, shares" in information_text.as_text({"decoder": decoder_study})


def test_studies_refuse_what_they_cannot_measure(model):
    with pytest.raises(UserError, match="9 clips are too few"):
        study_decoder.study(model, study_decoder.Options(clips=9))
    with pytest.raises(UserError, match="--clips 3: too few for an interval; at least 10"):
        study_encoder.study({}, study_encoder.Options(clips=3))
    with pytest.raises(UserError, match="without a mask"):
        study_decoder.study(BiVM("small", masked=False), study_decoder.Options())


# -- pictures, file, command ------------------------------------------------------------------------------------------


def test_pictures_say_what_they_do_not_show(shipped_study, decoder_study, tmp_path):
    pytest.importorskip("matplotlib")
    sections = {"encoder_shipped": shipped_study, "decoder": decoder_study}
    drawn = studies.draw(tmp_path / "information_small.json", sections)
    assert [path.name for path in drawn] == ["information_small_encoder_shipped.png", "information_small_decoder.png"]
    assert all(path.read_bytes()[:4] == b"\x89PNG" and path.stat().st_size < 100_000 for path in drawn)
    from bivm_ref import viz_information

    figure = viz_information.encoder_chart(information_text.rounded(shipped_study))
    assert "does not show" in figure.get_supxlabel() and len(figure.axes) == 4


def test_a_request_is_done_and_written(monkeypatch, tmp_path, shipped_study):
    monkeypatch.setattr(study_encoder, "study", lambda networks, options, tick: shipped_study)
    sections = studies.run(studies.Request(tmp_path, ("encoder",), quick=True, clips=11, progress=False))
    held = json.loads((tmp_path / "information_small.json").read_text())["encoder_shipped"]
    assert held["command"] == "bivm-ref information --studies encoder --clips 11 --quick"
    assert [row["arm"] for row in held["networks"]] == ["float", "bivm"] and len(held["networks"][0]["sha256"]) == 12
    assert held["gaps"] == information_text.rounded(sections["encoder_shipped"]["gaps"])


def test_bad_requests_are_one_line(tmp_path, capsys):
    def error(*words):
        assert main(["information", "--out", str(tmp_path / "out"), *map(str, words)]) == 2
        text = capsys.readouterr().err
        assert text.count("\n") == 1
        return text

    assert "choose among sheet, encoder, decoder" in error("--studies", "sheet,encodre", "--out", tmp_path / "none")
    assert not (tmp_path / "none").exists()  # a refusal leaves nothing behind
    assert "--clips 4: too few for an interval; at least 10" in error("--clips", 4)
    assert "holds runs of no arm" in error("--runs", tmp_path)
    (tmp_path / "runs" / "float-0").mkdir(parents=True)
    (tmp_path / "runs" / "bnn-0").mkdir()
    for run in ("float-0", "bnn-0"):
        (tmp_path / "runs" / run / "model.pt").write_bytes(b"not torch's")
    assert "not a training checkpoint of ours" in error("--runs", tmp_path, "--studies", "encoder")
    assert list((tmp_path / "out").iterdir()) == []


ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "data_samples" / "results" / "information_small.json"


def test_the_committed_studies_are_whole():
    sections = information_text.read(RESULTS, ["sheet", "encoder", "decoder"])
    assert sections["sheet"]["passed"]
    for section in sections.values():
        assert section["command"].startswith("bivm-ref information") and section["date"] and section["torch"]
    assert {row["arm"] for row in sections["encoder"]["networks"]} == set(study_encoder.ARMS)
    assert information_text.as_text(sections)


def test_a_run_of_the_refiner_alone_has_the_frames_of_its_network(tmp_path):
    for refined, size in (((False, True), (96, 160)), ((True,), (144, 256))):
        sizes = ((96, 160), (144, 256))[-len(refined):]
        phases = [{"height": h, "width": w, "refine": refine} for (h, w), refine in zip(sizes, refined, strict=True)]
        torch.save({"recipe": {"phases": phases}}, tmp_path / "model.pt")
        assert study_encoder.frame_size(tmp_path / "model.pt") == size


def test_the_decoders_study_is_of_the_network_that_is_shipped():
    """Else run `bivm-ref information --studies decoder` again: another network has another mask."""
    (network,) = information_text.read(RESULTS, ["decoder"])["decoder"]["networks"]
    file = ROOT / "bivm_ref" / "weights" / "training" / "small.pt"
    assert hashlib.sha256(file.read_bytes()).hexdigest().startswith(network["sha256"]) and len(network["sha256"]) >= 8


def test_the_readme_says_what_the_committed_studies_found():
    """The figures of its section, each looked up in the JSON."""
    sections = information_text.read(RESULTS, ["sheet", "encoder", "decoder"])
    before = [gap for gap in sections["encoder"]["gaps"] if (gap["where"], gap["probe"]) == ("before", "linear")]
    gaps = {gap["stage"]: gap for gap in before}
    own = sections["decoder"]["own"]
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    for stage in ("f3", "f4"):
        assert f"{information_text.figure(gaps[stage]['float-bnn'], 2)} at {stage}" in readme
        assert gaps[stage]["float-bnn"]["low"] > 0
    assert f"{information_text.figure(gaps['f4']['mimicking'], 2)} of it" in readme
    assert f"closes {gaps['f4']['closed']['bivm']['per_cent']['mean']:.0f} per cent of that gap" in readme
    (f4,) = [row for row in sections["encoder"]["bit_width"] if row["stage"] == "f4"]
    assert (f"lose {f4['lost']['1']['mean']:.2f} bits at f4, the trained BNN's signs "
            f"{f4['bnn_lost']['mean']:.2f}") in readme
    checks = sections["encoder"]["checks"]
    assert f"all {checks['shuffled']['intervals']} intervals contain 0" in readme
    assert not checks["shuffled"]["without_zero"]
    halving, codes = checks["halving"], checks["halving_codes"]
    assert codes["moved"] == []
    assert {row["measure"] for row in halving["moved"]} == {"detail"}, "about alpha, every estimate must stay"
    assert all(row["low"] - 0.002 < row["all_clips"] < row["high"] + 0.002 for row in halving["moved"])
    assert {(row["arm"], row["stage"]) for row in halving["moved"]} == {("no-mimicking", "f2"), ("no-mimicking", "f3")}
    assert (f"({halving['estimates'] - len(halving['moved'])} of {halving['estimates']} of the linear probe, "
            f"{codes['estimates']} of {codes['estimates']} of the k-means codes;") in readme
    bounds = halving["lower_bounds"]
    assert halving["estimates"] + bounds["estimates"] == 90
    assert f"of those {bounds['estimates']}, about colour at f3, f4 and the neck, {len(bounds['moved'])} rise" in readme
    assert {row["measure"] for row in bounds["moved"]} == {"detail"}
    assert all(row["all_clips"] > row["mean"] for row in bounds["moved"])
    assert f"{information_text.figure(own['ours'], 1)} per cent" in readme
    assert f"{information_text.figure(own['random'], 1)} per cent" in readme
