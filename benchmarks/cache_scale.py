"""A logit cache as large as ImageNet-1k's: generated logits of 1.28 million images in 4 views, written and read."""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from caches import new_plan, weigh, write_cache
from numpy.typing import NDArray
from record import options, publish
from torch import Tensor

from edgekd.cache.store import LogitCache, open_cache

IMAGES, CLASSES, VIEWS = 1_281_167, 1000, 4
BATCH, BLOCK, BLOCKS_MIXED = 256, 1024, 16


def repeated_logits(count: int, rows: int) -> Callable[[int, int], Tensor]:
    """A few blocks of logits, used again and again: generating all would take longer than writing them."""
    draw = torch.Generator().manual_seed(0)
    blocks = [torch.randn(rows, CLASSES, generator=draw) * 3 for _ in range(count)]
    return lambda start, stop: blocks[start // rows % count][: stop - start]


def shuffled_by_block(images: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Batches of one epoch: blocks of consecutive rows in random order, a few of them mixed at a time."""
    draw = np.random.default_rng(seed)
    starts = draw.permutation(np.arange(0, images, BLOCK))
    for first in range(0, len(starts), BLOCKS_MIXED):
        near = [np.arange(start, min(start + BLOCK, images)) for start in starts[first : first + BLOCKS_MIXED]]
        mixed = draw.permutation(np.concatenate(near))
        yield from (mixed[start : start + BATCH] for start in range(0, len(mixed), BATCH))


def anonymous_mb() -> float:
    """Memory of this process that no file stands behind, MB (10^6 bytes)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("RssAnon"))


@dataclass(frozen=True)
class Reading:
    """How fast records were read, how many, and the most anonymous memory meanwhile."""

    per_second: float
    records: int
    most_mb: float


def read_epoch(cache: LogitCache, images: int, view: int, limit_s: float) -> Reading:
    """Read an epoch, or `limit_s` of it."""
    done, most, started = 0, 0.0, time.perf_counter()
    for number, index in enumerate(shuffled_by_block(images, view)):
        cache.logits(view, index)
        done += len(index)
        if number % 16 == 0:
            most = max(most, anonymous_mb())
            if time.perf_counter() - started > limit_s:
                break
    return Reading(done / (time.perf_counter() - started), done, max(most, anonymous_mb()))


def read_back(folder: Path, images: int, limit_s: float, threads: int) -> tuple[Reading, Reading, float]:
    """Two epochs of one view, and by how much the anonymous memory has grown meanwhile, MB."""
    torch.set_num_threads(threads)
    torch.zeros(BATCH, CLASSES).softmax(1)
    before = anonymous_mb()
    cache = open_cache(folder)
    first, again = (read_epoch(cache, images, 0, limit_s) for _ in range(2))
    return first, again, max(first.most_mb, again.most_mb) - before


def measure(folder: Path, images: int, store: str, limit_s: float) -> list[dict[str, Any]]:
    """Write, weigh, read: rows of (what, found, wanted)."""
    plan = new_plan(CLASSES, store)
    predicted = plan.row_bytes * images * VIEWS
    seconds = write_cache(folder, plan, images, VIEWS, repeated_logits(4, plan.rows_per_shard))
    size, _, files = weigh(folder)
    with ProcessPoolExecutor(1, get_context("spawn")) as fresh:  # whose memory the writing has not grown
        first, again, growth = fresh.submit(read_back, folder, images, limit_s, torch.get_num_threads()).result()
    shards = weigh(folder, "view-*/*")[0]
    return [
        {"what": "images x classes x views", "found": f"{images:,} x {CLASSES} x {VIEWS}, {store}", "wanted": ""},
        {"what": "written, MB/s (to disk and synced)", "found": f"{size / seconds / 1e6:,.0f}", "wanted": "> 100"},
        {"what": "size of the shards, GB", "found": f"{shards / 1e9:.3f}", "wanted": f"{predicted / 1e9:.3f}"},
        {"what": "shards against prediction", "found": f"{shards / predicted - 1:+.3%}", "wanted": "within 1 %"},
        {"what": "all files, GB", "found": f"{size / 1e9:.3f} in {files:,}", "wanted": ""},
        {"what": "bytes per image and view", "found": f"{shards / images / VIEWS:,.1f}", "wanted": "1,008 of u8"},
        {
            "what": f"first reading, records/s ({first.records:,} read, every shard checked)",
            "found": f"{first.per_second:,.0f}",
            "wanted": "",
        },
        {
            "what": f"second reading, records/s ({again.records:,} read)",
            "found": f"{again.per_second:,.0f}",
            "wanted": "",
        },
        {"what": "growth of anonymous memory, MB", "found": f"{growth:,.0f}", "wanted": "< 300"},
    ]


def main() -> None:
    """Measure and publish; the cache is removed."""
    parser = options(__doc__)
    parser.add_argument("--share", type=float, default=1.0, help="of ImageNet's images")
    parser.add_argument("--store", default="u8")
    parser.add_argument("--limit", type=float, default=60.0, help="seconds a reading may take")
    parser.add_argument("--folder", type=Path, help="where the cache is written; default: the system's temporary place")
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    images = int(IMAGES * asked.share)
    needed = new_plan(CLASSES, asked.store).row_bytes * images * VIEWS
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        if shutil.disk_usage(folder).free < 1.2 * needed:
            raise SystemExit(f"{folder}: {needed / 1e9:.1f} GB are needed; --folder names another place")
        rows = measure(Path(folder), images, asked.store, asked.limit)
    about = (
        f"Batches of {BATCH} by blocks: {BLOCKS_MIXED} random blocks of {BLOCK:,} rows are mixed at a time. Making the "
        "logits is not counted as writing, quantising, checksums and syncing are."
    )
    publish("cache-scale", "A cache of ImageNet-1k's size", about, rows, asked.threads, is_trial=asked.trial)


if __name__ == "__main__":
    main()
