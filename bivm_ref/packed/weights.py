"""The weight file: a trained network in well under a megabyte, checked before a single value is used.

The container is safetensors: a JSON header, then raw little-endian arrays. Nothing in it is code (a pickle
could run any program when it is loaded, so none is ever read here). The metadata states every convention that
packed networks disagree about: what a 1 bit means, what sign(0) is, what lies outside the image.

In memory a network is a dict of small tensors, listed by `schema`:

    <conv>.bits          uint8  (cout, k, k, cin/8)   sign bits of a binary convolution (`bits.pack_weights`)
    encoder.f1.weight    int16  (C, 3, 3, 3)          the stem's 12-bit whole numbers
    ….theta              float32  thresholds: sign(x + theta)
    ….scale, ….shift     float32  batch norm, folded: y = scale * dot + shift
    ….gain, ….slope      float32  gains of the elastic shortcuts, slopes of the PReLUs
    …head.weight, .bias  float32  the three float heads

In the file the float vectors of one kind stand behind each other in the order of `schema`, as one tensor
"theta", one "scale" and so on: a header line costs some 85 bytes, as much as the 21 floats of a small layer, and
281 of them instead of 7 would make the default network 23 kB larger.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as parse
from safetensors.numpy import save as serialise

from bivm_ref.arch import Arch
from bivm_ref.errors import UserError
from bivm_ref.files import beside

DEFAULT_SIZE = 512
LARGEST_FILE = 1 << 28  # bytes; some 400 times the larger of the shipped networks
FORMAT_VERSION = "1"
CONVENTIONS = {"polarity": "1=+1", "sign_of_zero": "+1", "padding": "a tap outside the image adds 0"}
LARGEST_STEM_WEIGHT = 2047  # 12 bits: 27 taps x 255 x 2047 < 2^24, so float32 adds them exactly

SECTIONS = {  # the last part of a tensor's name -> what it is, for the table of sizes
    "bits": "binary weights", "theta": "thresholds", "scale": "batch norm", "shift": "batch norm",
    "gain": "shortcut gains", "slope": "PReLU slopes", "weight": "float heads", "bias": "float heads"}
STEM = "encoder.f1.weight"


def schema(arch: Arch) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Every tensor of a network of this arch: {name: (dtype, shape)}."""
    table: dict[str, tuple[str, tuple[int, ...]]] = {STEM: ("int16", (arch.stem, 3, 3, 3))}

    def vectors(prefix: str, channels: int, *names: str) -> None:
        table.update({f"{prefix}.{name}": ("float32", (channels,)) for name in names})

    for conv in arch.convs():
        name = conv.name
        if conv.kind == "binary":
            table[f"{name}.bits"] = ("uint8", (conv.cout, conv.kernel, conv.kernel, conv.cin // 8))
            vectors(name, conv.cout, "scale", "shift")
        elif conv.kind == "fixed":
            vectors(name, conv.cout, "scale", "shift", "slope")
        else:
            table[f"{name}.weight"] = ("float32", (conv.cout, conv.cin))
            vectors(name, conv.cout, "bias")
        if conv.kind != "binary" or name.endswith((".k3", ".k1")):
            continue  # the two-branch convolutions share the thresholds listed below
        vectors(name, conv.cin, "theta")
        if name == "decoder.d0.detail":
            vectors(name, conv.cout, "slope")  # its shortcut is a plain sum
        elif name != "neck.gate":
            vectors(name, conv.cout, "gain", "slope")

    def gru(prefix: str, channels: int) -> None:
        for sign in ("x", "h", "rh"):
            vectors(f"{prefix}.{sign}", channels, "theta")
        vectors(prefix, channels, "gain")

    gru("neck.gru", arch.neck // 2)
    below = arch.neck
    skips = arch.features[2::-1]
    for i, width in enumerate((*arch.decoder, arch.detail)):
        name = f"decoder.d{3 - i}"
        vectors(f"{name}.up", below, "theta")
        vectors(f"{name}.rgb", arch.rgb, "theta")
        vectors(name, width, "gain", "slope")
        if i < 3:
            vectors(f"{name}.skip", skips[i], "theta")
            gru(f"{name}.gru", width // 2)
        below = width
    vectors("refiner.norm", 8, "scale", "shift")
    return table


def file_schema(arch: Arch) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Every tensor of the *file*: {name: (dtype, shape)}, the float tensors joined by kind."""
    table: dict[str, tuple[str, tuple[int, ...]]] = {}
    for name, (dtype, shape) in schema(arch).items():
        if dtype == "float32":
            name = _kind(name)
            shape = (table.get(name, ("", (0,)))[1][0] + math.prod(shape),)
        table[name] = dtype, shape
    return table


def _kind(name: str) -> str:
    return name.rpartition(".")[2]


def _join(arch: Arch, tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Tensors of `schema` -> tensors of `file_schema`."""
    parts: dict[str, list[np.ndarray]] = {}
    for name, (dtype, _) in schema(arch).items():
        parts.setdefault(_kind(name) if dtype == "float32" else name, []).append(tensors[name])
    return {name: np.concatenate([p.ravel() for p in group]) if _kind(name) == name else
            np.ascontiguousarray(group[0]) for name, group in parts.items()}


def _split(arch: Arch, stored: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Tensors of `file_schema` -> tensors of `schema` (views)."""
    tensors, used = {}, dict.fromkeys(stored, 0)
    for name, (dtype, shape) in schema(arch).items():
        if dtype != "float32":
            tensors[name] = stored[name]
            continue
        kind, count = _kind(name), math.prod(shape)
        tensors[name] = stored[kind][used[kind]:used[kind] + count].reshape(shape)
        used[kind] += count
    return tensors


# -- writing --

def save(path: str | Path, tensors: Mapping[str, np.ndarray], arch: Arch, provenance: Mapping | None = None,
         figures: Mapping | None = None) -> None:
    """Write a weight file: beside its place first, then renamed, so a crash never leaves half a file there.

    provenance (data, command, seed, ...) and figures (metrics) are plain JSON dicts. Raises ValueError when
    the tensors are not those of `schema(arch)` or hold NaN or infinity, UserError when the place cannot be
    written.
    """
    path = Path(path)
    if problem := find_problem(schema(arch), tensors):
        raise ValueError(problem)
    metadata = {"format_version": FORMAT_VERSION, "arch": arch.to_json(), **CONVENTIONS,
                "provenance": _compact(provenance), "figures": _compact(figures)}
    data = serialise(_join(arch, tensors), metadata)
    with beside(path) as part:
        part.write_bytes(data)


def _compact(record: Mapping | None) -> str:
    return json.dumps(dict(record or {}), sort_keys=True, separators=(",", ":"), allow_nan=False)


# -- reading --

def load(path: str | Path) -> tuple[Arch, dict[str, np.ndarray], dict]:
    """Read and check a weight file -> (arch, {name: array}, metadata with provenance and figures as dicts).

    Raises UserError, one line with the file and the cure, for anything that is not exactly a network that
    this version knows. An array is handed out only after all of them passed.
    """
    path = Path(path)
    data = _read(path)
    header = _header(path, data)
    try:
        stored = parse(data)
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"{path}: damaged safetensors file ({_one_line(error)}); export it again") from error
    metadata = header.get("__metadata__") or {}
    arch = _check_metadata(path, metadata)
    if problem := find_problem(file_schema(arch), stored):
        raise UserError(f"{path}: {problem}; export the network again (bivm-ref export)")
    records = {}
    for key in ("provenance", "figures"):
        try:
            records[key] = json.loads(metadata.get(key, ""))
        except (ValueError, RecursionError):
            records[key] = None
        if not isinstance(records[key], dict):
            raise UserError(f"{path}: its {key} record is not a JSON object; export the network again")
    return arch, _split(arch, stored), {**metadata, **records}


def working_size(metadata: Mapping) -> int:
    """Pixels on the longer side at which a network works best: `size` in its provenance, the largest frame of
    its training; 512 where the file does not say."""
    size = metadata.get("provenance", {}).get("size", DEFAULT_SIZE)
    return size if isinstance(size, int) and size >= 16 else DEFAULT_SIZE


def _read(path: Path) -> bytes:
    if path.is_dir():
        raise UserError(f"{path}: is a folder; name the .safetensors file in it")
    if path.exists() and not path.is_file():
        raise UserError(f"{path}: not a file; give a network written by bivm-ref export")
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise UserError(f"{path}: {path.stat().st_size:,} bytes are no packed network's; give one written by "
                            "bivm-ref export")
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; check the path, or use the shipped network") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
    if not data:
        raise UserError(f"{path}: the file is empty; copy or export it again")
    if data[:2] in (b"PK", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"):
        raise UserError(f"{path}: a pickle (torch checkpoint?), not a packed network; use bivm-ref export")
    return data


def _header(path: Path, data: bytes) -> dict:
    """The JSON header of a safetensors file: 8 bytes little-endian length, then that many bytes of JSON."""
    stranger = UserError(f"{path}: not a safetensors file; give a network written by bivm-ref export")
    length = int.from_bytes(data[:8], "little")
    if data[8:9] != b"{" or length > 100_000_000:
        raise stranger
    short = UserError(f"{path}: the file is cut short ({len(data)} bytes); copy or export it again")
    if 8 + length > len(data):
        raise short
    try:
        header = json.loads(data[8:8 + length])
        entries = [entry for name, entry in header.items() if name != "__metadata__"]
        end = max((entry["data_offsets"][1] for entry in entries), default=0)
        if 8 + length + end > len(data):
            raise short
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
        raise stranger from error
    return header


def _check_metadata(path: Path, metadata: Mapping[str, str]) -> Arch:
    version = metadata.get("format_version")
    if version is None:
        raise UserError(f"{path}: a safetensors file, but not a packed BiVM (no format version); "
                        "give a network written by bivm-ref export")
    if version != FORMAT_VERSION:
        raise UserError(f"{path}: format version {version!r}, and this program reads {FORMAT_VERSION!r}; "
                        "update bivm_ref, or export the network again with this version")
    for key, known in CONVENTIONS.items():
        if metadata.get(key) != known:
            raise UserError(f"{path}: {key} is {metadata.get(key)!r}, and this engine has {known!r}; "
                            "export the network again with this version")
    try:
        arch = Arch.from_json(metadata.get("arch", ""))
        if not all(type(n) is int for _, shape in schema(arch).values() for n in shape):
            raise ValueError("a width is not a whole number")
        return arch
    except (ValueError, TypeError, ZeroDivisionError, RecursionError) as error:
        raise UserError(f"{path}: unknown architecture ({_one_line(error)}); "
                        "update bivm_ref, or export the network again with this version") from error


def find_problem(wanted: Mapping[str, tuple[str, tuple[int, ...]]],
                 tensors: Mapping[str, np.ndarray]) -> str | None:
    """The first way in which `tensors` are not exactly the `wanted` ones; None when they are."""
    if missing := sorted(wanted.keys() - tensors.keys()):
        return f"tensor {missing[0]} is missing{_others(missing)}"
    if extra := sorted(tensors.keys() - wanted.keys()):
        return f"unexpected tensor {extra[0]}{_others(extra)}"
    for name, (dtype, shape) in wanted.items():
        tensor = tensors[name]
        if tensor.shape != shape:
            return f"tensor {name} has shape {tensor.shape} where the architecture needs {shape}"
        if tensor.dtype != dtype:
            return f"tensor {name} is {tensor.dtype} where the format needs {dtype}"
        if dtype == "float32" and not np.isfinite(tensor).all():
            return f"tensor {name} holds NaN or infinity"
    if np.abs(tensors[STEM].astype(np.int32)).max() > LARGEST_STEM_WEIGHT:
        return f"tensor {STEM} holds weights beyond 12 bits"
    return None


def _others(names: list[str]) -> str:
    return f" (and {len(names) - 1} more)" if len(names) > 1 else ""


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:120]


# -- sizes --

def sections(path: str | Path) -> dict[str, int]:
    """Bytes of each part of a weight file; they add up to its size. Raises UserError as `load` does."""
    path = Path(path)
    _, tensors, _ = load(path)
    sizes = {"binary weights": 0, "stem weights": 0}
    for name, tensor in tensors.items():
        section = "stem weights" if name == STEM else SECTIONS[_kind(name)]
        sizes[section] = sizes.get(section, 0) + tensor.nbytes
    sizes["header"] = path.stat().st_size - sum(sizes.values())
    return sizes


def default_weights() -> Path:
    """The shipped network: the file named in bivm_ref/weights/SHIPPED. Raises UserError without one."""
    folder = Path(__file__).resolve().parent.parent / "weights"
    try:
        return folder / (folder / "SHIPPED").read_text(encoding="utf-8").strip()
    except OSError as error:
        raise UserError(f"{folder / 'SHIPPED'}: no network is shipped; name one with --weights") from error
