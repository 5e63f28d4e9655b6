"""Who is mixed with whom: images of the same part and of the same side of the split."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from edgekd.images.views.counter import below


class Partners:
    """A partner for every row, drawn from the other rows of its group; alone in its group, a row is its own."""

    def __init__(self, groups: NDArray[np.int64], numbers: NDArray[np.int64]) -> None:
        """`groups` [rows] are equal where images may be mixed; within one, `numbers` [rows] decide the order."""
        self.order = np.lexsort((numbers, groups))
        kinds, begins, sizes = np.unique(groups[self.order], return_index=True, return_counts=True)
        group = np.searchsorted(kinds, groups)
        self.start, self.size = begins[group], sizes[group]
        self.place = np.empty(len(groups), np.int64)
        self.place[self.order] = np.arange(len(groups))
        self.place -= self.start

    def of(self, rows: NDArray[np.int64], bits: NDArray[np.uint64]) -> NDArray[np.int64]:
        """The partners' rows, by random words `bits` [len(rows)]."""
        size = self.size[rows]
        step = 1 + below(bits, np.maximum(size - 1, 1))
        found: NDArray[np.int64] = self.order[self.start[rows] + (self.place[rows] + step) % size]
        return found


@dataclass(frozen=True, eq=False)
class Roster:
    """All images of one `Pixels`, by row: target, whether it is trained on, and its number and part.

    Views and caches know images by their numbers (`ids` None: the rows). Images that joined a cache later keep to
    themselves, as a part of their own, so that the earlier ones' partners stay who they were (`parts` None: all one).
    """

    targets: NDArray[np.int64]
    is_training: NDArray[np.bool_]
    ids: NDArray[np.int64] | None = None
    parts: NDArray[np.int64] | None = None

    def numbers(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """By which numbers views know these rows."""
        return rows if self.ids is None else self.ids[rows]

    @cached_property
    def partners(self) -> Partners:
        """Who is mixed with whom; built when first requested."""
        numbers = self.numbers(np.arange(len(self.targets)))
        return Partners(2 * self._part + self.is_training, numbers)

    @property
    def _part(self) -> NDArray[np.int64]:
        return np.zeros(len(self.targets), np.int64) if self.parts is None else self.parts

    def digests(self) -> list[str]:
        """Of each part, in order, a sha256 of all its partners depend on: its numbers and which of them train."""
        numbers = self.numbers(np.arange(len(self.targets)))
        found = []
        for part in np.unique(self._part):
            rows = np.flatnonzero(self._part == part)
            rows = rows[np.argsort(numbers[rows], kind="stable")]
            known = np.stack([numbers[rows], self.is_training[rows]]).astype("<i8")
            found.append(hashlib.sha256(known.tobytes()).hexdigest())
        return found
