"""What a search takes of its own: 200 trials of a made-up objective, wall and processor seconds of each."""

import tempfile
import time
from pathlib import Path
from statistics import median

from optuna.trial import TrialState

from edgekd.models.shape_names import shape_of
from edgekd.studies.searching.trials import Trials

TRIALS = 200
RUNGS = 3


def main() -> None:
    seconds: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        trials = Trials(Path(folder))
        for _ in range(TRIALS):
            began, used = time.perf_counter(), time.process_time()
            _try(trials)
            seconds.append((time.perf_counter() - began, time.process_time() - used))
    for name, some in (("1-20", seconds[:20]), (f"{TRIALS - 19}-{TRIALS}", seconds[-20:])):
        wall, processor = ([each[number] for each in some] for number in (0, 1))
        shown = f"median {median(wall):.3f} s, at most {max(wall):.3f} s, processor {median(processor):.3f} s"
        print(f"trials {name}: {shown}")


def _try(trials: Trials) -> None:
    with trials.next() as current:
        shape = shape_of(current.candidate.model)
        size = 10.0 if shape is None else float(shape.width * shape.depth)
        current.know(model=current.candidate.model, fits=size < 400)
        current.constrain({"max_params": size / 400 - 1})
        for rung in range(RUNGS if size < 400 else 0):
            if not current.goes_on(rung, 1 - 1 / size - 0.1 / (rung + 1)):
                break
        trials.tell(current, None, TrialState.PRUNED)


if __name__ == "__main__":
    main()
