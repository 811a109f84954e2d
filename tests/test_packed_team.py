"""A frame shared among processes: the same numbers, and nobody left behind whatever happens."""

import gc
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from bivm_ref.arch import preset
from bivm_ref.errors import UserError
from bivm_ref.packed import PackedBiVM, team, weights

pytestmark = pytest.mark.skipif(not team.possible(), reason="a team is made by fork, on Linux alone")
FRAMES = np.random.default_rng(0).integers(0, 256, (5, 80, 112, 3), dtype=np.uint8)


def random_tensors() -> dict[str, np.ndarray]:
    """Tensors that fit the `small` network's schema; the matte means nothing, but no layer is constant."""
    rng, made = np.random.default_rng(1), {}
    for name, (dtype, shape) in weights.schema(preset("small")).items():
        if dtype == "uint8":
            made[name] = rng.integers(0, 256, shape).astype(np.uint8)
        elif dtype == "int16":
            made[name] = rng.integers(-2047, 2048, shape).astype(np.int16)
        else:
            scale = 1e-6 if name.endswith("f1.scale") else 0.02 if name.endswith("scale") else 0.3
            made[name] = (scale * rng.standard_normal(shape)).astype(np.float32)
    return made


TENSORS = random_tensors()


def engine(**options) -> PackedBiVM:
    return PackedBiVM.from_tensors(preset("small"), TENSORS, **options)


def members(net: PackedBiVM) -> list[int]:
    return list(net._parts.workers.team.members)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


@pytest.mark.parametrize("threads", [2, 3, 5])
@pytest.mark.parametrize("size", [512, 48])
def test_a_team_gives_what_one_gives(threads: int, size: int) -> None:
    one, many = engine(size=size), engine(size=size, threads=threads)
    for frame in FRAMES:
        for mine, theirs in zip([*one.step(frame), *one.state, one.mask, one.coarse_alpha],
                                [*many.step(frame), *many.state, many.mask, many.coarse_alpha], strict=True):
            np.testing.assert_array_equal(mine, theirs)
    assert len(members(many)) == threads - 1
    many.reset()
    assert np.array_equal(many.step(FRAMES[0, :33])[0], engine(size=size).step(FRAMES[0, :33])[0])  # another size


def test_outputs_belong_to_the_caller() -> None:
    net = engine(threads=2)
    given = [array for frame in FRAMES[:3] for array in net.step(frame)]
    kept = [array.copy() for array in given]
    net.step(FRAMES[3])
    for mine, theirs in zip(given, kept, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_the_record_is_whole() -> None:
    one, many = engine(), engine(threads=2)
    for frame in FRAMES[:2]:
        one.step(frame)
        many.step(frame)
    one.record, many.record = {}, {}
    one.step(FRAMES[2])
    many.step(FRAMES[2])
    assert one.record.keys() == many.record.keys()
    for name, dots in one.record.items():
        np.testing.assert_array_equal(dots[2] if isinstance(dots, tuple) else dots,
                                      many.record[name][2] if isinstance(dots, tuple) else many.record[name])
    many.record = None
    one.record = None
    np.testing.assert_array_equal(one.step(FRAMES[3])[0], many.step(FRAMES[3])[0])


def test_nobody_is_left_when_the_engine_goes() -> None:
    net = engine(threads=3)
    for frame in FRAMES[:2]:
        net.step(frame)
    pids = members(net)
    assert len(pids) == 2 and all(map(alive, pids))
    del net
    gc.collect()
    assert not any(map(alive, pids))


def test_a_member_that_was_killed_is_an_error_and_the_next_frame_is_right() -> None:
    one, many = engine(), engine(threads=2)
    for frame in FRAMES[:2]:
        one.step(frame)
        many.step(frame)
    os.kill(members(many)[0], signal.SIGKILL)
    with pytest.raises(UserError, match="use one thread"):
        many.step(FRAMES[2])
    for frame in FRAMES[2:4]:
        np.testing.assert_array_equal(one.step(frame)[0], many.step(frame)[0])


def test_no_room_for_processes_is_one_line_and_nothing_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second fork of two fails: the first member goes, and the engine can go on when there is room again."""
    one, many, real, made = engine(), engine(threads=3), os.fork, []
    one.step(FRAMES[0])
    many.step(FRAMES[0])

    def fork() -> int:
        if made:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        made.append(real())
        return made[-1]

    with monkeypatch.context() as patch:
        patch.setattr(os, "fork", fork)
        with pytest.raises(UserError, match="fewer threads"):
            many.step(FRAMES[1])
    assert len(made) == 1 and not alive(made[0])
    for frame in FRAMES[1:4]:
        np.testing.assert_array_equal(one.step(frame)[0], many.step(frame)[0])
    assert len(members(many)) == 2


def test_ctrl_c_in_the_middle_of_a_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    one, many = engine(), engine(threads=2)
    for frame in FRAMES[:3]:
        one.step(frame)
        many.step(frame)

    def stop(*_args):
        raise KeyboardInterrupt

    pids = members(many)
    with monkeypatch.context() as patch:
        patch.setattr(many, "_detail", stop)
        with pytest.raises(KeyboardInterrupt):
            many.step(FRAMES[0])
    assert not any(map(alive, pids))
    np.testing.assert_array_equal(one.step(FRAMES[3])[0], many.step(FRAMES[3])[0])


def test_members_end_when_their_leader_is_killed() -> None:
    """The leader is a fork of this process that tells its members' numbers and then waits to be killed."""
    read, write = os.pipe()
    leader = os.fork()
    if leader == 0:
        try:
            net = engine(threads=3)
            for frame in FRAMES[:2]:
                net.step(frame)
            os.write(write, " ".join(map(str, members(net))).encode())
            time.sleep(60)
        finally:
            os._exit(1)
    pids = [int(word) for word in os.read(read, 100).split()]
    os.close(read)
    os.close(write)
    assert len(pids) == 2 and all(map(alive, pids))
    os.kill(leader, signal.SIGKILL)
    os.waitpid(leader, 0)
    for _ in range(100):
        if not any(map(alive, pids)):
            break
        time.sleep(0.1)
    assert not any(map(alive, pids))


def test_the_arena_gives_aligned_pieces_until_it_is_full() -> None:
    arena = team.Arena(200)
    first, second = arena.allocate(10), arena.allocate(64)
    assert (first.size, second.size) == (10, 64) and second.ctypes.data - first.ctypes.data == 64
    assert not np.shares_memory(first, second)
    with pytest.raises(MemoryError, match="too small"):
        arena.allocate(100)
