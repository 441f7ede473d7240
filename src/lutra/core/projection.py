"""What the cycles given say of those to come."""

from __future__ import annotations

from attrs import frozen

from lutra.core.estimate import Estimate


@frozen(eq=False)
class GivenDose:
    """Dose of a region in a cycle that was given.

    Parameters
    ----------
    activity_bq
        Activity given. [Bq]
    absorbed_dose
        [Gy] Sources that are one cycle's own carry its name; all others are the same error in every cycle.
    protraction
        Lea-Catcheside factor of its curve; None where no BED is asked for. [1]
    """

    cycle: int
    activity_bq: float
    absorbed_dose: Estimate
    protraction: float | None = None


@frozen
class DoseLimit:
    """Largest sum over all cycles that a region may receive.

    Parameters
    ----------
    name
        `kidney BED`.
    limit_gy
        [Gy]
    alpha_beta_gy
        The limit is one of BED; None: of absorbed dose. [Gy]
    """

    name: str
    limit_gy: float
    alpha_beta_gy: float | None = None


@frozen
class Quantiles:
    """Median and central 95 % interval."""

    median: float
    low: float
    high: float


@frozen
class ProjectedCycle:
    """Dose of a cycle, given or to come, with the planned activity. [Bq, Gy]"""

    cycle: int
    given: bool
    activity_bq: float
    dose_gy: Quantiles


@frozen
class LimitOutlook:
    """A limit and how near it is.

    Parameters
    ----------
    so_far_gy, after_next_gy, after_all_gy
        Sum over the cycles given, with the next one, and with all that are planned; None where no more is planned. [Gy]
    exceeded_next, exceeded_all
        Probability that the sum is then above the limit. [1]
    further_cycles
        How many more cycles of the planned activity fit, as far as anybody would go.
    fitting_activity_bq
        Largest activity of the next cycle that fits; looked for up to four times the planned one. [Bq]
    """

    limit: DoseLimit
    so_far_gy: Quantiles
    after_next_gy: Quantiles | None
    after_all_gy: Quantiles | None
    exceeded_so_far: float
    exceeded_next: float | None
    exceeded_all: float | None
    further_cycles: int
    fitting_activity_bq: float


@frozen
class Projection:
    """Doses of one region over the course of treatment, from the cycles given.

    Parameters
    ----------
    tissue
        Whose trend was taken.
    planned
        Number of cycles planned.
    per_gbq_gy
        Dose per activity of the next cycle. [Gy/GBq]
    trend
        What was assumed of the change from cycle to cycle, with its source.
    not_evaluated
        Sources of uncertainty of the doses that nobody evaluated: intervals are too narrow by them.
    """

    region: str
    tissue: str
    planned: int
    per_gbq_gy: Quantiles
    cycles: tuple[ProjectedCycle, ...]
    limits: tuple[LimitOutlook, ...]
    trend: str
    not_evaluated: tuple[str, ...] = ()
