"""All networks of a search space in one: a BiVM whose encoder stages hold every choice of `topology.py`.

What is shared: everything outside the stages (stem, neck, decoder, heads), and inside a stage the *latent weights* of
convolutions that agree in shape, stride and position, counted from the stage's entrance: (block, place in the block).
So the 3x3 that enters a stage is one tensor for all choices, whatever follows it.
What is not: all that belongs to one channel of one path, a few numbers per channel. Batch norms must be separate (the
same weights see other statistics on each path), and so are sign thresholds, shortcut gains and PReLU slopes, which
work on what the norms make.
"""

from __future__ import annotations

from torch import Tensor, nn

from bivm_ref.arch import Block
from bivm_ref.net.binarize import Method
from bivm_ref.net.bivm import BiVM
from bivm_ref.net.blocks import elastic_block
from bivm_ref.topology import STAGES, Genome, Space


class ChoiceStage(nn.Module):
    """One encoder stage with several insides, of which `chosen` runs.

    x (N, cin, H, W) -> (N, cout, H/2, W/2), whichever is chosen.
    """

    def __init__(self, options: dict[str, tuple[Block, ...]], how: Method) -> None:
        super().__init__()
        self.choices = nn.ModuleDict()
        self.chosen = next(iter(options))
        convs = {}  # (block, place in the block, shape, stride) -> the one convolution there
        for name, blocks in options.items():
            path = nn.Sequential(*(elastic_block(block, how) for block in blocks))
            for j, block in enumerate(path):
                for place, layer in enumerate(block):
                    key = (j, place, tuple(layer.conv.weight.shape), layer.stride)
                    layer.conv = convs.setdefault(key, layer.conv)
            self.choices[name] = path

    def forward(self, x: Tensor) -> Tensor:
        return self.choices[self.chosen](x)


class Supernet(BiVM):
    """A BiVM that is, at any moment, the network of one genome of its space; at first the preset's own.

    forward as `BiVM`. `choose` selects a genome, `network` takes one out as a plain BiVM.
    """

    def __init__(self, space: Space, how: Method | str = "bivm", masked: bool = True) -> None:
        super().__init__(space.arch, how, masked)
        self.space = space
        for i, options in enumerate(space.stages):
            self.encoder.add_module(f"f{i + 2}", ChoiceStage(options, self.method))
        self.choose(space.own)

    def choose(self, genome: Genome) -> Supernet:
        """Run this genome from now on. Raises ValueError for no genome of the space."""
        self.space.arch_of(genome)
        for stage, name in zip((self.encoder.f2, self.encoder.f3, self.encoder.f4), genome):
            stage.chosen = name
        return self

    def network(self, genome: Genome) -> BiVM:
        """A plain BiVM of the genome's Arch with copies of its weights, in evaluation mode."""
        plain = BiVM(self.space.arch_of(genome), self.method.name, self.masked)
        mine = self.state_dict()
        plain.load_state_dict({key: mine[_on_path(key, genome)] for key in plain.state_dict()})
        return plain.eval()

    def adopt(self, model: BiVM) -> None:
        """Take over all that lies outside the stages from a plain network of the same preset, trained or not.

        The stages keep their random weights: those of `model` fit its own choice alone and would favour it.
        """
        theirs = {key: value for key, value in model.state_dict().items() if not key.startswith(STAGES)}
        self.load_state_dict({**self.state_dict(), **theirs})


def _on_path(key: str, genome: Genome) -> str:
    """A plain network's parameter name -> the supernet's: encoder.f2.0.spatial... -> encoder.f2.choices.NAME.0..."""
    for stage, name in zip(STAGES, genome):
        if key.startswith(stage):
            return f"{stage}choices.{name}.{key.removeprefix(stage)}"
    return key
