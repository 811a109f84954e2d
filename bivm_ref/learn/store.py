"""Networks on disk: checkpoints and finished runs, written whole or not at all, read without running any code."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from torch import Tensor, nn

from bivm_ref.arch import Arch, preset
from bivm_ref.errors import UserError
from bivm_ref.files import beside
from bivm_ref.net import RVM, BiVM
from bivm_ref.net.binary import fold


def save_atomic(data: dict, path: Path) -> None:
    """torch.save; the old file stands until the new one is whole, and on the disk."""
    with beside(path, "free some space or choose another folder") as part, open(part, "wb") as file:
        torch.save(data, file)
        file.flush()
        os.fsync(file.fileno())


def load_state(path: str | Path) -> dict:
    """A file that `save_atomic` wrote. Only tensors and plain data are read (`weights_only`), never code."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; train first (bivm-ref train --help)") from error
    except Exception as error:  # torch raises many kinds for a damaged or hostile file
        raise UserError(f"{path}: not a training checkpoint of ours, or damaged ({type(error).__name__}); "
                        "give one that bivm-ref train wrote") from error


def _arch(arch: str) -> Arch:
    return Arch.from_json(arch) if arch.startswith("{") else preset(arch)


def build(arch: str, how: str, masked: bool = True) -> BiVM | RVM:
    """A new network with random weights. ValueError for an unknown arch or method."""
    return RVM() if arch == "rvm" else BiVM(_arch(arch), how, masked)


def build_from(recipe: dict) -> BiVM | RVM:
    """The network that a stored recipe describes; recipes of before `method` said `binary`, and their
    weights were centred."""
    how = recipe.get("method") or ("bivm-centred" if recipe["binary"] else "float")
    return build(recipe["arch"], how, recipe.get("masked", True))


def load_weights(model: nn.Module, state: dict[str, Tensor]) -> None:
    """`load_state_dict`, for a finished run's weights too: their branches are merged, so the model's are dropped.
    RuntimeError, as torch says it, where they do not fit."""
    if not any(".branches." in name for name in state):
        fold(model)
    model.load_state_dict(state)


def start_from(model: nn.Module, path: str | Path) -> None:
    """Begin with the weights of a finished run: what both networks have is taken over, branches and whatever else is
    new start as they are. Between a float and a binary network, gains and slopes start anew too: they were learned
    around another nonlinearity, and the methods that name theirs otherwise would not get them either.

    The weights' size changes with the method: +-1 are some ten times larger than a float twin's. A batch norm makes up
    for that everywhere but behind the LR-ASPP's gate, so there the affine's scale does (`_same_gates`).
    UserError when a weight has another shape."""
    source = load_model(path)
    mine, theirs = model.state_dict(), source.state_dict()
    if getattr(source, "binary", None) != getattr(model, "binary", None):
        theirs = {name: value for name, value in theirs.items() if not name.endswith((".gain", ".act.weight"))}
    odd = [name for name, value in theirs.items() if name in mine and mine[name].shape != value.shape]
    if odd or not set(mine) & set(theirs):
        raise UserError(f"{path}: holds another architecture's weights; name a run of the same preset")
    model.load_state_dict({**mine, **{name: value for name, value in theirs.items() if name in mine}})
    if isinstance(model, BiVM) and isinstance(source, BiVM):
        _same_gates(model, source)


@torch.no_grad()
def _same_gates(model: BiVM, source: BiVM) -> None:
    """Let gate_scale * weights be as large in `model` as in `source`, channel by channel. Else a hard sigmoid that was
    learned around small float weights is shut by +-1 from the first step on, and what is shut has no gradient."""
    mine, theirs = (net.neck.aspp.gate.weight_bits().abs().mean((1, 2, 3)) for net in (model, source))
    model.neck.aspp.gate_scale.mul_(theirs / mine.clamp(min=1e-12))


def load_checkpoint(path: str | Path) -> dict:
    """The state of a run that was broken off (`checkpoint.pt`). UserError for anything else, a model.pt too."""
    data = load_state(path)
    needed = {"recipe", "step", "seconds", "model", "average", "optimiser"}
    if not isinstance(data, dict) or not needed <= set(data):
        raise UserError(f"{path}: not a training's checkpoint; delete it, or begin with it in another folder (--init)")
    return data


def load_model(path: str | Path) -> BiVM | RVM:
    """The averaged model of a finished run (`model.pt`), in evaluation mode; of a checkpoint the one that learns."""
    return _load(path, "model")


def load_average(path: str | Path) -> BiVM | RVM:
    """The averaged model of a run, finished (`model.pt`) or not (`checkpoint.pt`), in evaluation mode."""
    return _load(path, "average")


def _load(path: str | Path, which: str) -> BiVM | RVM:
    data = load_state(path)
    if not isinstance(data, dict) or "recipe" not in data or "model" not in data:
        raise UserError(f"{path}: holds no model; give the model.pt that `bivm-ref train` wrote")
    try:
        model = build_from(data["recipe"])
        load_weights(model, data.get(which, data["model"]))
    except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: was trained with another architecture than this version knows "
                        f"({type(error).__name__}); train again") from error
    return model.eval()


def load_bivm(path: str | Path) -> BiVM:
    """`load_model`, with UserError for RVM: only a comparison trains one, and measures it itself."""
    model = load_model(path)
    if not isinstance(model, BiVM):
        raise UserError(f"{path}: holds RVM, which bivm-ref compare trains and measures itself; name a run of a BiVM")
    return model


def own_phases(recipe: dict) -> list[dict]:
    """The phases in which the network itself was trained. A recipe that trains the refiner alone goes on from a network
    and runs it at the size of its phases: there it is all of them."""
    phases = recipe.get("phases", ())
    return [phase for phase in phases if not phase["refine"]] or list(phases)


def trained_size(recipe: dict) -> int:
    """Longer side, in pixels, of the largest frames that the network itself was trained at (not the refiner's)."""
    return max((max(phase["width"], phase["height"]) for phase in own_phases(recipe)), default=512)
