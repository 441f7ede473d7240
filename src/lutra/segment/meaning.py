"""What the name and the code of a region say it is."""

from __future__ import annotations

import re

from lutra.core.errors import ProtocolError
from lutra.core.region import ConceptCode, RegionKind
from lutra.reference.region_names import LESION_CODE, code_of_name, kind_of_code, look_up, simplified, snomed_of
from lutra.segment.settings import SegmentSettings


def meaning(
    name: str, code: ConceptCode | None, settings: SegmentSettings
) -> tuple[RegionKind | None, ConceptCode | None]:
    """Tell lesion, organ and other apart; None if neither name nor code is known.

    The study's own patterns come first, then the author's code, then the table of names. A code that the author gave is kept,
    but for those of the Foundational Model of Anatomy, which become the SNOMED CT code of the same structure.

    Raises
    ------
    ProtocolError
        If a pattern of the settings is not a regular expression.
    """
    text = simplified(name)
    code = snomed_of(code) if code else None
    for pattern in settings.lesion_name_patterns:
        try:
            if re.search(pattern, text):
                return RegionKind.LESION, code or LESION_CODE
        except re.error as error:
            raise ProtocolError(
                f"{pattern!r} is not a regular expression: {error}",
                where="protocol.toml, segment.lesion_name_patterns",
                do="correct it",
            ) from error
    kind = kind_of_code(code) if code else None
    if kind is not None:
        return kind, code
    row = look_up(name)
    return (row.kind, code or code_of_name(name)) if row else (None, code)
