"""ScaleKD: both views of a map, the teacher's last stage, where gradients go, and what is refused."""

import copy
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edgekd.data.batch import Batch
from edgekd.errors import UsageError
from edgekd.methods.kd import kd_loss
from edgekd.methods.loading import join, load_method
from edgekd.methods.projectors import ChannelNorm
from edgekd.methods.scalekd import (
    ScaleKd,
    alternative_loss,
    direct_loss,
    soft_cross_entropy,
    without_mean,
)
from edgekd.methods.sides import side_of
from edgekd.models.network import Network
from edgekd.models.outputs import Output
from edgekd.models.timm_nets import create
from edgekd.objectives.distillation import Distillation
from edgekd.objectives.objective import weighted_sum
from edgekd.teachers.teacher import Live
from tests.models.nets import NETS, built, canvases, made

PAIRS = {"swin-resnet18": "resnet18", "swin-mixer": "mixer", "vit-vit": "vit-average", "vit-tiny-cnn": "tiny-cnn"}
every_pair = pytest.mark.parametrize("pair", PAIRS)


def student_of(name: str) -> Network:
    return (made(name) if name in NETS else built(name)).requires_grad_(True).train()


def lesson(pair: str, *settings: str) -> SimpleNamespace:
    """Student, teacher and the built method of a pair."""
    teacher = Live(made(pair.partition("-")[0]))
    student, method = student_of(PAIRS[pair]), load_method("scalekd", settings, {})
    torch.manual_seed(1)
    join("scalekd", method, side_of(student), teacher.side)
    return SimpleNamespace(
        student=student, teacher=teacher, method=method, objective=Distillation(student, teacher, method).train()
    )


def batch(count: int = 3) -> Batch:
    return Batch(canvases(count), torch.arange(count) % 3, np.arange(count), 0)


def dct(size: int) -> Tensor:
    """The orthonormal DCT-II matrix."""
    place = torch.arange(size, dtype=torch.float64)
    rows = torch.cos(torch.pi / size * (place[None] + 0.5) * place[:, None]) * (2 / size) ** 0.5
    rows[0] /= 2**0.5
    return rows


@pytest.mark.parametrize("size", [(7, 7), (5, 9), (1, 3)])
def test_the_filter_drops_the_first_coefficient_of_the_cosine_transform(size: tuple[int, int]) -> None:
    maps = torch.randn(2, 4, *size)
    rows, columns = dct(size[0]), dct(size[1])
    coefficients = rows @ maps.double() @ columns.T
    coefficients[:, :, 0, 0] = 0
    expected = rows.T @ coefficients @ columns
    assert (without_mean(maps) - expected).abs().max() < 1e-6


def maps_of(count: int = 2, channels: int = 6, side: int = 7) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    target = torch.randn(count, channels, side, side)
    return target + 0.5 * torch.randn_like(target), target


def test_a_constant_per_channel_is_seen_by_the_direct_view_alone() -> None:
    student, target = maps_of()
    moved = target + torch.randn(1, 6, 1, 1)
    assert alternative_loss(student, moved).item() == pytest.approx(alternative_loss(student, target).item(), rel=1e-5)
    assert abs(direct_loss(student, moved) - direct_loss(student, target)) > 0.05


def test_the_filter_comes_before_the_unit_length() -> None:
    student, target = maps_of()
    grown = target.clone()
    grown[:, :, 2, 3] *= 10
    assert direct_loss(student, grown).item() == pytest.approx(direct_loss(student, target).item(), rel=1e-6)
    assert abs(alternative_loss(student, grown) - alternative_loss(student, target)) > 1e-3
    for loss in (direct_loss, alternative_loss):
        assert loss(student, 10 * target).item() == pytest.approx(loss(student, target).item(), rel=1e-5)


def test_values_are_means_over_images_and_positions() -> None:
    student, target = maps_of()
    for loss in (direct_loss, alternative_loss):
        assert loss(target, target).item() == pytest.approx(0, abs=1e-6)
        assert loss(-target, target).item() == pytest.approx(4, rel=1e-5)
        twice = loss(torch.cat([student] * 2), torch.cat([target] * 2))
        assert twice.item() == pytest.approx(loss(student, target).item(), rel=1e-6)
        # the sum over positions of the paper's code is four times as large on a map laid out two by two
        tiled = loss(student.repeat(1, 1, 2, 2), target.repeat(1, 1, 2, 2))
        assert tiled.item() == pytest.approx(loss(student, target).item(), rel=1e-5)
    wide = [torch.randn(2, 2048, 7, 7) for _ in range(2)]
    assert direct_loss(*wide).item() == pytest.approx(2, abs=0.02)
    cosine = F.cosine_similarity(student, target, dim=1).mean()
    assert direct_loss(student, target).item() == pytest.approx(2 - 2 * cosine.item(), rel=1e-5)


def test_weights_are_those_of_the_paper_on_seven_by_seven() -> None:
    chosen = load_method("scalekd", (), {}).options
    assert chosen.direct_weight == pytest.approx(0.08 * 49) and chosen.alternative_weight == pytest.approx(0.06 * 49)


def test_the_answers_part_has_the_gradient_of_kd() -> None:
    teacher = torch.randn(4, 5)
    ours = [torch.nn.Parameter(torch.randn(4, 5, generator=torch.Generator().manual_seed(3))) for _ in range(2)]
    soft_cross_entropy(ours[0], teacher, 2.0).backward()
    kd_loss(ours[1], teacher, 2.0).backward()
    assert torch.allclose(ours[0].grad, ours[1].grad, atol=1e-7)
    entropy = -(F.softmax(teacher / 2, 1) * F.log_softmax(teacher / 2, 1)).sum(1).mean() * 4
    assert soft_cross_entropy(ours[0], teacher, 2.0).item() == pytest.approx(
        (kd_loss(ours[0], teacher, 2.0) + entropy).item(), rel=1e-5
    )


@pytest.mark.parametrize("kind", ["swin", "vit", "eva", "beit"])
def test_the_teachers_own_tokens_come_through_its_last_stage_unchanged(kind: str) -> None:
    teacher = Live(made(kind))
    tail = teacher.side.tail
    needs = {f"features:{tail.entrance_name}", f"features:{tail.target_name}", f"prefix:{tail.entrance_name}"}
    said = teacher.giving(needs)(batch())
    again = tail(said.features[tail.entrance_name], said.prefixes.get(tail.entrance_name))
    for loss in (direct_loss, alternative_loss):
        assert loss(again, said.features[tail.target_name]) < 1e-6


def outputs(each: SimpleNamespace) -> tuple[Output, Output]:
    return each.objective._outside["student"](batch().canvas), each.objective.teacher(batch())


@pytest.mark.parametrize("pair", ["swin-mixer", "vit-vit"])
def test_the_weights_of_the_last_stage_matter(pair: str) -> None:
    each = lesson(pair)
    student, teacher = outputs(each)
    before = each.method(student, teacher, batch(), 0.5)["tpp_direct"].value.item()
    rest = [module for name, module in each.method.tail.named_modules() if name.endswith("mlp.fc2")]
    with torch.no_grad():
        rest[-1].weight.mul_(5)
    after = each.method(student, teacher, batch(), 0.5)["tpp_direct"].value.item()
    assert abs(after - before) > 1e-3
    # a layer before the entrance changes what the teacher says, not its last stage
    perceived = each.method._perceived("direct", student, teacher)
    with torch.no_grad():
        each.teacher.network.backbone.patch_embed.proj.weight.mul_(3)
    changed = each.objective.teacher(batch())
    assert torch.equal(
        each.method._perceived("direct", student, replace(changed, prefixes=teacher.prefixes)), perceived
    )
    assert not torch.equal(changed.features["stage4"], teacher.features["stage4"])


@every_pair
def test_a_step_trains_the_student_and_leaves_the_teacher(pair: str) -> None:
    each = lesson(pair)
    network = each.teacher.network
    before = copy.deepcopy(network.state_dict())
    names = {name for name, _ in each.student.named_parameters()}
    optimizer = torch.optim.SGD(each.objective.parameters(), lr=0.01)
    parts = each.objective(batch(), 0.5)
    weighted_sum(parts).backward()
    optimizer.step()
    assert set(parts) == {"tpp_direct", "tpp_alternative", "direct", "alternative", "kd", "ce"}
    assert all(torch.equal(was, network.state_dict()[key]) for key, was in before.items())
    assert all(parameter.grad is None for parameter in network.parameters())
    assert all(parameter.grad is not None for parameter in each.objective.parameters())
    # stochastic depth of the teacher stays off although the objective trains
    assert each.objective.training and not network.training
    assert torch.equal(each.teacher(batch()).logits, each.teacher(batch()).logits)
    # nothing but the student is kept
    assert {name for name, _ in each.student.named_parameters()} == names
    assert not any(word in key for key in each.student.state_dict() for word in ("early", "late", "teacher", "table"))
    assert not any("tail" in key or "rest" in key for key in each.objective.state_dict())


def test_the_student_loads_into_timms_own_network() -> None:
    each = lesson("vit-vit")
    optimizer = torch.optim.SGD(each.objective.parameters(), lr=0.01)
    weighted_sum(each.objective(batch(), 0.5)).backward()
    optimizer.step()
    name, options = NETS["vit-average"]
    plain = create(name, 3, 3, options).eval()
    plain.load_state_dict(each.student.backbone.state_dict(), strict=True)
    with torch.no_grad():
        pixels = each.student.eval().prepare(canvases())
        assert torch.equal(plain(pixels), each.student(canvases()))


def reached(module: nn.Module) -> set[str]:
    return {name for name, each in module.named_parameters() if each.grad is not None and each.grad.abs().sum() > 0}


@pytest.mark.parametrize("pair", ["swin-resnet18", "vit-tiny-cnn"])
def test_gradients_go_where_the_paper_has_them(pair: str) -> None:
    each = lesson(pair)
    parts = each.objective(batch(), 0.5)
    (parts["tpp_direct"].value + parts["tpp_alternative"].value).backward(retain_graph=True)
    last = "layer4" if pair == "swin-resnet18" else "widen"
    found = reached(each.student.backbone)
    assert found and not any(name.startswith((last, "head", "fc")) for name in found)
    assert len({name.partition(".")[0] for name in found}) >= 3
    assert not reached(each.method.late) and len(reached(each.method.early)) > 40
    each.objective.zero_grad(set_to_none=True)
    parts["direct"].value.backward()
    # through the queries the last map trains the projector of the map before it, in its own view only
    early = each.method.early
    # the bias of keys cannot matter to attention, so its gradient is rounding
    assert {name for name, _ in early["direct"].named_parameters()} - reached(early["direct"]) <= {"key.bias"}
    assert all(parameter.grad is not None for parameter in early["direct"].parameters())
    assert len(list(early["direct"].parameters())) == 22
    assert not reached(early["alternative"]) and not reached(each.method.late["alternative"])
    assert any(name.startswith(last) for name in reached(each.student.backbone))


def test_the_parts_are_weighed_as_in_the_paper() -> None:
    each = lesson("vit-tiny-cnn")
    weights = {name: part.weight for name, part in each.objective(batch(), 0.5).items()}
    assert weights == {
        "ce": 0.5, "kd": 0.5, "direct": 3.92, "alternative": 2.94, "tpp_direct": 3.92, "tpp_alternative": 2.94,
    }  # fmt: skip
    assert all(part.over == "images" for name, part in each.objective(batch(), 0.5).items() if name != "ce")


@pytest.mark.parametrize(
    ("settings", "parts"),
    [
        (("dfm=off", "tpp=off", "kd=off"), {"direct"}),
        (("tpp=off", "kd=off"), {"direct", "alternative"}),
        (("kd=off",), {"direct", "alternative", "tpp_direct", "tpp_alternative"}),
        (("dfm=off", "kd=off"), {"direct", "tpp_direct"}),
    ],
)
def test_the_steps_of_the_ablation(settings: tuple[str, ...], parts: set[str]) -> None:
    each = lesson("vit-tiny-cnn", *settings)
    found = each.objective(batch(), 0.5)
    weighted_sum(found).backward()
    assert set(found) == {"ce"} | parts and found["ce"].weight == 1
    assert all(parameter.grad is not None for parameter in each.method.parameters())
    assert "tail" in each.method.teacher_needs or "tpp=off" in settings
    assert ("late.direct.table" in dict(each.method.named_parameters())) == ("tpp=off" in settings)


def test_learned_queries_may_stand_beside_the_last_stage() -> None:
    each = lesson("vit-tiny-cnn", "queries=learned")
    parts = each.objective(batch(), 0.5)
    parts["direct"].value.backward()
    assert "tpp_direct" in parts and not reached(each.method.early)
    assert "table" in reached(each.method.late["direct"])


def test_without_cap_a_convolution_stands_for_it() -> None:
    each = lesson("vit-tiny-cnn", "cap=off", "tpp=off", "dfm=off", "kd=off")
    student, teacher = outputs(each)
    parts = each.method(student, teacher, batch(), 0.5)
    # both last maps have 48 channels, so that not even a convolution is needed
    assert set(parts) == {"direct"} and not list(each.method.parameters())
    assert torch.equal(parts["direct"].value, direct_loss(student.features["stage3"], teacher.features["stage4"]))


def test_the_class_token_may_be_left_out() -> None:
    torch.manual_seed(0)
    borrowed, omitted = lesson("vit-tiny-cnn"), lesson("vit-tiny-cnn", "prefix=omit")
    assert "prefix:stage3" in borrowed.method.teacher_needs and "prefix:stage3" not in omitted.method.teacher_needs
    values = [each.objective(batch(), 0.5)["tpp_direct"].value.item() for each in (borrowed, omitted)]
    assert values[0] != values[1]
    assert load_and_join("swin", "resnet8").tail.entrance.prefix == 0


def load_and_join(teacher: str, student: str, *settings: str) -> ScaleKd:
    method = load_method("scalekd", settings, {})
    join("scalekd", method, side_of(student_of(student)), Live(made(teacher)).side)
    return method


def test_the_last_stage_may_be_longer() -> None:
    method = load_and_join("vit", "tiny-cnn", "entrance=blocks.0")
    assert method.tail.entrance.module == "blocks.0" and "prefix:blocks.0" in method.teacher_needs
    assert "features:stage4" in method.teacher_needs


@pytest.mark.parametrize(
    ("teacher", "student", "g"),
    [
        ("swin", "tiny-cnn", 5.0), ("swin", "vit", 5.0), ("swin", "swin2", 1.0), ("swin", "convnext", 1.0),
        ("vit", "tiny-cnn", 1.0), ("eva", "tiny-cnn", 0.2), ("eva", "vit", 1.0), ("mixer", "tiny-cnn", 1.0),
    ],
)  # fmt: skip
def test_attention_is_as_sharp_as_in_the_papers_pairs(teacher: str, student: str, g: float) -> None:
    method = load_and_join(teacher, student)
    for level in (method.early, method.late):
        cap = level["direct"]
        assert cap.scale * (cap.query.weight.shape[0] // cap.heads) ** 0.5 == pytest.approx(g)
    assert isinstance(method.early["direct"].stem[1], ChannelNorm) == (student == "swin2")


def test_maps_of_one_position_are_passed_over() -> None:
    student = side_of(student_of("convnext"))
    assert student.shapes["features:stage4"][1:] == (1, 1)
    assert load_and_join("vit", "convnext").taps == ("stage2", "stage3")


def test_nothing_is_left_of_one_position_without_its_mean() -> None:
    student = nn.Parameter(torch.randn(2, 6, 1, 1))
    loss = alternative_loss(student, torch.randn(2, 6, 1, 1))
    loss.backward()
    assert loss == 0 and torch.isfinite(student.grad).all()


def one_by_one(*settings: str) -> None:
    teacher = Live(made("swin")).side
    tail = teacher.tail
    tail.target = replace(tail.target, shape=(tail.target.shape[0], 1, 1))
    shapes = dict(teacher.shapes) | {"features:stage4": tail.target.shape}
    method = load_method("scalekd", settings, {})
    join("scalekd", method, side_of(student_of("tiny-cnn")), replace(teacher, shapes=shapes))


@pytest.mark.parametrize(
    ("call", "problem", "hint"),
    [
        (lambda: one_by_one("tpp=off"), "last map is 1x1", "dfm=off"),
        (lambda: load_and_join("vit", "tiny-cnn", "heads4=5"), "heads4=5", "give one of"),
        (lambda: load_and_join("vit", "tiny-cnn", "cap=off"), "cap=off", "tpp=off"),
        (lambda: load_and_join("vit", "tiny-cnn", "queries=tail", "tpp=off"), "queries=tail", "queries=learned"),
        (lambda: load_and_join("beit", "tiny-cnn", "prefix=omit"), "prefix=omit", "prefix=borrow"),
        (lambda: load_and_join("vit", "tiny-cnn", "entrance=blocks.9"), "entrance=blocks.9", "blocks."),
        (lambda: load_and_join("vit", "tiny-cnn", "taps=stage3"), "two maps of the student", "taps="),
        (lambda: load_and_join("vit", "convnext", "taps=stage3,stage4"), "stage4 is 1x1", "dfm=off"),
        (lambda: load_and_join("vit", "tiny-cnn", "taps=stage3,stage9"), "no map at stage9", "stage3"),
        (lambda: load_and_join("swin", "tiny-cnn", "cap=off", "tpp=off"), "8x8, the teacher's 2x2", "leave cap on"),
        (lambda: load_and_join("vit", "tiny-cnn", "kd_weight=2"), "kd_weight=2", "from 0 to 1"),
    ],
)
def test_what_cannot_work_is_refused_before_any_data(call: object, problem: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        call()
    assert problem in caught.value.problem and hint in caught.value.hint
