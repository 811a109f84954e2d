"""Statistics of a batch that several processes share, so that N processes train as one does.

torch's SyncBatchNorm needs a GPU; this works wherever torch.distributed does (gloo, nccl). With one process every
function here is the plain one.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def world_size() -> int:
    """Processes that train together; 1 without `torchrun`."""
    together = torch.distributed.is_available() and torch.distributed.is_initialized()
    return torch.distributed.get_world_size() if together else 1


def mean_over_processes(x: Tensor) -> Tensor:
    """The mean of x over all processes, with its gradient; every process must call it, with one shape."""
    if world_size() == 1:
        return x
    from torch.distributed.nn.functional import all_reduce

    return all_reduce(x) / world_size()


def moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and (biased) variance per channel of x (N, C, H, W), both (1, C, 1, 1), over all processes' equal shares."""
    mean = mean_over_processes(x.mean((0, 2, 3), keepdim=True))
    return mean, mean_over_processes(((x - mean) ** 2).mean((0, 2, 3), keepdim=True))


def batch_norm(norm: nn.BatchNorm2d, x: Tensor) -> Tensor:
    """`norm` in training mode on this process's share x of the batch: what one process would do with all of it."""
    mean, variance = moments(x)
    count = x.numel() // x.shape[1] * world_size()
    with torch.no_grad():
        unbiased = variance.flatten() * (count / max(1, count - 1))
        norm.running_mean.lerp_(mean.flatten().to(norm.running_mean.dtype), norm.momentum)
        norm.running_var.lerp_(unbiased.to(norm.running_var.dtype), norm.momentum)
        norm.num_batches_tracked += 1
    x = (x - mean) * torch.rsqrt(variance + norm.eps)
    return x * norm.weight.view(-1, 1, 1) + norm.bias.view(-1, 1, 1)
