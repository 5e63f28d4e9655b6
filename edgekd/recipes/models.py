"""`edgekd models`: what can be named, with its cost."""

from edgekd.config import Models
from edgekd.models.catalogue import catalogue
from edgekd.models.usual import result_of
from edgekd.report import Reporter, Result


def run(config: Models, report: Reporter) -> Result:
    """The usual models, or those that match a pattern, built and counted."""
    return result_of(catalogue(config.pattern, config.classes, config.input_size), config)
