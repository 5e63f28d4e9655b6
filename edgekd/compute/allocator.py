"""Memory that stays with the process between training steps."""

import ctypes
import platform
import resource
import sys

# glibc's numbers for mallopt (malloc.h)
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
_MOST = 2**31 - 1
_PAD = 64 * 2**20


def keep_memory() -> None:
    """Have freed memory used again rather than handed back to the system, where the C library is glibc.

    By default glibc maps every large tensor anew and unmaps it when it is freed; each step then takes thousands of
    page faults, 5-10 % of a small network's time. The price: the process stays as large as it has been.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    mallopt = ctypes.CDLL(None).mallopt
    mallopt(_MMAP_MAX, 0)
    mallopt(_TRIM_THRESHOLD, _MOST)
    mallopt(_TOP_PAD, _PAD)


def peak_rss_mb() -> float:
    """Peak resident memory of this process so far, MB (10^6 bytes)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak * (1 if sys.platform == "darwin" else 1024) / 1e6, 1)
