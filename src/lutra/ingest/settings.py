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


@frozen
class UnpackSettings:
    """What a zip, tar or gz file may grow to before it is taken for a bomb and refused.

    Parameters
    ----------
    max_gb
        Unpacked size of one container. [1e9 byte]
    max_ratio
        Unpacked over packed size. [1] Real images reach 2 to 10, label maps of a few organs 200; deflate ends at 1032.
    ratio_counts_from_mb
        Unpacked size below which any ratio is harmless. [1e6 byte]
    max_members
        Number of files in one container.
    """

    max_gb: float = 200.0
    max_ratio: float = 300.0
    ratio_counts_from_mb: float = 500.0
    max_members: int = 1_000_000
