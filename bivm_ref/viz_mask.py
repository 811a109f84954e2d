"""Pictures of notebook 06: a mask on its frame at several tau, work against error, and the widget that moves tau."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from . import cost, mask_study, viz
from .arch import Arch
from .packed.ops import detail_mask

TAUS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.49)


def blocks(cells: np.ndarray, times: int = 16) -> np.ndarray:
    """(h, w) -> (h * times, w * times) float32, every cell repeated: a small map as large as its frame."""
    return cells.repeat(times, 0).repeat(times, 1).astype(np.float32)


def mask_line(arch: Arch, mask: np.ndarray, alpha: np.ndarray) -> str:
    """Mask (h, w) bool of one frame with true alpha (H, W): its area, the operations, what it covers, in a line."""
    share = float(mask.mean())
    operations = cost.total_operations(arch, alpha.shape[1], alpha.shape[0], share)
    return (f"{share:.0%} active, {operations / 1e6:.1f} M operations, "
            f"covers {mask_study.covered(mask[None], alpha[None]):.0%} of the rim")


@viz._styled
def tau_strip(arch: Arch, frame: np.ndarray, coarse: np.ndarray, alpha: np.ndarray, taus: Sequence[float]):
    """The mask on its frame for some tau, one panel each, `mask_line` in short above it -> Figure.

    frame (H, W, 3) uint8, coarse (H/16, W/16), alpha (H, W) the true one.
    """
    figure, axes = viz._panels(1, len(taus), frame.shape, room=0.65)
    for panel, tau in zip(axes[0], taus):
        mask = detail_mask(coarse, tau)
        viz._picture(panel, viz.mask_on_frame(frame, mask))
        panel.set_anchor("S")  # the room stays above, for two lines of title
        active, _, covers = mask_line(arch, mask, alpha).split(", ")
        panel.set_title(f"tau = {tau:g}: {active},\n{covers}")
    return figure


def tau_slider(arch: Arch, frames: np.ndarray, coarse: np.ndarray, alphas: np.ndarray, width: int = 700):
    """The mask under two sliders, tau and frame -> ipywidgets.VBox with a line of figures and the picture.

    frames (T, H, W, 3) uint8, coarse (T, H/16, W/16), alphas (T, H, W). `tau_strip` is its static twin: show it
    first, for readers on paper.
    """
    widgets = viz._need("ipywidgets")
    tau = widgets.SelectionSlider(options=[(f"{t:g}", t) for t in TAUS], value=arch.tau if arch.tau in TAUS else 0.2,
                                  description="tau")
    frame = widgets.IntSlider(value=0, min=0, max=len(frames) - 1, description="frame")
    # In its own size, not stretched over the page: the sliders and all of the picture fit a laptop's screen.
    own_size = {"align_self": "flex-start", "max_width": "100%"}
    line, image = widgets.Label(), widgets.Image(format="jpeg", layout=own_size)

    def draw(_=None) -> None:
        t = frame.value
        mask = detail_mask(coarse[t], tau.value)
        line.value = mask_line(arch, mask, alphas[t])
        picture = Image.fromarray(viz.mask_on_frame(frames[t], mask))
        image.value = viz._jpeg(picture.resize((width, round(picture.height * width / picture.width))))

    for each in (tau, frame):
        each.observe(draw, names="value")
    draw()
    return widgets.VBox([tau, frame, line, image])


@viz._styled
def work_and_error(points: Mapping[str, tuple[float, float]], arch: Arch, size: tuple[int, int], ylabel: str = "MAD"):
    """Masks as dots, their area against the error of the matte -> Figure; above, the operations of that area.

    points  {name: (active share, error)}. "nothing", names that begin with "random" and "everything" are joined by a
            line, in the order of their shares: what area alone buys. size: (width, height) of the frame.
    """
    figure = viz._figure(4.2)
    panel = figure.subplots()
    chance = sorted(point for name, point in points.items() if _by_chance(name))
    panel.plot(*zip(*chance), "--", color=viz.GREY, zorder=1)
    first = min((share for name, (share, _) in points.items() if name.startswith("tau")), default=None)
    for name, (share, error) in points.items():
        colour = viz.GREY if _by_chance(name) else viz.BLUE if name.startswith("tau") else viz.VERMILLION
        panel.plot(share, error, "s" if colour == viz.VERMILLION else "o", color=colour, markersize=8)
        left = share > 0.9 or (colour == viz.BLUE and share == first)  # two tau lie close together
        panel.annotate(name, (share, error), (-8, -12) if left else (8, 4), textcoords="offset points",
                       ha="right" if left else "left", fontsize=10)
    panel.set_xlim(-0.03, 1.05)
    panel.set_ylim(0, 1.12 * max(error for _, error in points.values()))
    panel.set_xlabel("share of positions at which the 3×3 is computed")
    panel.set_ylabel(ylabel)
    none, everything = (cost.total_operations(arch, *size, share) / 1e6 for share in (0.0, 1.0))
    above = panel.secondary_xaxis("top", functions=(lambda share: none + share * (everything - none),
                                                    lambda work: (work - none) / (everything - none)))
    above.set_xlabel("million operations of a frame, FLOPs + BOPs/64")
    panel.grid(alpha=0.3)
    return figure


def _by_chance(name: str) -> bool:
    return name in ("nothing", "everything") or name.startswith("random")


@viz._styled
def saved_bars(rows: Mapping[str, tuple[float, float]]):
    """{what is counted: (dense, masked)} -> Figure: dense as 100 % in grey, and the part that remains in blue."""
    figure = viz._figure(0.5 + 0.5 * len(rows))
    panel = figure.subplots()
    names, left = list(rows), [100 * masked / dense for dense, masked in rows.values()]
    panel.barh(names, [100] * len(rows), color="#DDDDDD")
    drawn = panel.barh(names, left, color=viz.BLUE, height=0.5)
    panel.bar_label(drawn, [f"{value:.0f} %" for value in left], padding=4)
    panel.axvline(100, color=viz.GREY)
    panel.set_xlim(0, max(110, 1.1 * max(left)))
    panel.set_xlabel("what is left of the dense network's, in %")
    panel.invert_yaxis()
    panel.tick_params(axis="y", length=0)
    return figure
