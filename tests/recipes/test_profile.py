"""`edgekd profile`: verdict, failure, report file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgekd.config import Profile
from edgekd.errors import CheckFailed, CheckpointError, ProfileError, UsageError
from edgekd.recipes.profile import run
from edgekd.report import Result, Silent


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A linear layer, [n, 4] -> [n, 2]."""
    weight = numpy_helper.from_array(np.ones((4, 2), np.float32), "w")
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", [given], [out], [weight])
    path = tmp_path / "linear.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path


@pytest.fixture
def profile(model: Path) -> Callable[..., Result]:
    def call(reporter: Silent | None = None, **options: Any) -> Result:  # noqa: ANN401
        config = Profile(**{"models": (str(model),), "warmup": 0.02, "duration": 0.1, **options})
        return run(config, reporter or Silent())

    return call


def test_within_the_limits_nothing_fails(profile: Callable[..., Result]) -> None:
    found = profile(device="raspberry-pi-4", max_latency_ms=60_000)
    assert found.failure is None
    assert found.lines[-1].startswith("PASS linear: within the limits of raspberry-pi-4")
    assert [table.title for table in found.tables] == ["Latency of one batch, ms", "Models", "Limits"]


def test_a_missed_limit_is_a_failed_check(profile: Callable[..., Result]) -> None:
    found = profile(max_params=7, max_size_mb=1)
    assert isinstance(found.failure, CheckFailed)
    assert found.failure.exit_code == 5
    assert found.failure.problem == "linear: parameters is 8, limit 7"
    assert found.lines[-1] == "FAIL linear: not within the limits"


def test_an_unknown_value_is_a_failed_check(profile: Callable[..., Result]) -> None:
    found = profile(min_top1=0.5)
    assert found.failure is not None
    assert found.failure.problem == "linear: top-1 accuracy is not known: give --images"


def test_missing_percentiles_are_explained(profile: Callable[..., Result]) -> None:
    report = Silent()
    found = profile(report, batch="50000", duration=0.02)
    missing = [line for line in found.lines if "left out, too few runs" in line]
    assert missing and "p99 needs 662 runs" in missing[0]
    assert "measuring linear" in report.notes[0]


def test_warnings_reach_the_reporter(profile: Callable[..., Result]) -> None:
    report = Silent()
    found = profile(report, threads="9")
    assert any("9 threads on" in words for words in report.warnings)
    assert report.warnings == found.data["warnings"]


def test_the_report_is_written(profile: Callable[..., Result], tmp_path: Path) -> None:
    profile(report=tmp_path / "r.md")
    assert "# Profile of linear" in (tmp_path / "r.md").read_text()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"device": "raspbery-pi-4"}, ProfileError),
        ({"models": ("nowhere.onnx",)}, CheckpointError),
        ({"threads": "many"}, UsageError),
        ({"report": Path("r.pdf")}, UsageError),
    ],
)
def test_wrong_options_are_refused_before_measuring(
    profile: Callable[..., Result], options: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        profile(**options)


def test_answers_that_are_no_numbers_fail_without_any_limit(tmp_path: Path) -> None:
    """The logarithm of made-up inputs, half of which are negative."""
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4])
    graph = helper.make_graph([helper.make_node("Log", ["x"], ["y"])], "g", [given], [out])
    path = tmp_path / "log.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    found = run(Profile(models=(str(path),), warmup=0.02, duration=0.1, max_latency_ms=60_000), Silent())
    assert isinstance(found.failure, CheckFailed) and found.data["passed"] is False
    assert found.failure.problem == "log: answers with values that are no finite numbers (y)"
    assert found.lines[-1] == "FAIL log: answers with values that are no finite numbers"
    assert run(Profile(models=(str(path),), warmup=0.02, duration=0.1), Silent()).failure is not None
