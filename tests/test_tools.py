"""What the tools answer to a folder that is not there: one line, exit code 2, and nothing begun."""

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("--people", "nowhere", "--scenes", "nowhere")
MISSING = {
    "make_weights train": ("train", "small-cloth", *FOLDERS),
    "make_weights ship": ("ship", "small", "--runs", "nowhere"),
    "make_weights keep": ("keep", "small-cloth", "--runs", "nowhere"),
    "data_ablation run": ("run", *FOLDERS, "--moving", "nowhere", "--photos", "nowhere", "--held-out", "nowhere",
                          "--out", "runs"),
    "refresh_people measure": ("measure", "small", *FOLDERS, "--photographs", "nowhere"),
    "stage_figures quick": ("quick", "nowhere/model.pt", "--held-out", "nowhere", "--photographs", "nowhere"),
    "stage_figures engine": ("engine", "nowhere/model.pt", "--held-out", "nowhere", "--photographs", "nowhere"),
    "photographs four": ("four", "nowhere", "out"),
    "refresh_results": ("--from", "nowhere/results.jsonl"),
}


@pytest.mark.parametrize("job", MISSING)
def test_a_missing_folder_is_one_line(job, tmp_path):
    tool = job.split()[0]
    done = subprocess.run([sys.executable, ROOT / "tools" / f"{tool}.py", *MISSING[job]], cwd=tmp_path,
                          capture_output=True, text=True)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith(f"{tool}: error: nowhere") and done.stderr.count("\n") == 1, done.stderr
    assert ";" in done.stderr, "no cure"
    assert not list(tmp_path.iterdir())


def test_the_ablation_looks_for_its_measure_before_it_trains(tmp_path):
    """All that trains is there, what it would be measured on is not: no step is taken."""
    for folder, name, colours in (("people", "a", "RGBA"), ("photos", "b", "RGB")):
        (tmp_path / folder).mkdir()
        Image.new(colours, (64, 96), "red").save(tmp_path / folder / f"{name}.png")
    (tmp_path / "moving" / "c000060").mkdir(parents=True)
    for frame in range(2):
        Image.new("RGBA", (64, 96), "blue").save(tmp_path / "moving" / "c000060" / f"{frame:04}.png")
    words = ("run", "--people", "people", "--moving", "moving", "--scenes", "photos", "--photos", "photos",
             "--held-out", "nowhere", "--out", "runs", "--steps", "2")
    done = subprocess.run([sys.executable, ROOT / "tools" / "data_ablation.py", *words], cwd=tmp_path,
                          capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.startswith("data_ablation: error: nowhere"), done.stderr
    assert not (tmp_path / "runs").exists()
