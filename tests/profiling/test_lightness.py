"""Profiling needs neither torch nor onnx, and its processes stay small."""

import subprocess
import sys
from pathlib import Path

import pytest

from edgekd.profiling.measure.measuring import Setting, Subject, measure
from edgekd.profiling.measure.process import environment
from edgekd.runtimes.onnx_file import read_model

WITHOUT = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {refused!r}:
            raise ImportError(name + " is not installed")
sys.meta_path.insert(0, Refuse())
"""

BARE = """
import numpy, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession({path!r}, options)
image = numpy.zeros((1, 3, 8, 8), numpy.float32)
for _ in range(300):
    session.run(None, {{"input": image}})
"""

PEAK = """
print([line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")][0])
"""


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    return done.stdout


def profiled(path: Path, also: str = "") -> str:
    """Code that profiles a model."""
    return f"""
from pathlib import Path
from edgekd.config import Profile
from edgekd.recipes.profile import run
from edgekd.report import Silent
patient = 60_000.0  # ms: any machine keeps it
config = Profile(models=({str(path)!r},), device="raspberry-pi-4", warmup=0.02,
    duration=0.1, max_latency_ms=patient{also})
result = run(config, Silent())
"""


def test_profiling_works_without_torch_and_onnx(exported: Path) -> None:
    refused = {"torch", "torchvision", "timm", "onnx", "onnxscript", "matplotlib", "jinja2", "safetensors"}
    code = WITHOUT.format(refused=refused) + profiled(exported, ", operators=True") + "print(result.failure)"
    assert run_python(code).strip() == "None"


def test_the_parent_loads_no_numpy_and_stays_under_40_mb(exported: Path) -> None:
    words = ["profile", str(exported), "--max-latency-ms", "60000", "--warmup", "0.02", "--duration", "1", "--json"]
    code = f"import sys; from edgekd.cli.app import main; status = main({words})"
    code += "; print('LOADED', status, sorted({'numpy', 'torch', 'onnx', 'onnxruntime', 'PIL'} & set(sys.modules)))"
    *_, loaded, peak = run_python(code + PEAK).splitlines()
    assert loaded == "LOADED 0 []"
    assert int(peak) * 1024 / 1e6 < 40


@pytest.mark.parametrize("module", ["timing_process", "inspection_process"])
def test_no_child_imports_torch(module: str) -> None:
    code = f"import sys, edgekd.profiling.measure.{module}; "
    assert run_python(code + "print(sorted({'torch', 'onnx', 'PIL'} & set(sys.modules)))").strip() == (
        "[]" if module == "timing_process" else "['PIL']"
    )


def test_the_measuring_child_is_within_25_mb_of_a_bare_process(exported: Path) -> None:
    bare = int(run_python(BARE.format(path=str(exported)) + PEAK)) * 1024 / 1e6
    setting = Setting(batch=1, threads=1, warmup=0.02, duration=0.1, percentile=95.0)
    subject = Subject("small", read_model(exported), exported.with_name("sample.npz"))
    (found,) = measure([subject], setting)
    assert found.figures["memory_mb"]["peak"] - bare < 25
