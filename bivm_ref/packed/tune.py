"""Which kernel each layer uses: measured on this machine at load, in some hundredths of a second.

A table of 8 channels per look-up is fastest while it fits the caches, one of 4 takes an eighth of its memory,
XOR and popcount needs none. What a look-up costs depends on the width of its row and on the machine, so it is
timed here once per width and kind of table, the larger kind on one that overflows a second-level cache; XOR is
timed on the layer's own bits. Layers then get tables in the order of time saved per byte, while the budget lasts.
The choice changes speed, never a number.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from bivm_ref.arch import Arch, Conv
from bivm_ref.errors import UserError
from bivm_ref.packed.kernels import Table, XorPopcount

KERNEL_NAMES = ("auto", "xor", "table", "table4")
TABLE_BUDGET_MB = 40.0
NOMINAL = 512 * 288  # pixels of the frame that a layer's time is estimated for
TIMED_TABLE = 1 << 21  # bytes of the table that is timed
TIMED_POSITIONS = 256
ROUNDS = 3


@dataclass(frozen=True)
class Choice:
    """kernel "xor", "table" or "table4"; dense_above: share of active positions from which a masked layer computes
    whole rows; why: a phrase with the estimates it rests on; table_bytes: 0 for "xor"."""

    kernel: str
    dense_above: float
    why: str
    table_bytes: int = 0


def choose(arch: Arch, tensors: Mapping[str, np.ndarray], kernel: str = "auto",
           budget_mb: float | None = None) -> dict[str, Choice]:
    """{name of each binary convolution: Choice}. budget_mb: megabytes of tables in all, None: TABLE_BUDGET_MB for
    "auto", no limit otherwise.

    Raises ValueError for another kernel or a budget that is no number >= 0, UserError when a kernel that was asked
    for does not fit a budget that was named.
    """
    if kernel not in KERNEL_NAMES:
        raise ValueError(f"kernel is one of {', '.join(KERNEL_NAMES)}, not {kernel!r}")
    if budget_mb is not None and not (isinstance(budget_mb, (int, float)) and budget_mb >= 0):
        raise ValueError(f"table_budget_mb is a number of megabytes, 0 or more, not {budget_mb!r}")
    convs = [conv for conv in arch.convs() if conv.kind == "binary"]
    bits = {conv.name: tensors[f"{conv.name}.bits"] for conv in convs}
    if kernel == "xor":
        return {name: Choice("xor", 1.0, "asked for") for name in bits}
    widths = {Table.row_width(conv.cout) for conv in convs}
    look_up = {(width, word): time_look_up(width, word) for width in widths for word in (8, 4)}
    gather = time_gather()
    options = {conv.name: _options(conv, bits[conv.name], look_up, gather) for conv in convs}
    if kernel != "auto":
        need = sum(options[name][kernel].table_bytes for name in bits) / 1e6
        if budget_mb is not None and need > budget_mb:
            raise UserError(f"kernel {kernel}: its tables need {need:.0f} MB, the budget is {budget_mb:g} MB; "
                            "raise it, or let the kernel be auto")
        return {name: options[name][kernel].choice("asked for") for name in bits}
    return _within(1e6 * (TABLE_BUDGET_MB if budget_mb is None else budget_mb), convs, options)


@dataclass(frozen=True)
class Option:
    """A kernel that a layer could have. ns: estimated nanoseconds per position."""

    kernel: str
    ns: float
    table_bytes: int
    dense_above: float

    def choice(self, why: str) -> Choice:
        return Choice(self.kernel, self.dense_above, why, self.table_bytes)


def _options(conv: Conv, bits: np.ndarray, look_up: dict[tuple[int, int], float], gather: float) -> dict[str, Option]:
    made = {"xor": Option("xor", time_xor(bits), 0, 1.0)}
    for kernel, word in (("table4", 4), ("table", 8)):
        ns = look_up[Table.row_width(conv.cout), word]
        # a gathered look-up costs a third of a gather more, and runs of active positions read a few too many
        dense_above = ns / (1.2 * ns + gather / 3)
        lookups = conv.kernel ** 2 * conv.cin // word
        made[kernel] = Option(kernel, lookups * ns, Table.bytes_needed(bits, word), dense_above)
    return made


def _within(budget: float, convs: list[Conv], options: dict[str, dict[str, Option]]) -> dict[str, Choice]:
    """Every layer begins with XOR; the step (none -> small table -> large one) that saves most time per byte is
    taken first, as long as it fits."""
    chosen = {conv.name: options[conv.name]["xor"] for conv in convs}
    steps = []
    for conv in convs:
        positions = NOMINAL / conv.scale ** 2 if conv.scale else 1
        xor, small, large = (options[conv.name][kernel] for kernel in ("xor", "table4", "table"))
        for before, after in ((xor, small), (small, large), (xor, large)):
            saved = positions * (before.ns - after.ns)
            if saved > 0:
                steps.append((saved / (after.table_bytes - before.table_bytes), conv.name, before, after))
    for _, name, before, after in sorted(steps, key=lambda step: -step[0]):
        more = after.table_bytes - before.table_bytes
        if chosen[name] is before and more <= budget:
            chosen[name] = after
            budget -= more
    return {name: option.choice("per position: " + ", ".join(f"{o.kernel} {o.ns / 1e3:.2f} us" for o in
                                                             options[name].values()))
            for name, option in chosen.items()}


def time_look_up(width: int, word: int) -> float:
    """Nanoseconds of one look-up and addition of a row of `width` bytes, in tables of 2^word rows."""
    rows = (1 << word) + 1
    groups = max(1, TIMED_TABLE // (257 * width))  # as many look-ups for either kind of table
    kernel = Table.__new__(Table)
    kernel.cout, kernel.width, kernel.dtype, kernel.held = width, width, np.int16, 127 // (word // 2)
    kernel.tables = [list(np.ones((groups, rows, width), np.int8))]
    positions = max(TIMED_POSITIONS, (1 << 16) // width)
    column = np.arange(positions, dtype=np.intp) * 37 % (rows - 1)  # 37: rows in no order that a cache could guess
    return best(lambda: kernel.half_dot([([column] * groups, None)], positions)) / (groups * positions)


def time_xor(bits: np.ndarray) -> float:
    """Nanoseconds of one output position of this layer, all channels, by XOR and popcount."""
    one_tap = np.ascontiguousarray(bits[:, :1, :1])
    kernel = XorPopcount(one_tap, (bits.shape[3],))
    columns = [np.zeros(TIMED_POSITIONS, f"u{size}") for _, _, size in kernel.words]
    inside = np.ones(TIMED_POSITIONS, np.bool_)
    seconds = best(lambda: kernel.half_dot([(columns, inside)], TIMED_POSITIONS))
    return bits.shape[1] ** 2 * seconds / TIMED_POSITIONS


def time_gather() -> float:
    """Nanoseconds of fetching one number of a plane from a position that is not next in line."""
    plane, at = np.zeros(1 << 16, np.intp), np.arange(1 << 12, dtype=np.intp) * 3
    out = np.empty_like(at)
    return best(lambda: plane.take(at, 0, out, "clip")) / len(at)


def best(work: Callable[[], object]) -> float:
    """Nanoseconds of the fastest of a few runs: what it costs when nothing else disturbs."""
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter_ns()
        work()
        times.append(time.perf_counter_ns() - start)
    return float(min(times))
