"""A DICOM file as bare elements: what a mutator needs and a proper library refuses to write.

Parses and writes little-endian files, explicit or implicit. Values stay bytes, sequences become lists of items; a written file has
whatever it is told to have, wrong lengths included.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from attrs import define, field
from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword

LONG = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
ITEM, ITEM_END, SEQUENCE_END = (b"\xfe\xff\x00\xe0", b"\xfe\xff\x0d\xe0", b"\xfe\xff\xdd\xe0")
UNDEFINED = 0xFFFFFFFF
IMPLICIT = b"1.2.840.10008.1.2"
EXPLICIT = b"1.2.840.10008.1.2.1"
PIXELS = 0x7FE00010


@define
class Element:
    """One element; `items` instead of `value` for a sequence, `stated_length` where it lies about its length."""

    tag: int
    vr: bytes
    value: bytes = b""
    items: list[list[Element]] | None = None
    undefined: bool = False
    stated_length: int | None = None

    @property
    def keyword(self) -> str:
        return keyword_for_tag(self.tag)

    @property
    def text(self) -> str:
        return self.value.decode("latin-1").strip("\0 ")

    def copy(self) -> Element:
        items = None if self.items is None else [[e.copy() for e in item] for item in self.items]
        return Element(self.tag, self.vr, self.value, items, self.undefined, self.stated_length)


@define
class RawFile:
    """Name, file meta information and data set of a DICOM file."""

    name: str
    meta: list[Element]
    elements: list[Element] = field(factory=list)
    preamble: bytes = b"\0" * 128
    mark: bytes = b"DICM"

    @property
    def explicit(self) -> bool:
        return all(e.value.strip(b"\0 ") != IMPLICIT for e in self.meta if e.tag == 0x00020010)

    def copy(self) -> RawFile:
        return RawFile(
            self.name, [e.copy() for e in self.meta], [e.copy() for e in self.elements], self.preamble, self.mark
        )

    def get(self, keyword: str) -> Element | None:
        tag = tag_for_keyword(keyword)
        return next((e for e in self.elements if e.tag == tag), None)

    def text(self, keyword: str) -> str:
        found = self.get(keyword)
        return found.text if found else ""

    def set(self, keyword: str, value: str | bytes, within: list[Element] | None = None) -> None:
        """Give an element bytes as they are, adding it in its place; text is padded to even length."""
        tag = tag_for_keyword(keyword)
        assert tag is not None
        raw = value.encode("latin-1", "replace") if isinstance(value, str) else value
        raw += (b"\0" if keyword.endswith("UID") else b" ") * (len(raw) % 2)
        put(self.elements if within is None else within, Element(int(tag), dictionary_VR(tag).encode()[:2], raw))

    def number(self, keyword: str) -> int:
        """Value of a US element."""
        found = self.get(keyword)
        return int.from_bytes(found.value[:2], "little") if found else 0

    def set_number(self, keyword: str, value: int) -> None:
        tag = int(tag_for_keyword(keyword) or 0)
        put(self.elements, Element(tag, b"US", struct.pack("<H", value)))

    def drop(self, keyword: str) -> None:
        tag = tag_for_keyword(keyword)
        self.elements = [e for e in self.elements if e.tag != tag]

    def sequence(self, keyword: str) -> list[Element]:
        """First item of a sequence, to be changed in place; an empty stray list where there is none."""
        found = self.get(keyword)
        return found.items[0] if found and found.items else []

    def written(self) -> bytes:
        meta = b"".join(_written(e, explicit=True) for e in self.meta if e.tag != 0x00020000)
        group_length = _written(Element(0x00020000, b"UL", struct.pack("<I", len(meta))), explicit=True)
        body = b"".join(_written(e, explicit=self.explicit) for e in self.elements)
        return self.preamble + self.mark + group_length + meta + body


def put(elements: list[Element], new: Element) -> None:
    """Replace an element, keeping its VR, or insert it in order of tags."""
    for n, old in enumerate(elements):
        if old.tag == new.tag:
            new.vr = old.vr if new.vr != b"SQ" else new.vr
            elements[n] = new
            return
        if old.tag > new.tag:
            elements.insert(n, new)
            return
    elements.append(new)


def parse(name: str, content: bytes) -> RawFile:
    """Parse a whole little-endian file."""
    assert content[128:132] == b"DICM", name
    position, meta = 132, []
    while content[position : position + 2] == b"\x02\x00":
        element, position = _element(content, position, explicit=True)
        meta.append(element)
    file = RawFile(name, meta)
    file.elements = _elements(content, position, len(content), explicit=file.explicit)[0]
    return file


def _elements(content: bytes, position: int, end: int, *, explicit: bool) -> tuple[list[Element], int]:
    elements = []
    while position < end:
        if content[position : position + 4] == ITEM_END:
            return elements, position + 8
        element, position = _element(content, position, explicit=explicit)
        elements.append(element)
    return elements, position


def _element(content: bytes, position: int, *, explicit: bool) -> tuple[Element, int]:
    group, number = struct.unpack_from("<HH", content, position)
    tag = group << 16 | number
    if explicit:
        vr = content[position + 4 : position + 6]
        if vr in LONG:
            (length,) = struct.unpack_from("<I", content, position + 8)
            position += 12
        else:
            (length,) = struct.unpack_from("<H", content, position + 6)
            position += 8
    else:
        (length,) = struct.unpack_from("<I", content, position + 4)
        position += 8
        try:
            vr = dictionary_VR(tag).encode()[:2]
        except KeyError:
            vr = b"UN"
    undefined = length == UNDEFINED
    if vr == b"SQ" or (undefined and tag != PIXELS):
        items, position = _items(content, position, None if undefined else position + length, explicit=explicit)
        return Element(tag, vr, b"", items, undefined), position
    if undefined:  # compressed pixels, kept as one piece
        end = content.index(SEQUENCE_END, position)
        return Element(tag, vr, content[position : end + 8], None, undefined=True), end + 8
    return Element(tag, vr, content[position : position + length]), position + length


def _items(content: bytes, position: int, end: int | None, *, explicit: bool) -> tuple[list[list[Element]], int]:
    items = []
    while end is None or position < end:
        mark = content[position : position + 4]
        (length,) = struct.unpack_from("<I", content, position + 4)
        position += 8
        if mark == SEQUENCE_END:
            break
        assert mark == ITEM, position
        stop = len(content) if length == UNDEFINED else position + length
        item, position = _elements(content, position, stop, explicit=explicit)
        items.append(item)
    return items, position


def _written(element: Element, *, explicit: bool) -> bytes:
    if element.items is not None:
        value = b"".join(_item(item, explicit=explicit, undefined=element.undefined) for item in element.items)
        value += SEQUENCE_END + bytes(4) if element.undefined else b""
    else:
        value = element.value
    length = UNDEFINED if element.undefined else len(value)
    length = length if element.stated_length is None else element.stated_length
    head = struct.pack("<HH", element.tag >> 16, element.tag & 0xFFFF)
    if not explicit:
        return head + struct.pack("<I", length & UNDEFINED) + value
    if element.vr in LONG:
        return head + element.vr + bytes(2) + struct.pack("<I", length & UNDEFINED) + value
    return head + element.vr + struct.pack("<H", length & 0xFFFF) + value


def _item(item: list[Element], *, explicit: bool, undefined: bool) -> bytes:
    content = b"".join(_written(e, explicit=explicit) for e in item)
    if undefined:
        return ITEM + struct.pack("<I", UNDEFINED) + content + ITEM_END + bytes(4)
    return ITEM + struct.pack("<I", len(content)) + content


def walk(elements: list[Element]) -> Iterator[tuple[list[Element], Element]]:
    """Every element at any depth, with the list it is in."""
    for element in elements:
        yield elements, element
        for item in element.items or []:
            yield from walk(item)
