import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnxruntime.quantization import quantize_dynamic

from edgekd.runtimes.onnx_file import read_model

STUDENT = "tiny-cnn-from-custom-student-pictures"


def test_the_sample_is_what_the_file_computes(cli: Any, at_work: Path, tmp_path: Path) -> None:
    called = cli("export", STUDENT, "--output", tmp_path / "out" / "m.onnx", "--json")
    assert called.code == 0 and called.json["parity"]["max_difference"] < 1e-5
    with np.load(tmp_path / "out" / "m.sample.npz") as sample:
        session = onnxruntime.InferenceSession(str(tmp_path / "out" / "m.onnx"))
        (found,) = session.run(None, {"input": sample["inputs"]})
        assert np.allclose(found, sample["logits"], atol=1e-4)
        assert sample["labels"].dtype == np.int64 and len(sample["labels"]) == len(found)
    model = onnx.load(tmp_path / "out" / "m.onnx")
    assert (called.json["opset"], called.json["ir_version"]) == (18, 8)
    assert (model.opset_import[0].version, model.ir_version) == (18, 8)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"m.onnx", "m.sample.npz", "m.predict.py"}


def test_a_tolerance_that_cannot_be_kept_ends_with_five(cli: Any, at_work: Path, tmp_path: Path) -> None:
    called = cli("export", STUDENT, "--output", tmp_path / "m.onnx", "--tolerance", 0)
    assert called.code == 5 and "differ" in called.err
    assert not (tmp_path / "m.onnx").exists() and (tmp_path / "m.onnx.rejected").is_file()


def test_a_folder_is_no_file_to_write(cli: Any, at_work: Path) -> None:
    assert cli("export", STUDENT, "--output", ".").code == 2


FILE = f"runs/{STUDENT}-finetuned/model.onnx"
MEASURED = ("--threads", 1, "--duration", 0.05)


def test_int8_of_a_run(cli: Any, at_work: Path, tmp_path: Path) -> None:
    called = cli("export", STUDENT, "--output", tmp_path / "m.onnx", "--quantize", "all", *MEASURED, "--json")
    assert called.code == 0, called.err
    files = {each["kind"]: each for each in called.json["files"]}
    assert list(files) == ["fp32", "fp16", "int8"]
    assert files["int8"]["fused"]["in_int8"] == files["int8"]["fused"]["layers"] == 12
    assert files["int8"]["size_bytes"] < files["fp16"]["size_bytes"] < files["fp32"]["size_bytes"]
    assert files["int8"]["calibration_images"] == 33 and "33 training images" in called.err
    assert called.json["chosen"] in files
    session = onnxruntime.InferenceSession(str(tmp_path / "m.int8.onnx"))
    record = json.loads(session.get_modelmeta().custom_metadata_map["edgekd"])
    assert record["classes"] == ["disc", "frame", "stripes"] and record["precision"] == "int8"
    assert record["quantization"]["calibration_images"] == 33
    with np.load(tmp_path / "m.int8.sample.npz") as sample:
        (found,) = session.run(None, {"input": sample["inputs"]})
        assert np.allclose(found, sample["logits"], atol=1e-4)


def test_int8_of_a_file_from_elsewhere(cli: Any, at_work: Path, folder: Path, tmp_path: Path) -> None:
    model = onnx.load(at_work / FILE)
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "theirs.onnx")
    nothing = cli("export", tmp_path / "theirs.onnx", "--quantize", "int8")
    assert nothing.code == 2 and "which images?" in nothing.err
    options = ("--data", folder, "--canvas", 16, "--quantize", "int8", "--max-drop", 1, *MEASURED, "--json")
    called = cli("export", tmp_path / "theirs.onnx", *options)
    assert called.code == 0, called.err
    assert [each["kind"] for each in called.json["files"]] == ["fp32", "int8"]
    assert (tmp_path / "theirs.int8.onnx").is_file()


def test_a_device_that_is_not_here_is_not_measured(cli: Any, at_work: Path, tmp_path: Path) -> None:
    # of three validation images the rounding may cost one
    options = ("--quantize", "int8", "--calibration", "minmax", "--device", "raspberry-pi-4", "--json")
    called = cli("export", FILE, "--output", tmp_path / "m.onnx", *options, "--max-drop", 0.5)
    assert called.code == 0, called.err
    assert called.json["chosen"] is None and "not measured there" in called.json["reason"]
    assert "dot-product" in called.err and called.json["files"][1]["kernels"].startswith("s8s8")
    kinds = {each.data_type for each in onnx.load(tmp_path / "m.int8.onnx").graph.initializer}
    assert onnx.TensorProto.UINT8 not in kinds


def test_the_table_of_layers(cli: Any, at_work: Path, tmp_path: Path) -> None:
    options = ("--quantize", "int8", "--calibration", "mse", "--sensitivity", "--device", "raspberry-pi-5", "--json")
    called = cli("export", FILE, "--output", tmp_path / "m.onnx", *options)
    assert called.code == 0, called.err
    rows = called.json["sensitivity"]
    assert len(rows) == 12 and all(row["divergence"] >= -1e-9 for row in rows)
    assert {row["float_ms"] for row in rows} == {None}


def test_what_loses_too_much_is_rejected(cli: Any, at_work: Path, tmp_path: Path) -> None:
    run = tmp_path / "runs" / "flat"
    shutil.copytree(at_work / "runs" / STUDENT, run)
    model = onnx.load(at_work / FILE)
    # one weight a million times the others leaves no steps for them
    head = next(each for each in model.graph.initializer if each.name.startswith("head") and len(each.dims) == 2)
    values = onnx.numpy_helper.to_array(head).copy()
    values[:, 0] += 1e6 * np.sign(values[:, 0]).mean()
    head.CopyFrom(onnx.numpy_helper.from_array(values, head.name))
    onnx.save(model, run / "spoilt.onnx")
    called = cli("export", run / "spoilt.onnx", "--quantize", "int8", "--calibration", "minmax", *MEASURED)
    assert called.code == 5 and "rejected" in called.err
    assert (run / "spoilt.int8.onnx.rejected").is_file() and not (run / "spoilt.int8.onnx").exists()


def test_a_file_needs_a_wish(cli: Any, at_work: Path) -> None:
    assert cli("export", at_work / FILE).code == 2
    assert cli("export", "nowhere.onnx", "--quantize", "int8").code == 3


def test_raw_images_and_a_fixed_batch(cli: Any, at_work: Path, tmp_path: Path) -> None:
    called = cli("export", STUDENT, "--output", tmp_path / "m.onnx", "--embed-preprocess", "--batch", 5, "--json")
    assert called.code == 0, called.err
    session = onnxruntime.InferenceSession(str(tmp_path / "m.raw.onnx"))
    assert session.get_inputs()[0].shape == [5, "height", "width", 3]
    probabilities = session.run(["probabilities"], {"images": np.zeros((5, 40, 30, 3), np.uint8)})[0]
    assert probabilities.shape == (5, 3)
    proven = called.json["raw_images"]["fp32"]["parity"]
    assert proven["canvas"]["max_difference"] < 1e-3 and set(proven) == {"canvas", "150x150", "640x480"}
    assert onnxruntime.InferenceSession(str(tmp_path / "m.onnx")).get_inputs()[0].shape == [5, 3, 32, 32]
    assert called.json["input"][0] == 5 and called.json["parity"]["images"] > 1
    assert cli("export", STUDENT, "--batch", "many").code == 2


def test_an_old_opset_is_refused(cli: Any, at_work: Path) -> None:
    assert cli("export", STUDENT, "--opset", 17).code == 2


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root may mount")
def test_model_and_sample_change_together_or_not_at_all(
    cli: Any, at_work: Path, small_disk: Callable[[int], Path]
) -> None:
    size, more = ((at_work / FILE).with_name(name).stat().st_size for name in ("model.onnx", "sample.npz"))
    pages = -(-size // 4096)
    assert more > 4 * 4096
    place = small_disk(pages + 5)  # room for the model beside three old files, but not for the sample
    before = {"m.onnx": b"old", "m.sample.npz": b"old sample", "m.predict.py": b"old script"}
    for name, content in before.items():
        (place / name).write_bytes(content)
    called = cli("export", STUDENT, "--output", place / "m.onnx")
    assert called.code == 3 and "m.onnx: cannot be written (No space left" in called.err, called.err
    assert {path.name: path.read_bytes() for path in place.iterdir() if path.name != "taken"} == before


@pytest.mark.parametrize("name", ["m.onnx", "m.sample.npz", "m.predict.py"])
def test_a_folder_in_the_place_of_a_file_is_told_before_the_work(
    cli: Any, at_work: Path, tmp_path: Path, name: str
) -> None:
    (tmp_path / name).mkdir()
    called = cli("export", STUDENT, "--output", tmp_path / "m.onnx")
    assert called.code == 2 and list(tmp_path.iterdir()) == [tmp_path / name]


@pytest.mark.filterwarnings("ignore")
def test_a_quantised_copy_does_not_boast_of_the_accuracy_before(cli: Any, at_work: Path, tmp_path: Path) -> None:
    quantize_dynamic(str(at_work / FILE), str(tmp_path / "q.onnx"))
    plain, quantised = (read_model(path) for path in (at_work / FILE, tmp_path / "q.onnx"))
    assert (plain.precision, quantised.precision) == ("fp32", "int8")
    assert 0 <= plain.known["top1"] <= 1 and "top1" not in quantised.known
    assert plain.known["model"] == quantised.known["model"] == "tiny-cnn"
