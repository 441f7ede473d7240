"""Single DICOM elements as plain text, numbers and items; whatever is wrong with one, it is said by name.

pydicom converts an element when it is first looked at, and a broken one raises whatever its conversion happened to raise. Every
look at a header goes through these functions: a broken element is an :class:`~lutra.core.errors.Unreadable` and nothing else.
The readers that call them keep pydicom's warnings quiet as a whole, with :func:`~lutra.ingest.quiet.quietly`.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom import Dataset, Sequence
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import RawDataElement, convert_raw_data_element
from pydicom.tag import BaseTag, Tag

from lutra.core.errors import InputError, Unreadable

ASCII_VRS = {"CS", "DA", "DS", "DT", "IS", "TM", "UI", "US", "SS", "UL", "SL", "FL", "FD"}
"""Value representations that no character set bears on."""
SHORT = 128
"""The slices of a series repeat their short elements: the same bytes are converted once."""


def value_of(header: Dataset, tag: str) -> Any:
    """Value of an element by keyword, None if it is missing or empty.

    Raises
    ------
    Unreadable
        If the element is there and cannot be read.
    """
    number_ = _tag(tag)
    if number_ not in header.keys():  # noqa: SIM118  (a dataset looks a tag up in a slower way)
        return None
    try:
        raw: Any = header.get_item(number_)
        if isinstance(raw, RawDataElement) and raw.VR in ASCII_VRS and raw.value and len(raw.value) <= SHORT:
            value = _converted(number_, raw.VR, raw.value, raw.is_implicit_VR, raw.is_little_endian)
        else:
            value = header[number_].value
    except Exception as error:
        raise Unreadable(
            f"{tag} cannot be read: {error}", where=place(header, tag), do="export the file again from its source"
        ) from error
    return None if value is None or (isinstance(value, (str, bytes)) and not value) else value


@lru_cache(maxsize=8192)
def _converted(tag: BaseTag, vr: str, value: bytes, implicit: bool, little: bool) -> Any:  # noqa: FBT001  (as pydicom has them)
    return convert_raw_data_element(RawDataElement(tag, vr, len(value), value, 0, implicit, little)).value


@lru_cache(maxsize=1024)
def _tag(keyword: str) -> BaseTag:
    return Tag(keyword)


def alike(header: Dataset, other: Dataset, tag: str) -> bool:
    """Tell whether two headers give an element the same text."""
    return same_bytes(header, other, (_tag(tag),)) or text(header, tag) == text(other, tag)


def same_bytes(header: Dataset, other: Dataset, tags: Iterable[BaseTag]) -> bool:
    """Tell whether two headers hold some elements in the same bytes, or both lack them; cheap, and so in most series.

    Elements that have been looked at are no bytes any more: then the answer is no, and texts must be compared.
    """
    for tag in tags:
        here: Any = header.get_item(tag)
        there: Any = other.get_item(tag)
        if here is there is None:
            continue
        if not (isinstance(here, RawDataElement) and isinstance(there, RawDataElement)):
            return False
        if here.value != there.value or here.VR != there.VR:
            return False
    return True


def text(header: Dataset, tag: str) -> str:
    """Element as plain text, empty if it is missing."""
    value = value_of(header, tag)
    return "" if value is None else str(value).strip()


def many(header: Dataset, tag: str) -> list[Any]:
    """Element as a list of its values, empty if it is missing.

    Raises
    ------
    Unreadable
        If it is a sequence, which has items and no values.
    """
    value = value_of(header, tag)
    if value is None:
        return []
    if isinstance(value, Sequence):
        raise Unreadable(f"{tag} is a sequence", where=place(header, tag), do="export the file again from its source")
    return [value] if isinstance(value, (str, bytes, float, int)) else list(value)


def pointers(header: Dataset, tag: str) -> list[BaseTag]:
    """Tags that an element points to, such as Frame Increment Pointer.

    Raises
    ------
    Unreadable
        If it holds anything else.
    """
    values = many(header, tag)
    try:
        return [Tag(value) for value in values]
    except (ValueError, TypeError, OverflowError) as error:
        raise Unreadable(f"{tag} is {values}", where=place(header, tag), required="tags") from error


def numbers(header: Dataset, tag: str, n: int) -> npt.NDArray[np.float64]:
    """Exactly `n` finite numbers. (n,)

    Raises
    ------
    InputError
        Naming what is there instead.
    """
    values = many(header, tag)
    try:
        found = np.array([float(v) for v in values])
    except (TypeError, ValueError):
        found = np.array([])
    if len(found) != n or not np.isfinite(found).all():
        raise InputError(
            f"{tag} is {values or 'missing'}",
            where=place(header, tag),
            required=f"{n} numbers",
            do="export the series again, complete",
        )
    return found


def number(header: Dataset, tag: str) -> float | None:
    """One finite number; None if it is missing or none."""
    try:
        value = float(value_of(header, tag))
    except (TypeError, ValueError):
        return None
    return value if np.isfinite(value) else None


def positive(header: Dataset, tag: str) -> float | None:
    """Read a number that only makes sense when positive; None otherwise."""
    value = number(header, tag)
    return value if value is not None and value > 0 else None


def count(header: Dataset, tag: str) -> int:
    """Read a whole number of at least 1, such as Rows.

    Raises
    ------
    InputError
        If it is missing, zero, negative or no whole number.
    """
    value = number(header, tag)
    if value is None or value < 1 or value != int(value):
        raise InputError(
            f"{tag} is {text(header, tag) or 'missing'}",
            where=place(header, tag),
            required="a whole number of at least 1",
        )
    return int(value)


def items(header: Dataset, tag: str) -> list[Dataset]:
    """Items of a sequence, empty if it is missing.

    Raises
    ------
    Unreadable
        If the element is there and is no sequence.
    """
    value = value_of(header, tag)
    if value is None:
        return []
    if not isinstance(value, Sequence):
        raise Unreadable(f"{tag} is no sequence", where=place(header, tag), do="export the file again from its source")
    return list(value)


def private(header: Dataset, group: int, creator: str, element: int) -> Any:
    """Value of a private element, bytes decoded as text; None if it is missing or cannot be read."""
    try:
        value = header.private_block(group, creator)[element].value
    except Exception:  # noqa: BLE001  (a vendor's own element: no standard says what it must be)
        return None
    return value.decode("ascii", "ignore").strip("\0 ") if isinstance(value, bytes) else value


def place(header: Dataset, tag: str) -> str:
    """File and element, as messages name them."""
    number_ = tag_for_keyword(tag)
    code = f"({Tag(number_).group:04X},{Tag(number_).element:04X})" if number_ is not None else ""
    return f"{getattr(header, 'filename', '') or ''} {code}".strip()
