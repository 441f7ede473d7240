"""Nuclides as headers name them: by code, or in words."""

from __future__ import annotations

import re

NUCLIDE_CODES = {
    "C-111A1": "F-18",
    "C-131A3": "Ga-68",
    "C-127A2": "Cu-64",
    "C-145A4": "In-111",
    "C-163A8": "Tc-99m",
    "C-105A1": "C-11",
    "C-101ED": "Lu-177",
}
"""SNOMED-RT codes of DICOM PS3.16 CID 4020 and CID 18; other schemes are read by their code meaning."""

ELEMENTS = {
    "actinium": "Ac",
    "bismuth": "Bi",
    "carbon": "C",
    "copper": "Cu",
    "fluorine": "F",
    "gallium": "Ga",
    "holmium": "Ho",
    "indium": "In",
    "iodine": "I",
    "lead": "Pb",
    "lutetium": "Lu",
    "manganese": "Mn",
    "nitrogen": "N",
    "oxygen": "O",
    "radium": "Ra",
    "rhenium": "Re",
    "rubidium": "Rb",
    "samarium": "Sm",
    "scandium": "Sc",
    "technetium": "Tc",
    "terbium": "Tb",
    "thallium": "Tl",
    "yttrium": "Y",
    "zirconium": "Zr",
}

IN_USE = {
    *(
        "C-11",
        "N-13",
        "O-15",
        "F-18",
        "Sc-43",
        "Sc-44",
        "Sc-47",
        "Mn-52",
        "Cu-60",
        "Cu-61",
        "Cu-62",
        "Cu-64",
        "Cu-67",
        "Ga-66",
    ),
    *(
        "Ga-67",
        "Ga-68",
        "Rb-82",
        "Y-86",
        "Y-90",
        "Zr-89",
        "Tc-94m",
        "Tc-99m",
        "In-111",
        "I-123",
        "I-124",
        "I-125",
        "I-131",
    ),
    *(
        "Sm-153",
        "Tb-149",
        "Tb-152",
        "Tb-155",
        "Tb-161",
        "Ho-166",
        "Lu-177",
        "Re-186",
        "Re-188",
        "Tl-201",
        "Pb-203",
        "Pb-212",
    ),
    *("Bi-213", "Ra-223", "Ac-225"),
}
"""Nuclides of nuclear medicine. Without this list `123 mg` and `10 in` would read as nuclides."""

MASS_FIRST = re.compile(r"(?<![\dA-Za-z])(?P<mass>\d{1,3})(?P<meta>m?)[^\dA-Za-z]*(?P<element>[A-Za-z]+)")
ELEMENT_FIRST = re.compile(r"(?<![A-Za-z])(?P<element>[A-Za-z]+)[^\dA-Za-z]*(?P<mass>\d{1,3})(?P<meta>m?)(?!\d)")


def nuclide_from_words(words: str) -> str | None:
    """Read `177 Lutetium`, `^68^Gallium`, `18F`, `F-18` or `Lutetium-177` as `Lu-177` and the like; None if it names no nuclide."""
    for pattern in (MASS_FIRST, ELEMENT_FIRST):
        for match in pattern.finditer(words):
            element = match["element"]
            symbol = ELEMENTS.get(element.lower(), element.capitalize())
            name = f"{symbol}-{match['mass']}{match['meta']}"
            if name in IN_USE:
                return name
    return None
