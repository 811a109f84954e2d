"""Files that are there whole or not at all."""

import os

import pytest

from bivm_ref.errors import UserError
from bivm_ref.files import beside


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
