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
    """

    lesion_name_patterns: tuple[str, ...] = field(default=(), converter=tuple)
