"""What every benchmark shares: the machine in words, ratios with 95 % intervals, and where the tables go.

A benchmark calls `publish` once; it writes docs/benchmarks/<name>.json and builds docs/benchmarks.md from all of them.
"""

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import edgekd
from edgekd.profiling.measure.quantiles import ratio_interval

DOCS = Path(__file__).parent.parent / "docs"
PACKAGES = ("torch", "torchvision", "timm", "torchdistill", "numpy", "safetensors", "onnxruntime", "typer")
VECTORS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile")
HEAD = """# Benchmarks

`make bench` measures these tables anew (`python benchmarks/NAME.py` one of them). Every ratio is taken between runs
that took turns on one machine, as the mean of the rounds' ratios with its 95 % interval (Student's t on logarithms); a
ratio above 1 is in edgekd's favour unless the table says otherwise. The milliseconds beside them belong to that machine
and day.
"""


def machine(threads: int | None = None) -> dict[str, Any]:
    """Processor, cores, memory and the versions of what takes part."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    flags = next((line.split(":", 1)[1].split() for line in lines if line.startswith("flags")), [])
    known = {each.metadata["Name"] for each in importlib.metadata.distributions()}
    return {
        "cpu": named[0] if named else platform.processor() or platform.machine(),
        "vector": [flag for flag in VECTORS if flag in flags],
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": threads,
        "load": round(os.getloadavg()[0], 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "versions": {"edgekd": edgekd.__version__}
        | {name: importlib.metadata.version(name) for name in PACKAGES if name in known},
    }


def vectors() -> str:
    """The most a processor has of vector instructions: tables that depend on them are kept for each kind of machine."""
    return str((machine()["vector"] or [platform.machine()])[-1])


def ratio(slow: Sequence[float], fast: Sequence[float]) -> str:
    """The mean ratio of paired values with its 95 % interval, `2.10 [2.05, 2.15]`."""
    found = ratio_interval(slow, fast)
    return "{ratio:.3g} [{low:.3g}, {high:.3g}]".format(**found)


def options(about: str | None) -> argparse.ArgumentParser:
    """A parser with what every benchmark has."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--trial", action="store_true", help="print the tables and keep nothing")
    return parser


def publish(
    name: str,
    title: str,
    about: str,
    rows: Sequence[dict[str, Any]],
    threads: int | None = None,
    *,
    is_trial: bool = False,
) -> None:
    """Keep a table: `rows` are dicts with the same keys, the table's columns; also print it. A trial only prints."""
    found = {
        "title": title,
        "about": about,
        "command": " ".join(["python", *_relative(sys.argv)]),
        "date": datetime.date.today().isoformat(),
        "machine": machine(threads),
        "rows": list(rows),
    }
    print(_section(found), flush=True)
    if is_trial:
        return
    folder = DOCS / "benchmarks"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n")
    tables = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    (DOCS / "benchmarks.md").write_text(HEAD + "".join("\n" + _section(each) for each in tables))


def _relative(words: Sequence[str]) -> list[str]:
    """The command line without the places of this machine."""
    home = str(Path.home())
    return [f"benchmarks/{Path(words[0]).name}", *(word.replace(home, "~") for word in words[1:])]


def _section(found: dict[str, Any]) -> str:
    columns = list(found["rows"][0])
    lines = [f"| {' | '.join(str(row[column]) for column in columns)} |" for row in found["rows"]]
    host = found["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in host["versions"].items())
    threads = f", {host['threads']} threads" if host["threads"] else ""
    return "\n".join(
        [
            f"## {found['title']}",
            found["about"],
            "",
            f"| {' | '.join(columns)} |",
            "|" + "---|" * len(columns),
            *lines,
            "",
            f"`{found['command']}`, {found['date']}: {host['cpu']} ({', '.join(host['vector'])}), "
            f"{host['cores']} cores{threads}, load {host['load']} at the end, Python {host['python']}, {versions}.",
            "",
        ]
    )
