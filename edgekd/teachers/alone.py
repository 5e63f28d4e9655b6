"""Runs in which a student learned from labels alone: what a distilled one has to beat."""

from contextlib import suppress
from pathlib import Path
from typing import Any

from edgekd.errors import CheckpointError
from edgekd.runs import Run, everything


def find_alone(runs: Path, model: str, fingerprint: str, steps: int | None = None) -> Run | None:
    """A finished run of `model` on labels alone, on the data of this fingerprint; None where there is none.

    Of several the one of so many steps, then the most accurate by validation. Runs that began from weights are none.
    """
    found: list[tuple[bool, float, Run]] = []
    for run in everything(runs):
        # a damaged run is no reason not to distil; `edgekd runs ls` shows it
        with suppress(CheckpointError):
            manifest = run.manifest()
            if _is_alone(manifest, model, fingerprint):
                result = manifest["result"]
                found.append((result.get("steps") == steps, result["val_top1"], run))
    return max(found, key=lambda each: each[:2])[2] if found else None


def describe_alone(run: Run) -> dict[str, Any]:
    """Its place and figures, as a JSON object holds them."""
    result = run.manifest()["result"]
    return {"run": str(run.path)} | {name: result.get(name) for name in ("test_top1", "val_top1", "steps")}


def _is_alone(manifest: dict[str, Any], model: str, fingerprint: str) -> bool:
    return (
        manifest.get("status") == "finished"
        and manifest.get("command") == "train-teacher"
        and not manifest.get("parents")
        and manifest.get("model", {}).get("name") == model
        and manifest.get("data", {}).get("fingerprint") == fingerprint
        and (manifest.get("result") or {}).get("test_top1") is not None
    )
