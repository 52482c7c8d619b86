"""Processes: one training run on several processes, as `torchrun` starts them.

Every process holds the whole network and makes the same decisions from the same numbers. The
processes share the description of images and the passes through the network. With a single
process, no method here does anything.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import numpy as np
import torch
from torch import distributed, nn
from torch.distributed.rendezvous import rendezvous

from netvlad_ros.core.errors import NetvladError

PATIENCE = timedelta(hours=4)  # the others wait while one process does k-means and whitening


def is_first() -> bool:
    """Whether this process writes files and messages, by torchrun's environment."""
    return int(os.environ.get('RANK', '0')) == 0


class Processes:
    """The processes of a run, and what they exchange.

    Attributes:
        rank: of this process; 0 writes files and messages.
        count: of processes.
        device: of this process.
    """

    def __init__(self) -> None:
        """Joins the group of torchrun's environment, if there is one.

        Raises:
            NetvladError: the other processes cannot be reached.
        """
        self.rank = int(os.environ.get('RANK', '0'))
        self.count = int(os.environ.get('WORLD_SIZE', '1'))
        self.device = torch.device('cpu')
        if torch.cuda.is_available():
            local = int(os.environ.get('LOCAL_RANK', '0')) % torch.cuda.device_count()
            self.device = torch.device('cuda', local)
            torch.cuda.set_device(self.device)
        if self.count > 1:
            backend = 'nccl' if self.device.type == 'cuda' else 'gloo'
            try:
                self._store, _, _ = next(rendezvous('env://', timeout=PATIENCE))
                distributed.init_process_group(
                    backend,
                    store=self._store,
                    rank=self.rank,
                    world_size=self.count,
                    timeout=PATIENCE,
                )
            except (RuntimeError, ValueError) as error:
                raise NetvladError(
                    f'the {self.count} processes of torchrun cannot reach one another: {error}'
                ) from error

    @property
    def first(self) -> bool:
        """True on the process that writes files and messages."""
        return self.rank == 0

    def share(self, count: int) -> slice:
        """The part of `count` items of this process; the parts differ by at most one item."""
        bounds = [count * rank // self.count for rank in range(self.count + 1)]
        return slice(bounds[self.rank], bounds[self.rank + 1])

    def gather(self, rows: torch.Tensor, count: int) -> torch.Tensor:
        """The rows of all processes in order, (count, D); each process gives its share(count)."""
        if self.count == 1:
            return rows
        whole = torch.zeros((count, *rows.shape[1:]), dtype=rows.dtype, device=rows.device)
        whole[self.share(count)] = rows
        distributed.all_reduce(whole)  # adding zeros is exact; shares may differ in size
        return whole

    def gather_rows(self, rows: np.ndarray, count: int) -> np.ndarray:
        """As gather, for arrays in memory; float32 (count, D)."""
        if self.count == 1:
            return rows
        return self.gather(torch.from_numpy(rows).to(self.device), count).cpu().numpy()

    def sum(self, tensors: list[torch.Tensor]) -> None:
        """Sums each tensor over the processes, in place, in one exchange."""
        if self.count == 1 or not tensors:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        distributed.all_reduce(flat)
        parts = flat.split([tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))

    def copy_from_first(self, module: nn.Module) -> None:
        """Gives every process the parameters and buffers of the first."""
        if self.count > 1:
            for tensor in module.state_dict().values():
                distributed.broadcast(tensor, src=0)

    @contextmanager
    def first_before_others(self) -> Iterator[None]:
        """The first process runs the block, then the others: for files that the first makes."""
        if self.count > 1 and not self.first:
            distributed.barrier()
        yield
        if self.count > 1 and self.first:
            distributed.barrier()

    def same_text(self, text: str) -> str:
        """The text of the first process, in every process."""
        if self.count > 1:
            texts = [text]
            distributed.broadcast_object_list(texts, src=0)
            return texts[0]
        return text

    def may_complain(self) -> bool:
        """True in the process that calls first: of an error only one process prints a message."""
        return self.count == 1 or self._store.add('complaints', 1) == 1

    def leave(self) -> None:
        """Leaves the group."""
        if distributed.is_initialized():
            distributed.destroy_process_group()

    def __str__(self) -> str:
        name = self.device.type
        if name == 'cuda':
            name = torch.cuda.get_device_name(self.device)
        return name if self.count == 1 else f'{self.count} processes, {name}'
