"""Writes the generated parts of README.md anew: the help of every command, between its marks."""

import contextlib
import io
import os
import re
from pathlib import Path

from edgekd.cli.app import COMMANDS, main

README = Path(__file__).parent.parent / "README.md"
COLUMNS = "110"


def help_of(command: str) -> str:
    """What `edgekd COMMAND --help` prints, at a fixed width."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = COLUMNS
    stream = io.StringIO()
    try:
        with contextlib.redirect_stdout(stream):
            main([command, "--help"])
    finally:
        os.environ.pop("COLUMNS") if before is None else os.environ.update(COLUMNS=before)
    return re.sub(r"[ \t]+$", "", stream.getvalue(), flags=re.MULTILINE).strip()


def filled(text: str) -> str:
    """The README's text with every help block brought up to date."""
    for command in COMMANDS:
        block = f"<!-- help: {command} -->\n```text\n{help_of(command)}\n```\n<!-- end -->"
        text = re.sub(rf"<!-- help: {command} -->.*?<!-- end -->", lambda _, block=block: block, text, flags=re.DOTALL)
    return text


if __name__ == "__main__":
    README.write_text(filled(README.read_text(encoding="utf-8")), encoding="utf-8")
