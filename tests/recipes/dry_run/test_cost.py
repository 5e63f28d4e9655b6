"""Arithmetic of a dry run, against values worked out by hand."""

from dataclasses import replace

import pytest

from edgekd.recipes.dry_run.cost import Forecast, in_words, verdict

USUAL = Forecast(10, 4.0, 5.0, 20.0, 25.0, 100.0)
"""Ten epochs of 5 s from the cache or 20 s live; four views of 25 s each fill the cache."""


def test_the_whole_is_filling_and_epochs() -> None:
    assert USUAL.cached_seconds == 100 + 10 * 5
    assert USUAL.live_seconds == 10 * 20


@pytest.mark.parametrize(("filling", "epoch"), [(100.0, 7), (90.0, 6), (0.0, 1), (1.0, 1), (16.0, 2)])
def test_break_even_is_the_epoch_by_whose_end_the_cache_has_paid(filling: float, epoch: int) -> None:
    found = replace(USUAL, filling_seconds=filling)
    assert found.break_even_epoch == epoch
    assert replace(found, epochs=epoch).cached_seconds <= 20 * epoch
    assert epoch == 1 or replace(found, epochs=epoch - 1).cached_seconds > 20 * (epoch - 1)


@pytest.mark.parametrize("live", [5.0, 4.9])
def test_a_live_teacher_that_costs_nothing_is_never_beaten(live: float) -> None:
    found = replace(USUAL, live_epoch_seconds=live)
    assert found.break_even_epoch is None
    assert verdict(found).startswith("break-even: never")


def test_without_a_teacher_there_is_nothing_to_compare() -> None:
    found = replace(USUAL, live_epoch_seconds=None, pass_seconds=None, filling_seconds=0.0)
    assert found.break_even_epoch is None and found.live_seconds is None
    assert "cannot be asked" in verdict(found)


def test_a_cache_that_is_there_pays_at_once() -> None:
    assert "is there already" in verdict(replace(USUAL, filling_seconds=0.0))


@pytest.mark.parametrize(
    ("seconds", "words"), [(None, None), (0.4213, "0.421 s"), (75.25, "75.2 s"), (750.0, "12.5 min"), (11520, "3.2 h")]
)
def test_seconds_are_said_as_people_say_them(seconds: float | None, words: str | None) -> None:
    assert in_words(seconds) == words
