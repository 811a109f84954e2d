"""Several processes, one training: what `torchrun` starts, DistributedDataParallel joins.

    torchrun --nproc_per_node 4 -m bivm_ref.cli train --out runs/mine        (gloo on CPUs, nccl on GPUs)

Every process draws its own share of each global batch, batch statistics are taken over all shares (`net.sync`), and
gradients are averaged: the same weights come out as from one process with the whole batch, up to the order in which
floats are added. The first process alone writes files. Without `torchrun` every function here does nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.utils.data import Dataset

from bivm_ref.errors import UserError
from bivm_ref.net.sync import world_size as size


@contextmanager
def joined(device: str) -> Iterator[str]:
    """Join the team that `torchrun` formed, and leave it at the end; yields this process's device.

    Alone (no WORLD_SIZE, or 1) it yields `device`. "cuda" becomes this process's own GPU. UserError when the others
    cannot be met.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield device
        return
    if device.startswith("cuda"):
        device = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    try:
        torch.distributed.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    except (RuntimeError, ValueError) as error:
        raise UserError(f"torchrun's processes could not meet ({error}); start them again with torchrun") from error
    try:
        yield device
    finally:
        torch.distributed.destroy_process_group()


def rank() -> int:
    """Which process this is, from 0."""
    return torch.distributed.get_rank() if size() > 1 else 0


def leads() -> bool:
    """Whether this process writes the files."""
    return rank() == 0


def wait() -> None:
    """Until every process is here: nobody reads a file that the first one is still writing."""
    if size() > 1:
        torch.distributed.barrier()


def unite(x: torch.Tensor, device: str) -> None:
    """Make every process's x, in place, the largest of all processes' values, element by element."""
    if size() > 1:
        largest = x.to(device)
        torch.distributed.all_reduce(largest, torch.distributed.ReduceOp.MAX)
        x.copy_(largest)


def agree(fine: bool, device: str) -> bool:
    """Whether it is so in every process."""
    if size() == 1:
        return fine
    flag = torch.tensor(float(fine), device=device)
    torch.distributed.all_reduce(flag, torch.distributed.ReduceOp.MIN)
    return bool(flag.item())


def share(objective: nn.Module) -> nn.Module:
    """The module whose backward averages gradients over the team; alone, the module itself."""
    if size() == 1:
        return objective
    return nn.parallel.DistributedDataParallel(objective, find_unused_parameters=True, broadcast_buffers=False)


class Share(Dataset):
    """This process's share of a data set that is read in global batches: of each `batch` samples, the rank-th part."""

    def __init__(self, data: Dataset, batch: int) -> None:
        self.data, self.whole, self.batch, self.rank, self.size = data, batch, batch // size(), rank(), size()

    def __len__(self) -> int:
        return len(self.data) // self.size

    def __getitem__(self, i: int):
        return self.data[i // self.batch * self.whole + self.rank * self.batch + i % self.batch]
