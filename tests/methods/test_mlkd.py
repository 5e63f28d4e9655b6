import pytest

from edgekd.errors import UsageError
from edgekd.methods.mlkd import Mlkd, Options, batch_level, class_level
from tests.methods.made_up import STUDENT as SIDE
from tests.methods.made_up import TEACHER as OTHER
from tests.methods.made_up import batch, built, output
from tests.methods.worked import STUDENT, TEACHER, kl, softmax, tensor


def test_pairs_of_images_and_pairs_of_classes() -> None:
    ours, theirs = softmax(STUDENT, 2), softmax(TEACHER, 2)
    images = ((ours @ ours.T - theirs @ theirs.T) ** 2).sum() / 3
    classes = ((ours.T @ ours - theirs.T @ theirs) ** 2).sum() / 4
    found = batch_level(tensor(ours), tensor(theirs)), class_level(tensor(ours), tensor(theirs))
    assert [each.item() for each in found] == pytest.approx([images, classes], rel=1e-4)


def test_every_temperature_and_both_views_are_added() -> None:
    student, teacher = output(SIDE, 6, 1), output(OTHER, 6, 2)
    assert student.strong is not None and teacher.strong is not None
    views = [(student, teacher), (student.strong, teacher.strong)]
    expected = 0.0
    for ours, theirs in views:
        assert ours.logits is not None and theirs.logits is not None
        a, b = (each.detach().double().numpy() for each in (ours.logits, theirs.logits))
        expected += sum(t**2 * kl(softmax(b, t), softmax(a, t)).mean() for t in (2, 3, 4, 5, 6))
    parts = built("mlkd")(student, teacher, batch(6), 0.5)
    assert parts["instance"].value.item() == pytest.approx(expected, rel=1e-4)
    assert {name: part.weight for name, part in parts.items()} == {
        "instance": 0.9, "batch": 0.9, "class": 0.9, "ce_strong": 0.1,
    }  # fmt: skip


@pytest.mark.parametrize("text", ["", "2,hot", "2,-1", "0"])
def test_temperatures_must_be_numbers_above_0(text: str) -> None:
    with pytest.raises(UsageError, match="--set temperatures"):
        Mlkd(Options(temperatures=text))
