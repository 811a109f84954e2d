"""`bivm-ref search`: its arguments, and what it does with them. See learn/search.py."""

from __future__ import annotations

import argparse
import sys

from .errors import UserError

SUMMARY = "search a better topology of the encoder under a cost budget (needs torch)"
DETAILS = ("Trains one network that holds every choice of blocks, judges genomes (one choice per stage) with its\n"
           "weights, and picks one by evolution. Writes supernet.pt, search.jsonl and chosen.pt into DIR; the same\n"
           "command again goes on, and with another --budget picks anew without training. Presets do not change.")
EXAMPLE = ("bivm-ref search --preset small --budget 1.0 --steps 1000 --out runs/search\n"
           "bivm-ref export runs/search/chosen.pt chosen.safetensors")


def arguments(p: argparse.ArgumentParser) -> None:
    from .arguments import json, positive, size, sources, whole

    p.add_argument("--out", metavar="DIR", required=True, help="the search's folder")
    p.add_argument("--preset", choices=("default", "small"), default="small", help="what to improve on (small)")
    p.add_argument("--budget", metavar="X", type=float, default=1.0,
                   help="operations of the encoder's stages, as a multiple of the preset's (1.0)")
    p.add_argument("--steps", metavar="N", type=positive, default=1000, help="of the training (1000)")
    p.add_argument("--size", metavar="WxH", type=size, default=(128, 128), help="of a training frame (128x128)")
    p.add_argument("--batch", metavar="N", type=positive, default=4, help="clips per step (4)")
    p.add_argument("--frames", metavar="N", type=positive, default=2, help="per training clip (2)")
    p.add_argument("--init", metavar="F", help="a model.pt of the preset: all but the stages starts from it")
    p.add_argument("--evaluations", metavar="N", type=positive, default=40,
                   help="genomes that evolution judges, and random search as many (40)")
    p.add_argument("--exhaustive", action="store_true", help="judge all genomes as well, and rank them")
    p.add_argument("--clips", metavar="N", type=_choosing, default=32, help="to choose by (32); as many check")
    sources(p)
    p.add_argument("--seed", metavar="N", type=whole, default=0, help="of the weights, the clips and the search (0)")
    p.add_argument("--bf16", action="store_true", help="bfloat16 convolutions, for CPUs that have them")
    p.add_argument("--device", default="cpu", help="torch's name of it (cpu)")
    p.add_argument("--workers", metavar="N", type=whole, default=1, help="processes that make clips (1)")
    json(p)


def _choosing(text: str) -> int:
    if not (text.isdecimal() and 1 <= int(text) <= 100):
        raise argparse.ArgumentTypeError("1 to 100 clips")
    return int(text)


def run(args) -> int:
    from .clips import ClipMix
    from .command_helpers import check_torch, load_model, need_torch, print_json

    need_torch("search")
    from .learn.search import Pick, as_text, search
    from .learn.train import Phase, Recipe

    if args.init and (arch := load_model(args.init).arch.name) != args.preset:
        raise UserError(f"{args.init}: holds the preset {arch!r}; add --preset {arch}, or name another model")
    check_torch(args.device)
    width, height = args.size
    phase = Phase(args.steps, height, width, args.batch, args.frames)
    recipe = Recipe(arch=args.preset, phases=(phase,), seed=args.seed, bf16=args.bf16, init=args.init)
    mix = ClipMix(args.people, args.scenes, recipe.mix)  # refuses folders that hold nothing
    pick = Pick(args.budget, evaluations=args.evaluations, exhaustive=args.exhaustive, clips=args.clips)
    try:
        result = search(recipe, pick, args.out, mix, args.workers, sys.stderr.isatty(),
                        args.device, _as_typed(args))
    except UserError as error:  # one that a data worker met comes wrapped in its traceback
        last = str(error).strip().splitlines()[-1]
        raise UserError(last.removeprefix("bivm_ref.errors.UserError: ")) from error
    except KeyboardInterrupt:
        print(f"bivm-ref: interrupted; what is done is kept in {args.out}, and the same command goes on from it",
              file=sys.stderr)
        return 130
    if args.json:
        print_json(result)
        return 0
    if mix.summary():
        print(mix.summary())
    print(as_text(result))
    return 0


def _as_typed(args) -> str:
    """The command with every option, defaults included: a record in search.jsonl."""
    words = ["bivm-ref", args.command]
    for name, value in vars(args).items():
        if value is True:
            words.append(f"--{name}")
        elif name != "command" and value is not None and value is not False:
            words.append(f"--{name} {'x'.join(map(str, value)) if name == 'size' else value}")
    return " ".join(words)
