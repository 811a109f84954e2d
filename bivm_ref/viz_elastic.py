"""Pictures of notebook 05: channel resampling as a matrix, maps on their way through signs, branches, a search."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from . import viz

# ── the shortcut ─────────────────────────────────────────────────────────────────────────────


def resample_matrix(ci: int, co: int) -> np.ndarray:
    """R of the elastic shortcut as a matrix (co, ci) float64: `net.ops.resample_channels`, asked channel by channel."""
    import torch

    from .net import ops

    each = torch.eye(ci, dtype=torch.float64).view(ci, ci, 1, 1)  # sample i has channel i alone
    return ops.resample_channels(each, co)[:, :, 0, 0].T.numpy().copy()


@viz._styled
def resample_panels(pairs: Sequence[tuple[int, int]]):
    """R for each (ci, co): a column for each channel that comes in, a row for each that goes out -> Figure.

    The darker the blue, the larger the share; small matrices have it written in as a fraction.
    """
    tallest = max(co for _, co in pairs)
    figure = viz._figure(1.0 + min(4.5, 0.36 * tallest))
    panels = figure.subplots(1, len(pairs), squeeze=False, width_ratios=[max(ci, 3) for ci, _ in pairs])[0]
    for panel, (ci, co) in zip(panels, pairs):
        shares = resample_matrix(ci, co)
        blues = viz._need("matplotlib.colors").LinearSegmentedColormap.from_list("share", ["white", viz.BLUE])
        panel.pcolormesh(np.sqrt(shares), cmap=blues, vmin=0, vmax=1, edgecolors="#D8D8D8", linewidth=0.5)
        panel.invert_yaxis()
        panel.set_aspect("equal")
        panel.set_title(f"{ci} → {co}")
        panel.set_xlabel("channel in")
        panel.set_xticks(np.arange(ci)[:: 1 + ci // 13] + 0.5, np.arange(ci)[:: 1 + ci // 13])
        panel.set_yticks(np.arange(co)[:: 1 + co // 13] + 0.5, np.arange(co)[:: 1 + co // 13])
        if ci <= 8 and co <= 12:
            for (row, column), share in np.ndenumerate(shares):
                if share:
                    panel.text(column + 0.5, row + 0.5, str(Fraction(share).limit_denominator(64)), ha="center",
                               va="center", fontsize=9, color="white" if share > 0.6 else "black")
    panels[0].set_ylabel("channel out")
    return figure


def resample_explorer(most: int = 16):
    """R under two sliders, channels in and out -> ipywidgets.VBox. `resample_panels` is its static twin."""
    widgets = viz._need("ipywidgets")
    ci, co = (widgets.IntSlider(value=value, min=1, max=most, description=name, style={"description_width": "initial"})
              for value, name in ((6, "channels in"), (4, "channels out")))
    image, caption = widgets.Image(format="png"), widgets.Label()

    def draw(_=None) -> None:
        data, image.format = viz.encoded(resample_panels([(ci.value, co.value)]))
        image.value = data
        terms = int((resample_matrix(ci.value, co.value)[0] > 0).sum())
        caption.value = f"each output is the mean of {terms} of {ci.value} inputs"

    for slider in (ci, co):
        slider.observe(draw, names="value")
    draw()
    return widgets.VBox([widgets.HBox([ci, co]), caption, image])


def recovered(maps: np.ndarray, wanted: np.ndarray) -> float:
    """Share of the variance of `wanted` (H, W) that a linear reading of `maps` (C, H, W) gives back: R², 0 to 1.

    The best weights for the channels and a constant, by least squares on the same pixels.
    """
    columns = np.concatenate([maps.reshape(len(maps), -1), np.ones((1, wanted.size))]).T.astype(np.float64)
    target = wanted.ravel().astype(np.float64)
    weights, *_ = np.linalg.lstsq(columns, target, rcond=None)
    return float(1 - ((columns @ weights - target) ** 2).sum() / ((target - target.mean()) ** 2).sum())


def grey(image: np.ndarray) -> np.ndarray:
    """A map (H, W) of any range, stretched to [0, 1] between its 1st and 99th hundredth: (H, W) float32."""
    low, high = np.percentile(image, (1, 99))
    return np.clip((image - low) / max(high - low, 1e-12), 0, 1).astype(np.float32)


@viz._styled
def layer_strip(rows: Mapping[str, Sequence[np.ndarray]]):
    """Maps (H, W) of any range on their way through layers, a row for each label -> Figure. Column 0 is the input."""
    shape = next(iter(rows.values()))[0].shape
    columns = len(next(iter(rows.values())))
    figure, axes = viz._panels(len(rows), columns, shape, room=0.3)
    for line, (label, maps) in zip(axes, rows.items()):
        for panel, image in zip(line, maps):
            viz._picture(panel, grey(image))
        line[0].set_ylabel(label)
    for layer, panel in enumerate(axes[0]):
        panel.set_title("input" if layer == 0 else f"after {layer}")
    return figure


# ── branches ─────────────────────────────────────────────────────────────────────────────────

@viz._styled
def kernel_sum(branches: Mapping[str, np.ndarray]):
    """3x3 kernels, their sum, and the sum's bits -> Figure. Taps that a branch does not have are NaN, and empty."""
    total = np.nansum(np.stack(list(branches.values())), axis=0)
    kernels = {**branches, "sum": total, "its sign": np.where(total >= 0, 1.0, -1.0)}
    figure = viz._figure(1.75)
    panels = figure.subplots(1, len(kernels))
    limit = max(np.nanmax(np.abs(kernel)) for kernel in [*branches.values(), total])
    scale = viz._need("matplotlib.colors").LinearSegmentedColormap.from_list(
        "minus, plus", [viz.ORANGE, "white", viz.BLUE])
    for panel, (name, kernel) in zip(panels, kernels.items()):
        drawn = np.ma.masked_invalid(kernel)
        panel.pcolormesh(drawn, cmap=scale, vmin=-limit, vmax=limit, edgecolors="#D8D8D8", linewidth=0.5)
        panel.invert_yaxis()
        panel.set_aspect("equal")
        panel.set_title(name)
        panel.set_axis_off()
        for (y, x), value in np.ndenumerate(kernel):
            if not np.isnan(value):
                text = f"{value:+.0f}" if name == "its sign" else f"{value:.1f}"
                panel.text(x + 0.5, y + 0.5, text, ha="center", va="center", fontsize=9)
    return figure


# ── the search ───────────────────────────────────────────────────────────────────────────────

def read_search(path: str | Path) -> tuple[list[dict], dict]:
    """The log of `bivm-ref search` -> (a dict for each genome that was judged, the result)."""
    rows = [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]
    return [row for row in rows if row["kind"] == "genome"], next(row for row in rows if row["kind"] == "result")


def front(costs: Sequence[float], errors: Sequence[float]) -> list[int]:
    """Indices of the Pareto front, cheapest first: those that no other beats in one and equals in the other."""
    found, best = [], np.inf
    for i in sorted(range(len(costs)), key=lambda i: (costs[i], errors[i])):
        if errors[i] < best:
            found.append(i)
            best = errors[i]
    return found


@viz._styled
def pareto(rows: Sequence[Mapping], marked: Mapping[str, Sequence[str]]):
    """Cost against MAD of every genome: on the clips that chose, and on others -> Figure.

    The line is the front *of the clips that chose*, in both panels: on others it need not be one.
    marked: {name: genome}, up to three.
    """
    figure = viz._figure(4.4)
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    costs = [row["cost"] for row in rows]
    line = front(costs, [row["MAD"] for row in rows])
    marks = (("s", "black"), ("o", viz.BLUE), ("^", viz.VERMILLION))
    for panel, key, title in zip(panels, ("MAD", "MAD_again"), ("the clips that chose", "other clips")):
        panel.plot(costs, [row[key] for row in rows], ".", color=viz.GREY, markersize=6)
        panel.plot([costs[i] for i in line], [rows[i][key] for i in line], "-", color=viz.ORANGE, linewidth=1.5)
        for (name, genome), (shape, colour) in zip(marked.items(), marks):
            row = next(row for row in rows if tuple(row["genome"]) == tuple(genome))
            panel.plot(row["cost"], row[key], shape, color=colour, markersize=9, label=name, linestyle="none")
        panel.set_title(title)
        panel.set_xlabel("operations of the stages, the preset's = 1")
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("MAD")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    return figure
