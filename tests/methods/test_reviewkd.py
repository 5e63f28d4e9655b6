from dataclasses import replace

import pytest
import torch

from edgekd.methods.loading import join, load_method
from edgekd.methods.reviewkd import Fusion, hcl_loss
from tests.methods.made_up import STUDENT, TEACHER, batch, built, output
from tests.methods.worked import maps, tensor


def test_a_pyramid_value_in_float64() -> None:
    ours, theirs = maps(2, 3, 4, 1), maps(2, 3, 4, 2)
    halves = [each.reshape(2, 3, 2, 2, 2, 2).mean((3, 5)) for each in (ours, theirs)]
    points = [each.mean((2, 3)) for each in (ours, theirs)]
    errors = [((a - b) ** 2).mean() for a, b in ((ours, theirs), halves, points)]
    expected = (errors[0] + errors[1] / 2 + errors[2] / 4) / 1.75
    assert hcl_loss(tensor(ours), tensor(theirs)).item() == pytest.approx(expected, rel=1e-4)


def test_a_fusion_weighs_its_map_and_the_deeper_one() -> None:
    fusion = Fusion(2, 3, 4, is_deepest=False).eval()
    features, behind = tensor(maps(2, 2, 4, 1)), tensor(maps(2, 3, 2, 2))
    out, fused = fusion(features, behind, (8, 8))
    assert out.shape == (2, 4, 8, 8) and fused.shape == (2, 3, 8, 8)
    narrow, near = fusion.inward(features), behind.repeat_interleave(2, 2).repeat_interleave(2, 3)
    weights = fusion.weigh(torch.cat([narrow, near], 1))
    expected = (weights[:, :1] * narrow + weights[:, 1:] * near).repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert torch.allclose(fused, expected, atol=1e-6)


def test_pooled_features_are_the_deepest_stage_where_both_sides_have_them() -> None:
    method = built("reviewkd")
    assert "pooled" in method.student_needs & method.teacher_needs and len(method.fusions) == 4
    without = replace(TEACHER, gives=TEACHER.gives - {"pooled"})
    maps_alone = load_method("reviewkd", (), {})
    join("reviewkd", maps_alone, STUDENT, without)
    assert "pooled" not in maps_alone.student_needs and len(maps_alone.fusions) == 3


def test_it_rises_over_the_first_twelfth() -> None:
    method = built("reviewkd").eval()
    said = output(STUDENT, 4, 1), output(TEACHER, 4, 2), batch(4)
    assert method(*said, 10 / 240)["review"].value.item() == pytest.approx(
        method(*said, 1.0)["review"].value.item() / 2
    )
