"""Whether two images of one kind may be compared by their numbers at all."""

from __future__ import annotations

import re

from lutra.core.study import Role, SeriesHeader

PET = {Role.FDG_PET, Role.SSTR_PET, Role.OTHER_PET}


def differences(before: SeriesHeader, after: SeriesHeader, role: Role) -> tuple[str, ...]:
    """Name what was not the same in two images, of what is known to change their numbers.

    Scanner by manufacturer, model and serial number; for PET also reconstruction, voxel size and the EARL standard a series says
    it was reconstructed to: between EARL1 and EARL2 an SUV differs by 23-30 %. What neither file says is not compared; what one
    of them says and the other does not, differs.

    Returns
    -------
    tuple
        Sentences, empty if nothing is known to differ.
    """
    pairs = [
        ("manufacturer", before.manufacturer, after.manufacturer),
        ("model", before.model, after.model),
        ("serial number", before.camera.serial_number, after.camera.serial_number),
    ]
    if role in PET:
        pairs += [
            ("reconstruction", before.reconstruction, after.reconstruction),
            ("voxel size", _voxel(before), _voxel(after)),
            ("standard", _earl(before), _earl(after)),
        ]
    found = [f"{what} {one or 'not stated'} and {other or 'not stated'}" for what, one, other in pairs if one != other]
    return tuple(found)


def _voxel(header: SeriesHeader) -> str:
    if header.grid is None:
        return ""
    # Three digits: headers round spacings differently.
    return " × ".join(f"{mm:.3g}" for mm in header.grid.spacing_mm) + " mm"


def _earl(header: SeriesHeader) -> str:
    """EARL standard named in the series description, where sites write it; DICOM has no place for it."""
    named = re.search(r"\bEARL[ _-]?([12])\b", header.description, re.IGNORECASE)
    return f"EARL{named[1]}" if named else ""
