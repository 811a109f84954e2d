"""How near features come, against answers known by construction; the stored sample; the tool; a few live steps."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from bivm_ref.errors import UserError  # noqa: E402
from bivm_ref.learn import mimic_live, mimic_study  # noqa: E402
from bivm_ref.learn.features import held_out_clips  # noqa: E402
from bivm_ref.learn.mimic import Mimicking  # noqa: E402
from bivm_ref.learn.store import save_atomic  # noqa: E402
from bivm_ref.learn.train import Phase, Recipe, train  # noqa: E402
from bivm_ref.net import BiVM  # noqa: E402
from bivm_ref.net.capture import reader  # noqa: E402
from bivm_ref.packed import weights  # noqa: E402
from tools import make_mimicking_samples as tool  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "data_samples" / "results" / "mimicking"
STAGES = mimic_study.STAGES


# -- the six figures ----------------------------------------------------------------------------------------------

CLIPS = 6


def noise(channels=4, clips=CLIPS, seed=0):
    return torch.randn(2 * clips, channels, 8, 8, generator=torch.Generator().manual_seed(seed))


def measured(bits, mine, theirs, pi=None, w=None):
    median, channels = theirs.movedim(1, 0).flatten(1).median(1).values, theirs.shape[1]
    pi = torch.full((channels,), 1 / channels) if pi is None else pi
    w = np.full((len(theirs), 8, 8), 1 / 64, np.float32) if w is None else w
    found = mimic_study.likeness(bits, mine, theirs, median, pi, w, CLIPS)
    return {name: values.mean() for name, values in found.items()}


def wanted(theirs):
    return theirs >= theirs.movedim(1, 0).flatten(1).median(1).values.view(-1, 1, 1)


def test_a_copy_agrees_in_everything_and_noise_in_half():
    theirs = noise()
    copy = measured(wanted(theirs), 3 * theirs + 1, theirs)
    for figure in ("bits", "rim", "preferred"):
        assert copy[figure] == 1.0
    assert copy["values"] == pytest.approx(1, abs=1e-3) and copy["readable"] == pytest.approx(1, abs=1e-4)
    assert copy["chance"] == pytest.approx(0.5, abs=0.05)  # another clip's noise
    other = measured(noise(seed=1) > 0, noise(seed=1), theirs)
    assert all(other[f] == pytest.approx(0.5, abs=0.05) for f in ("bits", "rim", "preferred", "chance"))
    assert abs(other["values"]) < 0.05 and -0.1 < other["readable"] < 0.05


def test_a_mixture_of_channels_is_readable_though_no_channel_is_alike():
    theirs = noise()
    turned = theirs.roll(1, 1)
    found = measured(wanted(turned), turned, theirs)
    assert abs(found["values"]) < 0.05 and found["bits"] == pytest.approx(0.5, abs=0.05)
    assert found["readable"] == pytest.approx(1, abs=1e-4)


def test_rim_and_preferred_look_where_the_weights_are():
    theirs = noise()
    bits = wanted(theirs).clone()
    bits[:, 0] ^= True  # channel 0 is all wrong; the left half of the others as well
    bits[:, 1:, :, :4] ^= True
    w = np.zeros((2 * CLIPS, 8, 8), np.float32)
    w[..., 4:] = 1 / 32  # all weight on the right half
    found = measured(bits, theirs, theirs, torch.tensor([0.0, 1.0, 0.0, 0.0]), w)
    assert found["bits"] == pytest.approx(3 / 8)
    assert found["rim"] == pytest.approx(3 / 4)  # three of four channels are right there
    assert found["preferred"] == pytest.approx(1 / 2)


def test_dead_channels_of_the_teacher_are_left_out():
    theirs = noise()
    theirs[:, 2] = 0.7
    found = measured(~wanted(theirs) | (torch.arange(4) != 2).view(-1, 1, 1) & wanted(theirs), theirs, theirs)
    assert np.isfinite(list(found.values())).all() and found["values"] == pytest.approx(1, abs=1e-3)


def test_chance_is_what_agrees_without_the_frame():
    """Bits that depend on the place alone agree with every clip's."""
    place = torch.zeros(2 * CLIPS, 4, 8, 8)
    place[..., :4] = 1.0
    theirs = place + 0.01 * noise()
    found = measured(place > 0.5, place, theirs)
    assert min(found["bits"], found["chance"]) > 0.99  # all but the cell that is the median itself


# -- what the students' signs and the weights are -----------------------------------------------------------------

@pytest.fixture(scope="module")
def clips():
    return list(held_out_clips(3, 2, 64, 64, mimic_study.FIRST_SEED))


@pytest.fixture(scope="module")
def pair():
    torch.manual_seed(5)
    return BiVM("small").eval(), BiVM("small", "float").eval()


def test_bits_are_those_of_the_next_sign(pair, clips):
    student, twin = pair
    with torch.no_grad():
        reader(student, "f3").theta.uniform_(-1, 1)
    maps, mattes = mimic_study.run(student, clips)
    assert maps["f3"].shape == (6, 64, 8, 8) and mattes.shape == (6, 64, 64)
    by_hand = maps["f3"] + reader(student, "f3").theta.detach().view(-1, 1, 1) >= 0
    assert torch.equal(mimic_study.student_bits(student, "f3", maps["f3"]), by_hand)
    with pytest.raises(ValueError, match="has no signs"):
        mimic_study.student_bits(twin, "f3", maps["f3"])


def test_the_last_frame_remembers_the_first(pair, clips):
    maps, mattes = mimic_study.run(pair[0], clips)
    last, _ = mimic_study.run(pair[0], clips, last=True)
    assert all(torch.equal(last[s], maps[s][1::2]) for s in STAGES)


def test_cell_weights_sum_to_one_in_every_frame(clips):
    alpha = np.concatenate([clip.alpha for clip in clips])
    w = mimic_study.cell_weights(alpha, (32, 32))
    assert w.shape == (6, 32, 32)
    np.testing.assert_allclose(w.sum((1, 2)), 1, rtol=1e-5)
    assert w[0].max() / w[0].min() == pytest.approx(2, rel=1e-4)  # 1 + 1 and 1


# -- the stored sample ----------------------------------------------------------------------------------------------

@pytest.fixture
def sample(pair, clips):
    maps, mattes = mimic_study.run(pair[1], clips[:2], last=True)
    median = {s: m.movedim(1, 0).flatten(1).median(1).values for s, m in maps.items()}
    pi = {s: torch.full((m.shape[1],), 1 / m.shape[1]) for s, m in maps.items()}
    told = {s: np.linspace(0, 1, m.shape[1]) for s, m in maps.items()}
    return mimic_study.Sample((7, 9), 2, 64, mattes, maps, median, pi, told)


def test_a_stored_sample_keeps_every_bit_and_values_to_a_sixteenth(sample, tmp_path):
    spread = {s: m.std((0, 2, 3)) for s, m in sample.maps.items()}
    mimic_study.save_sample(tmp_path / "t.npz", sample, spread)
    again = mimic_study.load_sample(tmp_path / "t.npz")
    assert (again.seeds, again.frames, again.size) == ((7, 9), 2, 64)
    np.testing.assert_allclose(again.alpha, sample.alpha, atol=0.5 / 255 + 1e-6)
    for s in STAGES:
        median = sample.median[s].view(-1, 1, 1)
        assert torch.equal(again.maps[s] >= median, sample.maps[s] >= median)
        limit = 1.001 / 16 * spread[s].clamp(min=1e-6).view(-1, 1, 1) + 1e-6 * sample.maps[s].abs()  # float32's own
        far = (sample.maps[s] - median).abs() > 15.8 * spread[s].view(-1, 1, 1)  # cut off at 127 eighths
        assert (((again.maps[s] - sample.maps[s]).abs() <= limit) | far).all() and far.float().mean() < 0.01
        assert torch.equal(again.median[s], sample.median[s]) and torch.equal(again.pi[s], sample.pi[s])
        np.testing.assert_allclose(again.told[s], sample.told[s], rtol=1e-6)
    assert [p.name for p in tmp_path.iterdir()] == ["t.npz"]


def test_another_file_is_no_sample(tmp_path):
    with pytest.raises(UserError, match="no such file; make it with tools"):
        mimic_study.load_sample(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("x")
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    for name in ("text.npz", "other.npz"):
        with pytest.raises(UserError, match=f"{name}: not a teacher's sample"):
            mimic_study.load_sample(tmp_path / name)


def test_side_by_side_puts_the_teacher_first(sample, pair):
    seen = mimic_study.side_by_side(sample, {"with": pair[0]})
    assert seen.frames.shape == (2, 64, 64, 3) and seen.alpha.shape == (2, 64, 64)
    assert list(seen.mattes) == ["teacher", "with"] and list(seen.maps) == list(STAGES)
    for s in STAGES:
        assert seen.maps[s]["with"].shape == seen.maps[s]["teacher"].shape == seen.bits[s]["with"].shape
        above = sample.maps[s].numpy() >= sample.median[s].numpy()[:, None, None]
        np.testing.assert_array_equal(seen.bits[s]["teacher"], above)


# -- the tool ---------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A comparison of one step each: a float twin, and a student with and one without mimicking."""
    folder = tmp_path_factory.mktemp("compare")
    short = dict(phases=(Phase(1, 64, 64, batch=2, frames=1),), warmup=1, mix=(1.0, 0.0), seed=0)
    twin = folder / "runs" / "float-0"
    train(Recipe(method="float", **short), twin, workers=0, progress=False)
    train(Recipe(mimic=Mimicking(), teacher=str(twin / "model.pt"), **short), folder / "runs" / "bivm-0", workers=0,
          progress=False)
    train(Recipe(**short), folder / "runs" / "no-mimicking-0", workers=0, progress=False)
    return folder


def test_the_tool_writes_its_four_files(runs, tmp_path):
    found = tool.make(runs, tmp_path, count=20, shown=(0, 2), size=64)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["bivm.safetensors", "likeness.json", "no-mimicking.safetensors", "teacher.npz"]
    assert {row["arm"] for row in found["rows"]} == {"bivm", "no-mimicking"} and len(found["rows"]) == 2 * 8 * 6
    held = json.loads((tmp_path / "likeness.json").read_text())["likeness"]
    assert held["networks"]["bivm"]["steps"] == 1 and held["clips"]["count"] == 20

    sample = mimic_study.load_sample(tmp_path / "teacher.npz")
    assert sample.seeds == (mimic_study.FIRST_SEED, mimic_study.FIRST_SEED + 2)
    state = torch.load(runs / "runs" / "bivm-0" / "checkpoint.pt", weights_only=True)["mimic"]
    assert torch.equal(sample.pi["f3"], state["pi_f3"]) and torch.equal(sample.median["d1"], state["median_d1"])
    student = mimic_study.load_student(tmp_path / "bivm.safetensors")
    trained = tool.load_model(runs / "runs" / "bivm-0" / "model.pt")
    clips = list(held_out_clips(1, 1, 64, 64))
    packed, latent = (mimic_study.run(model, clips)[0] for model in (student, trained))
    for s in STAGES:
        torch.testing.assert_close(packed[s], latent[s], rtol=1e-4, atol=1e-4)
    assert weights.load(tmp_path / "bivm.safetensors")[2]["provenance"]["sha256"] == held["networks"]["bivm"]["sha256"]


def test_the_tool_names_what_is_missing(runs, tmp_path, capsys):
    assert tool.main(["--runs", str(runs), "--out", str(tmp_path / "out"), "--clips", "19"]) == 2
    assert capsys.readouterr().err == "--clips 19: too few for intervals; ask for 20 at least\n"
    assert tool.main(["--runs", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert re.fullmatch(r".*float-0/model.pt: no such file; .*\n", capsys.readouterr().err)
    plain = tmp_path / "runs" / "bivm-0"
    plain.mkdir(parents=True)
    save_atomic({"recipe": {}, "model": {}}, plain / "checkpoint.pt")
    with pytest.raises(UserError, match="holds no mimicking"):
        tool.tables_of(plain)


# -- what is committed ------------------------------------------------------------------------------------------------

def test_the_committed_files_belong_together_and_the_readme_names_them():
    record = json.loads((FOLDER / "likeness.json").read_text())["likeness"]
    page = (FOLDER.parent / "README.md").read_text(encoding="utf-8")
    assert record["command"] in page
    for network in (*record["networks"].values(), record["tables"]):
        assert network["sha256"] in page
    for arm in ("bivm", "no-mimicking"):
        provenance = weights.load(FOLDER / f"{arm}.safetensors")[2]["provenance"]
        assert provenance["sha256"] == record["networks"][arm]["sha256"]
    assert (FOLDER / "teacher.npz").stat().st_size < 300_000
    sample = mimic_study.load_sample(FOLDER / "teacher.npz")
    assert set(sample.maps) == set(STAGES) and sample.size == record["clips"]["size"]


def test_what_notebook_07_says_of_them():
    """With less than half of the smallest distance that was measured."""
    rows = json.loads((FOLDER / "likeness.json").read_text())["likeness"]["rows"]
    mean = {(r["arm"], r["figure"], r["stage"]): r["mean"] for r in rows}
    for s in STAGES:
        for figure in ("bits", "readable"):
            assert mean["bivm", figure, s] > mean["no-mimicking", figure, s] + 0.005
        assert mean["no-mimicking", "bits", s] > mean["no-mimicking", "chance", s] + 0.02
    assert 0.3 < mean["no-mimicking", "values", "f4"] < 0.65 < mean["bivm", "values", "f4"]


# -- live -------------------------------------------------------------------------------------------------------------

def test_a_few_steps_with_the_term_bring_more_bits_home():
    """What notebook 07 shows live, at a third of the smallest gap that three seeds had after eight steps, 0.036."""
    batch = mimic_live.one_batch()
    one, other = (mimic_live.watch(m, 8, batch) for m in (True, False))
    assert one.agreement.shape == one.matting.shape == one.mimicry.shape == (9,)
    assert one.agreement[0] == pytest.approx(other.agreement[0]) and one.mimicry[0] == pytest.approx(other.mimicry[0])
    assert one.agreement[-1] > other.agreement[-1] + 0.012
    assert one.matting[-1] < one.matting[0] and other.matting[-1] < other.matting[0]


def test_one_batch_is_the_same_again():
    frames, alpha, foreground = mimic_live.one_batch(2, 32)
    assert frames.shape == (2, 1, 3, 32, 32) and alpha.shape == (2, 1, 1, 32, 32) and foreground.shape == frames.shape
    assert torch.equal(frames, mimic_live.one_batch(2, 32)[0])
    assert not torch.equal(frames, mimic_live.one_batch(2, 32, seed=1)[0])
