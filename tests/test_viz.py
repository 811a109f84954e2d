"""Pictures: what the arrays hold, worked by hand; the figures' parts; the slider; what is not installed is named."""

import builtins
import io
import sys

import numpy as np
import pytest
from PIL import Image

from bivm_ref import viz
from bivm_ref.errors import UserError


@pytest.fixture
def clip():
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (5, 36, 64, 3), dtype=np.uint8)
    return {"frame": frames, "alpha": rng.random((5, 36, 64), dtype=np.float32)}


def decoded(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


# ── arrays worked by hand ────────────────────────────────────────────────────────────────────

def test_cut_out_is_foreground_at_one_and_checkerboard_at_zero():
    foreground = np.full((4, 4, 3), (10, 20, 30), np.uint8)
    alpha = np.zeros((4, 4), np.float32)
    alpha[0, 0], alpha[0, 1] = 1, 0.5
    out = viz.cut_out(foreground, alpha, cell=2)
    assert out[0, 0].tolist() == [10, 20, 30]
    assert out[0, 1].tolist() == [128, 132, 138]  # halves of 10+245, 20+245, 30+245, to the even neighbour
    assert out[1, 1].tolist() == [245] * 3 and out[1, 2].tolist() == [205] * 3 and out[2, 2].tolist() == [245] * 3


def test_mask_on_frame_keeps_dims_and_outlines():
    frame = np.full((40, 60, 3), (200, 100, 0), np.uint8)  # mean 100
    mask = np.zeros((3, 4), bool)
    mask[1, 1] = True  # rows 16 to 31, columns 16 to 31
    out = viz.mask_on_frame(frame, mask)
    assert out.shape == frame.shape
    assert out[24, 24].tolist() == [200, 100, 0]  # active: as it was
    assert out[4, 4].tolist() == [35, 35, 35]  # skipped: 0.35 of its grey
    for edge in ((16, 24), (17, 24), (31, 24), (24, 16), (24, 31)):
        assert out[edge].tolist() == [230, 159, 0]  # #E69F00
    assert out[18, 18].tolist() == [200, 100, 0] and out[15, 24].tolist() == [35, 35, 35]


def test_mask_on_frame_refuses_the_mask_of_another_size():
    with pytest.raises(ValueError, match="3 x 4 cells, not 4 x 3"):
        viz.mask_on_frame(np.zeros((40, 60, 3), np.uint8), np.zeros((4, 3), bool))


@pytest.mark.parametrize(("count", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (670876, "671 kB"),
                                             (999_499, "999 kB"), (999_500, "1.0 MB"), (14_994_532, "15.0 MB")])
def test_byte_text(count, text):
    assert viz.byte_text(count) == text


@pytest.mark.parametrize(("length", "count", "picks"), [(8, 4, [0, 2, 5, 7]), (3, 4, [0, 1, 2]), (1, 4, [0])])
def test_spread_over_has_both_ends(length, count, picks):
    assert viz.spread_over(length, count) == picks


# ── figures ──────────────────────────────────────────────────────────────────────────────────

def test_gallery_shows_each_image_under_its_title(clip):
    figure = viz.gallery([clip["frame"][0], clip["alpha"][0]], ["a frame", "its alpha"])
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["a frame", "its alpha"]
    colour, grey = (axes.images[0].get_array() for axes in figure.axes)
    assert np.array_equal(colour, clip["frame"][0])
    assert np.array_equal(grey, np.rint(clip["alpha"][0] * 255)[..., None].repeat(3, axis=2))


@pytest.mark.parametrize("bad", [np.zeros((4, 4, 3)), np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8)])
def test_a_picture_of_another_kind_is_refused(bad):
    with pytest.raises(ValueError, match="a picture is"):
        viz.gallery([bad], ["x"])


def test_filmstrip_puts_frames_in_columns_and_rows_in_order(clip):
    figure = viz.filmstrip(clip, columns=3)
    top, bottom = figure.axes[:3], figure.axes[3:]
    assert [axes.get_title(loc="left") for axes in top] == ["frame 0", "frame 2", "frame 4"]
    assert (top[0].get_ylabel(), bottom[0].get_ylabel()) == ("frame", "alpha")
    for axes, t in zip(top, (0, 2, 4)):
        assert np.array_equal(axes.images[0].get_array(), clip["frame"][t])


def test_rows_of_unequal_length_are_refused(clip):
    with pytest.raises(ValueError, match="one picture per frame"):
        viz.filmstrip({"frame": clip["frame"], "alpha": clip["alpha"][:3]})


def test_error_map_is_signed_and_its_colours_are_told_apart():
    reference = np.full((20, 30), 0.5, np.float32)
    alpha = reference.copy()
    alpha[0], alpha[1] = 1, 0  # too high, too low
    drawn = viz.error_map(alpha, reference).axes[2].images[0]
    rgb = drawn.cmap(drawn.norm(drawn.get_array()))[..., :3]
    assert np.allclose(drawn.get_array()[:3, 0], [0.5, -0.5, 0])
    assert rgb[0, 0, 0] > rgb[0, 0, 2] and rgb[1, 0, 2] > rgb[1, 0, 0]  # red side, blue side
    assert np.allclose(rgb[5, 5], 1, atol=0.01)  # right is white


def test_size_bars_have_the_lengths_of_their_bytes():
    figure = viz.size_bars({"header": 7, "binary weights": 500, "thresholds": 20}, 9000)
    left, right = figure.axes
    assert [bar.get_width() for bar in left.patches] == [9000, 527]
    assert [bar.get_width() for bar in right.patches] == [500, 20, 7]  # largest first
    assert [text.get_text() for text in right.get_yticklabels()] == ["binary weights", "thresholds", "header"]


def test_figures_leave_the_readers_settings_alone(clip):
    import matplotlib

    before = dict(matplotlib.rcParams)
    viz.gallery([clip["frame"][0]], ["x"])
    assert dict(matplotlib.rcParams) == before


# ── showing ──────────────────────────────────────────────────────────────────────────────────

def test_show_puts_the_alternative_text_into_the_output(clip, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    viz.show(viz.gallery([clip["frame"][0]], ["x"]), alt="One frame of pure noise.")
    data, metadata = shown[0]._repr_mimebundle_()
    (kind,) = data
    assert len(shown) == 1 and kind.startswith("image/")
    assert metadata[kind]["alt"] == "One frame of pure noise."


@pytest.mark.parametrize("alt", ["", "a figure", "   "])
def test_show_refuses_a_picture_without_words(alt, clip):
    with pytest.raises(ValueError, match="alt says in a sentence"):
        viz.show(viz.gallery([clip["frame"][0]], ["x"]), alt=alt)


def test_photographs_leave_as_jpeg_and_charts_as_png():
    y, x = np.mgrid[:288, :512]
    noise = np.random.default_rng(0).normal(0, 4, (288, 512, 3))
    photograph = (np.stack([y / 2, x / 3, (x + y) / 4], axis=-1) + 40 + noise).astype(np.uint8)
    data, kind = viz.encoded(viz.gallery([photograph], ["a sunset"]))
    assert kind == "jpeg" and decoded(data).shape[1] == 1000
    data, kind = viz.encoded(viz.size_bars({"binary weights": 500, "header": 7}, 9000))
    assert kind == "png" and decoded(data).shape == (340, 1000, 3)


def test_the_same_figure_gives_the_same_bytes(clip):
    once, twice = (viz.encoded(viz.gallery([clip["frame"][0]], ["x"])) for _ in range(2))
    assert once == twice


def test_slider_shows_the_frame_it_stands_on(clip):
    smooth = np.zeros((3, 36, 64, 3), np.uint8)
    smooth[1], smooth[2] = 100, 250  # three plain frames: JPEG keeps their level
    box = viz.frame_slider({"frame": smooth, "alpha": np.zeros((3, 36, 64), np.float32)}, width=200)
    slider, caption, image = box.children
    assert (slider.min, slider.max, caption.value) == (0, 2, "frame 0: frame | alpha")
    for t, level in ((2, 250), (1, 100), (0, 0)):
        slider.value = t
        picture = decoded(image.value)
        assert picture.shape == (56, 200, 3)  # 36 rows of 128 columns, brought to 200
        assert abs(int(picture[20, 20].mean()) - level) <= 3 and picture[20, 180].max() <= 3
        assert caption.value == f"frame {t}: frame | alpha"


# ── what is not installed ────────────────────────────────────────────────────────────────────

@pytest.mark.parametrize(("package", "call"), [
    ("matplotlib", lambda: viz.gallery([np.zeros((4, 4), np.float32)], ["x"])),
    ("matplotlib", lambda: viz.size_bars({"header": 1}, 2)),
    ("ipywidgets", lambda: viz.frame_slider({"alpha": np.zeros((1, 4, 4), np.float32)})),
    ("IPython", lambda: viz.show(None, alt="A picture that nobody sees.")),
])
def test_a_missing_package_is_named_with_the_cure(package, call, monkeypatch):
    for name in [n for n in sys.modules if n == package or n.startswith(package + ".")]:
        monkeypatch.delitem(sys.modules, name)
    real = builtins.__import__

    def without(name, *rest, **named):
        if name == package or name.startswith(package + "."):
            raise ImportError(f"No module named {name!r}")
        return real(name, *rest, **named)

    monkeypatch.setitem(sys.modules, package, None)  # import_module raises, too
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match=rf'^{package} is not installed.*pip install "bivm_ref\[notebooks\]"$'):
        call()
