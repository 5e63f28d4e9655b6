"""What will be measured: batch sizes x thread counts, and which of them is judged."""

from dataclasses import dataclass

from edgekd.config import Profile
from edgekd.errors import UsageError
from edgekd.profiling.device.profiles import Device
from edgekd.profiling.judge.budget import BudgetLimits, merge
from edgekd.profiling.measure.measuring import Setting

MOST_THREADS = 1024


@dataclass(frozen=True)
class MeasurePlan:
    """The settings in order, the one that is judged, the limits, and words on what was chosen."""

    settings: tuple[Setting, ...]
    judged: Setting
    limits: BudgetLimits
    warnings: tuple[str, ...]


def make_plan(config: Profile, device: Device | None, cores: int) -> MeasurePlan:
    """Settle batch sizes, threads and limits from flags, profile and the machine's usable cores.

    Raises UsageError when --batch or --threads is no list of whole numbers.
    """
    batches = parse_list("batch", config.batch) if config.batch else None
    limits = merge(config, device, batches)
    sizes = list(dict.fromkeys([*(batches or []), limits.batch]))
    threads, warnings = _threads(config, device, cores)
    settings = tuple(
        Setting(size, count, config.warmup, config.duration, limits.percentile) for size in sizes for count in threads
    )
    wanted = device.cpu.threads if device and device.cpu.threads in threads else threads[0]
    judged = next(each for each in settings if each.batch == limits.batch and each.threads == wanted)
    return MeasurePlan(settings, judged, limits, tuple(warnings))


def _threads(config: Profile, device: Device | None, cores: int) -> tuple[list[int], list[str]]:
    if config.threads:
        given = parse_list("threads", config.threads, MOST_THREADS)
        over = [str(each) for each in given if each > cores]
        words = f"{', '.join(over)} threads on {cores} usable cores: they wait for one another"
        return given, [words] if over else []
    if device is None or device.cpu.threads <= cores:
        return [device.cpu.threads if device else cores], []
    return [cores], [
        f"{device.title} is measured with {device.cpu.threads} threads, but only {cores} cores are usable here: "
        f"measured with {cores}"
    ]


def parse_list(option: str, text: str, most: int = 1_000_000) -> list[int]:
    """`1,2,4` -> [1, 2, 4], each once; raises UsageError for anything else."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and len(part) <= 20 and 1 <= int(part) <= most for part in parts):
        raise UsageError(f"--{option} {text}: no list of whole numbers", f"for example --{option} 1,2,4")
    return list(dict.fromkeys(int(part) for part in parts))
