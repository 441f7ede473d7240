"""Intervals before and after a shift of dates, read as Lutra reads them, also where summer time begins or ends in between."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset, Sequence

from lutra.core.errors import InputError
from lutra.core.time import seconds_between
from lutra.ingest.clock import moment, parse
from lutra.ingest.deidentify.dates import Calendar, coarse_age, local_offset, offset_text

from .planted import ID, KEY, cleaned, ct, saved

BRUSSELS = "Europe/Brussels"
DAYS = KEY.shift_days(ID)
locals_ = st.datetimes(datetime(1997, 1, 1), datetime(2060, 1, 1))  # noqa: DTZ001
shifts = st.integers(-5000, 5000)


def pet(acquired: datetime, administered: datetime) -> Dataset:
    """A slice without a zone: acquisition as DA and TM, administration as DT."""
    file = ct()
    for what in ("Study", "Series", "Acquisition", "Content"):
        setattr(file, f"{what}Date", f"{acquired:%Y%m%d}")
        setattr(file, f"{what}Time", f"{acquired:%H%M%S}")
    item = Dataset()
    item.RadiopharmaceuticalStartDateTime = f"{administered:%Y%m%d%H%M%S}.00"
    file.RadiopharmaceuticalInformationSequence = Sequence([item])
    return file


def elapsed_s(file: Dataset) -> float:
    """Seconds from administration to acquisition, as the ingest stage reads the two in Brussels. [s]"""
    acquired = moment(file, "AcquisitionDate", "AcquisitionTime", BRUSSELS)
    stamp = file.RadiopharmaceuticalInformationSequence[0].RadiopharmaceuticalStartDateTime
    administered = parse(str(stamp), BRUSSELS, str(file.get("TimezoneOffsetFromUTC", "")))
    assert acquired is not None
    assert administered is not None
    return seconds_between(administered, acquired)


@pytest.mark.parametrize(
    ("administered", "acquired", "hours"),
    [
        (datetime(2018, 3, 24, 9, 0), datetime(2018, 3, 25, 9, 0), 23),  # noqa: DTZ001
        (datetime(2018, 10, 27, 9, 0), datetime(2018, 10, 28, 9, 0), 25),  # noqa: DTZ001
        (datetime(2018, 6, 1, 9, 0), datetime(2018, 6, 2, 9, 0), 24),  # noqa: DTZ001
        (datetime(2018, 3, 21, 9, 0), datetime(2018, 3, 28, 10, 0), 168),  # noqa: DTZ001
    ],
)
def test_hours_over_a_change_of_the_clock(
    tmp_path: Path, administered: datetime, acquired: datetime, hours: float
) -> None:
    """By hand: the clock goes forward in the night to 25 March 2018, back in the night to 28 October."""
    file = pet(acquired, administered)
    assert elapsed_s(file) == hours * 3600
    _, after = cleaned(saved(tmp_path / "a.dcm", file), time_zone=BRUSSELS)
    assert elapsed_s(after) == hours * 3600
    assert after.AcquisitionTime == file.AcquisitionTime
    moved = date.fromisoformat(str(after.AcquisitionDate)) - date.fromisoformat(str(file.AcquisitionDate))
    assert moved == timedelta(days=DAYS)


def test_a_plain_shift_would_be_an_hour_off() -> None:
    """What the offset is written for: the same two local times, a year earlier, are 24 h apart and not 23."""
    administered, acquired = datetime(2018, 3, 24, 9, 0), datetime(2018, 3, 25, 9, 0)  # noqa: DTZ001
    year = timedelta(days=366)
    assert elapsed_s(pet(acquired - year, administered - year)) == 24 * 3600


def test_two_scans_of_two_files_stay_as_far_apart(tmp_path: Path) -> None:
    times = [datetime(2018, 3, 24, 13, 0), datetime(2018, 3, 25, 13, 0), datetime(2018, 3, 31, 13, 0)]  # noqa: DTZ001
    before = [pet(t, times[0]) for t in times]
    after = [cleaned(saved(tmp_path / f"{n}.dcm", file), time_zone=BRUSSELS)[1] for n, file in enumerate(before)]

    def apart(files: list[Dataset]) -> list[float]:
        moments = [moment(f, "AcquisitionDate", "AcquisitionTime", BRUSSELS) for f in files]
        return [seconds_between(moments[0], m) for m in moments]  # type: ignore[arg-type]

    assert apart(after) == apart(before) == [0, 23 * 3600, 167 * 3600]


@given(locals_, locals_, shifts)
def test_no_interval_changes_whatever_the_shift(one: datetime, other: datetime, days: int) -> None:
    """Law: DA with TM against DT, both without a zone in the original, for any two local times of Brussels."""
    day, time, stamp = f"{one:%Y%m%d}", f"{one:%H%M%S}", f"{other:%Y%m%d%H%M%S}"
    before = seconds_between(parse(day + time, BRUSSELS), parse(stamp, BRUSSELS))  # type: ignore[arg-type]
    offset = local_offset(day, time, BRUSSELS)
    calendar = Calendar(days, BRUSSELS, offset)
    moved_day, moved_time = calendar.date_and_time(day, time)
    moved_stamp = calendar.stamp(stamp)
    assert offset is not None
    after = seconds_between(
        parse(f"{moved_day}{moved_time}", "Asia/Tokyo", offset_text(offset)),  # type: ignore[arg-type]
        parse(str(moved_stamp), "Asia/Tokyo"),  # type: ignore[arg-type]
    )
    assert after == before


@given(locals_, locals_, shifts)
def test_two_times_of_one_file_keep_their_distance_on_two_sides_of_a_change(
    one: datetime, other: datetime, days: int
) -> None:
    """Series and acquisition in one file, which has one offset: the second is written in the offset of the first."""
    first, second = ((f"{t:%Y%m%d}", f"{t:%H%M%S}") for t in (one, other))
    calendar = Calendar(days, BRUSSELS, local_offset(*first, BRUSSELS))
    assert calendar.offset is not None
    offset = offset_text(calendar.offset)
    before = seconds_between(parse("".join(first), BRUSSELS), parse("".join(second), BRUSSELS))  # type: ignore[arg-type]
    moved = [parse("".join(str(part) for part in calendar.date_and_time(*t)), "UTC", offset) for t in (first, second)]
    assert seconds_between(*moved) == before  # type: ignore[arg-type]


def test_a_file_that_names_its_zone_keeps_it(tmp_path: Path) -> None:
    file = pet(datetime(2018, 7, 2, 9, 0), datetime(2018, 7, 1, 9, 0))  # noqa: DTZ001
    file.TimezoneOffsetFromUTC = "-0330"
    _, after = cleaned(saved(tmp_path / "a.dcm", file), time_zone=BRUSSELS)
    assert after.TimezoneOffsetFromUTC == "-0330"
    assert "+" not in after.RadiopharmaceuticalInformationSequence[0].RadiopharmaceuticalStartDateTime
    assert elapsed_s(after) == 24 * 3600


def test_the_date_in_a_vendors_element_moves_too(tmp_path: Path) -> None:
    """GE (0009,100D): scan date and time, which decay correction START refers to."""
    for as_bytes in (False, True):
        file = ct()
        block = file.private_block(0x0009, "GEMS_PETD_01", create=True)
        stamp = "20180325101112.00"
        block.add_new(0x0D, *(("UN", stamp.encode()) if as_bytes else ("DT", stamp)))
        _, after = cleaned(saved(tmp_path / "a.dcm", file), time_zone=BRUSSELS)
        day = f"{date(2018, 3, 25) + timedelta(days=DAYS):%Y%m%d}"
        assert str(after.private_block(0x0009, "GEMS_PETD_01")[0x0D].value) == f"{day}101112.00+0200"


def test_an_administration_time_without_a_date_across_the_change_is_refused(tmp_path: Path) -> None:
    file = pet(datetime(2018, 3, 25, 4, 0), datetime(2018, 3, 25, 1, 0))  # noqa: DTZ001
    item = file.RadiopharmaceuticalInformationSequence[0]
    del item.RadiopharmaceuticalStartDateTime
    item.RadiopharmaceuticalStartTime = "010000"
    path = saved(tmp_path / "a.dcm", file)
    with pytest.raises(InputError, match="change of the clock"):
        cleaned(path, time_zone=BRUSSELS)
    cleaned(path, time_zone="UTC")


@pytest.mark.parametrize("text", ["2018", "201803", "yesterday", "20181332", "2018.03.25", "00010101"])
def test_what_is_no_date_does_not_stay(tmp_path: Path, text: str) -> None:
    """A date that cannot be moved is emptied; '00010101' would move out of the calendar."""
    file = ct()
    path = saved(tmp_path / "a.dcm", file)
    path.write_bytes(path.read_bytes().replace(b"20180326", text.encode().ljust(8)[:8]))
    _, after = cleaned(path)
    assert not after.AcquisitionDate
    assert not after.StudyDate


@pytest.mark.parametrize(
    ("age", "kept"),
    [
        ("061Y", "061Y"),
        ("089Y", "089Y"),
        ("090Y", "090Y"),
        ("103Y", "090Y"),
        ("011M", "011M"),
        ("61", None),
        ("***", None),
    ],
)
def test_ages(age: str, kept: str | None) -> None:
    assert coarse_age(age) == kept


def test_a_file_whose_only_dates_are_in_items_gets_their_offset(tmp_path: Path) -> None:
    """UIH writes the times of the slices of a mosaic into a sequence of its own."""
    file, item = ct(), Dataset()
    for what in ("Study", "Series", "Acquisition", "Content"):
        delattr(file, f"{what}Date")
    item.AcquisitionDate, item.AcquisitionTime = "20180925", "135718.843000"
    file.private_block(0x0065, "Image Private Header", create=True).add_new(0x51, "SQ", Sequence([item]))
    _, after = cleaned(saved(tmp_path / "a.dcm", file), time_zone=BRUSSELS)
    assert after.TimezoneOffsetFromUTC == "+0200"
    moved = after.private_block(0x0065, "Image Private Header")[0x51].value[0]
    assert moved.AcquisitionTime == "135718.843000"
    assert moved.AcquisitionDate == f"{date(2018, 9, 25) + timedelta(days=DAYS):%Y%m%d}"
