"""Other numbers for the images of a data set: those that a cache knows them by."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edgekd.images.imageset import ImageData


def renumber(data: ImageData, ids: NDArray[np.int64], starts: Sequence[int] = (0,)) -> ImageData:
    """The data with `ids` [images of the listing] as its images' numbers, and `everything` in their order.

    `starts` are the first numbers of the parts; images of different parts are not mixed with each other.
    """
    if len(starts) == 1 and np.array_equal(ids, np.arange(len(ids))):
        return data
    if data.everything.roster is None:
        raise ValueError("only data that was assembled can be renumbered")
    roster = replace(data.everything.roster, ids=ids, parts=np.searchsorted(starts, ids, side="right") - 1)
    order = np.argsort(ids, kind="stable")
    everything = replace(data.everything, index=order, targets=roster.targets[order], roster=roster)
    train, val = (
        replace(each, roster=roster) if each.pixels is everything.pixels else each for each in (data.train, data.val)
    )
    return replace(data, everything=everything, train=train, val=val)
