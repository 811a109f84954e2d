"""Small arrays as pictures: a number in every cell, so that a rule can be followed cell by cell."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from . import viz


@viz._styled
def number_grids(grids: Sequence[np.ndarray], titles: Sequence[str], form: str = "{:g}", per_row: int = 3,
                 scale: str = "one"):
    """Arrays (h, w) side by side, `per_row` to a line, each cell with its number -> Figure.

    White is 0; the larger a number, the deeper its blue, and an orange-red below 0. scale: "one" for all grids, or
    "each" for its own. NaN is an empty cell. form: how a number is written.
    ValueError without one title per grid, or for arrays that are not two-dimensional.
    """
    grids = [np.asarray(grid, float) for grid in grids]
    if len(grids) != len(titles) or not grids or any(grid.ndim != 2 for grid in grids):
        raise ValueError(f"one title per (h, w) array: {[grid.shape for grid in grids]}, {len(titles)} titles")
    largest = [max(float(np.nanmax(np.abs(grid))), 1e-12) for grid in grids]
    if scale == "one":
        largest = [max(largest)] * len(grids)
    columns = min(per_row, len(grids))
    lines = -(-len(grids) // columns)
    figure = viz._figure(lines * (0.45 + min(viz.WIDTH / columns / grids[0].shape[1], 0.4) * grids[0].shape[0]))
    panels = figure.subplots(lines, columns, squeeze=False)
    colours = viz._need("matplotlib.colors").LinearSegmentedColormap.from_list(
        "below, zero, above", [viz.VERMILLION, "white", viz.BLUE])
    for panel in panels.flat:
        panel.set_axis_off()
    for panel, grid, title, most in zip(panels.flat, grids, titles, largest):
        panel.pcolormesh(np.ma.masked_invalid(grid), cmap=colours, vmin=-most, vmax=most, edgecolors=viz.GREY,
                         linewidth=0.5)
        panel.invert_yaxis()
        panel.set_title(title)
        for (y, x), value in np.ndenumerate(grid):
            if not np.isnan(value):
                panel.text(x + 0.5, y + 0.5, form.format(value).replace("-", "−"), ha="center", va="center",
                           fontsize=10, color="white" if abs(value) > 0.6 * most else "black")
    return figure
