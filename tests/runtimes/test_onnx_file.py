"""Facts read from ONNX files without the onnx package."""

import hashlib
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgekd.errors import CheckpointError
from edgekd.runtimes.onnx_file import read_model


def test_an_export_tells_its_record(exported: Path) -> None:
    found = read_model(exported)
    assert found.record is not None
    assert found.record["classes"] == ["cat", "dog", "eel", "fox"]
    assert (found.params, found.macs, found.precision) == (244, 13844, "fp32")
    assert found.operators == {"Conv": 1, "GlobalAveragePool": 1, "Flatten": 1, "MatMul": 1}


def test_size_and_hash_are_the_file_s(exported: Path) -> None:
    found, content = read_model(exported), exported.read_bytes()
    assert (found.size_bytes, found.sha256) == (len(content), hashlib.sha256(content).hexdigest())


def test_weights_are_counted_where_nothing_is_recorded(exported: Path) -> None:
    model = onnx.load(str(exported))
    del model.metadata_props[:]
    onnx.save(model, str(exported))
    found = read_model(exported)
    assert found.record is None
    assert (found.params, found.macs) == (8 * 3 * 9 + 8 * 4, None)


def test_external_weights_count(exported: Path) -> None:
    plain = read_model(exported)
    place = exported.with_name("big.onnx")
    onnx.save(onnx.load(str(exported)), str(place), save_as_external_data=True, location="big.bin", size_threshold=0)
    found = read_model(place)
    assert found.files == (place, place.with_name("big.bin"))
    assert found.size_bytes == sum(path.stat().st_size for path in found.files)
    assert found.weights == plain.weights


def test_missing_external_weights_are_named(exported: Path) -> None:
    place = exported.with_name("big.onnx")
    onnx.save(onnx.load(str(exported)), str(place), save_as_external_data=True, location="big.bin", size_threshold=0)
    place.with_name("big.bin").unlink()
    with pytest.raises(CheckpointError, match=r"big\.bin is missing"):
        read_model(place)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.9, 0.999])
def test_a_cut_file_is_refused(exported: Path, share: float) -> None:
    content = exported.read_bytes()
    exported.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(CheckpointError, match="not an ONNX model, or cut short"):
        read_model(exported)


@pytest.mark.parametrize("content", [b"", b"hello\n", b"# a text file\nwith lines\n", bytes(200), b"\xff" * 99])
def test_what_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="not an ONNX model"):
        read_model(path)


def test_no_damage_ends_in_another_error(exported: Path) -> None:
    content, random = bytearray(exported.read_bytes()), np.random.default_rng(0)
    for _ in range(200):
        damaged = bytearray(content)
        damaged[random.integers(len(content))] = random.integers(256)
        exported.write_bytes(damaged)
        try:
            read_model(exported)
        except CheckpointError:
            continue


@pytest.mark.parametrize(
    ("kind", "precision"), [(TensorProto.FLOAT16, "fp16"), (TensorProto.DOUBLE, "fp64"), (TensorProto.FLOAT, "fp32")]
)
def test_precision_is_that_of_the_weights(tmp_path: Path, kind: int, precision: str) -> None:
    weight = helper.make_tensor("w", kind, [2, 2], [1, 2, 3, 4])
    value = helper.make_tensor_value_info("x", kind, [2, 2])
    out = helper.make_tensor_value_info("y", kind, [2, 2])
    graph = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "g", [value], [out], [weight])
    onnx.save(helper.make_model(graph), str(tmp_path / "m.onnx"))
    assert read_model(tmp_path / "m.onnx").precision == precision


def test_quantised_operators_make_it_int8(tmp_path: Path) -> None:
    node = helper.make_node("DequantizeLinear", ["x", "s"], ["y"])
    value = helper.make_tensor_value_info("x", TensorProto.INT8, [1])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    scale = helper.make_tensor("s", TensorProto.FLOAT, [], [0.5])
    onnx.save(helper.make_model(helper.make_graph([node], "g", [value], [out], [scale])), str(tmp_path / "q.onnx"))
    assert read_model(tmp_path / "q.onnx").precision == "int8"


def test_a_damaged_record_is_refused(exported: Path) -> None:
    model = onnx.load(str(exported))
    model.metadata_props[0].value = '{"params": "many"}'
    onnx.save(model, str(exported))
    with pytest.raises(CheckpointError, match=r"model\.onnx: in its metadata `edgekd`, params is 'many'"):
        read_model(exported)
