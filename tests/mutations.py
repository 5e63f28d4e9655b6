"""Damages files the way disks, editors and strangers do: seeded, so that every case can be made again."""

import copy
import json
import os
import random
import re
from pathlib import Path
from typing import Any

VALUES: tuple[Any, ...] = (
    *(None, True, -1, 0, 1, 3.5, 1e308, -1e308, 4 * 10**18, 2**70, 10**400, float("nan"), float("inf")),
    *("", "x", "a\0b", "../..", "/dev/zero", "\udcff", "é" * 5000, "nan", "1e999", "auto"),
    *([], {}, [1], ["a"], [[]], {"a": 1}, [None] * 3, {"": {}}),
)
TOML_VALUES = (
    *("-1", "0", "1e308", "nan", "inf", "4000000000000000000", "99999999999999999999999", "true", '""', '"x"'),
    *(r'"a\u0000b"', '"auto"', "[]", "[1]", '["a"]', "{}", "2026-01-01", '"""', "[[", '"../.."', '"/dev/zero"'),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:  # noqa: ANN401
    """Every place in a JSON value, as the keys that lead there."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, each in items for found in places(each, (*path, key)))]


def mutate_json(text: str, chance: random.Random) -> bytes:
    """A JSON text with one value replaced, removed or added."""
    value = json.loads(text)
    path = chance.choice(places(value))
    if not path:
        return json.dumps(chance.choice(VALUES)).encode()
    parent = value
    for key in path[:-1]:
        parent = parent[key]
    what = chance.randrange(4)
    if what == 0:
        del parent[path[-1]]
    elif what == 1 and isinstance(parent, dict):
        parent[chance.choice(["surplus", "", "a\0b"])] = copy.deepcopy(chance.choice(VALUES))
    else:
        parent[path[-1]] = copy.deepcopy(chance.choice(VALUES))
    return json.dumps(value).encode()


def mutate_lines(text: str, chance: random.Random) -> bytes:
    """A file of JSON lines with one of them mutated, doubled or lost."""
    lines = text.splitlines()
    number = chance.randrange(len(lines))
    lines[number : number + 1] = chance.choice(
        [[mutate_json(lines[number], chance).decode()], [], [lines[number]] * 2, [lines[number][: chance.randrange(9)]]]
    )
    return ("\n".join(lines) + "\n").encode()


def mutate_toml(text: str, chance: random.Random) -> bytes:
    """A TOML text with one value or one name replaced, or one line lost."""
    lines = text.splitlines()
    number = chance.choice([row for row, line in enumerate(lines) if line.strip()])
    key, equals, _ = lines[number].partition("=")
    new = chance.choice(
        [f"{key}= {chance.choice(TOML_VALUES)}" if equals else "[x", "", r'"a\u0000b" = 1', "=", lines[0]]
    )
    lines[number] = new
    return ("\n".join(lines) + "\n").encode()


def mutate_bytes(content: bytes, chance: random.Random) -> bytes:
    """Bytes inverted, cut off, inserted or emptied."""
    if not content:
        return b"\0"
    at = chance.randrange(len(content))
    return chance.choice(
        [
            content[:at],
            content[:at] + bytes([content[at] ^ (1 << chance.randrange(8))]) + content[at + 1 :],
            content[:at] + chance.choice([b"\0", b"\xff\xfe", b"[" * 3000, b"9" * 5000]) + content[at:],
            b"",
            b"\xef\xbb\xbf" + content,
        ]
    )


def replace_file(path: Path, chance: random.Random) -> str:
    """Something that is no file in a file's place: says what."""
    path.unlink()
    kind = chance.choice(["nothing", "folder", "pipe", "device", "loop", "sparse"])
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "loop":
        path.symlink_to(path.name)
    elif kind == "sparse":
        path.touch()
        os.truncate(path, 10**12)
    return kind


def damage(path: Path, chance: random.Random) -> str:
    """Damage a file in one of the ways that its kind allows; says how."""
    if chance.random() < 0.08:
        return replace_file(path, chance)
    content = path.read_bytes()
    kinds = {".json": mutate_json, ".jsonl": mutate_lines, ".toml": mutate_toml}
    if path.suffix in kinds and content.strip() and chance.random() < 0.8:
        changed = kinds[path.suffix](content.decode(), chance)
    else:
        changed = mutate_bytes(content, chance)
    path.write_bytes(changed)
    at = next(
        (row for row, (a, b) in enumerate(zip(content, changed, strict=False)) if a != b),
        min(len(content), len(changed)),
    )
    return re.sub(rb"\s+", b" ", changed[max(0, at - 40) : at + 60]).decode("utf-8", "replace")
