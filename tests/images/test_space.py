import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgekd.images import space
from edgekd.images.space import GB, cache_root, fits_memory, has_room, tell_place
from edgekd.report import Silent


def kept(root: Path, name: str, size_bytes: int, age: int) -> Path:
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "canvases.npy").write_bytes(bytes(size_bytes))
    os.utime(folder, ns=(age, age))
    return folder


def test_the_longest_unused_makes_way(tmp_path: Path) -> None:
    old, middle, new = (kept(tmp_path, name, 1000, age) for name, age in (("c", 1), ("a", 2), ("b", 3)))
    assert has_room(tmp_path / "d", 1000, 3500 / GB)
    assert [folder.exists() for folder in (old, middle, new)] == [False, True, True]


def test_what_is_larger_than_the_budget_removes_nothing(tmp_path: Path) -> None:
    old = kept(tmp_path, "a", 1000, 1)
    assert not has_room(tmp_path / "d", 4000, 3500 / GB)
    assert old.exists()


def test_a_place_that_cannot_be_written_has_no_room(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert not has_room(tmp_path / "file" / "d", 10, 1)


def test_the_cache_folder_can_be_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEKD_CACHE", "/somewhere")
    assert cache_root() == Path("/somewhere")
    monkeypatch.setenv("EDGEKD_CACHE", "")
    assert cache_root() == Path.home() / ".cache" / "edgekd"


def test_memory_is_never_filled() -> None:
    assert fits_memory(1000)
    assert not fits_memory(1 << 60)


def test_processes_of_a_machine_share_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(space, "free_memory", lambda: 10_000)
    assert fits_memory(4000) and not fits_memory(4001)
    for name, value in {"RANK": 0, "WORLD_SIZE": 4, "LOCAL_RANK": 0, "LOCAL_WORLD_SIZE": 4}.items():
        monkeypatch.setenv(name, str(value))
    assert fits_memory(1000) and not fits_memory(1001)


@pytest.mark.parametrize(
    ("line", "group", "files"),
    [
        ("0::/own", "own", {"memory.max": "5000", "memory.current": "3000", "memory.stat": "inactive_file 1000\nx 7"}),
        ("0::/of/the/host", "", {"memory.max": "5000", "memory.current": "2000", "memory.stat": "anon 2000"}),
        ("0::/own/deeper", "own", {"memory.max": "5000", "memory.current": "2000", "memory.stat": "anon 2000"}),
        (
            "4:memory:/own",
            "memory/own",
            {
                "memory.limit_in_bytes": "5000",
                "memory.usage_in_bytes": "3000",
                "memory.stat": "inactive_file 1\ntotal_inactive_file 1000",
            },
        ),
    ],
)
def test_the_limit_of_a_container_counts_without_pages_of_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, group: str, files: dict[str, str]
) -> None:
    (tmp_path / "cgroup").write_text(f"{line}\n3:cpuset:/elsewhere\n")
    folder = tmp_path / "root" / group
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_text(content + "\n")
    (tmp_path / "root" / "own" / "deeper").mkdir(parents=True, exist_ok=True)
    monkeypatch.setattr(space, "_CGROUP", tmp_path / "root")
    monkeypatch.setattr(space, "_OWN_CGROUPS", tmp_path / "cgroup")
    assert fits_memory(1200)
    assert not fits_memory(1201)


def test_a_group_without_a_limit_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cgroup").write_text("0::/\n")
    for name, content in {"memory.max": "max", "memory.current": "3000", "memory.stat": "anon 3000"}.items():
        (tmp_path / name).write_text(content + "\n")
    monkeypatch.setattr(space, "_CGROUP", tmp_path)
    monkeypatch.setattr(space, "_OWN_CGROUPS", tmp_path / "cgroup")
    assert fits_memory(100_000)


@pytest.mark.skipif(sys.platform != "linux", reason="ulimit -v counts on Linux only")
def test_ulimit_counts() -> None:
    code = (
        "import resource; from edgekd.images.space import fits_memory; "
        "resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30)); print(fits_memory(1 << 29), fits_memory(2 << 30))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]


ASK = "from edgekd.images.space import cache_root; print(cache_root())"


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="needs users with numbers")
def test_without_a_home_the_cache_lies_among_the_temporary_files(tmp_path: Path) -> None:
    """A number without an entry in the list of users, as containers have it."""
    if os.getuid() != 0:
        pytest.skip("only root may become another user")
    tmp_path.chmod(0o777)
    code = f"import os; import edgekd.images.space; os.setgid(54321); os.setuid(54321); {ASK}"
    kept = {name: value for name, value in os.environ.items() if name not in ("HOME", "EDGEKD_CACHE")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=kept | {"TMPDIR": str(tmp_path)}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip().endswith("edgekd-54321")


def test_a_home_that_cannot_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home").write_text("in the way")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("EDGEKD_CACHE")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    report = Silent()
    tell_place(report)
    assert cache_root() == tmp_path / "temporary" / f"edgekd-{os.getuid()}"
    assert "EDGEKD_CACHE" in report.notes[0]
    assert has_room(cache_root() / "decoded" / "key", 10, 1)
    assert cache_root().stat().st_mode & 0o777 == 0o700


def test_a_named_place_is_taken_even_where_it_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEKD_CACHE", "/proc/none")
    assert cache_root() == Path("/proc/none")
    assert not has_room(cache_root(), 10, 1)


def test_without_a_home_and_a_user_the_cache_lies_among_the_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("EDGEKD_CACHE")
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert cache_root() == tmp_path / f"edgekd-{os.getuid()}"
