"""What a study may choose about alignment."""

from __future__ import annotations

from attrs import frozen


@frozen
class AlignSettings:
    """Settings of the stage. A shared frame of reference leaves nothing to choose."""
