"""What each command of `bivm-ref` does: read the parsed arguments, call the library, print. See cli.py."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

from .command_helpers import check_new_file, frame_text, need_chart, print_json
from .errors import UserError
from .files import beside


def matte(args) -> int:
    from .matte import load_engine
    from .matte import matte as run
    from .settled import Settled

    _refuse_what_would_do_nothing(args)
    engine = load_engine(args.engine, args.weights, args.size, args.threads, args.kernel, args.table_budget_mb)
    output, window = args.output, None
    if output is None:
        output, window = _window_or_folder(args)
    if window is not None:
        from .live import live

        report = live(args.input, Settled(engine, args.settle or 0), args.background, window)
    else:
        report = run(args.input, output, engine, args.background, args.only, args.png, args.overwrite, progress=True,
                     settle=args.settle)
    for warning in report.warnings:
        print(f"bivm-ref: warning: {warning}", file=sys.stderr)
    names = ", ".join(map(str, report.outputs)) or "a window"
    if report.interrupted and window is None:
        print(f"bivm-ref: interrupted after {frame_text(report.frames)}, kept in {names}", file=sys.stderr)
    rate = report.frames / report.seconds if report.seconds else 0.0
    if args.json:
        print_json({"frames": report.frames, "seconds": report.seconds, "frames_per_second": rate,
                     "outputs": list(map(str, report.outputs)), "warnings": report.warnings})
    else:
        print(f"{frame_text(report.frames)} in {report.seconds:.1f} s ({rate:.2f} per second) -> {names}")
    return 130 if report.interrupted else 0


def _refuse_what_would_do_nothing(args) -> None:
    from .video_out import IMAGE_SUFFIXES, VIDEO_SUFFIXES

    if args.output is None:
        return
    suffix = Path(args.output).suffix.lower()
    if args.png and suffix in VIDEO_SUFFIXES + IMAGE_SUFFIXES:
        raise UserError(f"--png: writes sequences into a folder, and {args.output} is a file; name a folder")
    if args.background and args.only in ("alpha", "foreground"):
        raise UserError(f"--background: is behind the composite, and --only {args.only} writes none; drop one of them")


def _window_or_folder(args) -> tuple[Path | None, object | None]:
    """Where a matte goes for which no OUT was named: (None, an open window), or for a camera (a new folder, None)."""
    from .live import Window

    chosen = [f"--{name}" for name in ("only", "png", "overwrite") if getattr(args, name)]
    if chosen:
        raise UserError(f"{chosen[0]}: is about what is written, but no OUT is named; name a folder or a file")
    try:
        return None, Window(f"bivm-ref {args.input}")
    except UserError as error:
        if not args.input.startswith("webcam:"):
            raise UserError(f"{error}; name OUT, a folder or a video file to write") from error
        names = (Path("outputs") / f"webcam{n}" for n in ("", *(f"-{n}" for n in range(2, 10_000))))
        folder = next(path for path in names if not path.exists())
        print(f"bivm-ref: {error}; writing to {folder} until Ctrl-C", file=sys.stderr)
        return folder, None


def info(args) -> None:
    from .packed import PackedBiVM, weights

    path = weights.default_weights() if args.weights is None else Path(args.weights)
    sections = weights.sections(path)
    net = PackedBiVM.load(path)
    rows, size = net.explain(), path.stat().st_size
    records = {key: net.metadata.get(key, {}) for key in ("provenance", "figures")}
    if args.json:
        print_json({"file": str(path), "bytes": size, "arch": net.arch.name, "sections": sections,
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
    print("\nbytes: stored weights; operations: multiply-accumulates of a 512x288 frame, "
          f"{f'seen at {net.size} pixels, ' if net.size else ''}all of it active\n"
          "kernel: what is fastest here, by the times behind it, within the budget; table: bytes of memory it takes")
    for key, record in records.items():
        print(f"\n{key}:" + (" none" if not record else ""))
        for name, value in record.items():
            print(f"  {name}: {value if isinstance(value, str) else json.dumps(value)}")


def evaluate(args) -> None:
    from . import evaluate as library
    from .matte import load_engine
    from .settled import Settled
    from .video import IMAGE_SUFFIXES, ImageWriter, check_output
    from .worst import Worst

    if [args.folder, args.procedural, args.people, args.whole].count(None) != 3:
        raise UserError("evaluate: reads one thing at a time; give a folder of clips, or --procedural N, or "
                        "--people D, or --whole D")
    if (args.people is None) != (args.scenes is None):
        raise UserError("evaluate: --people and --scenes go together; give both folders")
    if args.procedural is None and (args.wild or args.first_seed is not None):
        raise UserError("evaluate: --wild and --first-seed choose procedural clips; add --procedural N")
    if args.worst is not None:
        if Path(args.worst).suffix.lower() not in IMAGE_SUFFIXES:
            raise UserError(f"{args.worst}: --worst writes a picture; name a file that ends in .png or .jpg")
        check_output(args.worst, args.overwrite)
    engine = load_engine(args.engine, args.weights, args.size, args.threads, args.kernel, args.table_budget_mb)
    engine = Settled(engine, args.settle or 0)
    worst = Worst() if args.worst is not None else None
    how = {"fast": args.fast, "progress": True, "variant": args.variant, "overlap": args.iou, "worst": worst}
    if args.procedural is not None:
        first = library.HELD_OUT_SEED if args.first_seed is None else args.first_seed
        rows = library.evaluate_procedural(args.procedural, engine, first_seed=first, wild=args.wild, **how)
    elif args.people is not None:
        rows = library.evaluate_people(args.people, args.scenes, engine, **how)
    elif args.whole is not None:
        rows = library.evaluate_photographs(args.whole, engine, **how)
    else:
        rows = library.evaluate_folder(args.folder, engine, **how)
    sets, mean = library.set_means(rows), library.mean_row(rows)
    if args.json:
        print_json({"clips": rows, "sets": sets, "mean": mean})
    else:
        print(library.table([*rows, *sets, mean]))
    if worst is not None:
        with ImageWriter(Path(args.worst)) as writer:
            writer.write(worst.sheet())


def clips(args) -> None:
    from .clips import HELD_OUT
    from .command_helpers import clip_source
    from .matte import Sequence, remove_frames
    from .sheet import contact_sheet
    from .video import IMAGE_SUFFIXES, VIDEO_SUFFIXES, ImageWriter, check_output

    out = check_output(args.output, args.overwrite)
    if out.suffix.lower() in IMAGE_SUFFIXES + VIDEO_SUFFIXES:
        raise UserError(f"{out}: clips are folders of images; name a folder, without {out.suffix}")
    if args.seed + args.count > HELD_OUT.start:
        raise UserError(f"seed {args.seed + args.count - 1}: held out for validation; end below {HELD_OUT.start:,}")
    mix, (width, height), rows = clip_source(args), args.size, []
    for i in range(args.count):
        clip = mix.clip(args.seed + i, args.frames, height, width)
        alpha = (clip.alpha * 255).round().astype("uint8")
        for name, frames in (("fgr", clip.foreground), ("pha", alpha), ("com", clip.frames)):
            with Sequence(out / f"{i:04d}" / name) as writer:
                for frame in frames:
                    writer.write(frame)
        middle = args.frames // 2
        rows.append((f"{i:04d}  {clip.name}", [clip.frames[middle], alpha[middle], clip.foreground[middle]]))
    for left in (folder for folder in out.iterdir() if re.fullmatch(r"\d{4,}", folder.name)):
        if int(left.name) >= args.count:  # of what --overwrite found there; else it would be taken for a clip of these
            for name in ("com", "pha", "fgr"):
                if (left / name).is_dir():
                    remove_frames(left / name)
    with ImageWriter(out / "contact_sheet.png") as writer:
        writer.write(contact_sheet(("frame", "alpha", "foreground"), rows))
    print(f"{args.count} clips of {args.frames} frames -> {out}")


def bench(args) -> None:
    from tqdm import tqdm

    from . import timings
    from .bench import Options
    from .bench import bench as measure
    from .bench_text import as_text
    from .demo import sample_clips
    from .packed import weights

    root = Path(__file__).resolve().parent
    path = root / "weights" / f"{args.preset}.safetensors" if args.preset else args.weights
    weights.load(weights.default_weights() if path is None else path)  # what cannot be read is said before the wait
    for wanted in filter(None, (args.json if args.json != "-" else None, args.chart)):
        check_new_file(Path(wanted), args.overwrite)
    if args.chart:
        need_chart(args.chart)
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
        print_json(report)
    else:
        print(as_text(report))
    if args.json and args.json != "-":
        timings.write(report, Path(args.json))
        print(f"\nwritten: {args.json}")
    if args.chart:
        from . import viz

        with beside(Path(args.chart), "choose another place with --chart") as part:
            viz.bench_chart(report).savefig(part, format=Path(args.chart).suffix[1:].lower())


def cost(args) -> None:
    from .cost_table import report
    from .cost_text import as_text

    data = report(args)
    if args.json:
        print_json(data)
    else:
        print(as_text(data))


def doctor(args) -> int:
    from .doctor import as_data, as_text, examine, healthy

    checks = examine(args.threads)
    if args.json:
        print_json(as_data(checks))
    else:
        print(as_text(checks))
    return 0 if healthy(checks) else 1
