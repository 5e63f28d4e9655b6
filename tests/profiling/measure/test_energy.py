"""Energy above idle: its arithmetic, its interval, and sensors of both kinds."""

import time

import pytest

from edgekd.profiling.measure.energy import Window, observe, summarise


class Counter:
    name, is_counter = "a counter", True

    def __init__(self, watts: float) -> None:
        self.watts = watts

    def read(self) -> float:
        return time.perf_counter() * self.watts


class Gauge:
    name, is_counter = "a gauge", False

    def read(self) -> float | None:
        return 3.0


class Broken(Gauge):
    def read(self) -> float | None:
        return None


def test_the_energy_of_an_image_is_what_is_above_idle() -> None:
    # 2 W above idle for 0.5 s and 100 images: 10 mJ each
    rounds = [(Window(1.5, 0.5), Window(2.5, 0.5), 100)] * 10
    found = summarise("s", rounds)
    assert (found.mj_per_image, found.low, found.high) == (pytest.approx(10), pytest.approx(10), pytest.approx(10))
    assert (found.idle_w, found.busy_w, found.images) == (3.0, 5.0, 1000)


def test_the_interval_is_student_s() -> None:
    rounds = [(Window(0.0, 1.0), Window(joules, 1.0), 1000) for joules in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10)]
    found = summarise("s", rounds)
    # sd 3.0277 of 10 values: 2.262 x 3.0277 / sqrt(10)
    assert found.mj_per_image == pytest.approx(5.5) and found.high - 5.5 == pytest.approx(2.1657, abs=1e-3)


@pytest.mark.parametrize("sensor", [Counter(3.0), Gauge()])
def test_three_watts_are_three_watts(sensor: Counter | Gauge) -> None:
    found = observe(sensor, lambda: time.sleep(0.12))
    assert found is not None and found.watts == pytest.approx(3.0, rel=0.05) and found.seconds >= 0.12


def test_a_sensor_that_falls_silent_gives_nothing() -> None:
    assert observe(Broken(), lambda: time.sleep(0.01)) is None
