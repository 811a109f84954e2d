"""What `bivm-ref cost` answers: our networks beside RVM and BiMatting, in operations and in bytes, as data.

Operations stand under both rules, the paper's (convolutions, FLOPs + BOPs/64, cost.py) and the strict one (everything,
elementwise.py), at two sizes: 512x288, where the published figures are, and 1920x1080 reduced to a quarter, where the
refiner works too. Ratios are to RVM counted by the same rule at the same size; published figures keep their own.
cost_text.py shows it.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from . import active as measured
from .ancestors import BIMATTING, CLAIMED_COMPUTE, CLAIMED_STORAGE, RVM, Ancestor
from .arch import PRESETS, Arch, preset
from .cost import Active, layer_costs, share_at, share_needed, sizes, storage
from .elementwise import elementwise, strict_operations
from .errors import UserError
from .packed import weights

CASES = ((512, 288, 1.0), (1920, 1080, 0.25))  # width, height, ratio by which the network's frame is reduced
PUBLISHED_SIZE = (512, 288)


@dataclass
class Network:
    """One of ours. path: its weight file, None where there is none; shares: of active positions, None for dense;
    record: what active.py's file says of it; note: what its reader should know."""

    name: str
    arch: Arch
    path: Path | None
    shares: dict[int, float] | None = None
    record: dict | None = None
    note: str = ""

    @property
    def bytes(self) -> int:
        return self.path.stat().st_size if self.path else storage(self.arch)["bytes"]


# -- what is asked --

def report(args: argparse.Namespace) -> dict:
    """The figures for the parsed arguments of `bivm-ref cost`, as data that JSON can hold. Measures first if asked.

    Raises UserError for files that are not what they should be, and for options that do not go together.
    """
    if args.write and args.measure is None:
        raise UserError("cost: --write keeps what --measure finds; add --measure")
    if args.ratio is not None and args.size is None:
        raise UserError("cost: --ratio is by how much a frame of --size is reduced; add --size")
    networks = chosen(args)
    _fill_shares(args, networks)
    cases = CASES if args.size is None else ((*args.size, _ratio(args)),)
    data = {"unit": "multiply-accumulates", "claimed": {"operations": CLAIMED_COMPUTE, "bytes": CLAIMED_STORAGE},
            "shares": {n.name: {"per_scale": n.shares, "record": n.record, "note": n.note} for n in networks},
            "bimatting_share_needed": share_needed(BIMATTING, 1e9 * BIMATTING.published.operations),
            "storage": {n.name: {**storage(n.arch), "file": n.bytes if n.path else None} for n in networks},
            "frames": [frame(networks, *case) for case in cases]}
    if args.layers:
        data["layers"] = [layers(n, *case) for n in networks for case in cases]
    return data


def chosen(args: argparse.Namespace) -> list[Network]:
    """The networks that the table has rows of: one, or every preset, with the file that comes with us."""
    if args.weights:
        path = Path(args.weights)
        arch, _, _ = weights.load(path)
        return [Network(arch.name, arch, path)]
    folder, found = weights.default_weights().parent, []
    for name in [args.preset] if args.preset else PRESETS:
        path = folder / f"{name}.safetensors"
        found.append(Network(name, weights.load(path)[0] if path.exists() else preset(name),
                             path if path.exists() else None))
    return found


def _ratio(args: argparse.Namespace) -> float:
    """By default what `bivm-ref matte --size 512` does: a longer side above 512 becomes 512."""
    return args.ratio or min(1.0, measured.WIDTH / max(args.size))


def _fill_shares(args: argparse.Namespace, networks: list[Network]) -> None:
    if args.dense:
        return
    if args.active is not None:
        for network in networks:
            network.shares = dict.fromkeys(measured.SCALES, args.active)
        return
    path = Path(args.shares) if args.shares else measured.RESULTS
    if args.measure is None:
        records = measured.read(path)
    else:
        if args.write and path.exists():
            measured.read(path)  # what cannot be added to is said before the wait
        records = {n.name: _measure(n, args.measure) for n in networks}
        if args.write:
            measured.write(path, records)
    for network in networks:
        if network.name not in records:
            raise UserError(f"{path}: has no shares of {network.name!r}; {measured.AGAIN}")
        network.record = records[network.name]
        network.shares = measured.shares(network.record)
        if network.path and network.record.get("sha256") != measured.fingerprint(network.path):
            network.note = (f"the shares of {network.name} were measured with another file than {network.path.name}; "
                            "bivm-ref cost --measure 32 --write measures anew")


def _measure(network: Network, count: int) -> dict:
    if network.path is None:
        raise UserError(f"cost: no weight file of {network.name} to measure with; choose with --preset or --weights")
    total = count + len(measured.sample_clips(measured.ROOT / "data_samples"))
    with tqdm(total=total, desc=f"measure {network.name}", unit="clip", leave=False, disable=None) as bar:
        return measured.measure(network.path, count, tick=bar.update)


# -- figures --

def frame(networks: list[Network], width: int, height: int, ratio: float) -> dict:
    """All rows for one frame size."""
    where = sizes(RVM, width, height, ratio)
    base = _row(RVM, "RVM", "counted", width, height, ratio, 1.0, RVM.bytes)
    rows = [base]
    if (width, height) == PUBLISHED_SIZE and ratio == 1.0:
        rows += [_published(RVM, "RVM"), _published(BIMATTING, "BiMatting")]
    rows.append(_row(BIMATTING, "BiMatting", "counted, all computed", width, height, ratio, 1.0, BIMATTING.bytes))
    if len(rows) > 2:
        rows.append({"network": "BiVM", "how": "the paper's claim", "ratio": CLAIMED_COMPUTE,
                     "bytes_ratio": CLAIMED_STORAGE})
    for network in networks:
        rows.append(_row(network.arch, network.name, "all computed", width, height, ratio, 1.0, network.bytes,
                         dense=True))
        if network.shares is not None:
            shares = network.shares.values()
            low, high = (round(100 * limit(shares)) for limit in (min, max))
            how = f"{low} % active" if low == high else f"{low}-{high} % active"
            rows.append(_row(network.arch, network.name, how, width, height, ratio, network.shares, network.bytes))
    for row in rows:
        for figure, to in (("operations", "ratio"), ("strict", "strict_ratio"), ("bytes", "bytes_ratio")):
            if row.get(figure) and to not in row:
                row[to] = base[figure] / row[figure]
    return {"size": [width, height], "ratio": ratio, "network_size": list(where.small), "refiner": where.refines,
            "rows": rows}


def _row(network: Arch | Ancestor, name: str, how: str, width: int, height: int, ratio: float, active: Active,
         stored: int, dense: bool = False) -> dict:
    convolutions = layer_costs(network, width, height, active, ratio)
    strict = None if network is BIMATTING else strict_operations(network, width, height, active, ratio, dense)
    return {"network": name, "how": how, "float_macs": sum(r.flops for r in convolutions),
            "binary_macs": sum(r.bops for r in convolutions), "operations": sum(r.operations for r in convolutions),
            "strict": strict, "bytes": stored}


def _published(ancestor: Ancestor, name: str) -> dict:
    """A row of a paper, and its ratios to the published RVM."""
    said, base = ancestor.published, RVM.published
    return {"network": name, "how": "published", "operations": 1e9 * said.operations,
            "ratio": base.operations / said.operations, "bytes": round(said.megabytes * 2**20),
            "bytes_ratio": base.megabytes / said.megabytes}


def layers(network: Network, width: int, height: int, ratio: float) -> dict:
    """The layer table: convolutions, with the elementwise work of their layer, then what belongs to none."""
    active: Active = 1.0 if network.shares is None else network.shares
    work: dict[str, float] = {}
    for item in elementwise(network.arch, width, height, active, ratio, dense=network.shares is None):
        work[item.layer] = work.get(item.layer, 0.0) + item.operations
    rows = []
    for row in layer_costs(network.arch, width, height, active, ratio):
        conv = row.conv
        rows.append({"layer": conv.name, "kind": conv.kind, "positions": row.positions,
                     "active": share_at(active, conv.scale) if conv.masked else 1.0, "dense_macs": row.dense_macs,
                     "macs": row.macs, "operations": row.operations, "elementwise": work.pop(conv.name, 0.0),
                     "bytes": row.bytes})
    rows += [{"layer": name, "kind": "elementwise", "elementwise": operations} for name, operations in work.items()]
    return {"network": network.name, "size": [width, height], "ratio": ratio, "rows": rows}
