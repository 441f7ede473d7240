"""A dataset cleaned into a new one: what has a rule is carried over, the rest stays behind."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from attrs import define, field, frozen
from pydicom import Dataset, Sequence
from pydicom.datadict import keyword_for_tag
from pydicom.dataelem import DataElement, DataElement_from_raw, RawDataElement
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag

from lutra.core.errors import Unreadable
from lutra.ingest.deidentify.dates import OFFSET, Calendar, coarse_age
from lutra.ingest.deidentify.rules import FORMS, Do, Rule, rules
from lutra.ingest.deidentify.subject import SubjectIdentity
from lutra.ingest.deidentify.words import clean
from lutra.ingest.elements import text
from lutra.reference.deidentification import SafePrivate, deidentification_table

TEXT_LIMIT = {"SH": 16, "CS": 16, "LO": 64, "ST": 1024, "UT": 1024}
STORAGE_CLASSES = ("1.2.840.10008.5.1.4.",)
PUBLIC_ROOTS = {
    "SOPClassUID": STORAGE_CLASSES,
    "ReferencedSOPClassUID": STORAGE_CLASSES,
    "CodingSchemeUID": ("2.16.840.1.113883.",),
}
"""UIDs that are nobody's, beside those of pydicom's dictionary: storage classes newer than it, coding schemes registered with HL7
(SNOMED CT, UCUM, LOINC, RadLex)."""
BINARY = {"US": 2, "SS": 2, "OW": 1, "UL": 4, "SL": 4, "FL": 4, "FD": 8, "AT": 4, "OB": 1, "OV": 8}
"""Length of a value. [byte]"""


@frozen
class Wording:
    """How text typed by a person is treated.

    Parameters
    ----------
    descriptions
        `clean`, `remove` or `keep`.
    words
        Words that may stay, lower case.
    """

    descriptions: str
    words: frozenset[str]


@define
class LeftBehind:
    """What did not come along: keywords of elements and of malformed ones, and words of descriptions."""

    elements: set[str] = field(factory=set)
    malformed: set[str] = field(factory=set)
    words: set[str] = field(factory=set)


@frozen
class Cleaner:
    """Cleans the datasets of one file."""

    subject: SubjectIdentity
    calendar: Calendar
    wording: Wording
    left: LeftBehind

    def dataset(self, old: Dataset) -> Dataset:
        """Return a new dataset with what may stay of `old`, sequences included.

        Raises
        ------
        Unreadable
            If an element that may stay cannot be read.
        """
        new = Dataset()
        table = rules()
        for tag in old.keys():  # noqa: SIM118  (iterating a Dataset converts every element)
            rule = table.get(tag)
            if rule is None:
                self._note(tag, self.left.elements)
                continue
            try:
                self._element(old, new, tag, rule)
            except Exception as error:
                raise Unreadable(
                    f"{keyword_for_tag(tag)} cannot be read: {type(error).__name__}",
                    where=str(tag),
                    do="export the file again from its source",
                ) from error
        if any(tag.is_private for tag in old.keys()):  # noqa: SIM118
            self._safe_private(old, new)
        return new

    # ---- one element ----
    def _element(self, old: Dataset, new: Dataset, tag: BaseTag, rule: Rule) -> None:
        raw = _explicit(old.get_item(tag), rule)
        if raw is not None:
            if self._well_formed(raw, tag):
                new[tag] = raw
            return
        element = old[tag]
        if not rule.vrs.issuperset(element.VR.split(" or ")):
            self._note(tag, self.left.malformed)
        elif rule.do is Do.EMPTY:
            new.add_new(tag, element.VR, Sequence() if element.VR == "SQ" else None)
        elif rule.do is Do.SEQUENCE:
            cleaned = [item for item in map(self.dataset, element.value) if len(item)]
            if cleaned or not element.value:
                new.add_new(tag, "SQ", Sequence(cleaned))
        elif element.value is None or element.value == "":
            new.add_new(tag, element.VR, None)
        else:
            value = self._value(old, element, rule)
            if value is None:
                self._note(tag, self.left.malformed)
            new.add_new(tag, element.VR, value)

    def _value(self, old: Dataset, element: DataElement, rule: Rule) -> Any:
        """Return the new value of an element that has one; None if nothing of it may stay."""
        match rule.do:
            case Do.UID:
                public = PUBLIC_ROOTS.get(element.keyword, ())
                return self._each(element.value, lambda uid: uid if uid.startswith(public) else self.subject.uid(uid))
            case Do.MOVE:
                return self._moved(old, element)
            case Do.PERSON:
                return self._described(element)
            case Do.REGION:
                return self._named(element)
            case Do.CODE:
                return self._code(old, element)
            case Do.COMMENT:
                found = re.search(deidentification_table().comment_forms[element.keyword], str(element.value))
                return found[0] if found else ""
        if element.keyword == "PatientAge":
            return coarse_age(str(element.value))
        form = FORMS.get(element.VR)
        whole = "\\".join(str(part) for part in _many(element.value)).encode("utf-8", "replace")
        return element.value if form is None or form.fullmatch(whole) else None

    def _well_formed(self, raw: RawDataElement, tag: BaseTag) -> bool:
        value, form = raw.value or b"", FORMS.get(str(raw.VR))
        fine = form is None or form.fullmatch(value) is not None
        fine = fine and len(value) % BINARY.get(str(raw.VR), 1) == 0
        if tag == 0x00080201:
            fine = OFFSET.fullmatch(value.decode("ascii", "replace").strip("\0 ")) is not None
        if not fine:
            self._note(tag, self.left.malformed)
        return fine

    # ---- dates ----
    def _moved(self, old: Dataset, element: DataElement) -> Any:
        if element.VR == "DT":
            return self._each(element.value, self.calendar.stamp)
        partner = old.get(_partner(element.keyword)) if element.keyword else None
        single = isinstance(element.value, str) and isinstance(partner, str) and partner
        if element.VR == "DA":
            if single:
                return self.calendar.date_and_time(str(element.value), str(partner))[0]
            return self._each(element.value, self.calendar.date)
        if not FORMS["TM"].fullmatch("\\".join(_many(element.value)).encode("utf-8", "replace")):
            return None
        return self.calendar.date_and_time(str(partner), str(element.value))[1] if single else element.value

    # ---- text ----
    def _described(self, element: DataElement) -> Any:
        if self.wording.descriptions == "keep":
            return element.value
        if self.wording.descriptions == "remove":
            self.left.words.update(_many(element.value))
            return self._instead(element)
        return self._each(element.value, self._cleaned) or self._instead(element)

    def _named(self, element: DataElement) -> Any:
        if self.wording.descriptions == "keep":
            return element.value
        name, gone = clean(str(element.value), self.wording.words, self.subject.key.word)
        self.left.words.update(gone)
        limit = TEXT_LIMIT.get(element.VR, 64)
        if len(name) > limit:  # a name that is cut must still be one of its own
            name = f"{name[: limit - 7]} {self.subject.key.word(name)}"
        return name or self._instead(element)

    def _code(self, old: Dataset, element: DataElement) -> Any:
        standard = text(old, "CodingSchemeDesignator") in deidentification_table().schemes
        if element.keyword == "CodeValue" and standard:
            return element.value
        return self._cleaned(str(element.value)) or (text(old, "CodeValue") if standard else self._instead(element))

    def _cleaned(self, words: str) -> str:
        kept, gone = clean(words, self.wording.words)
        self.left.words.update(gone)
        return kept

    def _instead(self, element: DataElement) -> str:
        return deidentification_table().text_if_empty.get(element.keyword, "")

    # ---- private ----
    def _safe_private(self, old: Dataset, new: Dataset) -> None:
        groups = {tag.group for tag in old.keys()}  # noqa: SIM118
        for safe in deidentification_table().private:
            if safe.group not in groups:
                continue
            try:
                tag = old.private_block(safe.group, safe.creator).get_tag(safe.element)
            except KeyError:
                continue
            if tag not in old:
                continue
            value = self._private_value(old, tag, safe)
            if value is None:
                self.left.malformed.add(f"{safe.creator} ({safe.group:04X},xx{safe.element:02X})")
                continue
            new.private_block(safe.group, safe.creator, create=True).add_new(safe.element, safe.vr, value)

    def _private_value(self, old: Dataset, tag: BaseTag, safe: SafePrivate) -> Any:
        """Value read as what the vendor says it is; None if it does not look like that."""
        try:
            element = old[tag]
            if safe.vr == "SQ":
                return Sequence(map(self.dataset, element.value))
            if isinstance(element.value, bytes):
                unread = RawDataElement(
                    tag, safe.vr, len(element.value), element.value, 0, is_implicit_VR=False, is_little_endian=True
                )
                element = DataElement_from_raw(unread)
            values = _many(element.value)
            if safe.vr == "DT":
                return self._each([str(v).strip("\0 ") for v in values], self.calendar.stamp)
            if safe.vr == "CS":
                return element.value if FORMS["CS"].fullmatch("\\".join(values).encode("utf-8", "replace")) else None
            for value in values:
                float(value)
        except Exception:  # noqa: BLE001  (a vendor's own element: no standard says what it must be)
            return None
        return element.value if values else None

    def _each(self, value: Any, change: Any) -> Any:
        parts = [change(str(part)) for part in _many(value)]
        if any(part is None for part in parts):
            return None
        return parts[0] if len(parts) == 1 else parts

    def _note(self, tag: BaseTag, among: set[str]) -> None:
        if not tag.is_private and tag.element:
            among.add(keyword_for_tag(tag) or f"({tag.group:04X},{tag.element:04X})")


def _explicit(raw: Any, rule: Rule) -> RawDataElement | None:
    """Bytes that can be carried over unread, with the value representation an implicit file does not write; None if not so."""
    if rule.do not in (Do.KEEP, Do.MACHINE, Do.PIXELS) or not isinstance(raw, RawDataElement):
        return None
    if raw.VR is None and (len(rule.vrs) == 1 or rule.do is Do.PIXELS):
        raw = raw._replace(VR=max(rule.vrs), is_implicit_VR=False)
    return raw if raw.VR in rule.vrs and raw.VR != "AS" else None


def _many(value: Any) -> list[Any]:
    if value is None or value == "":
        return []
    return list(value) if isinstance(value, (MultiValue, list, tuple)) else [value]


def _partner(keyword: str) -> str:
    """Name the time that belongs to a date, and the other way round."""
    for one, other in (("Date", "Time"), ("Time", "Date")):
        if keyword.endswith(one):
            return keyword.removesuffix(one) + other
        if keyword.startswith(one + "Of"):
            return other + keyword.removeprefix(one)
    return ""


def texts(items: Iterable[str], at_most: int = 12) -> str:
    """Names in a row, the first few."""
    names = sorted(items)
    return ", ".join(names[:at_most]) + (f" and {len(names) - at_most} more" if len(names) > at_most else "")
