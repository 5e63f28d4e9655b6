"""Shortages of the machine or its limits (memory, descriptors, processes): told in words, whoever met them."""

import errno
import os

from edgekd.errors import DataError

MORE = {
    errno.EMFILE: ("too many files are open", "raise the limit: ulimit -n 1024"),
    errno.ENFILE: ("too many files are open on this machine", "end other programs"),
    errno.ENOMEM: ("memory ran out", "free memory or raise the limit (ulimit -v), or take smaller batches or images"),
    errno.EAGAIN: ("no further thread or process could be started", "raise the limits: ulimit -u, ulimit -v"),
}
_WORDS = {
    errno.EAGAIN: ("start new thread", "pthread_create failed", "PosixThread", os.strerror(errno.EAGAIN)),
    errno.EMFILE: (os.strerror(errno.EMFILE),),
    errno.ENOMEM: (
        "allocate memory",
        "out of memory",
        "memory allocation",
        "bad_alloc",
        "Failed to allocate",
        "failed to map segment",
        "MemoryError",
        os.strerror(errno.ENOMEM),
    ),
}
"""What libraries say instead of an errno."""


def shortage(error: BaseException) -> DataError | None:
    """The shortage behind an exception; None when it has another cause."""
    if isinstance(error, MemoryError):
        return DataError(*MORE[errno.ENOMEM])
    if isinstance(error, OSError) and error.errno is not None:
        return DataError(*MORE[error.errno]) if error.errno in MORE else None
    return shortage_in(str(error)) if isinstance(error, OSError | RuntimeError | ImportError) else None


def shortage_in(text: str) -> DataError | None:
    """The shortage that the last words of a process or a library tell of."""
    lower = text.lower()
    found = (number for number, parts in _WORDS.items() if any(part.lower() in lower for part in parts))
    number = next(found, None)
    return None if number is None else DataError(*MORE[number])
