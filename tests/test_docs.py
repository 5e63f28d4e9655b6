"""README and docs agree with the code."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from edgekd import __version__
from edgekd.cli.commands import COMMANDS
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


def test_the_options_page_is_up_to_date(generate: ModuleType) -> None:
    assert generate.page() == (ROOT / "docs" / "cli.md").read_text(), "call `make docs`"


@pytest.mark.parametrize("command", COMMANDS)
def test_the_options_page_has_every_command_and_flag(command: str) -> None:
    page = (ROOT / "docs" / "cli.md").read_text()
    assert f"## edgekd {command}\n" in page
    options = [each for each in offered(COMMANDS[command].config) if not each.metadata["positional"]]
    assert all(f"`--{flag(each.name)}`" in page for each in options)


@pytest.mark.parametrize("method", METHODS)
def test_the_guide_names_every_method(method: str) -> None:
    assert f"| `{method}` |" in (ROOT / "docs" / "methods.md").read_text()


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 220


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "index.md").read_text()
    assert all(f"({path.name})" in index for path in (ROOT / "docs").glob("*.md") if path.name != "index.md")


def test_links_lead_somewhere() -> None:
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\((?!http|#)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_changelog_has_this_version() -> None:
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text()
