"""The whole survey on small models: verdicts, schema, third-party files, throttled boards, baselines."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from onnx import TensorProto

from edgekd import runs
from edgekd.config import Profile
from edgekd.errors import CheckpointError, DataError
from edgekd.profiling.device.conditions import THROTTLED
from edgekd.profiling.survey import survey
from edgekd.report import Silent

SCHEMA = json.loads(
    (Path(__file__).parents[2] / "docs" / "schema" / "profile-report.schema.json").read_text(encoding="utf-8")
)
Maker = Callable[..., Path]
PATIENT = 60_000.0
"""A latency that any machine keeps, however busy."""


def surveyed(*models: Path, **options: Any) -> dict[str, Any]:  # noqa: ANN401
    config = Profile(models=tuple(map(str, models)), warmup=0.02, duration=0.1, **options)
    found = survey(config, Silent())
    jsonschema.validate(json.loads(json.dumps(found)), SCHEMA)
    return found


def test_a_model_within_the_limits_passes(exported: Path) -> None:
    others = {"max_params": 300, "min_top1": 0.7, "max_train_minutes": 2}
    found = surveyed(exported, device="raspberry-pi-zero-2w", max_latency_ms=PATIENT, **others)
    assert found["passed"] is True
    assert [check["passed"] for check in found["models"][0]["checks"]] == [True] * 6
    assert found["is_device"] is False
    assert "is not Raspberry Pi Zero 2 W" in found["statement"]


def test_a_model_beyond_a_limit_fails(exported: Path) -> None:
    found = surveyed(exported, max_params=243)
    assert (found["passed"], found["models"][0]["passed"]) == (False, False)


def test_without_limits_there_is_no_verdict(exported: Path) -> None:
    found = surveyed(exported)
    assert (found["passed"], found["models"][0]["checks"], found["is_device"]) == (None, [], None)


def test_everything_at_once_fits_the_schema(exported: Path) -> None:
    found = surveyed(exported, exported, device="p2-constraints", threads="1,2", operators=True, max_latency_ms=PATIENT)
    model = found["models"][0]
    assert [(each["batch"], each["threads"]) for each in model["measurements"]] == [
        (batch, threads) for batch in (100,) for threads in (1, 2)
    ]
    assert (model["judged"]["batch"], model["judged"]["threads"]) == (100, 2)
    assert found["winner"]["reason"] == "the most accurate of those within the limits"


def test_a_broken_parity_fails(exported: Path) -> None:
    assert surveyed(exported)["models"][0]["parity"]["passed"] is True
    found = surveyed(exported, tolerance=0.0, max_params=300)
    assert found["models"][0]["parity"]["tolerance"] == 0.0
    assert found["passed"] is (found["models"][0]["parity"]["largest_difference"] == 0.0)


@pytest.mark.parametrize(
    "inputs",
    [
        [("image", TensorProto.FLOAT, ["n", 16, 16, 3])],
        [("x", TensorProto.FLOAT, ["n", 3, "height", "width"])],
        [("pixels", TensorProto.UINT8, [1, 3, 16, 16])],
        [("half", TensorProto.FLOAT16, ["n", 3, 8, 8])],
        [("image", TensorProto.FLOAT, ["n", 3, 8, 8]), ("ids", TensorProto.INT64, ["n", 4])],
    ],
)
def test_third_party_models_are_measured_with_made_up_inputs(foreign: Maker, inputs: list[Any]) -> None:
    found = surveyed(foreign(*inputs))
    figures = found["models"][0]["measurements"][0]
    assert figures["input_source"] == "made-up values"
    assert [each["name"] for each in figures["inputs"]] == [name for name, _, _ in inputs]


def test_a_third_party_model_of_fixed_batch_is_refused_in_words(foreign: Maker) -> None:
    with pytest.raises(CheckpointError, match="its batch is fixed at 1, not 100"):
        surveyed(foreign(("x", TensorProto.FLOAT, [1, 4])), device="p2-constraints")


def test_images_need_a_model_that_knows_its_classes(foreign: Maker, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not say its classes"):
        surveyed(foreign(("x", TensorProto.FLOAT, ["n", 4])), images=tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        surveyed(foreign(("x", TensorProto.FLOAT, ["n", 4])), images=tmp_path / "nowhere")


def test_a_throttled_board_is_named_with_its_troubles(exported: Path, machine: Callable[..., None]) -> None:
    machine(
        {
            "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
            "proc/cpuinfo": "Features\t: fp asimd\nCPU part\t: 0xd08\n",
            THROTTLED: "50005",
            "sys/class/thermal/thermal_zone0/temp": "84000",
        }
    )
    found = surveyed(exported, device="raspberry-pi-4")
    assert found["is_device"] is True
    assert "measured on the device itself: Raspberry Pi 4 Model B Rev 1.4" in found["statement"]
    words = "\n".join(found["warnings"])
    assert "under-voltage" in words and "throttled while measuring" in words and "hot: 84 C" in words


def saved(report: dict[str, Any], path: Path) -> Path:
    runs.write_json(path, report)
    return path


def test_the_same_model_on_the_same_machine_is_compared_unpaired(exported: Path, tmp_path: Path) -> None:
    base = saved(surveyed(exported), tmp_path / "base.json")
    found = surveyed(exported, baseline=base, noise=9.0)
    assert [change["what"] for change in found["changes"]] == ["size, MB", "latency p50, ms", "peak memory, MB"]
    assert not any(change["paired"] for change in found["changes"])
    assert found["passed"] is True


def test_another_model_is_measured_beside_the_baseline_s(exported: Path, tmp_path: Path, foreign: Maker) -> None:
    base = saved(surveyed(exported), tmp_path / "base.json")
    other = foreign(("x", TensorProto.FLOAT, ["n", 3, 64, 64]))
    found = surveyed(other, baseline=base)
    size, latency, memory = found["changes"]
    assert latency["paired"] and latency["low"] < latency["ratio"] < latency["high"]
    assert (size["regressed"], memory["what"]) == (size["ratio"] > 1.05, "peak memory, MB")
    assert [model["name"] for model in found["models"]] == ["foreign"]


def test_a_baseline_of_another_machine_is_no_yardstick_of_latency(exported: Path, tmp_path: Path) -> None:
    report = surveyed(exported)
    report["machine"]["cpu"] = "another"
    found = surveyed(exported, baseline=saved(report, tmp_path / "base.json"))
    assert [change["what"] for change in found["changes"]] == ["size, MB"]
    assert any("another machine" in words for words in found["warnings"])


def test_a_much_slower_model_regresses(exported: Path, tmp_path: Path) -> None:
    report = surveyed(exported)
    report["models"][0]["measurements"][0]["median_of_windows_ms"] /= 100
    found = surveyed(exported, baseline=saved(report, tmp_path / "base.json"))
    assert found["passed"] is False
    assert [change["what"] for change in found["changes"] if change["regressed"]] == ["latency p50, ms"]
