"""README and docs agree with the code."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from edgekd import __version__
from edgekd.cli.app import COMMANDS
from edgekd.declaration import flag, offered
from edgekd.methods import METHODS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_parts_are_up_to_date(generate: ModuleType) -> None:
    assert generate.filled(README) == README, "call `make docs`"


@pytest.mark.parametrize("command", COMMANDS)
def test_the_readme_has_every_command_and_flag(command: str) -> None:
    assert f"<!-- help: {command} -->" in README
    options = [each for each in offered(COMMANDS[command].config) if not each.metadata["positional"]]
    assert all(f"--{flag(each.name)}" in README for each in options)


@pytest.mark.parametrize("method", METHODS)
def test_the_readme_names_every_method(method: str) -> None:
    assert f"`{method}`" in README


def test_links_lead_somewhere() -> None:
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\((?!http|#)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_changelog_has_this_version() -> None:
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text()
