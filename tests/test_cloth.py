"""Cloth: a head is never touched, alpha never shrinks, the light stays, and what hangs behind people is only behind.

Oracles: stills painted here, whose head, collar and colours are known, and properties that hold for every seed.
"""

import numpy as np
import pytest
from PIL import Image

from bivm_ref import cloth
from bivm_ref.staging import head_of

SEEDS = range(12)
PHOTO = np.random.default_rng(0).integers(0, 256, (60, 80, 3)).astype(np.uint8)


def bust(size=160):
    """(still, head): a disc 48 high on shoulders that the lower edge cuts; skin above row 78, a blue shirt below."""
    y, x = np.mgrid[0:size, 0:size].astype(float)
    head = np.hypot(x - size / 2, y - 44) - 24
    body = np.maximum(np.abs(x - size / 2) - 40, 78 - y)
    neck = np.maximum(np.abs(x - size / 2) - 10, np.abs(y - 70) - 16)
    still = np.zeros((size, size, 4), np.uint8)
    still[..., 3] = np.clip(0.5 - np.minimum(np.minimum(head, body), neck) / 3, 0, 1) * 255
    still[..., :3] = np.where((y < 80)[..., None], (200, 140, 110), (40, 60, 200))
    return still, (20.0, 48.0, size / 2)


def tight(monkeypatch):
    monkeypatch.setattr(cloth, "LOOSE", 0.0)
    monkeypatch.setattr(cloth, "BARE", 0.0)


@pytest.mark.parametrize("photo", [None, PHOTO], ids=["no photograph", "photograph"])
def test_cloth_is_a_picture_in_range_and_follows_from_the_seed(photo):
    for seed in SEEDS:
        one, same = (cloth.cloth(np.random.default_rng(seed), 40, 64, photo) for _ in range(2))
        assert one.shape == (40, 64, 3) and one.dtype == np.float32
        assert 0 <= one.min() and one.max() <= 1
        np.testing.assert_array_equal(one, same)
        assert one.std() > 0  # creases at least


def test_printed_cloth_shows_the_photograph(monkeypatch):
    """A photograph, half black and half green, on cloth that is always printed: never anything but dark and green."""
    monkeypatch.setattr(cloth, "PLAIN", 0.0)
    monkeypatch.setattr(cloth, "PRINTED", 0.0)
    monkeypatch.setattr(cloth, "colour", lambda rng: np.array([0, 0.9, 0], np.float32))
    photo = np.zeros((40, 80, 3), np.uint8)
    photo[:, 40:, 1] = 200
    sheets = [cloth.cloth(np.random.default_rng(seed), 40, 80, photo) for seed in SEEDS]
    badges = [np.abs(sheet[..., [0, 2]]).max() for sheet in sheets]
    assert max(badges) == 0 and max(sheet[..., 1].max() for sheet in sheets) > 0.5
    assert any((sheet[..., 1] < 0.01).any() and (sheet[..., 1] > 0.3).any() for sheet in sheets)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_head_stays_and_alpha_only_grows_below_it(seed):
    still, head = bust()
    before = still.copy()
    new = cloth.dressed(still, np.random.default_rng(seed), head, PHOTO)
    assert new.shape == still.shape and new.dtype == np.uint8
    np.testing.assert_array_equal(still, before)
    above = slice(0, int(head[0] + 0.95 * head[1]))
    np.testing.assert_array_equal(new[above], still[above])
    assert (new[..., 3] >= still[..., 3]).all()
    assert (np.abs(new[120:, 60:100, :3].astype(int) - still[120:, 60:100, :3]) > 8).any()


def test_tight_clothes_leave_alpha_as_it_was_and_loose_ones_are_wider(monkeypatch):
    still, head = bust()
    wider = []
    for seed in SEEDS:
        monkeypatch.setattr(cloth, "LOOSE", 0.0)
        np.testing.assert_array_equal(cloth.dressed(still, np.random.default_rng(seed), head)[..., 3], still[..., 3])
        monkeypatch.setattr(cloth, "LOOSE", 1.0)
        wider.append((cloth.dressed(still, np.random.default_rng(seed), head)[140, :, 3] > 127).sum())
    assert min(wider) >= 80 and max(wider) > 84  # the bust is 80 wide there


def test_what_is_wider_than_the_body_is_cloth_not_what_lay_under_alpha_0(monkeypatch):
    """The still's colour beside the body is bright green, where alpha is 0: none of it may be seen."""
    monkeypatch.setattr(cloth, "LOOSE", 1.0)
    monkeypatch.setattr(cloth, "BARE", 0.0)
    monkeypatch.setattr(cloth, "cloth", lambda rng, h, w, photo: np.full((h, w, 3), 0.5, np.float32))
    still, head = bust()
    still[still[..., 3] == 0, :3] = 0, 255, 0
    grown = 0
    for seed in SEEDS:
        new = cloth.dressed(still, np.random.default_rng(seed), head)
        beside = (still[..., 3] == 0) & (new[..., 3] > 0)
        grown += beside.sum()
        assert (np.ptp(new[beside][:, :3].astype(int), axis=-1) <= 1).all()  # grey, as the cloth is
    assert grown > 0


def test_the_light_on_the_old_clothes_stays_on_the_new(monkeypatch):
    """The shirt's left half lies in shade, at half of the right one's brightness."""
    tight(monkeypatch)
    monkeypatch.setattr(cloth, "cloth", lambda rng, h, w, photo: np.full((h, w, 3), 0.5, np.float32))
    still, head = bust()
    still[80:, :80, :3] //= 2
    new = cloth.dressed(still, np.random.default_rng(1), head)
    left, right = new[130:150, 50:65, :3].mean(), new[130:150, 95:110, :3].mean()
    assert left / right == pytest.approx(0.5, abs=0.1)


def test_bare_skin_stays_bare(monkeypatch):
    """The lower half of the shirt is bare skin, of the face's colour in half of its light; the shirt goes, it stays."""
    monkeypatch.setattr(cloth, "LOOSE", 0.0)
    monkeypatch.setattr(cloth, "BARE", 1.0)
    still, head = bust()
    still[130:, :, :3] = 100, 70, 55
    new = cloth.dressed(still, np.random.default_rng(2), head)
    assert np.abs(new[135:, 60:100, :3].astype(int) - still[135:, 60:100, :3]).max() <= 2
    assert np.abs(new[100:125, 60:100, :3].astype(int) - still[100:125, 60:100, :3]).mean() > 8


def test_a_still_with_nobody_and_one_without_a_face_are_dressed_without_complaint():
    nobody = np.zeros((40, 40, 4), np.uint8)
    assert (cloth.dressed(nobody, np.random.default_rng(0), head_of(nobody[..., 3]))[..., 3] == 0).all()
    still, head = bust()
    still[:76, :, 3] = 0  # the head cut off
    assert cloth.dressed(still, np.random.default_rng(0), head).shape == still.shape


def test_cloth_hangs_in_a_new_picture_and_leaves_some_of_the_old():
    image = Image.new("RGB", (128, 72), (1, 2, 3))
    shares = []
    for seed in range(30):
        new = cloth.hung(np.random.default_rng(seed), image, PHOTO)
        assert new.size == image.size and new.mode == "RGB"
        shares.append((np.abs(np.asarray(new).astype(int) - (1, 2, 3)).max(-1) > 6).mean())
    assert np.asarray(image).max() == 3  # the picture that was given is as it was
    assert sum(share > 0.02 for share in shares) > 24 and np.median(shares) < 0.9


@pytest.mark.parametrize("seed", range(8))
def test_folds_move_and_shade_a_sheet_and_add_no_colour(seed):
    """Every pixel of a draped sheet of two dyes is one of them times a grey factor; the factor varies across folds."""
    rng = np.random.default_rng(seed)
    sheet = np.zeros((60, 90, 3), np.float32)
    sheet[:] = (0.8, 0.4, 0.2)
    sheet[::7] = (0.1, 0.5, 0.7)
    shown = cloth.draped(rng, sheet)
    assert shown.shape == sheet.shape and shown.min() >= 0 and shown.max() <= 1
    light = np.stack([(shown / dye).mean(-1) for dye in np.array([(0.8, 0.4, 0.2), (0.1, 0.5, 0.7)])])
    off = np.stack([np.abs(shown / dye - factor[..., None]).max(-1)
                    for dye, factor in zip(np.array([(0.8, 0.4, 0.2), (0.1, 0.5, 0.7)]), light)])
    unclipped = shown.max(-1) < 0.999
    assert (off.min(0)[unclipped] < 1e-4).all()
    grey = np.take_along_axis(light, off.argmin(0)[None], 0)[0]
    assert np.ptp(grey, axis=1).max() > 0.1 and grey.max() <= 1.1501
    assert np.array_equal(shown, cloth.draped(np.random.default_rng(seed), sheet))


def test_a_fold_shows_the_cloth_at_its_phase_less_the_slack(monkeypatch):
    """Without lean, sag and unevenness: column x shows the cloth at x - a*sin(2 pi f x), computed here anew."""
    class Set:
        """A generator whose draws are given."""

        def __init__(self, *draws):
            self.draws = list(draws)

        def uniform(self, *_):
            return self.draws.pop(0)

        def random(self):
            return 0.0

        def normal(self, *_):
            return 0.0

    folds, depth, part = 3.0, 0.5, 1.0
    rng = Set(folds, depth, 0.6, 0.0, 0.0, 0.0, part, 0.0, 0.0)
    ramp = np.broadcast_to(np.linspace(0, 0.8, 200, dtype=np.float32)[None, :, None], (4, 200, 3))
    shown = cloth.draped(rng, np.ascontiguousarray(ramp))
    x = np.linspace(0, 1, 200)
    phase = 2 * np.pi * folds * x
    at = np.clip(x - part * depth / (2 * np.pi * folds) * np.sin(phase), 0, 1) * 199
    expected = 0.8 * np.floor(at) / 199 * (1 - 0.6 * (0.5 - 0.5 * np.cos(phase))) * 1.15
    assert np.abs(shown[0, :, 0] - np.clip(expected, 0, 1)).max() < 0.8 / 199 * 1.15 + 1e-3  # a column beside, at most


def test_flags_have_several_dyes_and_follow_from_the_seed():
    counts = []
    for seed in range(30):
        picture = cloth.flag(np.random.default_rng(seed), 48, 80)
        assert picture.shape == (48, 80, 3) and 0 <= picture.min() and picture.max() <= 1
        assert np.array_equal(picture, cloth.flag(np.random.default_rng(seed), 48, 80))
        counts.append(len(np.unique(picture.reshape(-1, 3), axis=0)))
    assert min(counts) >= 2 and max(counts) == 4


def test_without_folds_what_hangs_is_as_it_was(monkeypatch):
    """The odds of folds draw from a stream of their own."""
    empty = Image.new("RGB", (96, 54), (10, 20, 30))
    flat = [np.asarray(cloth.hung(np.random.default_rng(seed), empty)) for seed in range(6)]
    monkeypatch.setattr(cloth, "draped", lambda rng, sheet: sheet)
    monkeypatch.setattr(cloth, "flag", lambda rng, high, wide: np.full((high, wide, 3), 1, np.float32))
    gathered = [np.asarray(cloth.hung(np.random.default_rng(seed), empty, gathered=1.0)) for seed in range(6)]
    for one, other in zip(flat, gathered):
        bare, also = ((picture == (10, 20, 30)).all(-1) for picture in (one, other))
        assert np.mean(bare != also) < 0.01  # the same pieces hang in the same places; a soft edge may round away
