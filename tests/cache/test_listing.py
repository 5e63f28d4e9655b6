import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from edgekd.cache.listing import check_partners, match, read_listing, write_part
from edgekd.cache.parts import part_path, read_parts
from edgekd.errors import CacheError
from edgekd.images.imageset import Listing

KNOWN = Listing(("b", "d", "f"), ("1", "2", "3"))


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    """A folder whose part 0 is KNOWN."""
    write_part(tmp_path, 0, KNOWN, range(3))
    return tmp_path


def test_a_list_is_a_line_per_image_and_its_digest_that_of_the_file(listed: Path) -> None:
    content = part_path(listed, 0).read_bytes()
    assert content == b'["b", "1"]\n["d", "2"]\n["f", "3"]\n'
    (part,) = read_parts(listed)
    assert (part.start, part.stop, part.digest) == (0, 3, hashlib.sha256(content).hexdigest())


def test_parts_follow_each_other(listed: Path) -> None:
    write_part(listed, 1, Listing(("a", "b", "c"), ("7", "1", "8")), [0, 2])
    parts = read_parts(listed)
    assert [(part.start, part.stop) for part in parts] == [(0, 3), (3, 5)]
    assert read_listing(listed, parts) == Listing(("b", "d", "f", "a", "c"), ("1", "2", "3", "7", "8"))


def test_the_first_list_stays(listed: Path) -> None:
    before = read_parts(listed)
    write_part(listed, 0, Listing(("x",), ("9",)), [0])
    assert read_parts(listed) == before


def test_odd_names_survive(tmp_path: Path) -> None:
    odd = Listing(("new\nline", "caf\u00e9 \u732b", 'quo"te', "lone\udcff"), ("1", "2", "3", "4"))
    write_part(tmp_path, 0, odd, range(4))
    assert read_listing(tmp_path, read_parts(tmp_path)) == odd and read_parts(tmp_path)[0].stop == 4


def test_the_same_images_have_their_places(listed: Path) -> None:
    found = match(listed, read_parts(listed), KNOWN)
    assert found.ids.tolist() == [0, 1, 2] and len(found.new) == 0


def test_added_images_get_the_next_numbers_wherever_they_sort(listed: Path) -> None:
    found = match(listed, read_parts(listed), Listing(("a", "b", "c", "d", "f"), ("7", "1", "8", "2", "3")))
    assert found.ids.tolist() == [3, 0, 4, 1, 2] and found.new.tolist() == [0, 2]


def test_the_first_images_of_a_cache_are_all_new(tmp_path: Path) -> None:
    found = match(tmp_path, [], KNOWN)
    assert found.ids.tolist() == found.new.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("here", "words"),
    [
        (Listing(("b", "f"), ("1", "3")), r"it has 3 images, the data 2: 1 images are not there any more \(d\)"),
        (Listing(("b", "d", "f"), ("1", "9", "3")), r"1 images are of other content now \(d\)"),
        (
            Listing(("b", "e", "f"), ("9", "2", "3")),
            r"not there any more \(d\); 1 images are of other content now \(b\)",
        ),
    ],
)
def test_images_gone_or_changed_are_named(listed: Path, here: Listing, words: str) -> None:
    with pytest.raises(CacheError, match=words):
        match(listed, read_parts(listed), here)


def test_a_damaged_list_is_named(listed: Path) -> None:
    part_path(listed, 0).write_text('["b", "1"\n')
    with pytest.raises(CacheError, match=r"00000.jsonl: cannot be read"):
        match(listed, read_parts(listed), KNOWN)


def test_who_is_mixed_with_whom_is_part_of_a_part(tmp_path: Path) -> None:
    for name in ("plain", "mixed"):
        write_part(tmp_path / name, 0, KNOWN, range(3), "ab12" if name == "mixed" else "")
    (plain,), (mixed,) = read_parts(tmp_path / "plain"), read_parts(tmp_path / "mixed")
    assert plain.digest != mixed.digest and mixed.partners == "ab12"


def test_other_partners_are_refused(listed: Path) -> None:
    parts = [replace(part, partners="ab12") for part in read_parts(listed)]
    check_partners(listed, parts, ["ab12", "new images"])
    check_partners(listed, parts, [])
    with pytest.raises(CacheError, match="the split is another one"):
        check_partners(listed, parts, ["cd34"])
