import numpy as np
import pytest
import torch

from edgekd.errors import UsageError
from edgekd.methods.dkd import Dkd, Options, dkd_loss
from edgekd.methods.kd import kd_loss
from tests.methods.made_up import STUDENT as SIDE
from tests.methods.made_up import TEACHER as OTHER
from tests.methods.made_up import batch, built, mixed, output
from tests.methods.worked import STUDENT, TARGET, TEACHER, Array, kl, softmax, tensor


def by_hand(student: Array, teacher: Array, target: Array, temperature: float) -> tuple[Array, Array]:
    pairs, rests = [], []
    for logits in (teacher, student):
        p = softmax(logits, temperature)
        own = p[np.arange(3), target]
        pairs.append(np.stack([own, 1 - own], axis=1))
        others = np.array([np.delete(row, each) for row, each in zip(logits, target, strict=True)])
        rests.append(softmax(others, temperature))
    return temperature**2 * kl(*pairs), temperature**2 * kl(*rests)


def test_values_in_float64() -> None:
    expected = by_hand(STUDENT, TEACHER, TARGET, 4.0)
    found = dkd_loss(tensor(STUDENT), tensor(TEACHER), torch.from_numpy(TARGET), 4.0)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.numpy() == pytest.approx(theirs, rel=1e-4)


def test_both_halves_make_up_kd() -> None:
    ours, theirs, target = tensor(STUDENT), tensor(TEACHER), torch.from_numpy(TARGET)
    tckd, nckd = dkd_loss(ours, theirs, target, 4.0)
    doubt = 1 - theirs.div(4).softmax(1)[torch.arange(3), target]
    assert (tckd + doubt * nckd).mean().item() == pytest.approx(kd_loss(ours, theirs, 4.0).item(), rel=1e-4)


def test_weights_and_warmup_are_the_papers() -> None:
    said = output(SIDE, 6, 1), output(OTHER, 6, 2), batch(6)
    method = built("dkd")
    full, half, start = (method(*said, progress) for progress in (1.0, 10 / 240, 0.0))
    assert (full["tckd"].weight, full["nckd"].weight, method.label_weight) == (1.0, 8.0, 1.0)
    assert half["nckd"].value.item() == pytest.approx(full["nckd"].value.item() / 2)
    assert start["nckd"].value.item() == 0


def test_a_mixed_image_has_both_its_classes_as_targets() -> None:
    method, said = built("dkd"), (output(SIDE, 4, 1), output(OTHER, 4, 2))
    plain, partner = batch(4), (batch(4).target + 2) % 5
    own, other, both = (
        method(*said, each, 1.0)["tckd"].value.item()
        for each in (plain, mixed(plain, partner, 0.0), mixed(plain, partner, 0.25))
    )
    assert both == pytest.approx(0.25 * own + 0.75 * other, rel=1e-5)


def test_standardised_it_counts_nine_times() -> None:
    said = output(SIDE, 6, 1), output(OTHER, 6, 2), batch(6), 1.0
    assert built("dkd", "standardize=true")(*said)["nckd"].weight == 72


@pytest.mark.parametrize("settings", [{"temperature": 0.0}, {"beta": -1.0}, {"warmup": float("nan")}])
def test_settings_out_of_range_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=f"--set {next(iter(settings))}"):
        Dkd(Options(**settings))  # type: ignore[arg-type]
