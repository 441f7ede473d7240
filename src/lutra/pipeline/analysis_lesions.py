"""Rows of the analysis table of lesions: what was known of a lesion after each cycle, and what became of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from math import log

from attrs import frozen

from lutra.core.analysis_table import Cell, Value
from lutra.core.estimate import Estimate
from lutra.core.lesion import Correspondence, Sighting
from lutra.core.response import RealChange
from lutra.core.study import Role, Timepoint
from lutra.core.units import HOUR_S
from lutra.dose.cumulative import cumulative_dose
from lutra.pipeline.analysis_columns import IMAGES, METRICS, PLANNED, Metric
from lutra.pipeline.conductor import Conductor, Made
from lutra.pipeline.record import CycleRecord, DoseRecord, LesionRecord, ObservationRecord, SubjectRecord
from lutra.pipeline.results import change_path, slug
from lutra.pipeline.series_roles import beside_spect
from lutra.reference.lesion_sites import site_of_lesion
from lutra.response.lesion_diameter import category_of
from lutra.response.settings import ResponseSettings

Cells = dict[str, Cell]
LEVELS = {"CR": "a-shrinkage", "PR": "a-shrinkage", "SD": "b-stable", "PD": "c-growth"}
TOO_SMALL_MM = 5.0
"""What RECIST 1.1 writes for a lesion too small to measure; a logarithm takes it for one that is gone. [mm]"""
"""Earliest CT after the last cycle that can be the outcome; an earlier one may show swelling."""
WORDS = {
    Role.FDG_PET: "FDG PET",
    Role.SSTR_PET: "SSTR PET",
    Role.ADC: "ADC map",
    Role.DWI: "diffusion MRI",
    Role.CT: "CT",
}
NO_REGION = {
    Sighting.NOT_SEEN: "not seen on",
    Sighting.NOT_ASSESSABLE: "not assessable on",
    Sighting.OUT_OF_FIELD: "out of the field of",
    Sighting.MERGED: "part of a mass on",
    Sighting.SPLIT: "split into others on",
}


def lesion_rows(
    conductor: Conductor, record: SubjectRecord, covariates: Cells, settings: ResponseSettings
) -> Iterator[Cells]:
    """Rows of every lesion of a subject: one before treatment, and one after each cycle."""
    course = _Course.of(conductor, record)
    for lesion in record.lesions:
        yield from _Lesion(course, lesion, settings).rows(covariates)


@frozen(eq=False)
class _Course:
    """A subject's images by what they are for."""

    conductor: Conductor
    record: SubjectRecord
    images: tuple[Timepoint, ...]
    diagnostic: tuple[Timepoint, ...]
    sightings: Mapping[tuple[str, str], Correspondence]

    @classmethod
    def of(cls, conductor: Conductor, record: SubjectRecord) -> _Course:
        images, for_spect = record.subject.timepoints, beside_spect(conductor, record)
        diagnostic = tuple(t for t in images if t.role is Role.CT and t.series_uid not in for_spect)
        table: Sequence[Correspondence] = conductor.value(record.correspondences) if record.correspondences else ()
        return cls(conductor, record, images, diagnostic, {(c.lesion_id, c.series_uid): c for c in table})

    @property
    def subject(self) -> str:
        return self.record.subject.subject_id

    @property
    def cycles(self) -> tuple[int, ...]:
        """Cycles that were given."""
        return tuple(a.cycle for a in self.record.subject.administrations)

    def of_roles(self, roles: Sequence[Role]) -> Iterator[tuple[Role, list[Timepoint]]]:
        for role in roles:
            yield role, [t for t in self.images if t.role is role]

    def started(self, cycle: int) -> datetime | None:
        return next((a.started_at for a in self.record.subject.administrations if a.cycle == cycle), None)


@frozen(eq=False)
class _Lesion:
    """One lesion; each method gives cells of the table."""

    course: _Course
    lesion: LesionRecord
    settings: ResponseSettings

    def rows(self, covariates: Cells) -> Iterator[Cells]:
        fixed = {
            "subject": Cell(self.course.subject),
            "lesion": Cell(self.lesion.lesion_id),
            "name": Cell(self.lesion.name),
            "organ": Cell(site_of_lesion(self.lesion.name)),
            **covariates,
        }
        for modality in IMAGES:
            fixed |= self._before_treatment(modality)
        size = self._baseline_size()
        outcome = self._outcome(size["ltd_baseline"])
        last = max(self.course.cycles, default=0)
        for landmark in (0, *self.course.cycles):
            yield {
                **fixed,
                **size,
                "landmark": Cell(landmark),
                "end_of_treatment": Cell(landmark == last and landmark > 0),
                **self._doses(landmark),
                **self._followed(landmark),
                "ltd_after": (after := self._size_after(landmark)),
                "log_ratio_after": _logarithm(after, size["ltd_baseline"]),
                **outcome,
            }

    # ---- images ----
    def _before_treatment(self, modality: str) -> Cells:
        words, roles = IMAGES[modality]
        metrics = [m for m in METRICS if m.modality == modality]
        first, seen = self._baseline_image(roles)
        if first is None:
            gone = Cell(reason=f"no {words} before cycle 1")
            return {f"{modality}_sighting": Cell("no image"), **{m.column: gone for m in metrics}}
        sighting = self._sighting(first)
        found = {f"{modality}_sighting": Cell(sighting.value if sighting else "not looked for")}
        for metric in metrics:
            found[metric.column] = self._measured(seen, metric) if seen else Cell(reason=self._unseen(first))
        return found

    def _baseline_image(self, roles: Sequence[Role]) -> tuple[Timepoint | None, ObservationRecord | None]:
        """First image of the first role that measured the lesion before treatment; else the first image there is."""
        there = None
        for _, images in self.course.of_roles(roles):
            first = next((t for t in images if t.cycle in (0, None)), None)
            if first and (seen := self._observed(first)):
                return first, seen
            there = there or first
        return there, None

    def _observed(self, image: Timepoint) -> ObservationRecord | None:
        return next((o for o in self.lesion.observations if o.series_uid == image.series_uid), None)

    def _sighting(self, image: Timepoint) -> Sighting | None:
        known = self.course.sightings.get((self.lesion.lesion_id, image.series_uid))
        return known.sighting if known else None

    def _unseen(self, image: Timepoint) -> str:
        sighting = self._sighting(image)
        words = NO_REGION.get(sighting, "no region on") if sighting else "not looked for on"
        return f"{words} the {WORDS.get(image.role, image.role.value)}"

    def _measured(self, seen: ObservationRecord, metric: Metric) -> Cell:
        conductor = self.course.conductor
        if not seen.measurements:
            return Cell(reason=_first_finding(conductor, seen.measurements))
        estimate = conductor.value(seen.measurements).values.get(metric.quantity)
        if estimate is None:
            return Cell(reason=f"{metric.quantity} could not be measured on {seen.label}")
        path = f"{self._path(seen.label)}/{metric.quantity.replace('_', '-')}"
        return _cell(estimate, path, seen.measurements, metric.factor)

    def _path(self, part: str) -> str:
        return f"{self.course.subject}/{self.lesion.lesion_id}/{slug(part)}"

    def _followed(self, landmark: int) -> Cells:
        found: Cells = {}
        for metric in (m for m in METRICS if m.followed):
            found |= self._course_of(metric, landmark)
        return found

    def _course_of(self, metric: Metric, landmark: int) -> Cells:
        """Last value by the landmark, and what was said of its change."""
        names = [f"{metric.column}_{part}" for part in ("latest", "change", "lower", "upper", "verdict")]
        words, roles = IMAGES[metric.modality]
        later = [t for _, images in self.course.of_roles(roles) for t in images if 0 < (t.cycle or 0) <= landmark]
        if not later:
            return dict.fromkeys(names, Cell(reason=f"no {words} after a cycle, by the landmark"))
        image = later[-1]
        seen = self._observed(image)
        if seen is None:
            return dict.fromkeys(names, Cell(reason=self._unseen(image)))
        found = dict.fromkeys(names, Cell(reason="not compared with baseline"))
        found[names[0]] = self._measured(seen, metric)
        for made in self.lesion.changes:
            changes: tuple[RealChange, ...] = self.course.conductor.value(made) if made else ()
            for change in changes:
                if change.series_after == image.series_uid and change.quantity.endswith(f".{metric.quantity}"):
                    path = change_path(self.course.subject, self.lesion.lesion_id, seen.label, change.quantity)
                    values = (change.change, change.lower, change.upper)
                    for name, value in zip(names[1:4], values, strict=True):
                        reason = "" if value is not None else change.reason
                        found[name] = Cell(value, path=path, receipt=made.receipt, reason=reason)
                    found[names[4]] = Cell(change.verdict.value, path=path, receipt=made.receipt)
        return found

    # ---- doses ----
    def _doses(self, landmark: int) -> Cells:
        known = [c for c in self.lesion.dosimetry.cycles if c.cycle <= landmark]
        found = {f"dose_cycle_{c.cycle}": self._dose(c) for c in known}
        for cycle in self.course.cycles:
            empty = "after the landmark" if cycle > landmark else f"no dosimetry of cycle {cycle}"
            found.setdefault(f"dose_cycle_{cycle}", Cell(reason=empty))
        for cycle in range(1, PLANNED + 1):
            found.setdefault(f"dose_cycle_{cycle}", Cell(reason="cycle not given"))
        found["dose_cumulative"] = self._cumulative(known, landmark)
        latest = found.get(f"dose_cycle_{landmark}", Cell(reason="before treatment"))
        found["log_dose_latest"] = _logarithm(latest, Cell(1.0))
        found |= {"dose_latest": latest, "dose_change": _relative(latest, found.get("dose_cycle_1", Cell()))}
        own = next((c for c in known if c.cycle == landmark), None)
        gone = Cell(reason="before treatment" if landmark == 0 else f"no dosimetry of cycle {landmark}")
        return found | (
            self._kinetics(own) if own else dict.fromkeys(("bed_latest", "half_life_latest", "mass_latest"), gone)
        )

    def _dose(self, cycle: CycleRecord) -> Cell:
        conductor = self.course.conductor
        first = next(iter(cycle.doses), None)
        if first is None or not first.dose:
            return Cell(reason=_first_finding(conductor, first.dose if first else cycle.fit))
        path = f"{self._path(f'cycle-{cycle.cycle}')}/absorbed-dose.{first.engine}"
        return _cell(conductor.value(first.dose).absorbed_dose, path, first.dose)

    def _cumulative(self, known: Sequence[CycleRecord], landmark: int) -> Cell:
        """Sum of the same engine over every cycle by the landmark; that of the whole treatment is the study's own."""
        if landmark == 0:
            return Cell(reason="before treatment")
        if not known or not known[0].doses:
            return Cell(reason="no dose of cycle 1")
        engine, conductor = known[0].doses[0].engine, self.course.conductor
        parts = [(c, d) for c in known for d in c.doses if d.engine == engine and d.dose]
        given = tuple(n for n in self.course.cycles if n <= landmark)
        if missing := sorted(set(given) - {c.cycle for c, _ in parts}):
            return Cell(reason=f"no dose of cycle {', '.join(map(str, missing))}")
        whole: DoseRecord | None = next((d for d in self.lesion.dosimetry.cumulative if d.engine == engine), None)
        if whole and whole.dose and landmark == max(self.course.cycles):
            return _cell(
                conductor.value(whole.dose).absorbed_dose,
                f"{self._path('cumulative')}/absorbed-dose.{engine}",
                whole.dose,
            )
        total = cumulative_dose(
            tuple(conductor.value(d.dose) for _, d in parts),
            tuple(conductor.value(c.fit) for c, _ in parts),
            given,
            given,
        ).value
        assert total is not None  # noqa: S101  (it adds what is there)
        paths = "; ".join(f"{self._path(f'cycle-{c.cycle}')}/absorbed-dose.{engine}" for c, _ in parts)
        return _cell(total.absorbed_dose, paths, parts[-1][1].dose)

    def _kinetics(self, cycle: CycleRecord) -> Cells:
        conductor, base = self.course.conductor, self._path(f"cycle-{cycle.cycle}")
        found = {}
        first = next(iter(cycle.doses), None)
        if first and first.effect:
            found["bed_latest"] = _cell(conductor.value(first.effect).bed, f"{base}/bed.{first.engine}", first.effect)
        else:
            found["bed_latest"] = Cell(
                reason="no dose" if not (first and first.dose) else "not computed for this region"
            )
        if cycle.fit:
            half_life = conductor.value(cycle.fit).effective_half_life
            found["half_life_latest"] = _cell(half_life, f"{base}/effective-half-life", cycle.fit, 1 / HOUR_S)
        else:
            found["half_life_latest"] = Cell(reason=_first_finding(conductor, cycle.fit))
        if cycle.mass:
            found["mass_latest"] = _cell(conductor.value(cycle.mass), f"{base}/mass", cycle.mass)
        else:
            found["mass_latest"] = Cell(reason=_first_finding(conductor, cycle.mass))
        return found

    # ---- sizes ----
    def _baseline_size(self) -> Cells:
        before = [t for t in self.course.diagnostic if t.cycle in (0, None)]
        if not before:
            return dict.fromkeys(
                ("ltd_baseline", "short_axis_baseline", "volume_baseline"),
                Cell(reason="no diagnostic CT before cycle 1"),
            )
        image = before[-1]
        found = {"ltd_baseline": self._diameter(image, "long"), "short_axis_baseline": self._diameter(image, "short")}
        seen = self._observed(image)
        volume = Metric("ct", (Role.CT,), "volume", "volume")
        found["volume_baseline"] = self._measured(seen, volume) if seen else Cell(reason=found["ltd_baseline"].reason)
        return found

    def _size_after(self, landmark: int) -> Cell:
        """Diameter on the last diagnostic CT of the time between this cycle and the next; an old one is not carried forward."""
        own = [t for t in self.course.diagnostic if landmark > 0 and t.cycle == landmark]
        return (
            self._diameter(own[-1], "long")
            if own
            else Cell(reason="no diagnostic CT after this cycle and before the next")
        )

    def _diameter(self, image: Timepoint, which: str) -> Cell:
        seen = self._observed(image)
        if seen is None:
            return Cell(reason=self._unseen(image))
        if not seen.diameters:
            return Cell(reason=_first_finding(self.course.conductor, seen.diameters))
        pair = self.course.conductor.value(seen.diameters)
        quantity, mm = ("longest-diameter", pair.long_mm) if which == "long" else ("short-axis", pair.short_mm)
        return Cell(
            mm, path=f"{self._path(seen.label)}/{quantity}", receipt=seen.diameters.receipt, not_evaluated=("reader",)
        )

    def _outcome(self, baseline: Cell) -> Cells:
        names = ("ltd_outcome", "outcome_sighting", "outcome_day", "log_ratio", "change", "shrinkage", "category")
        cycles = self.course.cycles
        end = self.course.started(max(cycles)) if cycles else None
        start = self.course.started(min(cycles)) if cycles else None
        if end is None or start is None:
            return dict.fromkeys(names, Cell(reason="no cycle given"))
        days = self.settings.outcome_after_days
        after = [t for t in self.course.diagnostic if t.acquired_at and t.acquired_at >= end + timedelta(days=days)]
        if not after:
            return dict.fromkeys(names, Cell(reason=f"no diagnostic CT {days} days or more after the last cycle"))
        size, at = self._diameter(after[0], "long"), after[0].acquired_at
        sighting = self._sighting(after[0])
        if sighting is Sighting.NOT_SEEN and self.course.record.correspondences:
            size = Cell(0.0, receipt=self.course.record.correspondences.receipt, not_evaluated=("reader",))
        found = {
            "ltd_outcome": size,
            "outcome_sighting": Cell(sighting.value if sighting else "not looked for"),
            "outcome_day": Cell((at - start).days) if at else Cell(reason="the CT has no date"),
        }
        if not isinstance(size.value, float) or not isinstance(baseline.value, float):
            gone = Cell(reason=size.reason or f"baseline: {baseline.reason}")
            return found | dict.fromkeys(names[3:], gone)
        category = category_of(baseline.value, baseline.value, size.value, self.settings)
        values: tuple[Value, ...] = (
            log(max(size.value, min(TOO_SMALL_MM, baseline.value)) / baseline.value),
            size.value / baseline.value - 1,
            category in ("CR", "PR"),
            LEVELS[category],
        )
        paths = "; ".join(filter(None, (baseline.path, size.path)))
        return found | {n: Cell(v, path=paths, receipt=size.receipt) for n, v in zip(names[3:], values, strict=True)}


def _cell(estimate: Estimate, path: str, made: Made, factor: float = 1.0) -> Cell:
    sd = estimate.least_sd
    return Cell(
        estimate.value * factor, None if sd is None else sd * factor, estimate.not_evaluated, path, made.receipt
    )


def _relative(latest: Cell, first: Cell) -> Cell:
    if not isinstance(latest.value, float) or not isinstance(first.value, float):
        return Cell(reason=latest.reason or first.reason)
    if latest.path == first.path:
        return Cell(0.0, path=latest.path, receipt=latest.receipt)
    return Cell(latest.value / first.value - 1, path=f"{first.path}; {latest.path}", receipt=latest.receipt)


def _logarithm(one: Cell, other: Cell) -> Cell:
    """Natural logarithm of the ratio of two values."""
    if not isinstance(one.value, float) or not isinstance(other.value, float):
        return Cell(reason=one.reason or f"baseline: {other.reason}")
    paths = "; ".join(path for path in dict.fromkeys((other.path, one.path)) if path)
    return Cell(log(one.value / other.value), path=paths, receipt=one.receipt)


def _first_finding(conductor: Conductor, made: Made | None) -> str:
    """Why a step gave nothing, as it said."""
    findings = conductor.findings([made.receipt]) if made is not None else ()
    return findings[0].text if findings else "could not be determined"
