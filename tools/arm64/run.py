"""`make test-arm64`: the engine on an emulated aarch64 computes what it computes here, bit for bit.

    python -m tools.arm64.run

Runs the packed tests under user-mode QEMU, then recurrent clips on both sides, and compares. Emulation proves
results and nothing else: its times are no ARM machine's, so none is printed. Exit code 0: equal; 1: a test failed or
something differs, and the first that does is named; 2: it could not run at all (no QEMU, say). That is a failure as
well, in continuous integration (CI is set) as on a desk: a check that may pass without having run is none.
"""

from __future__ import annotations

import json
import platform
import sys
import tempfile
from pathlib import Path

from bivm_ref.errors import UserError

from ..debian import say
from . import digest, fetch

TESTS = "test_packed_*.py"


def run_tests(emulator: fetch.Emulator) -> int:
    """The packed tests, on the emulated side."""
    files = [str(file.relative_to(fetch.ROOT)) for file in sorted((fetch.ROOT / "tests").glob(TESTS))]
    say(f"emulated: {' '.join(files)}")
    # The conftest sets up matplotlib, which is not there; -qq drops pytest's closing line, which states a time.
    return emulator.run("-m", "pytest", "-qq", "-p", "tools.arm64.without_torch", "-p", "no:cacheprovider",
                        "--noconftest", *files).returncode


def run_clips(emulator: fetch.Emulator, folder: Path) -> list[digest.Row]:
    """The clips, here and emulated, compared."""
    clips, here, there = folder / "clips.npz", folder / "here", folder / "there"
    say(f"drawing the clips, {digest.FRAMES} frames each")
    digest.draw(clips)
    digest.run(clips, here)
    if emulator.run("-m", "tools.arm64.digest", str(clips), str(there)).returncode:
        raise UserError("the engine broke off under emulation, with the message above; mend that, then run again")
    machine = json.loads(there.with_suffix(".json").read_text())["machine"]
    if machine != "aarch64":
        raise UserError(f"the emulated side says that it is {machine}, not aarch64; delete {emulator.cache}, run again")
    return digest.compare(here, there)


def report(rows: list[digest.Row]) -> int:
    print(digest.HEADER)
    for row in rows:
        print(row)
    for row in rows:
        if row.first:
            say(f"FAILED: {row.title}: aarch64 differs from {platform.machine()} first in {row.first}")
            return 1
    accumulators = sum(row.total["accumulators"] for row in rows)
    if not accumulators:
        say("FAILED: nothing was recorded, so nothing was compared; see PackedBiVM.record")
        return 1
    say(f"aarch64 equals {platform.machine()}: all {accumulators} accumulators, masks and packed maps; "
        f"alpha within {digest.TOLERANCE:.0e}")
    return 0


def main() -> int:
    try:
        if sys.platform != "linux" or platform.machine() != "x86_64":
            raise UserError(f"it compares with x86-64 on Linux, and this is {platform.machine()} on {sys.platform}; "
                            "on an ARM machine `make test` runs the same tests for real")
        emulator = fetch.ready()
        failed = run_tests(emulator)
        with tempfile.TemporaryDirectory() as folder:
            different = report(run_clips(emulator, Path(folder)))
        if failed:
            say("FAILED: the packed tests under emulation, see above")
        return 1 if failed or different else 0
    except UserError as error:
        print(f"test-arm64: ERROR: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
