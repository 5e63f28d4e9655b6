"""edgekd: distil image classifiers for edge devices."""

__version__ = "0.2.0"
