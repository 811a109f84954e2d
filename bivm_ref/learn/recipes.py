"""The four stages in which RVM, and BiMatting after it, are trained on the field's data sets: `bivm-ref train --stage`.

A stage says which sets, how large, how long, how often and how fast; `open_stage` finds the sets below one folder,
checks them and makes the phases and data sets that training takes. Below that folder, by how their names begin
(capitals do not matter; each set may have a `train` of its own):

    VideoMatte…   ImageMatte…   Backgrounds… (images)   BackgroundVideos… (clips)   COCO…   YouTubeVIS…

Sources: sets, epochs, T = 15 and 6, 512 and 2048 pixels and the rates of stages 1 to 3 are those of RVM's release.
T = 50 and 40, the lower bounds of the sizes, the batch of 4 and stage 4's rate for the decoder are quoted from memory
of RVM's paper: check them before you cite them. That network and refiner follow each other, instead of taking turns
within every step, is our reading for one plain loop.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from pathlib import Path

from bivm_ref.errors import UserError
from bivm_ref.learn.augment import Augment
from bivm_ref.learn.datasets import Phase
from bivm_ref.learn.folders import ImageSet, background_clips, background_images, image_mattes, video_mattes
from bivm_ref.learn.footage import FolderClips, stretches
from bivm_ref.learn.segmentation import People, SegmentationClips, coco_people, youtube_people

# What a set is called in a stage → how its folder's name begins, and who reads it.
SETS = {
    "VideoMatte240K": ("videomatte", video_mattes),
    "ImageMatte": ("imagematte", image_mattes),
    "Backgrounds": ("backgrounds", background_images),
    "BackgroundVideos": ("backgroundvideos", background_clips),
    "COCO": ("coco", coco_people),
    "YouTubeVIS": ("youtubevis", youtube_people),
}


@dataclass(frozen=True)
class Rates:
    """Adam's learning rates by part of the network; 0 leaves a part as it is."""

    backbone: float
    neck: float
    decoder: float
    refiner: float = 0.0


@dataclass(frozen=True)
class Footage:
    """Matting batches: clips of T frames whose height and width are drawn from `smallest` to `largest` pixels."""

    smallest: int
    largest: int
    frames: int


@dataclass(frozen=True)
class Stage:
    """One of the four: all that decides it."""

    number: int
    what: str  # in a few words
    mattes: str  # the name of a set, as in `SETS`
    low: Footage  # for the network without its refiner
    high: Footage | None  # for the refiner, on top of it
    rates: Rates
    epochs: int
    batch: int = 4  # clips per step, over all processes together
    backgrounds: tuple[str, ...] = ("Backgrounds", "BackgroundVideos")
    segmentation: tuple[str, ...] = ("COCO", "YouTubeVIS")  # a batch of these between two matting batches, in turn

    def at(self, lr: float) -> Stage:
        """The same stage with its highest rate at `lr` and the others in proportion."""
        highest = max(vars(self.rates).values())
        return replace(self, rates=Rates(**{part: lr * rate / highest for part, rate in vars(self.rates).items()}))


LOW, HIGH = (256, 512), (1024, 2048)
STAGES = (
    Stage(1, "the network, on short clips", "VideoMatte240K", Footage(*LOW, 15), None,
          Rates(1e-4, 2e-4, 2e-4), 20),
    Stage(2, "long clips, for its memory", "VideoMatte240K", Footage(*LOW, 50), None,
          Rates(5e-5, 1e-4, 1e-4), 2),
    Stage(3, "high resolution: the refiner", "VideoMatte240K", Footage(*LOW, 40), Footage(*HIGH, 6),
          Rates(1e-5, 1e-5, 1e-5, 2e-4), 1),
    Stage(4, "stills with finer alphas, set in motion", "ImageMatte", Footage(*LOW, 40), Footage(*HIGH, 6),
          Rates(1e-5, 1e-5, 5e-5, 2e-4), 5),
)


def stage(number: int) -> Stage:
    """Stage 1 to 4. Raises UserError for any other number."""
    for one in STAGES:
        if one.number == number:
            return one
    raise UserError(f"--stage {number}: there are four; choose 1, 2, 3 or 4")


def describe(one: Stage) -> str:
    """What a stage is, in a few lines to print."""
    def size(footage: Footage) -> str:
        return f"{footage.smallest} to {footage.largest} px, T = {footage.frames}"

    rates = ", ".join(f"{part} {rate:g}" for part, rate in vars(one.rates).items() if rate)
    lines = [
        f"stage {one.number}: {one.what}",
        f"  mattes        {one.mattes}, over {' and '.join(one.backgrounds)}",
        f"  clips         {size(one.low)}" + (f"; refiner {size(one.high)}" if one.high else ""),
        f"  batch, epochs {one.batch}, {one.epochs}",
        f"  rates (Adam)  {rates}",
        f"  in between    a batch of segmentation: {' and '.join(one.segmentation) or 'none'} in turn",
    ]
    return "\n".join(lines)


@dataclass(frozen=True)
class StageData:
    """The sets of a stage, opened and checked."""

    stage: Stage
    mattes: ImageSet
    backgrounds: list[ImageSet]
    people: list[People] = field(default_factory=list)
    missing: tuple[str, ...] = ()  # sets that the stage names and the folder lacks, of those it can do without

    def phases(self) -> tuple[Phase, ...]:
        """What to train, one after the other: the network, then (stages 3 and 4) the refiner.

        Every epoch shows each stretch of T frames once. A phase's size is the largest, and the refiner's is half of
        its frames', as everywhere (see `Phase`).
        """
        one, parts = self.stage, []
        for footage, refine in ((one.low, False), (one.high, True)):
            if footage is not None:
                shown = one.epochs * len(stretches(self.mattes, footage.frames))
                side = footage.largest // 2 if refine else footage.largest
                parts.append(Phase(math.ceil(shown / one.batch), side, side, one.batch, footage.frames, refine))
        return tuple(parts)

    def counts(self) -> tuple[tuple[str, int, int], ...]:
        """(set, clips, frames) of all that was found sound: part of what decides a run."""
        one = self.stage
        names = [name for name in (one.mattes, *one.backgrounds, *one.segmentation) if name not in self.missing]
        return tuple((name, len(images.clips), int(images.first[-1]))
                     for name, images in zip(names, self.sets(), strict=True))

    def clips(self, phase: Phase, first: int, seed: int, augment: Augment | None = None) -> FolderClips:
        """The clips of a phase from number `first` on, in the place of `MixedClips(phase, first, seed, …)`."""
        footage = self.stage.high if phase.refine else self.stage.low
        return FolderClips(phase, first, seed, self.mattes, self.backgrounds, augment, footage.smallest)

    def segmentation(self, phase: Phase, seed: int, augment: Augment | None = None) -> list[SegmentationClips]:
        """Segmentation batches of the same number of frames: COCO as batch · T single images, YouTube-VIS as clips.

        One data set each, of as many batches as the phase has steps (`Feed` takes from them in turn). Empty where the
        sets are missing or the refiner is trained, which has no say in segmentation.
        """
        if phase.refine:
            return []
        result = []
        for people in self.people:
            single = max(map(len, people.images.clips)) == 1
            batch, frames = (phase.batch * phase.frames, 1) if single else (phase.batch, phase.frames)
            part = Phase(phase.steps, phase.height, phase.width, batch, frames)
            result.append(SegmentationClips(part, 0, seed, people, augment, self.stage.low.smallest))
        return result

    def sets(self) -> list[ImageSet]:
        return [self.mattes, *self.backgrounds, *(people.images for people in self.people)]

    def summary(self) -> str:
        """A line per set: clips, frames, and what was left out and why. To print before training and after it."""
        lines = [images.summary() for images in self.sets()]
        return "\n".join([*lines, *(f"{name}: not there; done without" for name in self.missing)])


def open_stage(one: Stage, root: str | Path, check: bool = True, progress: bool = False) -> StageData:
    """Find the sets of a stage below `root`, look at every file (check, see `video_mattes`) and count what is wrong.

    One kind of background is enough, and segmentation may be missing; `summary()` says so. Raises UserError when the
    mattes or all backgrounds are missing, a set is there twice, or over 1 % of a set is faulty.
    """
    root = Path(root)
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; give the one that holds {', '.join(SETS)}")
    found, missing = {}, []
    for name in (one.mattes, *one.backgrounds, *one.segmentation):
        folder = find_set(root, name)
        if folder is None:
            missing.append(name)
        else:
            found[name] = folder
    if one.mattes in missing or not any(name in found for name in one.backgrounds):
        wanted = one.mattes if one.mattes in missing else " or ".join(one.backgrounds)
        raise UserError(f"{root}: holds no {wanted}, which stage {one.number} needs; unpack it there, in a folder of "
                        "that name")
    opened = {name: SETS[name][1](folder, check, progress) for name, folder in found.items()}
    return StageData(one, opened[one.mattes], [opened[name] for name in one.backgrounds if name in opened],
                     [opened[name] for name in one.segmentation if name in opened], tuple(missing))


def find_set(root: Path, name: str) -> Path | None:
    """The folder in `root` whose name begins like the set's; None if there is none, UserError if there are several."""
    begins = SETS[name][0]
    found = sorted(folder for folder in root.iterdir() if folder.is_dir()
                   and folder.name.lower().replace("_", "").replace("-", "").startswith(begins))
    if len(found) > 1:
        raise UserError(f"{found[1]}: a second {name}, beside {found[0].name}; move one of them away")
    return found[0] if found else None
