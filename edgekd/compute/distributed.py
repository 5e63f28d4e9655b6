"""Several processes that train one network: their group, what they tell each other, and which of them speaks."""

import atexit
import os
import signal
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from edgekd.errors import Interrupted, UsageError
from edgekd.ranks import own_cores, place

PATIENCE = timedelta(hours=12)
"""How long one process waits for another that lives; one that has died is noticed at once."""
TOLD = "edgekd/told"
T = TypeVar("T")


class RankLost(Interrupted):
    """Another process of this command has ended, so this one cannot go on."""

    def __init__(self, problem: str = "another process of this command has ended", hint: str = "") -> None:
        why = "its own message, or torchrun's below, says why"
        super().__init__(problem, f"{why}; {hint or 'call the same command again'}", signal.SIGTERM)


@contextmanager
def noticing_losses() -> Iterator[None]:
    """Turn what torch raises when a process of the group has gone into RankLost."""
    try:
        yield
    except RuntimeError as error:
        # Gloo raises plain RuntimeErrors that only their text tells apart.
        if not isinstance(error, dist.DistError) and "gloo" not in str(error).lower():
            raise
        raise RankLost from error


class Agreement:
    """Numbers of all ranks on their way to being reduced."""

    def __init__(self, values: Tensor, work: dist.Work | None) -> None:
        self._values = values
        self._work = work

    def wait(self) -> list[float]:
        """The reduced numbers, the same on every rank; raises RankLost."""
        if self._work is not None:
            with noticing_losses():
                self._work.wait()
        return [float(each) for each in self._values]


@dataclass(frozen=True)
class Ranks:
    """All processes of this command, seen from the one of number `rank`. Alone, everything here costs nothing."""

    rank: int = 0
    world: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes and speaks for all."""
        return self.rank == 0

    def add(self, values: Sequence[float]) -> Agreement:
        """Start to add up numbers over all ranks."""
        return self._reduce(values, dist.ReduceOp.SUM)

    def most(self, values: Sequence[float]) -> Agreement:
        """Start to find the largest of all ranks, number by number."""
        return self._reduce(values, dist.ReduceOp.MAX)

    def _reduce(self, values: Sequence[float], how: Any) -> Agreement:  # noqa: ANN401
        tensor = torch.tensor(values, dtype=torch.float64)
        if self.world == 1:
            return Agreement(tensor, None)
        with noticing_losses():
            return Agreement(tensor, dist.all_reduce(tensor, how, async_op=True))

    def wait(self) -> None:
        """Go on when every rank has come here; raises RankLost."""
        self.add([0.0]).wait()

    def share(self, tensors: Iterable[Tensor]) -> None:
        """Give every rank the first one's values of these tensors, in place."""
        if self.world > 1:
            with noticing_losses():
                for each in tensors:
                    dist.broadcast(each.detach(), 0)

    def from_first(self, make: Callable[[], T]) -> T:
        """What the first rank makes; the others wait for it."""
        if self.world == 1:
            return make()
        found: list[Any] = [make() if self.is_first else None]
        with noticing_losses():
            dist.broadcast_object_list(found, 0, device=torch.device("cpu"))
        made: T = found[0]
        return made

    def check_alike(self, facts: Mapping[str, Any]) -> None:
        """Raise UsageError on every rank when one does something else than the first."""
        if self.world == 1:
            return
        found: list[Any] = [None] * self.world
        with noticing_losses():
            dist.all_gather_object(found, dict(facts))
        for rank, theirs in enumerate(found):
            other = sorted(name for name in facts if theirs[name] != found[0][name])
            if other:
                raise UsageError(
                    f"process {rank} of {self.world} has another {', '.join(other)} than process 0",
                    "give all processes the same options, and --runs, --caches and --data on storage that all see",
                )

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """The first rank does this before the others, which then find what it made."""
        if not self.is_first:
            self.wait()
        yield
        if self.is_first:
            self.wait()

    def engine(self, objective: nn.Module, *, has_unused: bool) -> nn.Module:
        """The module to call in training: the objective itself, or wrapped so that ranks share their gradients.

        Running statistics stay each rank's own; the first one's are those evaluated and saved.
        """
        if self.world == 1:
            return objective
        with warnings.catch_warnings():
            # Newer versions of torch have another word for it, which older ones do not know.
            warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated", FutureWarning)
            return DistributedDataParallel(
                objective, broadcast_buffers=False, find_unused_parameters=has_unused, gradient_as_bucket_view=True
            )


@cache
def everyone() -> Ranks:
    """The processes of this command; the first call connects them, where there are several.

    NCCL joins processes with a GPU each, Gloo all others. Raises RankLost when one does not come.
    """
    here = place()
    if here.world == 1:
        return Ranks()
    backend = "gloo"
    if torch.cuda.is_available():
        torch.cuda.set_device(here.local_rank % torch.cuda.device_count())
        # NCCL refuses to share a device.
        if here.local_world <= torch.cuda.device_count():
            backend = "cpu:gloo,cuda:nccl"
    torch.set_num_threads(own_cores())
    with noticing_losses():
        dist.init_process_group(backend, store=_store(), rank=here.rank, world_size=here.world, timeout=PATIENCE)
    atexit.register(dist.destroy_process_group)
    return Ranks(here.rank, here.world)


@cache
def _store() -> Any:  # noqa: ANN401
    """torchrun's own notice board, which outlives each of its processes."""
    store, _, _ = next(rendezvous("env://"))
    return store


def may_speak() -> bool:
    """Whether this process reports a failure to the user: the first that asks does, so that it appears once."""
    if not dist.is_initialized() and os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return place().is_first
    try:
        return int(_store().add(f"{TOLD}/{os.environ.get('TORCHELASTIC_RESTART_COUNT')}", 1)) == 1
    except RuntimeError:
        return True
