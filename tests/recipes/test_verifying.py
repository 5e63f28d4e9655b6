"""`edgekd cache verify`."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from edgekd.cache.folder import shards_of
from edgekd.cache.parts import read_parts
from edgekd.cache.plan import read_plan
from edgekd.cache.shards import read_shard, write_shard

NAME = "custom-student-pictures"


def test_a_whole_cache_is_verified_to_the_bit(cli: Any, four: Path) -> None:
    found = cli("cache", "verify", "four", "--sample", 1000, "--json").json
    assert found["damaged"] == [] and found["shards_checked"] == 4
    assert found["sample"]["batches"] == found["sample"]["identical_batches"] == found["sample"]["images"] == 72
    assert found["sample"]["top1_agreement"] == 1 and found["sample"]["relative_error"]["logits"] < 1e-3
    assert "bit for bit" in cli("cache", "verify", "four").out


@pytest.mark.parametrize(("store", "error"), [("fp32", 0), ("u8", 4e-3), ("topk", 5e-4)])
def test_every_store_and_column_is_verified(cli: Any, copy: Path, store: str, error: float) -> None:
    options = ("--store", store, "--columns", "pooled", *(("--topk", 2) if store == "topk" else ()))
    assert cli("cache-logits", "--name", store, *options, "--views", 1, "--threads", 1, "--batch-size", 7).code == 0
    sample = cli("cache", "verify", store, "--sample", 2, "--json").json["sample"]
    assert sample["identical_batches"] == 2 and 8 <= sample["images"] <= 14
    assert sample["relative_error"]["logits"] <= error and sample["relative_error"]["pooled"] <= 5e-4


def test_every_damaged_shard_is_named(cli: Any, four: Path, flip: Any) -> None:
    flip(four / "view-0000" / "00001.safetensors")
    flip(four / "view-0001" / "00000.safetensors", 20)
    (four / "view-0001" / "00001.safetensors").unlink()
    called = cli("cache", "verify", "four", "--json")
    assert called.code == 3 and "3 of 4 shards are damaged or missing" in called.err
    told = "\n".join(called.json["damaged"])
    assert all(name in told for name in ("view-0000/00001", "view-0001/00000", "view-0001/00001"))


def test_an_unfinished_cache_is_verified_as_far_as_it_is(cli: Any, half: Path) -> None:
    called = cli("cache", "verify", "four", "--json")
    assert called.code == 0 and called.json["shards_checked"] == 2 and called.json["sample"]["batches"] == 8


def test_rows_that_the_teacher_does_not_say_fail_the_check(cli: Any, four: Path) -> None:
    plan = read_plan(four)
    for shard in shards_of(plan, read_parts(four), 1):
        columns = read_shard(four, shard, plan.columns, check=True)
        write_shard(four, shard, {"logits": columns["logits"] + torch.tensor(1, dtype=torch.float16)})
    called = cli("cache", "verify", "four", "--sample", 1000, "--json")
    assert called.code == 5 and "the teacher says something else" in called.err
    assert called.json["sample"]["max_error"]["logits"] == pytest.approx(1, abs=0.01)
    assert called.json["sample"]["identical_batches"] == 36
    assert cli("cache", "verify", "four", "--sample", 1000, "--tolerance", 1000).code == 0


def test_the_rounding_is_beyond_no_tolerance_at_all(cli: Any, copy: Path) -> None:
    assert cli("cache", "verify", NAME, "--tolerance", 0).code == 5


def test_without_a_teacher_the_shards_alone_are_checked(cli: Any, copy: Path) -> None:
    shutil.rmtree(copy / "runs" / NAME)
    called = cli("cache", "verify", NAME, "--json")
    assert called.code == 0 and "the teacher is not there" in called.json["not_sampled"]


def test_another_teacher_in_its_place_is_told(cli: Any, copy: Path, flip: Any) -> None:
    flip(copy / "runs" / NAME / "model.safetensors")
    called = cli("cache", "verify", NAME)
    assert called.code == 3 and "its weights changed" in called.err
    assert cli("cache", "verify", NAME, "--sample", 0).code == 0


def test_a_check_that_fails_fails_without_a_reader_too(copy: Path) -> None:
    command = f"{sys.executable} -m edgekd cache verify {NAME} --tolerance 0 | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], cwd=copy, capture_output=True, text=True)
    assert done.returncode == 5 and "the teacher says something else" in done.stderr
