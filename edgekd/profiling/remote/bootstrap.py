"""Runs first on the other machine, sent there as text: checks its Python, unpacks edgekd and the models, starts
`edgekd.profiling.remote.host_side` and cleans up. In old syntax, so that an old Python can still say that it is old."""

import importlib.util
import io
import json
import os
import platform
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

HERE = platform.node()
PRIVATE = Path(os.path.expanduser("~/.cache/edgekd/venv"))  # noqa: PTH111 - it raises nothing where there is no home
OLDEST = (3, 11)
WANTED = {"numpy": "numpy", "onnxruntime": "onnxruntime>=1.20,!=1.21.*", "PIL": "pillow"}
ON_DISK = "/var/tmp"
"""/tmp is memory on some systems, and memory is measured."""

SIGNALS = (signal.SIGHUP, signal.SIGTERM)


class Stop(Exception):
    """Nothing can be measured here; the words have been sent."""


class Limited(io.RawIOBase):
    """The next `size` bytes of a stream, as a stream."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self.stream, self.left = stream, size

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes; fewer only at the end, or when the other side is gone."""
        parts = []
        wanted = self.left if size < 0 else min(size, self.left)
        while wanted > 0:
            part = self.stream.read(min(wanted, 1 << 20))
            if not part:
                break
            parts.append(part)
            wanted -= len(part)
            self.left -= len(part)
        return b"".join(parts)


def say(**words: Any) -> None:  # noqa: ANN401
    """One JSON line to the other side."""
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


def stop(problem: str, hint: str, kind: str = "MissingDependency") -> Stop:
    """Send an error and hand back the exception to raise."""
    say(error=kind, problem=problem, hint=hint)
    return Stop(problem)


def choose_python(install: bool) -> str:
    """An interpreter that can measure; made in a private environment when asked."""
    if sys.version_info[:2] < OLDEST:
        raise stop(
            f"{HERE}: Python {platform.python_version()} is too old",
            "install Python 3.11 or newer there",
        )
    missing = [package.partition(">")[0] for name, package in WANTED.items() if importlib.util.find_spec(name) is None]
    if not missing:
        return sys.executable
    if not install:
        raise stop(
            f"{HERE}: no {', '.join(missing)} for {sys.executable}",
            f"add --install to set them up in {PRIVATE} there",
        )
    return install_privately()


def install_privately() -> str:
    """Make the private environment; it is found again the next time."""
    say(note=f"installing {', '.join(WANTED)} into {PRIVATE}")
    python = str(PRIVATE / "bin" / "python")
    steps = (
        [sys.executable, "-m", "venv", str(PRIVATE)],
        [python, "-m", "pip", "install", "--only-binary", ":all:", *WANTED.values()],
    )
    for step in steps:
        done = subprocess.run(step, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode:
            lines = done.stdout.decode(errors="replace").strip().splitlines() or ["no message"]
            raise stop(
                f"{HERE}: {' '.join(step[1:4])} failed ({lines[-1]})",
                "on Debian: sudo apt install python3-venv; the network is needed once",
            )
    return python


def serve(stream: BinaryIO, header: "dict[str, Any]") -> int:
    """Unpack what follows the header and measure; the status of the measuring process."""
    python = choose_python(header["install"])
    place = ON_DISK if "TMPDIR" not in os.environ and os.access(ON_DISK, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="edgekd-remote-", dir=place) as folder:
        try:
            unpack(Limited(stream, header["size"]), folder)
        except OSError as error:
            problem = f"{HERE}: {folder} cannot be written ({error.strerror})"
            raise stop(problem, "make room there", "DataError") from error
        return measure(python, folder, stream, header["options"])


def unpack(archive: Limited, folder: str) -> None:
    """Extract the tar as it comes in, so that it is there once only."""
    with tarfile.open(fileobj=archive, mode="r|") as packed:
        # Debian 12's Python 3.11.2 knows no filters yet
        checked: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        packed.extractall(folder, **checked)
    while archive.read(1 << 20):
        pass


def measure(python: str, folder: str, stream: BinaryIO, options: "dict[str, Any]") -> int:
    """Measure in a process group of its own, which ends at once when its client has gone."""
    scratch = Path(folder, "tmp")
    scratch.mkdir()
    settings = dict(os.environ, PYTHONPATH=str(Path(folder, "code")), TMPDIR=str(scratch))
    command = [python, "-P", "-m", "edgekd.profiling.remote.host_side"]
    process = subprocess.Popen(command, cwd=folder, env=settings, stdin=subprocess.PIPE, start_new_session=True)

    def end(*_: Any) -> None:  # noqa: ANN401
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    def end_with_stream() -> None:
        while stream.read(1 << 16):
            pass
        end()

    for number in SIGNALS:
        signal.signal(number, end)
    threading.Thread(target=end_with_stream, daemon=True).start()
    process.communicate(json.dumps(options).encode())
    return process.returncode


def main(stream: BinaryIO) -> int:
    """Everything on the other machine; ends cleanly when the connection does."""
    for number in SIGNALS:
        signal.signal(number, lambda *_: sys.exit(1))
    try:
        return serve(stream, json.loads(stream.readline().decode()))
    except Stop:
        return 1


if __name__ == "__main__":
    sys.exit(main(open(0, "rb", 0, closefd=False)))  # noqa: SIM115, PTH123 - raw, so that a thread may wait on it
