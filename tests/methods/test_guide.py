"""docs/methods.md: its table is that of the code, its example works."""

import re
from pathlib import Path

import pytest
import torch

from edgekd.config import Distill
from edgekd.methods import METHODS
from edgekd.methods.loading import join, load_method
from tests.methods.made_up import STUDENT, TEACHER, batch, output, total

GUIDE = (Path(__file__).parents[2] / "docs" / "methods.md").read_text(encoding="utf-8")
CACHE = {"logits": "yes", "columns": "its columns", "none": "no teacher"}


def table() -> str:
    rows = []
    for name, row in METHODS.items():
        does = "top-k too" if "logits:topk" in row.teacher and row.cache == "logits" else CACHE[row.cache]
        does += ", its run" if "tail" in row.teacher else ""
        teacher = ", ".join(each for each in row.teacher if each != "logits:topk") or "nothing"
        views = "; two views" if row.views == 2 else ""
        rows.append(f"| `{name}` | {row.text} | {', '.join(row.student)} | {teacher}{views} | {does} | {row.paper} |")
    return "\n".join(rows)


def test_the_table_is_that_of_the_code() -> None:
    assert table() in GUIDE, f"docs/methods.md should have:\n{table()}"


def test_the_example_is_a_method(tmp_path: Path) -> None:
    [example] = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
    assert len([line for line in example.splitlines() if line.strip()]) <= 25
    file = tmp_path / "mine.py"
    file.write_text(example)
    method = load_method(str(file), ("weight=2",), {}, Distill(method=str(file)))
    join(str(file), method, STUDENT, TEACHER)
    student, teacher = output(STUDENT, 3, 1), output(TEACHER, 3, 2)
    parts = method(student, teacher, batch(3), 0.5)
    assert student.pooled is not None and teacher.pooled is not None
    ours = method.project(student.pooled).detach().numpy()
    theirs = teacher.pooled.detach().numpy()
    cosines = (ours * theirs).sum(1) / (ours**2).sum(1) ** 0.5 / (theirs**2).sum(1) ** 0.5
    assert parts["direction"].value.item() == pytest.approx(1 - cosines.mean(), rel=1e-4)
    total(parts).backward()
    assert teacher.pooled.grad is None and all(torch.isfinite(each.grad).all() for each in method.parameters())
