"""`edgekd train-teacher`: a network learns labels."""

from dataclasses import replace
from typing import Any

import torch

from edgekd.compute.distributed import everyone
from edgekd.config import TrainTeacher
from edgekd.data.sources import check_labelled, open_data
from edgekd.data.view_choice import choose_views
from edgekd.declaration import as_dict
from edgekd.images.imageset import ImageData
from edgekd.models.build import Start, build
from edgekd.models.defaults import recipe_for
from edgekd.models.network import Network
from edgekd.models.weights import apply_body, apply_weights, build_for, classes_in, load_weights
from edgekd.objectives.supervised import Supervised
from edgekd.report import Reporter, Result
from edgekd.runs import data_name, file_sum, slug
from edgekd.training.claim import claim, settle_name
from edgekd.training.resume import go_on, is_finished
from edgekd.training.session import Job, train
from edgekd.training.settings import settle, weigh_classes
from edgekd.training.summary import summary
from edgekd.training.update import LayerRate


def run(config: TrainTeacher, report: Reporter) -> Result:
    """Train `config.model` and finish its run folder."""
    name = settle_name(config, f"{slug(config.model)}-{data_name(config.data)}", report)
    place = claim(config.runs, name, resume=config.resume, overwrite=config.overwrite)
    given = as_dict(config)
    if config.resume and place.is_there:
        config = go_on(config, place, "train-teacher")
        if is_finished(place, report):
            return summary(place)
    with everyone().in_turn():
        data = open_data(config, report)
    check_labelled(data, "train-teacher")
    data = replace(data, train=data.train.labelled())
    config = choose_views(config, {}, None, data, report)
    torch.manual_seed(config.seed)
    network = _network(config, data, report)
    settled = settle(config, recipe_for(network.spec.name), len(data.train))
    objective = Supervised(network, settled.label_smoothing, weigh_classes(settled, data))
    parents: dict[str, Any] = {"weights": f"timm's pretrained {network.spec.name}"} if config.pretrained else {}
    if config.weights is not None:
        parents = {"weights": {"file": str(config.weights), "sha256": file_sum(config.weights)}}
    job = Job("train-teacher", settled, config, data, place, parents, given)
    return train(job, objective, [LayerRate(list(objective.parameters()), 1.0)], report)


def _network(config: TrainTeacher, data: ImageData, report: Reporter) -> Network:
    """The network from scratch, from a file or from timm's weights; a head of other classes starts fresh."""
    if config.weights is None:
        start: Start = "pretrained" if config.pretrained else "scratch"
        return build(config.model, data, input_size=config.input_size, start=start, code=config)
    state, origin = load_weights(config.weights), str(config.weights)
    network = build_for(config.model, data, state, origin, input_size=config.input_size, code=config)
    if classes_in(network, state) == len(data.classes):
        notes = apply_weights(network, state, origin)
    else:
        report.note(f"{origin}: other classes than {data.name}, so the head starts fresh")
        notes = apply_body(network, state, origin)
    for note in notes:
        report.note(note)
    return network
