"""What the names of students of any size say (models/parametric.py builds them): width, depth, expansion, kernel."""

import re
from dataclasses import dataclass

from edgekd.errors import UsageError

STAGES = 3
"""Blocks are shared out over so many stages, the later ones first."""
BOUNDS = {"w": (4, 512), "d": (STAGES, 48), "e": (1, 8), "k": (3, 7)}
WORDS = {"w": "width", "d": "depth (blocks)", "e": "expansion", "k": "kernel"}
FORMS = {"plain": "wdk", "inverted": "wdek"}
"""The letters of each family's name, in their order."""


@dataclass(frozen=True)
class Shape:
    """What a name says: channels of the first stage, blocks in all, channels in a block per channel, kernel's side."""

    family: str
    width: int
    depth: int
    kernel: int
    expansion: int = 1

    @property
    def name(self) -> str:
        """The model's name, `inverted-w16-d3-e4-k3`."""
        values = {"w": self.width, "d": self.depth, "e": self.expansion, "k": self.kernel}
        return "-".join([self.family, *(f"{letter}{values[letter]}" for letter in FORMS[self.family])])


def shape_of(name: str) -> Shape | None:
    """What a name of these families says; None for any other name.

    Raises UsageError for one that begins like theirs, but is not whole or out of bounds.
    """
    family = name.partition("-")[0]
    if family not in FORMS or "-" not in name:
        return None
    letters = FORMS[family]
    match = re.fullmatch("-".join([family, *(rf"{letter}([1-9]\d{{0,3}})" for letter in letters)]), name)
    if match is None:
        words = ", ".join(f"{letter}: {WORDS[letter]}" for letter in letters)
        example = Shape(family, 16, 3, 3, 4).name
        raise UsageError(f"{name}: not a name of the family {family}", f"write it as {example} ({words})")
    values = dict(zip(letters, map(int, match.groups()), strict=True))
    for letter, value in values.items():
        low, high = BOUNDS[letter]
        if not low <= value <= high or (letter == "k" and value % 2 == 0):
            odd = "an odd number " if letter == "k" else ""
            raise UsageError(f"{name}: {letter}{value} is out of bounds", f"{WORDS[letter]}: {odd}from {low} to {high}")
    return Shape(family, values["w"], values["d"], values["k"], values.get("e", 1))
