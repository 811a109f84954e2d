"""Pictures of notebook 04: two rows of bits and where they differ, and the widget that flips them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from . import viz

SHADES = {True: (viz.BLUE, "white"), False: ("#DCE6EE", "black")}  # of a square: its colour, its text's


def dot_line(a: Sequence[bool], w: Sequence[bool]) -> str:
    """The sum in words: "8 - 2·3 = 2: 5 agree, 3 differ"."""
    n, d = len(a), int(np.not_equal(a, w).sum())
    return f"{n} − 2·{d} = {n - 2 * d}: {n - d} agree, {d} differ".replace("-", "−")


@viz._styled
def bit_rows(a: Sequence[bool], w: Sequence[bool]):
    """Bits a and w (n each) above each other, and below them a XOR w -> Figure.

    A square says its bit and, in brackets, the sign that the bit stands for; a 1 of the XOR is orange-red.
    ValueError when the rows differ in length.
    """
    if len(a) != len(w):
        raise ValueError(f"two rows of one length, not {len(a)} and {len(w)} bits")
    figure = viz._figure(2.6)
    panel = figure.subplots()
    for y, (row, signs) in enumerate([(a, True), (w, True), (np.not_equal(a, w), False)]):
        for x, bit in enumerate(row):
            colour, text = SHADES[bool(bit)] if signs else ((viz.VERMILLION, "white") if bit else ("white", "black"))
            panel.add_patch(viz._need("matplotlib.patches").Rectangle((x, y), 0.94, 0.9, facecolor=colour,
                                                                      edgecolor=viz.GREY))
            mark = f"{int(bit)}  ({'+1' if bit else '−1'})" if signs else f"{int(bit)}"
            panel.text(x + 0.47, y + 0.46, mark, ha="center", va="center", color=text)
    panel.set_xlim(-0.05, len(a))
    panel.set_ylim(3, -0.05)
    panel.set_xticks([])
    panel.set_yticks([0.45, 1.45, 2.45], ["a", "w", "a XOR w"])
    panel.tick_params(length=0)
    panel.spines[:].set_visible(False)
    panel.set_title("dot = n − 2·popcount(a XOR w) = " + dot_line(a, w))
    return figure


def bit_flipper(a: Sequence[bool], w: Sequence[bool]):
    """The same under buttons -> ipywidgets.VBox: two rows of toggle buttons, the XOR and the dot product below.

    `bit_rows(a, w)` is its static twin: show it first, for readers on paper.
    """
    widgets = viz._need("ipywidgets")
    narrow = widgets.Layout(width="6em")  # JupyterLab pads a button: less would cut "1 (+1)" short

    def button(bit: bool, name: str):
        return widgets.ToggleButton(value=bool(bit), description=_mark(bit), layout=narrow, tooltip=name)

    rows = [[button(bit, f"{name}, bit {i}") for i, bit in enumerate(bits)] for name, bits in (("a", a), ("w", w))]
    line = widgets.Label()

    def changed(_=None) -> None:
        for each in (*rows[0], *rows[1]):
            each.description = _mark(each.value)
        now = [[each.value for each in row] for row in rows]
        differ = "".join(str(int(x != y)) for x, y in zip(*now))
        line.value = f"a XOR w = {differ}, so dot = {dot_line(*now)}"  # a browser joins spaces: words part better

    for each in (*rows[0], *rows[1]):
        each.observe(changed, names="value")
    changed()
    return widgets.VBox([*(widgets.HBox([widgets.Label(name, layout=narrow), *row]) for name, row in zip("aw", rows)),
                         line])


def _mark(bit: bool) -> str:
    return "1 (+1)" if bit else "0 (−1)"
