"""`edgekd cache verify`: every shard is read and checked, then the teacher is asked some batches again."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from edgekd.cache.alignment import known_images
from edgekd.cache.columns import decode, encode
from edgekd.cache.fit import version_warning
from edgekd.cache.folder import Shard
from edgekd.cache.shards import read_shard
from edgekd.cache.state import State, read_state
from edgekd.cache.store import LogitCache
from edgekd.compute.formats import Format
from edgekd.config import Caches, Views
from edgekd.data.batch import Batch
from edgekd.data.loader import view_in_order
from edgekd.data.view_options import settle_views, view_recipe
from edgekd.errors import CacheError, CheckFailed, DataError
from edgekd.images.imageset import ImageData
from edgekd.models.network import Spec
from edgekd.models.observer import Taps
from edgekd.report import Cell, Reporter, Result, Table
from edgekd.teachers.cache_info import NOT_THERE, UNCHANGED, open_again, teacher_now
from edgekd.teachers.source import KnownTeacher

TOLERANCE = {"fp32": 1e-5, "fp16": 1e-3, "topk": 1e-3, "u8": 5e-3}
"""Largest error relative to the largest value: half a step of the number format, and the last bits of another
machine; on the same machine and threads only the rounding to the format is left, with fp32 nothing."""
EXTRAS_TOLERANCE = 1e-3
"""Further columns are stored in half precision."""
FEW_BITS_TOLERANCE = 0.02
"""More where the teacher computed in bf16, fp16 or fp8, whose sums differ between machines."""


@dataclass
class Comparison:
    """What asking again showed; `error` and `scale` by column: largest difference and largest value, absolute."""

    batches: int = 0
    images: int = 0
    identical: int = 0
    agreeing: int = 0
    error: dict[str, float] = field(default_factory=dict)
    scale: dict[str, float] = field(default_factory=dict)

    def add(self, name: str, stored: Tensor, said: Tensor) -> None:
        """Take in a column of a batch, as stored and as the teacher says it now."""
        self.error[name] = max(self.error.get(name, 0.0), float((stored - said).abs().max()))
        self.scale[name] = max(self.scale.get(name, 0.0), float(said.abs().max()))

    def relative(self) -> dict[str, float]:
        """The error of each column in units of its largest value."""
        return {name: error / max(self.scale[name], 1e-12) for name, error in self.error.items()}


def verify(folder: Path, config: Caches, report: Reporter) -> Result:
    """Check the cache at `folder`; the result has a failure when a shard is damaged or the teacher says otherwise.

    Raises CacheError when plan, lists and manifest are damaged, or the teacher or images are not what they were.
    """
    state = read_state(folder)
    damaged = _check_shards(state, report)
    lost = [f"{shard.path(folder)}: this shard is missing" for shard in state.lost]
    facts: dict[str, Any] = {
        "cache": str(folder),
        "state": str(state),
        "shards_checked": len(state.written),
        "damaged": [*damaged, *lost],
        "sample": None,
        "not_sampled": None,
    }
    if facts["damaged"]:
        count = len(facts["damaged"])
        failure = CacheError(
            f"{folder}: {count} of {len(state.shards)} shards are damaged or missing",
            "remove the damaged files and have them written again: edgekd cache status tells how",
        )
        return Result(facts, lines=facts["damaged"], failure=failure)
    facts["not_sampled"] = _reason(state, config)
    if facts["not_sampled"] is None:
        try:
            data = open_again(state, config, report)
        except DataError as error:
            facts["not_sampled"] = f"the images are not there: {error.problem}"
        else:
            return _sampled(state, data, facts, config, report)
    return Result(facts, [_table(facts)])


def _check_shards(state: State, report: Reporter) -> list[str]:
    """What is wrong with each damaged shard."""
    damaged = []
    with report.stage("checking", len(state.written), "shards") as bar:
        for shard in state.written:
            try:
                read_shard(state.folder, shard, state.plan.columns, check=True)
            except CacheError as error:
                damaged.append(error.problem)
            bar.advance()
    return damaged


def _reason(state: State, config: Caches) -> str | None:
    """Why the teacher is not asked again; None when it can be. Raises CacheError when it is another one now."""
    if config.sample == 0:
        return "--sample 0"
    if not state.written:
        return "no shard is written yet"
    place = state.plan.teacher["place"]
    if state.plan.teacher.get("spec") is None:
        return f"the logits were imported ({place}), there is no teacher to ask"
    now = teacher_now(state)
    if now == NOT_THERE:
        return f"the teacher is not there ({place})"
    if now != UNCHANGED:
        raise CacheError(
            f"{state.folder}: every shard is whole, but it is not this teacher's: {now} ({place})",
            f"restore {place}, or make the cache anew: edgekd cache-logits --overwrite",
        )
    return None


def _sampled(state: State, data: ImageData, facts: dict[str, Any], config: Caches, report: Reporter) -> Result:
    warning = version_warning(state.folder, state.plan)
    if warning is not None:
        report.note(warning)
    cache = LogitCache(state.folder, state.plan, state.parts, state.views)
    found = _ask_again(state, known_images(cache, data), config, report)
    tolerances = {name: _tolerance(state, name, config.tolerance) for name in found.error}
    relative = found.relative()
    facts["sample"] = {
        "batches": found.batches,
        "images": found.images,
        "identical_batches": found.identical,
        "top1_agreement": found.agreeing / found.images,
        "max_error": found.error,
        "relative_error": relative,
        "tolerance": tolerances,
    }
    beyond = [name for name in relative if not relative[name] <= tolerances[name]]
    failure = None
    if beyond:
        told = ", ".join(f"{name} by {relative[name]:.2g} (allowed {tolerances[name]:.2g})" for name in beyond)
        failure = CheckFailed(
            f"{state.folder}: the teacher says something else than what is stored: {told}, relative to the largest",
            f"make it anew with these library versions: edgekd cache rm {state.folder.name}, then edgekd cache-logits; "
            "or --tolerance",
        )
    return Result(facts, [_table(facts)], failure=failure)


def _tolerance(state: State, column: str, given: float | None) -> float:
    if given is not None:
        return given
    least = TOLERANCE[state.plan.store] if column == "logits" else EXTRAS_TOLERANCE
    return least + (FEW_BITS_TOLERANCE if state.plan.compute["precision"] in ("bf16", "fp16", "fp8") else 0.0)


def _ask_again(state: State, data: ImageData, config: Caches, report: Reporter) -> Comparison:
    """Compare `config.sample` whole batches, in the format and with the threads of the plan."""
    plan = state.plan
    spec = Spec.from_dict(plan.teacher["spec"])
    teacher = KnownTeacher(plan.teacher["name"], Path(plan.teacher["place"]), spec, plan.teacher["sha256"])
    network = teacher.network(config).to(_device(plan.compute.get("device", "cpu"), report)).eval()
    form = Format(plan.compute["precision"], plan.compute["memory_format"])
    form.prepare(network)
    torch.set_num_threads(plan.compute["threads"])
    recipe = view_recipe(settle_views(Views(), plan.views))
    chosen = _draw(state.written, plan.batch_size, config.sample)
    found = Comparison()
    stage = report.stage("asking again", len(chosen), "batches")
    with torch.inference_mode(), Taps(network, tuple(plan.extras)) as taps, stage as bar:
        for shard, span in chosen:
            batch = next(view_in_order(data.everything, recipe, shard.view, plan.batch_size, span))
            columns = read_shard(state.folder, shard, plan.columns, check=False)
            rows = slice(span.start - shard.start, span.stop - shard.start)
            with form.autocast(taps.device):
                said, seen = taps(batch.canvas.to(taps.device))
            _compare(found, {name: each[rows] for name, each in columns.items()}, said.cpu(), seen, state, batch)
            bar.advance()
    return found


def _device(wanted: str, report: Reporter) -> torch.device:
    if wanted == "cuda" and not torch.cuda.is_available():
        report.warn("the cache was made on a GPU and there is none here: expect small differences")
        return torch.device("cpu")
    return torch.device(wanted)


def _draw(shards: Sequence[Shard], batch_size: int, count: int) -> list[tuple[Shard, range]]:
    """Batches of the cache at random, each at most once, in order."""
    starts = [(shard, start) for shard in shards for start in range(shard.start, shard.stop, batch_size)]
    places = np.random.default_rng().choice(len(starts), min(count, len(starts)), replace=False)
    chosen = (starts[place] for place in sorted(places.tolist()))
    return [(shard, range(start, min(start + batch_size, shard.stop))) for shard, start in chosen]


def _compare(
    found: Comparison, stored: dict[str, Tensor], said: Tensor, seen: dict[str, Tensor], state: State, batch: Batch
) -> None:
    plan = state.plan
    again = encode(said, batch.target, plan.store, plan.topk)
    again |= {name: value.half().cpu() for name, value in seen.items()}
    found.batches += 1
    found.images += len(batch)
    found.identical += all(torch.equal(stored[name], again[name]) for name in again)
    kept = decode(stored, plan.store, plan.classes)
    found.agreeing += int((kept.argmax(1) == said.argmax(1)).sum())
    if plan.topk:
        # what topk left out is no error of the cache: only the values it does hold are compared
        index = stored["index"].long()
        found.add("logits", kept.gather(1, index), said.gather(1, index))
    else:
        found.add("logits", kept, said)
    for name, value in seen.items():
        found.add(name, stored[name].float(), value.float().cpu())


def _table(facts: dict[str, Any]) -> Table:
    sample = facts["sample"]
    rows: list[tuple[str, Cell]] = [
        ("state", facts["state"]),
        ("shards", f"{facts['shards_checked']:,} read, all are what was written"),
    ]
    if sample is None:
        rows.append(("teacher asked again", f"no: {facts['not_sampled']}"))
        return Table(f"edgekd cache verify {facts['cache']}", ("", ""), rows)
    rows += [
        ("teacher asked again", f"{sample['batches']} batches, {sample['images']:,} images at random"),
        ("of these bit for bit the same", f"{sample['identical_batches']} batches"),
        ("same first choice", f"{sample['top1_agreement']:.2%}"),
    ]
    for name, error in sample["max_error"].items():
        relative, allowed = sample["relative_error"][name], sample["tolerance"][name]
        rows.append((f"largest error of {name}", f"{error:.3g}, {relative:.2g} of the largest (allowed {allowed:.2g})"))
    return Table(f"edgekd cache verify {facts['cache']}", ("", ""), rows)
