"""What is known about the machine that a time was measured on: a time without it says nothing.

Processor or board, cores, frequency, governor, temperature, throttling, memory, NumPy and its SIMD features, system,
date. Every system tells some of it, in another place: whatever cannot be read is None, and nothing here raises, for
no measurement should be lost to a missing file. `root` is there for the tests, which build a small /proc and /sys of
their own. Neither the machine's name nor its owner's is among the facts.
"""

from __future__ import annotations

import contextlib
import datetime
import functools
import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/")
WATCHED = 0.5  # seconds
PACKAGES = ("numpy", "pillow", "av", "torch", "onnx", "onnxruntime")
ARM_PARTS = {  # "CPU part" of /proc/cpuinfo, implementer 0x41: the cores of the boards one meets
    0xd03: "Cortex-A53", 0xd04: "Cortex-A35", 0xd05: "Cortex-A55", 0xd07: "Cortex-A57", 0xd08: "Cortex-A72",
    0xd09: "Cortex-A73", 0xd0a: "Cortex-A75", 0xd0b: "Cortex-A76", 0xd0c: "Neoverse-N1", 0xd0d: "Cortex-A77",
    0xd40: "Neoverse-V1", 0xd41: "Cortex-A78", 0xd49: "Neoverse-N2", 0xd4f: "Neoverse-V2"}
THROTTLED = {0: "under-voltage", 1: "frequency capped", 2: "throttled", 3: "soft temperature limit"}  # vcgencmd's bits


def _or_none(read):
    """A reader that answers None where its file, its program or its line is missing or strange."""
    @functools.wraps(read)
    def inner(*arguments, **named):
        try:
            return read(*arguments, **named)
        except Exception:  # whatever it is, the measurement goes on
            return None
    return inner


def facts(root: Path = ROOT) -> dict:
    """What stays the same while one measures."""
    return {"cpu": cpu(root), "board": board(root), "architecture": platform.machine() or None,
            "virtual": virtual(root), "cores": os.cpu_count(), "cores_allowed": len(allowed_cores()),
            "max_mhz": max_mhz(root), "memory_mb": memory_mb(root), "os": system(root), "kernel": kernel(),
            "python": f"{platform.python_implementation()} {platform.python_version()}",
            "packages": {name: version(name) for name in PACKAGES}, "simd": simd()}


def state(root: Path = ROOT) -> dict:
    """What changes while one measures: recorded before and after, for a hot board is a slow one."""
    return {"date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "load_average": load_average(), "busy_cores": busy_cores(root), "mhz": mhz(root),
            "governor": governor(root), "celsius": celsius(root), "throttling": throttling(root)}


def allowed_cores() -> list[int]:
    """The numbers of the cores that this process may use; just counted where the system cannot say."""
    try:
        return sorted(os.sched_getaffinity(0))
    except (AttributeError, OSError):
        return list(range(os.cpu_count() or 1))


def pin(core: int | None) -> bool:
    """Keep this process, and the threads it will start, on one core. False where the system cannot."""
    if core is None or not hasattr(os, "sched_setaffinity"):
        return False
    os.sched_setaffinity(0, {core})
    return True


@contextlib.contextmanager
def pinned(core: int | None = None) -> Iterator[int | None]:
    """Keep this thread on one core for a while: `with pinned() as core:`. None as the argument: the last allowed core.

    Yields the core's number, None where nothing can be pinned; afterwards the thread may use what it could before.
    """
    before = allowed_cores()
    core = before[-1] if core is None else core
    held = pin(core)
    try:
        yield core if held else None
    finally:
        if held:
            os.sched_setaffinity(0, before)


def peak_memory(root: Path = ROOT) -> float | None:
    """The most memory this process has held, in MB.

    Linux keeps it as VmHWM. getrusage's maximum serves elsewhere: on Linux it survives exec, so that a process which
    a large one started would report its parent's.
    """
    line = _field(_text(root / "proc/self/status"), "VmHWM")
    return int(line.split()[0]) * 1.024e-3 if line else _usage()


@_or_none
def _usage() -> float:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3 / 1.024)


# -- what stays ---------------------------------------------------------------------------------------------

@_or_none
def cpu(root: Path = ROOT) -> str | None:
    info = _text(root / "proc/cpuinfo") or ""
    if name := _field(info, "model name"):
        return name
    if parts := sorted({int(part, 16) for part in re.findall(r"^CPU part\s*:\s*(0x[0-9a-f]+)", info, re.M)}):
        return " + ".join(ARM_PARTS.get(part, f"ARM part {part:#x}") for part in parts)
    if sys.platform == "darwin":
        return _answer("sysctl", "-n", "machdep.cpu.brand_string")
    return platform.processor() or None


@_or_none
def board(root: Path = ROOT) -> str | None:
    """The maker's name of a board, such as a Raspberry Pi; PCs have no device tree."""
    name = _text(root / "proc/device-tree/model") or _field(_text(root / "proc/cpuinfo"), "Model")
    return name.strip("\0 \n") or None if name else None


@_or_none
def virtual(root: Path = ROOT) -> bool | None:
    """Whether x86's flags say that a hypervisor is beneath: its other guests then share in the times."""
    flags = _field(_text(root / "proc/cpuinfo"), "flags")
    return "hypervisor" in flags.split() if flags else None


@_or_none
def max_mhz(root: Path = ROOT) -> float | None:
    """The fastest core's, of those that name one."""
    paths = (root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/cpuinfo_max_freq")
    return max((int(text) / 1e3 for path in paths if (text := _text(path))), default=None)


@_or_none
def memory_mb(root: Path = ROOT) -> int | None:
    line = _field(_text(root / "proc/meminfo"), "MemTotal")
    return round(int(line.split()[0]) * 1.024e-3) if line else None


@_or_none
def system(root: Path = ROOT) -> str | None:
    named = re.search(r'^PRETTY_NAME="?([^"\n]+)', _text(root / "etc/os-release") or "", re.M)
    return named.group(1) if named else f"{platform.system()} {platform.release()}".strip() or None


@_or_none
def kernel() -> str | None:
    return f"{platform.system()} {platform.release()}".strip() or None


@_or_none
def version(package: str) -> str:
    return importlib.metadata.version(package)


@_or_none
def simd() -> list[str]:
    """The processor's features that NumPy uses, baseline and dispatched."""
    from numpy._core._multiarray_umath import __cpu_baseline__, __cpu_dispatch__, __cpu_features__

    return [name for name in [*__cpu_baseline__, *__cpu_dispatch__] if __cpu_features__.get(name)]


# -- what changes -------------------------------------------------------------------------------------------

@_or_none
def load_average() -> float:
    """Of the last minute, what we did in it included."""
    return round(os.getloadavg()[0], 2)


@_or_none
def busy_cores(root: Path = ROOT) -> float | None:
    """How many cores' worth of work is going on while we do nothing: that of other programs, and of other guests
    where this is one of a hypervisor's."""
    def ticks() -> list[int]:
        return list(map(int, _text(root / "proc/stat").splitlines()[0].split()[1:9]))

    before = ticks()
    time.sleep(WATCHED)
    user, nice, system_, idle, waiting, *rest = (b - a for a, b in zip(before, ticks(), strict=True))
    busy = user + nice + system_ + sum(rest)
    return round((os.cpu_count() or 1) * busy / (busy + idle + waiting), 2)


@_or_none
def mhz(root: Path = ROOT) -> list[float] | None:
    """Of every core, now."""
    cores = _per_core(root, "cpufreq/scaling_cur_freq")
    if cores:
        return [int(text) / 1e3 for text in cores]
    return [float(text) for text in re.findall(r"^cpu MHz\s*:\s*([\d.]+)", _text(root / "proc/cpuinfo") or "", re.M)] \
        or None


@_or_none
def governor(root: Path = ROOT) -> str | None:
    return ", ".join(sorted(set(_per_core(root, "cpufreq/scaling_governor")))) or None


@_or_none
def celsius(root: Path = ROOT) -> dict[str, float] | None:
    """{sensor: degrees}."""
    found = {}
    for zone in sorted((root / "sys/class/thermal").glob("thermal_zone*")):
        degrees = _text(zone / "temp")
        if degrees and degrees.strip("- \n").isdecimal():
            found[f"{zone.name} {(_text(zone / 'type') or '').strip()}".strip()] = int(degrees) / 1e3
    return found or None


@_or_none
def throttling(root: Path = ROOT) -> str | None:
    """In words: a Raspberry Pi's own flags, or how often the cores of a PC were slowed since it started."""
    flags = _answer("vcgencmd", "get_throttled")
    if flags and (value := re.search(r"0x([0-9a-fA-F]+)", flags)):
        bits = int(value.group(1), 16)
        now = [name for bit, name in THROTTLED.items() if bits >> bit & 1]
        ever = [name for bit, name in THROTTLED.items() if bits >> bit + 16 & 1]
        return f"now: {', '.join(now) or 'none'}; since boot: {', '.join(ever) or 'none'}"
    counts = _per_core(root, "thermal_throttle/core_throttle_count")
    return f"{sum(map(int, counts))} times since boot, all cores" if counts else None


# -- reading ------------------------------------------------------------------------------------------------

@_or_none
def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def _field(text: str | None, name: str) -> str | None:
    """The value of the first line "name : value"."""
    found = re.search(rf"^{re.escape(name)}\s*:\s*(.+?)\s*$", text or "", re.M)
    return found.group(1) if found else None


def _per_core(root: Path, name: str) -> list[str]:
    cores = (root / "sys/devices/system/cpu").glob("cpu[0-9]*")
    texts = [_text(core / name) for core in sorted(cores, key=lambda path: int(path.name[3:]))]
    return [text.strip() for text in texts if text]


@_or_none
def _answer(*command: str) -> str | None:
    """What a program prints, where it is installed."""
    if shutil.which(command[0]) is None:
        return None
    done = subprocess.run(command, capture_output=True, text=True, timeout=5)
    return done.stdout.strip() if done.returncode == 0 else None
