"""Who takes part in the comparison with other tools, and in which settings."""

from dataclasses import dataclass
from typing import Any

from record import machine

LAST, FIRST = "channels-last", "channels-first"
Figures = dict[str, Any]
"""What one training handed back."""


@dataclass(frozen=True)
class Contestant:
    """A tool in one setting; `venv` is the environment it needs, none for this one."""

    name: str
    script: str
    layout: str = LAST
    precision: str = "fp32"
    is_cached: bool = False
    venv: str = ""

    @property
    def format(self) -> str:
        """Number format and layout in words."""
        return "its own choice" if self.precision == "auto" else f"{self.precision} {self.layout}"


def _torchdistill(version: str, layout: str = LAST, *, is_cached: bool = False) -> Contestant:
    kind = "cached" if is_cached else "live"
    name, venv = f"torchdistill {version}, {kind}", f"torchdistill-{version}"
    return Contestant(name, "torchdistill_box", layout, is_cached=is_cached, venv=venv)


EDGEKD_LIVE = (Contestant("edgekd, live", "edgekd_run"), Contestant("edgekd, live", "edgekd_run", precision="auto"))
EDGEKD_CACHED = (
    Contestant("edgekd, cached", "edgekd_run", is_cached=True),
    Contestant("edgekd, cached", "edgekd_run", precision="auto", is_cached=True),
)
PLAIN_LIVE = Contestant("plain loop, live", "plain_loop")
PLAIN_CACHED = Contestant("plain loop, cached", "plain_loop", is_cached=True)
TIMM_LIVE = Contestant("timm task, live", "timm_task")
WORKLOADS: dict[str, tuple[Contestant, ...]] = {
    "live": (
        Contestant("plain loop, live", "plain_loop", FIRST),
        PLAIN_LIVE,
        Contestant("timm task, live", "timm_task", FIRST),
        TIMM_LIVE,
        Contestant("timm task, live", "timm_task", precision="bf16"),
        _torchdistill("1.1.5", FIRST),
        _torchdistill("1.1.5"),
        *EDGEKD_LIVE,
    ),
    "cached": (
        PLAIN_LIVE,
        PLAIN_CACHED,
        TIMM_LIVE,
        _torchdistill("1.1.5"),
        _torchdistill("1.1.4", is_cached=True),
        *EDGEKD_LIVE,
        *EDGEKD_CACHED,
    ),
    "views": (PLAIN_LIVE, PLAIN_CACHED, *EDGEKD_LIVE, *EDGEKD_CACHED),
}
TITLES = {
    "live": "Distilling live: against torchdistill, timm and a plain loop",
    "cached": "Distilling from a cache, without augmentation",
    "views": "Distilling from a cache of augmented views",
}


def able(contestants: tuple[Contestant, ...]) -> tuple[Contestant, ...]:
    """Those that make sense on this processor: bf16 without instructions for it is many times slower than fp32."""
    vector = machine()["vector"]
    has_bf16 = not vector or any(name in vector for name in ("avx512_bf16", "amx_tile"))
    return tuple(each for each in contestants if each.precision != "bf16" or has_bf16)
