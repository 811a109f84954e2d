"""What a phase of training is fed: batches of clips and, where a stage has them, one of segmentation after each.

Every batch has a number, and which samples are in it follows from that alone. So a run that resumes at step s begins
with the batch that it would have had, and each process of a team takes its share of every one (`team.Share`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import Tensor
from torch.utils.data import ConcatDataset, DataLoader

from bivm_ref.learn import team
from bivm_ref.learn.datasets import KeptClips, MixedClips, Phase
from bivm_ref.learn.footage import FolderClips
from bivm_ref.learn.segmentation import SegmentationClips

Batch = Sequence[Tensor]  # uint8: (frames, alpha, foreground) of clips or (frames, mask) of segmentation
AHEAD = 256 * 2**20  # bytes of clips that a worker may have ready, which is at least one batch and never over four


class Feed:
    """The batches of a phase. begin: the run's step at which the phase begins."""

    def __init__(self, phase: Phase, begin: int, clips: MixedClips | KeptClips | FolderClips,
                 segmentation: Sequence[SegmentationClips] = ()) -> None:
        self.phase, self.begin, self.clips, self.segmentation = phase, begin, clips, list(segmentation)

    def batches(self, step: int, workers: int) -> Iterator[tuple[Batch, Batch | None]]:
        """(clips, segmentation or None) for every step of the run from `step` on. workers: processes that make them.

        One loader makes both kinds in turn, so that all workers are busy with whatever comes next.
        """
        shares = [team.Share(data, data.phase.batch) for data in (self.clips, *self.segmentation)]
        joined = ConcatDataset(shares)
        starts = [0, *joined.cumulative_sizes]
        order = []
        for s in range(step, self.begin + self.phase.steps):
            for which, number in self._taken(s):
                first, count = starts[which] + number * shares[which].batch, shares[which].batch
                order.append(range(first, first + count))
        loader = iter(DataLoader(joined, batch_sampler=order, num_workers=workers,
                                 prefetch_factor=self._prefetched() if workers else None))
        for batch in loader:
            yield batch, next(loader) if self.segmentation else None

    def names(self, step: int, segmentation: bool = False) -> str:
        """Which clips are in a step's batch, to look at them: a number each, or file and frame as "0001@15"."""
        which, number = self._taken(step)[segmentation]
        data = (self.clips, *self.segmentation)[which]
        batch = data.phase.batch
        found = [data.name(i) for i in range(number * batch, (number + 1) * batch)]
        return ", ".join(found[:12]) + (f" and {len(found) - 12} more" if len(found) > 12 else "")

    def _taken(self, step: int) -> list[tuple[int, int]]:
        """What a step takes, as (data set, number of its batch): clips, then one of the segmentation sets in turn."""
        s, sets = step - self.begin, len(self.segmentation)
        return [(0, s)] + ([(1 + s % sets, s // sets)] if sets else [])

    def _prefetched(self) -> int:
        """How many batches a worker has ready: one where it is large, as 0.7 GB of 6 frames of 2048 pixels are."""
        phase = self.phase
        pixels = phase.batch * phase.frames * phase.height * phase.width * (4 if phase.refine else 1)
        return max(1, min(4, AHEAD // (7 * pixels)))  # seven planes: frames, alpha, foreground
