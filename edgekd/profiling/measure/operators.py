"""Time, multiply-adds and bytes by operator, from the events of ONNX Runtime's own profiler."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Event = dict[str, Any]

SHARE_EXPLAINED = 0.1
"""Below this share of the time, neither arithmetic nor memory traffic explains an operator: it is overhead."""

_SUFFIX = "_kernel_time"


@dataclass(frozen=True)
class Peak:
    """What this machine reached in a short trial: multiply-adds and bytes a second."""

    macs_per_s: float
    bytes_per_s: float


@dataclass(frozen=True)
class Node:
    """One node of the graph as it ran: mean ms a run; bytes read and written; `macs` None when not known."""

    name: str
    operator: str
    ms: float
    macs: int | None
    read_bytes: int
    output_bytes: int


def nodes_of(events: Sequence[Event], skip: int) -> tuple[list[Node], float, int]:
    """The nodes in order of execution, the mean ms of a whole run, and the runs counted after `skip` runs."""
    runs = _runs(events)[skip:]
    if not runs:
        return [], 0.0, 0
    whole = sum(total for _, total in runs) / len(runs) / 1e3
    sums: dict[str, float] = {}
    for run, _ in runs:
        for event in run:
            sums[_key(event)] = sums.get(_key(event), 0.0) + event["dur"]
    first = {_key(event): event for event in runs[0][0]}
    return [_node(event, sums[key] / len(runs) / 1e3) for key, event in first.items()], whole, len(runs)


def _runs(events: Sequence[Event]) -> list[tuple[list[Event], float]]:
    """Node events grouped by the model run that they belong to, with the run's own microseconds."""
    runs: list[tuple[list[Event], float]] = []
    pending: list[Event] = []
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith(_SUFFIX):
            pending.append(event)
        elif event.get("name") == "model_run":
            runs.append((pending, event["dur"]))
            pending = []
    return runs


def _key(event: Event) -> str:
    return f"{event['args'].get('node_index')}:{event['name']}"


def _node(event: Event, ms: float) -> Node:
    facts = event["args"]
    inputs, outputs = (_shapes(facts.get(f"{side}_type_shape", [])) for side in ("input", "output"))
    return Node(
        name=event["name"].removesuffix(_SUFFIX),
        operator=facts["op_name"],
        ms=ms,
        macs=multiply_adds(facts["op_name"], inputs, outputs),
        read_bytes=int(facts.get("activation_size", 0)) + int(facts.get("parameter_size", 0)),
        output_bytes=int(facts.get("output_size", 0)),
    )


def _shapes(given: Sequence[dict[str, list[int]]]) -> list[list[int]]:
    return [shape for each in given for shape in each.values()]


def multiply_adds(operator: str, inputs: list[list[int]], outputs: list[list[int]]) -> int | None:
    """Multiply-adds of one node from its shapes; 0 for what has none, None where the weight's shape is hidden.

    Convolutions: output elements x weights of one output channel; matrix products: output elements x the
    length summed over.
    """
    if "Conv" in operator:
        weight = next((shape for shape in inputs[1:] if len(shape) > 2), None)
        return None if weight is None else math.prod(outputs[0]) * math.prod(weight[1:])
    if "Gemm" in operator or "MatMul" in operator:
        return math.prod(outputs[0]) * inputs[0][-1]
    return 0


def table(nodes: Sequence[Node], whole_ms: float, peak: Peak) -> list[dict[str, Any]]:
    """One row per operator type, the slowest first; the last row is the time between operators."""
    kinds = sorted({node.operator for node in nodes})
    rows = [_row(kind, [node for node in nodes if node.operator == kind], whole_ms, peak) for kind in kinds]
    rows.sort(key=lambda row: -row["ms"])
    between = max(0.0, whole_ms - sum(node.ms for node in nodes))
    return [*rows, _between(between, whole_ms)]


def _row(kind: str, nodes: Sequence[Node], whole_ms: float, peak: Peak) -> dict[str, Any]:
    ms = sum(node.ms for node in nodes)
    known = [node.macs for node in nodes if node.macs is not None]
    macs = sum(known) if len(known) == len(nodes) else None
    moved = sum(node.read_bytes + node.output_bytes for node in nodes)
    return {
        "operator": kind,
        "calls": len(nodes),
        "ms": ms,
        "share": ms / whole_ms if whole_ms else 0.0,
        "macs": macs,
        "moved_bytes": moved,
        "output_bytes": sum(node.output_bytes for node in nodes),
        **roofline(ms, macs, moved, peak),
    }


def _between(ms: float, whole_ms: float) -> dict[str, Any]:
    return {
        "operator": "(between operators)",
        "calls": 0,
        "ms": ms,
        "share": ms / whole_ms if whole_ms else 0.0,
        "macs": 0,
        "moved_bytes": 0,
        "output_bytes": 0,
        "bound": "overhead",
        "reached": None,
    }


def roofline(ms: float, macs: int | None, moved_bytes: int, peak: Peak) -> dict[str, Any]:
    """What limits an operator, compute or memory, and which share of the machine's trial it `reached`.

    It is overhead when neither explains a tenth of its time, unknown when its multiply-adds are.
    """
    compute = (macs or 0) / peak.macs_per_s * 1e3
    memory = moved_bytes / peak.bytes_per_s * 1e3
    if macs is None or ms <= 0:
        return {"bound": "unknown", "reached": None}
    if max(compute, memory) < SHARE_EXPLAINED * ms:
        return {"bound": "overhead", "reached": None}
    return {"bound": "compute" if compute > memory else "memory", "reached": max(compute, memory) / ms}
