"""Several teachers as one: weighed by their confidence in each image, from caches and live."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edgekd.data.batch import Batch
from edgekd.teachers.teacher import Ensemble, confidence, doubts
from tests.teachers.test_teacher import Says

TEACHER = "custom-student-pictures"
LOGITS = np.array([[[2.0, 0.0, -1.0], [0.5, 0.5, 0.0]], [[0.0, 1.0, 0.0], [3.0, -1.0, 0.0]]])
"""Of two teachers, [teachers, images, classes]."""


def images(*targets: int) -> Batch:
    count = len(targets)
    return Batch(torch.zeros(count, 4, 4, 3, dtype=torch.uint8), torch.tensor(targets), np.arange(count), 0)


def doubt_by_hand(target: int, place: int) -> np.ndarray:
    p = np.exp(LOGITS[:, place]) / np.exp(LOGITS[:, place]).sum(1, keepdims=True)
    return -np.log(p[:, target]) if target >= 0 else -(p * np.log(p)).sum(1)


def shares_by_hand(doubt: np.ndarray, weights: tuple[float, float] = (1.0, 1.0)) -> np.ndarray:
    shares = (1 - np.exp(doubt) / np.exp(doubt).sum()) * weights
    return np.asarray(shares / shares.sum())


@pytest.mark.parametrize("targets", [(0, 2), (0, -1), (-1, -1)])
@pytest.mark.parametrize("weights", [(1.0, 1.0), (3.0, 1.0)])
def test_each_image_weighs_the_teachers_by_their_doubt(targets: tuple[int, int], weights: tuple[float, float]) -> None:
    members = [Says(torch.tensor(each, dtype=torch.float32)) for each in LOGITS]
    found = Ensemble(members, weights, by_confidence=True)(images(*targets)).logits
    for place, target in enumerate(targets):
        shares = shares_by_hand(doubt_by_hand(target, place), weights)
        assert found[place].tolist() == pytest.approx(list(shares @ LOGITS[:, place]), rel=1e-5)


def test_a_mixed_image_is_doubted_by_both_its_labels() -> None:
    batch = replace(images(0, 2), partner_target=torch.tensor([1, -1]), share=torch.tensor([0.25, 0.5]))
    expected = [
        0.25 * doubt_by_hand(0, 0)[1] + 0.75 * doubt_by_hand(1, 0)[1],
        0.5 * doubt_by_hand(2, 1)[1] + 0.5 * doubt_by_hand(-1, 1)[1],
    ]
    assert doubts(torch.tensor(LOGITS[1]), batch).tolist() == pytest.approx(expected, rel=1e-5)


def test_teachers_alike_share_evenly_and_one_that_is_lost_counts_least() -> None:
    assert confidence(torch.zeros(4, 1), [1.0] * 4).flatten().tolist() == pytest.approx([0.25] * 4)
    sure, less, lost = confidence(torch.tensor([[0.1], [1.0], [9.0]]), [1.0] * 3).flatten().tolist()
    assert sure > less > 100 * lost and sure + less + lost == pytest.approx(1)


@pytest.mark.slow
def test_from_caches_and_live_it_is_the_same_lesson(cli: Any, copy: Path, quick: Any) -> None:
    student = ("--student", "custom-student", "--ensemble", "confidence", "--view-seed", 0, "--json")
    other = "tiny-cnn-from-custom-student-pictures"
    assert cli("cache-logits", "--teacher", other, "--name", "b", "--view-seed", 0, "--store", "fp32").code == 0
    assert cli("cache-logits", "--teacher", TEACHER, "--name", "a", "--view-seed", 0, "--store", "fp32").code == 0
    caches = ("--cache", "a=2", "--cache", "b")
    cached = cli("distill", *caches, *student, *quick, "--name", "cached")
    assert cached.code == 0, cached.err
    live = cli("distill", "--live", "--teacher", f"{TEACHER}=2,{other}", *student, *quick, "--name", "live")
    assert live.code == 0, live.err
    rows = [json.loads((copy / "runs" / name / "metrics.jsonl").read_text()) for name in ("cached", "live")]
    assert rows[0]["kd"] == pytest.approx(rows[1]["kd"], rel=1e-3)
    teachers = live.json["parents"]["teachers"]
    assert [each["weight"] for each in teachers] == [2.0, 1.0] and len(live.json["teacher_quality"]["teachers"]) == 2
    fixed = cli("distill", *caches, "--student", "custom-student", "--view-seed", 0, *quick, "--name", "fixed")
    assert fixed.code == 0, fixed.err
    assert json.loads((copy / "runs" / "fixed" / "metrics.jsonl").read_text())["kd"] != rows[0]["kd"]
    manifest = copy / "runs" / "live" / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"status": "interrupted"}))
    assert cli("distill", "--name", "live", "--resume").code == 0


@pytest.mark.parametrize(
    ("options", "problem", "hint"),
    [
        (("--ensemble", "confidence"), "--ensemble confidence: there is one teacher only", "--live --teacher A,B"),
        (("--ensemble", "confidence", "--peers", "resnet8"), "--peers and --ensemble", "without a teacher"),
        (("--teacher", f"{TEACHER},x"), "several teachers are asked with --live only", "--cache NAME --cache NAME"),
        (("--live", "--teacher", f"{TEACHER},{TEACHER}"), "is named twice", "NAME=WEIGHT"),
        (("--live", "--teacher", f"{TEACHER}=0,x"), "no number above 0", "best=0.5"),
    ],
)
def test_what_cannot_work_is_said_with_what_would(
    cli: Any, at_work: Path, quick: Any, options: tuple[object, ...], problem: str, hint: str
) -> None:
    called = cli("distill", *quick, *options, "--name", "x")
    assert called.code == 2 and problem in called.err and hint in called.err
