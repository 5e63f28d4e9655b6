"""The fixtures of neighbouring packages that these tests use too."""

from tests.profiling.conftest import built, exported, foreign, machine

__all__ = ["built", "exported", "foreign", "machine"]
