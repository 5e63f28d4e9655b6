"""How names are looked up."""

from pathlib import Path

import pytest
import timm

from edgekd.errors import UsageError
from edgekd.models.names import OWN, SHORT, USUAL, resolve, short_names


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
