"""Takes: training clips that look as if a webcam or a phone had filmed them. First a plan, then its rendering.

`plan` decides from the seed alone what will happen: who is in it and how near, before which scene, what stands in
front, whether somebody comes or goes, nobody is there, the picture is cut or pauses, and which camera films it.
`Takes.clip` renders the plan: people and backdrop (`staging`), then the camera (`camera`). It is a source of clips
like `clips.ClipMix`, with more of what real footage has in it, and nobody at all in some clips.

NumPy, Pillow and PyAV. Deterministic in the seed and the files. Our recipe.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from itertools import zip_longest
from pathlib import Path as FilePath

import numpy as np

from . import camera, clips, cloth, filmed, staging
from .clips import HELD_OUT, Clip, composite, straighten
from .errors import UserError
from .figures import Figure
from .hats import Hat, hatted
from .motion import MovingStill, Path, extent
from .shelf import Shelf, drawable, drawable_clips

KINDS = {"single": 0.38, "close": 0.25, "several": 0.17, "passing": 0.14, "nobody": 0.06}  # odds of what is seen
CUT, PAUSE, OCCLUDED = 0.08, 0.15, 0.2  # odds of a cut or a pause in a clip, of a thing in front in a shot
AWAY = 0.12  # odds that a procedural figure turns its back
THINGS = {"edge": 0.4, "bar": 0.25, "polygon": 0.2, "blob": 0.15}  # odds of what it is: see `staging.thing_in_front`


@dataclass(frozen=True)
class Odds:
    """How often takes use what is not simply a file of theirs."""

    procedural: float = 0.6  # a procedural figure instead of a still
    painted: float = 0.65  # a painted backdrop instead of a file
    moving: float = 0.5  # a rendered clip of somebody instead of a still, where there are clips
    dressed: float = 0.5  # a person in other clothes, see `cloth`
    hung: float = 0.3  # cloth that nobody wears in the backdrop
    hatted: float = 0.2  # a person with a hat on, see `hats`
    gathered: float = 0.6  # what hangs falls in deep folds
    whole: float = 0.3  # a whole photograph of people instead of all this, where there are such
    nearest: float = filmed.NEAREST  # no chance: how near one goes to those


Place = tuple[str, int]  # "painted", "scene" or "photo", and the file's number


@dataclass(frozen=True)
class Shot:
    """What one camera position sees."""

    kind: str  # of `KINDS`
    people: tuple[int, ...]  # numbers of stills, and from there on of clips; -1: a procedural figure
    place: Place
    thing: str  # what is in front, of `THINGS`, or ""
    thing_from: Place  # what it is cut from
    share: float  # close: the head's height as a share of the frame's
    when: float  # passing: when, as a share of the shot
    harmony: float  # how far the figure's colours go towards the background's
    relit: bool  # light from one side
    far: float  # defocus of the backdrop, pixels of a frame 144 high
    near: float  # defocus of the people, likewise
    dressed: tuple[bool, ...] = ()  # who wears other clothes than on the still, in the order of `people`
    hung: bool = False  # whether cloth hangs in the backdrop
    hatted: tuple[bool, ...] = ()  # who wears a hat, likewise
    whole: int = -1  # number of the whole photograph that is filmed instead of people and place; -1: none


@dataclass(frozen=True)
class Plan:
    """All that will happen in a clip."""

    seed: int
    shots: tuple[Shot, ...]  # one, or two with a cut between them
    cut: int  # frame with which the second shot begins; the number of frames if there is none
    moments: tuple[float, ...]  # when each frame is taken, in units of motion (1/30 s); equal ones are a pause
    shutter: float  # how long it is open, likewise
    look: camera.Look


def plan(seed: int, frames: int, people: int = 0, scenes: int = 0, photos: int = 0, moving: int = 0,
         whole: int = 0, odds: Odds | None = None) -> Plan:
    """What will happen in clip `seed` of so many frames, given so many files of each kind. Deterministic."""
    odds = odds or Odds()
    rng = np.random.default_rng([seed, 5])
    cut = int(rng.integers(1, frames)) if frames > 1 and rng.random() < CUT else frames
    step = float(rng.choice([1.0, 1.5, 2.0, 3.0], p=[0.5, 0.2, 0.2, 0.1]))
    steps = np.full(frames, step)
    steps[0] = 0
    if frames > 1 and rng.random() < PAUSE:
        begin = int(rng.integers(1, frames))
        steps[begin : begin + int(rng.integers(1, frames))] = 0
    shots = tuple(_shot(rng, people, scenes, photos, moving, whole, odds) for _ in range(1 + (cut < frames)))
    return Plan(seed, shots, cut, tuple(float(m) for m in np.cumsum(steps)), float(rng.uniform(0.3, 0.95)),
                camera.draw(rng))


def _shot(rng: np.random.Generator, people: int, scenes: int, photos: int, moving: int, whole: int,
          odds: Odds) -> Shot:
    kind = str(rng.choice(list(KINDS), p=list(KINDS.values())))
    count = {"nobody": 0, "several": int(rng.choice([2, 3], p=[0.7, 0.3]))}.get(kind, 1)
    chosen = list(rng.choice(people, min(count, people), replace=False)) if people else []
    chosen += [-1] * (count - len(chosen))
    who = tuple(-1 if rng.random() < odds.procedural else int(n) for n in chosen)
    if moving:
        who = tuple(people + int(rng.integers(moving)) if n >= 0 and rng.random() < odds.moving else n for n in who)
    hatter, filmer = rng.spawn(2)  # of their own, so that all else is as it was before there were such
    place, other = (_place(rng, scenes, photos, odds.painted) for _ in range(2))
    thing = str(rng.choice(list(THINGS), p=list(THINGS.values()))) if rng.random() < OCCLUDED else ""
    return Shot(kind, who, place, thing, other, share=float(rng.uniform(0.45, 0.95)), when=float(rng.random()),
                harmony=float(rng.uniform(0.1, 0.6) * (rng.random() < 0.6)), relit=bool(rng.random() < 0.3),
                far=float(rng.uniform(0.3, 3.0) * (rng.random() < 0.5)),
                near=float(rng.uniform(0.4, 1.4) * (rng.random() < 0.12)),
                dressed=tuple(bool(rng.random() < odds.dressed) for _ in who), hung=bool(rng.random() < odds.hung),
                hatted=tuple(bool(hatter.random() < odds.hatted) for _ in who),
                whole=int(filmer.integers(whole)) if whole and filmer.random() < odds.whole else -1)


def _place(rng: np.random.Generator, scenes: int, photos: int, odds: float) -> Place:
    """A painted backdrop (odds) or a file; where there are scenes and photographs, as often the one as the other."""
    kinds = [(name, n) for name, n in (("scene", scenes), ("photo", photos)) if n]
    painted, which, number = rng.random() < odds, rng.random(), rng.random()
    if painted or not kinds:
        return "painted", 0
    name, n = kinds[int(which * len(kinds))]
    return name, int(number * n)


class Takes(Shelf):
    """A seeded source of training clips: `takes.clip(seed, frames, height, width)`.

    people: a folder of RGBA stills (PNG or WebP); scenes, photos: folders of opaque backgrounds, rendered and
    photographed; moving: one of rendered clips, see `shelf.drawable_clips`, for which `people` is needed, too; whole:
    one of whole photographs of people, RGBA: colours as taken, people and what is behind them, alpha the people's.
    None leaves that source out, so `Takes()` is fully procedural. Photographs are printed on clothes, too (`cloth`).
    Held-out files are never drawn: see `shelf.drawable`. A file that cannot be read is left out (see `shelf.Shelf`).
    Raises UserError if a folder is missing or holds nothing to draw; `clip` does when over 1 % cannot be read.
    """

    def __init__(self, people: str | FilePath | None = None, scenes: str | FilePath | None = None,
                 photos: str | FilePath | None = None, first_seed: int = 60, first_scene: int = 10,
                 moving: str | FilePath | None = None, odds: Odds | None = None,
                 whole: str | FilePath | None = None) -> None:
        self.odds = odds or Odds()
        super().__init__(
            people=drawable(people, "h", first_seed) if people is not None else [],
            scene=drawable(scenes, "b", first_scene) if scenes is not None else [],
            photo=drawable(photos, "b", first_scene) if photos is not None else [],
            moving=drawable_clips(moving, first_seed) if moving is not None else [],
            whole=drawable(whole, "h", first_seed) if whole is not None else [],
        )

    def account(self) -> dict:
        """As of every `Shelf`, and the odds."""
        return {**super().account(), "odds": asdict(self.odds)}

    def plan(self, seed: int, frames: int) -> Plan:
        """What `clip` will show."""
        return plan(seed, frames, *(len(files) for files in self.files.values()), odds=self.odds)

    def clip(self, seed: int, frames: int, height: int, width: int, filmed: bool = True) -> Clip:
        """One clip, the same for the same arguments and files. filmed=False leaves the camera's light and damage out.

        Raises UserError for a seed in `HELD_OUT`, and when over 1 % of a folder's files cannot be read.
        """
        if seed in HELD_OUT:
            raise UserError(f"seed {seed}: held out for validation; choose one below {HELD_OUT.start:,}")
        made = self.plan(seed, frames)
        parts, names = [], []
        for k, shot in enumerate(made.shots):
            moments = made.moments[: made.cut] if k == 0 else made.moments[made.cut :]
            *part, name = self._staged(made, shot, np.random.default_rng([seed, 6, k]), moments, height, width)
            parts.append(part)
            names.append(name)
        foreground, alpha, background = (np.concatenate(planes) for planes in zip(*parts, strict=True))
        rng = np.random.default_rng([seed, 7])
        if filmed:
            foreground, background = camera.develop(made.look, rng, made.moments, foreground, background)
        result = composite(foreground, alpha, background)
        if filmed:
            result = camera.damage(made.look, rng, result)
        return Clip("|".join(names) + f"-{seed}", result, alpha, foreground, background)

    def _staged(self, made: Plan, shot: Shot, rng: np.random.Generator, moments: tuple[float, ...], height: int,
                width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, str]:
        """One shot before the camera: foreground (T, H, W, 3) uint8, alpha (T, H, W), background, and its name."""
        side = max(512, 2 ** int(np.ceil(np.log2(1.5 * max(height, width)))))  # decode no larger than needed
        shake = [Path(rng, made.look.shake * height, 0.02, 0.12) for _ in range(2)]
        if shot.whole >= 0:
            foreground, alpha, name = self._filmed(shot, rng, moments, shake, height, width, 2 * side)
            return *self._obstructed(shot, rng, moments, shake, foreground, alpha, foreground.copy(), side), name
        image, place = self._image(shot.place, side)
        hang = None
        if shot.hung:
            hang = partial(cloth.hung, rng, photo=self._print(rng, side), gathered=self.odds.gathered)
        behind = staging.backdrop(rng, height, width, image, shake, shot.far * height / 144, hang)
        background = np.stack([behind.view(t) for t in moments])
        cast = []
        for number, dressed, hat in zip_longest(shot.people, shot.dressed, shot.hatted, fillvalue=False):
            actor, name = self._actor(shot, number, dressed, hat, rng, height, width, side)
            if shot.kind == "passing":
                staging.pass_by(actor, rng, moments[0] + shot.when * (moments[-1] - moments[0]))
            staging.shaken(actor, shake)
            cast.append((actor, name))
        cast.sort(key=lambda one: staging.head_height(one[0]))  # back to front
        actors, names = [actor for actor, _ in cast], [name for _, name in cast]
        tints = [staging.tint(rng) for _ in actors]
        layers = staging.photographed(actors, tints, moments, made.shutter, height, width)
        if actors:
            if shot.harmony:
                affine = staging.harmony(layers, background, shot.harmony)
                layers = np.stack([staging.recoloured(layer, affine) for layer in layers])
            if shot.relit:
                layers = staging.relit(layers, rng)
            if shot.near:
                layers = staging.defocused(layers, shot.near * height / 144)
        planes = self._obstructed(shot, rng, moments, shake, *straighten(layers), background, side)
        return *planes, "+".join([shot.kind, *names, place])

    def _obstructed(self, shot: Shot, rng: np.random.Generator, moments: tuple[float, ...], shake: list[Path],
                    foreground: np.ndarray, alpha: np.ndarray, background: np.ndarray, side: int
                    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Foreground, alpha and background with what the shot has in front, if anything."""
        if shot.thing:
            image, _ = self._image(shot.thing_from, side)
            thing = staging.thing_in_front(rng, *alpha.shape[1:], shot.thing, image, shake)
            for t, moment in enumerate(moments):
                alpha[t], background[t] = staging.occluded(alpha[t], background[t], thing.view(moment))
        return foreground, alpha, background

    def _filmed(self, shot: Shot, rng: np.random.Generator, moments: tuple[float, ...], shake: list[Path], height: int,
                width: int, side: int) -> tuple[np.ndarray, np.ndarray, str]:
        """A whole photograph filmed: frames (T, H, W, 3) uint8, which are foreground and background in one, alpha."""
        picture, name = self.read("whole", shot.whole, side, "RGB+A")
        window = filmed.FilmedPhotograph(picture, rng, height, width, shake, self.odds.nearest)
        frames, alphas = zip(*(window.view(t) for t in moments), strict=True)
        return np.stack(frames), np.stack(alphas), "whole+" + name

    def _actor(self, shot: Shot, number: int, dressed: bool, hat: bool, rng: np.random.Generator, height: int,
               width: int, side: int) -> tuple[Figure | MovingStill, str]:
        """Somebody for the shot: a procedural figure (-1) or still `number`, perhaps dressed anew, and its name."""
        close = shot.kind == "close"
        if number < 0:
            if close:
                figure = staging.figure_close_up(rng, height, width, shot.share)
            else:
                figure = Figure(rng, height, width, bool(rng.random() < clips.WILD))
            if rng.random() < AWAY:
                figure.yaw += np.pi
            if hat:
                figure.wear(Hat(rng.spawn(1)[0]))
            return figure, "figure" + "h" * hat
        stills = len(self.files["people"])
        if number < stills:
            still, name = self.read("people", number, side, "RGBA")
            poses = still[None]
        else:
            poses, name = self.read("moving", number - stills, side, "RGBA")
        if dressed:
            tailor = rng.spawn(1)[0]  # of its own, so that who is dressed anew moves as before
            printed, seed = self._print(tailor, side), int(tailor.integers(2**32))
            head = staging.head_of(extent(poses)[..., 3])
            poses = np.stack([cloth.dressed(pose, np.random.default_rng(seed), head, printed) for pose in poses])
            name += "d"
        if hat:
            worn = Hat(rng.spawn(1)[0])  # in one place, so that it does not jump to a hand that is raised in one pose
            place = tuple(np.median([staging.head_of(pose[..., 3]) for pose in poses], axis=0).tolist())
            poses = np.stack([hatted(pose, worn, place) for pose in poses])
            name += "h"
        still = extent(poses)
        actor = (staging.CloseUp(still, rng, height, width, shot.share) if close
                 else MovingStill(still, rng, height, width))
        if len(poses) > 1:
            actor.act(poses, int(rng.integers(len(poses))), float(rng.uniform(0.3, 1)))
        return actor, name

    def _print(self, rng: np.random.Generator, side: int) -> np.ndarray | None:
        """A photograph that cloth may be printed with, or None where there is none."""
        files, number = self.files["photo"], rng.random()
        return self.read("photo", int(number * len(files)), side, "RGB")[0] if files else None

    def _image(self, place: Place, side: int) -> tuple[np.ndarray | None, str]:
        """The backdrop of a place, (h, w, 3) uint8, or None if it is to be painted, and what it is called."""
        kind, number = place
        return (None, "painted") if kind == "painted" else self.read(kind, number, side, "RGB")
