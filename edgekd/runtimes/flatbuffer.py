"""Flatbuffers read without their schema's generated code: tables, vectors and texts by field number.

The layout is that of FlatBuffers' internals page: a table begins with the distance back to its vtable, which holds
where each field lies; offsets are unsigned and count from their own place. Every position is checked: a file may be
cut anywhere.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

SIZES = {"b": 1, "B": 1, "i": 4, "I": 4, "Q": 8}


@dataclass(frozen=True)
class FlatTable:
    """The table at a position of the data."""

    data: memoryview
    at: int

    def number(self, field: int, kind: str = "i", default: int = 0) -> int:
        """A field with a number of this kind (see struct)."""
        place = self._place(field)
        return default if place is None else _unpack(self.data, place, kind)

    def table(self, field: int) -> "FlatTable | None":
        """A field with a table."""
        place = self._place(field)
        return None if place is None else FlatTable(self.data, _follow(self.data, place))

    def tables(self, field: int) -> Iterator["FlatTable"]:
        """A field with a vector of tables."""
        start, count = self._vector(field, 4)
        for index in range(count):
            yield FlatTable(self.data, _follow(self.data, start + 4 * index))

    def numbers(self, field: int, kind: str = "i") -> list[int]:
        """A field with a vector of numbers."""
        size = SIZES[kind]
        start, count = self._vector(field, size)
        return [_unpack(self.data, start + size * index, kind) for index in range(count)]

    def length(self, field: int) -> int:
        """The bytes of a vector of bytes, all of which are there."""
        return self._vector(field, 1)[1]

    def text(self, field: int) -> str:
        """A field with a text."""
        start, count = self._vector(field, 1)
        return bytes(self.data[start : start + count]).decode("utf-8", "replace")

    def _place(self, field: int) -> int | None:
        back = self.at - _unpack(self.data, self.at, "i")
        length = _unpack(self.data, back, "H")
        entry = 4 + 2 * field
        if entry + 2 > length:
            return None
        offset = _unpack(self.data, back + entry, "H")
        return self.at + offset if offset else None

    def _vector(self, field: int, size: int) -> tuple[int, int]:
        place = self._place(field)
        if place is None:
            return 0, 0
        start = _follow(self.data, place)
        count = _unpack(self.data, start, "I")
        if start + 4 + count * size > len(self.data):
            raise ValueError(f"byte {start}: {count * size:,} bytes announced, {len(self.data) - start - 4:,} there")
        return start + 4, count


def root(data: memoryview) -> FlatTable:
    """The outermost table; raises ValueError where the data ends before it."""
    return FlatTable(data, _follow(data, 0))


def _follow(data: memoryview, place: int) -> int:
    return place + _unpack(data, place, "I")


def _unpack(data: memoryview, place: int, kind: str) -> int:
    size = struct.calcsize(f"<{kind}")
    if place < 0 or place + size > len(data):
        raise ValueError(f"byte {place:,}: beyond the end")
    found: int = struct.unpack_from(f"<{kind}", data, place)[0]
    return found
