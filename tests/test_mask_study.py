"""Other masks for the same network, what a mask covers, and notebook 06's pictures."""

import numpy as np
import pytest
from cli_tools import write_random_weights

from bivm_ref import cost, mask_study, viz, viz_mask
from bivm_ref.packed import PackedBiVM, team
from bivm_ref.packed.ops import detail_mask

FRAMES = np.random.default_rng(0).integers(0, 256, (3, 48, 64, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return write_random_weights(tmp_path_factory.mktemp("weights") / "random.safetensors")


@pytest.fixture(scope="module")
def net(weights):
    return PackedBiVM.load(weights, size=None)


# -- step(frame, mask) --

def own_masks(net):
    return np.stack([detail_mask(c, net.arch.tau) for c in mask_study.coarse_alphas(net, FRAMES)])


def test_its_own_mask_given_changes_nothing(net):
    np.testing.assert_array_equal(mask_study.mattes(net, FRAMES, own_masks(net)), mask_study.mattes(net, FRAMES))


def test_the_full_mask_is_the_dense_network(net, weights):
    dense = PackedBiVM.load(weights, size=None, dense=True)
    full = np.ones((3, 3, 4), bool)
    np.testing.assert_array_equal(mask_study.mattes(net, FRAMES, full), mask_study.mattes(dense, FRAMES))
    mask_study.mattes(dense, FRAMES, ~full)
    assert dense.active == dict.fromkeys((8, 4, 2, 1), 0.0)  # a given mask holds for a dense network too


def test_a_mask_is_obeyed_and_matters(net):
    cells = np.zeros((3, 4), bool)
    cells[1, 2] = True
    net.reset()
    net.record = kept = {}
    net.step(FRAMES[0], cells)
    net.record = None
    ys, xs, sums = kept["decoder.d2.conv.k3"]
    assert sorted(set(ys)) == [4, 5, 6, 7] and sorted(set(xs)) == [8, 9, 10, 11] and len(sums) == 16
    assert net.active[1] == 1 / 12 and np.array_equal(net.mask, cells)
    nothing, everything = (mask_study.mattes(net, FRAMES, np.full((3, 3, 4), full)) for full in (False, True))
    assert not np.array_equal(nothing, everything)


def test_no_mask_changes_the_coarse_alpha(net):
    coarse = mask_study.coarse_alphas(net, FRAMES)
    net.reset()
    for frame, expected in zip(FRAMES, coarse):
        net.step(frame, np.zeros((3, 4), bool))
        np.testing.assert_array_equal(net.coarse_alpha, expected)


@pytest.mark.parametrize("mask", [np.ones((4, 3), bool), np.ones((3, 4)), [[True] * 4] * 3])
def test_another_mask_is_refused_and_the_clip_goes_on(net, mask):
    expected = mask_study.mattes(net, FRAMES)
    net.reset()
    net.step(FRAMES[0])
    with pytest.raises(ValueError, match=r"the mask of this frame is \(3, 4\) bool"):
        net.step(FRAMES[1], mask)
    np.testing.assert_array_equal(net.step(FRAMES[1])[0], expected[1])


@pytest.mark.skipif(not team.possible(), reason="teams are Linux's")
def test_several_processes_and_a_given_mask_agree_with_one(net, weights):
    two = PackedBiVM.load(weights, size=None, threads=2)
    masks = [None, None, np.eye(3, 4, dtype=bool)]  # the third frame leaves the team
    np.testing.assert_array_equal(mask_study.mattes(two, FRAMES, masks), mask_study.mattes(net, FRAMES, masks))


# -- what a mask covers --

def test_oracle_and_cover_by_hand():
    alpha = np.zeros((1, 32, 48), np.float32)
    alpha[0, 3, 20:24] = 0.5  # 4 pixels in cell (0, 1)
    alpha[0, 31, 47] = 0.97  # 1 in cell (1, 2)
    alpha[0, 20, 2] = 0.99  # decided
    oracle = mask_study.oracle_mask(alpha)
    assert oracle.astype(int).tolist() == [[[0, 1, 0], [0, 0, 1]]]
    assert mask_study.covered(oracle, alpha) == 1.0
    oracle[0, 1, 2] = False
    assert mask_study.covered(oracle, alpha) == pytest.approx(4 / 5)
    assert np.isnan(mask_study.covered(oracle, np.round(alpha)))
    with pytest.raises(ValueError, match="multiples of 16"):
        mask_study.oracle_mask(alpha[:, :30])


def test_shuffled_keeps_the_area_of_every_frame():
    masks = np.random.default_rng(1).random((5, 6, 7)) < np.linspace(0.1, 0.9, 5)[:, None, None]
    other = mask_study.shuffled(masks, seed=2)
    assert other.sum((1, 2)).tolist() == masks.sum((1, 2)).tolist() and not np.array_equal(other, masks)


# -- pictures --

COARSE = np.zeros((3, 4), np.float32)
COARSE[1, 1] = 0.1
ALPHA = np.zeros((48, 64), np.float32)
ALPHA[20, 20], ALPHA[40, 60] = 0.5, 0.5


def test_the_line_counts_area_work_and_cover(net):
    operations = cost.total_operations(net.arch, 64, 48, 1 / 12) / 1e6
    assert viz_mask.mask_line(net.arch, COARSE > 0, ALPHA) == (
        f"8% active, {operations:.1f} M operations, covers 50% of the rim")


def test_the_strip_has_a_panel_for_each_tau(net):
    titles = [axes.get_title(loc="left") for axes in
              viz_mask.tau_strip(net.arch, FRAMES[0], COARSE, ALPHA, (0.2, 0.05)).axes]
    assert titles == ["tau = 0.2: 0% active,\ncovers 0% of the rim", "tau = 0.05: 8% active,\ncovers 50% of the rim"]


def test_the_sliders_move_the_mask(net):
    coarse = np.stack([COARSE, COARSE, COARSE * 0])
    tau, frame, line, image = viz_mask.tau_slider(net.arch, FRAMES, coarse, np.stack([ALPHA] * 3)).children
    assert line.value.startswith("0% active")
    before = image.value
    tau.value = 0.05
    assert line.value.startswith("8% active") and image.value != before
    frame.value = 2
    assert line.value.startswith("0% active")


def test_blocks_repeat_cells():
    assert viz_mask.blocks(np.array([[0, 1]]), 2).tolist() == [[0, 0, 1, 1], [0, 0, 1, 1]]


def test_work_and_error_marks_every_mask_and_joins_the_random_ones(net):
    points = {"nothing": (0, 60), "everything": (1, 20), "random": (0.5, 40), "tau 0.2": (0.3, 22), "oracle": (0.2, 30)}
    figure = viz_mask.work_and_error(points, net.arch, (64, 48))
    panel = figure.axes[0]
    line, *dots = panel.lines
    assert line.get_xydata().tolist() == [[0, 60], [0.5, 40], [1, 20]]
    assert [dot.get_xydata()[0].tolist() for dot in dots] == [list(map(float, p)) for p in points.values()]
    assert [dot.get_color() for dot in dots][2:] == [viz.GREY, viz.BLUE, viz.VERMILLION]
    assert [text.get_text() for text in panel.texts] == list(points)
    figure.draw_without_rendering()
    low, high = panel.get_xlim()
    none, full = (cost.total_operations(net.arch, 64, 48, share) / 1e6 for share in (0.0, 1.0))
    expected = [none + share * (full - none) for share in (low, high)]
    assert panel.child_axes[0].get_xlim() == pytest.approx(expected)


def test_saved_bars_say_what_is_left():
    panel = viz_mask.saved_bars({"work": (200.0, 50.0), "time": (10.0, 9.0)}).axes[0]
    assert [text.get_text() for text in panel.texts] == ["25 %", "90 %"]
    assert [text.get_text() for text in panel.get_yticklabels()] == ["work", "time"]
