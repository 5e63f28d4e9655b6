"""Runs first on the other machine, sent there as text: checks its Python, unpacks edgekd and the models, starts
`edgekd.profiling.hosted` and cleans up. In old syntax, so that an old Python can still say that it is old."""

import importlib.util
import json
import os
import platform
import signal
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any, BinaryIO

HERE = platform.node()
PRIVATE = Path("~/.cache/edgekd/venv").expanduser()
OLDEST = (3, 11)
WANTED = {"numpy": "numpy", "onnxruntime": "onnxruntime", "PIL": "pillow"}


class Stop(Exception):
    """Nothing can be measured here; the words have been sent."""


def say(**words: Any) -> None:  # noqa: ANN401
    """One JSON line to the other side."""
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()


def stop(problem: str, hint: str) -> Stop:
    """Send an error and hand back the exception to raise."""
    say(error="MissingDependency", problem=problem, hint=hint)
    return Stop(problem)


def read_exactly(stream: BinaryIO, size: int) -> bytes:
    """`size` bytes, or fewer when the other side is gone."""
    parts = []
    while size > 0:
        part = stream.read(min(size, 1 << 20))
        if not part:
            break
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def choose_python(install: bool) -> str:
    """An interpreter that can measure; made in a private environment when asked."""
    if sys.version_info[:2] < OLDEST:
        raise stop(
            f"{HERE}: Python {platform.python_version()} is too old",
            "install Python 3.11 or newer there",
        )
    missing = [package for name, package in WANTED.items() if importlib.util.find_spec(name) is None]
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
    say(note=f"installing {', '.join(WANTED.values())} into {PRIVATE}")
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
    with tempfile.TemporaryDirectory(prefix="edgekd-remote-") as folder:
        archive = Path(folder, "all.tar")
        archive.write_bytes(read_exactly(stream, header["size"]))
        with tarfile.open(str(archive)) as packed:
            # Debian 12's Python 3.11.2 knows no filters yet
            checked: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
            packed.extractall(folder, **checked)
        archive.unlink()
        settings = dict(os.environ, PYTHONPATH=str(Path(folder, "code")))
        command = [python, "-P", "-m", "edgekd.profiling.hosted"]
        with subprocess.Popen(command, cwd=folder, env=settings, stdin=0) as process:
            try:
                return process.wait()
            finally:
                process.terminate()


def main(stream: BinaryIO) -> int:
    """Everything on the other machine; ends cleanly when the connection does."""
    for number in (signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(1))
    try:
        return serve(stream, json.loads(stream.readline().decode()))
    except Stop:
        return 1


if __name__ == "__main__":
    sys.exit(main(open(0, "rb", 0, closefd=False)))  # noqa: SIM115, PTH123 - unread bytes are for the next process
