"""Random numbers without a state: each is a hash of (seed, view, index, slot), the same on every platform."""

import numpy as np
from numpy.typing import NDArray

_STEP = 0x9E3779B97F4A7C15
_FIRST = 0xBF58476D1CE4E5B9
_SECOND = 0x94D049BB133111EB
_WORD = (1 << 64) - 1


def random_bits(seed: int, view: int, index: NDArray[np.int64], slots: int) -> NDArray[np.uint64]:
    """Uniform 64-bit words `[len(index), slots]`.

    SplitMix64's finaliser (Steele, Lea and Flood 2014) chained over seed, view, index and slot.
    """
    stream = _mix_one(_mix_one(seed * _STEP + 1) ^ (view & _WORD))
    rows = np.asarray(index, dtype=np.int64).astype(np.uint64)
    rows *= np.uint64(_STEP)
    rows ^= np.uint64(stream)
    steps = np.arange(1, slots + 1, dtype=np.uint64) * np.uint64(_STEP)
    return _mix(_mix(rows)[:, None] + steps)


def below(bits: NDArray[np.uint64], limit: int | NDArray[np.int64]) -> NDArray[np.int64]:
    """Integers 0 <= x < `limit` (at most 2**32) from random words: no float, no modulo, so exact everywhere."""
    return (((bits >> np.uint64(32)) * np.asarray(limit, np.uint64)) >> np.uint64(32)).astype(np.int64)


def happens(bits: NDArray[np.uint64], probability: float) -> NDArray[np.bool_]:
    """True with this probability: never at 0, always at 1."""
    return (bits >> np.uint64(32)) < np.uint64(round(probability * (1 << 32)))


def _mix(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    words = words ^ (words >> np.uint64(30))
    words *= np.uint64(_FIRST)
    words ^= words >> np.uint64(27)
    words *= np.uint64(_SECOND)
    words ^= words >> np.uint64(31)
    return words


def _mix_one(word: int) -> int:
    word &= _WORD
    word = (word ^ (word >> 30)) * _FIRST & _WORD
    word = (word ^ (word >> 27)) * _SECOND & _WORD
    return word ^ (word >> 31)
