"""The sample clips are whole, small, what their README says, and can be rebuilt."""

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bivm_ref.images import image_paths, read_image
from bivm_ref.video import open_frames
from tools import make_samples as tool

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = ROOT / "data_samples"
NAMES = ["procedural", "rendered", "portrait", "astronaut"]
PHOTOGRAPHS = {"portrait": 0, "astronaut": 1}  # their places in the tool's list


def alphas(name: str) -> np.ndarray:
    """(T, H, W) uint8, read with Pillow alone: the files must be 8-bit grey as they lie there."""
    images = [Image.open(path) for path in image_paths(SAMPLES / name / "pha")]
    assert {image.mode for image in images} == {"L"}
    return np.stack([np.asarray(image) for image in images])


def same_but_for_rounding(one: np.ndarray, other: np.ndarray) -> bool:
    """Equal, but that another processor's sine may round one alpha in ten thousand to the next grey level."""
    difference = np.abs(one.astype(int) - other)
    return difference.max() <= 1 and (difference > 0).mean() <= 1e-4


def test_all_of_it_is_at_most_five_megabytes():
    sizes = [path.stat().st_size for path in SAMPLES.rglob("*") if path.is_file()]
    assert len(sizes) > 100  # four videos, 96 alphas, sources, sums
    assert sum(sizes) <= 5_000_000


@pytest.mark.parametrize("name", NAMES)
def test_every_frame_has_its_alpha(name):
    reader = open_frames(SAMPLES / name / "com.mp4")
    frames = list(reader)
    assert reader.warnings == []
    assert (reader.fps, reader.size, len(frames)) == (24, (512, 288), 24)
    assert [path.name for path in image_paths(SAMPLES / name / "pha")] == [f"{t:04d}.png" for t in range(24)]
    assert alphas(name).shape == (24, 288, 512)


@pytest.mark.parametrize("name", NAMES)
def test_alpha_has_background_foreground_and_soft_pixels_in_every_frame(name):
    alpha = alphas(name)
    soft = (alpha > 12) & (alpha < 243)
    for share in ((alpha == 0).mean((1, 2)), (alpha == 255).mean((1, 2)), soft.mean((1, 2)) * 10):
        assert share.min() > 0.1
    assert np.abs(np.diff(alpha.astype(int), axis=0)).mean() > 0.5  # it moves


def test_sums_in_the_readme_and_in_samples_json_are_those_of_the_files():
    text = (SAMPLES / "README.md").read_text(encoding="utf-8")
    block = re.search(r"^```sha256\n(.*?)^```$", text, re.M | re.S).group(1)
    said = {what: total for total, what in (line.split() for line in block.splitlines())}
    recorded = json.loads((SAMPLES / "samples.json").read_text())
    expected = {}
    for name in NAMES:
        expected[f"{name}/com.mp4"] = hashlib.sha256((SAMPLES / name / "com.mp4").read_bytes()).hexdigest()
        expected[f"{name}/pha"] = hashlib.sha256(alphas(name).tobytes()).hexdigest()
        assert recorded[name]["com.mp4_sha256"] == expected[f"{name}/com.mp4"]
        assert recorded[name]["alpha_sha256"] == expected[f"{name}/pha"]
    assert said == expected


@pytest.mark.parametrize("name", ["procedural", "rendered"])
def test_rebuilt_from_its_seed_the_clip_has_the_stored_alpha_and_frames(name):
    frames, alpha = tool.CLIPS[name](2)
    assert same_but_for_rounding(alphas(name)[:2], alpha)
    for stored, frame in zip(open_frames(SAMPLES / name / "com.mp4"), frames):  # H.264 lies between the two
        assert np.abs(stored.astype(int) - frame).mean() < 3


def test_held_out_from_training():
    assert min(tool.FIGURE_SEED, tool.BACKGROUND_SEED, tool.RENDERED_SEED) >= 10_000_000
    person, scene = (re.fullmatch(r"[hb](\d{6})\.\w+", name) for name in (tool.PERSON, tool.SCENE))
    assert int(person[1]) < 60 and int(scene[1]) < 10
    assert (SAMPLES / "rendered" / "source" / tool.PERSON).is_file()
    assert (SAMPLES / "rendered" / "source" / tool.SCENE).is_file()


def bilinear(image: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """image (H, W) at the points (x, y), pixel centres at k + 0.5; all points lie inside."""
    x, y = x - 0.5, y - 0.5
    i, j = np.floor(y).astype(int), np.floor(x).astype(int)
    v, u = y - i, x - j
    top = image[i, j] * (1 - u) + image[i, j + 1] * u
    return top * (1 - v) + (image[i + 1, j] * (1 - u) + image[i + 1, j + 1] * u) * v


@pytest.fixture(params=PHOTOGRAPHS)
def photo(request):
    found = tool.PHOTOGRAPHS[PHOTOGRAPHS[request.param]]
    assert found.name == request.param
    return found


@pytest.mark.parametrize("t", [0, 13])
def test_a_photograph_s_alpha_is_the_camera_s_view_of_source_alpha(t, photo):
    x, y, width = photo.camera(t)
    rows, columns = np.mgrid[0:288, 0:512] + 0.5  # centres of the view's pixels
    source = np.asarray(Image.open(SAMPLES / photo.name / "source" / "alpha.png")).astype(float)
    expected = bilinear(source, x + (columns - 256) * width / 512, y + (rows - 144) * width / 512)
    assert np.abs(alphas(photo.name)[t] - expected).max() <= 1  # Pillow rounds down or up


def test_frames_are_the_photograph_s_own_pixels(photo):
    x, y, width = photo.camera(0)
    rows, columns = np.mgrid[0:288, 0:512] + 0.5
    image = np.asarray(photo.image()).astype(float)
    frame = next(iter(open_frames(SAMPLES / photo.name / "com.mp4")))
    for c in range(3):
        seen = bilinear(image[..., c], x + (columns - 256) * width / 512, y + (rows - 144) * width / 512)
        assert np.abs(frame[..., c] - seen).mean() < 5


def test_a_photograph_s_alpha_keeps_to_its_trimap_and_the_trimap_to_its_drawing(photo):
    folder = SAMPLES / photo.name / "source"
    trimap, alpha = (read_image(folder / name)[..., 0] for name in ("trimap.png", "alpha.png"))
    assert (trimap != photo.trimap(*photo.image().size)).mean() < 1e-3  # Pillow's pens change now and then
    assert set(np.unique(trimap)) == {0, 128, 255}
    assert 0.02 < (trimap == 128).mean() < 0.06  # a narrow band: the hand decided the rest
    assert (alpha[trimap == 0] == 0).all() and (alpha[trimap == 255] == 255).all()
    assert 30 < np.ptp(alpha[trimap == 128])


def test_check_reports_what_differs(monkeypatch):
    found = tool.check("procedural")
    assert found == [] or "by up to 1 grey levels" in found[0]  # another processor's sine
    monkeypatch.setattr(tool, "FIGURE_SEED", tool.FIGURE_SEED + 1)
    found = tool.check("procedural")
    assert len(found) == 2 and all(line.startswith("procedural: ") for line in found)
