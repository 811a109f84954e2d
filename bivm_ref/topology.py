"""Evolvable topology: what each stage of the encoder may look like, and what that costs. Data only, no torch.

The abstract says "evolvable topologies" and no more; this is our reading of it (precedents: BATS, Bulat et al. 2020,
arXiv 2003.01711; the evolution-searched binary MobileNet, Phan et al. 2020, 2005.06305). A stage halves the map and
goes from `cin` to `cout` channels, a and b below, by one of four sequences of `arch.Block`:

    expand-expand-reduce   a -> b -> 2b -> b      BiMatting's group of blocks
    expand-reduce          a -> 2b -> b
    reduce-first           a -> b -> b/2 -> b     a bottleneck
    identity               a -> b                 only the block that enters the stage, and after it nothing

What "reduce-first" means: a block that narrows c channels to c/2 can look around first, as BiMatting's does (3x3 at
width c, then 1x1: 9 c^2 + c^2 / 2 weights), or narrow first (1x1, then the 3x3 at c/2: c^2 / 2 + 9 c^2 / 4). That
saves 71 % of such a block and, since five of them are half of BiMatting's encoder, 37 % of the encoder's binary work.
Every reducing `Block` here narrows first. The choice of that name carries the idea from the block to the stage: it
narrows as soon as it has entered, so the 3x3s that follow run at half of the stage's width.

A *genome* names one choice per stage, ("identity", "reduce-first", "expand-reduce"). A preset whose own stage is none
of the four keeps it as a fifth choice, "preset", so that the network a search wants to beat is a genome too.
"""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass

from bivm_ref.arch import Arch, Block
from bivm_ref.cost import layer_costs

Genome = tuple[str, ...]
OWN = "preset"  # name of a preset's own stage, where that is none of the four
STAGES = ("encoder.f2.", "encoder.f3.", "encoder.f4.")  # prefix of a stage's layers: in `Arch.convs()` and in torch


def choices(cin: int, cout: int, own: tuple[Block, ...] | None = None) -> dict[str, tuple[Block, ...]]:
    """The sequences of blocks that may make a stage from `cin` to `cout` channels, by name, costliest idea first.

    Channel counts are multiples of 8; half of the width is rounded up to one. own: the preset's stage, added as
    "preset" if it is none of the four. Raises ValueError when `own` does not go from `cin` to `cout`.
    """
    half = -(-cout // 16) * 8
    found = {name: _sequence(cin, *widths) for name, widths in {
        "expand-expand-reduce": (cout, 2 * cout, cout),
        "expand-reduce": (2 * cout, cout),
        "reduce-first": (cout, half, cout),
        "identity": (cout,),
    }.items()}
    if own is not None:
        if (own[0].cin, own[-1].cout) != (cin, cout):
            raise ValueError(f"a stage from {own[0].cin} to {own[-1].cout} channels is no choice from {cin} to {cout}")
        if own not in found.values():
            found[OWN] = own
    return found


def _sequence(*widths: int) -> tuple[Block, ...]:
    """Blocks through these widths, the first one with stride 2."""
    return tuple(Block(a, b, 2 if i == 0 else 1) for i, (a, b) in enumerate(zip(widths, widths[1:])))


def stage_operations(arch: Arch, width: int = 512, height: int = 288) -> float:
    """Operations of the stages f2 to f4 for one frame, by the rule of `cost.py` (a binary MAC counts 1/64).

    The stem is left out: it is in every genome alike, and its 12-bit multiplications, counted in full, would hide
    what a genome changes.
    """
    return sum(row.operations for row in layer_costs(arch, width, height) if row.conv.name.startswith(STAGES))


@dataclass(frozen=True)
class Space:
    """All networks that differ from `arch` (a preset) in the stages of their encoder only."""

    arch: Arch

    @property
    def stages(self) -> tuple[dict[str, tuple[Block, ...]], ...]:
        """The choices of f2, f3 and f4, by name."""
        return tuple(choices(blocks[0].cin, blocks[-1].cout, blocks) for blocks in self.arch.stages)

    @property
    def own(self) -> Genome:
        """The genome that makes `arch` itself."""
        return tuple(next(name for name, made in options.items() if made == blocks)
                     for options, blocks in zip(self.stages, self.arch.stages))

    def genomes(self) -> list[Genome]:
        """All of them: 4 or 5 choices in each of three stages, 64 to 125 genomes."""
        return list(itertools.product(*self.stages))

    def arch_of(self, genome: Genome) -> Arch:
        """The network that a genome makes; `arch` itself for the preset's own. Raises ValueError for no genome."""
        stages = self.stages
        if len(genome) != len(stages):
            raise ValueError(f"a genome has {len(stages)} choices, not {len(genome)}: {genome}")
        for name, options in zip(genome, stages):
            if name not in options:
                raise ValueError(f"unknown choice {name!r}: choose one of {', '.join(options)}")
        if tuple(genome) == self.own:
            return self.arch
        blocks = tuple(options[name] for name, options in zip(genome, stages))
        return dataclasses.replace(self.arch, name=f"{self.arch.name}[{', '.join(genome)}]", stages=blocks)

    def cost(self, genome: Genome) -> float:
        """Operations of the genome's stages, as a multiple of the preset's. Raises ValueError for no genome."""
        return stage_operations(self.arch_of(genome)) / stage_operations(self.arch)
