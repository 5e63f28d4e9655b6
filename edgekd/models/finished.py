"""Which finished run or file a command starts from, as its options name it; reads manifests only, without torch."""

from pathlib import Path

from edgekd.config import Distill, Teacher, weighed
from edgekd.errors import CheckpointError, UsageError, nearest
from edgekd.reading import at_home
from edgekd.runs import Run, everything, find, newest
from edgekd.runtimes.suffixes import is_model_file

TAUGHT = ("distill", "finetune")
TEACHING = ("train-teacher", "adopt")


def student_run(name: str | None, runs: Path, commands: tuple[str, ...] = TAUGHT) -> Run:
    """The run named, else the newest that one of `commands` made, else the newest run of any kind."""
    if name is not None:
        run = find(runs, name)
        if run.manifest().get("status") != "finished":
            raise CheckpointError(f"{run.path}: not finished", "finish it with --resume first")
        return run
    found = newest(runs, lambda manifest: manifest["command"] in commands) or newest(runs, lambda manifest: True)
    if found is None:
        raise CheckpointError(f"{runs}: no finished run there", "edgekd distill makes one; or name a run")
    return found


def is_run(name: str, runs: Path) -> bool:
    """Whether a name means a run: its folder, or one in `runs`."""
    return any((folder / "manifest.json").is_file() for folder in (Path(name), runs / name))


def teachers_named(config: Distill) -> list[tuple[str, float]]:
    """The teachers of `--teacher A,B=0.5` with their weights; empty where it names one, or none.

    Raises UsageError where they would not be asked live.
    """
    given = config.teacher or ""
    if "," not in given or is_run(given, config.runs) or Path(given).is_file():
        return []
    if not config.live or config.dry_run or config.teacher_weights is not None:
        raise UsageError(
            f"--teacher {given}: several teachers are asked with --live only, by runs or models that have weights",
            "add --live; or give a cache of each: --cache NAME --cache NAME",
        )
    found = [weighed(each, "teacher") for each in given.split(",")]
    twice = next((name for name, _ in found if [each for each, _ in found].count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"--teacher {given}: {twice} is named twice", "give each once, as NAME=WEIGHT")
    return found


def teacher_place(name: str, config: Teacher, runs: Path) -> Run | Path | None:
    """The finished run or the model file that a teacher's name means; None for the name of a model.

    Raises CheckpointError when it is not there or not finished.
    """
    if is_model_file(name):
        return _model_file(name, config)
    if config.teacher_weights is not None:
        return None
    if is_run(name, runs):
        return student_run(name, runs)
    if Path(name).is_dir():
        raise CheckpointError(f"{name}: not a run folder (it has no manifest.json)", "give a finished run")
    return None


def _model_file(name: str, config: Teacher) -> Path:
    path = at_home(name)
    if config.teacher_weights is not None:
        raise UsageError(f"--teacher-weights: {path} has its own weights", "leave --teacher-weights out")
    if not path.is_file():
        there = [each.name for each in path.absolute().parent.glob(f"*{path.suffix}")]
        raise CheckpointError(
            f"--teacher {path}: no such file", f"{nearest(path.name, there)} ({path.suffix} files there)"
        )
    return path


def check_a_teacher(runs: Path) -> None:
    """Raise CheckpointError when no run could be the teacher that no option names."""
    manifests = (run.manifest() for run in everything(runs))
    if not any(each.get("status") == "finished" and each["command"] in TEACHING for each in manifests):
        raise no_teacher(runs)


def no_teacher(runs: Path) -> CheckpointError:
    """In words: there is nothing to learn from."""
    return CheckpointError(
        f"{runs}: no finished teacher there", "edgekd train-teacher makes one; --teacher NAME fetches one"
    )
