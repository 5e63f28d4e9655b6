"""Names that are not UTF-8, from the class folder to the result, on streams that can show them and that cannot."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

Cli = Callable[..., Any]


@pytest.fixture
def latin(own_folder: Path) -> Path:
    for split in ("train", "test"):
        os.rename(own_folder / split / "disc", os.fsencode(own_folder / split) + b"/caf\xe9")  # noqa: PTH104 - bytes
    root = own_folder.with_name(os.fsdecode(b"set\xe9"))
    own_folder.rename(root)
    return root


def test_a_class_that_is_no_utf8_trains_and_is_found_again(
    cli: Cli, latin: Path, quick: tuple[object, ...], tmp_path: Path
) -> None:
    called = cli("train-teacher", "--model", "tiny-cnn", "--data", latin, "--name", "a", *quick)
    assert called.code == 0, called.err
    assert "caf\\xe9, frame, stripes" in called.err
    manifest = json.loads((tmp_path / "runs" / "a" / "manifest.json").read_bytes().decode("utf-8"))
    assert manifest["data"]["classes"] == ["caf\\xe9", "frame", "stripes"]
    assert cli("evaluate", "a", "--json").json["count"] == 12
    [answer] = cli("predict", "a", latin / "test" / "frame" / "000.png", "--json").json["images"]
    assert "set\\xe9" in answer["image"]
    answer["image"].encode("utf-8")


def test_a_strict_stream_shows_names_escaped(tmp_path: Path) -> None:
    code = """
from edgekd.cli.console import Console
from edgekd.report import Result, Table
result = Result({"caf\\u00e9": "\\u6570 \\udce9"}, (Table("caf\\u00e9", ("a",), [["\\u6570 \\udce9"]]),))
Console(False).result(result)
Console(True).result(result)
"""
    for encoding, shown in (("ascii:strict", "\\u6570 \\xe9"), ("utf-8:strict", "数 \\xe9")):
        environment = os.environ | {"PYTHONIOENCODING": encoding}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
        table, _, rest = done.stdout.decode(encoding.partition(":")[0]).partition("{")
        assert shown in table
        assert json.loads("{" + rest) == {"caf\u00e9": "数 \\xe9"}


def test_a_cache_of_images_that_changed_places_does_not_verify(
    cli: Cli, own_folder: Path, quick: tuple[object, ...]
) -> None:
    files = [own_folder / "train" / kind / "000.bmp" for kind in ("disc", "frame")]
    for path in files:
        Image.open(path.with_suffix(".png")).save(path)
        path.with_suffix(".png").unlink()
        os.utime(path, ns=(1, 1))
    assert cli("train-teacher", "--model", "tiny-cnn", "--data", own_folder, "--name", "a", *quick).code == 0
    assert cli("cache-logits", "--teacher", "a", "--views", 1, *quick[:6]).code == 0
    files[0].rename(own_folder / "aside")
    files[1].rename(files[0])
    (own_folder / "aside").rename(files[1])
    called = cli("cache", "verify", "a")
    assert called.code == 3
    assert "2 images are of other content now" in called.err
