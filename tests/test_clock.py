"""Timing a frame's parts changes nothing, adds up, and leaves nothing behind. A made-up clock stands in for time."""

import itertools

import numpy as np
import pytest

from bivm_ref.packed import PackedBiVM
from bivm_ref.packed.clock import REST, Part, frame_parts, least

FRAMES = np.random.default_rng(9).integers(0, 256, (3, 6, 8, 3), dtype=np.uint8).repeat(16, axis=1).repeat(16, axis=2)


@pytest.fixture(scope="module")
def timed():
    """(network, parts of its second frame by a clock that ticks at every look, the clock's last reading)."""
    net = PackedBiVM.load(size=None, kernel="xor")
    net.step(FRAMES[0])
    ticks = itertools.count()
    parts = frame_parts(net, FRAMES[1], clock=lambda: float(next(ticks)))
    return net, parts, next(ticks)


def test_parts_are_in_order_and_add_up_to_the_frame(timed):
    net, parts, looks = timed
    assert list(parts)[:3] == ["encoder.f1", "encoder.f2.0.spatial", "encoder.f2.0.point"]
    assert list(parts)[-3:] == ["heads", "refiner", REST]
    assert sum(part.seconds for part in parts.values()) == looks - 1  # from the first look to the last
    assert all(0 <= part.binary <= part.seconds for part in parts.values())


def test_a_stages_memory_is_its_own_part(timed):
    _, parts, _ = timed
    for stage in ("d3", "d2", "d1"):
        assert parts[f"decoder.{stage}"].seconds > 0 and parts[f"decoder.{stage}.gru"].seconds > 0
    assert "decoder.d0.gru" not in parts
    assert parts["refiner"].seconds == 0  # the frame was not reduced


def test_binary_convolutions_are_found_where_they_are(timed):
    _, parts, _ = timed
    assert parts["encoder.f1"].binary == parts["heads"].binary == parts[REST].binary == 0
    for name in ("encoder.f2.0.spatial", "neck", "neck.gru", "coarse.conv", "decoder.d1.gru", "decoder.d0.detail"):
        assert parts[name].binary > 0 and parts[name].between > 0


def test_results_are_those_of_step_and_nothing_is_left(timed):
    net, _, _ = timed
    plain = PackedBiVM.load(size=None, kernel="xor")
    for frame in FRAMES[:2]:
        plain.step(frame)
    for mine, theirs in zip(net.state, plain.state, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    np.testing.assert_array_equal(net.step(FRAMES[2])[0], plain.step(FRAMES[2])[0])
    assert type(net._stem).__name__ == "Stem" and type(net._decoder[0]).__name__ == "DecoderStage"
    assert type(net._decoder[0].memory).__name__ == "ConvGRU" and type(net._heads).__name__ == "Heads"
    assert not any({"prepare", "rows", "at"} & vars(conv).keys() for conv in net._parts.convs.values())


def test_a_refused_frame_leaves_nothing_either():
    net = PackedBiVM.load(size=None, kernel="xor")
    with pytest.raises(ValueError, match="uint8"):
        frame_parts(net, FRAMES[0].astype(float))
    assert type(net._stem).__name__ == "Stem"


def test_several_threads_are_refused():
    with pytest.raises(ValueError, match="this network has 2"):
        frame_parts(PackedBiVM.load(kernel="xor", threads=2), FRAMES[0])


def test_least_takes_each_part_from_its_fastest_frame():
    rows = [{"a": Part(3.0, 1.0), "b": Part(5.0, 4.0)}, {"a": Part(2.0, 1.5), "b": Part(6.0, 0.5)}]
    assert least(rows) == {"a": Part(2.0, 1.5), "b": Part(5.0, 4.0)}
    assert least(rows)["b"].between == 1.0
