"""By what the activity found in a region is divided, because blur carried the rest out of it."""

from __future__ import annotations

from lutra.core.finding import Finding, Outcome, Severity
from lutra.physics.recovery import sphere_diameter_mm, sphere_recovery
from lutra.quantify.settings import QuantifySettings


def recovery_for(volume_ml: float, region_id: str, settings: QuantifySettings) -> Outcome[tuple[float, float | None]]:
    """Find the recovery of a region and its relative standard uncertainty. [1]

    Returns
    -------
    Outcome
        Recovery to divide by, 1 where none is asked for, and half the spread between resolutions one sd apart; none if the
        protocol asks for a correction that cannot be made.
    """
    findings: list[Finding] = []
    if volume_ml < settings.minimum_volume_ml:
        findings.append(
            Finding(
                Severity.WARNING,
                "quantify.small-lesion",
                f"{region_id}: {volume_ml:.2f} mL is below the smallest volume this protocol trusts, "
                f"{settings.minimum_volume_ml:g} mL (quantify.minimum_volume_ml); partial volume dominates its activity",
            )
        )
    fwhm_mm = settings.spect_fwhm_mm
    if settings.partial_volume == "sphere" and fwhm_mm is None:
        text = (
            f"{region_id}: the protocol asks for partial volume correction (quantify.partial_volume = 'sphere') and gives no "
            "quantify.spect_fwhm_mm, so there is no activity. To do: give the measured resolution, or set partial_volume = 'none'"
        )
        return Outcome(None, (*findings, Finding(Severity.UNDETERMINED, "quantify.no-recovery", text)))
    if fwhm_mm is None or settings.partial_volume == "none":
        findings.append(
            Finding(
                Severity.WARNING,
                "quantify.no-recovery",
                f"{region_id}: activity is not corrected for partial volume (quantify.partial_volume = 'none'), so it is too low, "
                "the more the smaller the lesion. To do: measure the resolution of the camera and set quantify.spect_fwhm_mm "
                "and partial_volume",
            )
        )
        return Outcome((1.0, None), findings)
    diameter_mm = sphere_diameter_mm(volume_ml)
    recovery = sphere_recovery(diameter_mm, fwhm_mm)
    lower, upper = (
        sphere_recovery(diameter_mm, fwhm_mm + shift)
        for shift in (-settings.spect_fwhm_sd_mm, settings.spect_fwhm_sd_mm)
    )
    return Outcome((recovery, abs(lower - upper) / 2 / recovery), findings)
