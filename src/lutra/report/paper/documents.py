"""The documents: dosimetry of a subject, decision on a cycle, sheet of response, report of the study.

References
----------
[lassmann2011] Lassmann et al., Eur J Nucl Med Mol Imaging 38:192 (2011): what a dosimetry report should say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from lutra.core.finding import Finding, Severity
from lutra.report import numbers
from lutra.report.analysis_model import AnalysisView
from lutra.report.course import by_gravity, quantiles_text
from lutra.report.description import LESION_ROWS, PATIENT_ROWS, final_rows, flow, missing_rows, table_one
from lutra.report.model import Number, RegionDoseView, StudyView, SubjectView
from lutra.report.paper.typeset import Document, Grid, Section

SIMULATED = "All data are simulated."
NOT_AVAILABLE = "not available"
IN_CYCLES = ("time-integrated-activity", "effective-half-life", "mass")
BY_VOLUME = {"d98": "D98", "d90": "D90", "d50": "D50", "d2": "D2", "eud-bed": "EUD of BED"}
LONGEST = 400
"""Characters of a finding that are printed; all of it stands in the tables."""


def dosimetry_report(study: StudyView, subject: SubjectView) -> Document:
    """Say what was given, imaged, computed and found of one subject, and what is not known."""
    zone = ZoneInfo(study.time_zone)
    return _document(
        study,
        subject.subject_id,
        f"Dosimetry of {subject.subject_id}",
        f"{study.title or study.name}",
        (
            Section("Administrations", (), (_administrations(subject, zone),)),
            Section("Images", (), (_images(subject, zone),)),
            Section("Absorbed dose by region", (_budget_words(),), tuple(_dose_grids(subject))),
            *_sums(subject),
            *_volumes(subject),
            *_kinetics(subject),
            *_limits(subject),
            Section("What a dosimetry report should say, and where it is", (), (_items(study, subject),)),
            *_findings(subject.findings),
        ),
        sign=True,
    )


def _document(
    study: StudyView, subject: str, title: str, subtitle: str, sections: tuple[Section, ...], *, sign: bool = False
) -> Document:
    footer = f"{study.program} · protocol {study.protocol_name} {study.protocol_digest[:12]} · {study.made_at}"
    notice = SIMULATED if study.simulated else ""
    return Document(title, subtitle, subject, footer, datetime.now(UTC).date(), sections, notice, sign)


def _clock(moment: datetime | None, zone: ZoneInfo) -> str:
    if moment is None:
        return "undated"
    local = moment.astimezone(zone)
    return f"{local.day} {local:%b %Y, %H:%M}"


def _administrations(subject: SubjectView, zone: ZoneInfo) -> Grid:
    rows = [
        (
            str(c.cycle),
            c.nuclide,
            _clock(c.started_at, zone),
            f"{c.activity_mbq / 1000:.2f}" if c.activity_mbq else NOT_AVAILABLE,
            str(len(c.scans)),
        )
        for c in subject.cycles
    ]
    return Grid(("Cycle", "Nuclide", "Start of the infusion", "Administered, GBq", "Scans"), rows, (3, 4), (2,))


def _images(subject: SubjectView, zone: ZoneInfo) -> Grid:
    rows = [
        (
            s.label,
            s.role,
            _clock(s.acquired_at, zone),
            numbers.unit_text(s.unit) if s.unit else NOT_AVAILABLE,
            _clock(s.decay_referenced_to, zone) if s.decay_referenced_to else "",
        )
        for s in subject.series
        if not s.beside_spect
    ]
    return Grid(("Image", "For", "Acquired", "Unit", "Decay referred to"), rows, (), (0,))


def _budget_words() -> str:
    return (
        "± is one standard uncertainty (k = 1); “at least” where a source of it was not evaluated. "
        "Each source with its share stands in tables/dosimetry.csv of the report."
    )


def _dose_grids(subject: SubjectView) -> Iterator[Grid]:
    cycles = sorted({c for region in subject.regions for c, _ in region.numbers if c is not None})
    quantities = {n.quantity for region in subject.regions for _, n in region.numbers}
    engines = sorted(q for q in quantities if q.startswith("absorbed-dose."))
    for quantity in engines:
        engine = quantity.partition(".")[2]
        rows = [
            (region.title, *(_cell(region, cycle, quantity) for cycle in (*cycles, None)))
            for region in subject.regions
            if any(n.quantity == quantity for _, n in region.numbers)
        ]
        header = (f"Region, Gy by {engine}", *(f"Cycle {c}" for c in cycles), "All cycles")
        yield Grid(header, rows, tuple(range(1, len(header))), (0,))


def _sums(subject: SubjectView) -> Iterator[Section]:
    """Doses of all cycles with their intervals, the biological doses, and what the doubt is made of."""
    engine = subject.dose_engine
    rows = []
    for region in subject.regions:
        total = region.number(None, f"absorbed-dose.{engine}")
        if total is not None:
            of_effect = [_briefly(region.number(None, f"{quantity}.{engine}")) for quantity in ("bed", "eqd2")]
            rows.append((region.title, _briefly(total), _interval(total), *of_effect, _largest_source(total)))
    if rows:
        header = (f"Region, all cycles by {engine}", "Dose", "95 % interval", "BED", "EQD2", "Largest source of doubt")
        words = "BED and EQD2 where the tissue's parameters are known. A sum that lacks a cycle is a lower bound and has a finding."
        yield Section("All cycles", (words,), (Grid(header, rows, (1, 2, 3, 4), (5,)),))


def _volumes(subject: SubjectView) -> Iterator[Section]:
    """Doses by share of the volume, cycle by cycle."""
    engine = subject.dose_engine
    given = {n.quantity for region in subject.regions for _, n in region.numbers}
    shown = {f"{quantity}.{engine}": head for quantity, head in BY_VOLUME.items() if f"{quantity}.{engine}" in given}
    rows = []
    for region in subject.regions:
        for cycle in sorted({c for c, n in region.numbers if c is not None and n.quantity in shown}):
            cells = (region.number(cycle, quantity) for quantity in shown)
            rows.append((region.title, str(cycle), *("" if n is None else numbers.value_text(n) for n in cells)))
    if rows:
        header = (f"Region, Gy by {engine}", "Cycle", *shown.values())
        words = "From the voxels of the map, which the camera blurs: of a small region they lie closer together than the doses do."
        yield Section(
            "Doses by share of the volume", (words,), (Grid(header, rows, tuple(range(1, len(header))), (0,)),)
        )


def _interval(number: Number) -> str:
    """Write the 95 % interval of a complete budget; of another one would be too narrow."""
    estimate = number.estimate
    if estimate is None or (edges := estimate.interval()) is None:
        return "not evaluated"
    decimals = numbers.decimals_of_column((number,)) or 0
    low, high = (numbers.write(edge * number.factor, decimals) for edge in edges)
    return f"{low} to {high}"


def _largest_source(number: Number) -> str:
    if number.estimate is None:
        return number.reason
    return next((f"{name}, {share:.0%}" for name, share in number.estimate.share().items()), "")


def _cell(region: RegionDoseView, cycle: int | None, quantity: str) -> str:
    number = region.number(cycle, quantity)
    if number is None:
        return ""
    return numbers.plain_text(number) if number.estimate else "undetermined"


def _kinetics(subject: SubjectView) -> Iterator[Section]:
    rows = []
    for region in subject.regions:
        for cycle in sorted({c for c, _ in region.numbers if c is not None}):
            found = [region.number(cycle, quantity) for quantity in IN_CYCLES]
            if any(found):
                rows.append((region.title, str(cycle), *(_said(n) for n in found)))
    if rows:
        header = ("Region", "Cycle", "Time-integrated activity", "Effective half-life", "Mass")
        yield Section("Kinetics and mass", (), (Grid(header, rows, (1, 2, 3, 4), (0,)),))
    curves = [(lesion, curve) for lesion in subject.lesions for curve in lesion.curves]
    if curves:
        models = [
            (lesion.lesion_id, str(c.cycle), c.model, str(len(c.measured)), "yes" if c.identifiable else "no")
            for lesion, c in curves
        ]
        header = ("Lesion", "Cycle", "Model of the curve", "Points", "Determined by its points")
        yield Section("Curves", (), (Grid(header, models, (1, 3), (2,)),))


def _said(number: Number | None) -> str:
    if number is None:
        return ""
    return numbers.plain_text(number) if number.estimate else "undetermined"


def _briefly(number: Number | None) -> str:
    """Write a number without the names of what was not evaluated."""
    if number is None or number.estimate is None:
        return _said(number)
    return numbers.value_text(number) + numbers.doubt_text(number, sources=False)


def _limits(subject: SubjectView) -> Iterator[Section]:
    rows = [
        (
            p.region,
            held.limit.name,
            f"{held.limit.limit_gy:g}",
            quantiles_text(held.so_far_gy),
            quantiles_text(held.after_all_gy),
            "" if held.exceeded_all is None else f"{held.exceeded_all:.0%}",
        )
        for p, held in subject.course.limited
    ]
    if rows:
        header = ("Region", "Limit", "Gy", "So far, Gy", "After all planned, Gy", "P above")
        yield Section("Doses to come against their limits", (), (Grid(header, rows, (2, 3, 4, 5), (1,)),))


def _items(study: StudyView, subject: SubjectView) -> Grid:
    """Items of [lassmann2011] in our words."""
    models = sorted({c.model for lesion in subject.lesions for c in lesion.curves})
    spect = [s for s in subject.series if s.role == "therapy-spect"]
    rules = sorted({rule for s in spect for rule in s.rules})
    rows = [
        ("Radiopharmaceutical and administered activity", "above" if subject.cycles else NOT_AVAILABLE),
        ("Times of infusion and of every image", "above" if subject.series else NOT_AVAILABLE),
        ("Quantification and calibration of the camera", "; ".join(rules) or NOT_AVAILABLE),
        ("Corrections: decay, scatter, attenuation, dead time, partial volume", "findings and lineage of each number"),
        ("Regions and how they were drawn", "pages of the lesions; delineation in tables/measurements.csv"),
        ("Masses and where they come from", "above, under kinetics and mass"),
        ("Time-activity curves, models and their fit", ", ".join(models) or NOT_AVAILABLE),
        ("Method of dose calculation, program and version", study.program),
        ("Uncertainty", "of every number, by source, in the tables of the report"),
        ("Reader and approval", "audit trail of the study; the line to sign on at the end"),
    ]
    return Grid(("Item", "Where, or what"), rows, (), (0, 1))


def _findings(findings: tuple[Finding, ...]) -> Iterator[Section]:
    """Give each kind of doubt once, with the first of it in words and how many there are."""
    grave = [f for f in findings if f.severity is not Severity.INFO]
    kinds = Counter((f.severity, f.code) for f in grave)
    rows = []
    for (severity, code), n in kinds.items():
        first = next(f.text for f in grave if (f.severity, f.code) == (severity, code))
        words = first if len(first) <= LONGEST else first[: LONGEST - 1] + "…"
        rows.append((severity.value, code, str(n), words))
    if rows:
        grid = Grid(("Severity", "Code", "Times", "The first of them"), rows, (2,), (3,))
        yield Section("Findings", ("All of them stand in tables/findings.csv of the report.",), (grid,))


# ---- decision ----
def decision_sheet(study: StudyView, subject: SubjectView) -> Document | None:
    """Every rule before the cycle that matters now, and a line to sign on; None without clinical tables."""
    d = subject.course.last
    if d is None:
        return None
    rules = [
        (r.rule, r.saw, r.says, f"{r.verdict.value.lower()}{', advisory' if r.advisory else ''}") for r in by_gravity(d)
    ]
    signed = [
        f"Cycle {cycle}: {s.verdict.value.lower()}, signed by {s.by} on {s.at:%Y-%m-%d %H:%M} UTC"
        f"{'' if of_this else ', of an earlier state'}. {s.reason}"
        for cycle, s, of_this in subject.course.signatures
    ]
    header = ("Rule", "What it saw", "What it asks for if it applies", "Says")
    activity = f", {d.activity_bq / 1e9:.2f} GBq" if d.activity_bq else ""
    return _document(
        study,
        subject.subject_id,
        f"{d.verdict.value}{activity}",
        f"May cycle {d.cycle} of {subject.subject_id} be given? What was known on {d.decided_on}",
        (
            Section("Signatures", tuple(signed) or ("Nobody has signed.",)),
            Section("Every rule", (), (Grid(header, rules, (), (1, 2)),)),
        ),
        sign=True,
    )


# ---- response ----
def recist_sheet(study: StudyView, subject: SubjectView) -> Document | None:
    """Response of a subject by every reader and visit; None without a reading."""
    if not subject.course.responses:
        return None
    sections = []
    for r in subject.course.responses:
        e = r.endpoints
        pfs = "not determined" if e.pfs_days is None else f"{e.pfs_days} d, {'event' if e.pfs_event else 'censored'}"
        visits = [
            (
                t.visit,
                str(t.on or ""),
                t.target or "none",
                t.non_target or "none",
                "yes" if t.new_lesion else "no",
                t.overall,
                _mm(t.sum_mm),
                _mm(t.nadir_mm),
                t.rule,
            )
            for t in r.timepoints
        ]
        lesions = [
            (le.lesion, le.kind, le.location, _mm(le.baseline_mm), _mm(le.best_mm), f"{100 * le.best_change:+.0f} %")
            for le in r.lesions
        ]
        of_visits = ("Visit", "Day", "Targets", "Non-targets", "New", "Overall", "Sum, mm", "Nadir, mm", "Rule")
        of_lesions = ("Lesion", "Kind", "Where", "Baseline, mm", "Best, mm", "Best change")
        sections.append(
            Section(
                r.reader,
                (f"Best response {e.bor}, confirmed {e.confirmed_bor}. Progression-free survival {pfs}.",),
                (
                    Grid(of_visits, visits, (6, 7), (8,)),
                    Grid(of_lesions, lesions, (3, 4, 5), (2,)),
                ),
            )
        )
    title, words = f"Response of {subject.subject_id}", "RECIST 1.1, every visit with the rule that decided it"
    return _document(study, subject.subject_id, title, words, tuple(sections), sign=True)


def _mm(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


# ---- study ----
def study_report(study: StudyView, analysis: AnalysisView) -> Document:
    """Give the study in figures, and what its models show and do not."""
    final = final_rows(analysis.lesions)
    steps = [(str(s.n), s.words, s.note) for s in flow(analysis.lesions, analysis.patients)]
    sections = [Section("Flow", (), (Grid(("", "", "Lost"), steps, (0,), (2,)),))]
    for question in analysis.questions:
        rows = [(m.name, m.sentence, f"{m.n} of {m.n_clusters}") for m in analysis.of(question)]
        grid = Grid(("Model", "What it says", "Rows of patients"), rows, (2,), (1,))
        sections.append(Section(question.capitalize(), (), (grid,)))
    everybody = analysis.patients.rows
    for heading, table, whose, names, by, groups in (
        ("Table one: patients", analysis.patients, everybody, PATIENT_ROWS, "response", ("SD or PD", "CR or PR")),
        ("Table one: lesions", analysis.lesions, final, LESION_ROWS, "shrinkage", ("not shrunk", "shrunk")),
    ):
        cells = [
            (r.label, r.overall, r.without, r.with_outcome, str(r.missing or ""))
            for r in table_one(table, whose, names, by)
        ]
        sections.append(Section(heading, (), (Grid(("", "All", *groups, "Missing"), cells, (1, 2, 3, 4), (0,)),)))
    gone = [(label, f"{n} of {of}", why) for label, n, of, why in missing_rows(analysis.lesions, final, LESION_ROWS)]
    if gone:
        sections.append(Section("Missing", (), (Grid(("Variable", "Missing", "Why"), gone, (1,), (2,)),)))
    equations = [(m.name, m.equation) for m in analysis.models if m.converged and m.equation]
    sections.append(Section("Equations", (), (Grid(("Model", "Fitted"), equations, (), (1,)),)))
    repeat = [("plan", analysis.plan_digest), *(analysis.digests.items()), *(analysis.versions.items())]
    sections.append(Section("To repeat this", (), (Grid(("", ""), [(k, v) for k, v in repeat], (), (1,)),)))
    words = "Associations, not causes. A null is said as plainly as a finding."
    return _document(study, study.name, f"Analysis of {study.name}", words, tuple(sections))
