"""One table for files of several runtimes, and energy that is measured or said to be unknown."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgekd.cli.app import main
from edgekd.runtimes.attachment import attach
from tests.profiling.conftest import RECORD
from tests.runtimes.tflite_models import build

QUICK = ["--duration", "0.05", "--warmup", "0.01", "--threads", "1"]
Capture = pytest.CaptureFixture[str]


def test_files_of_two_runtimes_stand_side_by_side(exported: Path, tmp_path: Path, capsys: Capture) -> None:
    lite = build(tmp_path / "small.tflite")
    attach(lite, RECORD | {"layout": "NHWC"})
    assert main(["profile", str(exported), str(lite), *QUICK]) == 0
    printed = capsys.readouterr().out
    assert "Side by side" in printed and "litert" in printed and "winner" in printed
    assert main(["profile", str(exported), str(lite), *QUICK, "--json"]) == 0
    first, second = json.loads(capsys.readouterr().out)["models"]
    assert first["against_first"] is None and second["runtime"] == "litert"
    ratio = second["against_first"]
    assert 0 < ratio["low"] <= ratio["ratio"] <= ratio["high"]


def test_a_tflite_file_that_differs_from_its_sample_fails(tmp_path: Path, capsys: Capture) -> None:
    lite = build(tmp_path / "small.tflite")
    attach(lite, RECORD | {"layout": "NHWC"})
    images = np.random.default_rng(0).standard_normal((4, 8, 8, 3)).astype(np.float32)
    np.savez(tmp_path / "small.tflite.sample.npz", inputs=images, logits=np.ones((4, 4), np.float32), labels=[0] * 4)
    assert main(["profile", str(lite), *QUICK]) == 5
    assert "a logit differs" in capsys.readouterr().err


def test_a_weight_that_is_no_number_fails(tmp_path: Path, capsys: Capture) -> None:
    assert main(["profile", str(build(tmp_path / "small.tflite", spoiled=True)), *QUICK]) == 5
    assert "no finite numbers" in capsys.readouterr().err


def test_bytes_are_fed_to_a_file_that_takes_bytes(tmp_path: Path, capsys: Capture) -> None:
    lite = build(tmp_path / "small.tflite", takes_bytes=True)
    assert main(["profile", str(lite), *QUICK, "--json"]) == 0
    (model,) = json.loads(capsys.readouterr().out)["models"]
    assert model["measurements"][0]["inputs"][0]["dtype"] == "uint8"


def test_energy_without_a_sensor_is_said_and_a_limit_is_missed(
    exported: Path, machine: Callable[[dict[str, str]], None], capsys: Capture
) -> None:
    machine({"proc/cpuinfo": ""})
    assert main(["profile", str(exported), *QUICK, "--energy"]) == 0
    assert "energy is not known: no sensor" in " ".join(capsys.readouterr().out.split())
    assert main(["profile", str(exported), *QUICK, "--max-energy-mj", "5"]) == 5
    assert "energy of one image above idle is not known" in capsys.readouterr().err


def test_energy_is_measured_with_a_board_s_sensor(
    exported: Path, machine: Callable[[dict[str, str]], None], capsys: Capture
) -> None:
    folder = "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon3"
    files = {f"{folder}/in1_label": "VDD_IN", f"{folder}/in1_input": "5000", f"{folder}/curr1_input": "1000"}
    machine(files)
    # 5 W idle and busy alike: nothing above idle
    assert main(["profile", str(exported), *QUICK, "--max-energy-mj", "5", "--json"]) == 0
    (model,) = json.loads(capsys.readouterr().out)["models"]
    found = model["energy"]
    assert found["idle_w"] == pytest.approx(5) and found["busy_w"] == pytest.approx(5)
    assert found["mj_per_image"] == pytest.approx(0, abs=1e-6) and found["images"] > 0
