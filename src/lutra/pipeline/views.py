"""Gathers from the ledger what the report shows. Computes nothing; the pictures are cut from stored images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from attrs import frozen

from lutra.core.curve import TacFit
from lutra.core.dose import DoseResult
from lutra.core.estimate import Estimate, Unit
from lutra.core.measurement import Features, Measurements
from lutra.core.response import RealChange, ResponseAssessment
from lutra.core.study import Role, SeriesHeader
from lutra.core.units import HOUR_S
from lutra.core.volume import Volume
from lutra.pipeline import why
from lutra.pipeline.alignment_view import correspondence_views, transform_views
from lutra.pipeline.conductor import Conductor, Made
from lutra.pipeline.course_view import course_view
from lutra.pipeline.pictures import PictureCutter
from lutra.pipeline.record import CycleRecord, LesionRecord, ObservationRecord, SeriesRecord, SubjectRecord
from lutra.pipeline.results import (
    VOLUME_PERCENT,
    Result,
    change_path,
    cycle_results,
    dosimetry_results,
    features_path,
    observation_results,
    series_results,
    slug,
)
from lutra.pipeline.series_roles import beside_spect
from lutra.reference.ibsi import features as ibsi_features
from lutra.report.model import (
    ChangeView,
    CurveView,
    CycleView,
    DoseView,
    FeatureView,
    LesionView,
    Number,
    ObservationView,
    RegionDoseView,
    ResponseView,
    SeriesView,
    SubjectView,
    WhyChainItem,
)


@frozen
class _Shown:
    """How a unit is shown: symbol, and factor from the inside unit."""

    symbol: str
    factor: float = 1.0


SHOWN = {
    Unit.BQ: _Shown("MBq", 1e-6),
    Unit.BQ_PER_ML: _Shown("kBq/mL", 1e-3),
    Unit.BQ_S: _Shown("GBq·h", 1e-9 / HOUR_S),
    Unit.GY: _Shown("Gy"),
    Unit.G: _Shown("g"),
    Unit.ML: _Shown("mL"),
    Unit.MM: _Shown("mm"),
    Unit.MM2_PER_S: _Shown("10⁻³ mm²/s", 1e3),
    Unit.S: _Shown("h", 1 / HOUR_S),
    Unit.SUV_BW: _Shown(""),
    Unit.SUV_BW_ML: _Shown("mL"),
    Unit.SUV_LBM: _Shown(""),
    Unit.SUV_LBM_JAMES: _Shown(""),
    Unit.SUV_BSA: _Shown("cm²/mL"),
    Unit.HU: _Shown("HU"),
    Unit.ONE: _Shown("%", 100.0),
}

ENGINES = ("hybrid", "fft", "full-mc", "local", "sphere", "organ-s")
"""Engines that come with Lutra, for the words of their numbers."""

WORDS = {
    "activity": "Activity",
    "concentration": "Activity concentration",
    "volume": "Volume",
    "suv-max": "SUVmax",
    "suv-mean": "SUVmean",
    "suv-peak": "SUVpeak",
    "sul-max": "SULmax",
    "sul-mean": "SULmean",
    "sul-peak": "SULpeak",
    "sul-james-max": "SULmax, James",
    "sul-james-mean": "SULmean, James",
    "sul-james-peak": "SULpeak, James",
    "suv-bsa-max": "SUVmax by body surface",
    "suv-bsa-mean": "SUVmean by body surface",
    "suv-bsa-peak": "SUVpeak by body surface",
    "mtv": "Metabolic tumour volume",
    "tlg": "Total lesion uptake",
    "sstr-tv": "SSTR tumour volume",
    "tl-sstr": "Total lesion SSTR uptake",
    "adc-mean": "ADC mean",
    "adc-median": "ADC median",
    "adc-p10": "ADC 10th percentile",
    "adc-p90": "ADC 90th percentile",
    "hu-mean": "CT number, mean",
    "hu-sd": "CT number, spread",
    "longest-diameter": "Longest diameter",
    "short-axis": "Short axis",
    "time-integrated-activity": "Time-integrated activity",
    "effective-half-life": "Effective half-life",
    "mass": "Mass",
    **{f"absorbed-dose.{e}": f"Absorbed dose, {e}" for e in ENGINES},
    **{f"bed.{e}": f"Biologically effective dose, {e}" for e in ENGINES},
    **{f"eqd2.{e}": f"Equivalent dose in 2 Gy fractions, {e}" for e in ENGINES},
    **{f"eud-bed.{e}": f"BED of an even dose with the same survival, {e}" for e in ENGINES},
    **{f"d{p}.{e}": f"D{p}, dose of {p} % of the volume, {e}" for e in ENGINES for p in VOLUME_PERCENT},
    "total-activity": "Activity in the field of view",
}

RULES = {
    "ingest.b-value-rule",
    "quantify.adc-unit-assumed",
    "quantify.calibration-used",
    "quantify.decay-rule",
    "quantify.suv-rule",
}
"""Findings that say how an image got its values."""


class Gatherer:
    """Turns one subject's record into what its page shows, and collects the pictures on the way.

    Parameters
    ----------
    images
        Filled with PNG files by name.
    audit
        The study's trail, for who signed.
    """

    def __init__(
        self,
        conductor: Conductor,
        record: SubjectRecord,
        provenance: why.Provenance,
        images: dict[str, bytes],
        audit: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        self._conductor = conductor
        self._record = record
        self._provenance = provenance
        self._audit = audit
        self._subject = record.subject.subject_id
        self._timepoints = {t.series_uid: t for t in record.subject.timepoints}
        self._slug = slug(self._subject)
        self._findings = conductor.findings(record.receipts)
        self._beside_spect = beside_spect(conductor, record)
        cutter = PictureCutter(conductor, record, self._slug, images)
        self._pictures, self._projections = cutter.lesions(), cutter.projections()
        self._transforms = transform_views(conductor, record, self._slug, images)

    def subject(self) -> SubjectView:
        """Everything about the subject."""
        headers = [h for s in self._record.series if (h := self._value(s.header)) is not None]
        weights = sorted({h.patient_weight_kg for h in headers if h.patient_weight_kg})
        lesions = tuple(self._lesion(lesion) for lesion in self._record.lesions)
        return SubjectView(
            subject_id=self._subject,
            slug=self._slug,
            sex=self._record.subject.sex,
            weight_kg=weights[0] if len(weights) == 1 else None,
            series=tuple(self._series_view(s) for s in self._record.series),
            cycles=tuple(self._cycle(a.cycle) for a in self._record.subject.administrations),
            lesions=lesions,
            findings=self._findings,
            dates_moved=any(h.dates_moved for h in headers),
            transforms=self._transforms,
            correspondences=correspondence_views(self._conductor, self._record),
            projections=self._projections,
            regions=tuple(self._regions()),
            course=course_view(self._conductor, self._record, self._audit),
        )

    # ---- doses ----
    def _regions(self) -> Iterator[RegionDoseView]:
        """Organs first, then the rest of the body, then lesions."""
        titles = {lesion.lesion_id: f"{lesion.lesion_id} {lesion.name}" for lesion in self._record.lesions}
        lesions = tuple(lesion.dosimetry for lesion in self._record.lesions)
        for region in (*self._record.dosimetry, *lesions):
            found = dosimetry_results(self._conductor, self._subject, region)
            numbers = tuple((_cycle_of(result), self._number(result)) for result in found)
            if numbers:
                yield RegionDoseView(titles.get(region.name, region.name), region.name in titles, numbers)

    def _value(self, made: Made) -> SeriesHeader | None:
        return self._conductor.value(made) if made else None

    # ---- images ----
    def _series_view(self, series: SeriesRecord) -> SeriesView:
        header = self._value(series.header)
        timepoint = self._timepoints.get(series.series_uid)
        volume: Volume | None = self._conductor.value(series.image) if series.image else None
        grid = header.grid if header else None
        return SeriesView(
            series_uid=series.series_uid,
            modality=header.modality if header else "",
            role=timepoint.role.value if timepoint else "",
            label=series.label,
            description=header.description if header else "",
            acquired_at=header.acquired_at if header else None,
            shape=grid.shape if grid else None,
            spacing_mm=grid.spacing_mm if grid else None,
            unit=volume.unit.value if volume else None,
            decay_referenced_to=volume.decay_referenced_to if volume else None,
            numbers=self._numbers(series_results(self._conductor, self._subject, series)),
            finding_count=series.findings,
            rules=self._rules(series.series_uid),
            beside_spect=series.series_uid in self._beside_spect,
        )

    def _rules(self, series_uid: str) -> tuple[str, ...]:
        """Which rules and files gave an image its values."""
        own = f"series {series_uid}"
        said = (f for f in self._findings if f.code in RULES and f.text.startswith(own))
        return tuple(f.text.removeprefix(own).lstrip(": ") for f in said)

    # ---- course ----
    def _cycle(self, number: int) -> CycleView:
        administration = next(a for a in self._record.subject.administrations if a.cycle == number)
        scans = tuple(
            (t.label, t.since_administration_h)
            for t in self._record.subject.timepoints
            if t.cycle == number and t.role is Role.THERAPY_SPECT and t.since_administration_h is not None
        )
        activity_bq = administration.activity_bq
        return CycleView(
            cycle=number,
            started_at=administration.started_at,
            activity_mbq=None if activity_bq is None else activity_bq * 1e-6,
            nuclide=administration.nuclide,
            scans=scans,
        )

    # ---- lesions ----
    def _lesion(self, lesion: LesionRecord) -> LesionView:
        return LesionView(
            lesion_id=lesion.lesion_id,
            name=lesion.name,
            observations=tuple(self._observation(lesion, o) for o in lesion.observations),
            curves=tuple(self._curve(lesion, c) for c in lesion.dosimetry.cycles if c.fit),
            doses=tuple(d for c in lesion.dosimetry.cycles for d in self._doses(lesion, c)),
            responses=self._responses(lesion),
            changes=self._changes(lesion),
        )

    def _observation(self, lesion: LesionRecord, observation: ObservationRecord) -> ObservationView:
        timepoint = self._timepoints[observation.series_uid]
        return ObservationView(
            series_label=observation.label,
            role=timepoint.role.value,
            acquired_at=timepoint.acquired_at,
            numbers=self._numbers(observation_results(self._conductor, self._subject, lesion.lesion_id, observation)),
            picture=self._pictures.get((lesion.lesion_id, observation.series_uid)),
            features=self._features(lesion, observation),
            delineation=self._delineation(observation),
            beside_spect=observation.series_uid in self._beside_spect,
        )

    def _delineation(self, observation: ObservationRecord) -> str:
        if not observation.measurements:
            return ""
        measurements: Measurements = self._conductor.value(observation.measurements)
        return measurements.delineation

    def _features(self, lesion: LesionRecord, observation: ObservationRecord) -> tuple[FeatureView, ...]:
        if not observation.features:
            return ()
        found: Features = self._conductor.value(observation.features)
        key = features_path(self._subject, lesion.lesion_id, observation.label)
        known = ibsi_features()
        return tuple(
            FeatureView(tag, known[tag].code, known[tag].name, value, known[tag].unit_in(found.unit), key)
            for tag, value in found.values.items()
        )

    def _changes(self, lesion: LesionRecord) -> tuple[ChangeView, ...]:
        found: list[RealChange] = [c for made in lesion.changes if made for c in self._conductor.value(made)]
        return tuple(self._change(lesion, change) for change in found)

    def _change(self, lesion: LesionRecord, change: RealChange) -> ChangeView:
        shown = SHOWN.get(change.unit, _Shown(change.unit.value))
        before, after = (self._timepoints[uid].label for uid in (change.series_before, change.series_after))
        return ChangeView(
            quantity=change.quantity,
            baseline_label=before,
            label=after,
            before=change.before * shown.factor,
            after=change.after * shown.factor,
            unit=shown.symbol,
            change=change.change,
            lower=change.lower,
            upper=change.upper,
            verdict=change.verdict.value,
            reason=change.reason,
            confirmed=change.confirmed,
            key="" if change.change is None else change_path(self._subject, lesion.lesion_id, after, change.quantity),
        )

    def _curve(self, lesion: LesionRecord, cycle: CycleRecord) -> CurveView:
        fit: TacFit = self._conductor.value(cycle.fit)
        curve, band = fit.curve, fit.band
        return CurveView(
            cycle=cycle.cycle,
            model=fit.model,
            identifiable=fit.identifiable,
            times_h=tuple(float(t) / HOUR_S for t in curve.times_s),
            activity_mbq=tuple(a.value * 1e-6 for a in curve.activities),
            measured=tuple(
                (float(t) / HOUR_S, a.value * 1e-6, None if a.sd is None else a.sd * 1e-6)
                for t, a in zip(curve.times_s, curve.activities, strict=True)
            ),
            band=tuple(
                (float(t) / HOUR_S, float(b) * 1e-6, float(lo) * 1e-6, float(hi) * 1e-6)
                for t, b, lo, hi in zip(band.times_s, band.activity_bq, band.low_bq, band.high_bq, strict=True)
            ),
            numbers=self._numbers(
                r
                for r in cycle_results(self._conductor, self._subject, lesion.lesion_id, cycle)
                if "." not in r.quantity  # With an engine in their name: doses.
            ),
        )

    def _doses(self, lesion: LesionRecord, cycle: CycleRecord) -> list[DoseView]:
        made = {r.quantity: r for r in cycle_results(self._conductor, self._subject, lesion.lesion_id, cycle)}
        views = []
        for dose in cycle.doses:
            result = made.get(f"absorbed-dose.{dose.engine}")
            if result is None:
                reason = "; ".join(f.text for f in self._conductor.findings([dose.dose.receipt]))
                key = f"{self._subject}/{lesion.lesion_id}/cycle-{cycle.cycle}/absorbed-dose.{dose.engine}"
                number = Number("absorbed-dose", "Absorbed dose", None, "Gy", 1.0, reason, key, (), dose.dose.receipt)
                views.append(DoseView(cycle.cycle, dose.engine, number, ()))
                continue
            value: DoseResult = self._conductor.value(dose.dose)
            dvh = value.dvh
            points = tuple(zip(dvh.dose_gy.tolist(), dvh.volume_fraction.tolist(), strict=True)) if dvh else ()
            views.append(DoseView(cycle.cycle, dose.engine, self._number(result), points))
        return views

    def _responses(self, lesion: LesionRecord) -> tuple[ResponseView, ...]:
        if not lesion.responses:
            return ()
        assessments: tuple[ResponseAssessment, ...] = self._conductor.value(lesion.responses)
        return tuple(
            ResponseView(
                label=self._timepoints[a.series_uid].label,
                change=a.change_from_baseline,
                category=a.category,
                rule=a.rule,
                current_mm=a.current,
                baseline_mm=a.baseline,
            )
            for a in assessments
        )

    # ---- numbers ----
    def _numbers(self, found: Iterable[Result]) -> tuple[Number, ...]:
        return tuple(self._number(result) for result in found)

    def _number(self, result: Result) -> Number:
        estimate: Estimate = result.estimate
        shown = SHOWN.get(estimate.unit, _Shown(estimate.unit.value))
        links = self._provenance.chain(result.made.receipt)
        chain = tuple(WhyChainItem(link.receipt.made_by.step, _detail(link)) for link in links if not link.seen_before)
        quantity = result.quantity
        label = WORDS.get(quantity) or quantity.replace("-", " ").replace(".", ", ").capitalize()
        return Number(
            quantity=quantity,
            label=label,
            estimate=estimate,
            unit_shown=shown.symbol,
            factor=shown.factor,
            reason="",
            key=result.path,
            chain=chain,
            receipt=result.made.receipt,
        )


def _cycle_of(result: Result) -> int | None:
    """Cycle of a number of dosimetry by its path; None for a sum."""
    place = result.path.split("/")[2]
    return int(place.removeprefix("cycle-")) if place.startswith("cycle-") else None


def _detail(link: why.Link) -> str:
    sources = ", ".join(
        f"{g.modality} series …{g.series_uid[-12:]}, {len(g.instances)} instances" for g in link.sources
    )
    return sources or f"receipt {link.receipt.made_by.key[:12]}"
