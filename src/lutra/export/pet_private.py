"""How GE and Philips state PET in elements of their own, as the readers of this program and others expect them.

GE: group (0009) of `GEMS_PETD_01`, element 0D the scan time that decay is corrected to. Philips: group (7053) of
`Philips PET Private Group`, element 00 from counts to SUVbw, 09 from counts to Bq/mL.
"""

from __future__ import annotations

from pydicom import Dataset

from lutra.core.errors import UsageError
from lutra.core.study import SeriesHeader
from lutra.export.part10 import datetime_text

CNTS = "CNTS"
PHILIPS_ELEMENTS = {"philips_suv": 0x00, "philips_activity": 0x09}


def stored_scale(header: SeriesHeader) -> float:
    """Bq/mL per stored unit: 1, or the activity factor of counts.

    Raises
    ------
    UsageError
        For counts without that factor.
    """
    if header.stored_unit != CNTS:
        return 1.0
    factor = header.vendor_factors.get("philips_activity", 0.0)
    if not factor > 0:
        raise UsageError(
            "counts without an activity factor",
            where=f"series {header.series_uid}",
            required="vendor_factors with philips_activity, in Bq/mL per count",
        )
    return factor


def told_without_date(header: SeriesHeader) -> bool:
    """Whether the administration is told by its time of day alone, as GE does."""
    return header.scan_reference_at is not None


def private_elements(dataset: Dataset, header: SeriesHeader) -> None:
    """Write what the header has of either maker's elements."""
    if header.scan_reference_at is not None:
        block = dataset.private_block(0x0009, "GEMS_PETD_01", create=True)
        block.add_new(0x0D, "DT", datetime_text(header.scan_reference_at))
    factors = {
        PHILIPS_ELEMENTS[name]: factor for name, factor in header.vendor_factors.items() if name in PHILIPS_ELEMENTS
    }
    if factors:
        block = dataset.private_block(0x7053, "Philips PET Private Group", create=True)
        for element, factor in factors.items():
            block.add_new(element, "DS", f"{factor:.10g}")
