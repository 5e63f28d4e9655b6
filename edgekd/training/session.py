"""One training from settled options to a finished run folder: the part all training commands share."""

import resource
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from edgekd.cache.store import checksum
from edgekd.config import Training
from edgekd.data.loader import Batches
from edgekd.declaration import as_dict
from edgekd.errors import DataError, Interrupted
from edgekd.images.imageset import ImageData
from edgekd.models.cost import macs, parameters
from edgekd.models.network import Network
from edgekd.models.weights import restore_weights
from edgekd.report import Reporter, Result, Table
from edgekd.runs import Run, clear, environment
from edgekd.training.evaluate import evaluate
from edgekd.training.formats import device_of
from edgekd.training.keeper import Keeper
from edgekd.training.loop import fit
from edgekd.training.settings import format_of, settle_format, total_steps, view_recipe
from edgekd.training.update import LayerRate, Objective, Update, make_optimizer


@dataclass(frozen=True)
class Job:
    """What is trained and where it goes.

    `config` is settled, `given` what the user asked for; `parents` name the artifacts it came from; `views` is how
    many views a cached teacher saw.
    """

    command: str
    config: Training
    data: ImageData
    run: Run
    parents: dict[str, Any]
    given: dict[str, Any]
    views: int | None = None


def train(job: Job, objective: Objective, layers: Sequence[LayerRate], report: Reporter) -> Result:
    """Train, keep the best epoch by validation, test it once, and finish the run's manifest.

    `layers` are the parameters that learn, with their learning-rate scales.
    """
    device = device_of(job.config)
    objective.to(device)
    batches = _batches(job)
    config = settle_format(job.config, objective, next(batches.starting_at(0)).to(device), report)
    form = format_of(config)
    form.apply(objective)
    update = Update(objective, make_optimizer(config, layers), config, form)
    keeper = Keeper(job.run, update, job.data.val, config, batches.steps_per_epoch)
    keeper.report = report
    _start(replace(job, config=config), update.deployed, keeper)
    try:
        fit(batches, update, keeper, total_steps(config, batches.steps_per_epoch))
    except Interrupted:
        job.run.update(status="interrupted")
        raise
    return _finish(replace(job, config=config), update.deployed, keeper)


def _batches(job: Job) -> Batches:
    config = job.config
    return Batches(job.data.train, view_recipe(config), config.batch_size or 1, config.seed, job.views)


def describe_data(data: ImageData) -> dict[str, Any]:
    """What manifests and caches say of a data set."""
    return {
        "name": data.name,
        "options": data.options,
        "classes": list(data.classes),
        "canvas": data.canvas,
        "channels": data.channels,
        "fingerprint": data.fingerprint,
        "images": len(data.everything),
        "skipped": len(data.skipped),
    }


def _start(job: Job, network: Network, keeper: Keeper) -> None:
    """Make the run folder, or find the state to go on from."""
    given = job.given
    if job.run.is_there and job.given["resume"]:
        given = job.run.manifest()["given"]
        known = job.run.manifest()["data"]["fingerprint"]
        if known != job.data.fingerprint:
            raise DataError(
                f"{job.run.path}: its images are not those of {job.data.name} now",
                "restore the images, or start anew with --overwrite",
            )
        keeper.restore()
    else:
        clear(job.run.path)
    job.run.update(
        command=job.command,
        status="running",
        config=as_dict(job.config),
        given=given,
        model=network.spec.to_dict(),
        params=parameters(network),
        macs=macs(network),
        data=describe_data(job.data),
        parents=job.parents,
        environment=environment(),
    )


def _finish(job: Job, network: Network, keeper: Keeper) -> Result:
    restore_weights(network, job.run.weights)
    score = evaluate(network, job.data.test, job.config.batch_size or 250, format_of(job.config))
    keeper.save()
    record = keeper.record
    result = {
        "test_top1": score.top1,
        "test_loss": score.loss,
        "test_images": score.count,
        "val_top1": record.best_top1,
        "best_epoch": record.best_epoch,
        "steps": record.step,
        "train_seconds": round(record.seconds, 2),
        "images_per_second": round(record.images / max(record.seconds, 1e-9), 1),
        "peak_rss_mb": peak_rss_mb(),
    }
    job.run.update(status="finished", result=result, weights_sha256=checksum(job.run.weights))
    return summary(job.run)


def summary(run: Run) -> Result:
    """The closing table and JSON object of a finished run."""
    manifest = run.manifest()
    result = manifest["result"]
    data = {
        "run": str(run.path),
        "command": manifest["command"],
        "model": manifest["model"]["name"],
        "data": manifest["data"]["name"],
        "params": manifest["params"],
        "macs": manifest["macs"],
        "parents": manifest["parents"],
        **result,
    }
    rows = [
        ("model", data["model"]),
        ("data", data["data"]),
        ("parameters", data["params"]),
        ("multiply-adds per image", data["macs"]),
        ("test accuracy", f"{result['test_top1']:.2%} of {result['test_images']:,} images"),
        ("validation accuracy", f"{result['val_top1']:.2%} (epoch {result['best_epoch']}, chosen by it)"),
        ("training", f"{result['train_seconds']:.0f} s, {result['images_per_second']:,.0f} images/s"),
        ("run", str(run.path)),
    ]
    return Result(data, (Table(f"edgekd {manifest['command']}", ("", ""), rows),))


def peak_rss_mb() -> float:
    """Peak resident memory of this process so far, MB (10^6 bytes)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak * (1 if sys.platform == "darwin" else 1024) / 1e6, 1)
