"""From a config dataclass to Typer options, and from flags and a TOML file to a config. No other reflection exists."""

import inspect
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import Field, fields
from pathlib import Path
from typing import Annotated, Any, TypedDict

import typer
from typer.core import TyperCommand

from edgekd.config import NETWORKS, Code
from edgekd.declaration import AUTO, SWITCH, Options, converted, flag, is_switch, key_of, offered, plain_type
from edgekd.errors import ConfigError, UsageError, nearest
from edgekd.reading import read_json, read_toml
from edgekd.values import check

Given = dict[str, Any]
MANIFEST = ".json"
TOML_HINT = "give a TOML file whose keys are options with _ for -, such as batch_size = 100, or a run's manifest.json"


PANELS = {
    "Data": "Data",
    "Views": "Views",
    "Fit": "Training",
    "Teacher": "Teacher",
    "Cache": "Cache",
    "Machine": "Machine",
    "Code": "Machine",
    "Run": "Output",
    "Shell": "Output",
}
"""The panel of `--help`, and the table in docs/cli.md, that a shared group of options stands in."""


OWN_SECTIONS = ("Arguments", "Options")


class _Manifest(TypedDict):
    """What is read of a run's manifest."""

    command: str
    config: dict[str, Any]


def command(config: type[Options], body: Callable[[Given], None], text: str) -> Callable[..., None]:
    """A function with one Typer parameter per field of `config`; it hands `body` only the flags really given."""

    def call(**values: Any) -> None:  # noqa: ANN401
        body({name: value for name, value in values.items() if value is not None and value != []})

    hints = typing.get_type_hints(config)
    switches = [each.name for each in offered(config) if is_switch(hints[each.name])]
    call.__doc__ = text
    call.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [_parameter(each, hints[each.name], panel_of(config, each.name)) for each in _in_help_order(config)]
        + [_off_switch(name) for name in switches]
    )
    call.__annotations__ = {}
    return call


class Command(TyperCommand):
    """A command whose help shows its own options first, then each shared group under its name."""

    def format_options(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - typer's private copy of click
        """Write one section per panel."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            row = parameter.get_help_record(ctx)
            if row is not None:
                own = "Arguments" if parameter.param_type_name == "argument" else "Options"
                sections.setdefault(getattr(parameter, "rich_help_panel", None) or own, []).append(row)
        for title in sorted(sections, key=[*OWN_SECTIONS, *dict.fromkeys(PANELS.values())].index):
            with formatter.section(title):
                formatter.write_dl(sections[title])


def panel_of(config: type[Options], name: str) -> str | None:
    """The panel of an option; None for the command's own options."""
    owner = next(owner for owner in config.__mro__ if name in vars(owner).get("__annotations__", {}))
    return PANELS.get(owner.__name__)


def _in_help_order(config: type[Options]) -> list[Field[Any]]:
    """Arguments first, then the command's own options, then its groups in the order they are named."""
    owners = [vars(owner).get("__annotations__", {}) for owner in config.__mro__]

    def rank(each: Field[Any]) -> tuple[bool, int]:
        return not each.metadata["positional"], next(i for i, names in enumerate(owners) if each.name in names)

    return sorted(offered(config), key=rank)


def _parameter(each: Field[Any], hint: Any, panel: str | None) -> inspect.Parameter:  # noqa: ANN401
    text = each.metadata["help"] + default_text(each.default)
    if each.metadata["positional"]:
        info: Any = typer.Argument(help=text, show_default=False, metavar=each.name.upper())
    else:
        names = f"--{flag(each.name)}"
        if plain_type(hint) is bool and not each.metadata["one_way"]:
            names += f"/--no-{flag(each.name)}"
        info = typer.Option(names, help=text, show_default=False, rich_help_panel=panel)
        if plain_type(hint) is int and each.metadata["auto"]:
            info = typer.Option(
                names, help=text, show_default=False, parser=_number_or_auto, metavar="<int>", rich_help_panel=panel
            )
    annotation: Any = Annotated.__class_getitem__((_typer_type(hint), info))  # type: ignore[attr-defined]
    return inspect.Parameter(each.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _off_switch(name: str) -> inspect.Parameter:
    """`--no-NAME`, which the help of `--NAME` tells of."""
    annotation: Any = Annotated[bool | None, typer.Option(f"--no-{flag(name)}", hidden=True, show_default=False)]
    return inspect.Parameter(f"no_{name}", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _switched(given: Given, hints: dict[str, Any]) -> Given:
    """The flags with `--no-NAME` taken for `--NAME off`; raises UsageError when both are given and differ."""
    found = dict(given)
    for name in [name for name, hint in hints.items() if is_switch(hint) and found.pop(f"no_{name}", False)]:
        if found.setdefault(name, SWITCH[1]) != SWITCH[1]:
            what = f"--{flag(name)} {found[name]} and --no-{flag(name)}"
            raise UsageError(f"{what}: they exclude each other", "give one of them")
    return found


def _number_or_auto(text: str) -> int | str:
    return text if text == AUTO else int(text)


def default_text(default: Any) -> str:  # noqa: ANN401
    """What the help says of a default."""
    return "" if default in (None, (), "") or isinstance(default, bool) else f" [default: {default}]"


def _typer_type(hint: Any) -> Any:  # noqa: ANN401
    plain = plain_type(hint)
    if typing.get_origin(plain) is tuple:
        return typing.Optional[list[typing.get_args(plain)[0]]]  # type: ignore[misc]  # noqa: UP045
    return typing.Optional[plain]  # noqa: UP045


def build(config: type[Options], name: str, given: Given, commands: Mapping[str, type[Options]]) -> Options:
    """The config of command `name`: flags win over the file, the file over the defaults.

    Raises ConfigError for an unknown key or a value of the wrong kind in the file, UsageError for a bad value.
    """
    path = given.get("config")
    values = _read(Path(path), name, commands) if path else {}
    hints = typing.get_type_hints(config)
    given = _switched(given, hints)
    known = {each.name: each for each in fields(config)}
    merged = values | {
        key: converted(known[key], hints[key], value, f"--{flag(key)}", UsageError) for key, value in given.items()
    }
    how: Given = {"given": tuple(merged)}
    if issubclass(config, Code) and path and Path(path).suffix == MANIFEST:
        how["from_record"] = tuple(each for each in NETWORKS if each in values and each not in given)
    return config(**merged | how)


def _read(path: Path, name: str, commands: Mapping[str, type[Options]]) -> Given:
    """The keys of a file which belong to command `name`, converted to the fields' types."""
    is_manifest = path.suffix == MANIFEST
    raw = _manifest_config(path, name) if is_manifest else read_toml(path, ConfigError, TOML_HINT, pipe=True)
    known = {key_of(each.name): each for each in fields(commands[name])}
    tables = {key: raw.pop(key) for key in list(raw) if key in commands and isinstance(raw[key], dict)}
    everywhere = {key_of(each.name) for config in commands.values() for each in offered(config)}
    _refuse_unknown(raw, everywhere, str(path))
    for key, table in tables.items():
        _refuse_unknown(table, {key_of(each.name) for each in offered(commands[key])}, f"{path} [{key}]")
    chosen = {key: value for key, value in raw.items() if key in known} | tables.get(name, {})
    hints = typing.get_type_hints(commands[name])
    return {
        known[key].name: converted(known[key], hints[known[key].name], value, f"{path}: {key}")
        for key, value in chosen.items()
    }


def _manifest_config(path: Path, name: str) -> Given:
    hint = "give runs/NAME/manifest.json or a TOML file"
    manifest = check(read_json(path, ConfigError, hint, pipe=True), _Manifest, path, ConfigError, hint)
    if manifest["command"] != name:
        made_by = manifest["command"]
        raise ConfigError(f"{path}: made by edgekd {made_by}", f"call edgekd {made_by} --config {path}")
    values = manifest["config"]
    return {key: value for key, value in values.items() if value is not None and key not in ("resume", "overwrite")}


def _refuse_unknown(found: Given, known: Iterable[str], place: str) -> None:
    known = set(known)
    for key in found:
        if key not in known:
            raise ConfigError(f"{place}: unknown key {key!r}", nearest(key, known))
