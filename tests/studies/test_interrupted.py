"""A study in processes of its own, stopped in every way, against one that was left alone."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from edgekd.errors import CheckpointError
from edgekd.reading import read_json
from edgekd.reporting import documents
from edgekd.reporting.pages import page_of

STUDY = """
question = "Which weight?"
chain = ["train-teacher", "cache-logits", "distill"]
[options.train-teacher]
model = "tiny-cnn"
epochs = 2
batch_size = 9
[options.distill]
student = "custom-student"
epochs = 30
batch_size = 9
[grid]
"distill.alpha" = [0.1, 0.9]
"""
MEASURED = ("train_seconds", "chain_seconds", "peak_rss_mb")
SECONDS = 300


@contextmanager
def begun(place: Path, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "edgekd", "study", "./own.toml", "--seeds", "2", "--threads", "1", *words]
    with subprocess.Popen(command, cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        yield process


def wait_for(place: Path, pattern: str, count: int) -> None:
    until = time.monotonic() + SECONDS
    while len(list((place / "studies").glob(pattern))) < count:
        assert time.monotonic() < until, f"no {count} of {pattern}"
        time.sleep(0.05)


def without_times(facts: dict[str, Any]) -> dict[str, Any]:
    for arm in facts["arms"]:
        for figures in (arm["spread"], *arm["seeds"].values()):
            for name in MEASURED:
                del figures[name]
    return facts


@pytest.mark.slow
def test_a_study_killed_and_interrupted_ends_as_one_left_alone(tmp_path: Path, folder: Path) -> None:
    alone, stopped = tmp_path / "alone", tmp_path / "stopped"
    for place in (alone, stopped):
        place.mkdir()
        (place / "own.toml").write_text(STUDY)
    with begun(alone, "--data", str(folder)) as process:
        assert process.wait(SECONDS) == 0

    with begun(stopped, "--data", str(folder)) as process:
        wait_for(stopped, "runs/custom-student-*/last", 1)
        process.kill()
    with begun(stopped, "--data", str(folder)) as process:
        wait_for(stopped, "steps/*.json", 3)
        wait_for(stopped, "runs/custom-student-*", 2)
        process.send_signal(signal.SIGINT)
        assert process.wait(SECONDS) == 130
        assert process.stderr is not None and b"the same command goes on" in process.stderr.read()
    with begun(stopped, "--data", str(folder), "--jobs", "2") as process:
        assert process.wait(SECONDS) == 0

    files = [place / "studies" / "own" / "study.json" for place in (alone, stopped)]
    first, second = (without_times(read_json(file, CheckpointError)) for file in files)
    assert json.dumps(second, sort_keys=True) == json.dumps(first, sort_keys=True)
    assert documents.markdown(page_of(second, files[1])) == documents.markdown(page_of(first, files[0]))
    assert len(list((stopped / "studies" / "runs").iterdir())) == 1 + 4
