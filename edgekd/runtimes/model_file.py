"""What is known of a model file before it is run, whatever its kind."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_USED = ("model", "params", "macs", "train_seconds", "top1", "input_size", "parents")


@dataclass(frozen=True)
class ModelFile:
    """Facts of one model file; `size_bytes`, `sha256` and `files` include its external weights.

    `weights` is None where the file cannot be asked how many there are.
    """

    path: Path
    size_bytes: int
    sha256: str
    weights: int | None
    precision: str
    operators: dict[str, int]
    files: tuple[Path, ...]
    record: dict[str, Any] | None
    runtime: str = "onnxruntime"

    @property
    def known(self) -> dict[str, Any]:
        """What its exporter recorded, as far as the report uses it; not the accuracy, where it was quantised since."""
        record = self.record or {}
        recorded = record.get("precision", self.precision)
        is_same = {"mixed": "int8"}.get(recorded, recorded) == self.precision
        return {key: value for key, value in record.items() if key in _USED and (is_same or key != "top1")}

    @property
    def params(self) -> int | None:
        """The parameters its exporter recorded, else the weights counted in the file; None where neither is known."""
        recorded = self.known.get("params", self.weights)
        return None if recorded is None else int(recorded)

    @property
    def macs(self) -> int | None:
        """The multiply-adds of one image that its exporter recorded."""
        recorded = self.known.get("macs")
        return None if recorded is None else int(recorded)


def hash_files(files: Sequence[Path]) -> str:
    """The sha256 of these files one after the other."""
    digest = hashlib.sha256()
    for each in files:
        with each.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
