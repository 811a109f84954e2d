"""A Chromium for `make test-browser`: the machine's own, or else Debian's, unpacked into one folder.

    python -m tools.browser          # finds or fetches one, tries it, names it

In this order: what CHROMIUM names; a Chromium or Chrome on PATH; Debian's chromium-headless-shell with all its
libraries and one family of fonts (110 MB, once) in .cache/browser, or where BROWSER_CACHE says. Nothing is
installed: Debian's own loader starts it with Debian's own libraries, so that those of this machine, Debian or not,
do not matter. Each is tried before it is taken. Exit code 2 when there is none to be had: that is a failure, in
continuous integration as on a desk, for a check that may pass without having run is none.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from pathlib import Path

from bivm_ref.errors import UserError

from . import debian

ROOT = Path(__file__).resolve().parent.parent
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "chromium-headless-shell",
         "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")
PACKAGES = ("chromium-headless-shell", "fonts-dejavu-core")
# What these two are named for is a desktop: they print a window's properties and open a mail program.
WITHOUT = debian.ONLY_FOR_INSTALLING | {"x11-utils", "xdg-utils"}
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
CURE = "install Debian's chromium or Google Chrome, or name one: make test-browser CHROMIUM=/path/to/it"

# Debian's loader lies beside the program, for Chromium looks for its data where /proc/self/exe, the loader, is.
# Its helpers are started through this script as well; the zygote would not be, so it does without.
LAUNCHER = """#!/bin/sh
root=$(dirname "$(readlink -f "$0")")
export FONTCONFIG_SYSROOT="$root"
program="$root/usr/lib/chromium"
system="$root/usr/lib/{triplet}"
exec "$program/loader" --library-path "$root/lib/{triplet}:$system:$system/pulseaudio:$program" \\
    "$program/chromium-headless-shell" --browser-subprocess-path="$root/start" --no-zygote --no-sandbox "$@"
"""


def cache_folder() -> Path:
    return Path(os.environ.get("BROWSER_CACHE") or ROOT / ".cache" / "browser").absolute()


def ready() -> tuple[Path, str]:
    """(program, its version) of a Chromium that starts here. UserError when there is none."""
    debian.target = "test-browser"
    if named := os.environ.get("CHROMIUM"):
        version, reason = start(Path(named))
        if not version:
            raise UserError(f"CHROMIUM={named}: it does not start ({reason}); name another, or leave it out")
        return Path(named), version
    for found in filter(None, map(shutil.which, NAMES)):
        version, reason = start(Path(found))
        if version:
            return Path(found), version
        debian.say(f"{found} does not start ({reason})")
    program = cache_folder() / "root" / "start"
    try:
        if not program.is_file():
            fetch(cache_folder())
        version, reason = start(program)
        if not version:
            raise UserError(f"{program} does not start: {reason}")
    except (UserError, OSError) as error:
        raise UserError("NO BROWSER, so NOTHING WAS TESTED in one: none on PATH, and Debian's cannot be had "
                        f"({error}); get online and run again, or {CURE}") from error
    return program, version


def start(program: Path) -> tuple[str, str]:
    """(version, "") of a browser that starts and draws a page, or ("", why it does not)."""
    from playwright.sync_api import Error, sync_playwright

    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=program, timeout=60_000)
            page = browser.new_page()
            page.set_content("<p>it draws</p>")
            page.screenshot()
            return browser.version, ""
        except Error as error:
            told = [line for line in error.message.splitlines() if "[err]" in line] or error.message.splitlines()
            return "", told[0].strip()


def fetch(cache: Path) -> None:
    """Debian's, into cache/root."""
    machine = platform.machine()
    if sys.platform != "linux" or machine not in ARCHITECTURES:
        raise UserError(f"there is none for {machine} on {sys.platform}")
    mirror, suite = debian.debian_source()
    index = debian.package_index(mirror, suite, ARCHITECTURES[machine], cache)
    if missing := [name for name in PACKAGES if name not in index]:
        raise UserError(f"{mirror} {suite} has no {missing[0]}")
    debs = debian.download_packages(mirror, debian.closure(index, PACKAGES, WITHOUT), cache)
    debian.say(f"unpacking {len(debs)} packages")
    with debian.Beside(cache / "root") as folder:
        debian.unpack(debs, folder)
        triplet = f"{machine}-linux-gnu"
        (loader,) = (folder / "lib" / triplet).glob("ld-linux-*.so.*")
        shutil.copy(loader, folder / "usr" / "lib" / "chromium" / "loader")
        (folder / "start").write_text(LAUNCHER.format(triplet=triplet))
        (folder / "start").chmod(0o755)
    shutil.rmtree(cache / "downloads")


def main() -> int:
    try:
        program, version = ready()
    except UserError as error:
        print(f"test-browser: ERROR: {error}", file=sys.stderr)
        return 2
    debian.say(f"Chromium {version}, {program}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
