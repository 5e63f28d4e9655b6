"""`edgekd methods`: the distillation methods, what each needs of both sides, and whether a cache of logits will do."""

from edgekd.config import Methods
from edgekd.methods import METHODS, Row
from edgekd.report import Reporter, Result, Table


def run(config: Methods, report: Reporter) -> Result:
    """The whole table, in its own order."""
    rows = [
        (name, row.text, " + ".join(row.student), _teacher(row), _cache(row), row.paper)
        for name, row in METHODS.items()
    ]
    facts = [
        {
            "name": name,
            "text": row.text,
            "paper": row.paper,
            "student": list(row.student),
            "teacher": list(row.teacher),
            "views": row.views,
            "from_cache": row.cache,
        }
        for name, row in METHODS.items()
    ]
    title = "distillation methods (--method NAME; a file of your own: --method ./mine.py)"
    columns = ("name", "what is matched", "student gives", "teacher gives", "from a cache", "paper")
    line = "with --for: edgekd cache-logits --for METHOD also stores what the method needs"
    return Result({"methods": facts}, (Table(title, columns, rows, ("paper", "student gives")),), (line,))


def _teacher(row: Row) -> str:
    words = " + ".join(each for each in row.teacher if each != "logits:topk") or "nothing"
    return words + (" (top-k does)" if "logits:topk" in row.teacher and row.cache == "logits" else "")


def _cache(row: Row) -> str:
    words = {"logits": "yes", "columns": "with --for", "none": "no teacher"}[row.cache]
    return words + (", and the run" if "tail" in row.teacher else "")
