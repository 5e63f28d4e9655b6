"""`edgekd export --format`: files for other runtimes are proven, and what cannot be made is said in two lines."""

import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

STUDENT = "tiny-cnn-from-custom-student-pictures"
FAST = ("--threads", 1, "--duration", 0.05, "--json")
CONVERTER = os.environ.get("EDGEKD_TEST_CONVERTER")


def test_mnn_of_a_run_is_proven_measured_and_used(cli: Any, at_work: Path, folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("MNN", reason="needs edgekd[mnn]")
    called = cli("export", STUDENT, "--output", tmp_path / "m.onnx", "--format", "mnn", *FAST)
    assert called.code == 0, called.err
    first, second = called.json["deployments"]
    assert (first["kind"], second["kind"], called.json["failed"]) == ("onnx", "mnn", [])
    assert second["parity"]["max_difference"] < 1e-4 and second["test_top1"] == first["test_top1"]
    assert called.json["recommended"] in ("onnx", "mnn")
    profiled = cli("profile", tmp_path / "m.onnx", tmp_path / "m.mnn", "--duration", 0.05, "--warmup", 0.01, "--json")
    assert profiled.code == 0, profiled.err
    models = {each["name"]: each for each in profiled.json["models"]}
    assert models["m.mnn"]["runtime"] == "mnn" and models["m.mnn"]["parity"]["passed"]
    assert {"onnxruntime", "mnn"} <= profiled.json["machine"]["versions"].keys()
    found = [
        cli("evaluate", tmp_path / f"m.{suffix}", "--data", folder, "--json").json["top1"] for suffix in ("onnx", "mnn")
    ]
    assert found[0] == found[1] == first["test_top1"]
    pictures = [cli("predict", tmp_path / f"m.{suffix}", folder / "test", "--json").json for suffix in ("onnx", "mnn")]
    assert [each["top"][0]["class"] for each in pictures[0]["images"]] == [
        each["top"][0]["class"] for each in pictures[1]["images"]
    ]


def test_mnn_of_an_onnx_file_from_elsewhere(cli: Any, at_work: Path, folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("MNN", reason="needs edgekd[mnn]")
    model = onnx.load(next((at_work / "runs").glob("*/model.onnx")))
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "theirs.onnx")
    called = cli("export", tmp_path / "theirs.onnx", "--format", "mnn", "--data", folder, "--canvas", 16, *FAST)
    assert called.code == 0, called.err
    assert called.json["deployments"][1]["parity"]["max_difference"] < 1e-4 and (tmp_path / "theirs.mnn").is_file()


def test_an_operation_that_mnn_lacks_ends_with_three(cli: Any, at_work: Path, folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("MNN", reason="needs edgekd[mnn]")
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["y"]),
        helper.make_node("StringConcat", ["s", "s"], ["t"]),
        helper.make_node("StringNormalizer", ["t"], ["u"]),
        helper.make_node("Shape", ["u"], ["n"]),
        helper.make_node("Cast", ["n"], ["c"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["y", "c"], ["logits"]),
    ]
    weights = [
        numpy_helper.from_array(np.random.default_rng(0).standard_normal((768, 3)).astype(np.float32), "w"),
        helper.make_tensor("s", TensorProto.STRING, [1], [b"a"]),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 16, 16])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 3])],
        weights,
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9), tmp_path / "odd.onnx"
    )
    called = cli("export", tmp_path / "odd.onnx", "--format", "mnn", "--data", folder, "--canvas", 16)
    assert called.code == 3 and "MNN's converter cannot translate it" in called.err
    assert not (tmp_path / "odd.mnn").exists()


def test_without_a_converter_the_cost_is_told(
    cli: Any, at_work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("ai_edge_litert", reason="needs edgekd[litert]")
    monkeypatch.setenv("EDGEKD_CACHE", str(tmp_path / "cache"))
    called = cli("export", STUDENT, "--output", tmp_path / "m.onnx", "--format", "tflite")
    assert called.code == 4 and "7.5 GB" in called.err and "--make-converter" in called.err
    assert not (tmp_path / "m.onnx").exists()


def test_a_converter_python_that_is_no_program(cli: Any, at_work: Path, tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert", reason="needs edgekd[litert]")
    called = cli("export", STUDENT, "--format", "tflite", "--converter-python", tmp_path / "python")
    assert called.code == 2 and "no program" in called.err


def test_a_python_without_the_converter(cli: Any, at_work: Path, tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert", reason="needs edgekd[litert]")
    bare = tmp_path / "python"
    bare.write_text("#!/bin/sh\ncat >/dev/null\necho \"ModuleNotFoundError: No module named 'torch'\"\nexit 1\n")
    bare.chmod(bare.stat().st_mode | stat.S_IXUSR)
    options = ("--output", tmp_path / "m.onnx", "--format", "tflite", "--converter-python", bare, *FAST)
    called = cli("export", STUDENT, *options)
    assert called.code == 4 and "pip install litert-torch" in called.err
    assert not (tmp_path / "m.tflite").exists() and (tmp_path / "m.onnx").is_file()


@pytest.mark.slow
@pytest.mark.skipif(CONVERTER is None, reason="EDGEKD_TEST_CONVERTER names no python with litert-torch")
def test_tflite_of_a_run_is_proven(cli: Any, at_work: Path, tmp_path: Path) -> None:
    options = ("--output", tmp_path / "m.onnx", "--format", "all", "--converter-python", CONVERTER, *FAST)
    called = cli("export", STUDENT, *options)
    assert called.code == 0, called.err
    found = {each["kind"]: each for each in called.json["deployments"]}
    assert found["tflite"]["parity"]["max_difference"] < 1e-4
    assert found["tflite"]["test_top1"] == found["onnx"]["test_top1"]
