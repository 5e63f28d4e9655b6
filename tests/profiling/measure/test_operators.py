"""Operator tables from profiler events, by hand and from a real run."""

from pathlib import Path
from typing import Any

import pytest

from edgekd.profiling.measure.operators import Peak, multiply_adds, nodes_of, roofline, table
from edgekd.profiling.measure.process import Child

PEAK = Peak(macs_per_s=1e9, bytes_per_s=1e9)


def event(name: str, operator: str, us: int, index: int) -> dict[str, Any]:
    facts = {
        "op_name": operator,
        "node_index": str(index),
        "activation_size": "400",
        "parameter_size": "100",
        "output_size": "500",
        "input_type_shape": [{"float": [1, 4]}, {"float": [4, 2]}],
        "output_type_shape": [{"float": [1, 2]}],
    }
    return {"cat": "Node", "name": f"{name}_kernel_time", "dur": us, "args": facts}


def run(*us: int) -> list[dict[str, Any]]:
    first, second, whole = us
    return [
        event("a", "Gemm", first, 1),
        event("b", "Relu", second, 2),
        {"cat": "Session", "name": "model_run", "dur": whole, "args": {}},
    ]


def test_runs_are_averaged_after_the_skipped_ones() -> None:
    nodes, whole, counted = nodes_of([*run(900, 900, 2000), *run(10, 2, 20), *run(30, 4, 40)], skip=1)
    assert [(node.name, node.ms) for node in nodes] == [("a", 0.02), ("b", 0.003)]
    assert (whole, counted) == (0.03, 2)


def test_the_table_adds_up_to_the_whole_run() -> None:
    nodes, whole, _ = nodes_of(run(10, 2, 20), skip=0)
    rows = table(nodes, whole, PEAK)
    assert [row["operator"] for row in rows] == ["Gemm", "Relu", "(between operators)"]
    assert sum(row["ms"] for row in rows) == pytest.approx(whole)
    assert sum(row["share"] for row in rows) == pytest.approx(1.0)
    assert (rows[0]["macs"], rows[0]["moved_bytes"], rows[0]["output_bytes"]) == (8, 1000, 500)


def test_no_events_make_no_nodes() -> None:
    assert nodes_of([], skip=3) == ([], 0.0, 0)


@pytest.mark.parametrize(
    ("operator", "inputs", "output", "expected"),
    [
        ("Conv", [[1, 3, 32, 32], [32, 3, 3, 3], [32]], [1, 32, 32, 32], 32 * 32 * 32 * 27),
        ("Conv", [[1, 32, 16, 16], [32, 1, 3, 3]], [1, 32, 16, 16], 32 * 16 * 16 * 9),
        ("QLinearConv", [[1, 3, 8, 8], [1], [1], [4, 3, 1, 1]], [1, 4, 8, 8], 4 * 64 * 3),
        ("Conv", [[1, 3, 32, 32], [32]], [1, 32, 32, 32], None),
        ("Gemm", [[2, 32], [30, 32], [30]], [2, 30], 2 * 30 * 32),
        ("MatMul", [[4, 16, 8], [8, 5]], [4, 16, 5], 4 * 16 * 5 * 8),
        ("Relu", [[1, 3]], [1, 3], 0),
    ],
)
def test_multiply_adds_by_hand(operator: str, inputs: list[list[int]], output: list[int], expected: int | None) -> None:
    assert multiply_adds(operator, inputs, [output]) == expected


@pytest.mark.parametrize(
    ("ms", "macs", "moved", "expected"),
    [
        (2.0, 1_000_000, 1_000, {"bound": "compute", "reached": 0.5}),
        (2.0, 1_000, 1_000_000, {"bound": "memory", "reached": 0.5}),
        (2.0, 1_000, 1_000, {"bound": "overhead", "reached": None}),
        (2.0, None, 1_000, {"bound": "unknown", "reached": None}),
    ],
)
def test_the_roofline_by_hand(ms: float, macs: int | None, moved: int, expected: dict[str, Any]) -> None:
    assert roofline(ms, macs, moved, PEAK) == expected


def test_a_real_model_s_operators(exported: Path) -> None:
    with Child("edgekd.profiling.measure.inspection_process") as child:
        found = child.ask(kind="operators", path=str(exported), sample=None, batch=10, threads=1)
    assert found["macs"] == 8 * 64 * 27 + 8 * 4
    kinds = {row["operator"] for row in found["as_written"]["by_operator"]}
    assert kinds == {"Conv", "GlobalAveragePool", "Flatten", "MatMul", "(between operators)"}
    assert found["as_run"]["runs"] >= 5
    assert found["peak"]["macs_per_s"] > 1e8
