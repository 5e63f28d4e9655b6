"""What is shown fits 40, 80 and 120 columns, and words stay whole."""

import pytest

from edgekd.cli.layout import Standing, bar_line, epoch_line, formatted, lay_out, wrap
from edgekd.report import Cell, Table

WIDTHS = (40, 80, 120)
DEVICES = Table(
    "Devices",
    ("name", "device", "processor", "threads", "ms", "memory MB"),
    [
        ("coral-dev-board-mini-cpu", "Coral Dev Board Mini, its CPU alone", "Cortex-A35 1.5 GHz", 4, 250.0, 400.0),
        ("intel-n100", "a small PC with an Intel N100", "Intel N100", 4, 33.0, 1000.0),
    ],
    spare=("device", "processor", "threads"),
)
EPOCH: dict[str, Cell] = {
    "epoch": 12, "epochs": 30, "step": 12_345, "kd": 0.98765, "ce": 1.23456, "loss": 1.11111,
    "val_loss": 0.54321, "val_top1": 0.91234, "best": True, "images_per_second": 13210.4,
}  # fmt: skip


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (13210.4, "13,210"), (999.96, "1000"), (1321.4, "1321"), (12.3456, "12.35"), (0.000123, "0.000123"),
        (2.5e-7, "2.50e-07"), (0.0, "0"), (-20_000.2, "-20,000"), (1e300, f"{int(1e300):,}"), (12_345, "12,345"),
        (float("nan"), "nan"), (True, "yes"), (None, "-"), ("text", "text"),
    ],
)  # fmt: skip
def test_numbers_have_no_exponents(value: Cell, shown: str) -> None:
    assert formatted(value) == shown


@pytest.mark.parametrize("width", WIDTHS)
def test_lines_wrap_between_words(width: int) -> None:
    text = "error: runs/a-long-name-of-a-run-that-is-longer-than-forty-columns: cannot be read, since it was cut short"
    lines = wrap(text, width)
    assert " ".join(line.strip() for line in lines) == text
    assert all(len(line) <= width or " " not in line.strip() for line in lines)
    assert wrap(text, None) == [text]


@pytest.mark.parametrize("width", WIDTHS)
def test_an_epoch_is_one_line_with_what_tells_most(width: int) -> None:
    line = epoch_line(EPOCH, width)
    assert len(line) <= width and line.startswith("epoch 12/30") and "val top-1 91.23%, best" in line
    assert ("ce 1.235" in line) == (width > 40) and ("13,210 images/s" in line) == (width > 80)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("total", [100, 1_234_567, None])
def test_a_bar_keeps_its_count_and_the_time_left(width: int, total: int | None) -> None:
    values = {"loss": 1.2345, "best": 0.9123}
    line = bar_line(Standing("training", 50, total, "steps", values, 75.0, 3725.0), width)
    assert len(line) <= width and line.endswith("0:01:15" if total is None else "1:02:05 left")
    assert ("50/100" if total == 100 else "50/1,234,567" if total else "50") in line
    assert ("loss 1.234 best 0.9123" in line) == (width > 40)
    assert ("━" in line) == (total == 100)
    assert ("─" in line) == (total is not None and (total == 100 or width > 40))


@pytest.mark.parametrize("width", WIDTHS)
def test_a_table_chooses_its_columns_by_width(width: int) -> None:
    grid = lay_out(DEVICES, width)
    shown = {40: 3, 80: 5, 120: 6}[width]
    assert all(len(line) <= width for line in [*grid.header, *grid.lines])
    assert len(grid.lines) == 2 and len(grid.left_out) == 6 - shown
    assert grid.lines[0].startswith("coral-dev-board-mini-cpu") and grid.lines[0].endswith("400")


@pytest.mark.parametrize("width", WIDTHS)
def test_texts_of_a_table_wrap_between_words(width: int) -> None:
    note = "measured 12.3 ms; judged by its 99 % upper bound, since the runs are few"
    table = Table("", ("", ""), [("latency p95, batch 1", note), ("run", "runs/tiny-cnn-from-resnet9-pictures")])
    lines = lay_out(table, width).lines
    assert all(len(line) <= width for line in lines)
    words = {word for line in lines for word in line.split()}
    assert set(note.split()) <= words


def test_what_cannot_stand_side_by_side_stands_below_one_another() -> None:
    table = Table("", ("name", "count", "share"), [("unbreakable" * 2, 12_345, 0.123456)])
    assert [line.split() for line in lay_out(table, 20).lines if line] == [
        ["name", "unbreakableunbreakable"],
        ["count", "12,345"],
        ["share", "0.1235"],
    ]
