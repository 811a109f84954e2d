"""Evaluation sets in the field's layout: clip/com/0000.png the frames, clip/pha/0000.png their reference alphas and,
where there is one, clip/fgr/0000.png the reference foreground, at any depth: RVM's sets have one level more,
videomatte_512x288/videomatte_motion/0000/com/0000.png.

Images belong together by name, whatever their suffix. The frames may be one file instead, clip/com.mp4 (or .mov, .mkv,
.webm, .gif), and are then matched in order. An evaluation skips nothing: a figure over what happened to be readable
compares with nobody's, so whatever is missing or wrong is refused.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .errors import UserError
from .images import image_paths, image_size, natural_key, read_image, sound_size, unreadable
from .video import VIDEO_SUFFIXES, open_frames

ONE_SIZE = "give all frames of a clip one size"
MATCHING = "give frames and alphas one size"
COLOURS = "give foregrounds and alphas one size"


@dataclass(frozen=True)
class ClipFiles:
    """The files of a clip: frame i is frames[i], or the i-th of the video if `frames` is a path."""

    frames: list[Path] | Path
    alphas: list[Path]
    foregrounds: list[Path] | None  # None: the clip has no fgr, or nobody asked


def clip_folders(root: Path) -> list[Path]:
    """The folders at or below `root` that hold a `pha` folder, in natural order.

    Raises UserError if there is none, or if one has frames in `com` and no `pha`.
    """
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; give a folder of clips, each with com/ and pha/")
    inside = list(_folders(root))
    found = {folder.parent for folder in inside if folder.name == "pha"}
    if not found:
        raise UserError(f"{root}: no clip in it; a clip is a folder with com/ (or com.mp4) and pha/")
    for com in sorted(folder for folder in inside if folder.name == "com"):
        if com.parent not in found:
            raise UserError(f"{com.parent / 'pha'}: missing; every clip needs its alphas, so add them or remove {com}")
    return sorted(found, key=lambda clip: natural_key(clip.as_posix()))


def _folders(root: Path) -> Iterator[Path]:
    """Every folder below `root`, behind links too, each once. UserError for one that cannot be looked into."""
    def refuse(error: OSError):
        raise UserError(f"{error.filename}: cannot be looked into ({error.strerror}); change its permissions, or "
                        "take it out of the set") from error

    seen = set()
    for folder, inside, _ in os.walk(root, onerror=refuse, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:  # a link that leads back
            inside.clear()
            continue
        seen.add(real)
        yield from (Path(folder) / name for name in inside)


def clip_name(clip: Path, root: Path) -> str:
    """Its path below `root`; the folder's own name if it is `root`."""
    return clip.resolve().name if clip == root else clip.relative_to(root).as_posix()


def clip_files(clip: Path, foreground: bool = False) -> ClipFiles:
    """The files of a clip by their names alone, nothing opened; fgr only if asked for.

    Raises UserError, naming the file: no frames, no alphas, a frame without alpha or foreground, an alpha without
    frame, two images of one name.
    """
    alphas = _by_name(clip / "pha", "put one alpha per frame there")
    fgr = clip / "fgr"
    foregrounds = _by_name(fgr, "put one foreground per frame there") if foreground and fgr.is_dir() else None
    if (clip / "com").is_dir():
        frames = _by_name(clip / "com", "put the frames there")
        names = list(frames)
        _same_names(names, alphas, clip / "com", clip / "pha", "alpha")
    else:
        videos = [path for path in (clip / f"com{suffix}" for suffix in VIDEO_SUFFIXES) if path.is_file()]
        if not videos:
            raise UserError(f"{clip / 'com'}: missing; put the frames there, or in com.mp4")
        frames, names = videos[0], list(alphas)
    if foregrounds is not None:
        _same_names(names, foregrounds, clip / "pha", fgr, "foreground")
    return ClipFiles(frames if isinstance(frames, Path) else list(frames.values()),
                     [alphas[name] for name in names],
                     None if foregrounds is None else [foregrounds[name] for name in names])


def surveyed(root: Path, foreground: bool = False) -> list[tuple[str, ClipFiles]]:
    """Name and files of every clip below `root`, looked at by names, headers and ends of files; no pixel is decoded.

    Raises UserError for a folder without clips and for whatever is missing or wrong: the first, and how many there are.
    """
    clips, wrong = [], []
    folders = clip_folders(root)
    for clip in folders:
        try:
            files = clip_files(clip, foreground)
        except UserError as error:
            wrong.append((clip, str(error)))
            continue
        clips.append((clip_name(clip, root), files))
        wrong += [(clip, fault) for fault in _faults(files)]
    if len(wrong) > 1:
        spoilt = len({clip for clip, _ in wrong})
        raise UserError(f"{root}: {len(wrong)} faults in {spoilt} of {len(folders)} clips, the first: {wrong[0][1]}")
    if wrong:
        raise UserError(wrong[0][1])
    return clips


def _faults(files: ClipFiles) -> Iterator[str]:
    """What `read_pairs` and `read_foregrounds` would refuse, as far as headers and ends of files tell."""
    frames = [] if isinstance(files.frames, Path) else files.frames
    sizes = {path: sound_size(path) for path in (*frames, *files.alphas, *(files.foregrounds or ()))}
    yield from (str(unreadable(path)) for path, size in sizes.items() if size is None)
    pairs = [(path, frames[0], ONE_SIZE) for path in frames[1:]]
    pairs += [(alpha, path, MATCHING) for alpha, path in zip(files.alphas, frames)]
    pairs += [(path, alpha, COLOURS) for path, alpha in zip(files.foregrounds or (), files.alphas)]
    for path, other, cure in pairs:
        if None not in (sizes[path], sizes[other]) and sizes[path] != sizes[other]:
            yield str(_unequal(path, sizes[path], other, sizes[other], cure))


def clip_pairs(clip: Path) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Every frame of a clip with its reference alpha: (H, W, 3) uint8, (H, W) float32 in [0, 1].

    Raises UserError, naming the file: what `clip_files` refuses, images of unequal size, an unreadable image, a video
    that holds more or fewer frames than there are alphas, and whatever `open_frames` refuses.
    """
    yield from read_pairs(clip_files(clip))


def read_pairs(files: ClipFiles) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """`clip_pairs` of files that are known."""
    if isinstance(files.frames, Path):
        yield from _video_pairs(files.frames, files.alphas)
        return
    first = None
    for path, alpha in zip(files.frames, files.alphas):
        frame = read_image(path)
        first = frame if first is None else first
        if frame.shape != first.shape:
            raise _unequal(path, _size(frame), files.frames[0], _size(first), ONE_SIZE)
        yield frame, _read_alpha(alpha, frame, path)


def read_foregrounds(files: ClipFiles) -> Iterator[np.ndarray] | None:
    """The reference foregrounds, (H, W, 3) uint8 straight colour, in the order of `read_pairs`; None without fgr."""
    if files.foregrounds is None:
        return None

    def read():
        for path, alpha in zip(files.foregrounds, files.alphas):
            image, size = read_image(path), image_size(alpha)
            if _size(image) != size:
                raise _unequal(path, _size(image), alpha, size, COLOURS)
            yield image
    return read()


def _by_name(folder: Path, cure: str) -> dict[str, Path]:
    """The images of a folder by name without suffix, in natural order."""
    paths = image_paths(folder)
    if not paths:
        raise UserError(f"{folder}: no image in it; {cure}")
    found: dict[str, Path] = {}
    for path in paths:
        if path.stem in found:
            raise UserError(f"{path}: {found[path.stem].name} lies beside it, and one of them is too many; remove it")
        found[path.stem] = path
    return found


def _same_names(names: list[str], others: dict[str, Path], folder: Path, other: Path, kind: str) -> None:
    if missing := [name for name in names if name not in others]:
        more = f", with {len(missing) - 1} more" if len(missing) > 1 else ""
        raise UserError(f"{other / missing[0]}.png: missing{more}; every frame of {folder} needs its {kind}")
    beyond = [path for name, path in others.items() if name not in set(names)]
    if beyond:
        raise UserError(f"{beyond[0]}: has no frame; {other} holds {len(others)} images and {folder} {len(names)}; "
                        f"copy the frames again, or remove the {kind}s beyond")


def _video_pairs(video: Path, alphas: list[Path]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    reader, count = open_frames(video), 0
    for frame in reader:
        if count == len(alphas):
            raise UserError(f"{alphas[0].parent}: holds {count} alphas and {video} more frames; "
                            "put one alpha per frame there")
        yield frame, _read_alpha(alphas[count], frame, video)
        count += 1
    if count < len(alphas):
        raise UserError(f"{video}: holds {count} frames for {len(alphas)} alphas; "
                        "copy the video again, or remove the alphas beyond")


def _read_alpha(alpha: Path, frame: np.ndarray, source: Path) -> np.ndarray:
    size = image_size(alpha)
    if size != _size(frame):
        raise _unequal(alpha, size, source, _size(frame), MATCHING)
    return read_image(alpha)[..., 0].astype(np.float32) / np.float32(255)


def _size(image: np.ndarray) -> tuple[int, int]:
    return image.shape[1], image.shape[0]


def _unequal(path: Path, size: tuple[int, int], other: Path, others: tuple[int, int], cure: str) -> UserError:
    return UserError(f"{path}: is {size[0]}x{size[1]}, and {other} is {others[0]}x{others[1]}; {cure}")
