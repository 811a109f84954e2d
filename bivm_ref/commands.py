"""What each command of `bivm-ref` does: read the parsed arguments, call the library, print. See cli.py."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from .errors import UserError


def matte(args) -> int:
    from .matte import load_engine
    from .matte import matte as run

    engine = load_engine(args.engine, args.weights, args.size, args.threads, args.kernel, args.table_budget_mb)
    report = run(args.input, args.output, engine, args.background, args.only, args.png, args.overwrite,
                 progress=True)
    for warning in report.warnings:
        print(f"bivm-ref: warning: {warning}", file=sys.stderr)
    names = ", ".join(map(str, report.outputs))
    if report.interrupted:
        print(f"bivm-ref: interrupted after {_frames(report.frames)}, kept in {names}", file=sys.stderr)
    rate = report.frames / report.seconds if report.seconds else 0.0
    if args.json:
        _print_json({"frames": report.frames, "seconds": report.seconds, "frames_per_second": rate,
                     "outputs": list(map(str, report.outputs)), "warnings": report.warnings})
    else:
        print(f"{_frames(report.frames)} in {report.seconds:.1f} s ({rate:.2f} per second) -> {names}")
    return 130 if report.interrupted else 0


def info(args) -> None:
    from .packed import PackedBiVM, weights

    path = weights.default_weights() if args.weights is None else Path(args.weights)
    sections = weights.sections(path)
    net = PackedBiVM.load(path)
    rows, size = net.explain(), path.stat().st_size
    records = {key: net.metadata.get(key, {}) for key in ("provenance", "figures")}
    if args.json:
        _print_json({"file": str(path), "bytes": size, "arch": net.arch.name, "sections": sections,
                     "layers": rows, **records})
        return
    print(f"{path}: {net.arch.name}, {size:,} bytes\n")
    for name, count in sections.items():
        print(f"  {name:<16}{count:>10,}  {100 * count / size:5.1f} %")
    print(f"  {'the file':<16}{sum(sections.values()):>10,}\n")
    wide, shape = (max(len(row[key]) for row in rows) for key in ("layer", "shape"))
    print(f"{'layer':<{wide}}  {'shape':<{shape}}  {'kind':<6}  {'bytes':>7}  {'operations':>11}  {'kernel':<6}  "
          f"{'table':>9}  why")
    for row in rows:
        print(f"{row['layer']:<{wide}}  {row['shape']:<{shape}}  {row['kind']:<6}  {row['bytes']:>7,}  "
              f"{row['operations']:>11,}  {row['kernel'] or '-':<6}  {row['table_bytes']:>9,}  "
              f"{row['chosen'] or row['why']}")
    print("\nbytes: stored weights; operations: multiply-accumulates of a 512x288 frame, all of it active\n"
          "kernel: what is fastest here, by the times behind it, within the budget; table: bytes of memory it takes")
    for key, record in records.items():
        print(f"\n{key}:" + (" none" if not record else ""))
        for name, value in record.items():
            print(f"  {name}: {value if isinstance(value, str) else json.dumps(value)}")


def evaluate(args) -> None:
    from . import evaluate as library
    from .matte import load_engine

    if (args.folder is None) == (args.procedural is None):
        raise UserError("evaluate: reads one thing at a time; give a folder of clips, or --procedural N")
    if args.procedural is None and (args.wild or args.first_seed is not None):
        raise UserError("evaluate: --wild and --first-seed choose procedural clips; add --procedural N")
    engine = load_engine(args.engine, args.weights, args.size, args.threads, args.kernel, args.table_budget_mb)
    if args.procedural is not None:
        first = library.HELD_OUT_SEED if args.first_seed is None else args.first_seed
        rows = library.evaluate_procedural(args.procedural, engine, args.fast, True, first, args.wild)
    else:
        rows = library.evaluate_folder(args.folder, engine, args.fast, progress=True)
    mean = library.mean_row(rows)
    if args.json:
        _print_json({"clips": rows, "mean": mean})
    else:
        print(library.table([*rows, mean]))


def train(args) -> int:
    _need_torch("train")
    from .clips import ClipMix
    from .learn.train import Phase, Recipe
    from .learn.train import train as run

    if args.init and (arch := _load_model(args.init).arch.name) != args.preset:
        raise UserError(f"{args.init}: holds the preset {arch!r}; add --preset {arch}, or name another model")
    ClipMix(args.people, args.scenes)  # refuses folders that hold nothing, before anything is written
    refine, finish = args.steps // 10, args.steps // 5
    phases = (Phase(args.steps - refine - finish, 96, 160), Phase(finish, 144, 256),
              Phase(refine, 144, 256, batch=1, frames=2, refine=True))
    recipe = Recipe(arch=args.preset, binary=not args.float, phases=tuple(p for p in phases if p.steps),
                    seed=args.seed, bf16=args.bf16, init=args.init)
    _check_torch(args.device)
    out = _folder(args.out)
    try:
        run(recipe, out, args.people, args.scenes, workers=args.workers, device=args.device,
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


def search(args) -> int:
    from .search_command import run

    return run(args)


def export(args) -> None:
    _need_torch("export")
    from .learn.export import export as write
    from .learn.train import load_state, trained_size
    from .packed import weights

    output = Path(args.output)
    if output.suffix != ".safetensors":
        raise UserError(f"{output}: a packed network is named .safetensors; change the name")
    if output.exists() and not args.overwrite:
        raise UserError(f"{output}: exists already; choose another name or add --overwrite")
    model = _load_model(args.model)
    if not model.binary:
        raise UserError(f"{args.model}: a float twin, which has no bits to pack; train a student from it "
                        "with bivm-ref train --init")
    recipe = load_state(args.model)["recipe"]
    write(model, output, {"model": Path(args.model).name, "recipe": recipe, "size": trained_size(recipe)})
    sections = weights.sections(output)
    if args.json:
        _print_json({"file": str(output), "bytes": sum(sections.values()), "sections": sections})
    else:
        print(f"{model.arch.name}, {sum(sections.values()):,} bytes -> {output}")


def clips(args) -> None:
    from .clips import ClipMix
    from .sheet import contact_sheet
    from .video import ImageFolderWriter, ImageWriter, check_output

    out = check_output(args.output, args.overwrite)
    mix, (width, height), rows = ClipMix(args.people, args.scenes), args.size, []
    for i in range(args.count):
        clip = mix.clip(args.seed + i, args.frames, height, width)
        alpha = (clip.alpha * 255).round().astype("uint8")
        for name, frames in (("fgr", clip.foreground), ("pha", alpha), ("com", clip.frames)):
            with ImageFolderWriter(out / f"{i:04d}" / name) as writer:
                for frame in frames:
                    writer.write(frame)
        middle = args.frames // 2
        rows.append((f"{i:04d}  {clip.name}", [clip.frames[middle], alpha[middle], clip.foreground[middle]]))
    with ImageWriter(out / "contact_sheet.png") as writer:
        writer.write(contact_sheet(("frame", "alpha", "foreground"), rows))
    print(f"{args.count} clips of {args.frames} frames -> {out}")


def bench(args) -> None:
    from tqdm import tqdm

    from .bench import Options
    from .bench import bench as measure
    from .bench_text import as_text
    from .demo import sample_clips
    from .packed import weights

    root = Path(__file__).resolve().parent
    path = root / "weights" / f"{args.preset}.safetensors" if args.preset else args.weights
    weights.load(weights.default_weights() if path is None else path)  # what cannot be read is said before the wait
    for wanted in filter(None, (args.json if args.json != "-" else None, args.chart)):
        _check_new_file(Path(wanted), args.overwrite)
    if args.chart:
        _need_chart(args.chart)
    samples = [str(clip / "com.mp4") for clip in sample_clips(root.parent / "data_samples")]
    options = Options(samples, args.sizes, args.rounds, args.core, args.threads, path and str(path), args.peers,
                      args.layers, args.long)
    with tqdm(desc="bench", unit="step", leave=False, disable=None) as bar:
        def progress(total: int):
            bar.reset(total)

            def tick(what: str) -> None:
                bar.set_postfix_str(what, refresh=False)
                bar.update()
            return tick

        report = measure(options, progress)
    if args.json == "-":
        _print_json(report)
    else:
        print(as_text(report))
    if args.json and args.json != "-":
        Path(args.json).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        print(f"\nwritten: {args.json}")
    if args.chart:
        from . import viz

        viz.bench_chart(report).savefig(args.chart)


def doctor(args) -> int:
    from .doctor import as_data, as_text, examine, healthy

    checks = examine(args.threads)
    if args.json:
        _print_json(as_data(checks))
    else:
        print(as_text(checks))
    return 0 if healthy(checks) else 1


# -- helpers ------------------------------------------------------------------------------------------------

def _frames(count: int) -> str:
    return f"{count} frame" + ("s" if count != 1 else "")


def _print_json(data) -> None:
    """Strict JSON: a figure that is not a number (dtSSD of one frame) becomes null."""
    def clean(x):
        if isinstance(x, dict):
            return {key: clean(value) for key, value in x.items()}
        if isinstance(x, (list, tuple)):
            return [clean(value) for value in x]
        return None if isinstance(x, float) and x != x else x

    print(json.dumps(clean(data), indent=2, allow_nan=False))


def _need_torch(command: str) -> None:
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise UserError(f"{command} needs torch, which is not installed; "
                        "pip install 'bivm_ref[train]'") from error


def _need_chart(name: str) -> None:
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise UserError(f"--chart {name}: matplotlib is not installed; pip install 'bivm_ref[notebooks]', "
                        "or leave it out: the table has bars too") from error
    if Path(name).suffix.lower() not in (".png", ".svg", ".pdf"):
        raise UserError(f"--chart {name}: charts are .png, .svg or .pdf; change the name")


def _check_new_file(path: Path, overwrite: bool) -> None:
    """Refuse a path that cannot be written, before the work that is to fill it."""
    if path.exists() and not (overwrite and path.is_file()):
        raise UserError(f"{path}: exists already; choose another name or add --overwrite")
    if not path.parent.is_dir():
        raise UserError(f"{path}: there is no folder {path.parent}; make it, or choose another name")


def _load_model(path: str):
    from .learn.train import load_model

    return load_model(path)


def _check_torch(device: str) -> None:
    import torch

    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"--device {device}: torch cannot use it here; "
                        "leave it out, or install the torch for it") from error


def _folder(path: str) -> Path:
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{path}: the folder cannot be made ({error.strerror}); choose another") from error
    return Path(path)
