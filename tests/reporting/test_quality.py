"""Figures of answers against counting by hand."""

import math

import numpy as np
import pytest

from edgekd.reporting.quality import (
    Answers,
    agreement,
    calibration,
    confusion,
    most_doubtful,
    quality,
    surest_mistakes,
)

CLASSES = ("cat", "dog", "owl")


def answers(rows: list[tuple[int, list[float]]]) -> Answers:
    """Targets with the probabilities that are answered."""
    chances = np.array([chances for _, chances in rows])
    return Answers(np.log(chances).astype(np.float32), np.array([target for target, _ in rows]))


@pytest.fixture
def six() -> Answers:
    return answers(
        [
            (0, [0.9, 0.05, 0.05]),
            (0, [0.62, 0.3, 0.08]),
            (0, [0.3, 0.65, 0.05]),
            (1, [0.1, 0.85, 0.05]),
            (1, [0.95, 0.03, 0.02]),
            (2, [0.35, 0.25, 0.4]),
        ]
    )


def test_confusion_is_by_label_and_answer(six: Answers) -> None:
    assert confusion(six).tolist() == [[2, 1, 0], [1, 1, 0], [0, 0, 1]]


def test_figures_by_class_and_macro_averages(six: Answers) -> None:
    found = quality(six, CLASSES)
    cat, dog, owl = found["classes"]
    assert (cat["class"], cat["images"]) == ("cat", 3)
    assert cat["precision"] == pytest.approx(2 / 3) and cat["recall"] == pytest.approx(2 / 3)
    assert cat["f1"] == pytest.approx(2 / 3)
    assert (dog["precision"], dog["recall"], dog["f1"]) == (0.5, 0.5, 0.5)
    assert (owl["precision"], owl["recall"], owl["f1"]) == (1, 1, 1)
    assert found["top1"] == pytest.approx(4 / 6)
    mean = (2 / 3 + 0.5 + 1) / 3
    assert found["macro"] == pytest.approx({"precision": mean, "recall": mean, "f1": mean})
    assert found["confused"][0] == {"class": "cat", "answer": "dog", "images": 1, "share": pytest.approx(1 / 3)}
    assert [each["class"] for each in found["confused"]] == ["cat", "dog"]


def test_a_class_that_is_neither_there_nor_answered_does_not_count() -> None:
    found = quality(answers([(0, [0.8, 0.1, 0.1]), (1, [0.2, 0.7, 0.1])]), CLASSES)
    assert found["macro"] == {"precision": 1, "recall": 1, "f1": 1}
    assert found["classes"][2] == {"class": "owl", "images": 0, "recall": 0, "precision": 0, "f1": 0}


def test_calibration_error_is_the_mean_gap_weighted_by_images(six: Answers) -> None:
    # five bins, by confidence: 0.4 | 0.62, 0.65 | 0.85, 0.9, 0.95
    found = calibration(six, bins=5)
    assert [each["images"] for each in found["bins"]] == [0, 1, 0, 2, 3]
    gaps = [(1, abs(1 - 0.4)), (2, abs(1 / 2 - (0.62 + 0.65) / 2)), (3, abs(2 / 3 - 0.9))]
    assert found["ece"] == pytest.approx(sum(count * gap for count, gap in gaps) / 6, abs=1e-6)
    assert found["largest_gap"] == pytest.approx(0.6, abs=1e-6)


def test_brier_score() -> None:
    found = calibration(answers([(0, [0.5, 0.3, 0.2])]))
    assert found["brier"] == pytest.approx(0.25 + 0.09 + 0.04)


def test_confidence_of_an_upper_edge_is_in_the_lower_bin() -> None:
    found = calibration(Answers(np.zeros((1, 4), np.float32), np.array([0])), bins=4)
    assert [each["images"] for each in found["bins"]] == [1, 0, 0, 0]


def test_mistakes_by_confidence_and_doubts_by_margin(six: Answers) -> None:
    assert surest_mistakes(six, 9) == [4, 2]
    assert surest_mistakes(six, 1) == [4]
    assert most_doubtful(six, 2) == [5, 1]


def test_agreement_with_a_teacher(six: Answers) -> None:
    teacher = answers([(0, [0.8, 0.1, 0.1])] * 3 + [(1, [0.8, 0.1, 0.1])] * 2 + [(2, [0.8, 0.1, 0.1])])
    found = agreement(six, teacher)
    assert found["agreement"] == 0.5 and found["top1"] == 0.5
    assert (found["both_right"], found["only_student_right"]) == (2, 2)
    assert (found["only_teacher_right"], found["both_wrong"]) == (1, 1)
    own = [[0.9, 0.05, 0.05], [0.62, 0.3, 0.08], [0.3, 0.65, 0.05], [0.1, 0.85, 0.05], [0.95, 0.03, 0.02]]
    own.append([0.35, 0.25, 0.4])
    kl = [sum(p * math.log(p / q) for p, q in zip([0.8, 0.1, 0.1], row, strict=True)) for row in own]
    assert found["kl"] == pytest.approx(sum(kl) / 6, abs=1e-6)


def test_logits_far_apart_do_not_overflow() -> None:
    found = quality(Answers(np.array([[3e4, -3e4, 0]], np.float32), np.array([0])), CLASSES)
    assert found["calibration"]["ece"] == 0 and found["calibration"]["brier"] == 0


def test_many_classes_keep_pairs_instead_of_a_matrix() -> None:
    rng = np.random.default_rng(0)
    found = quality(
        Answers(rng.normal(size=(300, 201)).astype(np.float32), rng.integers(0, 201, 300)),
        [f"c{number}" for number in range(201)],
    )
    assert found["confusion"] is None and len(found["confused"]) == 20
