import io
import json
from typing import Any

import pytest

from edgekd.cli.console import Console
from edgekd.errors import CheckFailed
from edgekd.report import Result, Table

TABLE = Table("things", ("name", "count", "share"), [("first", 12_345, 0.123456), ("second", 2, None)])


def test_a_table_is_plain_text_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    Console().result(Result({}, (TABLE,), ("done",)))
    out = capsys.readouterr().out
    assert "\x1b" not in out and "12,345" in out and "0.1235" in out and out.endswith("done\n")


def test_json_is_the_only_thing_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    Console(as_json=True).result(Result({"b": 1, "a": "ü"}, (TABLE,), ("done",)))
    assert json.loads(capsys.readouterr().out) == {"a": "ü", "b": 1}


def test_a_narrow_terminal_gets_one_value_per_line(capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    Console().result(Result({}, (TABLE,)))
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["count", "12,345"] in lines and max(map(len, lines)) == 2


def test_notes_go_to_stderr_and_quiet_drops_them(capsys: pytest.CaptureFixture[str]) -> None:
    for quiet in (False, True):
        console = Console(quiet=quiet)
        console.note("chosen")
        console.warn("careful")
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("chosen") == 1 and captured.err.count("careful") == 2


def test_a_failure_is_two_lines(capsys: pytest.CaptureFixture[str]) -> None:
    Console().failure(CheckFailed("too slow [bold]x[/bold]", "make it faster"))
    assert capsys.readouterr().err == "error: too slow [bold]x[/bold]\n  try: make it faster\n"


@pytest.mark.parametrize("no_color", ["", "1"])
def test_colour_only_on_a_terminal_that_wants_it(monkeypatch: pytest.MonkeyPatch, no_color: str) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setenv("TERM", "xterm-256color")
    Console().warn("careful")
    assert ("\x1b[33m" in stream.getvalue()) == (no_color == "")


def test_a_stage_in_a_pipe_tells_how_far_it_is(capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    monkeypatch.setattr("edgekd.cli.console.SECONDS_BETWEEN_LINES", 0.0)
    with Console().stage("teacher", 10, "images") as progress:
        progress.advance(4)
    assert capsys.readouterr().err.startswith("teacher: 4 of 10 images, about ")


def test_what_was_done_before_does_not_count_as_speed(capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    clock = iter([0.0, 40.0])
    monkeypatch.setattr("edgekd.cli.console.time.monotonic", lambda: next(clock))
    with Console().stage("training", 10, "steps") as progress:
        progress.advance(4, before=True)
        progress.advance(2)
    assert capsys.readouterr().err == "training: 6 of 10 steps, about 80 s left\n"


@pytest.mark.parametrize(("epochs", "first", "lines"), [(40, 1, 40), (308, 1, 40), (308, 300, 2)])
def test_of_a_long_training_some_epochs_are_shown(
    capsys: pytest.CaptureFixture[str], epochs: int, first: int, lines: int
) -> None:
    console = Console()
    for number in range(first, epochs + 1):
        console.epoch({"epoch": number, "epochs": epochs, "loss": 1.0})
    told = capsys.readouterr().err.splitlines()
    notes = [line for line in told if not line.startswith("epoch ")]
    assert notes == (["every 8th epoch is shown; metrics.jsonl in the run's folder has all"] if epochs > 40 else [])
    assert len(told) - len(notes) == lines and told[-1].startswith(f"epoch {epochs}/{epochs}")
