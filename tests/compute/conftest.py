"""The fixtures of neighbouring packages that these tests use too."""

from tests.models.conftest import grey, images
from tests.training.conftest import batch, network, split

__all__ = ["batch", "grey", "images", "network", "split"]
