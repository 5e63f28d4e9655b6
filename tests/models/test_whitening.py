"""The stem that is set from images: its outputs do not vary together, and nothing trains it."""

import torch

from edgekd.config import Data
from edgekd.images.imageset import ImageData
from edgekd.images.sources import open_images
from edgekd.models.build import build
from edgekd.models.whitening import Whitening
from edgekd.report import Silent


def shapes(**options: object) -> ImageData:
    return open_images(Data(data="shapes", limit=300, **options), Silent())  # type: ignore[arg-type]


def components(layer: Whitening, images: torch.Tensor) -> torch.Tensor:
    """Outputs [images and places, components], without the negatives."""
    maps = layer(images)
    half = maps.shape[1] // 2
    assert torch.equal(maps[:, half:], -maps[:, :half])
    flat: torch.Tensor = maps[:, :half].transpose(0, 1).flatten(1).T
    return flat


def test_components_are_uncorrelated_and_of_variance_one() -> None:
    torch.manual_seed(0)
    noise = torch.randn(40, 3, 16, 16)
    images = (noise + noise.roll(1, 3) + 0.5 * noise.roll(1, 1)) * torch.tensor([1.0, 2.0, 0.5]).view(1, 3, 1, 1)
    layer = Whitening(3)
    layer.fit(images)
    found = components(layer, images)
    covariance = found.T @ found / len(found)
    assert (covariance - torch.eye(12)).abs().max() < 0.02


def test_constant_images_give_finite_weights() -> None:
    layer = Whitening(1)
    layer.fit(torch.zeros(3, 1, 8, 8))
    assert layer.weight.isfinite().all()


def test_a_fresh_resnet9_is_whitened_by_its_data_and_the_same_for_every_seed() -> None:
    data = shapes()
    stems = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        network = build("resnet9", data)
        stems.append(next(each for each in network.modules() if isinstance(each, Whitening)))
    assert torch.equal(stems[0].weight, stems[1].weight)
    canvas = torch.from_numpy(data.train.pixels.gather(data.train.index))
    found = components(stems[0], network.prepare(canvas))
    deviation = (found.square().mean(0)).sqrt()
    assert deviation.min() > 0.5 and deviation.max() < 1.2


def test_the_stem_does_not_train_but_is_saved() -> None:
    network = build("resnet9", shapes())
    stem = next(each for each in network.modules() if isinstance(each, Whitening))
    network(torch.randint(0, 256, (4, 32, 32, 3), dtype=torch.uint8)).sum().backward()
    assert stem.weight.grad is None
    assert any(each is stem.weight for each in network.parameters())
    assert any("stem" in name and each.shape == stem.weight.shape for name, each in network.state_dict().items())
