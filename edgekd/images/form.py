"""The canvas that suits a folder's images: side, channels and the range of wide grey values, by a sample."""

from collections.abc import Sequence

import numpy as np

from edgekd.config import Data
from edgekd.images.canvas import MeasuredCanvas
from edgekd.images.decoder import Form, measure_all
from edgekd.images.folder import File
from edgekd.report import Reporter

_SAMPLE = 64
_WIDE_SAMPLE = 2_000
_SIDES = (32, 48, 64)
"""What a canvas is chosen from when --canvas is not given: larger ones cost more, so they have to be requested."""
_BITS = (8, 10, 12, 14, 16)
"""What sensors give of the 16 bits of a file."""
_DARK = 32
"""Pictures of 8 bits whose values all lie below this hold a sensor's narrower range, or were badly converted."""
_OBLONG = 1.2


def choose_form(files: tuple[File, ...], config: Data, report: Reporter) -> Form:
    """The canvas requested, or one by an evenly spaced sample of the files."""
    sample = measure_all(_spread(files, _SAMPLE))
    side = config.canvas or _choose_side(sample, config, report)
    channels = int(config.channels) if config.channels != "auto" else _choose_channels(sample)
    return Form(side, channels, config.aspect, _grey_bits(files, sample, config, report))


def _spread(files: Sequence[File], most: int) -> list[str]:
    return [file.path for file in files[:: max(1, -(-len(files) // most))]]


def _choose_channels(sample: Sequence[MeasuredCanvas]) -> int:
    return 1 if sample and all(each.is_grey for each in sample) else 3


def _choose_side(sample: Sequence[MeasuredCanvas], config: Data, report: Reporter) -> int:
    """The nearest of a few sides; says which and why, and what becomes of images that are not square."""
    if not sample:
        return _SIDES[0]
    short = float(np.median([min(each.width, each.height) for each in sample]))
    side = min(_SIDES, key=lambda each: (abs(each - short), each))
    if short != side:
        why = "the largest default" if short > side else "the nearest to it"
        report.note(
            f"canvas {side}: the short side of the images is about {short:.0f} pixels, and {side} is {why}; "
            "--canvas N takes another size (time grows with its square)"
        )
    ratio = float(np.median([max(each.width, each.height) / min(each.width, each.height) for each in sample]))
    if ratio >= _OBLONG and config.aspect == "crop":
        report.note(
            f"the images are not square (about {ratio:.2f} : 1): the middle is kept, {1 - 1 / ratio:.0%} of each is "
            "cut away; --aspect pad keeps all of it, --aspect squash distorts it"
        )
    return side


def _grey_bits(files: tuple[File, ...], sample: Sequence[MeasuredCanvas], config: Data, report: Reporter) -> int:
    """The bits that wide grey values use, by the largest of many images; what is found is said."""
    if config.grey_bits != "auto":
        return int(config.grey_bits)
    wide = [each for each in sample if each.is_wide]
    if not wide:
        _tell_dark(sample, report)
        return _BITS[-1]
    largest = max(each.largest for each in measure_all(_spread(files, _WIDE_SAMPLE)) if each.is_wide)
    bits = next(each for each in _BITS if largest < 2**each or each == _BITS[-1])
    if bits < _BITS[-1]:
        report.note(
            f"16-bit grey images whose largest value is {largest:,}: taken as {bits}-bit data, 0 to {2**bits - 1:,}; "
            "--grey-bits 16 keeps the scale of the files"
        )
    return bits


def _tell_dark(sample: Sequence[MeasuredCanvas], report: Reporter) -> None:
    largest = max((each.largest for each in sample), default=255)
    if largest < _DARK:
        report.warn(
            f"the images are nearly black (largest value {largest} of 255): if they come from a sensor of more "
            "bits, save them as 16-bit grey PNG or TIFF"
        )
