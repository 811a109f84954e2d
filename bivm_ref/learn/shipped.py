"""The recipes of the shipped weights, stage by stage, and of what led there: data, read by tools/make_weights.py.

A stage begins with the file of another (`init`), and the first with random weights. The notes beside the kept files,
bivm_ref/weights/training/README.md, say how well each of them did. Step counts are what one or two shared CPU cores did
in an afternoon; more of them would do good. The refiner comes last. Here are those of `default`, the shipped network,
which grew out of `small`; `shipped_small.py` has that one's.
"""

from __future__ import annotations

from dataclasses import replace

from .mimic import Mimicking
from .shipped_small import BLENDS as SMALL_BLENDS
from .shipped_small import FILES as SMALL_FILES
from .shipped_small import FILMED, FILMED_WHOLE, MIXED
from .shipped_small import ODDS as SMALL_ODDS
from .shipped_small import RECIPES as SMALL
from .shipped_small import STARTED_FROM as SMALL_STARTED_FROM
from .train import Phase, Recipe

SIZES = (Phase(60, 180, 320, frames=2), Phase(30, 144, 256, frames=2), Phase(30, 216, 384, frames=2))


def _twin(seed: int, init: str, *phases: Phase, lr: float = 1.5e-3, decay: float = 0.7) -> Recipe:
    """A stage of the float twin."""
    return Recipe(arch="default", method="float", bf16=True, seed=seed, source="takes", lr=lr, decay=decay, init=init,
                  phases=phases)


def _student(seed: int, init: str, teacher: str, *phases: Phase, lr: float = 1.5e-3, decay: float = 1.0,
             weight: float = 1.0) -> Recipe:
    """A stage of the student. decay: 1 is a rate that falls from the first step on, 0.01 a constant one. weight: of
    the mimicking; 0 goes without."""
    return Recipe(arch="default", bf16=True, seed=seed, source="takes", lr=lr, decay=decay, init=init,
                  mimic=Mimicking(weight=weight) if weight else None, teacher=teacher if weight else None,
                  phases=phases)


def _at(steps: int, width: int, batch: int = 4, frames: int = 2) -> Phase:
    return Phase(steps, width * 9 // 16, width, batch=batch, frames=frames)


def _refiner(width: int, steps: int = 60, frames: int = 6) -> Phase:
    """Its frames are twice as large."""
    return Phase(steps, width * 9 // 16, width, batch=1, frames=frames, refine=True)


RECIPES = {
    **SMALL,
    # At the paper's scale: a twin grown out of the small one (see GROWN), and a student grown likewise.
    "default-float-1": _twin(171, "default-float-grown/model.pt", _at(1700, 256), decay=0.6),
    "default-1": _student(181, "default-grown/model.pt", "default-float-grown/model.pt", _at(4000, 256), decay=0.01),
    "default-2": _student(182, "default-1/checkpoint.pt", "default-float-mean-1/model.pt", _at(780, 256),
                          _refiner(256, 40, frames=2)),
    # That one was shipped for some hours on 30 November 2026. Meanwhile another, not shipped: better on both
    # photographs, worse on the 32 procedural clips and in empty rooms.
    "default-3": _student(183, "default-1/checkpoint.pt", "default-float-mean-1/model.pt", _at(580, 256),
                          _at(200, 256, batch=2, frames=4), _refiner(256, 40, frames=2)),
    # On from there: the twin, and meanwhile a student from the mean of those two, of which 1,700 steps were done; then
    # two stages of that student side by side, with the new twin's mean for a teacher.
    "default-float-2": _twin(191, "default-float-mean-1/model.pt", _at(2000, 256), lr=1.2e-3),
    "default-4": _student(192, "default-mean/model.pt", "default-float-mean-1/model.pt", _at(4000, 256), decay=0.01),
    "default-5": _student(193, "default-4/checkpoint.pt", "default-float-mean-2/model.pt", _at(1000, 256)),
    "default-6": _student(194, "default-4/checkpoint.pt", "default-float-mean-2/model.pt", _at(1000, 256)),
    # The mean of these two, with statistics of its own (see RECALIBRATED), whose refiner alone was trained here.
    "default-7": _student(195, "default-anew/model.pt", "default-float-mean-2/model.pt", _refiner(256, frames=2)),
    # Shipped for some hours of 30 November 2026, too. On from there, two at a constant rate, 700 steps each.
    "default-8": _student(201, "default-7/model.pt", "default-float-mean-2/model.pt", _at(4000, 256), decay=0.01),
    "default-9": _student(202, "default-7/model.pt", "default-float-mean-2/model.pt", _at(4000, 256), decay=0.01),
    # From their mean, again two side by side, at a falling rate; one of them ends on longer clips.
    "default-10": _student(203, "default-mean-3/model.pt", "default-float-mean-2/model.pt", _at(1000, 256)),
    "default-11": _student(204, "default-mean-3/model.pt", "default-float-mean-2/model.pt", _at(600, 256),
                           _at(400, 256, batch=2, frames=4)),
    # A mean of these, mostly of the first, and a short finish from there, side by side again.
    "default-12": _student(205, "default-mean-4/model.pt", "default-float-mean-2/model.pt", _at(320, 256), lr=1e-3),
    "default-13": _student(206, "default-mean-4/model.pt", "default-float-mean-2/model.pt", _at(320, 256), lr=1e-3),
    # Their mean, with statistics of its own, whose refiner alone was trained here, on six frames of 512x288 at a time.
    "default-14": _student(207, "default-anew-2/model.pt", "default-float-mean-2/model.pt", _refiner(256)),
    # Shipped for some hours, too. On from there, side by side; stopped at step 400, at 0.6 of their first rate.
    "default-15": _student(211, "default-14/model.pt", "default-float-mean-2/model.pt", _at(1050, 256)),
    "default-16": _student(212, "default-14/model.pt", "default-float-mean-2/model.pt", _at(1050, 256)),
    # From their mean, side by side again, on larger frames.
    "default-17": _student(213, "default-mean-6/model.pt", "default-float-mean-2/model.pt", _at(800, 320), lr=1.2e-3),
    "default-18": _student(214, "default-mean-6/model.pt", "default-float-mean-2/model.pt", _at(800, 320), lr=1.2e-3),
    # Half of these, half of `default-14`, and a short finish from there, side by side.
    "default-19": _student(216, "default-mean-8/model.pt", "default-float-mean-2/model.pt", _at(200, 320), lr=8e-4),
    "default-20": _student(217, "default-mean-8/model.pt", "default-float-mean-2/model.pt", _at(200, 320), lr=8e-4),
    # Half of these, half of `default-14` once more; the refiner alone is trained here, on six frames of 640x360.
    "default-21": _student(215, "default-mean-10/model.pt", "default-float-mean-2/model.pt", _refiner(320)),
    # That one was shipped, too. On from there at sizes in turn: the twin, and meanwhile a student at a constant rate,
    # of which 700 steps were done.
    "default-float-3": _twin(221, "default-float-2/model.pt", *SIZES * 6),
    "default-22": _student(222, "default-21/model.pt", "default-float-mean-2/model.pt", *SIZES * 20, decay=0.01),
    # From there two side by side at a falling rate, with the new twin for a teacher.
    "default-23": _student(223, "default-22/checkpoint.pt", "default-float-mean-3/model.pt", *SIZES * 5,
                           _at(120, 320)),
    "default-24": _student(224, "default-22/checkpoint.pt", "default-float-mean-3/model.pt", *SIZES * 5,
                           _at(120, 320)),
    # Half of these, half of `default-14` again; the refiner alone was trained here, on six frames of 640x360.
    "default-25": _student(225, "default-mean-13/model.pt", "default-float-mean-3/model.pt", _refiner(320)),
    # That one was shipped, too. On from there: the twin, and a student at a constant rate, of which 200 steps were
    # done; from there three that differ in nothing but the weight of the mimicking.
    "default-float-6": _twin(226, "default-float-3/model.pt", *SIZES * 10, decay=1.0),
    "default-26": _student(227, "default-mean-11/model.pt", "default-float-mean-3/model.pt", *SIZES * 20, decay=0.01),
    **{f"default-{number}": _student(228, "default-26/checkpoint.pt", "default-float-mean-3/model.pt", *SIZES * 2,
                                     weight=weight)
       for number, weight in ((27, 0), (28, 1), (29, 3))},
    # From the last of them two side by side, with the new twin for a teacher and more weight on what it says.
    "default-30": _student(229, "default-29/checkpoint.pt", "default-float-6/model.pt", *SIZES * 7, _at(120, 320),
                           weight=3),
    "default-31": _student(230, "default-29/checkpoint.pt", "default-float-6/model.pt", *SIZES * 7, _at(120, 320),
                           weight=10),
    # From their mean a short finish, side by side, that led nowhere.
    **{name: _student(seed, "default-mean-14/model.pt", "default-float-6/model.pt", _at(120, 320), lr=5e-4, weight=3)
       for name, seed in (("default-32", 231), ("default-33", 232))},
    # A mean of the two before and what was shipped, with statistics of its own, whose refiner alone was trained here.
    "default-34": _student(233, "default-anew-5/model.pt", "default-float-6/model.pt", _refiner(320), weight=3),
    # That one was shipped, too. From the mean of `default-30` and `default-31` on: 200 steps at a constant rate, a long
    # stage at a falling one, and beside it, from its file of step 900, a short one that saw other clips.
    "default-35": _student(235, "default-mean-14/model.pt", "default-float-6/model.pt", *SIZES * 20, decay=0.01,
                           weight=5),
    "default-36": _student(236, "default-35/checkpoint.pt", "default-float-6/model.pt", *SIZES * 11, _at(120, 320),
                           weight=3),
    "default-37": _student(239, "default-36/checkpoint.pt", "default-float-6/model.pt", *SIZES * 3, _at(60, 320),
                           lr=1e-3, weight=5),
    # The twin, 200 steps and then with more photographs: no better a teacher.
    "default-float-4": _twin(234, "default-float-6/model.pt", *SIZES * 10, decay=1.0),
    "default-float-5": _twin(238, "default-float-4/checkpoint.pt", *SIZES * 9, decay=1.0),
    # A mean of the two students and of what was shipped twice before, whose refiner alone was trained here.
    "default-38": _student(240, "default-mean-17/model.pt", "default-float-6/model.pt", _refiner(320), weight=3),
    # That one was shipped, too. On from there with a thousand more rendered people: the twin, then two students of a
    # mean of it and of the one before (see BLENDS).
    "default-float-7": _twin(241, "default-float-6/model.pt", *SIZES * 10, decay=1.0),
    "default-39": _student(242, "default-38/model.pt", "default-float/model.pt", *SIZES * 2, weight=4),
    "default-40": _student(243, "default-38/model.pt", "default-float/model.pt", *SIZES * 2, weight=4),
    # A mean of the two and of what they began with, whose refiner alone is trained here.
    "default": _student(244, "default-mean-18/model.pt", "default-float/model.pt", _refiner(320), weight=3),
}
# Means of networks that have a start in common, by the share of each (see weights/training/README.md).
BLENDS = {**SMALL_BLENDS,
          "default-float-mean-1": {"default-float-1": 0.7, "default-float-grown": 0.3},
          "default-mean": {"default-2": 0.5, "default-3": 0.5},
          "default-float-mean-2": {"default-float-2": 0.7, "default-float-mean-1": 0.3},
          "default-float-mean-3": {"default-float-3": 0.7, "default-float-2": 0.3},
          "default-float": {"default-float-7": 0.6, "default-float-6": 0.4},
          "default-mean-2": {"default-5": 0.5, "default-6": 0.5},
          "default-mean-3": {"default-8": 0.5, "default-9": 0.5},
          "default-mean-4": {"default-10": 0.75, "default-11": 0.25},
          "default-mean-5": {"default-12": 0.5, "default-13": 0.5},
          "default-mean-6": {"default-15": 0.5, "default-16": 0.5},
          "default-mean-7": {"default-17": 0.5, "default-18": 0.5},
          "default-mean-8": {"default-17": 0.25, "default-18": 0.25, "default-14": 0.5},
          "default-mean-9": {"default-19": 0.5, "default-20": 0.5},
          "default-mean-10": {"default-19": 0.25, "default-20": 0.25, "default-14": 0.5},
          "default-mean-11": {"default-23": 0.5, "default-24": 0.5},
          "default-mean-12": {"default-23": 0.25, "default-24": 0.25, "default-21": 0.5},
          "default-mean-13": {"default-23": 0.25, "default-24": 0.25, "default-14": 0.5},
          "default-mean-14": {"default-30": 0.5, "default-31": 0.5},
          "default-mean-15": {"default-32": 0.5, "default-33": 0.5},
          "default-mean-16": {"default-30": 0.45, "default-31": 0.35, "default-25": 0.2},
          "default-mean-17": {"default-36": 0.35, "default-37": 0.35, "default-14": 0.15, "default-34": 0.15},
          "default-mean-18": {"default-39": 0.25, "default-40": 0.25, "default-38": 0.5}}
# Networks that begin as a smaller one (`grow`): the smaller one, and their architecture.
GROWN = {"default-float-grown": ("small-float-whole-mean", "default"), "default-grown": ("small", "default")}
# Networks whose batch norms' statistics are taken anew (`recalibrate.py`), and the stage or mean they are.
RECALIBRATED = {"default-anew": "default-mean-2", "default-anew-2": "default-mean-5",
                "default-anew-3": "default-mean-7", "default-anew-4": "default-mean-9",
                "default-anew-5": "default-mean-16"}
FURTHER_AWAY = replace(FILMED_WHOLE, hung=0.4, nearest=0.75)
ODDS = {**SMALL_ODDS,
        **dict.fromkeys(("default-float-1", "default-1", "default-2", "default-4", "default-anew", "default-anew-2",
                         "default-anew-3", "default-anew-4", "default-anew-5"),
                        FILMED_WHOLE),
        "default-3": replace(FILMED_WHOLE, procedural=0.6),
        "default-float-2": replace(FILMED_WHOLE, hung=0.5),
        **dict.fromkeys(("default-5", "default-7", "default-14", "default-21", "default-25", "default-34",
                         "default-38", "default"), FURTHER_AWAY),
        **dict.fromkeys(("default-6", "default-8"), replace(FURTHER_AWAY, procedural=0.4)),
        **dict.fromkeys(("default-9", "default-16", "default-18", "default-20"),
                        replace(FURTHER_AWAY, procedural=0.3, painted=0.3)),
        **dict.fromkeys(("default-10", "default-12", "default-13", "default-15", "default-17", "default-19",
                         "default-23"),
                        replace(FURTHER_AWAY, procedural=0.4, painted=0.3)),
        "default-11": replace(FURTHER_AWAY, procedural=0.3, painted=0.2),
        **dict.fromkeys(("default-float-3", "default-float-4", "default-float-6", "default-float-7", "default-22",
                         "default-24", "default-26", "default-27", "default-28", "default-29", "default-30",
                         "default-31", "default-32", "default-33"),
                        replace(FURTHER_AWAY, procedural=0.3, painted=0.3, nearest=0.5)),
        "default-35": replace(FURTHER_AWAY, procedural=0.45, painted=0.4, nearest=0.5),
        **dict.fromkeys(("default-36", "default-37", "default-39", "default-40"),
                        replace(FURTHER_AWAY, procedural=0.5, painted=0.3, nearest=0.5)),
        "default-float-5": replace(FURTHER_AWAY, procedural=0.4, painted=0.3, nearest=0.5, whole=0.5)}
STARTED_FROM = {
    **SMALL_STARTED_FROM,
    "default": "0.25 each of `default-39` and `default-40` (240 steps each at 320x180, 256x144 and 384x216 in turn, "
               "0.20 h, seeds 242 and 243, the mimicking weighed 4) and 0.5 of what both began with, `default-38`, "
               "shipped before, which had come in 2,060 steps from the mean of `default-30` and `default-31`. Half "
               "of the figures were procedural, of the backdrops 30 % painted; the odds above are the refiner's, as "
               "is the phase below. Their teacher is `default-float`, 0.6 of `default-float-7` (1,200 steps at these "
               "sizes in turn, 0.76 h, seed 241) and 0.4 of the twin before. What each stage did: "
               "weights/training/README.md",
}
# What the names of a run's files do not tell.
FILES = {
    **SMALL_FILES,
    "default": "of the people 1,180 are rendered ones (CC0, seeds 60-180, 5000-5830 and 6000-6230 but for three that "
               "were not finished; of the stages until `default-38` 396, seeds 60-180, 2000-2063, 3000-3052, "
               "3100-3242, 4000-4014, twice each), 610 are cut-outs of photographs that come with web templates, 595 "
               "of which are filmed whole, too (`tools/photographs.py templates`), 27 nine of four more (`four`), "
               "three times each; nobody is near on the photos; the scenes are rendered (seeds 10-89; of the stages "
               "from `default-10` to `default-38` also 1000-1122 and, outdoors, 2000-2110; "
               "weights/training/README.md)",
}

__all__ = ["BLENDS", "FILES", "FILMED", "GROWN", "MIXED", "ODDS", "RECALIBRATED", "RECIPES", "STARTED_FROM"]
