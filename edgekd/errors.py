"""Every expected failure: the class says the exit code, the object what is wrong and how to mend it.

EdgekdError
├── UsageError            2   an option's value, or a combination of options, means nothing
├── BadInput              3   something read from disk is not what it should be
│   ├── ConfigError           a TOML or manifest file
│   ├── DataError             images, folders, classes
│   ├── CheckpointError       runs, weights, ONNX files
│   ├── CacheError            cached logits
│   └── ProfileError          device profiles
├── MissingDependency     4   a package, download or weight file that cannot be had
├── CheckFailed           5   a stated budget or parity check did not hold
└── Interrupted     130/143   Ctrl-C or SIGTERM; the state was saved first
"""

from collections.abc import Iterable
from difflib import get_close_matches


class EdgekdError(Exception):
    """An expected failure: one line on what is wrong (value, place), one on what to do."""

    exit_code = 1

    def __init__(self, problem: str, hint: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.hint = hint


class UsageError(EdgekdError):
    """An option's value, or a combination of options, means nothing."""

    exit_code = 2


class BadInput(EdgekdError):
    """Something read from disk is not what it should be."""

    exit_code = 3


class ConfigError(BadInput):
    """A TOML or manifest file has an unknown key or a value of the wrong kind."""


class DataError(BadInput):
    """Images, folders or classes cannot be used."""


class CheckpointError(BadInput):
    """A run, weight file or ONNX file cannot be used."""


class CacheError(BadInput):
    """A logit cache is damaged or does not fit."""


class ProfileError(BadInput):
    """A device profile cannot be used."""


class MissingDependency(EdgekdError):
    """A package, download or weight file is not there and cannot be had."""

    exit_code = 4


class CheckFailed(EdgekdError):
    """A stated budget or parity check did not hold."""

    exit_code = 5


class Interrupted(EdgekdError):
    """A signal ended the run after its state was saved."""

    def __init__(self, problem: str, hint: str, signal_number: int) -> None:
        super().__init__(problem, hint)
        self.exit_code = 128 + signal_number


def nearest(name: str, known: Iterable[str], most: int = 3) -> str:
    """Words for a hint: the known names most like `name`, or all of them when none is near."""
    known = sorted(known)
    close = get_close_matches(name, known, n=most, cutoff=0.5)
    if close:
        return "nearest: " + ", ".join(close)
    return f"known: {', '.join(known[:20])}{', ...' if len(known) > 20 else ''}" if known else "there are none yet"
