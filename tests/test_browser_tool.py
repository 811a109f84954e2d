"""`make test-browser`, how it comes to a browser: without network, without a browser and without playwright."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from bivm_ref.errors import UserError
from tools import browser

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("ci", ["1", None])
def test_without_a_browser_it_fails_with_one_loud_line(tmp_path, ci):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{unused.getsockname()[1]}"
    drop = ("no_proxy", "ci", "chromium")
    environment = {name: value for name, value in os.environ.items() if name.lower() not in drop}
    environment |= {"PATH": str(tmp_path), "BROWSER_CACHE": str(tmp_path / "cache"), "PYTHONDONTWRITEBYTECODE": "1"}
    environment |= dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), nowhere)
    environment |= {"CI": ci} if ci else {}
    program = "import sys; from tools import browser; browser.NAMES = browser.NAMES[:-1]; sys.exit(browser.main())"
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("test-browser: ERROR: NO BROWSER, so NOTHING WAS TESTED") and "install" in line


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with a chromium on PATH and one in the cache; starts(*programs) says which of them start."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("BROWSER_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setattr(browser, "NAMES", ("chromium",))
    monkeypatch.setattr(browser, "fetch", lambda cache: pytest.fail("it went to the network"))
    own, kept = tmp_path / "bin" / "chromium", tmp_path / "cache" / "root" / "start"
    for program in (own, kept):
        program.parent.mkdir(parents=True)
        program.touch(mode=0o755)

    def starts(*programs):
        monkeypatch.setattr(browser, "start", lambda p: ("150.0", "") if p in programs else ("", "no libnss3.so"))

    return own, kept, starts


def test_the_machines_own_is_taken_if_it_starts_and_else_the_one_in_the_cache(machine, capsys):
    own, kept, starts = machine
    starts(own, kept)
    assert browser.ready() == (own, "150.0")
    starts(kept)
    assert browser.ready() == (kept, "150.0")
    assert f"test-browser: {own} does not start (no libnss3.so)" in capsys.readouterr().out
    starts()
    with pytest.raises(UserError, match=r"^NO BROWSER.*start does not start: no libnss3\.so.*CHROMIUM=/path"):
        browser.ready()


def test_the_one_that_is_named_is_taken_or_refused_and_never_replaced(machine, monkeypatch):
    own, kept, starts = machine
    monkeypatch.setenv("CHROMIUM", str(kept))
    starts(own, kept)
    assert browser.ready() == (kept, "150.0")
    starts(own)
    with pytest.raises(UserError, match=rf"^CHROMIUM={kept}: it does not start \(no libnss3\.so\); name another"):
        browser.ready()


@pytest.mark.skipif(sys.platform != "linux", reason="the launcher is Linux's")
def test_the_launcher_finds_everything_in_its_own_folder_wherever_that_is(tmp_path):
    root = tmp_path / "a folder"
    program = root / "usr" / "lib" / "chromium"
    program.mkdir(parents=True)
    (program / "loader").write_text('#!/bin/sh\nprintf "%s\\n" "$FONTCONFIG_SYSROOT" "$@"\n')
    (root / "start").write_text(browser.LAUNCHER.format(triplet="x86_64-linux-gnu"))
    for file in (program / "loader", root / "start"):
        file.chmod(0o755)
    (tmp_path / "link").symlink_to(root / "start")
    result = subprocess.run([tmp_path / "link", "--headless", "a b"], capture_output=True, text=True, check=True)
    fonts, word, folders, chromium, helper, *rest = result.stdout.splitlines()
    assert (fonts, word, chromium) == (str(root), "--library-path", str(program / "chromium-headless-shell"))
    assert all(folder.startswith(str(root)) for folder in folders.split(":"))
    assert helper == f"--browser-subprocess-path={root / 'start'}" and rest[-2:] == ["--headless", "a b"]


def test_continuous_integration_runs_it_and_its_folders_are_ignored():
    assert "\nmake test-browser </dev/null\n" in (ROOT / ".ci" / "run").read_text("utf-8")
    ignored = (ROOT / ".gitignore").read_text("utf-8").splitlines()
    assert {".cache/", "outputs/", ".venv-board/"} <= set(ignored)
