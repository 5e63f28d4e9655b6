"""Kept memory: a step's tensors find their pages where the step before left them."""

import platform
import subprocess
import sys

import pytest

STEPS = """
import resource, sys, torch
from edgekd.compute.allocator import keep_memory
if sys.argv[1] == "keep":
    keep_memory()
def step():
    for _ in range(3):
        torch.ones(12_000_000).mul(2).add(1)
for _ in range(5):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is glibc's")
def test_page_faults_go_away() -> None:
    def faults(how: str) -> int:
        done = subprocess.run([sys.executable, "-c", STEPS, how], capture_output=True, text=True, check=True)
        return int(done.stdout)

    assert faults("keep") < faults("free") / 10
