"""How an option is declared, checked and converted; config.py declares them all."""

import types
import typing
from collections.abc import Iterable
from dataclasses import Field, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from edgekd.errors import ConfigError, UsageError

AUTO = "auto"
"""In place of a number: leave it open."""


def option(
    default: Any,  # noqa: ANN401 - the field's own annotation is the type
    text: str,
    *,
    low: float | None = None,
    high: float | None = None,
    positional: bool = False,
    recorded: bool = True,
) -> Any:  # noqa: ANN401
    """A field with its help text and, for numbers, its inclusive limits.

    `positional` makes it an argument; an option that is not `recorded` stays out of manifests; one without a text is
    no flag or key. A whole number whose help says `auto` may also be given as that word, which leaves it open.
    """
    facts = {"help": text, "low": low, "high": high, "positional": positional, "recorded": recorded}
    facts |= {"one_way": default is False, "auto": AUTO in text}
    return field(default=default, metadata=facts, compare=text != "")


Anyhow = TypeVar("Anyhow", bound="Options")


@dataclass(frozen=True)
class Options:
    """The base of every group: checks values against annotation and limits, whoever made the object.

    Raises UsageError with the option's name, the value and what would be right.
    """

    def __post_init__(self) -> None:
        hints = typing.get_type_hints(type(self))
        for each in fields(self):
            _check(each, hints[each.name], getattr(self, each.name))


def _check(each: Field[Any], hint: Any, value: Any) -> None:  # noqa: ANN401
    if value is None and each.default is None:
        return
    choices = choices_of(hint)
    if choices and value not in choices:
        raise UsageError(f"--{flag(each.name)} {value}: no such choice", f"one of: {', '.join(choices)}")
    number = isinstance(value, int | float) and not isinstance(value, bool)
    low, high = each.metadata["low"], each.metadata["high"]
    too_low = number and low is not None and not value >= low
    if too_low or (number and high is not None and not value <= high):
        limits = f"at least {low:g}" if high is None else f"from {low:g} to {high:g}"
        raise UsageError(f"--{flag(each.name)} {value}: out of range", f"give a number {limits}")


def offered(config: type[Options]) -> list[Field[Any]]:
    """The fields that are flags and keys."""
    return [each for each in fields(config) if each.metadata["help"]]


def is_given(config: Options, name: str) -> bool:
    """Whether an option was given, or has another value than its default."""
    default = next(each.default for each in fields(config) if each.name == name)
    return name in getattr(config, "given", ()) or bool(getattr(config, name) != default)


def choices_of(hint: Any) -> tuple[str, ...]:  # noqa: ANN401
    """The choices of a Literal annotation (also inside `| None`); empty when it is something else."""
    if typing.get_origin(hint) is Literal:
        return typing.get_args(hint)
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        return next((found for part in typing.get_args(hint) if (found := choices_of(part))), ())
    return ()


def plain_type(hint: Any) -> Any:  # noqa: ANN401
    """`int | None` -> `int`."""
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        return next(part for part in typing.get_args(hint) if part is not type(None))
    return hint


def converted(value: Any, hint: Any, place: str) -> Any:  # noqa: ANN401
    """A JSON, TOML or command-line value as the field's type; raises ConfigError when it is of another kind."""
    plain = plain_type(hint)
    if typing.get_origin(plain) is tuple:
        inner = typing.get_args(plain)[0]
        values = value if isinstance(value, list | tuple) else [value]
        return tuple(converted(each, inner, place) for each in values)
    if value == AUTO and plain is int and type(None) in typing.get_args(hint):
        return None
    if plain is Path and isinstance(value, str | Path):
        return Path(value).expanduser()
    if plain is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if plain is str and isinstance(value, int) and not isinstance(value, bool):
        # `threads = 4` at the top of a file is a number for one command and the start of a sweep for another
        return str(value)
    wanted = str if choices_of(plain) else plain
    if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
        raise ConfigError(f"{place} = {value!r}: not {wanted.__name__}", f"give a value of type {wanted.__name__}")
    return value


def key_of(name: str) -> str:
    """A field's name in TOML files and manifests: `import_`, which is a word of Python's own, -> `import`."""
    return name.removesuffix("_")


def flag(name: str) -> str:
    """A field's name as it is typed: `batch_size` -> `batch-size`."""
    return key_of(name).replace("_", "-")


def as_dict(config: Options) -> dict[str, Any]:
    """The config as plain JSON values, without the options that only say how it is shown."""
    return {
        key_of(each.name): _plain(getattr(config, each.name)) for each in fields(config) if each.metadata["recorded"]
    }


def _plain(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, Path):
        return str(value)
    return [_plain(each) for each in value] if isinstance(value, tuple) else value


def from_dict(config: type[Anyhow], values: dict[str, Any], place: str) -> Anyhow:
    """The config whose `as_dict` these values are; raises ConfigError naming `place` for values of another kind."""
    hints = typing.get_type_hints(config)
    known = {name: values[key_of(name)] for name in hints if values.get(key_of(name)) is not None}
    return config(**{name: converted(value, hints[name], f"{place}: {key_of(name)}") for name, value in known.items()})


def fill_defaults(config: Anyhow, values: dict[str, Any], place: str, names: Iterable[str]) -> Anyhow:
    """Take `values` for those of `names` that were left open; what was given stays, also where it is the default."""
    hints = typing.get_type_hints(type(config))
    taken = {
        name: converted(values[key_of(name)], hints[name], f"{place}: {key_of(name)}")
        for name in names
        if values.get(key_of(name)) is not None and not is_given(config, name)
    }
    return replace(config, **taken)
