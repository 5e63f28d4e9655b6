"""Writes docs/cli.md: every command and option, from the declarations in edgekd/config.py."""

import typing
from collections.abc import Iterable
from dataclasses import Field
from pathlib import Path
from typing import Any

from edgekd.cli.commands import COMMANDS
from edgekd.cli.options import default_text, panel_of
from edgekd.declaration import Options, choices_of, flag, offered, plain_type

PAGE = Path(__file__).parent / "cli.md"
HEAD = """# Commands and options

Generated from `edgekd/config.py` by `make docs`. `edgekd COMMAND --help` shows the same. Options come from flags,
then from `--config FILE` (TOML keys are the flags' names with `_` for `-`), then from the defaults here.

Options that several commands share stand once, in the [shared tables](#shared-options) below; each command names
those it takes.
"""


def kind_of(hint: Any) -> str:  # noqa: ANN401
    """What a flag takes, in a word."""
    choices = choices_of(hint)
    if choices:
        return " \\| ".join(f"`{each}`" for each in choices)
    plain = plain_type(hint)
    if typing.get_origin(plain) is tuple:
        return f"{typing.get_args(plain)[0].__name__.lower()}, repeatable"
    return {"bool": "flag", "str": "text", "int": "number", "float": "number"}.get(
        plain.__name__, plain.__name__.lower()
    )


def table(config: type[Options], options: Iterable[Field[Any]]) -> list[str]:
    """Rows of options."""
    hints = typing.get_type_hints(config)
    lines = ["| option | takes | meaning |", "|---|---|---|"]
    for each in options:
        name = each.name.upper() if each.metadata["positional"] else f"--{flag(each.name)}"
        text = (each.metadata["help"] + default_text(each.default)).replace("|", "\\|")
        lines.append(f"| `{name}` | {kind_of(hints[each.name])} | {text} |")
    return [*lines, ""]


def page() -> str:
    """The whole page."""
    lines, shared = [HEAD], {}
    for name, row in COMMANDS.items():
        own = [each for each in offered(row.config) if panel_of(row.config, each.name) is None]
        panels = dict.fromkeys(panel_of(row.config, each.name) for each in offered(row.config))
        lines += [f"## edgekd {name}", "", row.text, ""]
        lines += table(row.config, own) if own else []
        taken = [panel for panel in panels if panel]
        lines += ["Also: " + ", ".join(f"[{panel}](#{panel.lower()})" for panel in taken) + ".", ""]
        for each in offered(row.config):
            panel = panel_of(row.config, each.name)
            if panel:
                shared.setdefault(panel, {}).setdefault(each.name, (row.config, each))
    lines += ["## Shared options", ""]
    for panel, found in shared.items():
        lines += [f"### {panel}", ""]
        lines += table(next(iter(found.values()))[0], [])[:2]
        for config, each in found.values():
            lines += table(config, [each])[2:-1]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
