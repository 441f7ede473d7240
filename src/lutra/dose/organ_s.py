"""Doses by S values: every region as source and as target."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping

import numpy as np
from attrs import evolve, field, frozen

from lutra.core.dose import CycleDoses, DoseProblem, DoseResult, DoseTarget
from lutra.core.errors import ProtocolError, UsageError
from lutra.core.estimate import Estimate, Unit
from lutra.core.finding import Finding, Outcome, Severity, few
from lutra.core.frozen import FrozenMap, frozen_map
from lutra.dose.options import whole_options
from lutra.dose.region_means import ELECTRONS_RELATIVE_SD, HISTORIES, PHOTONS_RELATIVE_SD, S_VALUE, self_dose
from lutra.dose.tia_map import tia_map
from lutra.dose.voxel_engines import body_of
from lutra.physics.voxel_dose import photon_dose
from lutra.ports import Settings

GY_PER_BQ_S = 1e-9
"""One mGy/(MBq s)."""
REST = "remainder"
DEFAULT_HISTORIES = 200_000
COLUMNS = ("target", "source", "s_mgy_per_mbq_s", "mass_g")


@frozen
class SValue:
    """Mean dose of a target per decay in a source, and what is not known of it.

    Parameters
    ----------
    s_gy_per_bq_s
        [Gy/(Bq.s)]
    budget
        Relative standard uncertainties by source. [1]
    """

    s_gy_per_bq_s: float
    budget: FrozenMap[str, float | None] = field(factory=FrozenMap, converter=frozen_map)


class OrganS:
    r"""The MIRD sum, :math:`D(r_T) = \sum_S \tilde A(r_S)\,S(r_T \leftarrow r_S)`, each part by its source.

    S values are computed on the patient's own anatomy: photons of each region are followed through the CT, electrons stay as in a
    sphere of the region's mass. Or they are those of a table that the protocol gives.
    """

    def dose(self, problem: DoseProblem, settings: Settings, seed: int) -> Outcome[CycleDoses]:
        """Compute the doses of a cycle.

        Parameters
        ----------
        settings
            `histories`: photons to follow per source. `table`: S values as CSV text with the columns target, source,
            s_mgy_per_mbq_s and mass_g, by the names of the regions; `mass_g`, where given, is that of the model's target, and a
            self-dose is scaled by the ratio of masses. Photon cross-dose is not scaled.

        References
        ----------
        [bolch2009] MIRD pamphlet 21, J Nucl Med 50:477.
        """
        given = settings.get("table")
        options = whole_options(
            FrozenMap({name: value for name, value in settings.items() if name != "table"}),
            {"histories": DEFAULT_HISTORIES},
            "organ-s",
        )
        if given is not None:
            return _summed(problem, _from_table(str(given), problem), ())
        try:
            values, findings = _computed(problem, options["histories"], seed)
        except UsageError as error:
            text = f"no dose of this nuclide can be computed: {error}"
            return Outcome(None, (Finding(Severity.UNDETERMINED, "dose.no-emissions", text),))
        return _summed(problem, values, findings)


Pairs = Mapping[tuple[str, str], SValue]
"""By target and source."""


def _summed(problem: DoseProblem, values: Pairs, findings: tuple[Finding, ...]) -> Outcome[CycleDoses]:
    sources = {t.name: t.fit for t in problem.targets if t.fit is not None}
    if problem.remainder is not None:
        sources[REST] = problem.remainder
    results, lacking = [], []
    for target in problem.targets:
        parts: dict[str, float] = {}
        dose = Estimate(0.0, Unit.GY)
        for name, fit in sources.items():
            s = values.get((target.name, name))
            if s is None:
                lacking.append(f"{target.name} from {name}")
                continue
            decays = fit.time_integrated_activity
            if name != target.name:
                decays = evolve(decays, draws=None)  # a cross-dose is small: to first order
            per_decay = Estimate(s.s_gy_per_bq_s, Unit.GY_PER_BQ_S).with_sources(s.budget)
            part = decays.times(per_decay, Unit.GY)
            parts[name] = part.value
            dose = dose + part
        if (target.name, target.name) in values or target.fit is None:
            results.append(DoseResult(target.name, "organ-s", dose, target.mass, parts=parts))
    said = list(findings)
    if lacking:
        text = f"no S value is known for {len(lacking)} pairs: {few(lacking)}. What they send is not counted"
        said.append(Finding(Severity.WARNING, "dose.no-s-value", text))
    return Outcome(CycleDoses(tuple(results)), said)


def _computed(problem: DoseProblem, histories: int, seed: int) -> tuple[Pairs, tuple[Finding, ...]]:
    """S values on the anatomy of the problem: one transport of photons per source."""
    spread = tia_map(problem)
    if spread.value is None:
        return {}, spread.findings
    body, doubts = body_of(problem)
    rest = spread.value.decays.copy()
    sources = []
    for target, share in zip(problem.targets, spread.value.shares, strict=True):
        rest[share.box] -= share.decays
        if share.decays.any():
            placed = np.zeros_like(rest)
            placed[share.box] = share.decays
            sources.append((target.name, placed))
    if problem.remainder is not None and rest.max() > 0:
        sources.append((REST, np.maximum(rest, 0.0)))
    values: dict[tuple[str, str], SValue] = {}
    for n, (name, decays) in enumerate(sources):
        gy, sd = photon_dose(decays / decays.sum(), body, problem.nuclide, histories, seed + n)
        for target in problem.targets:
            box, weights = target.region.box, target.region.fraction * body.density_g_per_ml[target.region.box]
            photons = float(np.average(gy[box], weights=weights))
            drawn = float(np.sqrt(((weights * sd[box]) ** 2).sum()) / weights.sum())
            values[target.name, name] = _value(problem, target, photons, drawn, own=name == target.name)
    return values, (*spread.findings, *doubts)


def _value(problem: DoseProblem, target: DoseTarget, photons: float, drawn: float, *, own: bool) -> SValue:
    itself = self_dose(problem.nuclide, target.mass.value, target.mass.value / target.region.volume_ml)
    electrons = itself.electrons if own else 0.0
    total = electrons + photons
    if total <= 0:
        return SValue(0.0)
    slope = itself.electrons_slope * electrons + (itself.photons_slope * photons if own else 0.0)
    budget = dict(target.mass.relative(sensitivity=slope / total)) if own else {}
    budget |= {
        S_VALUE: ELECTRONS_RELATIVE_SD * electrons / total,
        "photon transport, organ-s": PHOTONS_RELATIVE_SD["hybrid"] * photons / total,
        HISTORIES: drawn / total,
    }
    return SValue(total, FrozenMap({name: sd for name, sd in budget.items() if sd is None or sd}))


def _from_table(text: str, problem: DoseProblem) -> Pairs:
    """Read S values, each self-dose brought to the patient's mass.

    Raises
    ------
    ProtocolError
        For a table without the columns, or a cell that is no number above 0.
    """
    rows = csv.DictReader(io.StringIO(text.strip()))
    if not set(COLUMNS[:3]) <= set(rows.fieldnames or ()):
        raise ProtocolError(
            f"columns {', '.join(rows.fieldnames or ()) or 'none'}",
            where="dose.options.organ-s.table",
            required=", ".join(COLUMNS),
            do="name the columns in the first line",
        )
    masses = {t.name: t.mass for t in problem.targets}
    values = {}
    for line, row in enumerate(rows, start=2):
        target, source = row["target"].strip(), row["source"].strip()
        s = _number(row, "s_mgy_per_mbq_s", line) * GY_PER_BQ_S
        budget: dict[str, float | None] = {S_VALUE: None}
        if target == source and target in masses:
            mass = masses[target]
            if row.get("mass_g"):
                s *= _number(row, "mass_g", line) / mass.value
                budget |= mass.relative(sensitivity=-1.0)
        values[target, source] = SValue(s, FrozenMap(budget))
    return values


def _number(row: Mapping[str, str], name: str, line: int) -> float:
    try:
        value = float(row[name])
    except ValueError:
        value = -1.0
    if not (value > 0 and np.isfinite(value)):
        raise ProtocolError(
            f"line {line}: {name} = {row[name]!r}", where="dose.options.organ-s.table", required="a number above 0"
        )
    return value
