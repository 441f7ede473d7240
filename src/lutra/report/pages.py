"""Fills the templates. Jinja escapes all that reaches them; the data of the `why` drawer are escaped here."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from attrs import frozen
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from lutra.core.finding import Finding, Severity
from lutra.report import charts, course, matrix, numbers, titles
from lutra.report.model import CorrespondenceView, DoseView, LesionView, Number, StudyView, SubjectView

SHARED_SOURCES = ("camera calibration", "dose calibrator", "dead time", "tail half-life", "S value", "tissue density")
"""Sources that other scans or lesions have in common, so that they do not average out."""

STATES = {
    Severity.ERROR: ("finding", "error"),
    Severity.UNDETERMINED: ("undet", "undetermined"),
    Severity.WARNING: ("finding", "finding"),
    Severity.INFO: ("processed", "note"),
}


def environment(time_zone: str) -> Environment:
    """Make the Jinja environment: everything escaped, a missing name is an error."""
    env = Environment(
        loader=PackageLoader("lutra.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    zone = ZoneInfo(time_zone)

    def day(moment: datetime | None) -> str:
        if moment is None:
            return "undated"
        local = moment.astimezone(zone)
        return f"{local.day} {local:%b %Y}"

    def clock(moment: datetime | None) -> str:
        return "undated" if moment is None else f"{day(moment)}, {moment.astimezone(zone):%H:%M}"

    env.filters |= {
        "day": day,
        "clock": clock,
        "value": numbers.value_text,
        "doubt": numbers.doubt_text,
        "plain": numbers.plain_text,
        "unit": numbers.unit_text,
        "interval": numbers.interval_text,
        "change": numbers.change_text,
        "outline": charts.outline_path,
        "right_end": charts.right_end,
        "state": lambda severity: STATES[severity],
        "by_gravity": course.by_gravity,
        "verdict_icon": course.verdict_icon,
        "verdict_sentence": course.verdict_sentence,
        "quantiles": course.quantiles_text,
    }
    env.globals |= {
        "charts": charts,
        "titles": titles,
        "plural": titles.plural,
        "decimals": lambda doses: numbers.decimals_of_column(d.number for d in doses),
    }
    return env


def index_page(env: Environment, study: StudyView) -> str:
    """Render the study page: what there is, and what needs a person."""
    work = [(s, f, n) for s in study.subjects for f, n in grouped(s.open_findings)]
    work.sort(key=lambda item: list(Severity).index(item[1].severity), reverse=True)
    intake = [f for f in study.findings if f.severity is not Severity.INFO]
    cycles = sorted({c.cycle for s in study.subjects for c in s.cycles})
    return env.get_template("index.html").render(
        study=study,
        root="",
        blinded=any(s.blinded for s in study.subjects),
        why=Markup("{}"),
        work=work,
        intake=grouped(intake),
        open_count=len(intake) + sum(len(s.open_findings) for s in study.subjects),
        cycles=cycles,
        grid=[(s, tiles(s), [cycle_cell(s, c) for c in cycles]) for s in study.subjects],
    )


def subject_page(env: Environment, study: StudyView, subject: SubjectView) -> str:
    """Render everything about one subject."""
    zone = ZoneInfo(study.time_zone)
    return env.get_template("subject.html").render(
        study=study,
        subject=subject,
        root="../",
        why=why_data(subject),
        urgent=grouped(subject.open_findings),
        matrices={lesion.lesion_id: matrix.matrices(subject, lesion, zone) for lesion in subject.lesions},
        size_points=size_points,
        dose_table=dose_table,
        correspondence_grid=correspondence_grid,
    )


def grouped(findings: Iterable[Finding]) -> list[tuple[Finding, int]]:
    """Take Findings of one code and severity together: the first of them and how many there are."""
    groups: dict[tuple[str, str], list[Finding]] = defaultdict(list)
    for finding in findings:
        groups[finding.severity.value, finding.code].append(finding)
    return [(members[0], len(members)) for members in groups.values()]


def cycle_cell(subject: SubjectView, cycle: int) -> tuple[str, str, str] | None:
    """State, word and number of one cycle in the study grid; None if the cycle is not known."""
    given = next((c for c in subject.cycles if c.cycle == cycle), None)
    if given is None:
        return None
    scans = f"{len(given.scans)} SPECT"
    doses = [d for lesion in subject.lesions for d in lesion.doses if d.cycle == cycle]
    known = [d.number for d in doses if d.number.estimate and d.engine == doses[0].engine]
    undetermined = sum(d.number.estimate is None for d in doses)
    if not doses:
        return "missing", "no dose", scans
    if undetermined:
        return "undet", "undetermined", f"{undetermined} of {len(doses)} doses"
    values = sorted(known, key=lambda n: n.estimate.value if n.estimate else 0.0)
    decimals = numbers.decimals_of_column(known)
    low, high = (numbers.value_text(n, decimals) for n in (values[0], values[-1]))
    return "processed", "processed", f"{low}{numbers.NBSP}Gy" if low == high else f"{low} to {high}{numbers.NBSP}Gy"


def dose_table(lesion: LesionView) -> tuple[list[str], list[tuple[int, list[DoseView | None]]]]:
    """Put the methods side by side: names of the columns, then one row per cycle."""
    engines = list(dict.fromkeys(d.engine for d in lesion.doses))
    by_place = {(d.cycle, d.engine): d for d in lesion.doses}
    cycles = sorted({d.cycle for d in lesion.doses})
    return engines, [(cycle, [by_place.get((cycle, engine)) for engine in engines]) for cycle in cycles]


@frozen
class LesionGrid:
    """Lesions by images; None where nobody looked for lesions."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[CorrespondenceView | None, ...]], ...]


def correspondence_grid(subject: SubjectView) -> LesionGrid:
    """Put the lesions of a subject against its images, both in order."""
    by_place = {(c.lesion_id, c.series_label): c for c in subject.correspondences}
    order = [s.label for s in subject.series]
    columns = sorted({c.series_label for c in subject.correspondences}, key=order.index)
    lesions = dict.fromkeys(c.lesion_id for c in subject.correspondences)
    return LesionGrid(
        tuple(columns), tuple((lesion, tuple(by_place.get((lesion, c)) for c in columns)) for lesion in lesions)
    )


def size_points(lesion: LesionView) -> list[tuple[str, float, str]]:
    """Diameters on the CTs that were assessed, with the category of each follow-up."""
    if not lesion.responses:
        return []
    baseline = lesion.responses[0].baseline_mm
    return [("baseline", baseline, ""), *((r.label, r.current_mm, r.category) for r in lesion.responses)]


def why_data(subject: SubjectView) -> Markup:
    """Gather the data of the why drawer by key, as JSON that is safe inside a script element."""
    data = {n.key: _why(n) for n in _all_numbers(subject)}
    text = json.dumps(data, ensure_ascii=False, sort_keys=True)
    return Markup(text.replace("<", "\\u003c").replace("&", "\\u0026"))  # noqa: S704  (markup characters are escaped in JSON)


def _why(number: Number) -> dict[str, Any]:
    estimate = number.estimate
    share = estimate.share() if estimate else {}
    budget: list[tuple[str, float | None, bool]] = [
        (_text(name), round(100 * part, 1), name.startswith(SHARED_SOURCES)) for name, part in share.items()
    ]
    budget += [(_text(name), None, False) for name in (estimate.not_evaluated if estimate else ())]
    return {
        "title": _text(number.label),
        "value": _text(numbers.plain_text(number)),
        "text": _text(numbers.interval_text(number)),
        "budget": budget,
        "chain": [(_text(item.title), _text(item.detail)) for item in number.chain],
        "receipt": _text(f"{number.receipt[:16]} · lutra why STUDY {number.key}"),
    }


def _text(words: str) -> str:
    """Escape for the drawer, whose script inserts it as HTML."""
    return str(escape(words))


def _all_numbers(subject: SubjectView) -> Iterator[Number]:
    for series in subject.series:
        yield from series.numbers
    for lesion in subject.lesions:
        for observation in lesion.observations:
            yield from observation.numbers
        for curve in lesion.curves:
            yield from curve.numbers
        for dose in lesion.doses:
            yield dose.number
    for region in subject.regions:
        yield from (number for _, number in region.numbers)


def tiles(subject: SubjectView) -> list[tuple[str, str, str]]:
    """Letters F S A C for the images of a subject: letter, state, words."""
    letters = []
    for letter, roles, words in (
        ("F", ("fdg-pet",), "FDG PET"),
        ("S", ("sstr-pet",), "SSTR PET"),
        ("A", ("adc", "dwi"), "ADC"),
        ("C", ("ct",), "CT"),
    ):
        found = [s for s in subject.series if s.role in roles]
        doubtful = any(s.finding_count for s in found)
        state = ("finding" if doubtful else "processed") if found else "missing"
        letters.append(
            (
                letter,
                state,
                f"{words}: {'there' if found else 'not in this study'}{', with findings' if doubtful else ''}",
            )
        )
    return letters
