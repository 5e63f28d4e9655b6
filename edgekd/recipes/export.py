"""`edgekd export`: a run becomes an ONNX file that is compared with the network on real images."""

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edgekd import __version__
from edgekd.config import Export
from edgekd.data.inheritance import inherit_data
from edgekd.data.loader import PLAIN, make_batch
from edgekd.data.sources import open_data
from edgekd.errors import CheckFailed, CheckpointError, UsageError
from edgekd.exporting.deployments import Original, Tools, find_tools, write_deployments
from edgekd.exporting.learnt import LearntGrid
from edgekd.exporting.onnx import fix_batch, write_metadata, write_onnx
from edgekd.exporting.parity import answers, check, compare, reject
from edgekd.exporting.script import script_of, text_for
from edgekd.exporting.variants import ExportSource, write_raw, write_variants
from edgekd.images.decoder import form_of
from edgekd.images.imageset import ImageData
from edgekd.models.finished import student_run
from edgekd.models.network import Network
from edgekd.models.onnx_network import open_onnx, rebuild_onnx
from edgekd.models.trained import load_network
from edgekd.profiling.model_files import sample_of
from edgekd.quantization.placement import float_twin
from edgekd.reading import at_home
from edgekd.report import Reporter, Result, Table
from edgekd.runs import Run, check_writable
from edgekd.runtimes.onnx_file import read_model
from edgekd.runtimes.predictor import judge_file, open_predictor
from edgekd.runtimes.scores import Scores
from edgekd.runtimes.suffixes import ONNX
from edgekd.teachers.resolve import check_classes
from edgekd.writing import atomic_all

FORMAT = 1
"""Version of the ONNX metadata."""
BATCH = 250
"""Images tested at once."""
KEPT = 16
"""Images in sample.npz."""


def run(config: Export, report: Reporter) -> Result:
    """Write the file, prove parity, put a sample and a script for devices beside it; then the files of fewer bits."""
    if (config.model or "").endswith(ONNX):
        return _of_file(config, report)
    source = student_run(config.model, config.runs)
    path = _place(config.output or source.onnx)
    report.note(f"from: {source.path}")
    tools = find_tools(config, report)
    manifest = source.manifest()
    network = load_network(source, config).eval()
    config = inherit_data(config, source)
    data = open_data(config, report)
    check_classes(source, data)
    inputs, labels, logits = _reference(network, data, config.samples)
    described = describe(source, network, manifest)
    with atomic_all(path, sample_of(path), script_of(path)) as (beside, sample, script):
        written = write_onnx(
            float_twin(network.backbone), torch.from_numpy(inputs[:2]), beside, config.opset, described
        )
        if config.fixed_batch is not None:
            fix_batch(beside, config.fixed_batch)
        parity = compare(beside, inputs, logits)
        failure = check(parity, path, config.tolerance)
        if failure is not None:
            kept = reject(beside, path)
            raise CheckFailed(f"{failure.problem}; kept as {kept.name}", failure.hint)
        tested = _test(beside, data, report)
        write_metadata(beside, described | {"top1": tested.top1 if tested.count else None})
        with sample.open("wb") as stream:
            np.savez(stream, inputs=inputs[:KEPT], logits=logits[:KEPT], labels=labels[:KEPT])
        script.write_text(text_for(path, described), encoding="utf-8")
    if written.opset != config.opset:
        report.warn(
            f"--opset {config.opset}: the exporter cannot write it for this network; the file has {written.opset}"
        )
    facts = {
        "file": str(path),
        "run": str(source.path),
        "opset": written.opset,
        "ir_version": written.ir,
        "size_bytes": path.stat().st_size,
        "params": manifest["params"],
        "classes": len(network.spec.classes),
        "input": [config.fixed_batch, network.spec.channels, network.spec.input_size, network.spec.input_size],
        "parity": asdict(parity),
        "test": tested.as_dict(),
        "run_top1": manifest["result"]["test_top1"],
    }
    record = read_model(path).record

    def feed(canvas: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.inference_mode():
            return network.prepare(torch.from_numpy(canvas)).contiguous().numpy()

    if config.embed_preprocess:
        facts["raw_images"] = write_raw(ExportSource(path, record, feed, data), {"fp32": path}, config.tolerance)
    plain = Result(facts, (_table(facts, path),))
    if tools.converters:
        original = Original(path, record, inputs, labels, logits, source, data.test)
        plain = _joined(plain, write_deployments(original, tools, config, report))
    return _with_variants(plain, network, ExportSource(path, record, feed, data), config, report)


def _with_variants(plain: Result, network: Network, source: ExportSource, config: Export, report: Reporter) -> Result:
    """The files of fewer bits added to a result: those requested, or int8 where the network learnt to be rounded."""
    if network.spec.transforms:
        source = replace(source, learnt=LearntGrid(network, config.opset))
        config = replace(config, quantize="int8") if config.quantize == "none" else config
    return plain if config.quantize == "none" else _joined(plain, write_variants(source, config, report))


def _joined(first: Result, second: Result) -> Result:
    """Two results as one; the first failure counts."""
    return Result(
        {**first.data, **second.data},
        [*first.tables, *second.tables],
        [*first.lines, *second.lines],
        first.failure or second.failure,
    )


def _place(path: Path) -> Path:
    """Where the file is written; raises UsageError or DataError where it, or what comes beside it, cannot be."""
    if path.suffix != ".onnx":
        raise UsageError(f"--output {path}: not the name of an ONNX file", "give one that ends in .onnx")
    folder = next((each for each in (path, sample_of(path), script_of(path)) if each.is_dir()), None)
    if folder is not None:
        raise UsageError(f"{folder}: is a folder, a file is to be written there", "give another --output")
    check_writable(path.parent)
    return path


def _of_file(config: Export, report: Reporter) -> Result:
    """Files of fewer bits from an ONNX file of any origin, fed as its metadata or its graph says."""
    path = at_home(str(config.model))
    tools = find_tools(config, report) if config.format != "tflite" else Tools({".tflite": None})
    if ".tflite" in tools.converters:
        raise UsageError(f"{path}: .tflite files are made from a run", "give the run, or --format mnn")
    if config.embed_preprocess or (config.quantize == "none" and not tools.converters):
        raise UsageError(f"{path}: is an ONNX file already", "give a run, or --quantize int8")
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file", "give a run or an ONNX file")
    beside = Run(path.parent)
    if beside.data_options() is not None:
        config = inherit_data(config, beside)
    elif config.data is None:
        raise UsageError(f"{path}: which images?", "give --data: calibration needs training images")
    data = open_data(config, report)
    few = torch.from_numpy(data.everything.pixels.gather(np.arange(min(KEPT, len(data.everything)))))
    network = rebuild_onnx(path, open_onnx(path, data, few, report))

    def feed(canvas: NDArray[np.uint8]) -> NDArray[np.float32]:
        backbone: Any = network.backbone
        found: NDArray[np.float32] = backbone.laid_out(network.prepare(torch.from_numpy(canvas)))
        return found

    record = read_model(path).record
    found = Result({}, ())
    if tools.converters:
        labels, inputs = _some(data, config.samples, feed)
        logits = answers(path, inputs)
        found = write_deployments(
            Original(path, record, inputs, labels, logits, None, data.test), tools, config, report
        )
    if config.quantize == "none":
        return found
    return _joined(found, write_variants(ExportSource(path, record, feed, data, config.output or path), config, report))


def _some(
    data: ImageData, count: int, feed: Callable[[NDArray[np.uint8]], NDArray[np.float32]]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Labels and prepared inputs of evenly spread validation images."""
    positions = np.linspace(0, len(data.val) - 1, max(2, min(count, len(data.val)))).astype(np.int64)
    batch = make_batch(data.val, positions, PLAIN)
    return batch.target.numpy(), feed(batch.canvas.numpy())


def _test(file: Path, data: ImageData, report: Reporter) -> Scores:
    """The figures of the file itself, as ONNX Runtime computes it, on the test images."""
    with report.stage("testing the file", len(data.test), "images") as progress:
        return judge_file(open_predictor(str(file), None), data.test, BATCH, progress).scores()


def _reference(network: Network, data: ImageData, count: int) -> tuple[Any, NDArray[np.int64], NDArray[np.float32]]:
    """Prepared inputs, labels and logits of evenly spread validation images (at least two)."""
    positions = np.linspace(0, len(data.val) - 1, max(2, min(count, len(data.val)))).astype(np.int64)
    batch = make_batch(data.val, positions, PLAIN)
    with torch.inference_mode():
        inputs = network.prepare(batch.canvas).contiguous()
        backbone = float_twin(network.backbone)
        logits = torch.cat([backbone(inputs[i : i + 64]) for i in range(0, len(inputs), 64)])
    return inputs.numpy(), batch.target.numpy(), logits.float().numpy()


def describe(source: Run, network: Network, manifest: dict[str, Any]) -> dict[str, Any]:
    """The metadata that travels in the file: how to feed it, what it is, what it came from."""
    spec, form = network.spec, form_of(manifest["data"], manifest["data"]["options"])
    return {
        "format": FORMAT,
        "edgekd": __version__,
        "model": spec.name if "/" not in spec.name else Path(spec.name).name,
        "classes": list(spec.classes),
        "channels": spec.channels,
        "input_size": spec.input_size,
        "canvas": manifest["data"]["canvas"],
        "aspect": form.aspect,
        "grey_bits": form.grey_bits,
        "input_dtype": "float32",
        "layout": "NCHW",
        "normalises": False,
        "runtime": "onnxruntime",
        "mean": list(spec.mean),
        "std": list(spec.std),
        "params": manifest["params"],
        "macs": manifest["macs"],
        "precision": "fp32",
        "train_seconds": manifest["result"]["train_seconds"],
        "parents": {
            "run": source.path.name,
            "weights_sha256": manifest["weights_sha256"],
            "command": manifest["command"],
            "seed": manifest["config"].get("seed"),
            "data": {"name": manifest["data"]["name"], "fingerprint": manifest["data"]["fingerprint"]},
            **{key: value for key, value in manifest["parents"].items() if key in ("teacher", "teachers", "start")},
        },
    }


def _table(facts: dict[str, Any], path: Path) -> Table:
    parity = facts["parity"]
    rows = [
        ("file", str(path)),
        ("size", f"{facts['size_bytes'] / 1e3:,.1f} kB"),
        ("parameters", facts["params"]),
        (
            "input",
            f"float32 [{facts['input'][0] or 'batch'}, {facts['input'][1]}, {facts['input'][2]}, {facts['input'][3]}]",
        ),
        (
            "logits against torch",
            f"off by {parity['max_difference']:.1e} of the largest, at most",
        ),
        ("test accuracy of the file", f"{facts['test']['top1']:.2%} of {facts['test']['count']:,} images"),
        ("first choice agrees", f"{parity['top1_agreement']:.2%} of {parity['images']} images"),
        ("ONNX", f"opset {facts['opset']}, IR version {facts['ir_version']}"),
        ("sample", str(sample_of(path))),
        ("script", str(script_of(path))),
        *_raw_rows(facts.get("raw_images", {})),
    ]
    return Table("edgekd export", ("", ""), rows)


def _raw_rows(written: dict[str, Any]) -> list[tuple[str, str]]:
    rows = []
    for each in written.values():
        rows.append(("raw images in", each["file"]))
        for name, parity in each["parity"].items():
            words = (
                f"logits off by {parity['max_difference']:.1e}, first choice agrees in {parity['top1_agreement']:.1%}"
            )
            rows.append((f"  {name}", words))
    return rows
