"""The child's end of the pipe: one JSON command a line in, one JSON answer a line out."""

import json
import os
import sys
from collections.abc import Callable
from typing import Any

from edgekd.errors import EdgekdError


def answer(handle: Callable[..., dict[str, Any]]) -> None:
    """Call `handle(**command)` for each command until standard input ends; expected errors are answers too.

    What libraries print to standard output goes to standard error, so that it cannot spoil an answer.
    """
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for line in sys.stdin:
        try:
            found = handle(**json.loads(line))
        except EdgekdError as error:
            found = {"error": type(error).__name__, "problem": error.problem, "hint": error.hint}
        answers.write(json.dumps(found) + "\n")
        answers.flush()
