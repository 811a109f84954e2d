"""Pictures of the information studies, from the sections of data_samples/results/information_*.json.

Under every picture stands what it does not show.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path

from .files import beside
from .information_text import distance_text, encoder_rows
from .results import LABELS
from .viz import BLUE, GREEN, GREY, ORANGE, VERMILLION, _figure, _styled, encoded

COLOURS = {"float": GREEN, "bnn": GREY, "reactnet": ORANGE, "no-mimicking": VERMILLION, "bivm": BLUE}
MARKS = {"float": "s", "bnn": "v", "reactnet": "^", "no-mimicking": "D", "bivm": "o"}


def save(figure, path: Path) -> None:
    """PNG of 256 colours. UserError where it cannot be written."""
    data, kind = encoded(figure)
    with beside(path) as part:
        part.write_bytes(data if kind == "png" else _png(figure))


def _png(figure) -> bytes:
    import io

    held = io.BytesIO()
    figure.savefig(held, format="png")
    return held.getvalue()


@_styled
def encoder_chart(section: Mapping):
    """Study 1 -> Figure: relevance and detail at every stage, before the sign (top) and after it (bottom)."""
    figure = _figure(8.2)
    panels = figure.subplots(2, 2, sharex=True)
    stages = list(section["label_entropy"])
    for line, where in zip(panels, ("before", "after")):
        for panel, measure in zip(line, ("relevance", "detail")):
            found = encoder_rows(section, measure, where)
            for i, (arm, by_stage) in enumerate(found.items()):
                x = [k + 0.09 * (i - (len(found) - 1) / 2) for k in range(len(stages))]  # intervals side by side
                _series(panel, x, [by_stage[stage] for stage in stages], COLOURS[arm], MARKS[arm], LABELS[arm])
            panel.set_title({"relevance": "alpha class", "detail": "colour"}[measure] + f", {where} the sign")
            panel.set_xticks(range(len(stages)), stages)
            panel.axhline(0, color="black", linewidth=0.6)
            panel.grid(axis="y", alpha=0.3)
        line[0].set_ylabel("bits, linear probe")
        line[1].set_ylabel("open: lower bound")
    panels[0][0].legend(fontsize=10, frameon=False)
    _caption(figure, section)
    return figure


@_styled
def decoder_chart(section: Mapping):
    """Study 2 -> Figure: MAD against the share of MACs kept, and the 3x3's gain by distance to the boundary."""
    figure = _figure(5.2)
    left, right = figure.subplots(1, 2)
    curve = section["curve"]
    for name, colour, mark in (("ours", BLUE, "o"), ("random", GREY, "v"), ("oracle", GREEN, "s")):
        _series(left, [row["area"]["mean"] for row in curve], [row[name] for row in curve], colour, mark,
                {"ours": "our mask", "random": "random, equal area", "oracle": "oracle, equal area"}[name])
    own = next(row for row in curve if row["size"] == "own")
    left.axvline(own["area"]["mean"], color="black", linewidth=0.8, linestyle=":")
    left.set_title("MAD, 95 % intervals over clips")
    left.set_xlabel("share of the 3×3's MACs kept (dotted: our mask's own)")
    left.legend(fontsize=10, frameon=False)
    bins = section["error_gain"]
    _series(right, range(len(bins)), bins, BLUE, "o", "")
    right.axhline(0, color="black", linewidth=0.6)
    right.set_xticks(range(len(bins)), [distance_text(row["from"], row["to"]) for row in bins])
    right.set_title("|error| that the 3×3 takes away, 1e3")
    right.set_xlabel("distance to the boundary, pixels")
    for panel in (left, right):
        panel.grid(axis="y", alpha=0.3)
    _caption(figure, section)
    return figure


def _series(panel, x, rows, colour: str, mark: str, label: str) -> None:
    """Means with their intervals as bars; rows without figures are left out, lower bounds have an open mark."""
    known = [(at, row) for at, row in zip(x, rows) if row["mean"] is not None]
    means = [row["mean"] for _, row in known]
    bars = [[row["mean"] - row["low"] for _, row in known], [row["high"] - row["mean"] for _, row in known]]
    bars = [[max(value, 0.0) for value in side] for side in bars]
    panel.errorbar([at for at, _ in known], means, bars, color=colour, marker=mark, markersize=5, linewidth=1.2,
                   elinewidth=1, label=label or None)
    bounds = [(at, row["mean"]) for at, row in known if not row.get("sound", True)]
    if bounds:
        panel.plot(*zip(*bounds), mark, markersize=5, color=colour, markerfacecolor="white", zorder=3)


def _caption(figure, section: Mapping) -> None:
    """What the picture does not show, under it."""
    text = "\n".join(textwrap.wrap("What this does not show: " + " ".join(section["cannot_say"]), 140))
    figure.supxlabel(text, fontsize=9, x=0.01, ha="left")
