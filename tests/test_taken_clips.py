"""Training on takes: clips arrive as they are, unreadable files are counted across workers, old runs still go on."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from cli_tools import run
from PIL import Image

from bivm_ref import learning_commands, shelf
from bivm_ref.clips import ClipMix
from bivm_ref.errors import UserError
from bivm_ref.learn import train as module
from bivm_ref.learn.datasets import MixedClips
from bivm_ref.learn.train import Phase, Recipe, load_state, save_atomic, train
from bivm_ref.takes import Odds, Takes

TINY = Recipe(phases=(Phase(1, 32, 32, batch=1, frames=2), Phase(1, 32, 48, batch=1, frames=1)), warmup=2,
              source="takes")
QUIET = {"workers": 0, "progress": False}


@pytest.fixture(autouse=True)
def one_thread():
    """Networks this small are faster on one thread, and far faster where other work keeps the processor busy."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def stills(folder, count, broken=()):
    """Opaque boxes with a transparent border; those of these numbers are no images."""
    folder.mkdir()
    rgba = np.zeros((24, 24, 4), np.uint8)
    rgba[4:, 6:18] = (200, 150, 120, 255)
    for n in range(count):
        path = folder / f"h{60 + n:06d}.png"
        if n in broken:
            path.write_bytes(b"broken")
        else:
            Image.fromarray(rgba, "RGBA").save(path)
    return folder


def test_an_item_is_the_clip_of_its_number(tmp_path):
    takes = Takes(stills(tmp_path / "people", 3))
    phase = Phase(5, 24, 40, batch=2, frames=2)
    data = MixedClips(phase, 100, 3, takes)
    assert len(data) == 10 and data.name(4) == "104"
    frames, alpha, foreground = data[4]
    clip = Takes(tmp_path / "people").clip((3 << 32) + 104, 2, 24, 40)
    np.testing.assert_array_equal(frames.numpy(), clip.frames.transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(foreground.numpy(), clip.foreground.transpose(0, 3, 1, 2))
    np.testing.assert_allclose(alpha.numpy()[:, 0] / 255, clip.alpha, atol=0.5 / 255 + 1e-6)
    fine = MixedClips(dataclasses.replace(phase, refine=True), 0, 0, takes)[0]
    assert fine[0].shape == (2, 3, 48, 80)


def test_a_run_that_is_cut_ends_in_the_same_weights(tmp_path, monkeypatch):
    people = stills(tmp_path / "people", 3)
    train(TINY, tmp_path / "whole", source=Takes(people), **QUIET)
    step = module._Run.train_step

    def interrupted(self, *args):
        if self.step == 1:
            raise KeyboardInterrupt
        return step(self, *args)

    with monkeypatch.context() as cut:
        cut.setattr(module._Run, "train_step", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(TINY, tmp_path / "cut", source=Takes(people), **QUIET)
    train(TINY, tmp_path / "cut", source=Takes(people), **QUIET)
    whole, cut = (load_state(tmp_path / name / "model.pt") for name in ("whole", "cut"))
    assert whole["recipe"]["source"] == "takes"
    assert all(torch.equal(whole["model"][k], cut["model"][k]) for k in whole["model"])


def test_what_was_drawn_is_kept_and_a_change_is_said(tmp_path, capsys):
    people = stills(tmp_path / "people", 3)
    train(TINY, tmp_path / "run", source=Takes(people), **QUIET)
    for name in ("checkpoint.pt", "model.pt"):
        kept = load_state(tmp_path / "run" / name)["drawn"]
        assert kept["people"] == [3, "h000060", "h000062"] and kept["odds"]["procedural"] == Odds().procedural
    assert capsys.readouterr().err == ""
    Image.open(people / "h000060.png").save(people / "h000063.png")
    train(TINY, tmp_path / "run", source=Takes(people), **QUIET)
    assert "checkpoint.pt: the folders hold other files now" in capsys.readouterr().err


def test_a_run_that_bad_files_stop_keeps_its_steps(tmp_path, monkeypatch):
    step = module._Run.train_step

    def stopped(self, *args):
        if self.step == 1:
            raise UserError("over 1 % of the files are of no use; copy them again")
        return step(self, *args)

    monkeypatch.setattr(module._Run, "train_step", stopped)
    with pytest.raises(UserError, match="over 1 %"):
        train(TINY, tmp_path, source=Takes(), **QUIET)
    assert load_state(tmp_path / "checkpoint.pt")["step"] == 1


def test_runs_of_before_there_were_takes_go_on(tmp_path):
    """A checkpoint whose recipe knows no source is one of the mix: it resumes, and no run on takes may."""
    recipe = dataclasses.replace(TINY, source="mix")
    run = module._Run(recipe, tmp_path, "cpu")
    run.step = 1
    run.save_checkpoint()
    data = load_state(tmp_path / "checkpoint.pt")
    before = json.loads(json.dumps(dataclasses.asdict(recipe)))
    for name in ("source", "init", "teacher", "stage", "sets"):  # as such a checkpoint is
        del before[name]
    assert data["recipe"] == before
    save_atomic({**data, "recipe": before}, tmp_path / "checkpoint.pt")
    assert module._Run(recipe, tmp_path, "cpu").step == 1
    with pytest.raises(UserError, match=r"another recipe \(source\)"):
        module._Run(TINY, tmp_path, "cpu")


def test_source_and_takes_go_together(tmp_path):
    for recipe, takes in ((TINY, None), (dataclasses.replace(TINY, source="mix"), Takes()),
                          (dataclasses.replace(TINY, source="films"), None)):
        with pytest.raises(ValueError, match="source"):
            train(recipe, tmp_path, source=takes, **QUIET)


def test_what_workers_could_not_read_is_known_in_the_main_process(tmp_path):
    """Of 120 stills one is broken, and every plan asks for it. A phase's clips start from what the last one's met."""
    takes = Takes(stills(tmp_path / "people", 120, broken={5}), odds=Odds(procedural=0))
    made = takes.plan
    takes.plan = lambda seed, frames: dataclasses.replace(
        p := made(seed, frames), shots=tuple(dataclasses.replace(s, people=(5,) * len(s.people)) for s in p.shots))
    for phase in (Phase(4, 16, 16, batch=2, frames=1), Phase(2, 16, 16, batch=1, frames=1)):
        data = MixedClips(phase, 0, 0, takes)
        for _ in torch.utils.data.DataLoader(data, batch_size=2, num_workers=1, multiprocessing_context="fork"):
            pass
        assert [file.name for file in takes.left_out("people")] == ["h000065.png"]
    assert "119 files; left out 1 unreadable (h000065.png)" in takes.summary()


def test_stills_without_takes_are_left_out_and_counted_too(tmp_path):
    """Of 120 stills one is broken: the clips that ask for it get the next one, all others stay as they were."""
    whole = ClipMix(stills(tmp_path / "whole", 120), weights=(0, 1))
    mix = ClipMix(stills(tmp_path / "people", 120, broken={5}), weights=(0, 1))
    phase = Phase(25, 16, 16, batch=8, frames=1)
    names = [[source.clip(seed, 1, 16, 16).name for seed in range(200)] for source in (whole, mix)]
    changed = [(a, b) for a, b in zip(*names, strict=True) if a != b]
    assert changed and all(a.replace("h000065", "h000066") == b for a, b in changed)
    mix.marks[:] = 0
    shelf.load.cache_clear()
    data = MixedClips(phase, 0, 0, mix)
    for _ in torch.utils.data.DataLoader(data, batch_size=8, num_workers=1, multiprocessing_context="fork"):
        pass
    assert "119 files; left out 1 unreadable (h000065.png)" in mix.summary()


def test_too_many_broken_stills_stop_plain_training_too(tmp_path, capfd):
    people = stills(tmp_path / "people", 6, broken=range(6))
    code, _, err = run(capfd, "train", "--people", people, "--out", tmp_path / "run", "--steps", 1, "--workers", 1)
    assert code == 2 and err.count("\n") == 1 and "1 of 6 files" in err and "over 1 %" in err


def test_too_many_broken_stills_stop_the_command_in_one_line(tmp_path, capfd):
    people = stills(tmp_path / "people", 6, broken=range(6))
    code, _, err = run(capfd, "train", "--takes", "--people", people, "--out", tmp_path / "run", "--steps", 1,
                       "--workers", 1)
    assert code == 2 and err.count("\n") == 1 and "1 of 6 files" in err and "over 1 %" in err


def test_the_commands(tmp_path, capfd, monkeypatch):
    people, recipe = stills(tmp_path / "people", 2), learning_commands._our_recipe
    monkeypatch.setattr(learning_commands, "_our_recipe", lambda args, options: dataclasses.replace(
        recipe(args, options), phases=(Phase(args.steps, 32, 32, batch=1, frames=1),)))
    code, out, err = run(capfd, "train", "--float", "--takes", "--people", people, "--out", tmp_path / "run",
                         "--steps", 1, "--workers", 0)
    assert code == 0 and err == "" and out.splitlines()[0] == f"{people}: 2 files" and out.startswith(str(people))
    assert load_state(tmp_path / "run/model.pt")["recipe"]["source"] == "takes"
    code, _, err = run(capfd, "train", "--float", "--people", people, "--out", tmp_path / "run", "--steps", 1)
    assert code == 2 and "another recipe (source)" in err
    for words, cure in ((("--photos", people), "--takes"), (("--takes", "--moving", people), "--people"),
                        (("--moving", people, "--people", people), "--takes"),
                        (("--takes", "--people", people, "--moving", people), "no clip to train on, c000060"),
                        (("--whole", people), "--takes"), (("--takes", "--whole", tmp_path / "none"), "no such folder"),
                        (("--takes", "--stage", 1, "--data", people), "leave it out"),
                        (("--takes", "--photos", tmp_path / "none"), "no such folder")):
        code, _, err = run(capfd, "train", "--out", tmp_path / "other", *words)
        assert code == 2 and err.count("\n") == 1 and cure in err
    assert not (tmp_path / "other").exists()
    code, _, _ = run(capfd, "clips", tmp_path / "clips", "--takes", "--people", people, "--count", 1, "--frames", 2,
                     "--size", "48x32", "--seed", 4)
    with Image.open(tmp_path / "clips/0000/com/0001.png") as picture:
        shown = np.asarray(picture)
    assert code == 0
    np.testing.assert_array_equal(shown, Takes(people).clip(4, 2, 32, 48).frames[1])
