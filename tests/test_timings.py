"""The timing files: what is read, refused and shown, and that no time stands there without its machine."""

import json

import pytest
from test_bench import report

from bivm_ref import timings
from bivm_ref.errors import UserError


@pytest.fixture
def made() -> dict:
    """test_bench's report by hand (ours 100 ms on one core), with a pass on all cores beside it."""
    data = report()
    (one,) = data["passes"]
    row = {"contender": "packed masked", "note": "", "ms": 60.0, "ratio": 1.0}
    rows = [{**row, "threads": 2}, {**row, "threads": 1, "ms": 97.0, "ratio": 1.5},
            {**row, "contender": "packed dense", "threads": 2, "ratio": 1.1}]
    one["rows"].append({**row, "contender": "packed dense", "threads": 1, "ratio": 1.2})
    data["passes"].append({**one, "cores": "all", "threads": 2, "core": None, "rows": rows})
    data["machine"] |= {"cpu": "Cortex-A76", "board": "Raspberry Pi 5", "architecture": "aarch64", "virtual": None}
    data["before"]["date"] = "2030-01-02T03:04:05+00:00"
    return data


def test_the_shipped_files_are_read_and_each_has_a_line():
    held = timings.read_all()
    lines = timings.as_table(held).splitlines()
    assert len(lines) == 1 + len(held) >= 2
    for line, (name, data) in zip(lines[1:], held.items()):
        assert line.startswith(name) and timings.machine_name(data) in line and data["before"]["date"][:10] in line


def test_a_line_has_time_ratio_and_threads(made):
    made["passes"][0]["rows"][0]["ms"] = 123.4
    head, line = timings.as_table({"pi": made}).splitlines()
    assert head.split() == ["file", "machine", "date", "masked", "ms", "dense", "threads"]
    assert line == "pi    Raspberry Pi 5 (aarch64)  2030-01-02  123.4      1.20x  1: 1.00x, 2: 1.50x"


def test_a_size_that_was_not_measured_is_a_dash(made):
    assert timings.as_table({"pi": made}, (64, 48)).splitlines()[1].split()[-3:] == ["-", "-", "-"]


def test_speedups_are_within_the_pass_on_all_cores(made):
    assert timings.speedups(made, (512, 288)) == {1: 1.0, 2: 1.5}
    assert timings.speedups(made, [64, 48]) == {1: 1.0}
    made["passes"].pop()
    assert timings.speedups(made, (512, 288)) == {1: 1.0}


@pytest.mark.parametrize(("architecture", "arm"), [("aarch64", True), ("arm64", True), ("armv7l", True),
                                                   ("x86_64", False), (None, False), ("AMD64", False)])
def test_arm_is_known_by_its_name(made, architecture, arm):
    made["machine"]["architecture"] = architecture
    assert timings.is_arm(made) is arm


def test_a_report_is_written_whole_and_read_back(made, tmp_path):
    path = timings.write(made, tmp_path / "new" / "folder" / "pi.json")
    assert timings.read_all(path.parent) == {"pi": json.loads(json.dumps(made))}
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_that_cannot_be_made_is_one_line(made, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="pi.json: cannot be written .*choose another folder"):
        timings.write(made, tmp_path / "file" / "pi.json")


@pytest.mark.parametrize(("text", "message"), [
    ("{", "not JSON"), ("[]", "not a timing file"), ('{"schema": 99}', "not a timing file"),
    ('{"schema": 1, "machine": {}}', "not a timing file")])
def test_other_files_are_refused_by_name(tmp_path, text, message):
    (tmp_path / "odd.json").write_text(text)
    with pytest.raises(UserError, match=f"odd.json: {message}.*bench --json"):
        timings.read_all(tmp_path)


def test_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(UserError, match="none.json: cannot be read"):
        timings.read(tmp_path / "none.json")
