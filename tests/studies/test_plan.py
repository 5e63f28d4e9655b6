from pathlib import Path

import pytest

from edgekd.errors import ConfigError, UsageError
from edgekd.studies.contents import digest_of
from edgekd.studies.plan import builtin_names, open_study
from edgekd.studies.steps import Place, Step, in_order

STUDY = """
question = "?"
chain = ["train-teacher", "cache-logits", "distill"]
[options.all]
data = "shapes"
[options.train-teacher]
model = "resnet9"
[grid]
"distill.alpha" = [0.1, 0.9]
"""


def write(folder: Path, text: str) -> str:
    (folder / "own.toml").write_text(text)
    return str(folder / "own.toml")


@pytest.mark.parametrize("name", builtin_names())
@pytest.mark.parametrize("quick", [False, True])
def test_a_built_in_study_can_be_opened_or_says_what_is_missing(name: str, quick: bool) -> None:
    try:
        study = open_study(name, quick=quick)
    except UsageError as error:
        assert "there is no method" in error.problem
        return
    assert study.question
    assert len(study.recipes) >= 2
    chains = [chain for arm in study.arms(3, {}) for chain in arm.chains.values()]
    assert len({chain[-1].digest for chain in chains}) == len(chains)


def test_the_teacher_and_its_cache_are_shared_by_arms_and_seeds(tmp_path: Path) -> None:
    arms = open_study(write(tmp_path, STUDY)).arms(3, {"threads": 1})
    steps = in_order([chain for arm in arms for chain in arm.chains.values()])
    assert [each.command for each in steps].count("train-teacher") == 1
    assert [each.command for each in steps].count("cache-logits") == 1
    assert [each.options["seed"] for each in steps if each.command == "distill"] == [0, 1, 2, 0, 1, 2]
    assert {each.options["threads"] for each in steps} == {1}


def test_a_step_is_another_one_with_another_teacher(tmp_path: Path) -> None:
    first = open_study(write(tmp_path, STUDY)).arms(1, {})[0].chains[0]
    second = open_study(write(tmp_path, STUDY.replace("resnet9", "resnet8"))).arms(1, {})[0].chains[0]
    assert first[-1].options == second[-1].options
    assert first[-1].digest != second[-1].digest


def test_the_command_line_names_the_cache_and_the_folders(tmp_path: Path) -> None:
    chain = open_study(write(tmp_path, STUDY)).arms(1, {})[0].chains[0]
    words = Place(Path("work")).arguments(chain[-1])
    assert words[0] == "distill"
    assert words[words.index("--cache") + 1] == f"work/cache/{chain[1].name}"
    assert words[words.index("--alpha") + 1] == "0.1"
    assert words[words.index("--runs") + 1] == "work/runs"


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("distill.alpha", "distill.alhpa", "takes no 'alhpa'"),
        ("[0.1, 0.9]", "[0.1, 9.0]", "alpha is 9.0, not a number"),
        ('"distill"]', '"distil"]', "no such command 'distil'"),
        ("[0.1, 0.9]", "[0.1, 0.1]", "two arms are called 'alpha 0.1'"),
        ('data = "shapes"', 'runs = "x"', "no command of its chain takes"),
        ('model = "resnet9"', 'name = "x"', "takes no 'name' here"),
        ("[grid]", 'basline = "x"\n[grid]', "basline"),
    ],
)
def test_mistakes_in_a_file_are_told(tmp_path: Path, old: str, new: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        open_study(write(tmp_path, STUDY.replace(old, new)))


def test_an_unknown_study_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        open_study("alfa")
    assert "alpha" in caught.value.hint


def test_a_step_is_known_by_what_its_data_holds_not_by_where_it_lies(tmp_path: Path, own_folder: Path) -> None:
    def digest(folder: Path | str) -> str:
        digest_of.cache_clear()
        return Step("train-teacher", {"data": str(folder)}).digest

    first = digest(own_folder)
    moved = own_folder.rename(tmp_path / "elsewhere")
    assert digest(moved) == first
    image = next((moved / "train" / "disc").iterdir())
    image.write_bytes(image.read_bytes() + b"\0")
    assert digest(moved) != first
    assert digest("shapes") == Step("train-teacher", {"data": "shapes"}).digest


def test_a_step_is_known_by_what_its_code_says(tmp_path: Path) -> None:
    def digest(text: str) -> str:
        (tmp_path / "net.py").write_text(text)
        digest_of.cache_clear()
        return Step("train-teacher", {"model": f"{tmp_path}/net.py:build"}).digest

    assert digest("a = 1") == digest("a = 1") != digest("a = 2")


@pytest.mark.parametrize(("kind", "file"), [("none", "model.onnx"), ("fp16", "model.fp16.onnx"), ("all", "model.onnx")])
def test_later_steps_take_the_file_of_the_format_asked_for(kind: str, file: str) -> None:
    place, export = Place(Path("work")), Step("export", {"quantize": kind})
    words = place.arguments(Step("profile", {}, {"models": export}))
    assert Path(words[1]).name == file
    written = place.arguments(export)
    assert Path(written[written.index("--output") + 1]).name == "model.onnx"
