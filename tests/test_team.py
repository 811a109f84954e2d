"""Two processes train as one does: the same gradients, hence the same weights, on the same global batch."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from folder_tools import write_backgrounds, write_coco, write_image_mattes, write_youtube

from bivm_ref.errors import UserError
from bivm_ref.learn import team
from bivm_ref.learn.store import load_state

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = """
import sys, torch
torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)  # so that the order of additions is not seen behind a sign
from dataclasses import replace
from bivm_ref.learn import team
from bivm_ref.learn.mimic import Mimicking
from bivm_ref.learn.recipes import Footage, open_stage, stage
from bivm_ref.learn.train import Phase, Recipe, train
out, how = sys.argv[1:3]
recipe = Recipe(method="float" if how == "float" else "bivm", warmup=1,
                mimic=Mimicking() if how == "mimic" else None, teacher=out + "/twin/model.pt",
                phases=(Phase(2, 32, 48, batch=4, frames=2), Phase(1, 32, 32, batch=2, frames=1, refine=True)))
data = None
if how == "stage":
    data = open_stage(replace(stage(4), low=Footage(32, 64, 2), high=Footage(64, 64, 1), epochs=1), out + "/data")
    recipe = Recipe(phases=data.phases(), stage=data.stage, sets=data.counts())
with team.joined("cpu"):
    train(recipe, sys.argv[3], workers=0, progress=False, report_every=1, data=data)
    if data:  # as if each process had met a damaged file of its own
        data.mattes.damaged[team.rank()] = 1
        team.unite(data.mattes.damaged, "cpu")
        assert data.mattes.damaged.tolist() == [1] * team.size() + [0] * (8 - team.size())
"""

BROKEN = """
import sys, torch
from pathlib import Path
from bivm_ref.learn import team
from bivm_ref.learn.datasets import MixedClips
from bivm_ref.learn.train import Phase, Recipe, TrainingStopped, train
clip = MixedClips.__getitem__
MixedClips.__getitem__ = lambda self, i: [  # a broken alpha: a broken frame would reach both through the batch norms
    x * (torch.nan if i == n == 1 else 1.0) for n, x in enumerate(clip(self, i))]
with team.joined("cpu"):
    try:
        recipe = Recipe(arch="small", method="float", phases=(Phase(2, 32, 32, batch=2, frames=1),))
        train(recipe, sys.argv[1], workers=0, progress=False)
    except TrainingStopped as error:  # not to stdout, which both share: their lines may run into one another
        Path(sys.argv[1], f"stopped-{team.rank()}.txt").write_text(str(error))
"""


def run(how: str, shared: Path, out: Path, processes: int) -> dict:
    script = shared / "script.py"
    script.write_text(SCRIPT)
    start = [sys.executable] if processes == 1 else [sys.executable, "-m", "torch.distributed.run",
                                                     "--standalone", "--nproc_per_node", str(processes)]
    done = subprocess.run([*start, str(script), str(shared), how, str(out)], capture_output=True, text=True,
                          timeout=300, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-2000:]
    return load_state(out / "checkpoint.pt")


@pytest.mark.parametrize("how", ["float", "mimic", "stage"])
def test_two_processes_make_the_weights_of_one(tmp_path, how):
    if how == "mimic":
        run("float", tmp_path, tmp_path / "twin", 1)
    if how == "stage":  # eight stills by fours: two steps with segmentation, two of the refiner
        write_image_mattes(tmp_path / "data/ImageMatte", 8)
        write_backgrounds(tmp_path / "data/Backgrounds")
        write_coco(tmp_path / "data/COCO")
        write_youtube(tmp_path / "data/YouTubeVIS")
    one, two = (run(how, tmp_path, tmp_path / f"of{n}", n) for n in (1, 2))
    steps = 4 if how == "stage" else 3
    assert one["step"] == two["step"] == steps
    for part in ("model", "average", *(["segmentation"] if how == "stage" else [])):
        assert one[part].keys() == two[part].keys()
        for name, value in one[part].items():
            assert torch.allclose(two[part][name], value, rtol=1e-6, atol=1e-9), f"{part} {name}"
    # Adam's first moment is a sum of gradients: they agree too, not only the signs that Adam mostly follows
    for mine, theirs in zip(one["optimiser"]["state"].values(), two["optimiser"]["state"].values(), strict=True):
        torch.testing.assert_close(theirs["exp_avg"], mine["exp_avg"], rtol=1e-6, atol=1e-12)
    logs = [(tmp_path / f"of{n}" / "log.jsonl").read_text().count("\n") for n in (1, 2)]
    assert logs == [steps, steps]  # the first process alone writes


def test_the_command_shares_its_batches(tmp_path):
    """As README shows it, but for two steps; and the same command once more goes on, or says that it is done."""
    words = ["-m", "bivm_ref.cli", "train", "--float", "--steps", "2", "--workers", "0", "--out", str(tmp_path / "run")]
    for _ in range(2):
        done = subprocess.run([sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2",
                               *words], capture_output=True, text=True, timeout=300, cwd=ROOT)
        assert done.returncode == 0, done.stderr[-2000:]
        assert done.stdout.count("2 steps -> ") == 1
    assert load_state(tmp_path / "run/checkpoint.pt")["step"] == 2


def test_every_phase_of_the_command_can_be_shared_by_two_and_four():
    from argparse import Namespace

    from bivm_ref.learning_commands import _our_recipe

    for steps in (None, 1, 7, 20, 500):
        recipe = _our_recipe(Namespace(steps=steps, takes=False, lr=None), {})
        assert recipe.steps == (steps or 2000) and all(phase.batch % 4 == 0 for phase in recipe.phases)
    assert [phase.refine for phase in recipe.phases] == [False, False, True]


def test_nan_in_one_process_stops_all(tmp_path):
    """The second process alone meets the broken clip: it says so, the other that it stops with it; no traceback."""
    (tmp_path / "script.py").write_text(BROKEN)
    done = subprocess.run([sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2",
                           str(tmp_path / "script.py"), str(tmp_path / "run")], capture_output=True, text=True,
                          timeout=300, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-2000:]
    first, second = (tmp_path / "run" / f"stopped-{rank}.txt" for rank in (0, 1))
    assert "stopped at step 0 with another process" in first.read_text()
    assert "not finite at step 0 (clips 0, 1; seed 0)" in second.read_text()


def test_shares_cover_each_global_batch_once(monkeypatch):
    drawn = []
    for rank in range(3):
        monkeypatch.setattr(team, "size", lambda: 3)
        monkeypatch.setattr(team, "rank", lambda rank=rank: rank)
        part = team.Share(list(range(12)), 6)
        assert len(part) == 4 and part.batch == 2
        drawn.append([part[i] for i in range(4)])
    assert drawn == [[0, 1, 6, 7], [2, 3, 8, 9], [4, 5, 10, 11]]


def test_a_batch_that_cannot_be_shared_is_refused(tmp_path, monkeypatch):
    from bivm_ref.learn.train import Phase, Recipe, train

    monkeypatch.setattr(team, "size", lambda: 3)
    with pytest.raises(UserError, match="batch of 4 clips cannot be shared by 3 processes"):
        train(Recipe(phases=(Phase(1, 32, 32, batch=4),)), tmp_path, workers=0, progress=False)


def test_alone_nothing_is_joined(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with team.joined("cpu") as device:
        assert device == "cpu" and team.leads() and team.size() == 1
        module = torch.nn.Linear(2, 2)
        assert team.share(module) is module
