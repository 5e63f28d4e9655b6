import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edgekd.cli.commands import COMMANDS
from edgekd.cli.options import build
from edgekd.config import Distill, TrainTeacher
from edgekd.errors import ConfigError

TABLE = {name: row.config for name, row in COMMANDS.items()}


def distill(text: str, place: Path, **given: Any) -> Distill:
    path = place / "run.toml"
    path.write_text(text)
    made = build(Distill, "distill", {"config": path, **given}, TABLE)
    assert isinstance(made, Distill)
    return made


def test_flag_over_file_over_default(tmp_path: Path) -> None:
    made = distill("alpha = 0.9\nepochs = 7\n", tmp_path, epochs=3)
    assert (made.alpha, made.epochs, made.temperature) == (0.9, 3, None)
    assert set(made.given) == {"config", "alpha", "epochs"}


def test_one_file_serves_a_chain(tmp_path: Path) -> None:
    text = 'data = "cifar10"\nmodel = "resnet18"\n[distill]\nepochs = 5\n[train-teacher]\nepochs = 50\n'
    made = distill(text, tmp_path)
    assert (made.data, made.epochs) == ("cifar10", 5)
    teacher = build(TrainTeacher, "train-teacher", {"config": tmp_path / "run.toml"}, TABLE)
    assert isinstance(teacher, TrainTeacher) and (teacher.model, teacher.epochs) == ("resnet18", 50)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("alhpa = 0.5", "alhpa"),
        ("given = ['alpha']", "unknown key 'given'"),
        ("[distill]\nmodel = 'x'", r"\[distill\]: unknown key 'model'"),
        ("epochs = 'many'", "not a whole number"),
        ("flip = 1", "not one of auto, on, off"),
        ("epochs = true", "not a whole number"),
        ("epochs =", "TOML"),
    ],
)
def test_a_bad_file_is_refused(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        distill(text, tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none.toml"):
        build(Distill, "distill", {"config": tmp_path / "none.toml"}, TABLE)


def test_another_commands_manifest_is_refused(cli: Any, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"command": "finetune", "config": {}}')
    called = cli("distill", "--config", tmp_path / "manifest.json")
    assert called.code == 3 and "edgekd finetune --config" in called.err


def test_lists_and_whole_numbers_are_converted(tmp_path: Path) -> None:
    made = distill('set = ["temperature=2"]\nlr = 1\nruns = "elsewhere"\n', tmp_path)
    assert made.set == ("temperature=2",) and made.lr == 1.0 and made.runs == Path("elsewhere")


def test_a_number_at_the_top_serves_commands_that_take_a_sweep_there_too(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text("threads = 4\n")
    made = [build(TABLE[name], name, {"config": path}, TABLE).threads for name in ("distill", "profile")]  # type: ignore[attr-defined]
    assert made == [4, "4"]


def test_import_is_a_flag_and_a_key(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text('import = "theirs.npz"\n')
    made = build(COMMANDS["cache-logits"].config, "cache-logits", {"config": path}, TABLE)
    assert made.import_ == Path("theirs.npz")  # type: ignore[attr-defined]
    path.write_text('import_ = "theirs.npz"\n')
    with pytest.raises(ConfigError, match="'import_'"):
        build(COMMANDS["cache-logits"].config, "cache-logits", {"config": path}, TABLE)


def test_one_cache_or_several(tmp_path: Path) -> None:
    assert distill('cache = "one"\n', tmp_path).cache == ("one",)
    assert distill('cache = ["one", "two=2"]\n', tmp_path).cache == ("one", "two=2")


def test_a_number_that_may_be_left_open_takes_the_word_auto(cli: Any, tmp_path: Path) -> None:
    assert "no finished teacher" in cli("cache-logits", "--views", "auto").err
    assert cli("cache-logits", "--views", "some").code == 2
    assert distill('views = "auto"', tmp_path).views is None and distill("views = 3", tmp_path).views == 3


def test_options_come_through_a_pipe(tmp_path: Path) -> None:
    code = "import sys; from edgekd.cli.app import main; sys.exit(main(['devices', '--config', sys.argv[1]]))"
    script = f"{sys.executable} -c \"{code}\" <(printf '[devices]\\njson = true\\n')"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0 and json.loads(done.stdout)["devices"], done.stderr


@pytest.mark.parametrize(
    "words", [("cache-logits", "--shard", "1/" + "9" * 5000), ("profile", "x", "--batch", "9" * 5000)]
)
def test_numbers_of_thousands_of_digits_are_refused(cli: Any, words: tuple[str, ...]) -> None:
    assert cli(*words).code in (2, 3)
