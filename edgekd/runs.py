"""Run folders on disk: names, manifests, atomic writes, the newest one. The format: docs/formats.md."""

import errno
import hashlib
import json
import os
import platform
import re
import shutil
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from edgekd import __version__
from edgekd.cores import available_cores
from edgekd.errors import CheckpointError, DataError, UsageError, nearest
from edgekd.manifest import FORMAT, read_manifest
from edgekd.reading import at_home

AGAIN = "give the same command again"
LONGEST = 200
"""Bytes of a run's name: file systems take 255, and names of a moment are longer."""
_SLUG_BYTES = 60
"""Of a name made by edgekd: several of them make one run's name."""
ESCAPED = "backslashreplace"
"""How encoding treats names of bytes that are not UTF-8 (lone surrogates to Python): in JSON, an escape of its own."""
_HEAD = {"format": FORMAT, "edgekd": __version__}


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Give a path beside `path` to write; on leaving it is synced and renamed, so a kill leaves old or new.

    Raises DataError when the place cannot be written.
    """
    with writing_beside(path) as beside:
        yield beside
        with beside.open("rb") as stream:
            os.fsync(stream.fileno())
        beside.replace(path)


@contextmanager
def writing_beside(path: Path) -> Iterator[Path]:
    """A path beside `path`, gone on leaving; its folder is made before and synced after; DataError where it fails."""
    # processes on several machines may share the folder, so a process's number alone is not enough
    beside = path.with_name(f".{path.name}.{platform.node()}-{os.getpid()}.part")
    try:
        if path.exists() and not path.is_file():
            raise DataError(f"{path}: there is something that is no regular file", "give another place")
        path.parent.mkdir(parents=True, exist_ok=True)
        yield beside
        _sync_folder(path.parent)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)


def _unwritable(path: Path, error: OSError) -> DataError:
    is_full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    hint = f"make room, and {AGAIN}" if is_full else "mend the place or give another one"
    return DataError(f"{path}: cannot be written ({error.strerror or error})", hint)


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_json(path: Path, value: Any) -> None:  # noqa: ANN401
    """Write `value` as sorted, indented JSON, atomically."""
    with atomic(path) as beside:
        beside.write_bytes(_json_text(value).encode("utf-8", ESCAPED))


def _json_text(value: Any) -> str:  # noqa: ANN401
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def file_sum(path: Path) -> str:
    """SHA-256 of a file; raises CheckpointError when it is not there."""
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file", "restore it, or make it again")
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_once(path: Path, text: str) -> bool:
    """Write a file unless it is there already; for exactly one of several processes this is True."""
    with writing_beside(path) as beside:
        with beside.open("w", encoding="utf-8", errors=ESCAPED) as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        try:
            os.link(beside, path)
        except FileExistsError:
            return False
        except OSError:  # a file system without links
            beside.replace(path)
    return True


@dataclass(frozen=True)
class Run:
    """A run folder: `model.safetensors`, `manifest.json`, `metrics.jsonl`, `last/`, later `model.onnx`."""

    path: Path

    @property
    def weights(self) -> Path:
        """The best weights by validation."""
        return self.path / "model.safetensors"

    def part(self, name: str) -> "Run":
        """The run within this one of a network trained beside its own, as `peers/tiny-cnn`; "" is this run."""
        return Run(self.path / name)

    @property
    def last(self) -> Path:
        """Everything a resume needs."""
        return self.path / "last" / "state.pt"

    @property
    def metrics(self) -> Path:
        """One JSON object per finished epoch."""
        return self.path / "metrics.jsonl"

    @property
    def onnx(self) -> Path:
        """The exported model."""
        return self.path / "model.onnx"

    @property
    def is_there(self) -> bool:
        """Whether a manifest was written here."""
        return (self.path / "manifest.json").is_file()

    def manifest(self) -> dict[str, Any]:
        """The manifest; raises CheckpointError when it is missing, damaged or of a newer format (see manifest.py)."""
        return read_manifest(self.path / "manifest.json")

    def check_weights(self) -> str:
        """SHA-256 of the best weights; raises CheckpointError when it is not the one in the manifest."""
        found = file_sum(self.weights)
        if found != self.manifest().get("weights_sha256"):
            raise CheckpointError(
                f"{self.weights}: not the weights that this run ended with (weights_sha256 of manifest.json)",
                "restore the file, or train the run again with --overwrite",
            )
        return found

    def data_options(self) -> dict[str, Any] | None:
        """The options that reopen its data; None where there is no manifest, or one that is not edgekd's."""
        try:
            options = self.manifest()["data"]["options"]
        except CheckpointError:
            return None
        return options if isinstance(options.get("data"), str) else None

    def begin(self, **facts: Any) -> None:  # noqa: ANN401
        """Write the first manifest; raises UsageError when another process was faster since `claim`."""
        if not write_once(self.path / "manifest.json", _json_text(_HEAD | facts)):
            raise exists_already(self)

    def update(self, **changes: Any) -> None:  # noqa: ANN401
        """Write the manifest anew with these keys changed."""
        before = self.manifest() if self.is_there else _HEAD
        write_json(self.path / "manifest.json", before | changes)


def slug(name: str) -> str:
    """A name fit for a folder: `./nets/my net.py:build` -> `my-net-build`; letters of any language stay."""
    short = unicodedata.normalize("NFC", name.removesuffix("/").rsplit("/", 1)[-1].replace(".py:", "-"))
    kept = re.sub(r"[^\w.-]+", "-", short).strip("-.")
    # what has no letters of its own left, or lost some that are not ASCII, is kept apart by a hash
    is_lossy = any(not each.isascii() and not each.isalnum() and each not in kept for each in short)
    if kept and not is_lossy and len(os.fsencode(kept)) <= _SLUG_BYTES:
        return kept
    digest = hashlib.blake2b(os.fsencode(short), digest_size=3).hexdigest()
    head = os.fsencode(kept)[:_SLUG_BYTES].decode("utf-8", "ignore") or "unnamed"
    return f"{head}-{digest}" if short else head


def exists_already(run: Run) -> UsageError:
    """In words: the run's name is taken."""
    with suppress(CheckpointError):
        if run.manifest().get("status") != "finished":
            return UsageError(
                f"{run.path}: this run was begun and is not finished",
                "the same command with --resume goes on with it, --overwrite starts it anew, --name NAME another one",
            )
    return UsageError(
        f"{run.path}: this run exists already",
        "--resume goes on with it, --overwrite replaces it, --name gives another name",
    )


def plain_name(name: str) -> str:
    """The name, when it is one folder's; raises UsageError for a path."""
    if name.startswith(".") or Path(name).name != name or len(os.fsencode(name)) > LONGEST:
        what = f"a name without / and without a dot in front, of {LONGEST} bytes at most"
        raise UsageError(f"--name {name}: not a plain name", f"give {what}")
    return name


def check_writable(path: Path) -> None:
    """Raise DataError when nothing can be written at `path`, before any work is done for it."""
    place = next(folder for folder in (path, *path.absolute().parents) if folder.exists())
    problem = ""
    if not place.is_dir():
        problem = "is a file, not a folder"
    elif os.name == "posix" and os.statvfs(place).f_flag & os.ST_RDONLY:
        problem = "the file system is read-only"
    elif not os.access(place, os.W_OK | os.X_OK):
        problem = "no permission to write there"
    if problem:
        raise DataError(f"{place}: {problem}", "choose another place (--runs, --caches, --output)")


def clear(folder: Path) -> None:
    """Remove a folder so that a kill leaves it whole or gone; of a link to one, the link."""
    for left in folder.parent.glob(f".{folder.name}.*.old"):  # an earlier call was killed
        shutil.rmtree(left, ignore_errors=True)
    if folder.is_symlink():
        folder.unlink()
    elif folder.exists():
        doomed = folder.with_name(f".{folder.name}.{time.time_ns()}.old")
        folder.rename(doomed)
        shutil.rmtree(doomed)


def folder_bytes(folder: Path) -> int:
    """Bytes of all files in a folder; a file that another process removes meanwhile does not count."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):
            total += path.stat().st_size if path.is_file() else 0
    return total


def find(root: Path, name: str) -> Run:
    """The run called `name` in `root`, or the run folder at that path.

    Raises CheckpointError with the nearest names when there is none.
    """
    for path in (Path(name), root / name):
        if (path / "manifest.json").is_file():
            return Run(path)
    if Path(name).exists():
        raise CheckpointError(f"{name}: not a run folder (it has no manifest.json)", "give a run that edgekd made")
    raise CheckpointError(f"{name}: no such run in {root}", nearest(name, [run.path.name for run in everything(root)]))


def everything(root: Path) -> list[Run]:
    """All runs in `root`, oldest first by when they were last finished or written."""
    found = [Run(path.parent) for path in root.glob("[!.]*/manifest.json")]
    return sorted(found, key=lambda run: (run.path / "manifest.json").stat().st_mtime_ns)


def newest(root: Path, accept: Callable[[dict[str, Any]], bool]) -> Run | None:
    """The newest finished run whose manifest `accept` likes; None when there is none."""
    for run in reversed(everything(root)):
        manifest = run.manifest()
        if manifest.get("status") == "finished" and accept(manifest):
            return run
    return None


def append_line(path: Path, row: dict[str, Any]) -> None:
    """Append one JSON object as a line; raises DataError when the file cannot be written."""
    try:
        with path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row, sort_keys=True) + "\n")
    except OSError as error:
        raise _unwritable(path, error) from error


def rewrite_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    """Replace a file of lines, atomically."""
    with atomic(path) as beside:
        beside.write_text("".join(json.dumps(row, sort_keys=True) + "\n" for row in rows), encoding="utf-8")


def data_name(data: str | None) -> str:
    """The short name of `--data` for run names: a known set's name or the folder's."""
    return slug(at_home(data).absolute().name if data and ("/" in data or data.startswith(".")) else data or "shapes")


def same_data(given: str, known: str) -> bool:
    """Whether two values of --data mean the same set or folder."""
    return given == known or str(at_home(given).resolve()) == str(Path(known).resolve())


def environment() -> dict[str, Any]:
    """Versions and machine, for manifests."""
    packages = ("torch", "torchvision", "timm", "numpy", "pillow", "onnx", "onnxruntime")
    versions = {}
    for package in packages:
        with suppress(PackageNotFoundError):
            versions[package] = version(package)
    return {
        "edgekd": __version__,
        "python": platform.python_version(),
        "packages": versions,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cores": available_cores(),
    }
