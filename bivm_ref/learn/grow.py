"""Growing: a larger network that computes what a smaller one does, to go on training from there.

A large network from random weights spends its first hours on what a small one knows. Net2Net (Chen et al., 2016) makes
the large one *equal* to the small one instead, and training uses the width and depth from there:

    wider    channel i of the large map is a copy of channel m[i] of the small one; whoever reads channel m[i] spreads
             its weight over the copies, in random shares, so that the copies get gradients of their own
    deeper   a block that the small network has not is a detour that adds nothing yet: gamma 0, slope 1, shortcut alone

What our reading adds: the elastic shortcut resamples channels by a fixed rule, which differs between the widths. The
difference of the two rules is a linear map of the channels, and a float convolution can hold it in its middle tap.
So a float twin grows exactly. A binary network grows nearly: the copies' bits are equal and so are the signs that
read them, but a sign holds no shares (a concatenated map whose part has copies counts that part more often than the
others), and no difference of shortcuts. A few hundred steps mend that.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from bivm_ref.arch import preset
from bivm_ref.clips import procedural_clip
from bivm_ref.errors import UserError
from bivm_ref.net import BiVM, ops
from bivm_ref.net.binary import Sign, fold
from bivm_ref.net.blocks import ConvGRU, Elastic, Norm, TwoBranch
from bivm_ref.net.decoder import DecoderStage

from .store import load_bivm, load_state, save_atomic


def resampling(cin: int, cout: int) -> Tensor:
    """R of the elastic shortcut as a matrix, (cout, cin)."""
    return ops.resample_channels(torch.eye(cin)[..., None, None], cout)[..., 0, 0].T


def copies(m: Tensor, small: int) -> Tensor:
    """x_large = copies @ x_small: (len(m), small), a 1 in each row."""
    return torch.nn.functional.one_hot(m, small).float()


def concatenated(*maps: tuple[Tensor, int]) -> Tensor:
    """The map of concatenated maps; each comes with its number of small channels."""
    found, offset = [], 0
    for m, small in maps:
        found.append(m + offset)
        offset += small
    return torch.cat(found)


def halves(width: int, small: int) -> Tensor:
    """The map of a width whose second half is memory: halves stay halves."""
    half = torch.arange(width // 2) % (small // 2)
    return torch.cat((half, half + small // 2))


class Grower:
    """Writes the layers of `small` into those of `large`, one method for each kind of layer.

    A map m is (large channels,) long: the small channel that each one copies, every small channel at least once.
    `affine` keeps y = a * x + b of every norm that is still to be given the statistics of its new input.
    """

    def __init__(self, seed: int) -> None:
        self.random = torch.Generator().manual_seed(seed)
        self.affine: dict[Norm, tuple[Tensor, Tensor]] = {}

    def spread(self, weight: Tensor, m_in: Tensor, m_out: Tensor) -> Tensor:
        """(small cout, small cin, kh, kw) -> (large cout, large cin, kh, kw), shares drawn for each pair."""
        shares = torch.rand(len(m_out), len(m_in), generator=self.random) + 0.5
        sums = shares @ copies(m_in, weight.shape[1])
        return weight[m_out][:, m_in] * (shares / sums[:, m_in])[..., None, None]

    def normed(self, conv: nn.Module, norm: Norm, weight: Tensor, shift: Tensor) -> None:
        """conv and norm compute weight * x + shift from here on; the rows of the weight get the usual size."""
        least = (2.0 / weight[0].numel()) ** 0.5
        size = weight.pow(2).mean((1, 2, 3)).sqrt().clamp(min=1e-6) / least
        conv.weight.copy_(weight / size.view(-1, 1, 1, 1))
        self.affine[norm] = (size, shift)

    def branch(self, small: nn.Module, small_norm: Norm, large: nn.Module, large_norm: Norm, m_in: Tensor,
               m_out: Tensor, extra: Tensor | None = None) -> None:
        """A convolution and its norm. extra (large cout, small cin): what its middle tap holds besides."""
        a, b = small_norm.folded()
        weight = (small.latent() * a.view(-1, 1, 1, 1))[m_out]
        if extra is not None:
            middle = weight.shape[-1] // 2
            weight[..., middle, middle] += extra
        self.normed(large, large_norm, self.spread(weight, m_in, torch.arange(len(m_out))), b[m_out])

    def missing(self, small_gain: Tensor, cin: int, cout: int, m_in: Tensor, m_out: Tensor) -> Tensor:
        """g * (R of the small network - R of the large one) as a matrix (large cout, small cin)."""
        mine = resampling(len(m_in), len(m_out)) @ copies(m_in, cin)
        return small_gain[m_out].view(-1, 1) * (resampling(cin, cout)[m_out] - mine)

    def shift(self, small: Sign, large: Sign, m: Tensor) -> None:
        """The threshold of a sign, where the method has one."""
        if small.theta is not None:
            large.theta.copy_(small.theta[m])

    def elastic(self, small: Elastic, large: Elastic, m_in: Tensor, m_out: Tensor) -> None:
        cin = small.conv.weight.shape[1]
        extra = self.missing(small.gain, cin, small.cout, m_in, m_out)
        if small.stride == 2:  # the shortcut averages, the middle tap does not
            if extra.abs().max() > 1e-6:
                raise ValueError("a layer with a stride cannot be widened so")
            extra = None
        self.shift(small.sign, large.sign, m_in)
        large.gain.copy_(small.gain[m_out])
        large.act.weight.copy_(small.act.weight[m_out])
        self.branch(small.conv, small.norm, large.conv, large.norm, m_in, m_out, extra)

    def detour(self, large: Elastic, m_in: Tensor) -> Tensor:
        """A layer that adds nothing yet; returns the map after it."""
        cin, cout = len(m_in), large.cout
        if cin % cout and cout % cin:
            raise ValueError(f"a new block may not take {cin} channels to {cout}, which is no multiple or part of it")
        large.act.weight.fill_(1.0)
        zero = torch.zeros(cout)
        self.affine[large.norm] = (zero, zero)
        if cout < cin and not (m_in.view(-1, cout) == m_in[:cout]).all():
            raise ValueError("a new block averages channels that are not copies of one")
        return m_in[torch.arange(cout) % cin]

    def stage(self, small: nn.Sequential, large: nn.Sequential, m: Tensor) -> Tensor:
        """The blocks of one scale: those that do not reduce take over the small ones in turn, the rest are detours."""
        waiting = list(small)
        for block in large:
            first = block[0]
            if waiting and first.cout == len(m):  # "spatial" first, so it does not reduce
                old = waiting.pop(0)
                if old.point.cout > block.point.cout:
                    raise ValueError("its encoder is wider already")
                after = torch.arange(block.point.cout) % old.point.cout
                self.elastic(old.spatial, block.spatial, m, m)
                self.elastic(old.point, block.point, m, after)
                m = after
            else:
                for layer in block:
                    m = self.detour(layer, m)
        if waiting:
            raise ValueError("the large network has too few blocks that do not reduce")
        return m

    def two(self, small: TwoBranch, large: TwoBranch, m_in: Tensor, m_out: Tensor,
            extra: Tensor | None = None) -> None:
        self.branch(small.k3, small.norm3, large.k3, large.norm3, m_in, m_out)
        self.branch(small.k1, small.norm1, large.k1, large.norm1, m_in, m_out, extra)

    def gru(self, small: ConvGRU, large: ConvGRU, m: Tensor) -> None:
        """m: of the half that is remembered."""
        c = len(small.gain)
        for name in ("sign_x", "sign_h", "sign_rh"):
            self.shift(getattr(small, name), getattr(large, name), m)
        twice = concatenated((m, c), (m, c))
        self.two(small.gates, large.gates, twice, twice)
        self.two(small.candidate, large.candidate, twice, m)
        large.gain.copy_(small.gain[m])

    def decoder_stage(self, small: DecoderStage, large: DecoderStage, below: Tensor, skip: Tensor | None,
                      m_out: Tensor) -> None:
        widths = [small.conv.k1.weight.shape[1] - len(small.rgb.sign.theta), len(small.rgb.sign.theta)]
        sources = [(below, 0), (torch.arange(widths[1]), widths[1])]
        if skip is not None:
            sources.insert(1, (skip, int(skip.max()) + 1))
        width = widths[0] - sum(count for _, count in sources[1:-1])
        sources[0] = (below, width)
        extra = torch.zeros(len(m_out), small.conv.k1.weight.shape[1])
        extra[:, :width] = self.missing(small.gain, width, small.cout, below, m_out)
        self.two(small.conv, large.conv, concatenated(*sources), m_out, extra)
        large.rgb.load_state_dict(small.rgb.state_dict())
        self.shift(small.sign_up, large.sign_up, below)
        if skip is not None:
            self.shift(small.sign_skip, large.sign_skip, skip)
        large.gain.copy_(small.gain[m_out])
        large.act.weight.copy_(small.act.weight[m_out])
        if small.memory is not None:
            half = small.cout // 2
            self.gru(small.memory.gru, large.memory.gru, m_out[len(m_out) // 2:] - half)

    def settle(self, large: BiVM, clips: Iterable[Tensor]) -> None:
        """Give the norms the mean and variance of what they read on these clips (B, T, 3, H, W) in [0, 1], and the
        gamma and beta that make the same y = a * x + b of it."""
        sums: dict[Norm, list] = {}

        def look(norm: Norm, inputs: tuple[Tensor, ...]) -> None:
            x = inputs[0].double()
            count, total, square = sums.setdefault(norm, [0, 0.0, 0.0])
            sums[norm] = [count + x[:, 0].numel(), total + x.sum((0, 2, 3)), square + (x * x).sum((0, 2, 3))]
            fit(norm)

        def fit(norm: Norm) -> None:
            count, total, square = sums[norm]
            mean = total / count
            variance = (square / count - mean**2).clamp(min=0)
            a, b = self.affine[norm]
            norm.running_mean.copy_(mean)
            norm.running_var.copy_(variance)
            norm.weight.copy_(a * torch.sqrt(variance + norm.eps))
            norm.bias.copy_(b + a * mean)

        hooks = [norm.register_forward_pre_hook(look) for norm in self.affine]
        large.eval()
        for clip in clips:
            large(clip)
        for hook in hooks:
            hook.remove()


class BinaryGrower(Grower):
    """The same for a binary network: copies of signs and of their thresholds, latent weights of different sizes, so
    that copies do not flip together. What `Grower` makes equal by shares is as often too large as there are copies,
    which the norms behind make up for."""

    def spread(self, weight: Tensor, m_in: Tensor, m_out: Tensor) -> Tensor:
        sizes = torch.rand(len(m_out), len(m_in), generator=self.random) + 0.5
        return weight[m_out][:, m_in] * sizes[..., None, None]

    def branch(self, small: nn.Module, small_norm: Norm, large: nn.Module, large_norm: Norm, m_in: Tensor,
               m_out: Tensor, extra: Tensor | None = None) -> None:
        large.weight.copy_(self.spread(small.latent(), m_in, m_out))
        large_norm.weight.copy_(small_norm.weight[m_out])
        large_norm.bias.copy_(small_norm.bias[m_out])

    def detour(self, large: Elastic, m_in: Tensor) -> Tensor:
        large.norm.weight.zero_()
        return super().detour(large, m_in)

    def settle(self, large: BiVM, clips: Iterable[Tensor]) -> None:
        """Every norm's mean and variance anew, of all clips alike."""
        norms = [norm for norm in large.modules() if isinstance(norm, Norm)]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # the plain mean over batches
        large.train()
        for clip in clips:
            large(clip)
        for norm in norms:
            norm.momentum = 0.1


@torch.no_grad()
def grow(small: BiVM, large: BiVM, clips: Iterable[Tensor], seed: int = 0) -> None:
    """Make `large` compute what `small` does: exactly if both are float twins, nearly if both are binary by the same
    method, their branches merged. clips as for `Grower.settle`: they change no twin's mattes, only the statistics that
    training begins with.

    Raises ValueError for other networks, and for architectures that do not fit: stem, detail and refiner of equal
    width, no other width smaller than the small network's, and blocks enough.
    """
    if small.method.name != large.method.name:
        raise ValueError("a network grows into one of the same method")
    if small.method.shortcut != "elastic" or small.method.activation != "prelu":
        raise ValueError("a network grows by its elastic shortcuts and PReLUs, as ours and its float twin have them, "
                         f"and {small.method.name} has not")
    grower, of, to = (BinaryGrower if small.binary else Grower)(seed), small.arch, large.arch
    equal = "stem", "coarse", "detail", "thresholds", "refiner"
    if any(getattr(of, name) != getattr(to, name) for name in equal):
        raise ValueError(f"{', '.join(equal)} must be of equal widths")
    if any(a > b for a, b in zip((of.neck, *of.decoder), (to.neck, *to.decoder), strict=True)):
        raise ValueError("its neck or decoder is wider already")
    for name in ("encoder.f1", "decoder.detail", "head", "refiner"):
        large.get_submodule(name).load_state_dict(small.get_submodule(name).state_dict())
    maps = [torch.arange(of.stem)]
    for name in ("f2", "f3", "f4"):
        maps.append(grower.stage(getattr(small.encoder, name), getattr(large.encoder, name), maps[-1]))
    f1, f2, f3, f4 = maps
    neck = halves(to.neck, of.neck)
    mine, theirs = small.neck.aspp, large.neck.aspp
    grower.elastic(mine.value, theirs.value, f4, neck)
    theirs.gate.weight.copy_(grower.spread(mine.gate.latent(), f4, neck))
    grower.shift(mine.sign_mean, theirs.sign_mean, f4)
    often = len(f4) / of.features[3] if small.binary else 1.0
    theirs.gate_scale.copy_(mine.gate_scale[neck] / often)
    theirs.gate_shift.copy_(mine.gate_shift[neck])
    grower.gru(small.neck.memory.gru, large.neck.memory.gru, neck[to.neck // 2:] - of.neck // 2)
    grower.elastic(small.coarse.conv, large.coarse.conv, neck, torch.arange(of.coarse))
    large.coarse.weight.copy_(small.coarse.weight)
    large.coarse.bias.copy_(small.coarse.bias)
    below = neck
    for name, skip, width, wide in zip(("d3", "d2", "d1"), (f3, f2, f1), of.decoder, to.decoder, strict=True):
        m = halves(wide, width)
        grower.decoder_stage(getattr(small.decoder, name), getattr(large.decoder, name), below, skip, m)
        below = m
    grower.decoder_stage(small.decoder.d0, large.decoder.d0, below, None, torch.arange(to.detail))
    grower.settle(large, clips)


def write_grown(source: str | Path, arch: str, out: str | Path) -> tuple[int, int]:
    """A model.pt of that preset which begins as the network in `source`, another model.pt; returns how many weights
    each has. UserError where the two do not fit."""
    small = load_bivm(source)
    torch.manual_seed(0)
    large = fold(BiVM(preset(arch), small.method.name, small.masked))
    clips = np.stack([procedural_clip(seed, 2, 144, 256).frames for seed in range(8)])
    try:
        grow(small, large, [torch.from_numpy(clips).movedim(4, 2) / 255.0])
    except ValueError as error:
        raise UserError(f"{source}: does not grow into the preset {arch!r}: {error}; name another one") from error
    save_atomic({"recipe": {**load_state(source)["recipe"], "arch": arch}, "model": large.state_dict()}, Path(out))
    return tuple(sum(p.numel() for p in net.parameters()) for net in (small, large))
