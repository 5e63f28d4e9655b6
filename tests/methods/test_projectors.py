"""The cross-attention projector: shapes, what its output depends on, and heads."""

import pytest
import torch
from torch import nn

from edgekd.errors import UsageError
from edgekd.methods.projectors import Attention, Convolution, Projector, heads_for


def projector(student: tuple[int, int, int], teacher: tuple[int, int, int], **settings: object) -> Projector:
    torch.manual_seed(0)
    return Projector(student, teacher, Attention(**{"heads": 2} | settings))


@pytest.mark.parametrize(
    ("grid", "wanted"), [((8, 8), (7, 7)), ((14, 14), (16, 16)), ((2, 2), (14, 14)), ((3, 5), (4, 2))]
)
@pytest.mark.parametrize("has_layer_norm", [True, False])
def test_any_grid_becomes_any_other(grid: tuple[int, int], wanted: tuple[int, int], has_layer_norm: bool) -> None:
    tokens = projector((6, *grid), (8, *wanted), has_layer_norm=has_layer_norm)(torch.randn(2, 6, *grid))
    assert tokens.shape == (2, wanted[0] * wanted[1], 8)


def test_without_attention_logits_all_tokens_are_equal() -> None:
    maps = torch.randn(2, 6, 4, 4)
    flat, sharp = (projector((6, 4, 4), (8, 3, 3), sharpness=g)(maps) for g in (0.0, 5.0))
    assert torch.allclose(flat, flat[:, :1].expand_as(flat), atol=1e-6)
    assert (sharp - sharp[:, :1]).abs().max() > 1e-2


def test_nothing_goes_round_the_attention() -> None:
    cap = projector((6, 4, 4), (8, 3, 3))
    nn.init.zeros_(cap.merge.weight)
    nn.init.zeros_(cap.merge.bias)
    first = cap(torch.randn(2, 6, 4, 4), torch.randn(2, 9, 8))
    assert torch.equal(first, cap(torch.randn(2, 6, 4, 4), torch.randn(2, 9, 8)))


def test_the_residual_is_that_of_the_normalised_values() -> None:
    cap = projector((6, 4, 4), (8, 3, 3))
    nn.init.zeros_(cap.narrow.weight)
    nn.init.zeros_(cap.narrow.bias)
    tokens = cap(torch.randn(2, 6, 4, 4))
    assert tokens.mean(2).abs().max() < 1e-5 and (tokens.var(2, unbiased=False) - 1).abs().max() < 1e-2


def test_attention_is_that_of_the_formula() -> None:
    cap, maps = projector((6, 2, 3), (8, 2, 2), sharpness=5.0).double(), torch.randn(1, 6, 2, 3, dtype=torch.float64)
    seen = (cap.stem(maps) + cap.position).flatten(2).transpose(1, 2)
    asked, keys, values = cap.query(cap.prepare(cap.table)), cap.key(seen), cap.value(seen)
    found = []
    for head in (slice(0, 4), slice(4, 8)):
        weights = (5 * 4**-0.5 * asked[..., head] @ keys[..., head].transpose(1, 2)).softmax(2)
        found.append(weights @ values[..., head])
    tokens = cap.norm(cap.merge(torch.cat(found, 2)))
    assert torch.allclose(cap(maps), tokens + cap.narrow(cap.widen(tokens).relu()), atol=1e-9)


def test_only_the_position_embedding_knows_where_a_value_stands() -> None:
    cap, maps = projector((6, 4, 4), (8, 3, 3)), torch.randn(2, 6, 4, 4)
    cap.stem = nn.Sequential(nn.Identity())
    shuffled = maps.flatten(2)[:, :, torch.randperm(16)].view_as(maps)
    assert (cap(maps) - cap(shuffled)).abs().max() > 1e-4
    nn.init.zeros_(cap.position)
    assert torch.allclose(cap(maps), cap(shuffled), atol=1e-5)


def test_queries_that_are_given_take_the_place_of_the_learned_ones() -> None:
    cap, maps = projector((6, 4, 4), (8, 3, 3)), torch.randn(2, 6, 4, 4)
    assert torch.equal(cap(maps), cap(maps, cap.table.expand(2, -1, -1)))
    assert not torch.equal(cap(maps), cap(maps, torch.randn(2, 9, 8)))
    bare = projector((6, 4, 4), (8, 3, 3), has_queries=False)
    assert "table" not in dict(bare.named_parameters())
    with pytest.raises(ValueError, match="queries"):
        bare(maps)


def test_maps_may_grow_and_one_image_of_one_position_has_a_gradient() -> None:
    assert projector((6, 4, 4), (8, 3, 3))(torch.randn(2, 6, 6, 5)).shape == (2, 9, 8)
    cap = projector((6, 1, 1), (8, 3, 3)).train()
    cap(torch.randn(1, 6, 1, 1)).square().sum().backward()
    assert all(torch.isfinite(each.grad).all() for each in cap.parameters())


def test_a_convolution_keeps_the_grid() -> None:
    assert Convolution((6, 4, 3), (8, 4, 3))(torch.randn(2, 6, 4, 3)).shape == (2, 12, 8)
    same, maps = Convolution((6, 4, 3), (6, 4, 3)), torch.randn(2, 6, 4, 3)
    assert not list(same.parameters()) and torch.equal(same(maps)[:, 4], maps[:, :, 1, 1])
    with pytest.raises(UsageError, match="4x4, the teacher's 3x3"):
        Convolution((6, 4, 4), (8, 3, 3))


def test_heads_are_about_64_wide_and_divide_the_width() -> None:
    found = {width: heads_for(width, 0, "heads4") for width in (192, 384, 768, 1024, 1536, 20, 67)}
    assert found == {192: 3, 384: 6, 768: 12, 1024: 16, 1536: 24, 20: 1, 67: 1}
    assert heads_for(768, 8, "heads4") == 8
    with pytest.raises(UsageError) as caught:
        heads_for(768, 5, "heads4")
    assert "heads4=5" in caught.value.problem and "12" in caught.value.hint
