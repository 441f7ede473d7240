"""Laws of the SUV factor: what scales it, and what must not touch it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from attrs import evolve
from hypothesis import example, given
from hypothesis import strategies as st
from pydicom import Dataset

from lutra.core.finding import Finding
from lutra.core.frozen import FrozenMap
from lutra.core.study import DecayCorrection, Radiopharmaceutical, SeriesHeader
from lutra.ingest.clock import parse
from lutra.ingest.radiopharmaceutical import read_radiopharmaceutical
from lutra.quantify import suv_bw_factor
from lutra.quantify.suv import SuvFactor

SCAN = datetime(2026, 1, 12, 10, 0, tzinfo=UTC)
HALF_LIFE_S = 6586.2
ZONES = st.integers(-12 * 4, 14 * 4).map(lambda quarters: timezone(timedelta(minutes=15 * quarters)))


@st.composite
def headers(draw: st.DrawFn) -> SeriesHeader:
    """PET of every kind of decay correction, of beds in any order, made again later or not."""
    scan = SCAN + timedelta(seconds=draw(st.integers(0, 86400)))
    beds = draw(st.permutations([scan + timedelta(seconds=150 * n) for n in range(draw(st.integers(1, 5)))]))
    durations = tuple(draw(st.sampled_from([90.0, 120.0])) for _ in beds)
    series = scan + timedelta(seconds=draw(st.sampled_from([-1, 0, 7200])))
    agent = Radiopharmaceutical(
        "F-18",
        None,
        draw(st.floats(5e7, 6e8)),
        scan - timedelta(seconds=draw(st.integers(600, 9000))),
        HALF_LIFE_S,
        residual_activity_bq=draw(st.one_of(st.none(), st.floats(1e5, 1e7))),
        residual_measured_at=scan - timedelta(seconds=300),
    )
    unit = draw(st.sampled_from(["BQML", "CNTS"]))
    identity: dict[str, Any] = dict.fromkeys(
        ("series_uid", "study_uid", "subject_id", "sop_class_uid", "description", "manufacturer", "model"), "1"
    )
    return SeriesHeader(
        **identity,
        modality="PT",
        image_type=(),
        frame_of_reference="1",
        instances=(),
        stored_unit=unit,
        vendor_factors=FrozenMap({"philips_activity": draw(st.floats(0.1, 10))} if unit == "CNTS" else {}),
        decay_correction=draw(st.sampled_from(list(DecayCorrection))),
        corrected_image=("ATTN", "DECY"),
        series_started_at=series,
        acquired_at=scan,
        slice_acquired_at=tuple(beds),
        slice_frame_duration_s=durations,
        frame_duration_s=durations[0],
        radiopharmaceutical=agent,
        patient_weight_kg=draw(st.floats(30, 200)),
    )


def numbers(factor: SuvFactor) -> tuple[float, ...]:
    assert factor.value is not None or factor.slice_values, factor.reason
    return factor.slice_values or (factor.value or 0.0,)


@given(header=headers())
def test_twice_the_weight_is_twice_the_suv(header: SeriesHeader) -> None:
    heavy = evolve(header, patient_weight_kg=2 * (header.patient_weight_kg or 0))
    assert numbers(suv_bw_factor(heavy)) == pytest.approx([2 * f for f in numbers(suv_bw_factor(header))], rel=1e-12)


@given(header=headers())
def test_twice_the_activity_is_half_the_suv(header: SeriesHeader) -> None:
    """With everything in the syringe twice as strong, the residual too."""
    agent = header.radiopharmaceutical
    assert agent is not None
    residual_bq = None if agent.residual_activity_bq is None else 2 * agent.residual_activity_bq
    strong = evolve(agent, activity_bq=2 * (agent.activity_bq or 0), residual_activity_bq=residual_bq)
    doubled = suv_bw_factor(evolve(header, radiopharmaceutical=strong))
    assert numbers(doubled) == pytest.approx([f / 2 for f in numbers(suv_bw_factor(header))], rel=1e-12)


@given(header=headers(), zones=st.tuples(ZONES, ZONES, ZONES), shift=st.integers(-100_000, 100_000))
def test_neither_zones_nor_the_date_matter(header: SeriesHeader, zones: tuple[timezone, ...], shift: int) -> None:
    """The same instants on other clocks, and the same scan on another day or across midnight."""

    def elsewhere(at: datetime | None, zone: timezone) -> datetime | None:
        return None if at is None else (at + timedelta(seconds=shift)).astimezone(zone)

    agent = header.radiopharmaceutical
    assert agent is not None
    moved = evolve(
        header,
        series_started_at=elsewhere(header.series_started_at, zones[0]),
        acquired_at=elsewhere(header.acquired_at, zones[1]),
        slice_acquired_at=tuple(at for t in header.slice_acquired_at if (at := elsewhere(t, zones[1]))),
        radiopharmaceutical=evolve(
            agent,
            administered_at=elsewhere(agent.administered_at, zones[2]),
            residual_measured_at=elsewhere(agent.residual_measured_at, zones[2]),
        ),
    )
    assert suv_bw_factor(moved).case == suv_bw_factor(header).case
    assert numbers(suv_bw_factor(moved)) == pytest.approx(numbers(suv_bw_factor(header)), rel=1e-9)


@given(header=headers(), data=st.data())
def test_the_order_of_slices_does_not_matter(header: SeriesHeader, data: st.DataObject) -> None:
    n = len(header.slice_acquired_at)
    order = data.draw(st.permutations(range(n)))
    shuffled = evolve(
        header,
        slice_acquired_at=tuple(header.slice_acquired_at[k] for k in order),
        slice_frame_duration_s=tuple(header.slice_frame_duration_s[k] for k in order),
        frame_duration_s=header.slice_frame_duration_s[order[0]],
    )
    before, after = suv_bw_factor(header), suv_bw_factor(shuffled)
    assert after.case == before.case
    assert (
        after.slice_values == tuple(before.slice_values[k] for k in order) if before.slice_values else after == before
    )


@given(header=headers())
def test_a_rescale_by_the_private_factor_is_one_of_the_file(header: SeriesHeader) -> None:
    """Counts times a factor to Bq/mL are Bq/mL: the same SUV whichever way they are stored."""
    factor = header.vendor_factors.get("philips_activity", 1.0)
    in_bq_per_ml = evolve(header, stored_unit="BQML", vendor_factors=FrozenMap())
    expected = [factor * f for f in numbers(suv_bw_factor(in_bq_per_ml))]
    assert numbers(suv_bw_factor(header)) == pytest.approx(expected, rel=1e-12)


@given(
    started_s=st.integers(0, 86399),
    uptake_s=st.integers(60, 6 * 3600),
    beds=st.integers(1, 8),
    dated=st.booleans(),
    zone=st.sampled_from(["", "+0000", "+0530", "-0800"]),
)
@example(started_s=82800, uptake_s=3000, beds=6, dated=False, zone="")  # 23:00, beds from 23:50 to 00:15
@example(started_s=86000, uptake_s=3600, beds=6, dated=False, zone="+0530")
def test_midnight_between_administration_and_any_bed_does_not_matter(
    started_s: int, uptake_s: int, beds: int, dated: bool, zone: str
) -> None:
    """The uptake time is what it was, with a date in the header or a time of day alone, on any clock."""
    given_at = datetime(2026, 3, 3, tzinfo=UTC) + timedelta(seconds=started_s)
    scans = [given_at + timedelta(seconds=uptake_s + 300 * n) for n in range(beds)]
    header, item = Dataset(), Dataset()
    header.Modality = "PT"
    header.AcquisitionDate = f"{scans[-1]:%Y%m%d}"  # of the last bed: it may lie behind midnight
    header.TimezoneOffsetFromUTC = zone
    item.RadionuclideTotalDose, item.RadionuclideHalfLife, item.Radiopharmaceutical = "3e8", "6586.2", "18F-FDG"
    item.RadiopharmaceuticalStartTime = f"{given_at:%H%M%S}"
    if dated:
        item.RadiopharmaceuticalStartDateTime = f"{given_at:%Y%m%d%H%M%S}"
    header.RadiopharmaceuticalInformationSequence = [item]
    findings: list[Finding] = []
    first = parse(f"{scans[0]:%Y%m%d%H%M%S}", "UTC", zone)
    agent = read_radiopharmaceutical(header, first, "UTC", findings)
    assert agent is not None
    assert agent.administered_at is not None, findings
    assert first is not None
    assert (first - agent.administered_at).total_seconds() == uptake_s
    guessed = not dated and given_at.date() != scans[0].date()
    assert [f.code for f in findings] == (["ingest.administration-before-midnight"] if guessed else [])
