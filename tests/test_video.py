"""Frames in and out: what goes in comes back, damage is named, and no half file is left behind."""

import errno
import os
import struct
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from bivm_ref import images, video, video_out
from bivm_ref.errors import UserError
from bivm_ref.video import ImageFolderWriter, ImageWriter, VideoWriter, check_output, open_frames

ROOT = Path(__file__).resolve().parent.parent
COLOURS = [(200, 40, 90), (30, 180, 60), (20, 60, 220), (128, 128, 128), (250, 250, 5), (0, 0, 0)]


def corners(width, height):
    """Four quadrants of four colours: tells every turn and mirroring apart."""
    frame = np.empty((height, width, 3), np.uint8)
    h, w = height // 2, width // 2
    frame[:h, :w], frame[:h, w:], frame[h:, :w], frame[h:, w:] = COLOURS[:4]
    return frame


def noise(i, width=96, height=64):
    return np.random.default_rng(i).integers(0, 256, (height, width, 3), dtype=np.uint8)


def write(path, frames, fps=25, **options):
    with VideoWriter(path, fps, (frames[0].shape[1], frames[0].shape[0]), **options) as writer:
        for frame in frames:
            writer.write(frame)
    return path


def raw_video(path, frames, **options):
    """A file by PyAV alone, so that the reader is not tested against our own writer."""
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream("libx264", rate=25, options={"g": "10", "preset": "ultrafast"})
        stream.height, stream.width, stream.pix_fmt = *frames[0].shape[:2], "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame)))
        container.mux(stream.encode(None))
    return path


def cut(path, share):
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def error_of(action, *names):
    """The message of the UserError that `action` raises: one line that holds every name."""
    with pytest.raises(UserError) as caught:
        action()
    message = str(caught.value)
    assert "\n" not in message and all(str(name) in message for name in names), message
    return message


# ---------------------------------------------------------------- there and back


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm", ".gif"])
@pytest.mark.parametrize("size", [(64, 48), (63, 47), (3, 5), (1, 1)])
def test_size_count_and_colour_come_back(tmp_path, suffix, size):
    frames = [np.full((size[1], size[0], 3), colour, np.uint8) for colour in COLOURS]
    reader = open_frames(write(tmp_path / f"clip{suffix}", frames))
    assert (reader.kind, reader.size, reader.fps) == ("video", size, 25)
    assert reader.count in (6, None)
    back = list(reader)
    assert len(back) == 6 and reader.warnings == []
    for frame, colour in zip(back, COLOURS):
        assert frame.shape == (size[1], size[0], 3) and frame.dtype == np.uint8
        assert np.abs(frame.astype(int) - colour).max() <= 10, colour
    assert len(list(reader)) == 6  # a second pass starts again


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
@pytest.mark.parametrize("fps", ["30000/1001", "24000/1001", "60000/1001", 25, 12.5, 50])
def test_frame_rate_is_kept_exactly(tmp_path, suffix, fps):
    path = write(tmp_path / f"clip{suffix}", [corners(16, 16)] * 3, Fraction(fps))
    assert open_frames(path).fps == Fraction(fps)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm", ".gif"])
def test_frames_may_have_times_of_their_own(tmp_path, suffix):
    """In twentieths of a second: 0, 4; 4.2 rounds to 4, which is taken, so 5; without a time the next, 6; 20."""
    path = tmp_path / f"clip{suffix}"
    with VideoWriter(path, 20, (96, 64)) as writer:
        for i, at in enumerate([0.0, 0.2, 0.21, None, 1.0]):
            writer.write(noise(i), at)
    with av.open(str(path)) as container:
        shown = [float(frame.pts * frame.time_base) for frame in container.decode(video=0)]
    assert shown == pytest.approx([0.0, 0.2, 0.25, 0.3, 1.0], abs=0.002)
    reader = open_frames(path)
    assert len(list(reader)) == 5 and not reader.warnings


def test_lossless_is_lossless(tmp_path):
    frames = [noise(i, 37, 21) for i in range(4)]
    reader = open_frames(write(tmp_path / "clip.mkv", frames, lossless=True))
    assert np.array_equal(np.stack(list(reader)), np.stack(frames))
    error_of(lambda: VideoWriter(tmp_path / "a.mp4", 25, (8, 8), lossless=True), "a.mp4", ".mkv")


def test_written_video_names_its_colour_matrix(tmp_path):
    with av.open(str(write(tmp_path / "clip.mp4", [corners(32, 32)]))) as container:
        context = container.streams.video[0].codec_context
        assert context.colorspace == context.color_primaries == context.color_trc == 1  # BT.709
        assert context.color_range == 1  # 16 to 235
        assert context.pix_fmt == "yuv420p"  # what every player shows; odd sizes alone take 4:4:4


@pytest.mark.parametrize("tag, luma_chroma", [(1, (83, 134, 196)), (2, (96, 126, 195))])
def test_the_colour_matrix_of_the_file_is_obeyed(tmp_path, tag, luma_chroma):
    """(200, 40, 90) by the formulas of BT.709 and of BT.601, which FFmpeg assumes if the file names none."""
    red, green, blue = 200 / 255, 40 / 255, 90 / 255
    kr, kb = (0.2126, 0.0722) if tag == 1 else (0.299, 0.114)
    y = kr * red + (1 - kr - kb) * green + kb * blue
    formula = 16 + 219 * y, 128 + 112 * (blue - y) / (1 - kb), 128 + 112 * (red - y) / (1 - kr)
    assert np.allclose(formula, luma_chroma, atol=1)
    planes = np.concatenate([np.full(n, v, np.uint8) for n, v in zip((256, 64, 64), luma_chroma)])
    with av.open(str(tmp_path / "clip.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"qp": "0"})
        stream.width = stream.height = 16
        stream.pix_fmt, stream.codec_context.colorspace = "yuv420p", tag
        frame = av.VideoFrame.from_ndarray(planes.reshape(24, 16), "yuv420p")
        frame.colorspace = tag
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    (back,) = open_frames(tmp_path / "clip.mp4")
    assert np.abs(back.astype(int) - (200, 40, 90)).max() <= 3


def test_grey_frames_are_written_as_grey(tmp_path):
    alpha = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (32, 1))
    (back,) = open_frames(write(tmp_path / "a.mkv", [alpha], lossless=True))
    assert np.array_equal(back, np.repeat(alpha[..., None], 3, axis=2))


@pytest.mark.parametrize("suffix", [".avi", ".ts"])
def test_other_containers_are_read(tmp_path, suffix):
    reader = open_frames(raw_video(tmp_path / f"clip{suffix}", [corners(32, 48)] * 12))
    assert reader.size == (32, 48) and len(list(reader)) == 12 and reader.warnings == []


def test_the_suffix_may_be_upper_case(tmp_path):
    assert len(list(open_frames(write(tmp_path / "CLIP.MP4", [corners(16, 16)] * 2)))) == 2


def test_one_frame_at_a_time_is_decoded(tmp_path):
    """Memory does not grow with the clip: what is alive of the frames is never more than the last."""
    path = write(tmp_path / "clip.mp4", [corners(64, 64)] * 60)
    program = (
        "import sys, tracemalloc; from bivm_ref.video import open_frames\n"
        "tracemalloc.start()\n"
        "for frame in open_frames(sys.argv[1]): pass\n"
        "print(tracemalloc.get_traced_memory()[1])"
    )
    command = [sys.executable, "-c", program, path]
    peak = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(peak.stdout) < 60 * 64 * 64 * 3 / 2  # half of what the whole clip would take


# ---------------------------------------------------------------- the rotation flag

F = 1 << 16  # the matrix is 16.16 fixed point: a b 0, c d 0, x y 1
TURNS = {  # what a phone writes -> what must come out
    "none": ((F, 0, 0, F), lambda f: f),
    "clockwise": ((0, F, -F, 0), lambda f: np.rot90(f, -1)),
    "half turn": ((-F, 0, 0, -F), lambda f: np.rot90(f, 2)),
    "counterclockwise": ((0, -F, F, 0), lambda f: np.rot90(f, 1)),
    "mirrored": ((-F, 0, 0, F), lambda f: f[:, ::-1]),
    "transposed": ((0, F, F, 0), lambda f: f.transpose(1, 0, 2)),
}


@pytest.mark.parametrize("turn", TURNS)
def test_rotation_flag_is_applied(tmp_path, turn):
    """The matrix is patched into the track header by hand (ISO 14496-12: byte 40 of a version 0 tkhd box)."""
    (a, b, c, d), expected = TURNS[turn]
    path = raw_video(tmp_path / "phone.mp4", [corners(64, 32)] * 3)
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    assert data[at : at + 36] == struct.pack(">9i", F, 0, 0, 0, F, 0, 0, 0, 1 << 30)  # the identity until now
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    reader = open_frames(path)
    upright = expected(corners(64, 32))
    assert reader.size == (upright.shape[1], upright.shape[0])
    frames = list(reader)
    assert len(frames) == 3
    for frame in frames:
        assert frame.shape == upright.shape and frame.flags.c_contiguous
        h, w = frame.shape[0] // 4, frame.shape[1] // 4
        for y in (h, 3 * h):
            for x in (w, 3 * w):
                assert np.abs(frame[y, x].astype(int) - upright[y, x]).max() <= 10


# ---------------------------------------------------------------- damage


@pytest.mark.parametrize("name, options", [
    ("clip.mp4", {"movflags": "frag_keyframe+empty_moov"}),
    ("clip.mp4", {"movflags": "faststart"}),
    ("clip.mkv", {}),
    ("clip.avi", {}),
])  # fmt: skip
def test_truncated_video_gives_the_frames_before_the_damage(tmp_path, name, options):
    path = raw_video(tmp_path / name, [noise(i) for i in range(50)], **options)
    whole = open_frames(path)
    frames = list(whole)
    assert len(frames) == 50 and whole.warnings == []
    reader = open_frames(cut(path, 0.6))
    kept = list(reader)
    assert 24 <= len(kept) <= 32  # 60 % of 50 frames of about equal size
    assert np.array_equal(np.stack(kept), np.stack(frames[: len(kept)]))  # sound, in order, without holes
    assert reader.warnings == [f"{path}: damaged after frame {len(kept)}; the frames before it were kept"]
    list(reader)
    assert len(reader.warnings) == 1  # a second pass does not repeat itself


def test_a_damaged_byte_range_ends_the_clip_there(tmp_path):
    path = raw_video(tmp_path / "clip.mp4", [noise(i) for i in range(50)])
    frames = list(open_frames(path))
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 20000] = bytes(20000)  # several frames long
    path.write_bytes(data)
    reader = open_frames(path)
    kept = list(reader)
    assert 20 <= len(kept) <= 26
    assert np.array_equal(np.stack(kept), np.stack(frames[: len(kept)]))
    assert reader.warnings == [f"{path}: damaged after frame {len(kept)}; the frames before it were kept"]


def test_truncated_gif_does_not_crash(tmp_path):
    reader = open_frames(cut(write(tmp_path / "clip.gif", [noise(i) for i in range(10)]), 0.6))
    assert 4 <= len(list(reader)) <= 6


def test_mistakes_in_files_are_named(tmp_path):
    names = ("no.mp4", "empty.mp4", "text.mp4", "headless.mp4")
    missing, empty, text, headless = (tmp_path / name for name in names)
    empty.touch()
    text.write_text("not a video\n" * 40)
    cut(raw_video(headless, [noise(i) for i in range(10)]), 0.6)  # the index (moov) stands at the end
    assert b"moov" not in headless.read_bytes()
    error_of(lambda: open_frames(missing), missing, "no such file")
    error_of(lambda: open_frames(empty), empty, "empty")
    error_of(lambda: open_frames(text), text, "not a readable video")
    error_of(lambda: open_frames(headless), headless, "cut off before its index")


def test_text_is_no_video_whatever_ffmpeg_thinks(tmp_path):
    """FFmpeg plays .txt as ANSI art and lets a playlist open other files."""
    art, playlist = tmp_path / "notes.txt", tmp_path / "list.mp4"
    art.write_text("hello\n" * 50)
    clip = write(tmp_path / "clip.mp4", [corners(16, 16)])
    playlist.write_text(f"ffconcat version 1.0\nfile '{clip.name}'\n")
    for path in (art, playlist):
        error_of(lambda path=path: open_frames(path), path, "not a readable video")


def test_sound_alone_and_zero_frames(tmp_path):
    sound = tmp_path / "sound.mp4"
    with av.open(str(sound), "w") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        tone = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        tone.sample_rate = 16000
        container.mux(stream.encode(tone))
        container.mux(stream.encode(None))
    error_of(lambda: open_frames(sound), sound, "no video track")
    zero = raw_video(tmp_path / "zero.mp4", [corners(16, 16)] * 2, movflags="faststart")
    cut(zero, (zero.read_bytes().index(b"mdat") + 4) / zero.stat().st_size)  # header whole, no picture data
    error_of(lambda: open_frames(zero), zero, "no frame")


def test_oversized_video_is_refused(tmp_path, monkeypatch):
    path = write(tmp_path / "clip.mp4", [corners(32, 16)])
    monkeypatch.setattr(video, "MAX_PIXELS", 500)
    error_of(lambda: open_frames(path), path, "32x16")


def test_webcam_without_a_camera():
    error_of(lambda: open_frames("webcam:97"), "webcam:97", "camera")
    error_of(lambda: open_frames("webcam:front"), "webcam:front", "webcam:0")


# ---------------------------------------------------------------- images and folders


def only(path):
    (frame,) = open_frames(path)
    assert frame.dtype == np.uint8 and frame.ndim == 3 and frame.shape[2] == 3
    return frame


def test_image_modes_become_rgb(tmp_path):
    grey = np.arange(0, 240, 20, dtype=np.uint8).reshape(3, 4)
    rgb = np.stack([grey, grey[::-1], grey[:, ::-1]], axis=2)
    as_rgb = np.repeat(grey[..., None], 3, axis=2)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    Image.fromarray(np.dstack([rgb, grey])).save(tmp_path / "rgba.png")  # alpha is dropped, not mixed
    Image.fromarray(rgb).quantize(256).save(tmp_path / "palette.png")
    Image.fromarray(grey > 100).save(tmp_path / "bits.png")
    Image.fromarray(rgb).convert("CMYK").save(tmp_path / "cmyk.tif")
    Image.fromarray(grey.astype(np.float32) / 255).save(tmp_path / "float.tif")
    assert np.array_equal(only(tmp_path / "grey.png"), as_rgb)
    assert np.array_equal(only(tmp_path / "rgba.png"), rgb)
    assert np.array_equal(only(tmp_path / "palette.png"), rgb)
    assert np.array_equal(only(tmp_path / "bits.png")[..., 0], np.where(grey > 100, 255, 0))
    assert np.array_equal(only(tmp_path / "cmyk.tif"), rgb)
    assert np.array_equal(only(tmp_path / "float.tif"), as_rgb)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_are_scaled_not_clipped(tmp_path, suffix):
    values = np.array([[0, 128, 129, 257], [32896, 65278, 65407, 65535]], np.uint16)
    Image.fromarray(values).save(tmp_path / f"deep{suffix}")
    # v / 257 rounded: 128/257 = .498, 129/257 = .502, 32896 = 128 · 257, 65407/257 = 254.502
    assert only(tmp_path / f"deep{suffix}")[..., 0].tolist() == [[0, 0, 1, 1], [128, 254, 255, 255]]


def test_values_outside_sixteen_bits_are_refused(tmp_path):
    Image.fromarray(np.array([[0, 70000]], np.int32)).save(tmp_path / "wide.tif")
    error_of(lambda: open_frames(tmp_path / "wide.tif"), "wide.tif", "65535")


@pytest.mark.parametrize("orientation, turn", [
    (1, lambda f: f),
    (2, lambda f: f[:, ::-1]),
    (3, lambda f: np.rot90(f, 2)),
    (6, lambda f: np.rot90(f, -1)),
    (8, lambda f: np.rot90(f, 1)),
])  # fmt: skip
def test_exif_orientation_is_applied(tmp_path, orientation, turn):
    exif = Image.Exif()
    exif[0x0112] = orientation
    for name in ("photo.jpg", "photo.png"):
        Image.fromarray(corners(64, 32)).save(tmp_path / name, exif=exif, quality=100, subsampling=0)
        expected = turn(corners(64, 32))
        reader = open_frames(tmp_path / name)
        assert reader.size == images.image_size(tmp_path / name) == (expected.shape[1], expected.shape[0])
        assert np.abs(only(tmp_path / name).astype(int) - expected).max() <= 40  # JPEG rings at the edges
        assert np.abs(only(tmp_path / name).astype(int) - expected).mean() < 2


def test_one_pixel_is_enough_and_64_megapixels_too_many(tmp_path):
    Image.new("RGB", (1, 1), COLOURS[0]).save(tmp_path / "dot.png")
    reader = open_frames(tmp_path / "dot.png")
    assert (reader.kind, reader.size, reader.count, reader.fps) == ("image", (1, 1), 1, None)
    assert only(tmp_path / "dot.png").tolist() == [[list(COLOURS[0])]]
    Image.new("1", (20000, 20000)).save(tmp_path / "huge.png")
    limit = Image.MAX_IMAGE_PIXELS
    error_of(lambda: open_frames(tmp_path / "huge.png"), "huge.png", "20000x20000", "64 megapixels", "scale")
    assert Image.MAX_IMAGE_PIXELS == limit  # Pillow's own guard is as it was


def test_folder_is_read_in_natural_order(tmp_path):
    for i in (10, 2, 1, 0):
        Image.new("L", (4, 3), i).save(tmp_path / f"frame{i}.png")
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / ".frame3.png").write_text("hidden, as macOS leaves them")
    reader = open_frames(tmp_path)
    assert (reader.kind, reader.size, reader.count, reader.fps) == ("folder", (4, 3), 4, None)
    assert [int(frame[0, 0, 0]) for frame in reader] == [0, 1, 2, 10]


def test_folder_mistakes_are_named(tmp_path):
    error_of(lambda: open_frames(tmp_path), tmp_path, "no image")
    Image.new("RGB", (8, 6)).save(tmp_path / "0.png")
    Image.new("RGB", (6, 8)).save(tmp_path / "1.png")
    error_of(lambda: open_frames(tmp_path), "1.png", "6x8", "0.png", "8x6")
    (tmp_path / "1.png").write_text("not an image")
    error_of(lambda: open_frames(tmp_path), "1.png", "not a readable image")
    Image.fromarray(noise(0, 8, 6)).save(tmp_path / "1.png")
    cut(tmp_path / "1.png", 0.6)  # the header is whole: found out when its turn comes
    frames = iter(open_frames(tmp_path))
    next(frames)
    error_of(lambda: next(frames), "1.png", "not a readable image")


# ---------------------------------------------------------------- writing is atomic


def test_an_exception_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError):
        with VideoWriter(tmp_path / "clip.mp4", 25, (96, 64)) as writer:
            for i in range(30):
                writer.write(noise(i))
            assert not (tmp_path / "clip.mp4").exists()
            assert len(list(tmp_path.iterdir())) == 1  # the hidden file
            raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []
    writer.close()  # changes nothing any more
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_keeps_the_finished_part_when_asked(tmp_path):
    for keep, expected in ((True, [tmp_path / "clip.mp4"]), (False, [])):
        with pytest.raises(KeyboardInterrupt):
            with VideoWriter(tmp_path / "clip.mp4", 25, (96, 64), keep_on_interrupt=keep) as writer:
                for i in range(7):
                    writer.write(noise(i))
                raise KeyboardInterrupt
        assert list(tmp_path.iterdir()) == expected
        if keep:
            assert len(list(open_frames(tmp_path / "clip.mp4"))) == 7
            (tmp_path / "clip.mp4").unlink()


def test_an_old_file_stays_until_the_new_one_is_complete(tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError):
        with VideoWriter(path, 25, (96, 64)) as writer:
            writer.write(noise(0))
            raise ZeroDivisionError
    assert path.read_bytes() == b"old"
    write(path, [noise(0)])
    assert len(list(open_frames(path))) == 1


def test_no_frame_no_file(tmp_path):
    with VideoWriter(tmp_path / "clip.mp4", 25, (96, 64)) as writer:
        assert writer.count == 0
    assert list(tmp_path.iterdir()) == []


DISK_FULL = """
import resource, signal, sys
import numpy as np
from bivm_ref.errors import UserError
from bivm_ref.video import ImageFolderWriter, VideoWriter
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)          # so that the write fails with EFBIG, as ENOSPC would
resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
rng = np.random.default_rng(0)
try:
    path, kind = sys.argv[1:]
    with ImageFolderWriter(path) if kind == "folder" else VideoWriter(path, 25, (128, 96)) as writer:
        for _ in range(40):
            writer.write(rng.integers(0, 256, (96, 128, 3), dtype=np.uint8))
except UserError as error:
    print(error)
"""


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.webm", "clip.gif", "folder"])
def test_a_full_disk_is_named_and_leaves_nothing(tmp_path, name):
    kind = "folder" if name == "folder" else "file"
    command = [sys.executable, "-c", DISK_FULL, str(tmp_path / name), kind]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert str(tmp_path / name) in result.stdout and "full" in result.stdout
    assert len(result.stdout.splitlines()) == 1
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


@pytest.mark.parametrize("code", ["ENOSPC", "EFBIG", "EDQUOT"])
def test_full_disk_codes_mean_the_same(code):
    error = OSError(getattr(errno, code), "no room")
    assert "full" in str(video_out._write_error("a.mp4", error))
    assert "full" not in str(video_out._write_error("a.mp4", OSError(errno.EACCES, "denied")))


def test_folder_and_image_writers(tmp_path):
    with ImageFolderWriter(tmp_path / "out" / "alpha", "a_") as writer:
        for i in range(3):
            writer.write(noise(i)[..., 0])
    assert sorted(os.listdir(tmp_path / "out" / "alpha")) == ["a_0000.png", "a_0001.png", "a_0002.png"]
    back = list(open_frames(tmp_path / "out" / "alpha"))
    assert all(np.array_equal(back[i][..., 1], noise(i)[..., 0]) for i in range(3))
    with ImageWriter(tmp_path / "one.png") as writer:
        writer.write(noise(5))
        with pytest.raises(ValueError, match="one frame"):
            writer.write(noise(5))
    assert np.array_equal(only(tmp_path / "one.png"), noise(5))
    rgba = np.dstack([noise(6), noise(7)[..., 0]])
    ImageWriter(tmp_path / "cut-out.png").write(rgba)
    assert np.array_equal(np.array(Image.open(tmp_path / "cut-out.png")), rgba)
    error_of(lambda: ImageWriter(tmp_path / "one.xyz"), "one.xyz", ".png")
    error_of(lambda: ImageWriter(tmp_path / "rgba.jpg").write(rgba), "rgba.jpg", "cannot be written")
    assert not list(tmp_path.glob("*rgba*"))


def test_wrong_frames_are_a_programmers_mistake(tmp_path):
    with VideoWriter(tmp_path / "clip.mp4", 25, (96, 64)) as writer:
        for shape, kind in (((64, 96, 3), float), ((64, 96, 4), np.uint8), ((96, 64, 3), np.uint8)):
            with pytest.raises(ValueError, match="frame"):
                writer.write(np.zeros(shape, kind))
    with pytest.raises(ValueError, match="write after close"):
        writer.write(noise(0))
    with pytest.raises(ValueError, match="positive"):
        VideoWriter(tmp_path / "clip.mp4", 0, (96, 64))
    error_of(lambda: VideoWriter(tmp_path / "clip.xyz", 25, (96, 64)), "clip.xyz", ".mp4")


def test_check_output(tmp_path):
    assert check_output(tmp_path / "new" / "clip.mp4") == tmp_path / "new" / "clip.mp4"
    assert check_output(tmp_path / "new") == tmp_path / "new"
    assert not (tmp_path / "new").exists()  # a check creates nothing
    (tmp_path / "empty").mkdir()
    check_output(tmp_path / "empty")
    (tmp_path / "clip.mp4").write_bytes(b"x")
    error_of(lambda: check_output(tmp_path / "clip.mp4"), "clip.mp4", "exists", "overwrite")
    check_output(tmp_path / "clip.mp4", overwrite=True)
    error_of(lambda: check_output(tmp_path), tmp_path, "not empty", "overwrite")
    check_output(tmp_path, overwrite=True)
    (tmp_path / "plain").write_bytes(b"x")
    error_of(lambda: check_output(tmp_path / "plain", overwrite=True), "plain", "a file of that name")
    (tmp_path / "dir.mp4").mkdir()
    error_of(lambda: check_output(tmp_path / "dir.mp4", overwrite=True), "dir.mp4", "a folder of that name")
    for inside in ("a.mp4", "deep/er/a.mp4", "frames"):  # the parent is a regular file
        path = tmp_path / "plain" / inside
        error_of(lambda path=path: check_output(path), path, "is a file")
        error_of(lambda path=path: VideoWriter(path.with_suffix(".mp4"), 25, (8, 8)), "cannot be written")


def test_check_output_asks_the_system_not_the_permission_bits(tmp_path, monkeypatch):
    def refuse(**where):
        raise PermissionError(13, "Permission denied")  # root passes every permission bit, so it is played

    monkeypatch.setattr(video_out.tempfile, "TemporaryFile", refuse)
    error_of(lambda: check_output(tmp_path / "a.mp4"), "a.mp4", tmp_path, "Permission denied")


GROWTH = """
import sys
from bivm_ref.machine import peak_memory
from bivm_ref.video import open_frames
for i, frame in enumerate(open_frames(sys.argv[1])):
    if i == 30:
        before = peak_memory()
print((peak_memory() - before) / 1e6)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak of a process is read from /proc")
def test_a_long_clip_takes_no_more_memory_than_a_short_one(tmp_path):
    """300 frames of 480x270; decoded frames that stay alive until a garbage collection took 40 MB."""
    path = tmp_path / "long.mp4"
    with VideoWriter(path, 25, (480, 270)) as writer:
        for i in range(300):
            frame = np.zeros((270, 480, 3), np.uint8)
            frame[:, i:i + 60] = 200
            writer.write(frame)
    done = subprocess.run([sys.executable, "-c", GROWTH, path], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 8
