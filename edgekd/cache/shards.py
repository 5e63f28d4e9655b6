"""Shards on disk: safetensors that carry the SHA-256 of their own columns, written beside and renamed."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from edgekd.cache.folder import Shard
from edgekd.errors import CacheError, DataError
from edgekd.runs import atomic


def write_shard(folder: Path, shard: Shard, columns: Mapping[str, Tensor]) -> None:
    """Write columns [rows, ...]; equal columns make equal bytes.

    Raises DataError when the place cannot be written (a full disk).
    """
    about = {**asdict(shard), "sha256": _sum(columns)}
    path = shard.path(folder)
    with atomic(path) as beside:
        try:
            # one entry of sorted JSON: the order of safetensors' own metadata is random
            save_file(dict(columns), beside, metadata={"edgekd": json.dumps(about, sort_keys=True)})
        except SafetensorError as error:
            raise DataError(f"{path}: cannot be written ({error})", "make room, or choose another place") from error


def read_shard(folder: Path, shard: Shard, names: Mapping[str, tuple[int, ...]], *, check: bool) -> dict[str, Tensor]:
    """The columns, mapped from the file; `names` gives the shape of a row of each.

    Raises CacheError when the file is missing, torn, damaged or another shard's; with `check` its sum is computed.
    """
    path = shard.path(folder)
    mend = f"remove the file and call edgekd cache-logits --name {folder.name} with the teacher again"
    if not path.is_file():
        raise CacheError(f"{path}: this shard is missing", mend)
    try:
        with safe_open(path, framework="pt") as stored:
            about = json.loads(stored.metadata()["edgekd"])
            columns = {name: stored.get_tensor(name) for name in names}
            is_whole = set(stored.keys()) == set(names)
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise CacheError(f"{path}: damaged, it cannot be read ({error})", mend) from error
    sum_written = about.pop("sha256", None) if isinstance(about, dict) else None
    if about != asdict(shard) or any(len(columns[name]) != len(shard) for name in names):
        raise CacheError(f"{path}: holds other rows than its place says (moved, or of another cache)", mend)
    if not is_whole or any(columns[name].shape[1:] != shape for name, shape in names.items()):
        raise CacheError(f"{path}: has other columns than the plan says", mend)
    if check and sum_written != _sum(columns):
        raise CacheError(f"{path}: damaged, its bytes are not what was written (checksum)", mend)
    return columns


def _sum(columns: Mapping[str, Tensor]) -> str:
    found = hashlib.sha256()
    for name in sorted(columns):
        rows = columns[name].contiguous()
        found.update(f"{name} {rows.dtype} {tuple(rows.shape)}\n".encode())
        found.update(rows.view(torch.uint8).numpy().data)
    return found.hexdigest()
