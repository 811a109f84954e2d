"""Segmentation sets: real photographs and videos in which people are marked, for the batches between the matting ones.

    COCO          train2017/000000000009.jpg + annotations/instances_train2017.json      `coco_people`
    YouTube-VIS   JPEGImages/<video>/00000.jpg + instances.json                           `youtube_people`

Matting sets are composited; these keep the network used to what cameras really see (RVM's habit). A mask is the
union of all people in the frame, crowds included, hard-edged: good for "who is there", not for hair, hence a loss of
its own on an output of its own.

Masks come as polygons or as run lengths, COCO's two forms. pycocotools would decode both, in C; thirty lines of NumPy
and Pillow do, and save a dependency.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset
from tqdm import tqdm

from bivm_ref.errors import UserError
from bivm_ref.learn.augment import Augment, clock, colour_path, fold, graded
from bivm_ref.learn.datasets import Phase
from bivm_ref.learn.folders import Fault, FrameClip, ImageSet, Unreadable, checked
from bivm_ref.learn.footage import batch_size, draws, planes, stretch_name, stretches, through_window

PERSON = "person"  # the category's name; its number differs between the versions of YouTube-VIS
FINER = 4  # polygons are drawn this many times larger and averaged: Pillow draws outlines half a pixel too far out


def segmentation_loss(logits: Tensor, mask: Tensor) -> Tensor:
    """Binary cross-entropy, mean over all pixels. logits (B, T, 1, H, W) before any sigmoid; mask of the same shape in
    [0, 1]. RVM's loss for its segmentation batches."""
    return F.binary_cross_entropy_with_logits(logits, mask)


# -- masks --------------------------------------------------------------------------------------------------

def run_lengths(counts: list[int] | str) -> list[int]:
    """Run lengths as numbers, whichever way COCO wrote them.

    The compressed form is text: six bits per character from "0" on, the lowest five a part of the number, lowest
    part first, the sixth "more follows", and bit 5 of the last part the sign; from the fourth on each number is the
    difference to the one two before. (COCO's format, as its own maskApi writes it.)
    """
    if not isinstance(counts, str):
        return [int(count) for count in counts]
    numbers: list[int] = []
    value = shift = 0
    for character in counts:
        bits = ord(character) - ord("0")
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            if bits & 16:
                value -= 1 << shift
            numbers.append(value + numbers[-2] if len(numbers) > 2 else value)
            value = shift = 0
    return numbers


def mask_of(shapes: list, width: int, height: int) -> Image.Image:
    """The union of annotations as an image of mode "L", 0 or 255.

    shapes: each a list of polygons [x0, y0, x1, y1 …] in pixels (corners: 0 is the left edge of the first pixel), or
    {"size": [height, width], "counts": run lengths} that alternate between outside and inside down the columns.
    Raises ValueError for anything else.
    """
    inside = np.zeros((height, width), bool)
    polygons = []
    for shape in shapes:
        if isinstance(shape, dict):
            counts = np.array(run_lengths(shape["counts"]))
            if list(shape["size"]) != [height, width] or (counts < 0).any() or counts.sum() != height * width:
                raise ValueError(f"run lengths of {shape['size']} for an image of {[height, width]}")
            inside |= np.repeat(np.arange(len(counts)) % 2 == 1, counts).reshape(width, height).T
        else:
            polygons += shape
    if polygons:
        large = Image.new("L", (width * FINER, height * FINER))
        draw = ImageDraw.Draw(large)
        for polygon in polygons:
            if len(polygon) < 6:
                raise ValueError(f"a polygon of {len(polygon) // 2} points")
            draw.polygon([FINER * float(x) - 0.5 for x in polygon], fill=255)  # Pillow counts from pixel centres
        inside |= np.asarray(large.reduce(FINER)) > 127
    return Image.fromarray(inside.astype(np.uint8) * 255)


# -- the layouts --------------------------------------------------------------------------------------------

@dataclass(frozen=True)
class People:
    """An `ImageSet` and, for each of its frames, the annotations of the people in it."""

    images: ImageSet
    shapes: list[list[list]]  # clip → frame → annotations

    def mask(self, c: int, t: int) -> Image.Image:
        """The people of frame t of clip c; raises `Unreadable` for an annotation that makes no sense."""
        try:
            return mask_of(self.shapes[c][t], *(self.images.clips[c].size or self.images.read(c, t).size))
        except (ValueError, TypeError, KeyError, OverflowError) as error:
            raise Unreadable(self.images, c, t) from error


def coco_people(root: str | Path, check: bool = True, progress: bool = False) -> People:
    """Images with people in them, a clip of one frame each. `root` holds train2017/ and annotations/ (COCO's own
    layout), or images/ and instances.json. check as in `video_mattes`. Raises UserError."""
    root = Path(root)
    if (root / "images").is_dir():
        folder, labels = root / "images", root / "instances.json"
    else:
        folder, labels = root / "train2017", root / "annotations" / "instances_train2017.json"

    def read(data: dict):
        shapes: dict[int, list] = {}
        for annotation in _of_people(data):
            shapes.setdefault(annotation["image_id"], []).append(annotation["segmentation"])
        for image in data["images"]:
            if image["id"] in shapes:
                name, size = image["file_name"], (int(image["width"]), int(image["height"]))
                yield FrameClip(Path(name).stem, (folder,), ((name,),), size), [shapes[image["id"]]]

    return _opened(root, _annotated(labels, folder, read), check, progress)


def youtube_people(root: str | Path, check: bool = True, progress: bool = False) -> People:
    """Videos with people in them. `root`, or its `train`, holds JPEGImages/ and instances.json. Raises UserError."""
    root = Path(root)
    root = root / "train" if (root / "train" / "JPEGImages").is_dir() else root
    folder, labels = root / "JPEGImages", root / "instances.json"

    def read(data: dict):
        tracks: dict[int, list] = {}
        for annotation in _of_people(data):
            tracks.setdefault(annotation["video_id"], []).append(annotation["segmentations"])
        for video in data["videos"]:
            if video["id"] in tracks:
                names, size = video["file_names"], (int(video["width"]), int(video["height"]))
                shapes = [[track[t] for track in tracks[video["id"]] if track[t] is not None]
                          for t in range(len(names))]
                yield FrameClip(Path(names[0]).parent.as_posix(), (folder,), tuple((n,) for n in names), size), shapes

    return _opened(root, _annotated(labels, folder, read), check, progress)


def _annotated(labels: Path, folder: Path, read) -> list[tuple[FrameClip, list]]:
    """(clip, annotations of its frames) from a JSON file; `read` takes its content apart."""
    if not folder.is_dir() or not labels.is_file():
        missing = labels if folder.is_dir() else folder
        raise UserError(f"{missing}: missing; unpack the data set's images and its annotations there")
    try:
        found = list(read(json.loads(labels.read_bytes())))
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, OSError) as error:
        raise UserError(f"{labels}: no annotations in COCO's format ({type(error).__name__}: {error}); copy or unpack "
                        "it again") from error
    if not found:
        raise UserError(f"{labels}: marks nobody ({PERSON!r}); give annotations of people")
    return found


def _of_people(data: dict) -> list[dict]:
    numbers = {category["id"] for category in data["categories"] if category["name"] == PERSON}
    return [annotation for annotation in data["annotations"] if annotation["category_id"] in numbers]


def _opened(root: Path, found: list[tuple[FrameClip, list]], check: bool, progress: bool) -> People:
    """Look at the files as `folders` does; frames whose file has another size than the annotations say are faulty."""
    if not check:
        return People(ImageSet(root, [clip for clip, _ in found]), [shapes for _, shapes in found])
    sound, kept, faults = [], [], []
    for clip, shapes in tqdm(found, desc=f"check {root.name}", unit="clip", disable=not progress):
        good, bad = checked(clip)
        if good and good[0].size != clip.size:
            bad += [Fault("of another size than annotated", good[0].path(t)) for t in range(len(good[0]))]
            good = []
        faults += bad
        if good:
            sound += good
            kept.append([shapes[clip.files.index(file)] for file in good[0].files])
    images = ImageSet(root, sound, faults)
    images.check()
    return People(images, kept)


# -- the data set -------------------------------------------------------------------------------------------

class SegmentationClips(Dataset):
    """Item i -> (frames (T, 3, H, W), mask (T, 1, H, W) of 0 and 255), uint8 tensors. T = 1 is usual for images.

    Deterministic in seed and number, epochs and broken files as in `FolderClips`. A clip that is shorter than T is
    played back and forth. (RVM stacks single images into its batches of segmentation; so does `Phase.frames = 1`.)
    """

    def __init__(self, phase: Phase, first: int, seed: int, people: People, augment: Augment | None = None,
                 smallest: int | None = None) -> None:
        self.phase, self.first, self.seed, self.people, self.smallest = phase, first, seed, people, smallest
        self.augment = Augment() if augment is None else augment
        self.stretches = stretches(people.images, phase.frames)

    def __len__(self) -> int:
        return self.phase.steps * self.phase.batch

    def name(self, i: int) -> str:
        """Which footage item i shows; see `stretch_name`."""
        return stretch_name(self.people.images, self.stretches, self.seed, self.first + i)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        height, width = batch_size(self.phase, self.seed, self.first, i, self.smallest)
        for rng, chosen in draws(self.seed, self.first + i, len(self.stretches), 8, self.people.images):
            try:
                frames, masks = self._clip(rng, *self.stretches[chosen], height, width)
                return planes(frames), torch.from_numpy(masks[:, None])
            except Unreadable as broken:
                broken.mark()

    def _clip(self, rng, c: int, start: int, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
        time, place, light = rng.spawn(3)
        images, augment = self.people.images, self.augment
        moments = clock(time, self.phase.frames, augment)
        times = fold(start + moments, len(images.clips[c]))
        frames, masks = through_window(place, images, c, times, moments, height, width, augment,
                                       lambda t: self.people.mask(c, t))
        colours = colour_path(light, moments, augment, light.random() < augment.grey)
        frames = np.stack([graded(frame, m) for frame, m in zip(frames, colours, strict=True)])
        return frames, np.where(masks > 127, np.uint8(255), np.uint8(0))
