"""tools/training_folders.py: who is listed, how often, and what is left out."""

import sys

import pytest

from bivm_ref.errors import UserError
from bivm_ref.reporting import run_and_report
from tools import training_folders as tool


@pytest.fixture
def sources(tmp_path):
    files = {"near": ("h000059.webp", "h000060.webp", "h000061.webp"), "far": ("h002000.webp",),
             "rooms": ("b000009.jpg", "b000010.jpg"), "templates/people": ("npm_a.png", "npm_b.png"),
             "templates/places": ("npm_c.png",), "templates/whole": ("npm_a.png",), "four/people": ("one_0.png",),
             "four/places": ("one_p0.png",)}
    for folder, names in files.items():
        (tmp_path / folder).mkdir(parents=True)
        for name in names:
            (tmp_path / folder / name).write_bytes(f"{folder}/{name}".encode())
    return tmp_path


def arguments(root):
    return {"rendered": [root / "near", root / "far"], "scenes": root / "rooms", "templates": root / "templates",
            "four": root / "four"}


def test_every_file_is_listed_as_often_as_was_asked_and_the_held_out_ones_not_at_all(sources):
    counts = tool.lay_out(sources / "out", **arguments(sources), rendered_times=3, four_times=2, places_times=1)
    names = {folder.name: sorted(file.name for file in folder.iterdir()) for folder in (sources / "out").iterdir()}
    assert names == {
        "people": sorted(["h000060.webp", "again1_h000060.webp", "again2_h000060.webp",
                          "h000061.webp", "again1_h000061.webp", "again2_h000061.webp",
                          "h002000.webp", "again1_h002000.webp", "again2_h002000.webp",
                          "npm_a.png", "npm_b.png", "one_0.png", "again1_one_0.png"]),
        "scenes": ["b000010.jpg"], "places": ["npm_c.png", "one_p0.png"], "whole": ["npm_a.png"]}
    assert counts == {folder: len(files) for folder, files in names.items()}
    assert (sources / "out/people/again2_h002000.webp").read_bytes() == b"far/h002000.webp"
    assert (sources / "out/whole/npm_a.png").read_bytes() == b"templates/whole/npm_a.png"


def test_where_there_are_no_links_it_copies(sources, monkeypatch):
    def refused(*_):
        raise OSError("no links here")

    monkeypatch.setattr(tool.os, "link", refused)
    tool.lay_out(sources / "out", [sources / "far"], None, None, None)
    assert (sources / "out/people/again1_h002000.webp").read_bytes() == b"far/h002000.webp"


def test_what_is_missing_twice_or_there_already_is_said_before_anything_is_written(sources):
    good = arguments(sources)
    for change, said in (({"scenes": sources / "none"}, "none: no such folder"),
                         ({"rendered": [sources / "templates"]}, "no image to train on")):
        with pytest.raises(UserError, match=said):
            tool.lay_out(sources / "out", **{**good, **change})
        assert not (sources / "out").exists()
    with pytest.raises(UserError, match="h002000.webp is there already, out of another folder"):
        tool.lay_out(sources / "out", [sources / "far", sources / "far"], None, None, None)
    with pytest.raises(UserError, match="out: is there already; name a new folder"):
        tool.lay_out(sources / "out", **good)
    with pytest.raises(UserError, match="nothing to lay out"):
        tool.lay_out(sources / "other", [], None, None, None)


def test_the_command_says_how_many(sources, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["training_folders", str(sources / "out"), "--rendered", str(sources / "near"),
                                      str(sources / "far"), "--templates", str(sources / "templates"),
                                      "--rendered-times", "1"])
    assert run_and_report(tool.main) == 0
    assert capsys.readouterr().out == "people: 5 files, places: 1 files, whole: 1 files\n"
