from edgekd.exporting.race import Timed, choose
from edgekd.profiling.measure.measuring import Setting

SETTING = Setting(1, 2, 0, 1, 50)
FLOAT = Timed(1.0, 1.0, 1.0, 1.0)


def test_only_a_sure_gain_of_two_percent_counts() -> None:
    sure, unsure = Timed(0.9, 1.1, 1.05, 1.2), Timed(0.9, 1.1, 1.01, 1.2)
    assert choose({"fp32": FLOAT, "int8": sure}, ["int8"], SETTING).name == "int8"
    kept = choose({"fp32": FLOAT, "int8": unsure}, ["int8"], SETTING)
    assert kept.name == "fp32" and "not surely" in kept.reason and "batch 1, 2 threads" in kept.reason


def test_an_inaccurate_file_is_never_chosen() -> None:
    found = choose({"fp32": FLOAT, "int8": Timed(0.1, 10, 9, 11)}, [], SETTING)
    assert found.name == "fp32" and "loses too much accuracy" in found.reason


def test_a_later_file_must_beat_the_earlier_one_surely() -> None:
    whole = Timed(0.5, 2.0, 1.9, 2.1)
    names = ["int8", "mixed"]
    close = {"fp32": FLOAT, "int8": whole, "mixed": Timed(0.49, 2.05, 1.95, 2.2)}
    ahead = {"fp32": FLOAT, "int8": whole, "mixed": Timed(0.4, 2.5, 2.4, 2.6)}
    assert choose(close, names, SETTING).name == "int8" and choose(ahead, names, SETTING).name == "mixed"


def test_slower_is_said() -> None:
    assert Timed(2.0, 0.5, 0.4, 0.6).in_words == "0.50 (0.40-0.60) slower here"
    assert "slower" not in Timed(1.0, 0.99, 0.9, 1.1).in_words
