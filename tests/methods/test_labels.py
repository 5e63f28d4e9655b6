from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from edgekd.data.batch import Batch
from edgekd.methods.labels import target_shares

BATCH = Batch(torch.zeros(3, 4, 4, 3, dtype=torch.uint8), torch.tensor([1, -1, 0]), np.arange(3), 0)
TEACHER = F.one_hot(torch.tensor([2, 2, 1]), 3).float()


def test_an_unlabelled_image_stands_for_the_teachers_answer() -> None:
    [(target, share)] = target_shares(BATCH, TEACHER)
    assert target.tolist() == [1, 2, 0] and share.tolist() == [1, 1, 1]


def test_a_mixed_image_stands_for_both_its_classes() -> None:
    batch = replace(BATCH, partner_target=torch.tensor([0, 1, -1]), share=torch.tensor([0.25, 0.5, 1.0]))
    (own, share), (partner, rest) = target_shares(batch, TEACHER)
    assert (own.tolist(), partner.tolist()) == ([1, 2, 0], [0, 1, 1])
    assert (share + rest).tolist() == [1, 1, 1] and rest.tolist() == pytest.approx([0.75, 0.5, 0.0])
