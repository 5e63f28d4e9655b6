"""The images of a data set under the numbers a cache knows them by, once it is sure that they are the same images."""

from collections.abc import Sequence
from pathlib import Path

from edgekd.cache.listing import ImageMatch, check_partners, match, write_part
from edgekd.cache.parts import ListingPart, read_parts
from edgekd.cache.plan import CachePlan
from edgekd.cache.store import LogitCache
from edgekd.config import Views
from edgekd.data.view_options import settle_views, view_recipe
from edgekd.errors import CacheError
from edgekd.images.imageset import ImageData
from edgekd.images.renumbering import renumber


def number_images(folder: Path, plan: CachePlan, data: ImageData) -> tuple[list[ListingPart], ImageData]:
    """The parts of a cache, with a new one for images it does not know, and the data under its numbers.

    Raises CacheError when images of the cache are gone or changed, or would be mixed otherwise.
    """
    parts = read_parts(folder)
    found = match(folder, parts, data.listing)
    numbered = _renumbered(data, found, parts)
    partners = _partners(plan, numbered)
    check_partners(folder, parts, partners)
    if not len(found.new):
        return parts, numbered
    write_part(folder, len(parts), data.listing, found.new.tolist(), partners[len(parts)] if partners else "")
    # another process may have been first, with other images: what lies there now decides
    return number_images(folder, plan, data)


def known_images(cache: LogitCache, data: ImageData) -> ImageData:
    """The data under the numbers of a finished cache; raises CacheError also when it has no rows for some images."""
    found = match(cache.folder, cache.parts, data.listing)
    if len(found.new):
        first = data.listing.paths[int(found.new[0])]
        raise CacheError(
            f"{cache.folder}: has no rows for {len(found.new):,} new images ({first})",
            f"edgekd cache-logits --name {cache.folder.name} has the teacher look at them, and only at them",
        )
    data = _renumbered(data, found, cache.parts)
    check_partners(cache.folder, cache.parts, _partners(cache.plan, data))
    return data


def _renumbered(data: ImageData, found: ImageMatch, parts: Sequence[ListingPart]) -> ImageData:
    starts = [part.start for part in parts]
    return renumber(data, found.ids, [*starts, len(found.ids) - len(found.new)] if len(found.new) else starts)


def _partners(plan: CachePlan, data: ImageData) -> list[str]:
    """The digest of each part's partners; empty where views are not mixed."""
    is_mixed = view_recipe(settle_views(Views(), plan.views)).is_mixed(1)
    roster = data.everything.roster
    return roster.digests() if is_mixed and roster is not None else []
