"""What labels and method count for at each point of a training."""

import pytest

from edgekd.config import Distill
from edgekd.errors import UsageError
from edgekd.methods.kd import Kd, Options
from edgekd.methods.loading import load_method
from edgekd.methods.ramps import ramps_of, set_ramps
from edgekd.objectives.weighing import Weighing


def test_a_ramp_of_alpha_divides_linearly() -> None:
    weighing = Weighing(Kd(Options()), None, (0.9, 0.5))
    found = [each for progress in (0.0, 0.5, 1.0) for each in weighing.at(progress)]
    assert found == pytest.approx([0.1, 0.9, 0.3, 0.7, 0.5, 0.5])
    assert weighing.changing(0.5) == pytest.approx({"alpha": 0.7})


def test_labels_count_where_they_do_at_any_point() -> None:
    assert Weighing(Kd(Options()), None, (1.0, 0.5)).counts_labels
    assert (
        not Weighing(Kd(Options()), None, (1.0, 1.0)).counts_labels and not Weighing(Kd(Options()), 1.0).counts_labels
    )
    without = Weighing(Kd(Options()))
    without.has_labels = False
    assert not without.counts_labels and without.at(0.0) == (0, 0.9)


def test_a_store_of_the_largest_logits_is_judged_by_the_higher_temperature() -> None:
    method = load_method("kd", (), {})
    set_ramps(method, "kd", {"temperature": (2.0, 6.0)})
    assert method.temperature == 6.0 and method.options.temperature == 2.0


@pytest.mark.parametrize("text", ["alpha", "alpha=0.5", "alpha=a:b", "=1:2", "alpha=nan:1", "alpha=0:2"])
def test_what_is_no_ramp_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--ramp"):
        ramps_of((text,))


def test_a_setting_that_is_read_once_has_no_ramp() -> None:
    with pytest.raises(UsageError, match="--ramp g: method scalekd has no such setting") as caught:
        set_ramps(load_method("scalekd", (), {}), "scalekd", {"g": (1.0, 5.0)})
    assert "alpha" in caught.value.hint and "direct_weight" in caught.value.hint
    with pytest.raises(UsageError, match="--alpha and --ramp alpha"):
        Distill(alpha=0.5, ramp=("alpha=0:1",))
