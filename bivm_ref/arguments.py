"""Arguments that several commands share, and what a value may look like. See cli.py."""

from __future__ import annotations

import argparse


def without_empty(parser: argparse.ArgumentParser, argv: list[str] | None) -> argparse.Namespace:
    """The parsed arguments; an empty one, as of a shell's variable that is not set, is a mistake: it would pass for the
    current folder, or for nothing given."""
    args = parser.parse_args(argv)
    for name, value in vars(args).items():
        if value == "" or (isinstance(value, list) and "" in value):
            parser.error(f"an empty argument ({name}); is a variable of your shell unset?")
    return args


def engine_options(p: argparse.ArgumentParser) -> None:
    p.add_argument("--engine", choices=("packed", "torch"), default="packed",
                   help="NumPy on packed bits, or torch")
    p.add_argument("--weights", metavar="F", help="a packed network, or with --engine torch also a model.pt; "
                   "default: the shipped one")
    p.add_argument("--size", metavar="N", type=engine_size, default="trained",
                   help="longer frames are reduced to N pixels on the longer side for the network, and the refiner "
                   "restores them; default: the size that the weights were trained at")
    p.add_argument("--kernel", choices=("auto", "xor", "table", "table4"), default="auto",
                   help="of the packed engine's binary convolutions: the same numbers at another speed; auto: "
                   "measured per layer when the weights are loaded, see bivm-ref info")
    p.add_argument("--table-budget-mb", metavar="N", type=whole,
                   help="megabytes of memory that the kernels' tables may take in all")
    p.add_argument("--settle", metavar="N", type=whole,
                   help="show the network a clip's first frame N times before it counts: its memory begins empty; "
                   "default: 0, and matte shows a single image 2 times")
    threads(p)


def threads(p: argparse.ArgumentParser) -> None:
    p.add_argument("--threads", metavar="N", type=positive, default=1, help="processor threads (1)")


def json(p: argparse.ArgumentParser) -> None:
    p.add_argument("--json", action="store_true", help="print the figures as JSON")


def sources(p: argparse.ArgumentParser) -> None:
    p.add_argument("--people", metavar="D", help="a folder of RGBA stills of people")
    p.add_argument("--scenes", metavar="D", help="a folder of background photographs")


def takes(p: argparse.ArgumentParser) -> None:
    p.add_argument("--takes", action="store_true", help="clips that look filmed: close-ups, people who come and go "
                   "or are not there, cuts, things in front, the damage of webcams")
    p.add_argument("--photos", metavar="D", help="with --takes: a second folder of backgrounds, drawn as often as "
                   "--scenes, and printed on clothes")
    p.add_argument("--moving", metavar="D", help="with --takes and --people: a folder of rendered clips of people, "
                   "c001000/0000.webp and so on, drawn as often as stills")
    p.add_argument("--whole", metavar="D", help="with --takes: a folder of whole photographs of people, RGBA (colours "
                   "as taken, alpha the people's), filmed in 30 %% of the shots")


def whole(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


def seed(text: str) -> int:
    if whole(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"{text} is too large; below 4,294,967,296")
    return int(text)


def positive(text: str) -> int:
    if whole(text) < 1:
        raise argparse.ArgumentTypeError("at least 1 is needed")
    return int(text)


def number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0.0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return number


def engine_size(text: str) -> int | str:
    if text == "trained":
        return text
    if whole(text) < 16:
        raise argparse.ArgumentTypeError("at least 16 pixels are needed")
    return int(text)


def size(text: str) -> tuple[int, int]:
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal() and len(text) < 12 and min(int(width), int(height)) >= 16):
        raise argparse.ArgumentTypeError(f"{text!r} is no size; write 256x144, at least 16x16")
    return int(width), int(height)


def sizes(text: str) -> list[tuple[int, int]]:
    return [size(part.strip()) for part in text.split(",")]


def all_or_positive(text: str) -> int | None:
    return None if text == "all" else positive(text)
