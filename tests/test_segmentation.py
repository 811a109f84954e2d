"""Segmentation sets: COCO's two ways to write a mask, the two layouts, what is wrong with them, and the loss.

pycocotools 2.0.11 encoded the compressed run lengths below; it is the oracle here and no dependency."""

import json
import math

import numpy as np
import pytest
import torch
from folder_tools import damage_pixels, picture, rectangle, rle, save, write_coco, write_json, write_youtube
from torch.utils.data import DataLoader

from bivm_ref.errors import UserError
from bivm_ref.learn.augment import Augment
from bivm_ref.learn.datasets import Phase
from bivm_ref.learn.segmentation import (
    SegmentationClips,
    coco_people,
    mask_of,
    run_lengths,
    segmentation_loss,
    youtube_people,
)

OFF = Augment.off()


# ---------------------------------------------------------------- masks


def test_run_lengths_go_down_the_columns():
    # two rows, three columns:  0 1 1 / 0 0 1
    mask = mask_of([{"size": [2, 3], "counts": [2, 1, 1, 2]}], 3, 2)
    assert np.asarray(mask).tolist() == [[0, 255, 255], [0, 0, 255]]
    assert np.asarray(mask_of([{"size": [1, 2], "counts": [0, 1, 1]}], 2, 1)).tolist() == [[255, 0]]


def test_compressed_run_lengths_equal_pycocotools():
    mask = np.zeros((9, 7), bool)
    mask[2:7, 1:4] = mask[4, 3:7] = True
    assert np.array_equal(np.asarray(mask_of([{"size": [9, 7], "counts": ";540002L2000L"}], 7, 9)) > 0, mask)
    large = np.zeros((120, 90), bool)
    large[10:100, 5:80] = True
    large[30:40, 20:30] = False
    text = ("Rc0j2n00000000000000000000000000000jM\\OX1d0" + "hN\\OX1d0" * 9 + "n" + "0" * 99 + "VU1")
    assert sum(run_lengths(text)) == 120 * 90
    assert np.array_equal(np.asarray(mask_of([{"size": [120, 90], "counts": text}], 90, 120)) > 0, large)


def test_polygons_cover_the_pixels_within():
    # pycocotools gives the same 6x5 pixels for this rectangle of corners (2, 1) and (8, 6)
    mask = np.asarray(mask_of([[[2, 1, 8, 1, 8, 6, 2, 6]]], 10, 8)) > 0
    assert mask.sum() == 30 and mask[1:6, 2:8].all()
    triangle = np.asarray(mask_of([[[0, 0, 60, 0, 0, 40]]], 60, 40)) > 0
    assert abs(triangle.sum() - 60 * 40 / 2) < 60 and triangle[2, 2] and not triangle[-3, -3]
    beyond = np.asarray(mask_of([[[-5, -5, 4, -5, 4, 50, -5, 50]]], 10, 8)) > 0
    assert beyond[:, :4].all() and not beyond[:, 4:].any()


def test_annotations_of_one_frame_are_united():
    mask = np.zeros((8, 10), bool)
    mask[0, 0] = True
    both = np.asarray(mask_of([[[2, 1, 4, 1, 4, 3, 2, 3], [6, 5, 8, 5, 8, 7, 6, 7]], rle(mask)], 10, 8)) > 0
    expected = mask.copy()
    expected[1:3, 2:4] = expected[5:7, 6:8] = True
    assert np.array_equal(both, expected)
    assert not np.asarray(mask_of([], 10, 8)).any()


@pytest.mark.parametrize("shape", [
    {"size": [8, 9], "counts": [80]}, {"size": [8, 10], "counts": [79]}, {"size": [8, 10], "counts": [90, -10]},
    [[1, 1, 5, 5]],
])  # fmt: skip
def test_masks_that_make_no_sense(shape):
    with pytest.raises(ValueError, match="run lengths|points"):
        mask_of([shape], 10, 8)


# ---------------------------------------------------------------- layouts


def test_coco_pixel_for_pixel(tmp_path):
    people = coco_people(write_coco(tmp_path))
    assert [clip.name for clip in people.images.clips] == ["0", "1"]  # the last image shows nobody
    data = SegmentationClips(Phase(1, 48, 64, 2, 1), 0, 0, people, OFF)
    seen = {}
    for i in range(2):
        frames, mask = data[i]
        assert frames.shape == (1, 3, 48, 64) and mask.shape == (1, 1, 48, 64)
        assert frames.dtype == mask.dtype == torch.uint8
        which = [k for k in range(3) if np.array_equal(frames[0].permute(1, 2, 0), picture(k, (64, 48)))]
        seen[which[0]] = mask[0, 0].numpy()
    expected = np.zeros((48, 64), np.uint8)
    expected[4:30, 4:20] = 255
    assert np.array_equal(seen[0], expected)
    expected[40:45, 30:36] = 255
    assert np.array_equal(seen[1], expected)


def test_cocos_own_folder_names(tmp_path):
    write_coco(tmp_path)
    (tmp_path / "annotations").mkdir()
    (tmp_path / "images").rename(tmp_path / "train2017")
    (tmp_path / "instances.json").rename(tmp_path / "annotations/instances_train2017.json")
    assert len(coco_people(tmp_path).images.clips) == 2


def test_youtube_pixel_for_pixel(tmp_path):
    people = youtube_people(write_youtube(tmp_path / "train").parent)
    assert [(clip.name, len(clip)) for clip in people.images.clips] == [("aa", 4)]
    frames, mask = SegmentationClips(Phase(1, 48, 64, 1, 5), 0, 0, people, OFF)[0]
    for k, t in enumerate((0, 1, 2, 3, 2)):  # shorter than T: back again
        assert np.array_equal(frames[k].permute(1, 2, 0), picture(t, (64, 48)))
        expected = np.zeros((48, 64), np.uint8)
        expected[10:40, 8 * t:8 * t + 8] = 255
        expected[0:10, 50:60] = 255 * (t == 1)
        assert np.array_equal(mask[k, 0], expected)


def test_samples_are_functions_of_seed_and_index(tmp_path):
    people = youtube_people(write_youtube(tmp_path))
    data = SegmentationClips(Phase(4, 32, 32, 2, 3), 0, 3, people)
    plain = [data[i] for i in range(8)]
    later = SegmentationClips(Phase(4, 32, 32, 2, 3), 2, 3, people)
    assert all(torch.equal(a, b) for a, b in zip(plain[5], later[3], strict=True))
    for k, batch in enumerate(DataLoader(data, 2, num_workers=2)):
        assert torch.equal(batch[0], torch.stack([plain[2 * k][0], plain[2 * k + 1][0]]))
        assert torch.equal(batch[1], torch.stack([plain[2 * k][1], plain[2 * k + 1][1]]))
    other = SegmentationClips(Phase(4, 32, 32, 2, 3), 0, 4, people)
    assert not all(torch.equal(plain[i][0], other[i][0]) for i in range(8))


def test_masks_move_with_their_frames_and_colour_leaves_them_alone(tmp_path):
    """A white person on black: wherever the window looks, bright is masked and dark is not."""
    image = np.zeros((48, 64, 3), np.uint8)
    image[8:40, 16:44] = 255
    save(tmp_path / "images/0.png", image)
    write_json(tmp_path / "instances.json", categories=[{"id": 1, "name": "person"}],
               images=[{"id": 0, "file_name": "0.png", "width": 64, "height": 48}],
               annotations=[{"image_id": 0, "category_id": 1, "segmentation": rectangle(16, 8, 44, 40)}])
    people = coco_people(tmp_path)
    places = set()
    for seed in range(6):
        frames, mask = SegmentationClips(Phase(1, 64, 64, 1, 4), 0, seed, people)[0]
        bright = frames.float().mean(1, keepdim=True) > 128
        assert set(mask.unique().tolist()) <= {0, 255}
        assert ((mask > 0) == bright).float().mean() > 0.97  # all but the rim
        places.add(int(mask.float().mean((0, 1, 2)).argmax()))
        plain, same = SegmentationClips(Phase(1, 64, 64, 1, 4), 0, seed, people, Augment(colour=0, grey=0))[0]
        assert torch.equal(same, mask) and not torch.equal(plain, frames)
    assert len(places) > 2


# ---------------------------------------------------------------- bad input


def test_few_bad_images_are_left_out_and_many_stop(tmp_path):
    write_coco(tmp_path, 211, (12, 10))
    (tmp_path / "images/5.png").unlink()
    save(tmp_path / "images/6.png", picture(0, (10, 12)))
    people = coco_people(tmp_path)
    assert len(people.images.clips) == 208 == len(people.shapes)
    line = people.images.summary()
    assert "1 unreadable (images/5.png)" in line and "1 of another size than annotated (images/6.png)" in line
    (tmp_path / "images/7.png").write_bytes(b"")
    with pytest.raises(UserError, match=r"images/5\.png: unreadable; with it 3 of 210 frames"):
        coco_people(tmp_path)


def test_annotations_and_pixels_that_make_no_sense_are_met_while_training(tmp_path):
    write_coco(tmp_path, 211, (12, 10))
    data = json.loads((tmp_path / "instances.json").read_text())
    wrong = next(a for a in data["annotations"] if a["image_id"] == 74 and a["category_id"] == 1)
    wrong["segmentation"] = {"size": [10, 12], "counts": [7]}
    write_json(tmp_path / "instances.json", **data)
    damage_pixels(tmp_path / "images/9.png")
    people = coco_people(tmp_path)
    clips = SegmentationClips(Phase(210, 10, 12, 1, 1), 0, 0, people, OFF)
    assert all(mask.any() for _, mask in (clips[i] for i in range(210)))
    assert "left out 2: 2 unreadable (images/4.png, images/9.png)" in people.images.summary()


@pytest.mark.parametrize("text, words", [
    ("{not json", "instances.json: no annotations in COCO's format"),
    ("[]", "COCO's format"),
    ('{"images": [], "annotations": []}', "KeyError: 'categories'"),
    ('{"images": [], "annotations": [], "categories": [{"id": 1, "name": "cat"}]}', "marks nobody"),
])  # fmt: skip
def test_unusable_annotations_are_refused(tmp_path, text, words):
    write_coco(tmp_path)
    (tmp_path / "instances.json").write_text(text)
    with pytest.raises(UserError, match=words) as refusal:
        coco_people(tmp_path)
    assert "\n" not in str(refusal.value)


def test_missing_parts_are_named(tmp_path):
    with pytest.raises(UserError, match="train2017: missing"):
        coco_people(tmp_path)
    (tmp_path / "JPEGImages").mkdir()
    with pytest.raises(UserError, match="instances.json: missing"):
        youtube_people(tmp_path)


# ---------------------------------------------------------------- loss


def test_segmentation_loss_by_hand():
    logits = torch.tensor([0.0, 0.0, math.log(3), -50.0]).view(1, 1, 1, 2, 2).requires_grad_()
    mask = torch.tensor([0.0, 1.0, 1.0, 0.0]).view(1, 1, 1, 2, 2)
    loss = segmentation_loss(logits, mask)
    assert loss.item() == pytest.approx((2 * math.log(2) + math.log(4 / 3)) / 4)  # σ(log 3) = 3/4
    loss.backward()
    assert torch.allclose(logits.grad.flatten(), torch.tensor([0.5, -0.5, -0.25, 0.0]) / 4)  # (σ − mask) / n
    with pytest.raises(ValueError, match="size"):
        segmentation_loss(logits, mask[..., :1])
