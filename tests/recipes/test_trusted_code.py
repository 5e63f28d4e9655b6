"""A run or a file of options never runs code of its own: every command that opens a network is tried."""

from pathlib import Path
from typing import Any

import pytest

from edgekd.cli.app import main
from edgekd.runs import Run, file_sum

OWN_NET = """
from pathlib import Path
from torch import nn
Path(__file__).with_name("ran").touch()

def build(classes):
    return nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, classes))
"""
QUICK = ("--threads", 1, "--precision", "fp32", "--memory-format", "channels-last", "--epochs", 1, "--batch-size", 9)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Path:
    """A working folder with a teacher and a student of an own file, `net.py`."""
    place = tmp_path_factory.mktemp("trusted")
    (place / "net.py").write_text(OWN_NET)
    net, quick = f"{place}/net.py:build", list(map(str, QUICK))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        assert main(["train-teacher", "--model", net, "--data", str(folder), "--name", "own", *quick, "--quiet"]) == 0
        assert (
            main(["distill", "--student", net, "--teacher", net, "--live", "--name", "pupil", *quick, "--quiet"]) == 0
        )
    return place


@pytest.fixture
def net(cli: Any, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file as the runs record it, but never run before in this process."""
    monkeypatch.chdir(made)
    (made / "ran").unlink(missing_ok=True)
    path = made / "net.py"
    path.write_text(f"{OWN_NET}# {tmp_path}\n")
    for name in ("own", "pupil"):
        model = Run(made / "runs" / name).manifest()["model"]
        Run(made / "runs" / name).update(model=model | {"code": file_sum(path)}, status="finished")
    return path


OPENING = [
    ("predict", "own", "DATA"),
    ("evaluate", "own"),
    ("export", "own"),
    ("finetune", "own"),
    ("cache-logits", "--teacher", "own", "--overwrite"),
    ("distill", "--teacher", "own", "--live", "--name", "x"),
    pytest.param(("distill", "--teacher", "own", "--dry-run"), marks=pytest.mark.slow),
    ("distill", "--name", "pupil", "--resume"),
    ("train-teacher", "--name", "own", "--resume"),
    ("train-teacher", "--config", "runs/own/manifest.json", "--name", "x"),
]


@pytest.mark.parametrize("command", OPENING, ids=lambda command: "-".join(command[:3]))
def test_no_command_runs_the_code_that_a_run_names(cli: Any, net: Path, folder: Path, command: tuple[str, ...]) -> None:
    if "--resume" in command:
        Run(Path("runs") / command[2]).update(status="interrupted")
    called = cli(*[str(folder) if each == "DATA" else each for each in command], "--quiet")
    assert (called.code, "its code is not run" in called.err) == (3, True), called.err
    assert not net.with_name("ran").exists()


def test_with_trust_the_recorded_code_runs(cli: Any, net: Path) -> None:
    assert cli("evaluate", "own", "--trust-code", "--quiet").code == 0
    assert net.with_name("ran").exists()


def test_trust_does_not_cover_a_file_that_has_changed(cli: Any, net: Path) -> None:
    net.write_text(OWN_NET + "# a third version\n")
    called = cli("evaluate", "own", "--trust-code", "--quiet")
    assert called.code == 3 and "has changed" in called.err and not net.with_name("ran").exists()


def test_a_training_goes_on_only_with_the_code_it_began_with(cli: Any, net: Path) -> None:
    Run(Path("runs/own")).update(status="interrupted")
    net.write_text(OWN_NET + "# a third version\n")
    called = cli("train-teacher", "--model", f"{net}:build", "--name", "own", "--resume", "--quiet")
    assert called.code == 3 and "not the code" in called.err and not net.with_name("ran").exists()
