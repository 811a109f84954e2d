"""The float layers between the binary ones, written so that every machine rounds them alike.

A sign turns a rounding error of 1e-7 into a wrong bit, and a wrong bit reaches the matte. So each formula here is
a fixed order of additions, multiplications and comparisons, which IEEE 754 rounds the same way everywhere;
`bivm_ref.packed.ops` repeats the same formulas in NumPy, and the two networks agree bit for bit, the matte
included; only the refiner's sums, which a library orders, agree to a tolerance.
That is also why the gates are hard (piecewise linear): `exp` and `tanh` differ between machines.
The choice of formulas is our reading; none of it is in the abstract.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def resample_channels(x: Tensor, cout: int) -> Tensor:
    """R of the elastic shortcut: x (B, ci, H, W) -> (B, cout, H, W) for *any* pair of channel counts, no weights.

    Tile the channels to the least common multiple of ci and cout, then average the groups that share a position:
    out[j] = mean over k of x[(j + k*cout) mod ci]. It keeps the mean over channels, is the identity at cout = ci,
    and equals BiMatting's rules where those exist: repeat for x2 and x4, mean of the halves for 1/2.
    """
    ci = x.shape[1]
    if cout == ci:
        return x
    if cout % ci == 0:
        return x.repeat(1, cout // ci, 1, 1)
    terms = math.lcm(ci, cout) // cout
    wide = x.repeat(1, math.lcm(ci, cout) // ci, 1, 1) if terms * cout != ci else x
    total = wide[:, :cout]
    for k in range(1, terms):
        total = total + wide[:, k * cout:(k + 1) * cout]
    return total * (1.0 / terms)


def average_pool(x: Tensor) -> Tensor:
    """P of the elastic shortcut: mean of 2x2, x (B, C, H, W) with even H and W -> (B, C, H/2, W/2).

    Adds the two rows first, then the two columns.
    """
    rows = x[..., 0::2, :] + x[..., 1::2, :]
    return (rows[..., 0::2] + rows[..., 1::2]) * 0.25


def upsample(x: Tensor, training: bool = False) -> Tensor:
    """Bilinear x2 (pixel centres, edges repeated): (B, C, H, W) -> (B, C, 2H, 2W); columns first, then rows.

    In training torch's own kernel does the same to within rounding, and is faster backwards.
    """
    if training:
        return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
    return _upsample_axis(_upsample_axis(x, 3), 2)


def _upsample_axis(x: Tensor, axis: int) -> Tensor:
    n = x.shape[axis]
    near, far = x * 0.75, x * 0.25
    before = torch.cat((far.narrow(axis, 0, 1), far.narrow(axis, 0, n - 1)), axis)
    after = torch.cat((far.narrow(axis, 1, n - 1), far.narrow(axis, n - 1, 1)), axis)
    return torch.stack((near + before, near + after), axis + 1).flatten(axis, axis + 1)


def hard_sigmoid(x: Tensor) -> Tensor:
    """clip(x/6 + 1/2, 0, 1): the gate of a ConvGRU."""
    return torch.clamp(x * (1.0 / 6.0) + 0.5, 0.0, 1.0)


def hard_tanh(x: Tensor) -> Tensor:
    """clip(x, -1, 1): the candidate of a ConvGRU."""
    return torch.clamp(x, -1.0, 1.0)


def pixel_levels(clip: Tensor) -> Tensor:
    """Frames in [0, 1] as the 8-bit levels 0 .. 255 they came from (float tensor of whole numbers)."""
    return torch.round(clip * 255.0)


def pooled_pixels(levels: Tensor, scale: int) -> Tensor:
    """Mean of each scale x scale square of 8-bit levels (N, 3, H, W) -> (N, 3, H/scale, W/scale), in [0, 1].

    Sums of whole numbers and a division by a power of two: exact until the one division by 255.
    """
    if scale > 1:
        levels = F.avg_pool2d(levels, scale)
    return levels / 255.0


def box3(x: Tensor) -> Tensor:
    """Mean of 3x3 neighbours, edges repeated: (B, C, H, W) -> same. Columns first, then rows."""
    x = F.pad(x, (1, 1, 1, 1), mode="replicate")
    x = (x[..., :-2] + x[..., 1:-1]) + x[..., 2:]
    return ((x[..., :-2, :] + x[..., 1:-1, :]) + x[..., 2:, :]) * (1.0 / 9.0)


def leaky_clamp(x: Tensor, training: bool) -> Tensor:
    """clip(x, 0, 1); in training with a small slope outside, so that a saturated pixel still learns."""
    inside = torch.clamp(x, 0.0, 1.0)
    return inside + 0.01 * (x - inside) if training else inside
