"""The strict count against what really happens: NumPy arrays that count in our engine, torch's dispatcher in RVM."""

from collections import Counter

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from bivm_ref.ancestors import BIMATTING
from bivm_ref.ancestors import RVM as RVM_TABLE
from bivm_ref.arch import preset
from bivm_ref.cost import layer_costs, total_operations
from bivm_ref.elementwise import ARITHMETIC, elementwise, strict_operations
from bivm_ref.learn.export import pack
from bivm_ref.net import RVM, BiVM
from bivm_ref.packed import PackedBiVM, decoder, heads, layers, network, ops, refiner, run
from bivm_ref.packed.sparse import Active

ADD, MULTIPLY, COMPARE, OTHER = range(4)
KIND = {**dict.fromkeys(("add", "subtract"), ADD), **dict.fromkeys(("multiply", "divide", "true_divide"), MULTIPLY),
        **dict.fromkeys("greater_equal less_equal greater less not_equal maximum minimum clip bitwise_or bitwise_and "
                        "logical_or logical_and".split(), COMPARE)}


# -- arrays that count --

class Counted(np.ndarray):
    """An array whose arithmetic is counted: numbers written, by kind of instruction."""

    tally, counting = Counter(), True

    def __array_ufunc__(self, ufunc, method, *inputs, out=(), **options):
        plain = [x.view(np.ndarray) if isinstance(x, Counted) else x for x in inputs]
        if out:
            options["out"] = tuple(x.view(np.ndarray) if isinstance(x, Counted) else x for x in out)
        result = getattr(ufunc, method)(*plain, **options)
        if Counted.counting:
            written = np.size(result) if method == "__call__" else np.size(plain[0]) - np.size(result)
            Counted.tally[KIND[ufunc.__name__]] += written * (2 if ufunc.__name__ == "clip" else 1)
        return out[0] if out else np.asarray(result).view(Counted)


class CountingNumpy:
    """The module numpy, but arrays that it makes count."""

    def __getattr__(self, name):
        made = getattr(np, name)
        if name not in ("empty", "zeros", "pad", "stack", "concatenate", "unpackbits"):
            return made
        return lambda *words, **options: made(*words, **options).view(Counted)

    @staticmethod
    def packbits(*words, **options):
        packed = np.packbits(*words, **options)
        Counted.tally[OTHER] += packed.size * Counted.counting
        return packed


@pytest.fixture
def watched(monkeypatch):
    """The engine's modules on counting arrays -> a Counter of what some functions made, which count nothing inside."""
    made = Counter()
    for module in (ops, layers, decoder, heads, refiner, run):
        monkeypatch.setattr(module, "np", CountingNumpy())
        if hasattr(module, "scratch"):
            monkeypatch.setattr(module, "scratch", lambda *words, inner=module.scratch: inner(*words).view(Counted))
    aligned_bytes = run.aligned_bytes
    monkeypatch.setattr(run, "aligned_bytes", lambda size: aligned_bytes(size).view(Counted))
    monkeypatch.setattr(network, "Active", lambda cells: Active(cells.view(np.ndarray)))
    reduce_frame = network.reduce_frame
    monkeypatch.setattr(network, "reduce_frame", lambda *words: (
        words[0] if (small := reduce_frame(*words)) is words[0] else small.view(Counted)))

    def quietly(name):
        function = getattr(ops, name)

        def work(*words):
            Counted.counting = False
            try:
                result = function(*words)
            finally:
                Counted.counting = True
            if isinstance(result, tuple):  # source_positions: index arithmetic, and weights that then are computed with
                return *result[:2], result[2].view(Counted)
            made[name] += result.size
            return result

        monkeypatch.setattr(ops, name, work)

    for name in ("upsample_rows", "stem_rows", "box3", "source_positions"):
        quietly(name)
    return made


def engine(name: str, size: int | None, dense: bool) -> PackedBiVM:
    torch.manual_seed(0)
    model = BiVM(name).eval()
    return PackedBiVM.from_tensors(model.arch, pack(model), size=size, kernel="xor", dense=dense)


# small enough for one strip per layer: strips overlap by a row or two, which the rule leaves out
CASES = [("small", (64, 48), 1.0, False), ("small", (64, 48), 1.0, True), ("default", (64, 32), 1.0, False),
         ("small", (50, 37), 1.0, False), ("small", (128, 96), 0.5, False)]


@pytest.mark.parametrize("name, size, ratio, dense", CASES)
def test_everything_numpy_does_is_in_the_table(monkeypatch, watched, name, size, ratio, dense):
    """Additions, multiplications, comparisons and packed bytes of the second frame, each to the last one."""
    width, height = size
    net = engine(name, round(ratio * width), dense)
    detail_mask, cells = ops.detail_mask, []

    def some_cells(coarse, tau):
        mask = detail_mask(coarse, tau)
        cells[:] = [np.arange(mask.size).reshape(mask.shape) % 3 == 0]
        return cells[0].view(Counted)

    monkeypatch.setattr(ops, "detail_mask", some_cells)
    frames = np.random.default_rng(0).integers(0, 256, (2, height, width, 3), np.uint8)
    net.step(frames[0].view(Counted))
    Counted.tally.clear()
    watched.clear()
    net.step(frames[1].view(Counted))

    share = 1.0 if dense else float(cells[0].mean())
    expected, numbers = np.zeros(4), Counter()
    for work in elementwise(net.arch, width, height, share, ratio, dense):
        numbers[work.what] += work.numbers
        if work.what not in ("upsample", "box 3x3", "look-up", "read mask", "filter tap"):
            expected += np.multiply(ARITHMETIC[work.what], work.numbers)
    heads_macs = sum(r.macs for r in layer_costs(net.arch, width, height, share, ratio) if r.conv.kind == "float")
    expected[[ADD, MULTIPLY]] += heads_macs  # the float heads, which run on these arrays too
    expected[COMPARE] += 2 * 2 * 2 * len(cells[0])  # of the mask: any and all of three rows, in two columns of border
    found = [Counted.tally[kind] for kind in range(4)]
    assert found == pytest.approx(expected.tolist(), rel=1e-9)
    assert watched["upsample_rows"] == numbers["upsample"] and watched["box3"] == numbers["box 3x3"]
    assert (watched["box3"] > 0) == (ratio < 1)
    assert numbers["read mask"] == (0 if dense else net.mask.size * (4 + 16 + 64 + 256))


@pytest.mark.parametrize("what, function, size", [("upsample", "upsample_rows", 96), ("box 3x3", "box3", 192)])
def test_arithmetic_of_one_number(monkeypatch, what, function, size):
    """On a large map, where borders weigh little."""
    monkeypatch.setattr(ops, "np", CountingNumpy())
    monkeypatch.setattr(ops, "scratch", lambda name, shape, dtype: np.empty(shape, dtype).view(Counted))
    x = np.ones((size, size, 8), np.float32).view(Counted)
    Counted.tally.clear()
    if what == "upsample":
        made = ops.upsample_rows(x, 0, 2 * size, np.empty((2 * size, 2 * size, 8), np.float32).view(Counted))
    else:
        made = ops.box3(x)
    assert made.shape == (192, 192, 8)
    found = [Counted.tally[kind] / made.size for kind in range(4)]
    assert found == pytest.approx(ARITHMETIC[what], rel=0.02, abs=0)


def test_a_layer_worked_by_hand():
    """encoder.f2.0.point of `small` at 512x288: 16 -> 32 channels at 128x72, all of 9,216 positions."""
    rows = {work.what: work.operations for work in elementwise(preset("small"))
            if work.layer == "encoder.f2.0.point"}
    assert rows == {"sign": 9216 * 16 * 1.125, "batch norm": 9216 * 32 * 2, "gain and sum": 9216 * 32 * 2,
                    "PReLU": 9216 * 32 * 2}


def test_what_a_mask_saves():
    arch = preset("small")
    work = [sum(w.operations for w in elementwise(arch, active=share)) for share in (0.0, 0.5, 1.0)]
    assert work[0] < work[1] < work[2] and work[1] == pytest.approx((work[0] + work[2]) / 2)
    per_scale = {8: 0.5, 4: 0.5, 2: 0.5, 1: 0.5}
    assert strict_operations(arch, active=per_scale) == strict_operations(arch, active=0.5)
    looked = 512 * 288 * (1 + 1 / 4 + 1 / 16 + 1 / 64)
    assert work[2] - sum(w.operations for w in elementwise(arch, dense=True)) == looked
    with pytest.raises(ValueError, match="scale 2"):
        elementwise(arch, active={8: 0.5, 4: 0.5, 1: 0.5})


# -- RVM, by torch's dispatcher --

class Dispatched(TorchDispatchMode):
    """Counts the numbers that every kernel of torch makes; a mean over the map counts what it reads."""

    def __init__(self):
        super().__init__()
        self.made = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result, name = function(*args, **(kwargs or {})), function.overloadpacket.__name__.rstrip("_")
        if isinstance(result, torch.Tensor):
            if name == "mean" and result.shape[-2:] == (1, 1):
                self.made["average of all"] += args[0].numel()
            else:
                self.made[name] += result.numel()
        return result


@pytest.mark.parametrize("width, height, ratio", [(512, 288, 1.0), (131, 97, 1.0), (256, 192, 0.5)])
def test_rvm_does_what_its_table_says(width, height, ratio):
    with torch.no_grad(), Dispatched() as seen:
        frame = torch.zeros(1, 1, 3, height, width, device="meta")
        RVM().eval().to("meta")(frame, None, ratio)
    numbers = Counter()
    for work in elementwise(RVM_TABLE, width, height, ratio=ratio):
        numbers[work.what] += work.numbers
    made, large = seen.made, width * height * (ratio < 1)
    small = round(width * ratio) * round(height * ratio) * (ratio < 1)
    for what, kernel in (("ReLU", "relu"), ("hard-swish", "hardswish"), ("sigmoid", "sigmoid"), ("tanh", "tanh"),
                         ("hard sigmoid", "hardsigmoid"), ("average pool", "avg_pool2d"), ("clip", "clamp"),
                         ("average of all", "average of all")):
        assert made[kernel] == numbers[what], what
    assert made["upsample_bilinear2d"] == numbers["upsample"] + 8 * large + 3 * small
    assert made["mean"] == numbers["grey"] == large + small

    gru = numbers["tanh"]  # numbers of h; an interpolation there is two products and a sum
    resized = 8 * (round(height * ratio) * width + width * height) if ratio < 1 else 0
    assert numbers["interpolation"] == gru + resized + 9 * small
    assert made["mul"] == numbers["product"] + 2 * gru
    assert made["sub"] + made["rsub"] == (numbers["normalise"] + numbers["difference"]
                                          - (8 * (width + height) if ratio < 1 else 0))
    assert made["add"] == numbers["sum"] + gru
    assert made["div"] == numbers["normalise"] == 3 * round(width * ratio) * round(height * ratio)


def test_strict_is_more_than_the_papers_rule_and_bimatting_is_not_known():
    for counted in (RVM_TABLE, preset("small"), preset("default")):
        assert strict_operations(counted) > total_operations(counted)
    with pytest.raises(ValueError, match="BiMatting"):
        elementwise(BIMATTING)
