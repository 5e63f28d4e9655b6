"""Facts of reports, written by hand."""

from typing import Any

import numpy as np
import pytest

from edgekd.reporting.quality import Answers, agreement, quality
from edgekd.reporting.thumbnails import thumbnail

CLASSES = ("cat", "dog <b>", "owl")


@pytest.fixture
def run_facts() -> dict[str, Any]:
    """As report.json of a run."""
    rng = np.random.default_rng(3)
    targets = rng.integers(0, 3, 90)
    logits = rng.normal(size=(90, 3)).astype(np.float32)
    logits[np.arange(90), targets] += 1
    own = Answers(logits, targets)
    taught = Answers(logits + rng.normal(size=(90, 3)).astype(np.float32), targets)
    image = {
        "image": 'dog <b>/"quoted" & more.png',
        "class": "dog <b>",
        "answer": "cat",
        "confidence": 0.83,
        "second": "dog <b>",
        "second_confidence": 0.12,
        "thumbnail": thumbnail(np.full((16, 16, 3), 99, np.uint8)),
        "teacher": {"answer": "owl", "confidence": 0.51},
    }
    sums = {"student": 0.5, "teacher": 0.75}
    return {
        "kind": "run",
        "format": 1,
        "edgekd": "0.2.0",
        "created": "2026-01-02T03:04:05+00:00",
        "run": "runs/a </script> run",
        "command": "distill",
        "model": {"name": "tiny-cnn", "input_size": 16, "channels": 3},
        "data": {"name": "pictures", "data": "/pictures", "split": "test", "canvas": 16},
        "result": {"best_epoch": 2},
        "epochs": [
            {"epoch": 1, "step": 4, "loss": 1.5, "kd": 0.3, "val_loss": 1.4, "val_top1": 0.25, "best": True},
            {"epoch": 2, "step": 8, "loss": 1.25, "kd": 0.2, "val_loss": 1.3, "val_top1": 0.5, "best": True},
        ],
        "quality": quality(own, CLASSES),
        "images": {"mistakes": [image], "doubts": [image]},
        "teacher": {
            "name": "big",
            "model": "resnet9",
            "place": "runs/big",
            "params": 1_528_838,
            "macs": 90_000_000,
            "size_bytes": 6_000_000,
            "train_seconds": 12.5,
            **agreement(own, taught),
        },
        "suspects": {
            "cache": "cache/big",
            "views": 2,
            "of": 540,
            "sure": 0.7,
            "images": 1,
            "listed": [image],
            "names": [image["image"]],
        },
        "corruptions": {
            "images": 40,
            "clean": sums,
            "rows": [{"kind": "noise", "strength": 0.04, "unit": "standard deviation, share of the range", **sums}],
        },
        "cost": {
            "params": 10_550,
            "macs": 1_164_576,
            "files": [
                {"file": "model.safetensors", "size_bytes": 51_304},
                {"file": "model.onnx", "size_bytes": 85_763},
            ],
            "train_seconds": 2.76,
            "images_per_second": 741.8,
            "peak_rss_mb": 1053.9,
            "steps": 16,
        },
        "provenance": {
            "parents": [{"role": "teacher", "place": "runs/big", "sha256": "ab" * 32}],
            "weights_sha256": "cd" * 32,
            "data_fingerprint": "ef" * 32,
            "views": {"crop": 0.0625, "flip": True},
            "environment": {"edgekd": "0.2.0", "python": "3.11", "system": "Linux", "cores": 2, "packages": {"a": "1"}},
            "config": {"epochs": 4, "cache": ["cache/big"], "flip": "on"},
        },
        "commands": ["edgekd distill --student tiny-cnn --data '/a & b'"],
    }


@pytest.fixture
def study_facts() -> dict[str, Any]:
    """As study.json."""

    def arm(name: str, top1: float, seconds: float) -> dict[str, Any]:
        spread = {
            "test_top1": {"mean": top1, "sd": 0.004, "n": 3},
            "train_seconds": {"mean": seconds, "sd": None, "n": 1},
        }
        steps = {
            str(seed): [{"command": f"edgekd distill --seed {seed}", "digest": "a", "work": None}] for seed in (0, 1)
        }
        return {"name": name, "seeds": {"0": {"test_top1": top1}}, "spread": spread, "failures": {}, "steps": steps}

    arms = [arm("alpha 0.1", 0.812, 30.5), arm("alpha 0.5", 0.864, 31.25)]
    arms[1]["failures"] = {"1": "runs/x: diverged"}
    difference = {"arm": "alpha 0.5", "figure": "test_top1", "mean": 0.052, "low": 0.041, "high": 0.063, "n": 3}
    return {
        "format": 1,
        "study": "alpha",
        "question": "Which alpha?",
        "is_complete": False,
        "baseline": "alpha 0.1",
        "arms": arms,
        "differences": [difference],
    }


@pytest.fixture
def search_facts() -> dict[str, Any]:
    """As search.json."""

    def trial(width: int, top1: float | None, latency: float) -> dict[str, Any]:
        cost = {"latency_ms": latency, "size_bytes": 1000 * width, "params_count": 250 * width}
        return {"params": {"width": width}, "top1": top1, **cost, "state": "complete" if top1 else "too slow"}

    trials = [trial(8, 0.61, 1.5), trial(16, 0.74, 2.75), trial(24, 0.73, 3.5), trial(64, None, 9.0)]
    return {"trials": trials, "front": trials[:2], "budget": {"max_latency_ms": 3.0}}
