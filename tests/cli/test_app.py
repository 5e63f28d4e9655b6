import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from edgekd import __version__
from edgekd.cli.commands import COMMANDS

TRAIN = [
    "train-teacher",
    "--model",
    "custom-student",
    "--threads",
    "1",
    "--precision",
    "fp32",
    "--memory-format",
    "channels-last",
]


def start(*arguments: object, cwd: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "edgekd", *map(str, arguments)]
    return subprocess.Popen(command, cwd=cwd, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def wait_for(path: Path, lines: int) -> None:
    for _ in range(600):
        if path.is_file() and len(path.read_text().splitlines()) >= lines:
            return
        time.sleep(0.1)
    pytest.fail(f"{path} never had {lines} lines")


def test_the_version_is_told(cli: Any) -> None:
    assert cli("--version").out.strip() == f"edgekd {__version__}"


def test_help_names_every_command(cli: Any) -> None:
    called = cli("--help")
    assert called.code == 0 and all(name in called.out for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(cli: Any, name: str) -> None:
    called = cli(name, "--help")
    assert called.code == 0 and COMMANDS[name].text in called.out and "--json" in called.out


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_the_state_and_resume_ends_with_the_same_weights(
    tmp_path: Path, folder: Path, number: int, code: int
) -> None:
    options = [*TRAIN, "--data", folder, "--batch-size", 3, "--epochs", 40]
    running = start(*options, "--name", "cut", cwd=tmp_path)
    wait_for(tmp_path / "runs" / "cut" / "metrics.jsonl", 2)
    running.send_signal(number)
    _, told = running.communicate(timeout=60)
    assert running.returncode == code and "--resume" in told
    manifest = json.loads((tmp_path / "runs" / "cut" / "manifest.json").read_text())
    assert manifest["status"] == "interrupted"
    for name, extra in (("cut", ["--resume"]), ("whole", [])):
        done = start(*options, "--name", name, *extra, cwd=tmp_path)
        assert done.wait(timeout=120) == 0, done.communicate()
        done.communicate()
    cut, whole = (tmp_path / "runs" / name / "model.safetensors" for name in ("cut", "whole"))
    assert cut.read_bytes() == whole.read_bytes()
    epochs = [
        json.loads(line)["epoch"] for line in (tmp_path / "runs" / "cut" / "metrics.jsonl").read_text().splitlines()
    ]
    assert epochs == list(range(1, 41))


def test_a_signal_waits_for_an_import() -> None:
    text = """
import os, signal
from edgekd.writing import undisturbed
try:
    with undisturbed():
        os.kill(os.getpid(), signal.SIGINT)
        print("whole")
except KeyboardInterrupt:
    print("interrupted")
"""
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["whole", "interrupted"]


def test_standard_output_may_be_closed(tmp_path: Path) -> None:
    done = subprocess.run(
        f"exec {sys.executable} -m edgekd devices >&-", shell=True, cwd=tmp_path, capture_output=True, text=True
    )
    assert "Traceback" not in done.stderr, done.stderr


def test_resume_refuses_another_recipe(cli: Any, folder: Path, quick: Any) -> None:
    options = ("train-teacher", "--model", "tiny-cnn", "--data", folder, *quick, "--name", "x")
    assert cli(*options).code == 0
    called = cli(*options, "--resume", "--lr", 3)
    assert called.code == 2 and "--lr is 3.0 here" in called.err
    assert cli(*options, "--resume").code == 0


def test_a_reader_that_leaves_early_is_no_error(tmp_path: Path) -> None:
    command = f"{sys.executable} -m edgekd devices | head -1 > /dev/null; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and "Traceback" not in done.stderr


def test_a_bug_keeps_its_traceback(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgekd.recipes.devices.run", lambda *_: 1 // 0, raising=False)
    with pytest.raises(ZeroDivisionError):
        cli("devices")


BLOCKED = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "torchvision", "timm", "onnx", "safetensors"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocked())
from edgekd.cli.app import main
sys.exit(main(sys.argv[1:]))
"""


def test_without_torch_training_says_what_to_install(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED, "train-teacher"], cwd=tmp_path, capture_output=True, text=True, env=os.environ
    )
    assert done.returncode == 4 and "pip install 'edgekd[train]'" in done.stderr and "Traceback" not in done.stderr


def test_without_torch_profile_evaluate_and_predict_work(workplace: Path, folder: Path) -> None:
    file = next((workplace / "runs").glob("*/model.onnx"))
    image = next((folder / "test" / "disc").iterdir())
    for arguments in (
        ["profile", file, "--device", "raspberry-pi-4", "--duration", "0.2", "--warmup", "0"],
        ["evaluate", file, "--data", folder],
        ["predict", file, image],
    ):
        command = [sys.executable, "-c", BLOCKED, *map(str, arguments)]
        done = subprocess.run(command, cwd=workplace, capture_output=True, text=True, env=os.environ)
        assert done.returncode == 0, (arguments, done.stderr)


@pytest.mark.parametrize(
    ("arguments", "problem", "hint"),
    [
        ((), "no command is given", "train-teacher"),
        (("train-teachr",), "train-teachr: no such command", "nearest: train-teacher"),
        (("--bogus",), "--bogus: no such option of edgekd", "edgekd --help"),
        (("distill", "--epoch", 3), "--epoch: no such option of edgekd distill", "--epochs"),
        (("distill", "--epochs", "x"), "--epochs x: not a whole number", "edgekd distill --help"),
        (("distill", "--alpha", "x"), "--alpha x: not a number", "edgekd distill --help"),
        (("distill", "--precision", "fp4"), "--precision fp4: no such choice", "auto, fp32, bf16, fp16, fp8"),
        (("export", "a", "b"), "b: more arguments than edgekd export takes", "edgekd export --help"),
        (("distill", "--epochs"), "--epochs: its value is missing", "--help"),
    ],
)
def test_bad_usage_ends_in_two_plain_lines(cli: Any, arguments: tuple[object, ...], problem: str, hint: str) -> None:
    called = cli(*arguments)
    lines = called.err.splitlines()
    assert called.code == 2 and len(lines) == 2 and called.out == ""
    assert lines[0] == f"error: {problem}" and lines[1].startswith("  try: ") and hint in lines[1]
    assert "COMMAND" not in called.err and "Usage" not in called.err


@pytest.mark.parametrize("text", ["0", "-3", "wide", ""])
def test_columns_that_are_no_width_are_ignored(cli: Any, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("COLUMNS", text)
    assert "raspberry-pi-4" in cli("devices").out
    assert "error: x: no such command" in cli("x").err


full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")


@full
@pytest.mark.parametrize("arguments", [["devices", "--json"], ["devices"], ["--version"]])
def test_a_full_standard_output_is_bad_input(tmp_path: Path, arguments: list[str]) -> None:
    with Path("/dev/full").open("w") as stdout:
        command = [sys.executable, "-m", "edgekd", *arguments]
        done = subprocess.run(command, cwd=tmp_path, stdout=stdout, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 3 and "No space left" in done.stderr and len(done.stderr.splitlines()) == 2


@full
def test_a_full_standard_error_does_not_end_the_work(tmp_path: Path, folder: Path, quick: Any) -> None:
    arguments = ["train-teacher", "--model", "tiny-cnn", "--data", folder, *quick, "--name", "x", "--json"]
    with Path("/dev/full").open("w") as stderr:
        command = [sys.executable, "-m", "edgekd", *map(str, arguments)]
        done = subprocess.run(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=stderr, text=True)
    assert done.returncode == 0 and json.loads(done.stdout)["run"] == "runs/x"
    assert json.loads((tmp_path / "runs/x/manifest.json").read_text())["status"] == "finished"
