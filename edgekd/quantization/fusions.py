"""What ONNX Runtime makes of a file on this machine: how many of its convolutions run in INT8."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx
import onnxruntime

from edgekd.runtimes.session import open_session

IN_INT8 = {"QLinearConv", "QGemm", "QLinearMatMul", "MatMulIntegerToFloat", "DynamicQuantizeMatMul"}
IN_FLOAT = {"Conv", "FusedConv", "Gemm", "FusedGemm", "MatMul", "FusedMatMul", "NhwcFusedConv"}


@dataclass(frozen=True)
class Fused:
    """Layers (convolutions and matrix products) of the optimised graph, and other nodes between them."""

    in_int8: int
    layers: int
    conversions: int

    def in_words(self) -> str:
        """`21 of 21 layers run in INT8, 2 conversions`."""
        return f"{self.in_int8} of {self.layers} layers run in INT8, {self.conversions} conversions to and from float32"


def count_fused(path: Path) -> Fused:
    """Let ONNX Runtime optimise the file as it does for running, and count."""
    with TemporaryDirectory(prefix="edgekd-fused-") as folder:
        settings = onnxruntime.SessionOptions()
        settings.optimized_model_filepath = str(Path(folder) / "optimised.onnx")
        open_session(path, 1, settings)
        operators = [node.op_type for node in onnx.load(settings.optimized_model_filepath).graph.node]
    fast = sum(each in IN_INT8 for each in operators)
    slow = sum(each in IN_FLOAT for each in operators)
    conversions = sum(each in ("QuantizeLinear", "DequantizeLinear") for each in operators)
    return Fused(fast, fast + slow, conversions)
