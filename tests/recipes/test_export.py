from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

STUDENT = "tiny-cnn-from-custom-student-pictures"


def test_the_sample_is_what_the_file_computes(cli: Any, at_work: Path, tmp_path: Path) -> None:
    called = cli("export", STUDENT, "--output", tmp_path / "out" / "m.onnx", "--json")
    assert called.code == 0 and called.json["parity"]["max_difference"] < 1e-5
    with np.load(tmp_path / "out" / "m.sample.npz") as sample:
        session = onnxruntime.InferenceSession(str(tmp_path / "out" / "m.onnx"))
        (found,) = session.run(None, {"input": sample["inputs"]})
        assert np.allclose(found, sample["logits"], atol=1e-4)
        assert sample["labels"].dtype == np.int64 and len(sample["labels"]) == len(found)


def test_a_tolerance_that_cannot_be_kept_ends_with_five(cli: Any, at_work: Path, tmp_path: Path) -> None:
    called = cli("export", STUDENT, "--output", tmp_path / "m.onnx", "--tolerance", 0)
    assert called.code == 5 and "differ" in called.err
    assert not (tmp_path / "m.onnx").exists()


def test_a_folder_is_no_file_to_write(cli: Any, at_work: Path) -> None:
    assert cli("export", STUDENT, "--output", ".").code == 2
