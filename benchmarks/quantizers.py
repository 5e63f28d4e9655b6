"""INT8 files of ONNX Runtime's own `quantize_static` and of NNCF against edgekd's: accuracy, and time in paired turns.

All three start from the same trained run and calibrate on the same training images. NNCF runs in a python of its own
(`--nncf-python`, an environment with `pip install nncf onnx onnxruntime`); without it, it is left out.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from edgekd.config import Evaluate
from edgekd.data.inheritance import inherit_data
from edgekd.data.loader import PLAIN, make_batch
from edgekd.data.sources import open_data
from edgekd.exporting.parity import answers
from edgekd.exporting.race import race
from edgekd.images.imageset import Split
from edgekd.models.finished import student_run
from edgekd.models.network import Network
from edgekd.models.trained import load_network
from edgekd.profiling.measure.measuring import Setting
from edgekd.report import Silent

IMAGES = 512
"""Training images that all calibrate on: as many as `edgekd export` takes, the same ones."""
NNCF = """
import sys, numpy, onnx, nncf
inputs = numpy.load(sys.argv[2])
rows = nncf.Dataset([inputs[at : at + 1] for at in range(len(inputs))], lambda row: {"input": row})
onnx.save(nncf.quantize(onnx.load(sys.argv[1]), rows, subset_size=len(inputs)), sys.argv[3])
print(nncf.__version__)
"""


class Rows(CalibrationDataReader):
    """Images for ONNX Runtime's calibration, one at a time."""

    def __init__(self, inputs: NDArray[np.float32]) -> None:
        self.rows: Iterator[NDArray[np.float32]] = iter(inputs[:, None])

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """The next image by the input's name; None at the end."""
        row = next(self.rows, None)
        return None if row is None else {"input": row}


def prepared(network: Network, split: Split, count: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Evenly spread images as the network takes them, and their labels."""
    positions = np.linspace(0, len(split) - 1, min(len(split), count)).astype(np.int64)
    batch = make_batch(split, positions, PLAIN)
    return network.prepare(batch.canvas).contiguous().numpy(), batch.target.numpy()


def peers(plain: Path, inputs: NDArray[np.float32], folder: Path, nncf: str | None) -> dict[str, Path]:
    """The other tools' files of a float32 ONNX file."""
    folder.mkdir(parents=True, exist_ok=True)
    ready, calibration = folder / "ready.onnx", folder / "inputs.npy"
    found = {"quantize_static": folder / "static.onnx"}
    quant_pre_process(plain, ready)
    quantize_static(ready, found["quantize_static"], Rows(inputs))
    if nncf:
        np.save(calibration, inputs)
        found["NNCF"] = folder / "nncf.onnx"
        command = [nncf, "-c", NNCF, str(plain), str(calibration), str(found["NNCF"])]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        print("NNCF", done.stdout.strip().splitlines()[-1], file=sys.stderr)
    return found


def compared(name: str, config: argparse.Namespace) -> list[dict[str, object]]:
    """A row for each file of one run."""
    source = student_run(name, config.runs)
    folder = config.output / source.path.name
    plain = folder / "model.onnx"
    command = [sys.executable, "-m", "edgekd", "export", str(source.path), "--output", str(plain), "--quantize", "int8"]
    subprocess.run([*command, "--threads", str(config.threads), "--quiet", "--duration", "1"], check=True)
    options = inherit_data(Evaluate(model=str(source.path)), source)
    data, network = open_data(options, Silent()), load_network(source, options).eval()
    inputs, _ = prepared(network, data.train, IMAGES)
    files = {"fp32": plain, "edgekd": plain.with_name("model.int8.onnx")}
    files |= peers(plain, inputs, folder / "peers", config.nncf_python)
    tested, labels = prepared(network, data.test, config.images)
    first = answers(plain, tested).argmax(1)
    times = race(files, Setting(1, config.threads, 0.5, config.seconds, 50.0))
    rows: list[dict[str, object]] = []
    for tool, path in files.items():
        chosen = answers(path, tested).argmax(1)
        right = f"{(chosen == labels).mean():.2%}"
        agreeing = f"{(chosen == first).mean():.2%}"
        size = round(path.stat().st_size / 1e3, 1)
        row: dict[str, object] = {"run": name, "file": tool, "kB": size, "accuracy": right, "as fp32": agreeing}
        rows.append(row | {"p50 ms": round(times[tool].latency_ms, 3), "times fp32": times[tool].in_words})
    own = race(
        {each: files[each] for each in files if each != "fp32"}, Setting(1, config.threads, 0.5, config.seconds, 50.0)
    )
    for row in rows:
        timed = own.get(str(row["file"]))
        row["times edgekd"] = "" if timed is None or row["file"] == "edgekd" else timed.in_words
    return rows


def main() -> None:
    """Print one Markdown row for each file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+", help="trained runs")
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--output", type=Path, required=True, help="folder for the files")
    parser.add_argument("--nncf-python")
    parser.add_argument("--images", type=int, default=5000, help="test images")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each race")
    parser.add_argument("--threads", type=int, default=1)
    config = parser.parse_args()
    found = [row for name in config.models for row in compared(name, config)]
    print("| " + " | ".join(found[0]) + " |\n" + "|---" * len(found[0]) + "|")
    for row in found:
        print("| " + " | ".join(map(str, row.values())) + " |")
    (config.output / "quantizers.json").write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
