"""The field's data sets, read where they lie in their own layouts, and an account of what is wrong in them.

    VideoMatte240K      fgr/0001/00000.jpg + pha/0001/00000.jpg     `video_mattes`
    ImageMatte          fgr/a.jpg + pha/a.jpg                       `image_mattes`
    backgrounds         any images, at any depth                    `background_images`
    background clips    0000/0000.jpg                               `background_clips`

Each function takes the folder or the one above its `train`, matches files by name whatever their suffix, and returns an
`ImageSet`. One broken file among 240,000 must not end a week of training, and a hundred must not go unseen: a
frame that lacks its alpha or its foreground, that is of another size than its clip, or that cannot be read is left out,
counted and named; over 1 % of them stop the run. (Evaluation skips nothing: see `evaluation_sets.py`.)
"""

from __future__ import annotations

import bisect
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from tqdm import tqdm

from bivm_ref.errors import UserError
from bivm_ref.images import image_paths, natural_key, read_image, sound_size

TOLERATED = 0.01  # share of a set's frames that may be left out


@dataclass(frozen=True)
class FrameClip:
    """T frames; frame t is one file in each folder: (fgr, pha), or the frame alone."""

    name: str
    folders: tuple[Path, ...]
    files: tuple[tuple[str, ...], ...]  # T tuples, a file name per folder
    size: tuple[int, int] | None = None  # (width, height) of every image; None: nobody has looked

    def __len__(self) -> int:
        return len(self.files)

    def path(self, t: int, k: int = 0) -> Path:
        return self.folders[k] / self.files[t][k]


@dataclass(frozen=True)
class Fault:
    """One frame that is left out, and why: "without alpha", "unreadable" …"""

    kind: str
    path: Path


class Unreadable(Exception):
    """Frame t of clip c of a set could not be decoded, in its folder k."""

    def __init__(self, images: ImageSet, c: int, t: int, k: int = 0) -> None:
        super().__init__(f"{images.clips[c].path(t, k)}: not readable")
        self.images, self.c, self.t, self.k = images, c, t, k

    def mark(self) -> None:
        """Let the set know. Raises UserError when too much of it is damaged."""
        self.images.mark(self.c, self.t, self.k)


class ImageSet:
    """The sound clips of a data set, and the faults of the rest.

    clips: list of `FrameClip`. Files that turn out to be damaged while they are decoded are marked in memory that all
    worker processes of a DataLoader share, so `summary()` in the main process knows of them.
    """

    def __init__(self, root: Path, clips: list[FrameClip], faults: Iterable[Fault] = ()) -> None:
        self.root, self.clips, self.faults = root, clips, tuple(faults)
        self.first = np.cumsum([0, *map(len, clips)])  # number of each clip's first frame
        self.damaged = torch.zeros(int(self.first[-1]), dtype=torch.uint8).share_memory_()  # 1 + folder; 0: sound

    def read(self, c: int, t: int, k: int = 0, mode: str = "RGB", size: tuple[int, int] | None = None) -> Image.Image:
        """Frame t of clip c from folder k, upright; raises `Unreadable`. size: see `decode`."""
        try:
            return decode(self.clips[c].path(t, k), mode, size)
        except Exception as error:  # decoders raise nearly anything on broken bytes
            raise Unreadable(self, c, t, k) from error

    def mark(self, c: int, t: int, k: int) -> None:
        """Frame t of clip c turned out to be damaged, in folder k. Raises UserError when they become too many."""
        self.damaged[int(self.first[c]) + t] = 1 + k
        self.check()

    def all_faults(self) -> list[Fault]:
        """Those found when the set was opened, then those met since."""
        met = []
        for number in np.flatnonzero(self.damaged.numpy()):
            c = bisect.bisect_right(self.first, number) - 1
            k = int(self.damaged[number]) - 1
            met.append(Fault("unreadable", self.clips[c].path(int(number - self.first[c]), k)))
        return [*self.faults, *met]

    @property
    def frames(self) -> int:
        """All frames of the set, the faulty ones included."""
        return int(self.first[-1]) + len(self.faults)

    def summary(self) -> str:
        """One line: "VideoMatte240K: 479 clips, 238,000 frames; left out 2: 1 without alpha (…), 1 unreadable (…)"."""
        faults = self.all_faults()
        text = f"{self.root}: {len(self.clips):,} clips, {self.frames - len(faults):,} frames"
        if not faults:
            return text
        parts = []
        for kind, count in Counter(fault.kind for fault in faults).items():
            names = [str(fault.path.relative_to(self.root)) for fault in faults if fault.kind == kind]
            parts.append(f"{count:,} {kind} ({', '.join(names[:3])}{', …' if count > 3 else ''})")
        return f"{text}; left out {len(faults):,}: " + ", ".join(parts)

    def check(self) -> None:
        """Raises UserError when nothing is left or more than `TOLERATED` of the frames are left out."""
        faults = self.all_faults() if self.faults or self.damaged.any() else []
        if len(faults) > TOLERATED * self.frames:
            share = 100 * len(faults) / self.frames
            raise UserError(f"{faults[0].path}: {faults[0].kind}; with it {len(faults):,} of {self.frames:,} frames of "
                            f"{self.root} are of no use ({share:.1f} %, over {100 * TOLERATED:.0f} %); copy or unpack "
                            "the set again")


def decode(path: Path, mode: str, size: tuple[int, int] | None = None) -> Image.Image:
    """An image file upright, in mode "RGB" or "L" (16-bit grey scaled, not clipped).

    size: (width, height) to reduce it to, averaging; JPEG is then decoded no larger than needed.
    """
    with Image.open(path) as image:
        if image.mode.startswith("I") or image.mode == "F":
            image = Image.fromarray(read_image(path)).convert(mode)
        else:
            if size is not None and image.getexif().get(0x0112, 1) < 5:  # 5 to 8 lie on their side
                image.draft(mode, size)
            image = ImageOps.exif_transpose(image).convert(mode)
    return image if size is None or image.size == size else image.resize(size, Image.Resampling.BILINEAR)


# -- the layouts --------------------------------------------------------------------------------------------

def video_mattes(root: str | Path, check: bool = True, progress: bool = False) -> ImageSet:
    """VideoMatte240K: a clip per folder below fgr and pha.

    check: look at every file's size and ending, which finds what was cut off (about a tenth of a millisecond each);
    False trusts the names. Raises UserError if it is no such folder, or over 1 % of its frames are faulty.
    """
    root = _with("fgr", root, "fgr/0001/00000.jpg and pha/0001/00000.jpg")
    pairs = []
    names = {folder.name for part in ("fgr", "pha") for folder in _folders(root / part)}
    for name in sorted(names, key=natural_key):
        pairs.append((name, root / "fgr" / name, root / "pha" / name))
    return _matched(root, pairs, check, progress)


def image_mattes(root: str | Path, check: bool = True, progress: bool = False) -> ImageSet:
    """ImageMatte (and Distinctions-646, AIM-500 … in its layout): every still is a clip of one frame."""
    root = _with("fgr", root, "fgr/a.jpg and pha/a.jpg")
    return _matched(root, [("", root / "fgr", root / "pha")], check, progress, stills=True)


def background_images(root: str | Path, check: bool = True, progress: bool = False) -> ImageSet:
    """Photographs at any depth below `root`, or its `train`; each is a clip of one frame."""
    root = _train(Path(root))
    clips = [FrameClip(path.stem, (folder,), ((path.name,),)) for folder in [root, *_folders(root, deep=True)]
             for path in _images(folder)]
    return _opened(root, clips, [], check, progress)


def background_clips(root: str | Path, check: bool = True, progress: bool = False) -> ImageSet:
    """A clip per folder of images below `root`, or its `train`."""
    root = _train(Path(root))
    clips = []
    for folder in _folders(root, deep=True):
        files = tuple((path.name,) for path in _images(folder))
        if files:
            clips.append(FrameClip(folder.relative_to(root).as_posix(), (folder,), files))
    return _opened(root, clips, [], check, progress)


def _matched(root: Path, pairs, check: bool, progress: bool, stills: bool = False) -> ImageSet:
    """Foregrounds and alphas of one name together. pairs: (clip's name, folder of foregrounds, of alphas)."""
    clips, faults = [], []
    for name, *folders in pairs:
        fgr, pha = ({path.stem: path.name for path in _images(folder)} for folder in folders)
        faults += [Fault("without alpha", folders[0] / fgr[stem]) for stem in fgr if stem not in pha]
        faults += [Fault("without foreground", folders[1] / pha[stem]) for stem in pha if stem not in fgr]
        files = {stem: (fgr[stem], pha[stem]) for stem in fgr if stem in pha}
        if stills:
            clips += [FrameClip(stem, tuple(folders), (pair,)) for stem, pair in files.items()]
        elif files:
            clips.append(FrameClip(name, tuple(folders), tuple(files.values())))
    return _opened(root, clips, faults, check, progress)


def _opened(root: Path, clips: list[FrameClip], faults: list[Fault], check: bool, progress: bool) -> ImageSet:
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; give the folder of the data set")
    if not clips and not faults:
        raise UserError(f"{root}: no image in it; unpack the data set there")
    images = ImageSet(root, clips, faults)
    images.check()  # names first: no need to look at files that do not even come in pairs
    if not check:
        return images
    sound = []
    with tqdm(total=int(images.first[-1]), desc=f"check {root.name}", unit="frame", disable=not progress) as bar:
        for clip in clips:
            kept, found = checked(clip, bar.update)
            sound += kept
            faults = [*faults, *found]
    images = ImageSet(root, sound, faults)
    images.check()
    return images


def checked(clip: FrameClip, tick: Callable[[], object] = lambda: None) -> tuple[list[FrameClip], list[Fault]]:
    """A clip without its faulty frames (none at all if nothing is left), and the faults.

    The size of a clip is what most of its images have; a frame whose image or alpha has another is left out.
    """
    sizes = []
    for t in range(len(clip)):
        sizes.append([sound_size(clip.path(t, k)) for k in range(len(clip.folders))])
        tick()
    counts = Counter(size for frame in sizes for size in frame if size is not None)
    usual = counts.most_common(1)[0][0] if counts else None
    kept, faults = [], []
    for t, frame in enumerate(sizes):
        wrong = [k for k, size in enumerate(frame) if size != usual or usual is None]
        if wrong:
            kind = "unreadable" if None in frame else "of another size"
            faults.append(Fault(kind, clip.path(t, frame.index(None) if None in frame else wrong[0])))
        else:
            kept.append(clip.files[t])
    return ([replace(clip, files=tuple(kept), size=usual)] if kept else []), faults


def _with(part: str, root: str | Path, example: str) -> Path:
    """`root` or its `train`, whichever holds that folder."""
    root = Path(root)
    for folder in (root, root / "train"):
        if (folder / part).is_dir():
            return folder
    raise UserError(f"{root}: holds no {part} folder; it should hold {example}")


def _train(root: Path) -> Path:
    """What is beside a `train` is not to be trained on."""
    return root / "train" if (root / "train").is_dir() else root


def _folders(root: Path, deep: bool = False) -> list[Path]:
    if not root.is_dir():
        return []
    found = [path for path in (root.rglob("*") if deep else root.iterdir())
             if path.is_dir() and not path.name.startswith(".")]
    return sorted(found, key=lambda path: natural_key(path.as_posix()))


def _images(folder: Path) -> list[Path]:
    """Images in natural order; equal names are kept once in memory, for VideoMatte240K has 240,000."""
    if not folder.is_dir():
        return []
    return [path.with_name(sys.intern(path.name)) for path in image_paths(folder)]
