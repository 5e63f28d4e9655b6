"""Energy of one image above idle: idle and busy times in turn, so that a drifting idle power cancels out."""

import math
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from edgekd.profiling.device.power import Sensor
from edgekd.profiling.measure.measuring import Setting, Subject
from edgekd.profiling.measure.process import Child

ROUNDS = 10
STUDENT_T = 2.262
"""97.5 % point of Student's t with 9 degrees of freedom: a 95 % interval of the mean of 10 rounds."""
SAMPLE_SECONDS = 0.05
SHORTEST = 0.2
"""Seconds of an idle or busy time at least: sensors are read every few ms to tens of ms."""


@dataclass(frozen=True)
class Window:
    """What a sensor told of some seconds."""

    joules: float
    seconds: float

    @property
    def watts(self) -> float:
        """Mean power."""
        return self.joules / self.seconds


@dataclass(frozen=True)
class Energy:
    """mJ of one image above idle with its 95 % interval, and the mean power idle and busy, W."""

    sensor: str
    mj_per_image: float
    low: float
    high: float
    idle_w: float
    busy_w: float
    images: int


def measure_energy(subject: Subject, setting: Setting, sensor: Sensor) -> dict[str, Any] | str:
    """Measure a model for about `setting.duration` seconds; words when the sensor stops telling."""
    part = max(SHORTEST, setting.duration / ROUNDS / 2)
    rounds = []
    with Child("edgekd.profiling.measure.timing_process") as child:
        sample = str(subject.sample) if subject.sample else None
        child.ask(path=str(subject.file.path), sample=sample, batch=setting.batch, threads=setting.threads)
        child.ask(seconds=min(setting.warmup, part), runs=1, times=None)
        for _ in range(ROUNDS):
            answers: list[dict[str, Any]] = []
            idle = observe(sensor, lambda: time.sleep(part))
            busy = observe(sensor, lambda: answers.append(child.ask(seconds=part, runs=1, times=None)))  # noqa: B023
            if idle is None or busy is None:
                return f"{sensor.name} stopped telling while measuring"
            rounds.append((idle, busy, answers[0]["runs"] * setting.batch))
    return asdict(summarise(sensor.name, rounds))


def summarise(sensor: str, rounds: Sequence[tuple[Window, Window, int]]) -> Energy:
    """The figures of rounds (idle, busy, images)."""
    each = [1e3 * (busy.watts - idle.watts) * busy.seconds / images for idle, busy, images in rounds]
    mean = statistics.fmean(each)
    half = STUDENT_T * statistics.stdev(each) / math.sqrt(len(each))
    idle_w = statistics.fmean(idle.watts for idle, _, _ in rounds)
    busy_w = statistics.fmean(busy.watts for _, busy, _ in rounds)
    return Energy(sensor, mean, mean - half, mean + half, idle_w, busy_w, sum(images for _, _, images in rounds))


def observe(sensor: Sensor, work: Callable[[], object]) -> Window | None:
    """Energy and time of some work; a sensor of power is read again and again meanwhile. None when it fails."""
    if sensor.is_counter:
        before, begin = sensor.read(), time.perf_counter()
        work()
        after, seconds = sensor.read(), time.perf_counter() - begin
        return None if before is None or after is None else Window(after - before, seconds)
    told: list[float | None] = []
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            told.append(sensor.read())
            done.wait(SAMPLE_SECONDS)

    watcher, begin = threading.Thread(target=watch, daemon=True), time.perf_counter()
    watcher.start()
    try:
        work()
    finally:
        seconds = time.perf_counter() - begin
        done.set()
        watcher.join()
    watts = [value for value in told if value is not None]
    return Window(statistics.fmean(watts) * seconds, seconds) if watts and len(watts) == len(told) else None
