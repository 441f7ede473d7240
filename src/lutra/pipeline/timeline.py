"""Puts images in the course of treatment: cycles counted from the administrations, times on the scanners' own clock."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.frozen import FrozenMap
from lutra.core.study import Administration, Role, SeriesHeader, Subject, Timepoint
from lutra.core.time import seconds_between
from lutra.core.units import HOUR_S

SAME_INFUSION_S = 6 * HOUR_S
"""Two administration times closer than this are one infusion: no protocol gives two in a day."""

ROLE_NAMES = {
    Role.THERAPY_SPECT: "SPECT",
    Role.FDG_PET: "FDG PET",
    Role.SSTR_PET: "SSTR PET",
    Role.OTHER_PET: "PET",
    Role.ADC: "ADC",
    Role.DWI: "DWI",
    Role.CT: "CT",
    Role.OTHER_MR: "MR",
}

CYCLE_IN_DESCRIPTION = re.compile(r"(?:^|[^A-Za-z0-9])C(?:YCLE)?\s*_?(\d)(?!\d)", re.IGNORECASE)


def subject_timeline(
    headers: tuple[SeriesHeader, ...], roles: tuple[Role, ...], subject_id: str, time_zone: str
) -> Outcome[Subject]:
    """Assign each image series a cycle and a time after administration.

    Therapy administrations are those the SPECT headers state; the first known one starts cycle 1. An image belongs to the
    last administration before it, and to cycle 0 if there is none before it.
    """
    findings: list[Finding] = []
    spects = [h for h, role in zip(headers, roles, strict=True) if role is Role.THERAPY_SPECT]
    administrations = _administrations(spects, findings)
    timepoints = [_timepoint(h, role, administrations, findings) for h, role in zip(headers, roles, strict=True)]
    timepoints.sort(
        key=lambda t: (t.acquired_at is None, t.acquired_at or datetime.max.replace(tzinfo=UTC), t.series_uid)
    )
    sexes = {h.patient_sex for h in headers if h.patient_sex}
    return Outcome(
        Subject(
            subject_id=subject_id,
            sex=sexes.pop() if len(sexes) == 1 else None,
            administrations=administrations,
            timepoints=_unique_labels(timepoints, ZoneInfo(time_zone)),
        ),
        findings,
    )


def _administrations(spects: Sequence[SeriesHeader], findings: list[Finding]) -> tuple[Administration, ...]:
    stated = sorted(
        (h.radiopharmaceutical.administered_at, h.radiopharmaceutical.activity_bq, h.radiopharmaceutical.nuclide or "")
        for h in spects
        if h.radiopharmaceutical and h.radiopharmaceutical.administered_at
    )
    infusions: list[Administration] = []
    for started_at, activity_bq, nuclide in stated:
        if infusions and seconds_between(infusions[-1].started_at, started_at) < SAME_INFUSION_S:
            if (started_at, activity_bq) != (infusions[-1].started_at, infusions[-1].activity_bq):
                findings.append(
                    Finding(
                        Severity.WARNING,
                        "pipeline.administrations-disagree",
                        f"scans of one cycle state different administrations: {infusions[-1].started_at} with "
                        f"{infusions[-1].activity_bq} Bq and {started_at} with {activity_bq} Bq; the earlier is used. "
                        "To do: check (0018,1078) and (0018,1074) of the SPECT series against the infusion record",
                    )
                )
            continue
        infusions.append(Administration(len(infusions) + 1, nuclide, started_at, activity_bq))
    return tuple(infusions)


def _timepoint(
    header: SeriesHeader, role: Role, administrations: tuple[Administration, ...], findings: list[Finding]
) -> Timepoint:
    acquired_at = header.acquired_at
    before = [a for a in administrations if acquired_at and seconds_between(a.started_at, acquired_at) >= 0]
    cycle = before[-1].cycle if before else (0 if administrations and acquired_at else None)
    since = seconds_between(before[-1].started_at, acquired_at) if before and acquired_at else None
    if role is Role.THERAPY_SPECT:
        _check_description(header, cycle, findings)
        if since is None:
            findings.append(
                Finding(
                    Severity.UNDETERMINED,
                    "pipeline.no-administration",
                    f"SPECT series {header.series_uid} has no known administration before it, so its time after "
                    "administration cannot be determined. Required: (0018,1078) Radiopharmaceutical Start DateTime",
                )
            )
    return Timepoint(header.series_uid, role, ROLE_NAMES[role], cycle, acquired_at, since)


def _check_description(header: SeriesHeader, cycle: int | None, findings: list[Finding]) -> None:
    named = CYCLE_IN_DESCRIPTION.search(header.description)
    if named and cycle and int(named.group(1)) != cycle:
        findings.append(
            Finding(
                Severity.WARNING,
                "pipeline.description-names-another-cycle",
                f"series description {header.description!r} (0008,103E) reads like cycle {named.group(1)}; it is counted as "
                f"cycle {cycle} because cycles are numbered from the first administration this study knows. To do: add "
                "the images of the earlier cycles if there were any",
                FrozenMap({"series": header.series_uid}),
            )
        )


def _unique_labels(timepoints: Sequence[Timepoint], zone: ZoneInfo) -> tuple[Timepoint, ...]:
    """Name each time point: SPECT by cycle and hours, the others by date."""
    labels = [_label(t, zone) for t in timepoints]
    repeated = {label for label, n in Counter(labels).items() if n > 1}
    seen: Counter[str] = Counter()
    unique = []
    for timepoint, label in zip(timepoints, labels, strict=True):
        seen[label] += 1
        name = f"{label} ({seen[label]})" if label in repeated else label
        unique.append(
            Timepoint(
                timepoint.series_uid,
                timepoint.role,
                name,
                timepoint.cycle,
                timepoint.acquired_at,
                timepoint.since_administration_s,
            )
        )
    return tuple(unique)


def _label(timepoint: Timepoint, zone: ZoneInfo) -> str:
    if timepoint.role is Role.THERAPY_SPECT and timepoint.since_administration_h is not None:
        return f"cycle {timepoint.cycle}, {timepoint.since_administration_h:.1f} h"
    name = ROLE_NAMES[timepoint.role]
    if timepoint.acquired_at is None:
        return f"{name}, undated"
    day = timepoint.acquired_at.astimezone(zone)
    return f"{name} {day.day} {day:%b %Y}"
