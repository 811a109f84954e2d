"""Data sets in the field's layouts: their contents pixel for pixel, order and determinism, every kind of bad input.

The folders are written by the test itself, so the truth is known; compositing is checked by integer arithmetic."""

from collections import Counter

import numpy as np
import pytest
import torch
from folder_tools import (
    clips,
    damage_pixels,
    picture,
    save,
    write_background_clips,
    write_backgrounds,
    write_image_mattes,
    write_video_mattes,
)
from PIL import Image
from torch.utils.data import DataLoader

from bivm_ref.clips import ClipMix
from bivm_ref.errors import UserError
from bivm_ref.learn.augment import Augment
from bivm_ref.learn.datasets import MixedClips, Phase
from bivm_ref.learn.folders import (
    background_clips,
    background_images,
    decode,
    image_mattes,
    sound_size,
    video_mattes,
)
from bivm_ref.learn.footage import FolderClips, batch_size


@pytest.fixture
def sets(tmp_path):
    return (video_mattes(write_video_mattes(tmp_path / "vm")), background_images(write_backgrounds(tmp_path / "bg")))


def over(foreground, alpha, background):
    """The compositing equation in integers; x / 255 is never half-way between two whole numbers."""
    a = alpha.astype(int)[..., None]
    return (2 * (a * foreground + (255 - a) * background) + 255) // 510


# ---------------------------------------------------------------- contents


def test_video_mattes_pixel_for_pixel(tmp_path, sets):
    data = clips(*sets, Augment.off())
    seen = Counter()
    for i in range(4):  # two stretches of 5 frames by threes, two of 4
        frames, alpha, foreground = data[i]
        assert frames.dtype == alpha.dtype == foreground.dtype == torch.uint8
        assert (frames.shape, alpha.shape, foreground.shape) == ((3, 3, 64, 64), (3, 1, 64, 64), (3, 3, 64, 64))
        clip = data.clip(i)
        name, _, start = clip.name.partition("@")
        c, start, length = int(name) - 1, int(start), {"0001": 5, "0002": 4}[name]
        seen[c, start] += 1
        back_and_forth = [*range(length), *range(length - 2, 0, -1)] * 2
        for t in range(3):
            number = 100 * c + back_and_forth[start + t]
            true_foreground, true_alpha = picture(number), picture(number + 50, channels=1)
            assert np.array_equal(foreground[t].permute(1, 2, 0), true_foreground)
            assert np.array_equal(alpha[t, 0], true_alpha)
            behind = [b for b in (2000, 2001) if np.array_equal(clip.background[t], picture(b))]
            assert behind and np.array_equal(frames[t].permute(1, 2, 0),
                                             over(true_foreground, true_alpha, picture(behind[0])))
    assert seen == {(0, 0): 1, (0, 3): 1, (1, 0): 1, (1, 3): 1}  # an epoch shows every stretch once


def test_image_mattes_and_background_clips(tmp_path):
    mattes = image_mattes(write_image_mattes(tmp_path / "im"))
    assert [clip.name for clip in mattes.clips] == ["a", "b", "c"] and set(map(len, mattes.clips)) == {1}
    behind = background_clips(write_background_clips(tmp_path / "bv"))
    assert [(clip.name, len(clip)) for clip in behind.clips] == [("0000", 4), ("0001", 6)]
    data = clips(mattes, behind, Augment.off(), frames=2)
    clip = data.clip(0)
    i = "abc".index(clip.name[0])
    assert np.array_equal(clip.foreground, np.stack([picture(1000 + i)] * 2))  # a still stands still
    number = [3000 + 100 * c + t for c, length in ((0, 4), (1, 6)) for t in range(length)
              if np.array_equal(clip.background[0], picture(3000 + 100 * c + t))]
    step = 1 if number[0] not in (3003, 3105) else -1  # the last frame of a clip runs back
    assert len(number) == 1 and np.array_equal(clip.background[1], picture(number[0] + step))


def test_files_belong_together_by_name_whatever_their_suffix(tmp_path):
    for t in range(3):
        save(tmp_path / f"train/fgr/7/{t}.jpg", picture(t))
        save(tmp_path / f"train/pha/7/{t}.png", picture(t, channels=1))
    (tmp_path / "train/fgr/7/Thumbs.db").write_bytes(b"no image")
    (clip,) = video_mattes(tmp_path).clips
    assert clip.files == (("0.jpg", "0.png"), ("1.jpg", "1.png"), ("2.jpg", "2.png")) and clip.size == (64, 64)


def test_only_train_is_trained_on(tmp_path):
    write_backgrounds(tmp_path / "train", 2)
    write_backgrounds(tmp_path / "test", 3)
    assert len(background_images(tmp_path).clips) == 2


def test_decode_scales_sixteen_bits_and_turns_photographs(tmp_path):
    Image.fromarray(np.array([[0, 257 * 7, 65535]], np.uint16)).save(tmp_path / "deep.png")
    assert np.asarray(decode(tmp_path / "deep.png", "L")).tolist() == [[0, 7, 255]]
    sideways, exif = Image.new("RGB", (40, 20), (200, 0, 0)), Image.Exif()
    exif[0x0112] = 6
    sideways.save(tmp_path / "phone.jpg", exif=exif)
    assert decode(tmp_path / "phone.jpg", "RGB").size == (20, 40) == sound_size(tmp_path / "phone.jpg")
    assert decode(tmp_path / "phone.jpg", "RGB", (10, 20)).size == (10, 20)


# ---------------------------------------------------------------- determinism


def equal(a, b):
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_a_sample_is_a_function_of_seed_and_index(sets):
    first, again = clips(*sets, Augment()), clips(*sets, Augment())
    assert equal(first[3], again[3]) and equal(first[3], first[3])
    assert not equal(first[3], first[7])  # the same stretch in another epoch is augmented otherwise
    assert not equal(first[3], clips(*sets, Augment(), seed=1)[3])
    assert equal(first[3], clips(*sets, Augment(), first=3)[0])  # a run that goes on


def test_workers_make_the_same_clips(sets):
    data = clips(*sets, Augment(), batch=2)
    plain = [data[i] for i in range(4)]
    for (a, b), batch in zip((plain[:2], plain[2:]), DataLoader(data, 2, num_workers=2), strict=False):
        assert equal(batch, [torch.stack(pair) for pair in zip(a, b, strict=True)])


def test_items_are_as_mixed_clips_has_them(sets):
    mine = clips(*sets, Augment())
    theirs = MixedClips(Phase(10, 64, 64, 1, 3), 0, 0, ClipMix())
    assert [(x.shape, x.dtype) for x in mine[0]] == [(x.shape, x.dtype) for x in theirs[0]]
    assert len(mine) == len(theirs)


def test_refiner_clips_are_twice_the_phase_and_sizes_vary_by_batch(sets):
    phase = Phase(8, 64, 32, 2, 1, refine=True)
    assert FolderClips(phase, 0, 0, sets[0], [sets[1]])[0][0].shape == (1, 3, 128, 64)
    phase = Phase(40, 160, 128, 2, 1)
    sizes = [batch_size(phase, 5, 0, i, 64) for i in range(80)]
    assert sizes[::2] == sizes[1::2]  # both clips of a batch
    assert {h for h, _ in sizes} == {64, 96, 128, 160} and {w for _, w in sizes} == {64, 96, 128}
    assert [batch_size(phase, 5, 10, i, 64) for i in range(70)] == sizes[10:]  # a run that goes on
    assert clips(*sets, Augment(), smallest=32, side=64)[0][0].shape[2] in (32, 64)


def test_frames_obey_the_compositing_equation_after_all_augmentations(sets):
    data = clips(*sets, Augment(noise=0))
    for i in range(6):
        clip = data.clip(i)
        alpha = np.rint(255 * clip.alpha).astype(int)
        assert np.array_equal(clip.frames, over(clip.foreground, alpha, clip.background.astype(int)))
    noisy, shot = clips(*sets, Augment(noise=1)).clip(0), data.clip(0)
    assert np.array_equal(noisy.alpha, shot.alpha) and np.array_equal(noisy.foreground, shot.foreground)
    assert not np.array_equal(noisy.frames, shot.frames)


# ---------------------------------------------------------------- bad input


def long_clip(root, length=210, size=(8, 8)):
    write_video_mattes(root, (length,), size)
    return root / "fgr/0001", root / "pha/0001"


FAULTS = {
    "without alpha": lambda fgr, pha, t: (pha / f"{t:05d}.png").unlink(),
    "without foreground": lambda fgr, pha, t: (fgr / f"{t:05d}.png").unlink(),
    "of another size": lambda fgr, pha, t: save(pha / f"{t:05d}.png", picture(0, (8, 10), 1)),
    "unreadable": lambda fgr, pha, t: (fgr / f"{t:05d}.png").write_bytes(b"\x89PNG but not really"),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_few_faults_are_left_out_counted_and_named(tmp_path, kind):
    folders = long_clip(tmp_path)
    for t in (17, 123):
        FAULTS[kind](*folders, t)
    images = video_mattes(tmp_path)
    (clip,) = images.clips
    assert len(clip) == 208 and not {"00017.png", "00123.png"} & {fgr for fgr, _ in clip.files}
    assert all(fgr == pha for fgr, pha in clip.files)
    line = images.summary()
    assert "1 clips, 208 frames; left out 2: " in line and f"2 {kind}" in line
    assert "0001/00017.png" in line and "0001/00123.png" in line and "\n" not in line


@pytest.mark.parametrize("kind", FAULTS)
def test_over_one_percent_stops_in_one_line(tmp_path, kind):
    folders = long_clip(tmp_path, 100)
    FAULTS[kind](*folders, 17)
    assert len(video_mattes(tmp_path).clips[0]) == 99  # one of a hundred is not over 1 %
    FAULTS[kind](*folders, 18)
    with pytest.raises(UserError) as refusal:
        video_mattes(tmp_path)
    message = str(refusal.value)
    assert "00017.png" in message and kind in message and "2 of 100" in message and "\n" not in message


def test_clips_of_unequal_length_and_without_alphas(tmp_path):
    fgr, pha = long_clip(tmp_path)
    (pha / "00209.png").unlink()  # one alpha fewer than frames
    save(tmp_path / "fgr/0002/00000.png", picture(0, (8, 8)))  # a clip without any
    images = video_mattes(tmp_path)
    assert [len(clip) for clip in images.clips] == [209]
    assert "2 without alpha (0001/00209.png, 0002/00000.png)" in images.summary().replace("fgr/", "")
    images = image_mattes(write_image_mattes(tmp_path / "im"))
    (tmp_path / "im/pha/b.png").unlink()
    with pytest.raises(UserError, match="fgr/b.png: without alpha; with it 1 of 3 frames"):
        image_mattes(tmp_path / "im")


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_a_file_that_was_cut_off_is_found_without_decoding(tmp_path, suffix):
    path = save(tmp_path / f"a.{suffix}", picture(0))
    assert sound_size(path) == (64, 64)
    whole = path.read_bytes()
    path.write_bytes(whole + b"\0" * 100)  # some cameras pad
    assert sound_size(path) == (64, 64)
    for share in (0.0, 0.1, 0.9):
        path.write_bytes(whole[: int(share * len(whole))])
        assert sound_size(path) is None
    assert sound_size(tmp_path / "nowhere.png") is None


def test_damage_within_is_met_while_training_marked_and_drawn_again(tmp_path):
    """Header and end are sound, so only decoding finds it: the sample is another stretch, the same in every run."""
    long_clip(tmp_path / "vm", 120)
    mattes = video_mattes(tmp_path / "vm")
    behind = background_images(write_backgrounds(tmp_path / "bg", 1, (8, 8)))
    order = [clips(mattes, behind, Augment.off(), 1, side=8).clip(i).name for i in range(120)]
    assert sorted(order) == sorted(f"0001@{t}" for t in range(120))
    damage_pixels(tmp_path / "vm/pha/0001/00040.png")
    mattes = video_mattes(tmp_path / "vm")
    assert "left out" not in mattes.summary()
    data, i = clips(mattes, behind, Augment.off(), 1, side=8), order.index("0001@40")
    assert data.clip(i).name != "0001@40" and data.clip(i).name == data.clip(i).name
    assert [data.clip(k).name for k in (0, 1, 2)] == order[:3]  # the others are what they were
    assert "119 frames; left out 1: 1 unreadable (pha/0001/00040.png)" in mattes.summary()
    damage_pixels(tmp_path / "vm/fgr/0001/00041.png")
    with pytest.raises(UserError, match=r"2 of 120 frames .*1\.7 %"):
        data.clip(order.index("0001@41"))


def test_what_a_worker_meets_the_main_process_knows(tmp_path):
    long_clip(tmp_path / "vm", 120)
    damage_pixels(tmp_path / "vm/pha/0001/00040.png")
    mattes = video_mattes(tmp_path / "vm")
    behind = background_images(write_backgrounds(tmp_path / "bg", 1, (8, 8)))
    data = FolderClips(Phase(30, 8, 8, 4, 1), 0, 0, mattes, [behind], Augment.off())
    assert sum(len(batch[0]) for batch in DataLoader(data, 4, num_workers=2)) == 120
    assert "1 unreadable (pha/0001/00040.png)" in mattes.summary()


def test_a_damaged_background_is_the_background_sets_fault(tmp_path, sets):
    behind = background_images(write_backgrounds(tmp_path / "many", 200, (8, 8)))
    damage_pixels(tmp_path / "many/7.png")
    data = clips(sets[0], behind, Augment.off(), 1, side=8)
    for i in range(2000):  # one background in 200 is the damaged one
        data.clip(i)
        if "left out" in behind.summary():
            break
    assert "199 frames; left out 1: 1 unreadable (7.png)" in behind.summary() and "left out" not in sets[0].summary()


def test_folders_that_are_no_data_sets(tmp_path):
    (tmp_path / "hollow/fgr").mkdir(parents=True)
    for opener, folder, words in (
        (video_mattes, "nowhere", "holds no fgr"), (video_mattes, "hollow", "no image"),
        (image_mattes, "hollow", "no image"), (background_images, "nowhere", "no such folder"),
        (background_clips, "hollow", "no image"),
    ):  # fmt: skip
        with pytest.raises(UserError, match=words) as refusal:
            opener(tmp_path / folder)
        assert folder in str(refusal.value)
    mattes = video_mattes(write_video_mattes(tmp_path / "vm"))
    with pytest.raises(UserError, match="backgrounds"):
        FolderClips(Phase(1, 64, 64, 1, 1), 0, 0, mattes, [])


def test_names_alone_can_be_trusted(tmp_path):
    """check=False opens nothing, so damage is met while training instead; sizes are then looked up."""
    fgr, _ = long_clip(tmp_path, 120)
    (fgr / "00003.png").write_bytes(b"")
    mattes = video_mattes(tmp_path, check=False)
    assert len(mattes.clips[0]) == 120 and mattes.clips[0].size is None
    behind = background_images(write_backgrounds(tmp_path / "bg", 1, (8, 8)), check=False)
    data = clips(mattes, behind, Augment.off(), 1, side=8)
    assert len({data.clip(i).name for i in range(120)}) == 119
    assert "1 unreadable (fgr/0001/00003.png)" in mattes.summary()
