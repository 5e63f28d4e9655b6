import math

import pytest
import torch

from edgekd.compute.calibration import best_temperature, calibration_error


def drawn(scale: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits [8,000, 5] times `scale`, and classes drawn from the probabilities of the unscaled ones."""
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(8_000, 5, generator=generator, dtype=torch.float64)
    target = torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]
    return scale * logits, target


def test_probabilities_that_classes_were_drawn_from_are_calibrated() -> None:
    logits, target = drawn(1.0)
    assert calibration_error(logits, target) < 0.02
    assert best_temperature(logits, target) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("scale", [0.25, 4.0])
def test_the_temperature_undoes_a_scale(scale: float) -> None:
    logits, target = drawn(scale)
    found = best_temperature(logits, target)
    assert found == pytest.approx(scale, rel=0.05)
    assert calibration_error(logits, target) > 0.1 > calibration_error(logits / found, target)


def test_the_error_is_the_gap_between_confidence_and_accuracy() -> None:
    # four images, two classes, all with probability 0.8 for class 0, of which three are right: |0.8 - 0.75|
    logits = torch.tensor([[math.log(4), 0.0]]).repeat(4, 1)
    assert calibration_error(logits, torch.tensor([0, 0, 0, 1])) == pytest.approx(0.05, abs=1e-6)


def test_bins_of_too_high_and_too_low_confidence_do_not_cancel() -> None:
    logits = torch.tensor([[math.log(9), 0.0], [math.log(1.5), 0.0]])
    # 0.9 but wrong, 0.6 but right
    assert calibration_error(logits, torch.tensor([1, 0])) == pytest.approx((0.9 + 0.4) / 2, abs=1e-6)


@pytest.mark.parametrize("right", [True, False])
def test_a_network_that_is_always_right_or_wrong_has_a_temperature_within_limits(right: bool) -> None:
    found = best_temperature(torch.eye(3) * (3 if right else -3), torch.arange(3))
    assert 0.05 <= found < 0.5 if right else found == pytest.approx(20, rel=1e-3)
