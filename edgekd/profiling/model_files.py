"""Which models a command line means: model files, runs, or the newest export."""

from collections.abc import Sequence
from pathlib import Path

from edgekd import runs
from edgekd.errors import CheckpointError, DataError, nearest
from edgekd.profiling.measure.measuring import Subject
from edgekd.profiling.measure.process import Child
from edgekd.runtimes.record import needed_for_images
from edgekd.runtimes.suffixes import ONNX, describe

SAMPLE = "sample.npz"


def find_subjects(given: Sequence[str], root: Path) -> list[Subject]:
    """The models given (the newest `root/*/model.onnx` when none is), each under a name of its own.

    Raises CheckpointError when one is not there or cannot be read.
    """
    paths = [_path(each, root) for each in given] or [_newest(root)]
    return [open_subject(path, name) for path, name in zip(paths, _names(paths), strict=True)]


def open_subject(path: Path, name: str) -> Subject:
    """The model at a path, with the sample that was exported beside it."""
    file = describe(path)
    sample = sample_of(path)
    ours = file.record is not None and sample.is_file()
    return Subject(name, file, sample if ours else None)


def sample_of(path: Path) -> Path:
    """Where an export's sample lies: `sample.npz` beside model.onnx, `NAME.sample.npz` beside another name.

    Beside files of other runtimes NAME has the suffix, too, since model.tflite and model.mnn may be neighbours.
    """
    name = path.stem if path.suffix == ONNX else path.name
    return path.with_name(SAMPLE if path.name == "model.onnx" else f"{name}.{SAMPLE}")


def find_images(folder: Path, subjects: Sequence[Subject]) -> list[Path]:
    """The files that accuracy is measured on, listed by a child: this process loads neither numpy nor Pillow.

    Raises DataError when they do not lie in folders of the models' classes, CheckpointError for a model that does not
    say how to feed it images.
    """
    if not folder.is_dir():
        raise DataError(f"--images {folder}: no such folder", "give a folder with <class>/* images")
    records = [needed_for_images(subject.file.record, subject.file.path) for subject in subjects]
    with Child("edgekd.profiling.measure.inspection_process") as child:
        command = {"kind": "images", "path": "", "threads": 1, "images": str(folder)}
        found = [child.ask(**command, classes=record["classes"]) for record in records]
    return [Path(each) for each in found[0]["files"]]


def _path(given: str, root: Path) -> Path:
    for path in (Path(given), root / given):
        if path.is_file():
            return path
        if path.is_dir():
            if (path / "model.onnx").is_file():
                return path / "model.onnx"
            is_run = runs.Run(path).is_there
            hint = f"edgekd export {given}" if is_run else "give a model file, or a run"
            raise CheckpointError(f"{path}: a folder without model.onnx", hint)
    exported = [path.parent.name for path in root.glob("*/model.onnx")]
    raise CheckpointError(
        f"{given}: no such model file, and no such run in {root}",
        nearest(given, exported) if exported else f"give a model file; {root} has no exported run",
    )


def _newest(root: Path) -> Path:
    found = sorted(root.glob("*/model.onnx"), key=lambda path: path.stat().st_mtime_ns)
    if not found:
        raise CheckpointError(f"{root}: no run there has been exported", "edgekd export, or give an .onnx file")
    return found[-1]


def _names(paths: Sequence[Path]) -> list[str]:
    """Short names: the run's for model.onnx in a run, else the file's; with suffix or whole where two are alike."""
    short = [
        path.parent.name if path.name == "model.onnx" and runs.Run(path.parent).is_there else path.stem
        for path in paths
    ]
    longer = [path.name for path in paths]
    return [
        name if short.count(name) == 1 else long if longer.count(long) == 1 else str(path)
        for name, long, path in zip(short, longer, paths, strict=True)
    ]
