"""Where a training step's time goes by kind of operation, and the floor that counted operations and bytes set."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import torch
from plain import BATCH, edgekd_loop
from record import options, publish, vectors
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from edgekd.compute.formats import Format
from edgekd.config import Data
from edgekd.images.sources import open_images
from edgekd.report import Silent

MODELS = "custom-student,custom-teacher-6,resnet8,resnet9,tiny-cnn,deit_tiny,mobilenetv3_small@64"
KINDS = {
    "convolutions, linear layers": ("conv", "mm", "linear"),
    "norms": ("norm",),
    "activations": ("relu", "threshold", "gelu", "swish", "silu", "sigmoid", "softmax", "tanh"),
    "pooling": ("pool", "mean"),
    "optimiser": ("_fused_", "_foreach_"),
}
"""Words in the names of torch's operations."""
REST = "sums, copies, dropout, the loss"
"""What has none of those words."""
WRITING = ("copy_", "fill_", "zero_", "random_")
"""Operations that do not read what they change."""
WARM_UP = 3


@dataclass
class Spent:
    """Seconds, floating-point operations, bytes read and written, and the seconds that these take at least."""

    seconds: list[float] = field(default_factory=list)
    flop: int = 0
    moved: int = 0
    least: float = 0.0


def kind_of(name: str) -> str:
    """The kind of an operation of torch, by its name."""
    return next((kind for kind, words in KINDS.items() if any(word in name for word in words)), REST)


def tensors_in(given: Any) -> Iterator[Tensor]:  # noqa: ANN401
    """All tensors among arguments or results."""
    if isinstance(given, Tensor):
        yield given
    elif isinstance(given, list | tuple):
        for each in given:
            yield from tensors_in(each)


def size_of(tensor: Tensor) -> int:
    """Bytes that lie in memory (values repeated by a stride of 0 lie there once)."""
    held = 1
    for length, stride in zip(tensor.shape, tensor.stride(), strict=True):
        held *= length if stride else 1
    return held * tensor.itemsize


def flop_of(name: str, given: Sequence[Any], made: Any) -> int:  # noqa: ANN401
    """Multiplications and additions of a convolution's or matrix product's forward or backward operation."""
    if name == "convolution":
        return 2 * int(made.numel()) * int(given[1][0].numel())
    if name == "convolution_backward":
        return 2 * int(given[0].numel()) * int(given[2][0].numel()) * sum(given[-1][:2])
    if name in ("mm", "bmm"):
        return 2 * int(made.numel()) * int(given[0].shape[-1])
    if name == "addmm":
        return 2 * int(made.numel()) * int(given[1].shape[-1])
    return 0


class Counting(TorchDispatchMode):
    """Times and counts each operation of torch that reads or writes values."""

    def __init__(self, per_second: float, bandwidth: float) -> None:
        """`per_second` floating-point operations and `bandwidth` bytes are what this machine can do."""
        super().__init__()
        self.per_second, self.bandwidth = per_second, bandwidth
        self.found: dict[str, Spent] = defaultdict(Spent)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # noqa: ANN401
        """Run the operation between two looks at the clock."""
        started = time.perf_counter()
        made = func(*args, **(kwargs or {}))
        seconds = time.perf_counter() - started
        name = func._overloadpacket.__name__
        spent = self.found[kind_of(name)]
        spent.seconds.append(seconds)
        if func.is_view or name in ("detach", "empty", "empty_like", "empty_strided"):
            return made
        flop = flop_of(name, args, made)
        # what is only written to counts as made, not as read
        read = args[1:] if name in WRITING else args
        read = [*read, *(value for key, value in (kwargs or {}).items() if key != "out")]
        moved = sum(size_of(each) for each in (*tensors_in(read), *tensors_in(made)))
        spent.flop += flop
        spent.moved += moved
        spent.least += max(flop / self.per_second, moved / self.bandwidth)
        return made


def fastest(action: Callable[[], object], rounds: int = 15) -> float:
    """Seconds of the fastest of so many runs."""
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        action()
        times.append(time.perf_counter() - started)
    return min(times)


def peaks(form: Format) -> tuple[float, float]:
    """Floating-point operations per second of a large matrix product in this format, bytes per second in cache."""
    side = 2048
    left = torch.rand(side, side, dtype=torch.bfloat16 if form.precision == "bf16" else torch.float32)
    per_second = 2 * side**3 / fastest(lambda: left @ left)
    bandwidth = 0.0
    for megabytes in (1, 2, 4, 8):
        values = torch.zeros(megabytes << 18)
        made = torch.empty_like(values)
        bandwidth = max(bandwidth, 2 * values.nbytes / fastest(lambda x=values, y=made: torch.add(x, 1, out=y), 60))  # type: ignore[misc]
    return per_second, bandwidth


def measure(model: str, rounds: int) -> list[dict[str, Any]]:
    """The rows of one model: a step of edgekd on one batch, by kind of operation."""
    name, _, side = model.partition("@")
    data = open_images(Data(data="shapes", canvas=int(side or 32)), Silent())
    update, batches, form = edgekd_loop(name, data, "cpu")
    batch = next(batches.starting_at(0))
    per_second, bandwidth = peaks(form)

    def step() -> None:
        update(batch, 0.3)

    def counted() -> dict[str, Spent]:
        with Counting(per_second, bandwidth) as counting:
            step()
        return counting.found

    whole = [(fastest(step, 1), counted()) for _ in range(rounds + WARM_UP)][WARM_UP:]
    last = whole[-1][1]
    times = {kind: median(sum(found[kind].seconds) for _, found in whole) for kind in last}
    kinds = sorted(last, key=[*KINDS, REST].index)
    machine = f"{per_second / 1e9:,.0f} GFLOP/s, {bandwidth / 1e9:,.0f} GB/s"
    shown = {kind: (times[kind], last[kind]) for kind in kinds}
    shown["the whole step"] = (median(seconds for seconds, _ in whole), total(last.values()))
    return [
        {
            "model": model,
            "format": f"{form.precision} {form.memory_format}",
            "operations": kind,
            "ms": f"{seconds * 1000:.1f}",
            "GFLOP": f"{spent.flop / 1e9:.2f}",
            "MB moved": f"{spent.moved / 1e6:,.0f}",
            "floor, ms": f"{spent.least * 1000:.1f}",
            "this machine at best": machine,
        }
        for kind, (seconds, spent) in shown.items()
    ]


def total(parts: Iterable[Spent]) -> Spent:
    """All operations, flop, bytes and least seconds together."""
    whole = Spent()
    for part in parts:
        whole.flop += part.flop
        whole.moved += part.moved
        whole.least += part.least
    return whole


def main() -> None:
    """Measure and publish."""
    parser = options(__doc__)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--models", default=MODELS)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    rows = [row for model in asked.models.split(",") for row in measure(model, asked.rounds)]
    about = (
        f"One step of edgekd on a batch of {BATCH}, every operation of torch timed by itself, the median of the "
        "rounds; the whole step is timed without that. GFLOP count a multiplication and an addition as two; MB moved "
        "are the operations' inputs and outputs, each once. The floor of an operation is the longer of its flop at the "
        "rate of a 2048 x 2048 matrix product in this format and its bytes at the rate of adding 1 to values in the "
        "cache, both measured in the same run: one by one, these operations cannot take less."
    )
    title = f"Where a step's time goes ({vectors()})"
    publish(f"floor-{vectors()}", title, about, rows, asked.threads, is_trial=asked.trial)


if __name__ == "__main__":
    main()
