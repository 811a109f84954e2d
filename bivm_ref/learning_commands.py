"""The commands of `bivm-ref` that train: `train`, `export`, `compare`. See cli.py; the others are in commands.py."""

from __future__ import annotations

import sys
from pathlib import Path

from .command_helpers import check_new_file, check_torch, clip_source, folder, load_model, need_torch, print_json
from .errors import UserError
from .files import beside

STEPS, LR = 2000, 2e-3  # of a training on our own clips


def train(args) -> int:
    need_torch("train")
    from .learn import team
    from .learn.train import train as run

    options, stage = _network(args), _stage(args)
    recipe = _our_recipe(args, options) if stage is None else None
    source = clip_source(args, recipe.mix) if recipe else None  # refuses folders that hold nothing, first of all
    check_torch(args.device)
    out = folder(args.out)
    try:
        with team.joined(args.device) as device:
            shown = {"workers": args.workers, "device": device, "progress": sys.stderr.isatty()}
            if source is not None:
                run(recipe, out, source, **shown)
                _unite(source, device)
            else:
                recipe = _train_stage(stage, args.data, out, options, shown)
            leads = team.leads()
    except UserError as error:  # one that a data worker met comes wrapped in its traceback
        last = str(error).strip().splitlines()[-1]
        raise UserError(last.removeprefix("bivm_ref.errors.UserError: ")) from error
    except KeyboardInterrupt:
        kept = out / "checkpoint.pt"
        _say(source)
        print("bivm-ref: interrupted; " + (f"{kept} is kept, and the same command goes on from it"
                                            if kept.exists() else "nothing was trained yet"), file=sys.stderr)
        return 130
    if leads:
        _say(source, sys.stdout)
        print(f"{recipe.steps} steps -> {out / 'model.pt'}")
    return 0


def _say(source, stream=None) -> None:
    """What was drawn from the folders; where a run ends early, only if something of them was left out."""
    if source is not None and (text := source.summary()) and (stream or "left out" in text):
        print(text, file=stream or sys.stderr)


def _unite(source, device: str) -> None:
    """Each process met its own unreadable files: let all know of all."""
    import torch

    from .learn import team

    team.unite(torch.from_numpy(source.marks), device)  # in place, in the array's own memory
    for kind in source.files:
        source.check(kind, "all processes together")


def _network(args) -> dict:
    """What a recipe says of the network and of whom it learns from, whatever it is trained on."""
    from .learn.mimic import Mimicking
    from .net.binarize import method

    arch = args.preset
    for given in filter(None, (args.teacher, args.init)):
        found = load_model(given).arch
        name, searched, _ = found.name.partition("[")
        if name != args.preset:
            raise UserError(f"{given}: holds the preset {name!r}; add --preset {name}, or name another model")
        arch = found.to_json() if searched else args.preset  # `bivm-ref search` chose another topology of the preset
    if args.float and args.method not in (None, "float"):
        raise UserError(f"train: a float twin has no signs, so --method {args.method} says nothing; leave one out")
    try:
        how = method("float" if args.float else args.method or "bivm").name
    except ValueError as error:
        raise UserError(f"--method: {error}") from error
    out_of_mimicking = set(args.without) - {"mask"}
    if out_of_mimicking and not args.teacher:
        raise UserError(f"--without {out_of_mimicking.pop()}: is a part of the mimicking; add --teacher F")
    mimic = Mimicking(localized="localization" not in args.without, bits=0.0 if "bits" in args.without else 0.5,
                      informed="information" not in args.without) if args.teacher else None
    return {"arch": arch, "method": how, "masked": "mask" not in args.without, "mimic": mimic,
            "seed": args.seed, "bf16": args.bf16, "init": args.init, "teacher": args.teacher}


def _our_recipe(args, options: dict):
    """Clips made on the fly: 75 % of the steps small, 20 % larger, 5 % for the refiner. All batches are of four, which
    two or four processes can share."""
    from .learn.train import Phase, Recipe

    options = {**options, "source": "takes" if args.takes else "mix"}
    steps = args.steps or STEPS
    refine, finish = steps // 20, steps // 5
    phases = (Phase(steps - refine - finish, 96, 160), Phase(finish, 144, 256),
              Phase(refine, 144, 256, frames=2, refine=True))
    return Recipe(phases=tuple(p for p in phases if p.steps), lr=args.lr or LR, **options)


def _stage(args):
    """The stage that was asked for, or None."""
    if args.stage is None:
        if args.data:
            raise UserError("train: --data is for the stages on the field's data sets; add --stage 1, 2, 3 or 4")
        return None
    from .learn.recipes import stage

    one = stage(args.stage)
    if not args.data:
        raise UserError(f"--stage {args.stage}: needs --data ROOT, the folder that holds the data sets")
    for name in ("people", "scenes", "photos", "moving", "whole", "takes", "steps"):
        if getattr(args, name):
            raise UserError(f"--{name}: a stage says itself what is shown and how often; leave it out")
    return one.at(args.lr) if args.lr else one


def _train_stage(one, root: str, out: Path, options: dict, shown: dict):
    """Open the sets, say what they hold, train, and say what was damaged; returns the recipe."""
    from .learn import team
    from .learn.recipes import describe, open_stage
    from .learn.train import Recipe
    from .learn.train import train as run

    def say(text: str) -> None:
        if team.leads():
            print(text, flush=True)

    say(describe(one))
    data = open_stage(one, root, progress=shown["progress"] and team.leads())
    say(data.summary())
    recipe = Recipe(phases=data.phases(), stage=one, sets=data.counts(), **options)
    say(f"{recipe.steps:,} steps")
    run(recipe, out, data=data, **shown)
    for images in data.sets():  # each process met its own damaged files
        team.unite(images.damaged, shown["device"])
    say(data.summary())
    return recipe


def search(args) -> int:
    from .search_command import run

    return run(args)


def export(args) -> None:
    need_torch("export")
    from .learn.export import export as write
    from .learn.train import load_state, trained_size
    from .packed import weights

    output = Path(args.output)
    if output.suffix != ".safetensors":
        raise UserError(f"{output}: a packed network is named .safetensors; change the name")
    if output.exists() and not args.overwrite:
        raise UserError(f"{output}: exists already; choose another name or add --overwrite")
    model = load_model(args.model)
    if not model.binary:
        raise UserError(f"{args.model}: a float twin, which has no bits to pack; train a student from it "
                        "with bivm-ref train --init")
    if not model.masked:
        raise UserError(f"{args.model}: was trained without its mask, and what runs a packed network masks; train it "
                        "with the mask, or look at it with bivm-ref evaluate --engine torch")
    recipe = load_state(args.model)["recipe"]
    try:
        write(model, output, {"model": Path(args.model).name, "recipe": recipe, "size": trained_size(recipe)})
    except ValueError as error:
        raise UserError(f"{args.model}: {error}; export another run's model.pt") from error
    sections = weights.sections(output)
    if args.json:
        print_json({"file": str(output), "bytes": sum(sections.values()), "sections": sections})
    else:
        print(f"{model.arch.name}, {sum(sections.values()):,} bytes -> {output}")


def grow(args) -> None:
    need_torch("grow")
    from .learn.grow import write_grown

    output = Path(args.output)
    check_new_file(output, args.overwrite)
    small, large = write_grown(args.model, args.preset, output)
    print(f"{small:,} parameters -> {large:,}, {output}; go on with bivm-ref train --preset {args.preset} "
          f"--init {output}")


def recalibrate(args) -> None:
    need_torch("recalibrate")
    from .learn.recalibrate import write_recalibrated

    output, source = Path(args.output), clip_source(args)
    check_new_file(output, args.overwrite)
    write_recalibrated(args.model, output, source, args.batches, sys.stderr.isatty())
    _say(source, sys.stdout)
    print(f"statistics of {args.batches} batches -> {output}; pack it with bivm-ref export")


def compare(args) -> None:
    if (args.out is None) == (args.show is None):
        raise UserError("compare: does one of two things; give --out DIR to train and measure, or --show FILE to see "
                        "results")
    if args.show:
        return _show_comparison(Path(args.show), None, args.json)
    need_torch("compare")
    from .learn import compare as library

    protocol = library.Protocol(preset=args.preset)
    protocol = protocol.quick() if args.quick else protocol
    if args.steps:
        protocol = library.dataclasses.replace(protocol, steps=args.steps)
    arms = [arm.strip() for arm in args.arms.split(",")] if args.arms else list(library.ARMS)
    library.compare(Path(args.out), arms, range(args.seeds), protocol, args.init, args.jobs,
                    keep_clips=args.keep_clips)
    return _show_comparison(Path(args.out) / "results.jsonl", Path(args.out), args.json)


def _show_comparison(path: Path, out: Path | None, as_json: bool) -> None:
    """Print its table; with `out`, also write table.md and, where matplotlib is, compare.png there."""
    from . import results

    rows = results.load(path)
    table = results.markdown(rows, results.LABELS)
    if as_json:
        print_json({figure: results.summary(rows, figure) for figure in results.FIGURES})
    else:
        print(table)
    if out is not None:
        with beside(out / "table.md") as part:
            part.write_text(table + "\n", encoding="utf-8")
        try:
            from . import viz

            with beside(out / "compare.png") as part:
                viz.compare_chart(rows).savefig(part, format="png")
        except UserError as error:  # no matplotlib: the table is there
            print(f"no picture: {error}", file=sys.stderr)


def information(args) -> int:
    need_torch("information")
    from . import information_text
    from .learn import studies

    wanted = tuple(args.studies.split(",")) if args.studies else studies.STUDIES
    studies.check(wanted, args.clips)  # before a folder is made
    out = Path(args.out) if args.out else studies.RESULTS if not args.quick else Path("outputs") / "information"
    sections = studies.run(studies.Request(folder(str(out)), wanted, Path(args.runs) if args.runs else None, args.quick,
                                           args.clips))
    if args.json:
        print_json(sections)
    else:
        print(information_text.as_text(sections))
        print(f"\nwritten: {out}")
    return 0 if sections.get("sheet", {}).get("passed", True) else 1
