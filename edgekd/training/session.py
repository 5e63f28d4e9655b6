"""One training from settled options to a finished run folder: the part all training commands share."""

import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from edgekd.compute.allocator import peak_rss_mb
from edgekd.compute.calibration import measure_calibration
from edgekd.compute.distributed import RankLost, Ranks, everyone
from edgekd.compute.evaluate import judge_together, result_of
from edgekd.compute.formats import device_of
from edgekd.config import Training
from edgekd.data.batch import Batch
from edgekd.data.loader import ORDER, Batches
from edgekd.data.view_options import view_recipe
from edgekd.declaration import as_dict
from edgekd.errors import CheckpointError, DataError, EdgekdError, Interrupted, UsageError
from edgekd.images.balance import tell_classes
from edgekd.images.imageset import ImageData, describe_data
from edgekd.models.cost import macs, parameters
from edgekd.models.network import Network
from edgekd.models.weights import restore_weights
from edgekd.objectives.objective import Objective
from edgekd.ranks import own_cores
from edgekd.report import Reporter, Result
from edgekd.runs import AGAIN, Run, clear, environment, file_sum
from edgekd.training.checks import check_pieces, check_sizes, tell_relations
from edgekd.training.claim import holding
from edgekd.training.engine import engine_of
from edgekd.training.keeper import Keeper
from edgekd.training.logs import logging_epochs
from edgekd.training.loop import fit
from edgekd.training.mirrored import tell_turned
from edgekd.training.pace import Course, Pace, measure_pace, settle_time
from edgekd.training.settings import Settled, format_of, settle_format, tell_format, total_steps
from edgekd.training.summary import summary
from edgekd.training.update import UPDATES, LayerRate, Update, make_optimizer


@dataclass(frozen=True)
class Job:
    """What is trained and where it goes.

    `config` is how it is trained, `asked` the command's options with what it inherited, `given` what the user typed;
    `parents` name the artifacts it came from; `views` is how
    many views a cached teacher saw; `start_counts` lets the starting weights be the best epoch, number 0; `update` says
    how several networks step (UPDATES); `spent`: seconds that went into checking caches; `facts` are further keys of
    the manifest.
    """

    command: str
    config: Settled
    asked: Training
    data: ImageData
    run: Run
    parents: dict[str, Any]
    given: dict[str, Any]
    views: int | None = None
    start_counts: bool = False
    update: str = "simultaneous"
    spent: float = 0.0
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def options(self) -> dict[str, Any]:
        """All options as they are used, by name, for the manifest."""
        return as_dict(self.asked) | as_dict(self.config)


def train(job: Job, objective: Objective, layers: Sequence[LayerRate], report: Reporter) -> Result:
    """Train, keep the best epoch by validation, test it once, and finish the run's manifest.

    `layers` are the parameters that learn, with their learning-rate scales. Under torchrun every process calls this;
    the first one writes. Raises Interrupted once the state is saved, RankLost when another process has gone, UsageError
    when another command is training the run.
    """
    ranks = everyone()
    with ExitStack() as held:
        if ranks.is_first:
            held.enter_context(holding(job.run))
        return _train(job, objective, layers, report, held)


def _train(job: Job, objective: Objective, layers: Sequence[LayerRate], report: Reporter, held: ExitStack) -> Result:
    ranks, began = everyone(), time.monotonic()
    job, is_begun = _agree(job, ranks)
    device = device_of(job.config)
    objective.to(device)
    batches = _batches(job, ranks, objective.has_strong_view)
    check_sizes(objective.networks.values(), job.config)
    if ranks.is_first and not is_begun:
        weighted = job.config.class_weights != "none"
        tell_classes(job.data.classes, job.data.train.targets, report, weighted)
    first = next(batches.starting_at(0)).pieces(job.config.accumulate)[0].to(device)
    check_pieces(objective, first, job.config, ranks.world)
    if ranks.is_first and not is_begun:
        tell_relations(objective, job.config, ranks.world, report)

    def settled() -> tuple[Settled, Pace]:
        formed = settle_format(job.config, objective, first, report)
        pace = measure_pace(formed, objective, first, batches, (len(job.data.val), len(job.data.test)))
        return settle_time(formed, pace, job.spent + time.monotonic() - began, report), pace

    config, pace = ranks.from_first(settled)
    config = replace(config, threads=job.config.threads or config.threads)
    job = replace(job, config=config, facts=job.facts | tell_format(config, objective.primary, report))
    update = _update(job, objective, layers, first, report)
    keeper = Keeper(job.run, update, job.data.val, config, batches.steps_per_epoch)
    keeper.report = held.enter_context(logging_epochs(report, job.run, config))
    keeper.course = Course(pace, (batches.images_per_step, len(job.data.val), len(job.data.test)))
    if config.label_smoothing:
        report.note(f"ce: with label smoothing {config.label_smoothing:g}, so it stays above 0; val loss is without")
    _start(job, update, keeper, is_begun)
    if ranks.is_first and not is_begun:
        held.enter_context(holding(job.run))
    with _noting_the_end(job.run, keeper):
        if job.start_counts and keeper.step == 0:
            keeper.judge_start()
        fit(batches, update, keeper, total_steps(config, batches.steps_per_epoch))
        return _finish(job, update.kept, keeper)


@contextmanager
def _noting_the_end(run: Run, keeper: Keeper) -> Iterator[None]:
    """Have the manifest say how a training ended that did not finish; raises Interrupted, RankLost and what else."""
    ranks = keeper.ranks
    try:
        yield
    except RankLost as error:
        _note_end(run, ranks)
        raise keeper.lost() from error
    except Interrupted:
        _note_end(run, ranks)
        ranks.wait()
        raise
    except KeyboardInterrupt as error:
        _note_end(run, ranks)
        raise Interrupted(
            f"interrupted at step {keeper.step}; what was saved before is in {run.path}",
            "the same command with --resume goes on",
            error.args[0] if error.args else signal.SIGINT,
        ) from error
    except (CheckpointError, DataError) as error:
        raise _failed(run, error, ranks) from error
    except Exception:
        # the caller reports the error; a full disk may not even take this
        with suppress(EdgekdError):
            _note_end(run, ranks, "failed")
        raise


def _failed(run: Run, error: CheckpointError | DataError, ranks: Ranks) -> CheckpointError | DataError:
    """The same failure, with how to go on; a run that kept nothing so far is removed, so that its name is free."""
    if not (run.weights.is_file() or run.last.is_file()):
        if ranks.is_first:
            clear(run.path)
        return error
    # a full disk may not even take this
    with suppress(EdgekdError):
        _note_end(run, ranks, "failed")
    return type(error)(error.problem, error.hint.replace(AGAIN, f"{AGAIN} with --resume"))


def _update(job: Job, objective: Objective, layers: Sequence[LayerRate], first: Batch, report: Reporter) -> Update:
    """How the objective's networks step, in the settled format; `first` is a batch to try them on."""
    form, kind = format_of(job.config), UPDATES[job.update]
    form.prepare(objective)
    optimizer = make_optimizer(job.config, layers, [each.backbone for each in objective.networks.values()])
    engine = engine_of(objective, first, form, job.config, report, has_unused=kind.is_partial)
    return kind(objective, optimizer, job.config, form, engine)


def _note_end(run: Run, ranks: Ranks, status: str = "interrupted") -> None:
    if ranks.is_first:
        run.update(status=status)


def _agree(job: Job, ranks: Ranks) -> tuple[Job, bool]:
    """The job with this process's threads, and whether its run was begun before; the same on every rank.

    Raises UsageError when the processes do not do the same, or have not an image each; what _check_unchanged raises.
    """
    is_begun = job.run.is_there and job.given["resume"]
    facts = {name: value for name, value in job.options.items() if name != "threads"}
    facts |= {"set of images": job.data.fingerprint, "run to go on with": is_begun}
    ranks.check_alike(facts | {"teacher, cache or start": _sums(job.parents)})
    if job.config.batch_size < ranks.world:
        raise UsageError(
            f"--batch-size {job.config.batch_size}: fewer images than processes ({ranks.world})",
            "it counts the images of all processes together: give more of them, or start fewer processes",
        )
    manifest = job.run.manifest() if is_begun else {}
    if is_begun:
        _check_unchanged(job, manifest)
    asked = (job.given.get("threads"), manifest.get("given", {}).get("threads"))
    threads = job.config.threads
    if is_begun and manifest.get("processes", 1) != ranks.world and asked == (None, None):
        threads = None
    if ranks.world > 1 and threads is None:
        threads = own_cores()
    return replace(job, config=replace(job.config, threads=threads)), is_begun


def _batches(job: Job, ranks: Ranks, has_strong_view: bool) -> Batches:
    config, recipe = job.config, view_recipe(job.config)
    strong = recipe.strengthened() if has_strong_view else None
    return Batches(job.data.train, recipe, config.batch_size, config.seed, job.views, ranks.rank, ranks.world, strong)


def _start(job: Job, update: Update, keeper: Keeper, is_begun: bool) -> None:
    """Make the run folder, or find the state to go on from."""
    given = job.given
    if is_begun:
        given = job.run.manifest()["given"]
        keeper.restore()
    if not keeper.ranks.is_first:
        return
    if given["overwrite"] and not is_begun:
        clear(job.run.path)
    facts = {
        "command": job.command,
        "status": "running",
        "config": job.options,
        "given": given,
        "data": describe_data(job.data),
        "views": _describe_views(job.config),
        "parents": job.parents,
        "environment": environment(),
        "processes": keeper.ranks.world,
        "method_params": _own_parameters(update.objective),
    } | job.facts
    for name, network in update.kept.items():
        run = job.run.part(name)
        # Only the run's own manifest claims the folder; those of its parts follow.
        write = run.begin if name == "" and not is_begun else run.update
        write(**facts, **_describe_network(network))


def _describe_network(network: Network) -> dict[str, Any]:
    return {"model": network.spec.to_dict(), "params": parameters(network), "macs": macs(network)}


def _own_parameters(objective: Objective) -> int:
    """How many parameters are trained beside the networks, such as projectors."""
    return parameters(objective) - sum(map(parameters, objective.networks.values()))


def _check_unchanged(job: Job, before: dict[str, Any]) -> None:
    """Raise DataError or CheckpointError when what the run was begun from is something else now."""
    if before["data"]["fingerprint"] != job.data.fingerprint:
        raise DataError(
            f"{job.run.path}: its images are not those of {job.data.name} now",
            "restore the images, or start anew with --overwrite",
        )
    changed = [name for name, was in before["parents"].items() if _sums(was) != _sums(job.parents.get(name))]
    if changed:
        raise CheckpointError(
            f"{job.run.path}: was begun with another {' and '.join(changed)} than there is now",
            "restore what it was begun with, or start anew with --overwrite",
        )
    if before.get("views") != _describe_views(job.config):
        raise CheckpointError(
            f"{job.run.path}: was begun with other views or another order of the images than this edgekd makes",
            "finish it with the edgekd that began it, or start anew with --overwrite",
        )


def _describe_views(config: Settled) -> dict[str, Any]:
    """What the training shows of the images, and when."""
    return view_recipe(config).describe() | {"order": ORDER}


def _sums(parents: Any) -> list[Any]:  # noqa: ANN401
    """The hashes and shares in a manifest's parents: where they lie may change between machines, what they are not."""
    if isinstance(parents, list):
        return [found for each in parents for found in _sums(each)]
    if not isinstance(parents, dict):
        return []
    own = [parents[name] for name in ("sha256", "plan", "weight") if name in parents]
    return own + [found for name in sorted(parents) for found in _sums(parents[name])]


def _finish(job: Job, networks: Mapping[str, Network], keeper: Keeper) -> Result:
    ranks = keeper.ranks
    keeper.save()
    figures = {name: _test(job, name, network, keeper.report) for name, network in networks.items()}
    if not ranks.is_first:
        return Result({})
    record = keeper.record
    result = figures[""] | {
        "best_epoch": record.best_epoch,
        "steps": record.step,
        "train_seconds": round(record.seconds, 2),
        "images_per_second": round(record.images / max(record.seconds, 1e-9), 1),
        "peak_rss_mb": peak_rss_mb(),
    }
    for name, score in figures.items():
        place = job.run.part(name)
        place.update(status="finished", result=result | score, weights_sha256=file_sum(place.weights))
    return summary(job.run)


def _test(job: Job, name: str, network: Network, report: Reporter) -> dict[str, Any]:
    """The figures of the weights that were kept."""
    ranks = everyone()
    if ranks.is_first:
        restore_weights(network, job.run.part(name).weights)
    ranks.share(network.parameters())
    if ranks.is_first and job.config.flip == "on":
        tell_turned(network, job.data, job.config.batch_size, format_of(job.config), report)
    splits = (job.data.val, job.data.test)
    with report.stage("testing", sum(map(len, splits)) // ranks.world, "images") as progress:
        val, test = (judge_together(network, each, job.config.batch_size, progress) for each in splits)
    measured = measure_calibration(network, job.data.val, job.config.batch_size) if ranks.is_first else None
    return result_of(val, test) | ({} if measured is None else measured.as_dict())
