from dataclasses import fields
from pathlib import Path
from typing import get_type_hints

import pytest

from edgekd.cli.commands import COMMANDS
from edgekd.config import CacheLogits, Distill, TrainTeacher
from edgekd.declaration import as_dict, choices_of, fill_defaults, from_dict, offered
from edgekd.errors import ConfigError, UsageError


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_a_help_text(name: str) -> None:
    config = COMMANDS[name].config
    assert {each.name for each in fields(config)} - {each.name for each in offered(config)} <= {"given", "from_record"}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_can_print_json(name: str) -> None:
    assert "json" in {each.name for each in fields(COMMANDS[name].config)}


@pytest.mark.parametrize(("name", "value"), [("alpha", 1.5), ("epochs", 0), ("temperature", 0.0)])
def test_a_value_out_of_range_is_named(name: str, value: object) -> None:
    with pytest.raises(UsageError, match=f"--{name}"):
        Distill(**{name: value})


def test_a_wrong_choice_lists_the_right_ones() -> None:
    with pytest.raises(UsageError) as caught:
        Distill(store="fp8")  # type: ignore[arg-type]
    assert caught.value.hint == "one of: fp16, u8, fp32, topk"


def test_choices_are_found_inside_an_optional() -> None:
    assert choices_of(get_type_hints(TrainTeacher)["optimizer"]) == ("sgd", "adamw", "muon")


def test_a_config_survives_its_own_dictionary() -> None:
    made = Distill(student="resnet8", set=("a=1",), runs=Path("elsewhere"), crop=0.0, flip="off")
    assert from_dict(Distill, as_dict(made), "here") == made


def test_how_a_run_is_shown_is_not_part_of_it() -> None:
    assert not {"json", "quiet", "debug", "config"} & as_dict(TrainTeacher()).keys()


def test_only_open_options_are_filled() -> None:
    filled = fill_defaults(TrainTeacher(canvas=48), {"canvas": 32, "data": "cifar10"}, "here", ["canvas", "data"])
    assert (filled.canvas, filled.data) == (48, "cifar10")


def test_what_was_given_is_not_open_even_where_it_is_the_default() -> None:
    config = TrainTeacher(val_fraction=0.1, given=("val_fraction",))
    filled = fill_defaults(config, {"val_fraction": 0.2, "split_seed": 3}, "here", ["val_fraction", "split_seed"])
    assert (filled.val_fraction, filled.split_seed) == (0.1, 3)
    assert "given" not in as_dict(config) and config == TrainTeacher()


def test_a_stored_value_of_another_kind_names_its_place() -> None:
    with pytest.raises(ConfigError, match=r"here: canvas"):
        from_dict(TrainTeacher, {"canvas": "big"}, "here")


def test_resume_and_overwrite_exclude_each_other() -> None:
    with pytest.raises(UsageError, match="exclude"):
        TrainTeacher(resume=True, overwrite=True)


def test_a_name_that_is_pythons_loses_its_underscore(tmp_path: Path) -> None:
    made = CacheLogits(import_=tmp_path / "x.npz")
    assert as_dict(made)["import"] == str(tmp_path / "x.npz") and "import_" not in as_dict(made)
    assert from_dict(CacheLogits, as_dict(made), "here") == made
    assert fill_defaults(CacheLogits(), as_dict(made), "here", ["import_"]) == made
