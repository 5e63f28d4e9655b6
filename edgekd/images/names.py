"""Names from the disk: in one spelling on every system, and which are not the user's own."""

import os
import re
import unicodedata

LITTER = frozenset(("thumbs.db", "desktop.ini", "picasa.ini", "zbthumbnail.info", "icon\r"))
"""Files that systems and photo programs leave in folders of images, in lower case."""

_PROGRAMS_FOLDERS = frozenset(
    ("@eadir", "@recycle", "@recently-snapshot", "#recycle", "#snapshot", "__macosx", "$recycle.bin")
    + ("system volume information", "lost+found", "ipod photo cache", "recycler", "@sharebin", "__pycache__")
)
"""Folders of file servers (Synology, QNAP), systems, archives and photo programs, in lower case."""
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_THUMBNAILS = ("synophoto_thumb", "synoindex_thumb", "synofile_thumb")
_PROGRAMS_SUFFIXES = (".lrdata", ".photoslibrary", ".aplibrary")


def normalise(name: str) -> str:
    """A name as text: letters composed (Unicode NFC), bytes that are not UTF-8 and controls written as in `caf\\xe9`.

    macOS hands out decomposed letters, other systems whatever was written.
    """
    composed = unicodedata.normalize("NFC", os.fsencode(name).decode("utf-8", "backslashreplace"))
    # a line break in a name would break tables, an escape steers terminals
    return _CONTROLS.sub(lambda control: f"\\x{ord(control[0]):02x}", composed)


def is_made_by_program(name: str) -> bool:
    """Whether a file or folder is hidden, or the thumbnails or bin of a file server or photo program."""
    low = name.lower()
    return (
        name.startswith(".")
        or low in _PROGRAMS_FOLDERS
        or low.startswith(_THUMBNAILS)
        or low.endswith(_PROGRAMS_SUFFIXES)
    )


def suffix_of(name: str) -> str:
    """`.jpg` of `A.JPG`; empty where there is none."""
    stem, dot, suffix = normalise(name).rpartition(".")
    return dot + suffix.lower() if stem else ""
