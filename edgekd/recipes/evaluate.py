"""`edgekd evaluate` of a run (with torch)."""

from edgekd.compute.evaluate import judge
from edgekd.compute.formats import Format, device_of
from edgekd.config import Evaluate
from edgekd.data.inheritance import inherit_data
from edgekd.data.sources import open_data
from edgekd.declaration import fill_defaults
from edgekd.models.finished import student_run
from edgekd.models.trained import load_network
from edgekd.report import Reporter, Result
from edgekd.runs import same_data
from edgekd.runtimes import evaluation as evaluate_onnx
from edgekd.runtimes.conclusion import check_target, conclude, keeps_failures
from edgekd.runtimes.evaluation import complete, field_classes
from edgekd.runtimes.suffixes import is_model_file
from edgekd.teachers.resolve import check_classes


def run(config: Evaluate, report: Reporter) -> Result:
    """Accuracy and loss of a run on a split of its own data, or of other data of the same classes."""
    check_target(config.failures)
    if is_model_file(config.model):
        config = complete(config)
        return evaluate_onnx.judge(config, open_data(config, report, field_classes(config)), report)
    source = student_run(config.model, config.runs)
    report.note(f"run: {source.path}")
    described = source.manifest()["data"]
    shape = {
        "canvas": described["canvas"],
        "channels": str(described["channels"]),
        "aspect": described["options"].get("aspect", "crop"),
        "grey_bits": described["options"].get("grey_bits", "16"),
    }
    config = fill_defaults(inherit_data(config, source), shape, str(source.path), list(shape))
    network = load_network(source, config).to(device_of(config))
    is_own = same_data(str(config.data), described["options"]["data"])
    data = open_data(config, report, None if is_own else tuple(network.spec.classes))
    check_classes(source, data)
    form = Format(
        "fp32" if config.precision == "auto" else config.precision,
        "channels-last" if config.memory_format == "auto" else config.memory_format,
    )
    split = {"test": data.test, "val": data.val, "train": data.train}[config.split]
    with report.stage("evaluating", len(split), "images") as progress:
        tally = judge(network, split, config.batch_size, progress, form=form, keep_failures=keeps_failures(config))
    return conclude(str(source.path), data, tally, config)
