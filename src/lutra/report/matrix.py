"""The lesion matrix: one lesion through modalities and time, with a hole where there is no picture."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from attrs import evolve, frozen

from lutra.report.model import ChangeView, LesionView, Number, ObservationView, SubjectView

COLUMNS = 5
"""Most pictures side by side; a longer course continues in the next matrix."""

COURSE = (
    ("CT", ("ct",), "longest-diameter"),
    ("FDG", ("fdg-pet", "other-pet"), "suv-max"),
    ("SSTR", ("sstr-pet",), "suv-max"),
    ("ADC", ("adc", "dwi", "other-mr"), "adc-mean"),
)
SPECT, SPECT_QUANTITY = "therapy-spect", "activity"
VERDICTS = {"increase": "real", "decrease": "real", "within noise": "within noise", "not known": "not judged"}
"""What a picture says of a change that was held against its repeatability."""


@frozen
class Cell:
    """One place of the matrix: an observation, or the state and words of a hole; neither is an empty place.

    Parameters
    ----------
    change, verdict
        Relative change from the first picture of the row, and whether it is real; empty where nobody judged.
    """

    observation: ObservationView | None = None
    number: Number | None = None
    change: float | None = None
    verdict: str = ""
    hole: tuple[str, str, str] | None = None


@frozen
class Row:
    """One modality, with the name and unit of the number under each picture."""

    name: str
    note: str
    cells: tuple[Cell, ...]


@frozen
class Matrix:
    """Heads of the columns and rows below them."""

    heads: tuple[str, ...]
    rows: tuple[Row, ...]


NOT_OUTLINED = ("undet", "not outlined", "outline it here")
NO_IMAGE = ("missing", "no image", "")


def matrices(subject: SubjectView, lesion: LesionView, zone: ZoneInfo) -> tuple[Matrix, ...]:
    """Arrange the pictures of a lesion: diagnostic images by phase of the course, SPECT by cycle and scan."""
    return tuple(part for whole in (_course(subject, lesion, zone), _spect(subject, lesion)) for part in _split(whole))


def phase(subject: SubjectView, acquired_at: datetime | None, zone: ZoneInfo) -> str:
    """Name the part of the course an image falls in; its date where no cycle is known."""
    if acquired_at is None:
        return "Undated"
    if not subject.cycles:
        local = acquired_at.astimezone(zone)
        return f"{local.day} {local:%b %Y}"
    given = [c.cycle for c in subject.cycles if c.started_at <= acquired_at]
    return f"After cycle {max(given)}" if given else "Baseline"


def _course(subject: SubjectView, lesion: LesionView, zone: ZoneInfo) -> Matrix:
    def where(acquired_at: datetime | None) -> str:
        return phase(subject, acquired_at, zone)

    roles = {role for _, several, _ in COURSE for role in several}
    shown = _by_time([o for o in lesion.observations if o.role in roles and not o.beside_spect])
    columns = _columns(shown, where)
    rows = []
    for name, several, quantity in COURSE:
        own = [o for o in shown if o.role in several]
        if not own:
            continue
        imaged = {where(s.acquired_at) for s in subject.series if s.role in several and not s.beside_spect}
        places: dict[tuple[str, int], ObservationView] = {}
        for head, members in _grouped(own, where).items():
            places |= {(head, n): o for n, o in enumerate(members)}
        cells = tuple(
            _cell(places[head, n], quantity, own[0], lesion.changes)
            if (head, n) in places
            else (Cell(hole=NOT_OUTLINED if head in imaged else NO_IMAGE) if n == 0 else Cell())
            for head, n in columns
        )
        rows.append(Row(name, _note(own, quantity), cells))
    return Matrix(tuple(head for head, _ in columns), tuple(rows))


def _spect(subject: SubjectView, lesion: LesionView) -> Matrix:
    seen = {o.series_label: o for o in lesion.observations if o.role == SPECT}
    rows = []
    for cycle in subject.cycles:
        labels = [label for label, _ in cycle.scans]
        own = [seen.pop(label) for label in labels if label in seen]
        found = {o.series_label: o for o in own}
        if own:
            cells = tuple(
                _cell(found[label], SPECT_QUANTITY) if label in found else Cell(hole=NOT_OUTLINED) for label in labels
            )
            rows.append(Row(f"SPECT cycle {cycle.cycle}", _note(own, SPECT_QUANTITY), cells))
    if seen:
        rest = _by_time(seen.values())
        rows.append(Row("SPECT, no cycle", _note(rest, SPECT_QUANTITY), tuple(_cell(o, SPECT_QUANTITY) for o in rest)))
    width = max((len(row.cells) for row in rows), default=0)
    padded = tuple(evolve(row, cells=row.cells + (Cell(),) * (width - len(row.cells))) for row in rows)
    return Matrix(tuple(f"Scan {n + 1}" for n in range(width)), padded)


def _columns(shown: Sequence[ObservationView], where: Callable[[datetime | None], str]) -> list[tuple[str, int]]:
    """Give every phase as many columns as one modality has images in it, in time order."""
    width: dict[str, int] = {}
    for head, members in _grouped(shown, where).items():
        by_role = _grouped_by(members, lambda o: _modality(o.role))
        width[head] = max(map(len, by_role.values()))
    return [(head, n) for head, count in width.items() for n in range(count)]


def _modality(role: str) -> str:
    return next(name for name, several, _ in COURSE if role in several)


def _cell(
    observation: ObservationView,
    quantity: str,
    first: ObservationView | None = None,
    changes: Sequence[ChangeView] = (),
) -> Cell:
    number = observation.number(quantity)
    baseline = first.number(quantity) if first is not None and first is not observation else None
    change = None
    if number and baseline and number.estimate and baseline.estimate and baseline.estimate.value > 0:
        change = number.estimate.value / baseline.estimate.value - 1
    judged = (observation.series_label, f"{observation.role}.{quantity.replace('-', '_')}")
    verdict = next((VERDICTS[c.verdict] for c in changes if (c.label, c.quantity) == judged), "")
    return Cell(observation, number, change, verdict)


def _note(observations: Sequence[ObservationView], quantity: str) -> str:
    number = next((n for o in observations if (n := o.number(quantity))), None)
    words = "" if number is None else number.label + (f", {number.unit_shown}" if number.unit_shown else "")
    return "; ".join(
        part for part in (words, observations[0].picture.window_text if observations[0].picture else "") if part
    )


def _split(whole: Matrix) -> list[Matrix]:
    parts = []
    for start in range(0, len(whole.heads), COLUMNS):
        here = slice(start, start + COLUMNS)
        rows = tuple(evolve(row, cells=row.cells[here]) for row in whole.rows)
        filled = tuple(row for row in rows if any(cell != Cell() for cell in row.cells))
        parts.append(Matrix(whole.heads[here], filled))
    return parts


def _by_time(observations: Iterable[ObservationView]) -> list[ObservationView]:
    """Sort by time, undated last."""
    dated = list(observations)
    return sorted(dated, key=lambda o: (o.acquired_at is None, o.acquired_at.timestamp() if o.acquired_at else 0.0))


def _grouped(
    observations: Iterable[ObservationView], where: Callable[[datetime | None], str]
) -> dict[str, list[ObservationView]]:
    return _grouped_by(observations, lambda o: where(o.acquired_at))


def _grouped_by(
    observations: Iterable[ObservationView], key: Callable[[ObservationView], str]
) -> dict[str, list[ObservationView]]:
    groups: dict[str, list[ObservationView]] = defaultdict(list)
    for observation in observations:
        groups[key(observation)].append(observation)
    return groups
