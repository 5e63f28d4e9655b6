"""Arrays of an .npz file from anywhere: what each member says of itself is checked before memory is taken for it."""

import math
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.errors import BadInput

PLAIN = "biufUS"
"""Kinds of numbers and texts that are bytes and nothing else; objects would run code."""


def read_arrays(path: Path, names: Iterable[str], most_bytes: float, error: type[BadInput]) -> dict[str, NDArray[Any]]:
    """Those of `names` that the file has; together they may take `most_bytes`.

    Raises `error` for what is no regular .npz file, is damaged, holds objects, or unpacks to more than it says.
    """
    if not path.is_file():
        raise error(f"{path}: not a regular file", "give an .npz file")
    try:
        with zipfile.ZipFile(path) as archive:
            known = {each.filename: each for each in archive.infolist()}
            wanted = {name: known[f"{name}.npy"] for name in names if f"{name}.npy" in known}
            size = sum(each.file_size for each in wanted.values())
            if size > most_bytes:
                told = f"unpacks to {size / 1e6:,.0f} MB, of which {most_bytes / 1e6:,.0f} MB are possible here"
                raise error(f"{path}: {told}", "give a smaller file, or free memory")
            return {name: _member(archive, each) for name, each in wanted.items()}
    except BadInput:
        raise
    except Exception as cause:  # zipfile, zlib, numpy: each has its own
        raise error(f"{path}: cannot be read ({cause})", "write it with numpy.savez, without objects") from cause


def _member(archive: zipfile.ZipFile, about: zipfile.ZipInfo) -> NDArray[Any]:
    with archive.open(about) as stream:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, is_fortran, dtype = read(stream)
        if dtype.kind not in PLAIN:
            raise ValueError(f"{about.filename} holds {dtype}")
        needed, left = math.prod(shape) * dtype.itemsize, about.file_size - stream.tell()
        if needed != left:
            raise ValueError(f"{about.filename} says {list(shape)} of {dtype}, and holds {left:,} bytes")
        values = np.frombuffer(bytearray(stream.read()), dtype)
        return values.reshape(shape[::-1]).T if is_fortran else values.reshape(shape)
