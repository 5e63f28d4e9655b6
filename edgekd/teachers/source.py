"""A teacher that can be asked: a finished run or a model file, with what its answers depend on."""

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edgekd.cache.plan import CachePlan
from edgekd.cache.store import LogitCache
from edgekd.compute.formats import Layout
from edgekd.config import CacheLogits, Code
from edgekd.data.view_choice import views_of
from edgekd.errors import CacheError, UsageError
from edgekd.models.build import rebuild
from edgekd.models.known import is_file
from edgekd.models.network import Network, Spec
from edgekd.models.onnx_network import rebuild_onnx
from edgekd.models.tails import Tail, tail_of
from edgekd.models.taps import examine
from edgekd.models.weights import restore_weights
from edgekd.runs import Run, file_sum
from edgekd.runtimes.onnx_file import read_model
from edgekd.runtimes.suffixes import ONNX, is_model_file


@dataclass(frozen=True)
class KnownTeacher:
    """`name` is what caches are called by default, `place` the run folder or file, `spec` how it is fed.

    `views` says how the images were varied that it was trained on; empty where that is not known.
    """

    name: str
    place: Path
    spec: Spec
    sha256: str
    views: dict[str, Any] = field(default_factory=dict)

    @property
    def run(self) -> Run | None:
        """Its run, unless it is a file."""
        return None if is_model_file(self.place) else Run(self.place)

    def network(self, code: Code) -> Network:
        """The network with its weights; `code` says whose own file may run; raises CheckpointError if it is not had."""
        if self.run is None:
            return rebuild_onnx(self.place, self.spec)
        self.run.check_weights()
        network = rebuild(self.spec, code)
        restore_weights(network, self.run.weights)
        return network

    @property
    def layout(self) -> Layout:
        """How images are handed to it: the runtimes of model files take planes, or turn them themselves."""
        return "channels-last" if self.run else "channels-first"

    def settle(self, config: CacheLogits) -> CacheLogits:
        """The options with what a model file leaves no choice of; raises UsageError for what it cannot give."""
        if self.run is not None:
            return config
        if config.columns:
            raise UsageError(
                f"--columns {config.columns[0]}: {self.place} gives logits only",
                "leave it out, or give the run that the file was exported from",
            )
        return replace(config, precision="fp32", memory_format=self.layout)

    def describe(self) -> dict[str, Any]:
        """Everything its answers depend on, for a cache's plan."""
        spec = self.spec
        feeding = {"input_size": spec.input_size, "mean": list(spec.mean), "std": list(spec.std)}
        if self.run is None:
            feeding |= spec.options
        found = {"name": self.name, "place": str(self.place), "model": spec.name, "sha256": self.sha256}
        return found | {"feeding": feeding, "code": _code_sum(spec.name, self.place), "spec": spec.to_dict()}


def _code_sum(model: str, place: Path) -> str | None:
    """SHA-256 of the user's own network file; None where there is none: edgekd's and timm's networks, model files."""
    path = Path(model.rsplit(":", 1)[0])
    is_needed = place.is_dir() and is_file(model) and path.is_file()
    return hashlib.sha256(path.read_bytes()).hexdigest() if is_needed else None


def from_run(run: Run) -> KnownTeacher:
    """The teacher a finished run is; raises CheckpointError when its weights are not those of its manifest."""
    spec = Spec.from_dict(run.manifest()["model"])
    return KnownTeacher(run.path.name, run.path, spec, run.check_weights(), views_of(run))


def answers_sum(place: Path) -> str:
    """SHA-256 of what a teacher's answers come from: a run's weights, an ONNX file with its external ones, any file.

    Raises CheckpointError when it is not there.
    """
    if place.suffix == ONNX:
        return read_model(place).sha256
    return file_sum(Run(place).weights if place.is_dir() else place)


def open_tail(cache: LogitCache, code: Code) -> Tail | None:
    """The rest of the network that filled a cache, frozen; None of a model file or a network that has none.

    Raises CacheError when its run is not there any more.
    """
    place = Path(cache.plan.teacher["place"])
    if is_model_file(place) or cache.plan.teacher.get("spec") is None:
        return None
    if as_it_is_now(cache.plan) is None:
        raise CacheError(
            f"{cache.folder}: its teacher {place} is not there, whose last stage this method computes with",
            "restore the run; or choose a method that reads the cache alone (edgekd methods)",
        )
    network = from_run(Run(place)).network(code).eval().requires_grad_(False)
    return tail_of(network, examine(network))


def as_it_is_now(plan: CachePlan) -> dict[str, Any] | None:
    """What the plan says of its teacher, with the hash its weights have now; None when they are not there."""
    place = Path(plan.teacher["place"])
    if not (Run(place).weights if place.is_dir() else place).is_file():
        return None
    return plan.teacher | {"sha256": answers_sum(place), "code": _code_sum(plan.teacher["model"], place)}
