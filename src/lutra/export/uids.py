"""Unique identifiers that follow from what they identify."""

from __future__ import annotations

import hashlib

IMPLEMENTATION = "2.25.296830135441563291650389166139527421063"
"""Names this writer in file headers; drawn once."""


def stable_uid(*parts: str) -> str:
    """UID of the kind 2.25 (PS3.5 B.2) that is the same for the same parts.

    Returns
    -------
    str
        At most 44 characters.
    """
    hashed = hashlib.sha256("\0".join(parts).encode()).digest()
    return f"2.25.{int.from_bytes(hashed[:16], 'big')}"
