"""`edgekd predict` with an ONNX file: no torch."""

from edgekd.config import Predict
from edgekd.report import Reporter, Result
from edgekd.runtimes.prediction import Predictor, predict
from edgekd.runtimes.predictor import open_predictor


def run(config: Predict, report: Reporter) -> Result:
    """Classes of image files by an ONNX file that edgekd exported."""
    answer = open_predictor(config.model, config.threads)
    record = answer.record
    found = Predictor(record["classes"], record["canvas"], record["channels"], answer.logits)
    return predict(found, config, report)
