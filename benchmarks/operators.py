"""Lin & Shen's tables by operation, measured again: one batch of 100 images through their student and teachers."""

import argparse
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from latency import exported
from record import publish

from edgekd.config import Profile
from edgekd.profiling.measure.inspection import inspect_subject
from edgekd.profiling.measure.measuring import Setting, Subject, measure
from edgekd.runtimes.onnx_file import read_model

MODELS = ("custom-student", "custom-teacher-4", "custom-teacher-6", "custom-teacher-8")
SIDE, BATCH = 32, 100
NAMES = {
    "Conv": "convolution",
    "Dropout": "dropout",
    "LeakyRelu": "leaky relu",
    "BatchNormalization": "batch norm",
    "ReduceMean": "mean over the map",
    "GlobalAveragePool": "mean over the map",
    "Gemm": "linear",
    "FusedGemm": "linear",
    "MatMul": "linear",
}
PAPER_SHARES = {"convolution": "45 %", "dropout": "36 %, 50 of 100 MB"}
PAPER_SECONDS = {MODELS[0]: 13.88, MODELS[1]: 37.13, MODELS[2]: 60.22, MODELS[3]: 80.93}
"""Inference of an epoch, s: their table of results."""

ABOUT = """Shares of the time of one batch of 100, and MB that the operators write; the weights are fresh. As written is
the graph as exported, as run what ONNX Runtime makes of it. Their tables also list tensor creation and data loading,
which are outside `session.run`, and dropout: it is drawn in training only, is the identity at inference, and the export
leaves it out. As run, a batch norm after its activation becomes a depthwise convolution, and the
activation is part of one."""

Shares = dict[str, tuple[float, float]]


def by_operation(rows: list[dict[str, Any]]) -> Shares:
    """Share of the time and MB written, by the paper's names."""
    found: Shares = {}
    for row in rows:
        name = NAMES.get(row["operator"], row["operator"])
        share, written = found.get(name, (0.0, 0.0))
        found[name] = share + row["share"], written + row["output_bytes"] / 1e6
    return found


def traced(subject: Subject, setting: Setting, rounds: int) -> dict[str, Shares]:
    """As written and as run: the medians of several traces."""
    taken = [inspect_subject(subject, setting, Profile(operators=True))["operators"] for _ in range(rounds)]
    found = {}
    for how in ("as_written", "as_run"):
        each = [by_operation(one[how]["by_operator"]) for one in taken]
        found[how] = {name: (median(one[name][0] for one in each), each[0][name][1]) for name in each[0]}
    return found


def table(traces: dict[str, dict[str, Shares]]) -> list[dict[str, str]]:
    """A row for every operation, those of the paper first."""
    rows = []
    for how, words in (("as_written", "as written"), ("as_run", "as run")):
        names = [*dict.fromkeys(NAMES.values()), *(name for each in traces.values() for name in each[how])]
        for name in dict.fromkeys(names):
            cells = {model: each[how].get(name) for model, each in traces.items()}
            row = {"graph": words, "operation": name, "paper, student": PAPER_SHARES.get(name, "-")}
            rows.append(row | {model: _cell(found) for model, found in cells.items()})
    return rows


def _cell(found: tuple[float, float] | None) -> str:
    return "none" if found is None else f"{found[0] * 100:.1f} %, {found[1]:.1f} MB"


def whole(latencies: dict[str, float]) -> list[dict[str, str]]:
    """Rows on the whole model."""
    student = MODELS[0]
    lines = {
        "p50, ms": {name: f"{value:.1f}" for name, value in latencies.items()},
        "times the student": {name: f"{value / latencies[student]:.2f}" for name, value in latencies.items()},
        "paper: times the student": {
            name: f"{value / PAPER_SECONDS[student]:.2f} ({value} s an epoch)" for name, value in PAPER_SECONDS.items()
        },
    }
    return [{"graph": "whole", "operation": name, "paper, student": "-"} | cells for name, cells in lines.items()]


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    setting = Setting(BATCH, asked.threads, warmup=1.0, duration=asked.seconds, percentile=50.0)
    with tempfile.TemporaryDirectory() as folder:
        subjects = [Subject(name, read_model(exported(name, SIDE, Path(folder))), None) for name in MODELS]
        found = measure(subjects, setting)
        latencies = {name: each.figures["latency_ms"]["median"] for name, each in zip(MODELS, found, strict=True)}
        traces = {each.name: traced(each, setting, asked.rounds) for each in subjects}
    title = "Lin & Shen's student and teachers by operation"
    publish("operators", title, ABOUT, [*whole(latencies), *table(traces)], asked.threads)


if __name__ == "__main__":
    main()
