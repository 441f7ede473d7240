"""Every way in which a file of a scanner, an archive or a USB stick has been seen to be wrong, and some that have not.

A mutation says what may become of the numbers. The strictest that can be defended is chosen: a contradiction within a series must
be refused or told, damage that cannot matter must change nothing, a change that every slice agrees on must give exactly the number
worked out beside it. The modules `mutate_*` hold them; importing :mod:`mutator` collects them.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from .case import SAFE, Case, Mutation
from .raw import Element, RawFile, walk
from .sources import Base

MUTATIONS: list[Mutation] = []
Change = Callable[[Case, Random], None]

NUMERIC = [b"DS", b"IS", b"US", b"UL", b"FD", b"FL", b"SS", b"SL"]
THAT_MATTER = [
    *("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "SamplesPerPixel"),
    *(
        "RescaleSlope",
        "RescaleIntercept",
        "RescaleType",
        "PixelSpacing",
        "ImagePositionPatient",
        "ImageOrientationPatient",
    ),
    *("PhotometricInterpretation", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID"),
    *("SOPClassUID", "Modality", "PatientID", "PatientWeight", "PatientSize", "PatientSex", "Units", "DecayCorrection"),
    *("AcquisitionDate", "AcquisitionTime", "SeriesDate", "SeriesTime", "TimezoneOffsetFromUTC", "DecayFactor"),
    *("FrameReferenceTime", "ActualFrameDuration", "CorrectedImage", "ImageType", "NumberOfSlices", "Manufacturer"),
    *("RadiopharmaceuticalInformationSequence", "SpecificCharacterSet", "NumberOfFrames"),
]
SPECIAL = [
    "NaN",
    "inf",
    "-inf",
    "1e400",
    "-1e400",
    "0",
    "-0",
    "-1",
    "1e-400",
    "1e39",
    "999999999999",
    "0x10",
    "1,5",
    "1_000",
    "١٢",
]
NO_NUMBER = ["forty-two", "--", "?", "n/a", "1.2.3", "12 mm", "\0", "\x1b$B", "1\\2\\3\\4\\5\\6\\7", "é"]


def mutation(
    name: str,
    allowed: frozenset[str] = SAFE,
    fits: Callable[[Base], bool] = lambda base: bool(base.images),
    must_refuse: tuple[str, ...] = (),
) -> Callable[[Change], Change]:
    def register(change: Change) -> Change:
        MUTATIONS.append(Mutation(name, change, frozenset(allowed), fits, frozenset(must_refuse)))
        return change

    return register


def classic(base: Base) -> bool:
    """One slice per file, so that one slice can contradict the others."""
    return base.classic and len(base.images) > 1


def is_nm(base: Base) -> bool:
    return bool(base.images) and base.modality == "NM"


def is_pt(base: Base) -> bool:
    return bool(base.images) and base.modality == "PT"


def has_agent(base: Base) -> bool:
    return is_pt(base) and bool(base.images[0].sequence("RadiopharmaceuticalInformationSequence"))


def in_bqml(base: Base) -> bool:
    """SUV rests on weight and activity, not on a factor of the maker's."""
    return has_agent(base) and base.images[0].text("Units") == "BQML"


def without_private_factor(base: Base) -> bool:
    """Counts of such a PET say nothing; others may carry the maker's factor to SUV."""
    return is_pt(base) and all(e.tag != 0x70531000 for e in base.images[0].elements)


def is_image(base: Base) -> bool:
    """Voxels, not regions or doses."""
    return bool(base.images) and base.modality not in {"SEG", "RTDOSE"}


def has_structure(base: Base) -> bool:
    return bool(base.others) and base.others[0].text("Modality") == "RTSTRUCT"


def stacked(base: Base) -> bool:
    """Slices at different places, one volume."""
    places = {f.text("ImagePositionPatient") for f in base.images}
    return len(base.images) > 3 and len(places) == len(base.images)


def has(keyword: str) -> Callable[[Base], bool]:
    return lambda base: bool(base.images) and base.images[0].get(keyword) is not None


def tag_of(file: RawFile, rng: Random) -> Element:
    """An element that matters, or any."""
    if rng.random() < 0.6:
        known = [e for k in THAT_MATTER if (e := file.get(k))]
        if known:
            return rng.choice(known)
    return rng.choice([e for _, e in walk(file.elements)])
