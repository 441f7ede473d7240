"""Fills the templates. Everything that reaches them is escaped by Jinja; the `why` data are escaped here, for the drawer."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from lutra.core.finding import Severity
from lutra.report import charts, numbers, titles
from lutra.report.model import LesionView, Number, ObservationView, StudyView, SubjectView

SHARED_SOURCES = ("camera calibration", "tail half-life", "S value", "tissue density")
"""Sources that other scans or lesions have in common, so that they do not average out."""

ROWS = (
    ("CT", ("ct",), "longest-diameter"),
    ("FDG", ("fdg-pet", "other-pet"), "suv-max"),
    ("SSTR", ("sstr-pet",), "suv-max"),
    ("ADC", ("adc", "other-mr"), "adc-mean"),
    ("SPECT", ("therapy-spect",), "activity"),
)
COLUMNS = 4
STATES = {
    Severity.ERROR: ("stop", "error"),
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
        "interval": numbers.interval_text,
        "change": numbers.change_text,
        "outline": charts.outline_path,
        "state": lambda severity: STATES[severity],
    }
    env.globals |= {"charts": charts, "titles": titles, "plural": titles.plural}
    return env


def index_page(env: Environment, study: StudyView) -> str:
    """Render the study page: what there is, and what needs a person."""
    work = [(s, f) for s in study.subjects for f in s.open_findings]
    intake = [f for f in study.findings if f.severity is not Severity.INFO]
    return env.get_template("index.html").render(
        study=study, root="", why=Markup("{}"), work=work, intake=intake, tiles=_tiles
    )


def subject_page(env: Environment, study: StudyView, subject: SubjectView) -> str:
    """Render everything about one subject."""
    return env.get_template("subject.html").render(
        study=study,
        subject=subject,
        root="../",
        why=why_data(subject),
        matrix=matrix,
        size_points=size_points,
    )


def matrix(lesion: LesionView) -> list[tuple[str, list[tuple[ObservationView, Number | None]]]]:
    """Arrange the pictures of a lesion: a row per modality, for SPECT per cycle; at most four in a row."""
    rows = []
    for name, roles, quantity in ROWS:
        groups: dict[str, list[ObservationView]] = defaultdict(list)
        for o in lesion.observations:
            if o.role in roles:
                groups[o.series_label.split(",")[0] if name == "SPECT" else name].append(o)
        for label, observations in groups.items():
            for n in range(0, len(observations), COLUMNS):
                title = f"{name} {label}" if name == "SPECT" else name
                rows.append((title, [(o, o.number(quantity)) for o in observations[n : n + COLUMNS]]))
    return rows


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
        (str(escape(name)), round(100 * part, 1), name.startswith(SHARED_SOURCES)) for name, part in share.items()
    ]
    budget += [(str(escape(name)), None, False) for name in (estimate.not_evaluated if estimate else ())]
    return {
        "title": str(escape(number.label)),
        "value": str(escape(numbers.plain_text(number))),
        "text": str(escape(numbers.interval_text(number))),
        "budget": budget,
        "chain": [(str(escape(item.title)), str(escape(item.detail))) for item in number.chain],
        "receipt": f"{escape(number.receipt[:16])} · lutra why STUDY {escape(number.key)}",
    }


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


def _tiles(subject: SubjectView) -> list[tuple[str, str, str]]:
    """Letters F S A C for the images of a subject: letter, state, words."""
    tiles = []
    for letter, roles, words in (
        ("F", ("fdg-pet",), "FDG PET"),
        ("S", ("sstr-pet",), "SSTR PET"),
        ("A", ("adc",), "ADC"),
        ("C", ("ct",), "CT"),
    ):
        found = [s for s in subject.series if s.role in roles]
        doubtful = any(s.finding_count for s in found)
        state = ("finding" if doubtful else "processed") if found else "missing"
        tiles.append(
            (
                letter,
                state,
                f"{words}: {'there' if found else 'not in this study'}{', with findings' if doubtful else ''}",
            )
        )
    return tiles
