"""Plots and tables of a study, from facts with a grid."""

import itertools
from collections.abc import Mapping
from typing import Any

import pytest

from edgekd.reporting.blocks import Grid, Plot
from edgekd.reporting.study_page import cross_table, study_page

pytest.importorskip("matplotlib")


def arm(point: Mapping[str, Any], **means: float) -> dict[str, Any]:
    spread = {name: {"mean": mean, "sd": 0.01, "n": 3} for name, mean in means.items()}
    name = ", ".join(map(str, point.values()))
    return {"name": name, "point": dict(point), "seeds": {"0": means}, "spread": spread, "failures": {}}


def facts_of(arms: list[dict[str, Any]], **more: str) -> dict[str, Any]:
    return {"study": "s", "arms": arms, "baseline": arms[0]["name"], "differences": [], **more}


def plots_of(facts: dict[str, Any]) -> dict[str, Plot]:
    blocks = study_page(facts).sections[0].blocks
    return {each.title: each for each in blocks if isinstance(each, Plot)}


def test_accuracy_is_told_by_teacher_and_student() -> None:
    pairs = itertools.product(("resnet9", "vit_tiny"), ("tiny-cnn", "deit_tiny"))
    arms = [
        arm({"train-teacher.model": teacher, "distill.student": student}, test_top1=0.1 * (number + 1))
        for number, (teacher, student) in enumerate(pairs)
    ]
    table = cross_table(arms)
    assert table is not None
    assert list(table.columns) == ["", "student tiny-cnn", "student deit_tiny"]
    assert table.rows[1] == ["teacher vit_tiny", "30.00% ± 1.00", "40.00% ± 1.00"]
    blocks = study_page(facts_of(arms)).sections[0].blocks
    assert table in [each.table for each in blocks if isinstance(each, Grid)]


def test_accuracy_and_costs_are_drawn_over_a_grid_of_numbers() -> None:
    arms = [
        arm({"distill.input_size": size, "distill.student": name}, test_top1=size / 100, latency_ms=size * cost)
        for size in (16, 32)
        for name, cost in (("small", 0.1), ("large", 0.5))
    ]
    plots = plots_of(facts_of(arms))
    accuracy, latency = plots["test top-1 over input size"], plots["latency, ms over input size"]
    assert list(accuracy.values["lines"]) == ["student small", "student large"]
    assert [each["y"] for each in latency.values["lines"]["student large"]] == [8.0, 16.0]
    assert accuracy.values["xlabel"] == "input size, pixels"
    assert "student small: 16.00% to 32.00%" in accuracy.alt


def test_the_compared_figure_is_the_one_that_is_drawn() -> None:
    arms = [
        arm({}, test_top1=0.9, file_top1=top1, file_bytes=size) | {"name": name}
        for name, top1, size in (("fp32", 0.9, 4000), ("int8", 0.8, 1000))
    ]
    plots = plots_of(facts_of(arms, compared="file_top1"))
    assert plots["file's top-1 by arm"].values["values"] == [0.9, 0.8]
    assert [each["y"] for each in plots["file's top-1 against file, bytes"].values["points"]] == [0.9, 0.8]


def test_costs_that_hardly_differ_are_not_drawn() -> None:
    arms = [arm({"distill.alpha": at}, test_top1=at, chain_seconds=100 + at) for at in (0.1, 0.9)]
    assert [title for title in plots_of(facts_of(arms)) if "training" in title] == []
