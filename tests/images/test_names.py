import os

import pytest

from edgekd.images.names import is_made_by_program, normalise, suffix_of


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("cat", "cat"),
        ("cafe\u0301", "caf\u00e9"),
        (os.fsdecode(b"caf\xe9"), "caf\\xe9"),
        ("\u6570\u636e", "\u6570\u636e"),
        ("a\nb\x1b[31m", "a\\x0ab\\x1b[31m"),
    ],
)
def test_names_are_text_in_one_spelling(name: str, text: str) -> None:
    assert normalise(name) == text
    assert normalise(text) == text


def test_suffixes_are_in_lower_case() -> None:
    names = ("A.JPG", "b.tar.gz", "README", ".hidden", os.fsdecode(b"caf\xe9.png"))
    assert [suffix_of(name) for name in names] == [".jpg", ".gz", "", "", ".png"]


def test_programs_folders_are_known_in_any_case() -> None:
    assert all(map(is_made_by_program, ("@EADIR", ".thumbnails", "$Recycle.Bin", "Library.photoslibrary")))
    assert not any(map(is_made_by_program, ("cat", "thumbs", "eaDir", "recycle")))
