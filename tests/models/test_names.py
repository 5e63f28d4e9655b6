"""How names are looked up."""

from pathlib import Path

import pytest
import timm
from timm.models._registry import get_deprecated_models

from edgekd.errors import UsageError
from edgekd.models import timm_nets
from edgekd.models.known import SHORT
from edgekd.models.names import OWN, USUAL, resolve, short_names


def test_every_short_name_is_a_timm_model() -> None:
    assert all(timm.is_model(name) for name in SHORT.values())


def test_every_usual_name_is_known_and_listed_once() -> None:
    assert all(name in OWN or timm.is_model(name) for name in USUAL)
    assert len(set(USUAL)) == len(USUAL)


def test_short_names_become_timms() -> None:
    assert resolve("vit_base") == "vit_base_patch16_224"
    assert resolve("vit_base.augreg_in1k") == "vit_base_patch16_224.augreg_in1k"
    assert short_names("vit_base_patch16_224") == ("vit_base",)


@pytest.mark.parametrize("name", ["tiny-cnn", "custom-teacher-6", "resnet18", "resnet18.a1_in1k"])
def test_a_canonical_name_stays(name: str) -> None:
    assert resolve(name) == name


@pytest.mark.parametrize(
    ("typed", "meant"), [("resnet19", "resnet18"), ("tiny_cnn", "tiny-cnn"), ("vit_bse", "vit_base")]
)
def test_an_unknown_model_is_answered_with_the_nearest(typed: str, meant: str) -> None:
    with pytest.raises(UsageError) as error:
        resolve(typed)
    assert typed in error.value.problem
    assert meant in error.value.hint


def test_an_unknown_pretrained_tag_is_refused() -> None:
    with pytest.raises(UsageError, match="resnet18.no_such_tag"):
        resolve("resnet18.no_such_tag")


def test_a_file_becomes_an_absolute_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert resolve("./net.py:build") == f"{tmp_path.resolve()}/net.py:build"


def test_a_file_without_a_function_is_told_how_to_name_it() -> None:
    with pytest.raises(UsageError) as error:
        resolve("./net.py")
    assert "net.py:build" in error.value.hint


def test_every_former_name_of_timms_is_a_model_of_today() -> None:
    former = get_deprecated_models()
    assert len(former) > 100
    for name, now in former.items():
        found = resolve(name)
        assert found == now or found.startswith(f"{now}_"), name
        assert {"mean", "std", "input_size"} <= timm_nets.config(found).keys()


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("tv_resnet34", "resnet34.tv_in1k"),
        ("tf_efficientnet_b0_ns", "tf_efficientnet_b0.ns_jft_in1k"),
        ("vit_base_patch16_224_sam", "vit_base_patch16_224.sam_in1k"),
        ("timm/resnet18.a1_in1k", "resnet18.a1_in1k"),
        ("timm/resnet18", "resnet18"),
        ("hf-hub:timm/resnet18.a1_in1k", "resnet18.a1_in1k"),
        ("hf_hub:timm/mobilenetv3_small_100.lamb_in1k", "mobilenetv3_small_100.lamb_in1k"),
        ("hf-hub:timm/tv_resnet34", "resnet34.tv_in1k"),
        ("timm/vit_base", "vit_base_patch16_224"),
    ],
)
def test_former_names_and_the_hubs_are_taken_for_what_they_are(name: str, canonical: str) -> None:
    assert resolve(name) == canonical


def test_what_the_hub_has_beside_timms_is_told() -> None:
    with pytest.raises(UsageError) as error:
        resolve("hf-hub:google/vit-base-patch16-224")
    assert "timm/NAME" in error.value.hint
    with pytest.raises(UsageError) as error:
        resolve("timm/resnet18.no_such_tag")
    assert "resnet18" in error.value.hint
