"""An aarch64 Python with NumPy, and QEMU to run it, in one folder: nothing is installed on this machine.

Three parts, each made beside its place and renamed into it, so that a part which is there is whole:

    qemu/   qemu-aarch64-static of Debian, only when there is none on PATH
    root/   Debian's arm64 python3.x and the libraries it needs, unpacked, never installed
    site/   NumPy and the few wheels that the engine and the tests import, built for aarch64

User-mode QEMU needs neither root nor a binfmt registration: it is told the program and the folder (-L) in which
to look for the program's libraries. Everything downloaded is checked: the index by Debian's signature (or by
https where there is no gpgv), the packages by the sha256 in that index, the wheels by pip. A file that broke
off is continued by the next call, and a call that finds all three parts needs no network.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bivm_ref.errors import UserError

from ..debian import Beside, closure, debian_source, download_packages, dpkg_deb, package_index, say, unpack

ROOT = Path(__file__).resolve().parents[2]
WHEELS = ("numpy", "pillow", "safetensors", "pytest", "iniconfig", "pluggy", "packaging", "pygments")
PLATFORMS = ("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux_2_17_aarch64", "manylinux2014_aarch64")


def cache_folder() -> Path:
    """Where all of it lies: .cache/arm64 of the repository, or what ARM64_CACHE says."""
    return Path(os.environ.get("ARM64_CACHE") or ROOT / ".cache" / "arm64").absolute()


@dataclass(frozen=True)
class Emulator:
    """What it takes to run an aarch64 Python here."""

    qemu: Path
    root: Path
    site: Path
    cache: Path

    def command(self, *arguments: str) -> list[str]:
        python = next((self.root / "usr" / "bin").glob("python3.*[0-9]"))
        return [str(self.qemu), "-L", str(self.root), str(python), *arguments]

    def environment(self) -> dict[str, str]:
        """Only what the emulated side needs: this machine's Python settings must not reach it."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "CI") if name in os.environ}
        return {
            **kept, "PYTHONPATH": os.pathsep.join((str(self.site), str(ROOT))), "PYTHONNOUSERSITE": "1",
            "PYTHONPYCACHEPREFIX": str(self.cache / "pycache"),  # compiling under emulation is slow: keep it
            "PYTHONUNBUFFERED": "1", "LC_ALL": "C.UTF-8", "OPENBLAS_NUM_THREADS": "1",
            "QEMU_CPU": "cortex-a72",  # plain ARMv8 with NEON, the processor of a Raspberry Pi 4; not "all there is"
        }

    def run(self, *arguments: str, **options) -> subprocess.CompletedProcess:
        return subprocess.run(self.command(*arguments), cwd=ROOT, env=self.environment(), **options)


def ready(cache: Path | None = None) -> Emulator:
    """All three parts, fetched where they are missing, and tried once. UserError if that cannot be."""
    cache = cache_folder() if cache is None else cache
    cache.mkdir(parents=True, exist_ok=True)
    emulator = Emulator(find_qemu(cache), make_root(cache), make_site(cache), cache)
    program = "import numpy, platform; print(platform.machine(), numpy.__version__)"
    trial = emulator.run("-c", program, capture_output=True, text=True)
    if trial.returncode or not trial.stdout.startswith("aarch64 "):
        last = (trial.stderr.strip().splitlines() or ["no message"])[-1]
        raise UserError(f"{emulator.qemu}: the aarch64 Python does not start ({last}); delete {cache} and run again")
    say(f"aarch64 Python {python_version(emulator.root)}, NumPy {trial.stdout.split()[1]}, under {emulator.qemu.name}")
    return emulator


# -- the three parts --

def find_qemu(cache: Path) -> Path:
    """The one on PATH, the one in the cache, or Debian's, fetched now."""
    for name in ("qemu-aarch64-static", "qemu-aarch64"):
        if found := shutil.which(name):
            return Path(found)
    kept = cache / "qemu" / "qemu-aarch64-static"
    if kept.is_file():
        return kept
    try:
        fetch_qemu(cache)
    except (UserError, OSError) as error:
        raise UserError("QEMU CANNOT BE INSTALLED, so NOTHING WAS TESTED on aarch64: no qemu-aarch64-static on PATH, "
                        f"and fetching Debian's failed ({error}); get online, or install qemu-user-static, then "
                        "run again") from error
    return kept


def fetch_qemu(cache: Path) -> None:
    """Debian's static build, for this machine's own processor; of its fifty emulators only ours is unpacked."""
    mirror, suite = debian_source()
    index = package_index(mirror, suite, "amd64", cache)
    # Up to Debian 12 the static build is qemu-user-static; from 13 on it is qemu-user, and the other name is empty.
    offers = [index[name] for name in ("qemu-user-static", "qemu-user") if name in index]
    package = max(offers, key=lambda fields: int(fields["Size"]), default=None)
    if package is None:
        raise UserError(f"{mirror} {suite} has no qemu-user-static")
    (deb,) = download_packages(mirror, [package], cache)
    with Beside(cache / "qemu") as folder, tempfile.TemporaryFile() as tar:
        dpkg_deb("--fsys-tarfile", deb, stdout=tar)
        tar.seek(0)
        with tarfile.open(fileobj=tar) as members:
            found = [m for m in members if re.search(r"/qemu-aarch64(-static)?$", m.name) and m.isfile()]
            if not found:
                raise UserError(f"{deb.name} holds no qemu-aarch64")
            with (folder / "qemu-aarch64-static").open("wb") as out:
                shutil.copyfileobj(members.extractfile(found[0]), out)
        (folder / "qemu-aarch64-static").chmod(0o755)
    deb.unlink()


def make_root(cache: Path) -> Path:
    """Debian's arm64 Python and its libraries, unpacked into root/."""
    root = cache / "root"
    if (root / "packages.json").is_file():
        return root
    mirror, suite = debian_source()
    index = package_index(mirror, suite, "arm64", cache)
    version = ".".join(index["python3"]["Version"].split(".")[:2])
    packages = closure(index, (f"python{version}", "libstdc++6"))  # NumPy's wheel needs libstdc++
    debs = download_packages(mirror, packages, cache)
    say(f"unpacking {len(debs)} arm64 packages")
    with Beside(root) as folder:
        unpack(debs, folder)
        listed = {fields["Package"]: fields["Version"] for fields in packages}
        (folder / "packages.json").write_text(json.dumps({"python": version, "packages": listed}, indent=1))
    for deb in debs:
        deb.unlink()
    return root


def python_version(root: Path) -> str:
    return json.loads((root / "packages.json").read_text())["python"]


def make_site(cache: Path) -> Path:
    """The aarch64 wheels, of the releases that constraints.txt names, unzipped into site/."""
    site, python = cache / "site", python_version(cache / "root")
    wanted = {"python": python, **pins((ROOT / "constraints.txt").read_text(encoding="utf-8"), WHEELS)}
    note = site / "wheels.json"
    if note.is_file() and json.loads(note.read_text()) == wanted:
        return site
    say("fetching the aarch64 wheels of " + ", ".join(f"{name} {wanted[name]}" for name in WHEELS))
    downloads = cache / "downloads" / "wheels"
    shutil.rmtree(downloads, ignore_errors=True)  # those of another release would be unzipped as well
    command = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps",
               "--only-binary=:all:", "--implementation", "cp", "--python-version", python, "-d", str(downloads)]
    command += [word for platform in PLATFORMS for word in ("--platform", platform)]
    command += shlex.split(os.environ.get("PIP_ARGS", "")) + [f"{name}=={wanted[name]}" for name in WHEELS]
    result = subprocess.run(command, capture_output=True, text=True)  # pip checks each wheel's hash
    if result.returncode:
        last = (result.stderr.strip().splitlines() or ["no message"])[-1]
        raise UserError(f"pip could not fetch the aarch64 wheels for Python {python} ({last}); run again when online")
    with Beside(site) as folder:
        for wheel in sorted(downloads.glob("*.whl")):
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(folder)
        (folder / "wheels.json").write_text(json.dumps(wanted, indent=1))
    shutil.rmtree(downloads)
    return site


def pins(constraints: str, names: Iterable[str]) -> dict[str, str]:
    """{name: release} of the named packages in the text of constraints.txt."""
    listed = {name.lower(): release for name, release in re.findall(r"^([\w.-]+)==([^\s;]+)", constraints, re.M)}
    if missing := [name for name in names if name not in listed]:
        raise UserError(f"constraints.txt: no release of {', '.join(missing)}; add a line such as {missing[0]}==1.0")
    return {name: listed[name] for name in names}
