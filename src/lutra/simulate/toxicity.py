"""Episodes of laboratory toxicity: from the first sample above the baseline grade to the first that is back."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from lutra.simulate.labs import LabSample


@frozen
class Toxicity:
    """One episode.

    Parameters
    ----------
    from_day, to_day
        First sample above the baseline grade and the first that is no longer; the latter None if it never comes back.
    grade
        Worst CTCAE grade within.
    """

    analyte: str
    from_day: int
    to_day: int | None
    grade: int


def toxicities(samples: Sequence[LabSample], *, true: bool = False) -> tuple[Toxicity, ...]:
    """Find the episodes of all analytes, by onset.

    Parameters
    ----------
    samples
        In order of days; the first is the baseline. A sample without an analyte, or whose value cannot be graded, says
        nothing about it.
    true
        Grades of the true values instead of the measured ones.
    """
    grades: dict[str, list[tuple[int, int]]] = {}
    for sample in samples:
        for value in sample.values:
            grade = value.grade_true if true else value.grade_measured
            if grade is not None:
                grades.setdefault(value.analyte, []).append((sample.day, grade))
    found = [t for analyte, row in grades.items() for t in _episodes(analyte, row)]
    return tuple(sorted(found, key=lambda t: (t.from_day, t.analyte)))


def worst_grade(samples: Sequence[LabSample], analyte: str, *, true: bool = False) -> int | None:
    """Worst grade after the baseline, whatever that was, as labels of drugs count it; None if nothing was graded."""
    values = [v for s in samples[1:] for v in s.values if v.analyte == analyte]
    grades = [v.grade_true if true else v.grade_measured for v in values]
    return max((g for g in grades if g is not None), default=None)


def _episodes(analyte: str, row: list[tuple[int, int]]) -> list[Toxicity]:
    (_, baseline), *later = row
    found: list[Toxicity] = []
    start, worst = None, 0
    for day, grade in later:
        if grade > baseline:
            start, worst = day if start is None else start, max(worst, grade)
        elif start is not None:
            found.append(Toxicity(analyte, start, day, worst))
            start, worst = None, 0
    return found if start is None else [*found, Toxicity(analyte, start, None, worst)]
