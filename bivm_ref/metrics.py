"""The field's five matting metrics, in NumPy: MAD, MSE, Grad, Conn, dtSSD. Lower is better in all.

Sources: Rhemann et al. 2009 (Grad, Conn), Erofeev et al. 2015 (dtSSD), with the factors of RVM's evaluation
protocol, so that figures compare with published tables. Grad and Conn are sums over pixels: compare them at
equal size only (the published ones are for 512x288).

`pred` and `true` are alpha in [0, 1], float, (H, W) or (T, H, W). A clip's figure is the mean over its
frames. Every function raises a ValueError that names the array at fault: unequal shapes, not float, NaN,
outside [0, 1].
"""

import math

import numpy as np

LEVELS = np.arange(0, 11) / 10  # Conn's thresholds 0, 0.1 … 1


def mad(pred, true) -> float:
    """Mean absolute difference: 1e3 · mean |p − t|."""
    pred, true = _pair(pred, true)
    return 1e3 * _per_frame(lambda p, t: np.abs(p - t).mean(), pred, true)


def mse(pred, true) -> float:
    """Mean squared error: 1e3 · mean (p − t)²."""
    pred, true = _pair(pred, true)
    return 1e3 * _per_frame(lambda p, t: np.square(p - t).mean(), pred, true)


def grad(pred, true, stretch: bool = True) -> float:
    """Gradient error: 1e-3 · Σ (|∇p| − |∇t|)², each stretched to [0, 1]; Gaussian derivatives, σ = 1.4.

    stretch=False leaves both as they are, as RVM's protocol does for frames larger than its 512×288.
    """
    pred, true = _pair(pred, true)

    def frame(p, t):
        if stretch:
            p, t = _stretch(p), _stretch(t)
        return np.square(gradient_magnitude(p) - gradient_magnitude(t)).sum()

    return 1e-3 * _per_frame(frame, pred, true)


def conn(pred, true) -> float:
    """Connectivity error: 1e-3 · Σ |φ_t − φ_p|.

    A pixel's l is the highest level at which it still belongs to the largest 4-connected blob of
    {p ≥ level and t ≥ level}, found by walking the levels 0.1, 0.2 … 1 upwards. φ = 1 − d for d = alpha − l;
    d under 0.15 is forgiven (φ = 1).
    """
    return 1e-3 * _per_frame(_conn_frame, *_pair(pred, true))


def iou(pred, true) -> float:
    """Overlap of the two sets alpha > 0.5 in all frames together: intersection / union, in [0, 1]; higher is better.

    A segmentation's figure, not matting's: it says whether the right thing was taken for the foreground. NaN where
    nothing is.
    """
    pred, true = _pair(pred, true)
    mine, theirs = pred > 0.5, true > 0.5
    if not theirs.any():
        return math.nan
    return np.count_nonzero(mine & theirs) / np.count_nonzero(mine | theirs)


def dtssd(pred, true, rvm: bool = False) -> float:
    """Temporal error, flicker: 1e2 · sqrt(mean(((p_t − p_{t−1}) − (t_t − t_{t−1}))²)), mean over t = 1 … T−1.

    rvm=True averages in a zero for frame 0, as RVM's script does: (T−1)/T of ours. Of a single frame ours is NaN,
    and RVM's is the 0 of its only frame.
    """
    pred, true = _pair(pred, true)
    steps = [100 * math.sqrt(np.square(_error(pred, true, t) - _error(pred, true, t - 1)).mean())
             for t in range(1, len(pred))]
    if not steps:
        return 0.0 if rvm else math.nan
    return float(sum(steps) / (len(pred) if rvm else len(steps)))


def foreground_mse(pred, true, alpha) -> float:
    """Squared error of the foreground's colour where there is one: 1e3 · mean (F_p − F_t)² over true alpha > 0.

    pred, true: straight colour in [0, 1], float, (H, W, 3) or (T, H, W, 3); alpha: the true one, (H, W) or
    (T, H, W). One of RVM's figures. The mean over frames; a frame without foreground is left out, NaN if all are.
    """
    alpha, _ = _pair(alpha, alpha, ("alpha", "alpha"))
    pred, true = (np.asarray(x)[None] if np.ndim(x) == 3 else np.asarray(x) for x in (pred, true))
    for name, array in (("pred", pred), ("true", true)):
        if array.shape != (*alpha.shape, 3):
            raise ValueError(f"{name} is {array.shape} but alpha is {alpha.shape}")
        _check(name, array)
    seen = [(p[a > 0].astype(np.float64), t[a > 0]) for p, t, a in zip(pred, true, alpha) if (a > 0).any()]
    return float(1e3 * np.mean([np.square(p - t).mean() for p, t in seen])) if seen else math.nan


def boundary_mad(pred, true, reach: int = 2) -> float:
    """MAD over the boundary band only: 0.02 < t < 0.98, grown by `reach` pixels in all eight directions.

    Our own figure, not one of the field's five. All band pixels of the clip weigh the same. NaN if the
    band is empty (a hard-edged or constant alpha).
    """
    pred, true = _pair(pred, true)
    total = pixels = 0.0
    for p, t in zip(pred, true):
        band = boundary_band(t, reach)
        total += np.abs(p[band].astype(np.float64) - t[band]).sum()
        pixels += band.sum()
    return float(1e3 * total / pixels) if pixels else math.nan


def boundary_band(true, reach: int = 2) -> np.ndarray:
    """Where the matte is undecided, and `reach` pixels around: 0.02 < t < 0.98, grown; (H, W) → (H, W) bool."""
    true = np.asarray(true)
    return _grow((true > 0.02) & (true < 0.98), reach)


def clip_metrics(pred, true) -> dict[str, float]:
    """All figures of one clip: MAD, MSE, Grad, Conn, dtSSD, dtSSD_rvm, boundary_MAD."""
    return {
        "MAD": mad(pred, true),
        "MSE": mse(pred, true),
        "Grad": grad(pred, true),
        "Conn": conn(pred, true),
        "dtSSD": dtssd(pred, true),
        "dtSSD_rvm": dtssd(pred, true, rvm=True),
        "boundary_MAD": boundary_mad(pred, true),
    }


def summarise(clips: list[dict[str, float]]) -> dict[str, float]:
    """Mean over clips of `clip_metrics` rows: every clip weighs the same, whatever its length.

    A clip whose figure is NaN (dtSSD of one frame) is left out of that figure alone.
    """
    if not clips:
        raise ValueError("summarise: no clip given")
    if any(row.keys() != clips[0].keys() for row in clips):
        raise ValueError("summarise: the clips carry different figures")
    table = {name: [row[name] for row in clips if not math.isnan(row[name])] for name in clips[0]}
    return {name: float(np.mean(values)) if values else math.nan for name, values in table.items()}


# ── gradient ─────────────────────────────────────────────────────────────────────────────────

def gradient_magnitude(image, sigma: float = 1.4) -> np.ndarray:
    """|∇ image| by Gaussian derivatives, (H, W) → (H, W) float64; the border pixel is repeated outwards.

    The 2-D kernel g'(x)·g(y) is scaled to unit norm (Σ k² = 1). It factors, so two 1-D passes do the work,
    and its norm is the product of the two. It reaches as far as g stays over 0.01: 4 pixels at σ = 1.4.
    """
    radius = math.ceil(sigma * math.sqrt(-2 * math.log(math.sqrt(2 * math.pi) * sigma * 0.01)))
    x = np.arange(-radius, radius + 1)
    g = np.exp(-np.square(x) / (2 * sigma**2))
    slope = -x * g
    g, slope = g / np.linalg.norm(g), slope / np.linalg.norm(slope)
    along_x = _correlate(_correlate(image, slope, axis=1), g, axis=0)
    along_y = _correlate(_correlate(image, slope, axis=0), g, axis=1)
    return np.hypot(along_x, along_y)


def _correlate(image, kernel, axis):
    radius = len(kernel) // 2
    padded = np.pad(image, [(radius, radius) if a == axis else (0, 0) for a in (0, 1)], mode="edge")
    length = image.shape[axis]
    return sum(k * np.take(padded, range(i, i + length), axis) for i, k in enumerate(kernel))


def _stretch(image):
    """Map the smallest value to 0 and the largest to 1; a constant image, which has no gradient, to 0."""
    low, high = image.min(), image.max()
    return (image - low) / (high - low) if high > low else np.zeros_like(image)


# ── connectivity ─────────────────────────────────────────────────────────────────────────────

def _conn_frame(p, t):
    level = connected_level(p, t)
    phi_p, phi_t = ((1 - (a - level) * ((a - level) >= 0.15)) for a in (p, t))
    return np.abs(phi_t - phi_p).sum()


def connected_level(p, t) -> np.ndarray:
    """`conn`'s l: up to which level 0, 0.1 … 1 a pixel belongs to the largest blob common to both. (H, W) → (H, W)."""
    level = np.full(p.shape, -1.0)  # -1: in the blob at every level so far
    both = np.minimum(p, t)  # p ≥ l and t ≥ l is min(p, t) ≥ l
    for below, this in zip(LEVELS[:-1], LEVELS[1:]):
        left = (level == -1) & ~largest_component(both >= this)
        level[left] = below
    level[level == -1] = 1
    return level


def largest_component(mask: np.ndarray) -> np.ndarray:
    """The largest 4-connected blob of a boolean (H, W) mask; of equals, the first in reading order.

    Works on runs (stretches of True within a row), a few thousand instead of H·W pixels: find the runs, join
    those that touch the run above (union-find), and paint the group with the most pixels.
    """
    height, width = mask.shape
    flat = np.zeros((height, width + 1), np.int8)  # one False column: no run crosses a row's end
    flat[:, :width] = mask
    steps = np.diff(flat.ravel(), prepend=np.int8(0))
    start, stop = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)  # (R,) each, half open, sorted
    if len(start) == 0:
        return np.zeros_like(mask)
    # Run j of the next row touches run i if, one row up, it starts before i stops and stops after i starts.
    first = np.searchsorted(stop, start + width + 1, side="right")
    last = np.searchsorted(start, stop + width + 1, side="left")
    touching = np.maximum(last - first, 0)
    above = np.repeat(np.arange(len(start)), touching)  # (E,) the pairs to join: i with first … last − 1
    below = np.arange(len(above)) + np.repeat(first - np.cumsum(touching) + touching, touching)
    group = _join(len(start), above, below)
    winner = group == np.bincount(group, weights=stop - start).argmax()
    paint = np.zeros(flat.size, np.int8)
    paint[start[winner]], paint[stop[winner]] = 1, -1
    return np.cumsum(paint, dtype=np.int8).reshape(height, width + 1)[:, :width].astype(bool)


def _join(count, a, b):
    """Union-find, all edges at once: (count,) → the smallest member of each item's group.

    Each round hangs every root under the smallest root it has an edge to, then flattens the trees. That at
    least halves the roots of an unfinished group, so a handful of rounds do.
    """
    root = np.arange(count)
    while len(a):
        ra, rb = root[a], root[b]
        open_ = ra != rb
        a, b, ra, rb = a[open_], b[open_], ra[open_], rb[open_]
        np.minimum.at(root, np.maximum(ra, rb), np.minimum(ra, rb))
        while not np.array_equal(root, root[root]):
            root = root[root]
    return root


# ── helpers ──────────────────────────────────────────────────────────────────────────────────

def _pair(pred, true, names=("pred", "true")):
    """Both as (T, H, W), checked."""
    pred, true = np.asarray(pred), np.asarray(true)
    if pred.shape != true.shape:
        raise ValueError(f"pred is {pred.shape} but true is {true.shape}")
    for name, array in zip(names, (pred, true)):
        if array.ndim not in (2, 3) or array.size == 0:
            raise ValueError(f"{name} is {array.shape}; alpha is (H, W) or (T, H, W), not empty")
        _check(name, array)
    return (pred, true) if pred.ndim == 3 else (pred[None], true[None])


def _check(name, array):
    if not np.issubdtype(array.dtype, np.floating):
        raise ValueError(f"{name} is {array.dtype}; give a float array in [0, 1]")
    if np.isnan(array).any():
        raise ValueError(f"{name} holds NaN")
    if array.min() < -1e-6 or array.max() > 1 + 1e-6:
        raise ValueError(f"{name} spans {array.min():.4g} to {array.max():.4g}; its values lie in [0, 1]")


def _per_frame(figure, pred, true):
    """Mean over frames, one frame in float64 at a time."""
    return float(np.mean([figure(p.astype(np.float64), t.astype(np.float64)) for p, t in zip(pred, true)]))


def _error(pred, true, t):
    return pred[t].astype(np.float64) - true[t]


def _grow(mask, reach):
    """Dilate by a square of side 2·reach + 1, one axis after the other."""
    for axis in (0, 1):
        length = mask.shape[axis]
        padded = np.pad(mask, [(reach, reach) if a == axis else (0, 0) for a in (0, 1)])
        mask = np.any([np.take(padded, range(i, i + length), axis) for i in range(2 * reach + 1)], axis=0)
    return mask
