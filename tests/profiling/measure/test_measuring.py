"""Measuring real children, briefly."""

from pathlib import Path

import pytest

from edgekd.errors import CheckpointError
from edgekd.profiling.measure.measuring import PAIRS, Setting, Subject, drift_warning, in_words, measure
from edgekd.runtimes.onnx_file import read_model

BRIEF = Setting(batch=2, threads=1, warmup=0.02, duration=0.1, percentile=95.0)


def subject(path: Path, name: str = "small") -> Subject:
    return Subject(name, read_model(path), path.with_name("sample.npz"))


def test_the_figures_of_one_model(exported: Path) -> None:
    (found,) = measure([subject(exported)], BRIEF)
    figures = found.figures
    assert (figures["batch"], figures["threads"], figures["input_source"]) == (2, 1, "6 real images")
    assert figures["warmup_runs"] >= 10
    assert figures["runs"] >= 200
    assert figures["load_ms"] > 0 and figures["first_ms"] > 0
    assert len(figures["windows_ms"]) == 5
    assert figures["throughput_per_s"] == pytest.approx(2000 / figures["latency_ms"]["mean"])


def test_memory_is_the_child_s_and_grows_by_the_model(exported: Path) -> None:
    memory = measure([subject(exported)], BRIEF)[0].figures["memory_mb"]
    assert memory["peak"] >= memory["before"] > 20
    assert memory["added"] == pytest.approx(memory["peak"] - memory["before"])


def test_two_models_are_measured_in_paired_rounds(exported: Path) -> None:
    found = measure([subject(exported), subject(exported, "again")], BRIEF)
    assert [len(each.rounds) for each in found] == [PAIRS, PAIRS]


def test_raw_times_are_kept(exported: Path) -> None:
    figures = measure([subject(exported)], BRIEF)[0].figures
    times = figures["times_ms"]
    assert len(times["values"]) == -(-figures["runs"] // times["every"])
    assert min(times["values"]) >= round(figures["latency_ms"]["min"], 6)


def test_a_model_that_cannot_run_is_named(tmp_path: Path, exported: Path) -> None:
    wrong = Setting(batch=2, threads=1, warmup=0.0, duration=0.1, percentile=95.0)
    path = tmp_path / "broken.onnx"
    path.write_bytes(exported.read_bytes().replace(b"GlobalAveragePool", b"GlobalAveragePoo1"))
    with pytest.raises(CheckpointError, match=r"broken\.onnx"):
        measure([Subject("broken", read_model(path), None)], wrong)


def test_a_drift_over_five_percent_is_told() -> None:
    figures = {"batch": 1, "threads": 4, "drift": 1.08}
    assert "8% slower" in str(drift_warning(figures))
    assert drift_warning(figures | {"drift": 1.04}) is None


def test_settings_read_well() -> None:
    assert (in_words(1, 1), in_words(8, 2)) == ("batch 1, 1 thread", "batch 8, 2 threads")
