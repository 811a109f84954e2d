"""Pictures for the notebooks: plots that return a figure, and the one widget with its static twin.

    viz.show(viz.gallery([frame, alpha], ["frame", "alpha"]), alt="A frame beside its matte.")

Every picture is shown through `show`, which demands the alternative text that a screen reader speaks. Colours
are Okabe and Ito's, told apart by colour-blind readers too, and carry no message alone: bars and panels are
labelled. matplotlib, IPython and ipywidgets are imported where a function first needs them, so that the
package works without; what is missing then is named by a UserError.
"""

from __future__ import annotations

import functools
import importlib
import io
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from .bench_text import label as bench_label
from .errors import UserError

BLUE, ORANGE, GREEN, VERMILLION, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#8C8C8C"
WIDTH = 10.0  # inches of every figure, at DOTS per inch: 1000 pixels, a slide's width
DOTS = 100
TEXT = {"font.size": 12, "axes.titlesize": 13, "axes.titlelocation": "left", "axes.spines.top": False,
        "axes.spines.right": False}


def _styled(draw):
    """For a function that draws: under TEXT, whatever the reader's own settings are, and leaving those alone."""
    @functools.wraps(draw)
    def inner(*arguments, **named):
        with _need("matplotlib").rc_context(TEXT):
            return draw(*arguments, **named)
    return inner


def show(figure, alt: str) -> None:
    """Display a figure with its alternative text, as PNG or JPEG, whichever is smaller.

    alt  what the picture shows, in a sentence or two. Raises ValueError when it says nothing.
    """
    if len(alt.split()) < 4:
        raise ValueError(f"alt says in a sentence what the picture shows, not {alt!r}")
    display = _need("IPython.display")
    data, kind = encoded(figure)
    display.display(display.Image(data=data, format=kind, alt=alt))


def show_picture(path, alt: str, width: int = 480) -> None:
    """Display a picture file, reduced to `width` pixels, as JPEG. alt: as in `show`."""
    if len(alt.split()) < 4:
        raise ValueError(f"alt says in a sentence what the picture shows, not {alt!r}")
    with Image.open(path) as picture:
        small = picture.convert("RGB").resize((width, round(picture.height * width / picture.width)))
    display = _need("IPython.display")
    display.display(display.Image(data=_jpeg(small), format="jpeg", alt=alt))


def encoded(figure) -> tuple[bytes, str]:
    """A figure as (bytes, "png" or "jpeg"). Charts are smaller as PNG of 256 colours, photographs as JPEG."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=DOTS)
    image, png = Image.open(drawn).convert("RGB"), io.BytesIO()
    image.quantize(256).save(png, "PNG", optimize=True)
    jpeg = _jpeg(image)
    return (png.getvalue(), "png") if len(png.getvalue()) <= len(jpeg) else (jpeg, "jpeg")


# ── pictures in rows ─────────────────────────────────────────────────────────────────────────

@_styled
def gallery(images: Sequence[np.ndarray], titles: Sequence[str]):
    """Images of one shape side by side -> Figure. (H, W, 3) uint8 colour, or (H, W) float in [0, 1] grey."""
    if len(images) != len(titles) or not len(images):
        raise ValueError(f"one title per image: {len(images)} images, {len(titles)} titles")
    figure, axes = _panels(1, len(images), images[0].shape, room=0.34)
    for panel, image, title in zip(axes[0], images, titles):
        _picture(panel, image)
        panel.set_title(title)
    return figure


@_styled
def filmstrip(rows: Mapping[str, Sequence[np.ndarray]], columns: int = 4):
    """A clip on paper: `columns` frames spread over it, one row for each label -> Figure.

    rows  {label: T images of one shape}, as for `gallery`; equal T in all rows
    """
    picks = spread_over(_length(rows), columns)
    shape = next(iter(rows.values()))[0].shape
    figure, axes = _panels(len(rows), len(picks), shape, room=0.25)
    for line, (label, images) in zip(axes, rows.items()):
        for panel, t in zip(line, picks):
            _picture(panel, images[t])
        line[0].set_ylabel(label)
    for panel, t in zip(axes[0], picks):
        panel.set_title(f"frame {t}")
    return figure


def frame_slider(rows: Mapping[str, Sequence[np.ndarray]], width: int = 900):
    """The same clip under a slider -> ipywidgets.VBox: the rows of `filmstrip` side by side, frame by frame.

    width  pixels of the picture. `filmstrip(rows)` is its static twin: show it first, for readers on paper.
    """
    widgets = _need("ipywidgets")
    length, labels = _length(rows), " | ".join(rows)

    def picture(t: int) -> bytes:
        strip = np.concatenate([_colour(images[t]) for images in rows.values()], axis=1)
        height = max(1, round(strip.shape[0] * width / strip.shape[1]))
        return _jpeg(Image.fromarray(strip).resize((width, height), Image.Resampling.BILINEAR))

    slider = widgets.IntSlider(value=0, min=0, max=length - 1, description="frame")
    image = widgets.Image(value=picture(0), format="jpeg")
    caption = widgets.Label(value=f"frame 0: {labels}")

    def moved(change) -> None:
        image.value = picture(change["new"])
        caption.value = f"frame {change['new']}: {labels}"

    slider.observe(moved, names="value")
    return widgets.VBox([slider, caption, image])


def spread_over(length: int, count: int) -> list[int]:
    """At most `count` indices, evenly spread from the first to the last of `length` frames."""
    return sorted({round(x) for x in np.linspace(0, length - 1, min(count, length))})


# ── what a matte is worth ────────────────────────────────────────────────────────────────────

@_styled
def error_map(alpha: np.ndarray, reference: np.ndarray, limit: float = 1.0):
    """Reference, matte and their signed difference, each (H, W) float in [0, 1] -> Figure.

    Orange: alpha too high, background let in. Blue: too low, figure lost. limit: the error of full colour.
    """
    colors = _need("matplotlib.colors")
    figure, axes = _panels(1, 3, reference.shape, room=0.3, right=1.0)
    for panel, image, title in zip(axes[0], (reference, alpha), ("reference alpha", "our alpha")):
        _picture(panel, image)
        panel.set_title(title)
    scale = colors.LinearSegmentedColormap.from_list("too low, right, too high", [BLUE, "white", VERMILLION])
    drawn = axes[0][2].imshow(alpha - reference, cmap=scale, vmin=-limit, vmax=limit)
    axes[0][2].set_title("ours − reference")
    bar = figure.colorbar(drawn, ax=axes[0][2], ticks=[-limit, 0, limit], fraction=0.05, pad=0.02)
    bar.ax.set_yticklabels(["too low", "right", "too high"])
    return figure


def cut_out(foreground: np.ndarray, alpha: np.ndarray, cell: int = 16) -> np.ndarray:
    """alpha * foreground over a checkerboard, the sign for "nothing here" -> (H, W, 3) uint8.

    foreground (H, W, 3), 0 to 255; alpha (H, W) in [0, 1]; cell: pixels of a square.
    """
    rows, columns = np.indices(alpha.shape) // cell
    board = np.where((rows + columns) % 2, 205.0, 245.0)[..., None]
    mixed = alpha[..., None] * foreground + (1 - alpha[..., None]) * board
    return np.rint(mixed).astype(np.uint8)


def mask_on_frame(frame: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Where the decoder computes its 3x3: a frame (H, W, 3) uint8 with the skipped cells dimmed, likewise.

    mask  (h, w) bool at 1/16 of the frame padded to multiples of 16, as `PackedBiVM.mask` is for a frame that
          was not reduced. Active cells keep their colours inside an orange outline.
          ValueError for another size.
    """
    height, width = frame.shape[:2]
    if mask.shape != (-(-height // 16), -(-width // 16)):
        raise ValueError(f"the mask of a {height} x {width} frame is {-(-height // 16)} x {-(-width // 16)} "
                         f"cells, not {mask.shape[0]} x {mask.shape[1]}")
    active = mask.repeat(16, axis=0).repeat(16, axis=1)
    ring = np.pad(active, 2)  # a pixel is on the outline when an inactive one lies within two
    inner = np.logical_and.reduce([ring[dy:dy + active.shape[0], dx:dx + active.shape[1]]
                                   for dy in (0, 2, 4) for dx in (0, 2, 4)])
    active, line = active[:height, :width], (active & ~inner)[:height, :width]
    grey = frame.mean(axis=2, keepdims=True)
    out = np.where(active[..., None], frame, 0.35 * grey).astype(np.uint8)
    out[line] = _rgb(ORANGE)
    return out


# ── charts ───────────────────────────────────────────────────────────────────────────────────

@_styled
def size_bars(sections: Mapping[str, int], float_bytes: int, float_name: str = "RVM, float32"):
    """Left: the file beside a float network. Right: the file by section, largest first -> Figure.

    sections  {part: bytes}, as `packed.weights.sections` gives them; float_bytes: those of the float network
    """
    total = sum(sections.values())
    figure = _figure(3.4)
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.3])
    left.set_title("Bytes of two networks")
    _bars(left, {float_name: float_bytes, "this network": total}, [GREY, BLUE])
    right.set_title("The same file by section")
    parts = dict(sorted(sections.items(), key=lambda item: -item[1]))
    _bars(right, parts, [BLUE if name == "binary weights" else ORANGE for name in parts])
    return figure


@_styled
def bench_chart(report: Mapping):
    """A report of `bench.bench`: milliseconds per frame on one core, a panel for each size -> Figure.

    Ours in blue, peers in grey; a peer that was not measured has no bar. The machine is named below.
    """
    parts = [part for part in report["passes"] if part["cores"] == "one"]
    measured = [[row for row in part["rows"] if "ms" in row] for part in parts]
    figure = _figure(0.7 + sum(0.5 + 0.32 * len(rows) for rows in measured))
    panels = figure.subplots(len(parts), 1, squeeze=False, height_ratios=[len(rows) + 1.5 for rows in measured])
    for panel, part, rows in zip(panels[:, 0], parts, measured):
        panel.set_title(f"{part['size'][0]} × {part['size'][1]}, milliseconds per frame, one core")
        _bars(panel, {bench_label(row, part): row["ms"] for row in rows},
              [BLUE if row["contender"].startswith("packed") else GREY for row in rows],
              [f"{row['ms']:.3g}  ({row['ratio']:.2f}×)" for row in rows])
    facts = report["machine"]
    name = facts["board"] or facts["cpu"] or facts["architecture"]
    figure.supxlabel(f"{name}, {facts['os']}, {report['before']['date'][:10]}", fontsize=10)
    return figure


def compare_chart(rows: Sequence[Mapping], figure_name: str = "MAD"):
    """The results of a comparison: each arm's mean with its 95 % interval, and one dot per seed -> Figure.

    Ours in blue, float networks in green, other methods and ablations in grey; arms that were not run are left out.
    """
    from . import results

    means, seeds = results.summary(rows, figure_name), results.by_arm(rows, figure_name)
    arms = [arm for arm in results.LABELS if arm in means]
    figure = _figure(0.9 + 0.32 * len(arms))
    panel = figure.subplots()
    for i, arm in enumerate(arms):
        colour = BLUE if arm == "bivm" else GREEN if arm in ("float", "rvm") else GREY
        row = means[arm]
        panel.plot([row["low"], row["high"]], [i, i], color=colour, linewidth=2)
        panel.plot(row["mean"], i, "o", color=colour, markersize=7)
        panel.plot(seeds[arm].mean(1), [i] * row["seeds"], ".", color="black", markersize=3)
    panel.set_yticks(range(len(arms)), [results.LABELS[arm] for arm in arms])
    panel.invert_yaxis()
    panel.set_xlabel(f"{figure_name.replace('_', ' ')}: mean, 95 % interval, and each seed (black); lower is better")
    panel.grid(axis="x", alpha=0.3)
    return figure


def byte_text(count: float) -> str:
    """670876 -> "671 kB". Decimal units, as disks and papers count: 1 kB is 1000 bytes."""
    if count < 1000:
        return f"{count:.0f} B"
    return f"{count / 1e3:.0f} kB" if count < 999_500 else f"{count / 1e6:.1f} MB"


def _bars(panel, values: Mapping[str, float], colours: Sequence[str], labels: Sequence[str] | None = None) -> None:
    """Horizontal bars; labels: what stands at their ends, the values as bytes if none are given."""
    drawn = panel.barh(list(values), list(values.values()), color=colours)
    panel.bar_label(drawn, labels or [byte_text(value) for value in values.values()], padding=4)
    panel.invert_yaxis()  # the first on top
    panel.set_xlim(0, 1.25 * max(values.values()))  # room for the label of the longest bar
    panel.set_xticks([])
    panel.spines["bottom"].set_visible(False)
    panel.tick_params(axis="y", length=0)


# ── helpers ──────────────────────────────────────────────────────────────────────────────────

def _need(module: str):
    """A module that only pictures need, imported now."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UserError(f'{module.partition(".")[0]} is not installed, and pictures need it: '
                        'pip install "bivm_ref[notebooks]"') from error


def _figure(height: float):
    # Figure itself, not pyplot: no window, no backend to choose, nothing left open
    return _need("matplotlib.figure").Figure(figsize=(WIDTH, height), dpi=DOTS, layout="constrained")


def _panels(rows: int, columns: int, shape: tuple[int, ...], room: float, right: float = 0.0):
    """A figure of fixed width whose height fits images of that shape -> Figure, (rows, columns) axes.
    room: inches for the titles; right: inches that the last panel's colour bar takes."""
    height = rows * (WIDTH - right) / columns * shape[0] / shape[1] + room
    figure = _figure(height)
    axes = figure.subplots(rows, columns, squeeze=False)
    figure.get_layout_engine().set(w_pad=0.03, h_pad=0.03, wspace=0.01, hspace=0.01)
    for panel in axes.flat:
        panel.set_xticks([])
        panel.set_yticks([])
        panel.spines[:].set_visible(False)
    return figure, axes


def _picture(panel, image: np.ndarray) -> None:
    panel.imshow(_colour(image), interpolation="antialiased")


def _colour(image: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 as it is; (H, W) float in [0, 1] as grey (H, W, 3) uint8; ValueError for the rest."""
    image = np.asarray(image)
    if image.ndim == 3 and image.shape[2] == 3 and image.dtype == np.uint8:
        return image
    if image.ndim == 2 and image.dtype.kind == "f":
        return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)[..., None].repeat(3, axis=2)
    raise ValueError(f"a picture is (H, W, 3) uint8 or (H, W) float, not {image.shape} {image.dtype}")


def _length(rows: Mapping[str, Sequence[np.ndarray]]) -> int:
    lengths = {len(images) for images in rows.values()}
    if len(lengths) != 1 or 0 in lengths:
        raise ValueError(f"every row has one picture per frame, at least one: {sorted(lengths)}")
    return lengths.pop()


def _jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=80)
    return buffer.getvalue()


def _rgb(colour: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(colour[1:]))
