"""Pictures of notebook 07: features beside the teacher's, weights over a frame, bits that agree, figures by stage."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageFilter

from . import results, viz

SPAN = 2.0  # standard deviations on each side of the mean between black and white
LEVELS = 25  # of grey: as many as an eye tells apart in a small square, and the picture's file shrinks by a third
PARTS = ("bivm", "no-localization", "no-bits", "no-information", "no-mimicking")  # arms that tell what a part is worth


# -- feature maps -----------------------------------------------------------------------------------------------------

def standardised(maps: np.ndarray) -> np.ndarray:
    """(N, C, h, w) -> z-scores per channel over frames and cells, float64; a constant channel becomes 0."""
    maps = np.asarray(maps, np.float64)
    centred = maps - maps.mean((0, 2, 3), keepdims=True)
    return centred / np.maximum(maps.std((0, 2, 3), keepdims=True), 1e-5)


def grey(z: np.ndarray) -> np.ndarray:
    """z-scores -> one of LEVELS greys in [0, 1] float32: the mean is the middle, SPAN standard deviations reach black
    and white."""
    return (np.rint(np.clip(0.5 + 0.5 * z / SPAN, 0.0, 1.0) * (LEVELS - 1)) / (LEVELS - 1)).astype(np.float32)


def large(cells: np.ndarray, side: int = 128) -> np.ndarray:
    """(h, w) or (h, w, 3), every cell repeated until the height is `side`, a multiple of h."""
    times = side // len(cells)
    return cells.repeat(times, 0).repeat(times, 1)


def likenesses(mine: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Correlation of each channel with the teacher's, over the frames: (N, C, h, w) both -> (C,)."""
    return (standardised(mine) * standardised(theirs)).mean((0, 2, 3))


def _cells(panel, image: np.ndarray) -> None:
    """Every cell as a plain square: sharper than a smooth picture, and a tenth of its bytes."""
    panel.imshow(viz._colour(image), interpolation="nearest")


@viz._styled
def channel_strip(maps: Mapping[str, np.ndarray], channels: Sequence[int], frame: int = 0):
    """A row for each network, a column for each channel, z-scores in grey -> Figure; titles: channel numbers, and under
    every map but the first row's its correlation with that one.

    maps  {network: (N, C, h, w)}, the teacher first
    """
    figure, axes = viz._panels(len(maps), len(channels), (1, 1), room=0.3 + 0.24 * len(maps))
    teacher = next(iter(maps.values()))
    for line, (name, features) in zip(axes, maps.items()):
        alike, z = likenesses(features, teacher), standardised(features)
        for panel, channel in zip(line, channels):
            _cells(panel, grey(z[frame, channel]))
            same = features is teacher
            panel.set_title(f"channel {channel}" if same else f"r = {alike[channel]:.2f}", fontsize=11)
        line[0].set_ylabel(name)
    return figure


def agreement_picture(mine: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Bits (h, w) of a student and of its teacher -> (h, w, 3) uint8: white both 1, black both 0; orange the student
    alone, blue the teacher alone."""
    picture = np.where((mine & theirs)[..., None], 255, np.zeros(3)).astype(np.uint8)
    picture[mine & ~theirs] = viz._rgb(viz.ORANGE)
    picture[theirs & ~mine] = viz._rgb(viz.BLUE)
    return picture


@viz._styled
def bit_strip(bits: Mapping[str, np.ndarray], channels: Sequence[int], frame: int = 0):
    """`channel_strip` of bits: {network: (N, C, h, w) bool}, the teacher first -> Figure. A student's bits that are not
    the teacher's are coloured (`agreement_picture`), the share that is stands above each map."""
    figure, axes = viz._panels(len(bits), len(channels), (1, 1), room=0.3 + 0.24 * len(bits))
    teacher = next(iter(bits.values()))
    for line, (name, mine) in zip(axes, bits.items()):
        for panel, channel in zip(line, channels):
            a, b = mine[frame, channel], teacher[frame, channel]
            _cells(panel, agreement_picture(a, b))
            panel.set_title(f"channel {channel}" if mine is teacher else f"{(a == b).mean():.0%} agree", fontsize=11)
        line[0].set_ylabel(name)
    return figure


def feature_explorer(maps: Mapping[str, Mapping[str, np.ndarray]], bits: Mapping[str, Mapping[str, np.ndarray]],
                     stage: str = "d1", width: int = 600):
    """Stage, channel and frame under controls -> ipywidgets.VBox: above the values, below the bits, a column for each
    network. maps, bits: {stage: {network: (N, C, h, w)}}, the teacher first. Twins: `channel_strip` and `bit_strip`."""
    widgets = viz._need("ipywidgets")
    which = widgets.Dropdown(options=list(maps), value=stage, description="stage")
    channel = widgets.IntSlider(value=0, min=0, max=1, description="channel")
    frame = widgets.IntSlider(value=0, min=0, max=1, description="frame")
    line, image = widgets.Label(), widgets.Image(format="png")

    def draw(_=None) -> None:
        values, signs = maps[which.value], bits[which.value]
        teacher = next(iter(values))
        channel.max, frame.max = values[teacher].shape[1] - 1, len(values[teacher]) - 1
        c, n = channel.value, frame.value
        above = [viz._colour(large(grey(standardised(features)[n, c]))) for features in values.values()]
        below = [large(agreement_picture(b[n, c], signs[teacher][n, c])) for b in signs.values()]
        agree = {name: (b[n, c] == signs[teacher][n, c]).mean() for name, b in signs.items() if name != teacher}
        said = ", ".join(f"{name} {share:.0%}" for name, share in agree.items())
        line.value = f"{' | '.join(values)}; bits that agree with the {teacher}'s: {said}"
        tiles = Image.fromarray(np.vstack([np.hstack(above), np.hstack(below)]))
        size = (width, round(tiles.height * width / tiles.width))
        png = io.BytesIO()
        tiles.resize(size, Image.Resampling.NEAREST).save(png, "PNG")
        image.value = png.getvalue()

    for control in (which, channel, frame):
        control.observe(draw, names="value")
    draw()
    return widgets.VBox([widgets.HBox([which, channel, frame]), line, image])


# -- where the loss looks ---------------------------------------------------------------------------------------------

@viz._styled
def weight_heat(frame: np.ndarray, weights: Mapping[str, np.ndarray]):
    """The localization weights over a frame in grey, a panel for each stage -> Figure with one colour bar.

    frame (H, W, 3) uint8; weights {title: (h, w)} with sum 1, drawn as multiples of the even weight 1 / (h w).
    """
    figure, axes = viz._panels(1, len(weights), (1, 1), room=0.5, right=2.4)
    times = {title: w * w.size for title, w in weights.items()}
    most = max(w.max() for w in times.values())
    soft = Image.fromarray(frame).convert("L").filter(ImageFilter.GaussianBlur(1))  # grain would cost bytes only
    dim = (0.8 * np.asarray(soft)[..., None]).astype(np.uint8).repeat(3, 2)
    for panel, (title, w) in zip(axes[0], times.items()):
        viz._picture(panel, dim)
        panel.imshow(large(w, len(frame)), cmap="inferno", vmin=0, vmax=most, alpha=0.6)
        panel.set_title(title)
    scale = viz._need("matplotlib.colors").Normalize(0, most)
    colours = viz._need("matplotlib.cm").ScalarMappable(scale, "inferno")  # the maps are translucent, the bar is not
    figure.colorbar(colours, ax=axes[0].tolist(), fraction=0.05, pad=0.01).set_label("times the even weight")
    return figure


@viz._styled
def information_bars(told: np.ndarray, pi: np.ndarray):
    """Channels in the order of what their bit tells, as bars (C,), and their weight pi (C,) as dots -> Figure."""
    order = np.argsort(-told)
    figure = viz._figure(3.0)
    panel = figure.subplots()
    panel.bar(range(len(told)), told[order], color="#BFD9EC", label="bits told on held-out clips")
    panel.set_ylabel("bits")
    panel.set_xlabel("channels, the most telling first")
    other = panel.twinx()
    other.plot(range(len(pi)), len(pi) * pi[order], "o", color=viz.VERMILLION, markersize=4)
    other.axhline(1, color=viz.GREY, linestyle="--", linewidth=1)
    other.set_ylabel("π, times the even weight", color=viz.VERMILLION)
    other.set_ylim(bottom=0)
    other.spines["right"].set_visible(True)
    panel.set_xlim(-0.8, len(told) - 0.2)
    return figure


# -- figures by stage, and by arm -------------------------------------------------------------------------------------

STYLES = ((viz.BLUE, "o"), (viz.VERMILLION, "s"), (viz.GREY, "v"), (viz.GREEN, "^"), (viz.ORANGE, "D"))


@viz._styled
def stage_chart(series: Mapping[str, Mapping[str, Mapping]], ylabel: str, height: float = 3.6):
    """{name: {stage: {"mean", "low", "high"}}} -> Figure: a mark with its 95 % interval per stage, names at the right.
    Up to five series."""
    figure = viz._figure(height)
    panel = figure.subplots()
    stages = list(next(iter(series.values())))
    for i, ((name, rows), (colour, mark)) in enumerate(zip(series.items(), STYLES)):
        x = np.arange(len(stages)) + 0.1 * (i - (len(series) - 1) / 2)
        mean, low, high = (np.array([rows[s][key] for s in stages], float) for key in ("mean", "low", "high"))
        panel.errorbar(x, mean, [np.maximum(mean - low, 0), np.maximum(high - mean, 0)], color=colour, marker=mark,
                       markersize=6, linewidth=1.5, label=name)
    panel.set_xticks(range(len(stages)), stages)
    panel.set_ylabel(ylabel)
    panel.grid(axis="y", alpha=0.3)
    if min(panel.get_ylim()) < 0 < max(panel.get_ylim()):
        panel.axhline(0, color="black", linewidth=0.8)
    if len(series) > 1:
        figure.legend(loc="outside right upper", frameon=False, fontsize=11)
    return figure


def worth(rows: list[dict], arms: Sequence[str] = PARTS) -> tuple[dict[str, dict], list[str]]:
    """{arm: summary of MAD, and its "ratio" to the full mimicking's} for arms with runs, and the names without.

    rows: of a comparison (`results.load`). Without a run of "bivm" no arm has a ratio.
    """
    table = results.summary(rows)
    found = {arm: dict(table[arm]) for arm in arms if arm in table}
    for arm in found:
        if arm != "bivm" and "bivm" in found:
            found[arm]["ratio"] = results.ratio(rows, arm, "bivm")
    return found, [arm for arm in arms if arm not in table]


@viz._styled
def worth_chart(found: Mapping[str, Mapping]):
    """`worth`'s first -> Figure: MAD of each arm with its 95 % interval, full mimicking in blue."""
    figure = viz._figure(0.8 + 0.45 * len(found))
    panel = figure.subplots()
    for y, (arm, row) in enumerate(found.items()):
        colour = viz.BLUE if arm == "bivm" else viz.GREY
        bar = [[row["mean"] - row["low"]], [row["high"] - row["mean"]]]
        panel.errorbar(row["mean"], y, xerr=bar, color=colour, marker="o", markersize=8, linewidth=2, capsize=4)
        panel.annotate(f"{row['mean']:.0f}", (row["mean"], y), (0, 7), textcoords="offset points", ha="center",
                       fontsize=10, color=colour)
    panel.set_yticks(range(len(found)), [results.LABELS[arm] for arm in found])
    panel.set_ylim(len(found) - 0.4, -0.7)
    panel.set_xlim(left=0)
    panel.set_xlabel("MAD, 95 % intervals")
    panel.grid(axis="x", alpha=0.3)
    return figure


@viz._styled
def live_curves(arms: Mapping[str, tuple[np.ndarray, np.ndarray]]):
    """{name: (mimicking term, agreement)}, (steps + 1,) each -> Figure: both against the step."""
    figure = viz._figure(3.2)
    panels = figure.subplots(1, 2)
    for (name, pair), (colour, mark) in zip(arms.items(), STYLES):
        for panel, values in zip(panels, pair):
            panel.plot(values, color=colour, marker=mark, markersize=5, linewidth=2)
            panel.annotate(f" {name}", (len(values) - 1, values[-1]), color=colour, va="center")
    for panel, title in zip(panels, ("mimicking term", "bits that agree, mean of stages")):
        panel.set_title(title)
        panel.set_xlabel("step")
        panel.set_xlim(0, 1.35 * max(len(values) - 1 for values, _ in arms.values()))
        panel.grid(alpha=0.3)
    panels[0].set_ylim(bottom=0)
    return figure
