"""Pictures of notebook 08: what the maps inside the engine look like, what they weigh, where the work is."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from PIL import Image

from . import viz


def channel_pictures(values: np.ndarray, count: int) -> list[np.ndarray]:
    """Up to `count` channels, evenly spread, of a map (H, W, C) or (H, W) -> pictures (H, W) float in [0, 1].

    Each is stretched from its 1st to its 99th percentile; a map of one channel, and truth values, from 0 to 1.
    ValueError for other shapes.
    """
    values = np.asarray(values)
    if values.ndim == 2:
        return [np.clip(values, 0, 1).astype(float)]
    if values.ndim != 3:
        raise ValueError(f"a map is (H, W, C) or (H, W), not {values.shape}")
    pictures = []
    for channel in viz.spread_over(values.shape[2], count):
        plane = values[..., channel].astype(float)
        low, high = np.percentile(plane, (1, 99))
        pictures.append(np.clip((plane - low) / max(high - low, 1e-9), 0, 1))
    return pictures


@viz._styled
def channel_strip(maps: Mapping[str, np.ndarray], columns: int = 5):
    """One row for each map, a few of its channels side by side -> Figure. Maps as for `channel_pictures`."""
    shape = next(iter(maps.values())).shape
    figure, axes = viz._panels(len(maps), columns, shape, room=0.1 + 0.3 * len(maps))
    for line, (name, values) in zip(axes, maps.items()):
        pictures = channel_pictures(values, columns)
        for panel, picture in zip(line, pictures):
            panel.imshow(picture, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        for panel in line[len(pictures):]:
            panel.set_visible(False)
        line[0].set_title(f"{name}  {' × '.join(map(str, values.shape))}", fontsize=11)
    return figure


def mosaic(values: np.ndarray, count: int = 12, columns: int = 4, width: int = 900) -> np.ndarray:
    """The same channels as one picture (h, width) uint8, `columns` to a line, pixels kept as squares."""
    pictures = channel_pictures(values, count)
    columns = min(columns, len(pictures))
    each = width // columns
    height = max(1, round(each * values.shape[0] / values.shape[1]))
    large = [np.asarray(Image.fromarray(np.rint(255 * p).astype(np.uint8)).resize((each, height), 0)) for p in pictures]
    large += [np.full((height, each), 255, np.uint8)] * (-len(large) % columns)
    return np.concatenate([np.concatenate(large[i:i + columns], axis=1) for i in range(0, len(large), columns)])


def station_slider(maps: Mapping[str, np.ndarray]):
    """The stations of a frame under a slider -> ipywidgets.VBox: name, size and up to 12 channels of each.

    `channel_strip` of a few of them is its static twin: show it first, for readers on paper.
    """
    widgets = viz._need("ipywidgets")
    names = list(maps)

    def line(i: int) -> str:
        held = maps[names[i]]
        return f"{names[i]}: {' × '.join(map(str, held.shape))} {held.dtype}, {viz.byte_text(held.nbytes)}"

    slider = widgets.IntSlider(value=0, min=0, max=len(names) - 1, description="station")
    image = widgets.Image(value=viz._jpeg(Image.fromarray(mosaic(maps[names[0]]))), format="jpeg")
    caption = widgets.Label(value=line(0))

    def moved(change) -> None:
        image.value = viz._jpeg(Image.fromarray(mosaic(maps[names[change["new"]]])))
        caption.value = line(change["new"])

    slider.observe(moved, names="value")
    return widgets.VBox([slider, caption, image])


@viz._styled
def map_bytes(maps: Mapping[str, np.ndarray]):
    """The bytes of each map as it is held, and of its signs at a bit each, on a logarithmic scale -> Figure."""
    names = list(maps)
    figure = viz._figure(0.9 + 0.34 * len(names))
    panel = figure.subplots()
    for y, name in enumerate(names):
        held, signs = maps[name].nbytes, -(-maps[name].size // 8)
        panel.barh(y - 0.19, held, 0.38, color=viz.GREY, label="" if y else "the map")
        panel.barh(y + 0.19, signs, 0.38, color=viz.BLUE, label="" if y else "its signs, one bit each")
        for at, size in ((y - 0.19, held), (y + 0.19, signs)):
            panel.annotate(viz.byte_text(size), (size, at), (4, 0), textcoords="offset points", va="center", fontsize=9)
    panel.set_yticks(range(len(names)), names)
    panel.invert_yaxis()
    panel.set_xscale("log")
    panel.set_xlim(right=3 * max(m.nbytes for m in maps.values()))
    panel.set_xlabel("bytes, each step of the scale ten times the one before")
    panel.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False)
    return figure


@viz._styled
def work_bars(work: Mapping[str, float], binary: str = "binary convolutions"):
    """Millions of operations by kind of work, largest first, "all others" last; the bar named `binary` is blue
    -> Figure."""
    order = sorted(work, key=lambda name: (name == "all others", -work[name]))
    parts = {name: work[name] / 1e6 for name in order}
    figure = viz._figure(0.6 + 0.3 * len(parts))
    panel = figure.subplots()
    total = sum(parts.values())
    labels = [f"{value:.2f} M, {value / total:.0%}" for value in parts.values()]
    viz._bars(panel, parts, [viz.BLUE if name == binary else viz.ORANGE for name in parts], labels)
    panel.set_title(f"Operations of one frame by the strict rule: {total:.0f} million")
    return figure
