"""`edgekd cache info|verify|merge`: what needs tensors, images or the teacher."""

from edgekd.cache.folder import check_named, the_one
from edgekd.cache.merging import merge
from edgekd.config import Caches
from edgekd.report import Reporter, Result
from edgekd.teachers.cache_info import tell_all
from edgekd.teachers.verification import verify


def run(config: Caches, report: Reporter) -> Result:
    """Do what is asked; raises CacheError for what is no cache, UsageError for a wrong number of names."""
    if config.action == "merge":
        check_named(config)
        return merge(config, report)
    tell = tell_all if config.action == "info" else verify
    return tell(the_one(config), config, report)
