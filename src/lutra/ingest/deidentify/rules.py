"""What happens to an element, by its tag."""

from __future__ import annotations

import re
from enum import StrEnum
from functools import cache

from attrs import frozen
from dicomanonymizer.dicomfields_selector import dicom_anonymization_database_selector
from pydicom.datadict import dictionary_VR, tag_for_keyword

from lutra.reference.deidentification import deidentification_table

EDITION = "dicomfields_2026c"
EMPTIED = ("Z_TAGS", "Z_D_TAGS", "X_Z_TAGS", "X_Z_D_TAGS")
"""Categories of PS3.15 Table E.1-1 whose action allows a value of zero length, which an object may require (type 2); sequences
are removed."""


class Do(StrEnum):
    """What is done with an element."""

    KEEP = "keep"
    """As it is, if it has the form of its value representation."""
    MOVE = "move"
    """A date that moves, or a time of day."""
    UID = "uid"
    SEQUENCE = "sequence"
    MACHINE = "machine"
    """Text as the machine wrote it."""
    CODE = "code"
    PERSON = "person"
    """Text of which known words stay."""
    REGION = "region"
    """Text of which known words stay and others become keyed."""
    COMMENT = "comment"
    """Text of which one number stays."""
    PIXELS = "pixels"
    EMPTY = "empty"
    """Present, without a value."""


@frozen
class Rule:
    """What is done with an element, and the value representations it may have."""

    do: Do
    vrs: frozenset[str]


BY_GROUP = {
    "machine_text": Do.MACHINE,
    "device": Do.MACHINE,
    "code_text": Do.CODE,
    "person_text": Do.PERSON,
    "region_text": Do.REGION,
    "pixels": Do.PIXELS,
    "emptied": Do.EMPTY,
    "comments": Do.COMMENT,
}
BY_VR = {"UI": Do.UID, "SQ": Do.SEQUENCE, "DA": Do.MOVE, "DT": Do.MOVE, "TM": Do.MOVE}

FORMS = {
    "DS": re.compile(rb"[\d.+\-eE\\ \0]*"),
    "IS": re.compile(rb"[\d.+\-\\ \0]*"),
    "TM": re.compile(rb"[\d.:\\ \0]*"),
    "CS": re.compile(rb"[A-Za-z0-9_ .\\/+*^#\-\0]*"),
    "UI": re.compile(rb"[\d.\\ \0]*"),
}
"""What text of a value representation looks like; anything else is no such value and does not stay."""


@cache
def rules() -> dict[int, Rule]:
    """Rule of every element that may stay, by tag; an element without one is removed."""
    found = {tag: Rule(Do.EMPTY, _vrs(tag)) for tag in profile_tags(EMPTIED) if _vrs(tag) != {"SQ"}}
    for group, keywords in deidentification_table().groups.items():
        for keyword in keywords:
            tag = tag_for_keyword(keyword)
            if tag is None:
                continue  # newer than the dictionary at hand: removed
            vrs = _vrs(tag)
            found[tag] = Rule(BY_GROUP.get(group) or BY_VR.get(min(vrs), Do.KEEP), vrs)
    return found


@cache
def profile_tags(categories: tuple[str, ...] = ("ALL_TAGS",)) -> frozenset[int]:
    """Tags of PS3.15 Table E.1-1 with one of these actions, as dicom-anonymizer publishes it; repeating groups aside.

    Only the table is used. The program's own actions work on the top of a dataset alone, write `000Y`, `0` and `000000.00` for
    ages, numbers and times, draw UIDs anew in every run and so cut the links between files added at different times.
    """
    table = dicom_anonymization_database_selector(EDITION)
    pairs = (tag for category in categories for tag in table[category] if len(tag) == 2)
    return frozenset(group << 16 | element for group, element in pairs)


def _vrs(tag: int) -> frozenset[str]:
    try:
        return frozenset(dictionary_VR(tag).split(" or "))
    except KeyError:
        return frozenset()
