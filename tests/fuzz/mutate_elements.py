"""Damage to any element of a header, and to the form of the data set."""

from __future__ import annotations

import struct
from random import Random

from .case import HONEST, NOT_SILENT, REFUSED, SAME, TOLD, Case
from .mutation import NO_NUMBER, NUMERIC, SPECIAL, THAT_MATTER, mutation, tag_of
from .raw import Element, put, walk


@mutation("drop an element of one slice")
def _(case: Case, rng: Random) -> None:
    file = case.one()
    element = tag_of(file, rng)
    case.note = element.keyword
    for holder, each in list(walk(file.elements)):
        if each is element:
            holder.remove(element)


@mutation("drop an element of every slice")
def _(case: Case, rng: Random) -> None:
    tag = tag_of(case.image(0), rng).tag
    case.note = f"{tag:08X}"
    for file in case.all():
        file.elements = [e for e in file.elements if e.tag != tag]


@mutation("empty an element")
def _(case: Case, rng: Random) -> None:
    tag = tag_of(case.image(0), rng).tag
    case.note = f"{tag:08X}"
    for file in case.some():
        for _, e in walk(file.elements):
            if e.tag == tag:
                e.value, e.items = b"", None if e.items is None else []


@mutation("swap the values of two elements")
def _(case: Case, rng: Random) -> None:
    one, other = tag_of(case.image(0), rng).tag, tag_of(case.image(0), rng).tag
    case.note = f"{one:08X} {other:08X}"
    for file in case.some():
        here = [e for e in file.elements if e.tag == one]
        there = [e for e in file.elements if e.tag == other]
        if here and there:
            a, b = here[0], there[0]
            a.value, b.value, a.items, b.items = b.value, a.value, b.items, a.items


@mutation("wrong value representation")
def _(case: Case, rng: Random) -> None:
    tag = tag_of(case.image(0), rng).tag
    vr = rng.choice([b"UI", b"DS", b"US", b"FD", b"SQ", b"OB", b"UN", b"LO", b"ZZ", b"\0\0", b"AT", b"DT", b"PN"])
    case.note = f"{tag:08X} {vr!r}"
    for file in case.some():
        for e in file.elements:
            if e.tag == tag:
                e.vr = vr


@mutation("text in a number")
def _(case: Case, rng: Random) -> None:
    _replace(case, rng, NUMERIC, NO_NUMBER)


@mutation("a number that is none, negative, zero or huge")
def _(case: Case, rng: Random) -> None:
    _replace(case, rng, [b"DS", b"IS"], SPECIAL)


@mutation("binary number at its limits")
def _(case: Case, rng: Random) -> None:
    file = case.image(0)
    candidates = [e for _, e in walk(file.elements) if e.vr in {b"US", b"UL", b"FD", b"FL", b"SS", b"SL"}]
    if not candidates:
        return
    tag = rng.choice(candidates).tag
    pattern = rng.choice([b"\xff", b"\0", b"\x80", b"\x7f", b"\x01"])
    case.note = f"{tag:08X} {pattern!r}"
    for each in case.some():
        for _, e in walk(each.elements):
            if e.tag == tag:
                e.value = pattern * len(e.value)


def _replace(case: Case, rng: Random, vrs: list[bytes], values: list[str]) -> None:
    file = case.image(0)
    candidates = [e for k in THAT_MATTER if (e := file.get(k)) and e.vr in vrs]
    if rng.random() < 0.4 or not candidates:
        candidates = [e for _, e in walk(file.elements) if e.vr in vrs]
    tag, value = rng.choice(candidates).tag, rng.choice(values)
    case.note = f"{tag:08X} {value!r}"
    for each in case.some():
        for _, e in walk(each.elements):
            if e.tag == tag:
                parts = e.value.split(b"\\")
                parts[rng.randrange(len(parts))] = value.encode("utf-8")
                e.value = b"\\".join(parts)
                e.value += b" " * (len(e.value) % 2)


@mutation("huge or odd length of an element")
def _(case: Case, rng: Random) -> None:
    file = case.one()
    element = tag_of(file, rng)
    element.stated_length = rng.choice(
        [0xFFFFFFFF, 0xFFFFFFFE, 0x7FFFFFFF, 0x80000000, 0xFFFF, len(element.value) + 1, 1, 0]
    )
    case.note = f"{element.keyword} {element.stated_length:X}"


@mutation("an element twice, with other content")
def _(case: Case, rng: Random) -> None:
    for file in case.some():
        element = tag_of(file, rng)
        again = element.copy()
        again.value = element.value[::-1]
        at = file.elements.index(element) if element in file.elements else 0
        file.elements.insert(at + rng.randrange(2), again)


@mutation("elements in random order")
def _(case: Case, rng: Random) -> None:
    for file in case.some():
        last = file.elements[-1:]
        rng.shuffle(rest := file.elements[:-1])
        file.elements = rest + last


@mutation("a sequence replaced by text", NOT_SILENT, lambda b: any(e.items is not None for e in b.files[-1].elements))
def _(case: Case, rng: Random) -> None:
    file = case.any_file()
    sequences = [e for _, e in walk(file.elements) if e.items is not None]
    if sequences:
        chosen = rng.choice(sequences)
        chosen.items, chosen.value, chosen.undefined = None, b"not a sequence  ", False
        chosen.vr = rng.choice([b"SQ", b"UT", b"LO", b"UN"])
        case.note = chosen.keyword


@mutation("deep nesting", NOT_SILENT)
def _(case: Case, rng: Random) -> None:
    depth, undefined = rng.choice([3, 60, 400, 1500]), rng.random() < 0.5
    case.note = f"{depth} {'undefined' if undefined else 'defined'}"
    nested = b""
    for _ in range(depth):
        if undefined:
            nested = b"\x40\x00\x75\x02SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" + nested
            nested += b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0"
        else:
            item = b"\xfe\xff\x00\xe0" + struct.pack("<I", len(nested)) + nested
            nested = b"\x40\x00\x75\x02SQ\0\0" + struct.pack("<I", len(item)) + item
    file = case.one()
    if file.explicit:
        content = file.written()
        at = content.index(struct.pack("<HH", 0x7FE0, 0x10))
        case.extra[file.name] = content[:at] + nested + content[at:]


@mutation("a sequence of undefined length that never ends", {REFUSED, TOLD, SAME})
def _(case: Case, rng: Random) -> None:
    file = case.one()
    lead = b"\xfe\xff\x00\xe0\xff\xff\xff\xff" if rng.random() < 0.5 else b""
    new = Element(0x00081110, b"SQ", lead, None, undefined=True)
    put(file.elements, new)


@mutation("group length, padding and unknown groups", {SAME})
def _(case: Case, rng: Random) -> None:
    for file in case.some():
        file.elements.insert(0, Element(0x00080000, b"UL", struct.pack("<I", rng.randrange(2**32))))
        file.elements.append(Element(0xFFFCFFFC, b"OB", rng.randbytes(64)))


@mutation("private blocks broken", NOT_SILENT)
def _(case: Case, rng: Random) -> None:
    for file in case.some():
        private = [e for e in file.elements if (e.tag >> 16) % 2]
        if not private:
            continue
        match rng.randrange(3):
            case 0:
                file.elements = [e for e in file.elements if not ((e.tag >> 16) % 2 and e.tag & 0xFFFF < 0x100)]
            case 1:
                for e in private:
                    e.value = rng.randbytes(len(e.value))
            case _:
                for e in private:
                    e.vr = b"UN"


@mutation("text of another character set", {SAME})
def _(case: Case, rng: Random) -> None:
    for file in case.some():
        for keyword in ("SeriesDescription", "PatientName", "InstitutionName", "StudyDescription"):
            file.set(
                keyword, rng.choice([b"\xff\xfe\xfd ", b"\xc3\x28", b"\x1b$B\x3b\x33", b"\0\0\0\0", "ü".encode() * 200])
            )


@mutation("a bad character set", {SAME, REFUSED, TOLD})
def _(case: Case, rng: Random) -> None:
    value = rng.choice(["ISO_IR 999", "utf8", "\\ISO 2022 IR 87", "\\\\\\", "", "ISO 2022 IR 6\\x", "GB18030", "\xff"])
    case.note = value
    for file in case.some():
        file.set("SpecificCharacterSet", value)


@mutation("instance or series identifiers that are none", NOT_SILENT | {HONEST})
def _(case: Case, rng: Random) -> None:
    keyword = rng.choice(["SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"])
    value = rng.choice(["", "not a uid", "1.2.3." + "9" * 100, "../../etc", "\0", "é"])
    case.note = f"{keyword} {value}"
    for file in case.some():
        file.set(keyword, value)
