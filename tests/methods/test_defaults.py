"""What every method counts for beside the cross-entropy, by its paper or its authors' code, written down by hand."""

import pytest

from edgekd.methods import METHODS
from tests.methods.made_up import STUDENT, TEACHER, batch, built, output

WEIGHTS: dict[str, tuple[float | str, dict[str, float]]] = {
    # the label's weight ("1 - alpha" where the two share a whole), the weights of the parts
    "kd": ("0.9", {"kd": 1}),
    "ls": (0.1, {"kd": 9}),
    "dkd": (1, {"tckd": 1, "nckd": 8}),
    "dist": (1, {"inter": 2, "intra": 2}),
    "ttm": (1, {"ttm": 45}),
    "wttm": (1, {"wttm": 4}),
    "rld": (1, {"scd": 1, "mcd": 8}),
    "mlkd": (0.1, {"instance": 0.9, "batch": 0.9, "class": 0.9, "ce_strong": 0.1}),
    "crld": (1, {"within": 2, "cross": 0.5, "ce_strong": 1}),
    "deit-soft": (0, {"token": 0.1, "ce_class": 0.9}),
    "deit-hard": (0, {"token": 0.5, "ce_class": 0.5}),
    "fitnet": (1, {"hint": 1}),
    "at": (1, {"at": 1000}),
    "rkd": (1, {"distance": 25, "angle": 50}),
    "sp": (1, {"sp": 3000}),
    "crd": (1, {"crd": 0.8}),
    "reviewkd": (1, {"review": 1}),
    "ofa": (1, {"exits": 1, "final": 1}),
    "scalekd": (
        0.5,
        {"direct": 3.92, "alternative": 2.94, "tpp_direct": 3.92, "tpp_alternative": 2.94, "kd": 0.5},
    ),
    "early-exits": (1, {"ce_exits": 0.7, "kd_exits": 0.3, "hint": 0.03}),
}


@pytest.mark.parametrize("name", METHODS)
def test_the_weights_are_those_of_its_paper(name: str) -> None:
    method = built(name)
    labels, parts = WEIGHTS[name]
    found = method(output(STUDENT, 4, 1), output(TEACHER, 4, 2), batch(4), 1.0)
    assert {key: part.weight for key, part in found.items()} == pytest.approx(parts)
    if isinstance(labels, str):
        assert method.alpha == float(labels)
    else:
        assert method.alpha is None and method.label_weight == labels
