"""Times on paper: the drifting machine's truth, Amdahl's law both ways, the line through a frame's times."""

import math

import numpy as np
import pytest

from bivm_ref.time_model import FrameTime, amdahl_lines, drifting, serial_part


@pytest.mark.parametrize("interleaved", [False, True])
def test_every_time_is_the_programs_own_times_the_machines_state(interleaved):
    drift = drifting(3, interleaved, rounds=20, ratio=1.5)
    order = np.arange(40) % 2 == 0 if interleaved else np.arange(40) < 20
    np.testing.assert_allclose(drift.ours, 0.1 * drift.state[order])
    np.testing.assert_allclose(drift.theirs, 0.15 * drift.state[~order])


def test_both_plans_meet_the_same_machine():
    blocks, mixed = (drifting(5, interleaved) for interleaved in (False, True))
    np.testing.assert_array_equal(blocks.state, mixed.state)
    assert blocks.state.min() >= 1 and np.median(blocks.state[36:66]) >= 2


def test_in_turns_the_ratio_is_found_and_in_blocks_it_is_not():
    pairs = [[drifting(seed, interleaved) for seed in range(50)] for interleaved in (False, True)]
    blocks, turns = ([np.median(d.theirs / d.ours) for d in drifts] for drifts in pairs)
    assert max(abs(r - 1.25) for r in turns) < 0.06
    assert min(blocks) > 1.8  # theirs met the throttled machine


def test_amdahl_turned_round():
    assert serial_part(100, 50) == 0 and serial_part(100, 100) == 1
    assert math.isclose(serial_part(80, 60), 0.5)
    assert math.isclose(serial_part(1, 0.2 + 0.8 / 4, threads=4), 0.2)
    assert serial_part(50, 60) > 1  # slower with two
    with pytest.raises(ValueError, match="got 1"):
        serial_part(1, 1, threads=1)


def test_amdahls_lines_name_the_limit_or_say_that_there_is_none():
    found = amdahl_lines({"a": {1: 1.0, 2: 1.6, 4: 2.0}, "b": {2: 0.8}, "alone": {1: 1.0}})
    assert found == ["a: 2 threads 1.60x the speed of one, serial part 25%, 4.0x at most",
                     "a: 4 threads 2.00x the speed of one, serial part 33%, 3.0x at most",
                     "b: 2 threads 0.80x the speed of one, serial part 150%, not in 0 ... 1: others had a share"]


def test_the_line_goes_through_the_times_and_amdahl_shrinks_it():
    model = FrameTime.fit([0.0, 0.5, 1.0], [20.0, 25.0, 30.0], dense=26.0, serial=0.2)
    assert math.isclose(model.at_none, 20) and math.isclose(model.at_all, 30)
    assert math.isclose(model.ms(0.4), 24)
    assert math.isclose(model.ms(0.4, threads=2), 24 * 0.6) and math.isclose(model.ms(0.4, 4), 24 * 0.4)
    assert math.isclose(model.break_even, 0.6)
    with pytest.raises(ValueError, match="two active shares"):
        FrameTime.fit([0.5, 0.5], [1.0, 2.0], 3.0)


@pytest.mark.parametrize(("dense", "share"), [(19.0, 0.0), (31.0, 1.0), (30.0, 1.0), (20.0, 0.0)])
def test_where_one_is_always_faster_the_break_even_is_an_end(dense, share):
    assert FrameTime(20.0, 30.0, dense).break_even == share


def test_a_line_that_falls_never_meets_dense_above_it():
    assert FrameTime(20.0, 18.0, 25.0).break_even == 1.0
