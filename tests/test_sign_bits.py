"""What the engine's signs tell of alpha: classes as torch has them, bits as the network reads them, exact tables."""

import numpy as np
import pytest

from bivm_ref import sign_bits
from bivm_ref.clips import procedural_clip
from bivm_ref.information import corrected_information, mutual_information, partners
from bivm_ref.packed import PackedBiVM, weights


@pytest.fixture(scope="module")
def clips():
    return [procedural_clip(10_005_000 + k, 1, 64, 96) for k in range(12)]


@pytest.fixture(scope="module")
def signs(clips):
    return sign_bits.read_signs(PackedBiVM.load(), clips)


def test_classes_by_hand():
    alpha = np.array([[0.0, 0.01, 1.0, 1.0], [0.02, 0.0, 1.0, 0.93], [0.5, 0.5, 0.0, 0.0], [0.5, 0.5, 0.0, 0.1]])
    # cells of 2x2, means .0075, .9825, .5, .025
    assert sign_bits.cell_classes(alpha, 2, 2).tolist() == [[0, 2], [1, 1]]
    with pytest.raises(ValueError, match="3 x 2 cells do not divide a frame of 4 x 4 pixels"):
        sign_bits.cell_classes(alpha, 3, 2)


@pytest.mark.parametrize("cells", [(4, 6), (8, 12), (32, 48), (64, 96)])
def test_classes_are_those_of_training(cells):
    torch = pytest.importorskip("torch")
    from bivm_ref.learn.mimic import alpha_class, cell_alpha

    alpha = procedural_clip(10_005_001, 1, 64, 96).alpha[0]
    theirs = alpha_class(cell_alpha(torch.from_numpy(alpha)[None, None], *cells))[0, 0].numpy()
    np.testing.assert_array_equal(sign_bits.cell_classes(alpha, *cells), theirs)


def test_every_stage_has_its_cells_and_channels(signs):
    arch = PackedBiVM.load().arch
    expected = {"f1": (32, 48), "f2": (16, 24), "f3": (8, 12), "f4": (4, 6)}
    assert list(signs) == list(expected)
    for stage, s in signs.items():
        assert s.shape == expected[stage]
        assert s.classes.shape == (12, s.shape[0] * s.shape[1]) and s.bits.shape[:2] == s.classes.shape
        assert s.bits.shape[2] == 8 * s.packed.shape[2]
    assert signs["f1"].bits.shape[2] == next(conv.cout for conv in arch.convs() if conv.name == "encoder.f1")


def test_bits_are_what_torch_reads(clips, signs):
    """The same weights as a torch network: the sign that reads each stage first gives the same bits."""
    torch = pytest.importorskip("torch")
    from bivm_ref.learn.features import as_batch
    from bivm_ref.learn.unpack import unpack
    from bivm_ref.net.capture import Capture, reader

    arch, tensors, _ = weights.load(weights.default_weights())
    model = unpack(arch, tensors)
    with torch.no_grad(), Capture(model, sign_bits.STAGES) as maps:
        model(as_batch(clips[3])[0])
    for stage, s in signs.items():
        read = reader(model, stage)(maps[stage])[0].detach()  # (C, h, w) of -1 and +1
        np.testing.assert_array_equal(s.bits[3], read.flatten(1).T.numpy() > 0)


def test_each_clip_begins_without_memory(clips, signs):
    """Read alone, a clip has the bits it has among others."""
    alone = sign_bits.read_signs(PackedBiVM.load(), clips[5:6], ["f4", "f1"])
    assert list(alone) == ["f4", "f1"]
    for stage in alone:
        np.testing.assert_array_equal(alone[stage].packed[0], signs[stage].packed[5])


def test_an_unknown_stage_is_refused(clips):
    with pytest.raises(ValueError, match="unknown stage 'f5': choose among f1, f2, f3, f4"):
        sign_bits.read_signs(PackedBiVM.load(), clips, ["f5"])


def test_frames_that_the_cells_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="4 x 5 cells do not divide a frame of 50 x 70 pixels"):
        sign_bits.read_signs(PackedBiVM.load(), [procedural_clip(10_005_000, 1, 50, 70)], ["f4"])


# ── information of made-up signs ─────────────────────────────────────────────────────────────

def made(bits, classes, shape=(5, 8)):
    return sign_bits.Signs(np.packbits(bits, axis=-1), classes, shape)


@pytest.fixture(scope="module")
def known():
    """40 cells of 100 clips, classes equally frequent. Channel 0 says "foreground", channel 1 its opposite, the others
    are coins; channel 2 fires where channel 3 does not."""
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 3, (100, 40))
    bits = rng.integers(0, 2, (100, 40, 8))
    bits[..., 0], bits[..., 1] = classes == 2, classes != 2
    bits[..., 2] = 1 - bits[..., 3]
    return made(bits, classes), bits


def test_channels_by_closed_form(known):
    """A bit that says "class 2 or not" of three equal classes tells h2(1/3) = 0.918 bits; a coin tells none."""
    told = sign_bits.channel_information(known[0])
    assert told.shape == (8,)
    assert told[0] == told[1] == pytest.approx(0.9183, abs=0.01)
    assert np.abs(told[2:]).max() < 0.003


def test_the_tables_are_counted_one_by_one(known):
    signs, bits = known
    for c in (0, 3):
        table = [[np.sum((bits[..., c] == b) & (signs.classes == y)) for y in range(3)] for b in range(2)]
        assert sign_bits.channel_information(signs)[c] == pytest.approx(corrected_information(table))


def test_the_null_holds_what_is_common_to_all_clips():
    """A bit that says which half of the frame a cell is in, and classes that follow the half in every clip: exchanging
    clips takes nothing away. A bit that follows its own clip's classes keeps nothing."""
    rng = np.random.default_rng(1)
    half = np.arange(40) < 20
    classes = np.where(half, 0, rng.integers(0, 3, (100, 40)))
    bits = np.zeros((100, 40, 8), np.int64)
    bits[..., 0] = half
    right = rng.integers(0, 3, (100, 40))  # nothing to do with the place
    told = sign_bits.channel_information(made(bits, classes))
    null = sign_bits.channel_null(made(bits, classes), repeats=5)
    assert null.shape == (5, 8) and np.allclose(null[:, 0], told[0]) and told[0] > 0.4
    bits[..., 0] = right == 2
    assert sign_bits.channel_information(made(bits, right))[0] > 0.9
    assert np.abs(sign_bits.channel_null(made(bits, right), repeats=5)[:, 0]).max() < 0.005


def test_no_clip_meets_itself():
    rng = np.random.default_rng(0)
    for clips in (2, 10, 11):
        for _ in range(20):
            order = partners(rng, clips)
            assert sorted(order) == list(range(clips)) and (order != np.arange(clips)).all()


def test_a_byte_is_the_code_of_its_8_channels(known):
    signs, bits = known
    tables = sign_bits.byte_tables(signs)
    assert tables.shape == (1, 256, 3) and tables.sum() == 4000
    code = bits[7, 11] @ (2 ** np.arange(7, -1, -1))
    here = np.all(bits == bits[7, 11], axis=-1)
    assert tables[0, code, 2] == (signs.classes[here] == 2).sum()
    assert mutual_information(tables)[0] == pytest.approx(0.9183, abs=0.05)  # the coins add their bias


def test_what_cannot_be_measured_is_refused(known):
    signs, bits = known
    with pytest.raises(ValueError, match="constant"):
        sign_bits.channel_information(made(bits, np.zeros((100, 40), int)))
    with pytest.raises(ValueError, match="9 clips are too few"):
        sign_bits.channel_null(made(bits[:9], signs.classes[:9]))
    with pytest.raises(ValueError, match="do not support 256 codes"):
        sign_bits.byte_tables(made(bits[:20], signs.classes[:20]))
