"""What a study may choose about lesion identities."""

from __future__ import annotations

from attrs import frozen


@frozen
class TrackSettings:
    """When a match is doubted. Only `unevaluated_error_mm` changes matches; the others change Findings.

    Parameters
    ----------
    volume_ratio
        Larger over smaller volume of successive scans. [1] Default 3: a third of the volume is a 30 % smaller diameter,
        the size of a partial response [eisenhauer2009].
    centroid_shift_mm
        Distance of the centres of gravity in a shared frame of reference. [mm] Default 20: above breathing and
        repositioning of the liver, an engineering choice.
    uncertain_below
        Confidence of a match by position under which the alternative is reported. [1] Default 0.5: the match three times as
        probable as its rival, an engineering choice.
    unevaluated_error_mm
        Error of a registration that states none, one standard deviation of its length. [mm] Default 8.7: 5 mm along each
        axis, as after a rigid registration of breathing organs, an engineering choice.
    """

    volume_ratio: float = 3.0
    centroid_shift_mm: float = 20.0
    uncertain_below: float = 0.5
    unevaluated_error_mm: float = 8.7
