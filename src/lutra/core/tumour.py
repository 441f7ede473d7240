"""Readings of tumours over time, as a reader's tables hold them."""

from __future__ import annotations

from datetime import date

from attrs import frozen


@frozen
class TumourLesion:
    """A lesion as a reader chose it.

    Parameters
    ----------
    lesion
        Identity within the reader's lesions: `T01`. Parts of a lesion that has split are `T01.1`, `T01.2`; lesions that have merged
        are `T01/T02`.
    kind
        `target`, `non-target` or `new`.
    node
        Whether it is a lymph node, whose short axis counts.
    """

    lesion: str
    kind: str
    location: str = ""
    node: bool = False


@frozen
class TumourReading:
    """One lesion at one visit.

    Parameters
    ----------
    long_mm, short_mm
        Longest diameter and the axis square to it; None where not measured. [mm]
    state
        `absent`, `present`, `unequivocal progression`, `too small`, `equivocal`, `unequivocal` or `not evaluated`; empty for a
        lesion that is measured.
    """

    lesion: str
    long_mm: float | None = None
    short_mm: float | None = None
    state: str = ""


@frozen
class TumourVisit:
    """All readings of one reader at one visit.

    Parameters
    ----------
    on
        Day of the images; None where the table has no whole date.
    accepted
        Whether this reading was accepted where readers differed; None where the table does not say.
    slice_mm
        Thickness of the slices; None where nobody wrote it down. [mm]
    """

    number: float
    name: str
    on: date | None
    readings: tuple[TumourReading, ...]
    accepted: bool | None = None
    slice_mm: float | None = None


@frozen
class TumourCourse:
    """One subject by one reader; the first visit is the baseline."""

    subject: str
    reader: str
    lesions: tuple[TumourLesion, ...]
    visits: tuple[TumourVisit, ...]


@frozen
class RecistTimepoint:
    """What RECIST 1.1 says of one visit after the baseline.

    Parameters
    ----------
    target, non_target
        None for a class of lesions that the subject has not.
    sum_mm, nadir_mm
        Sum of the targets that were measured; smallest complete sum before, the baseline included. [mm]
    rule
        The rule that fired, in words.
    accepted
        Whether this reading was accepted where readers differed; None where nobody says.
    complete
        Whether every target was measured; `sum_mm` is else a part of the sum.
    """

    subject: str
    reader: str
    visit: str
    on: date | None
    target: str | None
    non_target: str | None
    new_lesion: bool
    overall: str
    sum_mm: float | None
    nadir_mm: float | None
    rule: str
    accepted: bool | None = None
    complete: bool = True


@frozen
class Endpoints:
    """Endpoints of one subject by one reader; days count from the start, which is day 1."""

    subject: str
    reader: str
    bor: str
    confirmed_bor: str
    pfs_days: int | None
    pfs_event: bool | None
    ttp_days: int | None = None
    ttp_event: bool | None = None
    os_days: int | None = None
    os_event: bool | None = None


@frozen
class LesionEndpoint:
    """Outcome of one lesion by one reader: the longest transversal diameter, of nodes as well.

    Parameters
    ----------
    baseline_mm, best_mm
        At the baseline, and the smallest afterwards. [mm]
    changes
        Visit and relative change from the baseline. [1]
    best_change
        Smallest of them. [1]
    best
        CR, PR, SD or PD by the thresholds of RECIST 1.1 on this lesion alone: the best before it progressed.
    ttp_days
        From the start of treatment, which is day 1, to its progression or to its last measurement; None without a start.
    """

    lesion: str
    kind: str
    location: str
    baseline_mm: float
    best_mm: float
    changes: tuple[tuple[str, float], ...]
    best_change: float
    best: str
    ttp_days: int | None
    ttp_event: bool


@frozen
class ReaderResponse:
    """Everything that follows from the readings of one reader."""

    subject: str
    reader: str
    timepoints: tuple[RecistTimepoint, ...]
    endpoints: Endpoints
    lesions: tuple[LesionEndpoint, ...]


@frozen
class ReaderAgreement:
    """How far two readers lie apart on the same lesion at the same visit.

    Parameters
    ----------
    bias_mm
        Mean of the first minus the second. [mm]
    reader_sd_mm
        Standard deviation of one reading: that of the differences over the square root of two. [mm]
    limits_mm
        95 % of the differences lie between. [mm]
    """

    one: str
    other: str
    n: int
    bias_mm: float
    reader_sd_mm: float
    limits_mm: tuple[float, float]
