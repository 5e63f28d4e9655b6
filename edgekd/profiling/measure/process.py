"""The parent's end of the measuring child: start it, ask it, end it with whoever asked."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import edgekd
from edgekd import errors
from edgekd.errors import CheckpointError, EdgekdError
from edgekd.shortage import shortage_in

PACKAGE_ROOT = Path(edgekd.__file__).parent.parent


def environment(threads: int = 1) -> dict[str, str]:
    """The child's environment: this very edgekd, no threads beside ONNX Runtime's own, and no telemetry.

    ONNX Runtime's wheels for Linux send usage data from 1.29 on, by a thread that would be measured too.
    """
    path = os.pathsep.join(filter(None, (str(PACKAGE_ROOT), os.environ.get("PYTHONPATH"))))
    return {
        **os.environ,
        "PYTHONPATH": path,
        "ORT_DISABLE_TELEMETRY": os.environ.get("ORT_DISABLE_TELEMETRY", "1"),
        "OMP_NUM_THREADS": str(threads),
        "OPENBLAS_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
    }


class Child:
    """A Python module run as a child that answers one JSON line per JSON line; leaving the context ends it."""

    def __init__(self, module: str, threads: int = 1) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the child
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environment(threads),
        )

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            if stream is not None:
                _close(stream)

    def ask(self, **command: Any) -> dict[str, Any]:  # noqa: ANN401
        """Send a command and wait for its answer.

        Raises what the child raised, or CheckpointError with its last words when it died.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise RuntimeError("the child was started without pipes")
        try:
            stdin.write(json.dumps(command).encode() + b"\n")
            stdin.flush()
            answer = stdout.readline()
        except BrokenPipeError:
            answer = b""
        if not answer:
            raise self._death()
        found: dict[str, Any] = json.loads(answer)
        if "error" in found:
            raise _error(found)
        return found

    def _death(self) -> EdgekdError:
        code = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        last = lines[-1] if lines else "it said nothing"
        if "ModuleNotFoundError" in last:
            return errors.MissingDependency(
                f"the measuring process cannot start ({last})", "install edgekd with its requirements again"
            )
        if code == -signal.SIGKILL:
            return CheckpointError(
                "the measuring process was killed from outside",
                "most likely memory ran out: give a smaller model or batch, or free memory",
            )
        if code == -signal.SIGILL:
            return errors.MissingDependency(
                "the measuring process met an instruction that this processor does not have",
                "another onnxruntime may run here: 1.21 does not on a Raspberry Pi 4, later ones do",
            )
        if (lacking := shortage_in("\n".join(lines[-3:]))) is not None:
            return lacking
        return CheckpointError(
            f"the measuring process ended with status {code} ({last})",
            "the runtime failed on this model: export it again, or try another version of the runtime",
        )


def _close(stream: Any) -> None:  # noqa: ANN401
    with suppress(BrokenPipeError):
        stream.close()


def _error(answer: dict[str, Any]) -> EdgekdError:
    kind = getattr(errors, answer["error"], CheckpointError)
    found: EdgekdError = kind(answer["problem"], answer["hint"])
    return found
