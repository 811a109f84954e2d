"""Pictures of notebook 02: what a sign leaves of a correlation, naive estimates, channels' bits, the bottleneck."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence

import numpy as np

from . import viz
from .information import corrected_information, entropy, mutual_information
from .information_sheet import distinct_information, normal_sample, normal_truth, sign_truth
from .information_text import encoder_rows
from .results import LABELS
from .viz_information import COLOURS, MARKS, _caption, _series

MOST = 0.99  # largest correlation that is drawn: at 1, the information of real numbers is infinite
CODES, KINDS = 64, 3  # of the independent codes and labels in `naive_estimates`


# ── what a sign leaves ───────────────────────────────────────────────────────────────────────

@functools.lru_cache(maxsize=256)  # the curve is drawn again whenever the slider moves
def one_sign(rho: float, reach: float = 8.0, steps: int = 1601) -> float:
    """I(sign X; Y) in bits of normals with correlation rho, |rho| < 1, Y read in full.

    Given Y = y, X is positive with probability Phi(rho y / sqrt(1 - rho^2)), and that coin's entropy is left open:
    1 - E_y h2(...), by the trapezoid rule over y in [-reach, reach].
    """
    y = np.linspace(-reach, reach, steps)
    density = np.exp(-0.5 * y * y)
    slope = rho / math.sqrt(1.0 - rho * rho)
    positive = np.array([0.5 * math.erfc(-slope * v / math.sqrt(2.0)) for v in y])
    left_open = entropy(np.stack((positive, 1.0 - positive), -1))
    return float(1.0 - (density * left_open).sum() / density.sum())


def sign_line(rho: float) -> str:
    """ "1.20 bits, one sign 0.66, both 0.41" for a correlation."""
    return f"{normal_truth(rho):.2f} bits, one sign {one_sign(rho):.2f}, both {sign_truth(rho):.2f}"


@viz._styled
def sign_panels(rhos: Sequence[float], seed: int = 0, count: int = 400):
    """What a sign leaves at some correlations -> Figure: a cloud of (X, Y) for each, and the curves over all of them.

    In a cloud, blue pairs have equal signs, orange ones do not. Dots on the curves mark the clouds' correlations.
    """
    figure = viz._figure(3.9)
    *clouds, curves = figure.subplots(1, len(rhos) + 1, width_ratios=[1] * len(rhos) + [1.5])
    for panel, rho in zip(clouds, rhos):
        x, y = normal_sample(np.random.default_rng(seed), (count,), rho)
        agree = (x >= 0) == (y >= 0)
        for chosen, colour, mark in ((agree, viz.BLUE, "o"), (~agree, viz.VERMILLION, "x")):
            panel.plot(x[chosen], y[chosen], mark, color=colour, markersize=3, alpha=0.6)
        for line in (panel.axhline, panel.axvline):
            line(0, color="black", linewidth=0.8)
        panel.set(xlim=(-3.3, 3.3), ylim=(-3.3, 3.3), xticks=[], yticks=[], aspect="equal", xlabel="X", ylabel="Y")
        panel.set_title(f"ρ = {rho:.2f}:\n{math.acos(rho) / math.pi:.0%} of signs differ")
    grid = np.linspace(0.0, MOST, 67)
    for label, bits, colour, style in (("X and Y", normal_truth, viz.GREEN, "s-"),
                                       ("sign X and Y", one_sign, viz.ORANGE, "^--"),
                                       ("sign X and sign Y", sign_truth, viz.BLUE, "o:")):
        curves.plot(grid, [bits(rho) for rho in grid], style[1:], color=colour, linewidth=2)
        curves.plot(rhos, [bits(rho) for rho in rhos], style[0], color=colour, markersize=6)
        curves.plot([], [], style, color=colour, linewidth=2, markersize=6, label=label)
    curves.set(ylim=(0, 2), xlim=(0, 1), xlabel="correlation ρ")
    curves.set_title("bits that one tells of the other")
    curves.legend(frameon=False, fontsize=10)
    curves.grid(axis="y", alpha=0.3)
    return figure


def sign_slider(seed: int = 0):
    """The same under a slider for the correlation -> ipywidgets.VBox. `sign_panels` is its static twin: show it first,
    for readers on paper."""
    widgets = viz._need("ipywidgets")
    rho = widgets.FloatSlider(value=0.75, min=0, max=MOST, step=0.01, description="rho", continuous_update=False)
    line, image = widgets.Label(), widgets.Image(format="png")

    def draw(_=None) -> None:
        line.value = sign_line(rho.value)
        image.value, image.format = viz.encoded(sign_panels([rho.value], seed))

    rho.observe(draw, names="value")
    draw()
    return widgets.VBox([rho, line, image])


# ── estimates that lie ───────────────────────────────────────────────────────────────────────

def naive_estimates(sizes: Sequence[int], rho: float = 0.75, repeats: int = 10, seed: int = 0) -> dict[str, np.ndarray]:
    """What estimators say of `sizes` samples, each (len(sizes),), in bits:

    "floats"      pairs of normals with correlation rho, every distinct float a code of its own
    "unrelated"   the same of unrelated normals
    "plug-in"     64 codes and 3 labels that know nothing of each other, mean over `repeats`; the truth is 0
    "corrected"   the same tables by Miller and Madow's correction
    "expected"    (64 - 1) (3 - 1) / (2 N ln 2), the plug-in's bias
    """
    rng, found = np.random.default_rng(seed), {}
    for name, correlation in (("floats", rho), ("unrelated", 0.0)):
        found[name] = np.array([distinct_information(*normal_sample(rng, (n,), correlation)) for n in sizes])
    tables = [rng.multinomial(n, np.full(CODES * KINDS, 1.0 / (CODES * KINDS)), repeats).reshape(-1, CODES, KINDS)
              for n in sizes]
    found["plug-in"] = np.array([mutual_information(t).mean() for t in tables])
    found["corrected"] = np.array([corrected_information(t).mean() for t in tables])
    found["expected"] = (CODES - 1) * (KINDS - 1) / (2.0 * np.asarray(sizes) * np.log(2.0))
    return found


@viz._styled
def naive_chart(sizes: Sequence[int], found: Mapping[str, np.ndarray], rho: float = 0.75):
    """`naive_estimates` -> Figure: left the floats, right the 64 codes; the truth is a black line in both."""
    figure = viz._figure(3.4)
    left, right = figure.subplots(1, 2)
    left.plot(sizes, found["floats"], "o", color=viz.BLUE, markersize=10, label=f"normals, ρ = {rho:g}")
    left.plot(sizes, found["unrelated"], "x", color=viz.VERMILLION, markersize=7, markeredgewidth=2,
              label="unrelated normals")
    for truth, name, side in ((normal_truth(rho), f"ρ = {rho:g}", 3), (0.0, "unrelated", -12)):
        left.axhline(truth, color="black", linewidth=1)
        left.annotate(f"truth, {name}: {truth:.2f}", (sizes[-1], truth), (0, side), textcoords="offset points",
                      ha="right", fontsize=10)
    left.set_title("every float its own code")
    left.set_ylim(-2.5, 1.25 * max(found["floats"]))
    right.plot(sizes, found["expected"], "--", color=viz.GREY, label="expected bias")
    right.plot(sizes, found["plug-in"], "o", color=viz.BLUE, label="plug-in")
    right.plot(sizes, found["corrected"], "s", color=viz.GREEN, label="corrected")
    right.axhline(0, color="black", linewidth=1)
    right.set_title("64 codes, 3 labels, unrelated: truth 0")
    for panel in (left, right):
        panel.set_xscale("log", base=2)
        panel.set_xticks(list(sizes), [f"{n:,}" for n in sizes])
        panel.set_xlabel("samples")
        panel.legend(frameon=False, fontsize=10)
    left.set_ylabel("estimated bits")
    return figure


# ── the network ──────────────────────────────────────────────────────────────────────────────

@viz._styled
def channel_bars(told: Mapping[str, np.ndarray], null: Mapping[str, np.ndarray]):
    """Each channel's bits about alpha, largest first, a panel for each stage -> Figure.

    told {stage: (C,)}; null {stage: (repeats, C)}: the grey band reaches to the largest that chance gave any channel.
    """
    figure = viz._figure(2.9)
    panels = figure.subplots(1, len(told), sharey=True, squeeze=False)[0]
    for panel, (stage, values) in zip(panels, told.items()):
        panel.bar(range(len(values)), np.sort(values)[::-1], width=1.0, color=viz.BLUE)
        panel.axhspan(0, max(0.0, float(null[stage].max())), color="#CFCFCF", alpha=0.8)
        panel.set_title(f"{stage}: {len(values)} channels")
        panel.set_xticks([])
        panel.set_xlabel("channels, largest first")
    panels[0].set_ylabel("bits about alpha")
    return figure


@viz._styled
def encoder_plane(section: Mapping, stages: Sequence[str] = ("f1", "f2", "f3", "f4")):
    """Study 1 -> Figure. Left: bits about alpha before the sign at every stage, with intervals. Right: the encoder's
    way through the plane of what is forgotten and what is kept, both as shares of the labels' entropy.

    section: "encoder" of data_samples/results/information_*.json.
    """
    figure = viz._figure(5.4)
    left, right = figure.subplots(1, 2)
    entropy, order = section["label_entropy"], list(section["label_entropy"])
    found = encoder_rows(section, "relevance", "before")
    colour = encoder_rows(section, "detail", "before")
    for i, (arm, rows) in enumerate(found.items()):
        x = [k + 0.09 * (i - (len(found) - 1) / 2) for k in range(len(order))]  # intervals side by side
        _series(left, x, [rows[stage] for stage in order], COLOURS[arm], MARKS[arm], LABELS[arm])
        way = [(colour[arm][s]["mean"] / entropy[s]["detail"], rows[s]["mean"] / entropy[s]["relevance"])
               for s in stages if s in rows]
        right.plot(*zip(*way), marker=MARKS[arm], color=COLOURS[arm], linewidth=1.5, markersize=6)
        if arm == "float":
            for stage, point in zip(stages, way):
                right.annotate(stage, point, (7, 6), textcoords="offset points", fontsize=11)
    left.set_xticks(range(len(order)), order)
    left.set_title("bits about alpha, by stage")
    left.legend(fontsize=10, frameon=False)
    right.set_title("the encoder's way, shares of H(Y)")
    right.set_xlabel("colour that can be read")
    right.set_ylabel("alpha that can be read")
    right.set_xlim(left=-0.03)
    right.set_ylim(bottom=0)
    for panel in (left, right):
        panel.grid(axis="y", alpha=0.3)
    _caption(figure, section)
    return figure
