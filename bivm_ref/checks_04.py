"""Checks of notebook 04, bits by hand: the dot product, packing, the border, counting by a table."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .checks_shared import call, kind, number_hint, say, unchanged


def check_E4_1(fn: Callable, seed: int = 0) -> None:
    """E4.1: fn(a, w) -> the dot product of the signs whose bits are a and w, (n,) bool each: n - 2·popcount(a XOR w).

    n is not 8 here, and the answer is negative.
    """
    rng = np.random.default_rng(seed)
    n, differ, both = 40, 29, 6  # 6 places where both bits are 1, 5 where both are 0
    a, w = np.zeros((2, n), bool)
    a[:20], w[20:differ] = True, True
    a[differ:differ + both] = w[differ:differ + both] = True
    order = rng.permutation(n)
    given = a[order].copy(), w[order].copy()
    result = call("E4.1", fn, given, "a ^ w is True where the bits differ; .sum() counts")
    if result is None:
        return
    answer = n - 2 * differ
    known = {
        "that is how many bits differ. Each one takes 2 from the n that would be the sum if all agreed": differ,
        "that is how many bits agree. Each one that differs also takes one away: n - 2d": n - differ,
        "the sign is turned round: where bits agree the product is +1": -answer,
        "that multiplies the bits. A bit 0 stands for -1, not for 0: -1 times -1 is +1": both,
        "n is how many signs there are, len(a), not always 8": 8 - 2 * differ,
    }
    hint = unchanged((a[order], w[order]), given) or number_hint(result, answer, known)
    hint = hint and below_zero(result, n) or hint
    say("E4.1", hint, "also where n is not 8 and the sum is negative")


def check_E4_2(fn: Callable, seed: int = 0) -> None:
    """E4.2: fn(x) -> (n/8,) uint8, the bits x >= 0 of x (n,) float32, the first of each eight as the highest bit."""
    x = np.random.default_rng(seed).standard_normal(32).astype(np.float32)
    x[:8] = [1, -1, 0, -1, -1, -1, -1, 2]  # 0b10100001: a zero, and not the same from either end
    x[8:11] = [3, 2, -1]
    x[11:16] = -1
    given = x.copy()
    result = call("E4.2", fn, (given,), "x.reshape(-1, 8) has a row for each byte; bit 7 is worth 128, bit 0 worth 1")
    if result is None:
        return
    answer = np.packbits(x >= 0)
    known = {
        "bit 1 must mean +1; here it means -1": np.packbits(x < 0),
        "sign(0) is +1, so a zero gives bit 1: x >= 0, not x > 0": np.packbits(x > 0),
        "the first of eight is the highest bit, worth 128; here it is the lowest":
            np.packbits(x >= 0, bitorder="little"),
        "the bytes come in the order of the numbers; here they run backwards": answer[::-1],
    }
    if not isinstance(result, np.ndarray):
        hint = f"returns {kind(result)}; return an array"
    elif result.shape == x.shape:
        hint = "that is still one number for each sign; eight signs share one byte"
    elif result.shape != answer.shape:
        hint = f"the result is {result.shape}; {x.size} signs are {answer.size} bytes"
    elif unchanged((x,), (given,)):
        hint = unchanged((x,), (given,))
    elif result.dtype != np.uint8:
        right = " (the values are right)" if np.array_equal(result, answer) else ""
        hint = f"the result is {result.dtype}{right}; a byte is uint8: end with .astype(np.uint8)"
    elif np.array_equal(result, answer):
        hint = None
    else:
        hint = next((text for text, wrong in known.items() if np.array_equal(result, wrong)), None)
        hint = hint or f"of {x[:8].astype(int).tolist()} it makes {result[0]:08b}; right is {answer[0]:08b}"
    say("E4.2", hint, "zeros included, highest bit first")


def check_E4_3(fn: Callable, seed: int = 0) -> None:
    """E4.3: fn(taps, weights, inside) -> one output of a 3×3 at the border: taps outside the image add 0.

    taps, weights (9, C/8) uint8, taps 0 where outside; inside (9,) bool.
    """
    rng = np.random.default_rng(seed)
    taps, weights = rng.integers(0, 256, (2, 9, 3), dtype=np.uint8)  # C = 24
    inside = np.array([False, False, False, False, True, True, False, True, True])  # the upper left corner
    weights[~inside] = [[255, 254, 250]] * 5  # mostly +1: what the outside adds must not cancel
    taps[~inside] = 0
    taps[4], weights[4] = 0, [255, 254, 250]  # a pixel inside whose channels are all -1 has nothing but zero bits, too
    given = taps.copy(), weights.copy(), inside.copy()
    result = call("E4.3", fn, given, "np.bitwise_count(taps ^ weights).sum(axis=1) is one count for each of 9 taps")
    if result is None:
        return
    d = np.bitwise_count(taps ^ weights).sum(axis=1).astype(int)  # (9,)
    n = 8 * taps.shape[1]
    here = int(d[inside].sum())
    answer = n * int(inside.sum()) - 2 * here
    some = taps.any(axis=1)
    known = {
        "a row of zero bits is also a pixel whose channels are all -1: inside says what is outside":
            n * int(some.sum()) - 2 * int(d[some].sum()),
        "the outside is counted: its 0 bits act as -1. Leave those taps out of n and of the count":
            9 * n - 2 * int(d.sum()),
        "the count leaves the outside out, n does not: there are as many terms as taps inside, times C":
            9 * n - 2 * here,
        "n leaves the outside out, the count of differing bits does not":
            n * int(inside.sum()) - 2 * int(d.sum()),
        "that is the outside alone: inside says which taps to keep":
            n * int((~inside).sum()) - 2 * int(d[~inside].sum()),
        "n counts bytes; each holds 8 channels": 3 * int(inside.sum()) - 2 * here,
        "n is 9 here, the number of taps; it is the number of terms, taps inside times C": 9 - 2 * here,
        "that is how many bits differ; the sum is n - 2d": here,
    }
    hint = unchanged((taps, weights, inside), given) or number_hint(result, answer, known)
    hint = hint and below_zero(result, 9 * n) or hint
    say("E4.3", hint, "a tap outside the image adds nothing")


def check_E4_4(fn: Callable, seed: int = 0) -> None:
    """E4.4: fn(packed) -> how many bits of packed (n,) uint8 are 1, by a table of 256 counts."""
    packed = np.random.default_rng(seed).integers(0, 256, 500, dtype=np.uint8)
    packed[:3] = 0, 255, 128
    given = packed.copy()
    result = call("E4.4", fn, (given,), "table[packed] looks up every byte at once")
    if result is None:
        return
    counts = np.array([bin(v).count("1") for v in packed])
    answer = int(counts.sum())
    known = {
        "that is how many bytes are not 0; a byte holds up to eight 1 bits": int((packed > 0).sum()),
        "that adds the bytes up as numbers": int(packed.sum()),
        "that is how many bits are 0": 8 * packed.size - answer,
        "the sum ran over in 8 bits: 500 counts go past 255, so add them in a wider type": answer % 256,
        "the byte 255 was missed: a table for all bytes has 256 entries": answer - 8 * int((packed == 255).sum()),
        "the highest bit of each byte is missing": answer - int((packed >= 128).sum()),
    }
    hint = unchanged((packed,), (given,)) or number_hint(result, answer, known)
    if np.shape(result) == packed.shape:
        right = " (they are right)" if np.array_equal(result, counts) else ""
        hint = f"that is a count for each byte{right}; add them up"
    say("E4.4", hint, "one look-up for each byte, 0 and 255 included")


def below_zero(result, most: int) -> str | None:
    """A hint for what an unsigned type makes of a negative number: more than a sum of `most` signs can be."""
    if isinstance(result, np.unsignedinteger) and int(result) > most:
        return "the number went below zero in an unsigned type, which has no minus: count with int(...) first"
    return None
