"""The table of commands: options, help line, and the module that carries each out, chosen by what was asked."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekd import config
from edgekd.declaration import Options
from edgekd.runs import Run
from edgekd.runtimes.suffixes import is_model_file
from edgekd.training.schedule import seconds_of


@dataclass(frozen=True)
class Command:
    """A row of the table: its options, its help line and the module whose `run` carries it out."""

    config: type[Options]
    text: str
    recipe: Callable[[Any], str]


def _always(name: str) -> Callable[[Any], str]:
    return lambda _: f"recipes.{name}"


def _study(name: str) -> Callable[[Any], str]:
    return lambda _: f"studies.{name}"


def _fit(chosen: Any) -> str:  # noqa: ANN401
    """A short limit has no time for a search."""
    is_short = seconds_of(chosen.time_limit) < config.SECONDS_TO_SEARCH
    return "studies.fit" if is_short else "studies.fit_by_search"


def _file_or(name: str, of_files: str) -> Callable[[Any], str]:
    """Deployed files need no torch and have a module of their own (unless the data needs torchvision)."""

    def chosen_recipe(chosen: Any) -> str:  # noqa: ANN401
        file = Path(chosen.model or "")
        data = getattr(chosen, "data", None)
        if data is None and name == "evaluate" and is_model_file(file):
            data = (Run(file.parent).data_options() or {}).get("data")
        needs_torch = name == "evaluate" and data in config.TORCHVISION_SETS
        return f"runtimes.{of_files}" if is_model_file(file) and not needs_torch else f"recipes.{name}"

    return chosen_recipe


def _cache(chosen: Any) -> str:  # noqa: ANN401
    """What only reads small files of caches needs no torch."""
    return "recipes.cache" if chosen.action in ("ls", "status", "rm") else "teachers.cache_actions"


def _models(chosen: Any) -> str:  # noqa: ANN401
    """The usual models, as the options are by default, are a table."""
    is_usual = (chosen.pattern, chosen.classes, chosen.input_size) == (None, config.Models.classes, None)
    return "models.usual" if is_usual else "recipes.models"


COMMANDS = {
    "train-teacher": Command(
        config.TrainTeacher, "Train a teacher (or any network) on labels.", _always("train_teacher")
    ),
    "cache-logits": Command(
        config.CacheLogits, "Run a teacher once over all views and keep its logits.", _always("cache_logits")
    ),
    "runs": Command(config.Runs, "List, show, compare or remove runs.", _always("runs")),
    "cache": Command(config.Caches, "List, check, join or remove caches of logits.", _cache),
    "distill": Command(
        config.Distill, "Train a student from a teacher's cached or live knowledge.", _always("distill")
    ),
    "finetune": Command(config.Finetune, "Train a finished run further, also on other data.", _always("finetune")),
    "export": Command(config.Export, "Write a run as ONNX and prove that it computes the same.", _always("export")),
    "profile": Command(config.Profile, "Measure model files here and judge them against a device.", _always("profile")),
    "evaluate": Command(config.Evaluate, "Accuracy of a run or a model file.", _file_or("evaluate", "evaluation")),
    "predict": Command(
        config.Predict, "Classes of image files, by a run or a model file.", _file_or("predict", "prediction")
    ),
    "report": Command(config.Report, "One page on a run, a study or a search.", _always("report")),
    "models": Command(config.Models, "List models with parameters, multiply-adds and input size.", _models),
    "methods": Command(config.Methods, "List distillation methods with what they need.", _always("methods")),
    "study": Command(config.Study, "Answer a question by a grid of runs, with means over seeds.", _study("study")),
    "search": Command(config.Search, "Find the most accurate student that a device bears.", _study("search")),
    "fit": Command(config.FitAll, "From images to a judged model within a time limit.", _fit),
    "devices": Command(config.Devices, "List, show or make device profiles.", _always("devices")),
}
