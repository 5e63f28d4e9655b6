"""What a cache survives: kills, a full disk, signals, several processes; and what of it is never believed."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file, save_file

from edgekd.cache.folder import all_shards
from edgekd.cache.leftovers import leftovers
from edgekd.cache.parts import read_parts
from edgekd.cache.plan import read_plan
from edgekd.cache.shards import read_shard
from edgekd.cache.state import read_state
from edgekd.cache.store import open_cache
from edgekd.teachers import cache_planning as planning

NAME = "custom-student-pictures"
VIEWS = 12
FIXED = ("--threads", 1, "--precision", "fp32", "--memory-format", "channels-last", "--batch-size", 1, "--quiet")
MANY = ("cache-logits", "--teacher", NAME, "--views", VIEWS, *FIXED)
FEW = ("cache-logits", "--teacher", NAME, "--views", 2, *FIXED)


def check_shards(folder: Path, views: int = VIEWS) -> int:
    """Read every shard that can be opened; raises CacheError for a torn one."""
    if not (folder / "plan.json").is_file():
        return 0
    plan = read_plan(folder)
    there = [shard for shard in all_shards(plan, read_parts(folder), views) if shard.path(folder).is_file()]
    for shard in there:
        read_shard(folder, shard, plan.columns, check=True)
    return len(there)


@contextmanager
def reading(folder: Path) -> Iterator[None]:
    """Meanwhile a thread reads whatever is there, over and over; what it could not read is raised at the end."""
    is_over, torn = threading.Event(), list[BaseException]()

    def read() -> None:
        while not is_over.is_set() and not torn:
            try:
                check_shards(folder)
            except BaseException as error:
                torn.append(error)
            time.sleep(0.002)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
    if torn:
        raise torn[0]


@pytest.fixture
def whole(cli: Any, copy: Path, files: Any) -> dict[str, bytes]:
    """The files of a cache that nothing interrupted."""
    called = cli(*MANY, "--name", "whole")
    assert called.code == 0, called.err
    return files(copy / "cache" / "whole")


def kill_at(process: Any, folder: Path, seconds: float) -> None:
    """SIGKILL so long after the plan was written (or the process began to work)."""
    while process.is_alive() and not folder.exists():
        time.sleep(0.001)
    process.join(seconds)
    process.kill()
    process.join()
    check_shards(folder)


def test_a_killed_cache_goes_on_to_the_same_bytes(start: Any, copy: Path, whole: dict[str, bytes], files: Any) -> None:
    folder, rng, killed = copy / "cache" / "killed", np.random.default_rng(), 0
    with reading(folder):
        for number in range(3):
            process = start(*MANY, "--name", "killed")
            # the first falls into plan and lists, the others anywhere
            kill_at(process, folder, float(rng.uniform(0, 0.02 if number == 0 else 0.4)))
            killed += process.exitcode == -signal.SIGKILL
        last = start(*MANY, "--name", "killed")
        last.join()
    assert killed >= 1 and last.exitcode == 0
    assert files(folder) == whole


@pytest.mark.slow
def test_thirty_kills_at_random_instants(start: Any, copy: Path, whole: dict[str, bytes], files: Any) -> None:
    rng, killed, partial = np.random.default_rng(), 0, 0
    for number in range(30):
        folder = copy / "cache" / f"killed-{number}"
        with reading(folder):
            process = start(*MANY, "--name", folder.name)
            kill_at(process, folder, float(rng.uniform(0, 1.2)))
            killed += process.exitcode == -signal.SIGKILL
            partial += folder.is_dir() and 0 < check_shards(folder) < 2 * VIEWS
            again = start(*MANY, "--name", folder.name)
            again.join()
        assert again.exitcode == 0 and files(folder) == whole, number
    assert killed >= 20 and partial >= 10


def test_two_processes_started_at_once_fill_one_cache(
    start: Any, copy: Path, whole: dict[str, bytes], files: Any
) -> None:
    folder = copy / "cache" / "shared"
    with reading(folder):
        both = [start(*MANY, "--name", "shared", "--shard", f"{number}/2") for number in (1, 2)]
        for process in both:
            process.join()
    assert [process.exitcode for process in both] == [0, 0] and files(folder) == whole


def test_two_processes_without_shares_do_not_hurt_each_other(
    start: Any, copy: Path, whole: dict[str, bytes], files: Any
) -> None:
    both = [start(*MANY, "--name", "twice") for _ in range(2)]
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0] and files(copy / "cache" / "twice") == whole


@pytest.mark.slow
@pytest.mark.parametrize("stores", [("u8", "u8"), ("u8", "fp32")])
def test_two_processes_that_replace_one_cache(start: Any, cli: Any, copy: Path, stores: tuple[str, str]) -> None:
    folder = copy / "cache" / NAME
    for number in range(8):
        shutil.rmtree(folder)
        assert cli(*FEW, "--name", NAME, "--store", "fp16").code == 0
        both = [start(*FEW, "--name", NAME, "--store", stores[0], "--overwrite")]
        time.sleep(0.03 * number)
        both.append(start(*FEW, "--name", NAME, "--store", stores[1], "--overwrite"))
        for process in both:
            process.join()
        codes = sorted(process.exitcode for process in both)
        assert codes in ([0, 0], [0, 3]), codes
        plan = read_plan(folder)
        assert plan.store in stores
        assert check_shards(folder, views=2) == len(list(all_shards(plan, read_parts(folder), 2)))
        assert cli("cache", "verify", NAME, "--quiet").code == 0


@pytest.mark.slow
def test_two_commands_that_replace_one_cache(copy: Path) -> None:
    command = [sys.executable, "-m", "edgekd", *map(str, FEW), "--name", NAME, "--store", "u8", "--overwrite"]
    both = [
        subprocess.Popen(command, cwd=copy, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)
    ]
    told = [process.communicate(timeout=300)[1] for process in both]
    codes = sorted(process.returncode for process in both)
    assert codes in ([0, 0], [0, 3]) and "Traceback" not in "".join(told), told
    assert (3 in codes) == ("another process is filling or replacing it" in "".join(told)), told
    assert check_shards(copy / "cache" / NAME, views=2) > 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_what_is_written(cli: Any, start: Any, copy: Path, number: int, code: int) -> None:
    folder = copy / "cache" / "stopped"
    process = start("cache-logits", "--views", 1000, "--name", "stopped", *FIXED)
    while process.is_alive() and not (folder / "view-0001").exists():
        time.sleep(0.01)
    os.kill(process.pid, number)
    process.join()
    told = (copy / "stderr.txt").read_text()
    assert process.exitcode == code and "interrupted" in told and "the same command goes on" in told, told
    assert len(told.strip().splitlines()) == 2 and check_shards(folder, 1000) >= 2 and not leftovers(folder)
    assert cli("cache-logits", "--name", "stopped", "--views", 2, *FIXED).code == 0


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="only root may mount")
@pytest.mark.parametrize("pages", range(8))
def test_a_full_disk_is_told_and_mended_by_room(
    cli: Any, copy: Path, small_disk: Callable[[int], Path], monkeypatch: pytest.MonkeyPatch, pages: int, files: Any
) -> None:
    """Plan, log, list of images, four shards and manifest take a page each."""
    assert cli(*FEW, "--name", "whole").code == 0
    caches = small_disk(pages)
    monkeypatch.setattr(planning, "_free_bytes", lambda _: 1 << 40)
    called = cli(*FEW, "--name", "full", "--caches", caches)
    assert called.code == 3 and len(called.err.strip().splitlines()) == 2, called.err
    assert "No space left" in called.err and str(caches) in called.err and "room" in called.err
    assert check_shards(caches / "full", 2) <= pages and not list(caches.rglob(".*.part"))
    small_disk(100)
    assert cli(*FEW, "--name", "full", "--caches", caches).code == 0
    assert files(caches / "full") == files(copy / "cache" / "whole")


def test_a_shard_that_may_not_grow_is_told_and_mended(cli: Any, copy: Path, files: Any) -> None:
    folder = copy / "cache" / NAME
    before = files(folder)
    for path in folder.rglob("*.safetensors"):
        path.unlink()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        called = cli("cache-logits", "--quiet")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert called.code == 3 and "view-0000/00000.safetensors" in called.err and "0 of 2 shards" in called.err
    assert not list(folder.rglob("*.safetensors")) and not list(folder.rglob(".*.part"))
    assert cli("cache-logits", "--quiet").code == 0 and files(folder) == before


def test_a_disk_too_small_is_refused_before_anything_is_written(
    cli: Any, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "_free_bytes", lambda _: 20_000_100)
    called = cli(*FEW, "--name", "large")
    assert called.code == 3 and "and 20 MB kept free, 20.00 MB are free there" in " ".join(called.err.split())
    assert not (copy / "cache" / "large").exists()


def refused(cli: Any, place: Path, quick: Any, *options: object) -> str:
    """What `distill --cache` says in its two lines when it refuses; no run may be left behind."""
    called = cli("distill", *quick, "--quiet", "--cache", NAME, "--name", "refused", *options)
    lines = called.err.strip().splitlines()
    assert called.code == 3 and len(lines) == 2, called.err
    assert not (place / "runs" / "refused" / "model.safetensors").exists()
    return str(called.err)


def test_a_flipped_byte_is_not_believed(cli: Any, copy: Path, quick: Any) -> None:
    path = copy / "cache" / NAME / "view-0000" / "00000.safetensors"
    content = bytearray(path.read_bytes())
    content[-10] ^= 4
    path.write_bytes(content)
    assert f"{path.relative_to(copy)}: damaged, its bytes are not what was written" in refused(cli, copy, quick)


def test_swapped_shards_are_not_believed(cli: Any, copy: Path, quick: Any) -> None:
    one, other = (copy / "cache" / NAME / f"view-000{view}" / "00000.safetensors" for view in (0, 1))
    shutil.move(one, copy / "kept")
    shutil.move(other, one)
    shutil.move(copy / "kept", other)
    assert "holds other rows than its place says" in refused(cli, copy, quick)


def test_one_changed_weight_is_noticed(cli: Any, copy: Path, quick: Any) -> None:
    path = copy / "runs" / NAME / "model.safetensors"
    weights = load_file(path)
    first = next(each for each in weights.values() if each.is_floating_point())
    first.view(-1)[0] = float(np.nextafter(first.view(-1)[0].numpy(), np.float32(9)))
    save_file(weights, path)
    assert "teacher weights" in refused(cli, copy, quick)


def test_other_padding_is_noticed(cli: Any, copy: Path, quick: Any) -> None:
    assert "views: crop (0.125 there, 0.25 here)" in refused(cli, copy, quick, "--crop", 0.25)


def test_a_removed_image_is_named(cli: Any, copy: Path, own_folder: Path, quick: Any) -> None:
    (own_folder / "train" / "frame" / "004.png").unlink()
    told = refused(cli, copy, quick, "--data", own_folder)
    assert "1 images are not there any more (frame/004.png)" in told


def test_a_replaced_image_is_named(cli: Any, copy: Path, own_folder: Path, quick: Any) -> None:
    shutil.copy(own_folder / "train" / "disc" / "000.png", own_folder / "train" / "frame" / "004.png")
    told = refused(cli, copy, quick, "--data", own_folder)
    assert "1 images are of other content now (frame/004.png)" in told


def test_of_added_images_only_their_own_rows_are_computed(cli: Any, copy: Path, own_folder: Path, quick: Any) -> None:
    folder = copy / "cache" / NAME
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*.safetensors")}
    for name in ("000a.png", "zzz.png"):
        Image.fromarray(np.full((16, 16, 3), 7, np.uint8)).save(own_folder / "train" / "disc" / name)
    data = ("--data", own_folder)
    assert f"edgekd cache-logits --name {NAME}" in refused(cli, copy, quick, *data)
    assert cli("cache-logits", "--teacher", NAME, "--name", NAME, *data, "--quiet").code == 0
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in before} == before
    state = read_state(folder)
    assert state.is_finished and state.rows == 38 and len(state.shards) == len(before) + 2
    sample = cli("cache", "verify", NAME, *data, "--sample", 100, "--json").json["sample"]
    assert sample["identical_batches"] == sample["batches"] == 4 and sample["images"] == 76
    assert cli("distill", *quick, "--cache", NAME, *data, "--name", "grown").code == 0


def test_the_accuracy_of_a_grown_cache_is_that_of_its_own_rows(cli: Any, copy: Path, own_folder: Path) -> None:
    for number in range(12):
        source = own_folder / "train" / "disc" / f"{number:03d}.png"
        shutil.copy(source, source.with_name(f"a{number}.png"))
    told = cli("cache-logits", "--teacher", NAME, "--name", NAME, "--data", own_folder, "--json").json
    cache = open_cache(copy / "cache" / NAME)
    parts = sorted((cache.folder / "parts").glob("*.jsonl"))
    paths = [json.loads(line)[0] for part in parts for line in part.read_text().splitlines()]
    classes = [cache.plan.data["classes"].index(Path(path).parent.name) for path in paths]
    chosen = cache.logits(0, np.arange(cache.rows)).argmax(1)
    assert cache.rows == 48 and told["teacher_top1"] == pytest.approx(np.mean(chosen.numpy() == classes))


def test_overwriting_makes_another_number_format(cli: Any, copy: Path) -> None:
    change = ("cache-logits", "--teacher", NAME, "--name", NAME, "--batch-size", 7)
    assert "made with --batch-size 250, not 7" in cli(*change).err
    assert cli(*change, "--overwrite", "--threads", 1).code == 0
    assert read_plan(copy / "cache" / NAME).batch_size == 7


def test_a_cache_is_only_overwritten_by_one_that_can_be_made(cli: Any, copy: Path, files: Any) -> None:
    before = files(copy / "cache" / NAME)
    called = cli("cache-logits", "--teacher", NAME, "--name", NAME, "--columns", "map:nowhere", "--overwrite")
    assert called.code == 2 and "nowhere" in called.err
    assert files(copy / "cache" / NAME) == before
