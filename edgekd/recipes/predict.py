"""`edgekd predict` with a run (torch)."""

import numpy as np
import torch
from numpy.typing import NDArray

from edgekd.config import Predict
from edgekd.images.decoder import form_of
from edgekd.models.finished import student_run
from edgekd.models.trained import load_network
from edgekd.ranks import own_cores
from edgekd.report import Reporter, Result
from edgekd.runtimes.prediction import Predictor, predict


def run(config: Predict, report: Reporter) -> Result:
    """Classes of image files by a run's network."""
    torch.set_num_threads(config.threads or own_cores())
    source = student_run(config.model, config.runs)
    network = load_network(source, config).eval()
    described = source.manifest()["data"]

    def logits(canvases: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.inference_mode():
            return np.asarray(network(torch.from_numpy(canvases)).float().numpy())

    form = form_of(described, described["options"])
    found = Predictor(network.spec.classes, form.side, form.channels, logits, form.aspect, form.grey_bits)
    return predict(found, config, report)
