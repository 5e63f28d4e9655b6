"""`python -m edgekd` and the console script. Signals end the process in order from the first line on."""

import os
import signal
import sys
from types import FrameType

CODE = 128
"""Added to a signal's number: the exit code that shells know."""


def _leave(number: int, _frame: FrameType | None) -> None:
    """Nothing is begun yet, or all is done: there is no state to save, and an exception would find half a module."""
    os.write(2, b"error: interrupted\n  try: call the same command again\n")
    os._exit(CODE + number)


# What is ignored stays ignored: a shell starts its background jobs so.
SIGNALS = [each for each in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(each) is not signal.SIG_IGN]
for _each in SIGNALS:
    signal.signal(_each, _leave)

try:
    from edgekd.cli.app import main as run_command
except (OSError, MemoryError, SystemError) as error:  # no descriptor or no memory is left
    os.write(2, f"error: edgekd cannot start ({error})\n  try: raise the limits (ulimit -n, ulimit -v)\n".encode())
    sys.exit(3)


def main() -> int:
    """Run the command line of this process and return its exit code (see errors.py)."""
    code = run_command()
    for each in SIGNALS:
        signal.signal(each, _leave)
    return code


if __name__ == "__main__":
    sys.exit(main())
