"""`edgekd fit` with time enough: the student is searched for instead of taken by default."""

from edgekd import config as options
from edgekd.data.sources import open_data
from edgekd.report import Reporter, Result
from edgekd.studies import search
from edgekd.studies.fit import judge_size


def run(config: options.FitAll, report: Reporter) -> Result:
    """`edgekd search` with all left at its defaults, after a look at the images."""
    judge_size(open_data(options.Data(data=config.data), report), report)
    report.note("the student is searched for; less than 20 minutes take the default one")
    wanted = options.Search(data=config.data, device=config.device, time_limit=config.time_limit, output=config.output)
    return search.run(wanted, report)
