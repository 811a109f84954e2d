"""The recipes of `small` and its float twin, stage by stage: data, read with the rest by `shipped.py`."""

from __future__ import annotations

from dataclasses import replace

from bivm_ref.takes import Odds

from .mimic import Mimicking
from .train import Phase, Recipe

# Of runs that kept no account of what they drew.
MIXED = ("procedural figures (65-85 %) and CC0 rendered people (121 stills, seeds 60-180), over textures "
         "and 80 rendered scenes (seeds 10-89), a quarter of the clips wild; no photograph of a person")
FILMED = ("takes (`bivm_ref/takes.py`) of procedural figures (80 %) and CC0 rendered people (166 stills, seeds "
          "60-180 and 1000-1044, half of them in other clothes, and 22 clips of five frames, seeds 1000-1021), over "
          "textures and 80 rendered scenes (seeds 10-89); no photograph at all")
REFINE = Phase(120, 144, 256, batch=1, frames=2, refine=True)
RECIPES = {
    "small-float": Recipe(arch="small", method="float", bf16=True, seed=71, mix=(0.7, 0.3), decay=0.6,
                          phases=(Phase(1100, 96, 160), Phase(220, 144, 256), Phase(2000, 144, 256, frames=2))),
    # Shipped until 29 November 2026, without a teacher.
    "small-mix": Recipe(arch="small", bf16=True, seed=21, mix=(0.75, 0.25), decay=0.4, init="small-float/model.pt",
                        phases=(Phase(1900, 96, 160), Phase(4200, 144, 256, frames=2), Phase(700, 144, 256, batch=3),
                                REFINE)),
    # Not shipped: it sees whole people better, and takes a flag for one (see weights/training/README.md).
    "small-takes": Recipe(arch="small", bf16=True, seed=31, source="takes", decay=0.6, init="small-mix/model.pt",
                          phases=(Phase(2200, 144, 256, frames=2), Phase(250, 144, 256, batch=2),
                                  Phase(50, 144, 256, batch=1, frames=2, refine=True))),
    # The same for the float twin: rendered people at their best, photographs at their worst.
    "small-float-takes": Recipe(arch="small", method="float", bf16=True, seed=41, source="takes", decay=0.6,
                                init="small-float/model.pt", phases=(Phase(4000, 144, 256, frames=2),)),
    # Takes with cloth and more that is painted: photographs keep what they had, rendered people gain.
    "small-float-cloth": Recipe(arch="small", method="float", bf16=True, seed=51, source="takes", decay=0.6,
                                init="small-float/model.pt", phases=(Phase(400, 144, 256, frames=2),)),
    # The student of that one, on the same data and on rendered clips, and its finish on more that is painted.
    "small-cloth": Recipe(arch="small", bf16=True, seed=61, source="takes", decay=0.6,
                          mimic=Mimicking(floor=1.0, even=0.0),
                          init="small-mix/model.pt", teacher="small-float-cloth/model.pt",
                          phases=(Phase(1500, 96, 160, frames=2), Phase(2200, 144, 256, frames=2),
                                  Phase(150, 144, 256, batch=2, frames=4),
                                  Phase(60, 144, 256, batch=1, frames=2, refine=True))),
    # Shipped on 29 November 2026.
    "small-cloth-2": Recipe(arch="small", bf16=True, seed=62, source="takes", lr=1.5e-3, decay=1.0,
                            mimic=Mimicking(), init="small-cloth/model.pt", teacher="small-float-cloth/model.pt",
                            phases=(Phase(420, 144, 256, frames=2),
                                    Phase(60, 144, 256, batch=1, frames=2, refine=True))),
    # A twin from the mean of two, on takes with more in them each time: as before, with hats and folds and more
    # scenes, with photographed people and places. Of 1,700 and 1,300 steps the last two did 400 and 1,000.
    "small-float-photos-1": Recipe(arch="small", method="float", bf16=True, seed=81, source="takes", decay=0.01,
                                   init="small-float-start/model.pt", phases=(Phase(900, 144, 256, frames=2),)),
    "small-float-photos-2": Recipe(arch="small", method="float", bf16=True, seed=82, source="takes", decay=0.01,
                                   init="small-float-photos-1/checkpoint.pt",
                                   phases=(Phase(400, 144, 256, frames=2),)),
    "small-float-photos-3": Recipe(arch="small", method="float", bf16=True, seed=83, source="takes", decay=0.85,
                                   init="small-float-photos-2/checkpoint.pt",
                                   phases=(Phase(1700, 144, 256, frames=2),)),
    "small-float-photos": Recipe(arch="small", method="float", bf16=True, seed=84, source="takes", decay=0.85,
                                 init="small-float-photos-3/checkpoint.pt",
                                 phases=(Phase(1300, 144, 256, frames=2),)),
    # A student meanwhile, of which 400, 800, 800 and 300 steps were done, from the third stage on with the mean of
    # three twins for a teacher; the fourth begins with the mean of two. Not shipped: see weights/training/README.md.
    "small-photos-1": Recipe(arch="small", bf16=True, seed=91, source="takes", decay=0.01, mimic=Mimicking(),
                             init="small-cloth-2/model.pt", teacher="small-float-start/model.pt",
                             phases=(Phase(4000, 144, 256, frames=2),)),
    "small-photos-2": Recipe(arch="small", bf16=True, seed=92, source="takes", decay=0.01, mimic=Mimicking(),
                             init="small-photos-1/checkpoint.pt", teacher="small-float-start/model.pt",
                             phases=(Phase(4000, 144, 256, frames=2),)),
    "small-photos-3": Recipe(arch="small", bf16=True, seed=93, source="takes", decay=1.0, mimic=Mimicking(),
                             init="small-photos-2/checkpoint.pt", teacher="small-float-blend/model.pt",
                             phases=(Phase(1350, 144, 256, frames=2),
                                     Phase(50, 144, 256, batch=1, frames=2, refine=True))),
    "small-photos-4": Recipe(arch="small", bf16=True, seed=95, source="takes", lr=1.2e-3, decay=1.0,
                             mimic=Mimicking(), init="small-photos-mean/model.pt", teacher="small-float-blend/model.pt",
                             phases=(Phase(330, 144, 256, frames=2),
                                     Phase(50, 144, 256, batch=1, frames=2, refine=True))),
    # The same student, longer: at a constant rate (of 4,000 steps 1,100 were done), then at one that falls to 0.
    # Shipped for some hours on that day, too.
    "small-blend-1": Recipe(arch="small", bf16=True, seed=101, source="takes", decay=0.01, mimic=Mimicking(),
                            init="small-photos/model.pt", teacher="small-float-blend/model.pt",
                            phases=(Phase(4000, 144, 256, frames=2),)),
    "small-blend-2": Recipe(arch="small", bf16=True, seed=102, source="takes", decay=1.0, mimic=Mimicking(),
                            init="small-blend-1/checkpoint.pt", teacher="small-float-blend/model.pt",
                            phases=(Phase(1550, 144, 256, frames=2),
                                    Phase(60, 144, 256, batch=1, frames=2, refine=True))),
    # With 120 photographs of people (tools/photographs.py templates): a twin, and meanwhile a student of the teacher
    # before it, of which 1,800 steps were done; then the same student of the new twin's mean with an older one.
    "small-float-portraits": Recipe(arch="small", method="float", bf16=True, seed=131, source="takes", lr=1.5e-3,
                                    decay=0.7, init="small-float-blend/model.pt",
                                    phases=(Phase(2300, 144, 256, frames=2),)),
    "small-portraits-1": Recipe(arch="small", bf16=True, seed=121, source="takes", lr=1.5e-3, decay=0.01,
                                mimic=Mimicking(), init="small-blend-2/model.pt",
                                teacher="small-float-blend/model.pt", phases=(Phase(4000, 144, 256, frames=2),)),
    "small-portraits-2": Recipe(arch="small", bf16=True, seed=122, source="takes", lr=1.5e-3, decay=1.0,
                                mimic=Mimicking(), init="small-portraits-1/checkpoint.pt",
                                teacher="small-float-mean/model.pt",
                                phases=(Phase(1500, 144, 256, frames=2),
                                        Phase(60, 144, 256, batch=1, frames=2, refine=True))),
    "small-portraits-3": Recipe(arch="small", bf16=True, seed=123, source="takes", lr=1.5e-3, decay=1.0,
                                mimic=Mimicking(), init="small-portraits-1/checkpoint.pt",
                                teacher="small-float-mean/model.pt",
                                phases=(Phase(1100, 144, 256, frames=2),
                                        Phase(60, 144, 256, batch=1, frames=2, refine=True))),
    # The mean of the two, whose refiner alone was trained here. Shipped for some hours as well.
    "small-portraits": Recipe(arch="small", bf16=True, seed=124, source="takes", lr=1.5e-3, decay=1.0,
                              mimic=Mimicking(), init="small-portraits-mean/model.pt",
                              teacher="small-float-mean/model.pt",
                              phases=(Phase(60, 144, 256, batch=1, frames=2, refine=True),)),
    # With 611 photographs of people, filmed whole, too: a twin, and meanwhile a student of the teacher before it, of
    # which 1,600 steps were done; then two stages of that student, side by side, with the new twin for a teacher, and
    # two finishes on more that is procedural: of one of them, and of a mean.
    "small-float-whole": Recipe(arch="small", method="float", bf16=True, seed=141, source="takes", lr=1.5e-3,
                                decay=0.7, init="small-float-portraits/model.pt",
                                phases=(Phase(2000, 144, 256, frames=2),)),
    "small-1": Recipe(arch="small", bf16=True, seed=151, source="takes", lr=1.5e-3, decay=0.01, mimic=Mimicking(),
                      init="small-portraits/model.pt", teacher="small-float-mean/model.pt",
                      phases=(Phase(4000, 144, 256, frames=2),)),
    "small-2": Recipe(arch="small", bf16=True, seed=152, source="takes", lr=1.5e-3, decay=1.0, mimic=Mimicking(),
                      init="small-1/checkpoint.pt", teacher="small-float-whole-mean/model.pt",
                      phases=(Phase(1500, 144, 256, frames=2), Phase(60, 144, 256, batch=1, frames=2, refine=True))),
    "small-3": Recipe(arch="small", bf16=True, seed=153, source="takes", lr=1.5e-3, decay=1.0, mimic=Mimicking(),
                      init="small-1/checkpoint.pt", teacher="small-float-whole-mean/model.pt",
                      phases=(Phase(1500, 144, 256, frames=2), Phase(60, 144, 256, batch=1, frames=2, refine=True))),
    "small-4": Recipe(arch="small", bf16=True, seed=155, source="takes", lr=1e-3, decay=1.0, mimic=Mimicking(),
                      init="small-2/model.pt", teacher="small-float-whole-mean/model.pt",
                      phases=(Phase(320, 144, 256, frames=2), Phase(20, 144, 256, batch=1, frames=2, refine=True))),
    "small-5": Recipe(arch="small", bf16=True, seed=159, source="takes", lr=5e-4, decay=1.0, mimic=Mimicking(),
                      init="small-mean/model.pt", teacher="small-float-whole-mean/model.pt",
                      phases=(Phase(150, 144, 256, frames=2), Phase(10, 144, 256, batch=1, frames=2, refine=True))),
    # The mean of that and of what it began with, whose refiner alone is trained here.
    "small": Recipe(arch="small", bf16=True, seed=154, source="takes", lr=1.5e-3, decay=1.0, mimic=Mimicking(),
                    init="small-mean-2/model.pt", teacher="small-float-whole-mean/model.pt",
                    phases=(Phase(60, 144, 256, batch=1, frames=2, refine=True),)),
}
# Means of networks that have a start in common, by the share of each (see weights/training/README.md).
BLENDS = {"small-float-start": {"small-float-cloth": 0.7, "small-float-takes": 0.3},
          "small-float-blend": {"small-float-cloth": 0.49, "small-float-takes": 0.21, "small-float-photos": 0.3},
          "small-float-mean": {"small-float-portraits": 0.7, "small-float-cloth": 0.3},
          "small-portraits-mean": {"small-portraits-2": 0.5, "small-portraits-3": 0.5},
          "small-mean": {"small-3": 0.5, "small-4": 0.5},
          "small-mean-2": {"small-5": 0.5, "small-3": 0.25, "small-4": 0.25},
          "small-float-whole-mean": {"small-float-whole": 0.8, "small-float-portraits": 0.2},
          "small-photos-mean": {"small-photos-2": 0.5, "small-photos-3": 0.5},
          "small-photos": {"small-photos-4": 0.5, "small-photos-2": 0.25, "small-photos-3": 0.25}}
# What takes were before there was cloth; a shot drew fewer numbers then, so the clips are like those, not the same.
BEFORE_CLOTH = Odds(procedural=0.2, painted=0.15, dressed=0, hung=0, hatted=0, gathered=0)
BEFORE_HATS = Odds(hung=0.2, hatted=0, gathered=0)
# More that is photographed: of all figures about a fifth, of all backdrops a quarter.
PHOTOGRAPHED = Odds(procedural=0.5, painted=0.5, moving=0.25, dressed=0.4)
FILMED_WHOLE = replace(PHOTOGRAPHED, painted=0.4, dressed=0.3, whole=0.3)
ODDS = {"small-takes": BEFORE_CLOTH, "small-float-takes": BEFORE_CLOTH,
        "small-cloth-2": Odds(procedural=0.8, painted=0.8, hung=0.2, hatted=0, gathered=0),
        "small-photos-1": Odds(painted=0.6), "small-photos-4": Odds(procedural=0.7, painted=0.7),
        "small-blend-2": Odds(procedural=0.7, painted=0.7),
        **dict.fromkeys(("small-float-portraits", "small-portraits-1", "small-portraits-2", "small-portraits"),
                        PHOTOGRAPHED),
        "small-portraits-3": replace(PHOTOGRAPHED, procedural=0.6),
        **dict.fromkeys(("small-float-whole", "small-1", "small-2", "small"), FILMED_WHOLE),
        "small-3": replace(FILMED_WHOLE, procedural=0.65, whole=0.2),
        "small-5": replace(FILMED_WHOLE, procedural=0.8, painted=0.5),
        "small-4": replace(FILMED_WHOLE, procedural=0.8, painted=0.6, whole=0.2),
        **dict.fromkeys(("small-float-cloth", "small-cloth", "small-float-photos-1"), BEFORE_HATS)}
STARTED_FROM = {
    "small": "students of that teacher on these data: half of it `small-5` (150 steps, 0.07 h, seed 159, 80 % "
             "procedural) and half what that began with, the mean of `small-3` (1,500 steps, 0.6 h, seed 153, 65 % "
             "procedural, 20 % whole) and `small-4` (320 steps, 0.15 h, seed 155, 80 % procedural, 20 % whole, from "
             "`small-2`: 1,500 steps, 0.6 h, seed 152), both from `small-1`, the same at a constant rate (1,600 steps, "
             "0.62 h, seed 151), and that from `small-portraits`, what was shipped before; the phase below is its "
             "refiner's. What each stage did: weights/training/README.md",
    "small-float": "1,100 steps at 160x96 and 220 at 256x144 (0.6 h), all on wild clips; then 200 at 256x144 and "
                   "120 of the refiner (0.46 h)",
}
FILES = {
    "small": "of the people 476 are 238 rendered ones (CC0, seeds 60-180, 2000-2063, 3000-3052), twice each, 611 are "
             "cut-outs of photographs that come with web templates, 595 of which are filmed whole, too "
             "(`tools/photographs.py templates`), 27 nine of four more (`four`), three times each; nobody is near on "
             "the photos (weights/training/README.md)",
}
