from typing import Any


def test_counts_are_integers(cli: Any) -> None:
    rows = {row["name"]: row for row in cli("models", "custom*", "--json").json["models"]}
    assert rows["custom-student"]["parameters"] == 11_444 and isinstance(rows["custom-teacher-8"]["macs"], int)


def test_an_unknown_pattern_gets_the_nearest_names(cli: Any) -> None:
    called = cli("models", "resnet19")
    assert called.code == 2 and "resnet18" in called.err
