"""`edgekd finetune`: a finished run is trained further on labels, on its own data or on other."""

from dataclasses import replace

import torch

from edgekd.compute.distributed import everyone
from edgekd.config import Finetune
from edgekd.data.inheritance import inherit_data, tell_limit
from edgekd.data.sources import check_labelled, open_data
from edgekd.data.view_choice import choose_views, views_of
from edgekd.declaration import as_dict
from edgekd.errors import UsageError
from edgekd.models.build import layer_groups, swap_head
from edgekd.models.defaults import recipe_for
from edgekd.models.finished import student_run
from edgekd.models.network import Network
from edgekd.models.trained import load_network
from edgekd.objectives.supervised import Supervised
from edgekd.report import Reporter, Result
from edgekd.runs import data_name
from edgekd.training.claim import claim, settle_name
from edgekd.training.resume import go_on, is_finished
from edgekd.training.rounding import round_network
from edgekd.training.session import Job, train
from edgekd.training.settings import settle, weigh_classes
from edgekd.training.summary import summary
from edgekd.training.update import LayerRate


def run(config: Finetune, report: Reporter) -> Result:
    """Fine-tune the run `config.model` and finish a run folder of its own."""
    parent = student_run(config.model, config.runs, ("distill",))
    other = f"-{data_name(config.data)}" if config.data else ""
    ending = "finetuned" if config.quantize == "none" else config.quantize
    name = settle_name(config, f"{parent.path.name.removesuffix('-finetuned')}-{ending}{other}", report)
    place = claim(config.runs, name, resume=config.resume, overwrite=config.overwrite)
    if place.path.resolve() == parent.path.resolve():
        raise UsageError(f"{place.path}: is the run to start from", "give another --name")
    given = as_dict(config)
    if config.resume and place.is_there:
        config = go_on(config, place, "finetune")
        if is_finished(place, report):
            return summary(place)
        # a newer student may have been made since
        parent = student_run(config.model, config.runs)
    report.note(f"from: {parent.path}")
    network = load_network(parent, config)
    before, config = config, inherit_data(replace(config, model=str(parent.path)), parent)
    tell_limit(before, config, parent.path, report)
    with everyone().in_turn():
        data = open_data(_with_channels(config, network), report)
    check_labelled(data, "finetune")
    data = replace(data, train=data.train.labelled())
    known = views_of(parent) if data.classes == network.spec.classes else {}
    config = choose_views(config, known, parent.path, data, report)
    torch.manual_seed(config.seed)
    if data.classes != network.spec.classes:
        report.note(f"other classes than {parent.path.name} knows, so the head starts fresh")
        swap_head(network, data.classes)
    if config.quantize != "none":
        config = round_network(network, data, config, report)
    recipe = recipe_for(network.spec.name).by(config.optimizer)
    settled = settle(config, recipe.further(is_folded=bool(network.spec.transforms)), len(data.train))
    objective = Supervised(network, settled.label_smoothing, weigh_classes(settled, data))
    parents = {"start": {"run": str(parent.path), "sha256": parent.manifest()["weights_sha256"]}}
    # The start is kept where no epoch is better by validation, so that finetuning never makes it worse there.
    job = Job("finetune", settled, config, data, place, parents, given, start_counts=True)
    return train(job, objective, _layers(network, config), report)


def _with_channels(config: Finetune, network: Network) -> Finetune:
    """Other data comes with the channels the network takes."""
    if config.channels != "auto":
        return config
    return replace(config, channels="1" if network.spec.channels == 1 else "3")


def _layers(network: Network, config: Finetune) -> list[LayerRate]:
    """Layers from input to head with their rates; frozen ones no longer require grad."""
    groups = layer_groups(network.backbone)
    frozen = {"none": 0, "half": len(groups) // 2, "backbone": len(groups) - 1}[config.freeze]
    for parameter in (each for group in groups[:frozen] for each in group):
        parameter.requires_grad_(False)
    last = len(groups) - 1
    return [LayerRate(group, config.layer_decay ** (last - depth)) for depth, group in enumerate(groups)][frozen:]
