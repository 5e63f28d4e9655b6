"""The list of models, with the papers' and benchmarks' exact counts."""

import pytest

from edgekd.errors import UsageError
from edgekd.models.catalogue import catalogue
from edgekd.models.names import USUAL
from edgekd.models.usual import ROWS


def test_ten_classes_give_the_exact_counts() -> None:
    built = catalogue()
    assert tuple(built) == ROWS, "the table of edgekd/models/usual.py is not what the networks are now"
    found = {row.name: row for row in built}
    assert tuple(found) == USUAL
    assert found["custom-student"].parameters == 11_444
    assert [found[f"custom-teacher-{n}"].parameters for n in (4, 6, 8)] == [39_316, 57_876, 76_436]
    assert found["vit_base_patch16_224"].parameters == 85_806_346
    resnet8 = found["resnet8"]
    counts = resnet8.parameters, resnet8.folded_parameters, resnet8.stored_parameters
    assert counts == (78_186, 77_706, 78_666)
    assert found["tiny-cnn"].parameters < 12_000


def test_six_classes_give_p4s_counts() -> None:
    rows = catalogue("rescnn-*", classes=6)
    assert [row.parameters for row in rows] == [98_294, 408_854, 1_648_470, 6_601_686, 26_534_358]


def test_every_count_is_a_positive_integer() -> None:
    for row in catalogue("resnet18*"):
        assert all(type(each) is int and each > 0 for each in (row.parameters, row.macs, row.input_size))


def test_a_part_of_a_name_finds_own_nets_and_timms() -> None:
    found = {row.name: row.source for row in catalogue("custom")}
    assert found["custom-student"] == "edgekd"
    assert {row.source for row in catalogue("mobilenetv4_conv_s*")} == {"timm"}


def test_an_input_size_changes_the_macs() -> None:
    [small], [large] = (catalogue("custom-student", input_size=size) for size in (32, 64))
    assert (small.input_size, large.input_size) == (32, 64)
    assert small.macs != large.macs


def test_a_name_that_matches_nothing_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError) as error:
        catalogue("mobilenett_v3")
    assert "mobilenet" in error.value.hint
