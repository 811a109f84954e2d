"""Pictures of notebook 09: times in order, two plans of measuring, a frame's parts, the roofline, masked against dense,
and the widget that foretells a frame's time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from . import viz
from .packed.clock import Part
from .roofline import Layer
from .time_model import Drift, FrameTime


@viz._styled
def run_dots(ms: Sequence[float]):
    """Milliseconds of one program, run after run, with their least, median and mean as lines -> Figure."""
    ms = np.asarray(ms, float)
    figure = viz._figure(2.8)
    panel = figure.subplots()
    panel.plot(range(len(ms)), ms, "o", color=viz.BLUE, markersize=4)
    lines = {"least": (ms.min(), viz.GREEN, ":"), "median": (np.median(ms), viz.BLUE, "-"),
             "mean": (ms.mean(), viz.VERMILLION, "--")}
    for name, (value, colour, style) in lines.items():
        panel.axhline(value, color=colour, linestyle=style, linewidth=1.5, label=f"{name} {value:.1f}")
    panel.set_ylim(0, 1.08 * ms.max())
    panel.set_xlabel("run")
    panel.set_title("Milliseconds of the same work, run after run")
    panel.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    return figure


@viz._styled
def two_plans(blocks: Drift, mixed: Drift):
    """The same drifting machine measured in two ways -> Figure: one program after the other, and in turns."""
    figure = viz._figure(3.2)
    for panel, drift, title in zip(figure.subplots(1, 2, sharey=True), (blocks, mixed),
                                   ("first all of ours, then all of theirs", "in turns")):
        runs = np.arange(len(drift.state))
        ours = runs < len(drift.ours) if drift is blocks else runs % 2 == 0
        panel.plot(runs[ours], 1e3 * drift.ours, "o", color=viz.BLUE, markersize=4, label="ours")
        panel.plot(runs[~ours], 1e3 * drift.theirs, "s", color=viz.ORANGE, markersize=4, label="theirs")
        panel.set_title(title)
        panel.set_xlabel("run")
    figure.axes[0].set_ylim(0, 1e3 * 1.1 * max(max(d.theirs.max(), d.ours.max()) for d in (blocks, mixed)))
    figure.axes[0].set_ylabel("milliseconds")
    figure.axes[0].legend(loc="upper left", frameon=False)
    return figure


@viz._styled
def part_bars(parts: Mapping[str, Part]):
    """The parts of a frame from the first to the last, milliseconds: binary convolutions blue, the rest orange
    -> Figure."""
    names = [name for name, part in parts.items() if part.seconds > 0]  # a frame that is not reduced has no refiner
    binary, between = (1e3 * np.array([getattr(parts[n], what) for n in names]) for what in ("binary", "between"))
    figure = viz._figure(1.0 + 0.22 * len(names))
    panel = figure.subplots()
    panel.barh(names, binary, color=viz.BLUE, label="binary convolutions")
    drawn = panel.barh(names, between, left=binary, color=viz.ORANGE, label="what lies between them")
    total = (binary + between).sum()
    panel.bar_label(drawn, [f"{x:.2f}  {x / total:.0%}" for x in binary + between], padding=4, fontsize=9)
    panel.set_ylim(len(names) - 0.4, -0.6)  # the first on top, no empty lines
    panel.set_xlim(0, 1.2 * (binary + between).max())
    panel.tick_params(axis="y", length=0, labelsize=10)
    panel.set_xlabel("milliseconds of processor time, the least of the rounds; share of their sum")
    panel.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False)
    return figure


@viz._styled
def roofline_chart(layers: Sequence[Layer], peaks: Mapping[str, float], bytes_per_second: float):
    """The measured layers under the roof of this machine, both axes logarithmic -> Figure.

    peaks  {kernel: binary operations per second}; the first one's roof is drawn solid, the others' dashed
    """
    figure = viz._figure(4.2)
    panel = figure.subplots()
    least, most = min(layer.intensity for layer in layers), max(layer.intensity for layer in layers)
    ridge = max(peaks.values()) / bytes_per_second
    span = np.geomspace(min(least, ridge) / 10, 3 * max(most, ridge), 200)
    for (kernel, peak), style in zip(peaks.items(), ("-", "--", ":")):
        panel.plot(span, np.minimum(peak, bytes_per_second * span) / 1e9, style, color=viz.GREY, linewidth=2)
        panel.annotate(f"{kernel}: {peak / 1e9:.0f} G/s", (span[-1], peak / 1e9), (0, 4), textcoords="offset points",
                       ha="right", fontsize=10)
    panel.annotate(f"memory: {bytes_per_second / 1e9:.0f} GB/s", (ridge / 2, bytes_per_second * ridge / 2e9), (-6, 0),
                   textcoords="offset points", ha="right", va="bottom", fontsize=10)
    kinds = {"3×3": (viz.BLUE, "o", [x for x in layers if x.conv.kernel == 3]),
             "1×1": (viz.ORANGE, "s", [x for x in layers if x.conv.kernel == 1])}
    for name, (colour, marker, some) in kinds.items():
        panel.plot([x.intensity for x in some], [x.rate / 1e9 for x in some], marker, color=colour, label=name)
    panel.set_xscale("log")
    panel.set_yscale("log")
    panel.set_xlabel("binary multiply-accumulates per byte that must be moved")
    panel.set_ylabel("thousand million per second")
    panel.set_title("Each layer under the roof of this machine")
    panel.legend(loc="lower right", frameon=False)
    return figure


@viz._styled
def share_lines(model: FrameTime, measured: Mapping[float, float], natural: float, at: tuple[float, int] | None = None):
    """A frame's time against the active share -> Figure: measured dots, the line through them, dense as a level.

    measured  {active share: milliseconds on one thread}; natural: the share that the clip's own masks have
    at        (share, threads) to mark, with the line for these threads: what the widget moves
    """
    figure = viz._figure(3.4)
    panel = figure.subplots()
    panel.axhline(model.dense, color=viz.GREY, linestyle="--", label=f"dense, {model.dense:.1f} ms")
    panel.plot(list(measured), list(measured.values()), "o", color=viz.BLUE, label="masked, measured")
    ends = np.array([0.0, 1.0])
    panel.plot(ends, [model.ms(x) for x in ends], color=viz.BLUE, linewidth=1, label="line through them")
    panel.axvline(natural, color=viz.GREEN, linestyle=":", label=f"the clip's masks, {natural:.0%}")
    if at is not None:
        share, threads = at
        panel.plot(ends, [model.ms(x, threads) for x in ends], color=viz.ORANGE, label=f"foretold, threads: {threads}")
        panel.plot(share, model.ms(share, threads), "D", color=viz.VERMILLION)
    panel.set_xticks(np.linspace(0, 1, 6), [f"{x:.0%}" for x in np.linspace(0, 1, 6)])
    panel.set_ylim(0, 1.15 * max(model.dense, model.at_all, *measured.values()))
    panel.set_xlabel("active share of the cells")
    panel.set_title("Milliseconds of a frame")
    panel.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    return figure


def foretold_line(model: FrameTime, measured: Mapping[float, float], share: float, threads: int) -> str:
    """What the model says of one setting, in a line, beside the nearest measured time where it is one thread's."""
    ms = model.ms(share, threads)
    near = min(measured, key=lambda x: abs(x - share))
    beside = f"; measured at {near:.0%}: {measured[near]:.1f} ms" if threads == 1 and abs(near - share) < 0.06 else ""
    return (f"{share:.0%} active, {threads} thread{'s' if threads > 1 else ''}: {ms:.1f} ms foretold, "
            f"{1e3 / ms:.0f} frames per second{beside}")


def time_slider(model: FrameTime, measured: Mapping[float, float], natural: float, most_threads: int = 8):
    """The same picture under two sliders, active share and threads -> ipywidgets.VBox.

    `share_lines` is its static twin: show it first, for readers on paper.
    """
    widgets = viz._need("ipywidgets")
    share = widgets.IntSlider(value=round(100 * natural), min=0, max=100, step=5, description="active %")
    threads = widgets.IntSlider(value=1, min=1, max=most_threads, description="threads")
    line, image = widgets.Label(), widgets.Image(format="png")

    def draw(_=None) -> None:
        at = share.value / 100, threads.value
        line.value = foretold_line(model, measured, *at)
        image.value, image.format = viz.encoded(share_lines(model, measured, natural, at))

    for slider in (share, threads):
        slider.observe(draw, names="value")
    draw()
    return widgets.VBox([share, threads, line, image])
