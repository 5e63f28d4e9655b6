"""Random batches out of edgekd's logit cache, out of one .pt file per image, and out of TinyViT's layout.

The other two are written here anew, as formats: what torchdistill 1.1.4's cache leaves on disk (a pickled dict per
image in up to 10,000 folders), and TinyViT's keys.txt with values.bin (a seed and the top-k probabilities per image).
"""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from caches import generated, weigh
from numpy.typing import NDArray
from record import options, publish, ratio
from torch import Tensor

BATCH = 128
FILES, SEEK, MAPPED = "one .pt per image", "TinyViT's layout, a seek and a read each", "TinyViT's layout, mapped"
Index = NDArray[np.int64]


@dataclass(frozen=True)
class Reader:
    """A layout on disk: `read` gives float32 [len(index), classes] of rows below `records`; `values` holds these."""

    name: str
    folder: Path
    values: str
    records: int
    read: Callable[[Index], Tensor]


def make_logits(records: int, classes: int) -> Tensor:
    """Logits like a trained teacher's: noise, and one class that stands out."""
    draw = torch.Generator().manual_seed(classes)
    logits = torch.randn(records, classes, generator=draw) * 2
    chosen = torch.randint(0, classes, (records, 1), generator=draw)
    return logits.scatter_add_(1, chosen, torch.full((records, 1), 8.0))


def own_reader(folder: Path, logits: Tensor, store: str, topk: int = 0) -> Reader:
    """edgekd's cache; every shard is checked once, before the clock starts."""
    cache = generated(folder, logits, store, topk)
    cache.logits(0, np.arange(len(logits)))
    name = f"edgekd {store}" + (f" {topk}" if topk else "")
    return Reader(name, folder, "view-*/*", len(logits), lambda index: cache.logits(0, index))


def file_reader(folder: Path, logits: Tensor) -> Reader:
    """One pickled dict per image, with the teacher's output twice, as torchdistill 1.1.4 keeps it."""

    def path(row: int) -> Path:
        digits = f"{row:04d}"
        return folder / digits[-4:] / f"{digits}.pt"

    for row, each in enumerate(logits):
        path(row).parent.mkdir(parents=True, exist_ok=True)
        torch.save({"teacher_outputs": each.clone(), "extracted_outputs": {".": {"output": each.clone()}}}, path(row))

    def read(index: Index) -> Tensor:
        found = [torch.load(path(row), weights_only=False)["teacher_outputs"] for row in index.tolist()]
        return torch.stack(found)

    return Reader(FILES, folder, "*/*.pt", len(logits), read)


class TinyVit:
    """keys.txt and values.bin: 4 bytes of seed, k class numbers (int16), k probabilities (fp16) per record."""

    def __init__(self, folder: Path, logits: Tensor, k: int) -> None:
        self.folder, self.k, self.classes, self.size = folder, k, logits.shape[1], 4 + 4 * k
        folder.mkdir(parents=True)
        values, index = logits.softmax(1).topk(k, dim=1)
        records = np.zeros((len(logits), self.size), np.uint8)
        records[:, 4 : 4 + 2 * k] = index.to(torch.int16).numpy().view(np.uint8)
        records[:, 4 + 2 * k :] = values.half().numpy().view(np.uint8)
        (folder / "values.bin").write_bytes(records.tobytes())
        (folder / "keys.txt").write_text("".join(f"train/{row:07d}\n" for row in range(len(logits))))
        self.mapped = np.memmap(folder / "values.bin", np.uint8, "r", shape=records.shape)
        self.handle = (folder / "values.bin").open("rb")

    def readers(self) -> list[Reader]:
        """Record by record as TinyViT reads it, and the fastest way the layout allows."""
        count = len(self.mapped)
        return [
            Reader(SEEK, self.folder, "values.bin", count, self.by_seek),
            Reader(MAPPED, self.folder, "values.bin", count, self.by_map),
        ]

    def by_seek(self, index: Index) -> Tensor:
        """A seek and a read per record; decoded one by one, then made a batch."""
        numbers, values = [], []
        for row in index.tolist():
            self.handle.seek(row * self.size)
            record = self.handle.read(self.size)
            numbers.append(np.frombuffer(record, np.int16, self.k, 4))
            values.append(np.frombuffer(record, np.float16, self.k, 4 + 2 * self.k))
        return self._dense(np.stack(numbers), np.stack(values))

    def by_map(self, index: Index) -> Tensor:
        """All records of the batch by one gather."""
        records = self.mapped[index]
        middle = 4 + 2 * self.k
        return self._dense(records[:, 4:middle].copy().view(np.int16), records[:, middle:].copy().view(np.float16))

    def _dense(self, numbers: NDArray[np.int16], values: NDArray[np.float16]) -> Tensor:
        """Probabilities of all classes: what is not among the top k shares the rest evenly."""
        known = torch.from_numpy(values).float()
        rest = (1 - known.sum(1, keepdim=True)) / max(1, self.classes - self.k)
        dense = rest.repeat(1, self.classes)
        return dense.scatter_(1, torch.from_numpy(numbers).long(), known)


def speed(reader: Reader, draw: np.random.Generator, seconds: float) -> float:
    """Records per second of random batches."""
    batches = draw.integers(0, reader.records, (4096, BATCH))
    done, started = 0, time.perf_counter()
    while (spent := time.perf_counter() - started) < seconds:
        reader.read(batches[done % len(batches)])
        done += 1
    return done * BATCH / spent


def compare(readers: list[Reader], rounds: int, seconds: float) -> dict[str, list[float]]:
    """Records per second of every reader in every round; the order turns from round to round."""
    draw = np.random.default_rng(0)
    found: dict[str, list[float]] = {reader.name: [] for reader in readers}
    for reader in readers:
        speed(reader, draw, seconds / 4)
    for turn in range(rounds):
        first = turn % len(readers)
        for reader in readers[first:] + readers[:first]:
            found[reader.name].append(speed(reader, draw, seconds))
    return found


def make_readers(root: Path, classes: int, records: int, files: int) -> list[Reader]:
    """All layouts of the same logits; edgekd's come first, and of these its default."""
    logits = make_logits(records, classes)
    topk = min(100, classes)
    own = [own_reader(root / store, logits, store) for store in ("fp16", "u8")]
    if classes > topk:
        own.append(own_reader(root / "topk", logits, "topk", topk))
    theirs = TinyVit(root / "tinyvit", logits, topk)
    return [*own, file_reader(root / "files", logits[:files]), *theirs.readers()]


def rows_of(readers: list[Reader], classes: int, found: dict[str, list[float]]) -> list[dict[str, Any]]:
    """One row per layout; only edgekd's have ratios."""
    rows = []
    others = {"one .pt per image": FILES, "TinyViT's, as it reads": SEEK, "TinyViT's, mapped": MAPPED}
    for reader in readers:
        size, _, _ = weigh(reader.folder, reader.values)
        _, blocks, count = weigh(reader.folder)
        is_own = reader.name.startswith("edgekd")
        rows.append(
            {
                "classes": classes,
                "layout": reader.name,
                "records": f"{reader.records:,}",
                "records/s": f"{median(found[reader.name]):,.0f}",
                **{
                    f"against {words} [95 %]": ratio(found[reader.name], found[other]) if is_own else ""
                    for words, other in others.items()
                },
                "bytes per record": f"{size / reader.records:,.1f}",
                "on disk with all lists": f"{blocks / reader.records:,.0f}",
                "files": f"{count:,}",
            }
        )
    return rows


def main() -> None:
    """Measure and publish."""
    parser = options(__doc__)
    parser.add_argument("--records", type=int, default=50_000)
    parser.add_argument("--files", type=int, default=5_000, help="records of the layout of one file each")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--seconds", type=float, default=0.5, help="of each layout in each round")
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    rows = []
    for classes in (10, 1000):
        with tempfile.TemporaryDirectory() as folder:
            readers = make_readers(Path(folder), classes, asked.records, min(asked.files, asked.records))
            rows += rows_of(readers, classes, compare(readers, asked.rounds, asked.seconds))
    about = (
        f"Random batches of {BATCH} as float32 of all classes, every file in the system's cache, every shard of edgekd "
        "checked before the clock starts. The layout of one file per image has fewer records than the others so that "
        "writing it does not take longer than measuring; that favours it. TinyViT's (top 10 of 10, top 100 of "
        "1,000) gives probabilities at one temperature, edgekd's gives logits; TinyViT itself reads record by record, "
        "the mapped way is the fastest its layout allows."
    )
    publish("cache-reader", "Reading cached logits", about, rows, asked.threads, is_trial=asked.trial)


if __name__ == "__main__":
    main()
