"""Strips, memory and the choice of kernels: every row once, budgets kept."""

from dataclasses import dataclass

import numpy as np
import pytest

from bivm_ref.arch import preset
from bivm_ref.packed import PackedBiVM, kernels, tune
from bivm_ref.packed.kernels import Table
from bivm_ref.packed.memory import aligned
from bivm_ref.packed.run import Memory, Workers

RNG = np.random.default_rng(0)
ARCH = preset("small")
TENSORS = {f"{conv.name}.bits": RNG.integers(0, 256, (conv.cout, conv.kernel, conv.kernel, conv.cin // 8), np.uint8)
           for conv in ARCH.convs() if conv.kind == "binary"}


@dataclass
class OneMember:
    """What `Workers` asks of a team; counts how often the others would be waited for."""

    size: int
    rank: int
    waits: int = 0

    def wait(self) -> None:
        self.waits += 1


@pytest.mark.parametrize("size", [1, 2, 3, 7])
@pytest.mark.parametrize("even", [False, True])
@pytest.mark.parametrize("height, row", [(1, 1), (2, 1 << 20), (18, 1 << 12), (287 + 1, 1 << 13), (36, 1 << 30)])
def test_members_cover_every_row_once(size: int, even: bool, height: int, row: int) -> None:
    seen = []

    def work(top: int, bottom: int) -> None:
        assert not even or top % 2 == 0
        seen.extend(range(top, bottom))

    for rank in range(size):
        workers = Workers()
        workers.team = OneMember(size, rank) if size > 1 else None
        workers.run(work, height, row, even)
        assert workers.team is None or workers.team.waits == 1
    assert sorted(seen) == list(range(height))


def test_large_maps_are_shared_evenly_and_small_ones_not() -> None:
    rows = {rank: [] for rank in range(3)}
    for row in (1 << 10, 1 << 20):
        for rank, mine in rows.items():
            workers = Workers()
            workers.team = OneMember(3, rank)
            workers.run(lambda top, bottom, mine=mine: mine.extend(range(top, bottom)), 12, row)
        assert [len(mine) for mine in rows.values()] == ([12, 0, 0] if row == 1 << 10 else [16, 4, 4])


def test_memory_is_used_again_and_grows() -> None:
    memory = Memory()
    first = memory.floats("a", 4, 5, 8)
    assert np.shares_memory(first, memory.floats("a", 2, 5, 8)) and np.shares_memory(first, memory.floats("a", 4, 5, 8))
    assert not np.shares_memory(first, memory.floats("b", 4, 5, 8))
    assert memory.floats("a", 40, 5, 8).shape == (40, 5, 8)
    assert not np.shares_memory(memory.output("o", 4), memory.output("o", 4)) and memory.nbytes == 4 * (1600 + 160)
    signs = memory.signs("s", 4, 5, 2)
    assert memory.signs("s", 4, 5, 2) is signs and memory.signs("s", 5, 4, 2) is not signs


@pytest.mark.parametrize("budget", [0, 0.5, 3, 1000])
def test_tables_stay_within_their_budget(budget: float) -> None:
    choices = tune.choose(ARCH, TENSORS, budget_mb=budget)
    assert choices.keys() == {name.removesuffix(".bits") for name in TENSORS}
    assert sum(choice.table_bytes for choice in choices.values()) <= budget * 1e6
    for name, choice in choices.items():
        bits = TENSORS[f"{name}.bits"]
        expected = {"xor": 0, "table": Table.bytes_needed(bits), "table4": Table.bytes_needed(bits, 4)}
        assert choice.table_bytes == expected[choice.kernel] and 0.0 < choice.dense_above <= 1.0


def test_the_budget_goes_where_it_saves_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """With made-up times (XOR 1 ms a position, 5 ns a look-up in a small table, 3 in a large one) every layer wants
    the large table, and more memory gives more of them one; where XOR is fastest nobody gets any."""
    monkeypatch.setattr(tune, "time_xor", lambda bits: 1e6)
    monkeypatch.setattr(tune, "time_look_up", lambda width, word: {8: 3.0, 4: 5.0}[word])
    kernels = [[c.kernel for c in tune.choose(ARCH, TENSORS, budget_mb=mb).values()] for mb in (0, 1, 5, 12, 1e6)]
    large = [names.count("table") for names in kernels]
    assert large == sorted(large) and large[0] == 0 < large[1] < large[-1] == len(TENSORS)
    assert [names.count("xor") for names in kernels][::4] == [len(TENSORS), 0]
    monkeypatch.setattr(tune, "time_xor", lambda bits: 1.0)
    assert {c.kernel for c in tune.choose(ARCH, TENSORS, budget_mb=1e6).values()} == {"xor"}


@pytest.mark.parametrize("kernel", ["xor", "table", "table4"])
def test_a_kernel_that_was_asked_for_is_taken(kernel: str) -> None:
    assert {c.kernel for c in tune.choose(ARCH, TENSORS, kernel).values()} == {kernel}


@pytest.mark.parametrize("shape, dtype", [(7, np.uint8), ((3, 5), np.float32), ((2, 3, 4), np.intp), (1, np.int8)])
def test_memory_begins_on_a_cache_line(shape, dtype):
    for _ in range(4):
        found = aligned(shape, dtype)
        assert found.ctypes.data % 64 == 0 and found.dtype == dtype and found.shape == np.empty(shape).shape
        found[...] = 1


def test_the_engine_s_memory_is_aligned():
    """Maps, planes, tables, per-channel rows and scratch memory of a network that ran."""
    net = PackedBiVM.load(kernel="table")
    net.step(np.zeros((48, 64, 3), np.uint8))
    parts = net._parts
    held = [*parts.memory._floats.values(), *(s.bytes for s in parts.memory._signs.values())]
    held += [plane for signs in parts.memory._signs.values() for plane in signs._planes.values()]
    held += [conv.conv.kernel.table for conv in parts.convs.values()]
    held += [net._stem.norm.scale.row, kernels.scratch("aligned?", (100,), np.float32)]
    assert len(held) > 100
    assert all(array.ctypes.data % 64 == 0 for array in held)
