"""Regressions: ratios, pairs, and what cannot be compared."""

import copy
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgekd.config import Profile
from edgekd.errors import ConfigError
from edgekd.profiling.judge.baseline import (
    compare_latency_paired,
    compare_stored,
    compare_unpaired,
    partner,
    read_baseline,
    rival,
    same_setting,
)
from edgekd.profiling.measure.measuring import Measured, Subject
from edgekd.profiling.model_files import open_subject
from edgekd.profiling.survey import survey
from edgekd.report import Silent
from edgekd.runtimes.onnx_file import read_model


def measured(*rounds: float) -> Measured:
    return Measured({"latency_ms": {"median": rounds[0]}}, rounds)


def entry(size: int = 1000, top1: float | None = None) -> dict[str, Any]:
    return {"name": "m", "size_bytes": size, "accuracy": None if top1 is None else {"top1": top1, "images": 10}}


def figures(latency: float, peak: float | None) -> dict[str, Any]:
    return {"median_of_windows_ms": latency, "memory_mb": {"peak": peak}}


@pytest.mark.parametrize(
    ("ours", "regressed"),
    [
        ((1.10, 1.11, 1.09, 1.10), True),  # 10 % slower, each time
        ((1.04, 1.04, 1.04, 1.04), False),  # within the noise of 5 %
        ((0.8, 1.8, 0.7, 1.5), False),  # slower on average, but not surely
        ((0.5, 0.5, 0.5, 0.5), False),  # faster
    ],
)
def test_a_regression_is_beyond_the_noise_and_sure(ours: tuple[float, ...], regressed: bool) -> None:
    change = compare_latency_paired("m", measured(*ours), measured(1.0, 1.0, 1.0, 1.0), noise=0.05)
    assert change.regressed is regressed
    assert change.paired


def test_size_and_accuracy_regress_too() -> None:
    size, top1 = compare_stored(entry(1100, 0.6), entry(1000, 0.7), noise=0.05)
    assert (size.ratio, size.regressed) == (pytest.approx(1.1), True)
    assert (top1.ratio, top1.regressed) == (pytest.approx(6 / 7), True)


def test_small_changes_are_noise() -> None:
    assert not any(change.regressed for change in compare_stored(entry(1040, 0.69), entry(1000, 0.7), noise=0.05))


def test_accuracy_on_other_images_is_not_compared() -> None:
    now = entry(top1=0.1)
    now["accuracy"]["images"] = 99
    assert [change.what for change in compare_stored(now, entry(top1=0.9), 0.05)] == ["size, MB"]


def test_figures_of_another_time_are_marked_unpaired() -> None:
    latency, memory = compare_unpaired("m", figures(1.2, 50.0), figures(1.0, 50.0), noise=0.05)
    assert (latency.regressed, latency.paired, memory.regressed) == (True, False, False)
    assert len(compare_unpaired("m", figures(1.0, None), figures(1.0, 50.0), noise=0.05)) == 1


def test_partners_go_by_name_or_are_the_only_one() -> None:
    one, two = {"name": "a"}, {"name": "b"}
    assert partner({"models": [one, two]}, "b") is two
    assert partner({"models": [one]}, "c") is one
    assert partner({"models": [one, two]}, "c") is None


def test_the_same_file_is_no_rival(exported: Path) -> None:
    ours = open_subject(exported, "small")
    assert rival({"path": str(exported), "sha256": ours.file.sha256}, exported.parent, ours) is None


def test_a_rival_is_found_beside_the_report(exported: Path, tmp_path: Path) -> None:
    ours = open_subject(exported, "small")
    (tmp_path / "old").mkdir()
    shutil.copy(exported, tmp_path / "old" / "model.onnx")
    with (tmp_path / "old" / "model.onnx").open("ab") as stream:
        stream.write(b"\x12\x01x")  # another producer name: other bytes, the same net
    old = open_subject(tmp_path / "old" / "model.onnx", "old")
    found = rival({"path": "/gone/model.onnx", "sha256": old.file.sha256}, tmp_path / "old", ours)
    assert found is not None
    assert found.file.path == tmp_path / "old" / "model.onnx"
    assert rival({"path": "/gone/model.onnx", "sha256": "0" * 64}, tmp_path / "old", ours) is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "cannot be read"),
        ("", "cannot be read"),
        ("# Profile of small\n", "cannot be read"),
        ("[]", "no JSON object"),
        ("[" * 100_000, "cannot be read"),
        ('{"kind": "other"}', "not a report of edgekd profile"),
        (json.dumps({"kind": "edgekd-profile", "format": 1}), "machine is missing"),
        (json.dumps({"kind": "edgekd-profile", "format": 2, "models": [{}]}), "report format 2"),
    ],
)
def test_what_is_no_baseline_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "base.json").write_text(text)
    with pytest.raises(ConfigError, match=rf"base\.json: .*{problem}"):
        read_baseline(tmp_path / "base.json")


def places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:  # noqa: ANN401
    """Every place inside a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*place, key)
        yield from places(inner, (*place, key))


def test_whatever_is_missing_or_wrong_is_named_or_not_used(exported: Path, tmp_path: Path) -> None:
    path = tmp_path / "base.json"
    report = survey(Profile(models=(str(exported),), warmup=0.02, duration=0.02), Silent())
    report["models"][0]["measurements"][0]["times_ms"]["values"] = []
    ours = read_model(exported)
    for place in places(report):
        for damage in ("gone", "wrong"):
            changed = copy.deepcopy(report)
            at = changed
            for key in place[:-1]:
                at = at[key]
            if damage == "gone":
                del at[place[-1]]
            else:
                at[place[-1]] = {"odd": 1}
            path.write_text(json.dumps(changed))
            try:
                found = read_baseline(path)
                entry = partner(found, "small") or {}
                rival(entry, tmp_path, Subject("small", ours, None))
                compare_stored(report["models"][0], entry, 0.05)
                stored = same_setting(entry, report["models"][0]["measurements"][0])
                compare_unpaired("small", report["models"][0]["measurements"][0], stored or {}, 0.05)
            except ConfigError as error:
                assert "base.json" in error.problem
