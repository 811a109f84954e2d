"""The commands of `bivm-ref` that train: `train`, `export`, `compare`. See cli.py; the others are in commands.py."""

from __future__ import annotations

import sys
from pathlib import Path

from .command_helpers import check_torch, folder, load_model, need_torch, print_json
from .errors import UserError


def train(args) -> int:
    need_torch("train")
    from .clips import ClipMix
    from .learn import team
    from .learn.mimic import Mimicking
    from .learn.train import Phase, Recipe
    from .learn.train import train as run
    from .net.binarize import method

    for given in filter(None, (args.init, args.teacher)):
        if (arch := load_model(given).arch.name) != args.preset:
            raise UserError(f"{given}: holds the preset {arch!r}; add --preset {arch}, or name another model")
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
    ClipMix(args.people, args.scenes)  # refuses folders that hold nothing, before anything is written
    refine, finish = args.steps // 10, args.steps // 5
    phases = (Phase(args.steps - refine - finish, 96, 160), Phase(finish, 144, 256),
              Phase(refine, 144, 256, batch=1, frames=2, refine=True))
    recipe = Recipe(arch=args.preset, method=how, masked="mask" not in args.without, mimic=mimic, lr=args.lr,
                    seed=args.seed, bf16=args.bf16, phases=tuple(p for p in phases if p.steps), init=args.init,
                    teacher=args.teacher)
    check_torch(args.device)
    out = folder(args.out)
    try:
        with team.joined(args.device) as device:
            run(recipe, out, args.people, args.scenes, workers=args.workers, device=device,
                progress=sys.stderr.isatty())
    except UserError as error:  # one that a data worker met comes wrapped in its traceback
        last = str(error).strip().splitlines()[-1]
        raise UserError(last.removeprefix("bivm_ref.errors.UserError: ")) from error
    except KeyboardInterrupt:
        kept = out / "checkpoint.pt"
        print("bivm-ref: interrupted; " + (f"{kept} is kept, and the same command goes on from it"
                                            if kept.exists() else "nothing was trained yet"), file=sys.stderr)
        return 130
    print(f"{recipe.steps} steps -> {out / 'model.pt'}")
    return 0


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
    recipe = load_state(args.model)["recipe"]
    write(model, output, {"model": Path(args.model).name, "recipe": recipe, "size": trained_size(recipe)})
    sections = weights.sections(output)
    if args.json:
        print_json({"file": str(output), "bytes": sum(sections.values()), "sections": sections})
    else:
        print(f"{model.arch.name}, {sum(sections.values()):,} bytes -> {output}")


def compare(args) -> None:
    if (args.out is None) == (args.show is None):
        raise UserError("compare: give --out DIR to train and measure, or --show FILE to see results")
    if args.show:
        return _show_comparison(Path(args.show), None, args.json)
    need_torch("compare")
    from .learn import compare as library

    protocol = library.Protocol(preset=args.preset)
    protocol = protocol.quick() if args.quick else protocol
    if args.steps:
        protocol = library.dataclasses.replace(protocol, steps=args.steps)
    arms = [arm.strip() for arm in args.arms.split(",")] if args.arms else list(library.ARMS)
    library.compare(folder(args.out), arms, range(args.seeds), protocol, args.init, args.jobs)
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
        (out / "table.md").write_text(table + "\n", encoding="utf-8")
        try:
            from . import viz

            viz.compare_chart(rows).savefig(out / "compare.png")
        except UserError as error:  # no matplotlib: the table is there
            print(f"no picture: {error}", file=sys.stderr)


def information(args) -> int:
    need_torch("information")
    from . import information_text
    from .learn import studies

    wanted = tuple(args.studies.split(",")) if args.studies else studies.STUDIES
    out = Path(args.out) if args.out else studies.RESULTS if not args.quick else Path("outputs") / "information"
    sections = studies.run(studies.Request(folder(str(out)), wanted, Path(args.runs) if args.runs else None, args.quick,
                                           args.clips))
    if args.json:
        print_json(sections)
    else:
        print(information_text.as_text(sections))
        print(f"\nwritten: {out}")
    return 0 if sections.get("sheet", {}).get("passed", True) else 1
