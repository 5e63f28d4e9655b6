"""One member of each of timm's families: its taps and its last stage are found, or what is missing is said."""

from collections.abc import Iterator

import pytest
import timm
import torch

from edgekd.errors import EdgekdError
from edgekd.methods.loading import join, load_method
from edgekd.methods.sides import side_of
from edgekd.models.build import build
from edgekd.models.taps import examine
from edgekd.teachers.teacher import Live
from tests.models.nets import built, images_of

LARGEST = 12_000_000
"""Parameters of a member that is tried."""


def members() -> Iterator[str]:
    """The smallest member of each module of timm's, by a look at parameters without memory."""
    families = sorted({timm.models.model_entrypoint(name).__module__ for name in timm.list_models()})
    for family in families:
        sizes = {}
        for name in timm.list_models(module=family.rpartition(".")[2])[:2]:
            with torch.device("meta"):
                sizes[name] = sum(each.numel() for each in timm.create_model(name).parameters())
        if sizes and min(sizes.values()) < LARGEST:
            yield min(sizes, key=sizes.__getitem__)


@pytest.mark.slow
def test_taps_of_every_family_are_found_or_refused_in_words() -> None:
    student, found, without_tail = side_of(built("tiny-cnn")), [], []
    for name in members():
        try:
            network = build(name, images_of(32))
        except EdgekdError as error:
            assert error.problem and error.hint
            continue
        teacher = Live(network).side
        found.append(name)
        assert examine(network).stages == teacher.stages
        if teacher.tail is None:
            without_tail.append(name)
        for method in ("ofa", "at", "scalekd"):
            try:
                join(method, load_method(method, (), {}), student, teacher)
            except EdgekdError as error:
                assert error.problem and error.hint
    assert len(found) > 30 and len(without_tail) < len(found) / 4
