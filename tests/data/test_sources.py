from pathlib import Path

import pytest

from edgekd.config import Data
from edgekd.data.sources import open_data
from edgekd.errors import DataError
from edgekd.report import Silent


def test_nothing_named_means_shapes() -> None:
    data = open_data(Data(limit=20, canvas=8), Silent())
    assert (data.name, len(data.everything)) == ("shapes", 20)


def test_a_known_name_wins_over_a_folder(cifar10: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "cifar10").mkdir()
    monkeypatch.chdir(tmp_path)
    assert open_data(Data(data="cifar10", data_dir=cifar10), Silent()).name == "cifar10"
    with pytest.raises(DataError, match="no images in class folders"):
        open_data(Data(data="./cifar10"), Silent())


def test_options_reopen_a_named_set(cifar10: Path) -> None:
    data = open_data(Data(data="cifar10", data_dir=cifar10, limit=25), Silent())
    again = open_data(Data(**data.options), Silent())
    assert (again.fingerprint, again.options) == (data.fingerprint, data.options)


def test_a_misspelt_name_gets_the_nearest() -> None:
    with pytest.raises(DataError) as caught:
        open_data(Data(data="cifar-10"), Silent())
    assert "cifar10" in caught.value.hint
