"""Where this process stands among those that `torchrun` started for one command, read from the environment."""

import os
from dataclasses import dataclass

from edgekd.cores import available_cores


@dataclass(frozen=True)
class Place:
    """`rank` of `world` processes of one command, of which `local_world` run on this machine."""

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    local_world: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes and speaks for all."""
        return self.rank == 0


def place() -> Place:
    """This process's place; alone unless torchrun (or another launcher that sets its variables) started it."""
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    found = [int(os.environ[name]) for name in names if os.environ.get(name, "").isdecimal()]
    return Place(*found) if len(found) == len(names) and found[1] > 1 else Place()


def own_cores() -> int:
    """The cores for this process: those of the machine divided among its processes."""
    return max(1, available_cores() // place().local_world)
