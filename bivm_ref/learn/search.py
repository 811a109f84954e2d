"""Search for a topology: train one supernet, judge genomes with its weights, let evolution pick one.

`search()` works in one folder: `supernet.pt` and `steps.jsonl` (the training, see `sandwich.py`), `search.jsonl` (a
line for the run, one per judged genome, one for the result) and `chosen.pt` (the chosen network with the supernet's
weights: a `model.pt` to export, or to start its own training from). What a genome scores depends on the recipe
alone, so the same folder answers for another budget without training again.

Two sets of clips judge every genome (see `judge.py`): the first one chooses. The second has no say and is printed
beside it, since the best of many noisy scores looks better than it is.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bivm_ref.arch import preset
from bivm_ref.clips import ClipMix
from bivm_ref.errors import UserError
from bivm_ref.learn.evolve import best, evolve, fitness, random_search
from bivm_ref.learn.judge import CLIPS, Judge
from bivm_ref.learn.recalibrate import recalibrate
from bivm_ref.learn.sandwich import train_supernet
from bivm_ref.learn.train import Recipe, _as_data, save_atomic
from bivm_ref.topology import Genome, Space, stage_operations


@dataclass(frozen=True)
class Pick:
    """How the trained supernet is searched.

    budget       operations of the stages f2 to f4, as a multiple of the preset's
    mu           MAD (times 1e3) that a genome loses per budget it exceeds: 1 % too much costs 10
    evaluations  genomes that evolution judges; random search, the control, judges as many
    exhaustive   judge the whole space as well
    clips        of each of the two sets, at most 100
    """

    budget: float = 1.0
    mu: float = 1000.0
    evaluations: int = 40
    exhaustive: bool = False
    clips: int = CLIPS


def search(recipe: Recipe, pick: Pick, folder: str | Path, mix: ClipMix | None = None, workers: int = 1,
           progress: bool = True, device: str = "cpu", command: str = "") -> dict:
    """Train the supernet (or go on), judge genomes, pick one. Returns the result: search.jsonl's last line, and with
    `exhaustive` the "ranking", which that file's other lines hold.

    Raises UserError for a budget that no genome keeps to and for a folder that holds another run, and whatever
    `train_supernet` and `Judge` raise.
    """
    space, folder = Space(preset(recipe.arch)), Path(folder)
    cost = {genome: space.cost(genome) for genome in space.genomes()}
    if not pick.budget >= min(cost.values()):
        raise UserError(f"--budget {pick.budget:g}: no network of the space costs so little; "
                        f"choose {min(cost.values()):.2f} or more")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: the folder cannot be made ({error.strerror}); choose another") from error
    net, trained = train_supernet(recipe, folder, mix, workers, progress=progress, device=device)
    judge = Judge(net, recipe, folder / "search.jsonl", mix, pick.clips, progress, device)

    def score(genome: Genome) -> float:
        return fitness(judge(genome)["MAD"], cost[genome], pick.budget, pick.mu)

    options = [list(stage) for stage in space.stages]
    evolved = evolve(options, score, np.random.default_rng([recipe.seed, 1]), pick.evaluations)
    drawn = random_search(options, score, np.random.default_rng([recipe.seed, 2]), pick.evaluations)
    whole = {genome: score(genome) for genome in cost} if pick.exhaustive else {}
    picks = {name: best(judged, lambda genome: cost[genome] <= pick.budget)
             for name, judged in (("chosen", evolved), ("random search", drawn), ("best of all", whole))}
    picks["chosen"] = picks["chosen"] or min(cost, key=cost.get)  # evolution met nothing that can be afforded
    picks["preset"] = space.own
    own = judge(space.own)
    result = {
        "kind": "result", "command": command, "preset": recipe.arch, **dataclasses.asdict(pick),
        "space": len(cost), "judged": len(judge.rows),
        "picks": {name: {"operations": stage_operations(space.arch_of(genome)), **compare(judge(genome), own)}
                  for name, genome in picks.items() if genome},
        "rank_correlation": rank_correlation(*([row[key] for row in judge.rows.values()]
                                               for key in ("MAD", "MAD_again"))),
        "ranking": [compare(judge(genome), own) for genome in sorted(whole, key=whole.get, reverse=True)],
        "training_seconds": round(trained),
        "judging_seconds": round(sum(row["seconds"] for row in judge.rows.values()))}
    judge.close({key: value for key, value in result.items() if key != "ranking"})
    chosen = recalibrate(net.network(picks["chosen"]).to(device), judge.calibration).cpu()
    chosen_recipe = dataclasses.replace(recipe, arch=chosen.arch.to_json())
    save_atomic({"recipe": _as_data(chosen_recipe), "model": chosen.state_dict()}, folder / "chosen.pt")
    return result


def compare(row: dict, own: dict) -> dict:
    """A judged genome beside the preset's: both MADs, and the mean of the clips' differences with its standard error.

    The error bar knows of the choice of clips alone, not of the luck of one training.
    """
    found = {key: row[key] for key in ("genome", "cost", "MAD", "MAD_again")}
    for key in ("", "_again"):
        gap = np.array(row[f"clips{key}"]) - np.array(own[f"clips{key}"])
        error = gap.std(ddof=1) / len(gap) ** 0.5 if len(gap) > 1 else 0.0
        found[f"against_preset{key}"] = [round(float(gap.mean()), 2), round(float(error), 2)]
    return found


def rank_correlation(a: list[float], b: list[float]) -> float:
    """Spearman's: 1 when two sets of clips order the genomes alike, 0 when one says nothing about the other.

    Equal values share the mean of their ranks. NaN for fewer than two genomes, or when all are equal.
    """
    def ranks(x: list[float]) -> np.ndarray:
        _, place, count = np.unique(x, return_inverse=True, return_counts=True)
        return (np.cumsum(count) - (count - 1) / 2.0)[place]

    first, second = (r - r.mean() for r in (ranks(a), ranks(b)))
    scale = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return round(float((first * second).sum()) / scale, 3) if scale else float("nan")


def as_text(result: dict) -> str:
    """The result for people: a table of the picks, then what it is worth."""
    rows = list(result["picks"].items())
    rows += [(f"{i}.", row) for i, row in enumerate(result["ranking"], 1)]
    wide = max(len(" / ".join(row["genome"])) for _, row in rows)
    lines = [f"{'':<14}{'f2 / f3 / f4':<{wide}}   cost  MAD (choosing)  MAD (other clips)  to the preset, other clips"]
    for i, (name, row) in enumerate(rows):
        if i == len(result["picks"]):
            lines.append(f"\nall {len(result['ranking'])} genomes, fittest first")
        gap, error = row["against_preset_again"]
        lines.append(f"{name:<14}{' / '.join(row['genome']):<{wide}}  {row['cost']:5.2f}  {row['MAD']:14.1f}  "
                     f"{row['MAD_again']:17.1f}  {gap:+17.1f} +- {error:.1f}")
    chosen, own = result["picks"]["chosen"], result["picks"]["preset"]
    lines += ["", f"cost: operations of f2 to f4 (chosen {chosen['operations'] / 1e6:.2f} M, preset "
              f"{own['operations'] / 1e6:.2f} M at 512x288, binary MACs / 64), as a multiple of the preset's",
              f"budget {result['budget']:g}; {result['judged']} of {result['space']} genomes judged; rank correlation "
              f"between the two sets of clips {result['rank_correlation']:.2f}",
              "+- is one standard error over clips; the luck of one training is not in it",
              f"{result['training_seconds']} s of training, {result['judging_seconds']} s of judging"]
    return "\n".join(lines)
