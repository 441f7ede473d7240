"""UIDs that follow from what they identify."""

from __future__ import annotations

import hashlib
import uuid

from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import UID

from lutra.export import stable_uid
from lutra.export.uids import IMPLEMENTATION


def test_is_the_uuid_of_the_hash() -> None:
    """PS3.5 B.2: 2.25 and the UUID as one decimal integer."""
    expected = uuid.UUID(bytes=hashlib.sha256(b"SIM-001/1\x00adc").digest()[:16]).int
    assert stable_uid("SIM-001/1", "adc") == f"2.25.{expected}"


@given(st.lists(st.text("aé/-1 ", max_size=9), max_size=4))
def test_is_always_valid(parts: list[str]) -> None:
    uid = UID(stable_uid(*parts))
    assert uid.is_valid
    assert len(uid) <= 64


def test_parts_do_not_run_together() -> None:
    assert stable_uid("cycle-1", "0") != stable_uid("cycle-", "10")
    assert UID(IMPLEMENTATION).is_valid
