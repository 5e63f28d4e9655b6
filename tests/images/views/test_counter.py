import numpy as np

from edgekd.images.views.counter import below, happens, random_bits

INDEX = np.array([0, 1, 49_999])


def test_the_words_are_the_same_on_every_platform() -> None:
    words = random_bits(7, 3, INDEX, 2)
    assert [[hex(word) for word in row] for row in words.tolist()] == [
        ["0x960502153de9b96e", "0xa4efb651479c865d"],
        ["0x9ccd8460526c581", "0xc73ab360cff94656"],
        ["0x782fdd96795ce517", "0x8711faf651e128f4"],
    ]


def test_a_row_depends_on_nothing_but_its_own_key() -> None:
    together = random_bits(7, 3, INDEX, 5)
    assert np.array_equal(random_bits(7, 3, INDEX[::-1], 5)[::-1], together)
    assert np.array_equal(random_bits(7, 3, INDEX[1:2], 5), together[1:2])
    assert np.array_equal(random_bits(7, 3, INDEX, 2), together[:, :2])


def test_seed_view_index_and_slot_all_change_the_word() -> None:
    index = np.arange(20)
    words = [random_bits(seed, view, index, 6) for seed in range(8) for view in range(8)]
    assert len(np.unique(np.stack(words))) == 8 * 8 * 20 * 6


def test_a_seed_beyond_64_bits_is_taken() -> None:
    assert random_bits(1 << 70, 0, INDEX, 1).shape == (3, 1)


def test_below_is_even_and_within_its_limit() -> None:
    drawn = below(random_bits(1, 0, np.arange(70_000), 1)[:, 0], 7)
    counts = np.bincount(drawn)
    assert len(counts) == 7
    assert counts.min() > 9_600
    assert counts.max() < 10_400


def test_bits_of_neighbours_are_independent() -> None:
    bits = random_bits(0, 0, np.arange(4096), 2).view(np.uint8)
    ones = np.unpackbits(bits, axis=1).astype(float) - 0.5
    correlation = np.corrcoef(ones.T) - np.eye(128)
    assert np.abs(correlation).max() < 0.1


def test_each_draw_can_have_its_own_limit() -> None:
    bits = random_bits(1, 0, np.arange(3000), 1)[:, 0]
    limits = np.tile(np.array([1, 5, 1 << 26]), 1000)
    each = [below(bits, limit) for limit in (1, 5, 1 << 26)]
    assert np.array_equal(below(bits, limits), np.choose(np.arange(3000) % 3, each))


def test_what_happens_with_a_probability_is_never_at_0_and_always_at_1() -> None:
    bits = random_bits(1, 0, np.arange(10_000), 1)[:, 0]
    assert not happens(bits, 0.0).any() and happens(bits, 1.0).all()
    assert abs(happens(bits, 0.3).mean() - 0.3) < 0.02
