"""The user's own file: what it may look like, when it runs, and how its errors are told."""

import py_compile
from pathlib import Path

import pytest
from torch import nn

from edgekd.config import Predict, TrainTeacher
from edgekd.errors import CheckpointError, UsageError
from edgekd.models.ownfile import build_own, own_sum


def made(name: str, *sizes: int) -> nn.Module:
    """The network of a file that the command names."""
    path = Path(name.rsplit(":", 1)[0])
    code = TrainTeacher(model=name)
    return build_own(name, own_sum(name) if path.is_file() else None, code, sizes)


def test_a_function_gets_the_arguments_it_names(own_file: Path) -> None:
    net = made(f"{own_file}:build", 5, 1, 28)
    assert [tuple(each.shape) for each in net.parameters()] == [(8, 1, 3, 3), (8,), (5, 8 * 26 * 26), (5,)]


def test_a_function_of_one_other_argument_gets_the_classes(own_file: Path) -> None:
    net = made(f"{own_file}:only_classes", 4, 3, 32)
    assert list(net.parameters())[-1].shape == (4,)


def test_a_missing_file_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        made(f"{tmp_path}/gone.py:build", 2, 3, 32)


def test_a_missing_function_is_answered_with_the_nearest(own_file: Path) -> None:
    with pytest.raises(UsageError) as error:
        made(f"{own_file}:bild", 2, 3, 32)
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
        made(f"{own_file}:{function}", 2, 3, 32)


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
        made(f"{path}:build", 2, 3, 32)


def test_a_syntax_error_names_file_and_kind(tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    path.write_text("def build(:\n")
    with pytest.raises(CheckpointError, match=r"net\.py: SyntaxError"):
        made(f"{path}:build", 2, 3, 32)


MARKED = """
from pathlib import Path
from torch import nn
Path(__file__).with_name("ran").touch()

def build(classes):
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, classes))
"""


@pytest.fixture
def marked(tmp_path: Path) -> Path:
    """A file that leaves a mark when it runs."""
    path = tmp_path / "marked.py"
    path.write_text(MARKED)
    return path


@pytest.mark.parametrize(
    ("recorded", "trusts", "told"),
    [("same", False, "the command does not"), (None, True, "no hash"), ("0" * 64, True, "has changed")],
)
def test_a_file_that_is_not_named_or_not_the_recorded_one_never_runs(
    marked: Path, recorded: str | None, trusts: bool, told: str
) -> None:
    name = f"{marked}:build"
    known = own_sum(name) if recorded == "same" else recorded
    with pytest.raises(CheckpointError, match=told):
        build_own(name, known, Predict(model="run", images=(marked,), trust_code=trusts), (2, 3, 32))
    assert not marked.with_name("ran").exists()


def test_a_trusted_file_runs_when_it_is_the_recorded_one(marked: Path) -> None:
    name = f"{marked}:build"
    build_own(name, own_sum(name), Predict(model="run", images=(marked,), trust_code=True), (2, 3, 32))
    assert marked.with_name("ran").exists()


def test_bytes_that_python_keeps_beside_the_file_do_not_run(marked: Path) -> None:
    name, innocent = f"{marked}:build", marked.read_text()
    marked.write_text("raise SystemExit('another program')\n")
    py_compile.compile(str(marked), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    marked.write_text(innocent)
    assert isinstance(made(name, 2, 3, 32), nn.Module)


@pytest.mark.parametrize("body", ["import sys; sys.exit(3)", "def build(classes): raise SystemExit"])
def test_a_file_that_ends_the_program_is_told(tmp_path: Path, body: str) -> None:
    path = tmp_path / "net.py"
    path.write_text(body)
    with pytest.raises(CheckpointError, match=r"net\.py.*SystemExit at line 1"):
        made(f"{path}:build", 2, 3, 32)
