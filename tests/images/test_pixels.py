import numpy as np

from edgekd.images.pixels import Array, Joined, Rows, choose

CANVASES = np.arange(6 * 4, dtype=np.uint8).reshape(6, 2, 2, 1)
SIX = Array(CANVASES)


def test_rows_number_anew() -> None:
    chosen = Rows(SIX, np.array([5, 1, 3]))
    assert chosen.shape == (3, 2, 2, 1)
    assert np.array_equal(chosen.gather(np.array([2, 0])), CANVASES[[3, 5]])


def test_joined_rows_come_from_both_in_any_order() -> None:
    both = Joined(SIX, Array(CANVASES[:2] + 100))
    assert both.shape == (8, 2, 2, 1)
    taken = both.gather(np.array([7, 0, 6, 5]))
    assert taken[:, 0, 0, 0].tolist() == [104, 0, 100, 20]


def test_gathered_canvases_belong_to_the_caller() -> None:
    SIX.gather(np.array([0]))[:] = 255
    assert CANVASES[0, 0, 0, 0] == 0


def test_consecutive_rows_share_memory() -> None:
    part = choose(SIX, np.arange(2, 5))
    assert isinstance(part, Array)
    assert np.shares_memory(part.array, CANVASES)
    assert choose(SIX, np.arange(6)) is SIX
    assert choose(SIX, np.arange(0)).shape[0] == 0
