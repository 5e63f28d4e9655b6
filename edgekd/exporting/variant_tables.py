"""Files of one network in fewer bits, as tables and sentences."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgekd.errors import CheckFailed
from edgekd.exporting.parity import Parity
from edgekd.exporting.race import Timed
from edgekd.quantization.sensitivity import Sensitivity
from edgekd.report import Cell, Table


@dataclass(frozen=True)
class Variant:
    """One file that was written: how it compares with float32 on validation images, and what can be said of it."""

    kind: str
    path: Path
    parity: Parity
    failure: CheckFailed | None = None
    facts: dict[str, Any] = field(default_factory=dict)


def files_table(files: list[dict[str, Any]], timed: dict[str, Timed]) -> Table:
    """Size, accuracy and latency of the files, side by side."""
    rows: list[list[Cell]] = []
    for each in files:
        found = timed.get(each["kind"])
        parity = each.get("parity")
        rows.append(
            [
                each["kind"],
                f"{each['size_bytes'] / 1e3:,.1f}",
                None if each["test_top1"] is None else f"{each['test_top1']:.2%}",
                None if parity is None else f"{parity['top1_agreement']:.2%}",
                None if found is None else f"{found.latency_ms:.3f}",
                "" if found is None or each["kind"] == "fp32" else found.in_words,
                each["file"],
            ]
        )
    columns = ["", "kB", "test accuracy", "first choice as fp32", "p50 ms", "times as fast", "file"]
    return Table("Files of this export", columns, rows)


def costs_table(costs: list[Sensitivity]) -> Table:
    """What each layer costs, the worst for accuracy first."""
    rows: list[list[Cell]] = []
    for each in sorted(costs, key=lambda row: -row.divergence):
        times = [None if ms is None else f"{ms:.4f}" for ms in (each.float_ms, each.int8_ms)]
        rows.append([each.layer, each.operator, each.params, f"{each.divergence:.2e}", f"{each.changed:.2%}", *times])
    columns = ["layer", "kind", "weights", "divergence, nats", "first choice changed", "fp32 ms", "INT8 ms"]
    return Table("What each layer costs in INT8", columns, rows)


def lines_of(variant: Variant) -> list[str]:
    """What was proven of a file, in words."""
    facts, lines = variant.facts, []
    parity = variant.parity
    change = "" if parity.top1_change is None else f", accuracy {parity.top1_change * 100:+.2f} points"
    against = "the trained grid's" if "learnt" in facts else "float32's"
    lines.append(
        f"{variant.kind}: on {parity.images:,} validation images logits are off {against} by "
        f"{parity.mean_difference:.1e} of the largest on average, {parity.max_difference:.1e} at most; first choice "
        f"agrees in {parity.top1_agreement:.2%}{change}"
    )
    if "fused" in facts:
        found = facts["fused"]
        images = f", {facts['calibration_images']} training images" if "calibration_images" in facts else ""
        lines.append(
            f"{variant.kind}: {found['in_int8']} of {found['layers']} layers run in INT8 ({facts['kernels']}), "
            f"{found['conversions']} conversions; {facts['recipe']}{images}"
        )
    if "left_in_float" in facts:
        lines.append(
            f"{variant.kind}: {len(facts['left_in_float'])} layers stay float32; {facts['int8_macs_share']:.1%} of the "
            "multiply-adds are INT8"
        )
    if variant.kind == "fp16":
        lines.append("fp16: for its size; a CPU without float16 arithmetic casts it back to float32")
    return lines
