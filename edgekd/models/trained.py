"""Networks of finished runs, and the student and peers a command asks for."""

from edgekd import config as options
from edgekd.config import Distill
from edgekd.images.imageset import ImageData
from edgekd.models.build import build, rebuild
from edgekd.models.network import Network, Spec
from edgekd.models.weights import apply_weights, build_for, load_weights, restore_weights
from edgekd.report import Reporter
from edgekd.runs import Run, slug


def load_network(run: Run, code: options.Code | None = None) -> Network:
    """The network of a run with its best weights; `code` says whose own file may run.

    Raises CheckpointError when it cannot be had.
    """
    run.check_weights()
    network = rebuild(Spec.from_dict(run.manifest()["model"]), code)
    restore_weights(network, run.weights)
    return network


def build_student(config: Distill, data: ImageData, report: Reporter) -> Network:
    """The student, with the weights of --student-weights when they are given."""
    if config.student_weights is None:
        return build(config.student, data, input_size=config.input_size, code=config)
    state, origin = load_weights(config.student_weights), str(config.student_weights)
    network = build_for(config.student, data, state, origin, input_size=config.input_size, code=config)
    for note in apply_weights(network, state, origin):
        report.note(note)
    return network


def build_peers(config: Distill, data: ImageData, report: Reporter) -> dict[str, Network]:
    """The student under "", and its peers as they are kept: `peers/NAME`."""
    found = {"": build_student(config, data, report)}
    for model in (each for names in config.peers for each in names.split(",")):
        name, number = f"peers/{slug(model)}", 1
        while name in found:
            number += 1
            name = f"peers/{slug(model)}-{number}"
        found[name] = build(model, data, code=config)
    return found
