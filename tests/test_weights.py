"""The weight file: what is written comes back, and everything else is refused in one line."""

import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import torch
from safetensors import safe_open

from bivm_ref.arch import PRESETS, Arch, preset
from bivm_ref.errors import UserError
from bivm_ref.learn.engine import TorchEngine
from bivm_ref.learn.export import export
from bivm_ref.net import BiVM
from bivm_ref.packed import PackedBiVM, weights

SMALL = preset("small")


def random_tensors(arch: Arch, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    draw = {"uint8": lambda s: rng.integers(0, 256, s), "int16": lambda s: rng.integers(-2047, 2048, s),
            "float32": lambda s: rng.normal(0, 1, s)}
    return {name: draw[dtype](shape).astype(dtype) for name, (dtype, shape) in weights.schema(arch).items()}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "net.safetensors"
    weights.save(path, random_tensors(SMALL), SMALL, {"seed": 3}, {"mad": 12.5})
    return path


def rewrite(path: Path, change) -> None:
    """Read the file as plain safetensors, let `change(tensors, metadata)` edit both, write it again."""
    with safe_open(path, "numpy") as stored:
        metadata = stored.metadata()
    tensors = safetensors.numpy.load(path.read_bytes())
    change(tensors, metadata)
    path.write_bytes(safetensors.numpy.save(tensors, metadata))


def refusal(path: Path) -> str:
    """The message of the UserError; it names the file, is one line, and says what to do after a semicolon."""
    with pytest.raises(UserError) as caught:
        weights.load(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and "\n" not in message
    assert "; " in message or ", or " in message
    return message


# -- round trip and sizes --

@pytest.mark.parametrize("name", PRESETS)
def test_round_trip(tmp_path: Path, name: str) -> None:
    arch, path = preset(name), tmp_path / "a" / "net.safetensors"
    tensors = random_tensors(arch)
    weights.save(path, tensors, arch, {"command": "bivm-ref train", "seed": 3}, {"mad": 12.5})
    again, loaded, metadata = weights.load(path)
    assert again == arch
    assert metadata["provenance"] == {"command": "bivm-ref train", "seed": 3}
    assert metadata["figures"] == {"mad": 12.5}
    assert list(loaded) == list(tensors)
    for key, tensor in tensors.items():
        assert loaded[key].dtype == tensor.dtype
        np.testing.assert_array_equal(loaded[key], tensor, err_msg=key)
    assert os.listdir(path.parent) == ["net.safetensors"]  # nothing is left beside it


def test_the_file_states_its_conventions(file: Path) -> None:
    with safe_open(file, "numpy") as stored:  # any safetensors reader can see them
        metadata, names = stored.metadata(), set(stored.keys())
    assert metadata["format_version"] == "1"
    assert metadata["polarity"] == "1=+1" and metadata["sign_of_zero"] == "+1"
    assert metadata["padding"] == "a tap outside the image adds 0"
    assert Arch.from_json(metadata["arch"]) == SMALL
    binary = {f"{conv.name}.bits" for conv in SMALL.convs() if conv.kind == "binary"}
    assert names - binary == {weights.STEM, "theta", "scale", "shift", "gain", "slope", "weight", "bias"}


@pytest.mark.parametrize("name", PRESETS)
def test_sections_add_up_and_bits_are_an_eighth_of_the_weights(tmp_path: Path, name: str) -> None:
    arch, path = preset(name), tmp_path / "net.safetensors"
    weights.save(path, random_tensors(arch), arch)
    sizes = weights.sections(path)
    assert sum(sizes.values()) == path.stat().st_size
    assert sizes["binary weights"] * 8 == sum(conv.weights for conv in arch.convs() if conv.kind == "binary")
    assert sizes["stem weights"] == 2 * 27 * arch.stem
    # 3 heads: 1 x (coarse + 1) + 4 x (detail + 1) + 4 x (refiner + 1) floats
    assert sizes["float heads"] == 4 * (arch.coarse + 1 + 4 * (arch.detail + 1) + 4 * (arch.refiner + 1))


def test_the_default_network_stays_below_its_budget(tmp_path: Path) -> None:
    path, arch = tmp_path / "net.safetensors", preset("default")
    record = {"note": "x" * 2000}  # room for where it came from
    weights.save(path, random_tensors(arch), arch, record, record)
    assert path.stat().st_size <= 700_000


def test_a_float_vector_per_layer_is_found_where_the_schema_says(file: Path) -> None:
    """The joined vectors of the file, taken apart by hand."""
    stored = safetensors.numpy.load(file.read_bytes())
    _, tensors, _ = weights.load(file)
    # thetas in the order of the network: 16 channels for f2.0.spatial, 16 for f2.0.point, 32 for f2.1.spatial
    np.testing.assert_array_equal(stored["theta"][:16], tensors["encoder.f2.0.spatial.theta"])
    np.testing.assert_array_equal(stored["theta"][32:64], tensors["encoder.f2.1.spatial.theta"])
    assert len(stored["theta"]) == sum(t.size for name, t in tensors.items() if name.endswith(".theta"))


# -- saving --

@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_save_refuses_values_that_are_not_finite(tmp_path: Path, value: float) -> None:
    tensors = random_tensors(SMALL)
    tensors["neck.value.scale"][3] = value
    with pytest.raises(ValueError, match="neck.value.scale holds NaN or infinity"):
        weights.save(tmp_path / "net.safetensors", tensors, SMALL)
    assert os.listdir(tmp_path) == []


def test_save_refuses_tensors_of_another_network(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="tensor"):
        weights.save(tmp_path / "net.safetensors", random_tensors(SMALL), preset("default"))


def test_a_save_that_fails_leaves_the_old_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = file.read_bytes()

    def full_disk(*_args) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full_disk)
    with pytest.raises(UserError, match="cannot be written"):
        weights.save(file, random_tensors(SMALL, seed=1), SMALL)
    assert file.read_bytes() == before and os.listdir(file.parent) == [file.name]


# -- loading what is no network --

def test_missing(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "nothing.safetensors")


def test_folder(tmp_path: Path) -> None:
    assert "folder" in refusal(tmp_path)


def test_empty(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    path.touch()
    assert "empty" in refusal(path)


@pytest.mark.parametrize("keep", [1, 7, 8, 9, 500, 0.5, 0.999, -1])
def test_truncated(file: Path, keep: float) -> None:
    data = file.read_bytes()
    file.write_bytes(data[:int(keep * len(data)) if isinstance(keep, float) else keep])
    assert "cut short" in refusal(file) or keep in (1, 7, 8)


def test_longer_than_its_header_says(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"more")
    assert "damaged" in refusal(file)


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_pickle_renamed_is_not_run(tmp_path: Path, protocol: int) -> None:
    path, trace = tmp_path / "net.safetensors", tmp_path / "trace"

    class Attack:
        def __reduce__(self):
            return os.mkdir, (str(trace),)

    path.write_bytes(pickle.dumps(Attack(), protocol=protocol))
    assert "pickle" in refusal(path) and not trace.exists()


def test_torch_checkpoint_renamed(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    torch.save({"weight": torch.zeros(3)}, path)
    assert "bivm-ref export" in refusal(path)


@pytest.mark.parametrize("data", [b"hello, this is a text file", b"\x89PNG\r\n\x1a\n" + bytes(100),
                                  bytes(1000), (10).to_bytes(8, "little") + b"{not json}",
                                  b"\x02" + bytes(7) + b"[]",
                                  (200_000).to_bytes(8, "little") + b'{"a":' * 40_000], ids=range(6))
def test_not_safetensors(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "net.safetensors"
    path.write_bytes(data)
    assert "not a safetensors file" in refusal(path)


def test_safetensors_of_something_else(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    path.write_bytes(safetensors.numpy.save({"a": np.zeros(3, np.float32)}))
    assert "not a packed BiVM" in refusal(path)


def test_random_damage_is_refused_or_harmless(file: Path) -> None:
    """Bytes overwritten in the header: load refuses in one line or gives sound tensors."""
    rng, data, refused = np.random.default_rng(0), file.read_bytes(), 0
    length = 8 + int.from_bytes(data[:8], "little")
    for _ in range(200):
        damaged = bytearray(data)
        for position in rng.integers(0, length, 3):
            damaged[position] = rng.integers(256)
        file.write_bytes(damaged)
        try:
            arch, tensors, _ = weights.load(file)
        except UserError as error:
            assert str(error).startswith(f"{file}: ") and "\n" not in str(error)
            refused += 1
        else:
            assert weights.find_problem(weights.schema(arch), tensors) is None
    assert refused > 150


# -- loading another network --

@pytest.mark.parametrize("key, value, words", [
    ("format_version", "2", "format version '2'"), ("polarity", "1=-1", "polarity"),
    ("sign_of_zero", "-1", "sign_of_zero"),
    ("padding", "-1", "padding"), ("provenance", "[]", "provenance"), ("figures", "{", "figures"),
    ("arch", "{}", "unknown architecture"), ("arch", "[" * 100_000, "unknown architecture"),
    ("arch", SMALL.to_json().replace('"tau"', '"tauu"'), "unknown architecture"),
    ("arch", SMALL.to_json().replace('"stem": 16', '"stem": 16.0'), "unknown architecture"),
    ("arch", SMALL.to_json().replace('"tau": 0.2', '"tau": NaN'), "unknown architecture"),
    ("arch", preset("default").to_json(), "is missing")])
def test_other_metadata(file: Path, key: str, value: str, words: str) -> None:
    rewrite(file, lambda _, metadata: metadata.update({key: value}))
    assert words in refusal(file)


def test_missing_metadata(file: Path) -> None:
    rewrite(file, lambda _, metadata: metadata.pop("arch"))
    assert "unknown architecture" in refusal(file)


@pytest.mark.parametrize("change, words", [
    (lambda t: t.pop("slope"), "slope is missing"),
    (lambda t: t.update(extra=np.zeros(1, np.float32)), "unexpected tensor extra"),
    (lambda t: t.update(theta=t["theta"][1:]), "theta has shape"),
    (lambda t: t.update({"coarse.conv.bits": t["coarse.conv.bits"].reshape(-1)}), "bits has shape"),
    (lambda t: t.update(scale=t["scale"].astype(np.float64)), "scale is float64"),
    (lambda t: t.update({"coarse.conv.bits": t["coarse.conv.bits"].view(np.int8)}), "bits is int8"),
    (lambda t: t["gain"].__setitem__(5, np.nan), "gain holds NaN"),
    (lambda t: t["shift"].__setitem__(0, np.inf), "shift holds NaN or infinity"),
    (lambda t: t[weights.STEM].__setitem__((0, 0, 0, 0), -32768), "beyond 12 bits")], ids=range(9))
def test_other_tensors(file: Path, change, words: str) -> None:
    def edit(tensors: dict, _metadata: dict) -> None:
        tensors.update({name: tensor.copy() for name, tensor in tensors.items()})
        change(tensors)

    rewrite(file, edit)
    assert words in refusal(file)


# -- the shipped network --

def test_default_weights_reads_the_shipped_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "bivm_ref"
    monkeypatch.setattr(weights, "__file__", str(package / "packed" / "weights.py"))
    with pytest.raises(UserError, match="no network is shipped; name one"):
        weights.default_weights()
    (package / "weights").mkdir(parents=True)
    (package / "weights" / "SHIPPED").write_text("some.safetensors\n")
    assert weights.default_weights() == package.resolve() / "weights" / "some.safetensors"


def test_provenance_is_compact_json(file: Path) -> None:
    with safe_open(file, "numpy") as stored:
        assert stored.metadata()["provenance"] == '{"seed":3}'
        assert json.loads(stored.metadata()["figures"]) == {"mad": 12.5}


def test_a_network_works_at_the_size_it_was_trained_at(tmp_path):
    """The file's `size` decides where frames are reduced, unless the caller does; 512 where it is silent."""
    model = BiVM("small").eval()
    for provenance, expected in (({"size": 96}, 96), ({}, 512), ({"size": "big"}, 512), ({"size": 3}, 512)):
        export(model, tmp_path / "net.safetensors", provenance)
        assert PackedBiVM.load(tmp_path / "net.safetensors").size == expected
        assert TorchEngine.load(tmp_path / "net.safetensors").size == expected
        assert PackedBiVM.load(tmp_path / "net.safetensors", size=64).size == 64
        assert PackedBiVM.load(tmp_path / "net.safetensors", size=None).size is None
