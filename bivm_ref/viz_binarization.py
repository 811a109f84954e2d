"""Pictures of notebook 03: estimators as curves, what they let through, weights beside their bits, learning curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from . import viz

ESTIMATORS = ("clip-STE", "BiReal", "EDE", "identity")  # straight-through estimators, by the names the papers use
LIMIT = 2.2  # x runs from -LIMIT to LIMIT


def estimator_gradient(name: str, x: np.ndarray, t: float = 1.0) -> np.ndarray:
    """dx for g = 1 of an estimator of `net.binarize`, by torch's own autograd: x (n,) -> (n,) float64.

    t: of EDE alone, with k = max(1/t, 1). Raises ValueError for a name that is not in ESTIMATORS.
    """
    import torch

    from .net import binarize

    forward = {"clip-STE": binarize.ClipSTE.apply, "BiReal": binarize.BiRealSTE.apply,
               "EDE": lambda v: binarize.EDE.apply(v, t, max(1.0 / t, 1.0)), "identity": binarize.IdentitySTE.apply}
    if name not in forward:
        raise ValueError(f"unknown estimator {name!r}: choose one of {', '.join(ESTIMATORS)}")
    v = torch.tensor(np.asarray(x, np.float64), requires_grad=True)
    forward[name](v).sum().backward()
    return v.grad.numpy()


def pretended(name: str, x: np.ndarray, t: float = 1.0) -> np.ndarray:
    """The function whose derivative the estimator is, 0 at 0: what backpropagation takes sign for. x rises evenly."""
    slope = estimator_gradient(name, x, t)
    steps = np.concatenate([[0.0], np.cumsum((slope[1:] + slope[:-1]) / 2 * np.diff(x))])
    return steps - np.interp(0.0, x, steps)


def label(name: str, t: float) -> str:
    return f"EDE, t = {t:g}" if name == "EDE" else name


@viz._styled
def estimator_curves(settings: Sequence[tuple[str, float]]):
    """For each (estimator, t): above, sign and the function that stands in for it; below, the derivative -> Figure.

    The first column is sign itself, with its true derivative: 0 on both sides of a step.
    """
    x = np.linspace(-LIMIT, LIMIT, 881)
    figure = viz._figure(4.2)
    panels = figure.subplots(2, len(settings) + 1, sharex=True, sharey="row")
    bits = np.where(x >= 0, 1.0, -1.0)
    panels[0, 0].set_title("sign itself")
    panels[1, 0].plot(x, np.zeros_like(x), color=viz.VERMILLION, linewidth=2.5)
    panels[1, 0].annotate("∞ at 0", (0, 1.9), ha="center", color=viz.VERMILLION)
    panels[1, 0].annotate("", (0, 1.8), (0, 0), arrowprops={"arrowstyle": "->", "color": viz.VERMILLION})
    for column, (name, t) in enumerate(settings, 1):
        panels[0, column].plot(x, pretended(name, x, t), color=viz.BLUE, linewidth=2.5)
        panels[1, column].plot(x, estimator_gradient(name, x, t), color=viz.BLUE, linewidth=2.5)
        panels[0, column].set_title(label(name, t))
    for panel in panels[0]:
        panel.plot(x, np.where(np.abs(x) < 0.004, np.nan, bits), color=viz.VERMILLION, linewidth=1.5, linestyle="--")
        panel.set_ylim(-2.3, 2.3)
    for panel in panels[1]:
        panel.set_ylim(-0.15, 2.3)
        panel.set_xticks([-2, -1, 0, 1, 2])
    for panel in panels.flat:
        panel.grid(alpha=0.3)
    panels[0, 0].set_ylabel("taken for sign")
    panels[1, 0].set_ylabel("derivative")
    return figure


def passes(name: str, t: float, spread: float, seed: int = 0, count: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """`count` activations from a normal distribution of that standard deviation, and the gradient each gets for g = 1.

    -> (x, dx), (count,) float64 each.
    """
    x = np.random.default_rng(seed).normal(0, spread, count)
    return x, estimator_gradient(name, x, t)


@viz._styled
def gradient_flow(settings: Sequence[tuple[str, float, float]]):
    """Which activations learn: a row for each (estimator, t, spread of the activations) -> Figure.

    Left the estimator. Right the activations: grey, and in blue the same bars times the gradient they get, so that a
    blue bar above the grey one means a gradient above 1. Activations beyond the edge are in no bar, but counted.
    """
    figure = viz._figure(0.35 + 1.75 * len(settings))
    rows = figure.subplots(len(settings), 2, squeeze=False, sharex=True, width_ratios=[1, 1.6])
    edges = np.linspace(-LIMIT, LIMIT, 45)
    grid = np.linspace(-LIMIT, LIMIT, 441)
    for (curve, bars), (name, t, spread) in zip(rows, settings):
        x, dx = passes(name, t, spread)
        curve.plot(grid, estimator_gradient(name, grid, t), color=viz.BLUE, linewidth=2.5)
        curve.set_ylim(-0.15, 2.3)
        curve.set_title(label(name, t))
        everyone, _ = np.histogram(x, edges)
        weighted, _ = np.histogram(x, edges, weights=dx)
        bars.stairs(everyone / len(x), edges, fill=True, color="#CFCFCF")
        bars.stairs(weighted / len(x), edges, color=viz.BLUE, linewidth=2)
        bars.set_yticks([])
        bars.set_title(f"spread {spread:g}: {(dx < 0.01).mean():.0%} get none, mean gradient {dx.mean():.2f}")
    rows[-1, 0].set_xlabel("x")
    rows[-1, 1].set_xlabel("activations (grey), times their gradient (blue)")
    return figure


def flow_explorer():
    """The same under three controls: estimator, t and spread -> ipywidgets.VBox. `gradient_flow` is its twin."""
    widgets = viz._need("ipywidgets")
    name = widgets.Dropdown(options=ESTIMATORS, value="EDE", description="estimator")
    t = widgets.FloatLogSlider(value=1.0, base=10, min=-3, max=1, step=0.1, description="t of EDE")
    spread = widgets.FloatSlider(value=1.0, min=0.1, max=4.0, step=0.1, description="spread")
    image = widgets.Image(format="png")

    def draw(_=None) -> None:
        data, image.format = viz.encoded(gradient_flow([(name.value, t.value, spread.value)]))
        image.value = data

    for control in (name, t, spread):
        control.observe(draw, names="value")
    draw()
    return widgets.VBox([widgets.HBox([name, t, spread]), image])


@viz._styled
def weight_bars(rows: Mapping[str, tuple[Sequence[float], Sequence[float]]]):
    """Weights beside what the convolution multiplies by: {title: (before the sign, after it)}, (n,) each -> Figure.

    Grey, with its value: the number whose sign is taken. Outlined: the bit times its scale, blue for +, orange for -.
    """
    figure = viz._figure(3.0)
    panels = figure.subplots(1, len(rows), sharey=True, squeeze=False)[0]
    for panel, (title, (before, after)) in zip(panels, rows.items()):
        places = np.arange(len(before))
        panel.bar(places, before, 0.45, color="#BFBFBF")
        panel.bar(places, after, 0.8, fill=False, linewidth=2,
                  edgecolor=[viz.BLUE if value >= 0 else viz.ORANGE for value in after])
        for place, value in zip(places, before):
            panel.annotate(f"{value:.2g}", (place, value), (0, 3 if value >= 0 else -3), textcoords="offset points",
                           ha="center", va="bottom" if value >= 0 else "top", fontsize=10,
                           bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5, "alpha": 0.85})
        panel.axhline(0, color="black", linewidth=0.8)
        panel.set_title(title)
        panel.set_xticks([])
        panel.margins(y=0.15)
    return figure


@viz._styled
def scale_sweep(weights: np.ndarray):
    """|W - a*b|² over the scale a, b = sign(W): one channel's weights (n,) -> Figure, with mean |W| marked."""
    size = np.abs(weights)
    scales = np.linspace(0, 2.2 * size.mean(), 200)
    errors = ((size[:, None] - scales) ** 2).sum(0)  # |w - a*sign(w)| = ||w| - a|
    figure = viz._figure(2.8)
    panel = figure.subplots()
    panel.plot(scales, errors, color=viz.BLUE, linewidth=2.5)
    least = ((size - size.mean()) ** 2).sum()
    panel.plot(size.mean(), least, "o", color=viz.VERMILLION, markersize=8)
    panel.annotate(f"mean|W| = {size.mean():.3f}", (size.mean(), least), (0, 14), textcoords="offset points",
                   ha="center", color=viz.VERMILLION)
    panel.set_xlabel("scale α")
    panel.set_ylabel("|W − αb|²")
    panel.set_ylim(bottom=0)
    panel.grid(alpha=0.3)
    return figure


STYLES = ((viz.GREEN, "--"), (viz.BLUE, "-"), (viz.VERMILLION, ":"), (viz.ORANGE, "-."), (viz.GREY, "-"))


@viz._styled
def learning_curves(losses: Mapping[str, np.ndarray], smooth: int = 15):
    """Loss against step, each curve named at its end, a running mean of `smooth` steps -> Figure. Up to five curves."""
    figure = viz._figure(3.6)
    panel = figure.subplots()
    for (name, values), (colour, line) in zip(losses.items(), STYLES):
        width = min(smooth, len(values))
        mean = np.convolve(values, np.ones(width) / width, "valid")
        steps = np.arange(width, len(values) + 1)
        panel.plot(steps, mean, color=colour, linestyle=line, linewidth=2.5)
        panel.annotate(f" {name}: {mean[-1]:.2f}", (steps[-1], mean[-1]), color=colour, va="center")
    panel.set_xlabel("step")
    panel.set_ylabel("cross-entropy")
    panel.set_xlim(0, 1.25 * max(map(len, losses.values())))
    panel.grid(alpha=0.3)
    return figure


def enlarged(image: np.ndarray, times: int = 4) -> np.ndarray:
    """A thumbnail (H, W, 3) uint8 or (H, W) float in [0, 1], smoothly enlarged -> (times*H, times*W, 3) uint8."""
    picture = Image.fromarray(viz._colour(image))
    return np.asarray(picture.resize((times * picture.width, times * picture.height), Image.Resampling.BICUBIC))


def method_rows(names: Sequence[str] | None = None) -> list[dict]:
    """What each method does, measured on it rather than described: a row for each name of `METHODS` (None: all).

    slope   gradient of its activation's sign at x = 0, 0.5 and 1.5 for g = 1, as training begins
    scale   |what the convolution multiplies by| for the weights (.3, -.1, .2, -.6); "real" without a sign
    shifted the bits of the same weights + 1: "+-+-" where the method takes the mean off, "++++" where it does not
    theta, shortcut, activation, branches: as in `binarize.Method`
    """
    import torch

    from .net import binarize

    golden = torch.tensor([0.3, -0.1, 0.2, -0.6]).view(1, 4, 1, 1)
    rows = []
    for name in names or binarize.names():
        how = binarize.method(name)
        x = torch.tensor([0.0, 0.5, 1.5]).view(3, 1, 1, 1).requires_grad_()  # three samples of one value each
        how.sign(x).sum().backward()
        weights, raised = how.weight(golden).flatten(), how.weight(golden + 1).flatten()
        rows.append({
            "name": name, "slope": x.grad.flatten().tolist(),
            "scale": round(float(weights.abs().max()), 3) if how.binary else "real",
            "shifted": "".join("+" if w >= 0 else "-" for w in raised.tolist()),
            "theta": how.theta, "shortcut": how.shortcut, "activation": how.activation, "branches": how.branches})
    return rows
