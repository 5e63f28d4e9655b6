"""Whether two checkouts compute the same: weights, cache shards, keys of --json and ONNX metadata, byte by byte.

Both run on one machine, since sums differ between processors. Every default that may change is given as an option.
More commands, and more keys in --json or in the metadata, are "grown"; anything else that is not the same "DIFFERS",
with exit code 1.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from PIL import Image

CLASSES, IMAGES, SIDE = 3, 40, 32
READING = ("--no-flip", "--threads", "1", "--precision", "fp32", "--memory-format", "channels-last")
TRAINING = (
    *READING,
    *("--epochs", "2", "--batch-size", "16", "--seed", "0", "--lr", "0.05", "--weight-decay", "0.0005"),
    *(
        "--optimizer",
        "sgd",
        "--warmup",
        "0.3",
        "--clip",
        "1",
        "--ema",
        "0",
        "--label-smoothing",
        "0.2",
        "--crop",
        "0.125",
    ),
)
KD = ("--student", "tiny-cnn", "--method", "kd", "--temperature", "4", "--alpha", "0.5")
STORES = ("fp16", "u8", "fp32", "topk")


def make_images(folder: Path) -> None:
    """Write a folder per class of coloured noise, the same at every call."""
    numbers = np.random.default_rng(0)
    for label in range(CLASSES):
        (folder / f"class{label}").mkdir(parents=True)
        for index in range(IMAGES):
            pixels = numbers.integers(0, 156, (SIDE, SIDE, 3), dtype=np.uint8)
            pixels[..., label] += 100
            Image.fromarray(pixels).save(folder / f"class{label}" / f"{index:03}.png")


def commands(data: Path) -> dict[str, tuple[str, ...]]:
    """The command lines by name, in the order in which they need each other."""
    at = ("--data", str(data))
    caches = {
        f"cache {store}": (
            *("cache-logits", "--teacher", "teacher", "--name", store, "--store", store, "--views", "2", *READING),
            *(("--topk", "2") if store == "topk" else ()),
        )
        for store in STORES
    }
    return {
        "teacher": ("train-teacher", "--model", "resnet8", "--name", "teacher", *at, *TRAINING),
        **caches,
        "cached": ("distill", "--cache", "fp16", "--name", "cached", *KD, *TRAINING),
        "live": ("distill", "--live", "--teacher", "teacher", "--name", "live", *KD, *TRAINING),
        "tuned": ("finetune", "cached", "--name", "tuned", *at, *TRAINING),
        "evaluate": ("evaluate", "cached"),
        "export": ("export", "cached", "--output", "cached.onnx"),
        "profile": ("profile", "cached.onnx", "--threads", "1", "--duration", "0.2"),
        "runs": ("runs",),
        "cache ls": ("cache", "ls"),
        "methods": ("methods",),
        "models": ("models",),
        "devices": ("devices",),
    }


def keys_of(value: object, path: str = "") -> set[str]:
    """Paths of all keys of a JSON value; items of a list share one path."""
    if isinstance(value, dict):
        return {each for key, part in value.items() for each in ({f"{path}.{key}"} | keys_of(part, f"{path}.{key}"))}
    if isinstance(value, list):
        return {each for part in value for each in keys_of(part, f"{path}[]")}
    return set()


def results(checkout: Path, data: Path, place: Path) -> dict[str, Any]:
    """What a checkout makes of all commands, by name: digests, sets of keys, ONNX metadata."""
    place.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1"}
    found: dict[str, Any] = {}
    for name, command in commands(data).items():
        line = [sys.executable, "-m", "edgekd", *command, "--json"]
        done = subprocess.run(line, cwd=place, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            found[f"{name}: error"] = done.stderr.strip()[-500:]
            continue
        found[f"{name}: keys of --json"] = keys_of(json.loads(done.stdout))
    for file in sorted(place.rglob("*")):
        if file.name == "model.safetensors" or (file.is_file() and file.parent.name.startswith("view-")):
            found[f"{file.relative_to(place)}: sha256"] = hashlib.sha256(_tensors(file)).hexdigest()
    if (place / "cached.onnx").is_file():
        model = onnx.load(place / "cached.onnx")
        record = {each.key: each.value for each in model.metadata_props}
        record |= {
            f"edgekd.{key}": value
            for key, value in json.loads(record.pop("edgekd")).items()
            if key not in ("edgekd", "train_seconds")
        }
        found["cached.onnx: metadata"] = {f"{key}={value}" for key, value in record.items()}
        found["cached.onnx: operators"] = sorted(node.op_type for node in model.graph.node)
    return found


def _tensors(file: Path) -> bytes:
    """The values of a safetensors file without its header, which may name a version; any other file whole."""
    held = file.read_bytes()
    return held[8 + int.from_bytes(held[:8], "little") :] if file.suffix == ".safetensors" else held


def show(name: str, base: object, head: object) -> bool:
    """Print one line, and what differs below it; whether head has all that base has."""
    is_new = base is None or (name.endswith(": error") and "No such command" in str(base))
    is_grown = isinstance(base, set) and isinstance(head, set) and base < head
    fits = base == head or is_grown or (is_new and not (name.endswith(": error") and head))
    print(f"{('same' if base == head else 'grown') if fits else 'DIFFERS':8}{name}")
    if isinstance(base, set) and isinstance(head, set):
        changes = [f"- {each}" for each in sorted(base - head)] + [f"+ {each}" for each in sorted(head - base)]
    else:
        changes = [] if fits else [f"base {base}", f"head {head}"]
    print("".join(f"          {each}\n" for each in changes), end="")
    return fits


def main() -> int:
    """Run both checkouts and print what is the same and what differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base", type=Path, help="a checkout, as of `git worktree add`")
    parser.add_argument("head", type=Path, help="the checkout to compare with it")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "images"
        make_images(data)
        base, head = (
            results(checkout.resolve(), data, Path(folder) / name)
            for name, checkout in (("base", asked.base), ("head", asked.head))
        )
    names = list(dict.fromkeys([*base, *head]))
    return 0 if all([show(name, base.get(name), head.get(name)) for name in names]) else 1


if __name__ == "__main__":
    sys.exit(main())
