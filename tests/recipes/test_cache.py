"""`edgekd cache ls|info|status|rm`."""

import math
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from edgekd.cache.listing import read_listing
from edgekd.cache.parts import read_parts
from edgekd.cache.plan import read_plan
from edgekd.cache.state import read_state
from edgekd.runs import Run, append_line, file_sum, write_json

NAME = "custom-student-pictures"
SMALL = ("--views", 2, "--batch-size", 1, "--threads", 1, "--precision", "fp32", "--memory-format", "channels-last")


def test_all_caches_are_listed_with_their_state(cli: Any, half: Path) -> None:
    for name in ("old", "torn"):
        shutil.copytree(half, half.parent / name)
    write_json(half.parent / "old" / "plan.json", {"format": 1})
    (half.parent / "torn" / "plan.json").write_text("{")
    found = {each["name"]: each for each in cli("cache", "ls", "--json").json["caches"]}
    assert {name: each["state"].partition(":")[0] for name, each in found.items()} == {
        NAME: "finished", "four": "2 of 4 shards", "old": "cache format 1, this edgekd knows 2", "torn": "damaged"
    }  # fmt: skip
    assert found["four"] | {"size_bytes": 0} == {
        "name": "four", "path": "cache/four", "teacher": NAME, "data": "pictures", "images": 36, "views": 2,
        "store": "fp16", "state": "2 of 4 shards", "finished": False, "size_bytes": 0,
    }  # fmt: skip


def test_the_list_is_a_table(cli: Any, copy: Path) -> None:
    out = cli("cache").out
    assert NAME in out and "36 x 2" in out and "finished" in out and "1 caches in cache" in out


def test_no_caches_are_no_error(cli: Any) -> None:
    called = cli("cache", "ls", "--json")
    assert called.code == 0 and called.json == {"caches": []}


def test_info_tells_the_plan_and_that_the_parents_are_unchanged(cli: Any, copy: Path) -> None:
    found = cli("cache", "info", NAME, "--json").json
    assert found["teacher_now"] == found["data_now"] == "unchanged" and found["versions_changed"] == []
    assert found["columns"] == {"logits": [3]} and found["views"] == 2 and found["data"]["images"] == 36
    assert found["digest"] == read_plan(copy / "cache" / NAME).digest()
    assert "unchanged" in cli("cache", "info", f"cache/{NAME}").out


def test_info_tells_what_became_of_the_teacher(cli: Any, copy: Path, flip: Any) -> None:
    weights = copy / "runs" / NAME / "model.safetensors"
    flip(weights)
    assert cli("cache", "info", NAME, "--json").json["teacher_now"] == "its weights changed"
    weights.unlink()
    assert cli("cache", "info", NAME, "--json").json["teacher_now"] == "not there any more"


def test_info_tells_what_became_of_the_images(cli: Any, own_folder: Path, copy: Path, quick: Any) -> None:
    assert cli("train-teacher", "--model", "tiny-cnn", "--data", own_folder, "--name", "own", *quick).code == 0
    assert cli("cache-logits", "--teacher", "own", *SMALL).code == 0
    now = lambda: cli("cache", "info", "own", "--json").json["data_now"]  # noqa: E731
    assert now() == "unchanged"
    added = own_folder / "train" / "disc" / "005x.png"
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(added)
    assert now() == "1 images joined it"
    added.unlink()
    (own_folder / "train" / "disc" / "003.png").unlink()
    assert "1 images are not there any more (disc/003.png)" in now()
    shutil.rmtree(own_folder)
    assert now().startswith("not there any more")


def test_info_tells_other_versions(cli: Any, copy: Path, change_plan: Any) -> None:
    change_plan(copy / "cache" / NAME, "compute", versions={"torch": "1.0.0"})
    assert cli("cache", "info", NAME, "--json").json["versions_changed"][0].startswith("torch 1.0.0 then")


def test_status_says_what_is_missing(cli: Any, half: Path) -> None:
    found = cli("cache", "status", "four", "--json").json
    assert [row["missing"] for row in found["per_view"]] == [[1], [0]]
    assert (found["shards"], found["shards_written"], found["finished"]) == (4, 2, False)
    assert found["bytes_left"] == (4 + 32) * 3 * 2 and found["seconds_left"] >= 0
    assert found["last_written"].startswith("20")
    out = cli("cache", "status", "four").out
    assert "2 of 4" in out and "it goes on with:" in out


def test_the_command_that_status_gives_finishes_the_cache(cli: Any, four: Path, files: Any) -> None:
    whole = files(four)
    (four / "manifest.json").unlink()
    (four / "view-0001" / "00000.safetensors").unlink()
    (command,) = cli("cache", "status", "four", "--json").json["commands"]
    assert cli(*shlex.split(command)[1:]).code == 0 and files(four) == whole
    assert cli("cache", "status", "four", "--json").json["commands"] == []


def test_the_command_names_data_that_the_teacher_s_run_does_not(cli: Any, copy: Path) -> None:
    assert cli("cache-logits", "--name", "few", "--limit", 18, *SMALL).code == 0
    (copy / "cache" / "few" / "manifest.json").unlink()
    (command,) = cli("cache", "status", "few", "--json").json["commands"]
    assert command.endswith(f"--teacher runs/{NAME} --limit 18")
    assert cli(*shlex.split(command)[1:]).code == 0


def test_shares_go_on_as_shares(cli: Any, half: Path) -> None:
    append_line(half / "log.jsonl", {"view": 0, "shard": 0, "seconds": 1, "share": "1/4"})
    commands = cli("cache", "status", "four", "--json").json["commands"]
    assert [command.rpartition(" ")[2] for command in commands] == ["2/4", "3/4"]


def test_status_names_what_killed_processes_left(cli: Any, half: Path) -> None:
    (half / "view-0000" / ".00001.safetensors.99999999.part").write_text("half")
    assert cli("cache", "status", "four", "--json").json["leftovers"] == ["view-0000/.00001.safetensors.99999999.part"]


def test_removed_caches_are_gone_and_their_bytes_told(cli: Any, four: Path) -> None:
    sizes = sum(path.stat().st_size for path in four.parent.rglob("*") if path.is_file())
    called = cli("cache", "rm", "four", NAME, "--json")
    assert called.json == {"removed": ["cache/four", f"cache/{NAME}"], "freed_bytes": sizes}
    assert list(four.parent.iterdir()) == []


def test_a_damaged_cache_can_be_removed(cli: Any, half: Path) -> None:
    (half / "plan.json").write_text("{")
    assert cli("cache", "rm", "four").code == 0 and not half.exists()


def test_a_folder_with_anything_else_is_left_alone(cli: Any, four: Path) -> None:
    (four / "thesis.tex").write_text("years of work")
    called = cli("cache", "rm", NAME, "four")
    assert called.code == 3 and "thesis.tex" in called.err
    assert four.exists() and (four.parent / NAME).exists()


def test_what_is_no_cache_is_not_removed(cli: Any, copy: Path) -> None:
    called = cli("cache", "rm", "runs")
    assert called.code == 3 and "no such cache" in called.err and (copy / "runs").exists()


@pytest.mark.parametrize("action", ["info", "status", "verify", "rm"])
def test_an_unknown_name_gets_the_nearest(cli: Any, copy: Path, action: str) -> None:
    called = cli("cache", action, "custom-students-pictures")
    assert called.code == 3 and f"nearest: {NAME}" in called.err


@pytest.mark.parametrize("arguments", [["info"], ["status", "a", "b"], ["rm"], ["merge"], ["list"]])
def test_wrong_numbers_of_names_are_usage_errors(cli: Any, arguments: list[str]) -> None:
    assert cli("cache", *arguments).code == 2


@pytest.mark.parametrize("action", ["info", "status", "verify"])
def test_a_changed_plan_is_damage(cli: Any, copy: Path, action: str, change_plan: Any) -> None:
    change_plan(copy / "cache" / NAME, "views", seed=9)
    called = cli("cache", action, NAME)
    assert called.code == 3 and "do not belong together" in called.err


def test_imported_logits_are_a_cache_like_others(cli: Any, copy: Path, folder: Path) -> None:
    names = read_listing(copy / "cache" / NAME, read_parts(copy / "cache" / NAME)).paths
    np.savez(copy / "far.npz", logits=np.eye(3, dtype=np.float32)[np.arange(36) // 12], paths=np.array(names))
    assert cli("cache-logits", "--import", "far.npz", "--data", folder).code == 0
    assert "imported" in cli("cache", "info", "far").out
    assert "there is no teacher to ask" in cli("cache", "verify", "far", "--json").json["not_sampled"]
    (copy / "cache" / "far" / "manifest.json").unlink()
    status = cli("cache", "status", "far", "--json").json
    assert status["state"] == "1 of 1 shards, not closed yet"
    (command,) = status["commands"]
    assert cli(*shlex.split(command)[1:]).code == 0 and read_state(copy / "cache" / "far").is_finished


def spoil(run: Run, value: float) -> None:
    state = load_file(run.weights)
    name = list(state)[-1]
    state[name] = torch.full_like(state[name], value)
    save_file(state, run.weights)
    run.update(weights_sha256=file_sum(run.weights))


@pytest.mark.parametrize("form", [(), ("--precision", "fp32", "--memory-format", "channels-last")])
@pytest.mark.parametrize("command", ["cache-logits", "distill"])
def test_a_teacher_of_nans_begins_no_cache(
    cli: Any, copy: Path, monkeypatch: pytest.MonkeyPatch, form: tuple[str, ...], command: str
) -> None:
    monkeypatch.chdir(copy)
    spoil(Run(copy / "runs" / NAME), math.nan)
    runs = sorted(path.name for path in (copy / "runs").iterdir())
    named = ("--caches", "fresh", "--name", "new")
    called = cli(command, "--teacher", NAME, "--threads", 1, *form, *named)
    assert called.code == 3 and ("no finite numbers" in called.err or "hold no numbers" in called.err), called.err
    assert not list((copy / "fresh").glob("*"))
    assert sorted(path.name for path in (copy / "runs").iterdir()) == runs


def test_a_teacher_of_nans_leaves_the_cache_that_it_should_replace(
    cli: Any, copy: Path, monkeypatch: pytest.MonkeyPatch, files: Any
) -> None:
    monkeypatch.chdir(copy)
    place = next((copy / "cache").iterdir())
    before = files(place)
    spoil(Run(copy / "runs" / NAME), math.nan)
    called = cli("cache-logits", "--teacher", NAME, "--name", place.name, "--overwrite", "--threads", 1, "--quiet")
    assert called.code == 3 and files(place) == before


def test_a_teacher_that_fails_on_some_images_leaves_no_begun_cache(
    cli: Any, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its logits are numbers, but too large for float16."""
    monkeypatch.chdir(copy)
    spoil(Run(copy / "runs" / NAME), 1e6)
    called = cli("cache-logits", "--teacher", NAME, "--name", "large", "--threads", 1, "--store", "fp16")
    assert called.code == 3 and "not finite as torch.float16" in called.err
    assert not (copy / "cache" / "large").exists()
