import pytest

from edgekd.config import CacheLogits, share_of
from edgekd.cores import available_cores
from edgekd.errors import UsageError
from edgekd.ranks import Place, own_cores, place

NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")


@pytest.fixture
def third_of_four(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in zip(NAMES, ("2", "4", "0", "2"), strict=True):
        monkeypatch.setenv(name, value)


def test_without_torchrun_a_process_is_alone() -> None:
    assert place() == Place() and place().is_first


def test_a_lone_world_size_of_some_scheduler_means_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "8")
    assert place().world == 1


def test_torchrun_says_who_is_who(third_of_four: None) -> None:
    assert place() == Place(2, 4, 0, 2) and not place().is_first


def test_processes_share_the_cores_of_their_machine(third_of_four: None) -> None:
    assert own_cores() == max(1, available_cores() // 2)


def test_torchrun_shares_out_a_cache(third_of_four: None) -> None:
    assert share_of(None) == (2, 4)
    with pytest.raises(UsageError, match="--shard 1/2"):
        CacheLogits(shard="1/2")
