"""Processes that train one model together: torchrun's ranks, each with its share of every batch.

    torchrun --nproc-per-node 2 -m lrt.cli train datasets/kitchen --out runs/kitchen

Every rank holds all of the weights and moves them alike: after the backward pass one all-reduce averages the
gradients. DistributedDataParallel would do it within the pass, network by network and forward by forward; a step of
ours reads the heat once and draws twice from it, which no such wrapper understands. Normalisation over the whole
batch is `batch_norm.py`'s. The first rank alone writes.
"""

import contextlib
import hashlib
import importlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.distributed_c10d import Store
from torch.distributed.rendezvous import rendezvous

from .. import LrtError
from .device import pick_device

Takes = ParamSpec("Takes")
Given = TypeVar("Given")

TORCHRUN = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # what it tells each process, by the environment


class RankError(LrtError, RuntimeError):
    """Processes of one training that cannot begin, or cannot go on, together."""


class ToldElsewhereError(RankError):
    """The first rank failed, and says why."""


@dataclass(frozen=True)
class Ranks:
    """This process' place among those that train together.

    Attributes:
        rank: 0 for the first.
        size: how many there are.
    """

    rank: int = 0
    size: int = 1

    def share(self, batch: Tensor) -> Tensor:
        """This rank's part of a whole batch (N, ...), N a multiple of `size`: (N / size, ...)."""
        return batch.chunk(self.size)[self.rank]

    def mean(self, own: Tensor) -> Tensor:
        """The ranks' mean of a tensor, on each of them."""
        return own if self.size == 1 else sum_over_ranks(own.clone()).div_(self.size)

    def average_gradients(self, network: nn.Module) -> None:
        """Give each parameter the ranks' mean of its gradients: that of the whole batch's mean loss."""
        if self.size == 1:
            return
        gradients = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
        flat = self.mean(torch.cat([gradient.flatten() for gradient in gradients]))
        for gradient, mean in zip(gradients, flat.split([each.numel() for each in gradients]), strict=True):
            gradient.copy_(mean.view_as(gradient))

    def any(self, flag: bool) -> bool:
        """Whether it is so on some rank; the answer is the same on all of them."""
        return flag if self.size == 1 else bool(sum_over_ranks(torch.tensor(int(flag))))

    def by_first(self, work: Callable[Takes, Given], *taken: Takes.args, **named: Takes.kwargs) -> Given:
        """What `work` gives, called on the first rank alone and handed to all.

        Raises:
            ToldElsewhereError: on the others, where it failed; the first raises what went wrong.
        """
        if self.size == 1:
            return work(*taken, **named)
        if self.rank > 0:
            done, given = _hand_out(None)
            if not done:
                raise ToldElsewhereError("the first process of this training failed")
            return given
        try:
            given = work(*taken, **named)
        except Exception:
            _hand_out((False, None))
            raise
        return _hand_out((True, given))[1]

    def differing(self, facts: Mapping[str, str]) -> list[str]:
        """Names of the facts that are not the same on every rank."""
        if self.size == 1:
            return []
        of_ranks: list[Any] = [None] * self.size
        with _or_lost():
            dist.all_gather_object(of_ranks, dict(facts))
        return [name for name in facts if len({each[name] for each in of_ranks}) > 1]


ALONE = Ranks()


@contextlib.contextmanager
def join_ranks(device: str = "auto") -> Iterator[Ranks]:
    """This process' place among those that torchrun started, until the block ends; ALONE where it did not.

    What ends several ranks alike is said by one of them: the others leave without a word, by SystemExit(1).

    Args:
        device: where they compute, `auto`, `cpu` or `cuda`: on GPUs, each rank of a machine takes one of its own.

    Raises:
        RankError: they cannot find each other, or there are fewer GPUs than ranks.
        DeviceError: torch has no such device here.
    """
    if any(name not in os.environ for name in TORCHRUN) or os.environ["WORLD_SIZE"] == "1":
        yield ALONE
        return
    if not dist.is_available() or not dist.is_gloo_available():
        raise RankError("this PyTorch has no gloo, by which processes talk; train in one process")
    # Its functions take the group of the moment they are first imported as their default, and never let it go: gloo's
    # threads then outlive Python and abort the process. Adam imports it, so it has to be there before the group is.
    importlib.import_module("torch.distributed.nn.functional")
    try:
        store, rank, size = next(rendezvous("env://"))
    except (RuntimeError, ValueError) as error:
        raise RankError(f"the processes cannot find each other: {_first_line(error)}; see torchrun --help") from error
    try:
        backend = _choose_backend(device, int(os.environ.get("LOCAL_RANK", rank)))
        try:
            dist.init_process_group(backend, store=store, rank=rank, world_size=size)
        except RuntimeError as error:
            raise RankError(f"the processes cannot reach each other: {_first_line(error)}") from error
        yield Ranks(rank, size)
    except LrtError as error:
        if isinstance(error, ToldElsewhereError) or not _is_news(store, str(error)):
            raise SystemExit(1) from error
        raise
    dist.destroy_process_group()  # after an error it could wait for ranks that are gone


def sum_over_ranks(tensor: Tensor) -> Tensor:
    """The tensor, now the sum of the ranks' own; the same bits on each of them.

    Raises:
        RankError: another rank is gone.
    """
    with _or_lost():
        dist.all_reduce(tensor)
    return tensor


def _choose_backend(device: str, local: int) -> str:
    """How the ranks talk; on GPUs, their own becomes torch's current one."""
    place = pick_device(device)
    if place.type != "cuda":
        return "gloo"
    if not dist.is_nccl_available():
        raise RankError("this PyTorch has no NCCL, by which GPUs talk; give --device cpu, or train in one process")
    if place.index is not None:
        raise RankError(f"device {device} is one GPU, and each process takes its own; give --device cuda")
    if local >= (count := torch.cuda.device_count()):
        raise RankError(f"there are more processes than GPUs here, of which there are {count}; start so many")
    torch.cuda.set_device(local)
    return "cpu:gloo,cuda:nccl"  # flags and words go by the CPU, and no GPU waits for them


def _hand_out(given: Any) -> Any:
    """What the first rank gave, on every rank."""
    box = [given]
    with _or_lost():
        dist.broadcast_object_list(box, src=0)
    return box[0]


@contextlib.contextmanager
def _or_lost() -> Iterator[None]:
    """A connection that another process closed, as one line."""
    try:
        yield
    except RuntimeError as error:
        raise RankError(
            "another process of this training ended, or is out of reach; the last checkpoint stands: go on with "
            "--resume, with as many processes as you like"
        ) from error


def _is_news(store: Store, text: str) -> bool:
    """True for the first rank that wants to say so; and for all where the store is gone."""
    try:
        return store.add(hashlib.sha256(text.encode()).hexdigest(), 1) == 1
    except RuntimeError:
        return True


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
