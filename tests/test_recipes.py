"""The four stages, and a folder of data sets turned into what training takes."""

from dataclasses import replace

import pytest
from folder_tools import (
    write_background_clips,
    write_backgrounds,
    write_coco,
    write_image_mattes,
    write_video_mattes,
    write_youtube,
)
from torch.utils.data import DataLoader

from bivm_ref.errors import UserError
from bivm_ref.learn.datasets import Phase
from bivm_ref.learn.recipes import STAGES, Footage, Rates, describe, open_stage, stage


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    write_video_mattes(root / "VideoMatte240K_JPEG_SD/train", (31, 15))
    write_image_mattes(root / "ImageMatte", 3)
    write_backgrounds(root / "Backgrounds", 3)
    write_background_clips(root / "BackgroundVideosTrain", (4, 6))
    write_coco(root / "COCO")
    write_youtube(root / "youtube-vis/train")
    return root


def test_the_stages_are_the_published_ones():
    assert [(s.number, s.mattes, s.low.frames, s.epochs, s.low.largest) for s in STAGES] == [
        (1, "VideoMatte240K", 15, 20, 512), (2, "VideoMatte240K", 50, 2, 512),
        (3, "VideoMatte240K", 40, 1, 512), (4, "ImageMatte", 40, 5, 512)]
    assert stage(1).rates == Rates(backbone=1e-4, neck=2e-4, decoder=2e-4, refiner=0)
    halved = stage(2).rates
    assert (halved.backbone, halved.neck, halved.decoder) == (5e-5, 1e-4, 1e-4)
    assert stage(3).rates == Rates(1e-5, 1e-5, 1e-5, 2e-4)
    assert [s.high and (s.high.largest, s.high.frames) for s in STAGES] == [None, None, (2048, 6), (2048, 6)]
    with pytest.raises(UserError, match="--stage 5: there are four"):
        stage(5)


def test_describe_says_what_a_stage_is():
    text = describe(stage(3))
    for words in ("stage 3", "VideoMatte240K", "256 to 512 px, T = 40", "1024 to 2048 px, T = 6", "refiner 0.0002",
                  "4, 1", "COCO and YouTubeVIS"):
        assert words in text
    assert "refiner" not in describe(stage(1)) and "backbone 0.0001, neck 0.0002, decoder 0.0002" in describe(stage(1))


def test_phases_show_every_stretch_once_an_epoch(root):
    # 31 frames are three stretches of 15 (the last of one frame), 15 frames one: 4 in an epoch, 20 epochs by fours
    assert open_stage(stage(1), root).phases() == (Phase(20, 512, 512, 4, 15),)
    low, high = open_stage(stage(3), root).phases()
    assert low == Phase(1, 512, 512, 4, 40)  # two stretches in one batch
    assert high == Phase(3, 1024, 1024, 4, 6, refine=True)  # 6 + 3 stretches by fours; the refiner sees 2048 px
    assert open_stage(stage(4), root).phases()[0].steps == 4  # three stills, five epochs


def test_a_stage_makes_clips_and_segmentation_batches(root):
    small = replace(stage(1), low=Footage(64, 96, 4))
    data, phase = open_stage(small, root), Phase(2, 96, 64, 2, 4)
    frames, alpha, foreground = next(iter(DataLoader(data.clips(phase, 0, 0), 2)))
    assert frames.shape[:3] == (2, 4, 3) and alpha.shape[:3] == (2, 4, 1) and foreground.shape == frames.shape
    assert frames.shape[3] in (64, 96) and frames.shape[4] == 64
    images, videos = data.segmentation(phase, 0)
    assert len(images) == 2 * 8 and images[0][0].shape[:2] == (1, 3)  # 2 clips of 4 frames: 8 images
    assert len(videos) == 2 * 2 and videos[0][0].shape[:2] == (4, 3)
    assert data.segmentation(Phase(1, 32, 32, 1, 1, refine=True), 0) == []


def test_summary_has_a_line_per_set(root, tmp_path):
    data = open_stage(stage(1), root)
    lines = data.summary().splitlines()
    assert [line.split(": ")[1] for line in lines] == [
        "2 clips, 46 frames", "3 clips, 3 frames", "2 clips, 10 frames", "2 clips, 2 frames", "1 clips, 4 frames"]
    (tmp_path / "VideoMatte").symlink_to(root / "VideoMatte240K_JPEG_SD")
    (tmp_path / "backgrounds").symlink_to(root / "Backgrounds")
    data = open_stage(stage(1), tmp_path)
    assert data.summary().splitlines()[2:] == [
        f"{name}: not there; done without" for name in ("BackgroundVideos", "COCO", "YouTubeVIS")]
    assert data.segmentation(Phase(1, 32, 32, 1, 1), 0) == []
    assert data.counts() == (("VideoMatte240K", 2, 46), ("Backgrounds", 3, 3))


def test_what_a_stage_cannot_do_without(root, tmp_path):
    with pytest.raises(UserError, match="nowhere: no such folder"):
        open_stage(stage(1), tmp_path / "nowhere")
    with pytest.raises(UserError, match="holds no VideoMatte240K, which stage 1 needs"):
        open_stage(stage(1), tmp_path)
    (tmp_path / "VideoMatte240K").symlink_to(root / "VideoMatte240K_JPEG_SD")
    with pytest.raises(UserError, match="holds no Backgrounds or BackgroundVideos"):
        open_stage(stage(1), tmp_path)
    (tmp_path / "VideoMatte240K_HD").symlink_to(root / "VideoMatte240K_JPEG_SD")
    with pytest.raises(UserError, match="VideoMatte240K_HD: a second VideoMatte240K"):
        open_stage(stage(1), tmp_path)
