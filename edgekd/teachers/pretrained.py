"""A network trained elsewhere becomes a teacher run: weights had, classes checked, a head fitted if need be."""

import time
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from edgekd import config as options
from edgekd.compute.allocator import peak_rss_mb
from edgekd.compute.evaluate import judge, result_of
from edgekd.compute.formats import Format, device_of
from edgekd.data.loader import in_order
from edgekd.declaration import as_dict
from edgekd.errors import MissingDependency
from edgekd.images.imageset import ImageData, describe_data
from edgekd.models.build import build, head_of, pooled_features
from edgekd.models.cost import macs, parameters
from edgekd.models.known import is_file
from edgekd.models.names import own_net, resolve
from edgekd.models.network import Network
from edgekd.models.weights import apply_body, apply_weights, build_for, classes_in, load_weights, save_weights
from edgekd.report import Reporter
from edgekd.runs import Run, atomic, environment, everything, file_sum, slug

ITERATIONS = 100
"""L-BFGS steps of the head; features are standardised, so it converges in fewer."""
DECAY = 1e-4
BATCH = 100


@dataclass(frozen=True)
class Candidate:
    """A network with foreign weights, and whether its head already speaks of the data's classes."""

    network: Network
    has_head: bool
    origin: str


def adopt(name: str, data: ImageData, config: options.CacheLogits | options.Distill, report: Reporter) -> Run:
    """Make a teacher run of a weight file or of pretrained weights; returns it finished.

    Raises CheckpointError (weights do not fit) or MissingDependency (they cannot be had, with the ways on).
    """
    known = adopted(name, data, config)
    if known is not None:
        report.note(f"teacher: {known.path}, made of the same weights before")
        return known
    started = time.perf_counter()
    found = _from_file(name, data, config, report) if config.teacher_weights else _pretrained(name, data)
    network = found.network.to(device_of(config))
    form = Format("fp32", "channels-last")
    form.prepare(network)
    if not data.has_labels:
        report.note(f"{found.origin}: no labels, so it teaches by its features alone")
    elif not found.has_head:
        report.note(f"{found.origin}: other classes than {data.name}, so a head is fitted to its features")
        fit_head(network, data, report)
    run = _free_run(config.runs / f"{slug(name)}-{data.name}")
    val, test = (judge(network, split, BATCH).scores() for split in (data.val, data.test))
    with atomic(run.weights) as beside:
        save_weights(network, beside)
    result = result_of(val, test) | {"best_epoch": 0, "steps": 0, "images_per_second": 0.0}
    result |= {"train_seconds": round(time.perf_counter() - started, 2), "peak_rss_mb": peak_rss_mb()}
    run.update(
        command="adopt",
        status="finished",
        config=as_dict(config),
        model=network.spec.to_dict(),
        params=parameters(network),
        macs=macs(network),
        data=describe_data(data),
        parents=_source(name, config)
        | {"head": "kept" if found.has_head else "linear probe" if data.has_labels else "none"},
        environment=environment(),
        result=result,
        weights_sha256=file_sum(run.weights),
    )
    told = f"; validation accuracy {val.top1:.2%}" if val.count else ""
    report.note(f"teacher: {run.path}, made of {found.origin}{told}")
    return run


def _source(name: str, config: options.CacheLogits | options.Distill) -> dict[str, Any]:
    """What the weights are, so that the same are not adopted twice."""
    path = config.teacher_weights
    if path is None:
        return {"weights": f"timm's pretrained {resolve(name)}"}
    return {"weights": str(path), "sha256": file_sum(path)}


def adopted(name: str, data: ImageData, config: options.CacheLogits | options.Distill) -> Run | None:
    """The run made of the same weights for the same data, if there is one."""
    source = _source(name, config)
    # a file is known by its content, wherever it lies
    what = "sha256" if "sha256" in source else "weights"
    for run in reversed(everything(config.runs)):
        manifest = run.manifest()
        is_same = (
            manifest.get("command") == "adopt"
            and manifest["model"]["name"] == resolve(name)
            and manifest["data"]["fingerprint"] == data.fingerprint
            and manifest["parents"].get(what) == source[what]
        )
        if is_same:
            return run
    return None


def _from_file(
    name: str, data: ImageData, config: options.CacheLogits | options.Distill, report: Reporter
) -> Candidate:
    path = config.teacher_weights
    state = load_weights(path) if path else {}
    network = build_for(name, data, state, str(path), code=config)
    has_head = classes_in(network, state) == len(data.classes)
    for note in (apply_weights if has_head else apply_body)(network, state, str(path)):
        report.note(note)
    return Candidate(network, has_head, str(path))


def _pretrained(name: str, data: ImageData) -> Candidate:
    canonical = resolve(name)
    if is_file(canonical) or own_net(canonical) is not None:
        raise MissingDependency(
            f"teacher {name}: there is no run of it and it has no pretrained weights",
            f"edgekd train-teacher --model {name}, or --teacher-weights FILE",
        )
    network = build(name, data, start="pretrained")
    return Candidate(network, has_head=False, origin=f"timm's pretrained {canonical}")


def fit_head(network: Network, data: ImageData, report: Reporter) -> None:
    """Fit the final classifier to the network's features of the plain training images (a linear probe).

    Multinomial logistic regression by L-BFGS on standardised features; the scaling is folded into the weights.
    """
    features, targets = _features(network, data, report)
    mean, std = features.mean(0), features.std(0).clamp(min=1e-6)
    scaled = (features - mean) / std
    weight = torch.zeros(len(data.classes), features.shape[1], requires_grad=True)
    bias = torch.zeros(len(data.classes), requires_grad=True)
    solver = torch.optim.LBFGS([weight, bias], max_iter=ITERATIONS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        solver.zero_grad()
        loss = F.cross_entropy(scaled @ weight.T + bias, targets) + DECAY * weight.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    solver.step(closure)  # type: ignore[no-untyped-call]
    head: Any = head_of(network.backbone)
    with torch.no_grad():
        head.weight.copy_((weight / std).reshape(head.weight.shape))
        if head.bias is not None:
            head.bias.copy_(bias - (weight / std) @ mean)


def _features(network: Network, data: ImageData, report: Reporter) -> tuple[Tensor, Tensor]:
    """Pooled features [images, width] and targets [images] of the labelled training images, on the CPU."""
    device = next(network.parameters()).device
    network.eval()
    found = []
    with torch.inference_mode(), report.stage("features", len(data.train), "images") as progress:
        for batch in in_order(data.train, BATCH):
            moved = batch.to(device)
            found.append((pooled_features(network, moved.canvas).float().cpu(), batch.target))
            progress.advance(len(batch))
    features, targets = (torch.cat(each) for each in zip(*found, strict=True))
    return features[targets >= 0].clone(), targets[targets >= 0].clone()


def _free_run(path: Any) -> Run:  # noqa: ANN401
    """The run folder, under a name that no other run has."""
    run, number = Run(path), 1
    while run.path.exists():
        number += 1
        run = Run(path.with_name(f"{path.name}-{number}"))
    return run
