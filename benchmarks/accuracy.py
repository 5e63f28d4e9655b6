"""A student's test accuracy against what its teacher's cache holds: number of views, kind of store, or a live teacher.

Runs that are finished in --work are not repeated, so it can be stopped and called again.
"""

import json
import statistics
from argparse import Namespace
from pathlib import Path
from typing import Any

from record import options, publish

from edgekd.config import CacheLogits, Distill, TrainTeacher
from edgekd.recipes import cache_logits, distill, train_teacher
from edgekd.report import Silent
from edgekd.runs import Run

FORM: dict[str, Any] = {"precision": "fp32", "memory_format": "channels-last"}


def main() -> None:
    """Train what is missing and publish the table."""
    parser = options(__doc__)
    parser.add_argument("--data", default="shapes")
    parser.add_argument("--work", type=Path, required=True, help="folder of runs and caches, kept")
    parser.add_argument("--teacher", help="a run in WORK/runs; default: a resnet9 trained first")
    parser.add_argument("--student", default="tiny-cnn")
    parser.add_argument("--views", default="1,2,5,10")
    parser.add_argument("--stores", default="fp16", help="fp16, fp32, u8, topk or live; more than one compares stores")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    teacher = asked.teacher or _teacher(asked)
    rows = [
        _row(asked, teacher, store, int(views)) for store in asked.stores.split(",") for views in asked.views.split(",")
    ]
    kind = "stores" if "," in asked.stores else "views"
    run = Run(asked.work / "runs" / teacher).manifest()
    about = (
        f"{asked.student} on {run['data']['name']}, {asked.epochs} epochs, kd with alpha 0.5 and T=4, teacher "
        f"{teacher} ({run['result']['test_top1']:.2%} test accuracy). Best epoch by validation; tested once."
    )
    publish(
        f"accuracy-{kind}", f"Accuracy against {kind} of the cache", about, rows, asked.threads, is_trial=asked.trial
    )


def _teacher(asked: Namespace) -> str:
    if not Run(asked.work / "runs" / "teacher").weights.is_file():
        config = TrainTeacher(data=asked.data, runs=asked.work / "runs", name="teacher", threads=asked.threads, **FORM)
        train_teacher.run(config, Silent())
    return "teacher"


def _row(asked: Namespace, teacher: str, store: str, views: int) -> dict[str, Any]:
    found = [_accuracy(asked, teacher, store, views, seed) for seed in range(asked.seeds)]
    spread = f" ± {statistics.stdev(found):.2%}" if len(found) > 1 else ""
    return {
        "store": store,
        "views": "one an epoch" if store == "live" else views,
        "test accuracy (mean ± sd)": f"{statistics.mean(found):.2%}{spread}",
        "seeds": ", ".join(f"{each:.2%}" for each in found),
    }


def _accuracy(asked: Namespace, teacher: str, store: str, views: int, seed: int) -> float:
    """The test accuracy of one run, trained unless it is there."""
    run = Run(asked.work / "runs" / f"{store}-k{views}-s{seed}")
    if not run.is_there or run.manifest()["status"] != "finished":
        places = {"caches": asked.work / "cache", "runs": asked.work / "runs"}
        common: dict[str, Any] = {"teacher": teacher, "threads": asked.threads, **places, **FORM}
        cache = f"{store}-{teacher}"
        if store != "live":
            most = max(int(each) for each in asked.views.split(","))
            cache_logits.run(CacheLogits(name=cache, store=store, views=most, **common), Silent())
        source = {"live": True, "view_seed": 0} if store == "live" else {"cache": (cache,), "views": views}
        config = Distill(
            student=asked.student,
            seed=seed,
            epochs=asked.epochs,
            name=run.path.name,
            overwrite=run.is_there,
            **source,
            **common,
        )
        distill.run(config, Silent())
    return float(json.loads((run.path / "manifest.json").read_text())["result"]["test_top1"])


if __name__ == "__main__":
    main()
