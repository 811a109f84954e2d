"""Checks of notebook 06, the masked decoder: the mask, gathering and scattering, counting what is left."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .checks_shared import call, kind, number_hint, say, unchanged


def check_E6_1(fn: Callable, seed: int = 0) -> None:
    """E6.1: fn(coarse, tau) -> mask (h, w) bool: tau <= coarse <= 1 - tau, or a 3x3 neighbourhood (inside the image)
    that holds both sides of 0.5.

    coarse (h, w) float64 in [0, 1]; tau in (0, 0.5).
    """
    rng = np.random.default_rng(seed)
    coarse = rng.choice([0.0, 0.04], (9, 12))
    coarse[3:6, 3:7] = 1.0  # a figure with sharp edges, away from the border
    coarse[:2, :5] = 0.9  # and one that the frame cuts off: the frame's border is no boundary
    coarse[1, 9], coarse[8, 1] = 0.3, 0.25  # uncertain, on one side of 0.5, far from the figure
    coarse[7, 10], coarse[8, 11] = 0.25, 0.0  # exactly tau
    coarse[4, 4] = 0.75  # exactly 1 - tau, inside the figure
    tau = 0.25
    given = coarse.copy()
    result = call("E6.1", fn, (given, tau), "np.pad(coarse > 0.5, 1, mode='edge') and nine shifted slices of it")
    if result is None:
        return
    side = coarse > 0.5
    uncertain = (coarse >= tau) & (coarse <= 1 - tau)
    grown, shrunk = _window(side, "edge").any(0), _window(side, "edge").all(0)
    cross = _window(side, "edge")[[1, 3, 4, 5, 7]]
    answer = uncertain | (grown != shrunk)
    known = {
        "the boundary is missing: where both sides of 0.5 meet, the cells are active too": uncertain,
        "the uncertain cells are missing: tau <= coarse <= 1 - tau": grown != shrunk,
        "that needs both; a cell is active if it is uncertain OR at the boundary": uncertain & (grown != shrunk),
        "it is the other way round: True where the 3x3 is to be computed": ~answer,
        "tau itself is uncertain: <= and >=, not < and >":
            ((coarse > tau) & (coarse < 1 - tau)) | (grown != shrunk),
        "only the outer half of the boundary: the figure's own rim cells are active too": uncertain | (grown & ~side),
        "only the inner half of the boundary: the cells around the figure are active too": uncertain | (side & ~shrunk),
        "the diagonal neighbours are missing: the neighbourhood is 3x3, a square":
            uncertain | (cross.any(0) != cross.all(0)),
        "outside the image there is no background: repeat the edge (mode='edge')":
            uncertain | (_window(side, "constant").any(0) != _window(side, "constant").all(0)),
        "the opposite side of the image is no neighbour: np.roll wraps round":
            uncertain | (_window(side, "wrap").any(0) != _window(side, "wrap").all(0)),
        "the whole figure is active; inside it, all nine neighbours agree: take all() away from any()":
            uncertain | grown,
    }
    if not isinstance(result, np.ndarray):
        hint = f"returns {kind(result)}; return an array"
    elif result.shape != coarse.shape:
        hint = f"the result is {result.shape}; the mask has one value for each of {coarse.shape} cells"
    elif unchanged((coarse,), (given,)):
        hint = unchanged((coarse,), (given,))
    elif result.dtype != np.bool_:
        right = " (the values are right)" if np.array_equal(result, answer) else ""
        hint = f"the result is {result.dtype}{right}; a mask is bool"
    elif np.array_equal(result, answer):
        hint = None
    else:
        hint = next((text for text, wrong in known.items() if np.array_equal(result, wrong)), None)
        y, x = np.argwhere(result != answer)[0] if hint is None else (0, 0)
        hint = hint or f"at row {y}, column {x}, coarse alpha {coarse[y, x]:g}, it says {bool(result[y, x])}"
    say("E6.1", hint, "uncertain or at the boundary, tau itself included")


def check_E6_2(fn: Callable, seed: int = 0) -> None:
    """E6.2: fn(x, mask, dot) -> (H, W): dot of the nine numbers around each active position, 0 elsewhere.

    x (H, W) int64; mask (H, W) bool; dot: (N, 9) -> (N,), taps row by row, zeros outside the image. It counts its rows.
    """
    rng = np.random.default_rng(seed)
    x, weights = rng.integers(1, 9, (6, 7)), np.array([1, -2, 3, 5, 7, -4, 2, 6, -1])
    mask = np.zeros(x.shape, bool)
    mask[0, 0] = mask[2, 3] = mask[2, 4] = mask[3, 2] = mask[5, 6] = mask[4, 1] = True  # two corners among them
    given, rows = (x.copy(), mask.copy()), []

    def dot(taps: np.ndarray) -> np.ndarray:
        taps = np.asarray(taps)
        if taps.ndim != 2 or taps.shape[1] != 9:
            raise ValueError(f"dot takes (N, 9), got {taps.shape}")
        rows.append(len(taps))
        return taps @ weights

    result = call("E6.2", fn, (*given, dot),
                  "ys, xs = np.nonzero(mask), and padded[ys + 1 + dy, xs + 1 + dx] is one tap of all of them")
    if result is None:
        return
    taps = _window(x, "constant")  # (9, H, W)
    dense = np.tensordot(weights, taps, 1)
    answer, count = np.where(mask, dense, 0), int(mask.sum())
    known = {
        "that is the dense result: 0 where the mask is False": dense,
        "it computes where the mask is False": np.where(mask, 0, dense),
        "the taps run row by row: (-1, -1), (-1, 0), (-1, 1), (0, -1) …; here x and y have changed places":
            np.where(mask, np.tensordot(weights.reshape(3, 3).T.ravel(), taps, 1), 0),
        "the window begins at the position; it lies around it, from -1 to 1":
            np.where(mask, np.tensordot(weights, _ahead(x), 1), 0),
        "outside the image there are zeros; here the edge is repeated":
            np.where(mask, np.tensordot(weights, _window(x, "edge"), 1), 0),
        "outside the image there are zeros; here the other side comes in: index -1 is the last row":
            np.where(mask, np.tensordot(weights, _window(x, "wrap"), 1), 0),
    }
    if not isinstance(result, np.ndarray):
        hint = f"returns {kind(result)}; return an array"
    elif result.shape == (count,):
        right = " (they are right)" if np.array_equal(result, answer[mask]) else ""
        hint = f"those are the results alone{right}; scatter them: out[mask] = …"
    elif result.shape != x.shape:
        hint = f"the result is {result.shape}; the map is {x.shape}"
    elif unchanged((x, mask), given):
        hint = unchanged((x, mask), given)
    elif np.array_equal(result, answer) and sum(rows) > count:
        hint = (f"right numbers, but nothing is skipped: dot was given {sum(rows)} rows of nine, and {count} positions "
                "are active")
    elif np.array_equal(result, answer) and sum(rows) < count:
        hint = "right numbers, but not from dot: gather (N, 9) and call dot"
    elif np.array_equal(result, answer):
        hint = None
    else:
        hint = next((text for text, wrong in known.items() if np.array_equal(result, wrong)), None)
        y, at = np.argwhere(result != answer)[0] if hint is None else (0, 0)
        hint = hint or f"at row {y}, column {at} it gives {result[y, at]:g} where {answer[y, at]} is right"
    say("E6.2", hint, "as dense × mask, and dot saw the active positions alone")


def check_E6_3(fn: Callable, seed: int = 0) -> None:
    """E6.3: fn(layers, share) -> operations of a frame, FLOPs + BOPs/64, masked layers counted at `share`.

    layers: (macs, binary, masked) each, MACs when computed everywhere; share in [0, 1].
    """
    rng = np.random.default_rng(seed)
    layers = [(64 * int(rng.integers(100, 900)), binary, masked)
              for binary, masked in ((False, False), (True, False), (True, True), (True, True), (False, True))]
    share = 0.375
    result = call("E6.3", fn, (list(layers), share), "for macs, binary, masked in layers: one if for each of the two")
    if result is None:
        return

    def total(binary_at=1 / 64, float_at=1.0, masked_at=share, others_at=1.0) -> float:
        return sum(macs * (binary_at if binary else float_at) * (masked_at if masked else others_at)
                   for macs, binary, masked in layers)

    answer = total()
    known = {
        "the mask is ignored: masked layers count at their share": total(masked_at=1.0),
        "every layer is taken at the share; only masked ones skip": total(others_at=share),
        "the share is that of the positions computed, not skipped": total(masked_at=1 - share),
        "masked layers are left out; at the active positions they do compute": total(masked_at=0.0),
        "64 binary MACs are one operation, here each counts in full": total(binary_at=1.0),
        "a binary MAC is 1/64 of an operation; 1/32 is what one bit saves against float32 in bytes":
            total(binary_at=1 / 32),
        "float MACs count in full, only binary ones 1/64": total(float_at=1 / 64),
        "the unmasked layers are missing: they run at every position": total(others_at=0.0),
        "the layers that skip and those that do not have changed places": total(masked_at=1.0, others_at=share),
    }
    say("E6.3", number_hint(result, answer, known), "only masked layers shrink")


def _window(x: np.ndarray, mode: str) -> np.ndarray:
    """(H, W) -> (9, H, W): the 3x3 around each position, tap by tap, row by row."""
    padded = np.pad(x, 1, mode=mode)
    height, width = x.shape
    return np.stack([padded[dy:dy + height, dx:dx + width] for dy in range(3) for dx in range(3)])


def _ahead(x: np.ndarray) -> np.ndarray:
    """(H, W) -> (9, H, W): the 3x3 that begins at each position, instead of lying around it."""
    padded = np.pad(x, (0, 2))
    height, width = x.shape
    return np.stack([padded[dy:dy + height, dx:dx + width] for dy in range(3) for dx in range(3)])
