"""The command line, `bivm-ref`: what can be asked, and how mistakes are answered. The work is in commands.py.

Nothing heavy is imported before the arguments are understood, so `--help` is quick and needs no torch.
Exit codes: 0 done, 1 the doctor found something missing, 2 a mistake of the user's (one line on stderr),
130 Ctrl-C.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import sys
import warnings
from collections.abc import Callable

from .errors import UserError

COLOURS = "a colour (white, '#00b140') or an image file"


class _Parser(argparse.ArgumentParser):
    """argparse, but a mistake is one line, as everywhere else here."""

    def error(self, message: str):
        print(f"bivm-ref: error: {message}; see {self.prog} --help", file=sys.stderr)
        sys.exit(2)


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    args = parser().parse_args(argv)

    def work():
        from . import commands

        return getattr(commands, args.command)(args)

    return run_and_report(work)


def run_and_report(work: Callable[[], int | None]) -> int:
    """Do the work; answer a mistake with one line on stderr. Returns the exit code."""
    try:
        with warnings.catch_warnings():
            if not sys.warnoptions:
                warnings.simplefilter("ignore")  # a library's remarks to programmers; python -W shows them
            return work() or 0
    except UserError as error:
        return _fail(str(error))
    except KeyboardInterrupt:
        print("bivm-ref: interrupted", file=sys.stderr)
        return 130
    except MemoryError:
        return _fail("out of memory; close other programs, or pass smaller frames")
    except BrokenPipeError:  # the reader of our output went away: `bivm-ref info | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _fail(message: str) -> int:
    print("bivm-ref: error:", " ".join(message.split()), file=sys.stderr)
    return 2


# -- the arguments ------------------------------------------------------------------------------------------

def parser() -> argparse.ArgumentParser:
    top = _Parser(prog="bivm-ref", description="Binarized video matting: cut people out of videos with 1-bit "
                  "convolutions.", epilog="example: bivm-ref matte clip.mp4 out")
    top.add_argument("--version", action="version", version=f"bivm-ref {_version()}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)
    for add in (_matte, _info, _evaluate, _train, _search, _export, _clips, _bench, _doctor):
        add(commands)
    return top


def _version() -> str:
    try:
        return importlib.metadata.version("bivm_ref")
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"


def _command(commands, name: str, summary: str, details: str, example: str) -> argparse.ArgumentParser:
    return commands.add_parser(name, help=summary, description=f"{summary}\n\n{details}".strip(),
                               epilog="example:\n" + "\n".join(f"  {line}" for line in example.splitlines()),
                               formatter_class=argparse.RawDescriptionHelpFormatter)


def _matte(commands) -> None:
    p = _command(commands, "matte", "matte a video, a folder of images, one image or a camera",
                 "OUT is a folder (alpha, foreground and composite in it), one video file (.mp4 .mov .mkv\n"
                 ".webm .gif: the composite if --background is given, else alpha) or, for one image, an\n"
                 "image file. Frame rate, size and rotation are the input's; a folder of images becomes\n"
                 "25 frames per second. The foreground is straight colour (not multiplied by alpha) where\n"
                 "alpha > 0 and black elsewhere; as PNG it is a cut-out (RGBA). Ctrl-C keeps what is done.",
                 "bivm-ref matte clip.mp4 out\n"
                 "bivm-ref matte clip.mp4 beach.mp4 --background beach.jpg\n"
                 "bivm-ref matte portrait.jpg cutout.png --only foreground")
    p.add_argument("input", metavar="IN", help="a video, a folder of images, an image, or webcam:0")
    p.add_argument("output", metavar="OUT", help="a folder, a video file or an image file")
    _engine_options(p)
    p.add_argument("--background", metavar="COLOR|IMAGE",
                   help=f"behind the composite: {COLOURS}; default #00b140")
    p.add_argument("--only", choices=("alpha", "foreground", "composite"), help="write just this one")
    p.add_argument("--png", action="store_true", default=None, help="write PNG sequences into the folder OUT")
    p.add_argument("--overwrite", action="store_true", help="replace what is there")
    _json(p)


def _info(commands) -> None:
    p = _command(commands, "info", "what is in a weight file: sizes, layers, provenance, figures",
                 "The sizes of the sections add up to the size of the file.", "bivm-ref info\n"
                 "bivm-ref info my.safetensors --json")
    p.add_argument("weights", metavar="F", nargs="?", help="a packed network; default: the shipped one")
    _json(p)


def _evaluate(commands) -> None:
    p = _command(commands, "evaluate",
                 "MAD, MSE, Grad, Conn and dtSSD of an engine on clips with known alpha",
                 "D is a folder of clips in the field's layout, clip/com/0000.png and clip/pha/0000.png\n"
                 "(com may be com.mp4), or one such clip. zero_MAD is the MAD of a predictor that answers 0.",
                 "bivm-ref evaluate data_samples\n"
                 "bivm-ref evaluate --procedural 32 --fast")
    p.add_argument("folder", metavar="D", nargs="?", help="a folder of clips, or one clip")
    p.add_argument("--procedural", metavar="N", type=_positive,
                   help="instead of D: N held-out procedural clips, 8 frames at 256x144")
    p.add_argument("--first-seed", metavar="N", type=_whole, help="seed of the first procedural clip (10,003,000)")
    p.add_argument("--wild", action="store_true", help="the hard procedural clips: two figures, clutter, hard light")
    p.add_argument("--fast", action="store_true", help="leave out Grad and Conn, the slow ones")
    _engine_options(p)
    _json(p)


def _train(commands) -> None:
    p = _command(commands, "train", "train a network, or go on training it (needs torch)",
                 "Writes log.jsonl, checkpoint.pt and, at the end, model.pt into DIR. The same command\n"
                 "again goes on from the last checkpoint. Without --people, procedural figures alone.",
                 "bivm-ref train --float --out runs/twin\n"
                 "bivm-ref train --init runs/twin/model.pt --out runs/student\n"
                 "bivm-ref export runs/student/model.pt student.safetensors")
    p.add_argument("--out", metavar="DIR", required=True, help="the run's folder")
    p.add_argument("--preset", choices=("default", "small"), default="small", help="the architecture (small)")
    p.add_argument("--float", action="store_true",
                   help="train the float twin: the same network without signs")
    p.add_argument("--init", metavar="F", help="start from this model.pt, the float twin's")
    p.add_argument("--steps", metavar="N", type=_positive, default=2000,
                   help="steps in all (2000): 70%% at 160x96, 20%% at 256x144, 10%% for the refiner")
    _sources(p)
    p.add_argument("--seed", metavar="N", type=_whole, default=0, help="of the weights and the clips (0)")
    p.add_argument("--bf16", action="store_true", help="bfloat16 convolutions, for CPUs that have them")
    p.add_argument("--device", default="cpu", help="torch's name of it (cpu)")
    p.add_argument("--workers", metavar="N", type=_whole, default=1, help="processes that make clips (1)")


def _search(commands) -> None:
    from . import search_command as search

    search.arguments(_command(commands, "search", search.SUMMARY, search.DETAILS, search.EXAMPLE))


def _export(commands) -> None:
    p = _command(commands, "export", "pack a trained network into a file for the engine (needs torch)", "",
                 "bivm-ref export runs/student/model.pt student.safetensors")
    p.add_argument("model", metavar="MODEL.pt", help="what `bivm-ref train` wrote")
    p.add_argument("output", metavar="OUT.safetensors", help="the packed file")
    p.add_argument("--overwrite", action="store_true", help="replace what is there")
    _json(p)


def _clips(commands) -> None:
    p = _command(commands, "clips",
                 "write training clips with their exact alpha, to look at or to use elsewhere",
                 "OUT gets 0000/{fgr,pha,com}/0000.png ... (the field's layout, which `evaluate` reads) and\n"
                 "contact_sheet.png.",
                 "bivm-ref clips out --count 4 --size 256x144\n"
                 "bivm-ref clips out --people people/ --scenes scenes/")
    p.add_argument("output", metavar="OUT", help="a new folder")
    p.add_argument("--count", metavar="N", type=_positive, default=8, help="clips (8)")
    p.add_argument("--seed", metavar="N", type=_whole, default=0, help="of the first clip (0)")
    p.add_argument("--size", metavar="WxH", type=_size, default=(256, 144), help="of a frame (256x144)")
    p.add_argument("--frames", metavar="N", type=_positive, default=8, help="per clip (8)")
    _sources(p)
    p.add_argument("--overwrite", action="store_true", help="write into a folder that is not empty")


def _bench(commands) -> None:
    p = _command(commands, "bench", "time a frame, beside RVM and our own network in torch and onnxruntime",
                 "Takes some minutes: every contender does one frame in turn, round after round, first on one\n"
                 "core, then on all; the ratios are to our masked network. Peers need\n"
                 "pip install 'bivm_ref[train,bench]'; one that is missing is a row that says so. Leave the\n"
                 "machine alone meanwhile: whatever else runs is in the times.",
                 "bivm-ref bench\n"
                 "bivm-ref bench --sizes 256x144 --no-peers\n"
                 "bivm-ref bench --layers --json timings.json --chart timings.png")
    p.add_argument("--sizes", metavar="WxH,...", type=_sizes, default=_sizes("256x144,512x288,1280x720"),
                   help="of a frame (256x144,512x288,1280x720); above 512 networks see a reduced frame")
    p.add_argument("--rounds", metavar="N", type=_positive, default=15, help="after 2 that are not counted (15)")
    p.add_argument("--core", metavar="N", type=_whole, help="the one core; default: the last that is allowed")
    p.add_argument("--threads", metavar="N", type=_all_or_positive,
                   help="of the second pass: a number, or all (default); 1 leaves that pass out")
    which = p.add_mutually_exclusive_group()
    which.add_argument("--weights", metavar="F", help="a packed network; default: the shipped one")
    which.add_argument("--preset", choices=("default", "small"), help="the network of that name that comes with us")
    p.add_argument("--no-peers", dest="peers", action="store_false", help="time our engine alone")
    p.add_argument("--layers", action="store_true", help="time the larger convolutions one by one as well")
    p.add_argument("--long", action="store_true", help="stream 500 frames too, to see whether memory stays flat")
    p.add_argument("--json", metavar="FILE", help="write everything measured as JSON; - prints it, and no table")
    p.add_argument("--chart", metavar="FILE.png", help="draw a bar chart (needs matplotlib)")
    p.add_argument("--overwrite", action="store_true", help="replace those files")


def _doctor(commands) -> None:
    p = _command(commands, "doctor",
                 "check this machine: versions, codecs, weights, kernels, one frame's time",
                 "Exit code 1 if something required is missing.", "bivm-ref doctor")
    _threads(p)
    _json(p)


# -- arguments that several commands share ------------------------------------------------------------------

def _engine_options(p: argparse.ArgumentParser) -> None:
    p.add_argument("--engine", choices=("packed", "torch"), default="packed",
                   help="NumPy on packed bits, or torch")
    p.add_argument("--weights", metavar="F", help="a packed network, or with --engine torch also a model.pt; "
                   "default: the shipped one")
    p.add_argument("--size", metavar="N", type=_engine_size, default="trained",
                   help="longer frames are reduced to N pixels on the longer side for the network, and the refiner "
                   "restores them; default: the size that the weights were trained at")
    p.add_argument("--kernel", choices=("auto", "xor", "table", "table4"), default="auto",
                   help="of the packed engine's binary convolutions: the same numbers at another speed; auto: "
                   "measured per layer when the weights are loaded, see bivm-ref info")
    p.add_argument("--table-budget-mb", metavar="N", type=_whole,
                   help="megabytes of memory that the kernels' tables may take in all")
    _threads(p)


def _threads(p: argparse.ArgumentParser) -> None:
    p.add_argument("--threads", metavar="N", type=_positive, default=1, help="processor threads (1)")


def _json(p: argparse.ArgumentParser) -> None:
    p.add_argument("--json", action="store_true", help="print the figures as JSON")


def _sources(p: argparse.ArgumentParser) -> None:
    p.add_argument("--people", metavar="D", help="a folder of RGBA stills of people")
    p.add_argument("--scenes", metavar="D", help="a folder of background photographs")


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


def _positive(text: str) -> int:
    if _whole(text) < 1:
        raise argparse.ArgumentTypeError("at least 1 is needed")
    return int(text)


def _engine_size(text: str) -> int | str:
    if text == "trained":
        return text
    if _whole(text) < 16:
        raise argparse.ArgumentTypeError("at least 16 pixels are needed")
    return int(text)


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal() and min(int(width), int(height)) >= 16):
        raise argparse.ArgumentTypeError(f"{text!r} is no size; write 256x144, at least 16x16")
    return int(width), int(height)


def _sizes(text: str) -> list[tuple[int, int]]:
    return [_size(part.strip()) for part in text.split(",")]


def _all_or_positive(text: str) -> int | None:
    return None if text == "all" else _positive(text)


if __name__ == "__main__":
    sys.exit(main())
