"""Layer by layer: our packed convolution beside the same one in float, in torch and in onnxruntime.

Each contender starts from a float map and takes its signs: ours packs them into bits and counts, the others multiply
-1s and 1s. All give the same whole numbers, which is checked before anything is timed. Layers of at least 64 input
channels, every position computed, each distinct shape once; the neck's gate is left out, as its map is one pixel.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from . import bench
from .arch import Conv
from .contenders import Contender, attempt

NAMES = ("packed", "torch sign + conv", "onnxruntime Sign + Conv")
CHANNELS = 64
SIZE = (512, 288)  # of the frame: (width, height)


def measure_layers(job: bench.Job, tick: Callable[[], None]) -> dict:
    from .packed import PackedBiVM

    net = PackedBiVM.load(job.weights)
    kernels = {row["layer"]: row.get("kernel") or "table" for row in net.explain()}
    rng, built = np.random.default_rng(0), []
    for names, conv in distinct(net.arch.convs()):
        kernel = kernels[conv.name]
        built.append((names, conv, kernel, contenders(conv, kernel, job.threads[0], job.peers, rng)))
    steps = {(i, j): c.step for i, (*_, row) in enumerate(built) for j, c in enumerate(row) if c.step}
    rounds = range(bench.WARM_UP + job.rounds)
    times = bench.time_rounds({key: lambda _, step=step: step() for key, step in steps.items()}, rounds, tick=tick)
    layers = []
    for i, (names, conv, kernel, row) in enumerate(built):
        rows = [{"contender": c.name, "note": c.note,
                 **(bench.figures(times[i, j], times[i, 0]) if (i, j) in times else {})} for j, c in enumerate(row)]
        layers.append({"layers": names, "shape": shape(conv), "kernel": kernel, "rows": rows})
    return {"size": list(SIZE), "layers": layers}


def distinct(convs) -> list[tuple[list[str], Conv]]:
    """The binary layers to measure, those of one shape together: (their names, the first of them)."""
    groups: dict[tuple, list[Conv]] = {}
    for conv in convs:
        if conv.kind == "binary" and conv.cin >= CHANNELS and conv.scale:
            groups.setdefault((conv.kernel, conv.sources, conv.cout, conv.stride, conv.scale), []).append(conv)
    return [([conv.name for conv in group], group[0]) for group in groups.values()]


def shape(conv: Conv) -> str:
    return (f"{conv.kernel}x{conv.kernel} {'+'.join(map(str, conv.sources))} -> {conv.cout}"
            f"{' /2' if conv.stride == 2 else ''} at 1/{conv.scale}")


def contenders(conv: Conv, kernel: str, threads: int, peers: bool, rng: np.random.Generator) -> list[Contender]:
    """Ours first, all on the same random map and weights. Raises ArithmeticError if they do not agree."""
    width, height = (side * conv.stride // conv.scale for side in SIZE)
    x = rng.standard_normal((height, width, conv.cin), dtype=np.float32)
    x[x == 0] = 1  # the others' sign(0) is 0
    weights = rng.choice(np.array([-1, 1], np.int8), (conv.cout, conv.cin, conv.kernel, conv.kernel))
    mine = ours(conv, x, weights, kernel)
    row, expected = [Contender(NAMES[0], threads, mine)], mine()

    def checked(make: Callable) -> Callable:
        step = make()
        if not np.array_equal(step()[0].transpose(1, 2, 0), expected):
            raise ArithmeticError(f"{conv.name}: another sum than ours")
        return step

    def library():
        import torch

        torch.set_num_threads(threads)
        from .learn import peers

        return peers

    makers = (lambda: library().torch_layer(x, weights, conv.stride),
              lambda: library().onnx_layer(x, weights, conv.stride, threads))
    if peers:
        row += [attempt(name, threads, functools.partial(checked, make)) for name, make in zip(NAMES[1:], makers)]
    return row


def ours(conv: Conv, x: np.ndarray, weights: np.ndarray, kernel: str) -> Callable[[], np.ndarray]:
    """As the engine does it: signs of float maps into its sign maps, then the convolution strip by strip, in memory
    that was used before. All that this module knows of `packed`. Returns (H, W, cout) whole numbers."""
    from .packed.bits import pack_weights
    from .packed.conv import PackedConv
    from .packed.ops import Threshold
    from .packed.planes import SignMap
    from .packed.run import Workers

    packed = PackedConv(pack_weights(weights), conv.stride, conv.sources, kernel=kernel, name=conv.name)
    edges, (height, width, _) = np.cumsum((0, *conv.sources)), x.shape
    maps = [np.ascontiguousarray(x[..., a:b]).reshape(-1, b - a) for a, b in zip(edges, edges[1:])]
    signs = [SignMap(height, width, channels // 8) for channels in conv.sources]
    thresholds = [Threshold(np.zeros(channels, np.float32)) for channels in conv.sources]
    rows, columns = packed.output_shape(height, width)
    out, workers = np.empty((rows, columns, conv.cout), packed.dtype), Workers()

    def layer() -> np.ndarray:
        for threshold, map_, to in zip(thresholds, maps, signs):
            threshold(map_, to.changed(), 0, height)
        planes = packed.prepare(signs)

        def strip(top: int, bottom: int) -> None:
            np.multiply(packed.half_rows(planes, top, bottom)[:, :columns], 2, out=out[top:bottom], dtype=packed.dtype)

        workers.run(strip, rows, columns * conv.cout)
        return out

    return layer
