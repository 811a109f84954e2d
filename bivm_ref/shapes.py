"""Shapes by signed distance: how far each pixel is from an edge, negative inside; and look-ups in small
textures.

All arrays are float32, all lengths pixels. A grid is x (1, w) and y (h, 1), broadcast to (h, w) where they
meet. Coverage follows from a distance as clip(1/2 - distance, 0, 1), so an edge is as sharp as a pixel
allows and its alpha is exact to first order. The shapes are in the manner of Quilez's articles on signed
distance functions.
"""

from __future__ import annotations

import numpy as np

F = np.float32


def length(u, v):
    """sqrt(u² + v²); np.hypot guards against overflow that cannot happen here, at five times the cost."""
    return np.sqrt(u * u + v * v)


def capsule(x, y, a, b, ra, rb):
    """Distance to a segment from a to b that is ra thick at a and rb at b; also how far along, in [0, 1]."""
    dx, dy = b[0] - a[0], b[1] - a[1]
    px, py = x - F(a[0]), y - F(a[1])
    along = np.clip((px * F(dx) + py * F(dy)) * F(1 / max(dx * dx + dy * dy, 1e-6)), 0, 1)
    return length(px - along * F(dx), py - along * F(dy)) - (F(ra) + along * F(rb - ra)), along


def ellipse(x, y, centre, rx, ry):
    """Distance to an ellipse, good to first order near its edge."""
    u, v = (x - F(centre[0])) * F(1 / rx), (y - F(centre[1])) * F(1 / ry)
    k = length(u, v)
    return k * (k - 1) / np.maximum(length(u * F(1 / rx), v * F(1 / ry)), F(1e-6))


def smooth_union(a, b, k):
    """The smaller of two distances, with the corner between them filled over a width of k pixels."""
    bridge = np.maximum(F(k) - np.abs(a - b), 0)
    return np.minimum(a, b) - bridge * bridge * F(0.25 / k)


def coverage(distance):
    """Distance → how much of the pixel is covered, by a ramp one pixel wide."""
    return np.clip(F(0.5) - distance, 0, 1)


def rounded(distance, radius, light):
    """Shading of a flat shape as if it were inflated: the distance is the height map of its rim."""
    gy, gx = np.gradient(distance) if min(distance.shape) > 1 else (distance * 0, distance * 0)
    rim = np.clip(1 + distance * F(1 / max(radius, 1)), 0, 1)  # 1 at the edge, 0 well inside
    facing = np.sqrt(np.maximum(1 - rim * rim, 0))
    diffuse = np.maximum(rim * (gx * F(light[0]) + gy * F(light[1])) + facing * F(light[2]), 0)
    return F(light[3]) + F(1 - light[3]) * diffuse


def look_up(picture, rows, columns):
    """Nearest texel of (3, h, w) at fractional, wrapping coordinates (rows, columns): (3, ...) float32."""
    h, w = picture.shape[1:]
    index = rows.astype(np.int32) % h * w + columns.astype(np.int32) % w
    return np.take(picture.reshape(3, -1), index, axis=1)


def tiled(picture):
    """(..., h, w) mirrored to (..., 2h, 2w), which repeats without a seam."""
    picture = np.concatenate([picture, picture[..., ::-1]], axis=-1)
    return np.ascontiguousarray(np.concatenate([picture, picture[..., ::-1, :]], axis=-2))


def blended(plane, rows, columns):
    """Bilinear look-up in (h, w): rows clamp, columns wrap (they are angles)."""
    h, w = plane.shape
    rows = np.clip(rows, 0, h - 1.001)
    i, j = rows.astype(np.int32), np.floor(columns).astype(np.int32)
    fi, fj = rows - i, columns - j
    flat, left, right = plane.reshape(-1), j % w, (j + 1) % w
    above = flat[i * w + left] * (1 - fj) + flat[i * w + right] * fj
    below = flat[(i + 1) * w + left] * (1 - fj) + flat[(i + 1) * w + right] * fj
    return above * (1 - fi) + below * fi


def grid(box):
    """Pixel centres of a box: x as (1, w) and y as (h, 1), to be broadcast."""
    x0, y0, x1, y1 = box
    return (np.arange(x0, x1, dtype=F) + F(0.5))[None], (np.arange(y0, y1, dtype=F) + F(0.5))[:, None]


def near(x, y, centre, radius):
    """The part of a grid within a square around `centre`: its index and its own x (1, w) and y (h, 1)."""
    j0, j1 = np.searchsorted(x[0], (centre[0] - radius, centre[0] + radius))
    i0, i1 = np.searchsorted(y[:, 0], (centre[1] - radius, centre[1] + radius))
    return np.s_[i0:i1, j0:j1], x[:, j0:j1], y[i0:i1]


def mid(a, b, share, drop=0.0):
    """The point a share of the way from a to b (beyond b if share > 1), moved down by `drop` pixels."""
    return a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share + drop


def around(points, margin):
    """The box that holds all points with a margin."""
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    return min(xs) - margin, min(ys) - margin, max(xs) + margin, max(ys) + margin
