"""`make test-arm64`, its own logic: what it must notice, what it must refuse. Without network and without QEMU."""

import copy
import dataclasses
import http.server
import os
import platform
import socket
import subprocess
import sys
import threading
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from bivm_ref.errors import UserError
from bivm_ref.packed import PackedBiVM
from bivm_ref.packed.reference import dot_reference
from tools import debian
from tools.arm64 import digest, fetch, run, without_torch

ROOT = Path(__file__).resolve().parent.parent
CASE = digest.Case("tiny", 48, 64, kernel="table")


# -- digests --

def test_a_digest_sees_values_and_shape_but_not_the_type_that_held_them():
    a = np.arange(-6, 6).reshape(3, 4)
    changed = a.copy()
    changed[2, 1] += 1
    assert digest.digest(a.astype(np.int16)) == digest.digest(a.astype(np.int64)) == digest.digest(a.T.copy().T)
    assert len(set(map(digest.digest, (a, changed, a.reshape(4, 3))))) == 3
    ys, xs, values = np.array([0, 1]), np.array([2, 2]), np.array([[5], [7]], np.int16)
    same = digest.digest_record((ys.astype(np.int32), xs, values.astype(np.int32)))
    assert digest.digest_record((ys, xs, values)) == same
    assert digest.digest_record((ys, xs + 1, values)) != same != digest.digest_record((ys, xs, values[::-1]))


@pytest.fixture(scope="module")
def clip() -> np.ndarray:
    """A dark disc that moves over grey noise: both of it and of the ground the network is unsure."""
    y, x = np.mgrid[:CASE.height, :CASE.width]
    frames = np.random.default_rng(0).integers(90, 160, (2, CASE.height, CASE.width, 3), np.uint8)
    for t, frame in enumerate(frames):
        frame[(y - 28) ** 2 + (x - 28 - 4 * t) ** 2 < 200] = (40, 20, 30)
    return frames


@pytest.fixture(scope="module")
def result(clip):
    return digest.run_case(digest.NETWORKS / "small.safetensors", CASE, clip)


def test_both_kernels_give_the_same_digests_of_everything(result, clip):
    frames, alpha = result
    other = digest.run_case(digest.NETWORKS / "small.safetensors", dataclasses.replace(CASE, kernel="xor"), clip)
    row = digest.compare_case("tiny", frames, other[0], alpha, other[1])
    assert row.first == "" and row.equal == row.total
    assert row.total == {"accumulators": 2 * len(frames[0]["accumulators"]), "masks": 2, "packed maps": 8}
    assert len(frames[0]["accumulators"]) > 30
    assert frames[0]["packed"] != frames[1]["packed"]  # the memory moved on


def test_an_unrecorded_case_has_the_same_masks_and_maps_and_no_accumulators(result, clip):
    plain = dataclasses.replace(CASE, recorded=False)
    frames, alpha = digest.run_case(digest.NETWORKS / "small.safetensors", plain, clip)
    assert [frame["accumulators"] for frame in frames] == [{}, {}]
    assert [frame["packed"] for frame in frames] == [frame["packed"] for frame in result[0]]
    np.testing.assert_array_equal(alpha, result[1])


def test_a_shipped_clip_takes_both_ways_through_the_decoder(tmp_path):
    """Else the comparison would never see the positions that the mask leaves out."""
    digest.draw(tmp_path / "clips.npz", frames=1)
    clips = np.load(tmp_path / "clips.npz")
    assert {clip.shape[1:3] for clip in clips.values()} == {(case.height, case.width) for case in digest.CASES}
    net = PackedBiVM.load(digest.NETWORKS / "small.safetensors", size=None)
    net.record = {}
    net.step(clips["131x97"][0])
    assert 0.1 < net.mask.mean() < 0.9
    assert 0 < sum(isinstance(entry, tuple) for entry in net.record.values()) < len(net.record)


# -- the comparison --

def compared(result, change=lambda frames: None, alpha_by: float = 0.0):
    frames = copy.deepcopy(result[0])
    change(frames)
    return digest.compare_case("tiny", result[0], frames, result[1], result[1] + np.float64(alpha_by))


def test_a_changed_integer_is_found_and_its_first_layer_named(result):
    layers = list(result[0][0]["accumulators"])

    def change(frames):
        for layer in (layers[20], layers[7]):
            frames[1]["accumulators"][layer] = "0" * 64

    row = compared(result, change)
    assert row.first == f"frame 2: accumulators of {layers[7]}"
    assert row.equal["accumulators"] == row.total["accumulators"] - 2


@pytest.mark.parametrize("change, first", [
    (lambda frames: frames[0].update(mask="0"), "frame 1: the mask"),
    (lambda frames: frames[1]["packed"].update({"decoder.d2.gru": "0"}), "frame 2: packed maps of decoder.d2.gru"),
    (lambda frames: frames[0]["accumulators"].pop("coarse.conv"), "frame 1: accumulators of coarse.conv"),
    (lambda frames: frames[0]["accumulators"].update(new="0"), "frame 1: new was computed there alone"),
    (lambda frames: frames.pop(), "2 frames here, 1 there"),
])
def test_whatever_else_differs_is_named(result, change, first):
    assert compared(result, change).first == first


@pytest.mark.parametrize("by, fails", [(0.0, False), (9e-7, False), (1.2e-6, True), (float("nan"), True)])
def test_alpha_may_differ_by_a_millionth(result, by, fails):
    row = compared(result, alpha_by=by)
    assert bool(row.first) == fails and row.first.startswith("alpha" if fails else "")


def test_the_report_names_the_first_failure_and_sets_the_exit_code(result, capsys):
    good, bad = compared(result), compared(result, lambda frames: frames[0].update(mask="0"))
    assert run.report([good]) == 0
    assert "aarch64 equals" in capsys.readouterr().out
    assert run.report([good, bad]) == 1
    assert "FAILED: tiny: aarch64 differs from" in (out := capsys.readouterr().out) and "frame 1: the mask" in out
    empty = dataclasses.replace(good, equal=dict.fromkeys(good.equal, 0), total=dict.fromkeys(good.total, 0))
    assert run.report([empty]) == 1  # nothing compared is no success


def test_a_case_that_ran_on_one_side_alone_is_a_difference(result, tmp_path):
    for side, cases in (("here", {"tiny": result[0]}), ("there", {})):
        (tmp_path / f"{side}.json").write_text(digest.json.dumps({"cases": cases}))
        np.savez(tmp_path / f"{side}.npz", tiny=result[1])
    assert [row.first for row in digest.compare(tmp_path / "here", tmp_path / "there")] == ["it ran on one side alone"]
    assert [row.first for row in digest.compare(tmp_path / "here", tmp_path / "here")] == [""]


# -- without QEMU --

@pytest.mark.skipif(sys.platform != "linux" or platform.machine() != "x86_64", reason="make test-arm64 wants x86-64")
@pytest.mark.parametrize("ci", ["1", None])
def test_without_qemu_it_fails_with_one_loud_line(tmp_path, ci):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{unused.getsockname()[1]}"
    environment = {name: value for name, value in os.environ.items() if name.lower() not in ("no_proxy", "ci")}
    environment |= {"PATH": str(tmp_path), "ARM64_CACHE": str(tmp_path / "cache"), "PYTHONDONTWRITEBYTECODE": "1"}
    environment |= dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), nowhere)
    environment |= {"CI": ci} if ci else {}
    command = [sys.executable, "-m", "tools.arm64.run"]
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("test-arm64: ERROR: QEMU CANNOT BE INSTALLED") and "install qemu-user-static" in line
    assert "equals" not in result.stdout and "passed" not in result.stdout


def test_a_qemu_on_path_is_taken_and_one_in_the_cache_needs_no_network(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(fetch, "fetch_qemu", lambda cache: pytest.fail("it went to the network"))
    kept = tmp_path / "cache" / "qemu" / "qemu-aarch64-static"
    kept.parent.mkdir(parents=True)
    kept.touch()
    assert fetch.find_qemu(tmp_path / "cache") == kept
    (own := tmp_path / "qemu-aarch64").touch(mode=0o755)
    assert fetch.find_qemu(tmp_path / "cache") == own


def test_a_python_that_does_not_start_is_one_line(tmp_path, monkeypatch):
    (tmp_path / "root" / "usr" / "bin").mkdir(parents=True)
    (tmp_path / "root" / "usr" / "bin" / "python3.11").touch()
    for part in ("make_root", "make_site"):
        monkeypatch.setattr(fetch, part, lambda cache: cache / "root")
    monkeypatch.setattr(fetch, "find_qemu", lambda cache: Path(sys.executable))  # which knows no option -L
    with pytest.raises(UserError, match=r"^[^\n]*the aarch64 Python does not start[^\n]*run again$"):
        fetch.ready(tmp_path)


def test_the_emulated_side_gets_none_of_this_pythons_settings(monkeypatch, tmp_path):
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    monkeypatch.setenv("LD_PRELOAD", "/nowhere.so")
    emulator = fetch.Emulator(Path("qemu"), tmp_path, tmp_path / "site", tmp_path)
    assert not {"PYTHONHOME", "LD_PRELOAD"} & set(emulator.environment())
    assert emulator.environment()["PYTHONPATH"].split(os.pathsep) == [str(tmp_path / "site"), str(ROOT)]


# -- fetching --

def test_a_wrong_checksum_is_refused_and_a_right_one_needs_no_second_fetch(tmp_path):
    source, file = tmp_path / "source", tmp_path / "file"
    source.write_bytes(b"a package")
    with pytest.raises(UserError, match="its sha256 is not the listed"):
        debian.download(source.as_uri(), file, sha256(b"another package").hexdigest())
    assert [p.name for p in tmp_path.iterdir()] == ["source"]
    debian.download(source.as_uri(), file, sha256(b"a package").hexdigest())
    source.unlink()
    debian.download(source.as_uri(), file, sha256(b"a package").hexdigest())
    assert file.read_bytes() == b"a package"


def test_a_download_that_breaks_off_is_continued(tmp_path, monkeypatch):
    data, asked_for = bytes(range(256)) * 40, []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked_for.append(self.headers["Range"])
            start = int(asked_for[-1].removeprefix("bytes=").rstrip("-")) if asked_for[-1] else 0
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(data) - start))
            self.end_headers()
            self.wfile.write(data[start:] if start else data[:3000])  # the first time it breaks off

        def log_message(self, *_):
            pass

    monkeypatch.setenv("no_proxy", "*")
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        debian.download(f"http://127.0.0.1:{server.server_port}/file", tmp_path / "file", sha256(data).hexdigest())
        server.shutdown()
    assert asked_for == [None, "bytes=3000-"]
    assert (tmp_path / "file").read_bytes() == data


INDEX = """Package: python3
Version: 3.11.2-1+b1
Depends: python3.11 (>= 3.11.2-1~), libpython3-stdlib (= 3.11.2-1+b1)

Package: python3.11
Pre-Depends: libc6 (>= 2.34)
Depends: media-types | mime-support, libstdlib:any (= 3.11.2), debconf
Description: an interactive language
 Package: not a field

Package: mime-support
Version: 1

Package: libstdlib
Depends: python3.11

Package: libc6
Version: 2

Package: debconf
Version: 1
"""


def test_the_packages_that_python_needs_and_no_others():
    index = debian.parse_index(INDEX)
    assert index["python3"]["Version"] == "3.11.2-1+b1" and index["python3.11"]["Package"] == "python3.11"
    names = [fields["Package"] for fields in debian.closure(index, ["python3.11"])]
    assert names == ["libc6", "libstdlib", "mime-support", "python3.11"]


@pytest.mark.parametrize("verified, listed, expected", [
    (True, "http://mirror.example/debian/ bookworm main", ("http://mirror.example/debian", "bookworm")),
    (False, "http://mirror.example/debian/ bookworm main", ("https://deb.debian.org/debian", "bookworm")),
    (False, "https://mirror.example/debian trixie main", ("https://mirror.example/debian", "trixie")),
    (True, "http://mirror.example/debian-security/ bookworm-security main", debian.FALLBACK),
    (True, "http://archive.example/ubuntu/ noble main", debian.FALLBACK),
    (True, "", debian.FALLBACK),
])
def test_the_mirror_is_apts_if_it_can_be_trusted(monkeypatch, verified, listed, expected):
    monkeypatch.setattr(debian, "asked", lambda *command: listed)
    monkeypatch.setattr(debian, "can_verify", lambda: verified)
    assert debian.debian_source() == expected


def test_the_wheels_are_those_of_constraints_txt():
    text = "# numpy==1.0\nnumpy==2.4.6 ; python_version >= '3.11'\nPygments==2.21.0\nnumpydoc==9.9\n"
    assert fetch.pins(text, ("numpy", "pygments")) == {"numpy": "2.4.6", "pygments": "2.21.0"}
    with pytest.raises(UserError, match="no release of pillow"):
        fetch.pins(text, ("numpy", "pillow"))


def test_a_part_that_broke_off_is_not_taken_for_whole(tmp_path):
    place = tmp_path / "root"
    with pytest.raises(OSError, match="disk full"), fetch.Beside(place) as folder:
        (folder / "half").touch()
        raise OSError("disk full")
    assert not place.exists()
    for name in ("first", "second"):
        with fetch.Beside(place) as folder:
            (folder / name).touch()
    assert [p.name for p in place.iterdir()] == ["second"] and [p.name for p in tmp_path.iterdir()] == ["root"]


# -- the tests without torch --

@pytest.mark.parametrize("height, width, k, stride", [(5, 7, 3, 1), (6, 5, 3, 2), (4, 3, 1, 1), (5, 5, 1, 2)])
def test_the_numpy_oracle_equals_the_loops(height, width, k, stride):
    rng = np.random.default_rng(height)
    x, w = rng.choice([-1, 1], (height, width, 16)), rng.choice([-1, 1], (8, 16, k, k))
    np.testing.assert_array_equal(without_torch.plain_dot(x, w, stride), dot_reference(x, w, stride))


TORCH_TEST = """
import torch
from torch.nn import functional as F
from bivm_ref.net import blocks
def test_with_torch(): assert F.relu(torch.tensor([1.0])) is blocks
"""
PLAIN_TEST = "def torch_dot(x, w, stride): assert False\ndef test_oracle(): torch_dot(X, W, 1)\n"
PLAIN_TEST += "import numpy as np\nX, W = np.ones((2, 2, 8)), np.ones((8, 8, 1, 1))\n"
WRONG_TEST = "def test_wrong(): assert not X.any()\n"


@pytest.mark.parametrize("source, code, counted", [
    (TORCH_TEST, pytest.ExitCode.NO_TESTS_COLLECTED, "0 passed, 0 failed, 1 skipped"),
    (TORCH_TEST + PLAIN_TEST + WRONG_TEST, pytest.ExitCode.TESTS_FAILED, "1 passed, 1 failed, 1 skipped"),
], ids=["all skipped", "one of each"])
def test_the_plugin_skips_what_uses_torch_and_counts(tmp_path, source, code, counted):
    (tmp_path / "test_it.py").write_text(source)
    command = [sys.executable, "-m", "pytest", "-qq", "-p", "tools.arm64.without_torch", "-p", "no:cacheprovider",
               "--rootdir", str(tmp_path), "--noconftest", str(tmp_path / "test_it.py")]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == code, result.stdout
    assert counted in result.stdout and " in 0." not in result.stdout  # an emulated time is never shown


def test_continuous_integration_runs_it():
    assert "export CI=1\nmake test </dev/null\nmake test-arm64 </dev/null" in (ROOT / ".ci" / "run").read_text("utf-8")
    assert "\n.cache/\n" in (ROOT / ".gitignore").read_text("utf-8")
