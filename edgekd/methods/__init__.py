"""The table of distillation methods. The file of the same name, with _ for -, holds the method."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgekd.errors import UsageError, nearest


@dataclass(frozen=True)
class Row:
    """What can be said of a method without torch.

    `teacher` and `student` are what each side must give: `logits`, `logits:topk` where the largest logits do, `pooled`,
    `maps` of some stages, `token` of a distillation head, its own `tail`, nothing. `views`: how many
    views of an image a step takes.
    """

    text: str
    paper: str
    teacher: tuple[str, ...] = ("logits",)
    student: tuple[str, ...] = ("logits",)
    views: int = 1

    @property
    def cache(self) -> Literal["logits", "columns", "none"]:
        """What of a teacher must be cached: logits alone, further columns too, nothing."""
        if not self.teacher:
            return "none"
        return "columns" if {"maps", "pooled"} & set(self.teacher) else "logits"


METHODS = {
    "kd": Row("softened class probabilities", "Hinton 2015, arXiv 1503.02531", ("logits", "logits:topk")),
    "ls": Row("kd on standardised logits", "Sun 2024, arXiv 2403.01427"),
    "dkd": Row("target class and the others, weighed apart", "Zhao 2022, arXiv 2203.08679"),
    "dist": Row("correlations of rows and columns of probabilities", "Huang 2022, arXiv 2205.10536"),
    "ttm": Row("the teacher's probabilities to a power, student at T = 1", "Zheng 2024, arXiv 2402.11148"),
    "wttm": Row("ttm, each image by its smoothness", "Zheng 2024, arXiv 2402.11148"),
    "rld": Row("kd without what the teacher has wrong", "Sun 2024, arXiv 2408.07703"),
    "mlkd": Row("images, pairs of images and pairs of classes", "Jin 2023, CVPR", views=2),
    "crld": Row("answers to a weak and a strong view, also crosswise", "Zhang 2024, arXiv 2412.16493", views=2),
    "deit-soft": Row("the distillation token by kd", "Touvron 2021, arXiv 2012.12877", student=("logits", "token")),
    "deit-hard": Row(
        "the distillation token by the teacher's top class",
        "Touvron 2021, arXiv 2012.12877",
        ("logits", "logits:topk"),
        ("logits", "token"),
    ),
    "fitnet": Row("a map, through a learned regressor", "Romero 2015, arXiv 1412.6550", ("maps",), ("logits", "maps")),
    "at": Row("where the maps are large", "Zagoruyko 2017, arXiv 1612.03928", ("maps",), ("logits", "maps")),
    "rkd": Row("distances and angles between images", "Park 2019, arXiv 1904.05068", ("pooled",), ("logits", "pooled")),
    "sp": Row("which images have maps alike", "Tung 2019, arXiv 1907.09682", ("maps",), ("logits", "maps")),
    "crd": Row("an image told apart from others", "Tian 2020, arXiv 1910.10699", ("pooled",), ("logits", "pooled")),
    "reviewkd": Row(
        "fused maps, deep to shallow", "Chen 2021, arXiv 2104.09044", ("maps", "pooled"), ("logits", "maps", "pooled")
    ),
    "ofa": Row("classifier branches for unlike networks", "Hao 2023, arXiv 2310.19444", student=("logits", "maps")),
    "scalekd": Row(
        "a transformer's last map in two views, partly through its own last stage",
        "Fan 2024, arXiv 2411.06786",
        ("logits", "logits:topk", "maps", "tail"),
        ("logits", "maps"),
    ),
    "early-exits": Row(
        "self-distillation: shallow branches learn from the deepest",
        "Zhang 2019, arXiv 1905.08094",
        (),
        ("logits", "pooled", "maps"),
    ),
}


def is_own_method(name: str) -> bool:
    """Whether the name is a Python file of the user's."""
    return name.endswith(".py")


def check_method(name: str, option: str = "--method") -> None:
    """Raise UsageError with the nearest names for a method, or a file of one, that is not there."""
    if is_own_method(name):
        if not Path(name).is_file():
            raise UsageError(f"{option} {name}: no such file", "give a method's name or a Python file, ./mine.py")
    elif name not in METHODS:
        raise UsageError(f"{option} {name}: no such method", f"{nearest(name, METHODS)}; ./mine.py is a file of yours")
