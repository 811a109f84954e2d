"""Watching a frame changes nothing, and shows what the layers made and read."""

import numpy as np
import pytest

from bivm_ref.packed import PackedBiVM
from bivm_ref.packed.bits import pack_signs, unpack_signs, unpack_weights
from bivm_ref.packed.reference import dot_reference
from bivm_ref.packed.trace import equal_sums, trace


@pytest.fixture(scope="module")
def frames():
    rng = np.random.default_rng(8)
    coarse = rng.integers(0, 256, (3, 6, 8, 3), dtype=np.uint8)
    return coarse.repeat(16, axis=1).repeat(16, axis=2)  # (T, 96, 128, 3)


@pytest.fixture(scope="module")
def seen(frames):
    """The second frame of a clip, watched, with the network that saw it."""
    net = PackedBiVM.load(size=None, kernel="xor")
    net.step(frames[0])
    return net, trace(net, frames[1])


def test_results_and_state_are_those_of_step(frames, seen):
    _, watched = seen
    plain, other = (PackedBiVM.load(size=None, kernel="xor") for _ in range(2))
    for frame in frames[:2]:
        alpha, foreground = plain.step(frame)
        again = trace(other, frame)
    np.testing.assert_array_equal(again.stations["alpha"], alpha)
    np.testing.assert_array_equal(again.stations["foreground"], foreground)
    np.testing.assert_array_equal(watched.stations["alpha"], alpha)
    for mine, theirs in zip(other.state, plain.state, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    np.testing.assert_array_equal(other.step(frames[2])[0], plain.step(frames[2])[0])


def test_nothing_is_left_behind(seen):
    net, _ = seen
    assert net.record is None
    assert type(net._stem).__name__ == "Stem" and type(net._decoder[0]).__name__ == "DecoderStage"
    assert all(type(layer).__name__ == "Elastic" for layers in net._stages.values() for layer in layers)
    assert not any("prepare" in vars(conv) for conv in net._parts.convs.values())


def test_after_a_refused_frame_too(frames):
    net = PackedBiVM.load(size=None, kernel="xor")
    with pytest.raises(ValueError, match="uint8"):
        trace(net, frames[0].astype(float))
    assert net.record is None and type(net._neck).__name__ == "Neck"
    assert not any("prepare" in vars(conv) for conv in net._parts.convs.values())


def test_stations_stand_in_order_and_hold_the_networks_shapes(seen):
    net, watched = seen
    names = list(watched.stations)
    assert names[:2] == ["frame", "encoder.f1"] and names[-2:] == ["alpha", "foreground"]
    assert names.index("coarse.conv") < names.index("mask") < names.index("decoder.d3")
    assert "reduced frame" not in names  # size None
    for conv in net.arch.convs():
        if conv.name in watched.stations:
            assert watched.stations[conv.name].shape == (96 // conv.scale, 128 // conv.scale, conv.cout)


def test_a_layer_reads_the_signs_of_the_station_before_it(seen):
    net, watched = seen
    f1, theta = watched.stations["encoder.f1"], net._parts["encoder.f2.0.spatial.theta"]
    (read,) = watched.reads["encoder.f2.0.spatial"]
    np.testing.assert_array_equal(read, pack_signs(f1, theta))
    weights = unpack_weights(net._parts["encoder.f2.0.spatial.bits"])
    dots = dot_reference(unpack_signs(read), weights, stride=2)
    np.testing.assert_array_equal(watched.sums["encoder.f2.0.spatial"], dots)


def test_two_branches_read_one_map_and_a_rewritten_map_is_another(seen):
    _, watched = seen
    for k1, k3 in zip(watched.reads["decoder.d1.conv.k1"], watched.reads["decoder.d1.conv.k3"], strict=True):
        assert k1 is k3
    assert watched.reads["encoder.f3.0.spatial"][0] is not watched.reads["encoder.f3.0.point"][0]
    assert set(watched.reads) == set(watched.sums)


def test_a_large_frame_shows_its_reduced_one(frames):
    watched = trace(PackedBiVM.load(size=64, kernel="xor"), frames[0])
    assert watched.stations["reduced frame"].shape == (48, 64, 3)
    assert watched.stations["alpha"].shape == (96, 128)
    assert watched.kept > 0 and "refiner.mix" in watched.reads


def test_equal_sums_names_the_layers_that_differ(frames, seen):
    _, watched = seen
    assert all(equal_sums(watched, watched).values())
    first = trace(PackedBiVM.load(size=None, kernel="xor"), frames[1])  # the same frame without a memory
    alike = equal_sums(watched, first)
    assert all(same for name, same in alike.items() if name.startswith("encoder."))
    assert not alike["neck.gru.gates.k3"]
