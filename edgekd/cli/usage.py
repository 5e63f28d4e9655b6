"""The command-line parser's complaints in edgekd's own words: what was typed, what is wrong with it, what to type."""

import re
from collections.abc import Iterable

import typer

from edgekd.errors import UsageError, nearest

KINDS = {"int": "a whole number", "float": "a number", "bool": "yes or no"}


def translate(error: typer.TyperException, commands: Iterable[str]) -> UsageError:
    """The parser's error as a UsageError."""
    # the parser is typer's private copy of click: its classes are known by what they carry
    context = getattr(error, "ctx", None)
    command = context.info_name if context is not None and context.parent is not None else None
    name = f"edgekd {command}" if command else "edgekd"
    text = error.format_message()
    hint = f"{name} --help lists " + ("its options" if command else "the commands and options")
    if text.startswith("Usage:"):
        return UsageError("no command is given", f"one of {', '.join(commands)}; edgekd --help tells what each does")
    if hasattr(error, "possibilities"):
        option, close = str(getattr(error, "option_name", "")), list(error.possibilities or ())
        return UsageError(f"{option}: no such option of {name}", f"{nearest(option, close)}; {hint}" if close else hint)
    if found := re.match(r"No such command '(.*?)'\.", text):
        return UsageError(f"{found[1]}: no such command", nearest(found[1], commands))
    if found := re.fullmatch(r"Got unexpected extra arguments?(?:\(s\))? \((.*)\)", text):
        return UsageError(f"{found[1]}: more arguments than {name} takes", hint)
    if found := re.fullmatch(r"Invalid value for '(?:-\w, )?(\S+)': '(.*)' is not a valid (\w+)\.", text):
        kind = KINDS.get(found[3], f"a valid {found[3]}")
        return UsageError(f"{found[1]} {found[2]}: not {kind}", f"give {kind}; {hint}")
    if found := re.fullmatch(r"Invalid value for '(?:-\w, )?(\S+)': '(.*)' is not one of (.*)\.", text):
        return UsageError(f"{found[1]} {found[2]}: no such choice", f"one of: {found[3].replace(chr(39), '')}")
    if found := re.fullmatch(r"Option '?(\S+?)'? requires an argument\.", text):
        return UsageError(f"{found[1]}: its value is missing", hint)
    return UsageError(text.rstrip("."), hint)
