"""What a study may choose about lesion identities."""

from __future__ import annotations

from attrs import frozen


@frozen
class TrackSettings:
    """When two regions of one name are doubted to be one lesion. Neither setting changes a match, only its Findings.

    Parameters
    ----------
    volume_ratio
        Larger over smaller volume of successive scans. [1] Default 3: a third of the volume is a 30 % smaller diameter,
        the size of a partial response [eisenhauer2009].
    centroid_shift_mm
        Distance of the centres of gravity in a shared frame of reference. [mm] Default 20: above breathing and
        repositioning of the liver, an engineering choice.
    """

    volume_ratio: float = 3.0
    centroid_shift_mm: float = 20.0
