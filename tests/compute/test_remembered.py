import copy
import math
import time
from collections.abc import Collection
from pathlib import Path

import pytest
import torch

from edgekd.compute.choosing import choose_format
from edgekd.compute.formats import FEW
from edgekd.compute.remembered import NAME, key_of, recall, remember
from edgekd.config import Machine
from edgekd.data.batch import Batch
from edgekd.errors import CheckpointError
from edgekd.methods.contract import Side
from edgekd.methods.kd import Kd, Options
from edgekd.models.network import Network
from edgekd.models.outputs import Output
from edgekd.objectives.distillation import Distillation
from edgekd.report import Silent
from edgekd.teachers.teacher import Live


class Silence:
    """A teacher without a network, as a cache is."""

    side = Side(2, frozenset({"logits"}))

    def giving(self, needs: Collection[str]) -> "Silence":
        return self

    def __call__(self, batch: Batch) -> Output:
        return Output(logits=torch.zeros(len(batch), 2))


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGEKD_CACHE", str(tmp_path))
    return tmp_path


def test_a_choice_is_remembered_and_not_measured_again(
    network: Network, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def step(each: Batch) -> torch.Tensor:
        return network(each.canvas).float().logsumexp(1).mean().detach()

    def once(each: Batch) -> torch.Tensor:
        assert len(each) <= FEW, "measured again"
        return step(each)

    monkeypatch.setattr("edgekd.compute.choosing.STEADY", math.inf)
    first, second = Silent(), Silent()
    chosen = choose_format(Machine(precision="fp32"), network, batch, step, first)
    assert choose_format(Machine(precision="fp32"), network, batch, once, second) == chosen
    assert "trial" in first.notes[0] and "earlier trial" in second.notes[0]


def test_a_trial_on_a_busy_machine_is_not_remembered(
    network: Network, batch: Batch, monkeypatch: pytest.MonkeyPatch, place: Path
) -> None:
    def step(each: Batch) -> torch.Tensor:
        return network(each.canvas).float().logsumexp(1).mean().detach()

    monkeypatch.setattr("edgekd.compute.choosing.STEADY", 0.0)
    monkeypatch.setattr("edgekd.compute.choosing.BEATEN", math.inf)
    choose_format(Machine(precision="fp32"), network, batch, step, Silent())
    assert not (place / NAME).exists()


def test_a_choice_that_hung_on_the_loss_is_not_remembered(
    network: Network, batch: Batch, monkeypatch: pytest.MonkeyPatch, place: Path
) -> None:
    def step(each: Batch) -> torch.Tensor:
        is_wrong = torch.is_autocast_enabled("cpu")
        began = time.thread_time()
        while not is_wrong and time.thread_time() - began < 0.02:
            pass
        return torch.tensor(100.0 if is_wrong else 1.0)

    monkeypatch.setattr("edgekd.compute.choosing.STEADY", math.inf)
    assert choose_format(Machine(memory_format="channels-last"), network, batch, step, Silent()).precision == "fp32"
    assert not (place / NAME).exists()


def test_a_live_teacher_is_part_of_the_key(network: Network, batch: Batch) -> None:
    asked = ("auto", "auto")
    objectives = [
        Distillation(network, teacher, Kd(Options())) for teacher in (Live(copy.deepcopy(network)), Silence())
    ]
    assert len({key_of(each, batch, asked) for each in objectives}) == 2


def test_another_batch_or_question_has_its_own_key(network: Network, batch: Batch) -> None:
    keys = {key_of(network, each, asked) for each in (batch, batch.first(2)) for asked in (("auto",), ("fp32",))}
    assert len(keys) == 4


@pytest.mark.parametrize("content", ["", "[]", '{"k": 3}', "{", '{"j": {"turn": "x"}}'])
def test_a_damaged_memory_is_no_memory(place: Path, content: str) -> None:
    (place / NAME).write_text(content)
    assert recall("k") is None
    remember("k", {"precision": "fp32"})
    assert recall("k") == {"precision": "fp32", "turn": 1}


@pytest.mark.parametrize("entry", [{}, {"precision": "fp8"}, {"precision": 3, "memory_format": []}])
def test_an_entry_that_says_nothing_is_measured_anew(network: Network, batch: Batch, entry: dict[str, object]) -> None:
    network.train()
    key = key_of(network, batch, ("fp32", "auto"))
    remember(key, entry)
    report = Silent()
    choose_format(Machine(precision="fp32"), network, batch, lambda each: network(each.canvas).mean().detach(), report)
    assert "trial:" in report.notes[0]


def test_a_remembered_format_that_computes_something_else_now_is_not_taken(network: Network, batch: Batch) -> None:
    network.train()

    def step(each: Batch) -> torch.Tensor:
        is_wrong = torch.is_autocast_enabled("cpu")
        return torch.tensor(100.0 if is_wrong else 1.0)

    config = Machine(memory_format="channels-last")
    remember(key_of(network, batch, ("auto", "channels-last")), {"precision": "bf16", "memory_format": "channels-last"})
    assert choose_format(config, network, batch, step, Silent()).precision == "fp32"


def test_a_network_that_gives_no_numbers_is_told(network: Network, batch: Batch) -> None:
    for config in (Machine(), Machine(precision="fp32", memory_format="channels-last")):
        with pytest.raises(CheckpointError, match="gives nan before anything is trained"):
            choose_format(config, network, batch, lambda each: torch.tensor(math.nan), Silent())


def test_a_place_that_cannot_be_written_does_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEKD_CACHE", "/dev/null/nowhere")
    remember("k", {"precision": "fp32"})
    assert recall("k") is None


def test_the_oldest_make_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgekd.compute.remembered.MOST", 3)
    for number in range(6):
        remember(str(number), {"precision": "fp32"})
    assert recall("0") is None and recall("5") is not None
