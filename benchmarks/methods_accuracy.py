"""Test accuracy of distillation methods on one small real set, as a table: the studies of benchmarks/studies.

`methods`: every method from one cache. `scalekd`: its parts, under a small vision transformer. `online`: P2's offline,
online and plain training. From the repository's root; whatever is finished in --work is kept, and with --time-limit 1s
the table is made of that alone.
"""

from pathlib import Path
from typing import Any

from record import options, publish

from edgekd.config import Study
from edgekd.report import Silent
from edgekd.studies import study

STUDIES = Path(__file__).parent / "studies"
TITLES = {
    "methods": "Accuracy of all methods",
    "scalekd": "What each part of ScaleKD brings",
    "online": "Learning together, from a finished teacher, alone",
}


def row_of(arm: dict[str, Any], differences: dict[str, dict[str, Any]], baseline: str) -> dict[str, Any]:
    """One arm: its accuracy over seeds, and the paired difference to the baseline."""
    spread, found = arm["spread"].get("test_top1"), differences.get(arm["name"])
    accuracy, against = "not run", ""
    if spread:
        accuracy = f"{spread['mean']:.2%}" + (f" ± {spread['sd']:.2%}" if spread["sd"] is not None else "")
    if found:
        against = f"{100 * found['mean']:+.2f}"
        if found["low"] is not None:
            against += f" [{100 * found['low']:+.2f}, {100 * found['high']:+.2f}]"
    seeds = ", ".join(f"{each['test_top1']:.2%}" for each in arm["seeds"].values() if "test_top1" in each)
    return {
        "arm": arm["name"],
        "n": len(arm["seeds"]),
        "test accuracy, mean ± sd": accuracy,
        f"against {baseline}, points": against,
        "seeds": seeds,
    }


def main() -> None:
    """Train what is missing and publish the table."""
    parser = options(__doc__)
    parser.add_argument("--study", default="methods", choices=sorted(TITLES))
    parser.add_argument("--data", default="cifar10")
    parser.add_argument("--work", type=Path, required=True, help="folder of runs and caches, kept")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--time-limit", help="begin no further run after this time")
    asked = parser.parse_args()
    config = Study(
        study=str(STUDIES / f"{asked.study}.toml"),
        data=asked.data,
        output=asked.work,
        seeds=asked.seeds,
        threads=asked.threads,
        time_limit=asked.time_limit,
    )
    facts = study.run(config, Silent()).data
    differences = {each["arm"]: each for each in facts["differences"]}
    rows = [row_of(arm, differences, facts["baseline"]) for arm in facts["arms"]]
    teachers = [
        each["teacher_top1"] for arm in facts["arms"] for each in arm["seeds"].values() if "teacher_top1" in each
    ]
    taught = f" The teacher has {teachers[0]:.2%} on the same test images." if teachers else ""
    about = (
        f"{facts['question']}{taught} benchmarks/studies/{asked.study}.toml says how all are trained; fp32, "
        f"channels-last, best epoch by validation, one test. Differences are paired over seeds, with Student's 95 % "
        "interval."
    )
    publish(f"accuracy-{asked.study}", TITLES[asked.study], about, rows, asked.threads, is_trial=asked.trial)


if __name__ == "__main__":
    main()
