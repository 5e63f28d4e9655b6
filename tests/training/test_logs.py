"""TensorBoard logs hold what metrics.jsonl holds."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from edgekd.config import TrainTeacher
from edgekd.report import Silent
from edgekd.runs import Run, append_line
from edgekd.training.logs import TensorBoard, logging_epochs
from tests.conftest import Cli


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator").EventAccumulator(str(folder))
    reader.Reload()
    return {tag: [(each.step, each.value) for each in reader.Scalars(tag)] for tag in reader.Tags()["scalars"]}


@pytest.mark.skipif(find_spec("tensorboard") is not None, reason="tensorboard is installed")
def test_without_the_extra_nothing_is_trained(cli: Cli, folder: Path, quick: tuple[object, ...]) -> None:
    called = cli("train-teacher", "--data", folder, *quick, "--log", "tensorboard")
    assert called.code == 4 and "edgekd[tensorboard]" in called.err
    assert not Path("runs").exists()


def test_without_a_log_the_reporter_stays_as_it_is(tmp_path: Path) -> None:
    report = Silent()
    with logging_epochs(report, Run(tmp_path), TrainTeacher()) as found:
        assert found is report


def test_a_training_logs_its_epochs(cli: Cli, folder: Path, quick: tuple[object, ...]) -> None:
    pytest.importorskip("tensorboard")
    fit = ("--model", "custom-student", *quick[:-4], "--epochs", 3, "--batch-size", 9)
    called = cli("train-teacher", "--data", folder, *fit, "--name", "run", "--log", "tensorboard")
    assert called.code == 0, called.err
    rows = [json.loads(line) for line in Path("runs/run/metrics.jsonl").read_text().splitlines()]
    found = scalars(Path("runs/run/tensorboard"))
    assert found["val/top1"] == [(row["step"], pytest.approx(row["val_top1"])) for row in rows]
    assert found["train/loss"] == [(row["step"], pytest.approx(row["loss"])) for row in rows]


def test_a_resumed_run_has_every_epoch_once(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    run, report = Run(tmp_path), Silent()
    rows = [{"epoch": each, "step": 4 * each, "loss": 1.0 / each, "best": True} for each in (1, 2, 3)]
    for each in (rows[:2], rows[2:]):
        board = TensorBoard(report, run)
        for row in each:
            append_line(run.metrics, row)
            board.epoch(row | {"epochs": 3})
        board.close()
    assert scalars(tmp_path / "tensorboard") == {
        "train/loss": [(row["step"], pytest.approx(row["loss"])) for row in rows]
    }
    assert [row["epoch"] for row in report.epochs] == [1, 2, 3]
