"""Objects that no rule about elements makes safe."""

from __future__ import annotations

from pydicom import Dataset
from pydicom.tag import BaseTag
from pydicom.uid import UID

from lutra.core.errors import InputError
from lutra.ingest.deidentify.dates import OFFSET
from lutra.ingest.elements import many, text
from lutra.reference.deidentification import deidentification_table

SEGMENTATIONS = {"1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"}


def is_overlay(tag: BaseTag) -> bool:
    """Tell whether an element belongs to an overlay, group 60xx."""
    return tag.group & 0xFF00 == 0x6000


def require_safe(file: Dataset, where: str) -> None:
    """Raise unless the object is one whose content is known: no pictures of text, documents, overlays in pixels.

    Raises
    ------
    InputError
        With what was found and what to do instead.
    """
    table = deidentification_table()
    sop_class = text(file, "SOPClassUID")
    if sop_class not in table.classes:
        raise InputError(
            f"objects of class {UID(sop_class).name or 'unknown'} cannot be de-identified",
            where=f"{where} (0008,0016)",
            required="an image of CT, PET, MR or NM, or RTSTRUCT, RTDOSE, SEG, a parametric map or a registration: documents, "
            "reports, captures and raw data hold text and pictures of text",
            do="leave it out; what it says about a dose or a lesion can be entered in the study's tables",
        )
    if text(file, "BurnedInAnnotation").upper() not in ("", "NO"):
        raise InputError(
            f"text may be burned into the picture: Burned In Annotation is {text(file, 'BurnedInAnnotation')}",
            where=f"{where} (0028,0301)",
            required="NO",
            do="leave it out, or export the original image without annotations",
        )
    kind = "\\".join(str(part) for part in many(file, "ImageType")).upper()
    if any(word in kind for word in table.screens) or text(file, "ConversionType"):
        raise InputError(
            f"a picture of a screen, not an image: Image Type {kind}, Conversion Type {text(file, 'ConversionType') or 'none'}",
            where=f"{where} (0008,0008), (0008,0064)",
            required="an image as acquired or reconstructed",
            do="leave it out",
        )
    colour = text(file, "PhotometricInterpretation")
    if "PixelData" in file and not colour.startswith("MONOCHROME") and sop_class not in SEGMENTATIONS:
        raise InputError(
            f"a colour picture ({colour or 'no photometric interpretation'}), which may show text",
            where=f"{where} (0028,0004)",
            required="MONOCHROME1 or MONOCHROME2",
            do="leave it out, or export the image it was made from",
        )
    if any(
        is_overlay(tag) and tag.element == 0x0100 and file[tag].value not in (None, "", 1)
        for tag in file.keys()  # noqa: SIM118  (iterating a Dataset converts every element)
    ):
        raise InputError(
            "an overlay is stored in unused bits of the pixels",
            where=f"{where} (60xx,0100)",
            required="pixels that hold the image alone",
            do="export it with overlays apart, or without",
        )
    offset = text(file, "TimezoneOffsetFromUTC")
    if offset and not OFFSET.fullmatch(offset):
        raise InputError(
            f"Timezone Offset From UTC is {offset}",
            where=f"{where} (0008,0201)",
            required="such as +0100",
            do="correct it at its source",
        )
