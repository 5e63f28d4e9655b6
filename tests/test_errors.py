import pytest

from edgekd import errors
from edgekd.errors import nearest


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.UsageError, 2),
        (errors.DataError, 3),
        (errors.CheckpointError, 3),
        (errors.CacheError, 3),
        (errors.ProfileError, 3),
        (errors.ConfigError, 3),
        (errors.MissingDependency, 4),
        (errors.CheckFailed, 5),
    ],
)
def test_each_kind_has_its_exit_code(kind: type[errors.EdgekdError], code: int) -> None:
    assert kind("problem", "hint").exit_code == code


def test_a_signal_becomes_128_plus_its_number() -> None:
    assert errors.Interrupted("problem", "hint", 15).exit_code == 143


def test_the_nearest_names_come_first() -> None:
    assert nearest("resnet19", ["resnet18", "vit_base", "swin"]) == "nearest: resnet18"


def test_without_a_near_name_all_are_told() -> None:
    assert nearest("zzz", ["b", "a"]) == "known: a, b"
