import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgekd import runs
from edgekd.errors import CheckpointError, DataError, UsageError
from edgekd.manifest import FORMAT
from edgekd.reading import read_lines
from edgekd.runs import LONGEST, Run, atomic, clear, data_name, find, newest, slug
from edgekd.training.claim import claim, holding


def finished(root: Path, name: str, **manifest: object) -> Run:
    run = Run(root / name)
    run.update(status="finished", **manifest)
    return run


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), atomic(path) as beside:
        beside.write_text("half")
        raise ZeroDivisionError
    assert path.read_text() == "old" and [each.name for each in tmp_path.iterdir()] == ["file"]


def test_an_existing_run_is_not_claimed(tmp_path: Path) -> None:
    finished(tmp_path, "mine")
    with pytest.raises(UsageError, match="exists already"):
        claim(tmp_path, "mine", resume=False, overwrite=False)
    assert claim(tmp_path, "mine", resume=True, overwrite=False).is_there


def test_claiming_makes_nothing(tmp_path: Path) -> None:
    claim(tmp_path / "runs", "new", resume=False, overwrite=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_place_without_permission_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(DataError, match="permission"):
        claim(tmp_path, "new", resume=False, overwrite=False)


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("")
    with pytest.raises(DataError, match=r"runs: is a file, not a folder"):
        claim(tmp_path / "runs", "new", resume=False, overwrite=False)


def test_a_name_too_long_for_a_folder_is_refused(tmp_path: Path) -> None:
    claim(tmp_path, "é" * (LONGEST // 2), resume=False, overwrite=False)
    with pytest.raises(UsageError, match="not a plain name"):
        claim(tmp_path, "é" * (LONGEST // 2) + "x", resume=False, overwrite=False)


def test_a_run_that_is_being_written_is_left_alone(tmp_path: Path) -> None:
    run = finished(tmp_path, "mine")
    with holding(run):
        for how in ({"resume": True, "overwrite": False}, {"resume": False, "overwrite": True}):
            with pytest.raises(UsageError, match="another process is training it"):
                claim(tmp_path, "mine", **how)
    assert claim(tmp_path, "mine", resume=False, overwrite=True).is_there


def test_a_killed_process_lets_go_of_its_run(tmp_path: Path) -> None:
    run = finished(tmp_path, "mine")
    text = f"""
from pathlib import Path
from edgekd.runs import Run
from edgekd.training.claim import holding
with holding(Run(Path({str(run.path)!r}))):
    print("held", flush=True)
    input()
"""
    with subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, stdin=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"held\n"
        with pytest.raises(UsageError, match="another process"), holding(run):
            pass
        process.kill()
        process.wait()
        with holding(run):
            pass


def test_an_unknown_run_gets_the_nearest_names(tmp_path: Path) -> None:
    finished(tmp_path, "resnet9-shapes")
    with pytest.raises(CheckpointError) as caught:
        find(tmp_path, "resnet8-shapes")
    assert "resnet9-shapes" in caught.value.hint


def test_a_torn_manifest_is_told(tmp_path: Path) -> None:
    finished(tmp_path, "mine")
    (tmp_path / "mine" / "manifest.json").write_text('{"format": 1,')
    with pytest.raises(CheckpointError, match="JSON"):
        find(tmp_path, "mine").manifest()


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    run = finished(tmp_path, "mine", format=FORMAT + 1)
    with pytest.raises(CheckpointError, match="newer"):
        run.manifest()


def test_the_newest_is_the_last_finished(tmp_path: Path) -> None:
    for number, name in enumerate("abc"):
        run = finished(tmp_path, name, command="x")
        os.utime(run.path / "manifest.json", (number, number))
    Run(tmp_path / "c").update(status="running")
    os.utime(tmp_path / "c" / "manifest.json", (9, 9))
    assert newest(tmp_path, lambda manifest: True) == Run(tmp_path / "b")


def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    runs.append_line(path, {"epoch": 1})
    path.write_text(path.read_text() + '{"epo')
    assert read_lines(path, CheckpointError) == [{"epoch": 1}]


def test_a_cleared_folder_is_gone(tmp_path: Path) -> None:
    finished(tmp_path, "mine")
    clear(tmp_path / "mine")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "folder"), [("resnet9", "resnet9"), ("./nets/my net.py:build", "my-net-build"), ("a.b/c d", "c-d")]
)
def test_names_become_folder_names(name: str, folder: str) -> None:
    assert slug(name) == folder


@pytest.mark.parametrize(
    ("data", "name"), [(None, "shapes"), ("cifar10", "cifar10"), ("/some/where/scenes/", "scenes")]
)
def test_data_has_a_short_name(data: str | None, name: str) -> None:
    assert data_name(data) == name


def test_manifests_are_sorted_json(tmp_path: Path) -> None:
    text = (finished(tmp_path, "mine", b=1, a=2).path / "manifest.json").read_text()
    assert list(json.loads(text)) == sorted(json.loads(text))


def test_of_two_that_claimed_a_run_one_begins_it(tmp_path: Path) -> None:
    first, second = (claim(tmp_path, "mine", resume=False, overwrite=False) for _ in range(2))
    first.begin(status="running", whose="first")
    with pytest.raises(UsageError, match="begun and is not finished"):
        second.begin(status="running", whose="second")
    assert first.manifest()["whose"] == "first"


def test_of_a_link_the_link_is_cleared(tmp_path: Path) -> None:
    finished(tmp_path / "elsewhere", "mine")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere" / "mine")
    clear(tmp_path / "link")
    assert not (tmp_path / "link").exists() and Run(tmp_path / "elsewhere" / "mine").is_there


def test_what_a_killed_call_left_is_cleared_too(tmp_path: Path) -> None:
    finished(tmp_path, "mine")
    finished(tmp_path, ".mine.17.old")
    clear(tmp_path / "mine")
    assert list(tmp_path.iterdir()) == []


def test_letters_of_any_language_stay_in_names() -> None:
    assert slug("数据") == "数据"
    assert slug("./cafe\u0301") == "caf\u00e9"
    assert slug("図 1") == "図-1"


def test_names_without_letters_are_told_apart() -> None:
    names = {slug(name) for name in ("\N{CAT FACE}", "\N{DOG FACE}", "caf\udce9", "caf\udce8", "caf")}
    assert len(names) == 5
    assert len(os.fsencode(slug("数" * 100))) < 80


def test_a_manifest_with_bytes_that_are_no_utf8_is_valid_and_comes_back(tmp_path: Path) -> None:
    run = finished(tmp_path, "mine", data={"options": {"data": "/caf\udce9/\u00e9"}})
    json.loads((run.path / "manifest.json").read_bytes().decode("utf-8"))
    assert run.manifest()["data"]["options"]["data"] == "/caf\udce9/\u00e9"


@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_what_is_no_regular_file_is_never_replaced(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "out.json"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/full")
    with pytest.raises(DataError, match="no regular file"), atomic(path) as beside:
        beside.write_text("x")
    assert not path.is_file()
