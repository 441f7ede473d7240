"""What may leave a file that is de-identified: elements, private elements and words, as data."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files

from attrs import frozen

from lutra.core.frozen import FrozenMap


@frozen
class SafePrivate:
    """A private element that holds a number and no person.

    Parameters
    ----------
    creator
        Private creator of its block.
    group, element
        Group, and last two digits of the element.
    vr
        Value representation it must have.
    """

    creator: str
    group: int
    element: int
    vr: str


@frozen
class DeidentificationTable:
    """The table of `deidentification.toml`.

    Parameters
    ----------
    classes
        Storage classes that can be de-identified.
    screens
        Image Types of pictures of a screen.
    groups
        Keywords of DICOM elements by what is done with them: `patient`, `dates`, `references`, `device`, `emptied`,
        `pixels`, `machine_text`, `code_text`, `person_text`, `region_text`,
        `comments`, `plain`.
    comment_forms
        Comments of which only what matches a regular expression is kept.
    schemes
        Coding schemes whose codes are kept.
    text_if_empty
        What stands for a text of which nothing may stay, where the standard requires one.
    private
        Safe private elements.
    words
        Words that may stay in text typed by a person, lower case.
    """

    classes: frozenset[str]
    screens: tuple[str, ...]
    groups: FrozenMap[str, frozenset[str]]
    comment_forms: FrozenMap[str, str]
    schemes: frozenset[str]
    text_if_empty: FrozenMap[str, str]
    private: tuple[SafePrivate, ...]
    words: frozenset[str]


GROUPS = (
    "patient",
    "dates",
    "references",
    "device",
    "emptied",
    "pixels",
    "machine_text",
    "code_text",
    "person_text",
    "region_text",
)


@cache
def deidentification_table() -> DeidentificationTable:
    """Read the table that is shipped with Lutra."""
    table = tomllib.loads((files("lutra.reference") / "deidentification.toml").read_text("utf-8"))
    groups = {name: frozenset(table[name].split()) for name in GROUPS}
    groups["comments"] = frozenset(table["comment_form"])
    groups["plain"] = frozenset(word for part in table["plain"] for word in part["keywords"].split())
    return DeidentificationTable(
        classes=frozenset(table["classes"]),
        screens=tuple(table["screens"]),
        groups=FrozenMap(groups),
        comment_forms=FrozenMap(table["comment_form"]),
        schemes=frozenset(table["schemes"]),
        text_if_empty=FrozenMap(table["text_if_empty"]),
        private=tuple(
            SafePrivate(block["creator"], int(place[:4], 16), int(place[5:], 16), vr)
            for block in table["private"]
            for place, vr in block["elements"].items()
        ),
        words=frozenset(word.lower() for part in table["words"].values() for word in part.split()),
    )
