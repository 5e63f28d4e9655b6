"""Public data sets through torchvision: fetched and checked there, turned into canvases here."""

import contextlib
import hashlib
import http.client
import socket
import tarfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torchvision import datasets

from edgekd.config import Data
from edgekd.errors import DataError, MissingDependency
from edgekd.images.assembly import ImageSource, SplitPart
from edgekd.images.canvas import reform
from edgekd.images.folder import File, Tree
from edgekd.images.pixels import Array
from edgekd.images.space import cache_root
from edgekd.images.trees import open_trees, with_unlabelled
from edgekd.reading import at_home
from edgekd.report import Reporter

_SILENCE_SECONDS = 15.0
"""How long a server may say nothing before the download counts as failed."""


@dataclass(frozen=True)
class _Place:
    """Where a set can be had by hand: the files, and where they go below --data-dir."""

    files: str
    address: str
    folder: str = ""


_PLACES = {
    "cifar10": _Place("cifar-10-python.tar.gz", "https://www.cs.toronto.edu/~kriz"),
    "cifar100": _Place("cifar-100-python.tar.gz", "https://www.cs.toronto.edu/~kriz"),
    "fashion-mnist": _Place(
        "{train,t10k}-{images-idx3,labels-idx1}-ubyte.gz",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
        "FashionMNIST/raw",
    ),
    "food101": _Place("food-101.tar.gz", "http://data.vision.ee.ethz.ch/cvl"),
    "imagenet": _Place(
        "ILSVRC2012_devkit_t12.tar.gz, ILSVRC2012_img_train.tar and ILSVRC2012_img_val.tar",
        "https://image-net.org (after registering there)",
        "imagenet",
    ),
}


def open_set(name: str, config: Data, report: Reporter) -> ImageSource:
    """One of the sets below by name, fetched into --data-dir when it is not there yet.

    Raises MissingDependency with the way by hand when it cannot be fetched, DataError when it cannot be stored.
    """
    root = at_home(config.data_dir) if config.data_dir else cache_root() / "data"
    with _fetching(name, root):
        found = _SETS[name](root, report)
    if isinstance(found, _Arrays):
        return with_unlabelled(_from_arrays(name, found, config), config, report)
    return replace(open_trees((name, root / name), found, config, report), data=name)


@contextlib.contextmanager
def _fetching(name: str, root: Path) -> Iterator[None]:
    """Bounds the wait for a silent server and says in words why a set cannot be had."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_SILENCE_SECONDS)
    try:
        yield
    except PermissionError as error:
        raise DataError(
            f"{error.filename or root}: no permission to write there", "give another place with --data-dir"
        ) from error
    except ModuleNotFoundError as error:
        raise MissingDependency(
            f"--data {name}: unpacking it needs {error.name}", f"pip install {error.name}"
        ) from error
    except (OSError, RuntimeError, EOFError, tarfile.TarError, http.client.HTTPException) as error:
        place = _PLACES[name]
        raise MissingDependency(
            f"--data {name}: it is not in {root} and cannot be fetched ({_first_line(error)})",
            f"put {place.files} from {place.address} into {root / place.folder}, or give your own: --data FOLDER",
        ) from error
    finally:
        socket.setdefaulttimeout(before)


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


@dataclass(frozen=True, eq=False)
class _Arrays:
    """A small set in memory: pixels `[n, height, width(, 3)]` and targets of both splits."""

    classes: tuple[str, ...]
    train: tuple[NDArray[np.uint8], NDArray[np.int64]]
    test: tuple[NDArray[np.uint8], NDArray[np.int64]]


def _arrays(make: Callable[..., Any]) -> Callable[[Path, Reporter], _Arrays]:
    def read(root: Path, report: Reporter) -> _Arrays:
        train, test = (make(str(root), train=train, download=True) for train in (True, False))
        return _Arrays(tuple(train.classes), _pair(train), _pair(test))

    return read


def _pair(split: Any) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:  # noqa: ANN401
    return np.asarray(split.data, np.uint8), np.asarray(split.targets, np.int64)


def _food101(root: Path, report: Reporter) -> dict[str, Tree]:
    sets = {name: datasets.Food101(str(root), split=name, download=True) for name in ("train", "test")}
    base = root / "food-101" / "images"
    return {
        name: _tree(base, tuple(each.classes), zip(each._image_files, each._labels, strict=True))
        for name, each in sets.items()
    }


def _imagenet(root: Path, report: Reporter) -> dict[str, Tree]:
    base = root / "imagenet"
    if not (base / "meta.bin").is_file() and not (base / "ILSVRC2012_devkit_t12.tar.gz").is_file():
        raise FileNotFoundError("its licence allows no automatic download")
    report.note(f"imagenet: unpacking into {base} where that was not done yet")
    sets = {name: datasets.ImageNet(str(base), split=name) for name in ("train", "val")}
    classes = _distinct([names[0] for names in sets["train"].classes], sets["train"].wnids)
    return {{"val": "test"}.get(name, name): _tree(base / name, classes, each.imgs) for name, each in sets.items()}


def _distinct(names: Sequence[str], marks: Sequence[str]) -> tuple[str, ...]:
    """Names with their mark behind them where two are the same (ImageNet has two cranes)."""
    seen = Counter(names)
    return tuple(f"{name} ({mark})" if seen[name] > 1 else name for name, mark in zip(names, marks, strict=True))


def _tree(base: Path, classes: tuple[str, ...], images: Iterable[tuple[str | Path, int]]) -> Tree:
    files = [File(str(path), Path(path).relative_to(base).as_posix(), target) for path, target in images]
    return Tree(base, classes, tuple(sorted(files, key=lambda file: file.name)), ())


def _from_arrays(name: str, found: _Arrays, config: Data) -> ImageSource:
    grey = found.train[0].ndim == 3
    channels = int(config.channels) if config.channels != "auto" else 1 if grey else 3
    side = config.canvas or 32
    train, test = (
        _part(split, pixels, targets, (side, channels))
        for split, (pixels, targets) in (("train", found.train), ("test", found.test))
    )
    return ImageSource(name, name, found.classes, train, None, test)


def _part(split: str, pixels: NDArray[np.uint8], targets: NDArray[np.int64], form: tuple[int, int]) -> SplitPart:
    side, channels = form
    names = tuple(f"{split}/{row:05d}" for row in range(len(pixels)))
    hashes = tuple(hashlib.blake2b(each.tobytes(), digest_size=16).hexdigest() for each in pixels)
    if pixels.shape[1:] != (side, side, channels):
        pixels = np.stack([reform(each, side, channels) for each in pixels])
    return SplitPart(Array(np.ascontiguousarray(pixels)), names, hashes, targets)


_SETS: dict[str, Callable[[Path, Reporter], _Arrays | dict[str, Tree]]] = {
    "cifar10": _arrays(datasets.CIFAR10),
    "cifar100": _arrays(datasets.CIFAR100),
    "fashion-mnist": _arrays(datasets.FashionMNIST),
    "food101": _food101,
    "imagenet": _imagenet,
}
