"""The median latency `edgekd profile` reports, against a bare ONNX Runtime loop, in interleaved pairs."""

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from record import options, publish, ratio

from edgekd.exporting.onnx import write_onnx
from edgekd.models.build import build
from edgekd.profiling.measure.measuring import Setting, Subject, measure
from edgekd.profiling.measure.process import environment
from edgekd.runtimes.onnx_file import read_model

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
end = time.perf_counter() + 1.0 + seconds
warm = time.perf_counter() + 1.0
while time.perf_counter() < end:
    begin = time.perf_counter()
    session.run(None, {name: image})
    if begin > warm:
        times.append(time.perf_counter() - begin)
print(sorted(times)[len(times) // 2] * 1e3)
"""
"""What anyone would write: the same warm-up and time, no edgekd."""


@dataclass(frozen=True)
class Images:
    """Images that exist only to build a network for."""

    classes: tuple[str, ...]
    canvas: int
    channels: int = 3
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.25, 0.25, 0.25)


def exported(name: str, side: int, folder: Path) -> Path:
    """An ONNX file with fresh weights."""
    network = build(name, Images(tuple(map(str, range(10))), side))
    path = folder / f"{name}.onnx"
    write_onnx(network.backbone, torch.randn(2, 3, side, side), path, 18, {})
    return path


def bare(path: Path, side: int, threads: int, seconds: float) -> float:
    """The median of a bare loop in a process of its own, ms."""
    words = [sys.executable, "-c", BARE, str(path), str(side), str(threads), str(seconds)]
    done = subprocess.run(words, env=environment(), capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> None:
    """Measure and publish."""
    parser = options(__doc__)
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=2.0)
    asked = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, side in (("tiny-cnn", 32), ("resnet18", 224)):
            path = exported(name, side, Path(folder))
            subject = Subject(name, read_model(path), None)
            for threads in (1, 2):
                setting = Setting(1, threads, warmup=1.0, duration=asked.seconds, percentile=50.0)
                ours, theirs = [], []
                for turn in range(asked.pairs):
                    if turn % 2:
                        theirs.append(bare(path, side, threads, asked.seconds))
                    (found,) = measure([subject], setting)
                    ours.append(found.figures["latency_ms"]["median"])
                    if not turn % 2:
                        theirs.append(bare(path, side, threads, asked.seconds))
                rows.append(
                    {
                        "model": f"{name}, {side} px",
                        "threads": threads,
                        "bare loop p50, ms": f"{sorted(theirs)[len(theirs) // 2]:.4g}",
                        "edgekd p50, ms": f"{sorted(ours)[len(ours) // 2]:.4g}",
                        "edgekd / bare [95 %]": ratio(ours, theirs),
                        "pairs": asked.pairs,
                    }
                )
    about = "One image, fp32; who goes first alternates. 1 is ideal: what is reported is what a bare loop would see."
    publish("latency", "edgekd profile against a bare ONNX Runtime loop", about, rows, is_trial=asked.trial)


if __name__ == "__main__":
    main()
