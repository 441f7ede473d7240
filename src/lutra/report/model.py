"""What the pages show, gathered by the conductor: plain values, no images, no ledger."""

from __future__ import annotations

from datetime import datetime

from attrs import field, frozen

from lutra.core.estimate import Estimate
from lutra.core.finding import Finding, Severity
from lutra.core.tumour import ReaderAgreement
from lutra.report.course import CourseView

TABLES_ONLY = {
    *("mtv", "sstr-tv"),
    *(f"{scale}-{word}" for scale in ("sul-james", "suv-bsa") for word in ("max", "mean", "peak")),
}
"""Quantities that stand in the tables and not on a page: the volume by another name, and scales few readers use."""


@frozen
class WhyChainItem:
    """One step from a number back to its images."""

    title: str
    detail: str


@frozen
class Number:
    """A computed value as a page shows it.

    Parameters
    ----------
    estimate
        None if it could not be determined; `reason` then says why.
    unit_shown, factor
        Symbol on the page, and what the inside unit is multiplied by to give it.
    key
        Its path for `lutra why`.
    """

    quantity: str
    label: str
    estimate: Estimate | None
    unit_shown: str
    factor: float
    reason: str
    key: str
    chain: tuple[WhyChainItem, ...]
    receipt: str


@frozen
class SeriesView:
    """One image series; `rules` say how its values came about, in words; `beside_spect` is the CT of a therapy SPECT."""

    series_uid: str
    modality: str
    role: str
    label: str
    description: str
    acquired_at: datetime | None
    shape: tuple[int, int, int] | None
    spacing_mm: tuple[float, float, float] | None
    unit: str | None
    decay_referenced_to: datetime | None
    numbers: tuple[Number, ...]
    finding_count: int
    rules: tuple[str, ...] = ()
    beside_spect: bool = False


@frozen
class FeatureView:
    """A standardised feature: tag, identifier of the IBSI, value and unit; `key` leads to its images."""

    tag: str
    code: str
    name: str
    value: float
    unit: str
    key: str


Line = tuple[tuple[float, float], ...]
"""Points in shares of a picture's edges, rightwards and downwards."""


@frozen
class Picture:
    """A picture of a lesion with what is drawn on it.

    Parameters
    ----------
    file
        Name of its PNG.
    outlines
        Closed lines around the lesion in this plane.
    diameters
        Longest diameter and short axis, two ends each; empty where they are not shown.
    drawn_by
        Who drew the diameters; empty for the program.
    window_text
        Which values are shown, and how wide the picture is.
    white
        Whether its background is white, as of a PET.
    """

    file: str
    outlines: tuple[Line, ...]
    window_text: str
    diameters: tuple[Line, ...] = ()
    drawn_by: str = ""
    white: bool = False


@frozen
class Projection:
    """A whole image projected from the front.

    Parameters
    ----------
    file
        Name of its PNG of `width` by `height` pixels.
    marks
        Lesions by id, each with its outlines.
    """

    file: str
    label: str
    window_text: str
    width: int
    height: int
    marks: tuple[tuple[str, tuple[Line, ...]], ...]


@frozen
class ObservationView:
    """A lesion in one image.

    Parameters
    ----------
    picture
        None where there is nothing to show.
    features
        For the tables alone.
    delineation
        How its region came about and from what.
    beside_spect
        Whether it is on the CT of a therapy SPECT, which stands under the picture of that.
    """

    series_label: str
    role: str
    acquired_at: datetime | None
    numbers: tuple[Number, ...]
    picture: Picture | None
    features: tuple[FeatureView, ...] = ()
    delineation: str = ""
    beside_spect: bool = False

    @property
    def shown(self) -> tuple[Number, ...]:
        """Its numbers without those that are for the tables alone."""
        return tuple(n for n in self.numbers if n.quantity not in TABLES_ONLY)

    def number(self, quantity: str) -> Number | None:
        """One of its numbers, by quantity."""
        return next((n for n in self.numbers if n.quantity == quantity), None)


@frozen
class CurveView:
    """Activity of a lesion in one cycle. Times in h, activities in MBq; `band` is (time, best, low, high)."""

    cycle: int
    model: str
    identifiable: bool
    times_h: tuple[float, ...]
    activity_mbq: tuple[float, ...]
    measured: tuple[tuple[float, float, float | None], ...]
    band: tuple[tuple[float, float, float, float], ...]
    numbers: tuple[Number, ...]


@frozen
class DoseView:
    """Absorbed dose of a lesion in one cycle by one engine; `dvh` is (Gy, share of the volume)."""

    cycle: int
    engine: str
    number: Number
    dvh: tuple[tuple[float, float], ...]


@frozen
class ResponseView:
    """Size of a lesion at a follow-up against its baseline."""

    label: str
    change: float
    category: str
    rule: str
    current_mm: float
    baseline_mm: float


@frozen
class ChangeView:
    """A value of a lesion against its first image of the kind; limits are relative changes that noise alone explains."""

    quantity: str
    baseline_label: str
    label: str
    before: float
    after: float
    unit: str
    change: float | None
    lower: float | None
    upper: float | None
    verdict: str
    reason: str
    confirmed: bool
    key: str


@frozen
class ExpectedView:
    """Change of a lesion's diameter that the other patients of the study lead one to expect, in words: result, and from what."""

    sentence: str
    words: str


@frozen
class LesionView:
    """One lesion through all images."""

    lesion_id: str
    name: str
    observations: tuple[ObservationView, ...]
    curves: tuple[CurveView, ...]
    doses: tuple[DoseView, ...]
    responses: tuple[ResponseView, ...]
    changes: tuple[ChangeView, ...] = ()
    expected: ExpectedView | None = None


@frozen
class TransformView:
    """The map between two images of different frames of reference.

    Parameters
    ----------
    error_mm
        None if it was not evaluated, or there is no map.
    checks
        Name, value and unit of each check that was made.
    reason
        Why there is no map; empty if there is one.
    picture_png
        The two images in squares by turns, so that edges show whether they meet.
    """

    fixed_label: str
    moving_label: str
    method: str
    error_mm: float | None
    checks: tuple[tuple[str, float, str], ...]
    reason: str
    picture_png: str | None
    receipt: str


@frozen
class CorrespondenceView:
    """What became of a lesion in one image.

    Parameters
    ----------
    sighting
        `seen`, `not seen`, `out of field`, `not assessable`, `merged`, `split`.
    confidence
        How much better the match is than the next best; None where nothing was compared. [1]
    matched_by
        The rule that gave the region to the lesion.
    """

    lesion_id: str
    series_label: str
    sighting: str
    region_name: str
    confidence: float | None
    matched_by: str
    distance_mm: float | None
    volume_ratio: float | None
    merged_into: str


@frozen
class RegionDoseView:
    """Kinetics and doses of one region: organ, lesion, or the rest of the body.

    Parameters
    ----------
    title
        Name, and of a lesion its id.
    lesion
        Whether it is one.
    numbers
        Cycle, or None for the sum over cycles, and each number there.
    """

    title: str
    lesion: bool
    numbers: tuple[tuple[int | None, Number], ...]

    def number(self, cycle: int | None, quantity: str) -> Number | None:
        """One of its numbers."""
        return next((n for c, n in self.numbers if c == cycle and n.quantity == quantity), None)


@frozen
class CycleView:
    """One infusion and its scans, each a label and hours after the start."""

    cycle: int
    started_at: datetime
    activity_mbq: float | None
    nuclide: str
    scans: tuple[tuple[str, float], ...]


@frozen
class SubjectView:
    """One subject.

    Parameters
    ----------
    dates_moved
        De-identification has moved the dates of its images.
    blinded
        What a reader of response may not see was taken out.
    """

    subject_id: str
    slug: str
    sex: str | None
    weight_kg: float | None
    series: tuple[SeriesView, ...]
    cycles: tuple[CycleView, ...]
    lesions: tuple[LesionView, ...]
    findings: tuple[Finding, ...]
    dates_moved: bool = False
    transforms: tuple[TransformView, ...] = ()
    correspondences: tuple[CorrespondenceView, ...] = ()
    projections: tuple[Projection, ...] = ()
    regions: tuple[RegionDoseView, ...] = ()
    course: CourseView = field(factory=CourseView)
    blinded: bool = False

    @property
    def dose_engine(self) -> str:
        """The first engine that gave any dose; empty if none did."""
        names = (n.quantity for r in self.regions for _, n in r.numbers if n.quantity.startswith("absorbed-dose."))
        return next(names, "").removeprefix("absorbed-dose.")

    @property
    def open_findings(self) -> tuple[Finding, ...]:
        """Findings that need a person, gravest first."""
        order = list(Severity)
        doubts = [f for f in self.findings if f.severity is not Severity.INFO]
        return tuple(sorted(doubts, key=lambda f: -order.index(f.severity)))


@frozen
class StudyView:
    """The whole study.

    Parameters
    ----------
    analysed
        Whether an analysis page stands beside the others.
    """

    name: str
    title: str
    protocol_name: str
    protocol_digest: str
    time_zone: str
    program: str
    made_at: str
    subjects: tuple[SubjectView, ...]
    findings: tuple[Finding, ...]
    simulated: bool
    readers: tuple[ReaderAgreement, ...] = ()
    analysed: bool = False
