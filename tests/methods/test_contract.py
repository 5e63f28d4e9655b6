"""What every method of the table owes; a new row is tested by being there."""

import copy
import importlib
import os
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch

import edgekd.methods
from edgekd.errors import UsageError
from edgekd.methods import METHODS
from edgekd.methods.contract import Method
from edgekd.methods.loading import join, load_method
from edgekd.methods.ramps import set_ramps
from edgekd.methods.sides import side_of
from edgekd.objectives.distillation import Distillation
from edgekd.objectives.objective import weighted_sum
from edgekd.teachers.teacher import Live
from tests.methods.made_up import (
    CLASSES,
    SAMPLES,
    STUDENT,
    TEACHER,
    batch,
    built,
    mixed,
    network,
    output,
    part_of,
    side,
    tensors,
    total,
)

NOT_METHODS = {
    "__init__", "contract", "exits", "labels", "loading", "projectors", "ramps", "ranges", "sides", "softening",
    "stages",
}  # fmt: skip
ZERO_FOR_EQUALS = {
    "kd": {"kd"}, "ls": {"kd"}, "dkd": {"tckd", "nckd"}, "dist": {"inter", "intra"}, "crld": {"within"},
    "mlkd": {"instance", "batch", "class"}, "at": {"at"}, "rkd": {"distance", "angle"}, "sp": {"sp"},
}  # fmt: skip
"""Parts that are 0 where student and teacher say the same."""
TOLERANCE = {"at": 0.2, "sp": 0.2}
"""How far values from bf16 outputs may be from fp32 ones, where it is more than 5 %: differences of like numbers."""

every_method = pytest.mark.parametrize("name", METHODS)


@pytest.fixture(autouse=True)
def same_draws() -> None:
    torch.manual_seed(0)


def module_of(name: str) -> Method:
    return importlib.import_module(f"edgekd.methods.{name.replace('-', '_')}")


def test_the_table_names_the_files() -> None:
    files = {path.stem.replace("_", "-") for path in Path(edgekd.methods.__file__).parent.glob("*.py")}
    assert files - {each.replace("_", "-") for each in NOT_METHODS} == set(METHODS)


@every_method
def test_the_row_says_what_the_method_needs(name: str) -> None:
    method, row = built(name), METHODS[name]
    words = {"heads:token": "token", "heads:class": "token"}
    for needs, stated in ((method.student_needs, row.student), (method.teacher_needs, row.teacher)):
        single = {each for need in needs for each in need.split("|")}
        assert {words.get(each, "maps" if "features:" in each else each) for each in single} == set(stated)
    assert len(method.views) == row.views


@every_method
def test_every_method_names_its_paper(name: str) -> None:
    text = module_of(name).__doc__ or ""
    paper = METHODS[name].paper
    assert (paper.rpartition(" ")[2] if "arXiv" in paper else "CVPR") in text


@every_method
@pytest.mark.parametrize("count", [1, 6])
@pytest.mark.parametrize("known", [True, False])
def test_gradient_reaches_the_student_and_own_parameters_but_not_the_teacher(
    name: str, count: int, known: bool
) -> None:
    method = built(name)
    student, teacher = output(STUDENT, count, 1), output(TEACHER, count, 2)
    before = [each.detach().clone() for each in tensors(teacher)]
    parts = method(student, teacher, batch(count, known), 0.5)
    loss = total(parts)
    loss.backward()
    assert torch.isfinite(loss) and all(part.value.shape == () for part in parts.values())
    reached = [each.grad for each in tensors(student) if each.grad is not None]
    # A single image has no relations, and what is learnt from labels alone needs one.
    assert reached and all(torch.isfinite(each).all() for each in reached)
    assert all(each.grad is None and torch.equal(each, was) for each, was in zip(tensors(teacher), before, strict=True))
    if count > 1:
        assert any(each.abs().sum() > 0 for each in reached)
        assert all(each.grad is not None and torch.isfinite(each.grad).all() for each in method.parameters())


@every_method
def test_gradient_reaches_all_that_the_method_asks_of_the_student(name: str) -> None:
    method, student = built(name), output(STUDENT, 6, 1)
    total(method(student, output(TEACHER, 6, 2), batch(6), 0.5)).backward()
    wanted = {"heads": student.heads, "features": student.features}
    for need in method.student_needs - {"logits"}:
        kind, _, tap = need.partition(":")
        if (name, need) != ("early-exits", "pooled"):
            tensor = wanted[kind][tap] if tap else student.pooled
            assert tensor is not None and tensor.grad is not None and tensor.grad.abs().sum() > 0


@every_method
def test_a_setting_on_its_way_counts_as_the_same_one_fixed(name: str) -> None:
    own = {each.name: each.default for each in fields(module_of(name).Options)}
    for setting in built(name).follows:
        moving, fixed = built(name), built(name, f"{setting}={0.5 * own[setting]}")
        set_ramps(moving, name, {setting: (0.8 * own[setting], 0.2 * own[setting])})
        fixed.load_state_dict(moving.state_dict())
        values = []
        for method in (moving.eval(), fixed.eval()):
            torch.manual_seed(1)
            method.move_to(0.5)
            parts = method(output(STUDENT, 6, 1), output(TEACHER, 6, 2), batch(6), 0.5)
            values.append({key: (part.value.item(), part.weight) for key, part in parts.items()})
        assert values[0].keys() == values[1].keys()
        for key in values[0]:
            assert values[0][key] == pytest.approx(values[1][key], rel=1e-5), setting


@every_method
@pytest.mark.parametrize("progress", [0.0, 1.0])
def test_it_is_finite_from_the_first_step_to_the_last(name: str, progress: float) -> None:
    assert torch.isfinite(total(built(name)(output(STUDENT, 4, 1), output(TEACHER, 4, 2), batch(4), progress)))


@every_method
def test_flat_and_extreme_logits_give_finite_gradients(name: str) -> None:
    for factor in (0.0, 3e4):
        method, student, teacher = built(name), output(STUDENT, 4, 1), output(TEACHER, 4, 2)
        with torch.no_grad():
            for each in tensors(student):
                each.mul_(factor if each.ndim == 2 else 1.0)
        total(method(student, teacher, batch(4), 0.5)).backward()
        assert all(torch.isfinite(each.grad).all() for each in tensors(student) if each.grad is not None)


@every_method
def test_bf16_outputs_give_nearly_the_same_in_float32(name: str) -> None:
    method = built(name).eval()
    half = output(STUDENT, 6, 1, torch.bfloat16), output(TEACHER, 6, 2, torch.bfloat16)
    torch.manual_seed(1)
    with torch.autocast("cpu", torch.bfloat16):
        lower = method(*half, batch(6), 0.5)
    torch.manual_seed(1)
    full = built(name).eval()
    full.load_state_dict(method.state_dict())
    torch.manual_seed(1)
    higher = full(output(STUDENT, 6, 1), output(TEACHER, 6, 2), batch(6), 0.5)
    for key, part in lower.items():
        assert part.value.dtype == torch.float32
        assert part.value.item() == pytest.approx(higher[key].value.item(), rel=TOLERANCE.get(name, 0.05), abs=1e-4)


@every_method
def test_an_image_mixed_with_its_own_class_is_not_mixed(name: str) -> None:
    values = []
    for count in (
        batch(6),
        mixed(batch(6), batch(6).target, 0.3),
        mixed(batch(6), (batch(6).target + 1) % CLASSES, 1.0),
    ):
        method = built(name).eval()
        values.append(total(method(output(STUDENT, 6, 1), output(TEACHER, 6, 2), count, 0.5)).item())
    assert values[1:] == pytest.approx(values[:1] * 2, rel=1e-4)


@every_method
def test_parts_of_images_and_labels_add_up_from_pieces(name: str) -> None:
    method = built(name).eval()
    student, teacher, whole = output(STUDENT, 6, 1), output(TEACHER, 6, 2), batch(6)
    if name == "crd":
        return  # one part, over the batch
    parts = method(student, teacher, whole, 0.5)
    pieces = [
        method(part_of(student, *span), part_of(teacher, *span), piece, 0.5)
        for span, piece in zip(((0, 3), (3, 6)), whole.pieces(2), strict=True)
    ]
    for key, part in parts.items():
        halves = sum(each[key].value.item() for each in pieces) / 2
        assert part.over in ("images", "labels", "batch") and part.weight > 0
        if part.over != "batch":
            assert halves == pytest.approx(part.value.item(), rel=1e-4)


@every_method
def test_a_method_that_compares_images_says_so(name: str) -> None:
    method = built(name)
    overs = {part.over for part in method(output(STUDENT, 4, 1), output(TEACHER, 4, 2), batch(4), 0.5).values()}
    assert method.is_relational == ("batch" in overs)
    if method.is_relational:
        text = type(method).__doc__ or ""
        assert "gather" in text or "one process" in text


@every_method
def test_what_it_learns_and_remembers_can_be_resumed(name: str) -> None:
    method = built(name)
    student, teacher = output(STUDENT, 6, 1), output(TEACHER, 6, 2)
    total(method(student, teacher, batch(6), 0.5))
    again = built(name)
    again.load_state_dict(copy.deepcopy(method.state_dict()))
    values = []
    for each in (method, again):
        torch.manual_seed(3)
        values.append(total(each(student, teacher, batch(6), 0.5)).item())
    assert values[0] == values[1]


@pytest.mark.parametrize("name", ZERO_FOR_EQUALS)
def test_a_student_that_says_what_the_teacher_says_loses_nothing(name: str) -> None:
    method = load_method(name, (), {})
    join(name, method, STUDENT, STUDENT)
    said = output(STUDENT, 6, 1)
    parts = method(said, said.detached(), batch(6), 1.0)
    for key in ZERO_FOR_EQUALS[name]:
        assert parts[key].value.item() == pytest.approx(0, abs=1e-5)


@every_method
def test_a_teacher_of_logits_alone_is_enough_or_refused_with_a_way_on(name: str) -> None:
    method = load_method(name, (), {})
    cache = side({"stage1": (4, 2, 2)}, ())
    bare = type(cache)(CLASSES, frozenset({"logits"}))
    if {"maps", "pooled", "tail"} & set(METHODS[name].teacher):
        with pytest.raises(UsageError) as caught:
            join(name, method, STUDENT, bare)
        assert "--live" in caught.value.hint and "cache-logits" in caught.value.hint
    else:
        join(name, method, STUDENT, bare)


@every_method
def test_a_teacher_of_the_largest_logits_is_taken_where_they_do(name: str) -> None:
    method = load_method(name, (), {})
    few = replace(TEACHER, gives=TEACHER.gives - {"logits"} | {"logits:topk"})
    if "logits" in METHODS[name].teacher and "logits:topk" not in METHODS[name].teacher:
        with pytest.raises(UsageError, match="logits") as caught:
            join(name, method, STUDENT, few)
        assert "--store u8" in caught.value.hint
    else:
        join(name, method, STUDENT, few)


@pytest.mark.parametrize(
    "name", [name for name, row in METHODS.items() if row.views == 1 and "token" not in row.student]
)
def test_a_live_teacher_teaches_a_network_and_stays_as_it_is(name: str) -> None:
    method, student, teacher = load_method(name, (), {}), network(4), Live(network(6), samples=SAMPLES)
    before = copy.deepcopy(teacher.network.state_dict())
    join(name, method, side_of(student, SAMPLES), teacher.side)
    objective = Distillation(student, teacher, method)
    optimizer = torch.optim.SGD(objective.parameters(), lr=1e-3)
    for _ in range(2):
        pixels = torch.randint(256, (6, 8, 8, 3), dtype=torch.uint8)
        loss = weighted_sum(objective(replace(batch(6), canvas=pixels), 0.5))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert torch.isfinite(loss)
    assert all(torch.equal(was, teacher.network.state_dict()[key]) for key, was in before.items())
    assert not teacher.network.training and all(each.grad is None for each in teacher.network.parameters())
    assert {each.split(".")[0] for each in objective.state_dict()} <= {"student", "method"}


@pytest.mark.slow
def test_a_step_in_two_processes_and_in_pieces_is_that_of_one(tmp_path: Path) -> None:
    script = Path(__file__).with_name("steps_of_ranks.py")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone"]
    root = str(Path(__file__).parents[2])
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([root, *sys.path])}
    for name, start, pieces in (("one", [sys.executable], 1), ("pieces", [sys.executable], 3), ("two", launcher, 1)):
        subprocess.run([*start, script, tmp_path / name, str(pieces)], check=True, env=environment, timeout=300)
    one, *others = (torch.load(tmp_path / name, weights_only=True) for name in ("one", "pieces", "two"))
    assert set(one) == {name for name in METHODS if not load_method(name, (), {}).is_relational}
    for other in others:
        for name, state in one.items():
            apart = {key: float((each.float() - other[name][key].float()).abs().max()) for key, each in state.items()}
            # The bias of all positions nearly cancels in a map without its mean: its gradient is what rounding leaves.
            cancelled = apart.pop("method.late.alternative.merge.bias", 0.0)
            assert max(apart.values()) < 1e-5 and cancelled < 1e-4, name
