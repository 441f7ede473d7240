"""Settings of the ingest stage."""

from __future__ import annotations

from attrs import frozen


@frozen
class IngestSettings:
    """How files are read.

    Parameters
    ----------
    time_zone
        IANA zone for files that name none (0008,0201); each such series carries a Finding.
    slice_gap_tolerance
        Deviation of a slice distance from the median one, relative to it, up to which nothing is said. 0.01 is the rounding
        of positions that real scanners write (1.953 and 1.954 mm in one series).
    slice_gap_limit
        Deviation from which the series is refused. The worst join of PET beds seen is 2.4 %, a missing slice is 100 %.
    """

    time_zone: str = "UTC"
    slice_gap_tolerance: float = 0.01
    slice_gap_limit: float = 0.1
