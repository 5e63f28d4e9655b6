from dataclasses import replace

import numpy as np
import pytest
import torch

from edgekd.errors import UsageError
from edgekd.methods.crd import crd_loss
from edgekd.methods.loading import join, load_method
from tests.methods.made_up import SAMPLES, STUDENT, TEACHER, batch, built, output


def test_a_value_worked_out_by_hand() -> None:
    # scores 3 and 1 against a noise of 1: h = 3/4 and 1/2; of the negatives 1 - h = 1/2, 1/4
    loss = crd_loss(torch.tensor([3.0]), torch.tensor([[1.0, 3.0]]), 1.0)
    assert loss.item() == pytest.approx(-np.log(0.75) - np.log(0.5) - np.log(0.25), rel=1e-5)


def test_a_step_in_float64() -> None:
    method = built("crd", "negatives=7", "width=4")
    student, teacher, images = output(STUDENT, 3, 1), output(TEACHER, 3, 2), batch(3)
    memories = [each.double().numpy().copy() for each in (method.ours, method.theirs)]
    torch.manual_seed(5)
    drawn = torch.randint(SAMPLES, (7,)).numpy()
    torch.manual_seed(5)
    found = method(student, teacher, images, 0.5)["crd"]
    sides = []
    for said, layer in ((student, method.student_embedding), (teacher, method.teacher_embedding)):
        assert said.pooled is not None
        made = said.pooled.detach().double().numpy() @ layer.weight.detach().double().numpy().T
        made = made + layer.bias.detach().double().numpy()
        sides.append(made / np.linalg.norm(made, axis=1, keepdims=True))
    expected = 0.0
    for own, memory in zip(sides, reversed(memories), strict=True):
        positive = np.exp((own * memory[images.index]).sum(1) / 0.07)
        negative = np.exp(own @ memory[drawn].T / 0.07)
        scale = np.concatenate([positive[:, None], negative], 1).mean() * SAMPLES
        for row, index in enumerate(images.index):
            p = positive[row] / scale
            expected -= np.log(p / (p + 7 / SAMPLES)) / 3
            for column, other in enumerate(drawn):
                if other != index:
                    expected -= np.log(7 / SAMPLES / (negative[row, column] / scale + 7 / SAMPLES)) / 3
    assert found.value.item() == pytest.approx(expected, rel=1e-3) and found.weight == 0.8
    mixed = 0.5 * memories[0][images.index] + 0.5 * sides[0]
    assert method.ours[images.index].numpy() == pytest.approx(
        mixed / np.linalg.norm(mixed, axis=1, keepdims=True), rel=1e-4, abs=1e-5
    )


def test_memories_are_left_alone_outside_training() -> None:
    method = built("crd").eval()
    before = method.ours.clone()
    method(output(STUDENT, 3, 1), output(TEACHER, 3, 2), batch(3), 0.5)
    assert torch.equal(method.ours, before)


def test_an_image_without_a_row_is_refused() -> None:
    images = replace(batch(2), index=np.array([0, SAMPLES]))
    with pytest.raises(UsageError, match=f"image {SAMPLES} is not among"):
        built("crd")(output(STUDENT, 2, 1), output(TEACHER, 2, 2), images, 0.5)


def test_too_few_images_are_refused() -> None:
    alone = replace(STUDENT, samples=1), replace(TEACHER, samples=1)
    with pytest.raises(UsageError, match="too few"):
        join("crd", load_method("crd", (), {}), *alone)


def test_rows_have_length_1() -> None:
    assert torch.allclose(built("crd").ours.norm(dim=1), torch.ones(SAMPLES))
