"""Checkpoint files as training scripts write them, and as somebody writes them who means harm."""

import argparse
import os
import zipfile
from collections import OrderedDict, defaultdict
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgekd.models.checkpoints import read_tensors

State = dict[str, Tensor]


class Settings(dict[str, object]):
    """A library's own kind of dictionary."""


class Call:
    """An object that is pickled as the call of a function."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Any, tuple[object, ...]]:
        return self.call


@pytest.fixture
def state() -> State:
    torch.manual_seed(0)
    return {"conv.weight": torch.randn(4, 3, 3, 3), "head.bias": torch.arange(3.0), "n": torch.tensor(7)}


def nested(count: int) -> dict[str, Any]:
    """A mapping that holds its inner one twice, 2 ** count times in all."""
    inner: dict[str, Any] = {}
    for _ in range(count):
        inner = {"a": inner, "b": inner}
    return inner


BESIDE = {
    "namespace": argparse.Namespace(lr=0.1, model="tiny-cnn"),
    "scalar": np.float64(0.9),
    "array": np.arange(3),
    "path": Path("x"),
    "dtype": torch.float32,
    "size": torch.Size([1, 2]),
    "device": torch.device("cpu"),
    "defaultdict": defaultdict(list, {"a": [1]}),
    "settings": Settings(lr=0.1),
    "set": {1, 2},
    "module": nn.Linear(2, 2),
    "function": os.path.join,
    "type": Path,
    "range": range(3),
    "slice": slice(1),
    "nested": nested(40),
    "parameter": {"w": nn.Parameter(torch.ones(2))},
}


@pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "old"])
@pytest.mark.parametrize("kind", BESIDE)
def test_what_stands_beside_the_weights_is_passed_over(tmp_path: Path, state: State, kind: str, is_zip: bool) -> None:
    path = tmp_path / "w.pth"
    saved = {"before": BESIDE[kind], "model": state, "after": BESIDE[kind]}
    torch.save(saved, path, _use_new_zipfile_serialization=is_zip)
    found = read_tensors(path)
    assert {f"model.{name}" for name in state} <= found.keys()
    assert all(torch.equal(found[f"model.{name}"], value) for name, value in state.items())


def test_weights_in_a_dictionary_of_another_kind_are_found(tmp_path: Path, state: State) -> None:
    torch.save(Settings(state), tmp_path / "w.pth")
    found = read_tensors(tmp_path / "w.pth")
    assert found.keys() == state.keys() and torch.equal(found["conv.weight"], state["conv.weight"])


def test_parameters_lose_their_history_but_no_value(tmp_path: Path) -> None:
    network = nn.Linear(3, 2)
    torch.save(OrderedDict(a=network.weight, args=argparse.Namespace()), tmp_path / "w.pth")
    assert torch.equal(read_tensors(tmp_path / "w.pth")["a"], network.weight)


def mark(path: Path) -> list[Call]:
    """Calls that would leave a file at `path`."""
    return [
        Call(os.system, f"touch {path}"),
        Call(eval, f"open({str(path)!r}, 'w')"),
        Call(getattr, Call(__import__, "os"), "system"),
        Call(torch.load, str(path)),
        Call(path.touch),
    ]


@pytest.mark.parametrize("number", range(5))
@pytest.mark.parametrize("is_zip", [True, False], ids=["zip", "old"])
def test_nothing_that_a_file_names_is_called(tmp_path: Path, state: State, number: int, is_zip: bool) -> None:
    path = tmp_path / "w.pth"
    torch.save({"evil": mark(tmp_path / "called")[number], **state}, path, _use_new_zipfile_serialization=is_zip)
    assert state.keys() <= read_tensors(path).keys()
    assert not (tmp_path / "called").exists()


def test_what_makes_tensors_cannot_be_changed_by_a_file(tmp_path: Path, state: State) -> None:
    """A pickle may set attributes of an object it was given, also of a function or a class."""
    path, changed = tmp_path / "w.pth", tmp_path / "changed.pth"
    torch.save({"args": argparse.Namespace(), **state}, path)
    function = b"ctorch._utils\n_rebuild_tensor_v2\n(N}\x8c\x0c__defaults__(K\x01tstb0"
    kind = b"ccollections\nOrderedDict\n(N}\x8c\x04keysK\x01stb0"
    for order in (function, kind):
        with zipfile.ZipFile(path) as source, zipfile.ZipFile(changed, "w") as target:
            for name in source.namelist():
                content = source.read(name)
                target.writestr(name, content[:2] + order + content[2:] if name.endswith("data.pkl") else content)
        with suppress(Exception):
            read_tensors(changed)
        assert read_tensors(path).keys() == state.keys()
        assert torch._utils._rebuild_tensor_v2.__defaults__ == (None,) and callable(OrderedDict.keys)


def test_a_program_is_refused(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.trace(nn.Linear(2, 2), torch.zeros(1, 2)), tmp_path / "w.pt")
    with pytest.raises((ValueError, RuntimeError)):
        read_tensors(tmp_path / "w.pt")


def test_a_whole_network_gives_no_tensors(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 2), tmp_path / "w.pt")
    assert read_tensors(tmp_path / "w.pt") == {}


def test_a_mapping_that_holds_itself_ends(tmp_path: Path, state: State) -> None:
    state_and: dict[str, Any] = dict(state)
    state_and["me"] = state_and
    torch.save(state_and, tmp_path / "w.pth")
    assert read_tensors(tmp_path / "w.pth").keys() == state.keys()
