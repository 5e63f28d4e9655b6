"""Files that are read whole: regular ones of bounded size, pipes and devices only where they may be named."""

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgekd import reading
from edgekd.errors import CheckpointError, ConfigError
from edgekd.reading import at_home, read_bytes, read_json, read_lines, read_toml


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "fifo")
    return tmp_path / "fifo"


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PIPE_SECONDS", 0.1)


@pytest.fixture
def writer(fifo: Path) -> Iterator[Path]:
    """A pipe into which text is written in two pieces."""

    def write() -> None:
        with fifo.open("w") as stream:
            stream.write("epochs = ")
            stream.flush()
            time.sleep(0.05)
            stream.write("3\n")

    thread = threading.Thread(target=write)
    thread.start()
    yield fifo
    thread.join()


def test_a_pipe_is_read_to_its_end(writer: Path) -> None:
    assert read_toml(writer, ConfigError, pipe=True) == {"epochs": 3}


@pytest.mark.parametrize("kind", ["fifo", "folder", "socket", "device"])
def test_only_regular_files_are_read_where_no_pipe_may_be(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "x"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "socket":
        socket.socket(socket.AF_UNIX).bind(str(path))
    else:
        path = Path("/dev/zero")
    with pytest.raises(ConfigError, match="not a regular file"):
        read_bytes(path, ConfigError)


def test_a_pipe_that_nobody_writes_to_is_given_up(fifo: Path, brief: None) -> None:
    with pytest.raises(ConfigError, match="did not end within"):
        read_bytes(fifo, ConfigError, pipe=True)


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/full"])
def test_a_device_without_an_end_is_given_up(device: str) -> None:
    with pytest.raises(ConfigError, match="gives more than 16 MB"):
        read_bytes(Path(device), ConfigError, pipe=True)


def test_an_empty_device_is_an_empty_file() -> None:
    assert read_bytes(Path("/dev/null"), ConfigError, pipe=True) == b""


def test_a_file_of_terabytes_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    path.touch()
    os.truncate(path, 10**12)
    with pytest.raises(CheckpointError, match="larger than 256 MB"):
        read_json(path, CheckpointError)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xff", "not a text file"),
        (b"{", "cannot be read as JSON"),
        (b"[]", "holds no JSON object"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a": ' + b"1" * 5000 + b"}", "cannot be read as JSON"),
    ],
)
def test_damaged_json_is_told(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=f"x.json: .*{words}"):
        read_json(tmp_path / "x.json", CheckpointError)


def test_a_name_with_nul_is_told() -> None:
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_json(Path("a\0b"), CheckpointError)


def test_a_missing_key_is_an_error_in_words_at_any_depth(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"data": {"name": "a"}}')
    found = read_json(tmp_path / "x.json", CheckpointError)
    assert (
        found["data"]["name"] == "a" and found.get("model") is None and json.dumps(found) == '{"data": {"name": "a"}}'
    )
    with pytest.raises(CheckpointError, match="x.json: options is missing"):
        found["data"]["options"]


def test_lines_that_are_no_objects_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_bytes(b'{"a": 1}\n[1]\n\xff\n{"b"\n"x"\n{"a": 2}')
    assert read_lines(tmp_path / "log.jsonl", ConfigError) == [{"a": 1}, {"a": 2}]
    assert read_lines(tmp_path / "none.jsonl", ConfigError) == []


def test_without_a_home_a_tilde_is_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert at_home("~/a") == Path("/home/me/a")
    assert at_home("~nobody-of-this-name/a") == Path("~nobody-of-this-name/a")
    monkeypatch.delenv("HOME")
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)
    assert at_home(Path("~/a")) == Path("~/a")
