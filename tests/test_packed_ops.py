"""The float layers of the engine: hand-worked values, and bit-equality with torch on awkward shapes."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from bivm_ref.net import decoder as torch_decoder
from bivm_ref.net import ops as torch_ops
from bivm_ref.net import refiner as torch_refiner
from bivm_ref.net.blocks import Head
from bivm_ref.packed import ops
from bivm_ref.packed.bits import pack_signs
from bivm_ref.packed.network import reduce_frame, reduced_size
from bivm_ref.packed.planes import SignMap


def random_map(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32)


def to_torch(x: np.ndarray) -> torch.Tensor:
    return torch.tensor(x).permute(2, 0, 1)[None]


def from_torch(x: torch.Tensor) -> np.ndarray:
    return x[0].permute(1, 2, 0).numpy()


def vector(*values: float) -> np.ndarray:
    return np.array(values, np.float32)


# -- after a convolution --

@pytest.mark.parametrize("n", [1, 511, 512, 513, 1200])
def test_per_channel_meets_blocks_of_any_length(n: int) -> None:
    x, v = random_map(n, 16), random_map(16, seed=1)
    out = np.full((n + 1, 16), 7, np.float32)
    ops.PerChannel(v).apply(np.multiply, x, out[:n])
    np.testing.assert_array_equal(out[:n], x * v)
    assert (out[n] == 7).all()


def test_affine_by_hand() -> None:
    half = np.array([[[-2, 1]], [[3, -1]]], np.int8)  # (2, 1, 2), dots of -4, 2; 6, -2
    y = ops.Affine(vector(0.5, -1), vector(1, 0))(half, np.empty((2, 2), np.float32))
    np.testing.assert_array_equal(y, [[-1, -2], [4, 2]])
    y = ops.Affine(vector(0.5, -1), vector(1, 0), factor=1)(half, np.empty((2, 2), np.float32))
    np.testing.assert_array_equal(y, [[0, -1], [2.5, 1]])


def test_affine_of_half_dots_rounds_like_affine_of_dots() -> None:
    half = np.random.default_rng(0).integers(-3000, 3000, (5, 7, 16)).astype(np.int16)
    scale, shift = random_map(16), random_map(16, seed=1)
    y = ops.Affine(scale, shift)(half, np.empty((35, 16), np.float32))
    np.testing.assert_array_equal(y.reshape(half.shape), (2 * half).astype(np.float32) * scale + shift)


@pytest.mark.parametrize("slopes", [(-0.5, 0.0, 0.25, 1.0), (-0.5, 0.25, 1.0, 1.5)], ids=str)
def test_prelu(slopes: tuple[float, ...]) -> None:
    x = np.concatenate((random_map(50, 4), np.zeros((1, 4), np.float32), np.full((1, 4), -0.0, np.float32)))
    expected = F.prelu(torch.tensor(x), torch.tensor(slopes)).numpy()
    np.testing.assert_array_equal(ops.PReLU(vector(*slopes))(x.copy()), expected)


def test_threshold_packs_its_rows_alone() -> None:
    x, theta = random_map(4 * 3, 16), random_map(16, seed=1)
    x[5] = -theta
    signs = SignMap(6, 3, 2)
    ops.Threshold(theta)(x, signs, 1, 5)
    np.testing.assert_array_equal(signs.bytes[1:5], pack_signs(x.reshape(4, 3, 16), theta))
    assert not signs.bytes[0].any() and not signs.bytes[5].any()


def test_hard_gates_by_hand() -> None:
    np.testing.assert_array_equal(ops.hard_sigmoid(vector(-9, -3, 0, 3, 9)), vector(0, 0, 0.5, 1, 1))
    np.testing.assert_array_equal(ops.hard_tanh(vector(-9, -0.5, 0, 0.25, 9)), vector(-1, -0.5, 0, 0.25, 1))
    x = random_map(1000) * 4
    np.testing.assert_array_equal(ops.hard_sigmoid(x.copy()), torch_ops.hard_sigmoid(torch.tensor(x)).numpy())


# -- shortcuts --

def resample(x: np.ndarray, cout: int) -> np.ndarray:
    return ops.resample_channels(x, cout, np.empty((len(x), cout), np.float32))


def test_resample_channels_by_hand() -> None:
    x = vector(1, 2, 3, 4)[None]
    np.testing.assert_array_equal(resample(x, 8)[0], [1, 2, 3, 4, 1, 2, 3, 4])
    np.testing.assert_array_equal(resample(x, 2)[0], [2, 3])  # (1 + 3)/2, (2 + 4)/2
    np.testing.assert_array_equal(resample(x, 6)[0], [2, 3, 2, 3, 2, 3])
    # 6 channels: the multiple is 12, and out[j] = (x[j mod 4] + x[(j + 6) mod 4]) / 2


@pytest.mark.parametrize("cin, cout", [(16, 16), (16, 32), (64, 32), (64, 96), (96, 128), (128, 96), (24, 16),
                                       (512, 128), (48, 16), (96, 24)])
def test_resample_channels_equals_torch(cin: int, cout: int) -> None:
    x = random_map(15, cin)
    before = x.copy()
    y = resample(x, cout)
    expected = from_torch(torch_ops.resample_channels(to_torch(x.reshape(3, 5, cin)), cout)).reshape(15, cout)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(x, before)
    np.testing.assert_allclose(y.mean(-1), x.mean(-1), atol=1e-6)  # R keeps the mean over channels


def test_average_pool() -> None:
    x = np.arange(8, dtype=np.float32).reshape(2, 4, 1)
    np.testing.assert_array_equal(ops.average_pool(x, np.empty((1, 2, 1), np.float32))[..., 0], [[2.5, 4.5]])
    x = random_map(6, 10, 8)
    y = ops.average_pool(x, np.empty((3, 5, 8), np.float32))
    np.testing.assert_array_equal(y, from_torch(torch_ops.average_pool(to_torch(x))))


def upsample(x: np.ndarray, rows: int = 1000) -> np.ndarray:
    height, width, channels = x.shape
    out = np.empty((2 * height, 2 * width, channels), np.float32)
    for top in range(0, 2 * height, rows):
        bottom = min(top + rows, 2 * height)
        ops.upsample_rows(x, top, bottom, out[top:bottom])
    return out / 16  # exact


def test_upsample_by_hand() -> None:
    row = vector(0, 4).reshape(1, 2, 1)
    np.testing.assert_array_equal(upsample(row)[..., 0], [[0, 1, 3, 4], [0, 1, 3, 4]])


@pytest.mark.parametrize("shape", [(1, 1, 8), (1, 5, 8), (4, 1, 16), (9, 7, 24), (40, 64, 32)])
@pytest.mark.parametrize("rows", [2, 6, 1000])
def test_upsample_equals_torch(shape: tuple[int, ...], rows: int) -> None:
    x = random_map(*shape)
    y = upsample(x, rows)
    np.testing.assert_array_equal(y, from_torch(torch_ops.upsample(to_torch(x))))
    library = F.interpolate(to_torch(x), scale_factor=2, mode="bilinear", align_corners=False)
    np.testing.assert_allclose(y, from_torch(library), atol=1e-6)


# -- the image --

def test_stem_dot_is_exact_at_its_largest_sums() -> None:
    """27 x 255 x 2047 stays below 2^24: compare with int64 arithmetic, on extreme pixels and weights."""
    rng = np.random.default_rng(0)
    levels = rng.integers(0, 256, (6, 8, 3)).astype(np.uint8)
    levels[:4] = 255
    weight = rng.integers(-2047, 2048, (16, 3, 3, 3)).astype(np.int16)
    weight[0], weight[1] = 2047, -2047
    dots = np.empty((3, 4, 16), np.float32)
    for top, bottom in ((0, 1), (1, 3)):  # in two strips: rows at the edge and rows inside
        ops.stem_rows(levels, ops.stem_matrix(weight), top, bottom, dots[top:bottom])
    centred = np.zeros((8, 10, 3), np.int64)
    centred[1:-1, 1:-1] = 2 * levels.astype(np.int64) - 255
    for y in range(3):
        for x in range(4):
            window = centred[2 * y:2 * y + 3, 2 * x:2 * x + 3].transpose(2, 0, 1)
            np.testing.assert_array_equal(dots[y, x], (weight.astype(np.int64) * window).sum((1, 2, 3)))
    assert np.abs(dots).max() == 27 * 255 * 2047


def thermometer(theta: np.ndarray, scale: int, sums: np.ndarray) -> np.ndarray:
    height, width, _ = sums.shape
    signs = SignMap(height, width, len(theta) // 8)
    for top in range(height):
        ops.Thermometer(theta, scale)(sums, signs, top, top + 1)
    return signs.bytes


@pytest.mark.parametrize("scale", [1, 2, 4, 8])
@pytest.mark.parametrize("thresholds", [8, 16])
def test_thermometer_equals_torch(scale: int, thresholds: int) -> None:
    theta = np.random.default_rng(scale).uniform(-1.1, 0.1, 3 * thresholds).astype(np.float32)
    theta[0], theta[1], theta[2] = 0.0, -1.0, np.float32(-128) / np.float32(255)  # exactly on a level
    levels = np.random.default_rng(0).integers(0, 256, (16, 24, 3)).astype(np.uint8)
    levels[:8, :8], levels[8:, :8], levels[:8, 8:16] = 0, 255, 128
    bits = thermometer(theta, scale, ops.pooled_sums(levels)[scale])
    module = torch_decoder.Thermometer(thresholds, "bivm")
    with torch.no_grad():
        module.sign.theta.copy_(torch.tensor(theta))
        signs = from_torch(module(torch_ops.pooled_pixels(to_torch(levels.astype(np.float32)), scale)))
    np.testing.assert_array_equal(np.unpackbits(bits, axis=-1), signs > 0)


def test_thermometer_agrees_on_every_sum() -> None:
    """All 16321 means of an 8 x 8 square: the look-up takes the same float32 steps as torch."""
    sums = np.arange(255 * 64 + 1)
    theta = vector(*np.linspace(-0.9, -0.1, 24))
    mine = np.unpackbits(thermometer(theta, 8, np.stack((sums,) * 3, -1)[None]), axis=-1)[0]
    pixels = torch.tensor(sums, dtype=torch.float32) / 64.0 / 255.0
    np.testing.assert_array_equal(mine, (pixels[:, None] + torch.tensor(theta) >= 0).numpy())


def test_pooled_sums_do_not_overflow() -> None:
    sums = ops.pooled_sums(np.full((16, 16, 3), 255, np.uint8))
    assert {scale: int(s.max()) for scale, s in sums.items()} == {s: 255 * s * s for s in (1, 2, 4, 8)}


def test_pad_repeats_the_edge() -> None:
    frame = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    padded = ops.pad_to_multiple(frame, 4)
    assert padded.shape == (4, 4, 3)
    np.testing.assert_array_equal(padded[3, 3], frame[1, 2])
    assert ops.pad_to_multiple(padded, 4) is padded


@pytest.mark.parametrize("height, width, size, expected", [
    (1080, 1920, 512, (288, 512)), (288, 512, 512, (288, 512)), (100, 50, None, (100, 50)),
    (1920, 1080, 512, (512, 288)), (2, 4000, 512, (1, 512))])
def test_reduced_size(height: int, width: int, size: int | None, expected: tuple[int, int]) -> None:
    assert reduced_size(height, width, size) == expected


def test_reducing_averages_instead_of_skipping() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 200
    reduced = reduce_frame(stripes, 16)
    assert reduced.shape == (16, 16, 3) and np.abs(reduced[:, 1:-1].astype(int) - 100).max() <= 3


# -- heads and mask --

def test_ordered_head_adds_in_order() -> None:
    x = vector(1e8, 1.0, -1e8)[None, None]
    ones, bias = vector(1, 1, 1), vector(0.25)
    assert ops.ordered_head(x, ones, bias)[0, 0] == 0.25  # (1e8 + 1) - 1e8 = 0 in float32
    assert ops.ordered_head(x[..., [0, 2, 1]], ones, bias)[0, 0] == 1.0  # (1e8 - 1e8) + 1 + 0.25, clipped


def test_linear_adds_in_order_and_equals_torch() -> None:
    x = vector(1e8, 1.0, -1e8)[None]
    weight = np.array([[1, 1, 1], [1, 0, 1], [0, 2, 0]], np.float32)
    out = ops.linear(x, weight, vector(0.25, 0.5, 1), np.empty((3, 1), np.float32))
    np.testing.assert_array_equal(out[:, 0], [0.25, 0.5, 3])  # (1e8 + 1) - 1e8 = 0 in float32
    head = Head(16, 4).eval()
    x = random_map(33, 16)
    with torch.no_grad():
        expected = from_torch(head(to_torch(x.reshape(11, 3, 16)))).reshape(33, 4)
        library = from_torch(F.conv2d(to_torch(x.reshape(11, 3, 16)), head.weight, head.bias)).reshape(33, 4)
    weight, bias = head.weight.detach().numpy()[..., 0, 0], head.bias.detach().numpy()
    np.testing.assert_array_equal(ops.linear(x, weight, bias, np.empty((4, 33), np.float32)).T, expected)
    np.testing.assert_allclose(expected, library, atol=1e-6)


def test_detail_mask_by_hand() -> None:
    alpha = np.zeros((5, 7), np.float32)
    alpha[:, 4:] = 1.0  # an edge between columns 3 and 4
    alpha[0, 0] = 0.5  # and one uncertain cell
    expected = np.zeros((5, 7), bool)
    expected[:, 3:5] = True
    expected[0, 0] = True
    np.testing.assert_array_equal(ops.detail_mask(alpha, 0.05), expected)


@pytest.mark.parametrize("shape", [(1, 1), (1, 6), (5, 1), (18, 32)])
def test_detail_mask_equals_torch(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    alpha = np.clip(rng.normal(0.5, 2.0, shape), 0, 1).astype(np.float32)
    alpha.flat[::7] = np.float32(0.05)
    alpha.flat[::11] = np.float32(0.95)
    expected = torch_decoder.detail_mask(torch.tensor(alpha)[None, None], 0.05)[0, 0].numpy()
    np.testing.assert_array_equal(ops.detail_mask(alpha, 0.05), expected)


# -- the refiner's --

def test_box3_and_grey_equal_torch() -> None:
    x = np.random.default_rng(0).random((9, 13, 3)).astype(np.float32)
    np.testing.assert_array_equal(ops.box3(x), from_torch(torch_ops.box3(to_torch(x))))
    np.testing.assert_array_equal(ops.with_grey(x), from_torch(torch_refiner.with_grey(to_torch(x))))
    np.testing.assert_allclose(ops.box3(x)[4, 6], x[3:6, 5:8].mean((0, 1)), atol=1e-6)


@pytest.mark.parametrize("n, size", [(1, 5), (7, 7), (7, 20), (160, 320), (273, 1080), (512, 1920)])
def test_resize_positions_equal_torch(n: int, size: int) -> None:
    x = np.sin(np.arange(n, dtype=np.float32) / 10)  # smooth: torch may round positions differently
    left, right, part = ops.source_positions(n, size)
    row = torch.tensor(x)[None, None, None]
    expected = F.interpolate(row, (1, size), mode="bilinear", align_corners=False)[0, 0, 0]
    np.testing.assert_allclose(x[left] * (1 - part) + x[right] * part, expected, atol=1e-5)
