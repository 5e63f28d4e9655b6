"""How long commands take before they do anything, beside Python itself and `import torch`."""

import subprocess
import sys
import time
from functools import partial
from statistics import median

from record import options, publish, ratio
from turns import in_turns

EDGEKD = [sys.executable, "-m", "edgekd"]
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "python -c 'import torch'": [sys.executable, "-c", "import torch"],
    "edgekd --help": [*EDGEKD, "--help"],
    "edgekd profile --help": [*EDGEKD, "profile", "--help"],
    "edgekd devices": [*EDGEKD, "devices"],
    "edgekd models": [*EDGEKD, "models"],
    "edgekd distill --help": [*EDGEKD, "distill", "--help"],
}
TORCH = "python -c 'import torch'"


def once(command: list[str]) -> float:
    """Seconds from start to end."""
    started = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


def main() -> None:
    """Measure and publish."""
    parser = options(__doc__)
    parser.add_argument("--rounds", type=int, default=11)
    asked = parser.parse_args()
    runs = [partial(once, command) for command in COMMANDS.values()]
    for run in runs:
        run()
    times = dict(zip(COMMANDS, in_turns(asked.rounds, *runs), strict=True))
    rows = [
        {
            "command": name,
            "s": f"{median(found):.3f}",
            "import torch / this [95 %]": "" if name == TORCH else ratio(times[TORCH], found),
        }
        for name, found in times.items()
    ]
    about = f"Median of {asked.rounds} runs that took turns, all files in the system's cache."
    publish("start-up", "Start-up", about, rows, is_trial=asked.trial)


if __name__ == "__main__":
    main()
