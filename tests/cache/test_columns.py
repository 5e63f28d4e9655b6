import math

import pytest
import torch

from edgekd.cache.columns import decode, encode, topk_errors
from edgekd.cache.rows import STORES, default_store, row_bytes, row_shapes

NOBODY = torch.tensor([-1])


def some(rows: int, classes: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    source = torch.Generator().manual_seed(seed)
    logits = torch.randn(rows, classes, generator=source) * 4
    return logits, torch.randint(-1, classes, (rows,), generator=source)


def test_fp32_keeps_every_bit() -> None:
    logits, target = some(50, 10)
    assert torch.equal(decode(encode(logits, target, "fp32", 0), "fp32", 10), logits)


def test_fp16_is_off_by_half_of_its_last_bit() -> None:
    logits, target = some(50, 10)
    error = (decode(encode(logits, target, "fp16", 0), "fp16", 10) - logits).abs()
    assert (error <= logits.abs() * 2**-11 + 2**-25).all()


@pytest.mark.parametrize("seed", range(5))
def test_u8_is_off_by_half_a_step_of_its_row(seed: int) -> None:
    logits, target = some(40, 1 + 30 * seed, seed)
    error = (decode(encode(logits, target, "u8", 0), "u8", logits.shape[1]) - logits).abs()
    least, most = logits.min(1).values, logits.max(1).values
    # low and scale are rounded outwards to half precision
    step = (most - least + least.abs() / 1024) / 255 * (1 + 1 / 1024) + 1e-5
    assert (error <= step[:, None] / 2 + 1e-6).all()


def test_u8_by_hand() -> None:
    columns = encode(torch.tensor([[-1.0, 4.1, 1.04]]), NOBODY, "u8", 0)
    assert columns["logits"].tolist() == [[0, 255, 102]]
    assert columns["low"].item() == -1 and columns["scale"].item() == pytest.approx(0.02, rel=1e-3)


def test_equal_logits_stay_equal_in_u8() -> None:
    assert torch.equal(decode(encode(torch.full((1, 4), 2.5), NOBODY, "u8", 0), "u8", 4), torch.full((1, 4), 2.5))


def test_topk_by_hand_the_label_is_not_among_them() -> None:
    columns = encode(torch.tensor([[0.0, 1.0, 2.0, 3.0]]), torch.tensor([0]), "topk", 2)
    assert columns["index"].tolist() == [[3, 2]] and columns["topk"].tolist() == [[3, 2]]
    assert columns["label_logit"].item() == 0 and columns["rest"].item() == 1
    assert decode(columns, "topk", 4).tolist() == [[0, 1, 2, 3]]


def test_topk_by_hand_the_rest_shares_its_mass() -> None:
    found = decode(encode(torch.tensor([[0.0, 1.0, 2.0, 3.0]]), torch.tensor([3]), "topk", 2), "topk", 4)
    each = math.log((1 + math.e) / 2)
    assert found[0].tolist() == pytest.approx([each, each, 2, 3], abs=1e-6)


@pytest.mark.parametrize("topk", [1, 5, 19, 20])
def test_topk_keeps_the_largest_the_label_and_the_mass(topk: int) -> None:
    logits, target = some(60, 20, topk)
    found = decode(encode(logits, target, "topk", topk), "topk", 20)
    assert torch.allclose(found.logsumexp(1), logits.logsumexp(1), rtol=1e-3)
    assert torch.equal(found.argmax(1), logits.argmax(1))
    known = target >= 0
    own = target[known][:, None]
    assert torch.allclose(found[known].gather(1, own), logits[known].gather(1, own), rtol=1e-3, atol=1e-3)


def test_topk_of_all_classes_is_dense() -> None:
    logits, target = some(30, 6)
    assert torch.allclose(decode(encode(logits, target, "topk", 6), "topk", 6), logits, rtol=1e-3, atol=1e-4)


def test_many_classes_take_wide_numbers() -> None:
    logits = torch.zeros(1, 40_000)
    logits[0, 39_999] = 5
    columns = encode(logits, NOBODY, "topk", 3)
    assert columns["index"].dtype == torch.int32 and decode(columns, "topk", 40_000).argmax().item() == 39_999


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("classes", [2, 10, 40_000])
def test_bytes_and_shapes_are_as_predicted(store: str, classes: int) -> None:
    logits, target = some(3, classes)
    columns = encode(logits, target, store, 2) | {"pooled": torch.zeros(3, 7, 2).half()}
    assert sum(each.nbytes for each in columns.values()) == 3 * row_bytes(store, classes, 2, {"pooled": [7, 2]})
    shapes = row_shapes(store, classes, 2, {"pooled": [7, 2]})
    assert {name: tuple(each.shape[1:]) for name, each in columns.items()} == shapes


def test_above_1024_classes_the_top_ones_are_kept() -> None:
    assert [default_store(classes) for classes in (10, 1024, 1025)] == ["fp16", "fp16", "topk"]


def test_the_gradient_s_error_by_hand() -> None:
    # kept: 0.5 and twice 0.25 in place of 0.5, 0.3, 0.2; the gradient is 1/3 - p
    logits = torch.tensor([[0.5, 0.3, 0.2]]).log()
    dense = math.sqrt((1 / 3 - 0.5) ** 2 + (1 / 3 - 0.3) ** 2 + (1 / 3 - 0.2) ** 2)
    assert topk_errors(logits, NOBODY, 1, (1.0,))["1"] == pytest.approx(math.sqrt(2) * 0.05 / dense, rel=2e-3)


def test_more_kept_logits_lose_less_of_the_gradient() -> None:
    logits, target = some(200, 50)
    errors = [topk_errors(logits, target, topk, (1.0, 4.0)) for topk in (1, 10, 25, 50)]
    for temperature in ("1", "4"):
        found = [each[temperature] for each in errors]
        assert found == sorted(found, reverse=True) and found[-1] < 1e-3
