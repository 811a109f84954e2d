"""Pictures of notebook 10: arms with intervals and their seeds, differences clip by clip, the worst frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from . import results, viz
from .claims import ENOUGH_SEEDS


def seeds_text(seeds: int) -> str:
    """"1 seed, provisional"; from three on, "3 seeds"."""
    return f"{seeds} seed{'s' * (seeds != 1)}" + (", provisional" if seeds < ENOUGH_SEEDS else "")


@viz._styled
def arms_chart(rows: Sequence[Mapping], figure_name: str = "MAD"):
    """`viz.compare_chart` with each arm's number of seeds -> Figure; provisional arms have a hollow dot."""
    drawn = viz.compare_chart(rows, figure_name)
    panel, means = drawn.axes[0], results.summary(rows, figure_name)
    arms = [arm for arm in results.LABELS if arm in means]
    panel.set_yticks(range(len(arms)), [f"{results.LABELS[arm]} · {seeds_text(means[arm]['seeds'])}" for arm in arms])
    dots = [line for line in panel.lines if line.get_marker() == "o"]  # one for each arm, in order
    for arm, dot in zip(arms, dots, strict=True):
        if means[arm]["seeds"] < ENOUGH_SEEDS:
            dot.set_markerfacecolor("white")
    return drawn


def figure_chooser(rows: Sequence[Mapping], figures: Sequence[str] = results.FIGURES):
    """Choose the figure and see the arms -> ipywidgets.VBox. `arms_chart` is its static twin: show it first."""
    widgets = viz._need("ipywidgets")
    which = widgets.Dropdown(options=list(figures), description="figure")
    image, caption = widgets.Image(format="png"), widgets.Label()

    def draw(_=None) -> None:
        data, image.format = viz.encoded(arms_chart(rows, which.value))
        image.value = data
        means = results.summary(rows, which.value)
        best = min(means, key=lambda arm: means[arm]["mean"])
        caption.value = f"least {which.value.replace('_', ' ')}: {results.LABELS[best]}, {means[best]['mean']:.2f}"

    which.observe(draw, names="value")
    draw()
    return widgets.VBox([which, caption, image])


@viz._styled
def interval_lines(intervals: Mapping[str, tuple[float, float, float]], xlabel: str, at: float | None = None):
    """Means with their intervals, a line each -> Figure. intervals: {label: (low, mean, high)}; at: a value that
    would mean "no difference", drawn as a dashed line."""
    figure = viz._figure(0.8 + 0.36 * len(intervals))
    panel = figure.subplots()
    for i, (low, mean, high) in enumerate(intervals.values()):
        panel.plot([low, high], [i, i], color=viz.BLUE, linewidth=2)
        panel.plot(mean, i, "o", color=viz.BLUE, markersize=7)
    if at is not None:
        panel.axvline(at, color="black", linewidth=1, linestyle="--")
    panel.set_yticks(range(len(intervals)), list(intervals))
    panel.set_ylim(len(intervals) - 0.5, -0.5)  # the first on top
    panel.set_xlabel(xlabel)
    panel.grid(axis="x", alpha=0.3)
    return figure


@viz._styled
def clip_differences(differences: np.ndarray, other: str):
    """Other minus ours for every clip, largest first -> Figure: bars above 0 where ours is better, below where not.

    differences (clips,) float, means over seeds; other: the other arm's name. The dashed line is their mean.
    """
    figure = viz._figure(2.9)
    panel = figure.subplots()
    order = np.sort(differences)[::-1]
    panel.bar(range(len(order)), order, color=[viz.BLUE if d > 0 else viz.VERMILLION for d in order])
    panel.axhline(0, color="black", linewidth=1)
    panel.axhline(float(differences.mean()), color="black", linewidth=1, linestyle="--")
    panel.set_title(f"{other} − ours: ours is better in {int((differences > 0).sum())} of {len(order)} clips")
    panel.set_xlabel("clips, the largest lead first")
    panel.set_ylabel("difference")
    panel.set_xticks([])
    return figure


@viz._styled
def error_rows(rows: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray]]):
    """Frame, true alpha, matte and signed error, a row for each label -> Figure.

    rows  {label: (frame (H, W, 3) uint8, truth (H, W), matte (H, W), both float in [0, 1])}, of one size. Colours of
          the error are those of `viz.error_map`: orange-red too high, blue too low, white right.
    """
    colours = viz._need("matplotlib.colors")
    scale = colours.LinearSegmentedColormap.from_list("too low, right, too high", [viz.BLUE, "white", viz.VERMILLION])
    shape = next(iter(rows.values()))[1].shape
    figure, axes = viz._panels(len(rows), 4, shape, room=0.25)
    for line, (label, (frame, truth, matte)) in zip(axes, rows.items()):
        for panel, image in zip(line, (frame, truth, matte)):
            viz._picture(panel, image)
        line[3].imshow(matte - truth, cmap=scale, vmin=-1, vmax=1)
        line[0].set_ylabel(label, fontsize=10)
    for panel, title in zip(axes[0], ("frame", "true alpha", "our matte", "matte − truth")):
        panel.set_title(title)
    return figure
