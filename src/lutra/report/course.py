"""The course of treatment on the pages and in the tables: decisions, projections, deviations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa
from attrs import asdict, frozen

from lutra.core.decision import Decision, Reason, Signature, Verdict
from lutra.core.dose import MarrowDose
from lutra.core.projection import LimitOutlook, Projection, Quantiles
from lutra.core.treatment import Deviation
from lutra.core.tumour import ReaderAgreement, ReaderResponse

Row = dict[str, str | float | int | bool | None]
GRAVEST_FIRST = tuple(reversed(Verdict))
ICONS = {v: v.value.lower() for v in Verdict} | {Verdict.UNDETERMINED: "undet"}
TEXT, FLOAT, INT, BOOL = pa.string(), pa.float64(), pa.int32(), pa.bool_()
DECISION_SCHEMA = pa.schema(
    [
        ("subject", TEXT),
        ("cycle", INT),
        ("on", TEXT),
        ("decision", TEXT),
        ("activity_gbq", FLOAT),
        ("rule", TEXT),
        ("verdict", TEXT),
        ("advisory", BOOL),
        ("saw", TEXT),
        ("source", TEXT),
    ]
)
"""One row per rule of each decision."""
PROJECTION_SCHEMA = pa.schema(
    [
        ("subject", TEXT),
        ("region", TEXT),
        ("limit", TEXT),
        ("limit_gy", FLOAT),
        ("after", TEXT),
        ("median_gy", FLOAT),
        ("low95_gy", FLOAT),
        ("high95_gy", FLOAT),
        ("probability_exceeded", FLOAT),
        ("further_cycles", INT),
        ("fitting_activity_gbq", FLOAT),
    ]
)
"""One row per limit and point of the course; without a limit, the dose of each cycle given or to come."""
RECIST_SCHEMA = pa.schema(
    [
        ("subject", TEXT),
        ("reader", TEXT),
        ("visit", TEXT),
        ("date", TEXT),
        ("target", TEXT),
        ("non_target", TEXT),
        ("new_lesion", BOOL),
        ("overall", TEXT),
        ("sum_mm", FLOAT),
        ("nadir_mm", FLOAT),
        ("rule", TEXT),
    ]
)
"""One row per reader and visit after the baseline."""
ENDPOINT_SCHEMA = pa.schema(
    [
        ("subject", TEXT),
        ("reader", TEXT),
        ("bor", TEXT),
        ("confirmed_bor", TEXT),
        ("pfs_days", INT),
        ("pfs_event", BOOL),
        ("ttp_days", INT),
        ("ttp_event", BOOL),
        ("os_days", INT),
        ("os_event", BOOL),
    ]
)
"""One row per reader; days count from the first treatment, which is day 1."""
LESION_ENDPOINT_SCHEMA = pa.schema(
    [
        ("subject", TEXT),
        ("reader", TEXT),
        ("lesion", TEXT),
        ("kind", TEXT),
        ("location", TEXT),
        ("baseline_mm", FLOAT),
        ("best_mm", FLOAT),
        ("best_change", FLOAT),
        ("best", TEXT),
        ("ttp_days", INT),
        ("ttp_event", BOOL),
    ]
)
"""One row per reader and lesion of the baseline: its longest transversal diameter, of nodes as well."""
MARROW_SCHEMA = pa.schema(
    [
        ("subject", TEXT),
        ("cycle", INT),
        ("method", TEXT),
        ("own_gy", FLOAT),
        ("cross_gy", FLOAT),
        ("total_gy", FLOAT),
        ("sd_evaluated_gy", FLOAT),
        ("not_evaluated", TEXT),
    ]
)
"""One row per method and cycle: its own activity, what others send, and both."""
READERS_SCHEMA = pa.schema(
    [
        ("one", TEXT),
        ("other", TEXT),
        ("n", INT),
        ("bias_mm", FLOAT),
        ("reader_sd_mm", FLOAT),
        ("low95_mm", FLOAT),
        ("high95_mm", FLOAT),
    ]
)
"""One row per pair of readers: how far apart they measure the same lesion at the same visit."""
DEVIATION_SCHEMA = pa.schema(
    [("subject", TEXT), ("cycle", INT), ("rule", TEXT), ("saw", TEXT), ("required", TEXT), ("where", TEXT)]
)


@frozen
class CourseView:
    """The course of one subject.

    Parameters
    ----------
    decisions
        Before each cycle, and before the next.
    signatures
        Cycle, signature, and whether it is of the decision shown.
    responses
        By RECIST 1.1, one per reader.
    marrow
        Dose of red marrow by every method, with its cycle.
    """

    decisions: tuple[Decision, ...] = ()
    projections: tuple[Projection, ...] = ()
    deviations: tuple[Deviation, ...] = ()
    signatures: tuple[tuple[int, Signature, bool], ...] = ()
    responses: tuple[ReaderResponse, ...] = ()
    marrow: tuple[tuple[int, MarrowDose], ...] = ()

    @property
    def last(self) -> Decision | None:
        """The decision that matters now."""
        return self.decisions[-1] if self.decisions else None

    @property
    def limited(self) -> tuple[tuple[Projection, LimitOutlook], ...]:
        """Every limit with its region."""
        return tuple((p, held) for p in self.projections for held in p.limits)


def by_gravity(decision: Decision) -> list[Reason]:
    """Rules with the gravest first; those that advise only after those that decide."""
    return sorted(decision.reasons, key=lambda r: (r.advisory, GRAVEST_FIRST.index(r.verdict)))


def verdict_icon(verdict: Verdict) -> str:
    """Name of the picture of a verdict."""
    return ICONS[verdict]


def verdict_sentence(decision: Decision) -> str:
    """Say in one sentence what decided."""
    deciding = [r for r in decision.reasons if not r.advisory]
    asking = [r for r in deciding if r.verdict is decision.verdict]
    if decision.verdict is Verdict.PROCEED:
        return f"None of {len(deciding)} rules objects to cycle {decision.cycle}."
    if decision.verdict is Verdict.UNDETERMINED:
        n = len(asking)
        return f"{n} of {len(deciding)} rules cannot be judged: {'; '.join(r.saw for r in asking)}."
    return f"{'; '.join(r.says for r in asking)}."


def quantiles_text(q: Quantiles | None) -> str:
    """Write a median with its interval. [Gy]"""
    return "" if q is None else f"{q.median:.1f} ({q.low:.1f} to {q.high:.1f})"


# ---- tables ----
def decision_rows(subject: str, course: CourseView) -> Iterator[Row]:
    """One row per rule and decision."""
    for d in course.decisions:
        for r in d.reasons:
            yield {
                "subject": subject,
                "cycle": d.cycle,
                "on": d.decided_on.isoformat(),
                "decision": d.verdict,
                "activity_gbq": None if d.activity_bq is None else d.activity_bq / 1e9,
                "rule": r.rule,
                "verdict": r.verdict,
                "advisory": r.advisory,
                "saw": r.saw,
                "source": r.source,
            }


def projection_rows(subject: str, course: CourseView) -> Iterator[Row]:
    """Doses of the cycles of every region, then each limit at each point."""
    for p in course.projections:
        row: Row = dict.fromkeys(PROJECTION_SCHEMA.names)
        row |= {"subject": subject, "region": p.region}
        for c in p.cycles:
            yield row | {"after": f"cycle {c.cycle}, {'given' if c.given else 'to come'}"} | _numbers(c.dose_gy)
        for held in p.limits:
            limit: Row = {
                "limit": held.limit.name,
                "limit_gy": held.limit.limit_gy,
                "further_cycles": held.further_cycles,
            }
            limit["fitting_activity_gbq"] = held.fitting_activity_bq / 1e9
            for after, q, probability in (
                ("cycles given", held.so_far_gy, held.exceeded_so_far),
                ("next cycle", held.after_next_gy, held.exceeded_next),
                ("all planned cycles", held.after_all_gy, held.exceeded_all),
            ):
                if q is not None:
                    yield row | limit | {"after": after, "probability_exceeded": probability} | _numbers(q)


def recist_rows(course: CourseView) -> Iterator[Row]:
    """One row per reader and visit."""
    for response in course.responses:
        for t in response.timepoints:
            row = asdict(t)
            row["date"] = t.on.isoformat() if t.on else None
            yield {name: row[name] for name in RECIST_SCHEMA.names}


def endpoint_rows(course: CourseView) -> Iterator[Row]:
    """One row per reader."""
    for response in course.responses:
        yield asdict(response.endpoints)


def lesion_endpoint_rows(course: CourseView) -> Iterator[Row]:
    """One row per reader and lesion."""
    for response in course.responses:
        for lesion in response.lesions:
            row = {"subject": response.subject, "reader": response.reader, **asdict(lesion)}
            yield {name: row[name] for name in LESION_ENDPOINT_SCHEMA.names}


def marrow_rows(subject: str, course: CourseView) -> Iterator[Row]:
    """One row per method and cycle."""
    for cycle, dose in course.marrow:
        for method in dose.methods:
            yield {
                "subject": subject,
                "cycle": cycle,
                "method": method.name,
                "own_gy": method.own.value,
                "cross_gy": method.cross.value if method.cross else None,
                "total_gy": method.total.value,
                "sd_evaluated_gy": method.total.least_sd,
                "not_evaluated": "; ".join(method.total.not_evaluated),
            }


def readers_rows(pairs: Iterable[ReaderAgreement]) -> Iterator[Row]:
    """One row per pair."""
    for pair in pairs:
        row = asdict(pair)
        row["low95_mm"], row["high95_mm"] = row.pop("limits_mm")
        yield row


def deviation_rows(course: CourseView) -> Iterator[Row]:
    """One row per deviation."""
    for d in course.deviations:
        yield {
            "subject": d.subject_id,
            "cycle": d.cycle,
            "rule": d.rule,
            "saw": d.saw,
            "required": d.required,
            "where": d.row,
        }


def _numbers(q: Quantiles) -> Row:
    return {"median_gy": q.median, "low95_gy": q.low, "high95_gy": q.high}
