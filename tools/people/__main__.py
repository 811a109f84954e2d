"""The command line: `python -m tools.people COMMAND`, from the repository's root. See tools/people/README.md."""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import time
from pathlib import Path

from bivm_ref.errors import UserError

from . import assets as asset_files
from . import interrupts, jobs, sheet

BPY = "pip install 'bpy==4.2.*' scipy pillow"
FIRST_SEED = 1000  # people below 60 and scenes below 10 are for validation and demonstration, never for training


def require_blender() -> str:
    """Blender's version, or UserError that says how to get it."""
    try:
        import bpy
        import scipy.ndimage
        import scipy.spatial  # noqa: F401
    except ImportError as error:
        raise UserError(f"{error.name or error} is missing here: in an environment of Python 3.11, {BPY}") from error
    if bpy.app.version < (4, 2):
        raise UserError(f"bpy {bpy.app.version_string} is too old: in an environment of Python 3.11, {BPY}")
    return bpy.app.version_string


def settings(arguments: argparse.Namespace, assets: asset_files.Assets) -> dict:
    """What decides a picture beside its seed; a folder holds pictures of one kind."""
    names = ",".join([*sorted(assets.targets), *sorted(assets.garments)])
    digest = hashlib.sha256(assets.vertices.tobytes() + names.encode()).hexdigest()[:12]
    return {"size": arguments.size, "samples": arguments.samples, "alpha_samples": arguments.alpha_samples,
            "assets": digest}


def make_people(arguments: argparse.Namespace) -> int:
    """`person` and `clip`: a still of every seed, or a folder of frames."""
    require_blender()
    from .figure import Figure
    from .person import draw_person
    from .render import Quality, render_frame
    from .stage import frame_shot

    assets = asset_files.load(arguments.assets, jobs.say)
    quality = Quality(arguments.size, arguments.samples, arguments.alpha_samples, arguments.threads)
    clip = arguments.command == "clip"
    facts = settings(arguments, assets)
    jobs.claim(arguments.out, facts | {"frames": arguments.frames, "fps": arguments.fps} if clip else facts)

    def files(name: str) -> list[Path]:
        if not clip:
            return [arguments.out / f"{name}.webp"]
        return [arguments.out / name / f"{number:04}.webp" for number in range(arguments.frames)]

    def make(name: str) -> str:
        start, seed = time.time(), int(name[1:])
        person = draw_person(seed, assets.targets, assets.garments)
        figure = Figure(assets, person)
        shot = frame_shot(person.view, figure.frame(0.0))
        kept = arguments.out / name / "gain.txt"  # of a clip's first frame, for its others
        gain = jobs.read_number(kept) if clip else None
        for number, path in enumerate(files(name)):
            if not path.exists():  # a clip that was broken off goes on within
                moment = figure.frame(number / arguments.fps if clip else 0.0)
                picture, gain = render_frame(person, moment, shot, quality, gain)
                if clip and not kept.exists():
                    jobs.write_text(kept, f"{gain!r}\n")
                jobs.write_picture(path, picture)
        worn = person.outfit or " and ".join(cut.kind for cut in person.pieces)
        return f"{person.view.framing}, hair {person.style}, {worn}, {time.time() - start:.1f} s"

    return work(arguments, "c" if clip else "h", lambda name: all(path.exists() for path in files(name)), make)


def make_scenes(arguments: argparse.Namespace) -> int:
    """`scene`: an opaque background of every seed, 16:9."""
    require_blender()
    from .outdoors import draw_outdoors
    from .person import stream
    from .place_stage import render_place
    from .rooms import draw_room

    jobs.claim(arguments.out, {"size": arguments.size, "samples": arguments.samples, "kind": arguments.kind})

    def file(name: str) -> Path:
        return arguments.out / f"{name}.jpg"

    def make(name: str) -> str:
        start, seed = time.time(), int(name[1:])
        outdoors = {"rooms": False, "outdoors": True}.get(arguments.kind, stream(seed, "where").random() < 0.5)
        seen = draw_outdoors(seed) if outdoors else draw_room(seed)
        height = round(arguments.size * 9 / 16)
        jobs.write_picture(file(name), render_place(seen, arguments.size, height, arguments.samples, arguments.threads))
        focus = "out of focus" if seen.aperture else "sharp"
        return f"{seen.kind if outdoors else 'room'}, {focus}, {time.time() - start:.1f} s"

    return work(arguments, "b", lambda name: file(name).exists(), make)


def work(arguments: argparse.Namespace, letter: str, there, make) -> int:
    """Go through the seeds; after a hundred renders, in a fresh process."""
    names = [f"{letter}{seed:06}" for seed in range(arguments.start, arguments.start + arguments.count)]
    with interrupts.polite():
        tally = jobs.run(arguments.out, names, there, make, jobs.say)
    if tally.unfinished:
        jobs.say(f"{tally.text()}; a fresh process goes on")
        os.execv(sys.executable, [sys.executable, "-m", "tools.people", *sys.argv[1:]])
    jobs.say(f"{arguments.out}: {tally.text()}")
    return 1 if tally.failed else 0


def check(arguments: argparse.Namespace) -> int:
    """Say of everything a run needs whether it is there."""
    problems = []

    def report(what: str, find) -> None:
        try:
            for line in find():
                jobs.say(f"{what}: {line}")
        except UserError as error:
            problems.append(str(error))

    report("blender", lambda: [f"bpy {require_blender()}"])
    if arguments.assets:
        report("assets", lambda: asset_files.summary(asset_files.load(arguments.assets)))
    if arguments.folder:
        def look() -> list[str]:
            problems.extend(sheet.check(arguments.folder))
            frames = sum(len(frames) for frames in sheet.clips(arguments.folder))
            return [f"{len(sheet.pictures(arguments.folder))} pictures, {frames} frames of clips"]

        report("folder", look)
    for problem in problems:
        print(f"people: ERROR: {problem}", file=sys.stderr)
    return 2 if problems else 0


def prepare(arguments: argparse.Namespace) -> int:
    found = asset_files.read_folder(arguments.data, jobs.say)
    asset_files.save(found, arguments.file)
    for line in asset_files.summary(found):
        jobs.say(line)
    return 0


def make_sheet(arguments: argparse.Namespace) -> int:
    out = arguments.out or arguments.folder / "sheet" / "sheet.png"
    shown = sheet.contact_sheet(arguments.folder, out, arguments.cell, arguments.columns, arguments.most)
    jobs.say(f"{out}: {shown} pictures")
    return 0


def whole(low: int, high: int = 2**31 - 1):
    """A parser of whole numbers in [low, high] for argparse."""
    def parse(text: str) -> int:
        number = int(text)
        if not low <= number <= high:
            raise argparse.ArgumentTypeError(f"{number} is not in [{low}, {high}]")
        return number

    parse.__name__ = "whole number"
    return parse


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m tools.people", description="Rendered people with exact alpha.")
    commands = top.add_subparsers(dest="command", required=True)

    def add(name: str, does, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(does=does)
        return command

    command = add("check", check, "Is all there that a run needs, and are a folder's pictures whole?")
    command.add_argument("folder", nargs="?", type=Path, help="pictures to look at")
    command.add_argument("--assets", type=Path, help="MakeHuman's data folder, or a file that `prepare` wrote")

    command = add("prepare", prepare, "Read MakeHuman's data folder once, into one file that loads in a second.")
    command.add_argument("data", type=Path, help="the folder makehuman/data")
    command.add_argument("file", type=Path, help="where to write, such as outputs/makehuman.npz")

    for name, text in (("person", "Stills: one person per seed."), ("clip", "Clips: one moving person per seed.")):
        command = add(name, make_people, text)
        command.add_argument("--assets", type=Path, required=True, help="MakeHuman's data folder, or a prepared file")
        add_common(command, 512)
        command.add_argument("--samples", type=whole(1), default=12, help="of light, per pixel (%(default)s)")
        command.add_argument("--alpha-samples", type=whole(1), default=160, help="of coverage (%(default)s)")
        if name == "clip":
            command.add_argument("--frames", type=whole(1), default=24, help="of a clip (%(default)s)")
            command.add_argument("--fps", type=whole(1), default=24, help="frames per second (%(default)s)")

    command = add("scene", make_scenes, "Backgrounds: one room, street or park per seed, 16:9, without people.")
    add_common(command, 768)
    command.add_argument("--samples", type=whole(1), default=24, help="of light, per pixel (%(default)s)")
    command.add_argument("--kind", choices=("both", "rooms", "outdoors"), default="both", help="(%(default)s)")

    command = add("sheet", make_sheet, "A contact sheet of a folder's pictures.")
    command.add_argument("folder", type=Path)
    command.add_argument("--out", type=Path, help="where to write (FOLDER/sheet/sheet.png)")
    command.add_argument("--cell", type=whole(16), default=160, help="pixels of one picture (%(default)s)")
    command.add_argument("--columns", type=whole(1), default=8, help="(%(default)s)")
    command.add_argument("--most", type=whole(1), default=64, help="pictures at most (%(default)s)")
    return top


def add_common(command: argparse.ArgumentParser, size: int) -> None:
    command.add_argument("--out", type=Path, required=True, help="folder to write to; what is there is kept")
    command.add_argument("--start", type=whole(0), default=FIRST_SEED, help="first seed (%(default)s)")
    command.add_argument("--count", type=whole(1), default=1, help="how many seeds (%(default)s)")
    command.add_argument("--size", type=whole(32, 4096), default=size, help="pixels across (%(default)s)")
    command.add_argument("--threads", type=whole(1), default=1, help="of Blender (%(default)s)")


def main(words: list[str] | None = None) -> int:
    arguments = parser().parse_args(words)
    try:
        return arguments.does(arguments)
    except UserError as error:
        print(f"people: ERROR: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("people: stopped; the same command goes on from here", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
