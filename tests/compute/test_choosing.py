"""Formats and threads chosen by trials, on idle and on busy machines."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from edgekd.compute.choosing import choose_format, choose_threads
from edgekd.compute.formats import Format
from edgekd.compute.load import Watch
from edgekd.config import Machine
from edgekd.data.batch import Batch
from edgekd.models.network import Network
from edgekd.report import Silent


def step_of(network: Network):  # noqa: ANN201
    def step(batch: Batch) -> torch.Tensor:
        loss = network(batch.canvas).float().logsumexp(1).mean()
        loss.backward()
        return loss.detach()

    return step


def test_what_is_asked_for_is_not_measured(network: Network, batch: Batch) -> None:
    report = Silent()
    config = Machine(precision="bf16", memory_format="channels-first")
    assert choose_format(config, network, batch, step_of(network), report) == Format("bf16", "channels-first")
    assert report.notes == []


def test_an_open_format_is_measured_and_told(network: Network, batch: Batch) -> None:
    report = Silent()
    form = choose_format(Machine(precision="fp32"), network, batch, step_of(network), report)
    assert form.precision == "fp32" and "images per second" in report.notes[0]


def test_a_format_that_computes_something_else_is_not_taken(network: Network, batch: Batch) -> None:
    def step(each: Batch) -> torch.Tensor:
        wrong = torch.is_autocast_enabled("cpu")
        return network(each.canvas).detach().sum().float() * 0 + (100.0 if wrong else 1.0)

    config = Machine(memory_format="channels-last")
    assert choose_format(config, network, batch, step, Silent()).precision == "fp32"


@pytest.fixture
def processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """A function that makes this a processor with these features."""

    def make(features: str) -> None:
        (tmp_path / "proc").mkdir()
        (tmp_path / "proc" / "cpuinfo").write_text(f"flags : {features}\n")
        monkeypatch.setenv("EDGEKD_SYSROOT", str(tmp_path))
        monkeypatch.setenv("EDGEKD_CACHE", str(tmp_path / "cache"))

    return make


def burning(milliseconds: dict[str, float]) -> Callable[[Batch], torch.Tensor]:
    """A step that takes so much of its thread's time in fp32 and bf16."""

    def step(each: Batch) -> torch.Tensor:
        spent = milliseconds["bf16" if torch.is_autocast_enabled("cpu") else "fp32"] / 1000
        began = time.thread_time()
        while time.thread_time() - began < spent:
            pass
        return torch.tensor(1.0)

    return step


LAST = Machine(memory_format="channels-last")


@pytest.mark.parametrize(("bf16", "best"), [(2, "bf16"), (6, "fp32")])
def test_a_busy_machine_does_not_change_the_choice(
    network: Network, batch: Batch, processor: Callable[[str], None], bf16: float, best: str
) -> None:
    processor("avx2 avx512f avx512_bf16")
    report, others = Silent(), []
    try:
        others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2 * Watch().cores)]
        chosen = choose_format(LAST, network, batch, burning({"fp32": 4, "bf16": bf16}), report)
    finally:
        for each in others:
            each.kill()
            each.wait()
    assert chosen.precision == best
    assert any(note.startswith("the machine is busy: other work takes about ") for note in report.notes)


@pytest.mark.parametrize(
    ("features", "best"), [("avx2 avx512_bf16", "bf16"), ("avx2 amx_bf16", "bf16"), ("avx2", "fp32"), ("", "fp32")]
)
def test_near_a_tie_the_processor_s_instructions_decide(
    network: Network, batch: Batch, processor: Callable[[str], None], features: str, best: str
) -> None:
    processor(features)
    assert choose_format(LAST, network, batch, burning({"fp32": 4, "bf16": 4}), Silent()).precision == best


def test_without_instructions_bf16_is_not_tried(
    network: Network, batch: Batch, processor: Callable[[str], None]
) -> None:
    processor("avx2 avx512f")
    report = Silent()
    choose_format(Machine(), network, batch, burning({"fp32": 1, "bf16": 0}), report)
    assert "fp32 channels-first" in report.notes[0] and "bf16" not in report.notes[0]


def test_a_trial_leaves_the_threads_as_they_were(network: Network, batch: Batch) -> None:
    before, counts = torch.get_num_threads(), []

    def step(each: Batch) -> torch.Tensor:
        counts.append(torch.get_num_threads())
        return torch.tensor(1.0)

    torch.set_num_threads(3)
    choose_format(Machine(precision="fp32"), network, batch, step, Silent())
    first_look = counts.count(3)
    assert torch.get_num_threads() == 3 and set(counts[:first_look]) == {3} and set(counts[first_look:]) == {1}
    torch.set_num_threads(before)


@pytest.fixture
def eight_threads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("EDGEKD_CACHE", str(tmp_path))
    before = torch.get_num_threads()
    torch.set_num_threads(8)
    monkeypatch.setattr(Watch, "free_cores", lambda self: float(self.cores))
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("eight_threads")
@pytest.mark.parametrize(
    ("milliseconds", "best"),
    [({8: 9, 4: 6, 2: 3, 1: 6}, 2), ({8: 5, 4: 5, 2: 1, 1: 1}, 8), ({8: 9, 4: 6, 2: 4, 1: 2}, 1)],
)
def test_fewer_threads_are_taken_while_they_are_faster(
    network: Network, batch: Batch, milliseconds: dict[int, int], best: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def step(each: Batch) -> torch.Tensor:
        calls.append(torch.get_num_threads())
        time.sleep(milliseconds[calls[-1]] / 1000)
        return torch.tensor(0.0)

    monkeypatch.setattr("edgekd.compute.choosing.STEADY", 3.0)
    report = Silent()
    assert choose_threads(Format(), network, batch, step, report) == torch.get_num_threads() == best
    assert report.notes == ([f"threads: {best} of 8 (faster in a trial)"] if best < 8 else [])
    assert set(calls) == set(milliseconds) - ({1, 2} if best == 8 else set())
    # remembered
    calls.clear()
    torch.set_num_threads(8)
    assert choose_threads(Format(), network, batch, step, report) == torch.get_num_threads() == best
    assert not calls


@pytest.mark.usefixtures("eight_threads")
def test_one_slow_round_is_enough_to_stay_with_all_threads(network: Network, batch: Batch) -> None:
    calls = []

    def step(each: Batch) -> torch.Tensor:
        calls.append(torch.get_num_threads())
        time.sleep(0.002 if calls[-1] == 4 and calls.count(4) <= 8 else 0.006)
        return torch.tensor(0.0)

    assert choose_threads(Format(), network, batch, step, Silent()) == 8
    assert 8 < calls.count(4) <= 16


@pytest.mark.usefixtures("eight_threads")
def test_on_a_busy_machine_all_threads_are_taken(network: Network, batch: Batch) -> None:
    calls = []

    def step(each: Batch) -> torch.Tensor:
        calls.append(torch.get_num_threads())
        slower = 3 if calls.count(4) > 8 else 1
        time.sleep(slower * (0.002 if calls[-1] == 4 else 0.006))
        return torch.tensor(0.0)

    assert choose_threads(Format(), network, batch, step, Silent()) == 8
    assert calls.count(4) > 8


@pytest.mark.usefixtures("eight_threads")
def test_beside_other_work_no_thread_is_left_out(
    network: Network, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def step(each: Batch) -> torch.Tensor:
        time.sleep(torch.get_num_threads() / 1000)
        return torch.tensor(0.0)

    monkeypatch.setattr(Watch, "free_cores", lambda self: 0.5 * self.cores)
    assert choose_threads(Format(), network, batch, step, Silent()) == 8
    monkeypatch.setattr(Watch, "free_cores", lambda self: None)
    assert choose_threads(Format(), network, batch, step, Silent()) == 8
    monkeypatch.setattr(Watch, "free_cores", lambda self: float(self.cores))
    assert choose_threads(Format(), network, batch, step, Silent()) < 8


def test_own_work_does_not_make_a_machine_busy() -> None:
    watch = Watch()
    began = time.process_time()
    while time.process_time() - began < 0.2:
        pass
    free = watch.free_cores()
    assert free is None or 0 < free <= watch.cores
