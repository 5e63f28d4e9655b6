"""What runs first on the other machine, run here: it says what is wrong and leaves nothing behind."""

import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

from edgekd.profiling.remote import bootstrap


def archive(size: int) -> bytes:
    """A tar with one file of zeros."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as packed:
        member = tarfile.TarInfo("models/big.bin")
        member.size = size
        packed.addfile(member, io.BytesIO(bytes(size)))
    return stream.getvalue()


def answer(folder: Path, sent: bytes, announced: int, before: str = "") -> list[dict[str, Any]]:
    """What it says to a connection that ends after `sent`; `before` is run by its shell first."""
    header = json.dumps({"size": announced, "install": False, "options": {}}).encode()
    done = subprocess.run(
        ["sh", "-c", f'{before} exec "$0" "$1"', sys.executable, bootstrap.__file__],
        input=header + b"\n" + sent,
        env=os.environ | {"TMPDIR": str(folder)},
        capture_output=True,
    )
    assert done.returncode != 0
    assert list(folder.iterdir()) == []
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    whole = archive(100_000)
    (said,) = answer(tmp_path, whole, len(whole), "ulimit -f 8;")
    assert said["error"] == "DataError"
    assert f"{tmp_path}/edgekd-remote-" in said["problem"] and "cannot be written" in said["problem"]


def test_a_connection_that_breaks_leaves_nothing(tmp_path: Path) -> None:
    whole = archive(100_000)
    assert answer(tmp_path, whole[:50_000], len(whole)) == []


def test_a_limited_stream_ends_where_the_archive_does() -> None:
    stream = io.BytesIO(b"archive and more")
    limited = bootstrap.Limited(stream, 7)
    assert (limited.read(3), limited.read(), limited.read(1)) == (b"arc", b"hive", b"")
    assert stream.read() == b" and more"
