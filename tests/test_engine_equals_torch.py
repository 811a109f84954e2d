"""The NumPy engine against torch, on random networks: every whole number equal, every matte equal.

The oracle is `bivm_ref.net.BiVM` in evaluation mode. Networks are untrained and made nasty: batch norms with
negative gammas, thresholds away from 0, PReLU slopes below 0 and above 1, gains of both signs, kernels that
are all zero.
"""

import dataclasses
import tracemalloc

import numpy as np
import pytest
import torch

from bivm_ref.errors import UserError
from bivm_ref.learn.export import export, pack
from bivm_ref.net import BiVM
from bivm_ref.net.binary import BinaryConv2d, Sign
from bivm_ref.net.blocks import ConvGRU, Elastic, Norm
from bivm_ref.net.decoder import DecoderStage
from bivm_ref.packed import PackedBiVM
from bivm_ref.packed.network import reduce_frame


def random_clip(frames: int, height: int, width: int, seed: int) -> np.ndarray:
    """(T, H, W, 3) uint8: coloured blobs that drift over a gradient, and noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / max(height, width)
    clip = np.empty((frames, height, width, 3))
    blobs = [(rng.random(2), rng.normal(0, 0.03, 2), rng.uniform(0.05, 0.2), rng.uniform(-160, 160, 3))
             for _ in range(6)]
    for t in range(frames):
        image = 128 + 60 * (x - y)[..., None] * np.array([1.0, -1.0, 0.5])
        for centre, speed, radius, colour in blobs:
            cy, cx = centre + t * speed
            image = image + np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / radius**2)[..., None] * colour
        clip[t] = image + rng.normal(0, 6, image.shape)
    return np.clip(clip, 0, 255).astype(np.uint8)


def as_clip(frames: np.ndarray) -> torch.Tensor:
    return torch.tensor(frames).permute(0, 3, 1, 2)[None].float() / 255.0


@torch.no_grad()
def random_network(arch: str, seed: int = 0, coarse_bias: float = 0.3, **options) -> BiVM:
    """A BiVM whose every parameter is random; its batch norms hold the statistics of the maps they meet.

    The larger coarse_bias, the more cells are surely foreground, so the fewer are active.
    """
    torch.manual_seed(seed)
    model = BiVM(arch, **options)
    for module in model.modules():
        if isinstance(module, Norm):
            module.weight.uniform_(0.3, 1.2)
            module.weight[torch.rand(module.num_features) < 0.3] *= -1.0
            module.bias.normal_(0, 0.3)
            module.momentum = None  # running statistics: the plain mean over the warm-up
        elif isinstance(module, torch.nn.PReLU):
            module.weight.uniform_(-0.3, 1.3)
        elif isinstance(module, Sign):
            module.theta.add_(torch.randn_like(module.theta) * 0.2)
        elif isinstance(module, BinaryConv2d):
            module.weight[::5] = 0.0  # sign(0) = +1: all-zero kernels are all +1
        if isinstance(module, (Elastic, ConvGRU, DecoderStage)):
            module.gain.uniform_(-0.5, 1.1)
    for head in (model.head, model.refiner.head):
        head.weight.normal_(0, 0.2)
        head.bias.normal_(0, 0.2)
    model.coarse.weight.mul_(2.0)
    model.train()
    for i in range(2):
        small = as_clip(random_clip(2, 64, 96, 100 + i))
        model(small, large=as_clip(random_clip(2, 128, 192, 100 + i)))
    model.coarse.bias.fill_(coarse_bias)
    return model.eval()


class Watch:
    """The output of every BinaryConv2d of a torch network, by the engine's names: (H, W, cout)."""

    def __init__(self, model: BiVM) -> None:
        self.dots: dict[str, np.ndarray] = {}
        self.handles = [module.register_forward_hook(self._hook(self._engine_name(name)))
                        for name, module in model.named_modules() if isinstance(module, BinaryConv2d)]

    @staticmethod
    def _engine_name(name: str) -> str:
        name = name.replace("neck.aspp.", "neck.").replace("memory.gru", "gru")
        name = name.replace("decoder.detail", "decoder.d0.detail")
        if name == "coarse.conv.conv":
            return "coarse.conv"
        return name if name.endswith((".k3", ".k1")) else name.removesuffix(".conv")

    def _hook(self, name: str):
        def hook(_module, _inputs, output: torch.Tensor) -> None:
            self.dots[name] = output[0].permute(1, 2, 0).numpy()
        return hook


@torch.no_grad()
def compare(model: BiVM, frames: np.ndarray, **options) -> tuple[float, list[float]]:
    """The largest difference of the matte, and the active share of every frame.

    On the way every whole number, every hidden state, the coarse alpha and the mask must be equal.
    """
    watch = Watch(model)
    net = PackedBiVM.from_tensors(model.arch, pack(model), dense=not model.masked, **options)
    net.record = {}
    size = options.get("size", 512)
    state, largest, shares = None, 0.0, []
    for frame in frames:
        alpha, foreground = net.step(frame)
        small = reduce_frame(frame, size)
        out = model(as_clip(small[None]), state, None if small is frame else as_clip(frame[None]))
        state = out.state

        assert net.record.keys() == watch.dots.keys()
        for name, dots in net.record.items():
            expected = watch.dots[name]
            if isinstance(dots, tuple):
                ys, xs, dots = dots
                expected = expected[ys, xs]
            np.testing.assert_array_equal(dots, expected, err_msg=name)
        np.testing.assert_array_equal(net.coarse_alpha, out.coarse_alpha[0, 0, 0].numpy())
        np.testing.assert_array_equal(net.mask, model.mask(out)[0, 0, 0].numpy())
        for mine, theirs in zip(net.state, state, strict=True):
            np.testing.assert_array_equal(mine, theirs[0].permute(1, 2, 0).numpy())

        assert alpha.dtype == foreground.dtype == np.float32
        assert alpha.shape == frame.shape[:2] and foreground.shape == frame.shape
        assert alpha.min() >= 0.0 and alpha.max() <= 1.0
        difference = np.abs(alpha - out.alpha[0, 0, 0].numpy())
        largest = max(largest, difference.max(),
                      np.abs(foreground - out.foreground[0, 0].permute(1, 2, 0).numpy()).max())
        shares.append(net.active[1])
    for handle in watch.handles:
        handle.remove()
    return float(largest), shares


@pytest.fixture(scope="module")
def small() -> BiVM:
    return random_network("small")


@pytest.fixture(scope="module")
def default() -> BiVM:
    return random_network("default", seed=1, coarse_bias=1.3)


@pytest.mark.parametrize("height, width", [(288, 512), (144, 256), (131, 97)])
@pytest.mark.parametrize("coarse_bias", [0.3, 1.3], ids=["most-active", "few-active"])
def test_small_network_over_eight_frames(height: int, width: int, coarse_bias: float) -> None:
    model = random_network("small", coarse_bias=coarse_bias)
    largest, shares = compare(model, random_clip(8, height, width, seed=1))
    assert largest == 0
    assert max(shares) > 0.4 if coarse_bias == 0.3 else 0.0 < min(shares) < 0.4


@pytest.mark.parametrize("height, width, frames", [(288, 512, 8), (144, 256, 8), (131, 97, 8)])
def test_default_network_over_eight_frames(default: BiVM, height: int, width: int, frames: int) -> None:
    largest, shares = compare(default, random_clip(frames, height, width, seed=2))
    assert largest == 0
    assert min(shares) < 0.4


@pytest.mark.parametrize("height, width", [(1, 1), (16, 16), (17, 5), (3, 40)])
def test_tiny_frames(small: BiVM, height: int, width: int) -> None:
    largest, _ = compare(small, random_clip(2, height, width, seed=3))
    assert largest == 0


def test_refiner_restores_the_size_of_a_reduced_frame(small: BiVM) -> None:
    largest, _ = compare(small, random_clip(4, 192, 320, seed=4), size=160)
    assert largest <= 1e-5  # torch has its own resize


def test_dense_engine_equals_the_network_without_a_mask() -> None:
    model = random_network("small", masked=False, coarse_bias=1.3)
    largest, shares = compare(model, random_clip(2, 64, 96, seed=5))
    assert largest == 0 and shares == [1.0, 1.0]


def test_nothing_active_at_all() -> None:
    model = random_network("small", coarse_bias=50.0)
    largest, shares = compare(model, random_clip(2, 64, 96, seed=6))
    assert largest == 0 and shares == [0.0, 0.0]


OPTIONS = [{"threads": 2}, {"threads": 3, "size": 64}, {"kernel": "xor"}, {"kernel": "table"}, {"kernel": "table4"},
           {"table_budget_mb": 0}, {"table_budget_mb": 1.5}]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_threads_and_kernels_change_nothing(small: BiVM, options: dict) -> None:
    tensors, frames = pack(small), random_clip(3, 80, 112, seed=7)
    one = PackedBiVM.from_tensors(small.arch, tensors, size=options.get("size", 512))
    other = PackedBiVM.from_tensors(small.arch, tensors, **options)
    for frame in frames:
        for a, b in zip(one.step(frame), other.step(frame), strict=True):
            np.testing.assert_array_equal(a, b)
    assert np.ptp(a) > 0.1  # a constant would be equal whatever is computed


@pytest.mark.parametrize("dense_above", [0.0, 1.0], ids=["whole-rows", "gathered"])
def test_both_ways_to_the_active_positions_give_the_same(dense_above: float) -> None:
    """Which one is taken is a matter of this machine's speed (tune.py): here, always the one."""
    small, frames = random_network("small", coarse_bias=1.3), random_clip(2, 80, 112, seed=7)
    tensors = pack(small)
    dots = []
    for above in (None, dense_above):
        net = PackedBiVM.from_tensors(small.arch, tensors)
        for conv in net._parts.convs.values() if above is not None else ():
            conv.choice = dataclasses.replace(conv.choice, dense_above=above)
        net.record = {}
        for frame in frames:
            net.step(frame)
        assert 0.0 < net.active[1] < 1.0
        dots.append(net.record)
    for name, theirs in dots[0].items():
        np.testing.assert_array_equal(theirs[2] if isinstance(theirs, tuple) else theirs,
                                      dots[1][name][2] if isinstance(theirs, tuple) else dots[1][name])


def test_outputs_and_states_belong_to_the_caller(small: BiVM) -> None:
    """The engine writes frame after frame into the same memory; what it gave away must not change."""
    net = PackedBiVM.from_tensors(small.arch, pack(small))
    frames = random_clip(4, 48, 64, seed=13)
    given = [*net.step(frames[0]), *net.state, net.mask, net.coarse_alpha]
    kept = [array.copy() for array in given]
    for frame in frames[1:]:
        net.step(frame)
    for mine, theirs in zip(given, kept, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_an_interrupted_frame_leaves_the_state_untouched(small: BiVM, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the middle of a frame, after hidden maps were written: the frame can be done again."""
    tensors, frames = pack(small), random_clip(3, 48, 64, seed=14)
    net, other = (PackedBiVM.from_tensors(small.arch, tensors) for _ in range(2))
    for frame in frames[:2]:
        net.step(frame)
        other.step(frame)

    def stop(*_args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(net, "_heads", stop)
        with pytest.raises(KeyboardInterrupt):
            net.step(frames[0])
    np.testing.assert_array_equal(net.step(frames[2])[0], other.step(frames[2])[0])


def test_a_frame_allocates_what_it_gives_away_and_little_more(small: BiVM) -> None:
    """From the second frame on. The maps of this size take megabytes; without reuse each frame would again."""
    net = PackedBiVM.from_tensors(small.arch, pack(small))
    frames = random_clip(4, 288, 512, seed=15)
    for frame in frames[:3]:
        alpha, foreground = net.step(frame)
    tracemalloc.start()
    try:
        alpha, foreground = net.step(frames[3])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < alpha.nbytes + foreground.nbytes + 12e6


def test_work_grows_linearly_with_pixels(small: BiVM) -> None:
    """Operations of the layer table at 4 times the pixels: 4 times, but for the gate that runs once."""
    net, counts = PackedBiVM.from_tensors(small.arch, pack(small), dense=True, size=None), []
    for height, width in ((96, 128), (192, 256)):
        net.reset()
        net.step(random_clip(1, height, width, seed=16)[0])
        counts.append(sum(row["operations"] for row in net.explain() if row["layer"] != "neck.gate"))
    assert counts[1] == 4 * counts[0] > 0


def test_a_file_gives_the_same_matte(small: BiVM, tmp_path) -> None:
    export(small, tmp_path / "net.safetensors", {"seed": 0}, {"mad": 1.5})
    loaded = PackedBiVM.load(tmp_path / "net.safetensors")
    frame = random_clip(1, 40, 56, seed=8)[0]
    alpha, foreground = loaded.step(frame)
    with torch.no_grad():
        out = small(as_clip(frame[None]))
    np.testing.assert_allclose(alpha, out.alpha[0, 0, 0], atol=1e-6)
    np.testing.assert_allclose(foreground, out.foreground[0, 0].permute(1, 2, 0), atol=1e-6)
    assert loaded.metadata["provenance"] == {"seed": 0} and loaded.metadata["figures"] == {"mad": 1.5}


def test_reset_starts_a_new_clip(small: BiVM) -> None:
    net = PackedBiVM.from_tensors(small.arch, pack(small))
    frames = random_clip(3, 48, 64, seed=9)
    first = net.step(frames[0])[0]
    again = net.step(frames[0])[0]
    assert np.abs(first - again).max() > 1e-3  # it remembers
    net.reset()
    np.testing.assert_array_equal(net.step(frames[0])[0], first)
    net.reset()
    assert net.step(random_clip(1, 32, 32, seed=9)[0])[0].shape == (32, 32)  # any size after a reset


def test_a_refused_frame_leaves_the_state_untouched(small: BiVM) -> None:
    tensors, frames = pack(small), random_clip(2, 48, 64, seed=10)
    net, other = (PackedBiVM.from_tensors(small.arch, tensors) for _ in range(2))
    net.step(frames[0])
    other.step(frames[0])
    good = frames[1]
    for frame in (good[:32], good.astype(np.float32), good[..., 0], good[..., :2], good[:0], good.tolist()):
        with pytest.raises(ValueError):
            net.step(frame)
    np.testing.assert_array_equal(net.step(frames[1])[0], other.step(frames[1])[0])


def test_a_view_with_strides_is_read_as_its_copy(small: BiVM) -> None:
    tensors, frame = pack(small), random_clip(1, 48, 64, seed=11)[0]
    view = frame[::-1, :, ::-1]
    mattes = [PackedBiVM.from_tensors(small.arch, tensors, size=size).step(f)[0]
              for size in (512, 32) for f in (view, view.copy())]
    np.testing.assert_array_equal(mattes[0], mattes[1])
    np.testing.assert_array_equal(mattes[2], mattes[3])


def test_explain_lists_every_layer(small: BiVM) -> None:
    net = PackedBiVM.from_tensors(small.arch, pack(small))
    rows = {row["layer"]: row for row in net.explain()}
    assert list(rows) == [conv.name for conv in small.arch.convs()]
    # 3x3, 16 -> 16 channels, stride 2: 16 * 9 * 2 bytes; at 1/4 of 512 x 288 that is 128 * 72 positions
    first = rows["encoder.f2.0.spatial"]
    assert (first["bytes"], first["operations"], first["kind"]) == (288, 128 * 72 * 9 * 256, "packed")
    assert rows["encoder.f1"]["kind"] == "fixed" and "12-bit" in rows["encoder.f1"]["why"]
    assert rows["head"]["kind"] == "float" and rows["head"]["bytes"] == 16 * 4 * 4
    assert rows["refiner.mix"]["operations"] == 0  # a frame of that size is not reduced
    net.step(random_clip(1, 48, 64, seed=12)[0])
    masked = {row["layer"]: row for row in net.explain()}["decoder.d0.detail"]
    assert masked["operations"] == round(48 * 64 * 9 * 256 * net.active[1])


def test_the_float_twin_cannot_be_packed() -> None:
    with pytest.raises(ValueError, match="'float' has no place"):
        pack(BiVM("small", "float"))


@pytest.mark.parametrize("options", [{"size": 0}, {"size": 9.5}, {"threads": 0}, {"threads": -2}, {"threads": 1.5},
                                     {"kernel": "fast"}, {"table_budget_mb": -1}, {"table_budget_mb": "much"}], ids=str)
def test_senseless_options_are_refused(small: BiVM, options: dict) -> None:
    with pytest.raises(ValueError):
        PackedBiVM.from_tensors(small.arch, pack(small), **options)


def test_a_budget_too_small_for_what_was_asked_names_both(small: BiVM) -> None:
    with pytest.raises(UserError, match=r"need 21 MB, the budget is 2 MB"):
        PackedBiVM.from_tensors(small.arch, pack(small), kernel="table", table_budget_mb=2)


def test_missing_tensors_are_refused(small: BiVM) -> None:
    tensors = pack(small)
    del tensors["head.bias"]
    with pytest.raises(ValueError, match="head.bias is missing"):
        PackedBiVM.from_tensors(small.arch, tensors)
