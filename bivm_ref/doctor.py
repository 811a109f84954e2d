"""What this machine has and lacks: versions, SIMD, video codecs, kernels, weights, one frame's time.

Every check imports what it needs itself, so that the doctor still answers when something is broken.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

PACKAGES = {"numpy": "2.0", "safetensors": "0.4.3", "pillow": "10.3", "av": "16.0", "tqdm": "4.66"}
CODECS = (  # (codec, "r" decode or "w" encode, what for, required)
    ("h264", "r", "reading most MP4 and MOV files", True), ("libx264", "w", "writing MP4, MOV and MKV", True),
    ("vp9", "r", "reading WebM", False), ("libvpx-vp9", "w", "writing WebM", False),
    ("hevc", "r", "reading phones' HEVC videos", False), ("gif", "w", "writing GIF", False),
    ("ffv1", "w", "writing lossless video", False))
FRAME = (288, 512)  # rows, columns of the timed frame


@dataclass
class Check:
    """One line of the doctor's answer. A failed check that is not required only narrows what can be done."""

    name: str
    ok: bool
    found: str
    cure: str = ""
    required: bool = True


def examine(threads: int = 1) -> list[Check]:
    """Run all checks; none of them raises."""
    checks = [_python(), *(_package(name, floor) for name, floor in PACKAGES.items()), _torch()]
    for name, check, required in (
            ("NumPy SIMD", _simd, False), ("bitwise_count", _bitwise_count, True), ("codecs", _codecs, True),
            ("kernels", _kernels, True), ("weights", _weights, True)):
        checks += _guarded(name, check, required)
    if healthy(checks):
        checks += _guarded("frame time", lambda: _frame_time(threads), True)
    return checks


def healthy(checks: list[Check]) -> bool:
    """Whether everything required is there."""
    return all(check.ok for check in checks if check.required)


def as_text(checks: list[Check]) -> str:
    lines = []
    for check in checks:
        mark = "ok     " if check.ok else "MISSING" if check.required else "absent "
        cure = f"; {check.cure}" if check.cure and not check.ok else ""
        lines.append(f"{mark} {check.name}: {check.found}{cure}")
    missing = [check.name for check in checks if check.required and not check.ok]
    return "\n".join([*lines, f"missing: {', '.join(missing)}" if missing else "everything required is here"])


def as_data(checks: list[Check]) -> dict:
    return {"healthy": healthy(checks), "checks": [asdict(check) for check in checks]}


def _guarded(name: str, check: Callable, required: bool) -> list[Check]:
    try:
        found = check()
    except Exception as error:  # the doctor reports, whatever happens
        message = " ".join(str(error).split()) or type(error).__name__
        return [Check(name, False, message, "mend what is missing above first", required)]
    return found if isinstance(found, list) else [found]


# -- versions -----------------------------------------------------------------------------------------------

def _python() -> Check:
    version = platform.python_version()
    machine = f"{platform.python_implementation()} {version} on {platform.system()} {platform.machine()}"
    return Check("python", tuple(map(int, version.split(".")[:2])) >= (3, 10), machine,
                 "install Python 3.10 or newer")


def _package(name: str, floor: str) -> Check:
    cure = f"pip install '{name}>={floor}'"
    try:
        importlib.import_module({"pillow": "PIL"}.get(name, name))
        version = importlib.metadata.version(name)
    except Exception as error:
        return Check(name, False, f"cannot be imported ({type(error).__name__})", cure)
    return Check(name, _numbers(version) >= _numbers(floor), version, cure)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int("".join(filter(str.isdigit, part)) or 0)
                 for part in version.split("+")[0].split(".")[:3])


def _torch() -> Check:
    try:
        version = importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return Check("torch", False, "not installed (needed to train and export, not to matte)",
                     "pip install 'bivm_ref[train]'", required=False)
    return Check("torch", True, version, required=False)


def _simd() -> Check:
    from . import machine

    on = machine.simd() or []
    return Check("NumPy SIMD", bool(on), " ".join(on) or "none", "the engine works, slowly", required=False)


def _bitwise_count() -> Check:
    import numpy as np

    return Check("bitwise_count", hasattr(np, "bitwise_count"), f"numpy {np.__version__}",
                 "pip install 'numpy>=2.0'")


def _codecs() -> list[Check]:
    import av

    checks = []
    for codec, mode, use, required in CODECS:
        try:
            av.Codec(codec, mode)
            ok = True
        except Exception:  # UnknownCodecError has moved between versions of av
            ok = False
        checks.append(Check(f"codec {codec}", ok, use if ok else f"none, for {use}",
                            "pip install --force-reinstall av (its wheels bring FFmpeg)", required))
    return checks


# -- the engine ---------------------------------------------------------------------------------------------

def _kernels() -> Check:
    """Every kernel against the slow loops, on an odd size, two sources and both strides."""
    import numpy as np

    from .packed.bits import pack_signs, pack_weights
    from .packed.conv import PackedConv
    from .packed.reference import dot_reference

    rng = np.random.default_rng(0)
    signs = rng.choice([-1, 1], (5, 7, 24))
    weights = rng.choice([-1, 1], (8, 24, 3, 3))
    maps = [pack_signs(signs[..., :16]), pack_signs(signs[..., 16:])]
    wrong = [f"{kernel}, stride {stride}" for kernel in ("xor", "table", "table4") for stride in (1, 2)
             if not np.array_equal(PackedConv(pack_weights(weights), stride, (16, 8), kernel).dot(maps),
                                   dot_reference(signs, weights, stride))]
    found = f"wrong sums: {'; '.join(wrong)}" if wrong else "xor, table and table4 give the slow loops' integers"
    return Check("kernels", not wrong, found, "reinstall numpy, and report this machine")


def _weights() -> Check:
    from .errors import UserError
    from .packed import weights

    try:
        path = weights.default_weights()
        arch, _, _ = weights.load(path)
    except UserError as error:
        return Check("weights", False, str(error), "or reinstall bivm_ref")
    return Check("weights", True, f"{path.name}, {arch.name}, {path.stat().st_size:,} bytes")


def _frame_time(threads: int) -> Check:
    import numpy as np

    from .packed import PackedBiVM

    frame = np.random.default_rng(0).integers(0, 256, (*FRAME, 3), dtype=np.uint8)
    net = PackedBiVM.load(threads=threads, dense=True)  # noise has no boundary: masked, it would be the cheapest frame
    net.step(frame)
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        net.step(frame)
        seconds.append(time.perf_counter() - start)
    return Check("frame time", True, f"{1e3 * min(seconds):.0f} ms for {FRAME[1]}x{FRAME[0]} pixels, every position "
                 f"computed, {threads} thread{'s' if threads > 1 else ''}; the least of {len(seconds)}")
