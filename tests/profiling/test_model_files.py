"""Which models a command line means."""

import os
import shutil
from pathlib import Path

import pytest

from edgekd.errors import CheckpointError
from edgekd.profiling.model_files import find_subjects


def names(given: list[str], runs: Path) -> list[str]:
    return [subject.name for subject in find_subjects(given, runs)]


@pytest.fixture
def runs(exported: Path) -> Path:
    (exported.parent / "manifest.json").write_text("{}")
    return exported.parent.parent


def test_a_run_goes_by_its_name(runs: Path) -> None:
    (found,) = find_subjects(["small"], runs)
    assert (found.name, found.file.path) == ("small", runs / "small" / "model.onnx")
    assert found.sample == runs / "small" / "sample.npz"


def test_a_file_goes_by_its_own(runs: Path, tmp_path: Path) -> None:
    shutil.copy(runs / "small" / "model.onnx", tmp_path / "net.onnx")
    assert names([str(tmp_path / "net.onnx"), "small"], runs) == ["net", "small"]


def test_equal_names_become_paths(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    paths = [shutil.copy(runs / "small" / "model.onnx", tmp_path / each / "net.onnx") for each in "ab"]
    assert names([str(path) for path in paths], runs) == [str(path) for path in paths]


def test_the_newest_export_is_the_default(runs: Path) -> None:
    shutil.copytree(runs / "small", runs / "later")
    os.utime(runs / "small" / "model.onnx", (1, 1))
    assert names([], runs) == ["later"]


def test_an_unknown_run_gets_the_nearest_names(runs: Path) -> None:
    with pytest.raises(CheckpointError) as caught:
        find_subjects(["smal"], runs)
    assert "nearest: small" in caught.value.hint


def test_a_run_without_export_says_what_to_do(runs: Path) -> None:
    (runs / "fresh").mkdir()
    with pytest.raises(CheckpointError) as caught:
        find_subjects(["fresh"], runs)
    assert "give a model file" in caught.value.hint
    (runs / "fresh" / "manifest.json").write_text("{}")
    with pytest.raises(CheckpointError) as caught:
        find_subjects(["fresh"], runs)
    assert caught.value.hint == "edgekd export fresh"


def test_no_export_at_all_is_told(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no run there has been exported"):
        find_subjects([], tmp_path / "runs")
