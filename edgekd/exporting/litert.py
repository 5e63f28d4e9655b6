"""A run as a .tflite file, by litert-torch in an environment of its own, which is made on request."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from edgekd.config import Export
from edgekd.errors import CheckpointError, DataError, MissingDependency, UsageError
from edgekd.images.space import cache_root
from edgekd.profiling.measure.process import PACKAGE_ROOT
from edgekd.report import Reporter
from edgekd.runs import Run

PACKAGES = ("litert-torch>=0.10", "timm", "torchvision", "safetensors", "pillow", "psutil", "onnx", "onnxruntime")
GIGABYTES = 7.5
"""What the environment takes on disk, and what must be free before it is made."""
COST = "about 7.5 GB on disk and 2 to 10 minutes"
READY = "ready"
"""An empty file in an environment that was made to its end."""
MODULE = "edgekd.exporting.litert_process"


def find_converter(config: Export, report: Reporter) -> Path:
    """The python that litert-torch is installed for: the one named, else that of edgekd's own environment.

    Makes the environment where --make-converter asks for it. Raises UsageError for a python that is not there,
    MissingDependency without an environment or when its packages cannot be had, DataError without room.
    """
    if config.converter_python is not None:
        if not os.access(config.converter_python, os.X_OK) or config.converter_python.is_dir():
            raise UsageError(
                f"--converter-python {config.converter_python}: no program", "name the python of an environment"
            )
        return config.converter_python
    folder = converter_folder()
    if not (folder / READY).is_file():
        if not config.make_converter:
            raise MissingDependency(
                f"--format tflite: its converter is not installed in {folder}",
                f"--make-converter installs it there ({COST}); or name its python with --converter-python",
            )
        make_environment(folder, report)
    return folder / "bin" / "python"


def converter_folder() -> Path:
    """Where edgekd's own environment for the converter lies."""
    return cache_root() / "litert-converter"


def make_environment(folder: Path, report: Reporter) -> None:
    """Make the environment; nothing of it stays when that fails."""
    report.note(f"making the converter's environment in {folder}: {COST}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder.parent).free / 1e9
    if free < GIGABYTES:
        raise DataError(
            f"{folder}: {free:.1f} GB are free, the converter needs {GIGABYTES} GB",
            "make room, set EDGEKD_CACHE to another disk, or name an environment with --converter-python",
        )
    shutil.rmtree(folder, ignore_errors=True)
    python = folder / "bin" / "python"
    steps = (
        [sys.executable, "-m", "venv", str(folder)],
        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PACKAGES],
    )
    try:
        for step in steps:
            done = subprocess.run(step, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
            if done.returncode:
                raise _failed(folder, done.stdout.decode(errors="replace"))
        (folder / READY).touch()
    finally:
        if not (folder / READY).is_file():
            shutil.rmtree(folder, ignore_errors=True)


def _failed(folder: Path, printed: str) -> MissingDependency | DataError:
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    telling = next((line for line in lines if line.upper().startswith("ERROR")), lines[-1] if lines else "no words")
    if "No space left" in printed:
        return DataError(f"{folder}: no room left on the disk", "make room, or set EDGEKD_CACHE to another disk")
    return MissingDependency(
        f"{folder}: the converter cannot be installed ({telling[:200]})",
        "a connection to a package index is needed, or an environment named with --converter-python",
    )


def to_tflite(run: Run, target: Path, python: Path, config: Export) -> None:
    """Write `target` from a run, in float32.

    Raises MissingDependency when that python lacks what is needed, CheckpointError with the converter's words when it
    cannot translate the network.
    """
    command = {
        "run": str(run.path.resolve()),
        "target": str(target.resolve()),
        "batch": config.fixed_batch or 1,
        "trust_code": config.trust_code,
    }
    done = subprocess.run(
        [str(python), "-P", "-m", MODULE],
        input=json.dumps(command).encode(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PYTHONPATH": str(PACKAGE_ROOT), "CUDA_VISIBLE_DEVICES": ""},
        check=False,
    )
    if not done.returncode and target.is_file() and target.stat().st_size:
        return
    target.unlink(missing_ok=True)
    lines = [line.strip() for line in done.stdout.decode(errors="replace").splitlines() if line.strip()]
    reason = (lines or ["it said nothing"])[-1][:240]
    if "No module named" in reason or "cannot be imported" in reason:
        raise MissingDependency(
            f"{python}: cannot convert ({reason})", f"install there: pip install {' '.join(PACKAGES)}"
        )
    raise CheckpointError(
        f"{run.path}: litert-torch cannot translate its network ({reason})",
        "replace the operation it names, or deploy the ONNX file",
    )
