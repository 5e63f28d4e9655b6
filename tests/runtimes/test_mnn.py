"""An .mnn file is described, opened and run; what is damaged is said, and stdout stays clean."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgekd.errors import CheckpointError
from edgekd.exporting.mnn import to_mnn
from edgekd.runtimes.attachment import attach
from edgekd.runtimes.runtime import run
from edgekd.runtimes.suffixes import describe, open_model
from tests.profiling.conftest import RECORD

pytest.importorskip("MNN", reason="needs edgekd[mnn]")


@pytest.fixture(scope="module")
def made(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mnn") / "small.mnn"
    to_mnn(built, path)
    return path


@pytest.fixture
def file(made: Path, tmp_path: Path) -> Path:
    path = tmp_path / "small.mnn"
    path.write_bytes(made.read_bytes())
    return path


def test_logits_are_those_of_onnx_runtime_for_any_number_of_images(file: Path, built: Path) -> None:
    session, onnx = open_model(file, 1), open_model(built, 1)
    images = np.random.default_rng(0).standard_normal((100, 3, 8, 8)).astype(np.float32)
    for size in (1, 7, 100, 2):
        found = run(session, images[:size], file)
        np.testing.assert_allclose(found, run(onnx, images[:size], built), rtol=1e-4, atol=1e-4)


def test_a_record_travels_in_the_file(file: Path) -> None:
    attach(file, RECORD | {"precision": "fp32"})
    found = describe(file)
    assert (found.record or {})["classes"] == RECORD["classes"] and found.precision == "fp32"
    assert open_model(file, 1).inputs[0].shape == (None, 3, 8, 8)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.9, 0.995])
def test_a_truncated_file_is_refused(file: Path, share: float) -> None:
    attach(file, RECORD)
    whole = file.read_bytes()
    file.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(CheckpointError, match="cut short|cannot load it"):
        describe(file)
        open_model(file, 1)


def test_what_mnn_prints_does_not_reach_stdout(file: Path) -> None:
    code = (
        "import numpy, sys; from pathlib import Path; from edgekd.runtimes.suffixes import open_model; "
        f"from edgekd.runtimes.runtime import run; path = Path({str(file)!r}); "
        "print(run(open_model(path, 1), numpy.ones((2, 3, 8, 8), numpy.float32), path).shape)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "(2, 4)\n"
