"""The benchmark's arithmetic, order and report, by hand; its peers and processes, small. No test looks at a time."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from cli_tools import run
from packaging.requirements import Requirement

import bivm_ref.learn
from bivm_ref import bench, bench_layers, bench_text, contenders, machine, viz
from bivm_ref.arch import preset
from bivm_ref.errors import UserError

ROOT = Path(__file__).resolve().parent.parent
CLIPS = [str(ROOT / "data_samples" / name / "com.mp4") for name in ("portrait", "procedural", "rendered")]


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    monkeypatch.setattr(machine, "WATCHED", 0.02)


class Clock:
    """Shows the time that `spend` has made it."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def spend(self, seconds):
        self.now += seconds


# -- rounds and figures -------------------------------------------------------------------------------------

def test_rounds_are_interleaved_and_the_warm_up_is_not_counted():
    clock, calls, ticks = Clock(), [], []

    def contender(name, seconds):
        def step(frame):
            calls.append((name, frame))
            clock.spend(seconds * frame)
        return step

    times = bench.time_rounds({"ours": contender("ours", 1), "peer": contender("peer", 3)}, [100, 7, 1, 2], warm_up=2,
                              clock=clock, tick=lambda: ticks.append(clock.now))
    assert calls == [("ours", 100), ("peer", 100), ("peer", 7), ("ours", 7), ("ours", 1), ("peer", 1), ("peer", 2),
                     ("ours", 2)]  # each round begins with the next one
    assert times == {"ours": [1, 2], "peer": [3, 6]}
    assert ticks == [400, 428, 432, 440]


def test_a_ratio_is_the_median_of_the_ratios_within_the_rounds():
    """The second round was slow for both: the ratio of the medians would be 5, that of the rounds is 2."""
    row = bench.figures([0.2, 2.0, 0.5, 0.5, 0.9], [0.1, 1.0, 0.05, 0.5, 0.3])
    assert row["ratio"] == 2.0  # of 2, 2, 10, 1, 3
    assert row["ratio_quartiles"] == [2.0, 3.0]
    assert (row["ms"], row["ms_quartiles"], row["ms_least"]) == (500, [500, 900], 200)
    assert row["frames_per_second"] == 2.0
    assert row["rounds_ms"] == [200, 2000, 500, 500, 900]


def test_plan_has_the_engine_alone_then_one_core_then_all():
    options = bench.Options(CLIPS, sizes=[(64, 48), (1280, 720)], rounds=4, layers=True, long=True)
    jobs = bench.plan(options, core=3, threads=4, folder="x")
    assert [(job.kind, job.core, job.threads, job.size) for job in jobs if job.kind == "frames"] == [
        ("frames", 3, [1], (64, 48)), ("frames", 3, [1], (1280, 720)),
        ("frames", None, [4, 2, 1], (64, 48)), ("frames", None, [4, 2, 1], (1280, 720))]
    assert [job.kind for job in jobs] == ["engine", *["frames"] * 4, "layers"]
    assert (jobs[0].streamed, jobs[0].ticks, jobs[1].ticks) == ([60, 500], 500, 6)
    assert jobs[0].samples == [str(Path("x") / "stream.mp4")] and jobs[1].samples == CLIPS
    alone = bench.plan(bench.Options(CLIPS, sizes=[(64, 48)], streamed=2), core=0, threads=1, folder="x")
    assert [job.kind for job in alone] == ["engine", "frames"] and alone[0].streamed == [2]


def test_a_core_that_is_not_ours_is_refused(monkeypatch):
    monkeypatch.setattr(machine, "allowed_cores", lambda: [2, 5])
    monkeypatch.setattr(bench.os, "sched_setaffinity", print, raising=False)
    assert (bench.chosen_core(None), bench.chosen_core(2)) == (5, 2)
    with pytest.raises(UserError, match="--core 3: .*choose one of 2, 5"):
        bench.chosen_core(3)
    monkeypatch.delattr(bench.os, "sched_setaffinity")
    assert bench.chosen_core(None) is None
    with pytest.raises(UserError, match="--core 2"):
        bench.chosen_core(2)


def test_frames_come_from_every_clip():
    frames = contenders.sample_frames(CLIPS, 80, 64, 48)  # more than the clips hold: 24 each
    assert len(frames) == 80 and {frame.shape for frame in frames} == {(48, 64, 3)}
    first = [contenders.sample_frames([clip], 1, 64, 48)[0] for clip in CLIPS]
    few = contenders.sample_frames(CLIPS, 6, 64, 48)
    assert all(np.array_equal(few[2 * i], first[i]) for i in range(3))
    assert np.array_equal(frames[72], frames[0])


# -- contenders ---------------------------------------------------------------------------------------------

def job(folder, **changes) -> bench.Job:
    return bench.Job(**{"kind": "frames", "folder": str(folder), "samples": CLIPS, "weights": None, "core": None,
                        "threads": [1], "size": (64, 48), "rounds": 2, **changes})


PEERS = ["torch, ours in float", "torch RVM fp32", "onnxruntime RVM fp32", "onnxruntime RVM int8"]


def test_every_contender_is_a_row(tmp_path):
    ticks = []
    answer = contenders.measure_frames(job(tmp_path, threads=[1, 2]), lambda: ticks.append(1))
    rows = answer["rows"]
    assert [(row["contender"], row["threads"]) for row in rows] == [
        ("packed masked", 1), ("packed masked", 2), ("packed dense", 1), *((name, 1) for name in PEERS)]
    assert all(row["note"] == "" and row["ms"] > 0 and len(row["rounds_ms"]) == 2 for row in rows)
    assert rows[0]["ratio"] == 1 and rows[0]["ratio_quartiles"] == [1, 1]
    assert sorted(answer["active"]) == ["1", "2", "4", "8"] and all(0 <= x <= 1 for x in answer["active"].values())
    assert len(ticks) == bench.WARM_UP + 2


@pytest.mark.parametrize("absent, extras, measured", [("torch", "train,bench", 0), ("onnxruntime", "bench", 2)])
def test_a_peer_that_is_not_installed_is_a_row_that_says_so(tmp_path, monkeypatch, absent, extras, measured):
    monkeypatch.setattr(bivm_ref, "learn", bivm_ref.learn)  # put back afterwards: an import replaces it
    for name in [name for name in sys.modules if name.startswith("bivm_ref.learn")]:
        monkeypatch.delitem(sys.modules, name)  # as if imported for the first time
    monkeypatch.setitem(sys.modules, absent, None)  # the import raises ImportError
    monkeypatch.setattr(contenders, "_checked", lambda engine, frame: engine.step)
    if absent == "onnxruntime":  # what comes before it is another test's
        (tmp_path / "rvm_64x48.onnx").touch()
        (tmp_path / "rvm_64x48.int8.onnx").touch()
    rows = contenders.measure_frames(job(tmp_path), lambda: None)["rows"]
    assert [row["contender"] for row in rows if "ms" in row] == ["packed masked", "packed dense", *PEERS[:measured]]
    assert {row["note"] for row in rows if "ms" not in row} == {f"not installed: pip install 'bivm_ref[{extras}]'"}


def test_a_peer_that_fails_is_a_row_too():
    def broken():
        raise RuntimeError("no such instruction\nwith a long story")
    row = contenders.attempt("a peer", 1, broken)
    assert (row.step, row.note) == (None, "failed: no such instruction")


@pytest.mark.parametrize("ratio", [1.0, 0.5])
def test_exported_rvm_equals_torch(tmp_path, ratio):
    """Two frames, the state of the first reaching the second; an odd size, where maps are cropped."""
    from bivm_ref.learn import peers

    frames = contenders.sample_frames(CLIPS[:1], 2, 90, 50)
    model = peers.random_rvm(frames, ratio)
    path = peers.export_rvm(model, tmp_path / "rvm.onnx", frames[0], ratio)
    expected, found = peers.TorchRVM(model, ratio), peers.OnnxRVM(path)
    for frame in frames:
        for ours, theirs in zip(found.step(frame), expected.step(frame), strict=True):
            assert ours.shape == theirs.shape and np.abs(ours - theirs).max() < 1e-3
    assert expected.step(frames[0])[0].std() > 1e-3  # the network says something


def test_int8_rvm_is_int8_and_stays_near(tmp_path):
    import onnx

    from bivm_ref.learn import peers

    frames = contenders.sample_frames(CLIPS[:1], 3, 64, 48)
    source = peers.export_rvm(peers.random_rvm(frames), tmp_path / "rvm.onnx", frames[0])
    path = peers.quantise(source, tmp_path / "rvm.int8.onnx", frames)
    kinds = [node.op_type for node in onnx.load(path).graph.node]
    assert kinds.count("Conv") > 70 and kinds.count("QuantizeLinear") > kinds.count("Conv")
    float32, int8 = peers.OnnxRVM(source), peers.OnnxRVM(path)
    assert all(np.abs(float32.step(f)[0] - int8.step(f)[0]).mean() < 0.1 for f in frames)


# -- layers -------------------------------------------------------------------------------------------------

def test_layers_are_those_of_64_channels_each_shape_once():
    convs = [conv for conv in preset("small").convs() if conv.kind == "binary" and conv.cin >= 64 and conv.scale]
    groups = bench_layers.distinct(preset("small").convs())
    assert sorted(name for names, _ in groups for name in names) == sorted(conv.name for conv in convs)
    shapes = [bench_layers.shape(conv) for _, conv in groups]
    assert len(shapes) == len(set(shapes)) and "3x3 64 -> 64 /2 at 1/16" in shapes


def test_layers_agree_and_are_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(bench_layers, "SIZE", (64, 32))
    answer = bench_layers.measure_layers(job(tmp_path, kind="layers"), lambda: None)
    assert answer["size"] == [64, 32]
    for layer in answer["layers"]:
        assert layer["kernel"] in ("xor", "table", "table4")
        assert [(row["contender"], row["note"]) for row in layer["rows"]] == [(name, "") for name in bench_layers.NAMES]
        assert layer["rows"][0]["ratio"] == 1
    text = "\n".join(bench_text.layer_lines(answer))
    assert "onnxruntime Sign + Conv" in text and "all " in text.splitlines()[-1]


# -- the report ---------------------------------------------------------------------------------------------

def report() -> dict:
    """By hand: ours 100 ms, a peer of 310 ms, one that is missing."""
    ours = bench.figures([0.1, 0.1], [0.1, 0.1])
    rows = [{"contender": "packed masked", "threads": 1, "note": "", **ours},
            {"contender": "packed masked", "threads": 2, "note": "", **bench.figures([0.06, 0.06], [0.1, 0.1])},
            {"contender": "torch RVM fp32", "threads": 1, "note": "", **bench.figures([0.31, 0.31], [0.1, 0.1])},
            {"contender": "onnxruntime RVM int8", "threads": 1, "note": "not installed: pip install 'bivm_ref[bench]'"}]
    part = {"cores": "one", "threads": 1, "core": 7, "size": [512, 288], "rows": rows, "active": {"1": 0.25}}
    engine = {"weights": "small.safetensors", "network": "small", "file_bytes": 120252, "load_s": 0.2,
              "load_to_first_matte_s": 0.4, "table_bytes": None, "kernels": None, "peak_mb_after_frames": {"60": 99.5}}
    state = {**machine.state(), "busy_cores": 0.1}
    return {"schema": 1, "machine": {**machine.facts(), "cores_allowed": 2}, "before": state, "after": dict(state),
            "options": {"rounds": 2, "core": 7, "threads": 1}, "passes": [part], "engine": engine, "layers": None}


def test_the_table_has_ratios_bars_and_what_is_missing():
    text = bench_text.as_text(report())
    assert "512x288, one core (number 7): 2 rounds, 25 % of the decoder active" in text
    lines = {line.split("  ")[1]: line for line in text.splitlines() if line.startswith("  ") and line.strip()}
    assert re.search(r" 100 .* 1\.00x +10\.0  #{8}$", lines["packed masked"])
    assert re.search(r" 60\.0 .* 0\.60x +16\.7  #{5}$", lines["packed masked, 2 threads"])
    assert re.search(r" 310 .* 3\.10x +3\.2  #{24}$", lines["torch RVM fp32"])
    assert lines["onnxruntime RVM int8"].endswith("  not installed: pip install 'bivm_ref[bench]'")
    assert "peak memory" in text and "120,252 bytes" in text


def test_the_table_says_what_was_wrong_with_the_machine():
    data = report()
    data["machine"] |= {"board": "Raspberry Pi 5", "cpu": "Cortex-A76", "virtual": None, "max_mhz": 2400.0}
    data["before"] |= {"busy_cores": 0.9, "governor": "ondemand", "throttling": "now: none; since boot: none"}
    text = bench_text.as_text(data)
    assert text.startswith("Raspberry Pi 5, Cortex-A76: ") and "up to 2400 MHz" in text
    assert "governor ondemand; throttling now: none; since boot: none" in text
    assert "other programs were using 0.9 cores" in text and "NOT A MEASUREMENT" not in text  # one core was left
    data["passes"][0]["threads"] = 2
    warning = "  NOT A MEASUREMENT of this machine: other programs were using 0.9 of its 2 cores"
    assert warning in bench_text.as_text(data)
    data["before"]["busy_cores"] = data["after"]["busy_cores"] = None
    assert "other programs" not in bench_text.as_text(data)


def test_chart_has_a_bar_for_each_that_was_measured():
    figure = viz.bench_chart(report())
    (panel,) = figure.axes
    assert len(panel.patches) == 3 and "512 × 288" in panel.get_title(loc="left")
    assert "310  (3.10×)" in [text.get_text() for text in panel.texts]


def test_command_writes_the_report(tmp_path, capfd, monkeypatch):
    monkeypatch.setattr(bench, "STREAMED", 3)
    words = ("bench", "--sizes", "64x48", "--rounds", 2, "--threads", 2, "--no-peers")
    code, out, err = run(capfd, *words, "--json", tmp_path / "t.json", "--chart", tmp_path / "t.png")
    assert (code, err) == (0, "") and "64x48, one" in out and "64x48, all cores, 2 threads" in out
    data = json.loads((tmp_path / "t.json").read_text())
    assert sorted(data) == sorted(("schema", "machine", "before", "after", "options", "passes", "engine", "layers"))
    names = ("astronaut", "portrait", "procedural", "rendered")
    assert data["options"]["samples"] == [f"{name}/com.mp4" for name in names]
    assert [(part["cores"], part["threads"], len(part["rows"])) for part in data["passes"]] == [
        ("one", 1, 2), ("all", 2, 3)]
    assert sorted(data["engine"]["peak_mb_after_frames"]) == ["1", "3"]
    assert data["engine"]["load_to_first_matte_s"] >= data["engine"]["load_s"] > 0
    assert str(Path.home()) not in json.dumps(data)
    assert (tmp_path / "t.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("words, message", [
    (("--json", "{there}"), "exists already"), (("--chart", "{folder}/none/t.png"), "there is no folder"),
    (("--chart", "{folder}/t.txt"), "change the name"), (("--weights", "{folder}/none.safetensors"), "no such file"),
    (("--sizes", "256"), "is no size"), (("--preset", "small", "--weights", "x"), "not allowed with"),
    (("--core", "99999"), "--core 99999"), (("--threads", "none"), "whole number")])
def test_mistakes_are_one_line(tmp_path, capfd, words, message):
    (tmp_path / "there.json").touch()
    named = [word.format(there=tmp_path / "there.json", folder=tmp_path) for word in words]
    code, out, err = run(capfd, "bench", *named)
    assert (code, out) == (2, "") and message in err and err.count("\n") == 1


def test_a_process_that_dies_is_one_line(tmp_path):
    with pytest.raises(UserError, match="measuring 64x48 ended early .*none.safetensors"):
        bench.run(job(tmp_path, weights=str(tmp_path / "none.safetensors")))


# -- the machine --------------------------------------------------------------------------------------------

def plant(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_pinned_keeps_one_core_and_gives_all_back(monkeypatch):
    calls, allowed = [], {0, 3, 5}
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda _: allowed, raising=False)
    monkeypatch.setattr(machine.os, "sched_setaffinity", lambda _, cores: calls.append(sorted(cores)), raising=False)
    with machine.pinned() as core:
        assert core == 5
    with pytest.raises(ZeroDivisionError), machine.pinned(3) as core:
        assert core == 3 and 1 / 0
    assert calls == [[5], [0, 3, 5], [3], [0, 3, 5]]
    monkeypatch.delattr(machine.os, "sched_setaffinity")
    with machine.pinned() as core:
        assert core is None


def test_facts_of_a_small_board(tmp_path, monkeypatch):
    core = "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd0b\n\n"
    root = plant(tmp_path, {
        "proc/cpuinfo": core * 4, "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
        "proc/meminfo": "MemTotal:        8000000 kB\nMemFree: 1 kB\n", "proc/self/status": "VmHWM:\t  1000 kB\n",
        "etc/os-release": 'NAME="Debian"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
        **{f"sys/devices/system/cpu/cpu{i}/cpufreq/{name}": text for i in range(4) for name, text in (
            ("cpuinfo_max_freq", "2400000\n"), ("scaling_cur_freq", f"{1500 + i}000\n"),
            ("scaling_governor", "ondemand\n"))},
        "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n", "sys/class/thermal/thermal_zone0/temp": "51250\n"})
    monkeypatch.setattr(machine, "_answer", lambda *command: "throttled=0x50004")
    facts, state = machine.facts(root), machine.state(root)
    assert (facts["board"], facts["cpu"]) == ("Raspberry Pi 5 Model B Rev 1.0", "Cortex-A76")
    assert (facts["max_mhz"], facts["memory_mb"], facts["virtual"]) == (2400, 8192, None)
    assert facts["os"] == "Debian GNU/Linux 12 (bookworm)"
    assert (state["mhz"], state["governor"]) == ([1500, 1501, 1502, 1503], "ondemand")
    assert state["celsius"] == {"thermal_zone0 cpu-thermal": 51.25}
    assert state["throttling"] == "now: throttled; since boot: under-voltage, throttled"
    assert machine.peak_memory(root) == pytest.approx(1.024)


def test_busy_cores_are_those_of_the_time_watched(tmp_path, monkeypatch):
    """100 ticks pass: 20 user, 5 system, 5 stolen, 60 idle, 10 waiting. Of 4 cores, 1.2 were busy."""
    root = plant(tmp_path, {"proc/stat": "cpu  100 0 50 900 40 0 0 10 0 0\ncpu0 1 2 3\n"})
    monkeypatch.setattr(machine.os, "cpu_count", lambda: 4)
    monkeypatch.setattr(machine.time, "sleep", lambda seconds: plant(
        tmp_path, {"proc/stat": "cpu  120 0 55 960 50 0 0 15 0 0\ncpu0 1 2 3\n"}))
    assert machine.busy_cores(root) == 1.2
    monkeypatch.setattr(machine.time, "sleep", lambda seconds: None)
    assert machine.busy_cores(root) is None  # no tick passed


def test_facts_of_a_pc_in_a_cloud(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "_answer", lambda *command: None)
    root = plant(tmp_path, {
        "proc/cpuinfo": "model name\t: AMD EPYC\ncpu MHz\t\t: 2596.134\nflags\t\t: fpu hypervisor\n" * 2,
        "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count": "3\n",
        "sys/devices/system/cpu/cpu1/thermal_throttle/core_throttle_count": "4\n"})
    facts, state = machine.facts(root), machine.state(root)
    assert (facts["cpu"], facts["virtual"], facts["board"]) == ("AMD EPYC", True, None)
    assert (state["mhz"], state["throttling"]) == ([2596.134] * 2, "7 times since boot, all cores")


@pytest.mark.parametrize("broken", [
    {}, {"proc/cpuinfo/a": "", "proc/meminfo/a": "", "etc/os-release/a": "", "proc/self/status/a": ""},
    {"proc/cpuinfo": "\0CPU part : 0x\nflags\n", "proc/meminfo": "MemTotal: much\n", "proc/self/status": "VmHWM",
     "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "fast", "sys/class/thermal/thermal_zone0/temp": "hot",
     "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq": "", "proc/device-tree/model": "\0"}])
def test_what_cannot_be_read_is_none_and_nothing_raises(tmp_path, broken, monkeypatch):
    def missing(*arguments, **named):
        raise OSError("no such program")
    monkeypatch.setattr(machine.subprocess, "run", missing)
    monkeypatch.setattr(machine.shutil, "which", lambda name: f"/bin/{name}")
    root = plant(tmp_path, broken)
    facts, state = machine.facts(root), machine.state(root)
    assert [facts[key] for key in ("board", "virtual", "max_mhz", "memory_mb")] == [None] * 4
    assert [state[key] for key in ("busy_cores", "mhz", "governor", "celsius", "throttling")] == [None] * 5
    machine.peak_memory(root)
    json.dumps([facts, state], allow_nan=False)


def test_board_requirements_are_the_base_and_its_floors():
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    base = re.search(r"^dependencies = \[(.*?)^\]", text, re.M | re.S).group(1)
    lines = (ROOT / "requirements-board.txt").read_text(encoding="utf-8").splitlines()
    wanted = [line for line in lines if line and not line.startswith(("#", "-e"))]
    assert [Requirement(line) for line in wanted] == [Requirement(r) for r in re.findall(r'"([^"]+)"', base)]
    assert lines[-1] == "-e ."


def test_timings_are_whole_reports():
    """A file here is what `bivm-ref bench --json` wrote, on a machine that it names."""
    for path in (ROOT / "data_samples" / "timings").glob("*.json"):
        data = json.loads(path.read_text(encoding="utf-8"))
        assert data["schema"] == bench.SCHEMA and data["machine"]["cpu"] and data["before"]["date"], path.name
        assert all("ms" in part["rows"][0] for part in data["passes"]), path.name


def test_readme_shows_the_times_of_a_file_and_names_its_machine():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = text.split("<!-- times: bivm_ref/bench_text.py -->\n")[1].split("<!-- end of times -->")[0]
    (file,) = re.findall(r"data_samples/timings/[\w.-]+\.json", text)
    assert shown == f"```\n{bench_text.excerpt(json.loads((ROOT / file).read_text(encoding='utf-8')))}\n```\n"
    assert "EPYC" in shown and "512x288, one core" in shown


def test_the_readme_says_what_the_second_machine_measured():
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    report = json.loads((ROOT / "data_samples" / "timings" / "x86-64-xeon-2-virtual-cores.json").read_text())
    ratio = {(*part["size"], row["contender"]): row["ratio"] for part in report["passes"] if part["threads"] == 1
             for row in part["rows"]}
    fp32, int8, torch = "onnxruntime RVM fp32", "onnxruntime RVM int8", "torch RVM fp32"
    assert (f"leads {fp32} by {ratio[512, 288, fp32]:.2f}, {torch} by {ratio[512, 288, torch]:.2f}, and is behind "
            f"onnxruntime's int8 ({ratio[512, 288, int8]:.2f})") in text
    assert f"onnxruntime is faster in fp32 too ({ratio[256, 144, fp32]:.2f})" in text
    assert all(ratio[w, h, int8] < 1 for w, h in ((256, 144), (512, 288), (1280, 720)))
