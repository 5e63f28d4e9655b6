"""Shortages are recognised whoever met them, and nothing else is taken for one."""

import errno

import pytest

from edgekd.shortage import shortage, shortage_in


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "memory ran out"),
        (OSError(errno.EMFILE, "Too many open files"), "too many files are open"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "memory ran out"),
        (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), "no further thread or process"),
        (
            RuntimeError("[enforce fail at alloc] DefaultCPUAllocator: can't allocate memory"),
            "memory ran out",
        ),
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"), "memory ran out"),
        (RuntimeError("can't start new thread"), "no further thread"),
        (ImportError("libx.so: failed to map segment from shared object"), "memory ran out"),
    ],
)
def test_a_shortage_is_told(error: Exception, words: str) -> None:
    found = shortage(error)
    assert found is not None and found.exit_code == 3 and found.problem.startswith(words)


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOENT, "No such file"),
        RuntimeError("shape mismatch"),
        ImportError("x"),
        ValueError("out of memory"),
    ],
)
def test_other_errors_are_none(error: Exception) -> None:
    assert shortage(error) is None


def test_the_last_words_of_a_process_are_understood() -> None:
    assert shortage_in("OpenBLAS error: Memory allocation still failed after 10 retries") is not None
    assert shortage_in("Segmentation fault") is None
