"""The arguments of `bivm-ref cost`; cost_table.py answers them."""

from __future__ import annotations

import argparse
from collections.abc import Callable


def add(p: argparse.ArgumentParser, size: Callable[[str], tuple[int, int]], positive: Callable[[str], int]) -> None:
    """size and positive: the types of WxH and of a whole number that the other commands have too."""
    which = p.add_mutually_exclusive_group()
    which.add_argument("--preset", choices=("default", "small"), help="this network alone")
    which.add_argument("--weights", metavar="F", help="a packed network alone")
    p.add_argument("--size", metavar="WxH", type=size,
                   help="of a frame; default: 512x288, and 1920x1080 with ratio 0.25")
    p.add_argument("--ratio", metavar="R", type=_ratio,
                   help="the network sees the frame reduced by R, and the refiner restores it; default: so that "
                   "longer sides above 512 become 512")
    share = p.add_mutually_exclusive_group()
    share.add_argument("--dense", action="store_true", help="only with every position computed, without a mask")
    share.add_argument("--active", metavar="S", type=_share, help="the share of active positions, as 0.3")
    share.add_argument("--measure", metavar="N", type=positive, nargs="?", const=32,
                       help="measure the share on N held-out clips (32) and the sample clips: some minutes")
    p.add_argument("--shares", metavar="FILE",
                   help="where measured shares are; default: data_samples/results/active_shares.json")
    p.add_argument("--write", action="store_true", help="keep what --measure finds in that file")
    p.add_argument("--layers", action="store_true", help="the tables of layers too")


def _share(text: str) -> float:
    if not 0.0 <= _number(text) <= 1.0:
        raise argparse.ArgumentTypeError(f"a share lies in [0, 1], not {text}")
    return float(text)


def _ratio(text: str) -> float:
    if not 0.0 < _number(text) <= 1.0:
        raise argparse.ArgumentTypeError(f"a ratio is above 0 and at most 1, not {text}")
    return float(text)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from error
