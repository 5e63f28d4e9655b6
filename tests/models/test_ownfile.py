"""The user's own file: what it may look like, and how its errors are told."""

from pathlib import Path

import pytest

from edgekd.errors import CheckpointError, UsageError
from edgekd.models.ownfile import build_own


def test_a_function_gets_the_arguments_it_names(own_file: Path) -> None:
    net = build_own(f"{own_file}:build", 5, 1, 28)
    assert [tuple(each.shape) for each in net.parameters()] == [(8, 1, 3, 3), (8,), (5, 8 * 26 * 26), (5,)]


def test_a_function_of_one_other_argument_gets_the_classes(own_file: Path) -> None:
    net = build_own(f"{own_file}:only_classes", 4, 3, 32)
    assert list(net.parameters())[-1].shape == (4,)


def test_a_missing_file_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        build_own(f"{tmp_path}/gone.py:build", 2, 3, 32)


def test_a_missing_function_is_answered_with_the_nearest(own_file: Path) -> None:
    with pytest.raises(UsageError) as error:
        build_own(f"{own_file}:bild", 2, 3, 32)
    assert "build" in error.value.hint


@pytest.mark.parametrize(
    ("function", "told"),
    [
        ("not_a_module", "returned int, not a torch.nn.Module"),
        ("wrong_width", r"\[2, 3\] instead of logits \[2, 2\]"),
        ("raises", "IndexError at line 18"),
    ],
)
def test_a_bad_network_is_told_in_words(own_file: Path, function: str, told: str) -> None:
    with pytest.raises(CheckpointError, match=told):
        build_own(f"{own_file}:{function}", 2, 3, 32)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("nn.Flatten()", "no parameters to train"),
        ("Constant()", "does not depend on its parameters"),
        ("nn.Sequential(nn.Flatten(), nn.Linear(3072, 2).requires_grad_(False))", "no parameters to train"),
    ],
)
def test_a_network_that_cannot_learn_is_told(tmp_path: Path, body: str, told: str) -> None:
    path = tmp_path / "net.py"
    path.write_text(f"""
import torch
from torch import nn

class Constant(nn.Linear):
    def __init__(self):
        super().__init__(2, 2)

    def forward(self, images):
        return torch.zeros(len(images), 2)

def build(classes):
    return {body}
""")
    with pytest.raises(CheckpointError, match=told):
        build_own(f"{path}:build", 2, 3, 32)


def test_a_syntax_error_names_file_and_kind(tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    path.write_text("def build(:\n")
    with pytest.raises(CheckpointError, match=r"net\.py: SyntaxError"):
        build_own(f"{path}:build", 2, 3, 32)
