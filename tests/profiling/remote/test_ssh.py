"""Measuring through a real sshd on loopback; its "other machine" has a home folder of its own."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from PIL import Image

from edgekd.config import Profile
from edgekd.errors import CheckpointError, MissingDependency, UsageError
from edgekd.profiling.judge.baseline import read_baseline
from edgekd.profiling.remote.ssh import survey_remotely
from edgekd.profiling.survey import survey
from edgekd.report import Silent
from edgekd.runs import write_json

SSHD = "/usr/sbin/sshd"

pytestmark = pytest.mark.skipif(
    not (Path(SSHD).exists() and shutil.which("ssh") and shutil.which("ssh-keygen")),
    reason="no sshd, ssh or ssh-keygen here (Debian: openssh-server)",
)

SERVER = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
ForceCommand env HOME={folder}/home TMPDIR={folder}/tmp PATH=/usr/bin:/bin sh -c "$SSH_ORIGINAL_COMMAND"
"""

CLIENT = """
Host board
  HostName 127.0.0.1
  Port {port}
  IdentityFile {folder}/user
  IdentitiesOnly yes
  StrictHostKeyChecking no
  UserKnownHostsFile /dev/null
  LogLevel ERROR
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the server's keys, the client's config and the other machine's home."""
    folder = tmp_path_factory.mktemp("ssh")
    port = 20000 + os.getpid() % 20000
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    (folder / "sshd_config").write_text(SERVER.format(port=port, folder=folder))
    (folder / "config").write_text(CLIENT.format(port=port, folder=folder))
    (folder / "tmp").mkdir()
    Path("/run/sshd").mkdir(exist_ok=True)
    process = subprocess.Popen([SSHD, "-D", "-f", folder / "sshd_config", "-E", folder / "log"])
    deadline = time.monotonic() + 10
    while "listening" not in (folder / "log").read_text().lower() if (folder / "log").exists() else True:
        if time.monotonic() > deadline or process.poll() is not None:
            pytest.skip("this user cannot start an sshd on loopback")
        time.sleep(0.05)
    yield folder
    process.terminate()
    process.wait()


@pytest.fixture
def board(server: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The server, with this very environment as the private one of the other machine."""
    private = server / "home" / ".cache" / "edgekd"
    private.mkdir(parents=True, exist_ok=True)
    if not (private / "venv").exists():
        (private / "venv").symlink_to(sys.prefix)
    monkeypatch.setenv("EDGEKD_SSH", f"ssh -F {server / 'config'}")
    return server


def config(*models: Path, on: str = "board", duration: float = 0.1, **options: object) -> Profile:
    return Profile(models=tuple(map(str, models)), on=on, warmup=0.02, duration=duration, **options)


def left_behind(board: Path) -> list[str]:
    """Files and processes of the other machine, once it had time to clean up."""
    deadline = time.monotonic() + 60
    while (found := [*map(str, (board / "tmp").iterdir()), *at_work(board)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def at_work(board: Path) -> list[str]:
    """The processes whose temporary folder is the other machine's."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if f"TMPDIR={board / 'tmp'}".encode() in (place / "environ").read_bytes():
                found.append((place / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return found


def test_a_model_is_measured_over_there(exported: Path, board: Path) -> None:
    report = Silent()
    found = survey_remotely(config(exported, device="raspberry-pi-4"), report)
    (model,) = found["models"]
    assert (found["on"], model["name"], model["path"]) == ("board", "model", str(exported))
    assert model["measurements"][0]["input_source"] == "6 real images"
    assert [check["limit"] for check in model["checks"]] == ["max_latency_ms", "max_rss_mb", "max_size_mb"]
    assert "sending" in report.notes[0] and "measuring model" in report.notes[1]
    assert left_behind(board) == []


def test_a_baseline_s_model_travels_too(exported: Path, board: Path, tmp_path: Path) -> None:
    base = tmp_path / "base.json"
    write_json(base, survey(Profile(models=(str(exported),), warmup=0.02, duration=0.1), Silent()))
    other = tmp_path / "other.onnx"
    other.write_bytes(exported.read_bytes() + b"\x12\x01x")
    found = survey_remotely(config(other, baseline=base), Silent())
    assert [change["paired"] for change in found["changes"] if "latency" in change["what"]] == [True]
    assert read_baseline(base)["models"][0]["path"] == str(exported)


def test_its_errors_come_back(exported: Path, board: Path) -> None:
    content = exported.read_bytes()
    exported.write_bytes(content.replace(b"GlobalAveragePool", b"GlobalAveragePoo1"))
    with pytest.raises(CheckpointError, match="ONNX Runtime .* cannot load it"):
        survey_remotely(config(exported), Silent())
    assert left_behind(board) == []


def test_a_host_without_the_packages_says_what_to_add(exported: Path, board: Path) -> None:
    private = board / "home" / ".cache" / "edgekd" / "venv"
    private.unlink()
    try:
        with pytest.raises(MissingDependency) as caught:
            survey_remotely(config(exported), Silent())
    finally:
        private.symlink_to(sys.prefix)
    assert any(words in caught.value.hint for words in ("--install", "Python 3.11"))


def test_an_unknown_host_is_told(exported: Path, board: Path) -> None:
    with pytest.raises(MissingDependency, match=r"nowhere\.invalid: nothing came back"):
        survey_remotely(config(exported, on="nowhere.invalid"), Silent())


def test_an_option_is_no_host(exported: Path) -> None:
    with pytest.raises(UsageError, match="no host"):
        survey_remotely(config(exported, on="-oProxyCommand=true"), Silent())


WORKING = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job of a shell inherits that it is ignored
from edgekd.config import Profile
from edgekd.profiling.remote.ssh import survey_remotely
from edgekd.report import Silent

class Loud(Silent):
    def note(self, text):
        print(text, flush=True)

survey_remotely(Profile(models=({model!r},), on="board", warmup=0.02, duration=300.0), Loud())
"""


@pytest.mark.parametrize("moment", ["sending", "measuring"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_end_here_ends_the_work_there(exported: Path, board: Path, moment: str, number: int) -> None:
    code = WORKING.format(model=str(exported))
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    ) as process:
        assert process.stdout is not None
        assert any(moment.encode() in line for line in process.stdout)
        os.killpg(process.pid, number)
    assert left_behind(board) == []


def test_images_travel_that_are_needed_and_no_others(exported: Path, board: Path, tmp_path: Path) -> None:
    for place in ("cat/a.png", "dog/deep/b.png", "../elsewhere/c.png"):
        (tmp_path / "images" / place).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (9, 9)).save(tmp_path / "images" / place)
    (tmp_path / "images" / "cat" / "notes.txt").write_bytes(bytes(30_000_000))
    report = Silent()
    found = survey_remotely(config(exported, images=tmp_path / "images"), report)
    accuracy = found["models"][0]["accuracy"]
    assert (accuracy["images"], accuracy["folder"]) == (2, str(tmp_path / "images"))
    assert "2 images among it" in report.notes[0]
    assert float(report.notes[0].split()[1]) < 5  # MB; the package itself is over 2
