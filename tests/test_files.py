"""Files that are there whole or not at all."""

import os
import subprocess
import sys

import pytest

from bivm_ref.errors import UserError
from bivm_ref.files import alone, beside


def test_the_old_file_stands_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "new" / "x.json"
    with beside(path) as part:
        part.write_text("first")
        assert not path.exists() and part.parent == path.parent
    with beside(path) as part:
        part.write_text("second")
        assert path.read_text() == "first"
    assert path.read_text() == "second"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_whatever_interrupts_leaves_what_was_there(tmp_path, error):
    path = tmp_path / "x.bin"
    path.write_bytes(b"old")
    with pytest.raises(error), beside(path) as part:
        part.write_bytes(b"ha")
        raise error
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_a_file_in_place_of_the_folder_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file/x.json: cannot be written \(.+\); name another with --out"):
        with beside(tmp_path / "file" / "x.json", "name another with --out") as part:
            part.write_text("")


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path):
    with pytest.raises(UserError, match="No space left on device"):
        with beside(tmp_path / "x") as part:
            part.write_bytes(b"half")
            raise OSError(28, os.strerror(28))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_another_process_works_in(tmp_path):
    """It is refused while that process lives, and free as soon as that is killed; a forked child keeps no lock."""
    script = ("import sys, time, pathlib, os; from bivm_ref.files import alone\n"
              "with alone(pathlib.Path(sys.argv[1])):\n"
              "    if hasattr(os, 'fork') and os.fork() == 0: os.close(1); time.sleep(2); os._exit(0)\n"
              "    print('in', flush=True); time.sleep(60)")
    other = subprocess.Popen([sys.executable, "-c", script, tmp_path], stdout=subprocess.PIPE)
    try:
        assert other.stdout.readline().strip() == b"in"
        with pytest.raises(UserError, match="another process works there; wait for its end, or name another"):
            with alone(tmp_path):
                raise AssertionError("both are in")
    finally:
        other.kill()
        other.communicate()
    with alone(tmp_path), alone(tmp_path, ".lock1"):  # another name is another lock
        assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", ".lock1"]


def test_a_folder_that_is_none(tmp_path):
    with pytest.raises(UserError, match="file: cannot be written"), alone(tmp_path / "file"):
        raise AssertionError("went on")
