"""Red marrow of one subject, cycle by cycle: by blood where it was drawn, by the lumbar vertebrae where they were segmented."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from attrs import frozen

from lutra.core.clinical import BloodSample, ClinicalRecord
from lutra.core.curve import TacFit, TimeActivityCurve
from lutra.core.dose import DoseResult, MarrowDose
from lutra.core.errors import InputError
from lutra.core.estimate import Estimate
from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.frozen import FrozenMap
from lutra.core.study import Administration, Subject
from lutra.core.units import Unit
from lutra.dose.marrow import MarrowSettings, marrow_dose
from lutra.dose.region_means import self_dose
from lutra.kinetics import KineticsSettings, fit_first
from lutra.pipeline import plugins
from lutra.pipeline.conductor import Conductor, Made
from lutra.pipeline.dosimetry import WHOLE_BODY
from lutra.pipeline.protocol import Protocol
from lutra.pipeline.record import CycleRecord, RegionDosimetry
from lutra.pipeline.seeds import seed_of
from lutra.ports import KineticsModel
from lutra.reference.region_names import tissue_of

BLOOD_MODELS = ("two-phase-washout", "biexponential", "monoexponential", "population-tail")
"""Asked in this order: blood falls in two phases, fullest at the start."""
BODY_AS_SPHERE = "body as a sphere"
BODY_G_PER_ML = 1.03


@frozen
class MarrowDoses:
    """Finds the doses of red marrow of one subject.

    Parameters
    ----------
    regions
        With their doses; the marrow of the vertebrae among them if it was segmented, and the field of view.
    """

    conductor: Conductor
    protocol: Protocol
    subject: Subject
    clinical: ClinicalRecord | None
    regions: Mapping[str, RegionDosimetry]

    def cycles(self) -> tuple[tuple[int, Made], ...]:
        """Dose of each cycle of which anything is known."""
        made = ((a.cycle, self._cycle(a)) for a in self.subject.administrations)
        return tuple((cycle, m) for cycle, m in made if m)

    def _cycle(self, administration: Administration) -> Made | None:
        fit, image = self._blood(administration), self._image(administration.cycle)
        if fit is None and image is None:
            return None
        body = next((c.fit for c in self._of(WHOLE_BODY) if c.cycle == administration.cycle), None)
        weight = self.clinical.weight_kg if self.clinical else None
        inputs = {
            **({"blood": fit} if fit else {}),
            **({"image": image} if image else {}),
            **({"body": body} if body and weight else {}),
        }
        return self.conductor.step(
            "dose.marrow",
            _marrow,
            {**inputs, "nuclide": administration.nuclide, "weight_kg": weight},
            settings=self.protocol.dose.marrow,
            code="lutra.dose",
        )

    def _of(self, region: str) -> tuple[CycleRecord, ...]:
        return self.regions[region].cycles if region in self.regions else ()

    def _image(self, cycle: int) -> Made | None:
        """Dose of the vertebrae's marrow by the first engine."""
        names = [name for name in self.regions if tissue_of(name) == "marrow"]
        engine = self.protocol.dose.engines[0]
        found = (
            d.dose
            for n in names
            for c in self._of(n)
            if c.cycle == cycle
            for d in c.doses
            if d.engine == engine and d.dose
        )
        return next(found, None)

    def _blood(self, administration: Administration) -> Made | None:
        samples = tuple(s for s in (self.clinical.blood if self.clinical else ()) if s.cycle == administration.cycle)
        if not samples:
            return None
        models = [plugins.load("kinetics", name) for name in BLOOD_MODELS]
        made = self.conductor.step(
            f"kinetics.blood {' | '.join(name for name, _ in models)}",
            partial(_fit_blood, models=models),
            {"samples": samples, "administration": administration},
            settings=self.protocol.kinetics,
            seed=seed_of(self.protocol, self.subject.subject_id, "blood", str(administration.cycle)),
            code="lutra.kinetics",
        )
        return made or None


def _fit_blood(
    samples: tuple[BloodSample, ...],
    administration: Administration,
    settings: KineticsSettings,
    seed: int,
    *,
    models: list[tuple[str, KineticsModel]],
) -> Outcome[TacFit]:
    """Fit the concentration of blood; samples before the infusion are left out and named."""
    cycle = administration.cycle
    after = [s for s in samples if s.at > administration.started_at]
    findings = []
    if len(after) < len(samples):
        text = f"cycle {cycle}: {len(samples) - len(after)} blood samples are from before the infusion and are left out"
        findings.append(Finding(Severity.WARNING, "kinetics.blood-too-early", text))
    known = all(s.sd_bq_per_ml for s in after)
    activities = tuple(
        Estimate(
            s.concentration_bq_per_ml,
            Unit.BQ,
            FrozenMap({f"count: blood, cycle {cycle}, {n}": s.sd_bq_per_ml}) if known else FrozenMap(),
        )
        for n, s in enumerate(after)
    )
    times = [(s.at - administration.started_at).total_seconds() for s in after]
    try:
        curve = TimeActivityCurve(f"blood, cycle {cycle}", administration.nuclide, times, activities, None)
    except InputError as error:
        return Outcome(None, (*findings, Finding(Severity.UNDETERMINED, "kinetics.no-curve", str(error))))
    outcome = fit_first(curve, models, settings.options, seed, settings.extrapolated_fraction_flag)
    return Outcome(outcome.value, (*findings, *outcome.findings))


def _marrow(
    settings: MarrowSettings,
    nuclide: str,
    weight_kg: float | None,
    blood: TacFit | None = None,
    image: DoseResult | None = None,
    body: TacFit | None = None,
) -> Outcome[MarrowDose]:
    """Hand what is known of a cycle to the table of methods; photons of the body reach marrow as they reach all of it."""
    cross = None
    if body is not None and weight_kg is not None:
        s = self_dose(nuclide, weight_kg * 1e3, BODY_G_PER_ML).photons
        integral = body.time_integrated_activity.value
        cross = Estimate(integral * s, Unit.GY, FrozenMap({BODY_AS_SPHERE: None}))
    concentration = blood.time_integrated_activity if blood else None
    return marrow_dose(nuclide, cross, settings, concentration, image)
