"""A student taught from a cache ends with the very weights of one whose live teacher answers on the cache's batches."""

from collections.abc import Collection
from pathlib import Path

import numpy as np
import pytest
import torch

from edgekd.cache.store import LogitCache
from edgekd.compute.formats import Format
from edgekd.config import CacheLogits, Data
from edgekd.data.batch import Batch
from edgekd.data.loader import Batches, view_in_order
from edgekd.data.sources import open_data
from edgekd.data.view_options import settle_views, view_recipe
from edgekd.images.imageset import ImageData
from edgekd.methods.kd import Kd, Options
from edgekd.models.build import build
from edgekd.models.network import Network
from edgekd.models.outputs import Output
from edgekd.models.trained import load_network
from edgekd.objectives.distillation import Distillation
from edgekd.report import Silent
from edgekd.runs import Run
from edgekd.teachers.cache_pass import Purpose, fill
from edgekd.teachers.source import from_run
from edgekd.teachers.teacher import Cached, Live, Teacher
from edgekd.training.settings import Settled
from edgekd.training.update import LayerRate, Update, make_optimizer

TEACHER = "custom-student-pictures"
VIEWS, BATCH, EPOCHS = 2, 6, 3
FORM = Format("fp32", "channels-last")


class OnItsBatches:
    """A live teacher asked in the cache's order and batch size; a training batch picks its rows from these answers."""

    def __init__(self, network: Network, data: ImageData, config: CacheLogits) -> None:
        recipe = view_recipe(settle_views(config, {}))
        live = Live(network)
        self.side = live.side
        rows = range(len(data.everything))
        self.answers = [
            torch.cat([live(batch).logits for batch in view_in_order(data.everything, recipe, view, BATCH, rows)])
            for view in range(VIEWS)
        ]

    def giving(self, needs: Collection[str]) -> "OnItsBatches":
        return self

    def __call__(self, batch: Batch) -> Output:
        return Output(logits=self.answers[batch.view][torch.from_numpy(batch.index)])


def taught(teacher: Teacher, data: ImageData) -> dict[str, torch.Tensor]:
    """A student's weights after a few epochs."""
    torch.manual_seed(3)
    config = Settled(optimizer="sgd", lr=0.05, weight_decay=0.0, progressive=1.0, crop=0.125, flip="on", view_seed=0)
    student = build("custom-student", data)
    method = Kd(Options())
    objective = Distillation(student, teacher, method, 0.9)
    FORM.prepare(objective)
    update = Update(objective, make_optimizer(config, [LayerRate(list(objective.parameters()), 1.0)]), config, FORM)
    batches = Batches(data.train, view_recipe(config), BATCH, 0, VIEWS)
    steps = EPOCHS * batches.steps_per_epoch
    for step, batch in zip(range(steps), batches.starting_at(0), strict=False):
        update(batch, step / steps)
    return {name: value.clone() for name, value in student.backbone.state_dict().items()}


@pytest.fixture
def scene(workplace: Path, folder: Path) -> tuple[Network, ImageData]:
    return load_network(Run(workplace / "runs" / TEACHER)), open_data(Data(data=str(folder)), Silent())


def filled(workplace: Path, data: ImageData, place: Path, store: str) -> tuple[LogitCache, CacheLogits]:
    config = CacheLogits(
        caches=place, name=store, store=store, views=VIEWS, batch_size=BATCH, threads=1, precision="fp32",
        memory_format="channels-last",
    )  # fmt: skip
    cache = fill(from_run(Run(workplace / "runs" / TEACHER)), data, config, Silent(), Purpose()).cache
    assert cache is not None
    return cache, config


def test_the_same_batches_give_the_same_student_to_the_last_bit(
    scene: tuple[Network, ImageData], workplace: Path, tmp_path: Path
) -> None:
    network, data = scene
    cache, config = filled(workplace, data, tmp_path, "fp32")
    cached, live = taught(Cached(cache), data), taught(OnItsBatches(network, data, config), data)
    assert all(torch.equal(cached[name], live[name]) for name in live)


def test_shuffled_batches_move_logits_by_less_than_a_hundred_thousandth(
    scene: tuple[Network, ImageData], workplace: Path, tmp_path: Path
) -> None:
    network, data = scene
    cache, _ = filled(workplace, data, tmp_path, "fp32")
    live, stored = Live(network), Cached(cache)
    recipe = view_recipe(settle_views(CacheLogits(), {}))
    for _, batch in zip(range(8), Batches(data.train, recipe, 5, 1, VIEWS).starting_at(0), strict=False):
        said = live(batch).logits
        assert (stored(batch).logits - said).abs().max() < 1e-5 * said.abs().max()


@pytest.mark.parametrize(("store", "most"), [("fp16", 5e-4), ("u8", 2.1e-3)])
def test_smaller_stores_are_off_by_their_rounding(
    scene: tuple[Network, ImageData], workplace: Path, tmp_path: Path, store: str, most: float
) -> None:
    _, data = scene
    exact, _ = filled(workplace, data, tmp_path, "fp32")
    small, _ = filled(workplace, data, tmp_path, store)
    every = np.arange(exact.rows)
    for view in range(VIEWS):
        expected, found = exact.logits(view, every), small.logits(view, every)
        span = (expected.max(1).values - expected.min(1).values)[:, None]
        assert ((found - expected).abs() <= most * torch.maximum(span, expected.abs())).all()
