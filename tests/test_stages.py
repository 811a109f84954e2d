"""Training on folders in the field's layouts: tiny ones, in stages cut down to two or three steps."""

import dataclasses
import json
from dataclasses import replace

import pytest
import torch
from cli_tools import run
from folder_tools import (
    damage_pixels,
    write_backgrounds,
    write_coco,
    write_image_mattes,
    write_video_mattes,
    write_youtube,
)

from bivm_ref.errors import UserError
from bivm_ref.learn import recipes
from bivm_ref.learn import train as training
from bivm_ref.learn.feed import Feed
from bivm_ref.learn.footage import FolderClips
from bivm_ref.learn.mimic import Mimicking
from bivm_ref.learn.objective import Objective, SegmentationHead, part_of
from bivm_ref.learn.recipes import Footage, Rates, open_stage, stage
from bivm_ref.learn.segmentation import SegmentationClips
from bivm_ref.learn.store import build, load_model, load_state
from bivm_ref.learn.train import Recipe, TrainingStopped, train

# Five stretches of two frames by twos: three steps. The refiner's three stretches of four frames: two more.
ONE = replace(stage(1), low=Footage(32, 64, 2), batch=2, epochs=1)
THREE = replace(stage(3), low=Footage(32, 32, 2), high=Footage(64, 64, 4), batch=2)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    write_video_mattes(root / "VideoMatte240K", (5, 4))
    write_image_mattes(root / "ImageMatte", 2)
    write_backgrounds(root / "Backgrounds", 3)
    write_coco(root / "COCO")
    write_youtube(root / "YouTubeVIS")
    return root


@pytest.fixture(scope="module")
def first_run(root, tmp_path_factory):
    """The folder of a finished stage 1."""
    folder = tmp_path_factory.mktemp("one")
    go(open_stage(ONE, root), folder)
    return folder


def recipe_of(data, **more) -> Recipe:
    return Recipe(phases=data.phases(), stage=data.stage, sets=data.counts(), **more)


def go(data, folder, **more):
    return train(recipe_of(data, **more), folder, data=data, workers=0, progress=False, report_every=1)


def log(folder) -> list[dict]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


# ---------------------------------------------------------------- what is fed


def test_clips_and_segmentation_take_turns_and_resume_in_the_middle(root):
    data = open_stage(ONE, root)
    (phase,) = data.phases()
    feed = Feed(phase, 10, data.clips(phase, 0, 0), data.segmentation(phase, 0))
    whole = list(feed.batches(10, workers=0))
    assert len(whole) == phase.steps == 3
    assert all(len(clips) == 3 and clips[0].shape[:2] == (2, 2) for clips, _ in whole)
    images, videos, again = (people[0] for _, people in whole)
    assert images.shape[:2] == again.shape[:2] == (4, 1)  # COCO: as many images as clips have frames
    assert videos.shape[:2] == (2, 2)  # YouTube-VIS
    for workers in (0, 1):
        rest = list(feed.batches(11, workers))
        assert len(rest) == 2
        for mine, theirs in zip(rest, whole[1:], strict=True):
            for a, b in zip((*mine[0], *mine[1]), (*theirs[0], *theirs[1]), strict=True):
                assert torch.equal(a, b)
    assert Feed(phase, 0, feed.clips)._prefetched() == 4
    assert Feed(replace(phase, height=512, width=512, frames=50), 0, feed.clips)._prefetched() == 1


def test_names_are_those_of_the_footage(root):
    data = open_stage(ONE, root)
    (phase,) = data.phases()
    feed = Feed(phase, 0, data.clips(phase, 0, 0), data.segmentation(phase, 0))
    shown = [name for step in range(3) for name in feed.names(step).split(", ")]
    assert sorted(shown[:5]) == ["0001@0", "0001@2", "0001@4", "0002@0", "0002@2"]  # an epoch
    assert shown[0] == feed.clips.clip(0).name
    assert set(feed.names(0, True).split(", ")) == {"0@0", "1@0"}  # COCO
    assert sorted(feed.names(1, True).split(", ")) == ["aa@0", "aa@2"]  # YouTube-VIS
    many = Feed(replace(phase, batch=15), 0, FolderClips(replace(phase, batch=15), 0, 0, data.mattes, data.backgrounds))
    assert many.names(0).endswith(" and 3 more")


# ---------------------------------------------------------------- segmentation


@pytest.mark.parametrize("method", ["bivm", "float"])
def test_segmentation_reads_the_map_that_the_matting_head_reads(method):
    """With the weights that make alpha, its logits are alpha before the clamp."""
    torch.manual_seed(0)
    model, head = build("small", method), SegmentationHead(16)
    frames = torch.rand(2, 3, 3, 40, 56)  # no multiple of 16: padded and cropped back
    with torch.no_grad():
        for _ in range(20):
            model(frames)  # the norms see the frames: values near 1 in the map
        model.eval()
        model.head.weight.normal_(0, 0.03)
        head.conv.weight.copy_(model.head.weight[3:])
        head.conv.bias.copy_(model.head.bias[3:])
    logits, alpha = head(model, frames), model(frames).alpha
    assert logits.shape == alpha.shape == (2, 3, 1, 40, 56)
    assert torch.allclose(logits.clamp(0, 1), alpha, atol=1e-5)  # the matting head adds in another order
    assert ((alpha > 0) & (alpha < 1)).float().mean() > 0.1
    assert not model.head._forward_pre_hooks


@pytest.mark.parametrize("arch, method", [("small", "bivm"), ("small", "float"), ("rvm", "float")])
def test_every_network_learns_to_segment(arch, method):
    """Six steps of Adam on one batch lower its loss; the mask reaches the first layer."""
    torch.manual_seed(0)
    objective = Objective(build(arch, method), segmentation=True).train()
    assert (objective.segmentation is None) == (arch == "rvm")  # which has a head of its own
    frames = torch.rand(2, 2, 3, 32, 32)
    mask = torch.zeros(2, 2, 1, 32, 32)
    mask[..., 8:28, 4:16] = 1
    frames = 0.5 * frames + 0.5 * mask
    optimiser, losses = torch.optim.Adam(objective.parameters(), 3e-3), []
    for _ in range(6):
        optimiser.zero_grad()
        loss = objective(frames, mask)["total"]
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]
    first = next(p for name, p in objective.named_parameters() if name.startswith("model.encoder."))
    assert first.grad.abs().max() > 0


# ---------------------------------------------------------------- runs


def test_stage_1_then_3_with_segmentation_and_refiner(root, first_run, tmp_path):
    rows = log(first_run)
    assert [row["lr"] for row in rows] == [2e-4] * 3 and all(0 < row["segmentation"] < 5 for row in rows)
    head = load_state(first_run / "model.pt")["segmentation"]
    assert not any("segmentation" in name for name in load_model(first_run / "model.pt").state_dict())

    third = open_stage(THREE, root)
    recipe = recipe_of(third, init=str(first_run / "model.pt"))
    begin = training._Run(recipe, tmp_path / "empty", "cpu")
    taken = begin.objective.segmentation.state_dict()
    assert all(torch.equal(taken[name], head[name]) for name in head)  # of the stage before
    go(third, tmp_path / "three", init=str(first_run / "model.pt"))
    rows = log(tmp_path / "three")
    assert [row["lr"] for row in rows] == [1e-5] * 3 + [2e-4] * 2
    assert [("segmentation" in row, "coarse" in row) for row in rows] == [(True, True)] * 3 + [(False, True)] * 2


def test_a_student_mimics_in_a_stage(root, tmp_path):
    """Sizes differ from batch to batch: the teacher is calibrated on the first one alone."""
    data = open_stage(ONE, root)
    go(data, tmp_path / "twin", method="float")
    twin = str(tmp_path / "twin/model.pt")
    go(data, tmp_path / "student", init=twin, teacher=twin, mimic=Mimicking())
    rows = log(tmp_path / "student")
    assert len(rows) == 3 and all(row["mimic"] > 0 and row["segmentation"] > 0 for row in rows)
    assert load_state(tmp_path / "student/checkpoint.pt")["mimic"]["median_f1"].abs().max() > 0


def test_rvm_trains_in_a_stage(root, tmp_path):
    high = replace(THREE, low=Footage(32, 32, 4), epochs=1)
    model = go(open_stage(high, root), tmp_path, arch="rvm", method="float", ema=0.0)
    torch.manual_seed(0)
    start = build("rvm", "float")
    moved = {name.split(".")[0] for (name, new), old in zip(model.named_parameters(), start.parameters(), strict=True)
             if not torch.equal(new, old)}
    assert moved == {"encoder", "neck", "decoder", "matting_head", "segmentation_head", "refiner"}


@pytest.mark.parametrize("one, stops", [(ONE, (1, 2)), (THREE, (2, 4))], ids=["segmentation", "refiner"])
def test_a_stage_cut_anywhere_ends_in_the_same_weights(root, first_run, tmp_path, monkeypatch, one, stops):
    uncut = first_run if one is ONE else tmp_path / "whole"
    if one is not ONE:
        go(open_stage(one, root), uncut)
    step = training._Run.train_step
    for stop in stops:
        def interrupted(self, *args, stop=stop):
            if self.step == stop:
                raise KeyboardInterrupt
            return step(self, *args)
        monkeypatch.setattr(training._Run, "train_step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            go(open_stage(one, root), tmp_path / "cut")
    monkeypatch.setattr(training._Run, "train_step", step)
    go(open_stage(one, root), tmp_path / "cut")
    whole, cut = (load_state(folder / "model.pt") for folder in (uncut, tmp_path / "cut"))
    for part in ("model", "segmentation"):
        assert all(torch.equal(value, cut[part][name]) for name, value in whole[part].items()), part


def test_each_part_learns_at_its_own_rate(root, tmp_path):
    """Adam's first step moves the parameter with the clearest gradient by its rate: one step for the network, one for
    the refiner, no segmentation."""
    for name in ("ImageMatte", "Backgrounds"):
        (tmp_path / name).symlink_to(root / name)
    rates = Rates(backbone=1e-3, neck=2e-3, decoder=4e-3, refiner=8e-3)
    one = replace(stage(4), low=Footage(32, 32, 2), high=Footage(64, 64, 2), rates=rates, batch=2, epochs=1)
    data = open_stage(one, tmp_path)
    assert [phase.steps for phase in data.phases()] == [1, 1] and not recipe_of(data).segments
    before = {name: p.clone() for name, p in training._Run(recipe_of(data), tmp_path / "no", "cpu").model.
              named_parameters()}
    go(data, tmp_path / "run")
    after = load_state(tmp_path / "run/checkpoint.pt")["model"]
    moved = {}
    for name, old in before.items():
        part = {"encoder": "backbone", "neck": "neck", "refiner": "refiner"}.get(name.split(".")[0], "decoder")
        moved[part] = max(moved.get(part, 0), (after[name] - old).abs().max().item())
    assert moved == pytest.approx(dataclasses.asdict(rates), rel=1e-3)
    assert part_of("mimic.adapters.f1.weight") == part_of("segmentation.conv.bias") == part_of("model.head.bias") \
        == "decoder"


def test_rates_in_proportion():
    assert stage(1).at(1e-3).rates == Rates(pytest.approx(5e-4), pytest.approx(1e-3), pytest.approx(1e-3), 0)


def test_a_run_belongs_to_its_stage_and_its_files(root, first_run):
    data = open_stage(ONE, root)
    recipe = recipe_of(data)
    fewer = (("VideoMatte240K", 2, 8), *recipe.sets[1:])
    others = {"sets": {"sets": fewer}, "stage": {"stage": ONE.at(1e-3)}, "stage, sets": {"stage": None, "sets": ()}}
    for odd, change in others.items():
        with pytest.raises(UserError, match=rf"another recipe \({odd}\)"):
            train(replace(recipe, **change), first_run, data=data)


@pytest.mark.parametrize("kind, words", [
    (FolderClips, r"step 1 \(clips 000\d@\d, 000\d@\d; seed 0\)"),
    (SegmentationClips, r"step 1 \(segmentation of aa@\d, aa@\d; seed 0\)"),
])  # fmt: skip
def test_nan_names_the_footage(root, tmp_path, monkeypatch, kind, words):
    item = kind.__getitem__

    def poisoned(self, i):
        frames, *truth = item(self, i)
        broken = i == 2 if kind is FolderClips else len(frames) == 2  # YouTube-VIS: its turn comes at step 1
        return frames, *(torch.full(x.shape, torch.nan) if broken else x for x in truth)

    monkeypatch.setattr(kind, "__getitem__", poisoned)
    with pytest.raises(TrainingStopped, match=words):
        go(open_stage(ONE, root), tmp_path)


# ---------------------------------------------------------------- bivm-ref train --stage


def test_the_command_describes_trains_and_names_the_damaged_file(tmp_path, capfd, monkeypatch):
    root = tmp_path / "data"
    write_video_mattes(root / "VideoMatte240K", (1,) * 101, (32, 32))
    write_backgrounds(root / "Backgrounds", 2)
    damage_pixels(root / "VideoMatte240K/pha/0007/00000.png")
    monkeypatch.setattr(recipes, "STAGES", (replace(ONE, low=Footage(32, 32, 1), batch=51),))
    words = ("train", "--stage", 1, "--data", root, "--out", tmp_path / "run", "--float", "--workers", 1)
    code, out, err = run(capfd, *words)
    assert (code, err) == (0, "")
    before, after = out.split("2 steps\n", 1)
    assert "stage 1: the network" in before and "101 clips, 101 frames" in before and "left out" not in before
    assert "100 frames; left out 1: 1 unreadable (pha/0007/00000.png)" in after  # met by a worker process
    assert "COCO: not there; done without" in after and f"2 steps -> {tmp_path / 'run/model.pt'}" in after
    assert load_state(tmp_path / "run/model.pt")["recipe"]["sets"][0] == ["VideoMatte240K", 101, 101]
    assert run(capfd, *words)[0] == 0  # done already
    code, _, err = run(capfd, *words, "--lr", "0.1")
    assert code == 2 and err.count("\n") == 1 and "another recipe (stage)" in err


@pytest.mark.parametrize("words, says", [
    (("--stage", 5, "--data", "."), "--stage 5: there are four; choose 1, 2, 3 or 4"),
    (("--stage", 0, "--data", "."), "--stage 0: there are four"),
    (("--stage", "x"), "'x' is not a whole number"),
    (("--stage", 1), "needs --data ROOT"),
    (("--data", "."), "add --stage"),
    (("--stage", 1, "--data", ".", "--steps", 7), "--steps: a stage says itself"),
    (("--stage", 1, "--data", "nowhere"), "nowhere: no such folder"),
    (("--stage", 2, "--data", "."), "holds no VideoMatte240K, which stage 2 needs"),
])  # fmt: skip
def test_mistakes_are_one_line(tmp_path, capfd, monkeypatch, words, says):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capfd, "train", "--out", "run", *words)
    assert code == 2 and err.count("\n") == 1 and says in err
