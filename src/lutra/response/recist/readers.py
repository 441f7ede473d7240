"""Several readers of one subject: where they differ, and whose reading is taken."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from lutra.core.errors import InputError
from lutra.core.finding import Finding, Severity
from lutra.core.tumour import Endpoints


def disagreements(ends: Sequence[Endpoints]) -> tuple[Finding, ...]:
    """Say of which subjects the readers differ in best response or in the day of progression."""
    found = []
    for subject, own in _by_subject(ends).items():
        best = {e.bor for e in own}
        days = {(e.pfs_days, e.pfs_event) for e in own if e.pfs_event}
        if len(best) > 1 or len(days) > 1 or len({e.pfs_event for e in own}) > 1:
            each = "; ".join(f"{e.reader}: {e.bor}, {_survival(e)}" for e in own)
            text = f"{subject}: readers differ ({each}); an adjudicator decides whose reading is taken"
            found.append(Finding(Severity.INFO, "response.readers-differ", text))
    return tuple(found)


def adjudicated(ends: Sequence[Endpoints], chosen: Mapping[str, str]) -> tuple[Endpoints, ...]:
    """Take one reading per subject: that of the reader the adjudicator chose, or the first where readers agree.

    Parameters
    ----------
    chosen
        Reader by subject.

    Raises
    ------
    InputError
        If readers differ and nobody chose, or chose a reader who did not read.
    """
    differ = {finding.text.partition(":")[0] for finding in disagreements(ends)}
    taken = []
    for subject, own in _by_subject(ends).items():
        readers = [e.reader for e in own]
        if subject in chosen and chosen[subject] not in readers:
            raise InputError(f"{subject}: {chosen[subject]!r} did not read", required=f"one of: {', '.join(readers)}")
        if subject not in chosen and subject in differ:
            raise InputError(f"{subject}: readers differ and nobody chose", required=f"one of: {', '.join(readers)}")
        taken.append(next(e for e in own if e.reader == chosen.get(subject, readers[0])))
    return tuple(taken)


def _by_subject(ends: Sequence[Endpoints]) -> dict[str, list[Endpoints]]:
    found: dict[str, list[Endpoints]] = defaultdict(list)
    for end in ends:
        found[end.subject].append(end)
    return dict(found)


def _survival(e: Endpoints) -> str:
    if e.pfs_days is None:
        return "survival not dated"
    return f"{'progression or death' if e.pfs_event else 'censored'} on day {e.pfs_days}"
