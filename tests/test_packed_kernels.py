"""The packed engine's integers: worked by hand, against slow loops, and against torch on +1/-1 maps."""

import numpy as np
import pytest
import torch

from bivm_ref.packed import bits as B
from bivm_ref.packed.conv import PackedConv
from bivm_ref.packed.kernels import Table, split_bytes
from bivm_ref.packed.planes import SignMap
from bivm_ref.packed.reference import dot_reference, masked_dot_reference
from bivm_ref.packed.sparse import Active, Positions

KERNELS = ("xor", "table", "table4")


def signs(rng, *shape):
    return rng.choice(np.array([-1, 1], np.int8), shape)


def pack_sources(x, sources):
    """A map of signs (H, W, C) -> one packed map per source."""
    return [B.pack_signs(part) for part in np.split(x, np.cumsum(sources)[:-1], axis=-1)]


def torch_dot(x, w, stride):
    maps = torch.from_numpy(x.astype(np.float64)).permute(2, 0, 1)[None]
    out = torch.nn.functional.conv2d(maps, torch.from_numpy(w.astype(np.float64)), stride=stride,
                                     padding=w.shape[2] // 2)
    return out[0].permute(1, 2, 0).numpy().astype(np.int64)


# -- bits --------------------------------------------------------------------------------------------------


def test_bits_worked_by_hand():
    # channel            0     1     2     3     4     5     6     7
    x = np.array([[[0.5, -0.5, 0.0, -0.0, -2.0, 3.0, -1e-45, 1e-45]]], np.float32)
    # x >= 0             1     0     1     1     0     1     0     1    = 0b10110101
    assert B.pack_signs(x).tolist() == [[[0b10110101]]]
    w = np.array([1, 1, -1, 1, -1, -1, -1, 1]).reshape(1, 8, 1, 1)  #   = 0b11010001
    assert B.pack_weights(w).tolist() == [[[[0b11010001]]]]
    # products          +1    -1    -1    +1    +1    -1    +1    +1    sum = 5 - 3 = 2
    # XOR 0b01100100 has three bits: 8 - 2 * 3 = 2
    assert int(B.xnor_dot(B.pack_signs(x)[0, 0], B.pack_weights(w)[0, 0, 0], 8)) == 2
    for kernel in KERNELS:
        out = PackedConv(B.pack_weights(np.repeat(w, 8, axis=0)), kernel=kernel).dot(B.pack_signs(x))
        assert out.tolist() == [[[2] * 8]]


def test_theta_is_the_float32_sum_compared_with_zero():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((9, 7, 16)).astype(np.float32)
    theta = rng.standard_normal(16).astype(np.float32)
    x[0] = -theta  # exactly at the threshold: +1
    x[1] = np.nextafter(-theta, np.float32(-np.inf))  # one float below: -1
    want = np.where(x + theta >= 0, 1, -1)
    assert (want[0] == 1).all() and (want[1] == -1).all()
    assert (B.unpack_signs(B.pack_signs(x, theta)) == want).all()
    out = np.zeros((9, 7, 2), np.uint8)
    assert B.pack_signs(x[:, ::-1], theta, out=out) is not None  # a view that is not contiguous
    assert (B.unpack_signs(out) == want[:, ::-1]).all()


def test_pack_and_unpack_are_inverse():
    rng = np.random.default_rng(1)
    x, w = signs(rng, 3, 5, 40), signs(rng, 24, 16, 3, 3)
    assert B.pack_signs(x).shape == (3, 5, 5) and B.pack_weights(w).shape == (24, 3, 3, 2)
    assert (B.unpack_signs(B.pack_signs(x)) == x).all() and B.unpack_signs(B.pack_signs(x)).dtype == np.int8
    assert (B.unpack_weights(B.pack_weights(w)) == w).all()
    assert (B.unpack_weights(B.pack_weights(w * 0.25)) == w).all()


def test_popcount_against_python():
    rng = np.random.default_rng(2)
    for dtype in (np.uint8, np.uint16, np.uint32, np.uint64):
        words = rng.integers(0, np.iinfo(dtype).max, (4, 6), dtype=dtype, endpoint=True)
        assert B.popcount(words).tolist() == [sum(int(v).bit_count() for v in row) for row in words]


def test_words_never_span_two_sources():
    assert split_bytes((11, 3), widest=8) == [(0, 0, 8), (0, 8, 2), (0, 10, 1), (1, 0, 2), (1, 2, 1)]
    assert split_bytes((2, 1), widest=1) == [(0, 0, 1), (0, 1, 1), (1, 0, 1)]


# -- dense -------------------------------------------------------------------------------------------------

GRID = [  # height, width, sources, cout, k, stride
    (1, 1, (8,), 8, 3, 1),
    (1, 1, (16,), 16, 3, 2),
    (1, 1, (24,), 8, 1, 2),
    (1, 9, (8, 8), 24, 3, 1),
    (7, 1, (40,), 40, 3, 1),
    (2, 2, (72,), 16, 3, 2),
    (5, 7, (16,), 40, 3, 2),
    (6, 5, (24, 16, 88), 32, 3, 2),
    (5, 6, (48, 16, 24), 32, 3, 1),
    (4, 3, (128,), 80, 1, 1),
    (3, 5, (128, 64, 24), 96, 3, 1),
    (3, 4, (256,), 256, 3, 1),
    (4, 4, (64,), 512, 1, 1),
]


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("height, width, sources, cout, k, stride", GRID)
def test_kernels_equal_the_loops_and_torch(height, width, sources, cout, k, stride, kernel):
    rng = np.random.default_rng(height * 100 + width)
    x, w = signs(rng, height, width, sum(sources)), signs(rng, cout, sum(sources), k, k)
    want = dot_reference(x, w, stride)
    assert (want == torch_dot(x, w, stride)).all()
    conv = PackedConv(B.pack_weights(w), stride, sources, kernel)
    maps = pack_sources(x, sources)
    got = conv.dot(maps)
    assert got.dtype == np.int16 and got.shape == (-(-height // stride), -(-width // stride), cout)
    assert (got == want).all()
    # A second, different image: the padded planes and the scratch are used again.
    assert (conv.dot([~m for m in maps]) == -want).all()


@pytest.mark.parametrize("kernel", KERNELS)
def test_many_strips_equal_torch(kernel, monkeypatch):
    """An image done in several strips of rows; a strip of one row; sizes that change from call to call."""
    rng = np.random.default_rng(3)
    w = signs(rng, 24, 40, 3, 3)
    conv = PackedConv(B.pack_weights(w), sources=(16, 24), kernel=kernel)
    for budget in (1, 5000, 1 << 18):
        monkeypatch.setattr("bivm_ref.packed.conv.BYTES_AT_ONCE", budget)
        for height, width in ((37, 29), (5, 61), (37, 29)):
            x = signs(rng, height, width, 40)
            assert (conv.dot(pack_sources(x, (16, 24))) == torch_dot(x, w, 1)).all()


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("sign_x", (-1, 1))
@pytest.mark.parametrize("sign_w", (-1, 1))
def test_extreme_sums_do_not_overflow(kernel, sign_x, sign_w):
    x, w = np.full((5, 4, 512), sign_x), np.full((8, 512, 3, 3), sign_w)
    got = PackedConv(B.pack_weights(w), kernel=kernel).dot(B.pack_signs(x))
    taps = np.outer([2, 3, 3, 3, 2], [2, 3, 3, 2])  # taps inside the image: 4 in a corner, 9 in the middle
    assert (got == (sign_x * sign_w * 512 * taps)[..., None]).all()


@pytest.mark.parametrize("kernel", KERNELS)
def test_sums_beyond_int16_are_int32(kernel):
    channels = 4096  # 9 * 4096 = 36864 > 32767
    conv = PackedConv(np.zeros((8, 3, 3, channels // 8), np.uint8), kernel=kernel)
    got = conv.dot(np.zeros((3, 3, channels // 8), np.uint8))
    assert got.dtype == np.int32 and got[1, 1].tolist() == [9 * channels] * 8


@pytest.mark.parametrize("kernel", KERNELS)
def test_zero_counts_as_plus_one(kernel):
    zeros = B.pack_signs(np.zeros((3, 3, 16), np.float32))
    assert (zeros == 255).all()
    conv = PackedConv(B.pack_weights(np.zeros((8, 16, 3, 3), np.float32)), kernel=kernel)
    assert conv.dot(zeros)[..., 0].tolist() == [[64, 96, 64], [96, 144, 96], [64, 96, 64]]
    assert (conv.dot(B.pack_signs(np.full((3, 3, 16), -0.0, np.float32))) == conv.dot(zeros)).all()


def test_result_belongs_to_the_caller():
    rng = np.random.default_rng(4)
    for k, kernel in ((k, kernel) for k in (1, 3) for kernel in KERNELS):
        conv = PackedConv(B.pack_weights(signs(rng, 16, 16, k, k)), kernel=kernel)
        x = B.pack_signs(signs(rng, 6, 6, 16))
        first = conv.dot(x)
        kept = first.copy()
        conv.dot(~x)
        assert (first == kept).all()


@pytest.mark.parametrize("kernel, channels, narrow", [
    ("table", 248, True), ("table", 256, False), ("table", 496, False), ("table", 504, False),
    ("table4", 248, True), ("table4", 256, False), ("table4", 512, False)])
def test_look_ups_that_fill_8_bits(kernel, channels, narrow):
    """Half of 8 signs is at most 4, and 31 * 4 = 124 fits int8; half of 4 signs at most 2, and 62 * 2 = 124."""
    for sign in (-1, 1):
        conv = PackedConv(B.pack_weights(np.full((16, channels, 1, 1), sign)), kernel=kernel)
        assert conv.kernel.dtype == (np.int8 if narrow else np.int16)
        assert (conv.dot(B.pack_signs(np.ones((1, 2, channels), np.int8))) == sign * channels).all()


def test_tables_take_the_bytes_that_they_say():
    bits = np.zeros((40, 3, 3, 4), np.uint8)
    assert Table.bytes_needed(bits) == 36 * 257 * 48 == PackedConv(bits, kernel="table").kernel.table.nbytes
    assert Table.bytes_needed(bits, 4) == 72 * 17 * 48 == PackedConv(bits, kernel="table4").kernel.table.nbytes


def test_planes_by_hand():
    """A map of 1 x 2 pixels and 16 channels: borders stand around the numbers, and stay when the map changes."""
    signs_ = SignMap.of(np.array([[[0xA5, 1], [0x0F, 2]]], np.uint8))
    border = [256] * 4
    assert signs_.index(0).tolist() == [*border, 256, 0xA5, 0x0F, 256, *border, 256, 256]
    assert signs_.index(0, 4, 4)[5:7].tolist() == [0xA, 0] and signs_.index(0, 4, 0)[4:8].tolist() == [16, 5, 15, 16]
    assert signs_.word(0, 2)[5:7].tolist() == [0x01A5, 0x020F] and signs_.word(0, 2).dtype == np.uint16
    assert np.flatnonzero(signs_.inside()).tolist() == [5, 6]
    signs_.bytes[0, 0, 0] = 7
    assert signs_.changed().index(0).tolist() == [*border, 256, 7, 0x0F, 256, *border, 256, 256]


# -- sparse ------------------------------------------------------------------------------------------------

SHAPES = {f"{percent} %": lambda rng, mask, n=percent: rng.permutation(mask.size)[:round(mask.size * n / 100)]
          for percent in (1, 10, 60)}
SHAPES |= {
    "runs": lambda rng, mask: np.flatnonzero(np.kron(rng.random((6, 5)) < 0.4, np.ones((4, 4)))[:23, :19]),
    "edges": lambda rng, mask: [0, 18, 19, 22 * 19, 22 * 19 + 18],
    "none": lambda rng, mask: [],
    "all": lambda rng, mask: slice(None),
}


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("k", (1, 3))
@pytest.mark.parametrize("shape", SHAPES)
def test_sparse_equals_dense_bit_for_bit(kernel, k, shape, monkeypatch):
    rng = np.random.default_rng(0)
    x, w = signs(rng, 23, 19, 40), signs(rng, 24, 40, k, k)
    conv, maps = PackedConv(B.pack_weights(w), 1, (16, 24), kernel), pack_sources(x, (16, 24))
    dense = conv.dot(maps)
    mask = np.zeros(dense.shape[:2], bool)
    mask.reshape(-1)[SHAPES[shape](rng, mask)] = True
    for budget in (1, 5000, 1 << 18):  # one row at a time, some, all
        monkeypatch.setattr("bivm_ref.packed.conv.BYTES_AT_ONCE", budget)
        got = conv.dot_at(maps, mask)
        assert got.dtype == dense.dtype and got.shape == (mask.sum(), 24)
        assert (got == dense[mask]).all()
    scattered = np.zeros(dense.shape, dense.dtype)
    scattered[mask] = got
    assert (scattered == masked_dot_reference(x, w, mask)).all()
    planes, active = conv.prepare([SignMap.of(m) for m in maps]), Positions(mask)
    assert (2 * conv.half_at_of_rows(planes, active, 0, 23).astype(int) == dense[mask]).all()


def test_positions_by_hand():
    """Row 0: a run of two; row 1: nothing; row 2: two positions with one between, whose reads join."""
    p = Positions(np.array([[0, 1, 1, 0], [0, 0, 0, 0], [1, 0, 1, 0]], bool))
    assert p.flat.tolist() == [1, 2, 8, 10] and p.corner.tolist() == [1, 2, 12, 14]  # rows of 4, and of 4 + 2
    assert p.rows.tolist() == [0, 0, 2, 2] and p.columns.tolist() == [1, 2, 0, 2]
    assert p.reads.tolist() == [1, 2, 3, 4, 12, 13, 14, 15, 16]
    assert p.reads[p.at].tolist() == p.corner.tolist()
    assert p.starts == [0, 2, 2, 4] and p.reads_from == [0, 4, 4, 9]
    assert len(p) == 4 and p.share == 4 / 12


def test_active_repeats_its_cells():
    active = Active(np.array([[True, False], [False, False]]))
    assert active.share == 0.25
    for scale in (8, 4, 2, 1):
        n = 16 // scale
        assert active.at(scale).flat.tolist() == [y * 2 * n + x for y in range(n) for x in range(n)]


# -- mistakes ----------------------------------------------------------------------------------------------

BITS = np.zeros((16, 3, 3, 2), np.uint8)
MAP = np.zeros((4, 4, 2), np.uint8)


@pytest.mark.parametrize("call, message", [
    (lambda: B.pack_signs(np.zeros((2, 2, 12), np.float32)), "multiple of 8"),
    (lambda: B.pack_signs(np.zeros((2, 2, 8))), "float64"),
    (lambda: B.pack_signs(np.zeros((2, 2, 8), np.float32), np.zeros(16, np.float32)), "theta"),
    (lambda: B.pack_signs(np.zeros((2, 2, 8), np.float32), out=np.zeros((2, 2, 8), np.uint8)), "out is"),
    (lambda: B.unpack_signs(np.zeros((2, 2, 1), np.int8)), "int8"),
    (lambda: B.pack_weights(np.zeros((8, 12, 3, 3))), "multiple of 8"),
    (lambda: B.pack_weights(np.zeros((8, 8, 3, 1))), "weights are"),
    (lambda: B.unpack_weights(np.zeros((8, 3, 1), np.uint8)), "weight bits"),
    (lambda: B.popcount(np.zeros(3)), "unsigned"),
    (lambda: PackedConv(BITS.astype(np.int8)), "bits are"),
    (lambda: PackedConv(BITS[0]), "bits are"),
    (lambda: PackedConv(BITS[:12]), "multiple of 8"),
    (lambda: PackedConv(np.zeros((8, 2, 2, 1), np.uint8)), "k is 1 or 3"),
    (lambda: PackedConv(BITS, stride=3), "stride"),
    (lambda: PackedConv(BITS, sources=(8, 16)), "sources"),
    (lambda: PackedConv(BITS, sources=(12, 4)), "sources"),
    (lambda: PackedConv(BITS, kernel="fast", name="neck"), "convolution neck: kernel"),
    (lambda: PackedConv(BITS).dot(np.zeros((4, 4, 2), np.float32)), "packed map"),
    (lambda: PackedConv(BITS).dot(np.zeros((4, 4, 3), np.uint8)), "16 channels"),
    (lambda: PackedConv(BITS).dot(np.zeros((4, 2), np.uint8)), "packed map"),
    (lambda: PackedConv(BITS).dot(np.zeros((0, 4, 2), np.uint8)), "at least 1 x 1"),
    (lambda: PackedConv(BITS, sources=(8, 8)).dot(MAP), "2 maps expected"),
    (lambda: PackedConv(BITS, sources=(8, 8)).dot([MAP[..., :1], MAP[:, :3, :1]]),
     "one size"),
    (lambda: Positions(np.zeros((3, 3))), "mask is"),
    (lambda: PackedConv(BITS).dot_at(MAP, np.ones((4, 3), bool)), "map's size"),
    (lambda: PackedConv(BITS).dot_at(MAP, np.ones((4, 4))), "mask is"),
    (lambda: PackedConv(BITS, stride=2).dot_at(MAP, np.ones((4, 4), bool)), "stride 1"),
])
def test_corrupt_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
