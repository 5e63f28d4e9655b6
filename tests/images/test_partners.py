import numpy as np

from edgekd.images.partners import Partners, Roster
from edgekd.images.views.counter import random_bits


def words(count: int, view: int = 0) -> np.ndarray:
    return random_bits(0, view, np.arange(count), 1)[:, 0]


def roster(count: int, **changes: np.ndarray) -> Roster:
    rows = np.arange(count)
    return Roster(**({"targets": rows % 10, "is_training": rows % 7 > 0} | changes))


def test_partners_are_others_of_the_same_group() -> None:
    groups = np.random.default_rng(0).integers(0, 5, 200)
    found = Partners(groups, np.arange(200)).of(np.arange(200), words(200))
    assert np.array_equal(groups[found], groups) and (found != np.arange(200)).all()


def test_all_others_are_equally_likely() -> None:
    partners = Partners(np.zeros(8, np.int64), np.arange(8))
    found = partners.of(np.full(14_000, 3), words(14_000))
    counts = np.bincount(found, minlength=8)
    assert counts[3] == 0 and np.delete(counts, 3).min() > 1_850


def test_alone_in_a_group_an_image_is_its_own_partner() -> None:
    partners = Partners(np.array([1, 0, 0]), np.arange(3))
    assert partners.of(np.array([0, 1, 2]), words(3)).tolist() == [0, 2, 1]


def test_partners_are_the_same_on_every_platform() -> None:
    found = Partners(np.arange(100) // 30, np.arange(100)).of(np.arange(0, 100, 9), words(12))
    assert found.tolist() == [3, 0, 17, 24, 34, 34, 31, 65, 67, 70, 94, 94]


def test_training_images_never_meet_validation_images() -> None:
    known = roster(5000)
    found = known.partners.of(np.arange(5000), words(5000))
    assert np.array_equal(known.is_training[found], known.is_training)


def test_partners_of_a_listing_sorted_by_class_are_of_any_class() -> None:
    kinds = np.arange(5000) // 500
    found = Roster(kinds, np.ones(5000, bool)).partners.of(np.arange(5000), words(5000))
    assert 0.05 < (kinds[found] == kinds).mean() < 0.15


def test_parts_keep_to_themselves() -> None:
    parts = (np.arange(600) >= 400).astype(np.int64)
    found = roster(600, parts=parts).partners.of(np.arange(600), words(600))
    assert np.array_equal(parts[found], parts)


def test_partners_go_by_numbers_not_by_rows() -> None:
    order = np.random.default_rng(1).permutation(3000)
    plain = roster(3000)
    moved = Roster(plain.targets[order], plain.is_training[order], ids=order)
    found = moved.partners.of(np.arange(3000), words(3000)[order])
    assert np.array_equal(order[found], plain.partners.of(order, words(3000)[order]))


def test_images_added_later_change_no_partner_of_the_first() -> None:
    first = roster(1500)
    numbers = np.arange(3000).reshape(2, 1500).T.reshape(-1)
    training = np.concatenate([first.is_training, np.ones(1500, bool)])[numbers]
    grown = Roster(np.zeros(3000, np.int64), training, ids=numbers, parts=(numbers >= 1500).astype(np.int64))
    old = np.flatnonzero(numbers < 1500)
    found = grown.partners.of(old, words(1500)[numbers[old]])
    assert np.array_equal(numbers[found], first.partners.of(numbers[old], words(1500)[numbers[old]]))
    assert grown.digests()[0] == first.digests()[0]


def test_a_digest_changes_with_the_split_and_not_with_the_order() -> None:
    plain, order = roster(300), np.random.default_rng(1).permutation(300)
    assert Roster(plain.targets[order], plain.is_training[order], ids=order).digests() == plain.digests()
    assert roster(300, is_training=np.arange(300) % 6 > 0).digests() != plain.digests()
    assert roster(300, ids=np.arange(300) + 1).digests() != plain.digests()
