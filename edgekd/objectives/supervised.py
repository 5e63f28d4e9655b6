"""Labels alone."""

from torch import Tensor

from edgekd.data.batch import Batch
from edgekd.methods.contract import Part
from edgekd.methods.labels import LabelLoss
from edgekd.models.network import Network
from edgekd.objectives.objective import Objective


class Supervised(Objective):
    """Labels only."""

    def __init__(self, network: Network, label_smoothing: float = 0.0, class_weights: Tensor | None = None) -> None:
        super().__init__()
        self.network = network
        self.networks = {"": network}
        self.labels = LabelLoss(label_smoothing, class_weights)

    def forward(self, batch: Batch, progress: float, turn: str | None = None) -> dict[str, Part]:
        """`ce` alone."""
        return {"ce": Part(self.labels(self.network(batch.canvas), batch), over="labels")}
