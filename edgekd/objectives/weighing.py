"""What labels and method count for beside each other, at each point of a training."""

from edgekd.methods.contract import Method
from edgekd.methods.ranges import Ramp, between


class Weighing:
    """Labels and the method's parts by their weights: the method's own, or (1 - alpha) to alpha.

    `alpha` left open is the method's own, which it may not have; a `ramp` changes it linearly over the training.
    """

    def __init__(self, method: Method, alpha: float | None = None, ramp: Ramp | None = None) -> None:
        self.method, self.ramp = method, ramp
        self.share = method.alpha if alpha is None else alpha
        self.has_labels = True
        """False: the labels count for nothing, for there are none."""

    def at(self, progress: float) -> tuple[float, float]:
        """What the cross-entropy and every part of the method are multiplied by at this point, 0 to 1."""
        share = self.alpha(progress)
        if share is not None:
            return self.has_labels * (1 - share), share
        return self.has_labels * self.method.label_weight * self.method.label_ramp(progress), 1.0

    @property
    def counts_labels(self) -> bool:
        """Whether the cross-entropy counts at any point of the training."""
        return self.has_labels and any(weight > 0 for weight in self._label_weights())

    def _label_weights(self) -> list[float]:
        if self.ramp is not None:
            return [1 - each for each in self.ramp]
        return [self.method.label_weight if self.share is None else 1 - self.share]

    def alpha(self, progress: float) -> float | None:
        """The division at this point of the training; None where the method's own weights count."""
        return self.share if self.ramp is None else between(self.ramp, progress)

    def changing(self, progress: float) -> dict[str, float]:
        """What a ramp changes, as it is at this point of the training, by name."""
        found = {name: between(each, progress) for name, each in self.method.ramps.items()}
        alpha = self.alpha(progress)
        return found | ({"alpha": alpha} if self.ramp is not None and alpha is not None else {})
