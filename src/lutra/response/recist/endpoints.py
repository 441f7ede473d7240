"""Best overall response and progression-free survival from the responses of the visits."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from attrs import field, frozen
from attrs.validators import in_

from lutra.core.tumour import Endpoints

STABLE = ("SD", "NON-CR/NON-PD")
RANK = ("CR", "PR", "SD", "NON-CR/NON-PD", "PD", "NE", "MISSING")


@frozen
class EndpointSettings:
    """Conventions, which stand beside every endpoint.

    Parameters
    ----------
    minimum_sd_d
        Least time from the start at which SD counts. [d]
    confirmation_d
        Least time between a response and what confirms it. [d]
    not_evaluable_between
        NE visits that may lie between the two.
    censoring
        `FDA`: an event after two or more missed visits, and after another anticancer therapy, is censored at the last adequate
        assessment; `EMA`: every event counts.
    missed_visit_d
        Time without an adequate assessment that stands for two missed visits under FDA; None: no event is censored for it. [d]
    """

    minimum_sd_d: int = 42
    confirmation_d: int = 28
    not_evaluable_between: int = 1
    censoring: str = field(default="FDA", validator=in_(("FDA", "EMA")))
    missed_visit_d: int | None = None


@frozen
class Known:
    """Dates of a subject beside the visits; None where nobody knows them.

    Parameters
    ----------
    therapy
        Start of another anticancer therapy.
    alive
        Last day on which the subject was known to be alive.
    """

    start: date | None = None
    death: date | None = None
    therapy: date | None = None
    alive: date | None = None


Visit = tuple[date, str]
"""Day and overall response, in capitals."""


def endpoints(
    subject: str, reader: str, visits: Sequence[Visit], known: Known, settings: EndpointSettings
) -> Endpoints:
    """Derive the endpoints of one subject.

    What comes after the first progression does not count; under FDA, nor what comes after another anticancer therapy. Without a
    start neither SD nor survival can be dated: SD counts as NE, and survival is not given. Time to progression is as survival
    without progression, with death as a censoring; overall survival needs a death or a last day known to be alive.
    """
    counted: list[Visit] = []
    for on, response in sorted(visits):
        if settings.censoring == "FDA" and known.therapy is not None and on > known.therapy:
            break
        counted.append((on, response.upper()))
        if response.upper() == "PD":
            break
    start = known.start
    pfs = _survival(counted, known, settings, death_counts=True)
    ttp = _survival(counted, known, settings, death_counts=False)
    overall: tuple[int | None, bool | None] = (None, None)
    last = known.death or known.alive
    if start is not None and last is not None:
        overall = (last - start).days + 1, known.death is not None
    return Endpoints(
        subject,
        reader,
        _best(counted, start, settings),
        _confirmed(counted, start, settings),
        *pfs,
        *ttp,
        *overall,
    )


def _best(visits: Sequence[Visit], start: date | None, settings: EndpointSettings) -> str:
    found = {"MISSING"} if not visits else {_worth(v, start, settings) for v in visits}
    return min(found, key=RANK.index)


def _worth(visit: Visit, start: date | None, settings: EndpointSettings) -> str:
    """Say what one visit alone is worth as best response."""
    on, response = visit
    late = start is not None and on >= start + timedelta(days=settings.minimum_sd_d)
    return "NE" if response in STABLE and not late else response


def _confirmed(visits: Sequence[Visit], start: date | None, settings: EndpointSettings) -> str:
    found = {"MISSING"} if not visits else {_confirmed_worth(n, visits, start, settings) for n in range(len(visits))}
    return min(found, key=RANK.index)


def _confirmed_worth(n: int, visits: Sequence[Visit], start: date | None, settings: EndpointSettings) -> str:
    on, response = visits[n]
    if response in {"CR", "PR"}:
        by = {"CR"} if response == "CR" else {"CR", "PR"}
        for m in range(n + 1, len(visits)):
            between = [r for _, r in visits[n + 1 : m]]
            held = all(r in by | {"NE"} for r in between) and between.count("NE") <= settings.not_evaluable_between
            if held and visits[m][1] in by and visits[m][0] >= on + timedelta(days=settings.confirmation_d):
                return response
        if response == "CR" and _confirms_partial(n, visits, settings):
            return "PR"
        return _worth((on, "SD"), start, settings)  # a response that nothing confirms is stable disease, if late enough
    return _worth(visits[n], start, settings)


def _confirms_partial(n: int, visits: Sequence[Visit], settings: EndpointSettings) -> bool:
    """Tell whether a CR is followed by PR, which makes it no CR, but is not less than a PR that is confirmed."""
    on = visits[n][0]
    return any(
        r == "PR"
        and later >= on + timedelta(days=settings.confirmation_d)
        and "SD" not in [x for _, x in visits[n + 1 : m]]
        for m, (later, r) in enumerate(visits[n + 1 :], start=n + 1)
    )


def _survival(
    visits: Sequence[Visit], known: Known, settings: EndpointSettings, *, death_counts: bool
) -> tuple[int | None, bool | None]:
    start = known.start
    if start is None:
        return None, None
    fda = settings.censoring == "FDA"
    after_therapy = fda and known.therapy is not None and known.death is not None and known.death > known.therapy
    death = known.death if death_counts and not after_therapy else None
    progression = next((on for on, response in visits if response == "PD"), None)
    event = min((d for d in (progression, death) if d is not None), default=None)
    adequate = [on for on, response in visits if response not in {"NE", "PD"}]
    last = max(adequate, default=None)
    if event is not None:
        gap = (event - (last or start)).days
        if not fda or settings.missed_visit_d is None or gap <= settings.missed_visit_d:
            return (event - start).days + 1, True
    return (1 if last is None else (last - start).days + 1), False
