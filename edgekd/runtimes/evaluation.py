"""`edgekd evaluate` of a deployed model file: no torch unless the data needs it."""

from dataclasses import fields
from pathlib import Path
from typing import Any

from edgekd.config import Data, Evaluate
from edgekd.declaration import fill_defaults
from edgekd.errors import CheckpointError, UsageError
from edgekd.images.decoder import form_of
from edgekd.images.imageset import ImageData
from edgekd.images.sources import open_images
from edgekd.report import Reporter, Result
from edgekd.runs import Run, same_data
from edgekd.runtimes.conclusion import check_target, conclude, keeps_failures
from edgekd.runtimes.predictor import judge_file, open_predictor


def run(config: Evaluate, report: Reporter) -> Result:
    """Accuracy of an exported file on shapes or on a folder."""
    check_target(config.failures)
    config = complete(config)
    return judge(config, open_images(config, report, field_classes(config)), report)


def complete(config: Evaluate) -> Evaluate:
    """The data options of the run that the file lies in, unless it is other data; the canvas is the file's own."""
    path = Path(str(config.model))
    record = open_predictor(str(path), 1).record
    known = Run(path.parent).data_options()
    if config.data is None and known is None:
        raise UsageError(f"{path}: which images?", "give --data (the file does not lie in its run's folder)")
    form = form_of(record)
    described: dict[str, Any] = {
        "canvas": form.side,
        "channels": "1" if form.channels == 1 else "3",
        "aspect": form.aspect,
        "grey_bits": str(form.grey_bits),
    }
    if known is not None and (config.data is None or same_data(config.data, known["data"])):
        described = known | described
    names = [each.name for each in fields(Data) if each.name in described]
    return fill_defaults(config, described, str(path), names)


def field_classes(config: Evaluate) -> tuple[str, ...] | None:
    """The file's classes where the images are not those of its own run: of any of them there may be none."""
    path = Path(str(config.model))
    known = Run(path.parent).data_options()
    if known is not None and same_data(str(config.data), known["data"]):
        return None
    return tuple(open_predictor(str(path), 1).record["classes"])


def judge(config: Evaluate, data: ImageData, report: Reporter) -> Result:
    """The closing table for these images."""
    answer = open_predictor(str(config.model), config.threads)
    if tuple(answer.record["classes"]) != data.classes:
        raise CheckpointError(
            f"{config.model}: knows other classes ({', '.join(answer.record['classes'][:3])}, ...) than {data.name}",
            "give the data it was trained on",
        )
    split = {"test": data.test, "val": data.val, "train": data.train}[config.split]
    with report.stage("evaluating", len(split), "images") as progress:
        tally = judge_file(answer, split, config.batch_size, progress, keep_failures=keeps_failures(config))
    return conclude(str(config.model), data, tally, config)
