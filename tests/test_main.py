"""Signals from the first line of a process on."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgekd.cli import app

STAND_IN = """
import os, signal
os.kill(os.getpid(), signal.{name})
raise AssertionError("a signal was lost")
"""
SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]


def run_edgekd(*arguments: object, before: str = "", place: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = f"{before}exec {sys.executable} -m edgekd {' '.join(map(str, arguments))}"
    path = os.pathsep.join(map(str, filter(None, [place, Path(app.__file__).parents[2]])))
    return subprocess.run(
        ["bash", "-c", command], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, cwd=place
    )


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_a_signal_during_the_imports_ends_in_words(tmp_path: Path, number: signal.Signals, code: int) -> None:
    # the first import of start-up, in whose place the signal comes
    (tmp_path / "typer.py").write_text(STAND_IN.format(name=number.name))
    done = run_edgekd("devices", place=tmp_path)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr == "error: interrupted\n  try: call the same command again\n"


def test_what_the_shell_has_ignored_stays_ignored(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text(STAND_IN.format(name="SIGINT"))
    done = run_edgekd("devices", before="trap '' INT; ", place=tmp_path)
    assert "a signal was lost" in done.stderr


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_a_signal_while_options_are_read_has_its_own_code(
    cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, number: signal.Signals, code: int
) -> None:
    monkeypatch.setattr(app.options, "build", lambda *_: os.kill(os.getpid(), number))
    assert cli("devices").code == code


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_a_signal_that_the_parser_meets_has_its_own_code(
    cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, number: signal.Signals, code: int
) -> None:
    monkeypatch.setattr(app, "_carry_out", lambda *_: os.kill(os.getpid(), number))
    called = cli("devices")
    assert called.code == code and "Traceback" not in called.err
