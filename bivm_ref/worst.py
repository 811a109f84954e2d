"""The worst frames of an evaluation, to look at: figures average, failures are seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .sheet import contact_sheet

COLUMNS = ("frame", "reference alpha", "our alpha")


@dataclass(frozen=True)
class Frame:
    """One frame (H, W, 3) uint8 with its alphas, (H, W) float in [0, 1]. mad: of this frame, times 1e3."""

    clip: str
    index: int
    mad: float
    frame: np.ndarray
    reference: np.ndarray
    predicted: np.ndarray


class Worst:
    """Keeps the worst frame of each of the `count` worst clips: one of a clip, else a single clip would fill the sheet.

    `offer` every frame in turn; the arrays are kept, not copied.
    """

    def __init__(self, count: int = 10) -> None:
        self.count, self._found = count, {}

    def offer(self, clip: str, index: int, frame: np.ndarray, reference: np.ndarray, predicted: np.ndarray) -> None:
        mad = 1e3 * float(np.abs(predicted - reference).mean())
        mad = np.inf if np.isnan(mad) else mad  # nothing is worse than a matte that is none
        if clip in self._found and self._found[clip].mad >= mad:
            return
        self._found[clip] = Frame(clip, index, mad, frame, reference, predicted)
        if len(self._found) > self.count:
            del self._found[min(self._found, key=lambda name: self._found[name].mad)]

    def frames(self) -> list[Frame]:
        """Worst first."""
        return sorted(self._found.values(), key=lambda found: -found.mad)

    def sheet(self) -> np.ndarray:
        """A contact sheet (H, W, 3) uint8, a row per frame. ValueError if nothing was offered."""
        if not self._found:
            raise ValueError("no frame was offered")
        return contact_sheet(COLUMNS, [
            (f"{f.clip}, frame {f.index}: MAD {f.mad:.0f}", [f.frame, _grey(f.reference), _grey(f.predicted)])
            for f in self.frames()])


def _grey(alpha: np.ndarray) -> np.ndarray:
    return np.rint(255 * np.nan_to_num(alpha)).astype(np.uint8)
