"""The frozen rest of a network behind its last-but-one stage."""

from torch import nn

from edgekd.models.network import Network
from edgekd.models.taps import Anatomy


def tail_of(network: Network, anatomy: Anatomy) -> nn.Module | None:
    """The rest behind the last-but-one automatic tap; None where there is none."""
    return None
