"""The child for operators, parity and accuracy: `python -m edgekd.profiling.measure.inspection_process`."""

import json
import time
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnxruntime

from edgekd.errors import UsageError
from edgekd.profiling.measure.accuracy import check_parity, list_images, measure_accuracy
from edgekd.profiling.measure.operators import Peak, nodes_of, table
from edgekd.profiling.measure.protocol import answer
from edgekd.runtimes.onnx_runtime import OnnxSession
from edgekd.runtimes.sample_inputs import make_feeds
from edgekd.runtimes.session import open_session
from edgekd.runtimes.suffixes import entry_of, open_model

SKIPPED_RUNS = 3
FEWEST_RUNS = 5
SECONDS = 1.0


def inspect_operators(path: str, sample: str | None, batch: int, threads: int) -> dict[str, Any]:
    """Operator tables of one model: as ONNX Runtime runs it, and as written (its fusions off).

    Raises UsageError for a file of another runtime.
    """
    if entry_of(Path(path)).name != "onnxruntime":
        raise UsageError(f"--operators: {path} is no ONNX file", "leave it out, or profile the .onnx file")
    peak = trial()
    where = Path(sample) if sample else None
    settings = onnxruntime.SessionOptions()
    fused = _traced(Path(path), where, batch, (threads, settings))
    plain = onnxruntime.SessionOptions()
    plain.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    # prepacked weights lose their shapes, and with them the multiply-adds
    plain.add_session_config_entry("session.disable_prepacking", "1")
    written = _traced(Path(path), where, batch, (threads, plain))
    counts = [node.macs for node in written[0]]
    whole = None if None in counts else sum(count or 0 for count in counts)
    return {
        "batch": batch,
        "threads": threads,
        "peak": asdict(peak),
        "macs": None if whole is None else whole // batch,
        "as_run": _described(fused, peak),
        "as_written": _described(written, peak),
    }


def _traced(path: Path, sample: Path | None, batch: int, how: tuple[int, Any]) -> tuple[list[Any], float, int]:
    threads, settings = how
    with TemporaryDirectory(prefix="edgekd-operators-") as folder:
        settings.enable_profiling = True
        settings.profile_file_prefix = str(Path(folder) / "trace")
        session = open_session(path, threads, settings)
        feeds, _ = make_feeds(OnnxSession(session), batch, sample, str(path))
        begin, runs = time.monotonic(), 0
        while runs < SKIPPED_RUNS + FEWEST_RUNS or (time.monotonic() - begin < SECONDS and runs < 500):
            session.run(None, feeds[runs % len(feeds)])
            runs += 1
        trace = Path(session.end_profiling())
        return nodes_of(json.loads(trace.read_text(encoding="utf-8")), SKIPPED_RUNS)


def _described(traced: tuple[list[Any], float, int], peak: Peak) -> dict[str, Any]:
    nodes, whole, runs = traced
    return {
        "runs": runs,
        "ms": whole,
        "by_operator": table(nodes, whole, peak),
        "by_node": [asdict(node) for node in nodes],
    }


def trial() -> Peak:
    """What this machine reaches in a square matrix product and in copying 32 MB, the best of five each."""
    side = 512
    left = np.ones((side, side), np.float32)
    block = np.ones(4_000_000, np.float64)
    target = np.empty_like(block)
    product = min(_seconds(lambda: left @ left) for _ in range(5))
    copy = min(_seconds(lambda: np.copyto(target, block)) for _ in range(5))
    return Peak(side**3 / product, 2 * block.nbytes / copy)


def _seconds(work: Any) -> float:  # noqa: ANN401
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def inspect(kind: str, path: str, threads: int, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    """One command of the parent; `images` only lists the files that accuracy would be measured on."""
    if kind == "operators":
        return inspect_operators(path, more["sample"], more["batch"], threads)
    if kind == "images":
        return {"files": [str(place) for place, _ in list_images(Path(more["images"]), more["classes"])]}
    session = open_model(Path(path), threads)
    if kind == "parity":
        return check_parity(session, Path(more["sample"]))
    return measure_accuracy(session, more["record"], Path(more["images"]))


if __name__ == "__main__":
    answer(inspect)
