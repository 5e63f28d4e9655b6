"""The fixtures of neighbouring packages that these tests use too."""

from tests.profiling.conftest import built

__all__ = ["built"]
