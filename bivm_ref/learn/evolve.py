"""Evolution over genomes, and the random search that it must beat. No torch: a fitness is any function.

A genome is a tuple with one choice per stage. Nothing is judged twice.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np

Genome = tuple[str, ...]


def fitness(mad: float, cost: float, budget: float, mu: float) -> float:
    """-MAD - mu * max(0, cost / budget - 1): MAD times 1e3; cost and budget in the same unit, whatever it is."""
    return -mad - mu * max(0.0, cost / budget - 1.0)


def evolve(options: Sequence[Sequence[str]], judge: Callable[[Genome], float], rng: np.random.Generator,
           evaluations: int, population: int = 4, mutation: float = 0.25) -> dict[Genome, float]:
    """Judge up to `evaluations` genomes, each bred from the fittest so far: {genome: fitness} in order of judging.

    options[i] are the choices of stage i. The first `population` genomes are random. Then, one child at a time: two
    parents among the `population` fittest, each gene from one of them (crossover), and replaced by a random one with
    probability `mutation`. A child that is known already is bred again; when that keeps happening, a random new one
    takes its place. Ends early when the whole space is judged.
    """
    everyone = list(itertools.product(*options))
    judged = random_search(options, judge, rng, min(population, evaluations))
    while len(judged) < min(evaluations, len(everyone)):
        parents = sorted(judged, key=judged.get, reverse=True)[:population]
        for _ in range(20):
            mother, father = (parents[i] for i in rng.integers(len(parents), size=2))
            child = tuple(pair[rng.integers(2)] for pair in zip(mother, father))
            child = tuple(genes[rng.integers(len(genes))] if rng.random() < mutation else gene
                          for gene, genes in zip(child, options))
            if child not in judged:
                break
        else:
            unknown = [genome for genome in everyone if genome not in judged]
            child = unknown[rng.integers(len(unknown))]
        judged[child] = judge(child)
    return judged


def random_search(options: Sequence[Sequence[str]], judge: Callable[[Genome], float], rng: np.random.Generator,
                  evaluations: int) -> dict[Genome, float]:
    """Judge that many different random genomes (or the whole space): {genome: fitness}."""
    everyone = list(itertools.product(*options))
    chosen = rng.permutation(len(everyone))[:evaluations]
    return {everyone[i]: judge(everyone[i]) for i in chosen}


def best(judged: dict[Genome, float], affordable: Callable[[Genome], bool]) -> Genome | None:
    """The fittest genome that can be afforded; None if none can. The first of equals."""
    return max(filter(affordable, judged), key=judged.get, default=None)
