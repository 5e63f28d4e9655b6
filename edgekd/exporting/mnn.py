"""An ONNX file as an .mnn file, by the converter inside MNN's wheel."""

import subprocess
import sys
from pathlib import Path

from edgekd.errors import CheckpointError
from edgekd.runtimes.suffixes import check_package

CONVERT = "import sys, _tools; sys.exit(not _tools.mnnconvert(sys.argv))"
"""MNN.tools installs a package on import and reports conversions to a server: the function behind it does neither."""


def to_mnn(source: Path, target: Path) -> None:
    """Write `target` from an ONNX file, in float32.

    Raises MissingDependency without MNN, CheckpointError with the converter's words when it cannot do it.
    """
    check_package(".mnn")
    options = ["-f", "ONNX", "--modelFile", str(source), "--MNNModel", str(target), "--bizCode", "edgekd"]
    # a process of its own: the converter prints to stdout, and ends it on what it does not know
    done = subprocess.run(
        [sys.executable, "-c", CONVERT, *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    if done.returncode or not target.is_file() or not target.stat().st_size:
        target.unlink(missing_ok=True)
        raise CheckpointError(
            f"{source}: MNN's converter cannot translate it ({_reason(done.stdout.decode(errors='replace'))})",
            "replace the operation it names, or deploy the ONNX file",
        )


def _reason(printed: str) -> str:
    """The line that says what is wrong, else the last one."""
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    telling = [line for line in lines if any(word in line.lower() for word in ("error", "support", "fail", "can't"))]
    return (telling or lines or ["it said nothing"])[-1]
