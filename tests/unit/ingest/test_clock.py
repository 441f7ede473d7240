"""Times of DICOM headers as instants, and what names none."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from lutra.core.time import in_utc
from lutra.ingest.clock import parse

NOON = datetime(2026, 1, 12, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("stamp", "zone", "offset"),
    [
        ("20260112120000", "UTC", ""),
        ("202601121200", "UTC", ""),
        ("20260112120000.000000 ", "UTC", ""),
        ("20260112130000", "Europe/Brussels", ""),
        ("20260112173000", "Europe/Brussels", "+0530"),
        ("20260112040000-0800", "Europe/Brussels", "+0530"),  # the stamp's own zone goes first
    ],
)
def test_one_instant_in_many_words(stamp: str, zone: str, offset: str) -> None:
    read = parse(stamp, zone, offset)
    assert read is not None
    assert in_utc(read) == NOON


@pytest.mark.parametrize(
    "stamp",
    [
        "",
        "20260112",
        "2026011212",
        "120000",
        "20261312120000",
        "20260112246000",
        "99991231235959-1200",  # would be in the year 10000
        "00010101000000+1400",  # would be before the year 1
        "20260112120000.x",
        "20260112120000+9",
    ],
)
def test_what_names_no_instant(stamp: str) -> None:
    assert parse(stamp, "UTC") is None
