"""Study 2: where the decoder's 3x3 convolutions are needed, and what skipping them elsewhere costs.

"Flat regions carry no information about alpha" would be a tautology: alpha is constant there, H(Y) = 0. Instead:

    pointwise     what a probe gains when it reads both branches instead of the 1x1 alone, by distance to the boundary
    intervention  zero the 3x3 outside a mask, and see MAD against the share of MACs kept: for our mask, for random
                  masks of equal area, for an oracle that knows where the 3x3 lowers the error
    the mask      how much of the half-transparent pixels it covers, its area, how many cells flip between frames

It does not show that a decoder trained otherwise would need the same places: this one was trained with its mask.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from bivm_ref.clips import Clip
from bivm_ref.cost import total_operations
from bivm_ref.errors import UserError
from bivm_ref.information import FEWEST_CLIPS, summary
from bivm_ref.learn.branch_gain import REACH, boundary_distance, by_distance, gain_by_distance
from bivm_ref.learn.features import as_batch, held_out_clips
from bivm_ref.learn.mimic import cell_alpha
from bivm_ref.net import BiVM, ops
from bivm_ref.net.decoder import detail_mask

SIZES = ("1/4", "1/2", "3/4", "own", "grown by 1", "grown by 2")  # of our mask, see `resized`
CANNOT_SAY = (
    "This decoder was trained with its mask: one trained without could use other places, and lose more when masked.",
    "MAD averages over pixels, most of them far from any boundary; a small change of it can be a visible edge.",
    "The oracle ranks cells by what the 3x3, computed everywhere, gains there: a well-informed mask, not the best one.",
    "A probe's gain is what becomes readable at that layer, not what the network does with it.",
)


@dataclass(frozen=True)
class Options:
    """clips, frames: of the intervention; probed, cells: clips for the probes, and cells looked at in each."""

    clips: int = 48
    frames: int = 6
    probed: int = 160
    cells: int = 160
    height: int = 144
    width: int = 256
    seed: int = 0

    def quick(self) -> Options:
        return replace(self, clips=10, frames=2, probed=24, cells=60)


# -- the network, taken apart -----------------------------------------------------------------------------------

@dataclass(frozen=True)
class Encoded:
    """Everything of a clip that does not depend on the mask. Maps are (T, C, h, w), neck (1, T, C, h, w)."""

    levels: Tensor
    features: list[Tensor]
    neck: Tensor
    coarse: Tensor
    size: tuple[int, int]


@torch.no_grad()
def encode(model: BiVM, frames: Tensor) -> Encoded:
    """The first half of `BiVM.forward` for one clip (1, T, 3, H, W) from an empty memory."""
    height, width = frames.shape[-2:]
    levels = F.pad(ops.pixel_levels(frames[0]), (0, -width % 16, 0, -height % 16), mode="replicate")
    features = model.encoder(levels)
    neck, _ = model.neck(features[3][None], None)
    return Encoded(levels, features, neck, model.coarse(neck[0]), (height, width))


@torch.no_grad()
def decode(model: BiVM, encoded: Encoded, mask: Tensor | None) -> np.ndarray:
    """The second half, with a mask (T, 1, h, w) of 0 and 1 in place of the network's own; None computes everywhere.
    alpha (T, H, W) float32."""
    hidden, _ = model.decoder(encoded.neck, encoded.features, encoded.levels, mask, [None] * 3)
    height, width = encoded.size
    alpha = model.head(hidden[..., :height, :width])[:, 3]
    return ops.leaky_clamp(alpha, False).numpy()


# -- masks --------------------------------------------------------------------------------------------------------

def resized(mask: Tensor, coarse: Tensor, size: str) -> Tensor:
    """Our mask (T, 1, h, w) at one of `SIZES`: a share of its cells, those of coarse alpha nearest to 1/2, or all of
    them and their neighbours."""
    if size == "own":
        return mask
    if size.startswith("grown"):
        reach = int(size[-1])
        return F.max_pool2d(mask, 2 * reach + 1, 1, reach)
    share = int(size[0]) / int(size[2])
    wanted = torch.round(mask.flatten(1).sum(1) * share)
    score = torch.where(mask > 0, -(coarse - 0.5).abs(), torch.full_like(coarse, -1.0))
    return _largest(score, wanted)


def random_mask(like: Tensor, generator: torch.Generator) -> Tensor:
    """As many active cells in every frame of (T, 1, h, w), anywhere."""
    return _largest(torch.rand(like.shape, generator=generator), like.flatten(1).sum(1))


def oracle_mask(like: Tensor, without: np.ndarray, everywhere: np.ndarray, alpha: np.ndarray) -> Tensor:
    """As many active cells in every frame, those where computing everywhere lowers |error| most against not at all.

    like (T, 1, h, w); the two mattes and the true alpha (T, H, W).
    """
    gain = torch.from_numpy(np.abs(without - alpha) - np.abs(everywhere - alpha))[:, None]
    return _largest(_cell_mean(gain, like), like.flatten(1).sum(1))


def _largest(score: Tensor, wanted: Tensor) -> Tensor:
    """In each frame the `wanted` (T,) cells of largest score (T, 1, h, w)."""
    rank = score.flatten(1).argsort(1, descending=True).argsort(1)
    return (rank < wanted[:, None]).float().view_as(score)


def _cell_mean(x: Tensor, like: Tensor) -> Tensor:
    """Mean of (T, 1, H, W) over the cells of (T, 1, h, w), by `cell_alpha`'s rule."""
    return cell_alpha(x.float(), *like.shape[-2:])


def boundary_cells(alpha: Tensor, like: Tensor) -> Tensor:
    """Cells (T, 1, h, w) with a pixel of .02 < alpha < .98, or with pixels of both sides."""
    transparent = _cell_mean(((alpha > 0.02) & (alpha < 0.98)).float(), like) > 0
    inside = _cell_mean((alpha > 0.5).float(), like)
    return (transparent | ((inside > 0) & (inside < 1))).float()


# -- (b) intervention, (c) the mask ---------------------------------------------------------------------------------

def intervene(model: BiVM, clip: Clip, generator: torch.Generator) -> dict[str, np.ndarray]:
    """MAD (1e3) of one clip with the 3x3 zeroed outside masks: "area", "ours", "random", "oracle" (one for each of
    `SIZES`), "dense" and "none". "gain": |error| without any 3x3 minus with all of them (1e3) by distance to the
    boundary (one per bin, NaN for an empty one). And what our own mask is, see `mask_figures`."""
    frames, alpha = as_batch(clip)
    encoded = encode(model, frames)

    def error(matte: np.ndarray) -> np.ndarray:
        return 1e3 * np.abs(matte - clip.alpha)

    everywhere = decode(model, encoded, None)
    nothing = decode(model, encoded, torch.zeros_like(encoded.coarse))
    own = detail_mask(encoded.coarse, model.arch.tau)
    found: dict[str, list] = {"area": [], "ours": [], "random": [], "oracle": []}
    for size in SIZES:
        mask = resized(own, encoded.coarse, size)
        masks = {"ours": mask, "random": random_mask(mask, generator),
                 "oracle": oracle_mask(mask, nothing, everywhere, clip.alpha)}
        found["area"].append(float(mask.mean()))
        for name, cells in masks.items():
            found[name].append(float(error(decode(model, encoded, cells)).mean()))
    gain = (error(nothing) - error(everywhere))[None]  # (1, T, H, W)
    return {name: np.array(value) for name, value in {
        **found, "dense": error(everywhere).mean(), "none": error(nothing).mean(),
        "gain": by_distance(gain, boundary_distance(alpha[0])[:, 0].numpy()[None])[:, 0],
        **mask_figures(own, alpha[0])}.items()}


def mask_figures(mask: Tensor, alpha: Tensor) -> dict[str, float]:
    """Of a mask (T, 1, h, w) and the true alpha (T, 1, H, W):

    recall      share of the half-transparent pixels that lie in active cells; NaN without any
    covered     share of boundary cells that are active; NaN without any
    flips       share of cells that change from a frame to the next; true_flips: of the true boundary cells
    """
    height, width = alpha.shape[-2:]
    active = mask.repeat_interleave(16, 2).repeat_interleave(16, 3)[..., :height, :width]
    transparent, truth = (alpha > 0.02) & (alpha < 0.98), boundary_cells(alpha, mask)
    return {"recall": float(active[transparent].mean()), "covered": float(mask[truth > 0].mean()),
            "flips": float((mask[1:] != mask[:-1]).float().mean()),
            "true_flips": float((truth[1:] != truth[:-1]).float().mean())}


# -- all of it -----------------------------------------------------------------------------------------------------

def study(model: BiVM, options: Options, tick: Callable[[str], None] = lambda what: None) -> dict:
    """JSON-ready: "curve", "own", "mask", "error_gain", "gain", "cannot_say". UserError for too few clips, or a network
    without a mask. tick is called after every clip."""
    for name in ("clips", "probed"):
        if getattr(options, name) < FEWEST_CLIPS:
            raise UserError(f"{getattr(options, name)} clips are too few for an interval; at least {FEWEST_CLIPS} are "
                            "needed")
    if not model.masked:
        raise UserError("this network was trained without a mask; study 2 needs one with it")
    size = options.frames, options.height, options.width
    generator = torch.Generator().manual_seed(options.seed)
    rows = []
    for i, clip in enumerate(held_out_clips(options.clips, *size)):
        rows.append(intervene(model, clip, generator))
        tick(f"clip {i}")
    found = {name: np.stack([row[name] for row in rows]) for name in rows[0]}  # (clips,) or (clips, sizes or bins)
    probed = list(held_out_clips(options.probed, *size))
    return {"options": dataclasses.asdict(options), "tau": model.arch.tau, "curve": _curve(model, found, options),
            "own": _own(found),
            "mask": {name: _mean(found[name]) for name in ("recall", "covered", "flips", "true_flips")},
            "error_gain": [{"from": start, "to": stop, **_mean(found["gain"][:, k])}
                           for k, (start, stop) in enumerate(REACH)],
            "gain": gain_by_distance(model, probed, options.cells, options.seed), "cannot_say": list(CANNOT_SAY)}


def _mean(values: np.ndarray) -> dict[str, float]:
    """summary of (clips,), clips without that figure left out; Nones when too few have it."""
    known = values[~np.isnan(values)]
    return summary(known[None]) if len(known) >= FEWEST_CLIPS else dict.fromkeys(("mean", "low", "high"))


def _curve(model: BiVM, found: dict[str, np.ndarray], options: Options) -> list[dict]:
    """One row per size of the mask, and the two ends: area (the share of the 3x3's MACs that is kept), the share of all
    of the network's operations kept (the field's rule), and MAD of each mask."""
    dense = total_operations(model.arch, options.width, options.height, 1.0)

    def kept(area: float) -> float:
        return total_operations(model.arch, options.width, options.height, area) / dense

    rows = [{"size": size, "area": _mean(found["area"][:, k]), "kept": kept(float(found["area"][:, k].mean())),
             **{name: _mean(found[name][:, k]) for name in ("ours", "random", "oracle")}}
            for k, size in enumerate(SIZES)]
    ends = [{"size": name, "area": dict.fromkeys(("mean", "low", "high"), area), "kept": kept(area),
             **dict.fromkeys(("ours", "random", "oracle"), _mean(found[name]))}
            for name, area in (("none", 0.0), ("dense", 1.0))]
    return [ends[0], *rows, ends[1]]


def _own(found: dict[str, np.ndarray]) -> dict[str, dict[str, float]]:
    """At our mask's own area: per cent by which MAD differs from computing everywhere (MAD_mask / MAD_dense - 1, means
    over clips, paired), for each mask, and of the random mask against ours."""
    def per_cent(a: np.ndarray, b: np.ndarray) -> dict[str, float]:
        return summary(np.stack((a, b))[:, None], lambda x, y: 100.0 * (x / y - 1.0))

    k = SIZES.index("own")
    return {**{name: per_cent(found[name][:, k], found["dense"]) for name in ("ours", "random", "oracle")},
            "none": per_cent(found["none"], found["dense"]),
            "random_against_ours": per_cent(found["random"][:, k], found["ours"][:, k])}
