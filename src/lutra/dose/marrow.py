"""Red marrow by every method that the data allow, side by side: none of them is right enough to stand alone."""

from __future__ import annotations

from attrs import evolve, frozen

from lutra.core.dose import DoseResult, MarrowDose, MarrowMethod
from lutra.core.estimate import K_95, Estimate, Unit
from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.frozen import FrozenMap
from lutra.physics.homogeneous_dose import KEV_PER_G_IN_GY
from lutra.reference.emissions import emission

MARROW_G_PER_ML = 1.03
"""ICRP 89, red marrow."""
DENSITY_OF_MARROW = "marrow density"


@frozen
class MarrowSettings:
    """What the methods rest on.

    Parameters
    ----------
    rmblr
        Ratio of the activity concentrations of red marrow and blood. [1] 1 for 177Lu-octreotate [forrer2009]; of substances that
        stay in plasma 0.19/(1 - haematocrit) [sgouros1993].
    rmblr_sd
        Its standard uncertainty; None: not evaluated. [1]
    image_recovery
        Recovery of the L2 to L4 region, by which what it shows is divided. [1] .78 in a model of 80 mL; 1 where the activity is
        corrected for partial volume already.
    dose_limit_gy
        Advisory: the 2 Gy of radioiodine were found not to hold for this treatment [bergsma2016]; blood counts decide. [Gy]
    """

    rmblr: float = 1.0
    rmblr_sd: float | None = None
    image_recovery: float = 1.0
    dose_limit_gy: float = 2.0


def marrow_dose(
    nuclide: str,
    cross: Estimate | None,
    settings: MarrowSettings,
    blood: Estimate | None = None,
    image: DoseResult | None = None,
) -> Outcome[MarrowDose]:
    """Dose of red marrow by blood and by image, each with what others send.

    Electrons of the marrow's own activity stay in it; what trabecular bone takes of them is not counted, which overestimates
    rather than underestimates.

    Parameters
    ----------
    cross
        Photon dose of marrow by all other activity. [Gy] None: not known, and every method is a lower bound.
    blood
        Time-integrated activity concentration of whole blood. [Bq.s/mL], carried with the unit Bq.s.
    image
        Dose of the region in the lumbar vertebrae by an engine with photons, which are the cross-dose in it.

    Returns
    -------
    Outcome
        One row per method, with `dose.marrow-methods-differ` if two of them differ by more than their uncertainty; none and
        `dose.no-marrow` if there is neither blood nor image.

    References
    ----------
    [forrer2009] Forrer et al., Eur J Nucl Med Mol Imaging 36:1138; [sgouros1993] J Nucl Med 34:689;
    [bergsma2016] Bergsma et al., Eur J Nucl Med Mol Imaging 43:453.
    """
    methods = []
    if blood is not None:
        electrons = emission(nuclide).electron_kev + emission(nuclide).alpha_kev
        sources = {"blood to marrow": None if settings.rmblr_sd is None else settings.rmblr_sd / settings.rmblr}
        self_dose = blood.scaled(settings.rmblr * electrons * KEV_PER_G_IN_GY / MARROW_G_PER_ML, Unit.GY)
        methods.append(_method("blood", self_dose.with_sources(sources), cross))
    if image is not None:
        photons = image.parts.get("photons", 0.0)
        share = 1 - photons / image.absorbed_dose.value
        of_itself = image.absorbed_dose.scaled(share / settings.image_recovery)
        seen = Estimate(photons, Unit.GY) if photons > 0 else cross
        methods.append(_method("image", of_itself, seen))
    if not methods:
        text = (
            "marrow: neither a blood curve nor a region in the lumbar vertebrae is known, so there is no dose of marrow"
        )
        return Outcome(None, (Finding(Severity.UNDETERMINED, "dose.no-marrow", text),))
    return Outcome(MarrowDose(tuple(methods)), _disagreement(methods))


def _method(name: str, own: Estimate, cross: Estimate | None) -> MarrowMethod:
    if cross is None:
        return MarrowMethod(name, own, None, evolve(own, budget=FrozenMap({**own.budget, "cross-dose": None})))
    return MarrowMethod(name, own, cross, own + cross)


def _disagreement(methods: list[MarrowMethod]) -> tuple[Finding, ...]:
    if len(methods) < 2:
        return ()
    one, other = methods
    difference = one.total - other.total
    allowed = K_95 * difference.evaluated_sd
    ratio = one.total.value / other.total.value
    told = f"marrow: {one.total.value:.3g} Gy by {one.name}, {other.total.value:.3g} Gy by {other.name}, a ratio of {ratio:.2f}"
    if abs(difference.value) <= allowed:
        return ()
    text = (
        f"{told}, more than their uncertainties allow ({allowed:.2g} Gy). Report both; the dose of marrow is advisory"
    )
    return (Finding(Severity.WARNING, "dose.marrow-methods-differ", text),)
