"""A device profile made of this machine's own figures."""

import json
import re

from edgekd.profiling.device.host import Host, meminfo

MEMORY_SHARE = 0.5
"""Share of the free memory that a new profile's limit grants the model's process."""


def name_of_host(host: Host) -> str:
    """A profile name for this machine: `Raspberry Pi 4 Model B Rev 1.4` -> `raspberry-pi-4-model-b-rev-1-4`."""
    return re.sub(r"[^a-z0-9]+", "-", (host.board or host.cpu).lower()).strip("-") or "this-machine"


def profile_of_host(host: Host) -> str:
    """The text of a profile TOML for this machine; the limits are a start, to be edited."""
    free = meminfo("MemAvailable")
    recognised = {"board": [host.board] if host.board else [], "cpu_part": list(host.cpu_parts)}
    if not host.board and not host.cpu_parts:
        recognised["cpu_model"] = [host.cpu]
    memory = [f"total_mb = {host.memory_mb:.0f}"] if host.memory_mb else []
    memory += [f"free_mb = {free:.0f}"] if free and memory else []
    lines = [
        "# Made by edgekd devices new --from-host. The limits are a start: set them to what your application needs.",
        f"title = {_text(host.title)}",
        f"note = {_text(f'{host.system}, kernel {host.kernel}')}",
        "",
        "[cpu]",
        f"arch = {_text(host.arch)}",
        f"model = {_text(host.cpu)}",
        f"cores = {host.cores}",
        f"threads = {host.cores}",
        f"isa = {json.dumps(host.features)}",
        *(["", "[memory]", *memory] if memory else []),
        "",
        "[match]",
        *(f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in recognised.items() if value),
        "",
        "[budget]",
        "max_latency_ms = 100  # of one batch, at the percentile below",
        "percentile = 95",
        "batch = 1",
        *([f"max_rss_mb = {max(64, int(free * MEMORY_SHARE))}  # half of what is free now"] if free else []),
    ]
    return "\n".join(lines) + "\n"


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)
