"""Everything a report tells of a run, as one JSON object (needs torch)."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from edgekd import __version__
from edgekd.compute.evaluate import answers
from edgekd.compute.formats import device_of
from edgekd.config import Report
from edgekd.data.inheritance import inherit_data
from edgekd.data.sources import open_data
from edgekd.declaration import fill_defaults
from edgekd.errors import CheckpointError, DataError
from edgekd.images.imageset import ImageData
from edgekd.models.network import Network
from edgekd.models.trained import load_network
from edgekd.reading import read_lines
from edgekd.report import Reporter
from edgekd.reporting.corruptions import KINDS, Corrupted
from edgekd.reporting.lineage import ancestors, caches_of, command_line, parents_of
from edgekd.reporting.quality import Answers, agreement, most_doubtful, quality, surest_mistakes
from edgekd.reporting.shown_images import Images, labelled_images
from edgekd.reporting.teaching import Asked, find_teacher, suspects
from edgekd.runs import Run, same_data
from edgekd.teachers.resolve import check_classes

FORMAT = 1
"""Version of report.json."""

Facts = dict[str, Any]


def facts_of(run: Run, config: Report, report: Reporter) -> Facts:
    """The facts of a finished run; raises DataError without labelled images, CheckpointError for damaged weights."""
    manifest = run.manifest()
    config, data, network = _opened(run, config, report)
    images = labelled_images(data, config.split)
    if not len(images.split):
        raise DataError(f"{data.name}: no labelled image in {config.split}", "give another --split or --data")
    own = _asked(network, images, config, report, "judging")
    if not np.isfinite(own.logits).all():
        raise CheckpointError(f"{run.path}: its answers are no finite numbers", "train the run again")
    teacher = find_teacher(run, data, config, report)
    taught = _asked(teacher.network, images, config, report, "asking the teacher") if teacher else None
    return {
        "kind": "run",
        "format": FORMAT,
        "edgekd": __version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "run": str(run.path),
        "command": manifest["command"],
        "model": {key: manifest["model"][key] for key in ("name", "input_size", "channels")},
        "data": {"name": data.name, "data": config.data, "split": config.split, "canvas": data.canvas},
        "result": manifest.get("result", {}),
        "epochs": read_lines(run.metrics, CheckpointError) if run.metrics.is_file() else [],
        "quality": quality(own, data.classes),
        "images": _listed(images, own, taught, config),
        "teacher": teacher.facts | agreement(own, taught) if teacher and taught else None,
        "suspects": suspects(run, data, config, report),
        "corruptions": _corrupted(network, teacher, images, config, report),
        "cost": _cost(run, manifest),
        "provenance": _provenance(manifest),
        "commands": [line for _, _, each in ancestors(run) if (line := command_line(each))],
    }


def _opened(run: Run, config: Report, report: Reporter) -> tuple[Report, ImageData, Network]:
    """The options completed by the run's own, its data and its network."""
    described = run.manifest()["data"]
    shape = {
        "canvas": described["canvas"],
        "channels": str(described["channels"]),
        "aspect": described["options"].get("aspect", "crop"),
        "grey_bits": described["options"].get("grey_bits", "16"),
    }
    config = fill_defaults(inherit_data(config, run), shape, str(run.path), list(shape))
    network = load_network(run, config).to(device_of(config))
    is_own = same_data(str(config.data), described["options"]["data"])
    data = open_data(config, report, None if is_own else tuple(network.spec.classes))
    check_classes(run, data)
    return config, data, network


def _asked(network: Network, images: Images, config: Report, report: Reporter, title: str) -> Answers:
    network = network.to(device_of(config))
    with report.stage(title, len(images.split), "images") as progress:
        return Answers(*answers(network, images.split, config.batch_size, progress))


def _listed(images: Images, own: Answers, taught: Answers | None, config: Report) -> dict[str, list[Facts]]:
    chosen = {
        "mistakes": surest_mistakes(own, config.pictures),
        "doubts": most_doubtful(own, config.pictures),
    }
    return {name: [images.describe(place, own, taught) for place in places] for name, places in chosen.items()}


def _corrupted(
    network: Network, teacher: Asked | None, images: Images, config: Report, report: Reporter
) -> Facts | None:
    """Accuracy of student and teacher on a sample of the images, clean and corrupted."""
    if not config.corrupted:
        return None
    sample = images.sample(config.corrupted)
    networks = {"student": network} | ({"teacher": teacher.network} if teacher else {})
    cases = [(kind, strength) for kind, (_, strengths, _) in KINDS.items() for strength in strengths]
    with report.stage("corrupting", len(networks) * (len(cases) + 1) * len(sample), "images") as progress:

        def top1(network: Network, pixels: Any) -> float:  # noqa: ANN401
            split = replace(sample, pixels=pixels)
            return Answers(*answers(network, split, config.batch_size, progress)).top1

        clean = {name: top1(each, sample.pixels) for name, each in networks.items()}
        rows = [
            {"kind": kind, "strength": strength, "unit": KINDS[kind][2]}
            | {name: top1(each, Corrupted(sample.pixels, kind, strength)) for name, each in networks.items()}
            for kind, strength in cases
        ]
    return {"images": len(sample), "clean": clean, "rows": rows}


def _cost(run: Run, manifest: Facts) -> Facts:
    result = manifest.get("result", {})
    files = [run.weights, *sorted(run.path.glob("*.onnx"))]
    return {
        "params": manifest.get("params"),
        "macs": manifest.get("macs"),
        "files": [{"file": each.name, "size_bytes": each.stat().st_size} for each in files if each.is_file()],
        **{name: result.get(name) for name in ("train_seconds", "images_per_second", "peak_rss_mb", "steps")},
    }


def _provenance(manifest: Facts) -> Facts:
    parents = [
        {"role": role, "place": each.get("place") or each.get("run") or each.get("file"), "sha256": each.get("sha256")}
        for role, each in parents_of(manifest)
    ]
    parents += [{"role": "cache", "place": each["path"], "sha256": each["plan"]} for each in caches_of(manifest)]
    return {
        "parents": parents,
        "weights_sha256": manifest.get("weights_sha256"),
        "data_fingerprint": manifest["data"].get("fingerprint"),
        "views": manifest.get("views", {}),
        "environment": manifest.get("environment", {}),
        "config": {key: value for key, value in manifest.get("config", {}).items() if value not in (None, [], "")},
    }
