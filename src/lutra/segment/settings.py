"""What a study may choose about regions."""

from __future__ import annotations

from attrs import field, frozen


@frozen
class SegmentSettings:
    """Settings of the stage.

    Parameters
    ----------
    lesion_name_patterns
        Regular expressions for names that mean a lesion in this study, tried before the shipped table
        (reference/region_names.toml) on the name in lower case with words and numbers apart. Default: none, the
        table alone.
    volume_change_limit
        Relative change of volume from which a propagated region is doubted. [1] 0.15: the volume of a kidney or a liver
        measured twice differs by a few per cent, and a map that changes it three times as much has followed something else.
        Our own choice.
    """

    lesion_name_patterns: tuple[str, ...] = field(default=(), converter=tuple)
    volume_change_limit: float = 0.15
