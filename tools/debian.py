"""Files of Debian's archive, fetched without apt's help and without root: resumed, checked, unpacked, never installed.

`make test-arm64` takes QEMU and an aarch64 Python from there, `make test-browser` a Chromium.

The mirror and the proxy are those of this machine's apt, where it has any. What is fetched is held to Debian's
own chain: the signature of the release file, in it the sha256 of the package list, in that the sha256 of every
package.
"""

from __future__ import annotations

import functools
import hashlib
import http.client
import lzma
import re
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterable
from pathlib import Path

from bivm_ref.errors import UserError

FALLBACK = ("https://deb.debian.org/debian", "trixie")  # where apt has no plain Debian source
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
ONLY_FOR_INSTALLING = frozenset(("debconf", "dpkg"))  # named for the packages' install scripts; none runs here
TRIES = 3
target = "test-arm64"  # of the Makefile, before every line; tools/browser.py puts its own here


def say(line: str) -> None:
    print(f"{target}: {line}", flush=True)


@functools.cache
def asked(*command: str) -> str:
    """What a command of apt prints; nothing where there is no apt."""
    try:
        return subprocess.run(command, capture_output=True, text=True).stdout
    except OSError:
        return ""


def debian_source() -> tuple[str, str]:
    """(mirror, suite): the plain Debian archive that this machine's apt reads, or else FALLBACK."""
    form = "$(REPO_URI) $(RELEASE) $(COMPONENT)"
    for line in asked("apt-get", "indextargets", "--format", form, "Identifier: Packages").splitlines():
        mirror, suite, component = line.split()
        if re.fullmatch(r"https?://.*/debian/?", mirror) and component == "main" and re.fullmatch(r"\w+", suite):
            mirror = mirror.rstrip("/")
            # Without a signature to check, the connection has to be trusted instead.
            return (mirror, suite) if can_verify() or mirror.startswith("https:") else (FALLBACK[0], suite)
    return FALLBACK


def can_verify() -> bool:
    return bool(shutil.which("gpgv")) and KEYRING.is_file()


def package_index(mirror: str, suite: str, arch: str, cache: Path) -> dict[str, dict[str, str]]:
    """Debian's list of packages: {name: its fields}."""
    say(f"reading the {arch} package list of {mirror} {suite} (9 MB)")
    folder = cache / "downloads"
    folder.mkdir(parents=True, exist_ok=True)
    release = folder / f"InRelease-{suite}"
    release.unlink(missing_ok=True)  # the one file without a checksum, and an old one names lists that are gone
    download(f"{mirror}/dists/{suite}/InRelease", release)
    text = release.read_text(encoding="utf-8")
    if can_verify():
        checked = subprocess.run(["gpgv", "-q", "--keyring", str(KEYRING), "--output", "-", str(release)],
                                 capture_output=True, text=True)
        if checked.returncode:
            raise UserError(f"{mirror} {suite}: not signed by Debian; use another mirror")
        text = checked.stdout
    listed = re.search(rf"^ ([0-9a-f]{{64}}) +\d+ main/binary-{arch}/Packages\.xz$", text, re.M)
    if listed is None:
        raise UserError(f"{mirror} {suite}: no package list for {arch}; use another mirror")
    file = folder / f"Packages-{suite}-{arch}.xz"
    download(f"{mirror}/dists/{suite}/main/binary-{arch}/Packages.xz", file, listed[1])
    index = parse_index(lzma.decompress(file.read_bytes()).decode())
    file.unlink()
    release.unlink()
    return index


def parse_index(text: str) -> dict[str, dict[str, str]]:
    stanzas = (dict(re.findall(r"^([\w-]+): (.*)$", stanza, re.M)) for stanza in text.split("\n\n"))
    return {fields["Package"]: fields for fields in stanzas if "Package" in fields}


def closure(index: dict[str, dict[str, str]], roots: Iterable[str],
            without: frozenset[str] = ONLY_FOR_INSTALLING) -> list[dict[str, str]]:
    """The packages and all that they depend on, less `without`; of alternatives, the first that there is."""
    chosen, todo = {}, list(roots)
    while todo:
        name = todo.pop()
        if name in chosen or name in without:
            continue
        chosen[name] = index[name]
        clauses = f"{index[name].get('Pre-Depends', '')},{index[name].get('Depends', '')}".split(",")
        for clause in clauses:
            names = [re.split(r"[\s:(\[]", option.strip())[0] for option in clause.split("|")]
            todo += [option for option in names if option in index][:1]
    return [chosen[name] for name in sorted(chosen)]


def download_packages(mirror: str, packages: list[dict[str, str]], cache: Path) -> list[Path]:
    megabytes = sum(int(fields["Size"]) for fields in packages) / 1e6
    say(f"fetching {len(packages)} packages of {mirror} ({megabytes:.0f} MB)")
    files = []
    for fields in packages:
        files.append(cache / "downloads" / Path(fields["Filename"]).name)
        download(f"{mirror}/{fields['Filename']}", files[-1], fields["SHA256"])
    return files


def download(url: str, file: Path, sha256: str | None = None) -> None:
    """Fetch url into file, going on where an earlier call broke off. UserError if it is not what sha256 says."""
    if sha256 and file.is_file() and sha256_of(file) == sha256:
        return
    part = file.with_name(file.name + ".part")
    if sha256 is None:
        part.unlink(missing_ok=True)  # without a checksum the two halves might be of two releases
    for left in reversed(range(TRIES)):
        try:
            resume(url, part)
            break
        except (OSError, http.client.HTTPException) as error:
            if not left or isinstance(error, urllib.error.HTTPError):
                reason = getattr(error, "reason", error)
                raise UserError(f"{url}: {reason}") from error
    if sha256 and sha256_of(part) != sha256:
        part.unlink()
        raise UserError(f"{url}: its sha256 is not the listed {sha256}; it was thrown away, run again")
    part.replace(file)


def resume(url: str, part: Path) -> None:
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"User-Agent": f"bivm_ref {target}"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    # http_proxy and its sisters, as urllib reads them, and for want of those the proxy that apt uses.
    proxies = {kind: proxy for kind in ("http", "https")
               if (proxy := asked("apt-config", "dump", "--format", "%v", f"Acquire::{kind}::Proxy").strip())}
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({**proxies, **urllib.request.getproxies()}))
    try:
        with opener.open(request, timeout=60) as answer:
            kept = have if answer.status == 206 else 0  # 206: the answer is only what was missing
            expected = kept + int(answer.headers.get("Content-Length", 0))
            with part.open("ab" if kept else "wb") as out:
                shutil.copyfileobj(answer, out, 1 << 20)
    except urllib.error.HTTPError as error:
        if error.code != 416:  # 416: nothing was missing, the break came after the last byte
            raise
        return
    if part.stat().st_size < expected:
        raise OSError("the connection broke off")


def sha256_of(file: Path) -> str:
    with file.open("rb") as stream:
        total = hashlib.sha256()
        while block := stream.read(1 << 20):
            total.update(block)
    return total.hexdigest()


# -- unpacking --

def dpkg_deb(*words: str | Path, stdout=None) -> None:
    """It only unpacks here, into a folder of ours: no root, no database of packages."""
    if not shutil.which("dpkg-deb"):
        raise UserError("no dpkg-deb here to unpack Debian's packages: install the package dpkg, then run again")
    if subprocess.run(["dpkg-deb", *map(str, words)], stdout=stdout).returncode:
        raise UserError(f"{words[1]}: dpkg-deb cannot unpack it; look for room on the disk, then run again")


def unpack(debs: Iterable[Path], folder: Path) -> None:
    """All of them into one folder, which then looks like the root of a Debian."""
    for deb in debs:
        dpkg_deb("-x", deb, folder)
    for name in ("lib", "lib64"):  # Debian 13 ships everything below usr/, and base-files ships the links
        if (folder / "usr" / name).exists() and not (folder / name).exists():
            (folder / name).symlink_to(f"usr/{name}")


class Beside:
    """A folder made beside its place: `with Beside(place) as folder` renames it there at the end, if all went well."""

    def __init__(self, place: Path) -> None:
        self.place, self.folder = place, place.with_name(place.name + ".part")

    def __enter__(self) -> Path:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        return self.folder

    def __exit__(self, kind, *_) -> None:
        if kind is None:
            shutil.rmtree(self.place, ignore_errors=True)
            self.folder.rename(self.place)
