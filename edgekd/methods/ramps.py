"""Settings that change linearly over the training: `--ramp NAME=START:END`."""

import math
from collections.abc import Mapping

from edgekd.errors import UsageError, nearest
from edgekd.methods.contract import Method
from edgekd.methods.ranges import Ramp

ALPHA = "alpha"
"""The division between labels and method, which is the objective's (`--alpha`)."""


def ramps_of(texts: tuple[str, ...]) -> dict[str, Ramp]:
    """`alpha=0.9:0.5` as {"alpha": (0.9, 0.5)}; raises UsageError for what is none, or named twice."""
    found: dict[str, Ramp] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        start, colon, end = values.partition(":")
        try:
            ramp = (float(start), float(end))
        except ValueError:
            ramp = (math.nan, math.nan)
        if not (name and equals and colon and all(map(math.isfinite, ramp))):
            raise UsageError(f"--ramp {text}: not a ramp", "give NAME=START:END, as alpha=0.9:0.5")
        if name in found:
            raise UsageError(f"--ramp {text}: {name} is named twice", "give each name once")
        found[name] = ramp
    if not all(0 <= value <= 1 for value in found.get(ALPHA, ())):
        raise UsageError(f"--ramp {ALPHA}: out of range", "alpha is from 0 to 1")
    return found


def set_ramps(method: Method, name: str, ramps: Mapping[str, Ramp]) -> None:
    """Have the method's settings follow the ramps, but for that of alpha; its start is what it now has.

    Raises UsageError for a setting that the method reads once, or not at all.
    """
    own = {key: ramp for key, ramp in ramps.items() if key != ALPHA}
    for key in own:
        if key not in method.follows:
            known = ", ".join(sorted({ALPHA, *method.follows}))
            hint = f"{nearest(key, [ALPHA, *method.follows])}; method {name} can change: {known}"
            raise UsageError(f"--ramp {key}: method {name} has no such setting that can change", hint)
    method.ramps = own
    method.move_to(0.0)
    if "temperature" in own and method.temperature is not None:
        method.temperature = max(own["temperature"])
