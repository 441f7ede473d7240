"""By what the activity found in a region is divided, because blur carried the rest out of it."""

from __future__ import annotations

from lutra.core.calibration import Calibration
from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.region import Region
from lutra.core.volume import Volume
from lutra.physics.recovery import concentration_volume_sensitivity, sphere_diameter_mm, sphere_recovery
from lutra.physics.recovery_curve import recovery_at, recovery_slope
from lutra.quantify.settings import QuantifySettings
from lutra.quantify.shape_recovery import shape_recovery

Recovery = tuple[float, float | None]
"""Recovery to divide by, and its relative standard uncertainty; None if it was not evaluated. [1]"""


def recovery_for(
    volume_ml: float,
    region_id: str,
    settings: QuantifySettings,
    calibration: Calibration | None = None,
    seen: tuple[Volume, Region] | None = None,
) -> Outcome[Recovery]:
    """Find the recovery of a region and its relative standard uncertainty. [1]

    Parameters
    ----------
    calibration
        What applies to the scan; its recovery curve is used where the protocol says `partial_volume = "curve"`.
    seen
        The image and the region in it, which `partial_volume = "shape"` looks at.

    Returns
    -------
    Outcome
        1 where no correction is asked for. Of a sphere of equal volume, or of the region's own shape in its surroundings, with
        half the spread between resolutions one sd apart. Of the measured curve, with the uncertainty of the curve and the scatter
        of objects around it. None if the protocol asks for a correction that cannot be made.
    """
    findings = []
    if volume_ml < settings.minimum_volume_ml:
        findings.append(
            Finding(
                Severity.WARNING,
                "quantify.small-lesion",
                f"{region_id}: {volume_ml:.2f} mL is below the smallest volume this protocol trusts, "
                f"{settings.minimum_volume_ml:g} mL (quantify.minimum_volume_ml); partial volume dominates its activity",
            )
        )
    match settings.partial_volume:
        case "sphere":
            found = _of_sphere(volume_ml, region_id, settings)
        case "shape":
            found = _of_shape(region_id, settings, seen)
        case "curve":
            found = _of_curve(volume_ml, region_id, calibration or Calibration())
        case _:
            text = (
                f"{region_id}: activity is not corrected for partial volume (quantify.partial_volume = 'none'), so it is too low, "
                "the more the smaller the lesion. To do: measure the resolution of the camera and set quantify.spect_fwhm_mm "
                "and partial_volume"
            )
            found = Outcome((1.0, None), (Finding(Severity.WARNING, "quantify.no-recovery", text),))
    return Outcome(found.value, (*findings, *found.findings))


def activity_volume_sensitivity(
    volume_ml: float, settings: QuantifySettings, calibration: Calibration | None = None
) -> float | None:
    r"""Sensitivity :math:`d\ln A/d\ln V` of an activity to the volume it was read in; None without a resolution or a curve. [1]

    A larger contour gathers more activity (p), and is divided by the recovery of a larger object (:math:`q = d\ln R/d\ln V`):
    p - q. For a blurred sphere, which also stands for other shapes here, q = 2p - 1, see
    :func:`~lutra.physics.recovery.concentration_volume_sensitivity`; a measured curve gives q, and thereby p.
    """
    curve = calibration.recovery if calibration else None
    if settings.partial_volume == "curve":
        return None if curve is None else (1 - recovery_slope(curve, volume_ml)) / 2
    if settings.spect_fwhm_mm is None:
        return None
    p = concentration_volume_sensitivity(sphere_diameter_mm(volume_ml), settings.spect_fwhm_mm)
    return p if settings.partial_volume == "none" else 1 - p


def _of_sphere(volume_ml: float, region_id: str, settings: QuantifySettings) -> Outcome[Recovery]:
    fwhm_mm = settings.spect_fwhm_mm
    if fwhm_mm is None:
        return _none(
            region_id,
            "quantify.no-recovery",
            "the protocol asks for partial volume correction (quantify.partial_volume = 'sphere') and gives no "
            "quantify.spect_fwhm_mm, so there is no activity. To do: give the measured resolution, or set partial_volume = 'none'",
        )
    diameter_mm = sphere_diameter_mm(volume_ml)
    recovery = sphere_recovery(diameter_mm, fwhm_mm)
    lower, upper = (
        sphere_recovery(diameter_mm, fwhm_mm + shift)
        for shift in (-settings.spect_fwhm_sd_mm, settings.spect_fwhm_sd_mm)
    )
    return Outcome((recovery, abs(lower - upper) / 2 / recovery))


def _of_shape(region_id: str, settings: QuantifySettings, seen: tuple[Volume, Region] | None) -> Outcome[Recovery]:
    fwhm_mm, sd_mm = settings.spect_fwhm_mm, settings.spect_fwhm_sd_mm
    if fwhm_mm is None or seen is None:
        return _none(
            region_id,
            "quantify.no-recovery",
            "the protocol asks for partial volume correction (quantify.partial_volume = 'shape') and gives no "
            "quantify.spect_fwhm_mm, so there is no activity. To do: give the measured resolution, or set partial_volume = 'none'",
        )
    recovery, lower, upper = (
        shape_recovery(*seen, fwhm_mm + shift) for shift in (0.0, -min(sd_mm, fwhm_mm / 2), sd_mm)
    )
    if recovery is None or lower is None or upper is None:
        return _none(
            region_id,
            "quantify.no-recovery",
            f"its own activity cannot be told from its surroundings at a resolution of {fwhm_mm:g}({sd_mm:g}) mm "
            "(quantify.partial_volume = 'shape'), so there is no activity. To do: look at the region; for one smaller than the "
            "resolution use a recovery curve",
        )
    # Half the spread of 1 / recovery, which is what the concentration follows.
    return Outcome((recovery, abs(recovery / lower - recovery / upper) / 2))


def _of_curve(volume_ml: float, region_id: str, calibration: Calibration) -> Outcome[Recovery]:
    curve, factor = calibration.recovery, calibration.camera_factor
    if curve is None:
        return _none(
            region_id,
            "quantify.no-recovery",
            "the protocol asks for a measured recovery curve (quantify.partial_volume = 'curve') and no calibration file that "
            "applies to the scan has one, so there is no activity. To do: put one in STUDY/calibration (docs/calibration.md)",
        )
    if factor is None or factor.geometry != curve.geometry:
        given = f"with a {factor.geometry}" if factor else "by nobody whose file applies to the scan"
        return _none(
            region_id,
            "quantify.recovery-geometry",
            f"the recovery curve of {calibration.file_of('recovery')} holds for activities of a camera factor measured with a "
            f"{curve.geometry}, and the factor was measured {given}. Mixed, activities err by up to 21 % (3.5 % paired), so there "
            "is none. To do: measure both with the same object",
        )
    if volume_ml < curve.smallest_ml:
        return _none(
            region_id,
            "quantify.recovery-outside-curve",
            f"{volume_ml:.2f} mL is smaller than anything the recovery curve of {calibration.file_of('recovery')} was measured "
            f"with, {curve.smallest_ml:.3g} to {curve.largest_ml:.3g} mL, so there is no activity. To do: measure a smaller object",
        )
    recovery, sd = recovery_at(curve, volume_ml)
    if volume_ml <= curve.largest_ml:
        return Outcome((recovery, sd / recovery))
    text = (
        f"{region_id}: {volume_ml:.1f} mL is larger than anything the recovery curve of {calibration.file_of('recovery')} was "
        f"measured with, up to {curve.largest_ml:.3g} mL. Its recovery there, {recovery:.3f}, is where the form of the curve leads"
    )
    return Outcome((recovery, sd / recovery), (Finding(Severity.WARNING, "quantify.recovery-outside-curve", text),))


def _none(region_id: str, code: str, why: str) -> Outcome[Recovery]:
    return Outcome(None, (Finding(Severity.UNDETERMINED, code, f"{region_id}: {why}"),))
