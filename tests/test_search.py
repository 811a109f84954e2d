"""Topology search: the space is what it says, the supernet is the networks that it holds, evolution finds what is
there to find, and a search that is killed goes on as if it had not been."""

import copy
import itertools
import json
import math
import shutil

import numpy as np
import pytest
import torch
from cli_tools import ROOT, run, tree
from scipy.stats import spearmanr

from bivm_ref.arch import PRESETS, Arch, Block, preset
from bivm_ref.errors import UserError
from bivm_ref.learn import sandwich
from bivm_ref.learn.evolve import best, evolve, fitness, random_search
from bivm_ref.learn.judge import Judge
from bivm_ref.learn.recalibrate import recalibrate
from bivm_ref.learn.search import Pick, compare, rank_correlation, search
from bivm_ref.learn.train import Phase, Recipe, _as_data, load_model, load_state, save_atomic
from bivm_ref.net import BiVM
from bivm_ref.net.supernet import Supernet
from bivm_ref.topology import Space, choices, stage_operations

EXPAND2, EXPAND, REDUCE, IDENTITY, OWN = ("expand-expand-reduce", "expand-reduce", "reduce-first", "identity", "preset")
SMALL = Space(preset("small"))
SOME = [(OWN, OWN, OWN), (EXPAND2, EXPAND2, EXPAND2), (IDENTITY, IDENTITY, IDENTITY), (EXPAND, REDUCE, IDENTITY),
        (REDUCE, EXPAND, OWN)]
MINIMAL = Arch("minimal", stem=8, stages=((Block(8, 16, 2),), (Block(16, 16, 2),), (Block(16, 16, 2),)), neck=16,
               coarse=8, decoder=(16, 16, 16), detail=8)


# -- the space ----------------------------------------------------------------------------------------------

def test_the_choices_of_one_stage_written_out():
    own = (Block(16, 32, 2), Block(32, 32))
    assert choices(16, 32, own) == {
        "expand-expand-reduce": (Block(16, 32, 2), Block(32, 64), Block(64, 32)),
        "expand-reduce": (Block(16, 64, 2), Block(64, 32)),
        "reduce-first": (Block(16, 32, 2), Block(32, 16), Block(16, 32)),
        "identity": (Block(16, 32, 2),),
        "preset": own,
    }
    assert OWN not in choices(16, 32, (Block(16, 64, 2), Block(64, 32)))
    assert choices(16, 24)["reduce-first"][1].cout == 16  # half of 24, rounded up to a multiple of 8
    with pytest.raises(ValueError, match="from 8 to 16 channels"):
        choices(16, 32, (Block(8, 16, 2),))


@pytest.mark.parametrize("name", PRESETS)
def test_every_genome_makes_a_valid_arch_of_the_presets_widths(name):
    space = Space(preset(name))
    genomes = space.genomes()
    assert len(genomes) == len(set(genomes)) == math.prod(map(len, space.stages)) in (100, 125)
    for genome in genomes:
        arch = space.arch_of(genome)  # Arch itself checks widths and strides
        assert arch.features == space.arch.features
        assert Arch.from_json(arch.to_json()) == arch
        outside = [c for c in arch.convs() if not c.name.startswith(("encoder.f2", "encoder.f3", "encoder.f4"))]
        assert outside == [c for c in space.arch.convs() if c in outside]
    assert space.own in genomes and space.arch_of(space.own) is space.arch


def test_the_default_presets_first_stage_is_bimattings_group():
    assert Space(preset("default")).own == (EXPAND2, OWN, OWN)


@pytest.mark.parametrize("genome, complaint", [
    (("identity", "identity"), "3 choices, not 2"),
    (("identity", "expand", "identity"), "unknown choice 'expand': choose one of expand-expand-reduce"),
])
def test_what_is_no_genome_is_refused(genome, complaint):
    for ask in (SMALL.arch_of, SMALL.cost, Supernet(SMALL).choose):
        with pytest.raises(ValueError, match=complaint):
            ask(genome)


def test_cost_worked_by_hand():
    """A frame of 32x32: f2 has 64 positions, f3 16, f4 4. Weights of a block: 9 cin^2 + cin * cout, or reducing
    cin * cout + 9 cout^2."""
    own = 64 * (9 * 64 + 8 * 16) + (16 + 4) * (9 * 256 + 256)
    assert stage_operations(MINIMAL, 32, 32) == own / 64
    bottleneck = 64 * ((16 * 8 + 9 * 64) + (9 * 64 + 8 * 16))  # 8 -> 16 as before, then 16 -> 8 -> 16
    space = Space(MINIMAL)
    assert space.own == (IDENTITY, IDENTITY, IDENTITY) and len(space.genomes()) == 64
    genome = (REDUCE, IDENTITY, IDENTITY)
    assert stage_operations(space.arch_of(genome), 32, 32) == (own + bottleneck) / 64
    assert space.cost(genome) == pytest.approx((own + bottleneck) / own)  # the same share at 512x288
    assert space.cost(space.own) == 1.0


def test_reducing_first_saves_what_the_docstring_says():
    """BiMatting's 17 binary blocks (cin, cout, divisor of its output map): 3x3 at cin, then 1x1, whatever the ratio."""
    blocks = [(16, 32, 2), (32, 64, 4), (64, 32, 4), (32, 64, 4), (64, 128, 8), (128, 64, 8), (64, 64, 8), (64, 128, 8),
              (128, 64, 8), (64, 128, 8), (128, 256, 16), (256, 128, 16), (128, 128, 16), (128, 256, 16),
              (256, 128, 16), (128, 256, 16), (256, 1024, 16)]
    released, ours = [], []
    for cin, cout, scale in blocks:
        positions = (512 // scale) * (288 // scale)
        released.append(positions * (9 * cin * cin + cin * cout))
        ours.append(positions * sum(k * k * a * b for _, k, a, b, _ in Block(cin, cout).parts()))
    reducing = [i for i, (cin, cout, _) in enumerate(blocks) if cout < cin]
    assert len(reducing) == 5
    assert sum(released[i] for i in reducing) / sum(released) == pytest.approx(0.5, abs=0.04)  # half of the work
    assert 1 - sum(ours[i] for i in reducing) / sum(released[i] for i in reducing) == pytest.approx(0.71, abs=0.005)
    assert 1 - sum(ours) / sum(released) == pytest.approx(0.37, abs=0.01)


# -- the supernet -------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def supernet():
    """A supernet whose every path has statistics and thresholds of its own."""
    torch.manual_seed(0)
    net = Supernet(SMALL)
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if not name.endswith("conv.weight"):
                parameter.add_(0.1 * torch.randn_like(parameter))
        net.train()
        for genome in (*SOME, (REDUCE, REDUCE, REDUCE), (EXPAND, EXPAND, EXPAND)):
            net.choose(genome)(torch.rand(2, 2, 3, 32, 32))
    return net.eval()


@torch.no_grad()
@pytest.mark.parametrize("genome", SOME, ids="/".join)
def test_a_path_is_the_plain_network_bit_for_bit(supernet, genome):
    clip = torch.rand(1, 3, 3, 40, 56, generator=torch.Generator().manual_seed(3))
    plain = BiVM(SMALL.arch_of(genome))
    for part in ("neck", "coarse", "decoder", "head", "refiner"):
        getattr(plain, part).load_state_dict(getattr(supernet, part).state_dict())
    plain.encoder.f1.load_state_dict(supernet.encoder.f1.state_dict())
    for stage, name in zip(("f2", "f3", "f4"), genome):
        chosen = getattr(supernet.encoder, stage).choices[name]
        getattr(plain.encoder, stage).load_state_dict(chosen.state_dict())
    expected = supernet.choose(genome)(clip)
    for network in (plain.eval(), supernet.network(genome)):
        answer = network(clip)
        for mine, theirs in zip((answer.alpha, answer.foreground, answer.coarse_alpha, *answer.state),
                                (expected.alpha, expected.foreground, expected.coarse_alpha, *expected.state)):
            assert torch.equal(mine, theirs)
    assert expected.alpha.std() > 0


@torch.no_grad()
def test_genomes_differ(supernet):
    clip = torch.rand(1, 1, 3, 32, 32, generator=torch.Generator().manual_seed(4))
    mattes = [supernet.choose(genome)(clip).alpha for genome in SOME]
    assert not any(torch.equal(a, b) for a, b in itertools.combinations(mattes, 2))


def test_convolutions_that_agree_are_one_tensor_and_norms_are_not(supernet):
    stage = supernet.encoder.f2  # 16 -> 32
    at = {name: path for name, path in stage.choices.items()}
    entering = [path[0].spatial for path in at.values()]
    assert len({id(layer.conv.weight) for layer in entering}) == 1
    assert len({id(layer.norm) for layer in entering}) == len({id(layer.sign) for layer in entering}) == 5
    assert at[EXPAND2][1].spatial.conv is at[OWN][1].spatial.conv  # 3x3, 32 -> 32, first of the second block
    assert at[EXPAND][1].spatial.conv is not at[OWN][1].spatial.conv  # the same shape, but second: after the 1x1
    assert at[EXPAND][0].point.conv is not at[OWN][0].point.conv  # 16 -> 64, 16 -> 32
    # by hand: block 0 one 3x3 and two 1x1; block 1 a shared 3x3, 1x1 to 64 and to 32, and two pairs that reduce;
    # block 2 the pair 64 -> 32 and the pair 16 -> 32
    weights = {id(layer.conv.weight) for path in at.values() for block in path for layer in block}
    assert len(weights) == 3 + (1 + 2 + 4) + 4
    assert len({name for name, _ in stage.named_parameters() if name.endswith("conv.weight")}) == 14


def test_training_one_path_moves_what_others_share_and_nothing_else(supernet):
    net = copy.deepcopy(supernet)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    net.train().choose((OWN, OWN, OWN))(torch.rand(2, 2, 3, 32, 32)).alpha.mean().backward()
    torch.optim.SGD(net.parameters(), lr=1.0).step()
    after = net.state_dict()
    moved = {k for k in before if k.startswith("encoder.f3.choices.identity") and not torch.equal(before[k], after[k])}
    assert moved == {k for k in before if k.startswith("encoder.f3.choices.identity.0.") and ".conv." in k}
    assert len(moved) == 6  # two convolutions, and the four branches of the 3x3


def test_adopt_takes_all_but_the_stages():
    torch.manual_seed(5)
    model, net = BiVM("small"), Supernet(SMALL)
    stages = {k: v.clone() for k, v in net.state_dict().items() if ".choices." in k}
    net.adopt(model)
    mine, theirs = net.state_dict(), model.state_dict()
    assert all(torch.equal(mine[k], v) for k, v in stages.items())
    outside = [k for k in theirs if not k.startswith(("encoder.f2", "encoder.f3", "encoder.f4"))]
    assert all(torch.equal(mine[k], theirs[k]) for k in outside)
    assert {k for k in mine if k not in stages} == set(outside)


# -- evolution ----------------------------------------------------------------------------------------------

OPTIONS = [list("abcde")] * 3
WORTH = {"a": 0.0, "b": 1.0, "c": 2.0, "d": 3.0, "e": 4.0}


def test_fitness_worked_by_hand():
    assert fitness(60.0, 0.9, 1.0, 1000.0) == -60.0
    assert fitness(60.0, 1.1, 1.0, 1000.0) == pytest.approx(-160.0)
    assert fitness(60.0, 1.1, 2.2, 1000.0) == -60.0


@pytest.mark.parametrize("budget, optimum", [(0.7, "cae"), (0.5, "cad")])
def test_evolution_finds_the_optimum_within_the_budget_more_often_than_random_search(budget, optimum):
    """A letter costs a tenth of its worth. MAD is 60 + 3, 2 and 1 times the squared distance from c, a and e: the free
    optimum costs .6. Under .5 the cheapest step back is d in the last stage (+1 against +3 for b in the first)."""
    def cost(genome):
        return sum(WORTH[gene] for gene in genome) / 10

    def score(genome):
        mad = 60 + sum(share * (WORTH[gene] - WORTH[aim]) ** 2 for share, gene, aim in zip((3, 2, 1), genome, "cae"))
        return fitness(mad, cost(genome), budget, 1000.0)

    found = {search: [best(search(OPTIONS, score, np.random.default_rng(seed), 60), lambda g: cost(g) <= budget)
                      for seed in range(40)] for search in (evolve, random_search)}
    assert all(cost(genome) <= budget for genomes in found.values() for genome in genomes)
    hits = {search: genomes.count(tuple(optimum)) for search, genomes in found.items()}
    assert hits[evolve] >= 36
    assert hits[random_search] < 30  # 60 of 125: about 19 of 40


def test_nothing_is_judged_twice_and_a_small_space_ends():
    calls = []

    def score(genome):
        calls.append(genome)
        return 0.0

    for strategy in (evolve, random_search):
        calls.clear()
        judged = strategy([["a", "b"], ["c"], ["d", "e"]], score, np.random.default_rng(0), 50)
        assert len(calls) == len(set(calls)) == len(judged) == 4
    assert list(evolve(OPTIONS, score, np.random.default_rng(1), 5)) == list(
        evolve(OPTIONS, score, np.random.default_rng(1), 5))
    assert best({("a",): 1.0}, lambda genome: False) is None


# -- judging ------------------------------------------------------------------------------------------------

def test_recalibration_is_the_mean_over_batches():
    torch.manual_seed(2)
    model = BiVM("small")
    model.refiner.mix.norm.running_mean.fill_(7.0)
    batches = [torch.randint(0, 256, (2, 1, 3, 32, 32), dtype=torch.uint8) for _ in range(3)]
    recalibrate(model, batches)
    assert not model.training and model.encoder.f1.norm.momentum == 0.1
    stem = model.encoder.f1
    seen = [stem.dot(frames[:, 0].float()).detach() * stem.norm.input_scale for frames in batches]
    mean = torch.stack([x.mean(dim=(0, 2, 3)) for x in seen]).mean(0)
    var = torch.stack([x.var(dim=(0, 2, 3), unbiased=True) for x in seen]).mean(0)
    torch.testing.assert_close(stem.norm.running_mean, mean, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(stem.norm.running_var, var, rtol=1e-4, atol=1e-6)
    assert (model.refiner.mix.norm.running_mean == 7.0).all()


@pytest.fixture(scope="module", autouse=True)
def quicker_calibration():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bivm_ref.learn.judge.CALIBRATION_BATCHES", 2)
        yield


TINY = Recipe(arch="small", phases=(Phase(3, 32, 32, batch=2, frames=2),), warmup=2, seed=4)
QUICK = Pick(evaluations=4, clips=2)


def test_a_judgement_depends_on_nothing_that_was_judged_before(supernet, tmp_path):
    one, other = SOME[0], SOME[3]
    rows = []
    for i, order in enumerate(((one, other), (other, one))):
        judge = Judge(supernet, TINY, tmp_path / f"{i}.jsonl", clips=2)
        for genome in order:
            judge(genome)
        rows.append(judge.rows)
        assert all(row.pop("seconds") > 0 for row in rows[-1].values())
    assert rows[0] == rows[1] and list(rows[0]) != list(rows[1])
    row = rows[0][other]
    assert row["cost"] == pytest.approx(SMALL.cost(other), abs=1e-6)
    assert row["MAD"] == pytest.approx(np.mean(row["clips"]), abs=0.01) and row["clips"] != row["clips_again"]
    assert compare(row, row)["against_preset"] == [0.0, 0.0]


def test_comparison_worked_by_hand():
    own = {"clips": [10.0, 20.0], "clips_again": [5.0, 5.0]}
    row = {"genome": [], "cost": 1.0, "MAD": 0.0, "MAD_again": 0.0, "clips": [12.0, 26.0], "clips_again": [4.0, 4.0]}
    # gaps 2 and 6: mean 4, standard deviation 2 sqrt(2), its error 2 sqrt(2) / sqrt(2)
    assert compare(row, own)["against_preset"] == [4.0, 2.0]
    assert compare(row, own)["against_preset_again"] == [-1.0, 0.0]


def test_rank_correlation_is_scipys():
    rng = np.random.default_rng(0)
    a = rng.integers(0, 10, 30).astype(float)  # with ties
    b = a + rng.normal(0, 4, 30)
    assert rank_correlation(list(a), list(b)) == pytest.approx(spearmanr(a, b).statistic, abs=5e-4)
    assert rank_correlation([1.0, 2.0, 3.0], [7.0, 5.0, 4.0]) == -1.0
    assert math.isnan(rank_correlation([1.0, 1.0], [1.0, 2.0]))


# -- the whole search ---------------------------------------------------------------------------------------

def lines(folder) -> list[dict]:
    """search.jsonl without the times."""
    rows = [json.loads(line) for line in (folder / "search.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if not k.endswith("seconds")} for row in rows]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("search") / "whole"
    return folder, search(TINY, QUICK, folder, workers=0, progress=False)


def test_a_search_ends_with_a_network_in_the_budget(whole):
    folder, result = whole
    assert tree(folder) == ["chosen.pt", "search.jsonl", "steps.jsonl", "supernet.pt"]
    rows = lines(folder)
    assert [row["kind"] for row in rows] == ["run", *["genome"] * result["judged"], "result"]
    assert 5 <= result["judged"] <= 9  # four by evolution, four by random search, the preset
    genomes = [tuple(row["genome"]) for row in rows if row["kind"] == "genome"]
    assert len(set(genomes)) == len(genomes) and SMALL.own in genomes
    chosen = tuple(result["picks"]["chosen"]["genome"])
    assert SMALL.cost(chosen) <= 1.0
    assert load_model(folder / "chosen.pt").arch == SMALL.arch_of(chosen)
    assert result["picks"]["preset"]["cost"] == 1.0 and result["picks"]["preset"]["against_preset"] == [0.0, 0.0]


def test_a_search_cut_in_training_and_in_judging_ends_alike(whole, tmp_path, monkeypatch):
    folder, _ = whole
    step, write = sandwich.SandwichRun.train_step, Judge.write

    def stop_training(self, *batch):
        if self.step == 2:
            raise KeyboardInterrupt
        return step(self, *batch)

    def stop_judging(self, *more):
        write(self, *more)
        if len(self.rows) == 3:
            raise KeyboardInterrupt

    for owner, name, cut in ((sandwich.SandwichRun, "train_step", stop_training), (Judge, "write", stop_judging)):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(owner, name, cut)
            search(TINY, QUICK, tmp_path, workers=0, progress=False)
    assert len(lines(tmp_path)) == 4
    search(TINY, QUICK, tmp_path, workers=0, progress=False)
    assert lines(tmp_path) == lines(folder)
    for name, key in (("supernet.pt", "net"), ("chosen.pt", "model")):
        mine, theirs = load_state(tmp_path / name)[key], load_state(folder / name)[key]
        assert mine.keys() == theirs.keys() and all(torch.equal(mine[k], theirs[k]) for k in mine)


def test_another_budget_picks_anew_without_training(whole, tmp_path, monkeypatch):
    folder, _ = whole
    shutil.copytree(folder, tmp_path / "copy")
    monkeypatch.setattr(sandwich.SandwichRun, "train_step", None)  # calling it would fail
    result = search(TINY, Pick(budget=0.3, evaluations=6, clips=2), tmp_path / "copy", workers=0, progress=False)
    assert result["picks"]["chosen"]["cost"] <= 0.3
    old = [row for row in lines(folder) if row["kind"] == "genome"]
    assert lines(tmp_path / "copy")[1:len(old) + 1] == old  # taken over, not judged again


def test_the_random_genome_of_a_step_is_always_the_same_and_they_differ(tmp_path):
    run = sandwich.SandwichRun(TINY, tmp_path, "cpu")
    drawn = []
    for run.step in range(12):
        drawn.append(run.sandwich()["random"])
        assert run.sandwich()["random"] == drawn[-1]
    assert len(set(drawn)) > 6
    assert run.ends == {"costliest": (EXPAND2,) * 3, "cheapest": (IDENTITY,) * 3}


def test_the_log_of_our_own_search_is_consistent():
    """data_samples/results/search_small.jsonl: what it says of itself follows from its rows."""
    head, *rows, result = map(json.loads, (ROOT / "data_samples/results/search_small.jsonl").read_text().splitlines())
    assert (head["kind"], result["kind"]) == ("run", "result")
    assert {tuple(row["genome"]) for row in rows} == set(SMALL.genomes()) and result["judged"] == len(rows) == 125
    by_genome = {tuple(row["genome"]): row for row in rows}
    for genome, row in by_genome.items():
        assert row["cost"] == pytest.approx(SMALL.cost(genome), abs=1e-6)
        for key in ("", "_again"):
            assert len(row[f"clips{key}"]) == head["clips"]
            assert row[f"MAD{key}"] == pytest.approx(np.mean(row[f"clips{key}"]), abs=0.006)
    affordable = [row for row in rows if row["cost"] <= result["budget"]]
    assert result["picks"]["best of all"]["genome"] == min(affordable, key=lambda row: row["MAD"])["genome"]
    for pick in result["picks"].values():
        genome = tuple(pick["genome"])
        assert pick["operations"] == stage_operations(SMALL.arch_of(genome))
        assert compare(by_genome[genome], by_genome[SMALL.own]).items() <= pick.items()
    assert result["rank_correlation"] == pytest.approx(
        spearmanr([row["MAD"] for row in rows], [row["MAD_again"] for row in rows]).statistic, abs=5e-4)

    def score(genome):
        return fitness(by_genome[genome]["MAD"], by_genome[genome]["cost"], result["budget"], result["mu"])

    options = [list(stage) for stage in SMALL.stages]

    def hits(strategy):  # of 50 searches: how many find the best
        found = [strategy(options, score, np.random.default_rng(seed), 40) for seed in range(50)]
        top = tuple(result["picks"]["best of all"]["genome"])
        return sum(best(judged, lambda genome: by_genome[genome]["cost"] <= result["budget"]) == top
                   for judged in found)

    assert hits(evolve) > 1.5 * hits(random_search)


# -- the command --------------------------------------------------------------------------------------------

COMMAND = ("search", "--budget", 2, "--steps", 1, "--size", "32x32", "--batch", 1, "--evaluations", 2, "--clips", 2,
           "--workers", 0)


def test_command_prints_the_picks_and_its_network_can_be_packed(tmp_path, capfd):
    code, out, err = run(capfd, *COMMAND, "--out", tmp_path / "run", "--init",
                         ROOT / "bivm_ref/weights/training/small.pt")
    assert code == 0 and err == "", err
    assert "preset / preset / preset" in out and "random search" in out and "MAD (other clips)" in out
    code, again, _ = run(capfd, *COMMAND, "--out", tmp_path / "run", "--json")
    assert code == 0
    chosen = json.loads(again)["picks"]["chosen"]["genome"]
    assert any(line.startswith("chosen") and " / ".join(chosen) in line for line in out.splitlines())
    assert load_model(tmp_path / "run/chosen.pt").arch == SMALL.arch_of(tuple(chosen))
    code, _, err = run(capfd, "export", tmp_path / "run/chosen.pt", tmp_path / "chosen.safetensors")
    assert code == 0, err
    code, _, err = run(capfd, "train", "--init", tmp_path / "run/chosen.pt", "--steps", 1, "--workers", 0, "--out",
                       tmp_path / "trained")
    assert code == 0, err
    assert load_model(tmp_path / "trained/model.pt").arch == SMALL.arch_of(tuple(chosen))


def test_nan_stops_a_search_with_the_clips_and_the_checkpoint(tmp_path, monkeypatch):
    """Clip 5 is broken; batches of two: the third, at step 2."""
    clip = sandwich.MixedClips.__getitem__
    monkeypatch.setattr(sandwich.MixedClips, "__getitem__", lambda self, i: [
        x * (torch.nan if i == 5 else 1) for x in clip(self, i)])
    with pytest.raises(UserError, match=r"not finite at step 2 \(clips 4, 5; seed 4\); no supernet.pt is kept yet"):
        sandwich.train_supernet(TINY, tmp_path / "a", workers=0, progress=False)
    (tmp_path / "b").mkdir()
    with pytest.raises(UserError, match=r"step 2 .*supernet.pt holds the last good state"):
        sandwich.train_supernet(TINY, tmp_path / "b", workers=0, progress=False, checkpoint_every=1)


def test_bad_input_is_one_line(whole, tmp_path, capfd):
    def refused(*words) -> str:
        code, out, err = run(capfd, *COMMAND, *words)
        assert code == 2 and out == "" and err.count("\n") == 1 and ";" in err, (code, out, err)
        return err

    for budget in ("0", "-1", "nan", "0.1"):
        assert "0.19 or more" in refused("--out", tmp_path / "new", f"--budget={budget}")
    assert not (tmp_path / "new").exists()
    assert "another recipe" in refused("--out", whole[0])
    (tmp_path / "training").mkdir()
    (tmp_path / "training/checkpoint.pt").write_bytes(b"")
    assert "another command" in refused("--out", tmp_path / "training")
    (tmp_path / "file").write_text("")
    assert "file" in refused("--out", tmp_path / "file")
    assert "nobody" in refused("--out", tmp_path / "new", "--people", tmp_path / "nobody")
    assert "--preset small" in refused("--out", tmp_path / "new", "--preset", "default", "--init",
                                       save_small(tmp_path))
    assert "1 to 100" in refused("--out", tmp_path / "new", "--clips", 101)


def save_small(folder):
    save_atomic({"recipe": _as_data(TINY), "model": BiVM("small").state_dict()}, folder / "small.pt")
    return folder / "small.pt"


def test_damaged_files_of_a_search_are_named(whole, tmp_path):
    for name, text in (("search.jsonl", "{"), ("search.jsonl", '{"kind": "run"}\n{"kind": "genome"}\n'),
                       ("supernet.pt", "no")):
        folder = tmp_path / "copy"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(whole[0], folder)
        (folder / name).write_text(text)
        with pytest.raises(UserError, match=f"{name}.*;"):
            search(TINY, QUICK, folder, workers=0, progress=False)
