"""Real commands on tiny images."""

from pathlib import Path
from typing import Any

import pytest

STUDY = """
question = "Which rate?"
chain = ["train-teacher"]
baseline = "lr 0.01"
[options.train-teacher]
model = "custom-student"
epochs = 1
batch_size = 9
[grid]
"train-teacher.lr" = [0.01, 0.1]
"""


def test_a_study_is_carried_out_once_and_resumed_from_what_is_there(cli: Any, tmp_path: Path, folder: Path) -> None:
    (tmp_path / "own.toml").write_text(STUDY)
    words = ("study", "./own.toml", "--data", folder, "--seeds", 1, "--threads", 1, "--json")
    planned = cli(*words, "--dry-run")
    assert (planned.code, planned.json["to_do"]) == (0, 2)
    assert not (tmp_path / "studies").exists()
    # killed before it had a manifest
    words_of_first = planned.json["commands"][0].split()
    begun = tmp_path / "studies" / "runs" / words_of_first[words_of_first.index("--name") + 1]
    begun.mkdir(parents=True)
    (begun / "metrics.jsonl").touch()

    done = cli(*words)
    assert done.code == 0, done.err
    assert [each["name"] for each in done.json["arms"]] == ["lr 0.01", "lr 0.1"]
    assert [each["n"] for each in done.json["differences"]] == [1]
    runs = sorted((tmp_path / "studies" / "runs").iterdir())
    assert len(runs) == 2
    assert all((each / "model.safetensors").is_file() for each in runs)

    before = [(each / "manifest.json").stat().st_mtime_ns for each in runs]
    again = cli(*words)
    assert again.json == done.json
    assert [(each / "manifest.json").stat().st_mtime_ns for each in runs] == before


def test_a_failed_arm_is_told_and_the_time_limit_is_kept(cli: Any, tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(STUDY)
    cut = cli("study", "./own.toml", "--data", "shapes", "--seeds", 1, "--time-limit", "0.01s", "--json")
    assert cut.code == 0
    assert cut.json["is_complete"] is False
    assert all(not each["seeds"] for each in cut.json["arms"])


@pytest.mark.slow
def test_the_whole_chain_with_a_failing_arm(cli: Any, tmp_path: Path, folder: Path) -> None:
    text = STUDY.replace('chain = ["train-teacher"]', 'chain = ["train-teacher", "cache-logits", "distill", "export"]')
    text = text.replace('"train-teacher.lr" = [0.01, 0.1]', '"distill.student" = ["tiny-cnn", "no-such-net"]')
    text = text.replace("lr 0.01", "student tiny-cnn") + "[options.distill]\nepochs = 1\nbatch_size = 9\n"
    (tmp_path / "own.toml").write_text(text)
    done = cli("study", "./own.toml", "--data", folder, "--seeds", 1, "--threads", 1, "--jobs", 2, "--json")
    good, bad = done.json["arms"]
    assert good["spread"]["file_bytes"]["mean"] > 1000
    assert "no-such-net: no such model" in bad["failures"]["0"]
    assert done.json["is_complete"] is False
    assert done.code == 5
