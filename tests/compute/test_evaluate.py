import pytest
import torch
import torch.nn.functional as F

from edgekd.compute.evaluate import evaluate
from edgekd.compute.formats import Format
from edgekd.data.batch import Batch
from edgekd.images.imageset import Split
from edgekd.models.network import Network


def test_the_score_does_not_depend_on_the_batch_size(network: Network, split: Split) -> None:
    assert evaluate(network, split, 5, Format()).loss == pytest.approx(
        evaluate(network, split, 24, Format()).loss, rel=1e-5
    )


def test_the_score_is_that_of_torch(network: Network, split: Split, batch: Batch) -> None:
    score = evaluate(network, split, 7, Format())
    logits = network.eval()(batch.canvas)
    assert score.top1 == pytest.approx((logits.argmax(1) == batch.target).float().mean().item())
    assert score.loss == pytest.approx(F.cross_entropy(logits, batch.target).item(), rel=1e-5)


def test_unlabelled_images_do_not_count(network: Network, split: Split) -> None:
    targets = split.targets.copy()
    targets[:6] = -1
    score = evaluate(network, Split(split.pixels, split.index, targets), 7, Format())
    rest = evaluate(network, Split(split.pixels, split.index[6:], split.targets[6:]), 7, Format())
    assert (
        score.count == 18
        and score.top1 == pytest.approx(rest.top1)
        and score.loss == pytest.approx(rest.loss, rel=1e-5)
    )


def test_nothing_is_learnt(network: Network, split: Split) -> None:
    before = {name: value.clone() for name, value in network.state_dict().items()}
    evaluate(network, split, 7, Format())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
