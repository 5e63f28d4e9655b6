"""Measuring on another machine through the system's ssh: one connection carries edgekd, the models and the answer.

Nothing stays there but, with --install, a private environment. EDGEKD_SSH replaces the command `ssh`.
"""

import io
import json
import math
import os
import shlex
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from edgekd import errors
from edgekd.config import Profile
from edgekd.declaration import as_dict
from edgekd.errors import CheckpointError, EdgekdError, MissingDependency, UsageError
from edgekd.profiling.device.profiles import find_device, folder
from edgekd.profiling.judge.baseline import read_baseline
from edgekd.profiling.measure.measuring import Subject
from edgekd.profiling.measure.process import PACKAGE_ROOT
from edgekd.profiling.model_files import SAMPLE, find_images, find_subjects, open_subject
from edgekd.report import Reporter

MEGABYTE = 1_000_000

_LOADER = (
    'import sys;f=open(0,"rb",0,closefd=False);n=int(f.readline());s=b"";'
    'exec(\'while len(s)<n:s+=f.read(n-len(s)) or exit("cut off")\');exec(compile(s,"bootstrap","exec"))'
)
_COMMAND = f'p=$HOME/.cache/edgekd/venv/bin/python; [ -x "$p" ] || p=python3; exec "$p" -u -c {shlex.quote(_LOADER)}'


def survey_remotely(config: Profile, report: Reporter) -> dict[str, Any]:
    """Survey on the host `config.on`; the report, with the models' names and places as they are here.

    Raises what the other side raised, or MissingDependency when it cannot be reached or has no fit Python.
    """
    if config.on is None or config.on.startswith("-"):
        raise UsageError(f"--on {config.on}: no host", "for example --on pi@raspberrypi")
    subjects = find_subjects(config.models, config.runs)
    images = find_images(config.images, subjects) if config.images else []
    with tempfile.TemporaryFile() as archive:
        _pack(archive, config, subjects, images)
        of_images = f", {len(images):,} images among it" if images else ""
        report.note(f"sending {archive.tell() / 1e6:.1f} MB to {config.on}{of_images}")
        found = _converse(config, _options(config, subjects), archive, report)
    for model, subject in zip(found["models"], subjects, strict=True):
        model["path"] = str(subject.file.path.resolve())
        if model["accuracy"]:
            model["accuracy"]["folder"] = str(config.images)
    return found | {"on": config.on}


def _pack(stream: IO[bytes], config: Profile, subjects: Sequence[Subject], images: Sequence[Path]) -> None:
    """Write a tar of edgekd's own source, the profiles, the models and what goes with them."""
    with tarfile.open(fileobj=stream, mode="w", dereference=True) as archive:
        package = PACKAGE_ROOT / "edgekd"
        for path in sorted(package.rglob("*.py")):
            archive.add(path, f"code/edgekd/{path.relative_to(package).as_posix()}")
        for path in sorted(folder().glob("*.toml")):
            archive.add(path, f"code/edgekd/profiles/{path.name}")
        if config.device is not None and (profile := find_device(config.device).path) is not None:
            archive.add(profile, f"profiles/{profile.name}")
        for subject in subjects:
            _pack_model(archive, subject, _place(subject))
        for path in images if config.images else ():
            archive.add(path, f"images/{path.relative_to(config.images or path).as_posix()}")
        if config.baseline is not None:
            _pack_baseline(archive, config.baseline)


def _pack_baseline(archive: tarfile.TarFile, path: Path) -> None:
    """The baseline, with those of its models that are still here."""
    baseline = read_baseline(path)
    for index, entry in enumerate(baseline["models"]):
        if Path(entry["path"]).is_file():
            place = f"baseline/{index}"
            _pack_model(archive, open_subject(Path(entry["path"]), entry["name"]), place)
            entry["path"] = f"{place}/model.onnx"
    _add_text(archive, "baseline.json", json.dumps(baseline))


def _add_text(archive: tarfile.TarFile, name: str, text: str) -> None:
    content = text.encode()
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def _pack_model(archive: tarfile.TarFile, subject: Subject, place: str) -> None:
    main = subject.file.path
    archive.add(main, f"{place}/model.onnx")
    for path in subject.file.files[1:]:
        archive.add(path, f"{place}/{path.relative_to(main.parent).as_posix()}")
    if subject.sample is not None:
        archive.add(subject.sample, f"{place}/{SAMPLE}")
    # the manifest's presence makes the folder's name the model's
    _add_text(archive, f"{place}/manifest.json", "{}")


def _place(subject: Subject) -> str:
    return f"models/{subject.name.strip('/').replace('/', '_')}"


def _options(config: Profile, subjects: Sequence[Subject]) -> dict[str, Any]:
    device = find_device(config.device).path if config.device is not None else None
    there = replace(
        config,
        models=tuple(f"{_place(subject)}/model.onnx" for subject in subjects),
        runs=Path("models"),
        device=f"profiles/{device.name}" if device else None,
        images=Path("images") if config.images else None,
        baseline=Path("baseline.json") if config.baseline else None,
        report=None,
        on=None,
        install=False,
    )
    return as_dict(there)


def _converse(config: Profile, options: dict[str, Any], archive: IO[bytes], report: Reporter) -> dict[str, Any]:
    host = str(config.on)
    command = [*shlex.split(os.environ.get("EDGEKD_SSH", "ssh")), host, _COMMAND]
    with tempfile.TemporaryFile() as complaints:
        try:
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints)
        except OSError as error:
            raise MissingDependency(f"{command[0]}: cannot be started ({error})", "install OpenSSH's client") from error
        with process:
            try:
                _send(process, _header(archive, config.install, options), archive, report)
                found = _receive(process, report)
            except KeyboardInterrupt:
                process.terminate()
                raise
        if found is None:
            raise _silence(host, process.wait(), complaints)
        return found


def _header(archive: IO[bytes], install: bool, options: dict[str, Any]) -> bytes:
    bootstrap = Path(__file__).with_name("bootstrap.py").read_bytes()
    header = json.dumps({"size": archive.tell(), "install": install, "options": options}).encode()
    return b"%d\n%s%s\n" % (len(bootstrap), bootstrap, header)


def _send(process: "subprocess.Popen[bytes]", header: bytes, archive: IO[bytes], report: Reporter) -> None:
    """Everything at once; the stream stays open, since its end tells the other side that the client has gone."""
    if process.stdin is None:
        return
    blocks = math.ceil(archive.tell() / MEGABYTE)
    archive.seek(0)
    with suppress(BrokenPipeError), report.stage("sending", blocks, "MB") as progress:
        process.stdin.write(header)
        while block := archive.read(MEGABYTE):
            process.stdin.write(block)
            process.stdin.flush()
            progress.advance()
        process.stdin.flush()


def _receive(process: "subprocess.Popen[bytes]", report: Reporter) -> dict[str, Any] | None:
    """Pass notes on and hand back the report; None when the other side fell silent."""
    for words in _words(process.stdout) if process.stdout else ():
        if "report" in words:
            found: dict[str, Any] = words["report"]
            return found
        if "error" in words:
            raise _error(words)
        if "note" in words:
            report.note(str(words["note"]))
        if "warning" in words:
            report.warn(str(words["warning"]))
    return None


def _words(stream: IO[bytes]) -> Iterator[dict[str, Any]]:
    """The JSON lines among what a login may print besides."""
    for line in stream:
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict):
            yield found


def _error(words: dict[str, Any]) -> EdgekdError:
    kind = getattr(errors, str(words["error"]), CheckpointError)
    found: EdgekdError = kind(words["problem"], words["hint"])
    return found


def _silence(host: str, status: int, complaints: IO[bytes]) -> EdgekdError:
    complaints.seek(0)
    lines = complaints.read().decode(errors="replace").strip().splitlines()
    last = lines[-1].strip() if lines else f"status {status}"
    if status == 127:
        return MissingDependency(f"{host}: no python3 there ({last})", "install Python 3.11 or newer there")
    return MissingDependency(f"{host}: nothing came back ({last})", f"see whether this works: ssh {host} python3 -V")
