"""The measured median against a bare ONNX Runtime loop: interleaved pairs, on real networks."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from edgekd.exporting.onnx import write_onnx
from edgekd.models.build import build
from edgekd.profiling.child import environment
from edgekd.profiling.measuring import Setting, Subject, measure
from edgekd.profiling.modelfile import read_model
from edgekd.profiling.quantiles import ratio_interval

pytestmark = pytest.mark.slow

PAIRS = 9
SECONDS = 2.0

BARE = """
import sys, time
import numpy, onnxruntime
path, side, threads, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = threads
session = onnxruntime.InferenceSession(path, options)
image = numpy.random.default_rng(0).standard_normal((1, 3, side, side), dtype=numpy.float32)
name = session.get_inputs()[0].name
times = []
end = time.perf_counter() + seconds * 1.2
while time.perf_counter() < end:
    begin = time.perf_counter()
    session.run(None, {name: image})
    times.append(time.perf_counter() - begin)
times = times[len(times) // 6:]
print(sorted(times)[len(times) // 2] * 1e3)
"""


@dataclass(frozen=True)
class Images:
    """Images that exist only to build a network for."""

    classes: tuple[str, ...]
    canvas: int
    channels: int = 3
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.25, 0.25, 0.25)


def exported(name: str, side: int, folder: Path) -> Path:

    classes = tuple(map(str, range(10)))
    network = build(name, Images(classes, side))
    path = folder / f"{name}.onnx"
    write_onnx(network.backbone, torch.randn(2, 3, side, side), path, 18, {})
    return path


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("name", "side"), [("tiny-cnn", 32), ("resnet18", 224)])
def test_the_median_is_that_of_a_bare_loop(name: str, side: int, threads: int, tmp_path: Path) -> None:
    path = exported(name, side, tmp_path)
    subject = Subject(name, read_model(path), None)
    setting = Setting(1, threads, warmup=0.3, duration=SECONDS, percentile=50.0)
    ours, bare = [], []
    for _ in range(PAIRS):
        (found,) = measure([subject], setting)
        ours.append(found.figures["latency_ms"]["median"])
        done = subprocess.run(
            [sys.executable, "-c", BARE, str(path), str(side), str(threads), str(SECONDS)],
            env=environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        bare.append(float(done.stdout))
    interval = ratio_interval(ours, bare)
    assert interval["low"] <= 1.02, interval
