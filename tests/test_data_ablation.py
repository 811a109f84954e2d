"""tools/data_ablation.py: no row is made twice, a table worked by hand, and README's equal to the rows."""

import json
import sys

import numpy as np
import pytest
from cli_tools import ROOT
from PIL import Image

from tools import data_ablation as tool


@pytest.fixture
def folders(tmp_path):
    """A still and a room to train on, one of each held out, and a photograph: the tool's options that name them."""
    still = np.zeros((48, 40, 4), np.uint8)
    still[6:, 6:34] = (200, 120, 90, 255)
    for place, names in (("people", ("h000060.png",)), ("held/stills", ("h000003.png",)),
                         ("clips/c000060", ("0000.png", "0001.png"))):
        (tmp_path / place).mkdir(parents=True)
        for name in names:
            Image.fromarray(still, "RGBA").save(tmp_path / place / name)
    for place, name in (("scenes", "b000010.jpg"), ("held/scenes", "b000003.jpg"), ("photos", "sea.jpg")):
        (tmp_path / place).mkdir(parents=True)
        Image.new("RGB", (96, 64), (20, 90, 160)).save(tmp_path / place / name)
    where = {"people": "people", "moving": "clips", "scenes": "scenes", "photos": "photos", "held-out": "held",
             "out": "runs"}
    return [word for name, place in where.items() for word in (f"--{name}", str(tmp_path / place))]


def row(arm, seed, portrait, astronaut, people, iou, empty):
    return {"arm": arm, "seed": seed, "steps": 5, "portrait": {"MAD": portrait}, "astronaut": {"MAD": astronaut},
            "people": {"MAD": people, "IoU": iou}, "empty": {"MAD": empty}}


def test_the_table_by_hand():
    rows = [row("stills", 1, 110.0, 90.0, 40.0, 0.5, 20.0), row("procedural", 0, 200.0, 150.4, 80.0, 0.25, 30.0),
            row("stills", 0, 100.0, 80.0, 42.0, 0.7, 40.0)]
    assert tool.table(rows).splitlines()[2:] == [
        "| procedural figures and textures | 200 | 150 | 80 (0.25) | 0.030 |",
        "| + rendered people | 105 (110, 100) | 85 (90, 80) | 41 (0.60) | 0.030 |",
    ]


def test_every_arm_adds_one_thing_to_the_one_above():
    arms = list(tool.ARMS.values())
    for (_, folders, odds), (_, more, others) in zip(arms, arms[1:], strict=False):
        added = set(more) - set(folders)
        assert set(folders) <= set(more) and len(added) + (odds != others) == 1


def test_a_finished_run_is_a_row_and_is_not_made_again(tmp_path, monkeypatch, folders):
    for name in ("README.md", "rows.jsonl"):
        (tmp_path / name).write_text(f"before {tool.MARKERS[0]} {tool.MARKERS[1]} after" if name[0] == "R" else "")
    monkeypatch.setattr(tool, "ROOT", tmp_path)
    monkeypatch.setattr(tool, "ROWS", tmp_path / "rows.jsonl")
    monkeypatch.setattr(tool, "HEIGHT", 32)
    monkeypatch.setattr(tool, "WIDTH", 48)
    monkeypatch.setattr(sys, "argv", ["data_ablation", "run", "--arms", "procedural,cloth", "--steps", "1", *folders])
    tool.main()
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert [(r["arm"], r["seed"], r["steps"]) for r in rows] == [("procedural", 0, 1), ("cloth", 0, 1)]
    for found in rows:
        assert set(found) >= {"portrait", "astronaut", "people", "empty"}
        assert 0 <= found["portrait"]["IoU"] <= 1 and 0 < found["empty"]["MAD"] < 1000
    assert tool.table(rows) in (tmp_path / "README.md").read_text()
    monkeypatch.setattr(tool, "run", lambda *args: pytest.fail("a finished run was made again"))
    tool.main()
    assert len((tmp_path / "rows.jsonl").read_text().splitlines()) == 2


def test_what_is_missing_is_said(monkeypatch, capsys):
    for words, said in ((["run", "--arms", "films"], "unknown arm films"), (["run"], "run needs --people D")):
        monkeypatch.setattr(sys, "argv", ["data_ablation", *words])
        with pytest.raises(SystemExit) as stopped:
            tool.main()
        assert stopped.value.code == 2 and said in capsys.readouterr().err


def test_the_readme_shows_the_committed_rows():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert tool.MARKERS[0] in text and tool.readme(text, tool.read()) == text
    assert {found["arm"] for found in tool.read()} == set(tool.ARMS)
