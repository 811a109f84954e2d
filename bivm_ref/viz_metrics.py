"""Pictures of notebook 01: mattes in columns, what each metric says of them, and the widget that spoils a matte."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from . import metrics, viz
from .clips import Clip, composite
from .damage import KINDS, damaged

NAMES = ("MAD", "MSE", "Grad", "Conn", "dtSSD", "boundary_MAD")
GREEN = np.array([80, 200, 120], np.uint8)  # the plain backdrop of the composites


@viz._styled
def columns(rows: Mapping[str, Sequence[np.ndarray]], titles: Sequence[str]):
    """Rows of pictures under common titles -> Figure: {label: one picture per title}, pictures as for `viz.gallery`."""
    if any(len(images) != len(titles) for images in rows.values()) or not rows:
        raise ValueError(f"one picture per title in every row: {[len(r) for r in rows.values()]}, {len(titles)} titles")
    figure, axes = viz._panels(len(rows), len(titles), next(iter(rows.values()))[0].shape, room=0.3)
    for line, (label, images) in zip(axes, rows.items()):
        for panel, image in zip(line, images):
            viz._picture(panel, image)
        line[0].set_ylabel(label)
    for panel, title in zip(axes[0], titles):
        panel.set_title(title)
    return figure


@viz._styled
def metric_bars(table: Mapping[str, Mapping[str, float]], names: Sequence[str] = NAMES):
    """One panel for each metric, one bar for each matte -> Figure. table: {matte: {metric: value}}, as clip_metrics.

    Every panel has its own scale: compare bars within a panel only.
    """
    figure = viz._figure(0.6 + 0.33 * len(table) * math.ceil(len(names) / 3) + 0.5)
    panels = figure.subplots(math.ceil(len(names) / 3), 3, squeeze=False, sharey=True)
    for panel in panels.flat[len(names):]:
        panel.set_axis_off()
    for panel, name in zip(panels.flat, names):
        values = {matte: row[name] for matte, row in table.items()}
        bars = panel.barh(list(values), list(values.values()), color=viz.BLUE)
        panel.bar_label(bars, [f"{value:.2f}" for value in values.values()], padding=3, fontsize=10)
        panel.set_xlim(0, 1.3 * max(max(values.values()), 1e-9))
        panel.set_title(name.replace("_", " "))
        panel.set_xticks([])
        panel.spines["bottom"].set_visible(False)
        panel.tick_params(axis="y", length=0)
    panels[0, 0].invert_yaxis()
    return figure


@viz._styled
def frame_curves(curves: Mapping[str, Sequence[float]], ylabel: str):
    """One line for each label over the frames -> Figure; lines differ in colour, marker and dash."""
    figure = viz._figure(2.8)
    panel = figure.subplots()
    styles = (viz.BLUE, "o-"), (viz.VERMILLION, "s--"), (viz.GREEN, "^:")
    for (label, values), (colour, style) in zip(curves.items(), styles):
        panel.plot(range(len(values)), values, style, color=colour, label=label)
    panel.set_xlabel("frame")
    panel.set_ylabel(ylabel)
    panel.set_ylim(bottom=0)
    panel.legend(frameon=False)
    panel.grid(axis="y", alpha=0.3)
    return figure


def on_green(clip: Clip, alpha: np.ndarray, t: int) -> np.ndarray:
    """Frame t's true foreground before plain green, composed by `alpha` (T, H, W) -> (H, W, 3) uint8."""
    return composite(clip.foreground[t], alpha[t], np.broadcast_to(GREEN, clip.foreground[t].shape))


def figures_line(pred: np.ndarray, true: np.ndarray) -> str:
    """All figures of one clip in a line: "MAD 6.00, MSE 3.30, Grad 0.57 …"."""
    return ", ".join(f"{name.replace('_', ' ')} {value:.2f}" for name, value in _figures(pred, true).items())


def damage_strip(clip: Clip, kind: str, strengths: Sequence[float], t: int = 0):
    """One kind of damage, growing from left to right -> Figure: the matte and the composite, MAD in the titles."""
    mattes = [damaged(clip.alpha, kind, strength) for strength in strengths]
    titles = [f"{strength:g}: MAD {metrics.mad(matte, clip.alpha):.1f}" for strength, matte in zip(strengths, mattes)]
    return columns({kind: [matte[t] for matte in mattes], "on green": [on_green(clip, m, t) for m in mattes]}, titles)


def damage_slider(clip: Clip, width: int = 900):
    """Spoil a matte by hand -> ipywidgets.VBox: kind, strength and frame; the matte, the composite and all figures.

    width  pixels of the picture. `damage_strip` is its static twin: show it first, for readers on paper.
    """
    widgets = viz._need("ipywidgets")
    kind = widgets.Dropdown(options=list(KINDS), description="kind")
    strength = widgets.FloatSlider(value=0.1, min=0, max=1, step=0.01, description="strength", continuous_update=False)
    frame = widgets.IntSlider(value=0, min=0, max=len(clip.alpha) - 1, description="frame")
    line, image = widgets.Label(), widgets.Image(format="jpeg")
    held = {}

    def spoil(_=None) -> None:
        held["alpha"] = damaged(clip.alpha, kind.value, strength.value)
        line.value = figures_line(held["alpha"], clip.alpha)
        draw()

    def draw(_=None) -> None:
        t, alpha = frame.value, held["alpha"]
        strip = np.concatenate([viz._colour(alpha[t]), on_green(clip, alpha, t)], axis=1)
        height = max(1, round(strip.shape[0] * width / strip.shape[1]))
        image.value = viz._jpeg(Image.fromarray(strip).resize((width, height), Image.Resampling.BILINEAR))

    kind.observe(spoil, names="value")
    strength.observe(spoil, names="value")
    frame.observe(draw, names="value")
    spoil()
    return widgets.VBox([widgets.HBox([kind, strength, frame]), line, image])


def _figures(pred: np.ndarray, true: np.ndarray) -> dict[str, float]:
    row = metrics.clip_metrics(pred, true)
    return {name: row[name] for name in NAMES}
