"""The process's own memory."""

from pathlib import Path

from edgekd.profiling.measure import memory


def test_the_peak_is_at_least_what_is_resident() -> None:
    peak, now = memory.peak_mb(), memory.resident_mb()
    assert peak is not None and now is not None
    assert peak >= now > 5


def test_kilobytes_of_1024_become_megabytes(tmp_path: Path) -> None:
    status = tmp_path / "status"
    status.write_text("Name:\tpython\nVmHWM:\t   2000 kB\n")
    assert memory._status("VmHWM", status) == 2.048
    assert memory._status("VmRSS", status) is None


def test_a_system_without_proc_has_a_fallback(tmp_path: Path) -> None:
    assert memory._status("VmHWM", tmp_path / "missing") is None
    assert (memory._usage_peak() or 0) > 5
